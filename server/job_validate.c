/* Validation jobs: fetch what a challenge names, judge it, move the authorization. */
#include "server/runner_internal.h"

#include "protocol/http01.h"

#include <string.h>

/* Trouble on the way (DNS, connection, time) may pass: three tries within about 15 s, then the challenge is
 * invalid. A wrong answer is final at once: the client has said it is ready. */
enum { TRIES = 3, RETRY_DELAY_MS = 3000 };

struct validate_run {
    struct acme_authz authz;
    bool account_is_valid;
    const struct acme_challenge *challenge;
    const char *key_authorization;
    const char *url;
    struct acme_problem problem;
    struct acme_err verdict;
    bool transient;
};

static void log_code(const struct active_job *job, const char *event, struct acme_err err)
{
    acme_log(ERROR, event, LOG_STR("job", job->id), LOG_STR("challenge", job->subject_id),
             LOG_STR("code", acme_code_name(err.code)));
}

static void store_verdict(void *argument)
{
    struct active_job *job = argument;
    struct validate_run *run = job->validate;
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    int64_t now = acme_job_now_ms(job);
    int64_t next = 0;
    const char *error = NULL;
    struct acme_err err = acme_ok();
    if (acme_failed(run->verdict)) {
        error = acme_problem_json(job->arena, &run->problem);
        if (error == NULL)
            err = acme_err(ACME_E_NOMEM);
    }
    bool again = acme_failed(run->verdict) && run->transient && job->attempts + 1 < TRIES;
    if (!acme_failed(err) && again) {
        next = now + RETRY_DELAY_MS;
        err = acme_store_challenge_progress(options->store, job->subject_id, job->id, options->owner, error,
                                            next, job->attempts + 1);
    } else if (!acme_failed(err)) {
        err = acme_store_challenge_finish(options->store, job->subject_id, job->id, options->owner, error,
                                          now, now + options->authz_lifetime_ms);
    }
    if (acme_failed(err)) {
        log_code(job, "validation result could not be stored", err);
        acme_job_drop(job);
        return;
    }
    acme_log(INFO,
             again           ? "validation will be tried again"
             : error == NULL ? "challenge valid"
                             : "challenge invalid",
             LOG_STR("challenge", job->subject_id), LOG_STR("authz", run->authz.id),
             LOG_STR("type", run->challenge->type), LOG_STR("identifier", run->authz.identifier.value),
             LOG_STR("account", run->authz.account_id),
             LOG_STR("detail", error == NULL ? NULL : run->problem.detail));
    acme_job_done(job, next);
}

static void judge_failure(struct active_job *job, const struct acme_outbound_result *result)
{
    struct validate_run *run = job->validate;
    run->verdict = acme_err(ACME_E_PROBLEM);
    run->transient = true;
    enum acme_problem_type type = ACME_PROBLEM_CONNECTION;
    switch (result->failure) {
    case ACME_OUTBOUND_DNS:
        type = ACME_PROBLEM_DNS;
        break;
    case ACME_OUTBOUND_TLS:
        type = ACME_PROBLEM_TLS;
        break;
    case ACME_OUTBOUND_DENIED:
    case ACME_OUTBOUND_REDIRECTS:
        run->transient = false;
        break;
    case ACME_OUTBOUND_TOO_LARGE:
        type = ACME_PROBLEM_UNAUTHORIZED;
        run->transient = false;
        break;
    default:
        break;
    }
    run->problem.type = type;
    run->problem.detail = acme_arena_printf(job->arena, "Fetching %s: %s", run->url,
                                            result->detail != NULL ? result->detail : "failed");
}

static void judge_reply(struct active_job *job, const struct acme_outbound_result *result)
{
    struct validate_run *run = job->validate;
    const char *url = result->final_url != NULL ? result->final_url : run->url;
    /* Where a redirect led, even back to the same name, may be a host that the client cannot read itself. */
    bool redirected = strcmp(url, run->url) != 0;
    run->verdict = acme_http01_judge(job->arena, result->reply->status, result->reply->body,
                                     run->key_authorization, url, !redirected, &run->problem);
}

/* On the outbound thread: no store here. */
static void fetch_done(void *context, const struct acme_outbound_result *result)
{
    struct active_job *job = context;
    struct validate_run *run = job->validate;
    if (result->failure == ACME_OUTBOUND_CANCELLED) {
        acme_job_drop(job);
        return;
    }
    if (result->failure == ACME_OUTBOUND_OK)
        judge_reply(job, result);
    else
        judge_failure(job, result);
    if (acme_failed(run->verdict) && run->problem.detail == NULL)
        run->problem.detail = "The validation failed.";
    acme_job_submit(job, store_verdict);
}

static struct acme_err load(struct active_job *job, struct validate_run *run)
{
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    struct acme_account account;
    TRY(acme_store_challenge_get(options->store, job->arena, job->subject_id, &run->authz));
    for (size_t i = 0; i < run->authz.challenge_count; i++) {
        if (strcmp(run->authz.challenges[i].id, job->subject_id) == 0)
            run->challenge = &run->authz.challenges[i];
    }
    ENSURE(run->challenge != NULL, ACME_E_INTERNAL);
    TRY(acme_store_account_get(options->store, job->arena, run->authz.account_id, &account));
    run->account_is_valid = account.status == ACME_ACCOUNT_VALID;
    run->key_authorization = acme_key_authorization(job->arena, run->challenge->token, account.thumbprint);
    run->url = acme_http01_url(job->arena, &run->authz.identifier, run->challenge->token, options->http_port);
    ENSURE(run->key_authorization != NULL && run->url != NULL, ACME_E_NOMEM);
    return acme_ok();
}

void acme_job_validate_run(void *argument)
{
    struct active_job *job = argument;
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    struct validate_run *run = acme_arena_alloc(job->arena, sizeof *run);
    struct acme_err err = run == NULL ? acme_err(ACME_E_NOMEM) : load(job, run);
    if (acme_failed(err)) {
        log_code(job, "challenge could not be loaded", err);
        acme_job_drop(job);
        return;
    }
    job->validate = run;
    if (run->authz.status != ACME_AUTHZ_PENDING || !run->account_is_valid) {
        /* Deactivated or decided meanwhile: nobody may be contacted any more. */
        run->verdict = acme_err(ACME_E_PROBLEM);
        run->problem = (struct acme_problem){.type = ACME_PROBLEM_MALFORMED,
                                             .detail = "The authorization is no longer pending."};
        store_verdict(job);
        return;
    }
    struct acme_fetch fetch = {.url = run->url,
                               .http_port = options->http_port,
                               .https_port = options->https_port,
                               .max_redirects = ACME_HTTP01_MAX_REDIRECTS,
                               .timeout_ms = ACME_HTTP01_TIMEOUT_MS,
                               .max_bytes = ACME_HTTP01_MAX_BYTES};
    err = acme_outbound_fetch(options->outbound, &fetch, fetch_done, job);
    if (acme_failed(err)) {
        log_code(job, "fetch could not be started", err);
        acme_job_drop(job);
    }
}
