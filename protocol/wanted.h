/* What newOrder and newAuthz share: the profile and the identifiers a client asks for, and the authorizations
 * made from them (RFC 8555 sections 7.4, 7.4.1). Private to protocol/. */
#ifndef ACME_PROTOCOL_WANTED_H
#define ACME_PROTOCOL_WANTED_H

#include "protocol/complaints.h"

/* ---- wanted.c ---- */

/** acme_wanted_profile(x): take the payload's member `profile`, when it is there, for x->profile; the
 * directory of one profile does not serve another. Errors: PROBLEM (malformed, invalidProfile), NOMEM.
 * Thread: one. */
struct acme_err acme_wanted_profile(struct acme_exchange *x) ACME_MUST_USE;

/** acme_wanted_identifier(x, item, complaints, ret): one identifier of a payload, normalised. What is wrong
 * with its value goes to `complaints`, and *ret is then of no use. Errors: PROBLEM (malformed: no object with
 * the strings type and value), NOMEM. Thread: one. */
struct acme_err acme_wanted_identifier(struct acme_exchange *x, const cJSON *item,
                                       struct acme_complaints *complaints,
                                       struct acme_identifier *ret) ACME_MUST_USE;

/** acme_wanted_identifiers(x, ret, ret_count): the payload's array `identifiers`, each once, complaints
 * settled. Owns: *ret in the arena. Limits: the configuration's max_identifiers. Errors: PROBLEM, NOMEM.
 * Thread: one. */
struct acme_err acme_wanted_identifiers(struct acme_exchange *x, struct acme_identifier **ret,
                                        size_t *ret_count) ACME_MUST_USE;

/* ---- wanted_dates.c ---- */

/** acme_wanted_dates(x, ret_not_before_ms, ret_not_after_ms): the validity period a newOrder asks for, 0
 * where it leaves the choice to the server, in whole seconds. Limits: only where the profile allows it;
 * notBefore from one hour back to seven days ahead, notAfter in the future and behind notBefore, at most the
 * profile's validity between them (from now on without notBefore). Errors: PROBLEM (malformed), NOMEM.
 * Thread: one. */
struct acme_err acme_wanted_dates(struct acme_exchange *x, int64_t *ret_not_before_ms,
                                  int64_t *ret_not_after_ms) ACME_MUST_USE;

/* ---- authz_make.c ---- */

/** acme_authz_provable(profile, identifier): whether the profile offers a challenge that can prove it. */
bool acme_authz_provable(const struct acme_profile *profile, const struct acme_identifier *identifier);

/** acme_authz_make(x, identifier, expires_ms, ret): a pending authorization of the exchange's account, with
 * new ids and tokens and the challenges x->profile offers for this identifier ("*." becomes the wildcard
 * flag). Owns: *ret lives in the arena and borrows the identifier's text. Errors: NOMEM (also when no
 * randomness comes). Thread: one. */
struct acme_err acme_authz_make(struct acme_exchange *x, const struct acme_identifier *identifier,
                                int64_t expires_ms, struct acme_authz *ret) ACME_MUST_USE;

/** acme_exchange_new_id(x): a new object id in the arena; NULL without memory. Thread: one. */
const char *acme_exchange_new_id(struct acme_exchange *x);

#endif
