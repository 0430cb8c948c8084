/* Calls and waits, and what all calls to CPS have in common. */
#include "backends/cps/cps_internal.h"

#include <string.h>

#define MEDIA_TYPE "application/vnd.akamai.cps."

enum { MAX_REPLY_BYTES = 8 * 1024 * 1024 }; /* lists of enrollments are long */

static const char *media_type(struct cps_context *ctx, const char *name)
{
    return acme_arena_printf(ctx->arena, MEDIA_TYPE "%s+json", name);
}

static const char *url_of(struct cps_context *ctx, const char *path)
{
    const struct acme_cps_config *config = ctx->config;
    if (config->account_switch_key == NULL)
        return acme_arena_printf(ctx->arena, "%s/cps/v2%s", config->url, path);
    const char *key = acme_urlencode(ctx->arena, config->account_switch_key);
    if (key == NULL)
        return NULL;
    return acme_arena_printf(ctx->arena, "%s/cps/v2%s%saccountSwitchKey=%s", config->url, path,
                             strchr(path, '?') != NULL ? "&" : "?", key);
}

struct acme_err acme_cps_call(struct cps_context *ctx, const struct cps_request *request)
{
    ENSURE(request->path != NULL && request->note != NULL, ACME_E_NOMEM);
    const char *url = url_of(ctx, request->path);
    const char *accept = media_type(ctx, request->accept);
    ENSURE(url != NULL && accept != NULL, ACME_E_NOMEM);
    struct acme_step *step = ctx->step;
    step->kind = ACME_STEP_CALL;
    step->note = request->note;
    step->call = (struct acme_http_call){.method = request->method,
                                         .url = url,
                                         .connect_timeout_ms = ctx->config->connect_timeout_ms,
                                         .total_timeout_ms = ctx->config->call_timeout_ms,
                                         .max_reply_bytes = MAX_REPLY_BYTES};
    bool fits = acme_http_call_header(&step->call, "Accept", accept);
    if (request->content_type != NULL) {
        const char *type = media_type(ctx, request->content_type);
        ENSURE(type != NULL && request->body != NULL, ACME_E_NOMEM);
        fits = fits && acme_http_call_header(&step->call, "Content-Type", type);
        step->call.body =
            (struct acme_bytes){.data = (const uint8_t *)request->body, .len = strlen(request->body)};
    }
    ENSURE(fits, ACME_E_INTERNAL);
    ctx->state->call = request->call;
    return acme_edgegrid_sign(ctx->arena, &ctx->config->client, ctx->input->now_ms, &step->call);
}

static struct acme_err wait_step(struct cps_context *ctx, int64_t delay_ms, bool failure, const char *note)
{
    ENSURE(note != NULL, ACME_E_NOMEM);
    acme_pace_wait(ctx->step, ctx->input, delay_ms, failure, note);
    ctx->state->call = CPS_CALL_NONE;
    return acme_ok();
}

struct acme_err acme_cps_wait_ms(struct cps_context *ctx, int64_t delay_ms, const char *note)
{
    return wait_step(ctx, delay_ms, false, note);
}

struct acme_err acme_cps_wait_failure(struct cps_context *ctx, int64_t first_ms, int64_t max_ms,
                                      const char *note)
{
    int64_t delay_ms = acme_pace_backoff_ms(first_ms, max_ms, ctx->state->failures++);
    return wait_step(ctx, delay_ms, true, note);
}

struct acme_err acme_cps_fail(struct cps_context *ctx, enum acme_problem_type type, const char *detail,
                              const char *note)
{
    ENSURE(note != NULL && detail != NULL, ACME_E_NOMEM);
    ctx->step->kind = ACME_STEP_FAILED;
    ctx->step->problem = (struct acme_problem){.type = type, .detail = detail};
    ctx->step->note = note;
    ctx->state->call = CPS_CALL_NONE;
    return acme_ok();
}

int64_t acme_cps_poll_ms(const struct cps_context *ctx)
{
    const struct acme_cps_config *config = ctx->config;
    int64_t age_ms = ctx->input->now_ms - ctx->state->began_ms;
    int64_t delay_ms = age_ms / 20;
    if (delay_ms < config->poll_ms)
        delay_ms = config->poll_ms;
    return delay_ms < config->poll_max_ms ? delay_ms : config->poll_max_ms;
}

struct acme_err acme_cps_claim(struct cps_context *ctx, size_t *ret_ahead)
{
    *ret_ahead = 0;
    const struct acme_job_services *services = ctx->input->services;
    if (services == NULL || services->claim == NULL)
        return acme_ok();
    const struct acme_cps_config *config = ctx->config;
    const char *object =
        acme_arena_printf(ctx->arena, "cps %s %s %lld", config->host,
                          config->account_switch_key != NULL ? config->account_switch_key : "-",
                          (long long)ctx->state->enrollment);
    ENSURE(object != NULL, ACME_E_NOMEM);
    return services->claim(services->context, object, ret_ahead);
}
