/* Logins of issuers: a password, a client certificate, OAuth 2; and notes about keys that go together. */
#include "server/config.h"
#include "server/config_secret.h"
#include "server/config_tables.h"
#include "server/config_text.h"

#include <string.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* ---- OAuth 2 ---- */

#define AT(field) offsetof(struct acme_oauth, field)

static const struct acme_config_key oauth_keys[] = {
    {.name = "token_url",
     .type = ACME_CONFIG_TEXT,
     .required = true,
     .offset = AT(token_url),
     .unit = ACME_CONFIG_UPSTREAM_FORM,
     .check = acme_config_upstream_url},
    {.name = "client_id", .type = ACME_CONFIG_TEXT, .required = true, .offset = AT(client_id)},
    {.name = "client_secret_file", .type = ACME_CONFIG_LATER},
    {.name = "client_secret_credential", .type = ACME_CONFIG_LATER},
    {.name = "client_secret", .type = ACME_CONFIG_LATER},
    {.name = "scope", .type = ACME_CONFIG_TEXT, .offset = AT(scope)},
    {.name = "audience", .type = ACME_CONFIG_TEXT, .offset = AT(audience)},
};
const struct acme_config_table acme_config_oauth_table = {oauth_keys, COUNT(oauth_keys), NULL, NULL};

#undef AT

/* ---- the login ---- */

static const struct {
    const char *key;
    enum acme_config_login login;
} login_keys[] = {
    {"password_file", ACME_CONFIG_LOGIN_PASSWORD},
    {"password_credential", ACME_CONFIG_LOGIN_PASSWORD},
    {"password", ACME_CONFIG_LOGIN_PASSWORD},
    {"client_certificate_file", ACME_CONFIG_LOGIN_CERTIFICATE},
    {"client_key_file", ACME_CONFIG_LOGIN_CERTIFICATE},
    {"oauth", ACME_CONFIG_LOGIN_OAUTH},
};

enum acme_config_login acme_config_login(struct acme_config_reader *reader,
                                         const struct acme_yaml_node *issuer, const char *expected)
{
    const struct acme_yaml_node *first = NULL;
    enum acme_config_login found = ACME_CONFIG_LOGIN_NONE;
    bool several = false;
    for (size_t i = 0; i < COUNT(login_keys); i++) {
        const struct acme_yaml_node *node = acme_yaml_get(issuer, login_keys[i].key);
        if (node == NULL || (first != NULL && login_keys[i].login == found))
            continue;
        if (first == NULL) {
            first = node;
            found = login_keys[i].login;
        } else if (!several) {
            several = true;
            acme_mistake_add(reader->mistakes, node->key->line, node->key->column,
                             "expected one login, found '%s' besides '%s'", login_keys[i].key,
                             first->key->text);
        }
    }
    if (first == NULL)
        acme_mistake_add(reader->mistakes, issuer->line, issuer->column, "expected a login: %s, found none",
                         expected);
    return several ? ACME_CONFIG_LOGIN_NONE : found;
}

void acme_config_need(struct acme_config_reader *reader, const struct acme_yaml_node *object, const char *key)
{
    if (acme_yaml_get(object, key) == NULL)
        acme_mistake_add(reader->mistakes, object->line, object->column, "expected the key '%s', found none",
                         key);
}

void acme_config_refuse(struct acme_config_reader *reader, const struct acme_yaml_node *object,
                        const char *key, const char *with, const char *without)
{
    const struct acme_yaml_node *node = acme_yaml_get(object, key);
    if (node != NULL)
        acme_mistake_add(reader->mistakes, node->key->line, node->key->column,
                         "expected '%s' only %s, found it %s", key, with, without);
}

void acme_config_oauth_secret(struct acme_config_reader *reader, const struct acme_yaml_node *issuer,
                              struct acme_oauth *oauth)
{
    static const struct acme_secret_names secret = {
        .file = "client_secret_file",
        .credential = "client_secret_credential",
        .variable = "client_secret",
        .article = "a",
        .what = "client secret",
    };
    const struct acme_yaml_node *node = acme_yaml_get(issuer, "oauth");
    if (node != NULL && node->kind == ACME_YAML_MAPPING) /* else noted already */
        oauth->client_secret = acme_config_secret(reader, node, &secret);
}
