/* An object that is made on first use. Names are not unique in ELB, so a POST must not happen twice blindly:
 * when its outcome is open the object is looked for by its name and our mark. */
#include "backends/huawei_elb/huawei_internal.h"

#include <string.h>

#define LIST_SETTLE_MS (10 * ACME_SECOND_MS)

enum { PAGE_SIZE = 10, PAGES_MAX = 50, ROUNDS = 3, MARKER_MAX = 64 };

struct acme_err acme_huawei_create_begin(struct huawei_context *ctx, const struct huawei_material *material,
                                         const char *key_pem)
{
    ENSURE(key_pem != NULL, ACME_E_INTERNAL);
    const struct acme_buf *body = NULL;
    TRY(acme_huawei_material_body(ctx, material, key_pem, true, &body));
    TRY(acme_huawei_call(ctx, HUAWEI_CALL_CREATE, "POST", acme_huawei_path(ctx, NULL), "", body,
                         "Makes a certificate object."));
    ctx->step->once = true;
    ctx->state->create_sent_ms = ctx->input->now_ms;
    ctx->state->rounds = 0;
    ctx->state->marker = NULL;
    ctx->state->pages = 0;
    return acme_ok();
}

static struct acme_err found(struct huawei_context *ctx, const char *id, const char *how)
{
    struct huawei_state *state = ctx->state;
    state->certificate_id = id;
    state->create_sent_ms = 0;
    state->rounds = 0;
    state->marker = NULL;
    state->failures = 0;
    state->put = true;
    return acme_huawei_verify(ctx, id, acme_arena_printf(ctx->arena, "Certificate object %s %s.", id, how));
}

static struct acme_err outcome_open(struct huawei_context *ctx, const char *why)
{
    return acme_huawei_wait(
        ctx, LIST_SETTLE_MS, true,
        acme_arena_printf(ctx->arena,
                          "It is not known whether the object was made, it will be looked for: %s", why));
}

struct acme_err acme_huawei_create_reply(struct huawei_context *ctx)
{
    int status = ctx->input->reply->status;
    if (status == 200 || status == 201) {
        cJSON *json = NULL;
        struct huawei_object object;
        struct acme_err err = acme_huawei_reply_json(ctx, &json, NULL);
        if (!acme_failed(err))
            err = acme_huawei_object_read(ctx->arena, acme_json_get(json, "certificate"), &object);
        ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
        return acme_failed(err) ? outcome_open(ctx, "the answer could not be read.")
                                : found(ctx, object.id, "was made");
    }
    struct huawei_verdict verdict;
    TRY(acme_huawei_judge(ctx, &verdict));
    if (status >= 500 || status < 400 || status == 408)
        return outcome_open(ctx, verdict.text);
    ctx->state->create_sent_ms = 0; /* refused, so it was not made */
    return acme_huawei_refused(ctx, &verdict);
}

struct acme_err acme_huawei_create_failed(struct huawei_context *ctx)
{
    if (!ctx->input->reached) {
        ctx->state->create_sent_ms = 0;
        return acme_huawei_unreachable(ctx);
    }
    const char *why = ctx->input->failure != NULL ? ctx->input->failure : "no answer";
    why = acme_arena_printf(ctx->arena, "%s.", why);
    ENSURE(why != NULL, ACME_E_NOMEM);
    return outcome_open(ctx, why);
}

/* ---- looking for it ---- */

struct acme_err acme_huawei_list_begin(struct huawei_context *ctx, const struct huawei_material *material)
{
    const char *limit = acme_arena_printf(ctx->arena, "%d", PAGE_SIZE);
    ENSURE(limit != NULL, ACME_E_NOMEM);
    const struct acme_huawei_pair pairs[] = {{"name", ctx->huawei->config.name},
                                             {"description", material->description},
                                             {"limit", limit},
                                             {"marker", ctx->state->marker}};
    const char *query = acme_huawei_query(ctx->arena, pairs, ctx->state->marker != NULL ? 4 : 3);
    return acme_huawei_call(ctx, HUAWEI_CALL_LIST, "GET", acme_huawei_path(ctx, NULL), query, NULL,
                            "Looks for the certificate object that may have been made.");
}

/* The object in this page, if any: ours by its mark and by its certificate. */
static struct acme_err find(const struct huawei_context *ctx, const cJSON *list,
                            const struct huawei_material *material, const char **ret_id)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        struct huawei_object object;
        struct acme_err err = acme_huawei_object_read(ctx->arena, item, &object);
        ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
        if (!acme_failed(err) && object.readable && strcmp(object.description, material->description) == 0 &&
            X509_cmp(object.certs.certs[0], material->certs.certs[0]) == 0) {
            *ret_id = object.id;
            return acme_ok();
        }
    }
    return acme_ok();
}

static const char *next_marker(const struct huawei_context *ctx, const cJSON *json)
{
    const char *marker = acme_json_str(acme_json_get(json, "page_info"), "next_marker");
    bool usable =
        marker != NULL && *marker != '\0' && strlen(marker) <= MARKER_MAX && acme_is_header_text(marker);
    bool moves = usable && (ctx->state->marker == NULL || strcmp(marker, ctx->state->marker) != 0);
    return moves ? marker : NULL;
}

struct acme_err acme_huawei_list_reply(struct huawei_context *ctx)
{
    struct huawei_state *state = ctx->state;
    cJSON *json = NULL;
    const cJSON *list = NULL;
    struct acme_err err = acme_err(ACME_E_FORMAT);
    if (ctx->input->reply->status == 200)
        err = acme_huawei_reply_json(ctx, &json, NULL);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    if (!acme_failed(err))
        list = acme_json_get(json, "certificates");
    if (!cJSON_IsArray(list)) {
        struct huawei_verdict verdict;
        TRY(acme_huawei_judge(ctx, &verdict));
        return acme_huawei_refused(ctx, &verdict);
    }
    struct huawei_material material;
    const char *why = NULL;
    err = acme_huawei_material(ctx, &material, &why);
    ENSURE(err.code != ACME_E_DENIED, ACME_E_INTERNAL); /* it was good when the object was made */
    TRY(err);
    const char *id = NULL;
    TRY(find(ctx, list, &material, &id));
    if (id != NULL)
        return found(ctx, id, "had been made");
    state->failures = 0;
    const char *marker = next_marker(ctx, json);
    if (marker != NULL && ++state->pages < PAGES_MAX) {
        state->marker = marker;
        return acme_huawei_list_begin(ctx, &material);
    }
    state->marker = NULL;
    state->pages = 0;
    if (++state->rounds < ROUNDS)
        return acme_huawei_wait(ctx, LIST_SETTLE_MS << state->rounds, false,
                                "No such certificate object has appeared yet.");
    state->create_sent_ms = 0;
    state->rounds = 0;
    return acme_huawei_wait(ctx, 0, false, "The certificate object was not made: it will be now.");
}
