#include "protocol/object_json.h"

#include "base/b64url.h"
#include "base/id.h"
#include "base/sha256.h"
#include "certs/csr.h"

#include <string.h>

static struct acme_err bad_csr(struct acme_exchange *x, struct acme_err err, const char *why)
{
    if (err.code == ACME_E_NOMEM || err.code == ACME_E_CRYPTO || err.code == ACME_E_INTERNAL)
        return err;
    /* `why` may quote the CSR, which is foreign. */
    return acme_exchange_refuse(x, ACME_PROBLEM_BAD_CSR, "The CSR cannot be accepted: %s",
                                acme_exchange_show(x, why));
}

static struct acme_err decode_csr(struct acme_exchange *x, struct acme_bytes *ret)
{
    const char *text = acme_json_str(x->payload, "csr");
    if (text == NULL)
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED,
                                    "finalize needs a JSON object with the string csr as payload");
    if (strstr(text, "-----BEGIN") != NULL)
        return acme_exchange_refuse(x, ACME_PROBLEM_BAD_CSR,
                                    "csr must be the DER form in base64url, not PEM");
    struct acme_err err = acme_b64url_decode(x->arena, text, strlen(text), ret);
    if (err.code == ACME_E_FORMAT)
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED, "csr is not unpadded base64url");
    return err;
}

static const char *sha256_hex(struct acme_arena *arena, struct acme_bytes data)
{
    uint8_t digest[ACME_SHA256_SIZE];
    if (acme_failed(acme_sha256(data.data, data.len, digest)))
        return NULL;
    return acme_hex_encode(arena, digest, sizeof digest, false);
}

static struct acme_err not_ready(struct acme_exchange *x, const struct acme_order *order)
{
    static const char *const advice[] = {
        [ACME_ORDER_PENDING] = "complete its authorizations first",
        [ACME_ORDER_READY] = "try again",
        [ACME_ORDER_PROCESSING] =
            "it was finalized with another CSR; poll it, or make a new order for this CSR",
        [ACME_ORDER_VALID] = "its certificate was issued for another CSR; make a new order for this CSR",
        [ACME_ORDER_INVALID] = "make a new one; this order's error says what went wrong",
    };
    return acme_exchange_refuse(x, ACME_PROBLEM_ORDER_NOT_READY, "The order is %s, not ready: %s",
                                acme_order_status_name(order->status), advice[order->status]);
}

/* Asked when the store has found one that has ended meanwhile. */
static struct acme_err name_ended_authorization(struct acme_exchange *x, const struct acme_order *order)
{
    for (size_t i = 0; i < order->authz_count; i++) {
        struct acme_authz authz;
        TRY(acme_store_authz_get(x->service->store, x->arena, order->authz_ids[i], &authz));
        TRY(acme_authz_as_of_now(x, &authz));
        if (authz.status != ACME_AUTHZ_VALID)
            return acme_exchange_refuse(x, ACME_PROBLEM_ORDER_NOT_READY,
                                        "The authorization for %s is no longer valid; make a new order",
                                        authz.identifier.value);
    }
    return acme_err(ACME_E_INTERNAL);
}

/* Whoever holds an account's key must not be able to speak for a server too, and the other way round (RFC
 * 8555 section 11.1). */
static struct acme_err refuse_account_key(struct acme_exchange *x, const struct acme_csr *csr,
                                          const char **ret_why)
{
    bool taken = false;
    TRY(acme_account_key_is_taken(x, csr->key, csr->key_octets, &taken));
    if (!taken)
        return acme_ok();
    *ret_why = "the certificate key is the key of an account of this server";
    return acme_err(ACME_E_DENIED);
}

static struct acme_err check_csr(struct acme_exchange *x, const struct acme_order *order,
                                 struct acme_bytes der, const struct acme_key_policy *keys,
                                 struct acme_csr *ret)
{
    const char *why = "it is damaged";
    struct acme_err err = acme_csr_parse(x->arena, der, ret, &why);
    if (!acme_failed(err))
        err = acme_csr_check(x->arena, ret, order->identifiers, order->identifier_count, keys, x->key, &why);
    if (!acme_failed(err))
        err = acme_blocked_keys_check(x->service->config->blocked_keys, ret->key, &why);
    if (!acme_failed(err))
        err = refuse_account_key(x, ret, &why);
    return acme_failed(err) ? bad_csr(x, err, why) : err;
}

/* Some upstreams make the keys themselves: only with one of these can the certificate carry the CSR's key. */
static struct acme_err check_key_place(struct acme_exchange *x, const struct acme_order *order,
                                       const struct acme_profile *profile, const struct acme_csr *csr)
{
    const struct acme_service_hooks *hooks = &x->service->hooks;
    const char *why = NULL;
    if (profile->key_at_edge || hooks->csr_key_allowed == NULL ||
        hooks->csr_key_allowed(hooks->context, x->arena, profile, csr->spki_sha256, order->created_ms, &why))
        return acme_ok();
    ENSURE(why != NULL, ACME_E_NOMEM);
    acme_log(INFO, "finalize refused, the upstream has not made the CSR's key",
             LOG_STR("account", order->account_id), LOG_STR("order", order->id),
             LOG_STR("profile", profile->name));
    return acme_exchange_refuse(x, ACME_PROBLEM_BAD_CSR, "The CSR cannot be accepted: %s", why);
}

static const char *const outcome_names[] = {
    [ACME_FINALIZE_STARTED] = "started",   [ACME_FINALIZE_ISSUED] = "issued",
    [ACME_FINALIZE_JOINED] = "joined",     [ACME_FINALIZE_ADOPTED] = "adopted",
    [ACME_FINALIZE_REPEATED] = "repeated",
};

/* A certificate that ended so recently is still the one to renew. */
#define RENEW_AFTER_END_MS (30 * ACME_DAY_MS)

static const char *superseded_error(struct acme_exchange *x)
{
    return acme_problem_json(
        x->arena,
        &(struct acme_problem){
            .type = ACME_PROBLEM_ORDER_NOT_READY,
            .detail = "A newer order of this account for the same names, with another key, took this "
                      "one's place before its certificate was issued; use the newer order"});
}

static void log_effects(const struct acme_order *order, const struct acme_finalize_effects *effects)
{
    for (size_t i = 0; i < effects->superseded_count; i++)
        acme_log(
            INFO,
            "an order with another key takes the place of an earlier one that nobody asks about; what is "
            "upstream for that is withdrawn",
            LOG_STR("order", order->id), LOG_STR("superseded", effects->superseded[i]));
    if (effects->continuation == ACME_CONTINUE_REPLACE)
        acme_log(INFO, "the order's key is to replace that of a certificate nobody fetched",
                 LOG_STR("order", order->id), LOG_STR("predecessor", effects->predecessor_id));
    if (effects->continuation == ACME_CONTINUE_RENEW)
        acme_log(INFO, "the order is to renew an earlier certificate", LOG_STR("order", order->id),
                 LOG_STR("predecessor", effects->predecessor_id));
}

/* What tells wishes for the same names apart. When the key stays at the edge the CSR's does not matter: a
 * client that gave up and comes back, with a new key as many do, wants what is under way. */
static const char *wanted_key(struct acme_exchange *x, const struct acme_profile *profile,
                              const struct acme_csr *csr)
{
    return profile->key_at_edge ? ACME_KEY_AT_EDGE
                                : acme_hex_encode(x->arena, csr->spki_sha256, sizeof csr->spki_sha256, false);
}

static bool issue_at_once(struct acme_exchange *x, const struct acme_profile *profile,
                          const struct acme_issuance *issuance, const struct acme_csr *csr,
                          struct acme_certificate *ret)
{
    const struct acme_service_hooks *hooks = &x->service->hooks;
    return hooks->issue_at_once != NULL &&
           hooks->issue_at_once(hooks->context, x->arena, profile, issuance, csr, ret);
}

/* Whatever the store made of it: one that was not needed is nobody's and is forgotten. */
static void tell_of_certificate(struct acme_exchange *x, const struct acme_order *order,
                                const struct acme_certificate *certificate,
                                enum acme_finalize_outcome outcome)
{
    const struct acme_service_hooks *hooks = &x->service->hooks;
    bool kept = outcome == ACME_FINALIZE_ISSUED;
    acme_log(INFO, kept ? "certificate issued" : "a certificate that was just signed is not needed",
             LOG_STR("order", order->id), LOG_STR("certificate", certificate->id),
             LOG_STR("serial", certificate->serial_hex), LOG_STR("issuer", certificate->issuer));
    for (size_t i = 0; kept && i < certificate->deployment_count; i++)
        hooks->jobs_due(hooks->context, certificate->deployments[i].queue);
}

static struct acme_err commit(struct acme_exchange *x, const struct acme_profile *profile,
                              const struct acme_csr *csr, struct acme_order *order,
                              enum acme_finalize_outcome *ret_outcome)
{
    const struct acme_service *service = x->service;
    char issuance_id[ACME_ID_SIZE];
    char job_id[ACME_ID_SIZE];
    TRY(acme_id_new(service->clock, issuance_id));
    TRY(acme_id_new(service->clock, job_id));
    const struct acme_issuance issuance = {
        .id = issuance_id,
        .account_id = order->account_id,
        .order_id = order->id,
        .profile = profile->name,
        .issuer = profile->issuer,
        .status = ACME_ISSUANCE_PENDING,
        .names_digest = acme_identifiers_digest(x->arena, order->identifiers, order->identifier_count),
        .spki_sha256 = wanted_key(x, profile, csr),
        .csr_sha256 = acme_hex_encode(x->arena, csr->sha256, sizeof csr->sha256, false),
        .csr = csr->der,
        .identifiers = order->identifiers,
        .identifier_count = order->identifier_count,
        .not_before_ms = order->not_before_ms,
        .not_after_ms = order->not_after_ms,
        .created_ms = x->now_ms,
        .deadline_ms = x->now_ms + profile->issue_deadline_ms,
    };
    ENSURE(issuance.names_digest != NULL && issuance.spki_sha256 != NULL && issuance.csr_sha256 != NULL,
           ACME_E_NOMEM);
    const struct acme_job job = {
        .id = job_id,
        .kind = ACME_JOB_ISSUE,
        .subject_id = issuance_id,
        .queue = profile->issuer,
        .share = order->account_id,
        .run_at_ms = x->now_ms,
        .created_ms = x->now_ms,
    };
    const struct acme_lease lease = {
        .owner = service->config->job_owner,
        .until_ms = x->now_ms + service->config->job_lease_ms,
    };
    const char *superseded = superseded_error(x);
    ENSURE(superseded != NULL, ACME_E_NOMEM);
    const struct acme_finalize_rules rules = {
        .now_ms = x->now_ms,
        .adopt_since_ms = x->now_ms - service->config->adopt_window_ms,
        .supersede_before_ms = profile->supersede_after_ms > 0 ? x->now_ms - profile->supersede_after_ms : 0,
        .replace = profile->replace,
        .renew_since_ms = profile->renew ? x->now_ms - RENEW_AFTER_END_MS : 0,
        .renew_same_key = profile->renew_same_key,
        .superseded_error = superseded,
    };
    struct acme_finalize_effects effects = {.superseded_count = 0};
    struct acme_certificate certificate;
    bool issued = issue_at_once(x, profile, &issuance, csr, &certificate);
    struct acme_err err = issued ? acme_store_order_issue(service->store, x->arena, &issuance, &certificate,
                                                          &rules, order, ret_outcome, &effects)
                                 : acme_store_order_finalize(service->store, x->arena, &issuance, &job,
                                                             &lease, &rules, order, ret_outcome, &effects);
    if (err.code == ACME_E_STATE) /* it changed since it was read */
        return not_ready(x, order);
    if (err.code == ACME_E_DENIED)
        return name_ended_authorization(x, order);
    TRY(err);
    acme_log(INFO, "order finalized", LOG_STR("account", order->account_id), LOG_STR("order", order->id),
             LOG_STR("outcome", outcome_names[*ret_outcome]), LOG_STR("issuance", order->issuance_id),
             LOG_STR("key", profile->key_at_edge ? "stays at the edge" : NULL));
    log_effects(order, &effects);
    if (issued)
        tell_of_certificate(x, order, &certificate, *ret_outcome);
    if (*ret_outcome == ACME_FINALIZE_STARTED)
        service->hooks.job_created(service->hooks.context, &job);
    return acme_ok();
}

static struct acme_err finalize_ready(struct acme_exchange *x, struct acme_bytes der,
                                      struct acme_order *order)
{
    const struct acme_profile *profile = acme_profile_find(x->service, order->profile);
    if (profile == NULL)
        return acme_exchange_refuse(x, ACME_PROBLEM_INVALID_PROFILE,
                                    "The order's profile \"%s\" is no longer offered; make a new order",
                                    order->profile);
    struct acme_csr csr;
    TRY(check_csr(x, order, der, &profile->keys, &csr));
    TRY(check_key_place(x, order, profile, &csr));
    enum acme_finalize_outcome outcome = ACME_FINALIZE_REPEATED;
    TRY(commit(x, profile, &csr, order, &outcome));
    /* A quick CA then answers at once; with a repetition nothing new is under way. */
    bool fresh = outcome == ACME_FINALIZE_STARTED || outcome == ACME_FINALIZE_JOINED;
    if (fresh && order->status == ACME_ORDER_PROCESSING && x->service->config->finalize_hold_ms > 0) {
        x->response->hold = ACME_HOLD_ORDER;
        x->response->hold_id = order->id;
        x->response->hold_ms = x->service->config->finalize_hold_ms;
    }
    return acme_ok();
}

/* RFC 8555 section 7.4 wants every finalize of an order that is not ready refused; a repetition of the very
 * same one is answered with the order, because clients repeat it after a lost answer or their restart:
 * processing, valid, or invalid with the error that says why nothing was issued. */
struct acme_err acme_order_finalize(struct acme_exchange *x)
{
    struct acme_order order;
    TRY(acme_order_load(x, &order));
    struct acme_bytes der;
    TRY(decode_csr(x, &der));
    if (order.status == ACME_ORDER_READY) {
        TRY(finalize_ready(x, der, &order));
        return acme_order_respond(x, 200, &order);
    }
    if (order.csr_sha256 != NULL) {
        const char *digest = sha256_hex(x->arena, der);
        ENSURE(digest != NULL, ACME_E_NOMEM);
        if (strcmp(digest, order.csr_sha256) == 0) {
            acme_order_note_seen(x, &order);
            return acme_order_respond(x, 200, &order);
        }
    }
    return not_ready(x, &order);
}
