/* http-01 (RFC 8555 section 8.3). */
#include "server/validate.h"

#include "protocol/http01.h"

#include <string.h>

static void judge_failure(struct active_job *job, const struct acme_outbound_result *result)
{
    bool transient = false;
    enum acme_problem_type type =
        acme_validate_unreached(result->failure, ACME_PROBLEM_UNAUTHORIZED, &transient);
    acme_validate_failed(job, type, transient,
                         acme_arena_printf(job->arena, "Fetching %s: %s", job->validate->url,
                                           result->detail != NULL ? result->detail : "failed"));
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
    acme_validate_end(job);
}

static struct acme_err start(struct active_job *job, struct validate_run *run)
{
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    run->url = acme_http01_url(job->arena, &run->authz.identifier, run->challenge->token, options->http_port);
    ENSURE(run->url != NULL, ACME_E_NOMEM);
    struct acme_fetch fetch = {.url = run->url,
                               .http_port = options->http_port,
                               .https_port = options->https_port,
                               .max_redirects = ACME_HTTP01_MAX_REDIRECTS,
                               .timeout_ms = ACME_HTTP01_TIMEOUT_MS,
                               .max_bytes = ACME_HTTP01_MAX_BYTES};
    return acme_outbound_fetch(options->outbound, &fetch, fetch_done, job);
}

const struct acme_validate_method acme_validate_http01 = {.type = "http-01", .start = start};
