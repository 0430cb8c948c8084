#include "server/config_tables.h"

#include "server/config.h"
#include "server/config_rows.h"
#include "server/config_text.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static const char *const kinds[] = {"local", "scm", "keyfactor", "cps", NULL}; /* in the order of the bits */

/* ---- server ---- */

#define AT(field) offsetof(struct acme_server_config, field)

static const struct acme_config_key tls_keys[] = {
    {.name = "certificate_file",
     .type = ACME_CONFIG_TEXT,
     .offset = AT(tls_certificate_file),
     .check = acme_config_readable_file},
    {.name = "key_file",
     .type = ACME_CONFIG_TEXT,
     .offset = AT(tls_key_file),
     .check = acme_config_readable_file},
    {.name = "names",
     .type = ACME_CONFIG_TEXT_LIST,
     .offset = AT(tls_names),
     .count_offset = AT(tls_name_count),
     .check = acme_config_host_name},
};
static const struct acme_config_table tls_table = {tls_keys, COUNT(tls_keys), NULL, NULL};

static const struct acme_config_key server_keys[] = {
    {.name = "url",
     .type = ACME_CONFIG_TEXT,
     .required = true,
     .offset = AT(url),
     .unit = ACME_CONFIG_BASE_URL_FORM,
     .check = acme_config_base_url},
    {.name = "listen",
     .type = ACME_CONFIG_TEXT,
     .required = true,
     .offset = AT(listen),
     .unit = ACME_CONFIG_LISTEN_FORM,
     .check = acme_config_listen},
    {.name = "tls", .type = ACME_CONFIG_TABLE, .table = &tls_table},
    {.name = "http_listen",
     .type = ACME_CONFIG_TEXT,
     .offset = AT(http_listen),
     .unit = ACME_CONFIG_LISTEN_FORM,
     .check = acme_config_listen},
    {.name = "http_url",
     .type = ACME_CONFIG_TEXT,
     .offset = AT(http_url),
     .unit = ACME_CONFIG_HTTP_URL_FORM,
     .check = acme_config_http_url},
    {.name = "terms_of_service",
     .type = ACME_CONFIG_TEXT,
     .offset = AT(terms_of_service),
     .unit = ACME_CONFIG_LINK_FORM,
     .check = acme_config_link},
    {.name = "terms_of_service_must_agree", .type = ACME_CONFIG_FLAG, .offset = AT(terms_must_agree)},
    {.name = "website",
     .type = ACME_CONFIG_TEXT,
     .offset = AT(website),
     .unit = ACME_CONFIG_LINK_FORM,
     .check = acme_config_link},
    {.name = "io_threads", .type = ACME_CONFIG_INT, .offset = AT(io_threads), .max = 64, .unit = "threads"},
    {.name = "worker_threads",
     .type = ACME_CONFIG_INT,
     .offset = AT(worker_threads),
     .max = 256,
     .unit = "threads"},
    {.name = "max_connections",
     .type = ACME_CONFIG_SIZE,
     .offset = AT(max_connections),
     .min = 1,
     .max = 65536,
     .standard = 1024,
     .unit = "connections"},
    {.name = "max_connections_per_address",
     .type = ACME_CONFIG_SIZE,
     .offset = AT(max_connections_per_address),
     .min = 1,
     .max = 65536,
     .standard = 256,
     .unit = "connections"},
    {.name = "max_body_bytes",
     .type = ACME_CONFIG_SIZE,
     .offset = AT(max_body_bytes),
     .min = 4096,
     .max = 262144,
     .standard = 65536,
     .unit = "bytes"},
    {.name = "request_deadline_seconds",
     .type = ACME_CONFIG_INT,
     .offset = AT(request_deadline_ms),
     .min = 1,
     .max = 600,
     .standard = 20,
     .scale = 1000,
     .unit = "seconds"},
    {.name = "idle_timeout_seconds",
     .type = ACME_CONFIG_INT,
     .offset = AT(idle_timeout_ms),
     .min = 1,
     .max = 3600,
     .standard = 60,
     .scale = 1000,
     .unit = "seconds"},
};
static const struct acme_config_table server_table = {server_keys, COUNT(server_keys), NULL, NULL};

#undef AT

/* ---- validation ---- */

static void read_networks(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                          struct acme_network **networks, size_t *count)
{
    if (node->kind != ACME_YAML_SEQUENCE || node->count > ACME_CONFIG_LIST_MAX) {
        acme_config_wrong(reader, node, "a list of at most 1000 networks");
        return;
    }
    struct acme_network *list = acme_arena_alloc(reader->arena, (node->count + 1) * sizeof *list);
    if (list == NULL) {
        reader->mistakes->nomem = true;
        return;
    }
    *networks = list;
    for (const struct acme_yaml_node *item = node->first; item != NULL; item = item->next) {
        const char *text = acme_config_text(reader, item);
        if (text == NULL)
            continue;
        if (acme_failed(acme_network_parse(text, &list[*count])))
            acme_config_wrong(reader, item, ACME_CONFIG_NETWORK_FORM ", without bits set behind the prefix");
        else
            (*count)++;
    }
}

static void read_allow(struct acme_config_reader *reader, const struct acme_yaml_node *node, void *object)
{
    struct acme_validation_config *validation = object;
    read_networks(reader, node, &validation->policy.allow, &validation->policy.allow_count);
}

static void read_deny(struct acme_config_reader *reader, const struct acme_yaml_node *node, void *object)
{
    struct acme_validation_config *validation = object;
    read_networks(reader, node, &validation->policy.deny, &validation->policy.deny_count);
}

#define AT(field) offsetof(struct acme_validation_config, field)

static const struct acme_config_key validation_keys[] = {
    {.name = "http_port",
     .type = ACME_CONFIG_INT,
     .offset = AT(http_port),
     .min = 1,
     .max = 65535,
     .standard = 80},
    {.name = "tls_port",
     .type = ACME_CONFIG_INT,
     .offset = AT(tls_port),
     .min = 1,
     .max = 65535,
     .standard = 443},
    {.name = "resolvers",
     .type = ACME_CONFIG_TEXT_LIST,
     .offset = AT(resolvers),
     .count_offset = AT(resolver_count),
     .check = acme_config_resolver},
    {.name = "trust_anchor_file",
     .type = ACME_CONFIG_TEXT,
     .offset = AT(trust_anchor_file),
     .check = acme_config_readable_file},
    {.name = "allow", .type = ACME_CONFIG_READ, .read = read_allow},
    {.name = "deny", .type = ACME_CONFIG_READ, .read = read_deny},
    {.name = "max_concurrency",
     .type = ACME_CONFIG_INT,
     .offset = AT(max_concurrency),
     .min = 1,
     .max = 10000,
     .standard = 1024,
     .unit = "validations"},
};
static const struct acme_config_table validation_table = {validation_keys, COUNT(validation_keys), NULL,
                                                          NULL};

#undef AT

/* ---- orders, and the file as a whole ---- */

#define AT(field) offsetof(struct acme_config, field)

static const struct acme_config_key orders_keys[] = {
    {.name = "order_lifetime_hours",
     .type = ACME_CONFIG_INT64,
     .offset = AT(order_lifetime_ms),
     .min = 1,
     .max = 8760,
     .standard = 168,
     .scale = ACME_HOUR_MS,
     .unit = "hours"},
    {.name = "authorization_lifetime_hours",
     .type = ACME_CONFIG_INT64,
     .offset = AT(authz_lifetime_ms),
     .min = 1,
     .max = 8760,
     .standard = 720,
     .scale = ACME_HOUR_MS,
     .unit = "hours"},
    {.name = "adopt_window_hours",
     .type = ACME_CONFIG_INT64,
     .offset = AT(adopt_window_ms),
     .max = 8760,
     .standard = 24,
     .scale = ACME_HOUR_MS,
     .unit = "hours"},
    {.name = "challenge_hold_ms",
     .type = ACME_CONFIG_INT64,
     .offset = AT(challenge_hold_ms),
     .max = 5000,
     .standard = 250,
     .unit = "milliseconds"},
    {.name = "finalize_hold_ms",
     .type = ACME_CONFIG_INT64,
     .offset = AT(finalize_hold_ms),
     .max = 15000,
     .standard = 2000,
     .unit = "milliseconds"},
    {.name = "retry_after_quiet_seconds",
     .type = ACME_CONFIG_INT64,
     .offset = AT(retry_after_quiet_ms),
     .max = 86400,
     .standard = 30,
     .scale = ACME_SECOND_MS,
     .unit = "seconds"},
    {.name = "retry_after_processing_seconds",
     .type = ACME_CONFIG_INT,
     .offset = AT(retry_after_processing_s),
     .min = 1,
     .max = 86400,
     .standard = 60,
     .unit = "seconds"},
    {.name = "max_identifiers",
     .type = ACME_CONFIG_SIZE,
     .offset = AT(max_identifiers),
     .min = 1,
     .max = 1000,
     .standard = 100,
     .unit = "identifiers"},
    {.name = "max_contacts",
     .type = ACME_CONFIG_SIZE,
     .offset = AT(max_contacts),
     .max = 100,
     .standard = 10,
     .unit = "contacts"},
    {.name = "max_pending_authorizations",
     .type = ACME_CONFIG_SIZE,
     .offset = AT(max_pending_authzs),
     .min = 1,
     .max = 100000,
     .standard = 100,
     .unit = "authorizations"},
    {.name = "keep_days",
     .type = ACME_CONFIG_INT64,
     .offset = AT(keep_ms),
     .min = 7, /* expired certificates stay in the list of the revoked for that long */
     .max = 3650,
     .standard = 30,
     .scale = ACME_DAY_MS,
     .unit = "days"},
};
static const struct acme_config_table orders_table = {orders_keys, COUNT(orders_keys), NULL, NULL};

static const struct acme_config_key root_keys[] = {
    {.name = "server",
     .type = ACME_CONFIG_TABLE,
     .required = true,
     .offset = AT(server),
     .table = &server_table},
    {.name = "data_dir", .type = ACME_CONFIG_TEXT, .offset = AT(data_dir), .check = acme_config_directory},
    {.name = "store", .type = ACME_CONFIG_LATER},
    {.name = "validation", .type = ACME_CONFIG_TABLE, .offset = AT(validation), .table = &validation_table},
    {.name = "orders", .type = ACME_CONFIG_TABLE, .table = &orders_table},
    {.name = "accounts", .type = ACME_CONFIG_TABLE, .table = &acme_config_accounts_table},
    {.name = "blocked_keys_file",
     .type = ACME_CONFIG_TEXT,
     .offset = AT(blocked_keys_file),
     .check = acme_config_blocked_keys},
    {.name = "issuers", .type = ACME_CONFIG_LATER, .required = true},
    {.name = "profiles", .type = ACME_CONFIG_LATER, .required = true},
    {.name = "deployers", .type = ACME_CONFIG_LATER},
    {.name = "default_profile",
     .type = ACME_CONFIG_TEXT,
     .offset = AT(default_profile),
     .check = acme_config_name},
};
const struct acme_config_table acme_config_root_table = {root_keys, COUNT(root_keys), NULL, NULL};

#undef AT

/* ---- issuers ---- */

#define AT(field)  offsetof(struct acme_issuer_config, field)
#define SCM(field) offsetof(struct acme_issuer_config, scm.field)
#define UPSTREAMS  (ACME_CONFIG_KIND_SCM | ACME_CONFIG_KIND_KEYFACTOR)

/* One of two words: *ret tells whether it is the second. */
static void read_choice(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                        const char *first, const char *second, bool *ret)
{
    char expected[64];
    bool scalar = node->kind == ACME_YAML_SCALAR;
    snprintf(expected, sizeof expected, "%s or %s", first, second);
    if (scalar && strcmp(node->text, second) == 0)
        *ret = true;
    else if (!scalar || strcmp(node->text, first) != 0)
        acme_config_wrong(reader, node, expected);
}

static void read_supersede(struct acme_config_reader *reader, const struct acme_yaml_node *node, void *object)
{
    struct acme_issuer_config *issuer = object;
    read_choice(reader, node, "decline", "never", &issuer->never_supersede);
}

static void read_renewal(struct acme_config_reader *reader, const struct acme_yaml_node *node, void *object)
{
    struct acme_issuer_config *issuer = object;
    read_choice(reader, node, "enroll", "renew", &issuer->renew);
}

static const struct acme_config_key issuer_keys[] = {
    {.name = "name",
     .type = ACME_CONFIG_TEXT,
     .required = true,
     .offset = AT(name),
     .unit = ACME_CONFIG_NAME_FORM,
     .check = acme_config_name},
    {.name = "type", .type = ACME_CONFIG_LATER},
    ACME_CONFIG_ROW_DEADLINE(ACME_CONFIG_KIND_LOCAL, AT(deadline_ms), 1),
    ACME_CONFIG_ROW_DEADLINE(UPSTREAMS, AT(deadline_ms), 168),
    ACME_CONFIG_ROW_CONCURRENCY(ACME_CONFIG_KIND_LOCAL, AT(max_concurrency), 64, 1024, "issuances"),
    ACME_CONFIG_ROW_CONCURRENCY(UPSTREAMS, AT(max_concurrency), 4, 256, "calls"),
    ACME_CONFIG_ROW_PACE(UPSTREAMS, AT(requests_per_minute), 60),
    ACME_CONFIG_ROW_BURST(UPSTREAMS, AT(burst), 5),
    {.name = "cross_certificates_file",
     .type = ACME_CONFIG_TEXT,
     .applies = ACME_CONFIG_KIND_LOCAL,
     .offset = AT(cross_certificates_file),
     .check = acme_config_readable_file},
    ACME_CONFIG_ROW_URL(ACME_CONFIG_KIND_SCM, SCM(url), true),
    {.name = "class",
     .type = ACME_CONFIG_READ,
     .applies = ACME_CONFIG_KIND_SCM,
     .read = acme_config_read_scm_class},
    {.name = "customer_uri",
     .type = ACME_CONFIG_TEXT,
     .applies = ACME_CONFIG_KIND_SCM,
     .offset = SCM(customer_uri)},
    {.name = "login", .type = ACME_CONFIG_TEXT, .applies = ACME_CONFIG_KIND_SCM, .offset = SCM(login)},
    {.name = "password_file", .type = ACME_CONFIG_LATER, .applies = ACME_CONFIG_KIND_SCM},
    {.name = "password_credential", .type = ACME_CONFIG_LATER, .applies = ACME_CONFIG_KIND_SCM},
    {.name = "password", .type = ACME_CONFIG_LATER, .applies = ACME_CONFIG_KIND_SCM},
    {.name = "client_certificate_file",
     .type = ACME_CONFIG_TEXT,
     .applies = ACME_CONFIG_KIND_SCM,
     .offset = SCM(client_cert_file),
     .check = acme_config_readable_file},
    {.name = "client_key_file",
     .type = ACME_CONFIG_TEXT,
     .applies = ACME_CONFIG_KIND_SCM,
     .offset = SCM(client_key_file),
     .check = acme_config_readable_file},
    {.name = "oauth",
     .type = ACME_CONFIG_TABLE,
     .applies = ACME_CONFIG_KIND_SCM,
     .offset = SCM(oauth),
     .table = &acme_config_oauth_table},
    {.name = "org_id",
     .type = ACME_CONFIG_INT64,
     .required = true,
     .applies = ACME_CONFIG_KIND_SCM,
     .offset = SCM(org_id),
     .min = 1,
     .max = INT_MAX},
    {.name = "profile_id",
     .type = ACME_CONFIG_INT64,
     .required = true,
     .applies = ACME_CONFIG_KIND_SCM,
     .offset = SCM(profile_id),
     .min = 1,
     .max = INT_MAX},
    {.name = "term_days",
     .type = ACME_CONFIG_INT64,
     .required = true,
     .applies = ACME_CONFIG_KIND_SCM,
     .offset = SCM(term_days),
     .min = 1,
     .max = 3650,
     .unit = "days"},
    {.name = "external_requester",
     .type = ACME_CONFIG_TEXT,
     .applies = ACME_CONFIG_KIND_SCM,
     .offset = SCM(external_requester)},
    {.name = "custom_fields",
     .type = ACME_CONFIG_READ,
     .applies = ACME_CONFIG_KIND_SCM,
     .read = acme_config_read_scm_fields},
    {.name = "comments",
     .type = ACME_CONFIG_TEXT,
     .applies = ACME_CONFIG_KIND_SCM,
     .offset = SCM(comments),
     .check = acme_config_scm_comments},
    {.name = "dcv",
     .type = ACME_CONFIG_READ,
     .applies = ACME_CONFIG_KIND_SCM,
     .read = acme_config_read_scm_dcv},
    {.name = "dcv_mode",
     .type = ACME_CONFIG_TEXT,
     .applies = ACME_CONFIG_KIND_SCM,
     .offset = SCM(dcv_mode),
     .check = acme_config_scm_dcv_mode},
    {.name = "dcv_email",
     .type = ACME_CONFIG_TEXT,
     .applies = ACME_CONFIG_KIND_SCM,
     .offset = SCM(dcv_email)},
    ACME_CONFIG_ROW_CA_FILE(ACME_CONFIG_KIND_SCM, SCM(ca_file)),
    ACME_CONFIG_ROW_PROXY(ACME_CONFIG_KIND_SCM, SCM(proxy)),
    ACME_CONFIG_ROW_CONNECT_TIMEOUT(ACME_CONFIG_KIND_SCM, SCM(connect_timeout_ms)),
    ACME_CONFIG_ROW_CALL_TIMEOUT(ACME_CONFIG_KIND_SCM, SCM(call_timeout_ms), 90),
    ACME_CONFIG_ROW_POLL_MAX(ACME_CONFIG_KIND_SCM, SCM(poll_max_ms), 900),
    {.name = "supersede", .type = ACME_CONFIG_READ, .applies = UPSTREAMS, .read = read_supersede},
    {.name = "supersede_after_minutes",
     .type = ACME_CONFIG_INT64,
     .applies = UPSTREAMS,
     .offset = AT(supersede_after_ms),
     .min = 2,
     .max = 10080,
     .standard = 10,
     .scale = ACME_MINUTE_MS,
     .unit = "minutes"},
    {.name = "renewal", .type = ACME_CONFIG_READ, .applies = ACME_CONFIG_KIND_SCM, .read = read_renewal},
};
const struct acme_config_table acme_config_issuer_table = {issuer_keys, COUNT(issuer_keys), kinds,
                                                           &acme_config_keyfactor_table};

#undef UPSTREAMS
#undef SCM
#undef AT

/* ---- profiles ---- */

static void read_challenges(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                            void *object)
{
    struct acme_profile *profile = object;
    char expected[160] = "";
    const struct acme_challenge_type *type = NULL;
    for (size_t i = 0; (type = acme_challenge_type_at(i)) != NULL; i++) {
        size_t used = strlen(expected);
        snprintf(expected + used, sizeof expected - used, "%s%s",
                 i > 0 ? ", " : "challenge types: ", type->name);
    }
    if (node->kind != ACME_YAML_SEQUENCE || node->count == 0) {
        acme_config_wrong(reader, node, expected);
        return;
    }
    unsigned challenges = 0;
    for (const struct acme_yaml_node *item = node->first; item != NULL; item = item->next) {
        type = item->kind == ACME_YAML_SCALAR ? acme_challenge_type_find(item->text) : NULL;
        if (type != NULL)
            challenges |= (unsigned)type->bit;
        else
            acme_config_wrong(reader, item, expected);
    }
    profile->challenges = challenges;
}

static void read_identifiers(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                             void *object)
{
    static const char expected[] = "a list of identifier types: dns, ip";
    struct acme_profile *profile = object;
    if (node->kind != ACME_YAML_SEQUENCE || node->count == 0) {
        acme_config_wrong(reader, node, expected);
        return;
    }
    unsigned identifiers = 0;
    for (const struct acme_yaml_node *item = node->first; item != NULL; item = item->next) {
        unsigned type = 0;
        while (type < ACME_IDENTIFIER_TYPE_COUNT &&
               (item->kind != ACME_YAML_SCALAR || strcmp(acme_identifier_type_name(type), item->text) != 0))
            type++;
        if (type < ACME_IDENTIFIER_TYPE_COUNT)
            identifiers |= 1U << type;
        else
            acme_config_wrong(reader, item, "dns or ip");
    }
    profile->identifiers = identifiers;
}

/* "off", or the names of the CA. */
static void read_caa(struct acme_config_reader *reader, const struct acme_yaml_node *node, void *object)
{
    static const char expected[] = "off, or a list of 1 to 10 domain names";
    struct acme_profile *profile = object;
    if (node->kind == ACME_YAML_SCALAR && strcmp(node->text, "off") == 0)
        return;
    if (node->kind != ACME_YAML_SEQUENCE || node->count == 0 || node->count > ACME_CAA_ISSUERS_MAX) {
        acme_config_wrong(reader, node, expected);
        return;
    }
    const char **names = acme_arena_alloc(reader->arena, node->count * sizeof *names);
    if (names == NULL) {
        reader->mistakes->nomem = true;
        return;
    }
    for (const struct acme_yaml_node *item = node->first; item != NULL; item = item->next) {
        struct acme_identifier name;
        const char *why = "";
        const char *text = acme_config_text(reader, item);
        if (text == NULL)
            continue;
        struct acme_err err = acme_identifier_parse(reader->arena, "dns", text, &name, &why);
        if (err.code == ACME_E_NOMEM)
            reader->mistakes->nomem = true;
        else if (acme_failed(err) || acme_identifier_is_wildcard(&name))
            acme_config_wrong(reader, item, "a domain name such as ca.example");
        else
            names[profile->caa_issuer_count++] = name.value;
    }
    profile->caa_issuers = names;
}

#define AT(field) offsetof(struct acme_key_policy, field)

static const struct acme_config_key policy_keys[] = {
    {.name = "rsa", .type = ACME_CONFIG_FLAG, .keep = true, .offset = AT(rsa)},
    {.name = "rsa_min_bits",
     .type = ACME_CONFIG_INT,
     .keep = true,
     .offset = AT(rsa_min_bits),
     .min = 2048,
     .max = 8192,
     .unit = "bits"},
    {.name = "rsa_max_bits",
     .type = ACME_CONFIG_INT,
     .keep = true,
     .offset = AT(rsa_max_bits),
     .min = 2048,
     .max = 8192,
     .unit = "bits"},
    {.name = "p256", .type = ACME_CONFIG_FLAG, .keep = true, .offset = AT(p256)},
    {.name = "p384", .type = ACME_CONFIG_FLAG, .keep = true, .offset = AT(p384)},
    {.name = "p521", .type = ACME_CONFIG_FLAG, .keep = true, .offset = AT(p521)},
    {.name = "ed25519", .type = ACME_CONFIG_FLAG, .keep = true, .offset = AT(ed25519)},
};
static const struct acme_config_table policy_table = {policy_keys, COUNT(policy_keys), NULL, NULL};

#undef AT
#define AT(field) offsetof(struct acme_profile, field)

static const struct acme_config_key profile_keys[] = {
    {.name = "name",
     .type = ACME_CONFIG_TEXT,
     .required = true,
     .offset = AT(name),
     .unit = ACME_CONFIG_NAME_FORM,
     .check = acme_config_name},
    {.name = "issuer", .type = ACME_CONFIG_LATER},
    {.name = "description", .type = ACME_CONFIG_TEXT, .offset = AT(description)},
    {.name = "challenges", .type = ACME_CONFIG_READ, .read = read_challenges},
    {.name = "identifiers", .type = ACME_CONFIG_READ, .read = read_identifiers},
    {.name = "caa", .type = ACME_CONFIG_READ, .read = read_caa},
    {.name = "validity_days",
     .type = ACME_CONFIG_INT64,
     .applies = ACME_CONFIG_KIND_LOCAL,
     .offset = AT(validity_ms),
     .min = 1,
     .max = 3650,
     .standard = 90,
     .scale = ACME_DAY_MS,
     .unit = "days"},
    {.name = "allow_requested_dates",
     .type = ACME_CONFIG_FLAG,
     .applies = ACME_CONFIG_KIND_LOCAL,
     .offset = AT(allow_requested_dates)},
    {.name = "enrollment",
     .type = ACME_CONFIG_READ,
     .applies = ACME_CONFIG_KIND_CPS,
     .read = acme_config_read_enrollment},
    {.name = "keys", .type = ACME_CONFIG_TABLE, .keep = true, .offset = AT(keys), .table = &policy_table},
    {.name = "deploy",
     .type = ACME_CONFIG_TEXT_LIST,
     .offset = AT(deployers),
     .count_offset = AT(deployer_count),
     .check = acme_config_name},
};
const struct acme_config_table acme_config_profile_table = {profile_keys, COUNT(profile_keys), kinds, NULL};
