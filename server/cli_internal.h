/* Shared by the files of the command line. */
#ifndef ACME_SERVER_CLI_INTERNAL_H
#define ACME_SERVER_CLI_INTERNAL_H

#include "server/admin.h"
#include "server/cli.h"

#include "base/json.h"

enum { ACME_EXIT_RIGHT = 0, ACME_EXIT_FAILED = 1, ACME_EXIT_MISTAKE = 2, ACME_EXIT_NOT_RUNNING = 3 };

/** acme_cli_usage(err, what, which): say what is wrong with the command line; returns ACME_EXIT_MISTAKE. */
int acme_cli_usage(FILE *err, const char *what, const char *which);

/** acme_cli_load(file, data_dir, err, ret): the configuration; mistakes are said on `err`. Returns the exit
 * code. Release: acme_config_destroy. */
int acme_cli_load(const char *file, const char *data_dir, FILE *err, struct acme_config **ret);

/** acme_cli_admin(argc, argv, out, err): a command for the running server: argv[1] is "order", "account" ...
 * Returns the exit code. */
int acme_cli_admin(int argc, char **argv, FILE *out, FILE *err);

/** acme_cli_print(command, result, out): the "result" of an answer, for people. */
void acme_cli_print(enum acme_admin_command command, const cJSON *result, FILE *out);

/* ---- cli_table.c: foreign text on a terminal ---- */

/** acme_cli_text(text, out): printed with control characters escaped. Returns the columns it took. */
size_t acme_cli_text(const char *text, FILE *out);

struct acme_cli_column {
    const char *title;
    const char *member; /* of the row; "a.b": of an object in it */
};

/** acme_cli_table(columns, count, rows, out): a table of a JSON array of objects, as wide as it needs. */
void acme_cli_table(const struct acme_cli_column *columns, size_t count, const cJSON *rows, FILE *out);

/** acme_cli_fields(object, indent, out): "name  value" in lines; objects and lists in it further in. */
void acme_cli_fields(const cJSON *object, int indent, FILE *out);

#endif
