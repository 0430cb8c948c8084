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

/* ---- the login ---- */

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
    enum acme_config_login login =
        acme_config_login(reader, issuer,
                          "'password_file' (or 'password_credential', 'password'), "
                          "'client_certificate_file' with 'client_key_file', or 'oauth'");
    const struct acme_yaml_node *oauth = acme_yaml_get(issuer, "oauth");
    switch (login) {
    case ACME_CONFIG_LOGIN_PASSWORD:
        scm->password = acme_config_password(reader, issuer);
        break;
    case ACME_CONFIG_LOGIN_CERTIFICATE:
        need_pair(reader, issuer);
        break;
    case ACME_CONFIG_LOGIN_OAUTH:
        acme_config_oauth_secret(reader, issuer, &scm->oauth);
        acme_config_refuse(reader, issuer, "login", "with a password or a client certificate",
                           "besides 'oauth'");
        acme_config_refuse(reader, issuer, "customer_uri", "with a password or a client certificate",
                           "besides 'oauth'");
        return;
    case ACME_CONFIG_LOGIN_NONE:
        break;
    }
    if (oauth == NULL) { /* with several it is not known which one was meant */
        acme_config_need(reader, issuer, "login");
        acme_config_need(reader, issuer, "customer_uri");
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
        acme_config_refuse(reader, issuer, foreign[i], "for class: ssl", "with class: device");
}
