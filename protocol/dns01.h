/* dns-01 (RFC 8555 section 8.4) and dns-account-01 (draft-ietf-acme-dns-account-label-03), which differ in
 * the name alone: what to look up and how to judge what came. */
#ifndef ACME_PROTOCOL_DNS01_H
#define ACME_PROTOCOL_DNS01_H

#include "base/identifier.h"
#include "base/problem.h"

/** acme_dns01_name(arena, identifier): "_acme-challenge.<name>"; the identifier is without "*.". NULL without
 * memory. */
char *acme_dns01_name(struct acme_arena *arena, const struct acme_identifier *identifier);

/** acme_dns_account01_name(arena, identifier, account_url): "_<label>._acme-challenge.<name>", the label
 * being the lower-case base32 of the first ten octets of SHA-256 over the account's URL. Errors: NOMEM,
 * CRYPTO. */
struct acme_err acme_dns_account01_name(struct acme_arena *arena, const struct acme_identifier *identifier,
                                        const char *account_url, char **ret) ACME_MUST_USE;

/** acme_dns01_digest(arena, key_authorization, ret): what the TXT record must be: base64url of SHA-256 over
 * the key authorization. Errors: NOMEM, CRYPTO. */
struct acme_err acme_dns01_digest(struct acme_arena *arena, const char *key_authorization,
                                  char **ret) ACME_MUST_USE;

/** acme_dns01_judge(arena, name, records, count, digest, ret): is one of the TXT records (RDATA) found under
 * `name` the digest? ACME_OK, or ACME_E_PROBLEM and *ret says what was seen (foreign bytes escaped and cut):
 * unauthorized when there are none, else incorrectResponse. Errors also: NOMEM. */
struct acme_err acme_dns01_judge(struct acme_arena *arena, const char *name, const struct acme_bytes *records,
                                 size_t count, const char *digest, struct acme_problem *ret) ACME_MUST_USE;

#endif
