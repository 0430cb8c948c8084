/* CAA (RFC 8659, with the parameters of RFC 8657): may this CA issue? Records in, verdict out; who asks the
 * DNS is server/caa_check.c. */
#ifndef ACME_PROTOCOL_CAA_H
#define ACME_PROTOCOL_CAA_H

#include "base/problem.h"

struct acme_caa_request {
    const char *const *issuers; /* the names this CA answers to, lower-case */
    size_t issuer_count;
    const char *name; /* to be certified, without "*." */
    bool wildcard;
    const char *account_url;
    const char *method; /* of the validation: "dns-01" ... */
};

/** acme_caa_parent(name): where to look next when `name` has no CAA records: the rest behind its first label;
 * NULL behind the last (the root is not asked). Points into `name`. RFC 8659 section 3. */
const char *acme_caa_parent(const char *name);

/** acme_caa_judge(arena, request, found_at, records, count, ret): do the CAA records (RDATA) of `found_at`,
 * the closest name that has any, allow this CA to issue? Refused: an unknown property that is critical, a
 * record that cannot be read; when there are issue (for a wildcard: issuewild, else issue) properties, also
 * unless one of them names an issuer of ours, and with parameters accounturi and validationmethods, each once
 * and well-formed, that are met. Other parameters are ours to define and have no meaning. Without records, or
 * without such properties, everybody may issue. ACME_OK, or ACME_E_PROBLEM and *ret (type caa) says what was
 * found where, escaped and cut. Errors also: NOMEM. Thread: any. */
struct acme_err acme_caa_judge(struct acme_arena *arena, const struct acme_caa_request *request,
                               const char *found_at, const struct acme_bytes *records, size_t count,
                               struct acme_problem *ret) ACME_MUST_USE;

#endif
