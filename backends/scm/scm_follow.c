/* After enroll: ask for the details until the status settles. */
#include "backends/scm/scm_internal.h"

#include "base/b64url.h"

#include <strings.h>

/* Enterprise requests with validated domains are ready within a minute; those that wait for a person are not
 * worth asking about often: a twelfth of their age then, every five minutes after an hour, and so on up to
 * poll_max_seconds. */
static const int64_t pace_s[] = {3, 5, 8, 13, 21, 30, 60};
enum { AGE_PARTS = 12, SPREAD_PARTS = 10 };

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

/* Requests that were made together shall not be asked about together for ever: up to a tenth more or less,
 * different for each issuance and each poll, and always the same for these. */
static int64_t spread(const struct scm_context *ctx, int64_t delay_ms)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (const char *p = ctx->request->tag; *p != '\0'; p++)
        hash = (hash ^ (uint8_t)*p) * 16777619u;
    hash = (hash ^ (uint8_t)ctx->state->polls) * 16777619u;
    hash ^= hash >> 15; /* its low bits are the worst */
    return delay_ms - delay_ms / SPREAD_PARTS + (int64_t)(hash % 2001) * (delay_ms / SPREAD_PARTS) / 1000;
}

struct acme_err acme_scm_follow_wait(struct scm_context *ctx, const char *note)
{
    const int64_t last = (int64_t)(sizeof pace_s / sizeof pace_s[0]) - 1;
    int64_t max_ms = ctx->scm->config.poll_max_ms;
    int64_t polls = ctx->state->polls;
    int64_t delay_ms = pace_s[polls >= 0 && polls < last ? polls : last] * ACME_SECOND_MS;
    int64_t by_age_ms = (ctx->input->now_ms - ctx->state->accepted_ms) / AGE_PARTS;
    if (polls > last && delay_ms < by_age_ms)
        delay_ms = by_age_ms;
    ctx->state->polls = polls + 1;
    ctx->state->failures = 0;
    ctx->state->phase = SCM_PHASE_FOLLOW;
    return acme_scm_wait_ms(ctx, spread(ctx, delay_ms < max_ms ? delay_ms : max_ms), note);
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
        return acme_scm_wait_failure(ctx, SCM_BACKOFF_FIRST_MS, SCM_BACKOFF_MAX_MS, verdict->note);
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
        return acme_scm_wait_failure(ctx, SCM_LOGIN_FIRST_MS, SCM_LOGIN_MAX_MS, verdict.note);
    default: /* reading is always worth another try */
        return acme_scm_wait_failure(ctx, SCM_BACKOFF_FIRST_MS, SCM_BACKOFF_MAX_MS, verdict.note);
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
