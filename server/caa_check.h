/* Asking the DNS for CAA: the closest name with records, from the name itself up to its top level domain
 * (RFC 8659 section 3), and the verdict on them. */
#ifndef ACME_SERVER_CAA_CHECK_H
#define ACME_SERVER_CAA_CHECK_H

#include "protocol/caa.h"
#include "server/outbound.h"

struct acme_caa_result {
    bool cancelled;          /* we are stopping */
    bool transient;          /* the DNS failed: it may pass */
    struct acme_err verdict; /* OK, or PROBLEM: caa, or dns when the DNS failed */
    struct acme_problem problem;
};

/* Called once, on the outbound thread; `result` is valid during it. Must not block. */
typedef void (*acme_caa_done)(void *context, const struct acme_caa_result *result);

/** acme_caa_check(outbound, arena, requests, count, done, context): may certificates be issued for all of
 * these names? One after the other, up to the first that says no; names that turned out to have no records
 * are not asked for again. After two minutes it ends as if the DNS had
 * failed. Without a request `done` is called at once. Owns: the requests and what they point
 * to, and `arena`, are the caller's and must outlive the call of `done`; nobody else may use the arena
 * meanwhile. Errors: as acme_outbound_lookup; `done` is then not called. Thread: any. */
struct acme_err acme_caa_check(struct acme_outbound *outbound, struct acme_arena *arena,
                               const struct acme_caa_request *requests, size_t count, acme_caa_done done,
                               void *context) ACME_MUST_USE;

#endif
