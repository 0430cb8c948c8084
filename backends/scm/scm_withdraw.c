/* Taking a request back: its order was superseded, or its time is over. SCM declines what still waits for an
 * approval; what is further is followed, and its certificate kept. */
#include "backends/scm/scm_internal.h"

#define TO_CLIENT_SUPERSEDED                                                                                 \
    "A newer order of this account for the same names, with another key, took this one's place."
#define TO_CLIENT_TOO_LATE                                                                                   \
    "The certificate authority did not issue the certificate within the time this server waits for it."

/* How long a number just received may be unknown to SCM's own replicas. */
#define REPLICATION_MS (30 * ACME_SECOND_MS)

struct acme_err acme_scm_withdrawn_fail(struct scm_context *ctx, const char *note)
{
    if (ctx->state->withdrawing == SCM_SUPERSEDED)
        return acme_scm_fail(ctx, ACME_PROBLEM_ORDER_NOT_READY, TO_CLIENT_SUPERSEDED, note);
    return acme_scm_fail(ctx, ACME_PROBLEM_SERVER_INTERNAL, TO_CLIENT_TOO_LATE, note);
}

struct acme_err acme_scm_nothing_begun(struct scm_context *ctx)
{
    ctx->state->withdrawing = SCM_SUPERSEDED;
    return acme_scm_withdrawn_fail(
        ctx,
        "A newer order took this one's place; SCM holds no request for it, so there is none to withdraw.");
}

struct acme_err acme_scm_withdraw_begin(struct scm_context *ctx, enum scm_withdrawal why)
{
    struct scm_state *state = ctx->state;
    long long ssl_id = (long long)state->ssl_id;
    ENSURE(ssl_id > 0, ACME_E_INTERNAL);
    state->withdrawing = why;
    state->phase = SCM_PHASE_FOLLOW;
    return acme_scm_call(
        ctx, SCM_CALL_WITHDRAW, "POST", acme_arena_printf(ctx->arena, "/decline/%lld", ssl_id),
        why == SCM_SUPERSEDED
            ? "{\"message\":\"A newer ACME order with another key took the place of this one.\"}"
            : "{\"message\":\"The ACME order has waited for its longest time.\"}",
        acme_arena_printf(ctx->arena, "%s; asking SCM to decline request %lld.",
                          why == SCM_SUPERSEDED ? "A newer order took this one's place"
                                                : "The order's deadline has passed",
                          ssl_id));
}

static struct acme_err declined(struct scm_context *ctx)
{
    const char *why = ctx->state->withdrawing == SCM_SUPERSEDED ? "a newer order took this one's place"
                                                                : "the order's deadline has passed";
    return acme_scm_withdrawn_fail(ctx, acme_arena_printf(ctx->arena,
                                                          "SCM request %lld was withdrawn (declined): %s.",
                                                          (long long)ctx->state->ssl_id, why));
}

/* It is past its approval, or ended: the status tells. */
static struct acme_err too_far(struct scm_context *ctx, const char *note)
{
    ctx->state->locked_in = true;
    ctx->state->failures = 0;
    TRY(acme_scm_follow_begin(ctx));
    ctx->step->note = acme_arena_printf(ctx->arena, "%s It is followed to its end.", note);
    ENSURE(ctx->step->note != NULL, ACME_E_NOMEM);
    return acme_ok();
}

static struct acme_err gone(struct scm_context *ctx, const char *note)
{
    if (ctx->input->now_ms - ctx->state->accepted_ms < REPLICATION_MS)
        return acme_scm_wait_failure(ctx, ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS, note);
    return acme_scm_withdrawn_fail(
        ctx, acme_arena_printf(ctx->arena, "%s There is nothing left to withdraw.", note));
}

struct acme_err acme_scm_withdraw_done(struct scm_context *ctx)
{
    if (ctx->input->event != ACME_EVENT_REPLY)
        return acme_scm_call_failed(ctx);
    const struct acme_http_reply *reply = ctx->input->reply;
    if (reply->status == 204 || (reply->status == 200 && reply->body.len == 0))
        return declined(ctx);
    struct scm_verdict verdict;
    TRY(acme_scm_judge(ctx, SCM_AT_DECLINE, &verdict));
    switch (verdict.class) {
    case SCM_VERDICT_STATE:
        return too_far(ctx, verdict.note);
    case SCM_VERDICT_GONE:
        return gone(ctx, verdict.note);
    case SCM_VERDICT_CREDENTIALS:
        return acme_scm_wait_failure(ctx, ACME_LOGIN_FIRST_MS, ACME_LOGIN_MAX_MS, verdict.note);
    default: /* declining twice does no harm */
        return acme_scm_wait_failure(ctx, ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS, verdict.note);
    }
}
