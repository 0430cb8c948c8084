/* The certificate that answers a tls-alpn-01 challenge (RFC 8737 section 3, RFC 8738 section 6). */
#ifndef ACME_CERTS_ALPN_CERT_H
#define ACME_CERTS_ALPN_CERT_H

#include "base/identifier.h"
#include "base/problem.h"

/** acme_alpn_cert_judge(arena, der, identifier, key_authorization, ret): is this certificate (DER, foreign)
 * the answer? Its subjectAltName holds the identifier (dNSName, or iPAddress for an address) once and nothing
 * else; it has the critical extension acmeIdentifier once, with an OCTET STRING that is the SHA-256 of the
 * key authorization; it is signed with its own key. Validity and everything else in it do not matter. ACME_OK
 * when it is; else ACME_E_PROBLEM and *ret says what was seen, foreign bytes escaped and cut: unauthorized
 * when it is no certificate for this purpose (or none), else incorrectResponse. Owns: *ret's detail in
 * `arena`. Limits: `der` is the caller's to cap. Errors: NOMEM. Thread: any. */
struct acme_err acme_alpn_cert_judge(struct acme_arena *arena, struct acme_bytes der,
                                     const struct acme_identifier *identifier, const char *key_authorization,
                                     struct acme_problem *ret) ACME_MUST_USE;

#endif
