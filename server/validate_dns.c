/* dns-01 (RFC 8555 section 8.4) and dns-account-01. */
#include "server/validate.h"

#include "protocol/dns01.h"

/* On the outbound thread: no store here. */
static void lookup_done(void *context, const struct acme_outbound_result *result)
{
    struct active_job *job = context;
    struct validate_run *run = job->validate;
    if (result->failure == ACME_OUTBOUND_CANCELLED) {
        acme_job_drop(job);
        return;
    }
    if (result->failure == ACME_OUTBOUND_OK) {
        run->verdict = acme_dns01_judge(job->arena, run->dns_name, result->records->data,
                                        result->records->count, run->dns_value, &run->problem);
        /* Records take their time from a zone's primary server to the others, which answer with what they
         * had: nothing, or the records of an earlier order. */
        run->transient = true;
        if (acme_failed(run->verdict) && run->problem.detail == NULL)
            run->problem.detail = "The validation failed.";
    } else {
        acme_validate_failed(
            job, ACME_PROBLEM_DNS, true,
            acme_arena_printf(job->arena, "%s", result->detail != NULL ? result->detail : "no DNS answer"));
    }
    acme_validate_end(job);
}

static struct acme_err look_up(struct active_job *job, struct validate_run *run)
{
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    TRY(acme_dns01_digest(job->arena, run->key_authorization, &run->dns_value));
    return acme_outbound_lookup(options->outbound, run->dns_name, ACME_DNS_TYPE_TXT,
                                ACME_VALIDATE_DNS_TIMEOUT_MS, lookup_done, job);
}

static struct acme_err start_dns01(struct active_job *job, struct validate_run *run)
{
    run->dns_name = acme_dns01_name(job->arena, &run->authz.identifier);
    ENSURE(run->dns_name != NULL, ACME_E_NOMEM);
    return look_up(job, run);
}

static struct acme_err start_dns_account01(struct active_job *job, struct validate_run *run)
{
    const char *url = acme_job_account_url(job, run->authz.account_id);
    ENSURE(url != NULL, ACME_E_NOMEM);
    TRY(acme_dns_account01_name(job->arena, &run->authz.identifier, url, &run->dns_name));
    return look_up(job, run);
}

const struct acme_validate_method acme_validate_dns01 = {.type = "dns-01", .start = start_dns01};
const struct acme_validate_method acme_validate_dns_account01 = {.type = "dns-account-01",
                                                                 .start = start_dns_account01};
