/* Domain control validation of a single request (API document, "DCV"): what has to be published where, for
 * the operator. Only asked for while the request waits and when dcv_mode is set; the order does not depend on
 * the answer. */
#include "backends/scm/scm_internal.h"

#include "base/buf.h"
#include "base/json_writer.h"

#include <string.h>
#include <strings.h>

#define REFRESH_MS (10 * ACME_MINUTE_MS)

enum { ENTRIES_MAX = 100, TEXT_MAX = 300, BODY_MAX_BYTES = 256 * 1024 };

void acme_scm_dcv_write(const struct scm_context *ctx, struct acme_json_writer *writer)
{
    if (!acme_scm_class_of(ctx->scm)->takes_dcv_mode)
        return;
    acme_jw_str(writer, "dcvMode", ctx->scm->config.dcv_mode);
    acme_jw_str(writer, "dcvEmail", ctx->scm->config.dcv_email);
}

bool acme_scm_dcv_due(const struct scm_context *ctx)
{
    if (ctx->scm->config.dcv_mode == NULL || !acme_scm_class_of(ctx->scm)->takes_dcv_mode)
        return false;
    int64_t asked_ms = ctx->state->dcv_asked_ms;
    return asked_ms == 0 || ctx->input->now_ms - asked_ms >= REFRESH_MS;
}

struct acme_err acme_scm_dcv_begin(struct scm_context *ctx)
{
    long long ssl_id = (long long)ctx->state->ssl_id;
    ctx->state->dcv_asked_ms = ctx->input->now_ms;
    return acme_scm_call(
        ctx, SCM_CALL_DCV, "GET", acme_arena_printf(ctx->arena, "/%lld/dcv", ssl_id), NULL,
        acme_arena_printf(ctx->arena, "Asking SCM how the domains of request %lld are validated.", ssl_id));
}

static void write_text(struct scm_context *ctx, struct acme_json_writer *writer, const char *name,
                       const char *text)
{
    if (text == NULL || *text == '\0')
        return;
    const char *shown = acme_printable(ctx->arena, text, strlen(text), TEXT_MAX);
    const struct acme_secrets secrets = acme_scm_secrets(ctx->scm);
    if (shown == NULL)
        writer->out->failed = true;
    else if (!acme_secrets_echoed(&secrets, text))
        acme_jw_str(writer, name, shown);
}

/* The state of a domain, from the log beside the instructions; NULL: none. */
static const char *status_of(const cJSON *log, const char *domain)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, log)
    {
        const char *name = acme_json_str(item, "domainName");
        if (name != NULL && strcasecmp(name, domain) == 0)
            return acme_json_str(item, "dcvStatus");
    }
    return NULL;
}

/* NULL without memory; an empty array when there is nothing of use. */
static cJSON *read_instructions(struct scm_context *ctx, const cJSON *reply)
{
    static const char *const members[][2] = {{"mode", "dcvMode"}, {"host", "host"}, {"point", "point"},
                                             {"url", "url"},      {"file", "file"}, {"email", "dcvEmail"}};
    const cJSON *log = acme_json_get(acme_json_get(reply, "dcvLog"), "log");
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, BODY_MAX_BYTES);
    struct acme_json_writer writer;
    acme_jw_init(&writer, &out);
    acme_jw_array(&writer, NULL);
    int count = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, acme_json_get(reply, "instructions"))
    {
        const char *domain = acme_json_str(item, "domainName");
        if (domain == NULL || count++ == ENTRIES_MAX)
            continue;
        acme_jw_object(&writer, NULL);
        write_text(ctx, &writer, "domain", domain);
        for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
            write_text(ctx, &writer, members[i][0], acme_json_str(item, members[i][1]));
        write_text(ctx, &writer, "status", status_of(log, domain));
        acme_jw_object_end(&writer);
    }
    acme_jw_array_end(&writer);
    const char *text = acme_buf_cstr(&out);
    cJSON *list = NULL;
    if (text == NULL || acme_failed(acme_json_parse(ctx->arena, text, out.len, &list)))
        return NULL;
    return list;
}

static struct acme_err keep_instructions(struct scm_context *ctx, const cJSON *json)
{
    long long ssl_id = (long long)ctx->state->ssl_id;
    const cJSON *list = read_instructions(ctx, json);
    ENSURE(list != NULL, ACME_E_NOMEM);
    const cJSON *first = list->child;
    ctx->state->dcv = first != NULL ? list : NULL;
    if (first == NULL)
        return acme_scm_follow_wait(
            ctx, acme_arena_printf(ctx->arena,
                                   "SCM request %lld is in flight; no domain of it waits for a validation.",
                                   ssl_id));
    const char *mode = acme_json_str(first, "mode");
    const char *host = acme_json_str(first, "host");
    const char *point = acme_json_str(first, "point");
    const char *record = "";
    if (host != NULL && point != NULL)
        record = acme_arena_printf(ctx->arena, ", %s to %s", host, point);
    ENSURE(record != NULL, ACME_E_NOMEM);
    return acme_scm_follow_wait(
        ctx, acme_arena_printf(ctx->arena,
                               "SCM request %lld is in flight; domains to validate: %d, first %s (%s%s).",
                               ssl_id, cJSON_GetArraySize(list), acme_json_str(first, "domain"),
                               mode != NULL ? mode : "no mode given", record));
}

struct acme_err acme_scm_dcv_reply(struct scm_context *ctx)
{
    const struct acme_http_reply *reply = ctx->input->event == ACME_EVENT_REPLY ? ctx->input->reply : NULL;
    cJSON *json = NULL;
    struct acme_err err = acme_err(ACME_E_FORMAT);
    if (reply != NULL && reply->status == 200 && reply->body.len > 0)
        err = acme_json_parse(ctx->arena, (const char *)reply->body.data, reply->body.len, &json);
    if (err.code == ACME_E_NOMEM)
        return err;
    if (!acme_failed(err) && cJSON_IsObject(json))
        return keep_instructions(ctx, json);
    return acme_scm_follow_wait(
        ctx,
        acme_arena_printf(ctx->arena,
                          "SCM request %lld is in flight; how its domains are validated could not be read.",
                          (long long)ctx->state->ssl_id));
}
