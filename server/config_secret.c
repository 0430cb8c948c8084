#include "server/config_secret.h"

#include "server/secret_file.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static void wipe(void *text)
{
    OPENSSL_secure_clear_free(text, strlen(text));
}

const char *acme_config_keep_secret(struct acme_config_reader *reader, const char *text, size_t len)
{
    char *copy = OPENSSL_secure_zalloc(len + 1);
    if (copy == NULL) {
        reader->mistakes->nomem = true;
        return NULL;
    }
    memcpy(copy, text, len);
    if (!acme_arena_defer(reader->arena, wipe, copy)) {
        reader->mistakes->nomem = true;
        return NULL;
    }
    return copy;
}

/* What is wrong with the contents; NULL when they are one line of text. Cuts the line end off. */
static const char *judge(const char *text, size_t *len)
{
    if (*len > 0 && text[*len - 1] == '\n')
        *len -= *len > 1 && text[*len - 2] == '\r' ? 2 : 1;
    if (*len == 0)
        return "nothing in it";
    for (size_t i = 0; i < *len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '\n')
            return "more than one line in it";
        if (c < 0x20 || c == 0x7f)
            return "a control character in it";
    }
    return NULL;
}

static const char *read_secret(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                               const struct acme_secret_names *names, const char *path)
{
    char buffer[ACME_SECRET_MAX + 3]; /* a line end, and one more to notice an overlong file */
    const char *secret = NULL;
    size_t len = 0;
    const char *why = acme_secret_file_read(path, buffer, sizeof buffer, &len);
    if (why == NULL)
        why = judge(buffer, &len);
    if (why == NULL && len > ACME_SECRET_MAX)
        why = "more than 4096 characters in it";
    if (why == NULL)
        secret = acme_config_keep_secret(reader, buffer, len);
    OPENSSL_cleanse(buffer, sizeof buffer);
    if (why != NULL)
        acme_mistake_add(reader->mistakes, node->line, node->column,
                         "expected a file with %s %s on one line, found %s: %s", names->article, names->what,
                         acme_mistake_quote(reader->mistakes, path), why);
    return secret;
}

static const char *from_file(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                             const struct acme_secret_names *names)
{
    const char *value = acme_config_text(reader, node);
    const char *path = value != NULL ? acme_config_path(reader, value) : NULL;
    return path != NULL ? read_secret(reader, node, names, path) : NULL;
}

static const char *from_credential(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                   const struct acme_secret_names *names)
{
    const char *name = acme_config_text(reader, node);
    if (name == NULL)
        return NULL;
    if (strchr(name, '/') != NULL || name[0] == '.' || strlen(name) > 255) {
        acme_config_wrong(reader, node,
                          "the name of a systemd credential, without a slash and not beginning with a dot");
        return NULL;
    }
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (folder == NULL || folder[0] != '/') {
        acme_mistake_add(
            reader->mistakes, node->line, node->column,
            "expected $CREDENTIALS_DIRECTORY to be set (systemd sets it for a unit with LoadCredential=), "
            "found it unset");
        return NULL;
    }
    const char *path = acme_arena_printf(reader->arena, "%s/%s", folder, name);
    if (path == NULL) {
        reader->mistakes->nomem = true;
        return NULL;
    }
    return read_secret(reader, node, names, path);
}

static const char *from_environment(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                    const struct acme_secret_names *names)
{
    size_t len = 0;
    const char *name = node->kind == ACME_YAML_SCALAR ? acme_config_variable(node->text, &len) : NULL;
    if (name == NULL || name[len + 1] != '\0') {
        acme_mistake_add(
            reader->mistakes, node->line, node->column,
            "expected %s: ${VARIABLE}, found something else (not shown): %s %s does not belong into "
            "this file, use %s, %s or an environment variable",
            names->variable, names->article, names->what, names->file, names->credential);
        return NULL;
    }
    char variable[128];
    memcpy(variable, name, len); /* acme_config_variable gives at most 64 */
    variable[len] = '\0';
    const char *value = getenv(variable);
    const char *why = "it unset";
    if (value != NULL) {
        size_t value_len = strlen(value);
        why = judge(value, &value_len);
        if (why == NULL && value_len > ACME_SECRET_MAX)
            why = "more than 4096 characters in it";
        if (why == NULL)
            return acme_config_keep_secret(reader, value, value_len);
    }
    acme_mistake_add(reader->mistakes, node->line, node->column,
                     "expected the environment variable %s to hold %s %s, found %s", variable, names->article,
                     names->what, why);
    return NULL;
}

const char *acme_config_secret(struct acme_config_reader *reader, const struct acme_yaml_node *owner,
                               const struct acme_secret_names *names)
{
    const struct {
        const char *key;
        const char *(*get)(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                           const struct acme_secret_names *names);
    } sources[] = {
        {names->file, from_file}, {names->credential, from_credential}, {names->variable, from_environment}};

    const char *secret = NULL;
    const struct acme_yaml_node *used = NULL;
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        const struct acme_yaml_node *node = acme_yaml_get(owner, sources[i].key);
        if (node == NULL)
            continue;
        if (used != NULL) {
            acme_mistake_add(reader->mistakes, node->key->line, node->key->column,
                             "expected one source of the %s, found '%s' besides '%s'", names->what,
                             sources[i].key, used->key->text);
            continue;
        }
        used = node;
        secret = sources[i].get(reader, node, names);
    }
    if (used == NULL)
        acme_mistake_add(reader->mistakes, owner->line, owner->column,
                         "expected the key '%s', '%s' or '%s' (${VARIABLE}), found none", names->file,
                         names->credential, names->variable);
    return secret;
}

const char *acme_config_password(struct acme_config_reader *reader, const struct acme_yaml_node *owner)
{
    static const struct acme_secret_names names = {
        .file = "password_file",
        .credential = "password_credential",
        .variable = "password",
        .article = "a",
        .what = "password",
    };
    return acme_config_secret(reader, owner, &names);
}
