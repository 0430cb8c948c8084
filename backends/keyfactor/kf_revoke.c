/* A revocation. Every round looks at the certificate first: what is revoked already is done, whoever did it,
 * so a call whose outcome is not known is simply followed by another round, also after a crash. A revocation
 * that waits for an approval in Command (SuspendedCerts) is not done: it is followed. */
#include "backends/keyfactor/kf_internal.h"

#include <string.h>
#include <strings.h>

#define TO_CLIENT_EXPIRED  "The certificate expired before it could be revoked."
#define TO_CLIENT_UNKNOWN  "The certificate service does not know the certificate."
#define TO_CLIENT_REJECTED "An approver of the certificate service rejected the revocation."
#define COMMENT            "ACME revokeCert"

/* How long a certificate may be missing, on its way through a synchronization or behind a gateway. */
#define GONE_PATIENCE_MS (10 * ACME_MINUTE_MS)

static struct acme_err done(struct kf_context *ctx, const char *note)
{
    ENSURE(note != NULL, ACME_E_NOMEM);
    ctx->step->kind = ACME_STEP_DONE;
    ctx->step->note = note;
    ctx->state->call = KF_CALL_NONE;
    return acme_ok();
}

static struct acme_err again(struct kf_context *ctx, const char *note)
{
    return acme_kf_wait_failure(ctx, ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS, note);
}

struct acme_err acme_kf_revoke_call(struct kf_context *ctx, enum kf_call call, int64_t cert_id, int reason,
                                    const char *comment, const char *note)
{
    struct kf_body body;
    acme_kf_body_init(&body);
    acme_jw_array(&body.writer, "CertificateIds");
    acme_jw_int(&body.writer, NULL, cert_id);
    acme_jw_array_end(&body.writer);
    acme_jw_int(&body.writer, "Reason", reason);
    acme_jw_str(&body.writer, "Comment", comment);
    acme_jw_time(&body.writer, "EffectiveDate", ctx->input->now_ms);
    if (ctx->kf->config.collection_id > 0)
        acme_jw_int(&body.writer, "CollectionId", ctx->kf->config.collection_id);
    const char *text = acme_kf_body_done(ctx, &body);
    ENSURE(text != NULL, ACME_E_NOMEM);
    return acme_kf_call(ctx, call, "POST", "Certificates/Revoke", text, note);
}

/* Command's numbers of reasons differ from RFC 5280's where subscribers have none to give (8, 9, 10); 2 and 6
 * are not theirs to give either. */
static bool is_known_reason(int reason)
{
    return reason == 0 || reason == 1 || (reason >= 3 && reason <= 5);
}

static struct acme_err thumbprint_of(struct kf_context *ctx, const char **ret)
{
    X509 *cert = NULL;
    struct acme_err err = acme_cert_parse(ctx->arena, ctx->revocation->certificate, &cert);
    if (err.code == ACME_E_FORMAT)
        return acme_err(ACME_E_INTERNAL);
    TRY(err);
    *ret = acme_kf_thumbprint(ctx->arena, cert);
    return acme_err(*ret != NULL ? ACME_OK : ACME_E_NOMEM);
}

static struct acme_err look(struct kf_context *ctx)
{
    const struct acme_revoke_request *revocation = ctx->revocation;
    const char *thumbprint = NULL;
    TRY(thumbprint_of(ctx, &thumbprint));
    const char *collection = acme_kf_collection(ctx, false);
    ENSURE(collection != NULL, ACME_E_NOMEM);
    return acme_kf_call(
        ctx, KF_CALL_LOOK, "GET",
        acme_arena_printf(ctx->arena,
                          "Certificates?pq.queryString=Thumbprint%%20-eq%%20%%22%s%%22"
                          "&pq.includeRevoked=true&pq.includeExpired=true&pq.returnLimit=10%s",
                          thumbprint, collection),
        NULL,
        acme_arena_printf(ctx->arena, "Looking for the certificate with serial %s in Keyfactor%s.",
                          revocation->serial_hex, ctx->state->revoked_it ? "" : " before revoking it"));
}

static struct acme_err begin(struct kf_context *ctx)
{
    if (!is_known_reason(ctx->revocation->reason))
        return acme_kf_fail(
            ctx, ACME_PROBLEM_BAD_REVOCATION_REASON,
            "The certificate service does not take this revocation reason; use 0, 1, 3, 4 or 5.",
            "The revocation has a reason that is not given to Keyfactor; nothing was sent.");
    return look(ctx);
}

static struct acme_err judge_failure(struct kf_context *ctx, enum kf_endpoint endpoint)
{
    struct kf_verdict verdict;
    TRY(acme_kf_judge(ctx, endpoint, &verdict));
    switch (verdict.class) {
    case KF_VERDICT_DONE:
        return done(ctx, verdict.note);
    case KF_VERDICT_CREDENTIALS:
        return acme_kf_wait_failure(ctx, ACME_LOGIN_FIRST_MS, ACME_LOGIN_MAX_MS, verdict.note);
    case KF_VERDICT_FINAL:
        return acme_kf_fail(ctx, verdict.problem, verdict.detail, verdict.note);
    default:
        return again(ctx, verdict.note);
    }
}

static struct acme_err missing(struct kf_context *ctx)
{
    struct kf_state *state = ctx->state;
    const char *note = acme_arena_printf(ctx->arena, "Keyfactor shows no certificate with serial %s.",
                                         ctx->revocation->serial_hex);
    if (state->gone_since_ms == 0)
        state->gone_since_ms = ctx->input->now_ms;
    if (ctx->input->now_ms - state->gone_since_ms < GONE_PATIENCE_MS)
        return again(ctx, note);
    return acme_kf_fail(ctx, ACME_PROBLEM_SERVER_INTERNAL, TO_CLIENT_UNKNOWN, note);
}

/* An answer that promised nothing is not waited upon for longer. */
#define PROMISE_PATIENCE_MS (10 * ACME_MINUTE_MS)

/* Accepted, and the certificate is still good. */
static struct acme_err still_good(struct kf_context *ctx)
{
    struct kf_state *state = ctx->state;
    if (state->workflow != NULL && !state->workflow_over)
        return acme_kf_call(ctx, KF_CALL_WORKFLOW, "GET",
                            acme_arena_printf(ctx->arena, "Workflow/Instances/%s", state->workflow), NULL,
                            "Asking Keyfactor about the workflow of the revocation.");
    return acme_kf_follow_wait(ctx,
                               acme_arena_printf(ctx->arena,
                                                 "Keyfactor has taken the revocation of certificate %lld, "
                                                 "which is not revoked yet.",
                                                 (long long)state->cert_id));
}

/* The row of the certificate, however much is listed; NULL: there is none. Another one must not be revoked
 * because a query was dropped on its way. */
static const cJSON *row_of(const cJSON *list, const char *thumbprint)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, list)
    {
        const char *theirs = acme_kf_str(row, "Thumbprint");
        if (theirs != NULL && strcasecmp(theirs, thumbprint) == 0)
            return row;
    }
    return NULL;
}

static struct acme_err look_reply(struct kf_context *ctx)
{
    struct kf_state *state = ctx->state;
    cJSON *json = NULL;
    struct acme_err err = acme_reply_json(ctx->arena, ctx->input->reply, &json);
    if (err.code == ACME_E_NOMEM)
        return err;
    if (acme_failed(err) || !cJSON_IsArray(json))
        return judge_failure(ctx, KF_AT_LIST);
    const char *thumbprint = NULL;
    TRY(thumbprint_of(ctx, &thumbprint));
    const cJSON *row = row_of(json, thumbprint);
    int64_t cert_id = acme_kf_int(row, "Id");
    if (cert_id <= 0)
        return missing(ctx);
    state->failures = 0;
    state->gone_since_ms = 0;
    state->cert_id = cert_id;
    if (acme_kf_row_revoked(row))
        return done(
            ctx, acme_arena_printf(ctx->arena, "Keyfactor certificate %lld is revoked.", (long long)cert_id));
    bool broken = !state->suspended && ctx->input->now_ms - state->accepted_ms >= PROMISE_PATIENCE_MS;
    if (state->revoked_it && !broken)
        return still_good(ctx);
    return acme_kf_revoke_call(
        ctx, KF_CALL_REVOKE, cert_id, ctx->revocation->reason, COMMENT,
        acme_arena_printf(ctx->arena, "Asking Keyfactor to revoke certificate %lld.", (long long)cert_id));
}

static bool has_id(const cJSON *list, int64_t id)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        int64_t value = 0;
        if (acme_json_number_or_text(item, &value) && value == id)
            return true;
    }
    return false;
}

static const cJSON *suspended_entry(const cJSON *json, int64_t cert_id)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, acme_kf_get(json, "SuspendedCerts"))
    {
        if (acme_kf_int(item, "CertId") == cert_id)
            return item;
    }
    return NULL;
}

enum kf_revoked acme_kf_revoked(const cJSON *json, int64_t cert_id)
{
    if (suspended_entry(json, cert_id) != NULL)
        return KF_REVOKED_SUSPENDED;
    return has_id(acme_kf_get(json, "RevokedIds"), cert_id) ? KF_REVOKED_DONE : KF_REVOKED_NOT;
}

static struct acme_err suspended(struct kf_context *ctx, const cJSON *entry)
{
    struct kf_state *state = ctx->state;
    const char *words = acme_upstream_quoted(ctx->arena, &ctx->secrets, acme_kf_str(entry, "Message"));
    ENSURE(words != NULL, ACME_E_NOMEM);
    state->suspended = true;
    state->workflow = acme_kf_guid(entry, "WorkflowId");
    return acme_kf_follow_wait(ctx,
                               acme_arena_printf(ctx->arena,
                                                 "The revocation of Keyfactor certificate %lld waits for "
                                                 "an approval there%s.",
                                                 (long long)state->cert_id, words));
}

static struct acme_err revoke_reply(struct kf_context *ctx)
{
    const struct acme_http_reply *reply = ctx->input->reply;
    struct kf_state *state = ctx->state;
    cJSON *json = NULL;
    if (reply->status < 200 || reply->status > 299)
        return judge_failure(ctx, KF_AT_REVOKE);
    struct acme_err err = acme_reply_json(ctx->arena, reply, &json);
    if (err.code == ACME_E_NOMEM)
        return err;
    if (reply->body.len > 0 && (acme_failed(err) || !cJSON_IsObject(json))) /* hardly Command's word */
        return judge_failure(ctx, KF_AT_REVOKE);
    state->revoked_it = true;
    state->failures = 0;
    state->polls = 0;
    state->accepted_ms = ctx->input->now_ms;
    switch (acme_kf_revoked(json, state->cert_id)) {
    case KF_REVOKED_SUSPENDED:
        return suspended(ctx, suspended_entry(json, state->cert_id));
    case KF_REVOKED_DONE:
        return done(ctx, acme_arena_printf(ctx->arena, "Keyfactor revoked certificate %lld.",
                                           (long long)state->cert_id));
    case KF_REVOKED_NOT:
        break;
    }
    return look(ctx); /* an answer without words: its state tells */
}

static struct acme_err workflow_reply(struct kf_context *ctx)
{
    struct kf_state *state = ctx->state;
    cJSON *json = NULL;
    struct acme_err err = acme_reply_json(ctx->arena, ctx->input->reply, &json);
    if (err.code == ACME_E_NOMEM)
        return err;
    int http = ctx->input->reply->status;
    const char *text = acme_failed(err) ? NULL : acme_kf_str(json, "Status");
    if (acme_failed(err) && http != 403 && http != 404)
        return judge_failure(ctx, KF_AT_REQUEST);
    if (text == NULL) { /* not to be seen, or not as a word: the certificate alone tells */
        state->workflow_over = true;
        return still_good(ctx);
    }
    const struct kf_status *status = acme_kf_status_of(text);
    if (status->class == KF_STATUS_FAILED) {
        const char *words =
            acme_upstream_quoted(ctx->arena, &ctx->secrets, acme_kf_str(json, "StatusMessage"));
        ENSURE(words != NULL, ACME_E_NOMEM);
        return acme_kf_fail(ctx, ACME_PROBLEM_SERVER_INTERNAL, TO_CLIENT_REJECTED,
                            acme_arena_printf(ctx->arena,
                                              "The workflow of the revocation of Keyfactor certificate %lld "
                                              "%s%s.",
                                              (long long)state->cert_id, status->gist, words));
    }
    if (status->class == KF_STATUS_ISSUED)
        state->workflow_over = true;
    return acme_kf_follow_wait(ctx,
                               acme_arena_printf(ctx->arena,
                                                 "The workflow of the revocation of Keyfactor certificate "
                                                 "%lld %s.",
                                                 (long long)state->cert_id, status->gist));
}

static struct acme_err decide(struct kf_context *ctx)
{
    switch (ctx->input->event) {
    case ACME_EVENT_REPLY:
        ENSURE(ctx->input->reply != NULL, ACME_E_INTERNAL);
        if (ctx->state->call == KF_CALL_LOOK)
            return look_reply(ctx);
        if (ctx->state->call == KF_CALL_REVOKE)
            return revoke_reply(ctx);
        if (ctx->state->call == KF_CALL_WORKFLOW)
            return workflow_reply(ctx);
        break;
    case ACME_EVENT_CALL_FAILED:
        return acme_kf_call_failed(ctx);
    case ACME_EVENT_START:
    case ACME_EVENT_TIMER:
    case ACME_EVENT_RECOVER:
        break;
    }
    return begin(ctx);
}

struct acme_err acme_kf_revoke(const struct acme_issuer *issuer, struct acme_arena *arena,
                               const struct acme_revoke_request *request, cJSON *saved,
                               const struct acme_step_input *input, struct acme_step *ret)
{
    struct kf_state *state = acme_arena_alloc(arena, sizeof *state);
    ENSURE(state != NULL, ACME_E_NOMEM);
    acme_kf_state_load(saved, state);
    state->phase = KF_PHASE_REVOKE;
    struct acme_step step = {0};
    const struct kf_issuer *kf = (const struct kf_issuer *)issuer;
    struct kf_context ctx = {.kf = kf,
                             .arena = arena,
                             .revocation = request,
                             .input = input,
                             .state = state,
                             .step = &step,
                             .secrets = acme_kf_secrets(kf)};
    TRY(decide(&ctx));
    if (step.kind == ACME_STEP_WAIT && input->now_ms >= request->deadline_ms) {
        const char *note = acme_arena_printf(
            arena, "Gave up because the certificate has expired meanwhile. Last: %s", step.note);
        step = (struct acme_step){0};
        TRY(acme_kf_fail(&ctx, ACME_PROBLEM_SERVER_INTERNAL, TO_CLIENT_EXPIRED, note));
    }
    step.upstream_ref = request->upstream_ref;
    TRY(acme_kf_state_store(state, saved));
    *ret = step;
    return acme_ok();
}
