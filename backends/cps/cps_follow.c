/* An issuance whose change is under way. */
#include "backends/cps/cps_issue.h"

void acme_cps_follow_enter(struct cps_issue *issue, int64_t change, bool adopted)
{
    struct cps_state *state = issue->ctx.state;
    state->phase = CPS_PHASE_FOLLOW;
    state->change = change;
    state->adopted = adopted;
    state->safe = false;
    state->sent_ms = 0;
    state->missed_ms = 0;
    state->refusals = 0;
    state->failures = 0;
    state->began_ms = issue->ctx.input->now_ms;
    state->known_count = 0;
}

static struct acme_err outcome(struct cps_issue *issue, enum cps_outcome what)
{
    struct cps_context *ctx = &issue->ctx;
    struct cps_state *state = ctx->state;
    long long change = (long long)state->change;
    bool is_over = what == CPS_CANCELLED || what == CPS_VANISHED;
    /* Known only now whether it may be cancelled; what is at its end is still taken. */
    if (issue->request->withdraw && what != CPS_FINISHED && !is_over)
        return acme_cps_withdrawn(issue);
    /* A refusal whose answer was lost may have been heard. */
    bool perhaps = what == CPS_CANCELLED && state->answer_key != NULL && state->answer_denies;
    if (is_over && (state->denied || perhaps))
        return acme_cps_fail(ctx, ACME_PROBLEM_UNAUTHORIZED,
                             "The operator of this server did not let the certificate be deployed.",
                             acme_arena_printf(ctx->arena, "Change %lld was denied.", change));
    switch (what) {
    case CPS_FINISHED:
        return acme_cps_collect_begin(
            issue,
            acme_arena_printf(ctx->arena, "Change %lld is complete; reading its certificate.", change));
    case CPS_VANISHED:
        return acme_cps_collect_begin(
            issue,
            acme_arena_printf(ctx->arena, "CPS does not list change %lld any more; reading what is deployed.",
                              change));
    case CPS_CANCELLED:
        return acme_cps_fail(
            ctx, ACME_PROBLEM_SERVER_INTERNAL,
            "The change of the enrollment was cancelled at Akamai before a certificate was deployed.",
            acme_arena_printf(ctx->arena, "Change %lld was cancelled at Akamai.", change));
    case CPS_BROKEN:
        return acme_cps_end(
            issue, ctx->fault.type,
            acme_arena_printf(ctx->arena, "Akamai CPS could not complete the change: %s", ctx->fault.text),
            acme_arena_printf(ctx->arena, "Change %lld failed at Akamai: %s.", change, ctx->fault.text));
    case CPS_WANTS_CERTIFICATES:
        return acme_cps_sign(issue);
    case CPS_GOES_ON:
        break;
    }
    return acme_ok();
}

struct acme_err acme_cps_follow_begin(struct cps_issue *issue)
{
    bool waits = false;
    if (!issue->request->withdraw) {
        TRY(acme_cps_sign_waits(issue, &waits));
        if (waits)
            return acme_ok();
    }
    enum cps_outcome what = CPS_GOES_ON;
    return acme_cps_change_begin(&issue->ctx, &what); /* always a call */
}

struct acme_err acme_cps_follow_reply(struct cps_issue *issue)
{
    struct cps_context *ctx = &issue->ctx;
    bool looked = ctx->state->call == CPS_CALL_CHANGE && ctx->input->event == ACME_EVENT_REPLY &&
                  ctx->input->reply->status == 200;
    enum cps_outcome what = CPS_GOES_ON;
    TRY(acme_cps_change_reply(ctx, &what));
    if (what == CPS_GOES_ON && looked)
        ctx->state->collect_ms = 0;
    if (what == CPS_GOES_ON && !(issue->request->withdraw && looked))
        return acme_ok();
    return outcome(issue, what);
}
