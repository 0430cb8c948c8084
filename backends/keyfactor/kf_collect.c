/* The certificate with its issuers. An enrollment brings them along; what was approved later, renewed or
 * found is downloaded. */
#include "backends/keyfactor/kf_internal.h"

#include <openssl/x509v3.h>
#include <string.h>
#include <strings.h>

/* Issued but not to be had for this long is an error and not a delay. */
#define COLLECT_PATIENCE_MS ACME_DAY_MS

#define NOT_COLLECTABLE                                                                                      \
    "The certificate authority reports the certificate as issued but does not hand it out."

static struct acme_err issued(struct kf_context *ctx, const struct acme_cert_list *certs)
{
    const char *subject = acme_kf_subject(ctx);
    ENSURE(subject != NULL, ACME_E_NOMEM);
    ctx->step->kind = ACME_STEP_ISSUED;
    ctx->step->certs = *certs;
    ctx->step->note = acme_arena_printf(ctx->arena, "Received Keyfactor %s.", subject);
    ENSURE(ctx->step->note != NULL, ACME_E_NOMEM);
    ctx->state->call = KF_CALL_NONE;
    ctx->state->certificates = NULL;
    return acme_ok();
}

/* Command may answer a renewal with the certificate that is there already. */
static struct acme_err is_earlier(const struct kf_context *ctx, X509 *leaf, bool *ret)
{
    const struct acme_earlier *earlier = &ctx->request->earlier;
    struct acme_cert_info info;
    *ret = false;
    if (!ctx->state->renewing || earlier->serial_hex == NULL)
        return acme_ok();
    struct acme_err err = acme_cert_info_read(ctx->arena, leaf, &info);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    *ret = !acme_failed(err) && strcasecmp(info.serial_hex, earlier->serial_hex) == 0;
    return acme_ok();
}

static struct acme_err later(struct kf_context *ctx, bool failure, const char *note)
{
    int64_t since_ms = ctx->state->collect_since_ms;
    if (since_ms != 0 && ctx->input->now_ms - since_ms >= COLLECT_PATIENCE_MS)
        return acme_kf_fail(ctx, ACME_PROBLEM_SERVER_INTERNAL, NOT_COLLECTABLE, note);
    TRY(acme_kf_follow_wait(ctx, note));
    ctx->step->failure = failure;
    return acme_ok();
}

struct acme_err acme_kf_collect_begin(struct kf_context *ctx)
{
    struct kf_state *state = ctx->state;
    const char *collection = acme_kf_collection(ctx, true);
    const char *subject = acme_kf_subject(ctx);
    ENSURE(collection != NULL && subject != NULL, ACME_E_NOMEM);
    ENSURE(state->cert_id > 0 || state->thumbprint != NULL, ACME_E_INTERNAL);
    state->phase = KF_PHASE_COLLECT;
    if (state->collect_since_ms == 0) {
        state->collect_since_ms = ctx->input->now_ms;
        state->polls = 0; /* what follows takes seconds, however long the approval took */
    }
    struct kf_body body;
    acme_kf_body_init(&body);
    if (state->cert_id > 0)
        acme_jw_int(&body.writer, "CertID", state->cert_id);
    else
        acme_jw_str(&body.writer, "Thumbprint", state->thumbprint);
    acme_jw_bool(&body.writer, "IncludeChain", true);
    acme_jw_str(&body.writer, "ChainOrder", "EndEntityFirst");
    const char *text = acme_kf_body_done(ctx, &body);
    ENSURE(text != NULL, ACME_E_NOMEM);
    TRY(acme_kf_call(ctx, KF_CALL_DOWNLOAD, "POST",
                     acme_arena_printf(ctx->arena, "Certificates/Download%s", collection), text,
                     acme_arena_printf(ctx->arena, "Keyfactor %s is issued; downloading it.", subject)));
    return acme_kf_format(ctx, state->plain_format ? "PEM" : "P7B");
}

static bool has_leaf(const struct acme_cert_list *certs)
{
    for (size_t i = 0; i < certs->count; i++) {
        if (X509_check_ca(certs->certs[i]) == 0)
            return true;
    }
    return false;
}

struct acme_err acme_kf_collect_take(struct kf_context *ctx, const struct acme_cert_list *certs)
{
    struct kf_state *state = ctx->state;
    struct acme_cert_list chain;
    bool downloaded = state->call == KF_CALL_DOWNLOAD;
    struct acme_err err = acme_chain_build(certs, ctx->request->csr->spki_sha256, &chain);
    if (!acme_failed(err)) {
        bool earlier = false;
        TRY(is_earlier(ctx, chain.certs[0], &earlier));
        return earlier ? acme_kf_renew_instead(
                             ctx, "Keyfactor did not renew the certificate but sent the earlier one.", false)
                       : issued(ctx, certs);
    }
    if (err.code != ACME_E_NOT_FOUND && err.code != ACME_E_FORMAT)
        return err;
    const char *subject = acme_kf_subject(ctx);
    ENSURE(subject != NULL, ACME_E_NOMEM);
    if (err.code == ACME_E_NOT_FOUND && has_leaf(certs)) {
        if (!state->renewing) /* for the check of every certificate to say */
            return issued(ctx, certs);
        return acme_kf_renew_instead(
            ctx,
            acme_arena_printf(
                ctx->arena,
                "Keyfactor renewed with another key (%s), which no client has: not used%s. Set "
                "renew: false for this issuer if this is always so. Requesting a new certificate "
                "instead.",
                subject, state->cert_id > 0 && !state->by_key ? ", and revoked" : "; revoke it there"),
            true);
    }
    if (downloaded)
        return later(ctx, true,
                     acme_arena_printf(ctx->arena,
                                       "What Keyfactor sends for %s lacks the certificate or its issuers; it "
                                       "will be asked again.",
                                       subject));
    if (certs->count > 0) {
        state->certificates = acme_chain_pem(ctx->arena, certs);
        ENSURE(state->certificates != NULL, ACME_E_NOMEM);
    }
    return acme_kf_collect_begin(ctx);
}

static struct acme_err judge_failure(struct kf_context *ctx)
{
    struct kf_verdict verdict;
    TRY(acme_kf_judge(ctx, KF_AT_DOWNLOAD, &verdict));
    if (verdict.class == KF_VERDICT_REFUSED && !ctx->state->plain_format) {
        ctx->state->plain_format = true;
        return acme_kf_collect_begin(ctx);
    }
    if (verdict.class == KF_VERDICT_CREDENTIALS)
        return acme_kf_wait_failure(ctx, ACME_LOGIN_FIRST_MS, ACME_LOGIN_MAX_MS, verdict.note);
    return later(ctx, verdict.class != KF_VERDICT_GONE, verdict.note);
}

struct acme_err acme_kf_download_reply(struct kf_context *ctx)
{
    struct acme_cert_list certs = {.count = 0};
    cJSON *json = NULL;
    struct acme_err err = acme_reply_json(ctx->arena, ctx->input->reply, &json);
    if (err.code == ACME_E_NOMEM)
        return err;
    const char *content = acme_failed(err) ? NULL : acme_kf_str(json, "Content");
    if (content == NULL)
        return judge_failure(ctx);
    ctx->state->failures = 0;
    struct acme_cert_list all = {.count = 0};
    const char *texts[] = {ctx->state->certificates, content};
    for (size_t i = 0; i < 2; i++) {
        err = texts[i] != NULL ? acme_kf_certs_add(ctx->arena, texts[i], &all) : acme_ok();
        if (!acme_failed(err) && i == 1)
            err = acme_kf_certs_add(ctx->arena, content, &certs);
        if (err.code == ACME_E_NOMEM)
            return err;
    }
    /* A certificate of somebody else is not healed by what came before: all of it is suspect. */
    bool other = has_leaf(&certs) && acme_kf_certs_leaf(&certs, ctx->request->csr->spki_sha256) == NULL;
    return acme_kf_collect_take(ctx, other ? &certs : &all);
}
