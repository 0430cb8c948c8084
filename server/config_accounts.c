/* The section `accounts`: what new accounts need, and the external accounts they may be bound to (RFC 8555
 * section 7.3.4). */
#include "base/b64url.h"
#include "server/config.h"
#include "server/config_secret.h"
#include "server/config_tables.h"

#include <openssl/crypto.h>
#include <string.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define KEYS_FORM   "a list of at most 1000 mappings with kid and hmac_key_file"

enum { KID_MAX = 128 };

/* Quotes and blanks do not survive being typed into a client's command line. */
static const char *check_kid(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                             const char *value)
{
    bool good = strlen(value) <= KID_MAX;
    for (const char *c = value; good && *c != '\0'; c++)
        good = *c > 0x20 && *c < 0x7f && strchr("\"'\\<>", *c) == NULL;
    if (good)
        return value;
    acme_config_wrong(reader, node, "1 to 128 printable ASCII characters without blanks and quotes");
    return NULL;
}

#define AT(field) offsetof(struct acme_external_key, field)

static const struct acme_config_key external_keys[] = {
    {.name = "kid", .type = ACME_CONFIG_TEXT, .required = true, .offset = AT(kid), .check = check_kid},
    {.name = "hmac_key_file", .type = ACME_CONFIG_LATER},
    {.name = "hmac_key_credential", .type = ACME_CONFIG_LATER},
    {.name = "hmac_key", .type = ACME_CONFIG_LATER},
    {.name = "single_use", .type = ACME_CONFIG_FLAG, .offset = AT(single_use)},
};
const struct acme_config_table acme_config_external_table = {external_keys, COUNT(external_keys), NULL, NULL};

#undef AT

static bool is_good_key(const char *text)
{
    uint8_t octets[ACME_EXTERNAL_KEY_MAX];
    size_t len = 0;
    struct acme_err err = acme_b64url_decode_into(text, strlen(text), octets, sizeof octets, &len);
    OPENSSL_cleanse(octets, sizeof octets);
    return !acme_failed(err) && len >= ACME_EXTERNAL_KEY_MIN;
}

static void read_key(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                     struct acme_external_key *ret)
{
    static const struct acme_secret_names names = {
        .file = "hmac_key_file",
        .credential = "hmac_key_credential",
        .variable = "hmac_key",
        .article = "an",
        .what = "HMAC key",
    };
    if (node->kind != ACME_YAML_MAPPING) {
        acme_config_wrong(reader, node, "a mapping with kid and hmac_key_file");
        return;
    }
    acme_config_fill(reader, &acme_config_external_table, node, 0, ret);
    ret->key = acme_config_secret(reader, node, &names);
    if (ret->key != NULL && !is_good_key(ret->key))
        acme_mistake_add(
            reader->mistakes, node->line, node->column,
            "expected an HMAC key of %d to %d octets in base64url without padding, found another "
            "text (not shown); 'openssl rand 32 | basenc --base64url | tr -d =' makes one",
            ACME_EXTERNAL_KEY_MIN, ACME_EXTERNAL_KEY_MAX);
}

static void refuse_repeated_kid(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                const struct acme_external_key *keys, size_t at)
{
    for (size_t i = 0; keys[at].kid != NULL && i < at; i++) {
        if (keys[i].kid == NULL || strcmp(keys[i].kid, keys[at].kid) != 0)
            continue;
        const struct acme_yaml_node *kid = acme_yaml_get(node, "kid");
        acme_mistake_add(reader->mistakes, kid->line, kid->column,
                         "expected a kid of its own for each external account, found %s again",
                         acme_mistake_quote(reader->mistakes, kid->text));
        return;
    }
}

static void read_external_accounts(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                   void *object)
{
    struct acme_config *config = object;
    if (node->kind != ACME_YAML_SEQUENCE || node->count > ACME_CONFIG_LIST_MAX) {
        acme_config_wrong(reader, node, KEYS_FORM);
        return;
    }
    struct acme_external_key *keys = acme_arena_alloc(reader->arena, (node->count + 1) * sizeof *keys);
    if (keys == NULL) {
        reader->mistakes->nomem = true;
        return;
    }
    config->external_keys = keys;
    for (const struct acme_yaml_node *item = node->first; item != NULL; item = item->next) {
        size_t at = config->external_key_count++;
        read_key(reader, item, &keys[at]);
        refuse_repeated_kid(reader, item, keys, at);
    }
}

#define AT(field) offsetof(struct acme_config, field)

static const struct acme_config_key accounts_keys[] = {
    {.name = "external_account_required", .type = ACME_CONFIG_FLAG, .offset = AT(external_account_required)},
    {.name = "external_accounts", .type = ACME_CONFIG_READ, .read = read_external_accounts},
};
const struct acme_config_table acme_config_accounts_table = {accounts_keys, COUNT(accounts_keys), NULL, NULL};

#undef AT

void acme_config_check_accounts(struct acme_config_reader *reader, const struct acme_yaml_node *root,
                                const struct acme_config *config)
{
    const struct acme_yaml_node *accounts = acme_yaml_get(root, "accounts");
    const struct acme_yaml_node *required = acme_yaml_get(accounts, "external_account_required");
    if (config->external_account_required && config->external_key_count == 0)
        acme_mistake_add(
            reader->mistakes, required->key->line, required->key->column,
            "expected external_accounts with at least one of them when they are required (nobody "
            "could register else), found none");
    const struct acme_yaml_node *server = acme_yaml_get(root, "server");
    const struct acme_yaml_node *agree = acme_yaml_get(server, "terms_of_service_must_agree");
    if (config->server.terms_must_agree && acme_yaml_get(server, "terms_of_service") == NULL)
        acme_mistake_add(reader->mistakes, agree->key->line, agree->key->column,
                         "expected terms_of_service_must_agree only with terms_of_service, found it alone");
}
