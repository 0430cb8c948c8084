/* Huawei Cloud Elastic Load Balance: an issued certificate put into a certificate object of ELB's API v3,
 * which all listeners that refer to it use at once (docs/deploy-huawei-elb.md). */
#ifndef ACME_BACKENDS_HUAWEI_ELB_HUAWEI_ELB_H
#define ACME_BACKENDS_HUAWEI_ELB_HUAWEI_ELB_H

#include "backends/deployer.h"

enum acme_huawei_domains {
    ACME_HUAWEI_DOMAINS_KEEP,  /* what the object has stays */
    ACME_HUAWEI_DOMAINS_NAMES, /* the certificate's dns names */
    ACME_HUAWEI_DOMAINS_LIST
};

struct acme_huawei_elb_config {
    const char *url;            /* https://elb.<region>.myhuaweicloud.com, no trailing slash */
    const char *project_id;     /* 32 letters and digits */
    const char *certificate_id; /* likewise; NULL with `create` */
    bool create;                /* the object is made by the first deployment */
    const char *name;           /* of an object that is made; NULL: "acmebridge-<name of the deployer>" */
    /* The login is exactly one of: a user's password (iam.token_url not NULL; its project_id may be NULL: the
     * one above), an access key. */
    struct acme_keystone iam;
    const char *access_key_id;
    const char *access_key_secret; /* never logged */
    const char *security_token;    /* of a temporary access key; NULL: none; never logged */
    const char *private_key_file;  /* NULL: the object's key is kept */
    enum acme_huawei_domains domains;
    const char *const *domain_list; /* LIST */
    size_t domain_count;
    bool domain_limits_2024; /* 30 names in 1024 characters instead of 100 in 10000 */
    bool keep_description;   /* of an existing object: else ours marks it */
    const char *ca_file;     /* NULL: the system's */
    const char *proxy;
    int64_t deadline_ms;
    int requests_per_minute;
    int burst;
};

enum { ACME_HUAWEI_ID_CHARS = 32, ACME_HUAWEI_NAME_MAX = 255 };

/** acme_huawei_elb_create(name, config, ret): copies what it needs. Zero deadline_ms, requests_per_minute and
 * burst mean 7 days, 60 and 5. Errors: NOMEM; FORMAT (not exactly one login, or one of which a part is absent
 * or cannot stand in a header; not exactly one of certificate_id and create; create without private_key_file;
 * an id or domain of a wrong form). Release: acme_deployer_destroy (wipes the secrets). Thread: any; the
 * deployer is read-only afterwards. */
struct acme_err acme_huawei_elb_create(const char *name, const struct acme_huawei_elb_config *config,
                                       struct acme_deployer **ret) ACME_MUST_USE;

/** acme_huawei_id_right(text): it may be a project's or certificate's id. Thread: any. */
bool acme_huawei_id_right(const char *text);

/** acme_huawei_domain_wrong(name): what is wrong with a name for an object's domains; NULL when nothing.
 * Static text, completes "expected ...". Thread: any. */
const char *acme_huawei_domain_wrong(const char *name);

/** acme_huawei_domains_join(arena, names, count, limits_2024, ret, ret_why): the value of `domain`. Errors:
 * LIMIT with *ret_why (more names or characters than ELB takes); NOMEM. Thread: any. */
struct acme_err acme_huawei_domains_join(struct acme_arena *arena, const char *const *names, size_t count,
                                         bool limits_2024, const char **ret,
                                         const char **ret_why) ACME_MUST_USE;

#endif
