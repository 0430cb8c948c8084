/* The value of CAA's issue and issuewild (RFC 8659 section 4.2), which records of dns-persist-01 share:
 * [issuer domain name] *(; tag=value). Foreign bytes. */
#ifndef ACME_PROTOCOL_ISSUE_VALUE_H
#define ACME_PROTOCOL_ISSUE_VALUE_H

#include "base/arena.h"

enum { ACME_ISSUE_VALUE_MAX_BYTES = 4096, ACME_ISSUE_VALUE_MAX_PARAMETERS = 32 };

struct acme_issue_parameter {
    const char *tag; /* lower-case */
    const char *value;
};

struct acme_issue_value {
    const char *issuer; /* lower-case; "" when there is none: nobody may issue */
    struct acme_issue_parameter parameters[ACME_ISSUE_VALUE_MAX_PARAMETERS];
    size_t parameter_count;
};

/** acme_issue_value_parse(arena, text, ret): Owns: everything in `arena`. Errors: FORMAT, LIMIT, NOMEM; *ret
 * untouched on error. Thread: any. */
struct acme_err acme_issue_value_parse(struct acme_arena *arena, struct acme_bytes text,
                                       struct acme_issue_value *ret) ACME_MUST_USE;

/** acme_issue_value_get(value, tag, ret): how often there is a parameter `tag`; *ret is the first, when there
 * is one. */
size_t acme_issue_value_get(const struct acme_issue_value *value, const char *tag, const char **ret);

#endif
