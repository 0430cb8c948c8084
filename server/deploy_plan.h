/* Which deployers get a certificate. */
#ifndef ACME_SERVER_DEPLOY_PLAN_H
#define ACME_SERVER_DEPLOY_PLAN_H

#include "backends/deployer.h"
#include "server/runner.h"
#include "store/store.h"

/** acme_deploy_plan(options, arena, issuance, now_ms, ret, ret_count): the deployments of the certificate of
 * an issuance that is about to be stored: one for each deployer of its profile that takes its names. In
 * `arena`. Errors: NOMEM, CRYPTO. Thread: any. */
struct acme_err acme_deploy_plan(const struct acme_runner_options *options, struct acme_arena *arena,
                                 const struct acme_issuance *issuance, int64_t now_ms,
                                 struct acme_deployment **ret, size_t *ret_count) ACME_MUST_USE;

#endif
