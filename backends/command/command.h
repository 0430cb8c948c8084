/* The deployer `command`: a program of the operator's puts the certificate wherever it belongs
 * (docs/deployment.md). */
#ifndef ACME_BACKENDS_COMMAND_COMMAND_H
#define ACME_BACKENDS_COMMAND_COMMAND_H

#include "backends/deployer.h"

enum {
    ACME_COMMAND_ARGUMENTS_MAX = ACME_PROGRAM_MAX_ARGUMENTS,
    ACME_COMMAND_VARIABLES_MAX = 16 /* of the configuration; the others are ours */
};

#define ACME_COMMAND_PREFIX "ACMEBRIDGE_" /* of our variables: the configuration has none of this kind */

struct acme_command_variable {
    const char *name;
    const char *value;
};

struct acme_command_config {
    const char *const *arguments; /* the first one is the program, an absolute path */
    size_t argument_count;
    int timeout_ms; /* 0: 60 s */
    const struct acme_command_variable *variables;
    size_t variable_count;
};

/** acme_command_create(name, config, ret): a copy of `config`. Owns: *ret, release with
 * acme_deployer_destroy. Errors: FORMAT (no absolute path, too many arguments or variables), NOMEM. Thread:
 * any. */
struct acme_err acme_command_create(const char *name, const struct acme_command_config *config,
                                    struct acme_deployer **ret) ACME_MUST_USE;

/** acme_command_variable_wrong(name): what is wrong with this name of a variable of the configuration; NULL:
 * nothing. Static. Thread: any. */
const char *acme_command_variable_wrong(const char *name);

#endif
