/* What an issuer of type keyfactor has beside the keys all upstreams have. */
#include "server/config.h"
#include "server/config_rows.h"
#include "server/config_secret.h"
#include "server/config_tables.h"
#include "server/config_text.h"

#include "backends/upstream_text.h"

#include <limits.h>
#include <string.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define AT(field)   offsetof(struct acme_issuer_config, keyfactor.field)
#define OWN         ACME_CONFIG_KIND_KEYFACTOR

/* ---- values ---- */

static const char *check_api_path(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                  const char *value)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
    size_t len = strlen(value);
    if (len > 0 && len <= 256 && strspn(value, letters) == len && value[0] != '/' && value[len - 1] != '/' &&
        strstr(value, "//") == NULL)
        return value;
    acme_config_wrong(reader, node, "a path such as KeyfactorAPI, without a slash at its ends");
    return NULL;
}

static const char *check_login(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                               const char *value)
{
    if (strchr(value, ':') == NULL)
        return value;
    acme_config_wrong(reader, node, "a user's name such as DOMAIN\\user, without a colon");
    return NULL;
}

static const char *check_tag_field(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                   const char *value)
{
    const char *wrong = acme_keyfactor_field_wrong(value);
    if (wrong == NULL)
        return value;
    acme_config_wrong(reader, node, wrong);
    return NULL;
}

/* A mapping of names to values. */
static const struct acme_keyfactor_field *read_fields(struct acme_config_reader *reader,
                                                      const struct acme_yaml_node *node, bool placeholders,
                                                      size_t *ret_count)
{
    *ret_count = 0;
    if (node->kind != ACME_YAML_MAPPING || node->count > ACME_KEYFACTOR_FIELDS_MAX) {
        acme_config_wrong(reader, node, "a mapping of at most 64 fields to their values");
        return NULL;
    }
    struct acme_keyfactor_field *fields = acme_arena_alloc(reader->arena, (node->count + 1) * sizeof *fields);
    if (fields == NULL) {
        reader->mistakes->nomem = true;
        return NULL;
    }
    size_t count = 0;
    for (const struct acme_yaml_node *item = node->first; item != NULL; item = item->next) {
        const char *value = acme_config_text(reader, item);
        if (value == NULL)
            continue;
        const char *name = item->key->text;
        const char *wrong = placeholders ? acme_placeholders_wrong(value) : NULL;
        if (*name == '\0' || strlen(name) > ACME_KEYFACTOR_NAME_MAX || acme_config_has_control(name))
            acme_config_wrong(reader, item->key, "the name of a field, of 1 to 64 characters");
        else if (strlen(value) > ACME_KEYFACTOR_VALUE_MAX)
            acme_config_wrong(reader, item, "a value of at most 1024 characters");
        else if (wrong != NULL)
            acme_config_wrong(reader, item, wrong);
        else
            fields[count++] =
                (struct acme_keyfactor_field){.name = acme_arena_strdup(reader->arena, name), .value = value};
    }
    for (size_t i = 0; i < count; i++)
        reader->mistakes->nomem = reader->mistakes->nomem || fields[i].name == NULL;
    *ret_count = count;
    return fields;
}

static void read_metadata(struct acme_config_reader *reader, const struct acme_yaml_node *node, void *object)
{
    struct acme_keyfactor_config *keyfactor = &((struct acme_issuer_config *)object)->keyfactor;
    keyfactor->metadata = read_fields(reader, node, true, &keyfactor->metadata_count);
}

static void read_enrollment_fields(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                   void *object)
{
    struct acme_keyfactor_config *keyfactor = &((struct acme_issuer_config *)object)->keyfactor;
    keyfactor->enrollment_fields = read_fields(reader, node, false, &keyfactor->enrollment_field_count);
}

/* ---- the keys ---- */

static const struct acme_config_key keys[] = {
    ACME_CONFIG_ROW_URL(OWN, AT(url), true),
    {.name = "api_path",
     .type = ACME_CONFIG_TEXT,
     .applies = OWN,
     .offset = AT(api_path),
     .standard_text = ACME_KEYFACTOR_API_PATH,
     .check = check_api_path},
    {.name = "login", .type = ACME_CONFIG_TEXT, .applies = OWN, .offset = AT(login), .check = check_login},
    {.name = "password_file", .type = ACME_CONFIG_LATER, .applies = OWN},
    {.name = "password_credential", .type = ACME_CONFIG_LATER, .applies = OWN},
    {.name = "password", .type = ACME_CONFIG_LATER, .applies = OWN},
    {.name = "oauth",
     .type = ACME_CONFIG_TABLE,
     .applies = OWN,
     .offset = AT(oauth),
     .table = &acme_config_oauth_table},
    {.name = "certificate_authority",
     .type = ACME_CONFIG_TEXT,
     .applies = OWN,
     .offset = AT(certificate_authority)},
    {.name = "template", .type = ACME_CONFIG_TEXT, .applies = OWN, .offset = AT(template)},
    {.name = "enrollment_pattern_id",
     .type = ACME_CONFIG_INT64,
     .applies = OWN,
     .offset = AT(enrollment_pattern_id),
     .min = 1,
     .max = INT_MAX},
    {.name = "owner_role", .type = ACME_CONFIG_TEXT, .applies = OWN, .offset = AT(owner_role)},
    {.name = "owner_role_id",
     .type = ACME_CONFIG_INT64,
     .applies = OWN,
     .offset = AT(owner_role_id),
     .min = 1,
     .max = INT_MAX},
    {.name = "collection_id",
     .type = ACME_CONFIG_INT64,
     .applies = OWN,
     .offset = AT(collection_id),
     .min = 1,
     .max = INT_MAX},
    {.name = "tag_field",
     .type = ACME_CONFIG_TEXT,
     .applies = OWN,
     .offset = AT(tag_field),
     .standard_text = ACME_KEYFACTOR_TAG_FIELD,
     .check = check_tag_field},
    {.name = "metadata", .type = ACME_CONFIG_READ, .applies = OWN, .read = read_metadata},
    {.name = "enrollment_fields", .type = ACME_CONFIG_READ, .applies = OWN, .read = read_enrollment_fields},
    {.name = "renew", .type = ACME_CONFIG_FLAG, .applies = OWN, .offset = AT(renew), .standard = 1},
    ACME_CONFIG_ROW_CA_FILE(OWN, AT(ca_file)),
    ACME_CONFIG_ROW_PROXY(OWN, AT(proxy)),
    ACME_CONFIG_ROW_CONNECT_TIMEOUT(OWN, AT(connect_timeout_ms)),
    ACME_CONFIG_ROW_CALL_TIMEOUT(OWN, AT(call_timeout_ms), 120),
    ACME_CONFIG_ROW_POLL_MAX(OWN, AT(poll_max_ms), 900),
};
const struct acme_config_table acme_config_keyfactor_table = {keys, COUNT(keys), NULL,
                                                              &acme_config_cps_table};

/* ---- what must fit together ---- */

static void read_login(struct acme_config_reader *reader, const struct acme_yaml_node *issuer,
                       struct acme_keyfactor_config *keyfactor)
{
    switch (acme_config_login(reader, issuer,
                              "'password_file' (or 'password_credential', 'password'), or 'oauth'")) {
    case ACME_CONFIG_LOGIN_PASSWORD:
        keyfactor->password = acme_config_password(reader, issuer);
        acme_config_need(reader, issuer, "login");
        break;
    case ACME_CONFIG_LOGIN_OAUTH:
        acme_config_oauth_secret(reader, issuer, &keyfactor->oauth);
        acme_config_refuse(reader, issuer, "login", "with a password", "besides 'oauth'");
        break;
    case ACME_CONFIG_LOGIN_CERTIFICATE: /* whose keys are noted as foreign ones */
    case ACME_CONFIG_LOGIN_NONE:
        break;
    }
}

void acme_config_check_keyfactor(struct acme_config_reader *reader, const struct acme_yaml_node *issuer,
                                 struct acme_keyfactor_config *keyfactor)
{
    read_login(reader, issuer, keyfactor);
    const struct acme_yaml_node *role = acme_yaml_get(issuer, "owner_role");
    if (role != NULL)
        acme_config_refuse(reader, issuer, "owner_role_id", "without 'owner_role'", "besides it");
    if (acme_yaml_get(issuer, "enrollment_pattern_id") != NULL)
        return;
    const char *const keys_of_target[] = {"certificate_authority", "template"};
    for (size_t i = 0; i < COUNT(keys_of_target); i++) {
        if (acme_yaml_get(issuer, keys_of_target[i]) == NULL)
            acme_mistake_add(reader->mistakes, issuer->line, issuer->column,
                             "expected the key '%s', or 'enrollment_pattern_id', found neither",
                             keys_of_target[i]);
    }
}
