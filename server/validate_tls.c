/* tls-alpn-01 (RFC 8737). */
#include "server/validate.h"

#include "certs/alpn_cert.h"
#include "protocol/tls_alpn01.h"

#include <string.h>

/* Where it was tried, in front of what was seen. */
static void fail(struct active_job *job, enum acme_problem_type type, bool transient, const char *peer,
                 const char *what)
{
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    acme_validate_failed(job, type, transient,
                         acme_arena_printf(job->arena, "TLS to %s, port %d: %s%s%s",
                                           job->validate->authz.identifier.value, options->https_port,
                                           peer != NULL ? peer : "", peer != NULL ? ": " : "", what));
}

static void judge_failure(struct active_job *job, const struct acme_outbound_result *result)
{
    bool transient = false;
    enum acme_problem_type type = acme_validate_unreached(result->failure, ACME_PROBLEM_TLS, &transient);
    fail(job, type, transient, NULL, result->detail != NULL ? result->detail : "failed");
}

static void judge_protocol(struct active_job *job, const struct acme_outbound_result *result)
{
    const char *chosen =
        result->alpn.len > 0 ? acme_printable(job->arena, result->alpn.data, result->alpn.len, 40) : NULL;
    const char *detail = result->alpn.len == 0
                             ? "the TLS server does not speak the protocol " ACME_TLS_ALPN01_PROTOCOL
                               " (ALPN); the ACME client has to answer on this port, not another service"
                             : acme_arena_printf(job->arena,
                                                 "the TLS server chose the protocol \"%s\" (ALPN) instead "
                                                 "of " ACME_TLS_ALPN01_PROTOCOL,
                                                 chosen != NULL ? chosen : "?");
    fail(job, ACME_PROBLEM_UNAUTHORIZED, false, result->detail,
         detail != NULL ? detail : "the TLS server chose another protocol (ALPN)");
}

static void judge_peer(struct active_job *job, const struct acme_outbound_result *result)
{
    struct validate_run *run = job->validate;
    if (result->alpn.len != strlen(ACME_TLS_ALPN01_PROTOCOL) ||
        memcmp(result->alpn.data, ACME_TLS_ALPN01_PROTOCOL, result->alpn.len) != 0) {
        judge_protocol(job, result);
        return;
    }
    struct acme_problem problem = {.type = ACME_PROBLEM_SERVER_INTERNAL};
    run->verdict = acme_alpn_cert_judge(job->arena, result->certificate, &run->authz.identifier,
                                        run->key_authorization, &problem);
    if (acme_failed(run->verdict))
        fail(job, problem.type, false, result->detail,
             problem.detail != NULL ? problem.detail : "the certificate could not be read");
}

/* On the outbound thread: no store here. */
static void probe_done(void *context, const struct acme_outbound_result *result)
{
    struct active_job *job = context;
    if (result->failure == ACME_OUTBOUND_CANCELLED) {
        acme_job_drop(job);
        return;
    }
    if (result->failure == ACME_OUTBOUND_OK)
        judge_peer(job, result);
    else
        judge_failure(job, result);
    acme_validate_end(job);
}

static struct acme_err start(struct active_job *job, struct validate_run *run)
{
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    const struct acme_probe probe = {.host = run->authz.identifier.value,
                                     .port = options->https_port,
                                     .server_name =
                                         acme_tls_alpn01_server_name(job->arena, &run->authz.identifier),
                                     .alpn = ACME_TLS_ALPN01_PROTOCOL,
                                     .timeout_ms = ACME_TLS_ALPN01_TIMEOUT_MS,
                                     .max_bytes = ACME_TLS_ALPN01_MAX_BYTES};
    ENSURE(probe.server_name != NULL, ACME_E_NOMEM);
    return acme_outbound_probe(options->outbound, &probe, probe_done, job);
}

const struct acme_validate_method acme_validate_tls_alpn01 = {.type = "tls-alpn-01", .start = start};
