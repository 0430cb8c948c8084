/* The job runner over a real store, with two issuers of this test's own: "edge", which needs a certificate of
 * "signer", asks the operator, and changes one thing at a time. */
#ifndef ACME_TESTS_UNIT_SERVER_JOBS_RIG_H
#define ACME_TESTS_UNIT_SERVER_JOBS_RIG_H

#include "backends/pki.h"
#include "server/process.h"
#include "server/runner.h"
#include "store/fixture.h"

#include <stdatomic.h>

struct jobs_issuer {
    struct acme_issuer base; /* first */
    struct jobs_rig *rig;
};

struct jobs_rig {
    struct fixture *f;
    struct pki pki;
    struct acme_outbound *outbound;
    struct acme_processes *processes;
    struct acme_runner *runner;
    struct acme_profile profile; /* "default", of "edge" */
    struct acme_bytes edge_csr;
    struct jobs_issuer edge;
    struct jobs_issuer signer;
    struct acme_issuer *issuers[2];
    /* What the issuers do. */
    atomic_bool uses_line;   /* edge: wait for its turn first */
    atomic_bool hold_line;   /* edge: keep what it has got */
    atomic_bool asks;        /* edge: before it ends */
    atomic_bool never_signs; /* signer: keep waiting */
    bool forges;             /* signer: with signatures that do not verify */
    bool signs_here;         /* signer: says that it is the holder of the key */
    const char *script;      /* edge: run this shell script first */
    /* What they have seen. */
    atomic_int signer_starts;
    atomic_int edge_starts;
    atomic_int wrong_settings;
    atomic_int stale_answers;
    atomic_int scripts_ended;
    atomic_int scripts_failed;
    atomic_int late_answers; /* of the operator, seen again when the script has ended */
};

int jobs_setup(void **state);
int jobs_teardown(void **state);

/* Begin, as after a start of the server; end, as at its stop. */
void jobs_start(struct jobs_rig *r);
void jobs_stop(struct jobs_rig *r);

/* A finalized order of "edge" for a.example.com, whose job is due; `key` tells wishes apart. Its issuance. */
struct acme_issuance jobs_order(struct jobs_rig *r, const char *account, const char *key);

/* Wait until the order's status is this one; fails after 20 s. */
struct acme_order jobs_wait_status(struct jobs_rig *r, const char *order_id, enum acme_order_status status);

/* Wait until the operator is asked about the issuance; the job's id. */
const char *jobs_wait_question(struct jobs_rig *r, const struct acme_issuance *issuance,
                               struct acme_job_question *ret);

/* The only child, with this status; waits for it. */
struct acme_issuance jobs_wait_child(struct jobs_rig *r, const char *parent_id,
                                     enum acme_issuance_status status);

/* 20 ms */
void jobs_pause(void);

#endif
