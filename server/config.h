/* The configuration as the program uses it: read once from YAML, checked whole, immutable afterwards.
 * docs/configuration.md lists every key; the tables in config_tables.c are its source. */
#ifndef ACME_SERVER_CONFIG_H
#define ACME_SERVER_CONFIG_H

#include "backends/command/command.h"
#include "backends/cps/cps.h"
#include "backends/huawei_elb/huawei_elb.h"
#include "backends/keyfactor/keyfactor.h"
#include "backends/scm/scm.h"
#include "protocol/service.h"
#include "server/address_policy.h"

enum acme_issuer_type {
    ACME_ISSUER_LOCAL,
    ACME_ISSUER_SCM,
    ACME_ISSUER_KEYFACTOR,
    ACME_ISSUER_CPS,
    ACME_ISSUER_TYPE_COUNT
};

struct acme_issuer_config {
    const char *name; /* [a-z0-9-]{1,32} */
    enum acme_issuer_type type;
    int64_t deadline_ms;
    int max_concurrency;
    int requests_per_minute;             /* of upstreams, else 0 */
    int burst;                           /* likewise */
    const char *cross_certificates_file; /* type local; NULL: none */
    int64_t supersede_after_ms;          /* types scm and keyfactor */
    bool never_supersede;
    bool renew;                             /* type scm */
    struct acme_scm_config scm;             /* type scm; its password was read from password_file or ${VAR} */
    struct acme_keyfactor_config keyfactor; /* type keyfactor; likewise */
    const char *cps_section;                /* type cps: of the .edgerc file */
    struct acme_cps_config cps;             /* type cps; its credentials were read from an .edgerc file */
};

enum acme_deployer_type { ACME_DEPLOYER_COMMAND, ACME_DEPLOYER_HUAWEI_ELB, ACME_DEPLOYER_CPS };

struct acme_deployer_config {
    const char *name; /* [a-z0-9-]{1,32} */
    enum acme_deployer_type type;
    const char *const *names; /* only certificates with all of these are for it; none: every certificate */
    size_t name_count;
    int64_t deadline_ms; /* from issuance */
    int max_concurrency;
    int requests_per_minute;              /* of upstreams, else 0 */
    int burst;                            /* likewise */
    struct acme_command_config command;   /* type command */
    const char *huawei_region;            /* type huawei-elb; NULL: url says it */
    struct acme_huawei_elb_config huawei; /* type huawei-elb; its secrets were read */
    const char *cps_section;              /* type cps: of the .edgerc file */
    struct acme_cps_config cps;           /* type cps; its credentials were read from an .edgerc file */
    struct acme_cps_target cps_target;    /* type cps */
};

struct acme_server_config {
    const char *url;                  /* https://host[:port][/path], no trailing slash */
    const char *listen;               /* address:port */
    const char *http_listen;          /* plain HTTP for lists of the revoked and CA certificates; NULL: off */
    const char *http_url;             /* its URL, no trailing slash, in certificates; NULL: in none */
    const char *tls_certificate_file; /* both or neither; neither: from the local CA */
    const char *tls_key_file;
    const char *const
        *tls_names; /* names of a certificate from the local CA, besides url's host; count may be 0 */
    size_t tls_name_count;
    const char *terms_of_service;
    bool terms_must_agree;
    const char *website;
    int io_threads;     /* 0: one per two cores, at least one */
    int worker_threads; /* 0: twice the cores, at least four */
    size_t max_connections;
    size_t max_connections_per_address;
    size_t max_body_bytes;
    int request_deadline_ms;
    int idle_timeout_ms;
};

struct acme_validation_config {
    int http_port;
    int tls_port;
    const char *const *resolvers;
    size_t resolver_count;
    const char *trust_anchor_file; /* DNSSEC; NULL: not verified */
    struct acme_address_policy policy;
    int max_concurrency;
};

struct acme_config {
    const char *file; /* what was read; "embedded defaults" */
    const char *data_dir;
    const char *store_path; /* of sqlite:// */
    struct acme_server_config server;
    struct acme_validation_config validation;
    const char *blocked_keys_file; /* NULL: none; it was read once, so its form is right */
    struct acme_issuer_config *issuers;
    size_t issuer_count;
    struct acme_deployer_config *deployers;
    size_t deployer_count;
    struct acme_profile *profiles;
    size_t profile_count;
    const char *default_profile;
    /* limits of orders; see struct acme_service_config */
    int64_t order_lifetime_ms;
    int64_t authz_lifetime_ms;
    int64_t adopt_window_ms;
    int64_t challenge_hold_ms;
    int64_t finalize_hold_ms;
    int64_t retry_after_quiet_ms;
    int retry_after_processing_s;
    size_t max_identifiers;
    size_t max_contacts;
    size_t max_pending_authzs;
    int64_t keep_ms;                         /* how long what has ended stays in the store */
    struct acme_external_key *external_keys; /* their secrets are outside of the arena */
    size_t external_key_count;
    bool external_account_required;
    struct acme_arena *arena; /* everything above lives here; passwords are apart, wiped when it goes */
};

/** acme_config_load(path, data_dir, ret, ret_error): read and check `path`; NULL means the embedded defaults
 * (one local issuer "local", profile "default", https://localhost:14000, listening on loopback). `data_dir`
 * (NULL: the file's, else $STATE_DIRECTORY, else ./acmebridge-data) overrides the file. Reads password files;
 * starts nothing. Owns: *ret, release with acme_config_destroy (wipes passwords); *ret_error is malloc'd text
 * "file:line:column: expected ..., found ..." (free it), one line per mistake, each ended by a line feed, all
 * mistakes of a file at once. Errors: FORMAT (see *ret_error), IO (unreadable file, likewise), NOMEM
 * (*ret_error untouched). */
struct acme_err acme_config_load(const char *path, const char *data_dir, struct acme_config **ret,
                                 char **ret_error) ACME_MUST_USE;

/** acme_config_parse(file, text, len, data_dir, ret, ret_error): the same for a text in memory; `file` stands
 * in mistakes, and relative paths start from its folder. Limits: 1 MiB. */
struct acme_err acme_config_parse(const char *file, const char *text, size_t len, const char *data_dir,
                                  struct acme_config **ret, char **ret_error) ACME_MUST_USE;

/** acme_deployer_type_name(type): as in the configuration. Static. */
const char *acme_deployer_type_name(enum acme_deployer_type type);

/** acme_issuer_type_name(type): as in the configuration: "scm". _title: as people call it: "SCM". */
const char *acme_issuer_type_name(enum acme_issuer_type type);
const char *acme_issuer_type_title(enum acme_issuer_type type);

/** acme_issuer_config_url(issuer): of its upstream; NULL: it has none. */
const char *acme_issuer_config_url(const struct acme_issuer_config *issuer);

void acme_config_destroy(struct acme_config *config); /* wipes the passwords; NULL is allowed */

#endif
