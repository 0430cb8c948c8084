/* Deployment jobs: a deployer is driven until the certificate is in place, or will not be. The order has
 * nothing to do with it any more. */
#include "backends/deployer.h"
#include "server/runner_internal.h"

#include <string.h>

#define BEHIND_MS (2 * ACME_SECOND_MS) /* how often one looks whether the one before it has ended */

struct deploy_run {
    struct backend_run run; /* first */
    struct acme_store *store;
    struct acme_arena *arena; /* the job's */
    struct acme_deployment deployment;
    struct acme_deploy_request request;
};

static struct deploy_run *deploy_of(const struct active_job *job)
{
    return (struct deploy_run *)job->run;
}

/* ---- the end ---- */

static void log_end(const struct active_job *job, enum acme_deployment_status status,
                    const struct acme_problem *problem)
{
    const struct acme_deployment *deployment = &deploy_of(job)->deployment;
    if (status == ACME_DEPLOYMENT_FAILED)
        acme_log(ERROR, "ALERT a certificate was not deployed; see to it, then: acmebridge deploy retry",
                 LOG_STR("deployment", deployment->id), LOG_STR("deployer", deployment->deployer),
                 LOG_STR("order", deployment->order_id), LOG_STR("certificate", deployment->certificate_id),
                 LOG_STR("detail", problem->detail));
    else
        acme_log(INFO,
                 status == ACME_DEPLOYMENT_DEPLOYED ? "certificate deployed"
                                                    : "deployment ended, a newer one takes its place",
                 LOG_STR("deployment", deployment->id), LOG_STR("deployer", deployment->deployer),
                 LOG_STR("order", deployment->order_id), LOG_STR("certificate", deployment->certificate_id));
}

/* `problem` for FAILED only. Gives the job away. */
static void finish(struct active_job *job, enum acme_deployment_status status,
                   const struct acme_problem *problem)
{
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    const char *error = problem != NULL ? acme_problem_json(job->arena, problem) : NULL;
    struct acme_err err = acme_err(problem != NULL && error == NULL ? ACME_E_NOMEM : ACME_OK);
    if (!acme_failed(err))
        err = acme_store_deployment_end(options->store, job->subject_id, job->id, options->owner,
                                        acme_job_now_ms(job), status, error);
    if (acme_failed(err)) {
        acme_job_log_code(job, "end of a deployment could not be stored, it will be tried again", err);
        acme_job_drop(job);
        return;
    }
    log_end(job, status, problem);
    if (status == ACME_DEPLOYMENT_DEPLOYED)
        acme_deploy_alert_revoked(options->store, job->arena, deploy_of(job)->deployment.certificate_id);
    acme_job_done(job, 0);
}

static void fail(struct active_job *job, const char *detail)
{
    finish(job, ACME_DEPLOYMENT_FAILED,
           &(struct acme_problem){.type = ACME_PROBLEM_SERVER_INTERNAL, .detail = detail});
}

static bool fail_after_deadline(struct active_job *job)
{
    const struct deploy_run *deploy = deploy_of(job);
    if (deploy->deployment.id == NULL || acme_job_now_ms(job) < deploy->deployment.deadline_ms)
        return false;
    fail(job, "The certificate could not be deployed in time.");
    return true;
}

static void end(struct active_job *job, const struct acme_step *step)
{
    static const struct acme_problem broken = {.type = ACME_PROBLEM_SERVER_INTERNAL,
                                               .detail = "The certificate could not be deployed."};
    if (step->kind == ACME_STEP_DONE)
        finish(job, ACME_DEPLOYMENT_DEPLOYED, NULL);
    else /* ISSUED is not an answer to a deployment */
        finish(job, ACME_DEPLOYMENT_FAILED, step->kind == ACME_STEP_FAILED ? &step->problem : &broken);
}

/* ---- is it wanted? ---- */

/* A newer certificate for the same place, or the end of this one: true when that is so, and the job has been
 * ended. */
static bool end_unwanted(struct active_job *job)
{
    struct acme_store *store = acme_runner_options_of(job->runner)->store;
    struct acme_deployment now;
    struct acme_revocation revocation;
    struct acme_err err = acme_store_deployment_get(store, job->arena, job->subject_id, &now);
    if (!acme_failed(err) && now.status == ACME_DEPLOYMENT_SUPERSEDED) {
        finish(job, ACME_DEPLOYMENT_SUPERSEDED, NULL);
        return true;
    }
    if (!acme_failed(err))
        err = acme_store_revocation_get(store, job->arena, now.certificate_id, &revocation);
    if (!acme_failed(err) && revocation.status != ACME_REVOCATION_FAILED) {
        fail(job, "The certificate was revoked before it was deployed.");
        return true;
    }
    if (acme_failed(err) && err.code != ACME_E_NOT_FOUND)
        acme_job_log_code(job, "a deployment could not be read again", err);
    return false;
}

/* ---- steps ---- */

/* What later deployments have to know is kept before anything follows from the step. */
static struct acme_err step(struct backend_run *run, struct acme_arena *arena, struct acme_step *ret)
{
    struct deploy_run *deploy = (struct deploy_run *)run;
    const struct acme_deployer *deployer = (const struct acme_deployer *)run->backend;
    struct acme_step next = {.kind = ACME_STEP_FAILED};
    TRY(deployer->class->step(deployer, arena, &deploy->request, run->state, &run->input, &next));
    if (next.target != NULL &&
        (deploy->deployment.target == NULL || strcmp(next.target, deploy->deployment.target) != 0)) {
        TRY(acme_store_deployment_target(deploy->store, deploy->deployment.id, next.target));
        deploy->deployment.target = acme_arena_strdup(deploy->arena, next.target);
        deploy->request.target = deploy->deployment.target;
    }
    *ret = next;
    return acme_ok();
}

static const struct backend_run_class deploy_class = {.name = "deployment",
                                                      .about = "deployment",
                                                      .role = "deployer",
                                                      .step = step,
                                                      .end = end,
                                                      .end_after_deadline = fail_after_deadline,
                                                      .end_unwanted = end_unwanted};

/* ---- the beginning ---- */

static struct acme_err load_request(struct active_job *job, struct deploy_run *deploy)
{
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    const struct acme_deployment *deployment = &deploy->deployment;
    struct acme_certificate certificate;
    struct acme_issuance issuance;
    struct acme_cert_list *chain = acme_arena_alloc(job->arena, sizeof *chain);
    uint8_t *spki_sha256 = acme_arena_alloc(job->arena, ACME_SHA256_SIZE);
    ENSURE(chain != NULL && spki_sha256 != NULL, ACME_E_NOMEM);
    TRY(acme_store_certificate_get(options->store, job->arena, deployment->certificate_id, &certificate));
    TRY(acme_store_issuance_get(options->store, job->arena, deployment->issuance_id, &issuance));
    TRY(acme_certs_read(
        job->arena,
        (struct acme_bytes){.data = (const uint8_t *)certificate.chain, .len = strlen(certificate.chain)},
        chain));
    ENSURE(chain->count > 0, ACME_E_INTERNAL);
    TRY(acme_spki_sha256(X509_get0_pubkey(chain->certs[0]), spki_sha256));
    deploy->request = (struct acme_deploy_request){
        .tag = acme_arena_printf(job->arena, "acmebridge/%s", deployment->id),
        .deployment_id = deployment->id,
        .certificate_id = deployment->certificate_id,
        .order_id = deployment->order_id,
        .account_id = deployment->account_id,
        .profile = deployment->profile,
        .identifiers = issuance.identifiers,
        .identifier_count = issuance.identifier_count,
        .chain = chain,
        .chain_pem = certificate.chain,
        .spki_sha256 = spki_sha256,
        .serial_hex = certificate.serial_hex,
        .sha256_hex = certificate.sha256_hex,
        .not_before_ms = certificate.not_before_ms,
        .not_after_ms = certificate.not_after_ms,
        .created_ms = deployment->created_ms,
        .deadline_ms = deployment->deadline_ms,
    };
    ENSURE(deploy->request.tag != NULL, ACME_E_NOMEM);
    return acme_store_deploy_target(options->store, job->arena, deployment->deployer, deployment->place,
                                    &deploy->request.target);
}

static struct acme_err load(struct active_job *job, struct deploy_run *deploy)
{
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    TRY(acme_store_deployment_get(options->store, job->arena, job->subject_id, &deploy->deployment));
    deploy->store = options->store;
    deploy->arena = job->arena;
    deploy->run.about = deploy->deployment.id;
    deploy->run.deadline_ms = deploy->deployment.deadline_ms;
    TRY(load_request(job, deploy));
    return acme_job_backend_load(job, &deploy->run);
}

/* An older one for the same place that somebody still works on, or that has something in doubt, comes first:
 * else its certificate could replace this one. True when the job has been given away. */
static bool wait_behind(struct active_job *job)
{
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    const char *before = NULL;
    struct acme_err err = acme_store_deployment_behind(options->store, job->arena, job->subject_id, &before);
    if (!acme_failed(err) && before == NULL)
        return false;
    int64_t run_at_ms = acme_job_now_ms(job) + BEHIND_MS;
    const struct acme_job_remark remark = {
        .note = before != NULL ? acme_arena_printf(job->arena, "waits for the end of deployment %s", before)
                               : NULL,
        .noted_ms = acme_job_now_ms(job)};
    if (!acme_failed(err))
        err = job->intent ? acme_store_job_release(options->store, job->id, options->owner, run_at_ms)
                          : acme_store_job_wait(options->store, job->id, options->owner, job->state,
                                                run_at_ms, job->attempts, &remark);
    if (acme_failed(err)) {
        acme_job_log_code(job, "deployment could not be put back", err);
        acme_job_drop(job);
        return true;
    }
    acme_job_done(job, run_at_ms);
    return true;
}

void acme_job_deploy_run(void *argument)
{
    struct active_job *job = argument;
    struct deploy_run *deploy = acme_arena_alloc(job->arena, sizeof *deploy);
    struct acme_err err = acme_err(ACME_E_NOMEM);
    if (deploy != NULL) {
        deploy->run.class = &deploy_class;
        deploy->run.input.now_ms = acme_job_now_ms(job);
        job->run = &deploy->run;
        err = load(job, deploy);
    }
    if (acme_failed(err)) {
        acme_job_log_code(job, "deployment could not be loaded", err);
        if (deploy == NULL || !fail_after_deadline(job))
            acme_job_drop(job);
        return;
    }
    /* What is in doubt is looked into whatever has become of the certificate. */
    if (!job->intent && end_unwanted(job))
        return;
    if (deploy->run.backend == NULL || !wait_behind(job))
        acme_job_backend_run(job);
}

/* ---- certificates that are revoked, and still somewhere ---- */

void acme_deploy_alert_revoked(struct acme_store *store, struct acme_arena *arena, const char *certificate_id)
{
    struct acme_deployment *list = NULL;
    size_t count = 0;
    struct acme_err err = acme_store_deployments_of(store, arena, certificate_id, &list, &count);
    if (acme_failed(err))
        acme_log(ERROR, "deployments of a certificate could not be listed",
                 LOG_STR("certificate", certificate_id), LOG_STR("code", acme_code_name(err.code)));
    for (size_t i = 0; i < count; i++) {
        if (list[i].in_place && list[i].revoked_ms != 0)
            acme_log(ERROR, "ALERT a revoked certificate is still in place; have a new one issued",
                     LOG_STR("certificate", certificate_id), LOG_STR("serial", list[i].serial_hex),
                     LOG_STR("deployer", list[i].deployer), LOG_STR("deployment", list[i].id),
                     LOG_STR("target", list[i].target));
    }
}
