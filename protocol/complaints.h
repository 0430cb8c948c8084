/* Complaints about single identifiers of one request, one subproblem each (RFC 8555 section 6.7.1). Private
 * to protocol/. */
#ifndef ACME_PROTOCOL_COMPLAINTS_H
#define ACME_PROTOCOL_COMPLAINTS_H

#include "protocol/exchange.h"

struct acme_complaints {
    struct acme_buf text;
    struct acme_json_writer writer;
    size_t count;
    enum acme_problem_type type; /* of the first; COMPOUND when they differ */
    const char *first;           /* detail of the first */
};

/** acme_complaints_init(complaints): none yet. Release: acme_complaints_finish. Limits: 256 KiB of
 * subproblems; beyond that they are left out of the answer, which keeps its detail. Thread: one. */
void acme_complaints_init(struct acme_complaints *complaints);
void acme_complaints_finish(struct acme_complaints *complaints);

/** acme_complaints_add(x, complaints, type, type_name, value, detail): one more. `type_name` and `value` are
 * the identifier as the client wrote it; when one of them is "" the subproblem names none. `detail` is
 * borrowed until acme_complaints_settle. Errors: NOMEM (`detail` is NULL). Thread: one. */
struct acme_err acme_complaints_add(struct acme_exchange *x, struct acme_complaints *complaints,
                                    enum acme_problem_type type, const char *type_name, const char *value,
                                    const char *detail) ACME_MUST_USE;

/** acme_complaints_settle(x, complaints): refuse the request if there are any: a single one with its own type
 * and detail, several with their common type, or `compound`; each also as a subproblem. Errors: PROBLEM,
 * NOMEM. Thread: one. */
struct acme_err acme_complaints_settle(struct acme_exchange *x,
                                       struct acme_complaints *complaints) ACME_MUST_USE;

#define ACME_CLEANUP_COMPLAINTS __attribute__((cleanup(acme_complaints_finish)))

#endif
