/* Drives the SCM issuer step by step, without a network. Between two steps the state is printed and parsed
 * again, as a restart would do, and every step is searched for the password. */
#ifndef TESTS_UNIT_BACKENDS_SCM_RIG_H
#define TESTS_UNIT_BACKENDS_SCM_RIG_H

#include "backends/scm/scm.h"
#include "pki.h"

#define RIG_START    INT64_C(1800000000000) /* 2027-01-15T08:00:00Z */
#define RIG_TODAY    "01/15/2027"
#define RIG_PASSWORD "Sesam-0effne-dich!"
#define RIG_TAG      "acmebridge/01890a5d-ac96-774b-bcce-b302099a8057"

struct rig {
    struct pki pki;
    struct acme_arena *arena;
    struct acme_issuer *issuer;
    struct acme_scm_config config; /* of the issuer */
    struct acme_csr csr;
    struct acme_issue_request request;
    const struct acme_revoke_request *revocation; /* NULL: issue */
    const char *state;
    int64_t now_ms;
    struct acme_step step; /* the last one */
    char csr_sha256[65];   /* upper-case hex */
    X509 *leaf;
    int enrolls; /* once-calls made */
};

/* cmocka set-up and tear-down: *state is the rig. _without_cn: the CSR has an empty subject. */
int rig_setup(void **state);
int rig_setup_without_cn(void **state);
int rig_teardown(void **state);

/** rig_reconfigure(rig): make the issuer anew from rig->config. */
void rig_reconfigure(struct rig *rig);

/* Events. Each leaves the step decided in rig->step. */
void rig_start(struct rig *rig);
void rig_timer(struct rig *rig);                               /* at the end of the wait under way */
void rig_restart(struct rig *rig, enum acme_step_event event); /* now, TIMER or RECOVER */
void rig_reply(struct rig *rig, int status, const char *body);
void rig_reply_bytes(struct rig *rig, int status, struct acme_bytes body);
void rig_reply_header(struct rig *rig, int status, const char *name, const char *value, const char *body);
void rig_call_failed(struct rig *rig, bool reached);

/** rig_format(rig, format, ...): a body in the rig's arena. */
const char *rig_format(struct rig *rig, const char *format, ...) ACME_PRINTF(2, 3);

/** rig_details(rig, ssl_id, status, comments, sha256): certificate details requested today; NULL: member
 * absent. */
const char *rig_details(struct rig *rig, int64_t ssl_id, const char *status, const char *comments,
                        const char *sha256);

/* Expectations about rig->step. */
void rig_expect_call(struct rig *rig, const char *method, const char *path);
void rig_expect_enroll(struct rig *rig);
void rig_expect_search(struct rig *rig, const char *name_query, bool via_rest, int position);
void rig_expect_wait(struct rig *rig, int64_t seconds, bool failure);
void rig_expect_failed(struct rig *rig, enum acme_problem_type type);
void rig_expect_issued(struct rig *rig, size_t certs);
void rig_expect_note(struct rig *rig, const char *part);
void rig_expect_ref(struct rig *rig, const char *ref);

/** rig_accepted(rig): start, enroll answered with 4242, wait, status asked for: the call for the details is
 * under way. */
void rig_accepted(struct rig *rig);
/** rig_collecting(rig): further to the call that collects. */
void rig_collecting(struct rig *rig);

extern const char *const rig_names[2];

#endif
