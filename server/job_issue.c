/* Issuance jobs: an issuer is driven until the certificate is there; it is checked and handed over to the
 * orders. */
#include "server/caa_check.h"
#include "server/delivery.h"
#include "server/quarantine.h"
#include "server/runner_internal.h"

#include <string.h>

enum { WHY_MAX = 200, CAA_TRIES = 5, CAA_RETRY_MAX_MS = 60 * 1000 };

struct issue_run {
    struct backend_run run; /* first */
    struct acme_issuance issuance;
    int64_t loaded_ms; /* when that was read */
    struct acme_csr csr;
    bool key_at_edge; /* the certificate carries another key than the CSR */
    struct acme_issue_request request;
    struct acme_caa_request *caa;
    size_t caa_count;
    struct acme_caa_result caa_result;
};

static struct issue_run *issue_of(const struct active_job *job)
{
    return (struct issue_run *)job->run;
}

static void tell_orders(const struct active_job *job)
{
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    const char **orders = NULL;
    size_t count = 0;
    struct acme_err err =
        acme_store_issuance_orders(options->store, job->arena, issue_of(job)->issuance.id, &orders, &count);
    if (acme_failed(err)) /* held requests then end by their own timer */
        acme_job_log_code(job, "orders of an issuance could not be listed", err);
    for (size_t i = 0; i < count; i++)
        options->order_changed(options->context, orders[i]);
}

static void fail(struct active_job *job, const struct acme_problem *problem)
{
    struct issue_run *run = issue_of(job);
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    char *error = acme_problem_json(job->arena, problem);
    struct acme_err err = acme_err(ACME_E_NOMEM);
    if (error != NULL)
        err = acme_store_issuance_failed(options->store, run->issuance.id, job->id, options->owner,
                                         run->run.upstream_ref, error);
    if (acme_failed(err)) {
        acme_job_log_code(job, "failed issuance could not be stored", err);
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
    const struct issue_run *run = issue_of(job);
    if (run->issuance.deadline_ms == 0 || run->run.input.now_ms < run->issuance.deadline_ms)
        return false;
    acme_log(ERROR,
             job->intent ? "ALERT an issuance ran out of time; a request may be open upstream"
                         : "an issuance ran out of time",
             LOG_STR("order", run->issuance.order_id), LOG_STR("issuer", run->issuance.issuer),
             LOG_STR("upstream", run->run.upstream_ref));
    fail(job, &(struct acme_problem){
                  .type = ACME_PROBLEM_SERVER_INTERNAL,
                  .detail = "The certificate could not be issued in time; please make a new order."});
    return true;
}

/* What was read this long ago is not read again: only who has been away for minutes is superseded. */
#define FRESH_MS ACME_SECOND_MS

/* It may have happened since this run began. */
static bool is_superseded(const struct active_job *job)
{
    const struct issue_run *run = issue_of(job);
    enum acme_issuance_status status = run->issuance.status;
    if (acme_job_now_ms(job) - run->loaded_ms > FRESH_MS) {
        struct acme_err err =
            acme_store_issuance_status(acme_runner_options_of(job->runner)->store, job->subject_id, &status);
        if (acme_failed(err))
            acme_job_log_code(job, "an issuance could not be read again", err);
    }
    return status == ACME_ISSUANCE_WITHDRAWN;
}

/* Made for another issuance, which has ended. */
static bool is_for_nobody(const struct active_job *job)
{
    const char *parent_id = issue_of(job)->issuance.parent_id;
    enum acme_issuance_status parent = ACME_ISSUANCE_PENDING;
    if (parent_id == NULL)
        return false;
    struct acme_err err =
        acme_store_issuance_status(acme_runner_options_of(job->runner)->store, parent_id, &parent);
    if (acme_failed(err) && err.code != ACME_E_NOT_FOUND)
        acme_job_log_code(job, "an issuance could not be read", err);
    return acme_failed(err) ? err.code == ACME_E_NOT_FOUND : parent != ACME_ISSUANCE_PENDING;
}

/* Nothing is begun for an order that was superseded, or an account that has ended: true when that is so, and
 * the issuance has failed. What may already be under way upstream is followed to its end all the same. */
static bool fail_unwanted(struct active_job *job)
{
    const struct issue_run *run = issue_of(job);
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    if (is_for_nobody(job)) {
        acme_log(INFO, "issuance not begun, the one that needed it has ended",
                 LOG_STR("order", run->issuance.order_id), LOG_STR("issuer", run->issuance.issuer));
        fail(job, &(struct acme_problem){.type = ACME_PROBLEM_ORDER_NOT_READY,
                                         .detail = "The issuance that needed this certificate has ended"});
        return true;
    }
    if (is_superseded(job)) {
        acme_log(INFO, "issuance not begun, a newer order took its place",
                 LOG_STR("order", run->issuance.order_id), LOG_STR("issuer", run->issuance.issuer));
        fail(job, &(struct acme_problem){.type = ACME_PROBLEM_ORDER_NOT_READY,
                                         .detail = "A newer order took this one's place"});
        return true;
    }
    struct acme_account account;
    struct acme_err err =
        acme_store_account_get(options->store, job->arena, run->issuance.account_id, &account);
    if (acme_failed(err))
        acme_job_log_code(job, "account of an issuance could not be read", err);
    if (acme_failed(err) || account.status == ACME_ACCOUNT_VALID)
        return false;
    acme_log(INFO, "issuance not begun, its account was deactivated",
             LOG_STR("order", run->issuance.order_id), LOG_STR("account", run->issuance.account_id),
             LOG_STR("issuer", run->issuance.issuer));
    fail(job, &(struct acme_problem){.type = ACME_PROBLEM_UNAUTHORIZED,
                                     .detail = "The account was deactivated before the certificate was "
                                               "ordered from the CA"});
    return true;
}

/* The certificate that was stored, which may be another issuer's. */
static const char *stored_id(const struct active_job *job, const char *id)
{
    struct acme_issuance issuance;
    if (!job->run->has_children ||
        acme_failed(acme_store_issuance_get(acme_runner_options_of(job->runner)->store, job->arena,
                                            job->subject_id, &issuance)) ||
        issuance.certificate_id == NULL)
        return id;
    return issuance.certificate_id;
}

/* Check and store what the issuer delivered. A certificate that does not fit the order is never handed out.
 */
static void deliver(struct active_job *job, const struct acme_step *step)
{
    struct issue_run *run = issue_of(job);
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    const struct acme_delivery delivery = {.issuance = &run->issuance,
                                           .csr = run->key_at_edge ? NULL : &run->csr,
                                           .issuer = run->run.backend->name,
                                           .now_ms = run->run.input.now_ms};
    const char *why = NULL;
    struct acme_certificate certificate;
    struct acme_err err = acme_delivery_accept(options, job->arena, &delivery, step, &certificate, &why);
    if (err.code == ACME_E_DENIED) {
        acme_quarantine_keep(options->quarantine_dir, run->issuance.id, job->arena, &step->certs);
        acme_log(ERROR, "ALERT certificate does not fit its order, quarantined", LOG_STR("why", why),
                 LOG_STR("order", run->issuance.order_id), LOG_STR("issuance", run->issuance.id),
                 LOG_STR("issuer", run->run.backend->name), LOG_STR("upstream", run->run.upstream_ref));
        const char *detail = acme_arena_printf(
            job->arena,
            "The CA delivered a certificate that does not fit this order: %s. It was not handed out; "
            "the operator of this server has been alerted.",
            why);
        fail(job, &(struct acme_problem){.type = ACME_PROBLEM_SERVER_INTERNAL, .detail = detail});
        return;
    }
    if (!acme_failed(err))
        err = acme_store_issuance_issued(options->store, run->issuance.id, job->id, options->owner,
                                         run->run.upstream_ref, &certificate);
    if (acme_failed(err)) { /* our own trouble says nothing about the certificate */
        acme_job_log_code(job, "issued certificate could not be checked or stored, will be tried again", err);
        if (!fail_after_deadline(job))
            acme_job_drop(job);
        return;
    }
    acme_log(INFO, "certificate issued", LOG_STR("order", run->issuance.order_id),
             LOG_STR("certificate", stored_id(job, certificate.id)),
             LOG_STR("serial", certificate.serial_hex), LOG_STR("issuer", run->run.backend->name),
             LOG_STR("upstream", run->run.upstream_ref));
    tell_orders(job);
    for (size_t i = 0; i < certificate.deployment_count; i++)
        acme_runner_wake(job->runner, certificate.deployments[i].queue);
    acme_job_done(job, 0);
}

static struct acme_err step(struct backend_run *run, struct acme_arena *arena, struct acme_step *ret)
{
    const struct issue_run *issue = (const struct issue_run *)run;
    const struct acme_issuer *issuer = (const struct acme_issuer *)run->backend;
    return issuer->class->step(issuer, arena, &issue->request, run->state, &run->input, ret);
}

static void end(struct active_job *job, const struct acme_step *step)
{
    if (step->kind == ACME_STEP_ISSUED) {
        deliver(job, step);
        return;
    }
    /* DONE is not an answer to an issuance: the text is for an issuer that is broken. */
    static const struct acme_problem broken = {.type = ACME_PROBLEM_SERVER_INTERNAL,
                                               .detail = "The certificate could not be issued."};
    fail(job, step->kind == ACME_STEP_FAILED ? &step->problem : &broken);
}

static void delegate(struct active_job *job, const struct acme_step *step)
{
    const struct issue_run *run = issue_of(job);
    const char *why = NULL;
    struct acme_err err = acme_job_delegate(job, &run->issuance, step, &why);
    if (!acme_failed(err))
        return;
    if (err.code != ACME_E_FORMAT && err.code != ACME_E_LIMIT && err.code != ACME_E_SIGNATURE &&
        err.code != ACME_E_UNSUPPORTED) {
        acme_job_log_code(job, "an issuance could not be handed to another issuer, it will be tried again",
                          err);
        if (!fail_after_deadline(job))
            acme_job_drop(job);
        return;
    }
    acme_log(ERROR, "ALERT a CSR of the upstream cannot be used", LOG_STR("why", why),
             LOG_STR("order", run->issuance.order_id), LOG_STR("issuer", run->run.backend->name),
             LOG_STR("upstream", run->run.upstream_ref));
    fail(job, &(struct acme_problem){
                  .type = ACME_PROBLEM_SERVER_INTERNAL,
                  .detail = acme_arena_printf(job->arena, "The upstream made a CSR that cannot be signed: %s",
                                              acme_printable(job->arena, why, strlen(why), WHY_MAX))});
}

/* At once, so that no other issuance takes the same request for its own; the end stores it again. */
static void keep_ref(struct active_job *job)
{
    const struct issue_run *run = issue_of(job);
    struct acme_err err = acme_store_issuance_ref(acme_runner_options_of(job->runner)->store,
                                                  run->issuance.id, run->run.upstream_ref);
    if (acme_failed(err))
        acme_job_log_code(job, "the issuer's number of an issuance could not be stored yet", err);
}

static const struct backend_run_class issue_class = {.name = "issuance",
                                                     .about = "order",
                                                     .role = "issuer",
                                                     .step = step,
                                                     .end = end,
                                                     .end_after_deadline = fail_after_deadline,
                                                     .end_unwanted = fail_unwanted,
                                                     .delegate = delegate,
                                                     .ref_known = keep_ref};

static bool is_taken(void *context, const char *upstream_ref)
{
    const struct active_job *job = context;
    const struct issue_run *run = issue_of(job);
    bool taken = false;
    struct acme_err err =
        acme_store_issuance_owns(acme_runner_options_of(job->runner)->store, run->issuance.issuer,
                                 upstream_ref, run->issuance.id, &taken);
    if (acme_failed(err))
        acme_job_log_code(job, "it is not known whether another issuance has a request", err);
    return taken || acme_failed(err);
}

static const char *tag_of(struct active_job *job, const char *issuance_id)
{
    return acme_arena_printf(job->arena, "acmebridge/%s", issuance_id);
}

/* Or somebody wanted it to be. */
static struct acme_err is_revoked(const struct active_job *job, const char *certificate_id, bool *ret)
{
    struct acme_revocation revocation;
    struct acme_err err = acme_store_revocation_get(acme_runner_options_of(job->runner)->store, job->arena,
                                                    certificate_id, &revocation);
    *ret = !acme_failed(err);
    return err.code == ACME_E_NOT_FOUND ? acme_ok() : err;
}

/* The certificate to go on from, unless it has been swept since. */
static struct acme_err load_earlier(struct active_job *job, const struct acme_issuance *issuance,
                                    struct acme_earlier *ret)
{
    static const enum acme_earlier_use uses[] = {[ACME_CONTINUE_NOTHING] = ACME_EARLIER_NONE,
                                                 [ACME_CONTINUE_RENEW] = ACME_EARLIER_RENEW,
                                                 [ACME_CONTINUE_REPLACE] = ACME_EARLIER_REPLACE};
    struct acme_store *store = acme_runner_options_of(job->runner)->store;
    struct acme_issuance earlier;
    struct acme_certificate certificate;
    if (issuance->predecessor_id == NULL)
        return acme_ok();
    struct acme_err err = acme_store_issuance_get(store, job->arena, issuance->predecessor_id, &earlier);
    if (!acme_failed(err) && earlier.certificate_id != NULL && earlier.upstream_ref != NULL)
        err = acme_store_certificate_get(store, job->arena, earlier.certificate_id, &certificate);
    else if (!acme_failed(err))
        err = acme_err(ACME_E_NOT_FOUND);
    if (err.code == ACME_E_NOT_FOUND)
        return acme_ok();
    TRY(err);
    /* Much may have happened while the upstream was paused. */
    bool revoked = false;
    TRY(is_revoked(job, certificate.id, &revoked));
    bool fetched = certificate.downloaded_ms != 0;
    ret->too_late = revoked || (fetched && issuance->continuation == ACME_CONTINUE_REPLACE);
    ret->tag = tag_of(job, earlier.id);
    ENSURE(ret->tag != NULL, ACME_E_NOMEM);
    ret->use = uses[issuance->continuation];
    ret->upstream_ref = earlier.upstream_ref;
    ret->same_key = strcmp(earlier.spki_sha256, issuance->spki_sha256) == 0;
    ret->serial_hex = certificate.serial_hex;
    return acme_ok();
}

/* Those of a profile are for the issuer of its orders, and of that issuer's kind: the configuration may name
 * another one since the order was finalized. */
static const void *settings_for(const struct acme_issuance *issuance, const struct acme_profile *profile)
{
    bool fits = profile != NULL && issuance->parent_id == NULL && profile->issuer != NULL &&
                strcmp(profile->issuer, issuance->issuer) == 0;
    return fits ? profile->issuer_settings : NULL;
}

static struct acme_err load(struct active_job *job, struct issue_run *run)
{
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    run->loaded_ms = acme_job_now_ms(job);
    TRY(acme_store_issuance_get(options->store, job->arena, job->subject_id, &run->issuance));
    TRY(acme_csr_reread(job->arena, run->issuance.csr, &run->csr));
    TRY(acme_job_backend_load(job, &run->run));
    struct acme_account account = {0};
    struct acme_err err =
        acme_store_account_get(options->store, job->arena, run->issuance.account_id, &account);
    if (err.code != ACME_E_NOT_FOUND)
        TRY(err);
    const struct acme_profile *profile = options->find_profile(options->context, run->issuance.profile);
    const char *tag = tag_of(job, run->issuance.id);
    ENSURE(tag != NULL, ACME_E_NOMEM);
    bool is_child = run->issuance.parent_id != NULL;
    job->wakes_others = is_child;
    /* As it was when the order was finalized: that is what its client was told. */
    run->key_at_edge = strcmp(run->issuance.spki_sha256, ACME_KEY_AT_EDGE) == 0;
    run->run.upstream_ref = run->issuance.upstream_ref;
    run->run.about = run->issuance.order_id;
    run->run.deadline_ms = run->issuance.deadline_ms;
    run->request = (struct acme_issue_request){
        .tag = tag,
        .account_id = run->issuance.account_id,
        .external_kid = account.external_kid,
        .order_id = run->issuance.order_id,
        .csr = &run->csr,
        .identifiers = run->issuance.identifiers,
        .identifier_count = run->issuance.identifier_count,
        .key_at_edge = run->key_at_edge,
        .not_before_ms = run->issuance.not_before_ms,
        .not_after_ms = run->issuance.not_after_ms,
        .validity_ms = options->profile_validity_ms(options->context, run->issuance.profile),
        .created_ms = run->issuance.created_ms,
        .deadline_ms = run->issuance.deadline_ms,
        .withdraw = run->issuance.status == ACME_ISSUANCE_WITHDRAWN || is_for_nobody(job),
        .profile_settings = settings_for(&run->issuance, profile),
        .is_taken = is_taken,
        .is_taken_context = job,
    };
    return load_earlier(job, &run->issuance, &run->request.earlier);
}

/* ---- CAA, before the issuer hears of it ---- */

static const char *method_of(const struct acme_authz *authz)
{
    for (size_t i = 0; i < authz->challenge_count; i++)
        if (authz->challenges[i].status == ACME_CHALLENGE_VALID)
            return authz->challenges[i].type;
    return "";
}

/* What CAA has to allow: the names of the order, with how each was proved. Addresses have no CAA. */
static struct acme_err prepare_caa(struct active_job *job, const struct acme_profile *profile)
{
    struct issue_run *run = issue_of(job);
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    struct acme_order order;
    TRY(acme_store_order_get(options->store, job->arena, run->issuance.order_id, &order));
    const char *account_url = acme_job_account_url(job, run->issuance.account_id);
    run->caa = acme_arena_alloc(job->arena, (order.authz_count + 1) * sizeof *run->caa);
    ENSURE(account_url != NULL && run->caa != NULL, ACME_E_NOMEM);
    for (size_t i = 0; i < order.authz_count; i++) {
        struct acme_authz authz;
        TRY(acme_store_authz_get(options->store, job->arena, order.authz_ids[i], &authz));
        if (authz.identifier.type == ACME_IDENTIFIER_DNS)
            run->caa[run->caa_count++] = (struct acme_caa_request){.issuers = profile->caa_issuers,
                                                                   .issuer_count = profile->caa_issuer_count,
                                                                   .name = authz.identifier.value,
                                                                   .wildcard = authz.wildcard,
                                                                   .account_url = account_url,
                                                                   .method = method_of(&authz)};
    }
    return acme_ok();
}

/* It stays without a state, so that CAA is asked again. */
static void wait_for_caa(struct active_job *job)
{
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    int64_t run_at_ms = acme_job_now_ms(job) + acme_job_backoff_ms(job->attempts + 1, CAA_RETRY_MAX_MS);
    const struct acme_job_remark remark = {.note = issue_of(job)->caa_result.problem.detail,
                                           .noted_ms = acme_job_now_ms(job)};
    struct acme_err err = acme_store_job_wait(options->store, job->id, options->owner, NULL, run_at_ms,
                                              job->attempts + 1, &remark);
    if (acme_failed(err)) {
        acme_job_log_code(job, "job could not be put back", err);
        acme_job_drop(job);
        return;
    }
    acme_job_done(job, run_at_ms);
}

static void end_caa(void *argument)
{
    struct active_job *job = argument;
    struct issue_run *run = issue_of(job);
    if (!acme_failed(run->caa_result.verdict)) {
        job->attempts = 0; /* those of the issuer are counted from here */
        acme_job_backend_run(job);
        return;
    }
    bool again = run->caa_result.transient && job->attempts + 1 < CAA_TRIES;
    acme_log(INFO, again ? "CAA will be checked again" : "CAA forbids the issuance",
             LOG_STR("order", run->issuance.order_id), LOG_STR("detail", run->caa_result.problem.detail));
    if (again)
        wait_for_caa(job);
    else
        fail(job, &run->caa_result.problem);
}

/* On the outbound thread: no store here. */
static void caa_done(void *context, const struct acme_caa_result *result)
{
    struct active_job *job = context;
    if (result->cancelled) {
        acme_job_drop(job);
        return;
    }
    issue_of(job)->caa_result = *result;
    acme_job_submit(job, end_caa);
}

/* Validations have asked already, perhaps weeks ago and under another profile, for other methods or none. */
static void ask_caa(struct active_job *job, const struct acme_profile *profile)
{
    struct issue_run *run = issue_of(job);
    struct acme_err err = prepare_caa(job, profile);
    if (!acme_failed(err))
        err = acme_caa_check(acme_runner_options_of(job->runner)->outbound, job->arena, run->caa,
                             run->caa_count, caa_done, job);
    if (acme_failed(err)) {
        acme_job_log_code(job, "CAA could not be checked", err);
        if (!fail_after_deadline(job))
            acme_job_drop(job);
    }
}

void acme_job_issue_run(void *argument)
{
    struct active_job *job = argument;
    struct issue_run *issue = acme_arena_alloc(job->arena, sizeof *issue);
    struct acme_err err = acme_err(ACME_E_NOMEM);
    if (issue != NULL) {
        issue->run.class = &issue_class;
        issue->run.input.now_ms = acme_job_now_ms(job);
        job->run = &issue->run;
        err = load(job, issue);
    }
    if (acme_failed(err)) {
        acme_job_log_code(job, "issuance could not be loaded", err);
        if (issue == NULL || issue->issuance.id == NULL || !fail_after_deadline(job))
            acme_job_drop(job);
        return;
    }
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    const struct acme_profile *profile = options->find_profile(options->context, issue->issuance.profile);
    /* What is made for another issuance is covered by the check before that one. */
    bool first = job->state == NULL && !job->intent && issue->run.backend != NULL &&
                 !issue->request.withdraw && issue->issuance.parent_id == NULL;
    if (first && profile != NULL && profile->caa_issuer_count > 0)
        ask_caa(job, profile);
    else
        acme_job_backend_run(job);
}
