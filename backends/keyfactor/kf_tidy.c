/* What this issuance has made in Command and does not need: duplicates of its request, and a renewal with a
 * key that no client has. Left alone they would be valid, or become so. Nothing of it is urgent enough to
 * keep the order for long: after a few tries the operator is told. */
#include "backends/keyfactor/kf_internal.h"

#define DUPLICATE "Duplicate of another request by the same ACME order."
#define OTHER_KEY "Renewed for an ACME order with a key that its client does not have."

enum { TIDY_TRIES = 5, REASON_SUPERSEDED = 4 };

struct acme_err acme_kf_tidy(struct kf_context *ctx)
{
    struct kf_state *state = ctx->state;
    bool enrolling = state->phase == KF_PHASE_ENROLL;
    if (state->duplicates.count > 0)
        return acme_kf_deny_call(ctx, KF_CALL_DENY, state->duplicates.id[0], DUPLICATE,
                                 "Keyfactor holds duplicates of this order's request.");
    if (state->surplus.count > 0)
        return acme_kf_revoke_call(ctx, KF_CALL_UNDO, state->surplus.id[0], REASON_SUPERSEDED,
                                   enrolling ? OTHER_KEY : DUPLICATE,
                                   "Keyfactor holds certificates of this order that are not needed.");
    return enrolling ? acme_kf_enroll_begin(ctx) : acme_kf_follow_begin(ctx);
}

/* How it ended, for the operator: NULL without memory. */
static const char *denial_note(struct kf_context *ctx, const cJSON *json, bool taken)
{
    long long id = (long long)ctx->state->duplicates.id[0];
    if (taken && !acme_kf_deny_failed(json, id))
        return acme_arena_printf(ctx->arena, "Duplicate request %lld was denied in Keyfactor.", id);
    return acme_arena_printf(
        ctx->arena, "Keyfactor did not deny duplicate request %lld; deny it there, or revoke what it yields.",
        id);
}

static const char *revocation_note(struct kf_context *ctx, const cJSON *json, bool taken)
{
    long long id = (long long)ctx->state->surplus.id[0];
    switch (taken ? acme_kf_revoked(json, id) : KF_REVOKED_NOT) {
    case KF_REVOKED_DONE:
        return acme_arena_printf(ctx->arena,
                                 "Certificate %lld, which nobody needs, was revoked in Keyfactor.", id);
    case KF_REVOKED_SUSPENDED:
        return acme_arena_printf(
            ctx->arena,
            "The revocation of certificate %lld, which nobody needs, waits for an approval "
            "in Keyfactor.",
            id);
    case KF_REVOKED_NOT:
        break;
    }
    return acme_arena_printf(ctx->arena,
                             "Keyfactor did not revoke certificate %lld, which nobody needs; revoke it there "
                             "by hand.",
                             id);
}

struct acme_err acme_kf_tidy_done(struct kf_context *ctx)
{
    struct kf_state *state = ctx->state;
    bool undo = state->call == KF_CALL_UNDO;
    const struct acme_http_reply *reply = ctx->input->event == ACME_EVENT_REPLY ? ctx->input->reply : NULL;
    bool passing = reply == NULL || reply->status == 401 || reply->status == 429 || reply->status >= 500;
    if (passing && state->failures < TIDY_TRIES - 1) {
        bool login = reply != NULL && reply->status == 401;
        return acme_kf_wait_failure(ctx, login ? ACME_LOGIN_FIRST_MS : ACME_BACKOFF_FIRST_MS,
                                    login ? ACME_LOGIN_MAX_MS : ACME_BACKOFF_MAX_MS,
                                    undo ? "Keyfactor did not revoke a certificate that nobody needs yet."
                                         : "Keyfactor did not deny a duplicate request yet.");
    }
    cJSON *json = NULL;
    if (reply != NULL && reply->body.len > 0) {
        struct acme_err err = acme_reply_json(ctx->arena, reply, &json);
        if (err.code == ACME_E_NOMEM)
            return err;
    }
    bool taken = reply != NULL && reply->status >= 200 && reply->status <= 299;
    const char *note = undo ? revocation_note(ctx, json, taken) : denial_note(ctx, json, taken);
    ENSURE(note != NULL, ACME_E_NOMEM);
    state->failures = 0;
    (void)acme_ids_pop(undo ? &state->surplus : &state->duplicates);
    TRY(acme_kf_tidy(ctx));
    ctx->step->note = acme_arena_printf(ctx->arena, "%s %s", note, ctx->step->note);
    ENSURE(ctx->step->note != NULL, ACME_E_NOMEM);
    return acme_ok();
}
