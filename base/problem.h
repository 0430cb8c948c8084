/* Problem documents (RFC 7807) with the ACME types of RFC 8555 section 6.7 and its companions. They are made
 * by the protocol, by backends (why an order failed) and by validations, and stored with the object. */
#ifndef ACME_BASE_PROBLEM_H
#define ACME_BASE_PROBLEM_H

#include "base/arena.h"

enum acme_problem_type {
    ACME_PROBLEM_ACCOUNT_DOES_NOT_EXIST,
    ACME_PROBLEM_ALREADY_REPLACED,
    ACME_PROBLEM_ALREADY_REVOKED,
    ACME_PROBLEM_BAD_CSR,
    ACME_PROBLEM_BAD_NONCE,
    ACME_PROBLEM_BAD_PUBLIC_KEY,
    ACME_PROBLEM_BAD_REVOCATION_REASON,
    ACME_PROBLEM_BAD_SIGNATURE_ALGORITHM,
    ACME_PROBLEM_CAA,
    ACME_PROBLEM_COMPOUND,
    ACME_PROBLEM_CONNECTION,
    ACME_PROBLEM_DNS,
    ACME_PROBLEM_EXTERNAL_ACCOUNT_REQUIRED,
    ACME_PROBLEM_INCORRECT_RESPONSE,
    ACME_PROBLEM_INVALID_CONTACT,
    ACME_PROBLEM_INVALID_PROFILE,
    ACME_PROBLEM_MALFORMED,
    ACME_PROBLEM_ORDER_NOT_READY,
    ACME_PROBLEM_RATE_LIMITED,
    ACME_PROBLEM_REJECTED_IDENTIFIER,
    ACME_PROBLEM_SERVER_INTERNAL,
    ACME_PROBLEM_TLS,
    ACME_PROBLEM_UNAUTHORIZED,
    ACME_PROBLEM_UNSUPPORTED_CONTACT,
    ACME_PROBLEM_UNSUPPORTED_IDENTIFIER,
    ACME_PROBLEM_USER_ACTION_REQUIRED,
    ACME_PROBLEM_COUNT
};

struct acme_problem {
    enum acme_problem_type type;
    int status; /* HTTP status; 0 = the type's usual one */
    const char
        *detail; /* for the client's administrator; UTF-8, never foreign bytes unescaped, never secrets */
    const char *instance; /* a URL where a person finds what to do (userActionRequired); NULL: none */
};

/** acme_problem_urn(type): "urn:ietf:params:acme:error:malformed" and so on. Never NULL. */
const char *acme_problem_urn(enum acme_problem_type type);

/** acme_problem_status(problem): its status, or the type's usual one (RFC 8555 section 6.7, 7). */
int acme_problem_status(const struct acme_problem *problem);

/** acme_problem_json(arena, problem): {"type","detail","status"} as text in `arena`; NULL without memory. */
char *acme_problem_json(struct acme_arena *arena, const struct acme_problem *problem);

/** acme_printable(arena, data, len, max): foreign bytes made fit for a detail or a log line: printable ASCII
 * is kept, the rest becomes \xNN, at most `max` characters then "...". NULL without memory. */
char *acme_printable(struct acme_arena *arena, const void *data, size_t len, size_t max);

#endif
