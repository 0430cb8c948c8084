#include "server/config.h"
#include "server/config_objects.h"
#include "server/config_tables.h"
#include "server/config_text.h"
#include "server/config_yaml.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_BYTES = 16 * 1024 * 1024, TREE_BYTES = 16 * 1024 * 1024 };

static const char embedded_name[] = "embedded defaults";

/* What runs without any file: a CA of one's own, for trying things out on one machine. */
static const char embedded[] =
    "server:\n"
    "  url: https://localhost:14000\n"
    "  listen: 127.0.0.1:14000\n"
    "  http_url: http://localhost:14080\n"
    "  http_listen: 127.0.0.1:14080\n"
    "issuers:\n"
    "  - { name: local, type: local }\n"
    "profiles:\n"
    "  - { name: default, issuer: local, description: Certificates of the local CA }\n";

/* What relative paths in the file start from. */
static const char *folder_of(struct acme_arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return "";
    return acme_arena_strndup(arena, path, slash == path ? 1 : (size_t)(slash - path));
}

static const char *choose_data_dir(struct acme_arena *arena, const char *given, const char *from_file)
{
    if (given != NULL)
        return acme_arena_strdup(arena, given);
    if (from_file != NULL)
        return from_file;
    const char *state = getenv("STATE_DIRECTORY"); /* systemd: several folders, separated by colons */
    size_t len = state != NULL ? strcspn(state, ":") : 0;
    if (len > 0)
        return acme_arena_strndup(arena, state, len);
    return "./acmebridge-data";
}

static const char *choose_store(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                const char *data_dir)
{
    static const char scheme[] = "sqlite:";
    const char *name = "acmebridge.db";
    if (node != NULL) {
        const char *text = acme_config_text(reader, node);
        if (text == NULL)
            return NULL;
        const char *rest = strncmp(text, scheme, sizeof scheme - 1) == 0 ? text + sizeof scheme - 1 : "";
        if (strncmp(rest, "///", 3) == 0 && rest[3] != '\0' && rest[3] != '/')
            return rest + 2;
        if (rest[0] == '\0' || rest[0] == '/') {
            acme_config_wrong(reader, node,
                              "sqlite:///absolute/path, or sqlite:name for a file in the data folder "
                              "(the only kind of store in this version)");
            return NULL;
        }
        name = rest;
    }
    const char *path = acme_arena_printf(reader->arena, "%s/%s", data_dir, name);
    if (path == NULL)
        reader->mistakes->nomem = true;
    return path;
}

static void read_root(struct acme_config_reader *reader, const struct acme_yaml_node *root,
                      const char *data_dir, struct acme_config *config)
{
    if (root->kind != ACME_YAML_MAPPING) {
        acme_config_wrong(reader, root, "a mapping with server, issuers and profiles");
        return;
    }
    acme_config_fill(reader, &acme_config_root_table, root, 0, config);
    config->data_dir = choose_data_dir(reader->arena, data_dir, config->data_dir);
    if (config->data_dir == NULL) {
        reader->mistakes->nomem = true;
        return;
    }
    config->store_path = choose_store(reader, acme_yaml_get(root, "store"), config->data_dir);
    acme_config_read_objects(reader, root, config);
    acme_config_check_accounts(reader, root, config);
}

/* Reads into `config`, whose arena is there; the mistakes say whether it is usable. */
static void read_text(const char *text, size_t len, const char *data_dir, struct acme_mistakes *mistakes,
                      struct acme_config *config)
{
    ACME_CLEANUP_ARENA struct acme_arena *tree = acme_arena_create(TREE_BYTES);
    struct acme_config_reader reader = {.arena = config->arena, .mistakes = mistakes};
    reader.folder = folder_of(config->arena, config->file);
    if (tree == NULL || reader.folder == NULL) {
        mistakes->nomem = true;
        return;
    }
    const struct acme_yaml_node *root = acme_yaml_parse(tree, text, len, mistakes);
    if (root != NULL)
        read_root(&reader, root, data_dir, config);
}

struct acme_err acme_config_parse(const char *file, const char *text, size_t len, const char *data_dir,
                                  struct acme_config **ret, char **ret_error)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(CONFIG_BYTES);
    ACME_CLEANUP_ARENA struct acme_arena *scratch = acme_arena_create(TREE_BYTES);
    ENSURE(arena != NULL && scratch != NULL, ACME_E_NOMEM);
    struct acme_config *config = acme_arena_alloc(arena, sizeof *config);
    struct acme_mistakes *mistakes = acme_arena_alloc(scratch, sizeof *mistakes);
    ENSURE(config != NULL && mistakes != NULL, ACME_E_NOMEM);
    config->arena = arena;
    config->file = acme_arena_strdup(arena, file);
    ENSURE(config->file != NULL, ACME_E_NOMEM);
    mistakes->file = config->file;
    mistakes->arena = scratch;

    read_text(text, len, data_dir, mistakes, config);
    ENSURE(!mistakes->nomem, ACME_E_NOMEM);
    if (mistakes->count > 0) {
        char *error = acme_mistakes_text(mistakes);
        ENSURE(error != NULL, ACME_E_NOMEM);
        *ret_error = error;
        return acme_err(ACME_E_FORMAT);
    }
    arena = NULL; /* goes with the configuration */
    *ret = config;
    return acme_ok();
}

static struct acme_err refuse_file(const char *path, int error, char **ret_error)
{
    char *text = NULL;
    if (asprintf(&text, "%s: expected a readable file, found: %s\n", path, strerror(error)) < 0)
        return acme_err(ACME_E_NOMEM);
    *ret_error = text;
    return acme_err(ACME_E_IO);
}

struct acme_err acme_config_load(const char *path, const char *data_dir, struct acme_config **ret,
                                 char **ret_error)
{
    if (path == NULL)
        return acme_config_parse(embedded_name, embedded, sizeof embedded - 1, data_dir, ret, ret_error);

    FILE *file = fopen(path, "re");
    if (file == NULL)
        return refuse_file(path, errno, ret_error);
    const size_t size = ACME_YAML_MAX_BYTES + 1; /* one more, to notice that a file is too large */
    struct acme_err err = acme_err(ACME_E_NOMEM);
    char *text = malloc(size);
    if (text != NULL) {
        size_t len = fread(text, 1, size, file);
        if (ferror(file))
            err = refuse_file(path, errno, ret_error);
        else
            err = acme_config_parse(path, text, len, data_dir, ret, ret_error);
        OPENSSL_cleanse(text, len); /* a password may have been written into it by mistake */
    }
    free(text);
    fclose(file);
    return err;
}

void acme_config_destroy(struct acme_config *config)
{
    if (config != NULL)
        acme_arena_destroy(config->arena);
}
