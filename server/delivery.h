/* What an issuer delivers becomes a certificate to be stored, when it fits its order. */
#ifndef ACME_SERVER_DELIVERY_H
#define ACME_SERVER_DELIVERY_H

#include "backends/issuer.h"
#include "server/runner.h"
#include "store/store.h"

struct acme_delivery {
    const struct acme_issuance *issuance;
    const struct acme_csr *csr; /* whose key it must have; NULL: any, and the leaf is what was named first */
    const char *issuer;         /* its name */
    int64_t now_ms;
};

/** acme_delivery_accept(options, arena, delivery, step, ret, ret_why): sort and check the certificates of an
 * ISSUED step; everything in *ret lives in `arena` or where delivery->issuance does. Errors: DENIED when they
 * do not fit the order: *ret_why completes "it is not handed out: "; our own trouble, which says nothing
 * about them: NOMEM, CRYPTO, INTERNAL. Thread: any. */
struct acme_err acme_delivery_accept(const struct acme_runner_options *options, struct acme_arena *arena,
                                     const struct acme_delivery *delivery, const struct acme_step *step,
                                     struct acme_certificate *ret, const char **ret_why) ACME_MUST_USE;

/** acme_issue_at_once(options, arena, profile, issuance, csr, ret): have a certificate from an issuer that
 * decides in one step; *ret likewise. False when the profile's issuer is none of those, when something must
 * be waited for first (CAA), or when it did not go well: a job then does it, or says why not. Thread: any. */
bool acme_issue_at_once(const struct acme_runner_options *options, struct acme_arena *arena,
                        const struct acme_profile *profile, const struct acme_issuance *issuance,
                        const struct acme_csr *csr, struct acme_certificate *ret);

#endif
