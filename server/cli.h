/* The command line: acmebridge serve | check | order | account | certificate | issuer | version | help. */
#ifndef ACME_SERVER_CLI_H
#define ACME_SERVER_CLI_H

#include "server/config.h"

#include <stdio.h>

/** acme_cli_run(argc, argv, out, err, serve): what main does. Results go to `out`, mistakes to `err`; "serve"
 * calls serve(config) with the checked configuration, which stays the command line's. Returns the exit code:
 * 0; what serve returned; 1 when the system failed us or the running server refused; 2 for a wrong command
 * line or configuration; 3 when no server is running. Thread: main; getopt_long keeps its state in globals.
 */
int acme_cli_run(int argc, char **argv, FILE *out, FILE *err, int (*serve)(const struct acme_config *config));

#endif
