/* The outcomes a step can have, and what all calls to ELB have in common. */
#include "backends/huawei_elb/huawei_internal.h"

#include <string.h>

#define CONTENT_TYPE "application/json;charset=UTF-8"

enum { MAX_REPLY_BYTES = 2 * 1024 * 1024, CALL_TIMEOUT_MS = 60 * 1000 };

const char *acme_huawei_path(const struct huawei_context *ctx, const char *certificate_id)
{
    const struct acme_huawei_elb_config *config = &ctx->huawei->config;
    return acme_arena_printf(ctx->arena, "%s/v3/%s/elb/certificates%s%s", ctx->huawei->base_path,
                             config->project_id, certificate_id != NULL ? "/" : "",
                             certificate_id != NULL ? certificate_id : "");
}

/* The fields of a call that is signed with an access key. */
static struct acme_err sign(const struct huawei_context *ctx, const char *path, const char *query,
                            struct acme_http_call *call)
{
    const struct acme_huawei_elb_config *config = &ctx->huawei->config;
    char date[ACME_HUAWEI_DATE_SIZE];
    acme_huawei_date(ctx->input->now_ms, date);
    const char *kept_date = acme_arena_strdup(ctx->arena, date);
    ENSURE(kept_date != NULL, ACME_E_NOMEM);
    bool fits = acme_http_call_header(call, "X-Sdk-Date", kept_date) &&
                acme_http_call_header(call, "X-Project-Id", config->project_id) &&
                acme_http_call_header(call, "Host", ctx->huawei->host);
    if (config->security_token != NULL)
        fits = fits && acme_http_call_header(call, "X-Security-Token", config->security_token);
    ENSURE(fits, ACME_E_INTERNAL);
    const struct acme_huawei_signing signing = {.method = call->method,
                                                .path = path,
                                                .query = query,
                                                .headers = call->headers,
                                                .header_count = call->header_count,
                                                .body = call->body};
    const char *authorization = NULL;
    TRY(acme_huawei_sign(ctx->arena, config->access_key_id, config->access_key_secret, &signing,
                         &authorization));
    ENSURE(acme_http_call_header(call, "Authorization", authorization), ACME_E_INTERNAL);
    return acme_ok();
}

struct acme_err acme_huawei_request(const struct huawei_context *ctx, const char *method, const char *path,
                                    const char *query, const struct acme_buf *body,
                                    struct acme_http_call *ret)
{
    ENSURE(path != NULL && query != NULL, ACME_E_NOMEM);
    const struct acme_huawei_elb_config *config = &ctx->huawei->config;
    size_t origin = strlen(config->url) - strlen(ctx->huawei->base_path);
    const char *url = acme_arena_printf(ctx->arena, "%.*s%s%s%s", (int)origin, config->url, path,
                                        *query != '\0' ? "?" : "", query);
    ENSURE(url != NULL, ACME_E_NOMEM);
    struct acme_http_call call = {.method = method,
                                  .url = url,
                                  .total_timeout_ms = CALL_TIMEOUT_MS,
                                  .max_reply_bytes = MAX_REPLY_BYTES};
    if (body != NULL) {
        call.body = (struct acme_bytes){.data = (const uint8_t *)body->data, .len = body->len};
        ENSURE(acme_http_call_header(&call, "Content-Type", CONTENT_TYPE), ACME_E_INTERNAL);
    }
    if (config->access_key_id != NULL)
        TRY(sign(ctx, path, query, &call));
    ENSURE(acme_http_call_header(&call, "Accept", "application/json"), ACME_E_INTERNAL);
    *ret = call;
    return acme_ok();
}

struct acme_err acme_huawei_call(struct huawei_context *ctx, enum huawei_call call, const char *method,
                                 const char *path, const char *query, const struct acme_buf *body,
                                 const char *note)
{
    ENSURE(note != NULL, ACME_E_NOMEM);
    TRY(acme_huawei_request(ctx, method, path, query, body, &ctx->step->call));
    ctx->step->kind = ACME_STEP_CALL;
    ctx->step->note = note;
    ctx->state->call = call;
    return acme_ok();
}

struct acme_err acme_huawei_wait(struct huawei_context *ctx, int64_t delay_ms, bool failure, const char *note)
{
    ENSURE(note != NULL, ACME_E_NOMEM);
    acme_pace_wait(ctx->step, ctx->input, delay_ms, failure, note);
    ctx->state->call = HUAWEI_CALL_NONE;
    return acme_ok();
}

struct acme_err acme_huawei_fail(struct huawei_context *ctx, const char *text)
{
    ENSURE(text != NULL, ACME_E_NOMEM);
    if (ctx->state->create_sent_ms != 0) { /* another try would know nothing of it */
        text =
            acme_arena_printf(ctx->arena,
                              "%s A certificate object may have been made: look for it in ELB, and delete it "
                              "before another try.",
                              text);
        ENSURE(text != NULL, ACME_E_NOMEM);
    }
    ctx->step->kind = ACME_STEP_FAILED;
    ctx->step->problem = (struct acme_problem){.type = ACME_PROBLEM_SERVER_INTERNAL, .detail = text};
    ctx->step->note = text;
    ctx->state->call = HUAWEI_CALL_NONE;
    return acme_ok();
}

struct acme_err acme_huawei_done(struct huawei_context *ctx, const char *note)
{
    ENSURE(note != NULL, ACME_E_NOMEM);
    ctx->step->kind = ACME_STEP_DONE;
    ctx->step->note = note;
    ctx->state->call = HUAWEI_CALL_NONE;
    return acme_ok();
}

struct acme_err acme_huawei_unreachable(struct huawei_context *ctx)
{
    const char *why = ctx->input->failure != NULL ? ctx->input->failure : "no answer";
    return acme_huawei_wait(
        ctx, acme_pace_backoff_ms(ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS, ctx->state->failures++), true,
        acme_arena_printf(ctx->arena, "ELB could not be asked and will be again: %s.", why));
}
