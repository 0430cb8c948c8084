/* A Huawei ELB deployer and a deployment, out of a JSON description. */
#ifndef TESTS_STEPS_HUAWEI_SETUP_H
#define TESTS_STEPS_HUAWEI_SETUP_H

#include "backends/huawei_elb/huawei_elb.h"

/** acme_steps_deployer(arena, json, ret): `json` has the members of acme_huawei_elb_config; "iam": true is a
 * login by token. Errors: as acme_huawei_elb_create. */
struct acme_err acme_steps_deployer(struct acme_arena *arena, const cJSON *json,
                                    struct acme_deployer **ret) ACME_MUST_USE;

/** acme_steps_request(arena, json, ret): the deployment of the "chain" (PEM, leaf first) for "names". Errors:
 * FORMAT, NOMEM. Everything lives in `arena`. */
struct acme_err acme_steps_request(struct acme_arena *arena, const cJSON *json,
                                   struct acme_deploy_request *ret) ACME_MUST_USE;

#endif
