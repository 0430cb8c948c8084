/* revokeCert (RFC 8555 section 7.6). Who may: the account that ordered the certificate, whoever holds its
 * key, and an account that holds valid authorizations for all its names. */
#include "protocol/exchange.h"

#include "base/b64url.h"
#include "base/id.h"
#include "certs/chain.h"

#include <string.h>

/* Of the reasons in RFC 5280 section 5.3.1 those that the subscriber of a certificate can give. */
enum { REASON_UNSPECIFIED = 0 };
static const int allowed_reasons[] = {REASON_UNSPECIFIED, 1, 3, 4, 5};
#define ALLOWED_REASONS                                                                                      \
    "0 (unspecified), 1 (keyCompromise), 3 (affiliationChanged), 4 (superseded), 5 (cessationOfOperation)"

/* What the request is about. */
struct presented {
    X509 *cert;
    struct acme_bytes der;
    struct acme_cert_info info;
    int reason;
};

static struct acme_err read_reason(struct acme_exchange *x, int *ret)
{
    int64_t reason = REASON_UNSPECIFIED;
    if (acme_json_get(x->payload, "reason") != NULL && !acme_json_int(x->payload, "reason", &reason))
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED, "reason must be a whole number, or left out");
    for (size_t i = 0; i < sizeof allowed_reasons / sizeof *allowed_reasons; i++) {
        if (reason == allowed_reasons[i]) {
            *ret = allowed_reasons[i];
            return acme_ok();
        }
    }
    return acme_exchange_refuse(
        x, ACME_PROBLEM_BAD_REVOCATION_REASON,
        "The revocation reason %lld cannot be given here; allowed are " ALLOWED_REASONS, (long long)reason);
}

static struct acme_err read_certificate(struct acme_exchange *x, struct presented *ret)
{
    const char *text = acme_json_str(x->payload, "certificate");
    if (text == NULL)
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED,
                                    "revokeCert needs a JSON object with the string certificate as payload");
    if (strstr(text, "-----BEGIN") != NULL)
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED,
                                    "certificate must be the DER form in base64url, not PEM");
    struct acme_err err = acme_b64url_decode(x->arena, text, strlen(text), &ret->der);
    if (err.code == ACME_E_FORMAT)
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED, "certificate is not unpadded base64url");
    TRY(err);
    err = acme_cert_parse(x->arena, ret->der, &ret->cert);
    if (!acme_failed(err))
        err = acme_cert_info_read(x->arena, ret->cert, &ret->info);
    if (err.code == ACME_E_FORMAT)
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED,
                                    "certificate is not one X.509 certificate in DER");
    return err;
}

/* Errors: NOT_FOUND unless it is the very leaf that was handed out. */
static struct acme_err find(struct acme_exchange *x, const struct presented *presented,
                            struct acme_certificate *ret)
{
    struct acme_certificate found;
    struct acme_cert_list chain = {.count = 0};
    struct acme_bytes leaf;
    TRY(acme_store_certificate_find(x->service->store, x->arena, presented->info.serial_hex,
                                    presented->info.sha256_hex, &found));
    const struct acme_bytes pem = {.data = (const uint8_t *)found.chain, .len = strlen(found.chain)};
    struct acme_err err = acme_certs_read(x->arena, pem, &chain);
    if (acme_failed(err) || chain.count == 0) /* we wrote it */
        return err.code == ACME_E_NOMEM ? err : acme_err(ACME_E_INTERNAL);
    TRY(acme_cert_der(x->arena, chain.certs[0], &leaf));
    ENSURE(presented->der.data != NULL && leaf.len == presented->der.len &&
               memcmp(leaf.data, presented->der.data, leaf.len) == 0,
           ACME_E_NOT_FOUND);
    *ret = found;
    return acme_ok();
}

static struct acme_err unknown(struct acme_exchange *x)
{
    struct acme_err err =
        acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED,
                             "This server has not issued this certificate; revoke it at the CA that has");
    x->problem.status = 404;
    return err;
}

static struct acme_err covers_names(struct acme_exchange *x, const struct presented *presented, bool *ret)
{
    struct acme_identifier *names = NULL;
    size_t count = 0;
    struct acme_err err = acme_cert_names(x->arena, presented->cert, &names, &count);
    if (err.code == ACME_E_FORMAT || err.code == ACME_E_LIMIT) { /* no authorization can be for these */
        *ret = false;
        return acme_ok();
    }
    TRY(err);
    return acme_store_authz_covers(x->service->store, x->arena, x->account.id, names, count, x->now_ms, ret);
}

/* Whether a certificate of other people exists here is told to nobody: who has no right to its names is
 * refused alike with a certificate this server has never seen. */
static struct acme_err authorize(struct acme_exchange *x, const struct presented *presented,
                                 struct acme_certificate *ret)
{
    if (x->account.id == NULL) {
        if (!acme_cert_has_key(presented->cert, x->key))
            return acme_exchange_refuse(
                x, ACME_PROBLEM_UNAUTHORIZED,
                "The key in jwk is not the certificate's; sign with the certificate's "
                "key, or by kid with an account");
        struct acme_err err = find(x, presented, ret);
        return err.code == ACME_E_NOT_FOUND ? unknown(x) : err;
    }
    struct acme_err err = find(x, presented, ret);
    bool known = !acme_failed(err);
    if (err.code != ACME_E_NOT_FOUND)
        TRY(err);
    if (known && strcmp(ret->account_id, x->account.id) == 0)
        return acme_ok();
    bool covered = false;
    TRY(covers_names(x, presented, &covered));
    if (!covered)
        return acme_exchange_refuse(
            x, ACME_PROBLEM_UNAUTHORIZED,
            "This account has not ordered this certificate here and does not hold valid authorizations for "
            "all its names; sign with the account that ordered it or with the certificate's key");
    return known ? acme_ok() : unknown(x);
}

static struct acme_err already_revoked(struct acme_exchange *x)
{
    return acme_exchange_refuse(x, ACME_PROBLEM_ALREADY_REVOKED, "This certificate has been revoked already");
}

static struct acme_err start(struct acme_exchange *x, const struct acme_certificate *certificate, int reason,
                             enum acme_revoke_outcome *ret_outcome)
{
    const struct acme_service *service = x->service;
    char job_id[ACME_ID_SIZE];
    TRY(acme_id_new(service->clock, job_id));
    const struct acme_job job = {
        .id = job_id,
        .kind = ACME_JOB_REVOKE,
        .subject_id = certificate->id,
        .queue = certificate->issuer,
        .share = certificate->account_id,
        .run_at_ms = x->now_ms,
        .created_ms = x->now_ms,
    };
    const struct acme_lease lease = {
        .owner = service->config->job_owner,
        .until_ms = x->now_ms + service->config->job_lease_ms,
    };
    TRY(acme_store_revocation_start(service->store, x->arena, certificate, reason, &job, &lease, x->now_ms,
                                    ret_outcome));
    if (*ret_outcome != ACME_REVOKE_STARTED)
        return acme_ok();
    acme_log(INFO, "revocation requested", LOG_STR("account", x->account.id),
             LOG_STR("certificate", certificate->id), LOG_STR("serial", certificate->serial_hex),
             LOG_INT("reason", reason));
    service->hooks.job_created(service->hooks.context, &job);
    return acme_ok();
}

struct acme_err acme_revocation_respond(struct acme_exchange *x, const char *certificate_id)
{
    struct acme_revocation revocation;
    TRY(acme_store_revocation_get(x->service->store, x->arena, certificate_id, &revocation));
    if (revocation.status == ACME_REVOCATION_FAILED) {
        cJSON *error = NULL;
        ENSURE(revocation.error != NULL, ACME_E_INTERNAL);
        TRY(acme_json_parse(x->arena, revocation.error, strlen(revocation.error), &error));
        const char *detail = acme_json_str(error, "detail");
        return acme_exchange_refuse(x, ACME_PROBLEM_SERVER_INTERNAL, "The certificate was not revoked: %s",
                                    detail != NULL ? detail : "the certificate authority refused");
    }
    x->response->status = 200; /* and nothing else: clients look for an empty body */
    return acme_ok();
}

struct acme_err acme_certificate_revoke(struct acme_exchange *x)
{
    struct presented presented = {.reason = REASON_UNSPECIFIED};
    struct acme_certificate certificate;
    TRY(read_certificate(x, &presented));
    TRY(read_reason(x, &presented.reason));
    TRY(authorize(x, &presented, &certificate));
    if (certificate.not_after_ms <= x->now_ms)
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED,
                                    "The certificate has expired; there is nothing left to revoke");
    enum acme_revoke_outcome outcome = ACME_REVOKE_ALREADY;
    TRY(start(x, &certificate, presented.reason, &outcome));
    if (outcome == ACME_REVOKE_ALREADY)
        return already_revoked(x);
    x->response->status = 200;
    /* The issuer may refuse, and a quick one says so in time. */
    if (x->service->config->finalize_hold_ms > 0) {
        x->response->hold = ACME_HOLD_REVOCATION;
        x->response->hold_id = certificate.id;
        x->response->hold_ms = x->service->config->finalize_hold_ms;
    }
    return acme_ok();
}
