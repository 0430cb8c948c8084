/* A revocation. Every round looks at the certificate first: what is revoked already is done, whoever did it,
 * so a call whose outcome is not known is simply followed by another round, also after a crash. */
#include "backends/scm/scm_internal.h"

#include "base/buf.h"
#include "base/json_writer.h"

#include <string.h>

enum { BODY_MAX_BYTES = 1024 };

#define TO_CLIENT_EXPIRED "The certificate expired before it could be revoked."

static struct acme_err done(struct scm_context *ctx, const char *note)
{
    ENSURE(note != NULL, ACME_E_NOMEM);
    ctx->step->kind = ACME_STEP_DONE;
    ctx->step->note = note;
    ctx->state->call = SCM_CALL_NONE;
    return acme_ok();
}

static struct acme_err again(struct scm_context *ctx, const char *note)
{
    return acme_scm_wait_failure(ctx, ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS, note);
}

/* Pairs of digits with colons between, as SCM's path takes it. */
static const char *colons(struct acme_arena *arena, const char *serial_hex)
{
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, BODY_MAX_BYTES);
    size_t len = strlen(serial_hex);
    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 2 == 0)
            acme_buf_str(&out, ":");
        acme_buf_append(&out, serial_hex + i, 1);
    }
    const char *text = acme_buf_cstr(&out);
    return text != NULL ? acme_arena_strdup(arena, text) : NULL;
}

/* SCM takes the numbers of RFC 5280 for all reasons a subscriber can give. */
static const char *revoke_body(struct scm_context *ctx)
{
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, BODY_MAX_BYTES);
    struct acme_json_writer writer;
    acme_jw_init(&writer, &out);
    acme_jw_object(&writer, NULL);
    acme_jw_int(&writer, "reasonCode", ctx->revocation->reason);
    acme_jw_str(&writer, "reason", "ACME revokeCert");
    acme_jw_object_end(&writer);
    const char *text = acme_buf_cstr(&out);
    return text != NULL ? acme_arena_strdup(ctx->arena, text) : NULL;
}

static struct acme_err send_revoke(struct scm_context *ctx, bool by_serial)
{
    const char *body = revoke_body(ctx);
    ENSURE(body != NULL, ACME_E_NOMEM);
    const char *path = NULL;
    if (by_serial) {
        const char *serial = colons(ctx->arena, ctx->revocation->serial_hex);
        ENSURE(serial != NULL, ACME_E_NOMEM);
        path = acme_arena_printf(ctx->arena, "/revoke/serial/%s", serial);
    } else {
        path = acme_arena_printf(ctx->arena, "%s%lld", acme_scm_class_of(ctx->scm)->revoke,
                                 (long long)ctx->state->ssl_id);
    }
    return acme_scm_call(ctx, SCM_CALL_REVOKE, "POST", path, body,
                         acme_arena_printf(ctx->arena, "Asking SCM to revoke the certificate with serial %s.",
                                           ctx->revocation->serial_hex));
}

static struct acme_err begin(struct scm_context *ctx)
{
    long long ssl_id = (long long)ctx->state->ssl_id;
    if (ssl_id <= 0)
        return send_revoke(ctx, true);
    return acme_scm_call(ctx, SCM_CALL_DETAILS, "GET", acme_arena_printf(ctx->arena, "/%lld", ssl_id), NULL,
                         acme_arena_printf(ctx->arena,
                                           "Asking SCM for the status of request %lld before revoking it.",
                                           ssl_id));
}

static struct acme_err gone(struct scm_context *ctx, const struct scm_verdict *verdict)
{
    struct scm_state *state = ctx->state;
    if (state->gone_since_ms == 0)
        state->gone_since_ms = ctx->input->now_ms;
    if (!verdict->coded && ctx->input->now_ms - state->gone_since_ms < SCM_BARE_404_MS)
        return again(ctx, verdict->note);
    return acme_scm_fail(ctx, verdict->problem, verdict->detail, verdict->note);
}

static struct acme_err judge_failure(struct scm_context *ctx, enum scm_endpoint endpoint)
{
    struct scm_verdict verdict;
    TRY(acme_scm_judge(ctx, endpoint, &verdict));
    switch (verdict.class) {
    case SCM_VERDICT_DONE:
        return done(ctx, verdict.note);
    case SCM_VERDICT_CREDENTIALS:
        return acme_scm_wait_failure(ctx, ACME_LOGIN_FIRST_MS, ACME_LOGIN_MAX_MS, verdict.note);
    case SCM_VERDICT_GONE:
        return gone(ctx, &verdict);
    case SCM_VERDICT_STATE: /* the next round tells, unless it has said the same some times already */
        if (++ctx->state->refusals < verdict.tries)
            return again(ctx, verdict.note);
        return acme_scm_fail(ctx, verdict.problem, verdict.detail, verdict.note);
    case SCM_VERDICT_FINAL:
        return acme_scm_fail(ctx, verdict.problem, verdict.detail, verdict.note);
    case SCM_VERDICT_NOT_YET:
    case SCM_VERDICT_RETRY:
    case SCM_VERDICT_UNKNOWN:
    case SCM_VERDICT_ANEW: /* of renewals and replacements only */
        break;
    }
    return again(ctx, verdict.note);
}

static struct acme_err details_reply(struct scm_context *ctx)
{
    struct scm_details details;
    struct acme_err err = acme_scm_details_read(ctx, ctx->state->ssl_id, &details);
    if (err.code == ACME_E_FORMAT)
        return judge_failure(ctx, SCM_AT_DETAILS);
    TRY(err);
    ctx->state->gone_since_ms = 0;
    const char *name = details.status->name;
    /* A replacement keeps the number and has another certificate: that one is not meant. */
    bool ours = details.serial == NULL || acme_scm_same_serial(details.serial, ctx->revocation->serial_hex);
    if (ours && name != NULL && (strcmp(name, "Revoked") == 0 || strcmp(name, "Expired") == 0))
        return done(ctx, acme_arena_printf(ctx->arena, "SCM request %lld %s (status \"%s\").",
                                           (long long)ctx->state->ssl_id, details.status->gist,
                                           details.status_text));
    return send_revoke(ctx, !ours);
}

static struct acme_err revoke_reply(struct scm_context *ctx)
{
    const struct acme_http_reply *reply = ctx->input->reply;
    if (reply->status == 204 || (reply->status == 200 && reply->body.len == 0))
        return done(ctx, acme_arena_printf(ctx->arena, "SCM revoked the certificate with serial %s.",
                                           ctx->revocation->serial_hex));
    return judge_failure(ctx, SCM_AT_REVOKE);
}

static struct acme_err decide(struct scm_context *ctx)
{
    switch (ctx->input->event) {
    case ACME_EVENT_REPLY:
        ENSURE(ctx->input->reply != NULL, ACME_E_INTERNAL);
        if (ctx->state->call == SCM_CALL_DETAILS)
            return details_reply(ctx);
        if (ctx->state->call == SCM_CALL_REVOKE)
            return revoke_reply(ctx);
        break;
    case ACME_EVENT_CALL_FAILED:
        return acme_scm_call_failed(ctx);
    case ACME_EVENT_START:
    case ACME_EVENT_TIMER:
    case ACME_EVENT_RECOVER:
        break;
    }
    return begin(ctx);
}

struct acme_err acme_scm_revoke(const struct acme_issuer *issuer, struct acme_arena *arena,
                                const struct acme_revoke_request *request, cJSON *saved,
                                const struct acme_step_input *input, struct acme_step *ret)
{
    struct scm_state *state = acme_arena_alloc(arena, sizeof *state);
    ENSURE(state != NULL, ACME_E_NOMEM);
    acme_scm_state_load(saved, state);
    state->phase = SCM_PHASE_REVOKE;
    state->ssl_id = 0;
    (void)acme_decimal(request->upstream_ref, &state->ssl_id);
    struct acme_step step = {0};
    struct scm_context ctx = {.scm = (const struct scm_issuer *)issuer,
                              .arena = arena,
                              .revocation = request,
                              .input = input,
                              .state = state,
                              .step = &step};
    TRY(decide(&ctx));
    if (step.kind == ACME_STEP_WAIT && input->now_ms >= request->deadline_ms) {
        const char *note = acme_arena_printf(
            arena, "Gave up because the certificate has expired meanwhile. Last: %s", step.note);
        step = (struct acme_step){0};
        TRY(acme_scm_fail(&ctx, ACME_PROBLEM_SERVER_INTERNAL, TO_CLIENT_EXPIRED, note));
    }
    step.upstream_ref = request->upstream_ref;
    TRY(acme_scm_state_store(state, saved));
    *ret = step;
    return acme_ok();
}
