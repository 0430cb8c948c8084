/* After enroll: ask for the details until the status settles. */
#include "backends/scm/scm_internal.h"

#include "base/b64url.h"

#include <strings.h>

/* How long a number just received may be unknown to SCM's own replicas. */
#define REPLICATION_MS (30 * ACME_SECOND_MS)

void acme_scm_follow_enter(struct scm_context *ctx, int64_t ssl_id)
{
    struct scm_state *state = ctx->state;
    *state = (struct scm_state){
        .phase = SCM_PHASE_FOLLOW,
        .ssl_id = ssl_id,
        .enroll_attempts = state->enroll_attempts,
        .accepted_ms = ctx->input->now_ms,
        .duplicates = state->duplicates,
        .surplus = state->surplus,
    };
}

struct acme_err acme_scm_follow_begin(struct scm_context *ctx)
{
    int64_t ssl_id = ctx->state->ssl_id;
    ENSURE(ssl_id > 0, ACME_E_INTERNAL);
    ctx->state->phase = SCM_PHASE_FOLLOW;
    bool ours = !ctx->state->locked_in && !ctx->state->by_csr;
    if (ours && ctx->state->withdrawing != SCM_KEEP)
        return acme_scm_withdraw_begin(ctx, (enum scm_withdrawal)ctx->state->withdrawing);
    if (ours && ctx->request->withdraw)
        return acme_scm_withdraw_begin(ctx, SCM_SUPERSEDED);
    return acme_scm_call(
        ctx, SCM_CALL_DETAILS, "GET", acme_arena_printf(ctx->arena, "/%lld", (long long)ssl_id), NULL,
        acme_arena_printf(ctx->arena, "Asking SCM for the status of request %lld.", (long long)ssl_id));
}

struct acme_err acme_scm_follow_wait(struct scm_context *ctx, const char *note)
{
    struct scm_state *state = ctx->state;
    int64_t delay_ms =
        acme_pace_poll_ms(ctx->request->tag, state->polls, ctx->input->now_ms - state->accepted_ms,
                          ctx->scm->config.poll_max_ms);
    state->polls++;
    state->failures = 0;
    state->phase = SCM_PHASE_FOLLOW;
    return acme_scm_wait_ms(ctx, delay_ms, note);
}

static struct acme_err gone(struct scm_context *ctx, const struct scm_verdict *verdict)
{
    struct scm_state *state = ctx->state;
    int64_t now_ms = ctx->input->now_ms;
    if (now_ms - state->accepted_ms < REPLICATION_MS)
        return acme_scm_follow_wait(
            ctx, acme_arena_printf(ctx->arena, "SCM does not know request %lld yet; it was made moments ago.",
                                   (long long)state->ssl_id));
    if (state->gone_since_ms == 0)
        state->gone_since_ms = now_ms;
    if (!verdict->coded && now_ms - state->gone_since_ms < SCM_BARE_404_MS)
        return acme_scm_wait_failure(ctx, ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS, verdict->note);
    return acme_scm_fail(ctx, verdict->problem, verdict->detail, verdict->note);
}

static struct acme_err judge_failure(struct scm_context *ctx)
{
    struct scm_verdict verdict;
    TRY(acme_scm_judge(ctx, SCM_AT_DETAILS, &verdict));
    switch (verdict.class) {
    case SCM_VERDICT_GONE:
        return gone(ctx, &verdict);
    case SCM_VERDICT_NOT_YET:
        return acme_scm_follow_wait(ctx, verdict.note);
    case SCM_VERDICT_CREDENTIALS:
        return acme_scm_wait_failure(ctx, ACME_LOGIN_FIRST_MS, ACME_LOGIN_MAX_MS, verdict.note);
    default: /* reading is always worth another try */
        return acme_scm_wait_failure(ctx, ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS, verdict.note);
    }
}

/* Replaced, and still the certificate from before. */
static bool is_still_old(const struct scm_context *ctx, const struct scm_details *details, const char *hash)
{
    const char *serial = ctx->request->earlier.serial_hex;
    if (!ctx->state->replacing || details->status->class == SCM_STATUS_IN_FLIGHT)
        return false;
    return (details->csr_sha256 != NULL && strcasecmp(details->csr_sha256, hash) != 0) ||
           (details->serial != NULL && serial != NULL && acme_scm_same_serial(details->serial, serial));
}

struct acme_err acme_scm_follow_reply(struct scm_context *ctx)
{
    struct scm_state *state = ctx->state;
    struct scm_details details;
    struct acme_err err = acme_scm_details_read(ctx, state->ssl_id, &details);
    if (err.code == ACME_E_FORMAT)
        return judge_failure(ctx);
    TRY(err);
    state->failures = 0;
    state->gone_since_ms = 0;

    const char *note = acme_arena_printf(ctx->arena, "SCM request %lld %s (status \"%s\").",
                                         (long long)state->ssl_id, details.status->gist, details.status_text);
    const char *hash = acme_hex_encode(ctx->arena, ctx->request->csr->sha256, ACME_SHA256_SIZE, true);
    ENSURE(hash != NULL, ACME_E_NOMEM);
    if (details.status->class != SCM_STATUS_FAILED && is_still_old(ctx, &details, hash))
        return acme_scm_follow_wait(
            ctx, acme_arena_printf(ctx->arena,
                                   "SCM request %lld still has the certificate that is being replaced.",
                                   (long long)state->ssl_id));
    if (details.status->class != SCM_STATUS_IN_FLIGHT)
        state->dcv = NULL;
    switch (details.status->class) {
    case SCM_STATUS_ISSUED:
        return acme_scm_collect_begin(ctx, false);
    case SCM_STATUS_REPLACED:
        return acme_scm_collect_begin(ctx, true);
    case SCM_STATUS_FAILED:
        return acme_scm_fail(ctx, details.status->problem, details.status->detail, note);
    case SCM_STATUS_IN_FLIGHT:
        break;
    }
    state->collect_since_ms = 0;
    if (acme_scm_dcv_due(ctx))
        return acme_scm_dcv_begin(ctx);
    return acme_scm_follow_wait(ctx, note);
}
