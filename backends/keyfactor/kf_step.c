/* The outcomes a step can have, and what all calls to Command have in common. */
#include "backends/keyfactor/kf_internal.h"

#include <string.h>

enum { BODY_MAX_BYTES = 256 * 1024, REPLY_MAX_BYTES = 4 * 1024 * 1024 };

struct acme_err acme_kf_call(struct kf_context *ctx, enum kf_call call, const char *method, const char *path,
                             const char *body, const char *note)
{
    const struct acme_keyfactor_config *config = &ctx->kf->config;
    ENSURE(path != NULL && note != NULL, ACME_E_NOMEM);
    char *url = acme_arena_printf(ctx->arena, "%s/%s/%s", config->url, config->api_path, path);
    ENSURE(url != NULL, ACME_E_NOMEM);

    struct acme_step *step = ctx->step;
    step->kind = ACME_STEP_CALL;
    step->note = note;
    step->call = (struct acme_http_call){.method = method,
                                         .url = url,
                                         .connect_timeout_ms = config->connect_timeout_ms,
                                         .total_timeout_ms = config->call_timeout_ms,
                                         .max_reply_bytes = REPLY_MAX_BYTES};
    bool fits = ctx->kf->basic == NULL || acme_http_call_header(&step->call, "Authorization", ctx->kf->basic);
    fits = fits && acme_http_call_header(&step->call, "X-Keyfactor-Requested-With", "APIClient");
    fits = fits && acme_http_call_header(&step->call, "X-Keyfactor-Api-Version", "1");
    fits = fits && acme_http_call_header(&step->call, "Accept", "application/json");
    if (body != NULL) {
        fits = fits && acme_http_call_header(&step->call, "Content-Type", "application/json");
        step->call.body = (struct acme_bytes){.data = (const uint8_t *)body, .len = strlen(body)};
    }
    ENSURE(fits, ACME_E_INTERNAL);
    ctx->state->call = call;
    return acme_ok();
}

struct acme_err acme_kf_format(struct kf_context *ctx, const char *format)
{
    bool fits = acme_http_call_header(&ctx->step->call, "X-CertificateFormat", format);
    return acme_err(fits ? ACME_OK : ACME_E_INTERNAL);
}

static struct acme_err wait_step(struct kf_context *ctx, int64_t delay_ms, bool failure, const char *note)
{
    ENSURE(note != NULL, ACME_E_NOMEM);
    acme_pace_wait(ctx->step, ctx->input, delay_ms, failure, note);
    ctx->state->call = KF_CALL_NONE;
    ctx->state->certificates = NULL;
    return acme_ok();
}

struct acme_err acme_kf_wait_ms(struct kf_context *ctx, int64_t delay_ms, const char *note)
{
    return wait_step(ctx, delay_ms, false, note);
}

struct acme_err acme_kf_wait_failure(struct kf_context *ctx, int64_t first_ms, int64_t max_ms,
                                     const char *note)
{
    return wait_step(ctx, acme_pace_backoff_ms(first_ms, max_ms, ctx->state->failures++), true, note);
}

struct acme_err acme_kf_fail(struct kf_context *ctx, enum acme_problem_type type, const char *detail,
                             const char *note)
{
    ENSURE(note != NULL && detail != NULL, ACME_E_NOMEM);
    ctx->step->kind = ACME_STEP_FAILED;
    ctx->step->problem = (struct acme_problem){.type = type, .detail = detail};
    ctx->step->note = note;
    ctx->state->call = KF_CALL_NONE;
    return acme_ok();
}

struct acme_err acme_kf_call_failed(struct kf_context *ctx)
{
    const char *why = ctx->input->failure != NULL ? ctx->input->failure : "no answer";
    return acme_kf_wait_failure(
        ctx, ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS,
        acme_arena_printf(ctx->arena, "Keyfactor could not be reached and will be asked again: %s.", why));
}

const char *acme_kf_collection(struct kf_context *ctx, bool first)
{
    if (ctx->kf->config.collection_id == 0)
        return "";
    return acme_arena_printf(ctx->arena, "%ccollectionId=%lld", first ? '?' : '&',
                             (long long)ctx->kf->config.collection_id);
}

void acme_kf_body_init(struct kf_body *body)
{
    acme_buf_init(&body->out, BODY_MAX_BYTES);
    acme_jw_init(&body->writer, &body->out);
    acme_jw_object(&body->writer, NULL);
}

const char *acme_kf_body_done(struct kf_context *ctx, struct kf_body *body)
{
    acme_jw_object_end(&body->writer);
    const char *text = acme_buf_cstr(&body->out);
    const char *copy = text != NULL ? acme_arena_strdup(ctx->arena, text) : NULL;
    acme_buf_finish(&body->out);
    return copy;
}
