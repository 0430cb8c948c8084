/* The ends that are no certificate. A change is cancelled with its issuance only when this server has made it
 * and nothing was issued or uploaded for it: from then on it is left to Akamai, and said so. */
#include "backends/cps/cps_issue.h"

enum { CANCEL_TRIES = 5 };

static bool may_cancel(const struct cps_state *state)
{
    return state->change > 0 && !state->adopted && state->safe && state->phase == CPS_PHASE_FOLLOW;
}

/* What stays at Akamai. */
static const char *left_there(struct cps_issue *issue)
{
    const struct cps_state *state = issue->ctx.state;
    if (state->change > 0 && state->phase == CPS_PHASE_FOLLOW)
        return acme_arena_printf(
            issue->ctx.arena, " Change %lld of enrollment %lld goes on at Akamai, where it can be cancelled.",
            (long long)state->change, (long long)state->enrollment);
    if (state->sent_ms != 0)
        return " Whether Akamai has begun a change for it is not known: look at the enrollment there.";
    return "";
}

struct acme_err acme_cps_end(struct cps_issue *issue, enum acme_problem_type type, const char *detail,
                             const char *note)
{
    struct cps_context *ctx = &issue->ctx;
    ENSURE(detail != NULL && note != NULL, ACME_E_NOMEM);
    if (!may_cancel(ctx->state)) {
        const char *left = left_there(issue);
        ENSURE(left != NULL, ACME_E_NOMEM);
        return acme_cps_fail(ctx, type, detail, acme_arena_printf(ctx->arena, "%s%s", note, left));
    }
    ctx->state->phase = CPS_PHASE_CANCEL;
    ctx->state->failures = 0;
    ctx->state->fail_type = (int64_t)type;
    ctx->state->fail_detail = detail;
    ctx->state->fail_note = note;
    return acme_cps_cancel_begin(issue);
}

struct acme_err acme_cps_cancel_begin(struct cps_issue *issue)
{
    struct cps_context *ctx = &issue->ctx;
    TRY(acme_cps_cancel_call(ctx));
    const char *note = ctx->state->fail_note != NULL ? ctx->state->fail_note : "";
    ctx->step->note =
        acme_arena_printf(ctx->arena, "%s Cancelling change %lld.", note, (long long)ctx->state->change);
    ENSURE(ctx->step->note != NULL, ACME_E_NOMEM);
    return acme_ok();
}

static struct acme_err finish(struct cps_issue *issue, const char *addition)
{
    struct cps_context *ctx = &issue->ctx;
    const struct cps_state *state = ctx->state;
    ENSURE(addition != NULL, ACME_E_NOMEM);
    enum acme_problem_type type = state->fail_type >= 0 && state->fail_type < ACME_PROBLEM_COUNT
                                      ? (enum acme_problem_type)state->fail_type
                                      : ACME_PROBLEM_SERVER_INTERNAL;
    const char *detail = state->fail_detail != NULL ? state->fail_detail : "The certificate was not issued.";
    return acme_cps_fail(ctx, type, acme_arena_strdup(ctx->arena, detail),
                         acme_arena_printf(ctx->arena, "%s%s",
                                           state->fail_note != NULL ? state->fail_note : "The issuance ends.",
                                           addition));
}

struct acme_err acme_cps_cancel_done(struct cps_issue *issue)
{
    struct cps_context *ctx = &issue->ctx;
    const struct acme_step_input *input = ctx->input;
    long long change = (long long)ctx->state->change;
    if (input->event == ACME_EVENT_REPLY && input->reply->status >= 200 && input->reply->status <= 299)
        return finish(issue, acme_arena_printf(ctx->arena, " Change %lld was cancelled.", change));
    struct cps_verdict verdict;
    TRY(acme_cps_judge(ctx, &verdict));
    if (verdict.class == CPS_VERDICT_MISSING)
        return finish(issue, acme_arena_printf(ctx->arena, " Change %lld is gone.", change));
    if (verdict.class == CPS_VERDICT_LATER)
        return acme_cps_wait_ms(ctx, ACME_MINUTE_MS, verdict.note);
    if (ctx->state->failures + 1 >= CANCEL_TRIES || verdict.class == CPS_VERDICT_CONFLICT ||
        verdict.class == CPS_VERDICT_REFUSED)
        return finish(issue, acme_arena_printf(ctx->arena,
                                               " Change %lld could not be cancelled (%s): look at it there.",
                                               change, verdict.note));
    return acme_cps_wait_failure(ctx, ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS, verdict.note);
}

struct acme_err acme_cps_clean(struct cps_issue *issue)
{
    bool decided = false;
    TRY(acme_cps_unpublish(&issue->ctx, &decided));
    return decided ? acme_ok() : finish(issue, "");
}

struct acme_err acme_cps_clean_first(struct cps_issue *issue)
{
    struct cps_state *state = issue->ctx.state;
    struct acme_step *step = issue->ctx.step;
    if (step->kind != ACME_STEP_FAILED || state->published == NULL || state->phase == CPS_PHASE_CLEAN)
        return acme_ok();
    state->phase = CPS_PHASE_CLEAN;
    state->fail_type = (int64_t)step->problem.type;
    state->fail_detail = step->problem.detail;
    state->fail_note = step->note;
    *step = (struct acme_step){0};
    return acme_cps_clean(issue);
}

struct acme_err acme_cps_withdrawn(struct cps_issue *issue)
{
    return acme_cps_end(issue, ACME_PROBLEM_SERVER_INTERNAL,
                        "The order was withdrawn before its certificate was issued.",
                        "Nobody waits for this certificate any more.");
}

struct acme_err acme_cps_keep_deadline(struct cps_issue *issue)
{
    struct cps_context *ctx = &issue->ctx;
    struct acme_step *step = ctx->step;
    int64_t deadline_ms = issue->request->deadline_ms;
    if (deadline_ms <= 0)
        return acme_ok();
    if (ctx->input->now_ms < deadline_ms) {
        if (step->kind == ACME_STEP_WAIT && step->wait_until_ms > deadline_ms)
            step->wait_until_ms = deadline_ms;
        return acme_ok();
    }
    /* A look that is under way is finished: what is there at the last moment is taken. */
    if (step->kind != ACME_STEP_WAIT && step->kind != ACME_STEP_DELEGATE &&
        !(step->kind == ACME_STEP_CALL && step->once))
        return acme_ok();
    const char *last = step->note != NULL ? step->note : "";
    if (step->kind == ACME_STEP_CALL) { /* decided upon, not sent */
        ctx->state->sent_ms = 0;
        last = "The update was about to be sent.";
    }
    *step = (struct acme_step){0};
    if (ctx->state->phase == CPS_PHASE_CANCEL)
        return finish(issue, acme_arena_printf(ctx->arena,
                                               " Change %lld is left at Akamai: look at it there. Last: %s",
                                               (long long)ctx->state->change, last));
    return acme_cps_end(
        issue, ACME_PROBLEM_SERVER_INTERNAL,
        "Akamai CPS did not deploy a certificate in time; order again later.",
        acme_arena_printf(ctx->arena, "Gave up because the order's deadline has passed. Last: %s", last));
}
