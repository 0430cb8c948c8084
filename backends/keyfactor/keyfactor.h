/* Keyfactor Command over its REST API (docs/upstream-keyfactor.md). */
#ifndef ACME_BACKENDS_KEYFACTOR_KEYFACTOR_H
#define ACME_BACKENDS_KEYFACTOR_KEYFACTOR_H

#include "backends/issuer.h"

struct acme_keyfactor_field {
    const char *name;  /* 1 to ACME_KEYFACTOR_NAME_MAX characters */
    const char *value; /* at most ACME_KEYFACTOR_VALUE_MAX */
};

enum {
    ACME_KEYFACTOR_NAME_MAX = 64,
    ACME_KEYFACTOR_VALUE_MAX = 1024,
    ACME_KEYFACTOR_FIELDS_MAX = 64, /* of either kind */
};

#define ACME_KEYFACTOR_API_PATH  "KeyfactorAPI"
#define ACME_KEYFACTOR_TAG_FIELD "AcmeOrder"

struct acme_keyfactor_config {
    const char *url;      /* https://command.example, no trailing slash */
    const char *api_path; /* "KeyfactorAPI", without slashes at its ends; NULL: that */
    /* The login is exactly one of: a password; OAuth 2. */
    const char *login;                 /* DOMAIN\user */
    const char *password;              /* never logged */
    struct acme_oauth oauth;           /* token_url NULL: not used */
    const char *certificate_authority; /* host\logical; may be NULL with a pattern */
    const char *template;              /* short name; may be NULL with a pattern */
    int64_t enrollment_pattern_id;     /* 0: none */
    int64_t owner_role_id;             /* 0: none */
    const char *owner_role;            /* its name; NULL: none */
    int64_t collection_id;             /* of certificates; 0: none */
    const char *tag_field;             /* the metadata field for the bridge's tag; NULL: "AcmeOrder" */
    const struct acme_keyfactor_field *metadata; /* values may have placeholders */
    size_t metadata_count;
    const struct acme_keyfactor_field *enrollment_fields;
    size_t enrollment_field_count;
    bool renew;          /* an order with the key of the certificate it replaces is a renewal in Command */
    const char *ca_file; /* NULL: the system's */
    const char *proxy;
    int connect_timeout_ms;
    int call_timeout_ms; /* the longest a call may take */
    int64_t deadline_ms;
    int max_concurrency;
    int64_t poll_max_ms; /* slowest status polling */
};

/** acme_keyfactor_issuer_create(name, config, ret): copies what it needs. Zero deadline_ms, max_concurrency,
 * poll_max_ms, connect_timeout_ms and call_timeout_ms mean 7 days, 4, 15 minutes, 10 and 120 s. Errors:
 * NOMEM; FORMAT (not exactly one login, or one of which a part is absent, empty or has a control character
 * such as a file's last newline; neither a template nor a pattern; no CA without a pattern; a field without
 * or with too long a name or value; a tag field that acme_keyfactor_field_wrong minds). Release:
 * acme_issuer_destroy (wipes the secrets). Thread: any; the issuer is read-only afterwards. */
struct acme_err acme_keyfactor_issuer_create(const char *name, const struct acme_keyfactor_config *config,
                                             struct acme_issuer **ret) ACME_MUST_USE;

/** acme_keyfactor_field_wrong(name): what is wrong with the name of a metadata field that is searched by:
 * NULL when nothing. Static text, completes "expected ...". Thread: any. */
const char *acme_keyfactor_field_wrong(const char *name);

#endif
