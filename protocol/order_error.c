/* Why an order is invalid, name by name (RFC 8555 section 6.7.1). */
#include "protocol/object_json.h"

#include <string.h>

enum { MAX_ERROR = 384 * 1024 };

/* The problem that decided an authorization; NULL: it did not fail. */
static const char *problem_of(const struct acme_authz *authz)
{
    if (authz->status != ACME_AUTHZ_INVALID)
        return NULL;
    for (size_t i = 0; i < authz->challenge_count; i++)
        if (authz->challenges[i].status == ACME_CHALLENGE_INVALID && authz->challenges[i].error != NULL)
            return authz->challenges[i].error;
    return NULL;
}

static struct acme_err write_head(struct acme_exchange *x, struct acme_json_writer *writer, const char *text,
                                  bool *ret_good)
{
    cJSON *problem = NULL;
    struct acme_err err = acme_json_parse(x->arena, text, strlen(text), &problem);
    if (err.code == ACME_E_FORMAT) { /* nobody but us wrote it */
        *ret_good = false;
        return acme_ok();
    }
    TRY(err);
    const char *type = acme_json_str(problem, "type");
    const char *detail = acme_json_str(problem, "detail");
    *ret_good = type != NULL && detail != NULL;
    if (!*ret_good)
        return acme_ok();
    acme_jw_object(writer, NULL);
    acme_jw_str(writer, "type", type);
    acme_jw_str(writer, "detail", detail);
    int64_t status = 0;
    if (acme_json_int(problem, "status", &status))
        acme_jw_int(writer, "status", status);
    return acme_ok();
}

static struct acme_err write_subproblem(struct acme_exchange *x, struct acme_json_writer *writer,
                                        const char *problem, const struct acme_identifier *identifier)
{
    bool good = false;
    TRY(write_head(x, writer, problem, &good));
    if (!good)
        return acme_ok();
    acme_jw_object(writer, "identifier");
    acme_jw_str(writer, "type", acme_identifier_type_name(identifier->type));
    acme_jw_str(writer, "value", identifier->value);
    acme_jw_object_end(writer);
    acme_jw_object_end(writer);
    return acme_ok();
}

static struct acme_err write_error(struct acme_exchange *x, const struct acme_order *order,
                                   struct acme_buf *out, size_t *ret_failed)
{
    struct acme_json_writer writer;
    bool good = false;
    size_t failed = 0;
    acme_jw_init(&writer, out);
    TRY(write_head(x, &writer, order->error, &good));
    if (!good)
        return acme_ok();
    acme_jw_array(&writer, "subproblems");
    for (size_t i = 0; i < order->authz_count && i < order->identifier_count; i++) {
        struct acme_authz authz;
        TRY(acme_store_authz_get(x->service->store, x->arena, order->authz_ids[i], &authz));
        const char *problem = problem_of(&authz);
        if (problem == NULL)
            continue;
        TRY(write_subproblem(x, &writer, problem, &order->identifiers[i]));
        failed++;
    }
    acme_jw_array_end(&writer);
    acme_jw_object_end(&writer);
    *ret_failed = failed;
    return acme_ok();
}

/* The order ended with the first failure; others may have come since, and a client's admin wants to correct
 * all at once. */
struct acme_err acme_order_explain(struct acme_exchange *x, struct acme_order *order)
{
    if (order->status != ACME_ORDER_INVALID || order->error == NULL || order->issuance_id != NULL)
        return acme_ok();
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, MAX_ERROR);
    size_t failed = 0;
    TRY(write_error(x, order, &out, &failed));
    const char *text = failed > 0 ? acme_buf_cstr(&out) : NULL;
    if (text == NULL) /* too long, or nothing to add: the error stands as it is */
        return acme_ok();
    text = acme_arena_strdup(x->arena, text);
    ENSURE(text != NULL, ACME_E_NOMEM);
    order->error = text;
    return acme_ok();
}
