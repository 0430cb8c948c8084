/* DELEGATE: an issuance needs a certificate from another issuer of this server on its way. */
#include "server/runner_internal.h"

#include "base/b64url.h"

#include <string.h>

enum { LABEL_MAX = 32 };

#define LOOK_AGAIN_MS (5 * ACME_MINUTE_MS) /* at the latest; the end of the child makes the parent due */
#define NO_ISSUER_MS  (5 * ACME_MINUTE_MS)

static bool has_issuer(const struct acme_runner_options *options, const char *name)
{
    for (size_t i = 0; i < options->issuer_count; i++) {
        if (strcmp(options->issuers[i]->backend.name, name) == 0)
            return true;
    }
    return false;
}

/* The same wish, for another key and of another issuer. */
static struct acme_err fill(const struct active_job *job, const struct acme_issuance *parent,
                            const struct acme_step *step, char id[ACME_ID_SIZE], struct acme_issuance *ret,
                            const char **ret_why)
{
    struct acme_csr csr;
    *ret_why = "it is damaged";
    TRY(acme_csr_parse(job->arena, step->delegate.csr, &csr, ret_why));
    TRY(acme_id_new(acme_runner_options_of(job->runner)->clock, id));
    *ret = (struct acme_issuance){
        .id = id,
        .account_id = parent->account_id,
        .order_id = parent->order_id,
        .profile = parent->profile,
        .issuer = step->delegate.issuer,
        .names_digest = parent->names_digest,
        .spki_sha256 = acme_hex_encode(job->arena, csr.spki_sha256, sizeof csr.spki_sha256, false),
        .csr_sha256 = acme_hex_encode(job->arena, csr.sha256, sizeof csr.sha256, false),
        .csr = csr.der,
        .identifiers = parent->identifiers,
        .identifier_count = parent->identifier_count,
        .not_before_ms = parent->not_before_ms,
        .not_after_ms = parent->not_after_ms,
        .created_ms = acme_job_now_ms(job),
        .deadline_ms = parent->deadline_ms,
        .parent_id = parent->id,
        .label = step->delegate.label,
    };
    ENSURE(ret->spki_sha256 != NULL && ret->csr_sha256 != NULL, ACME_E_NOMEM);
    return acme_ok();
}

/* In one commit: the child with its job, which is ours, and the parent's state. */
static void start(struct active_job *job, const struct acme_issuance *child, const struct acme_step *step)
{
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    char job_id[ACME_ID_SIZE];
    const struct acme_lease lease = acme_job_lease(job);
    const struct acme_job child_job = {.id = job_id,
                                       .kind = ACME_JOB_ISSUE,
                                       .subject_id = child->id,
                                       .queue = child->issuer,
                                       .share = child->account_id,
                                       .run_at_ms = child->created_ms,
                                       .created_ms = child->created_ms};
    const struct acme_job_remark remark = {.note = step->note,
                                           .noted_ms = child->created_ms,
                                           .upstream_ref = job->run->upstream_ref,
                                           .asks = job->asked};
    const struct acme_delegation delegation = {.child = child,
                                               .child_job = &child_job,
                                               .child_lease = &lease,
                                               .job_id = job->id,
                                               .owner = options->owner,
                                               .state = acme_json_print(job->arena, job->run->state),
                                               .run_at_ms = child->created_ms + LOOK_AGAIN_MS,
                                               .attempts = job->attempts,
                                               .remark = &remark};
    bool started = false;
    struct acme_err err = acme_err(ACME_E_NOMEM);
    if (delegation.state != NULL)
        err = acme_id_new(options->clock, job_id);
    if (!acme_failed(err))
        err = acme_store_delegate(options->store, job->arena, &delegation, &started);
    if (acme_failed(err)) {
        acme_job_log_code(job, "an issuance could not be handed to another issuer, it will be tried again",
                          err);
        acme_job_drop(job);
        return;
    }
    if (started) {
        acme_log(INFO, "issuance needs a certificate of another issuer", LOG_STR("order", job->run->about),
                 LOG_STR("issuer", job->run->backend->name), LOG_STR("signer", child->issuer),
                 LOG_STR("label", child->label), LOG_STR("issuance", child->id));
        acme_runner_hand(job->runner, &child_job);
    }
    acme_job_done(job, delegation.run_at_ms);
}

struct acme_err acme_job_delegate(struct active_job *job, const struct acme_issuance *parent,
                                  const struct acme_step *step, const char **ret_why)
{
    const char *label = step->delegate.label;
    const char *issuer = step->delegate.issuer;
    char id[ACME_ID_SIZE];
    struct acme_issuance child;
    ENSURE(label != NULL && label[0] != '\0' && strlen(label) <= LABEL_MAX && parent->parent_id == NULL,
           ACME_E_INTERNAL);
    if (issuer == NULL || !has_issuer(acme_runner_options_of(job->runner), issuer)) {
        acme_log(ERROR, "an issuance needs an issuer that the configuration does not have",
                 LOG_STR("order", job->run->about), LOG_STR("issuer", issuer));
        acme_job_backend_wait(job, acme_job_now_ms(job) + NO_ISSUER_MS, true,
                              acme_arena_printf(job->arena,
                                                "the configuration has no issuer %s, which is to sign",
                                                issuer != NULL ? issuer : "(none)"));
        return acme_ok();
    }
    TRY(fill(job, parent, step, id, &child, ret_why));
    start(job, &child, step);
    return acme_ok();
}
