/* What an issuer of type scm has beside plain values: its login, and texts that go into each request. */
#include "server/config.h"
#include "server/config_secret.h"
#include "server/config_tables.h"
#include "server/config_text.h"

#include <string.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* ---- values ---- */

void acme_config_read_scm_class(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                void *object)
{
    struct acme_issuer_config *issuer = object;
    const char *text = node->kind == ACME_YAML_SCALAR ? node->text : "";
    if (strcmp(text, "ssl") == 0)
        issuer->scm.class = ACME_SCM_SSL;
    else if (strcmp(text, "device") == 0)
        issuer->scm.class = ACME_SCM_DEVICE;
    else
        acme_config_wrong(reader, node, "ssl or device");
}

void acme_config_read_scm_dcv(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                              void *object)
{
    struct acme_issuer_config *issuer = object;
    const char *text = node->kind == ACME_YAML_SCALAR ? node->text : "";
    if (strcmp(text, "require-validated") == 0)
        issuer->scm.dcv_required = true;
    else if (strcmp(text, "off") != 0)
        acme_config_wrong(reader, node, "off or require-validated");
}

void acme_config_read_scm_fields(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                 void *object)
{
    struct acme_issuer_config *issuer = object;
    if (node->kind != ACME_YAML_MAPPING || node->count > ACME_SCM_FIELDS_MAX) {
        acme_config_wrong(reader, node, "a mapping of at most 64 custom fields to their values");
        return;
    }
    struct acme_scm_field *fields = acme_arena_alloc(reader->arena, (node->count + 1) * sizeof *fields);
    if (fields == NULL) {
        reader->mistakes->nomem = true;
        return;
    }
    size_t count = 0;
    for (const struct acme_yaml_node *item = node->first; item != NULL; item = item->next) {
        const char *value = acme_config_text(reader, item);
        if (value == NULL)
            continue;
        if (*item->key->text == '\0' || strlen(item->key->text) > ACME_SCM_FIELD_MAX ||
            acme_config_has_control(item->key->text))
            acme_config_wrong(reader, item->key, "the name of a custom field, of 1 to 256 characters");
        else if (strlen(value) > ACME_SCM_FIELD_MAX)
            acme_config_wrong(reader, item, "a value of at most 256 characters");
        else
            fields[count++] = (struct acme_scm_field){
                .name = acme_arena_strdup(reader->arena, item->key->text), .value = value};
    }
    for (size_t i = 0; i < count; i++)
        reader->mistakes->nomem = reader->mistakes->nomem || fields[i].name == NULL;
    issuer->scm.custom_fields = fields;
    issuer->scm.custom_field_count = count;
}

const char *acme_config_scm_comments(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                     const char *value)
{
    const char *wrong = acme_scm_comments_wrong(value);
    if (wrong == NULL)
        return value;
    acme_config_wrong(reader, node, wrong);
    return NULL;
}

const char *acme_config_scm_dcv_mode(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                     const char *value)
{
    static const char *const modes[] = {"CNAME", "EMAIL", "HTTP", "HTTPS", "TXT", "AUTO"};
    for (size_t i = 0; i < COUNT(modes); i++) {
        if (strcmp(value, modes[i]) == 0)
            return value;
    }
    acme_config_wrong(reader, node, "CNAME, EMAIL, HTTP, HTTPS, TXT or AUTO");
    return NULL;
}

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
};
const struct acme_config_table acme_config_oauth_table = {oauth_keys, COUNT(oauth_keys), NULL};

#undef AT

/* ---- the login ---- */

enum login { LOGIN_PASSWORD, LOGIN_CERTIFICATE, LOGIN_OAUTH, LOGIN_COUNT };

static const struct {
    const char *key;
    enum login login;
} login_keys[] = {
    {"password_file", LOGIN_PASSWORD},      {"password_credential", LOGIN_PASSWORD},
    {"password", LOGIN_PASSWORD},           {"client_certificate_file", LOGIN_CERTIFICATE},
    {"client_key_file", LOGIN_CERTIFICATE}, {"oauth", LOGIN_OAUTH},
};

/* The login that the keys of `issuer` are for; LOGIN_COUNT after noting that there is not exactly one. */
static enum login find_login(struct acme_config_reader *reader, const struct acme_yaml_node *issuer)
{
    const struct acme_yaml_node *first = NULL;
    enum login found = LOGIN_COUNT;
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
        acme_mistake_add(reader->mistakes, issuer->line, issuer->column,
                         "expected a login: 'password_file' (or 'password_credential', 'password'), "
                         "'client_certificate_file' with 'client_key_file', or 'oauth', found none");
    return several ? LOGIN_COUNT : found;
}

static void need(struct acme_config_reader *reader, const struct acme_yaml_node *issuer, const char *key)
{
    if (acme_yaml_get(issuer, key) == NULL)
        acme_mistake_add(reader->mistakes, issuer->line, issuer->column, "expected the key '%s', found none",
                         key);
}

static void refuse(struct acme_config_reader *reader, const struct acme_yaml_node *issuer, const char *key,
                   const char *with, const char *without)
{
    const struct acme_yaml_node *node = acme_yaml_get(issuer, key);
    if (node != NULL)
        acme_mistake_add(reader->mistakes, node->key->line, node->key->column,
                         "expected '%s' only %s, found it %s", key, with, without);
}

static void need_pair(struct acme_config_reader *reader, const struct acme_yaml_node *issuer)
{
    const struct acme_yaml_node *certificate = acme_yaml_get(issuer, "client_certificate_file");
    const struct acme_yaml_node *key = acme_yaml_get(issuer, "client_key_file");
    if ((certificate == NULL) == (key == NULL))
        return;
    const struct acme_yaml_node *there = certificate != NULL ? certificate : key;
    acme_mistake_add(reader->mistakes, there->key->line, there->key->column,
                     "expected client_certificate_file and client_key_file together, found only %s",
                     there->key->text);
}

static void read_login(struct acme_config_reader *reader, const struct acme_yaml_node *issuer,
                       struct acme_scm_config *scm)
{
    static const struct acme_secret_names secret = {
        .file = "client_secret_file",
        .credential = "client_secret_credential",
        .variable = "client_secret",
        .article = "a",
        .what = "client secret",
    };
    enum login login = find_login(reader, issuer);
    const struct acme_yaml_node *oauth = acme_yaml_get(issuer, "oauth");
    switch (login) {
    case LOGIN_PASSWORD:
        scm->password = acme_config_password(reader, issuer);
        break;
    case LOGIN_CERTIFICATE:
        need_pair(reader, issuer);
        break;
    case LOGIN_OAUTH:
        if (oauth->kind == ACME_YAML_MAPPING) /* else noted already */
            scm->oauth.client_secret = acme_config_secret(reader, oauth, &secret);
        refuse(reader, issuer, "login", "with a password or a client certificate", "besides 'oauth'");
        refuse(reader, issuer, "customer_uri", "with a password or a client certificate", "besides 'oauth'");
        return;
    case LOGIN_COUNT:
        break;
    }
    if (oauth == NULL) { /* with several it is not known which one was meant */
        need(reader, issuer, "login");
        need(reader, issuer, "customer_uri");
    }
}

void acme_config_check_scm(struct acme_config_reader *reader, const struct acme_yaml_node *issuer,
                           struct acme_scm_config *scm)
{
    read_login(reader, issuer, scm);
    const struct acme_yaml_node *mode = acme_yaml_get(issuer, "dcv_mode");
    const struct acme_yaml_node *email = acme_yaml_get(issuer, "dcv_email");
    bool by_email = scm->dcv_mode != NULL && strcmp(scm->dcv_mode, "EMAIL") == 0;
    if (by_email && email == NULL)
        acme_mistake_add(reader->mistakes, mode->line, mode->column,
                         "expected dcv_email together with dcv_mode: EMAIL, found none");
    else if (email != NULL && !by_email)
        acme_mistake_add(reader->mistakes, email->key->line, email->key->column,
                         "expected dcv_email only together with dcv_mode: EMAIL, found it without");
    if (scm->class != ACME_SCM_DEVICE)
        return;
    static const char *const foreign[] = {"external_requester", "dcv", "dcv_mode", "renewal"};
    for (size_t i = 0; i < COUNT(foreign); i++)
        refuse(reader, issuer, foreign[i], "for class: ssl", "with class: device");
}
