/* Drives an issuer's or deployer's look at its upstream over the outbound loop, waiting for each answer. */
#ifndef ACME_SERVER_UPSTREAM_INSPECT_H
#define ACME_SERVER_UPSTREAM_INSPECT_H

#include "server/config.h"
#include "server/outbound.h"

#include <stdio.h>

/** acme_upstream_inspect(outbound, backend, request, arena, stopping, context, ret): look at the upstream of
 * `backend`, which has `inspect`. stopping(context) is asked several times a second (NULL: never stop).
 * Everything in *ret lives in `arena`. Errors: STATE (stopped, or the loop ends), NOMEM, INTERNAL. Thread:
 * one of its own, it blocks for as long as the calls take. */
struct acme_err acme_upstream_inspect(struct acme_outbound *outbound, const struct acme_backend *backend,
                                      const struct acme_inspect_request *request, struct acme_arena *arena,
                                      bool (*stopping)(void *context), void *context,
                                      struct acme_inspection **ret) ACME_MUST_USE;

/** acme_upstream_profiles(config, arena, issuer, ret, ret_count): the profiles that use this issuer. Errors:
 * NOMEM. */
struct acme_err acme_upstream_profiles(const struct acme_config *config, struct acme_arena *arena,
                                       const char *issuer, struct acme_inspect_profile **ret,
                                       size_t *ret_count) ACME_MUST_USE;

struct acme_upstream_check {
    const char *const *domains; /* to be looked up, beside what the configuration asks for */
    size_t domain_count;
    bool json;
};

/** acme_upstream_check(config, check, out, err): `acmebridge check --upstream`: one line per finding of every
 * issuer and deployer that has an upstream. Starts and ends an outbound loop. Returns the exit code: 0 when
 * there is no error among the findings, else 1. Blocks. */
int acme_upstream_check(const struct acme_config *config, const struct acme_upstream_check *check, FILE *out,
                        FILE *err);

#endif
