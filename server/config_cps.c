/* What an issuer of type cps has beside plain values: the credentials in an .edgerc file; and the enrollments
 * of its profiles. */
#include "backends/cps/edgerc.h"
#include "server/config.h"
#include "server/config_rows.h"
#include "server/config_secret.h"
#include "server/config_tables.h"
#include "server/config_text.h"
#include "server/secret_file.h"

#include <openssl/crypto.h>
#include <string.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* ---- the .edgerc file ---- */

static void keep(struct acme_config_reader *reader, struct acme_cps_config *cps, const struct acme_edgerc *rc)
{
    cps->host = acme_arena_strndup(reader->arena, rc->host.text, rc->host.len);
    cps->client.client_token = acme_config_keep_secret(reader, rc->client_token.text, rc->client_token.len);
    cps->client.client_secret =
        acme_config_keep_secret(reader, rc->client_secret.text, rc->client_secret.len);
    cps->client.access_token = acme_config_keep_secret(reader, rc->access_token.text, rc->access_token.len);
    cps->client.max_body = rc->max_body;
    if (cps->account_switch_key == NULL && rc->account_key.text != NULL)
        cps->account_switch_key =
            acme_arena_strndup(reader->arena, rc->account_key.text, rc->account_key.len);
    if (cps->url == NULL && cps->host != NULL)
        cps->url = acme_arena_printf(reader->arena, "https://%s", cps->host);
    if (cps->host == NULL || cps->url == NULL ||
        (rc->account_key.text != NULL && cps->account_switch_key == NULL))
        reader->mistakes->nomem = true;
}

static void read_text(struct acme_config_reader *reader, const struct acme_yaml_node *node, const char *path,
                      const char *section, const char *text, size_t len, struct acme_cps_config *cps)
{
    struct acme_edgerc rc;
    struct acme_edgerc_mistake mistake;
    struct acme_err err = acme_edgerc_read(text, len, section, &rc, &mistake);
    const char *file = acme_mistake_quote(reader->mistakes, path);
    if (!acme_failed(err))
        keep(reader, cps, &rc);
    else if (err.code == ACME_E_NOT_FOUND)
        acme_mistake_add(reader->mistakes, node->line, node->column,
                         "expected an .edgerc file with a section [%s], found %s without it",
                         acme_mistake_quote_key(reader->mistakes, section), file);
    else
        acme_mistake_add(reader->mistakes, node->line, node->column,
                         "expected %s, found otherwise in line %d of %s", mistake.expected, mistake.line,
                         file);
}

static void read_edgerc(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                        const char *path, const char *section, struct acme_cps_config *cps)
{
    const size_t size = ACME_EDGERC_MAX_BYTES + 1; /* one more, to notice that a file is too large */
    char *text = OPENSSL_malloc(size);
    if (text == NULL) {
        reader->mistakes->nomem = true;
        return;
    }
    size_t len = 0;
    const char *why = acme_secret_file_read(path, text, size, &len);
    if (why != NULL)
        acme_mistake_add(reader->mistakes, node->line, node->column,
                         "expected an .edgerc file with the credentials of an API client, found %s: %s",
                         acme_mistake_quote(reader->mistakes, path), why);
    else
        read_text(reader, node, path, section, text, len, cps);
    OPENSSL_clear_free(text, size);
}

void acme_config_check_cps(struct acme_config_reader *reader, const struct acme_yaml_node *issuer,
                           const char *section, struct acme_cps_config *cps)
{
    const struct acme_yaml_node *node = acme_yaml_get(issuer, "edgerc_file");
    if (node == NULL) {
        acme_mistake_add(
            reader->mistakes, issuer->line, issuer->column,
            "expected the key 'edgerc_file' (a file with the credentials of an API client), found none");
        return;
    }
    const char *value = acme_config_text(reader, node);
    const char *path = value != NULL ? acme_config_path(reader, value) : NULL;
    if (path != NULL && section != NULL)
        read_edgerc(reader, node, path, section, cps);
    if (cps->poll_max_ms < cps->poll_ms) {
        const struct acme_yaml_node *max = acme_yaml_get(issuer, "poll_max_seconds");
        const struct acme_yaml_node *where = max != NULL ? max : issuer;
        acme_mistake_add(reader->mistakes, where->line, where->column,
                         "expected poll_max_seconds to be at least poll_seconds, found it lower");
    }
}

/* ---- enrollments ---- */

static void read_choice(struct acme_config_reader *reader, const struct acme_yaml_node *node, const char *no,
                        const char *yes, const char *expected, bool *ret)
{
    const char *text = node->kind == ACME_YAML_SCALAR ? node->text : "";
    if (strcmp(text, yes) == 0)
        *ret = true;
    else if (strcmp(text, no) != 0)
        acme_config_wrong(reader, node, expected);
}

static void read_key_holder(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                            void *object)
{
    struct acme_cps_profile *profile = object;
    read_choice(reader, node, "client", "edge", "client or edge", &profile->key_at_edge);
}

static void read_acknowledge(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                             void *object)
{
    struct acme_cps_profile *profile = object;
    read_choice(reader, node, "manual", "auto", "auto or manual", &profile->policy.acknowledge_auto);
}

static const char *check_date(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                              const char *value)
{
    int64_t ms = 0;
    if (!acme_failed(acme_rfc3339_parse(value, &ms)))
        return value;
    acme_config_wrong(reader, node, "a time such as 2026-12-01T00:00:00Z");
    return NULL;
}

static const char *check_pattern(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                 const char *value)
{
    bool all = value[strspn(value, "* \t")] == '\0';
    if (!all && strlen(value) <= ACME_CPS_PATTERN_MAX)
        return value;
    acme_config_wrong(reader, node, "the text or code of a warning, of at most 512 characters, not only *");
    return NULL;
}

#define AT(field) offsetof(struct acme_cps_profile, field)

static const struct acme_config_key enrollment_keys[] = {
    {.name = "id", .type = ACME_CONFIG_INT64, .offset = AT(enrollment_id), .max = INT64_C(9007199254740991)},
    {.name = "common_name",
     .type = ACME_CONFIG_TEXT,
     .offset = AT(common_name),
     .check = acme_config_host_name},
    {.name = "key_holder", .type = ACME_CONFIG_READ, .read = read_key_holder},
    {.name = "third_party_issuer",
     .type = ACME_CONFIG_TEXT,
     .offset = AT(third_party_issuer),
     .check = acme_config_name},
    {.name = "acknowledge", .type = ACME_CONFIG_READ, .read = read_acknowledge},
    {.name = "warnings",
     .type = ACME_CONFIG_TEXT_LIST,
     .offset = AT(policy.warnings),
     .count_offset = AT(policy.warning_count),
     .check = check_pattern},
    {.name = "dv", .type = ACME_CONFIG_TABLE, .offset = AT(policy.dv), .table = &acme_config_dv_table},
    {.name = "allow_san_removal", .type = ACME_CONFIG_FLAG, .offset = AT(allow_san_removal)},
    {.name = "allow_cancel_pending_changes",
     .type = ACME_CONFIG_FLAG,
     .offset = AT(allow_cancel_pending_changes)},
    {.name = "renewal_date_check_override",
     .type = ACME_CONFIG_FLAG,
     .offset = AT(renewal_date_check_override)},
    {.name = "allow_staging_bypass", .type = ACME_CONFIG_FLAG, .offset = AT(allow_staging_bypass)},
    {.name = "allow_missing_certificate_addition",
     .type = ACME_CONFIG_FLAG,
     .offset = AT(allow_missing_certificate_addition)},
    {.name = "deploy_not_before",
     .type = ACME_CONFIG_TEXT,
     .offset = AT(deploy_not_before),
     .check = check_date},
    {.name = "deploy_not_after",
     .type = ACME_CONFIG_TEXT,
     .offset = AT(deploy_not_after),
     .check = check_date},
};
const struct acme_config_table acme_config_enrollment_table = {enrollment_keys, COUNT(enrollment_keys), NULL,
                                                               NULL};

#undef AT

static const char named[] = "a mapping with the id or the common_name of an enrollment";

static void check_named(struct acme_config_reader *reader, const struct acme_yaml_node *node, int64_t number)
{
    const struct acme_yaml_node *id = acme_yaml_get(node, "id");
    const struct acme_yaml_node *name = acme_yaml_get(node, "common_name");
    if ((id == NULL) == (name == NULL))
        acme_mistake_add(reader->mistakes, node->line, node->column,
                         "expected either 'id' or 'common_name' to name the enrollment, found %s",
                         id == NULL ? "none" : "both");
    else if (id != NULL && number == 0 && id->kind == ACME_YAML_SCALAR && strcmp(id->text, "0") == 0)
        acme_config_wrong(reader, id, "the number of an enrollment");
}

void acme_config_read_enrollment(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                 void *object)
{
    struct acme_profile *profile = object;
    if (node->kind != ACME_YAML_MAPPING) {
        acme_config_wrong(reader, node, named);
        return;
    }
    struct acme_cps_profile *settings = acme_arena_alloc(reader->arena, sizeof *settings);
    if (settings == NULL) {
        reader->mistakes->nomem = true;
        return;
    }
    acme_config_fill(reader, &acme_config_enrollment_table, node, 0, settings);
    check_named(reader, node, settings->enrollment_id);
    acme_config_check_dv(reader, acme_yaml_get(node, "dv"), &settings->policy.dv);
    profile->issuer_settings = settings;
    profile->key_at_edge = settings->key_at_edge;
}

void acme_config_check_enrollment(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                  const struct acme_config *config, struct acme_profile *profile)
{
    const struct acme_cps_profile *settings = profile->issuer_settings;
    if (acme_yaml_get(node, "enrollment") == NULL)
        acme_mistake_add(
            reader->mistakes, node->line, node->column,
            "expected the key 'enrollment' (for a profile whose issuer is of type cps), found none");
    if (profile->key_at_edge && profile->description != NULL) {
        profile->description = acme_arena_printf(
            reader->arena, "%s (the certificate's private key is made and stays at the Akamai edge)",
            profile->description);
        reader->mistakes->nomem = reader->mistakes->nomem || profile->description == NULL;
    }
    const struct acme_yaml_node *wanted =
        acme_yaml_get(acme_yaml_get(node, "enrollment"), "third_party_issuer");
    if (settings == NULL || wanted == NULL || settings->third_party_issuer == NULL)
        return;
    for (size_t i = 0; i < config->issuer_count; i++) {
        const struct acme_issuer_config *issuer = &config->issuers[i];
        if (issuer->name == NULL || strcmp(issuer->name, settings->third_party_issuer) != 0)
            continue;
        if (issuer->type == ACME_ISSUER_CPS)
            acme_config_wrong(reader, wanted, "an issuer that can sign the CSRs of CPS, not one of type cps");
        return;
    }
    acme_config_wrong(reader, wanted, "the name of an issuer that signs the CSRs of CPS");
}

/* ---- the enrollment of a deployer ---- */

#define AT(field) offsetof(struct acme_cps_target, field)

static void read_target_acknowledge(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                    void *object)
{
    struct acme_cps_target *target = object;
    read_choice(reader, node, "manual", "auto", "auto or manual", &target->policy.acknowledge_auto);
}

static const struct acme_config_key target_keys[] = {
    {.name = "id", .type = ACME_CONFIG_INT64, .offset = AT(enrollment_id), .max = INT64_C(9007199254740991)},
    {.name = "common_name",
     .type = ACME_CONFIG_TEXT,
     .offset = AT(common_name),
     .check = acme_config_host_name},
    {.name = "acknowledge", .type = ACME_CONFIG_READ, .read = read_target_acknowledge},
    {.name = "warnings",
     .type = ACME_CONFIG_TEXT_LIST,
     .offset = AT(policy.warnings),
     .count_offset = AT(policy.warning_count),
     .check = check_pattern},
};
const struct acme_config_table acme_config_target_table = {target_keys, COUNT(target_keys), NULL, NULL};

#undef AT

static void read_target(struct acme_config_reader *reader, const struct acme_yaml_node *node, void *object)
{
    struct acme_deployer_config *deployer = object;
    if (node->kind != ACME_YAML_MAPPING) {
        acme_config_wrong(reader, node, named);
        return;
    }
    acme_config_fill(reader, &acme_config_target_table, node, 0, &deployer->cps_target);
    check_named(reader, node, deployer->cps_target.enrollment_id);
}

void acme_config_check_cps_deployer(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                    struct acme_deployer_config *deployer)
{
    acme_config_check_cps(reader, node, deployer->cps_section, &deployer->cps);
    deployer->cps.deadline_ms = deployer->deadline_ms;
    deployer->cps.max_concurrency = deployer->max_concurrency;
}

/* ---- keys of the issuer, and of the deployer ---- */

/* How an account at Akamai is reached: `owner` is the struct that is filled, `kind` its bit. */
#define CONNECTION(kind, owner)                                                                              \
    ACME_CONFIG_ROW_DEADLINE(kind, offsetof(owner, deadline_ms), 336),                                       \
        ACME_CONFIG_ROW_CONCURRENCY(kind, offsetof(owner, max_concurrency), 4, 256, "calls"),                \
        ACME_CONFIG_ROW_PACE(kind, offsetof(owner, requests_per_minute), 35),                                \
        ACME_CONFIG_ROW_BURST(kind, offsetof(owner, burst), 20),                                             \
        {.name = "edgerc_file", .type = ACME_CONFIG_LATER, .applies = (kind)},                               \
        {.name = "edgerc_section",                                                                           \
         .type = ACME_CONFIG_TEXT,                                                                           \
         .applies = (kind),                                                                                  \
         .offset = offsetof(owner, cps_section),                                                             \
         .standard_text = "default"},                                                                        \
        {.name = "account_switch_key",                                                                       \
         .type = ACME_CONFIG_TEXT,                                                                           \
         .applies = (kind),                                                                                  \
         .offset = offsetof(owner, cps.account_switch_key)},                                                 \
        ACME_CONFIG_ROW_URL(kind, offsetof(owner, cps.url), false),                                          \
        ACME_CONFIG_ROW_CA_FILE(kind, offsetof(owner, cps.ca_file)),                                         \
        ACME_CONFIG_ROW_PROXY(kind, offsetof(owner, cps.proxy)),                                             \
        ACME_CONFIG_ROW_CONNECT_TIMEOUT(kind, offsetof(owner, cps.connect_timeout_ms)),                      \
        ACME_CONFIG_ROW_CALL_TIMEOUT(kind, offsetof(owner, cps.call_timeout_ms), 90),                        \
        {.name = "poll_seconds",                                                                             \
         .type = ACME_CONFIG_INT64,                                                                          \
         .applies = (kind),                                                                                  \
         .offset = offsetof(owner, cps.poll_ms),                                                             \
         .min = 1,                                                                                           \
         .max = 86400,                                                                                       \
         .standard = 30,                                                                                     \
         .scale = ACME_SECOND_MS,                                                                            \
         .unit = "seconds"},                                                                                 \
        ACME_CONFIG_ROW_POLL_MAX(kind, offsetof(owner, cps.poll_max_ms), 300)

static const struct acme_config_key keys[] = {CONNECTION(ACME_CONFIG_KIND_CPS, struct acme_issuer_config)};
const struct acme_config_table acme_config_cps_table = {keys, COUNT(keys), NULL, NULL};

#define DEPLOYER (1U << ACME_DEPLOYER_CPS)

static const struct acme_config_key deployer_keys[] = {
    CONNECTION(DEPLOYER, struct acme_deployer_config),
    {.name = "enrollment",
     .type = ACME_CONFIG_READ,
     .required = true,
     .applies = DEPLOYER,
     .read = read_target},
};
const struct acme_config_table acme_config_cps_deployer_table = {deployer_keys, COUNT(deployer_keys), NULL,
                                                                 NULL};

#undef DEPLOYER
#undef CONNECTION
