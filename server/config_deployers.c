/* The list `deployers`, and which of them the profiles name. */
#include "base/buf.h"
#include "base/clock.h"
#include "server/config.h"
#include "server/config_objects.h"
#include "server/config_rows.h"
#include "server/config_tables.h"
#include "server/config_text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

enum { DEPLOYERS_MAX = 64, NAMES_BYTES = 512 };

/* A type of deployer: its word, its bit of `applies`, and what its keys do not say alone. */
struct type {
    const char *name;
    enum acme_deployer_type type;
    void (*check)(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                  struct acme_deployer_config *deployer); /* NULL: nothing */
};

static const struct type types[] = {
    {"command", ACME_DEPLOYER_COMMAND, NULL},
    {"huawei-elb", ACME_DEPLOYER_HUAWEI_ELB, acme_config_check_huawei},
    {"cps", ACME_DEPLOYER_CPS, acme_config_check_cps_deployer},
};

/* In the order of enum acme_deployer_type: names of the bits of `applies`. */
static const char *const kinds[] = {"command", "huawei-elb", "cps", NULL};

const char *acme_deployer_type_name(enum acme_deployer_type type)
{
    return kinds[type];
}

/* ---- type command ---- */

static bool is_executable(const char *path, const char **ret_why)
{
    struct stat info;
    if (stat(path, &info) != 0 || (S_ISREG(info.st_mode) && access(path, X_OK) != 0)) {
        *ret_why = strerror(errno);
        return false;
    }
    *ret_why = "not a regular file";
    return S_ISREG(info.st_mode);
}

static void read_command(struct acme_config_reader *reader, const struct acme_yaml_node *node, void *object)
{
    static const char expected[] = "a list of an absolute path and at most 31 arguments";
    struct acme_deployer_config *deployer = object;
    if (node->kind != ACME_YAML_SEQUENCE || node->count == 0 || node->count > ACME_COMMAND_ARGUMENTS_MAX) {
        acme_config_wrong(reader, node, expected);
        return;
    }
    const char **arguments = acme_arena_alloc(reader->arena, node->count * sizeof *arguments);
    if (arguments == NULL) {
        reader->mistakes->nomem = true;
        return;
    }
    size_t count = 0;
    for (const struct acme_yaml_node *item = node->first; item != NULL; item = item->next) {
        const char *why = NULL;
        const char *text = acme_config_text(reader, item);
        if (text == NULL)
            continue;
        if (item == node->first && text[0] != '/')
            acme_config_wrong(reader, item, "the absolute path of a program");
        else if (item == node->first && !is_executable(text, &why))
            acme_mistake_add(reader->mistakes, item->line, item->column,
                             "expected a program that can be run, found %s (%s)",
                             acme_mistake_quote(reader->mistakes, item->text), why);
        else
            arguments[count++] = text;
    }
    deployer->command.arguments = arguments;
    deployer->command.argument_count = count;
}

static void read_environment(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                             void *object)
{
    struct acme_deployer_config *deployer = object;
    if (node->kind != ACME_YAML_MAPPING || node->count > ACME_COMMAND_VARIABLES_MAX) {
        acme_config_wrong(reader, node, "a mapping of at most 16 variables to their values");
        return;
    }
    struct acme_command_variable *variables =
        acme_arena_alloc(reader->arena, (node->count + 1) * sizeof *variables);
    if (variables == NULL) {
        reader->mistakes->nomem = true;
        return;
    }
    size_t count = 0;
    for (const struct acme_yaml_node *item = node->first; item != NULL; item = item->next) {
        const char *wrong = acme_command_variable_wrong(item->key->text);
        const char *value = acme_config_text(reader, item);
        if (wrong != NULL)
            acme_config_wrong(reader, item->key, wrong);
        else if (value != NULL)
            variables[count++] = (struct acme_command_variable){
                .name = acme_arena_strdup(reader->arena, item->key->text), .value = value};
    }
    for (size_t i = 0; i < count; i++)
        reader->mistakes->nomem = reader->mistakes->nomem || variables[i].name == NULL;
    deployer->command.variables = variables;
    deployer->command.variable_count = count;
}

/* ---- the keys ---- */

#define AT(field)      offsetof(struct acme_deployer_config, field)
#define COMMAND(field) offsetof(struct acme_deployer_config, command.field)
#define FOR(type)      (1U << (type))

static const struct acme_config_key keys[] = {
    {.name = "name",
     .type = ACME_CONFIG_TEXT,
     .required = true,
     .offset = AT(name),
     .unit = ACME_CONFIG_NAME_FORM,
     .check = acme_config_name},
    {.name = "type", .type = ACME_CONFIG_LATER},
    {.name = "names",
     .type = ACME_CONFIG_TEXT_LIST,
     .offset = AT(names),
     .count_offset = AT(name_count),
     .check = acme_config_host_name},
    ACME_CONFIG_ROW_DEADLINE(FOR(ACME_DEPLOYER_COMMAND), AT(deadline_ms), 24),
    ACME_CONFIG_ROW_CONCURRENCY(FOR(ACME_DEPLOYER_COMMAND), AT(max_concurrency), 2, 64, "programs"),
    {.name = "command",
     .type = ACME_CONFIG_READ,
     .required = true,
     .applies = FOR(ACME_DEPLOYER_COMMAND),
     .read = read_command},
    {.name = "timeout_seconds",
     .type = ACME_CONFIG_INT,
     .applies = FOR(ACME_DEPLOYER_COMMAND),
     .offset = COMMAND(timeout_ms),
     .min = 1,
     .max = 3600,
     .standard = 60,
     .scale = 1000,
     .unit = "seconds"},
    {.name = "environment",
     .type = ACME_CONFIG_READ,
     .applies = FOR(ACME_DEPLOYER_COMMAND),
     .read = read_environment},
};
const struct acme_config_table acme_config_deployer_table = {keys, COUNT(keys), kinds,
                                                             &acme_config_huawei_table};

/* ---- the list ---- */

static const struct type *read_type(struct acme_config_reader *reader, const struct acme_yaml_node *node)
{
    char expected[160] = "";
    for (size_t i = 0; i < COUNT(types); i++) {
        size_t used = strlen(expected);
        (void)snprintf(expected + used, sizeof expected - used, "%s%s", i > 0 ? " or " : "", types[i].name);
    }
    const struct acme_yaml_node *type = acme_yaml_get(node, "type");
    if (type == NULL) {
        acme_mistake_add(reader->mistakes, node->line, node->column,
                         "expected the key 'type' (%s), found none", expected);
        return NULL;
    }
    for (size_t i = 0; type->kind == ACME_YAML_SCALAR && i < COUNT(types); i++) {
        if (strcmp(type->text, types[i].name) == 0)
            return &types[i];
    }
    acme_config_wrong(reader, type, expected);
    return NULL;
}

static void read_deployer(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                          struct acme_deployer_config *deployer)
{
    if (node->kind != ACME_YAML_MAPPING) {
        acme_config_wrong(reader, node, "a mapping with name, type and what the type needs");
        return;
    }
    const struct type *type = read_type(reader, node);
    if (type == NULL) { /* which keys belong here is unknown; the name is still good for the profiles */
        const struct acme_yaml_node *name = acme_yaml_get(node, "name");
        const char *text = name != NULL ? acme_config_text(reader, name) : NULL;
        deployer->name = text != NULL ? acme_config_name(reader, name, text) : NULL;
        return;
    }
    deployer->type = type->type;
    acme_config_fill(reader, &acme_config_deployer_table, node, FOR(type->type), deployer);
    if (type->check != NULL)
        type->check(reader, node, deployer);
}

static const struct acme_deployer_config *find(const struct acme_config *config, size_t count,
                                               const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (config->deployers[i].name != NULL && strcmp(config->deployers[i].name, name) == 0)
            return &config->deployers[i];
    }
    return NULL;
}

static void read_list(struct acme_config_reader *reader, const struct acme_yaml_node *list,
                      struct acme_config *config)
{
    if (list == NULL)
        return;
    if (list->kind != ACME_YAML_SEQUENCE || list->count > DEPLOYERS_MAX) {
        acme_config_wrong(reader, list, "a list of at most 64 deployers");
        return;
    }
    config->deployers = acme_arena_alloc(reader->arena, (list->count + 1) * sizeof *config->deployers);
    if (config->deployers == NULL) {
        reader->mistakes->nomem = true;
        return;
    }
    for (const struct acme_yaml_node *node = list->first; node != NULL; node = node->next) {
        size_t at = config->deployer_count++;
        read_deployer(reader, node, &config->deployers[at]);
        const char *name = config->deployers[at].name;
        if (name == NULL || find(config, at, name) == NULL)
            continue;
        const struct acme_yaml_node *again = acme_yaml_get(node, "name");
        acme_mistake_add(reader->mistakes, again->line, again->column,
                         "expected a name of its own for each deployer, found %s again",
                         acme_mistake_quote(reader->mistakes, again->text));
    }
}

/* ---- what the profiles name ---- */

static void refuse_unknown(struct acme_config_reader *reader, const struct acme_yaml_node *item,
                           const struct acme_config *config)
{
    char expected[NAMES_BYTES + 64];
    ACME_CLEANUP_BUF struct acme_buf names;
    acme_buf_init(&names, NAMES_BYTES);
    for (size_t i = 0; i < config->deployer_count; i++) {
        if (config->deployers[i].name != NULL)
            acme_buf_printf(&names, "%s%s", names.len > 0 ? ", " : "", config->deployers[i].name);
    }
    const char *known = names.len > 0 ? acme_buf_cstr(&names) : NULL;
    (void)snprintf(expected, sizeof expected, "the name of a deployer%s%s%s", known != NULL ? " (" : "",
                   known != NULL ? known : "", known != NULL ? ")" : "");
    acme_config_wrong(reader, item, expected);
}

static void check_profile(struct acme_config_reader *reader, const struct acme_yaml_node *profile,
                          const struct acme_config *config)
{
    const struct acme_yaml_node *list = acme_yaml_get(profile, "deploy");
    if (list == NULL || list->kind != ACME_YAML_SEQUENCE) /* noted by the table */
        return;
    for (const struct acme_yaml_node *item = list->first; item != NULL; item = item->next) {
        if (item->kind != ACME_YAML_SCALAR)
            continue;
        if (find(config, config->deployer_count, item->text) == NULL)
            refuse_unknown(reader, item, config);
        for (const struct acme_yaml_node *other = list->first; other != item; other = other->next) {
            if (other->kind == ACME_YAML_SCALAR && strcmp(other->text, item->text) == 0)
                acme_mistake_add(reader->mistakes, item->line, item->column,
                                 "expected each deployer once, found %s again",
                                 acme_mistake_quote(reader->mistakes, item->text));
        }
    }
}

void acme_config_read_deployers(struct acme_config_reader *reader, const struct acme_yaml_node *root,
                                struct acme_config *config)
{
    const struct acme_yaml_node *profiles = acme_yaml_get(root, "profiles");
    read_list(reader, acme_yaml_get(root, "deployers"), config);
    if (profiles == NULL || profiles->kind != ACME_YAML_SEQUENCE)
        return;
    for (const struct acme_yaml_node *node = profiles->first; node != NULL; node = node->next) {
        if (node->kind == ACME_YAML_MAPPING)
            check_profile(reader, node, config);
    }
}
