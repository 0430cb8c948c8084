/* Validation jobs: let the challenge's method look, and move the authorization by its verdict. */
#include "server/validate.h"

#include "protocol/http01.h"

#include <string.h>

/* Trouble on the way (DNS, connection, time) may pass: three tries within about 15 s, then the challenge is
 * invalid. A wrong answer of a web server is final at once: the client has said it is ready. */
enum { TRIES = 3, RETRY_DELAY_MS = 3000 };

static void log_code(const struct active_job *job, const char *event, struct acme_err err)
{
    acme_log(ERROR, event, LOG_STR("job", job->id), LOG_STR("challenge", job->subject_id),
             LOG_STR("code", acme_code_name(err.code)));
}

/* What has just been stored, for whoever waits for it. */
static void tell_decision(const struct active_job *job, const char *error, int64_t now_ms)
{
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    const struct validate_run *run = job->validate;
    struct acme_authz authz = run->authz;
    struct acme_challenge *challenge = &authz.challenges[run->challenge - run->authz.challenges];
    challenge->status = error == NULL ? ACME_CHALLENGE_VALID : ACME_CHALLENGE_INVALID;
    challenge->validated_ms = error == NULL ? now_ms : 0;
    challenge->error = error;
    authz.status = error == NULL ? ACME_AUTHZ_VALID : ACME_AUTHZ_INVALID;
    options->challenge_decided(options->context, job->subject_id, &authz);
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
        int64_t expires = now + options->authz_lifetime_ms;
        if (run->valid_until_ms != 0 && run->valid_until_ms < expires)
            expires = run->valid_until_ms;
        err = acme_store_challenge_finish(options->store, job->subject_id, job->id, options->owner, error,
                                          now, expires);
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
    if (!again)
        tell_decision(job, error, now);
    acme_job_done(job, next);
}

/* On the outbound thread: no store here. */
static void caa_done(void *context, const struct acme_caa_result *result)
{
    struct active_job *job = context;
    struct validate_run *run = job->validate;
    if (result->cancelled) {
        acme_job_drop(job);
        return;
    }
    run->verdict = result->verdict;
    run->problem = result->problem;
    run->transient = result->transient;
    acme_job_submit(job, store_verdict);
}

/* The proof is good. A client should see here, at its challenge, what CAA would forbid later: issuance asks
 * again, under the order's profile (job_issue.c). */
static struct acme_err ask_caa(struct active_job *job, struct validate_run *run)
{
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    run->caa.name = run->authz.identifier.value;
    run->caa.wildcard = run->authz.wildcard;
    run->caa.method = run->challenge->type;
    run->caa.account_url = acme_job_account_url(job, run->authz.account_id);
    ENSURE(run->caa.account_url != NULL, ACME_E_NOMEM);
    return acme_caa_check(options->outbound, job->arena, &run->caa, 1, caa_done, job);
}

void acme_validate_end(struct active_job *job)
{
    struct validate_run *run = job->validate;
    if (acme_failed(run->verdict) || run->caa.issuer_count == 0 ||
        run->authz.identifier.type != ACME_IDENTIFIER_DNS) {
        acme_job_submit(job, store_verdict);
        return;
    }
    struct acme_err err = ask_caa(job, run);
    if (acme_failed(err)) {
        log_code(job, "CAA could not be checked", err);
        acme_job_drop(job);
    }
}

void acme_validate_failed(struct active_job *job, enum acme_problem_type type, bool transient,
                          const char *detail)
{
    struct validate_run *run = job->validate;
    run->verdict = acme_err(ACME_E_PROBLEM);
    run->transient = transient;
    run->problem =
        (struct acme_problem){.type = type, .detail = detail != NULL ? detail : "The validation failed."};
}

enum acme_problem_type acme_validate_unreached(enum acme_outbound_failure failure,
                                               enum acme_problem_type too_large, bool *ret_transient)
{
    *ret_transient = failure != ACME_OUTBOUND_DENIED && failure != ACME_OUTBOUND_REDIRECTS &&
                     failure != ACME_OUTBOUND_TOO_LARGE;
    switch (failure) {
    case ACME_OUTBOUND_DNS:
        return ACME_PROBLEM_DNS;
    case ACME_OUTBOUND_TLS:
        return ACME_PROBLEM_TLS;
    case ACME_OUTBOUND_TOO_LARGE:
        return too_large;
    default:
        return ACME_PROBLEM_CONNECTION;
    }
}

static const struct acme_validate_method *find_method(const char *type)
{
    static const struct acme_validate_method *const methods[] = {
        &acme_validate_http01, &acme_validate_dns01, &acme_validate_tls_alpn01, &acme_validate_dns_account01,
        &acme_validate_dns_persist01};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(methods[i]->type, type) == 0)
            return methods[i];
    return NULL;
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
    const struct acme_profile *profile =
        run->authz.profile != NULL ? options->find_profile(options->context, run->authz.profile) : NULL;
    if (profile != NULL) {
        run->caa.issuers = profile->caa_issuers;
        run->caa.issuer_count = profile->caa_issuer_count;
    }
    run->thumbprint = account.thumbprint;
    run->account_is_valid = account.status == ACME_ACCOUNT_VALID;
    run->key_authorization = acme_key_authorization(job->arena, run->challenge->token, account.thumbprint);
    ENSURE(run->key_authorization != NULL, ACME_E_NOMEM);
    return acme_ok();
}

void acme_job_validate_run(void *argument)
{
    struct active_job *job = argument;
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
        acme_validate_failed(job, ACME_PROBLEM_MALFORMED, false, "The authorization is no longer pending.");
        store_verdict(job);
        return;
    }
    const struct acme_validate_method *method = find_method(run->challenge->type);
    err = method == NULL ? acme_err(ACME_E_UNSUPPORTED) : method->start(job, run);
    if (acme_failed(err)) {
        log_code(job, "validation could not be started", err);
        acme_job_drop(job);
    }
}
