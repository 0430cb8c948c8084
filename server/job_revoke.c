/* Revocation jobs: an issuer is driven until the certificate is revoked, or will not be. */
#include "server/runner_internal.h"

#include <string.h>

struct revoke_run {
    struct backend_run run; /* first */
    struct acme_certificate certificate;
    struct acme_revoke_request request;
};

static struct revoke_run *revoke_of(const struct active_job *job)
{
    return (struct revoke_run *)job->run;
}

/* problem NULL: the certificate is revoked. */
static void finish(struct active_job *job, const struct acme_problem *problem)
{
    const struct revoke_run *revoke = revoke_of(job);
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    const char *error = problem != NULL ? acme_problem_json(job->arena, problem) : NULL;
    struct acme_err err = acme_err(problem != NULL && error == NULL ? ACME_E_NOMEM : ACME_OK);
    if (!acme_failed(err))
        err = acme_store_revocation_end(options->store, job->subject_id, job->id, options->owner,
                                        acme_job_now_ms(job), error);
    if (acme_failed(err)) {
        acme_job_log_code(job, "end of a revocation could not be stored, it will be tried again", err);
        acme_job_drop(job);
        return;
    }
    if (problem == NULL)
        acme_log(INFO, "certificate revoked", LOG_STR("certificate", job->subject_id),
                 LOG_STR("serial", revoke->certificate.serial_hex),
                 LOG_STR("issuer", revoke->certificate.issuer), LOG_INT("reason", revoke->request.reason));
    if (problem == NULL)
        acme_deploy_alert_revoked(options->store, job->arena, job->subject_id);
    else /* the client may have been told that it will be revoked */
        acme_log(
            ERROR, "ALERT a certificate was not revoked, revoke it at its issuer or ask its owner to repeat",
            LOG_STR("certificate", job->subject_id), LOG_STR("serial", revoke->certificate.serial_hex),
            LOG_STR("issuer", revoke->certificate.issuer), LOG_STR("upstream", revoke->run.upstream_ref));
    options->revocation_ended(options->context, job->subject_id, revoke->certificate.issuer);
    acme_job_done(job, 0);
}

static bool finish_after_deadline(struct active_job *job)
{
    const struct revoke_run *revoke = revoke_of(job);
    if (revoke->certificate.id == NULL || acme_job_now_ms(job) < revoke->certificate.not_after_ms)
        return false;
    finish(job, &(struct acme_problem){.type = ACME_PROBLEM_SERVER_INTERNAL,
                                       .detail = "The certificate expired before it could be revoked."});
    return true;
}

static struct acme_err step(struct backend_run *run, struct acme_arena *arena, struct acme_step *ret)
{
    const struct revoke_run *revoke = (const struct revoke_run *)run;
    const struct acme_issuer *issuer = (const struct acme_issuer *)run->backend;
    return issuer->class->revoke(issuer, arena, &revoke->request, run->state, &run->input, ret);
}

static void end(struct active_job *job, const struct acme_step *step)
{
    static const struct acme_problem broken = {.type = ACME_PROBLEM_SERVER_INTERNAL,
                                               .detail = "The certificate could not be revoked."};
    if (step->kind == ACME_STEP_DONE)
        finish(job, NULL);
    else /* ISSUED is not an answer to a revocation */
        finish(job, step->kind == ACME_STEP_FAILED ? &step->problem : &broken);
}

static const struct backend_run_class revoke_class = {.name = "revocation",
                                                      .about = "certificate",
                                                      .role = "issuer",
                                                      .step = step,
                                                      .end = end,
                                                      .end_after_deadline = finish_after_deadline};

static struct acme_err load(struct active_job *job, struct revoke_run *revoke)
{
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    struct acme_revocation revocation;
    struct acme_issuance issuance;
    struct acme_cert_list chain = {.count = 0};
    TRY(acme_store_certificate_get(options->store, job->arena, job->subject_id, &revoke->certificate));
    TRY(acme_store_revocation_get(options->store, job->arena, job->subject_id, &revocation));
    TRY(acme_store_issuance_get(options->store, job->arena, revoke->certificate.issuance_id, &issuance));
    /* The number would lead to the certificate that replaces this one. */
    bool replaced = false;
    TRY(acme_store_issuance_replaced(options->store, issuance.id, &replaced));
    const char *pem = revoke->certificate.chain;
    TRY(acme_certs_read(job->arena, (struct acme_bytes){.data = (const uint8_t *)pem, .len = strlen(pem)},
                        &chain));
    ENSURE(chain.count > 0, ACME_E_INTERNAL);
    revoke->request = (struct acme_revoke_request){
        .serial_hex = revoke->certificate.serial_hex,
        .upstream_ref = replaced ? NULL : issuance.upstream_ref,
        .reason = revocation.reason,
        .created_ms = revocation.requested_ms,
        .deadline_ms = revoke->certificate.not_after_ms,
    };
    TRY(acme_cert_der(job->arena, chain.certs[0], &revoke->request.certificate));
    revoke->run.upstream_ref = issuance.upstream_ref;
    revoke->run.about = job->subject_id;
    revoke->run.deadline_ms = revoke->certificate.not_after_ms;
    return acme_job_backend_load(job, &revoke->run);
}

/* The certificate expired so long ago that it was removed: while its issuer was not configured, or while this
 * server did not run. */
static void forget(struct active_job *job)
{
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    struct acme_err err = acme_store_revocation_end(options->store, job->subject_id, job->id, options->owner,
                                                    acme_job_now_ms(job), NULL);
    if (acme_failed(err)) {
        acme_job_log_code(job, "end of a revocation could not be stored, it will be tried again", err);
        acme_job_drop(job);
        return;
    }
    acme_log(WARN, "a certificate was to be revoked, but expired long ago",
             LOG_STR("certificate", job->subject_id), LOG_STR("issuer", job->queue->name));
    acme_job_done(job, 0);
}

void acme_job_revoke_run(void *argument)
{
    struct active_job *job = argument;
    struct revoke_run *revoke = acme_arena_alloc(job->arena, sizeof *revoke);
    struct acme_err err = acme_err(ACME_E_NOMEM);
    if (revoke != NULL) {
        revoke->run.class = &revoke_class;
        revoke->run.input.now_ms = acme_job_now_ms(job);
        job->run = &revoke->run;
        err = load(job, revoke);
    }
    if (err.code == ACME_E_NOT_FOUND && revoke->certificate.id == NULL) {
        forget(job);
        return;
    }
    if (acme_failed(err)) {
        acme_job_log_code(job, "revocation could not be loaded", err);
        if (revoke == NULL || !finish_after_deadline(job))
            acme_job_drop(job);
        return;
    }
    acme_job_backend_run(job);
}
