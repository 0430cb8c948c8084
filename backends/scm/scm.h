/* Sectigo Certificate Manager over its Admin REST API (docs/upstream-scm.md). */
#ifndef ACME_BACKENDS_SCM_SCM_H
#define ACME_BACKENDS_SCM_SCM_H

#include "backends/issuer.h"

struct acme_scm_config {
    const char *url; /* https://cert-manager.com, no trailing slash */
    const char *customer_uri;
    const char *login;
    const char *password; /* never logged */
    int64_t org_id;
    int64_t profile_id; /* SCM's certificate profile, "certType" on the wire */
    int64_t term_days;
    const char *external_requester; /* NULL: none */
    const char *ca_file;            /* NULL: the system's */
    const char *proxy;
    int64_t deadline_ms;
    int max_concurrency;
    int64_t poll_max_ms; /* slowest status polling */
};

/** acme_scm_issuer_create(name, config, ret): copies what it needs. Zero deadline_ms, max_concurrency and
 * poll_max_ms mean 7 days, 4 and 15 minutes. Errors: NOMEM; FORMAT (url, customer_uri, login or password
 * absent, empty or with a control character such as a file's last newline; a number that must be positive is
 * not). Release: acme_issuer_destroy (wipes the password). Thread: any; the issuer is read-only afterwards.
 */
struct acme_err acme_scm_issuer_create(const char *name, const struct acme_scm_config *config,
                                       struct acme_issuer **ret) ACME_MUST_USE;

#endif
