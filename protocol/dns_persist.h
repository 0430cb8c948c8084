/* dns-persist-01 (draft-ietf-acme-dns-persist-02, and what its revisions 00 and 01 had, for today's clients):
 * a standing TXT record that lets one account of one CA get certificates for a name. */
#ifndef ACME_PROTOCOL_DNS_PERSIST_H
#define ACME_PROTOCOL_DNS_PERSIST_H

#include "base/identifier.h"
#include "base/problem.h"

/* Behind the base URL: what stands in front of hashed account URIs. Nothing is served there. */
#define ACME_DNS_PERSIST_HASH_PATH "/account-hash/"

struct acme_dns_persist_request {
    const char *const *issuers; /* of the profile, lower-case */
    size_t issuer_count;
    const struct acme_identifier *identifier; /* without "*." */
    bool wildcard;
    const char *account_url;
    const char *hash_prefix;
    const char *const *thumbprints; /* of all keys the account has had, the present one first */
    size_t thumbprint_count;
    int64_t now_ms;
};

/** acme_dns_persist_name(arena, identifier): "_validation-persist.<name>". NULL without memory. */
char *acme_dns_persist_name(struct acme_arena *arena, const struct acme_identifier *identifier);

/** acme_dns_persist_account(arena, prefix, domain, thumbprint, account_url, ret): the hashed URI of section
 * 4.1: prefix, "sha-256/", base64url of SHA-256 over the domain's length as one octet, the domain (or "*"),
 * the thumbprint and the account's URL. Errors: NOMEM, CRYPTO, LIMIT. */
struct acme_err acme_dns_persist_account(struct acme_arena *arena, const char *prefix, const char *domain,
                                         const char *thumbprint, const char *account_url,
                                         char **ret) ACME_MUST_USE;

/** acme_dns_persist_judge(arena, request, name, records, count, ret_until_ms, ret): does one of the TXT
 * records (RDATA) found under `name` let the account have the name? It must name an issuer of ours; its
 * accounturi must be a hashed URI of the account (for this domain or for "*", with any key it has had) or, as
 * revisions 00 and 01 have it, the account's URL; a wildcard needs policy=wildcard; persistUntil, seconds
 * since 1970, must not be over. Repeated parameters spoil a record, unknown ones are ignored. ACME_OK, and
 * *ret_until_ms is the end that persistUntil sets, INT64_MAX when there is none; or ACME_E_PROBLEM, and *ret
 * (malformed or unauthorized) says what was seen. Errors also: NOMEM, CRYPTO. Thread: any. */
struct acme_err acme_dns_persist_judge(struct acme_arena *arena,
                                       const struct acme_dns_persist_request *request, const char *name,
                                       const struct acme_bytes *records, size_t count, int64_t *ret_until_ms,
                                       struct acme_problem *ret) ACME_MUST_USE;

#endif
