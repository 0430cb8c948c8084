/* Drives the Huawei ELB deployer step by step, without a network. Between two steps the state is printed and
 * parsed again, as a restart would do, and every step is searched for secrets. */
#ifndef TESTS_UNIT_BACKENDS_HUAWEI_RIG_H
#define TESTS_UNIT_BACKENDS_HUAWEI_RIG_H

#include "backends/huawei_elb/huawei_elb.h"
#include "pki.h"

#define ELB_START   INT64_C(1800000000000) /* 2027-01-15T08:00:00Z */
#define ELB_URL     "https://elb.eu-west-101.myhuaweicloud.com"
#define ELB_PROJECT "0123456789abcdef0123456789abcdef"
#define ELB_ID      "fedcba9876543210fedcba9876543210"
#define ELB_PATH    "/v3/" ELB_PROJECT "/elb/certificates"
#define ELB_SECRET  "Sesam-0effne-dich!"
#define ELB_TAG     "acmebridge/01890a5d-ac96-774b-bcce-b302099a8057"
#define ELB_ECHO    "MIIEchoOfAPrivateKey"
#define ELB_FILE    "/etc/acmebridge/www.key"

struct elb_rig {
    struct pki pki;
    struct acme_arena *arena;
    struct acme_deployer *deployer;
    struct acme_huawei_elb_config config; /* of the deployer */
    struct acme_deploy_request request;
    struct acme_identifier identifiers[120];
    struct acme_cert_list chain;
    EVP_PKEY *key;
    X509 *leaf;
    X509 *old;     /* an earlier certificate for the same key */
    X509 *foreign; /* one for another key */
    uint8_t spki[ACME_SHA256_SIZE];
    const char *key_file; /* its contents; NULL: cannot be read */
    size_t ahead;         /* in the line for the project */
    int claims;
    const char *state;
    int64_t now_ms;
    struct acme_step step; /* the last one */
    int onces;             /* once-calls made */
    struct acme_inspection inspection;
};

/* cmocka set-up and tear-down: *state is the rig. An access key, and the object's key is kept. */
int elb_setup(void **state);
int elb_teardown(void **state);

/** elb_reconfigure(rig): make the deployer anew from rig->config. */
void elb_reconfigure(struct elb_rig *rig);

/** elb_with_key_file(rig): private_key_file, which holds the leaf's key. elb_creating: and create. */
void elb_with_key_file(struct elb_rig *rig);
void elb_creating(struct elb_rig *rig);

/** elb_key_pem(rig, key, passphrase): PEM; passphrase NULL: none. */
const char *elb_key_pem(struct elb_rig *rig, EVP_PKEY *key, const char *passphrase);

/* Events. Each leaves the step decided in rig->step. */
void elb_start(struct elb_rig *rig);
void elb_timer(struct elb_rig *rig);
void elb_restart(struct elb_rig *rig, enum acme_step_event event);
void elb_reply(struct elb_rig *rig, int status, const char *body);
void elb_reply_header(struct elb_rig *rig, int status, const char *name, const char *value, const char *body);
void elb_call_failed(struct elb_rig *rig, bool reached);

/** elb_inspect(rig, request, event, status, body, ret): the next step of a look, whose findings are in
 * rig->inspection. */
void elb_inspect(struct elb_rig *rig, const struct acme_inspect_request *request, enum acme_step_event event,
                 int status, const char *body, struct acme_inspect_step *ret);

const char *elb_format(struct elb_rig *rig, const char *format, ...) ACME_PRINTF(2, 3);

/** elb_object(rig, cert, members): an answer of GET, PUT or POST: the object with `cert` (NULL: none) and the
 * issuing CA, on one line, with the key echoed; `members`: more of them, each with a comma in front. */
const char *elb_object(struct elb_rig *rig, X509 *cert, const char *members);
/** elb_error(rig, code, message): ELB's own form. */
const char *elb_error(struct elb_rig *rig, const char *code, const char *message);

/* Expectations about rig->step. */
void elb_expect_call(struct elb_rig *rig, const char *method, const char *path);
void elb_expect_body(struct elb_rig *rig, const char *part);
void elb_expect_no_body(struct elb_rig *rig, const char *part);
void elb_expect_wait(struct elb_rig *rig, int64_t seconds, bool failure);
void elb_expect_failed(struct elb_rig *rig, const char *part);
void elb_expect_done(struct elb_rig *rig);
void elb_expect_note(struct elb_rig *rig, const char *part);

/** elb_looking(rig): start, up to the call that looks at the object; elb_putting: further to the PUT. */
void elb_looking(struct elb_rig *rig);
void elb_putting(struct elb_rig *rig);

#endif
