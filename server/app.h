/* The running server: everything wired together, from an immutable configuration to a clean stop. */
#ifndef ACME_SERVER_APP_H
#define ACME_SERVER_APP_H

#include "server/config.h"

/** acme_app_run(config): serve until SIGTERM or SIGINT, then drain (at most 5 s) and stop. Returns the
 * process's exit code: 0 after an orderly stop, 1 when something could not be started (logged). Thread: main;
 * changes signal dispositions. */
int acme_app_run(const struct acme_config *config);

#endif
