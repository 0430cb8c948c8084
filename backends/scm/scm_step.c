/* The outcomes a step can have, and what all calls to SCM have in common. */
#include "backends/scm/scm_internal.h"

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

static struct acme_err wait_step(struct scm_context *ctx, int64_t delay_ms, bool failure, const char *note)
{
    ENSURE(note != NULL, ACME_E_NOMEM);
    acme_pace_wait(ctx->step, ctx->input, delay_ms, failure, note);
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
    int64_t delay_ms = acme_pace_backoff_ms(first_ms, max_ms, ctx->state->failures);
    ctx->state->failures++;
    return wait_step(ctx, delay_ms, true, note);
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
        ctx, ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS,
        acme_arena_printf(ctx->arena, "SCM could not be reached and will be asked again: %s.", why));
}
