/* A store with things in it, a fixed clock, a configuration with one issuer, and questions about them. */
#ifndef ACME_TESTS_UNIT_SERVER_ADMIN_RIG_H
#define ACME_TESTS_UNIT_SERVER_ADMIN_RIG_H

#include "server/admin.h"
#include "store/fixture.h"

#include "base/json.h"

struct rig {
    struct fixture *f;
    int64_t now_ms;
    struct acme_clock clock;
    struct acme_issuer_config issuer; /* "lab", an SCM */
    struct acme_config config;
    struct acme_admin_options options;
};

int rig_setup(void **state);
int rig_teardown(void **state);

/* The "result" of the answer to a question; fails when it is an error. */
const cJSON *rig_ask(struct rig *r, const char *question);

/* The "code" of the error. */
const char *rig_refusal(struct rig *r, const char *question);

/* An issuance that has begun for an order which is ready; its job is leased. */
struct acme_issuance rig_finalize(struct rig *r, const struct acme_order *order, const char *key,
                                  const char *job_id);

#endif
