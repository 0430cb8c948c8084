#include "server/delivery.h"

#include "base/id.h"
#include "base/log.h"
#include "server/deploy_plan.h"

#include <string.h>

enum { CHAIN_FOR_CLIENTS = 5 };

/* The dates an order asked for, to the second. */
static struct acme_err check_dates(const struct acme_issuance *issuance, const struct acme_cert_info *leaf,
                                   const char **ret_why)
{
    if (issuance->not_before_ms != 0 && leaf->not_before_ms != issuance->not_before_ms)
        *ret_why = "its notBefore is not the one of the order";
    else if (issuance->not_after_ms != 0 && leaf->not_after_ms != issuance->not_after_ms)
        *ret_why = "its notAfter is not the one of the order";
    else
        return acme_ok();
    return acme_err(ACME_E_DENIED);
}

/* With a key that stays at the upstream, the leaf is what the issuer named first. */
static struct acme_err build_chain(const struct acme_delivery *delivery, const struct acme_cert_list *certs,
                                   struct acme_cert_list *ret)
{
    uint8_t spki_sha256[ACME_SHA256_SIZE];
    if (delivery->csr != NULL)
        return acme_chain_build(certs, delivery->csr->spki_sha256, ret);
    EVP_PKEY *key = certs->count > 0 ? X509_get0_pubkey(certs->certs[0]) : NULL;
    ENSURE(key != NULL, ACME_E_FORMAT);
    TRY(acme_spki_sha256(key, spki_sha256));
    return acme_chain_build(certs, spki_sha256, ret);
}

/* An order may ask for a certificate that becomes valid later. */
static int64_t valid_at_ms(const struct acme_delivery *delivery)
{
    int64_t not_before_ms = delivery->issuance->not_before_ms;
    return not_before_ms > delivery->now_ms ? not_before_ms : delivery->now_ms;
}

static struct acme_err check_chain(struct acme_arena *arena, const struct acme_delivery *delivery,
                                   bool signed_here, const struct acme_cert_list *chain, const char **ret_why)
{
    const struct acme_issuance *issuance = delivery->issuance;
    return (signed_here ? acme_chain_check_signed_here
                        : acme_chain_check)(arena, chain, delivery->csr, issuance->identifiers,
                                            issuance->identifier_count, valid_at_ms(delivery), ret_why);
}

/* Chains beside the first, as PEM. One that is not good (a cross-certificate that has expired) is left out:
 * there is another. */
static struct acme_err write_alternates(struct acme_arena *arena, const struct acme_delivery *delivery,
                                        const struct acme_step *step, X509 *leaf,
                                        struct acme_certificate *ret)
{
    const char **chains = acme_arena_alloc(arena, (step->alternate_count + 1) * sizeof *chains);
    ENSURE(chains != NULL, ACME_E_NOMEM);
    size_t count = 0;
    for (size_t i = 0; i < step->alternate_count; i++) {
        const struct acme_cert_list *chain = &step->alternates[i];
        const char *why = "it is not a chain of this certificate";
        struct acme_err err = acme_err(ACME_E_DENIED);
        if (chain->count > 1 && X509_cmp(chain->certs[0], leaf) == 0)
            err = check_chain(arena, delivery, false, chain, &why);
        if (err.code == ACME_E_DENIED) {
            acme_log(WARN, "an alternate chain is left out", LOG_STR("why", why),
                     LOG_STR("issuer", delivery->issuer), LOG_STR("order", delivery->issuance->order_id));
            continue;
        }
        TRY(err);
        chains[count] = acme_chain_pem(arena, chain);
        ENSURE(chains[count] != NULL, ACME_E_NOMEM);
        count++;
    }
    ret->alternates = chains;
    ret->alternate_count = count;
    return acme_ok();
}

static struct acme_err check(struct acme_arena *arena, const struct acme_delivery *delivery,
                             const struct acme_step *step, struct acme_cert_list *ret_chain,
                             struct acme_cert_info *ret_info, const char **ret_why)
{
    *ret_why = delivery->csr == NULL ? "no certificate with a readable key, or its issuer is missing"
                                     : "no certificate with the key of the CSR, or its issuer is missing";
    TRY(build_chain(delivery, &step->certs, ret_chain));
    TRY(check_chain(arena, delivery, step->signed_here, ret_chain, ret_why));
    TRY(acme_cert_info_read(arena, ret_chain->certs[0], ret_info));
    return check_dates(delivery->issuance, ret_info, ret_why);
}

struct acme_err acme_delivery_accept(const struct acme_runner_options *options, struct acme_arena *arena,
                                     const struct acme_delivery *delivery, const struct acme_step *step,
                                     struct acme_certificate *ret, const char **ret_why)
{
    const struct acme_issuance *issuance = delivery->issuance;
    struct acme_cert_list chain = {.count = 0};
    struct acme_cert_info info;
    struct acme_err err = check(arena, delivery, step, &chain, &info, ret_why);
    if (err.code == ACME_E_NOT_FOUND || err.code == ACME_E_FORMAT)
        return acme_err(ACME_E_DENIED);
    TRY(err);
    if (chain.count > CHAIN_FOR_CLIENTS)
        acme_log(WARN, "a long chain: some clients take five certificates at most",
                 LOG_INT("certificates", chain.count), LOG_STR("order", issuance->order_id));
    char id[ACME_ID_SIZE];
    TRY(acme_id_new(options->clock, id));
    struct acme_certificate certificate = {.id = acme_arena_strdup(arena, id),
                                           .issuance_id = issuance->id,
                                           .account_id = issuance->account_id,
                                           .issuer = delivery->issuer,
                                           .chain = acme_chain_pem_of(arena, &chain, info.der),
                                           .serial_hex = info.serial_hex,
                                           .aki_hex = info.aki_hex,
                                           .sha256_hex = info.sha256_hex,
                                           .not_before_ms = info.not_before_ms,
                                           .not_after_ms = info.not_after_ms,
                                           .created_ms = delivery->now_ms};
    ENSURE(certificate.id != NULL && certificate.chain != NULL, ACME_E_NOMEM);
    TRY(write_alternates(arena, delivery, step, chain.certs[0], &certificate));
    struct acme_deployment *deployments = NULL;
    if (issuance->parent_id == NULL) /* a child's goes where its parent says */
        TRY(acme_deploy_plan(options, arena, issuance, delivery->now_ms, &deployments,
                             &certificate.deployment_count));
    certificate.deployments = deployments;
    *ret = certificate;
    return acme_ok();
}

static const struct acme_issuer *find_issuer(const struct acme_runner_options *options, const char *name)
{
    for (size_t i = 0; i < options->issuer_count; i++)
        if (strcmp(options->issuers[i]->backend.name, name) == 0)
            return options->issuers[i];
    return NULL;
}

bool acme_issue_at_once(const struct acme_runner_options *options, struct acme_arena *arena,
                        const struct acme_profile *profile, const struct acme_issuance *issuance,
                        const struct acme_csr *csr, struct acme_certificate *ret)
{
    const struct acme_issuer *issuer = find_issuer(options, issuance->issuer);
    if (issuer == NULL || !issuer->class->at_once || profile->caa_issuer_count > 0 || profile->key_at_edge)
        return false;
    const struct acme_issue_request request = {
        .tag = issuance->id,
        .account_id = issuance->account_id,
        .order_id = issuance->order_id,
        .csr = csr,
        .identifiers = issuance->identifiers,
        .identifier_count = issuance->identifier_count,
        .not_before_ms = issuance->not_before_ms,
        .not_after_ms = issuance->not_after_ms,
        .validity_ms = profile->validity_ms,
        .created_ms = issuance->created_ms,
        .deadline_ms = issuance->deadline_ms,
    };
    const struct acme_step_input input = {.now_ms = issuance->created_ms};
    struct acme_step step = {.kind = ACME_STEP_FAILED};
    struct acme_err err = issuer->class->step(issuer, arena, &request, NULL, &input, &step);
    if (acme_failed(err) || step.kind != ACME_STEP_ISSUED)
        return false;
    const struct acme_delivery delivery = {
        .issuance = issuance, .csr = csr, .issuer = issuer->backend.name, .now_ms = issuance->created_ms};
    const char *why = NULL;
    return !acme_failed(acme_delivery_accept(options, arena, &delivery, &step, ret, &why));
}
