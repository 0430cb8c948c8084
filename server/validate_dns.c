/* dns-01 (RFC 8555 section 8.4), dns-account-01 and dns-persist-01: one TXT lookup each. */
#include "server/validate.h"

#include "protocol/dns01.h"
#include "protocol/dns_persist.h"

enum { MAX_KEYS = 100 };

static void judge(struct active_job *job, const struct acme_dns_records *records)
{
    struct validate_run *run = job->validate;
    if (run->persist.identifier == NULL) {
        run->verdict = acme_dns01_judge(job->arena, run->dns_name, records->data, records->count,
                                        run->dns_value, &run->problem);
        return;
    }
    run->persist.now_ms = acme_job_now_ms(job);
    run->verdict = acme_dns_persist_judge(job->arena, &run->persist, run->dns_name, records->data,
                                          records->count, &run->valid_until_ms, &run->problem);
}

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
        judge(job, result->records);
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
    return acme_outbound_lookup(options->outbound, run->dns_name, ACME_DNS_TYPE_TXT,
                                ACME_VALIDATE_DNS_TIMEOUT_MS, lookup_done, job);
}

static struct acme_err start_dns01(struct active_job *job, struct validate_run *run)
{
    run->dns_name = acme_dns01_name(job->arena, &run->authz.identifier);
    ENSURE(run->dns_name != NULL, ACME_E_NOMEM);
    TRY(acme_dns01_digest(job->arena, run->key_authorization, &run->dns_value));
    return look_up(job, run);
}

static struct acme_err start_dns_account01(struct active_job *job, struct validate_run *run)
{
    const char *url = acme_job_account_url(job, run->authz.account_id);
    ENSURE(url != NULL, ACME_E_NOMEM);
    TRY(acme_dns_account01_name(job->arena, &run->authz.identifier, url, &run->dns_name));
    TRY(acme_dns01_digest(job->arena, run->key_authorization, &run->dns_value));
    return look_up(job, run);
}

/* The keys that the account has had, the present one first. */
static struct acme_err load_keys(struct active_job *job, struct validate_run *run)
{
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    const char **former = NULL;
    size_t count = 0;
    TRY(acme_store_account_former_keys(options->store, job->arena, run->authz.account_id, MAX_KEYS, &former,
                                       &count));
    const char **keys = acme_arena_alloc(job->arena, (count + 1) * sizeof *keys);
    ENSURE(keys != NULL, ACME_E_NOMEM);
    keys[0] = run->thumbprint;
    for (size_t i = 0; i < count; i++)
        keys[i + 1] = former[i];
    run->persist.thumbprints = keys;
    run->persist.thumbprint_count = count + 1;
    return acme_ok();
}

static struct acme_err start_dns_persist01(struct active_job *job, struct validate_run *run)
{
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    if (run->caa.issuer_count == 0) {
        acme_validate_failed(job, ACME_PROBLEM_UNAUTHORIZED, false,
                             "This server no longer offers dns-persist-01 for the order's profile");
        acme_validate_end(job);
        return acme_ok();
    }
    TRY(load_keys(job, run));
    run->persist.issuers = run->caa.issuers;
    run->persist.issuer_count = run->caa.issuer_count;
    run->persist.identifier = &run->authz.identifier;
    run->persist.wildcard = run->authz.wildcard;
    run->persist.account_url = acme_job_account_url(job, run->authz.account_id);
    run->persist.hash_prefix =
        acme_arena_printf(job->arena, "%s" ACME_DNS_PERSIST_HASH_PATH, options->base_url);
    run->dns_name = acme_dns_persist_name(job->arena, &run->authz.identifier);
    ENSURE(run->persist.account_url != NULL && run->persist.hash_prefix != NULL && run->dns_name != NULL,
           ACME_E_NOMEM);
    return look_up(job, run);
}

const struct acme_validate_method acme_validate_dns01 = {.type = "dns-01", .start = start_dns01};
const struct acme_validate_method acme_validate_dns_account01 = {.type = "dns-account-01",
                                                                 .start = start_dns_account01};
const struct acme_validate_method acme_validate_dns_persist01 = {.type = "dns-persist-01",
                                                                 .start = start_dns_persist01};
