/* Issuance jobs: drive an issuer from step to step, commit what must be committed before and after each one.
 */
#include "server/quarantine.h"
#include "server/runner_internal.h"

#include <string.h>

enum {
    STEP_ARENA_BYTES =
        8 * 1024 * 1024,   /* holds a reply (at most 1 MiB by default), its parsed form and the next call */
    STEPS_PER_RUN = 10000, /* an issuer that never waits is broken: stop, look again later */
    STEP_RETRY_MAX_MS = 5 * 60 * 1000,
    CHAIN_FOR_CLIENTS = 5,
    WAIT_MIN_MS = 250 /* the scheduler must not meet a job that is due before this thread has let go of it */
};

struct issue_run {
    struct acme_issuance issuance;
    struct acme_csr csr;
    struct acme_issue_request request;
    const struct acme_issuer *issuer;
    cJSON *state;
    bool once_under_way; /* the call in flight was flagged `once` */
    int steps;
    const char *upstream_ref;
    struct acme_issuer_input input;
};

static void take_step(struct active_job *job);

static void log_note(const struct active_job *job, const struct acme_step *step)
{
    if (step->note == NULL)
        return;
    const struct issue_run *run = job->issue;
    const char *ref = step->upstream_ref != NULL ? step->upstream_ref : run->upstream_ref;
    if (step->kind == ACME_STEP_FAILED || (step->kind == ACME_STEP_WAIT && step->failure))
        acme_log(WARN, "issuance", LOG_STR("note", step->note), LOG_STR("issuer", run->issuer->name),
                 LOG_STR("order", run->issuance.order_id), LOG_STR("upstream", ref),
                 LOG_INT("attempts", job->attempts));
    else
        acme_log(INFO, "issuance", LOG_STR("note", step->note), LOG_STR("issuer", run->issuer->name),
                 LOG_STR("order", run->issuance.order_id), LOG_STR("upstream", ref));
}

static void log_code(const struct active_job *job, const char *event, struct acme_err err)
{
    acme_log(ERROR, event, LOG_STR("job", job->id), LOG_STR("issuance", job->subject_id),
             LOG_STR("code", acme_code_name(err.code)));
}

static void release_reply(struct active_job *job)
{
    acme_arena_destroy(job->reply_arena);
    job->reply_arena = NULL;
    job->issue->input.reply = NULL;
    job->issue->input.failure = NULL;
}

/* Give the job back until `run_at_ms`. */
static void wait_for(struct active_job *job, int64_t run_at_ms, bool failure)
{
    struct issue_run *run = job->issue;
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    int64_t soonest_ms = acme_job_now_ms(job) + WAIT_MIN_MS;
    if (run_at_ms < soonest_ms)
        run_at_ms = soonest_ms;
    char *state = acme_json_print(job->arena, run->state);
    struct acme_err err = acme_err(ACME_E_NOMEM);
    if (state != NULL)
        err = acme_store_job_wait(options->store, job->id, options->owner, state, run_at_ms,
                                  job->attempts + (failure ? 1 : 0));
    if (acme_failed(err)) {
        log_code(job, "job could not be put back", err);
        acme_job_drop(job);
        return;
    }
    acme_job_done(job, run_at_ms);
}

static void tell_orders(const struct active_job *job)
{
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    const char **orders = NULL;
    size_t count = 0;
    struct acme_err err =
        acme_store_issuance_orders(options->store, job->arena, job->issue->issuance.id, &orders, &count);
    if (acme_failed(err)) /* held requests then end by their own timer */
        log_code(job, "orders of an issuance could not be listed", err);
    for (size_t i = 0; i < count; i++)
        options->order_changed(options->context, orders[i]);
}

static void fail(struct active_job *job, const struct acme_problem *problem)
{
    struct issue_run *run = job->issue;
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    char *error = acme_problem_json(job->arena, problem);
    struct acme_err err = acme_err(ACME_E_NOMEM);
    if (error != NULL)
        err = acme_store_issuance_failed(options->store, run->issuance.id, job->id, options->owner,
                                         run->upstream_ref, error);
    if (acme_failed(err)) {
        log_code(job, "failed issuance could not be stored", err);
        acme_job_drop(job);
        return;
    }
    tell_orders(job);
    acme_job_done(job, 0);
}

/* What the issuer itself cannot end any more: true when the order's time is over and the issuance has failed.
 */
static bool fail_after_deadline(struct active_job *job)
{
    const struct issue_run *run = job->issue;
    if (run->issuance.deadline_ms == 0 || run->input.now_ms < run->issuance.deadline_ms)
        return false;
    acme_log(ERROR,
             job->intent ? "ALERT an issuance ran out of time; a request may be open upstream"
                         : "an issuance ran out of time",
             LOG_STR("order", run->issuance.order_id), LOG_STR("issuer", run->issuance.issuer),
             LOG_STR("upstream", run->upstream_ref));
    fail(job, &(struct acme_problem){
                  .type = ACME_PROBLEM_SERVER_INTERNAL,
                  .detail = "The certificate could not be issued in time; please make a new order."});
    return true;
}

/* The dates an order asked for, to the second. */
static struct acme_err check_dates(struct acme_arena *arena, const struct acme_issue_request *request,
                                   X509 *leaf, const char **ret_why)
{
    struct acme_cert_info info;
    TRY(acme_cert_info_read(arena, leaf, &info));
    if (request->not_before_ms != 0 && info.not_before_ms != request->not_before_ms)
        *ret_why = "its notBefore is not the one of the order";
    else if (request->not_after_ms != 0 && info.not_after_ms != request->not_after_ms)
        *ret_why = "its notAfter is not the one of the order";
    else
        return acme_ok();
    return acme_err(ACME_E_DENIED);
}

/* Chains beside the first, as PEM. One that is not good (a cross-certificate that has expired) is left out:
 * there is another. */
static struct acme_err write_alternates(const struct active_job *job, const struct acme_step *step,
                                        X509 *leaf, int64_t at_ms, const char ***ret, size_t *ret_count)
{
    const struct issue_run *run = job->issue;
    const char **chains = acme_arena_alloc(job->arena, (step->alternate_count + 1) * sizeof *chains);
    ENSURE(chains != NULL, ACME_E_NOMEM);
    size_t count = 0;
    for (size_t i = 0; i < step->alternate_count; i++) {
        const struct acme_cert_list *chain = &step->alternates[i];
        const char *why = "it is not a chain of this certificate";
        struct acme_err err = acme_err(ACME_E_DENIED);
        if (chain->count > 1 && X509_cmp(chain->certs[0], leaf) == 0)
            err = acme_chain_check(job->arena, chain, &run->csr, run->request.identifiers,
                                   run->request.identifier_count, at_ms, &why);
        if (err.code == ACME_E_DENIED) {
            acme_log(WARN, "an alternate chain is left out", LOG_STR("why", why),
                     LOG_STR("issuer", run->issuer->name), LOG_STR("order", run->issuance.order_id));
            continue;
        }
        TRY(err);
        chains[count] = acme_chain_pem(job->arena, chain);
        ENSURE(chains[count] != NULL, ACME_E_NOMEM);
        count++;
    }
    *ret = chains;
    *ret_count = count;
    return acme_ok();
}

/* Sort, check and store what the issuer delivered. A certificate that does not fit the order is never handed
 * out. */
static void deliver(struct active_job *job, const struct acme_step *step)
{
    struct issue_run *run = job->issue;
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    const char *why = "no certificate with the key of the CSR, or its issuer is missing";
    struct acme_cert_list chain = {.count = 0};
    /* An order may ask for a certificate that becomes valid later. */
    int64_t at_ms =
        run->request.not_before_ms > run->input.now_ms ? run->request.not_before_ms : run->input.now_ms;
    struct acme_err err = acme_chain_build(&step->certs, run->csr.spki_sha256, &chain);
    if (!acme_failed(err))
        err = acme_chain_check(job->arena, &chain, &run->csr, run->request.identifiers,
                               run->request.identifier_count, at_ms, &why);
    if (!acme_failed(err))
        err = check_dates(job->arena, &run->request, chain.certs[0], &why);
    if (acme_failed(err) && err.code != ACME_E_NOT_FOUND && err.code != ACME_E_FORMAT &&
        err.code != ACME_E_DENIED) {
        log_code(job, "certificate could not be checked, will be tried again", err);
        if (!fail_after_deadline(job))
            acme_job_drop(job); /* our own trouble says nothing about the certificate */
        return;
    }
    if (acme_failed(err)) {
        acme_quarantine_keep(options->quarantine_dir, run->issuance.id, job->arena, &step->certs);
        acme_log(ERROR, "ALERT certificate does not fit its order, quarantined", LOG_STR("why", why),
                 LOG_STR("order", run->issuance.order_id), LOG_STR("issuance", run->issuance.id),
                 LOG_STR("issuer", run->issuer->name), LOG_STR("upstream", run->upstream_ref));
        const char *detail = acme_arena_printf(
            job->arena,
            "The CA delivered a certificate that does not fit this order: %s. It was not handed out; "
            "the operator of this server has been alerted.",
            why);
        fail(job, &(struct acme_problem){.type = ACME_PROBLEM_SERVER_INTERNAL, .detail = detail});
        return;
    }
    if (chain.count > CHAIN_FOR_CLIENTS)
        acme_log(WARN, "a long chain: some clients take five certificates at most",
                 LOG_INT("certificates", chain.count), LOG_STR("order", run->issuance.order_id));
    struct acme_cert_info info;
    char id[ACME_ID_SIZE];
    char *pem = acme_chain_pem(job->arena, &chain);
    err = pem == NULL ? acme_err(ACME_E_NOMEM) : acme_cert_info_read(job->arena, chain.certs[0], &info);
    const char **alternates = NULL;
    size_t alternate_count = 0;
    if (!acme_failed(err))
        err = write_alternates(job, step, chain.certs[0], at_ms, &alternates, &alternate_count);
    if (!acme_failed(err))
        err = acme_id_new(options->clock, id);
    if (!acme_failed(err)) {
        struct acme_certificate certificate = {.id = id,
                                               .issuance_id = run->issuance.id,
                                               .account_id = run->issuance.account_id,
                                               .issuer = run->issuer->name,
                                               .chain = pem,
                                               .alternates = alternates,
                                               .alternate_count = alternate_count,
                                               .serial_hex = info.serial_hex,
                                               .aki_hex = info.aki_hex,
                                               .sha256_hex = info.sha256_hex,
                                               .not_before_ms = info.not_before_ms,
                                               .not_after_ms = info.not_after_ms,
                                               .created_ms = run->input.now_ms};
        err = acme_store_issuance_issued(options->store, run->issuance.id, job->id, options->owner,
                                         run->upstream_ref, &certificate);
    }
    if (acme_failed(err)) {
        log_code(job, "issued certificate could not be stored", err);
        if (!fail_after_deadline(job))
            acme_job_drop(job);
        return;
    }
    acme_log(INFO, "certificate issued", LOG_STR("order", run->issuance.order_id), LOG_STR("certificate", id),
             LOG_STR("serial", info.serial_hex), LOG_STR("issuer", run->issuer->name),
             LOG_STR("upstream", run->upstream_ref));
    tell_orders(job);
    acme_job_done(job, 0);
}

/* ---- calls ---- */

static const struct acme_http_reply *copy_reply(struct acme_arena *arena, const struct acme_http_reply *reply)
{
    struct acme_http_reply *copy = acme_arena_alloc(arena, sizeof *copy);
    if (copy == NULL)
        return NULL;
    copy->status = reply->status;
    copy->headers = acme_arena_alloc(arena, sizeof *copy->headers * (reply->header_count + 1));
    copy->body.data = acme_arena_memdup(arena, reply->body.data, reply->body.len);
    copy->body.len = reply->body.len;
    if (copy->headers == NULL || (copy->body.data == NULL && copy->body.len > 0))
        return NULL;
    for (size_t i = 0; i < reply->header_count; i++) {
        copy->headers[i].name = acme_arena_strdup(arena, reply->headers[i].name);
        copy->headers[i].value = acme_arena_strdup(arena, reply->headers[i].value);
        if (copy->headers[i].name == NULL || copy->headers[i].value == NULL)
            return NULL;
    }
    copy->header_count = reply->header_count;
    return copy;
}

static void continue_on_job_thread(void *job)
{
    take_step(job);
}

/* On the outbound thread. */
static void call_done(void *context, const struct acme_outbound_result *result)
{
    struct active_job *job = context;
    struct issue_run *run = job->issue;
    if (result->failure == ACME_OUTBOUND_CANCELLED) {
        acme_job_drop(job);
        return;
    }
    job->reply_arena = acme_arena_create(STEP_ARENA_BYTES);
    if (job->reply_arena == NULL) {
        acme_job_drop(job); /* an intent, if any, stands in the store: the next run recovers */
        return;
    }
    if (result->failure == ACME_OUTBOUND_OK) {
        run->input.event = ACME_ISSUER_REPLY;
        run->input.reply = copy_reply(job->reply_arena, result->reply);
        if (run->input.reply == NULL) {
            acme_job_drop(job);
            return;
        }
    } else {
        run->input.event = ACME_ISSUER_CALL_FAILED;
        run->input.failure =
            acme_arena_strdup(job->reply_arena, result->detail != NULL ? result->detail : "");
        run->input.reached = result->failure != ACME_OUTBOUND_DNS &&
                             result->failure != ACME_OUTBOUND_CONNECT &&
                             result->failure != ACME_OUTBOUND_TLS && result->failure != ACME_OUTBOUND_DENIED;
    }
    acme_job_submit(job, continue_on_job_thread);
}

/* Send a call. What must not happen twice is announced in the store first; a known outcome of such a call,
 * and a lease that grows old, are saved as well. */
static void send_call(struct active_job *job, const struct acme_step *step)
{
    struct issue_run *run = job->issue;
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    bool lease_is_old = acme_job_now_ms(job) - job->leased_ms > options->lease_ms / 2;
    if (step->once || run->once_under_way || job->intent || lease_is_old) {
        struct acme_lease lease = acme_job_lease(job);
        char *state = acme_json_print(job->arena, run->state);
        struct acme_err err = acme_err(ACME_E_NOMEM);
        if (state != NULL)
            err = acme_store_job_save(options->store, job->id, &lease, state, step->once);
        if (acme_failed(err)) {
            log_code(job, "job could not be saved before its call", err);
            acme_job_drop(job);
            return;
        }
        job->intent = step->once;
        job->leased_ms = acme_job_now_ms(job);
    }
    run->once_under_way = step->once;
    struct acme_err err =
        acme_outbound_call(options->outbound, &run->issuer->transport, &step->call, call_done, job);
    if (acme_failed(err)) {
        log_code(job, "call could not be started", err);
        acme_job_drop(job);
    }
}

/* ---- steps ---- */

static void take_step(struct active_job *job)
{
    struct issue_run *run = job->issue;
    run->input.now_ms = acme_job_now_ms(job);
    run->input.attempts = job->attempts;
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(STEP_ARENA_BYTES);
    struct acme_step step = {.kind = ACME_STEP_FAILED};
    struct acme_err err = acme_err(arena == NULL ? ACME_E_NOMEM : ACME_E_INTERNAL);
    if (arena != NULL && ++run->steps <= STEPS_PER_RUN)
        err = run->issuer->class->step(run->issuer, arena, &run->request, run->state, &run->input, &step);
    if (acme_failed(err)) {
        log_code(job, "issuer's step failed, will be tried again", err);
        if (fail_after_deadline(job))
            return;
        if (job->intent) /* leave the intent as it is: only the issuer's RECOVER may decide about it */
            acme_job_drop(job);
        else
            wait_for(job, run->input.now_ms + acme_job_backoff_ms(job->attempts + 1, STEP_RETRY_MAX_MS),
                     true);
        return;
    }
    if (step.upstream_ref != NULL)
        run->upstream_ref = acme_arena_strdup(job->arena, step.upstream_ref);
    log_note(job, &step);
    switch (step.kind) {
    case ACME_STEP_CALL:
        release_reply(job);
        send_call(job, &step);
        break;
    case ACME_STEP_WAIT:
        wait_for(job, step.wait_until_ms, step.failure);
        break;
    case ACME_STEP_ISSUED:
        deliver(job, &step);
        break;
    case ACME_STEP_FAILED:
        fail(job, &step.problem);
        break;
    }
}

static struct acme_err load(struct active_job *job, struct issue_run *run)
{
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    TRY(acme_store_issuance_get(options->store, job->arena, job->subject_id, &run->issuance));
    TRY(acme_csr_reread(job->arena, run->issuance.csr, &run->csr));
    if (job->state != NULL) {
        TRY(acme_json_parse(job->arena, job->state, strlen(job->state), &run->state));
    } else {
        TRY(acme_json_parse(job->arena, "{}", 2, &run->state));
    }
    run->issuer = job->queue->issuer;
    const char *tag = acme_arena_printf(job->arena, "acmebridge/%s", run->issuance.id);
    ENSURE(tag != NULL, ACME_E_NOMEM);
    run->upstream_ref = run->issuance.upstream_ref;
    run->request = (struct acme_issue_request){
        .tag = tag,
        .account_id = run->issuance.account_id,
        .order_id = run->issuance.order_id,
        .csr = &run->csr,
        .identifiers = run->issuance.identifiers,
        .identifier_count = run->issuance.identifier_count,
        .not_before_ms = run->issuance.not_before_ms,
        .not_after_ms = run->issuance.not_after_ms,
        .validity_ms = options->profile_validity_ms(options->context, run->issuance.profile),
        .created_ms = run->issuance.created_ms,
        .deadline_ms = run->issuance.deadline_ms,
    };
    return acme_ok();
}

void acme_job_issue_run(void *argument)
{
    struct active_job *job = argument;
    struct issue_run *run = acme_arena_alloc(job->arena, sizeof *run);
    struct acme_err err = run == NULL ? acme_err(ACME_E_NOMEM) : load(job, run);
    job->issue = run;
    if (run != NULL)
        run->input.now_ms = acme_job_now_ms(job);
    if (acme_failed(err)) {
        log_code(job, "issuance could not be loaded", err);
        if (run == NULL || run->issuance.id == NULL || !fail_after_deadline(job))
            acme_job_drop(job);
        return;
    }
    if (run->issuer == NULL) { /* stays leased, and with it as it is, for when the issuer comes back */
        if (!fail_after_deadline(job))
            acme_job_drop(job);
        return;
    }
    if (job->intent)
        run->input.event = ACME_ISSUER_RECOVER;
    else
        run->input.event = job->state == NULL ? ACME_ISSUER_START : ACME_ISSUER_TIMER;
    take_step(job);
}
