/* Drives the Keyfactor issuer step by step, without a network. Between two steps the state is printed and
 * parsed again, as a restart would do, and every step is searched for secrets. */
#ifndef TESTS_UNIT_BACKENDS_KF_RIG_H
#define TESTS_UNIT_BACKENDS_KF_RIG_H

#include "backends/keyfactor/keyfactor.h"
#include "pki.h"

#define RIG_START    INT64_C(1800000000000) /* 2027-01-15T08:00:00Z */
#define RIG_NOW      "2027-01-15T08:00:00Z"
#define RIG_PASSWORD "Sesam-0effne-dich!"
#define RIG_BASIC    "RVhBTVBMRVxhY21lOlNlc2FtLTBlZmZuZS1kaWNoIQ==" /* of EXAMPLE\acme and the password */
#define RIG_STORE    "Geheimnis-des-Speichers"                      /* the Password of a renewal */
#define RIG_TAG      "acmebridge/01890a5d-ac96-774b-bcce-b302099a8057"
#define RIG_EARLIER  "acmebridge/01890a5d-ac96-774b-bcce-b302099a8001"
#define RIG_WORKFLOW "0f8fad5b-d9cb-469f-a165-70867728950e"
#define RIG_ROOT     "https://command.example.test/KeyfactorAPI"

struct rig {
    struct pki pki;
    struct acme_arena *arena;
    struct acme_issuer *issuer;
    struct acme_keyfactor_config config; /* of the issuer */
    struct acme_csr csr;
    struct acme_issue_request request;
    const struct acme_revoke_request *revocation; /* NULL: issue */
    const char *state;
    int64_t now_ms;
    struct acme_step step; /* the last one */
    X509 *leaf;            /* for the CSR's key */
    X509 *stranger;        /* the same names, another key */
    int calls_once;
    const char *taken; /* what another issuance has; NULL: nothing */
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
void rig_reply_header(struct rig *rig, int status, const char *name, const char *value, const char *body);
void rig_call_failed(struct rig *rig, bool reached);

/** rig_format(rig, format, ...): a body in the rig's arena. */
const char *rig_format(struct rig *rig, const char *format, ...) ACME_PRINTF(2, 3);
/** rig_pem(rig, cert): with \n for line ends, for JSON. rig_base64(rig, data). */
const char *rig_pem(struct rig *rig, X509 *cert);
const char *rig_base64(struct rig *rig, struct acme_bytes data);
const char *rig_der(struct rig *rig, X509 *cert); /* base64 */
/** rig_row(rig, id, cert, tag): a row of the list of certificates; NULL: member absent. */
const char *rig_row(struct rig *rig, int id, X509 *cert, const char *tag);
/** rig_download(rig, leaf): a reply of Certificates/Download, PKCS#7 with the intermediate and the root. */
const char *rig_download(struct rig *rig, X509 *leaf);

/* Expectations about rig->step. */
void rig_expect_call(struct rig *rig, const char *method, const char *path);
/** rig_expect_path(rig, method, part): a call whose URL has this part. */
void rig_expect_path(struct rig *rig, const char *method, const char *part);
void rig_expect_enroll(struct rig *rig);
void rig_expect_body(struct rig *rig, const char *part);
void rig_expect_wait(struct rig *rig, int64_t seconds, bool failure);
void rig_expect_failed(struct rig *rig, enum acme_problem_type type);
void rig_expect_issued(struct rig *rig);
void rig_expect_note(struct rig *rig, const char *part);
void rig_expect_ref(struct rig *rig, const char *ref);
/** rig_no_search(rig): each list of the search that is under way is empty; leaves what follows. */
void rig_no_search(struct rig *rig);

/** rig_pending(rig): started, and answered with request 881 that waits. rig_workflow: with a workflow. */
void rig_pending(struct rig *rig);
void rig_workflow(struct rig *rig);

extern const char *const rig_names[2];

#endif
