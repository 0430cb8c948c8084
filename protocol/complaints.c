#include "protocol/complaints.h"

enum { MAX_SUBPROBLEMS = 256 * 1024 };

void acme_complaints_init(struct acme_complaints *complaints)
{
    complaints->count = 0;
    complaints->first = NULL;
    acme_buf_init(&complaints->text, MAX_SUBPROBLEMS);
    acme_jw_init(&complaints->writer, &complaints->text);
    acme_jw_array(&complaints->writer, NULL);
}

void acme_complaints_finish(struct acme_complaints *complaints)
{
    acme_buf_finish(&complaints->text);
}

struct acme_err acme_complaints_add(struct acme_exchange *x, struct acme_complaints *complaints,
                                    enum acme_problem_type type, const char *type_name, const char *value,
                                    const char *detail)
{
    ENSURE(detail != NULL, ACME_E_NOMEM);
    if (complaints->count++ == 0) {
        complaints->type = type;
        complaints->first = detail;
    } else if (complaints->type != type) {
        complaints->type = ACME_PROBLEM_COMPOUND;
    }
    struct acme_json_writer *writer = &complaints->writer;
    acme_jw_object(writer, NULL);
    acme_jw_str(writer, "type", acme_problem_urn(type));
    acme_jw_str(writer, "detail", detail);
    if (*type_name != '\0' && *value != '\0') { /* no empty texts: clients' parsers fail on them */
        acme_jw_object(writer, "identifier");
        acme_jw_str(writer, "type", acme_exchange_show(x, type_name));
        acme_jw_str(writer, "value", acme_exchange_show(x, value));
        acme_jw_object_end(writer);
    }
    acme_jw_object_end(writer);
    return acme_ok();
}

struct acme_err acme_complaints_settle(struct acme_exchange *x, struct acme_complaints *complaints)
{
    if (complaints->count == 0)
        return acme_ok();
    acme_jw_array_end(&complaints->writer);
    const char *list = acme_buf_cstr(&complaints->text);
    x->subproblems =
        list != NULL ? acme_arena_strdup(x->arena, list) : NULL; /* the detail alone does as well */
    if (complaints->count == 1)
        return acme_exchange_refuse(x, complaints->type, "%s", complaints->first);
    return acme_exchange_refuse(x, complaints->type, "%zu identifiers cannot be accepted; the first: %s",
                                complaints->count, complaints->first);
}
