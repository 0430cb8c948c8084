/* How the answers to a CA's domain validation are published: by the operator, by a program, or by updates of
 * the DNS. */
#include "server/config_tables.h"
#include "server/config_text.h"

#include "backends/dv_publish.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define AT(field)   offsetof(struct acme_dv_config, field)

static void read_publish(struct acme_config_reader *reader, const struct acme_yaml_node *node, void *object)
{
    struct acme_dv_config *dv = object;
    static const char *const words[] = {
        [ACME_DV_MANUAL] = "manual", [ACME_DV_HOOK] = "hook", [ACME_DV_DNS_UPDATE] = "dns-update"};
    for (size_t i = 0; node->kind == ACME_YAML_SCALAR && i < COUNT(words); i++) {
        if (strcmp(node->text, words[i]) == 0) {
            dv->publication = (enum acme_dv_publication)i;
            return;
        }
    }
    acme_config_wrong(reader, node, "manual, hook or dns-update");
}

static void read_challenge(struct acme_config_reader *reader, const struct acme_yaml_node *node, void *object)
{
    struct acme_dv_config *dv = object;
    for (enum acme_dv_type type = ACME_DV_HTTP01; type <= ACME_DV_DNS01; type++) {
        if (node->kind == ACME_YAML_SCALAR && strcmp(node->text, acme_dv_type_name(type)) == 0) {
            dv->type = type;
            return;
        }
    }
    acme_config_wrong(reader, node, "http-01 or dns-01");
}

/* It becomes a word of nsupdate's script. */
static const char *check_word(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                              const char *value)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:";
    size_t len = strlen(value);
    if (len > 0 && len <= 253 && strspn(value, letters) == len && value[0] != '-')
        return value;
    acme_config_wrong(reader, node, "a DNS name or an address");
    return NULL;
}

static bool is_program(const char *path)
{
    struct stat info;
    return path[0] == '/' && stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

/* node NULL: the default. */
static void check_nsupdate(struct acme_config_reader *reader, const struct acme_yaml_node *dv,
                           const struct acme_yaml_node *node, const char *path)
{
    if (is_program(path))
        return;
    if (node != NULL)
        acme_config_wrong(reader, node, "the absolute path of a program that may be run");
    else
        acme_mistake_add(reader->mistakes, dv->line, dv->column,
                         "expected %s (Debian's bind9-dnsutils) or the key 'nsupdate', found neither", path);
}

static const struct acme_config_key keys[] = {
    {.name = "publish", .type = ACME_CONFIG_READ, .read = read_publish},
    {.name = "challenge", .type = ACME_CONFIG_READ, .read = read_challenge},
    {.name = "hook", .type = ACME_CONFIG_TEXT_LIST, .offset = AT(hook), .count_offset = AT(hook_count)},
    {.name = "timeout_seconds",
     .type = ACME_CONFIG_INT,
     .offset = AT(timeout_ms),
     .min = 1,
     .max = 600,
     .standard = 60,
     .scale = 1000,
     .unit = "seconds"},
    {.name = "nsupdate",
     .type = ACME_CONFIG_TEXT,
     .offset = AT(nsupdate),
     .standard_text = "/usr/bin/nsupdate"},
    {.name = "server", .type = ACME_CONFIG_TEXT, .offset = AT(server), .check = check_word},
    {.name = "port",
     .type = ACME_CONFIG_INT,
     .offset = AT(port),
     .min = 1,
     .max = 65535,
     .standard = 53,
     .unit = "port"},
    {.name = "key_file",
     .type = ACME_CONFIG_TEXT,
     .offset = AT(key_file),
     .check = acme_config_readable_file},
    {.name = "zone", .type = ACME_CONFIG_TEXT, .offset = AT(zone), .check = check_word},
    {.name = "ttl_seconds",
     .type = ACME_CONFIG_INT,
     .offset = AT(ttl_s),
     .min = 1,
     .max = 86400,
     .standard = ACME_DV_TTL_DEFAULT,
     .unit = "seconds"},
};
const struct acme_config_table acme_config_dv_table = {keys, COUNT(keys), NULL, NULL};

static void lacks(struct acme_config_reader *reader, const struct acme_yaml_node *node, const char *key,
                  const char *publish)
{
    acme_mistake_add(reader->mistakes, node->line, node->column,
                     "expected the key '%s' (for publish: %s), found none", key, publish);
}

void acme_config_check_dv(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                          struct acme_dv_config *dv)
{
    if (node == NULL)
        return;
    const struct acme_yaml_node *hook = acme_yaml_get(node, "hook");
    const struct acme_yaml_node *nsupdate = acme_yaml_get(node, "nsupdate");
    const struct acme_yaml_node *challenge = acme_yaml_get(node, "challenge");
    switch (dv->publication) {
    case ACME_DV_HOOK:
        if (hook == NULL)
            lacks(reader, node, "hook", "hook");
        else if (dv->hook_count == 0 || dv->hook_count > ACME_DV_HOOK_ARGUMENTS_MAX)
            acme_config_wrong(reader, hook, "a list of a program's absolute path and at most 15 arguments");
        else if (!is_program(dv->hook[0]))
            acme_config_wrong(reader, hook,
                              "the absolute path of a program that may be run, and its arguments");
        break;
    case ACME_DV_DNS_UPDATE:
        if (acme_yaml_get(node, "server") == NULL)
            lacks(reader, node, "server", "dns-update");
        if (acme_yaml_get(node, "key_file") == NULL)
            lacks(reader, node, "key_file", "dns-update");
        check_nsupdate(reader, node, nsupdate, dv->nsupdate);
        if (challenge != NULL && dv->type != ACME_DV_DNS01)
            acme_config_wrong(reader, challenge, "dns-01, which is what the DNS can answer");
        dv->type = ACME_DV_DNS01;
        break;
    case ACME_DV_MANUAL:
        break;
    }
}
