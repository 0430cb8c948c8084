/* What a deployer of type huawei-elb has: where its object is, the login, the key, the domains. */
#include "server/config.h"
#include "server/config_rows.h"
#include "server/config_secret.h"
#include "server/config_tables.h"
#include "server/config_text.h"

#include <string.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* ---- values ---- */

static bool is_word(const struct acme_yaml_node *node, const char *word)
{
    return node->kind == ACME_YAML_SCALAR && strcmp(node->text, word) == 0;
}

static const char *check_id(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                            const char *value)
{
    if (acme_huawei_id_right(value))
        return value;
    acme_config_wrong(reader, node, "an id of 32 letters and digits");
    return NULL;
}

static const char *check_region(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                const char *value)
{
    size_t len = strlen(value);
    if (len > 0 && len <= 32 && strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-") == len)
        return value;
    acme_config_wrong(reader, node, "a region such as eu-west-101");
    return NULL;
}

static const char *check_object_name(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                     const char *value)
{
    if (*value != '\0' && strlen(value) <= ACME_HUAWEI_NAME_MAX)
        return value;
    acme_config_wrong(reader, node, "a name of 1 to 255 characters");
    return NULL;
}

/* It is read when it is needed: a client may make it later. */
static const char *check_later_file(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                    const char *value)
{
    if (*value != '\0')
        return acme_config_path(reader, value);
    acme_config_wrong(reader, node, "a path");
    return NULL;
}

static void read_private_key(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                             void *object)
{
    (void)object;
    if (!is_word(node, "keep"))
        acme_mistake_add(reader->mistakes, node->line, node->column,
                         "expected keep, found something else (not shown): a key does not belong into this "
                         "file, use private_key_file");
}

static struct acme_huawei_elb_config *huawei_of(void *object)
{
    return &((struct acme_deployer_config *)object)->huawei;
}

static void read_domain_list(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                             struct acme_huawei_elb_config *huawei)
{
    const char **list = acme_arena_alloc(reader->arena, (node->count + 1) * sizeof *list);
    if (list == NULL) {
        reader->mistakes->nomem = true;
        return;
    }
    size_t count = 0;
    for (const struct acme_yaml_node *item = node->first; item != NULL; item = item->next) {
        const char *value = acme_config_text(reader, item);
        const char *wrong = value != NULL ? acme_huawei_domain_wrong(value) : NULL;
        if (wrong != NULL)
            acme_config_wrong(reader, item, wrong);
        else if (value != NULL)
            list[count++] = value;
    }
    huawei->domains = ACME_HUAWEI_DOMAINS_LIST;
    huawei->domain_list = list;
    huawei->domain_count = count;
}

static void read_domains(struct acme_config_reader *reader, const struct acme_yaml_node *node, void *object)
{
    struct acme_huawei_elb_config *huawei = huawei_of(object);
    if (is_word(node, "names"))
        huawei->domains = ACME_HUAWEI_DOMAINS_NAMES;
    else if (node->kind == ACME_YAML_SEQUENCE && node->count > 0)
        read_domain_list(reader, node, huawei);
    else if (!is_word(node, "keep"))
        acme_config_wrong(reader, node, "keep, names or a list of domain names");
}

static void read_domain_limits(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                               void *object)
{
    if (is_word(node, "2024"))
        huawei_of(object)->domain_limits_2024 = true;
    else if (!is_word(node, "current"))
        acme_config_wrong(reader, node, "current or 2024");
}

static void read_description(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                             void *object)
{
    if (is_word(node, "keep"))
        huawei_of(object)->keep_description = true;
    else if (!is_word(node, "tag"))
        acme_config_wrong(reader, node, "tag or keep");
}

/* ---- the login ---- */

#define AT(field) offsetof(struct acme_keystone, field)

static const struct acme_config_key iam_keys[] = {
    {.name = "url",
     .type = ACME_CONFIG_TEXT,
     .offset = AT(token_url),
     .unit = ACME_CONFIG_UPSTREAM_FORM,
     .check = acme_config_upstream_url},
    {.name = "domain", .type = ACME_CONFIG_TEXT, .required = true, .offset = AT(domain)},
    {.name = "user", .type = ACME_CONFIG_TEXT, .required = true, .offset = AT(user)},
    {.name = "password_file", .type = ACME_CONFIG_LATER},
    {.name = "password_credential", .type = ACME_CONFIG_LATER},
    {.name = "password", .type = ACME_CONFIG_LATER},
    {.name = "project", .type = ACME_CONFIG_TEXT, .offset = AT(project)},
};
const struct acme_config_table acme_config_huawei_iam_table = {.keys = iam_keys, .count = COUNT(iam_keys)};

#undef AT
#define AT(field) offsetof(struct acme_huawei_elb_config, field)

static const struct acme_config_key access_key_keys[] = {
    {.name = "id", .type = ACME_CONFIG_TEXT, .required = true, .offset = AT(access_key_id)},
    {.name = "secret_file", .type = ACME_CONFIG_LATER},
    {.name = "secret_credential", .type = ACME_CONFIG_LATER},
    {.name = "secret", .type = ACME_CONFIG_LATER},
    {.name = "security_token_file", .type = ACME_CONFIG_LATER},
    {.name = "security_token_credential", .type = ACME_CONFIG_LATER},
    {.name = "security_token", .type = ACME_CONFIG_LATER},
};
const struct acme_config_table acme_config_huawei_access_key_table = {.keys = access_key_keys,
                                                                      .count = COUNT(access_key_keys)};

static const struct acme_config_key auth_keys[] = {
    {.name = "iam", .type = ACME_CONFIG_LATER},
    {.name = "access_key", .type = ACME_CONFIG_LATER},
};
const struct acme_config_table acme_config_huawei_auth_table = {.keys = auth_keys, .count = COUNT(auth_keys)};

#undef AT

static bool has_one_of(const struct acme_yaml_node *object, const struct acme_secret_names *names)
{
    return acme_yaml_get(object, names->file) != NULL || acme_yaml_get(object, names->credential) != NULL ||
           acme_yaml_get(object, names->variable) != NULL;
}

static void read_access_key(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                            struct acme_huawei_elb_config *huawei)
{
    static const struct acme_secret_names secret = {.file = "secret_file",
                                                    .credential = "secret_credential",
                                                    .variable = "secret",
                                                    .article = "a",
                                                    .what = "secret access key"};
    static const struct acme_secret_names token = {.file = "security_token_file",
                                                   .credential = "security_token_credential",
                                                   .variable = "security_token",
                                                   .article = "a",
                                                   .what = "security token"};
    acme_config_fill(reader, &acme_config_huawei_access_key_table, node, 0, huawei);
    if (node->kind != ACME_YAML_MAPPING)
        return;
    huawei->access_key_secret = acme_config_secret(reader, node, &secret);
    if (has_one_of(node, &token))
        huawei->security_token = acme_config_secret(reader, node, &token);
}

/* Where tokens come from: the base of the identity service, given or of the region. */
static void complete_iam(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                         const char *region, struct acme_keystone *iam)
{
    static const char path[] = "/v3/auth/tokens?nocatalog=true";
    if (iam->token_url == NULL && region == NULL) {
        acme_mistake_add(reader->mistakes, node->line, node->column,
                         "expected the key 'url' (of the identity service, when 'region' does not say it), "
                         "found none");
        return;
    }
    iam->token_url =
        iam->token_url != NULL
            ? acme_arena_printf(reader->arena, "%s%s", iam->token_url, path)
            : acme_arena_printf(reader->arena, "https://iam.%s.myhuaweicloud.com%s", region, path);
    if (iam->token_url == NULL)
        reader->mistakes->nomem = true;
}

static void read_auth(struct acme_config_reader *reader, const struct acme_yaml_node *deployer,
                      const char *region, struct acme_huawei_elb_config *huawei)
{
    const struct acme_yaml_node *auth = acme_yaml_get(deployer, "auth");
    if (auth == NULL)
        return; /* noted by the table */
    acme_config_fill(reader, &acme_config_huawei_auth_table, auth, 0, huawei);
    const struct acme_yaml_node *iam = acme_yaml_get(auth, "iam");
    const struct acme_yaml_node *access_key = acme_yaml_get(auth, "access_key");
    if (auth->kind == ACME_YAML_MAPPING && (iam == NULL) == (access_key == NULL)) {
        acme_mistake_add(reader->mistakes, auth->line, auth->column,
                         "expected one login, 'iam' or 'access_key', found %s",
                         iam == NULL ? "none" : "both");
        return;
    }
    if (access_key != NULL)
        read_access_key(reader, access_key, huawei);
    if (iam == NULL)
        return;
    acme_config_fill(reader, &acme_config_huawei_iam_table, iam, 0, &huawei->iam);
    if (iam->kind != ACME_YAML_MAPPING)
        return;
    huawei->iam.password = acme_config_password(reader, iam);
    complete_iam(reader, iam, region, &huawei->iam);
}

/* ---- the keys ---- */

#define AT(field)     offsetof(struct acme_deployer_config, huawei.field)
#define COMMON(field) offsetof(struct acme_deployer_config, field)
#define OWN           (1U << ACME_DEPLOYER_HUAWEI_ELB)

static const struct acme_config_key keys[] = {
    ACME_CONFIG_ROW_DEADLINE(OWN, COMMON(deadline_ms), 168),
    ACME_CONFIG_ROW_URL(OWN, AT(url), false),
    {.name = "region",
     .type = ACME_CONFIG_TEXT,
     .applies = OWN,
     .offset = COMMON(huawei_region),
     .check = check_region},
    {.name = "project_id",
     .type = ACME_CONFIG_TEXT,
     .required = true,
     .applies = OWN,
     .offset = AT(project_id),
     .check = check_id},
    {.name = "certificate_id",
     .type = ACME_CONFIG_TEXT,
     .applies = OWN,
     .offset = AT(certificate_id),
     .check = check_id},
    {.name = "create", .type = ACME_CONFIG_FLAG, .applies = OWN, .offset = AT(create)},
    {.name = "object_name",
     .type = ACME_CONFIG_TEXT,
     .applies = OWN,
     .offset = AT(name),
     .check = check_object_name},
    {.name = "auth", .type = ACME_CONFIG_LATER, .required = true, .applies = OWN},
    {.name = "private_key", .type = ACME_CONFIG_READ, .applies = OWN, .read = read_private_key},
    {.name = "private_key_file",
     .type = ACME_CONFIG_TEXT,
     .applies = OWN,
     .offset = AT(private_key_file),
     .check = check_later_file},
    {.name = "domains", .type = ACME_CONFIG_READ, .applies = OWN, .read = read_domains},
    {.name = "domain_limits", .type = ACME_CONFIG_READ, .applies = OWN, .read = read_domain_limits},
    {.name = "description", .type = ACME_CONFIG_READ, .applies = OWN, .read = read_description},
    ACME_CONFIG_ROW_CA_FILE(OWN, AT(ca_file)),
    ACME_CONFIG_ROW_PROXY(OWN, AT(proxy)),
    ACME_CONFIG_ROW_PACE(OWN, COMMON(requests_per_minute), 60),
    ACME_CONFIG_ROW_BURST(OWN, COMMON(burst), 5),
};
const struct acme_config_table acme_config_huawei_table = {
    .keys = keys, .count = COUNT(keys), .also = &acme_config_cps_deployer_table};

/* Exactly one of two keys; true when the first one is there. */
static bool one_of(struct acme_config_reader *reader, const struct acme_yaml_node *object, const char *first,
                   const char *second)
{
    const struct acme_yaml_node *a = acme_yaml_get(object, first);
    const struct acme_yaml_node *b = acme_yaml_get(object, second);
    if (a == NULL && b == NULL)
        acme_mistake_add(reader->mistakes, object->line, object->column,
                         "expected the key '%s' or '%s', found none", first, second);
    else if (a != NULL && b != NULL)
        acme_mistake_add(reader->mistakes, b->key->line, b->key->column, "expected '%s' or '%s', found both",
                         first, second);
    return a != NULL;
}

static void check_object(struct acme_config_reader *reader, const struct acme_yaml_node *deployer,
                         const struct acme_huawei_elb_config *huawei)
{
    const struct acme_yaml_node *create = acme_yaml_get(deployer, "create");
    const struct acme_yaml_node *id = acme_yaml_get(deployer, "certificate_id");
    const struct acme_yaml_node *name = acme_yaml_get(deployer, "object_name");
    const struct acme_yaml_node *keep = acme_yaml_get(deployer, "private_key");
    if (id == NULL && !huawei->create)
        acme_mistake_add(reader->mistakes, deployer->line, deployer->column,
                         "expected the key 'certificate_id', or create: true, found none");
    else if (id != NULL && huawei->create)
        acme_mistake_add(reader->mistakes, create->key->line, create->key->column,
                         "expected 'certificate_id' or create: true, found both");
    if (name != NULL && !huawei->create)
        acme_mistake_add(reader->mistakes, name->key->line, name->key->column,
                         "expected 'object_name' only with create: true, found it without");
    if (keep != NULL && huawei->create)
        acme_mistake_add(
            reader->mistakes, keep->key->line, keep->key->column,
            "expected 'private_key_file' with create: true (an object that is made needs a key), "
            "found 'private_key'");
}

static void check_domains(struct acme_config_reader *reader, const struct acme_yaml_node *deployer,
                          const struct acme_huawei_elb_config *huawei)
{
    const char *joined = NULL;
    const char *why = NULL;
    const struct acme_yaml_node *domains = acme_yaml_get(deployer, "domains");
    if (huawei->domains != ACME_HUAWEI_DOMAINS_LIST)
        return;
    struct acme_err err = acme_huawei_domains_join(reader->arena, huawei->domain_list, huawei->domain_count,
                                                   huawei->domain_limits_2024, &joined, &why);
    if (err.code == ACME_E_LIMIT)
        acme_mistake_add(reader->mistakes, domains->line, domains->column,
                         "expected fewer domains, found too many: %s", why);
    else if (acme_failed(err))
        reader->mistakes->nomem = true;
}

void acme_config_check_huawei(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                              struct acme_deployer_config *deployer)
{
    struct acme_huawei_elb_config *huawei = &deployer->huawei;
    const char *region = deployer->huawei_region;
    deployer->max_concurrency = 1; /* ELB is called by one deployment of a project at a time */
    one_of(reader, node, "url", "region");
    if (huawei->url == NULL && region != NULL) {
        huawei->url = acme_arena_printf(reader->arena, "https://elb.%s.myhuaweicloud.com", region);
        reader->mistakes->nomem = reader->mistakes->nomem || huawei->url == NULL;
    }
    read_auth(reader, node, region, huawei);
    one_of(reader, node, "private_key", "private_key_file");
    check_object(reader, node, huawei);
    check_domains(reader, node, huawei);
}
