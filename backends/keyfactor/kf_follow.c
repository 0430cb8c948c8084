/* What waits in Command, three ways: a workflow of Command (approvals there), a request at the CA that its
 * manager approves, one that an external validation holds up. And the certificate that comes of it, which may
 * appear only with the next synchronization of Command with its CA. */
#include "backends/keyfactor/kf_internal.h"

#include <string.h>

#define TO_CLIENT_REVOKED "The certificate was revoked before it could be handed out."
enum { WORDS_MAX_CHARS = 200 };

struct acme_err acme_kf_follow_enter(struct kf_context *ctx, const struct kf_match *match)
{
    struct kf_state *state = ctx->state;
    const char *workflow = NULL;
    if (match->workflow[0] != '\0') {
        workflow = acme_arena_strdup(ctx->arena, match->workflow);
        ENSURE(workflow != NULL, ACME_E_NOMEM);
    }
    *state = (struct kf_state){
        .phase = KF_PHASE_FOLLOW,
        .call = state->call,
        .cert_id = match->cert_id,
        .request_id = match->request_id,
        .workflow = workflow,
        .by_key = !match->tagged,
        .attempts = state->attempts,
        .accepted_ms = state->accepted_ms != 0 ? state->accepted_ms : ctx->input->now_ms,
        .collect_since_ms = state->collect_since_ms,
        .renewing = state->renewing,
        .refused = state->refused,
        .unlisted = state->unlisted,
        .locked_in = state->locked_in,
        .withdrawing = state->withdrawing,
        .duplicates = state->duplicates,
        .surplus = state->surplus,
    };
    return acme_ok();
}

const char *acme_kf_subject(struct kf_context *ctx)
{
    const struct kf_state *state = ctx->state;
    if (state->cert_id > 0)
        return acme_arena_printf(ctx->arena, "certificate %lld", (long long)state->cert_id);
    if (state->thumbprint != NULL)
        return acme_arena_printf(ctx->arena, "certificate %s", state->thumbprint);
    if (state->request_id > 0)
        return acme_arena_printf(ctx->arena, "request %lld", (long long)state->request_id);
    if (state->workflow != NULL)
        return acme_arena_printf(ctx->arena, "workflow %s", state->workflow);
    return "request";
}

struct acme_err acme_kf_ref(struct kf_context *ctx, const char **ret)
{
    const struct kf_state *state = ctx->state;
    const char *ref = NULL;
    if (state->cert_id > 0)
        ref = acme_arena_printf(ctx->arena, "%lld", (long long)state->cert_id);
    else if (state->thumbprint != NULL)
        ref = state->thumbprint;
    else if (state->request_id > 0)
        ref = acme_arena_printf(ctx->arena, "request-%lld", (long long)state->request_id);
    else if (state->workflow != NULL)
        ref = acme_arena_printf(ctx->arena, "workflow-%s", state->workflow);
    else {
        *ret = NULL;
        return acme_ok();
    }
    ENSURE(ref != NULL, ACME_E_NOMEM);
    *ret = ref;
    return acme_ok();
}

struct acme_err acme_kf_follow_wait(struct kf_context *ctx, const char *note)
{
    struct kf_state *state = ctx->state;
    const char *tag = ctx->request != NULL ? ctx->request->tag : ctx->revocation->serial_hex;
    int64_t delay_ms = acme_pace_poll_ms(tag, state->polls, ctx->input->now_ms - state->accepted_ms,
                                         ctx->kf->config.poll_max_ms);
    state->polls++;
    state->failures = 0;
    if (ctx->request != NULL)
        state->phase = KF_PHASE_FOLLOW;
    return acme_kf_wait_ms(ctx, delay_ms, note);
}

/* The certificate of a request at the CA. */
static struct acme_err find_begin(struct kf_context *ctx)
{
    const char *collection = acme_kf_collection(ctx, false);
    ENSURE(collection != NULL, ACME_E_NOMEM);
    long long id = (long long)ctx->state->request_id;
    return acme_kf_call(
        ctx, KF_CALL_FIND, "GET",
        acme_arena_printf(ctx->arena,
                          "Certificates?pq.queryString=CertRequestId%%20-eq%%20%lld"
                          "&pq.includeRevoked=true&pq.includeExpired=true"
                          "&includeMetadata=true&pq.returnLimit=10%s",
                          id, collection),
        NULL, acme_arena_printf(ctx->arena, "Looking for the certificate of Keyfactor request %lld.", id));
}

struct acme_err acme_kf_follow_begin(struct kf_context *ctx)
{
    struct kf_state *state = ctx->state;
    state->phase = KF_PHASE_FOLLOW;
    bool wanted = state->withdrawing == KF_KEEP && !ctx->request->withdraw;
    if (!wanted && acme_kf_withdrawable(ctx))
        return acme_kf_withdraw_begin(
            ctx, state->withdrawing != KF_KEEP ? (enum kf_withdrawal)state->withdrawing : KF_SUPERSEDED);
    if (state->cert_id > 0 || state->thumbprint != NULL)
        return acme_kf_collect_begin(ctx);
    const char *subject = acme_kf_subject(ctx);
    ENSURE(subject != NULL, ACME_E_NOMEM);
    const char *note = acme_arena_printf(ctx->arena, "Asking Keyfactor about %s.", subject);
    if (state->workflow != NULL && !state->workflow_over)
        return acme_kf_call(ctx, KF_CALL_WORKFLOW, "GET",
                            acme_arena_printf(ctx->arena, "Workflow/Instances/%s", state->workflow), NULL,
                            note);
    if (state->request_id > 0 && !state->unlisted)
        return acme_kf_call(
            ctx, KF_CALL_REQUEST, "GET",
            acme_arena_printf(ctx->arena, "Workflow/Certificates/%lld", (long long)state->request_id), NULL,
            note);
    if (state->request_id > 0)
        return find_begin(ctx);
    ENSURE(state->workflow != NULL, ACME_E_INTERNAL);
    return acme_kf_recover_begin(ctx);
}

/* The client's administrator learns why a person said no, in that person's words. What a machine says of its
 * own trouble is for the operator. */
static struct acme_err failed(struct kf_context *ctx, const struct kf_status *status, const char *comment)
{
    const char *subject = acme_kf_subject(ctx);
    const char *words = acme_upstream_quoted(ctx->arena, &ctx->secrets, comment);
    ENSURE(subject != NULL && words != NULL, ACME_E_NOMEM);
    const char *detail = status->detail;
    if (*words != '\0' && status->problem == ACME_PROBLEM_UNAUTHORIZED) {
        const char *printable = acme_printable(ctx->arena, comment, strlen(comment), WORDS_MAX_CHARS);
        ENSURE(printable != NULL, ACME_E_NOMEM);
        detail = acme_arena_printf(ctx->arena, "%s Its comment: %s", status->detail, printable);
        ENSURE(detail != NULL, ACME_E_NOMEM);
    }
    return acme_kf_fail(ctx, status->problem, detail,
                        acme_arena_printf(ctx->arena, "Keyfactor %s %s%s.", subject, status->gist, words));
}

static struct acme_err again(struct kf_context *ctx, const struct kf_verdict *verdict)
{
    if (verdict->class == KF_VERDICT_CREDENTIALS)
        return acme_kf_wait_failure(ctx, ACME_LOGIN_FIRST_MS, ACME_LOGIN_MAX_MS, verdict->note);
    return acme_kf_wait_failure(ctx, ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS, verdict->note);
}

static struct acme_err waits(struct kf_context *ctx, const struct kf_status *status, const char *text)
{
    const char *subject = acme_kf_subject(ctx);
    ENSURE(subject != NULL, ACME_E_NOMEM);
    ctx->state->collect_since_ms = 0;
    return acme_kf_follow_wait(ctx, acme_arena_printf(ctx->arena, "Keyfactor %s %s (\"%s\").", subject,
                                                      status->gist,
                                                      acme_upstream_shown(ctx->arena, &ctx->secrets, text)));
}

/* ---- a workflow ---- */

/* Numbers that a workflow leaves in its state when it comes to its end. */
static void learn_numbers(struct kf_state *state, const cJSON *json)
{
    const cJSON *current = acme_kf_get(json, "CurrentStateData");
    int64_t cert_id = acme_kf_int(current, "KeyfactorId");
    int64_t request_id = acme_kf_int(current, "KeyfactorRequestId");
    if (cert_id > 0)
        state->cert_id = cert_id;
    if (request_id > 0)
        state->request_id = request_id;
}

struct acme_err acme_kf_workflow_reply(struct kf_context *ctx)
{
    struct kf_state *state = ctx->state;
    cJSON *json = NULL;
    struct acme_err err = acme_reply_json(ctx->arena, ctx->input->reply, &json);
    if (err.code == ACME_E_NOMEM)
        return err;
    const char *text = acme_failed(err) ? NULL : acme_kf_str(json, "Status");
    /* What its numbers mean is not documented: what it makes tells. */
    if (text == NULL && !acme_failed(err) && cJSON_IsNumber(acme_kf_get(json, "Status")))
        return acme_kf_recover_begin(ctx);
    if (text == NULL) {
        struct kf_verdict verdict;
        TRY(acme_kf_judge(ctx, KF_AT_REQUEST, &verdict));
        bool unseen = verdict.class == KF_VERDICT_GONE || ctx->input->reply->status == 403;
        if (!unseen)
            return again(ctx, &verdict);
        state->workflow_over = true; /* only what it makes can be seen */
        return acme_kf_recover_begin(ctx);
    }
    state->failures = 0;
    const struct kf_status *status = acme_kf_status_of(text);
    if (status->class == KF_STATUS_WAITING)
        return waits(ctx, status, text);
    if (status->class == KF_STATUS_FAILED)
        return failed(ctx, status, acme_kf_str(json, "StatusMessage"));
    state->workflow_over = true;
    learn_numbers(state, json);
    return acme_kf_follow_begin(ctx);
}

/* ---- a request at the CA ---- */

struct acme_err acme_kf_request_reply(struct kf_context *ctx)
{
    struct kf_state *state = ctx->state;
    cJSON *json = NULL;
    struct acme_err err = acme_reply_json(ctx->arena, ctx->input->reply, &json);
    if (err.code == ACME_E_NOMEM)
        return err;
    if (acme_failed(err) || !cJSON_IsObject(json)) {
        struct kf_verdict verdict;
        TRY(acme_kf_judge(ctx, KF_AT_REQUEST, &verdict));
        if (ctx->input->reply->status == 403)
            state->unlisted = true;
        if (ctx->input->reply->status == 403 || verdict.class == KF_VERDICT_GONE)
            return find_begin(ctx);
        return again(ctx, &verdict);
    }
    state->failures = 0;
    const char *text = acme_kf_str(json, "StateString");
    const struct kf_status *status = acme_kf_status_of(text != NULL ? text : "");
    if (status->class == KF_STATUS_FAILED)
        return failed(ctx, status, acme_kf_str(json, "DenialComment"));
    if (status->class == KF_STATUS_WAITING && status->name != NULL)
        return waits(ctx, status, text);
    return find_begin(ctx); /* issued, or a state nobody knows: then the certificate tells */
}

struct acme_err acme_kf_find_reply(struct kf_context *ctx)
{
    struct kf_state *state = ctx->state;
    cJSON *json = NULL;
    struct acme_err err = acme_reply_json(ctx->arena, ctx->input->reply, &json);
    if (err.code == ACME_E_NOMEM)
        return err;
    if (acme_failed(err) || !cJSON_IsArray(json)) {
        struct kf_verdict verdict;
        TRY(acme_kf_judge(ctx, KF_AT_LIST, &verdict));
        return again(ctx, &verdict);
    }
    state->failures = 0;
    const cJSON *found = NULL;
    const cJSON *row;
    struct acme_cert_list certs = {.count = 0};
    int best = -2;
    cJSON_ArrayForEach(row, json)
    {
        struct acme_cert_list own = {.count = 0};
        int key = 0;
        int64_t request_id = acme_kf_int(row, "CertRequestId");
        if (request_id > 0 && request_id != state->request_id) /* listed although not asked for */
            continue;
        TRY(acme_kf_row_key(ctx, row, &own, &key));
        if (acme_kf_int(row, "Id") <= 0 || key <= best)
            continue;
        best = key;
        found = row;
        certs = own;
    }
    if (found == NULL)
        return acme_kf_follow_wait(
            ctx, acme_arena_printf(ctx->arena,
                                   "Keyfactor shows no certificate of request %lld yet; it may come with its "
                                   "next synchronization with the CA.",
                                   (long long)state->request_id));
    state->cert_id = acme_kf_int(found, "Id");
    if (acme_kf_row_revoked(found))
        return acme_kf_fail(ctx, ACME_PROBLEM_SERVER_INTERNAL, TO_CLIENT_REVOKED,
                            acme_arena_printf(ctx->arena, "Keyfactor certificate %lld was revoked.",
                                              (long long)state->cert_id));
    return acme_kf_collect_take(ctx, &certs);
}
