/* Deployments: lists, one of them, once more; and the deployers' queues. */
#include "base/id.h"
#include "base/log.h"
#include "server/admin_internal.h"

#include <string.h>

static const struct acme_deployer_config *deployer_named(const struct admin_call *call, const char *name)
{
    const struct acme_config *config = call->options->config;
    for (size_t i = 0; i < config->deployer_count; i++) {
        if (strcmp(config->deployers[i].name, name) == 0)
            return &config->deployers[i];
    }
    return NULL;
}

static struct acme_err queue_of(const struct admin_call *call, const char *deployer, const char **ret)
{
    *ret = acme_arena_printf(call->arena, ACME_DEPLOY_QUEUE "%s", deployer);
    ENSURE(*ret != NULL, ACME_E_NOMEM);
    return acme_ok();
}

/* ---- one deployment ---- */

struct acme_err acme_admin_deployment_job(const struct admin_call *call,
                                          const struct acme_deployment *deployment,
                                          struct acme_job_report *ret)
{
    const char *queue = NULL;
    TRY(queue_of(call, deployment->deployer, &queue));
    return acme_store_job_find(call->options->store, call->arena, queue, deployment->account_id,
                               deployment->id, ret);
}

const char *acme_admin_deployment_status(const struct acme_deployment *deployment)
{
    if (deployment->in_place && deployment->revoked_ms != 0)
        return "revoked, still in place";
    if (deployment->status == ACME_DEPLOYMENT_DEPLOYED && !deployment->in_place)
        return "deployed, replaced since";
    return acme_deployment_status_name(deployment->status);
}

static struct acme_err write_job(const struct admin_call *call, const struct acme_deployment *deployment)
{
    struct acme_json_writer *writer = call->writer;
    struct acme_job_report report;
    struct acme_err err = acme_admin_deployment_job(call, deployment, &report);
    if (err.code == ACME_E_NOT_FOUND)
        return acme_ok();
    TRY(err);
    acme_jw_bool(writer, "under_way", report.leased);
    acme_jw_int(writer, "attempts", report.job.attempts);
    if (!report.leased)
        acme_jw_time(writer, "next_step", report.due_ms);
    acme_jw_str(writer, "upstream", report.remark.upstream_ref);
    struct acme_job_question question;
    err = acme_store_question_get(call->options->store, call->arena, report.job.id, &question);
    if (!acme_failed(err))
        acme_admin_write_question(writer, &question);
    else if (err.code != ACME_E_NOT_FOUND)
        return err;
    acme_jw_str(writer, "note", report.remark.note);
    acme_jw_time(writer, "noted", report.remark.noted_ms);
    return acme_ok();
}

static struct acme_err write_names(const struct admin_call *call, const struct acme_deployment *deployment)
{
    struct acme_identifier *names = NULL;
    size_t count = 0;
    TRY(acme_identifiers_from_json(call->arena, deployment->identifiers_json, &names, &count));
    acme_jw_array(call->writer, "names");
    for (size_t i = 0; i < count; i++)
        acme_jw_str(call->writer, NULL, names[i].value);
    acme_jw_array_end(call->writer);
    return acme_ok();
}

static struct acme_err write_deployment(const struct admin_call *call,
                                        const struct acme_deployment *deployment, const char *name)
{
    struct acme_json_writer *writer = call->writer;
    acme_jw_object(writer, name);
    acme_jw_str(writer, "id", deployment->id);
    acme_jw_str(writer, "status", acme_admin_deployment_status(deployment));
    acme_jw_str(writer, "deployer", deployment->deployer);
    if (deployer_named(call, deployment->deployer) == NULL)
        acme_jw_bool(writer, "configured", false);
    TRY(write_names(call, deployment));
    acme_jw_str(writer, "order", deployment->order_id);
    acme_jw_str(writer, "certificate", deployment->certificate_id);
    acme_jw_str(writer, "serial", deployment->serial_hex);
    acme_jw_str(writer, "profile", deployment->profile);
    acme_jw_str(writer, "target", deployment->target);
    acme_jw_time(writer, "created", deployment->created_ms);
    if (deployment->status == ACME_DEPLOYMENT_PENDING) {
        acme_jw_time(writer, "deadline", deployment->deadline_ms);
        TRY(write_job(call, deployment));
    }
    acme_jw_time(writer, "ended", deployment->ended_ms);
    acme_jw_time(writer, "not_after", deployment->not_after_ms);
    acme_jw_time(writer, "revoked", deployment->revoked_ms);
    acme_jw_raw(writer, "error", deployment->error);
    acme_jw_object_end(writer);
    return acme_ok();
}

struct acme_err acme_admin_deploy_list(struct admin_call *call)
{
    const struct acme_admin_request *request = call->request;
    const struct acme_deployment_filter filter = {.deployer = request->deployer, .status = request->status};
    struct acme_deployment *list = NULL;
    size_t count = 0;
    TRY(acme_store_deployments_newest(call->options->store, call->arena, &filter, request->limit, &list,
                                      &count));
    acme_jw_array(call->writer, "deployments");
    for (size_t i = 0; i < count; i++)
        TRY(write_deployment(call, &list[i], NULL));
    acme_jw_array_end(call->writer);
    acme_jw_bool(call->writer, "more", count == request->limit);
    return acme_ok();
}

struct acme_err acme_admin_deploy_show(struct admin_call *call)
{
    const char *id = NULL;
    struct acme_deployment deployment;
    TRY(acme_admin_resolve(call, ACME_OBJECT_DEPLOYMENT, call->request->id, &id));
    TRY(acme_store_deployment_get(call->options->store, call->arena, id, &deployment));
    return write_deployment(call, &deployment, "deployment");
}

/* ---- once more ---- */

static struct acme_err refuse_retry(struct admin_call *call, const struct acme_deployment *deployment,
                                    struct acme_err err)
{
    if (err.code == ACME_E_STATE)
        return acme_admin_refused(call, "state",
                                  "deployment %s is %s: only one that is failed or pending "
                                  "can be tried again",
                                  deployment->id, acme_admin_deployment_status(deployment));
    if (err.code == ACME_E_CONFLICT)
        return acme_admin_refused(call, "state",
                                  "there is a newer deployment by %s for the same place: deployment %s would "
                                  "put an older certificate there",
                                  deployment->deployer, deployment->id);
    return err;
}

struct acme_err acme_admin_deploy_retry(struct admin_call *call)
{
    struct acme_store *store = call->options->store;
    const char *id = NULL;
    char job_id[ACME_ID_SIZE];
    struct acme_deployment deployment;
    TRY(acme_admin_resolve(call, ACME_OBJECT_DEPLOYMENT, call->request->id, &id));
    TRY(acme_store_deployment_get(store, call->arena, id, &deployment));
    const struct acme_deployer_config *deployer = deployer_named(call, deployment.deployer);
    if (deployer == NULL)
        return acme_admin_refused(call, "state", "the configuration has no deployer %s any more",
                                  deployment.deployer);
    if (deployment.revoked_ms != 0)
        return acme_admin_refused(call, "state", "the certificate of deployment %s is revoked", id);
    struct acme_deployment candidate = {
        .id = id, .job_id = job_id, .deadline_ms = call->now_ms + deployer->deadline_ms};
    TRY(acme_id_new(call->options->clock, job_id));
    TRY(queue_of(call, deployment.deployer, &candidate.queue));
    struct acme_err err = acme_store_deployment_retry(store, call->arena, &candidate, call->now_ms);
    if (acme_failed(err))
        return refuse_retry(call, &deployment, err);
    if (call->options->jobs_changed != NULL)
        call->options->jobs_changed(call->options->context);
    acme_log(INFO, "operator has a deployment tried again", LOG_STR("deployment", id),
             LOG_STR("deployer", deployment.deployer));
    TRY(acme_store_deployment_get(store, call->arena, id, &deployment));
    return write_deployment(call, &deployment, "deployment");
}

/* ---- what only the operator can decide ---- */

struct acme_err acme_admin_deploy_acknowledge(struct admin_call *call)
{
    const char *id = NULL;
    struct acme_deployment deployment;
    struct acme_job_report report;
    TRY(acme_admin_resolve(call, ACME_OBJECT_DEPLOYMENT, call->request->id, &id));
    TRY(acme_store_deployment_get(call->options->store, call->arena, id, &deployment));
    struct acme_err err = acme_admin_deployment_job(call, &deployment, &report);
    if (err.code == ACME_E_NOT_FOUND)
        return acme_admin_refused(call, "nothing-asked",
                                  "nothing has to be decided about the deployment %s: it is %s", id,
                                  acme_admin_deployment_status(&deployment));
    TRY(err);
    acme_jw_str(call->writer, "deployment", id);
    return acme_admin_question(call, report.job.id, acme_arena_printf(call->arena, "deployment %s", id));
}

/* ---- deployers ---- */

static struct acme_err write_deployer(const struct admin_call *call, const char *name,
                                      const struct acme_deployer_config *deployer)
{
    struct acme_json_writer *writer = call->writer;
    struct acme_queue_report report;
    const char *queue = NULL;
    TRY(queue_of(call, name, &queue));
    TRY(acme_store_queue_report(call->options->store, queue, call->now_ms, &report));
    acme_jw_object(writer, NULL);
    acme_jw_str(writer, "name", name);
    acme_jw_str(writer, "type",
                deployer != NULL ? acme_deployer_type_name(deployer->type) : "not configured");
    acme_admin_write_counts(writer, "deploy", &report, ACME_JOB_DEPLOY);
    acme_jw_int(writer, "intents", (int64_t)report.intents);
    acme_jw_int(writer, "failing", (int64_t)report.failing);
    acme_jw_time(writer, "next_due", report.next_ms);
    acme_jw_time(writer, "oldest", report.oldest_ms);
    acme_jw_object_end(writer);
    return acme_ok();
}

struct acme_err acme_admin_deployer_list(struct admin_call *call)
{
    const struct acme_config *config = call->options->config;
    const size_t prefix = sizeof ACME_DEPLOY_QUEUE - 1;
    const char **queues = NULL;
    size_t count = 0;
    TRY(acme_store_jobs_queues(call->options->store, call->arena, &queues, &count));
    acme_jw_array(call->writer, "deployers");
    for (size_t i = 0; i < config->deployer_count; i++)
        TRY(write_deployer(call, config->deployers[i].name, &config->deployers[i]));
    for (size_t i = 0; i < count; i++) { /* whose jobs wait for it to be configured again */
        if (strncmp(queues[i], ACME_DEPLOY_QUEUE, prefix) == 0 &&
            deployer_named(call, queues[i] + prefix) == NULL)
            TRY(write_deployer(call, queues[i] + prefix, NULL));
    }
    acme_jw_array_end(call->writer);
    return acme_ok();
}
