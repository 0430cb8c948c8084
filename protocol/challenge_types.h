/* The challenge types this server can validate, and what each may prove. */
#ifndef ACME_PROTOCOL_CHALLENGE_TYPES_H
#define ACME_PROTOCOL_CHALLENGE_TYPES_H

#include "base/identifier.h"

/* As a bit set in a profile. What a profile does not offer is never put into an authorization. */
enum acme_challenge_bit {
    ACME_CHALLENGE_HTTP_01 = 1 << 0,
    ACME_CHALLENGE_DNS_01 = 1 << 1,
    ACME_CHALLENGE_TLS_ALPN_01 = 1 << 2,
    ACME_CHALLENGE_DNS_ACCOUNT_01 = 1 << 3,
    ACME_CHALLENGE_DNS_PERSIST_01 = 1 << 4,
};

/* More names of one CA than clients of dns-persist-01 accept. */
enum { ACME_CAA_ISSUERS_MAX = 10 };

struct acme_challenge_type {
    const char *name;
    enum acme_challenge_bit bit;
    bool wildcard;  /* may prove a wildcard name: only types that look at the DNS (RFC 8555 section 7.1.3) */
    bool ip;        /* may prove an address (RFC 8738) */
    bool of_issuer; /* proves it for the CA of the profile alone: what is shown names that CA */
};

/** acme_challenge_type_at(index): in the order in which challenges are offered; NULL behind the last. Static.
 * Thread: any. */
const struct acme_challenge_type *acme_challenge_type_at(size_t index);

/** acme_challenge_type_find(name): NULL when there is none of that name. Static. Thread: any. */
const struct acme_challenge_type *acme_challenge_type_find(const char *name);

/** acme_challenge_type_proves(type, identifier): whether it may prove this identifier ("*." included). */
bool acme_challenge_type_proves(const struct acme_challenge_type *type,
                                const struct acme_identifier *identifier);

#endif
