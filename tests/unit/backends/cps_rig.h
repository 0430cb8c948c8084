/* Drives the CPS issuer step by step, without a network. Between two steps the state is printed and parsed
 * again, as a restart would do, and every step is searched for the secrets. */
#ifndef TESTS_UNIT_BACKENDS_CPS_RIG_H
#define TESTS_UNIT_BACKENDS_CPS_RIG_H

#include "backends/cps/cps.h"
#include "pki.h"

#define RIG_START  INT64_C(1800000000000) /* 2027-01-15T08:00:00Z */
#define RIG_SECRET "c2VjcmV0LW9mLXRoZS1jbGllbnQ="
#define RIG_TAG    "acmebridge/01890a5d-ac96-774b-bcce-b302099a8057"

enum { RIG_LABELS = 4 };

struct rig {
    struct pki pki;
    struct acme_arena *arena;
    struct acme_issuer *issuer;
    struct acme_cps_config config;
    struct acme_cps_profile profile;
    struct acme_csr csr; /* of the order */
    struct acme_issue_request request;
    struct acme_deployer *deployer; /* not NULL: it is driven instead of the issuer */
    struct acme_deploy_request deploy;
    const char *state;
    int64_t now_ms;
    struct acme_step step; /* the last one */
    X509 *old;             /* deployed at first */
    X509 *leaf;            /* for the names, with another key */
    int updates;           /* once-calls made */
    /* services */
    struct acme_job_services services;
    size_t ahead;
    char claimed[160]; /* what was claimed last */
    struct {
        const char *label;
        struct acme_delegated child;
    } children[RIG_LABELS];
};

int rig_setup(void **state);
int rig_teardown(void **state);

/** rig_reconfigure(rig): make the issuer anew from rig->config. */
void rig_reconfigure(struct rig *rig);

/* Events. Each leaves the step decided in rig->step. */
void rig_start(struct rig *rig);
void rig_timer(struct rig *rig); /* at the end of the wait under way */
void rig_answer(struct rig *rig, enum acme_decision decision, const char *key); /* likewise, with an answer */
void rig_restart(struct rig *rig, enum acme_step_event event);                  /* now, TIMER or RECOVER */
void rig_reply(struct rig *rig, int status, const char *body);
void rig_reply_header(struct rig *rig, int status, const char *name, const char *value, const char *body);
void rig_call_failed(struct rig *rig, bool reached);
void rig_ran(struct rig *rig, int exit_code, const char *output); /* the program of a RUN has ended */

/** rig_format(rig, format, ...): a text in the rig's arena. */
const char *rig_format(struct rig *rig, const char *format, ...) ACME_PRINTF(2, 3);

/** rig_quote(rig, text): as a JSON string with its quotes. */
const char *rig_quote(struct rig *rig, const char *text);

/** rig_enrollment(rig, type, sans, pending): the body of enrollment 10002, common name www.example.test;
 * `sans` and `pending` are JSON arrays. */
const char *rig_enrollment(struct rig *rig, const char *type, const char *sans, const char *pending);

/** rig_deployments(rig, leaf): of production, with this certificate; NULL: nothing is deployed. */
const char *rig_deployments(struct rig *rig, X509 *leaf);

/** rig_change(rig, state, status, input): a change; `input` is the type of its required input, NULL: none. */
const char *rig_change(struct rig *rig, const char *state, const char *status, const char *input);

/** rig_csr_pem(rig, der): as CPS shows it. */
const char *rig_csr_pem(struct rig *rig, struct acme_bytes der);

/* Expectations about rig->step. */
void rig_expect_call(struct rig *rig, const char *method, const char *path);
void rig_expect_run(struct rig *rig, const char *action, const char *body); /* of the hook */
void rig_expect_body(struct rig *rig, const char *body);
void rig_expect_wait(struct rig *rig, int64_t seconds, bool failure);
void rig_expect_failed(struct rig *rig, enum acme_problem_type type);
void rig_expect_issued(struct rig *rig, X509 *leaf);
void rig_expect_note(struct rig *rig, const char *part);
void rig_expect_detail(struct rig *rig, const char *part);

/** rig_begin(rig, type, sans, pending): start, the baseline read (the old certificate), the enrollment read.
 */
void rig_begin(struct rig *rig, const char *type, const char *sans, const char *pending);
/** rig_read(rig, type, sans, pending): the baseline read (the old certificate) and the enrollment, the first
 * of which is called for. */
void rig_read(struct rig *rig, const char *type, const char *sans, const char *pending);
/** rig_changing(rig, type): begin with the order's names, the update answered with change 10003, the wait
 * over: the call for the change is under way. */
void rig_changing(struct rig *rig, const char *type);

extern const char *const rig_names[2];

#define RIG_SANS   "[\"www.example.test\",\"example.test\"]"
#define RIG_UPDATE "/enrollments/10002?force-renewal=true"
#define RIG_CHANGE "/enrollments/10002/changes/10003"
#define RIG_TOOK                                                                                             \
    "{\"enrollment\":\"/cps/v2/enrollments/10002\",\"changes\":[\"/cps/v2/enrollments/10002/changes/"        \
    "10003\"]}"

#endif
