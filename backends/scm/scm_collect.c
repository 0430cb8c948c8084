/* Fetching the certificate once SCM says Issued. Collect lags behind the status, says "not yet" in many ways,
 * and sends root-first, leaf-only or PKCS#7 bodies whatever the format asked for; all of that is taken. */
#include "backends/scm/scm_internal.h"

#include <string.h>

/* Issued but not to be had for this long is an error and not a delay. */
#define COLLECT_PATIENCE_MS ACME_DAY_MS

#define NOT_COLLECTABLE                                                                                      \
    "The certificate authority reports the certificate as issued but does not hand it out."

struct acme_err acme_scm_collect_begin(struct scm_context *ctx, bool replaced)
{
    struct scm_state *state = ctx->state;
    state->phase = SCM_PHASE_COLLECT;
    state->replaced = replaced;
    state->certificates = NULL;
    if (state->collect_since_ms == 0) {
        state->collect_since_ms = ctx->input->now_ms;
        state->polls = 0; /* what follows takes seconds, however long the approval took */
    }
    return acme_scm_call(
        ctx, SCM_CALL_COLLECT, "GET",
        acme_arena_printf(ctx->arena, "/collect/%lld?format=x509", (long long)state->ssl_id), NULL,
        acme_arena_printf(ctx->arena, "SCM request %lld is issued; collecting the certificate.",
                          (long long)state->ssl_id));
}

/* Not (fully) there: the status is asked again first, since some refusals are also what a dead request gets.
 */
static struct acme_err later(struct scm_context *ctx, bool failure, const char *note)
{
    int64_t since_ms = ctx->state->collect_since_ms;
    if (since_ms != 0 && ctx->input->now_ms - since_ms >= COLLECT_PATIENCE_MS)
        return acme_scm_fail(ctx, ACME_PROBLEM_SERVER_INTERNAL, NOT_COLLECTABLE, note);
    TRY(acme_scm_follow_wait(ctx, note));
    ctx->step->failure = failure;
    return acme_ok();
}

static struct acme_err judge_failure(struct scm_context *ctx)
{
    struct scm_verdict verdict;
    TRY(acme_scm_judge(ctx, SCM_AT_COLLECT, &verdict));
    switch (verdict.class) {
    case SCM_VERDICT_FINAL:
        return acme_scm_fail(ctx, verdict.problem, verdict.detail, verdict.note);
    case SCM_VERDICT_NOT_YET:
    case SCM_VERDICT_STATE:
    case SCM_VERDICT_GONE:
        return later(ctx, false, verdict.note);
    case SCM_VERDICT_CREDENTIALS:
        return acme_scm_wait_failure(ctx, ACME_LOGIN_FIRST_MS, ACME_LOGIN_MAX_MS, verdict.note);
    case SCM_VERDICT_RETRY:
    case SCM_VERDICT_UNKNOWN:
    case SCM_VERDICT_DONE: /* of revocations only */
    case SCM_VERDICT_ANEW: /* of renewals and replacements only */
        break;
    }
    /* At the polling pace: the status, asked in between, answers well and would reset a back-off each time.
     */
    TRY(acme_scm_follow_wait(ctx, verdict.note));
    ctx->step->failure = true;
    return acme_ok();
}

static struct acme_err issued(struct scm_context *ctx, const struct acme_cert_list *certs)
{
    struct acme_step *step = ctx->step;
    step->kind = ACME_STEP_ISSUED;
    step->certs = *certs;
    step->note = acme_arena_printf(ctx->arena, "Collected the certificate of SCM request %lld.",
                                   (long long)ctx->state->ssl_id);
    ENSURE(step->note != NULL, ACME_E_NOMEM);
    ctx->state->call = SCM_CALL_NONE;
    ctx->state->certificates = NULL;
    return acme_ok();
}

/* For a usable 2xx body; *ret_step tells that the step has been decided instead. */
static struct acme_err read_certs(struct scm_context *ctx, struct acme_cert_list *ret_certs, bool *ret_step)
{
    const struct acme_http_reply *reply = ctx->input->reply;
    long long ssl_id = (long long)ctx->state->ssl_id;
    *ret_step = true;
    if (reply->status < 200 || reply->status > 299)
        return judge_failure(ctx);
    if (reply->body.len == 0)
        return later(ctx, false,
                     acme_arena_printf(ctx->arena,
                                       "SCM request %lld is issued but the certificate is not ready "
                                       "for collection: the body was empty.",
                                       ssl_id));
    struct acme_err err = acme_certs_read(ctx->arena, reply->body, ret_certs);
    if (err.code == ACME_E_FORMAT && reply->body.data[0] == '{') /* an error document under a good status */
        return judge_failure(ctx);
    if (err.code == ACME_E_FORMAT || err.code == ACME_E_LIMIT)
        return later(ctx, true,
                     acme_arena_printf(ctx->arena,
                                       "What SCM sent for request %lld holds no readable "
                                       "certificates (%zu bytes); it will be asked again.",
                                       ssl_id, reply->body.len));
    TRY(err);
    ctx->state->failures = 0;
    *ret_step = false;
    return acme_ok();
}

struct acme_err acme_scm_collect_reply(struct scm_context *ctx)
{
    struct scm_state *state = ctx->state;
    struct acme_cert_list certs = {0};
    struct acme_cert_list chain;
    bool decided = false;
    struct acme_err err = read_certs(ctx, &certs, &decided);
    if (acme_failed(err) || decided)
        return err;

    err = acme_chain_build(&certs, ctx->request->csr->spki_sha256, &chain);
    if (err.code == ACME_E_NOT_FOUND && state->replacing)
        return later(ctx, false,
                     acme_arena_printf(
                         ctx->arena, "SCM still hands out the certificate of request %lld that was replaced.",
                         (long long)state->ssl_id));
    if (err.code == ACME_E_NOT_FOUND && state->replaced)
        return acme_scm_fail(
            ctx, ACME_PROBLEM_SERVER_INTERNAL,
            "The certificate was replaced by one for another key before it could be handed out.",
            acme_arena_printf(ctx->arena,
                              "SCM request %lld was replaced and its certificate is "
                              "for another key than the order's.",
                              (long long)state->ssl_id));
    if (err.code !=
        ACME_E_FORMAT) /* whole, or of another key, which is for the check of every certificate to say */
        return issued(ctx, &certs);

    state->certificates = acme_chain_pem(ctx->arena, &certs);
    ENSURE(state->certificates != NULL, ACME_E_NOMEM);
    return acme_scm_call(
        ctx, SCM_CALL_ISSUERS, "GET",
        acme_arena_printf(ctx->arena, "/collect/%lld?format=x509IO", (long long)state->ssl_id), NULL,
        acme_arena_printf(ctx->arena,
                          "SCM sent the certificate of request %lld without its "
                          "issuers; fetching those.",
                          (long long)state->ssl_id));
}

static bool have_cert(const struct acme_cert_list *list, const X509 *cert)
{
    for (size_t i = 0; i < list->count; i++) {
        if (X509_cmp(list->certs[i], cert) == 0)
            return true;
    }
    return false;
}

struct acme_err acme_scm_collect_issuers_reply(struct scm_context *ctx)
{
    const char *earlier = ctx->state->certificates;
    if (earlier == NULL) /* the state is older than this reply */
        return acme_scm_follow_begin(ctx);
    struct acme_cert_list issuers = {0};
    struct acme_cert_list all = {0};
    struct acme_cert_list chain;
    bool decided = false;
    struct acme_bytes pem = {.data = (const uint8_t *)earlier, .len = strlen(earlier)};
    struct acme_err err = read_certs(ctx, &issuers, &decided);
    if (acme_failed(err) || decided)
        return err;
    TRY(acme_certs_read(ctx->arena, pem, &all));
    for (size_t i = 0; i < issuers.count; i++) {
        if (all.count < ACME_CHAIN_MAX_CERTS && !have_cert(&all, issuers.certs[i]))
            all.certs[all.count++] = issuers.certs[i];
    }
    err = acme_chain_build(&all, ctx->request->csr->spki_sha256, &chain);
    if (err.code == ACME_E_FORMAT)
        return later(ctx, true,
                     acme_arena_printf(ctx->arena,
                                       "SCM does not send all issuers of the certificate of request "
                                       "%lld; it will be asked again.",
                                       (long long)ctx->state->ssl_id));
    return issued(ctx, &all);
}
