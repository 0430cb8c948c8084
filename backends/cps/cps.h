/* Akamai Certificate Provisioning System over its API, version 2 (docs/upstream-cps.md). */
#ifndef ACME_BACKENDS_CPS_CPS_H
#define ACME_BACKENDS_CPS_CPS_H

#include "backends/cps/edgegrid.h"
#include "backends/deployer.h"
#include "backends/dv_publish.h"
#include "backends/issuer.h"

/* How an account at Akamai is reached; issuers and deployers have this in common. */
struct acme_cps_config {
    const char *url;  /* https://akab-....luna.akamaiapis.net, no trailing slash */
    const char *host; /* of the .edgerc: names the API client */
    struct acme_edgegrid_client client;
    const char *account_switch_key; /* NULL: the API client's own account */
    const char *ca_file;            /* NULL: the system's */
    const char *proxy;
    int connect_timeout_ms;
    int call_timeout_ms; /* the longest a call may take */
    int64_t deadline_ms;
    int max_concurrency;
    int64_t poll_ms;     /* how often a change is looked at, at first */
    int64_t poll_max_ms; /* and when it takes long */
};

enum { ACME_CPS_PATTERN_MAX = 512 }; /* characters */

/* What may pass without being asked about, and when. */
struct acme_cps_policy {
    const char *const *warnings; /* patterns of warnings that are acknowledged, see acme_cps_glob */
    size_t warning_count;
    struct acme_dv_config dv; /* how answers to challenges of DV enrollments are published */
    bool acknowledge_auto;    /* deployments are acknowledged as soon as nothing speaks against them */
};

/* The enrollment of a profile, and what may be done with it. */
struct acme_cps_profile {
    int64_t enrollment_id;   /* 0: found by its name */
    const char *common_name; /* NULL unless found by it */
    bool allow_san_removal;
    bool key_at_edge; /* new orders are fulfilled although their CSR's key is not the edge's; what counts for
                         one is its acme_issue_request.key_at_edge */
    const char *third_party_issuer; /* signs the CSRs of third-party enrollments; NULL: none */
    struct acme_cps_policy policy;
    bool allow_cancel_pending_changes;
    bool renewal_date_check_override;
    bool allow_staging_bypass;
    bool allow_missing_certificate_addition;
    const char *deploy_not_before; /* UTC dates; NULL: none */
    const char *deploy_not_after;
};

/** acme_cps_issuer_create(name, config, ret): copies what it needs. Zero deadline_ms, max_concurrency,
 * poll_ms, poll_max_ms, connect_timeout_ms and call_timeout_ms mean 14 days, 4, 30 s, 5 minutes, 10 and 90 s.
 * The settings of its profiles are struct acme_cps_profile. Errors: NOMEM; FORMAT (no url, host or part of
 * the login). Release: acme_issuer_destroy (wipes the secrets). Thread: any; the issuer is read-only
 * afterwards.
 */
struct acme_err acme_cps_issuer_create(const char *name, const struct acme_cps_config *config,
                                       struct acme_issuer **ret) ACME_MUST_USE;

/* Where a deployer puts certificates: a third-party enrollment one of whose changes waits for a certificate.
 */
struct acme_cps_target {
    int64_t enrollment_id;   /* 0: found by its name */
    const char *common_name; /* NULL unless found by it */
    struct acme_cps_policy policy;
};

/** acme_cps_deployer_create(name, config, target, ret): as acme_cps_issuer_create; what `target` points to is
 * borrowed. A certificate is uploaded only when CPS made its key: its pending change's CSR has the same.
 * Release: acme_deployer_destroy. */
struct acme_err acme_cps_deployer_create(const char *name, const struct acme_cps_config *config,
                                         const struct acme_cps_target *target,
                                         struct acme_deployer **ret) ACME_MUST_USE;

/** acme_cps_glob(pattern, text, len): the whole text is the pattern's, in which "*" stands for any run of
 * characters without commas and line ends: with these CPS separates its warnings. Case of ASCII letters does
 * not count, runs of white space are one blank. Thread: any. */
bool acme_cps_glob(const char *pattern, const char *text, size_t len);

#endif
