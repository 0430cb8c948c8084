/* Sectigo Certificate Manager over its Admin REST API (docs/upstream-scm.md). */
#ifndef ACME_BACKENDS_SCM_SCM_H
#define ACME_BACKENDS_SCM_SCM_H

#include "backends/issuer.h"

/* SCM has an API for each class of certificates. */
enum acme_scm_class { ACME_SCM_SSL, ACME_SCM_DEVICE };

struct acme_scm_field {
    const char *name;  /* 1 to 256 characters */
    const char *value; /* at most 256 */
};

enum {
    ACME_SCM_FIELD_MAX = 256,     /* characters of a custom field's name, and of its value */
    ACME_SCM_FIELDS_MAX = 64,     /* custom fields */
    ACME_SCM_COMMENTS_MAX = 1024, /* characters of the comments of a request */
};

struct acme_scm_config {
    const char *url; /* https://cert-manager.com, no trailing slash */
    enum acme_scm_class class;
    /* The login is exactly one of: a password; a client certificate with its key; OAuth 2. */
    const char *customer_uri; /* not with OAuth 2 */
    const char *login;        /* likewise */
    const char *password;     /* never logged */
    const char *client_cert_file;
    const char *client_key_file;
    struct acme_oauth oauth; /* token_url NULL: not used */
    int64_t org_id;
    int64_t profile_id; /* SCM's certificate profile, "certType" on the wire */
    int64_t term_days;
    const char *external_requester; /* NULL: none */
    const struct acme_scm_field *custom_fields;
    size_t custom_field_count;
    const char *comments; /* a template, see acme_scm_comments_wrong; NULL: the tag alone */
    const char *dcv_mode; /* CNAME, EMAIL ...; NULL: SCM validates domains in advance */
    const char *dcv_email;
    bool dcv_required;   /* names of domains that SCM has not validated are refused at newOrder */
    const char *ca_file; /* NULL: the system's */
    const char *proxy;
    int connect_timeout_ms;
    int call_timeout_ms; /* the longest a call may take */
    int64_t deadline_ms;
    int max_concurrency;
    int64_t poll_max_ms; /* slowest status polling */
};

/** acme_scm_issuer_create(name, config, ret): copies what it needs. Zero deadline_ms, max_concurrency,
 * poll_max_ms, connect_timeout_ms and call_timeout_ms mean 7 days, 4, 15 minutes, 10 and 90 s. Errors: NOMEM;
 * FORMAT (not exactly one login, or one of which a part is absent, empty or has a control character such as a
 * file's last newline; a number that must be positive is not; comments that acme_scm_comments_wrong minds).
 * Release: acme_issuer_destroy (wipes the secrets). Thread: any; the issuer is read-only afterwards. */
struct acme_err acme_scm_issuer_create(const char *name, const struct acme_scm_config *config,
                                       struct acme_issuer **ret) ACME_MUST_USE;

/** acme_scm_comments_wrong(text): what is wrong with a template for comments: NULL when nothing. It may hold
 * {order}, {account} and {eab} (the key identifier of the account's external binding, "-" without one) and no
 * other braces. Static text, completes "expected ...". Thread: any. */
const char *acme_scm_comments_wrong(const char *text);

#endif
