/* Taking a request back: its order was superseded, or its time is over. What waits at the CA is denied, a
 * workflow of Command is stopped; what is issued is kept. */
#include "backends/keyfactor/kf_internal.h"

#define TO_CLIENT_SUPERSEDED                                                                                 \
    "A newer order of this account for the same names, with another key, took this one's place."
#define TO_CLIENT_TOO_LATE                                                                                   \
    "The certificate authority did not issue the certificate within the time this server waits for it."

struct acme_err acme_kf_withdrawn_fail(struct kf_context *ctx, const char *note)
{
    if (ctx->state->withdrawing == KF_SUPERSEDED)
        return acme_kf_fail(ctx, ACME_PROBLEM_ORDER_NOT_READY, TO_CLIENT_SUPERSEDED, note);
    return acme_kf_fail(ctx, ACME_PROBLEM_SERVER_INTERNAL, TO_CLIENT_TOO_LATE, note);
}

struct acme_err acme_kf_nothing_begun(struct kf_context *ctx)
{
    ctx->state->withdrawing = KF_SUPERSEDED;
    return acme_kf_withdrawn_fail(ctx,
                                  "A newer order took this one's place; Keyfactor holds nothing for it, so "
                                  "there is nothing to withdraw.");
}

bool acme_kf_withdrawable(const struct kf_context *ctx)
{
    const struct kf_state *state = ctx->state;
    bool issued = state->cert_id > 0 || state->thumbprint != NULL;
    bool waits = state->request_id > 0 || (state->workflow != NULL && !state->workflow_over);
    return waits && !issued && !state->locked_in && !state->by_key;
}

struct acme_err acme_kf_deny_call(struct kf_context *ctx, enum kf_call call, int64_t request_id,
                                  const char *comment, const char *note)
{
    struct kf_body body;
    acme_kf_body_init(&body);
    acme_jw_str(&body.writer, "Comment", comment);
    acme_jw_array(&body.writer, "CertificateRequestIds");
    acme_jw_int(&body.writer, NULL, request_id);
    acme_jw_array_end(&body.writer);
    const char *text = acme_kf_body_done(ctx, &body);
    ENSURE(text != NULL, ACME_E_NOMEM);
    return acme_kf_call(ctx, call, "POST", "Workflow/Certificates/Deny", text, note);
}

struct acme_err acme_kf_withdraw_begin(struct kf_context *ctx, enum kf_withdrawal why)
{
    struct kf_state *state = ctx->state;
    const char *subject = acme_kf_subject(ctx);
    ENSURE(subject != NULL, ACME_E_NOMEM);
    state->withdrawing = why;
    state->phase = KF_PHASE_FOLLOW;
    const char *note = acme_arena_printf(ctx->arena, "%s; taking Keyfactor %s back.",
                                         why == KF_SUPERSEDED ? "A newer order took this one's place"
                                                              : "The order's deadline has passed",
                                         subject);
    if (state->request_id > 0)
        return acme_kf_deny_call(ctx, KF_CALL_WITHDRAW, state->request_id,
                                 why == KF_SUPERSEDED
                                     ? "A newer ACME order with another key took the place of this one."
                                     : "The ACME order has waited for its longest time.",
                                 note);
    ENSURE(state->workflow != NULL, ACME_E_INTERNAL);
    return acme_kf_call(ctx, KF_CALL_WITHDRAW, "POST",
                        acme_arena_printf(ctx->arena, "Workflow/Instances/%s/Stop", state->workflow), "{}",
                        note);
}

/* It was decided upon meanwhile, or the login may not take it back: its end tells. */
static struct acme_err too_far(struct kf_context *ctx, const char *note)
{
    ctx->state->locked_in = true;
    ctx->state->failures = 0;
    TRY(acme_kf_follow_begin(ctx));
    ctx->step->note = acme_arena_printf(ctx->arena, "%s It is followed to its end.", note);
    ENSURE(ctx->step->note != NULL, ACME_E_NOMEM);
    return acme_ok();
}

/* Under a good status the request may still be among those that could not be denied. */
bool acme_kf_deny_failed(const cJSON *json, int64_t request_id)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, acme_kf_get(json, "Failures"))
    {
        int64_t id = acme_kf_int(item, "KeyfactorRequestId");
        if (id == 0 || id == request_id)
            return true;
    }
    return false;
}

struct acme_err acme_kf_withdraw_done(struct kf_context *ctx)
{
    if (ctx->input->event != ACME_EVENT_REPLY)
        return acme_kf_call_failed(ctx);
    const struct acme_http_reply *reply = ctx->input->reply;
    const char *subject = acme_kf_subject(ctx);
    ENSURE(subject != NULL, ACME_E_NOMEM);
    if (reply->status >= 200 && reply->status <= 299) {
        cJSON *json = NULL;
        struct acme_err err = acme_reply_json(ctx->arena, reply, &json);
        if (err.code == ACME_E_NOMEM)
            return err;
        if (!acme_failed(err) && acme_kf_deny_failed(json, ctx->state->request_id))
            return too_far(
                ctx, acme_arena_printf(ctx->arena, "Keyfactor %s could not be denied any more.", subject));
        return acme_kf_withdrawn_fail(ctx, acme_arena_printf(ctx->arena, "Keyfactor %s was withdrawn: %s.",
                                                             subject,
                                                             ctx->state->withdrawing == KF_SUPERSEDED
                                                                 ? "a newer order took this one's place"
                                                                 : "the order's deadline has passed"));
    }
    struct kf_verdict verdict;
    TRY(acme_kf_judge(ctx, KF_AT_WITHDRAW, &verdict));
    if (verdict.class == KF_VERDICT_REFUSED || verdict.class == KF_VERDICT_GONE || reply->status == 403 ||
        reply->status == 405)
        return too_far(ctx, verdict.note);
    if (verdict.class == KF_VERDICT_CREDENTIALS)
        return acme_kf_wait_failure(ctx, ACME_LOGIN_FIRST_MS, ACME_LOGIN_MAX_MS, verdict.note);
    return acme_kf_wait_failure(ctx, ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS, verdict.note);
}
