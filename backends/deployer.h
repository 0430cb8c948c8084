/* Deployers: what puts an issued certificate into use somewhere. See backend.h for how they are driven; calls
 * that may be repeated freely need no `once`. A deployment that fails never touches the order. */
#ifndef ACME_BACKENDS_DEPLOYER_H
#define ACME_BACKENDS_DEPLOYER_H

#include "backends/backend.h"

struct acme_deploy_request {
    const char *tag; /* unique per deployment, printable, at most 64 characters */
    const char *deployment_id;
    const char *certificate_id;
    const char *order_id; /* the first order of its issuance */
    const char *account_id;
    const char *profile;
    const struct acme_identifier *identifiers;
    size_t identifier_count;
    const struct acme_cert_list *chain; /* leaf first */
    const char *chain_pem;
    const uint8_t *spki_sha256; /* of the leaf, 32 bytes */
    const char *serial_hex;     /* of the leaf, upper-case */
    const char *sha256_hex;     /* of the leaf's DER, lower-case */
    int64_t not_before_ms;
    int64_t not_after_ms;
    int64_t created_ms;
    int64_t deadline_ms; /* give up then */
    const char *target;  /* what an earlier deployment of this deployer has said in acme_step.target; NULL */
};

struct acme_deployer;

struct acme_deployer_class {
    const char *type; /* as in the configuration: "command", "huawei-elb" */
    bool one_target;  /* all its deployments go to one place: a newer one supersedes an older that has not
                         ended, whatever its names */

    /** step(deployer, arena, request, state, input, ret): as acme_issuer_class.step; ends with DONE or
     * FAILED. FAILED is for what another try will not change (problem.detail tells the operator why): trouble
     * that passes is waited for. */
    struct acme_err (*step)(const struct acme_deployer *deployer, struct acme_arena *arena,
                            const struct acme_deploy_request *request, cJSON *state,
                            const struct acme_step_input *input, struct acme_step *ret);

    void (*destroy)(struct acme_deployer *deployer);
};

/* First member of every deployer's own struct. */
struct acme_deployer {
    struct acme_backend backend; /* deadline_ms: from issuance */
    const struct acme_deployer_class *class;
};

/** acme_deployer_destroy(deployer): NULL is allowed. */
void acme_deployer_destroy(struct acme_deployer *deployer);

#endif
