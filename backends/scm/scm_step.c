/* The outcomes a step can have, and what all calls to SCM have in common. */
#include "backends/scm/scm_internal.h"

#include "base/buf.h"

#include <string.h>

struct acme_err acme_scm_call(struct scm_context *ctx, enum scm_call call, const char *method,
                              const char *path, const char *body, const char *note)
{
    const struct acme_scm_config *config = &ctx->scm->config;
    ENSURE(path != NULL && note != NULL, ACME_E_NOMEM);
    const char *root = strncmp(path, "/api/", 5) == 0 ? "" : acme_scm_class_of(ctx->scm)->root;
    char *url =
        acme_arena_printf(ctx->arena, "%s%s%s%s", config->url, acme_scm_login_prefix(ctx->scm), root, path);
    ENSURE(url != NULL, ACME_E_NOMEM);

    struct acme_step *step = ctx->step;
    step->kind = ACME_STEP_CALL;
    step->note = note;
    step->call = (struct acme_http_call){.method = method,
                                         .url = url,
                                         .connect_timeout_ms = config->connect_timeout_ms,
                                         .total_timeout_ms = config->call_timeout_ms};
    bool fits = acme_scm_login_headers(ctx->scm, &step->call);
    if (call != SCM_CALL_COLLECT && call != SCM_CALL_ISSUERS)
        fits = fits && acme_http_call_header(&step->call, "Accept", "application/json");
    if (body != NULL) {
        fits = fits && acme_http_call_header(&step->call, "Content-Type", "application/json;charset=UTF-8");
        step->call.body = (struct acme_bytes){.data = (const uint8_t *)body, .len = strlen(body)};
    }
    ENSURE(fits, ACME_E_INTERNAL);
    ctx->state->call = call;
    return acme_ok();
}

static int64_t retry_after_ms(const struct scm_context *ctx)
{
    if (ctx->input->event != ACME_EVENT_REPLY)
        return 0;
    int64_t seconds = acme_http_reply_retry_after_s(ctx->input->reply, ctx->input->now_ms);
    return seconds > 0 ? seconds * ACME_SECOND_MS : 0;
}

static struct acme_err wait_step(struct scm_context *ctx, int64_t delay_ms, bool failure, const char *note)
{
    ENSURE(note != NULL, ACME_E_NOMEM);
    int64_t asked_ms = retry_after_ms(ctx);
    if (delay_ms < asked_ms)
        delay_ms = asked_ms;
    ctx->step->kind = ACME_STEP_WAIT;
    ctx->step->wait_until_ms = ctx->input->now_ms + delay_ms;
    ctx->step->failure = failure;
    ctx->step->note = note;
    ctx->state->call = SCM_CALL_NONE;
    ctx->state->certificates = NULL;
    return acme_ok();
}

struct acme_err acme_scm_wait_ms(struct scm_context *ctx, int64_t delay_ms, const char *note)
{
    return wait_step(ctx, delay_ms, false, note);
}

struct acme_err acme_scm_wait_failure(struct scm_context *ctx, int64_t first_ms, int64_t max_ms,
                                      const char *note)
{
    int64_t delay_ms = first_ms;
    for (int64_t i = 0; i < ctx->state->failures && delay_ms < max_ms; i++)
        delay_ms *= 2;
    ctx->state->failures++;
    return wait_step(ctx, delay_ms < max_ms ? delay_ms : max_ms, true, note);
}

struct acme_err acme_scm_fail(struct scm_context *ctx, enum acme_problem_type type, const char *detail,
                              const char *note)
{
    ENSURE(note != NULL, ACME_E_NOMEM);
    ctx->step->kind = ACME_STEP_FAILED;
    ctx->step->problem = (struct acme_problem){.type = type, .detail = detail};
    ctx->step->note = note;
    ctx->state->call = SCM_CALL_NONE;
    return acme_ok();
}

struct acme_err acme_scm_call_failed(struct scm_context *ctx)
{
    const char *why = ctx->input->failure != NULL ? ctx->input->failure : "no answer";
    return acme_scm_wait_failure(
        ctx, SCM_BACKOFF_FIRST_MS, SCM_BACKOFF_MAX_MS,
        acme_arena_printf(ctx->arena, "SCM could not be reached and will be asked again: %s.", why));
}

char *acme_scm_urlencode(struct acme_arena *arena, const char *text)
{
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, 4096);
    for (const char *c = text; *c != '\0'; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
                     strchr("-._~", *c) != NULL;
        if (plain)
            acme_buf_append(&out, c, 1);
        else
            acme_buf_printf(&out, "%%%02X", (unsigned)(unsigned char)*c);
    }
    const char *done = acme_buf_cstr(&out);
    return done != NULL ? acme_arena_strdup(arena, done) : NULL;
}
