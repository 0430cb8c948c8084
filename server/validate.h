/* One try of a validation: what its method (one file per challenge type) shares with the job around it. */
#ifndef ACME_SERVER_VALIDATE_H
#define ACME_SERVER_VALIDATE_H

#include "protocol/dns_persist.h"
#include "server/caa_check.h"
#include "server/runner_internal.h"

struct validate_run {
    struct acme_authz authz;
    bool account_is_valid;
    const struct acme_challenge *challenge;
    const char *key_authorization;
    const char *thumbprint; /* of the account's key */
    const char *url;        /* http-01: what is fetched */
    char *dns_name;         /* dns-...: what is looked up */
    char *dns_value;        /* dns-01, dns-account-01: what must be found there */
    struct acme_caa_request caa;
    struct acme_dns_persist_request persist; /* dns-persist-01 */
    int64_t valid_until_ms;                  /* the proof ends here; 0: it does not */
    /* the outcome: verdict PROBLEM with what the client is told, or OK */
    struct acme_err verdict;
    struct acme_problem problem;
    bool transient; /* it may pass: worth another try */
};

struct acme_validate_method {
    const char *type; /* of the challenge */
    /** start(job, run): begin, without blocking on the network. When it succeeds acme_validate_end is called
     * once, later, by any thread. Thread: a job thread. */
    struct acme_err (*start)(struct active_job *job, struct validate_run *run);
};

extern const struct acme_validate_method acme_validate_http01;
extern const struct acme_validate_method acme_validate_dns01;
extern const struct acme_validate_method acme_validate_tls_alpn01;
extern const struct acme_validate_method acme_validate_dns_account01;
extern const struct acme_validate_method acme_validate_dns_persist01;

enum { ACME_VALIDATE_DNS_TIMEOUT_MS = 10 * 1000 };

/** acme_validate_end(job): the method's verdict is in job->validate; when it is good, CAA has its say.
 * Thread: any that may touch the job; the store is written on a job thread. */
void acme_validate_end(struct active_job *job);

/** acme_validate_failed(job, type, transient, detail): set the verdict to this problem. `detail` lives in the
 * job's arena or is static; NULL (no memory) becomes a general one. */
void acme_validate_failed(struct active_job *job, enum acme_problem_type type, bool transient,
                          const char *detail);

/** acme_validate_unreached(failure, too_large, ret_transient): the problem type of a failure to get an answer
 * from the client's host; `too_large` is that of an answer over its cap. *ret_transient: it may pass. */
enum acme_problem_type acme_validate_unreached(enum acme_outbound_failure failure,
                                               enum acme_problem_type too_large, bool *ret_transient);

#endif
