/* Secrets of the configuration. They come from files, systemd credentials or the environment, never from the
 * YAML text itself; they live outside of arenas and are wiped with the configuration. */
#ifndef ACME_SERVER_CONFIG_SECRET_H
#define ACME_SERVER_CONFIG_SECRET_H

#include "server/config_schema.h"

enum { ACME_SECRET_MAX = 4096 };

/* What a secret is called: its keys in the file and its name in mistakes. */
struct acme_secret_names {
    const char *file;       /* "password_file" */
    const char *credential; /* "password_credential" */
    const char *variable;   /* "password" */
    const char *article;    /* "a" */
    const char *what;       /* "password" */
};

/** acme_config_secret(reader, owner, names): the secret that the mapping `owner` names by exactly one of
 *  - its `file` key: a regular file of one line (a line end is taken off) that neither everybody may read nor
 *    anybody but its owner may write; relative paths start from the configuration file's folder;
 *  - its `credential` key: the same, below $CREDENTIALS_DIRECTORY;
 *  - its `variable` key: "${VARIABLE}".
 *  NULL after noting a mistake; mistakes name files and variables, never their contents.
 *  Owns: the text is released and wiped with the reader's arena. Thread: the caller's; reads files and the
 * environment. */
const char *acme_config_secret(struct acme_config_reader *reader, const struct acme_yaml_node *owner,
                               const struct acme_secret_names *names);

/** acme_config_keep_secret(reader, text, len): a copy of a secret that was read otherwise, likewise; NULL
 * without memory (noted). */
const char *acme_config_keep_secret(struct acme_config_reader *reader, const char *text, size_t len);

/** acme_config_password(reader, owner): the secret of password_file, password_credential or password. */
const char *acme_config_password(struct acme_config_reader *reader, const struct acme_yaml_node *owner);

#endif
