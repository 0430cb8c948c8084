/* Renewing a certificate that Command holds (POST Enrollment/Renew). The call takes no CSR: which key the new
 * certificate has is Command's, or its CA's, decision. It is therefore made only when the order's key is that
 * of the certificate it replaces, and what comes back is used only when it has that key; in every other case
 * the order is enrolled. */
#include "backends/keyfactor/kf_internal.h"

#include <string.h>

enum { RENEW_NONE, RENEW_SEEDED, RENEW_ONE_CLICK }; /* AvailableRenewalType */

int64_t acme_kf_earlier_id(const struct kf_context *ctx)
{
    int64_t id = 0;
    (void)acme_decimal(ctx->request->earlier.upstream_ref, &id);
    return id;
}

static bool is_thumbprint(const char *text)
{
    return text != NULL && strlen(text) == 40 && strspn(text, "0123456789abcdefABCDEF") == 40;
}

bool acme_kf_renews(const struct kf_context *ctx)
{
    const struct acme_earlier *earlier = &ctx->request->earlier;
    return ctx->kf->config.renew && !ctx->state->refused && earlier->use == ACME_EARLIER_RENEW &&
           earlier->same_key && !earlier->too_late &&
           (acme_kf_earlier_id(ctx) > 0 || is_thumbprint(earlier->upstream_ref));
}

/* For people: "certificate 1207". */
static const char *earlier_name(const struct kf_context *ctx)
{
    return acme_arena_printf(ctx->arena, "certificate %s", ctx->request->earlier.upstream_ref);
}

struct acme_err acme_kf_available_begin(struct kf_context *ctx)
{
    const char *collection = acme_kf_collection(ctx, true);
    const char *name = earlier_name(ctx);
    ENSURE(collection != NULL && name != NULL, ACME_E_NOMEM);
    return acme_kf_call(ctx, KF_CALL_AVAILABLE, "GET",
                        acme_arena_printf(ctx->arena, "Enrollment/AvailableRenewal/%s/%s%s",
                                          acme_kf_earlier_id(ctx) > 0 ? "ID" : "Thumbprint",
                                          ctx->request->earlier.upstream_ref, collection),
                        NULL,
                        acme_arena_printf(ctx->arena, "Asking Keyfactor whether %s can be renewed.", name));
}

static struct acme_err renew_call(struct kf_context *ctx, bool one_click)
{
    const struct acme_keyfactor_config *config = &ctx->kf->config;
    const char *collection = acme_kf_collection(ctx, true);
    const char *name = earlier_name(ctx);
    ENSURE(collection != NULL && name != NULL, ACME_E_NOMEM);
    struct kf_body body;
    acme_kf_body_init(&body);
    if (acme_kf_earlier_id(ctx) > 0)
        acme_jw_int(&body.writer, "CertificateId", acme_kf_earlier_id(ctx));
    else
        acme_jw_str(&body.writer, "Thumbprint", ctx->request->earlier.upstream_ref);
    acme_jw_time(&body.writer, "Timestamp", ctx->input->now_ms);
    if (!one_click) {
        acme_jw_str(&body.writer, "CertificateAuthority", config->certificate_authority);
        acme_jw_str(&body.writer, "Template", config->template);
    }
    const char *text = acme_kf_body_done(ctx, &body);
    ENSURE(text != NULL, ACME_E_NOMEM);
    TRY(acme_kf_call(
        ctx, KF_CALL_RENEW, "POST", acme_arena_printf(ctx->arena, "Enrollment/Renew%s", collection), text,
        acme_arena_printf(ctx->arena, "Renewing %s in Keyfactor%s.", name, one_click ? " (one click)" : "")));
    acme_kf_once(ctx, true);
    return acme_ok();
}

struct acme_err acme_kf_renew_instead(struct kf_context *ctx, const char *why, bool failure)
{
    struct kf_state *state = ctx->state;
    ENSURE(why != NULL, ACME_E_NOMEM);
    /* What was found by name, and not in an answer to this issuance, may be somebody else's. */
    int64_t useless =
        failure && !state->by_key && state->cert_id != acme_kf_earlier_id(ctx) ? state->cert_id : 0;
    *state = (struct kf_state){.phase = KF_PHASE_ENROLL, .refused = true};
    if (useless > 0)
        acme_ids_add(&state->surplus, useless);
    if (failure)
        return acme_kf_wait_failure(ctx, ACME_SECOND_MS, ACME_SECOND_MS, why);
    TRY(acme_kf_enroll_begin(ctx));
    ctx->step->note = acme_arena_printf(ctx->arena, "%s %s", why, ctx->step->note);
    ENSURE(ctx->step->note != NULL, ACME_E_NOMEM);
    return acme_ok();
}

struct acme_err acme_kf_available_reply(struct kf_context *ctx)
{
    const struct acme_keyfactor_config *config = &ctx->kf->config;
    cJSON *json = NULL;
    struct acme_err err = acme_reply_json(ctx->arena, ctx->input->reply, &json);
    if (err.code == ACME_E_NOMEM)
        return err;
    if (acme_failed(err) || acme_kf_get(json, "AvailableRenewalType") == NULL) {
        struct kf_verdict verdict;
        TRY(acme_kf_judge(ctx, KF_AT_AVAILABLE, &verdict));
        if (verdict.class == KF_VERDICT_GONE || verdict.class == KF_VERDICT_REFUSED ||
            verdict.class == KF_VERDICT_CREDENTIALS || ctx->input->reply->status < 400)
            return acme_kf_renew_instead(ctx, verdict.note, false);
        return acme_kf_wait_failure(ctx, ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS, verdict.note);
    }
    ctx->state->failures = 0;
    if (!acme_kf_renews(ctx) || ctx->request->withdraw) /* revoked, or superseded, meanwhile */
        return acme_kf_enroll_begin(ctx);
    int64_t type = acme_kf_int(json, "AvailableRenewalType");
    if (type == RENEW_ONE_CLICK)
        return renew_call(ctx, true);
    if (type == RENEW_SEEDED && config->certificate_authority != NULL && config->template != NULL)
        return renew_call(ctx, false);
    const char *words = acme_upstream_quoted(ctx->arena, &ctx->secrets, acme_kf_str(json, "Message"));
    ENSURE(words != NULL, ACME_E_NOMEM);
    return acme_kf_renew_instead(
        ctx,
        type == RENEW_SEEDED
            ? "Keyfactor could renew it only with a CA and a template, which are not both configured."
            : acme_arena_printf(ctx->arena, "Keyfactor offers no renewal for it%s.", words),
        false);
}
