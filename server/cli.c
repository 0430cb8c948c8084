#include "server/cli_internal.h"

#include "base/log.h"
#include "server/upstream_inspect.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "acmebridge " ACME_VERSION ": an ACME server (RFC 8555) in front of enterprise certificate services\n"
    "\n"
    "  acmebridge serve [-c FILE] [--data-dir DIR] [--log-level debug|info|warn|error]\n"
    "      Serve until SIGTERM or SIGINT. Log lines go to standard error.\n"
    "  acmebridge check [-c FILE] [--data-dir DIR]\n"
    "      Read the configuration and its secrets, show all mistakes, start nothing.\n"
    "  acmebridge check --upstream [--domain NAME]... [--json] [-c FILE] [--data-dir DIR]\n"
    "      Then ask the upstreams whether they are set up as the configuration assumes: login and password,\n"
    "      organization, profile, terms, keys, custom fields, and the validation of these domains.\n"
    "  acmebridge version\n"
    "  acmebridge help\n"
    "\n"
    "Of the running server, found by its data directory (-c or --data-dir); --json prints JSON for "
    "programs:\n"
    "  acmebridge order list [--status pending|ready|processing|valid|invalid] [--account ID] [--limit N]\n"
    "  acmebridge order show ID\n"
    "  acmebridge order explain ID\n"
    "      What happened to an order, what it waits for, and until when.\n"
    "  acmebridge order acknowledge ID [--acknowledge --key KEY | --deny --key KEY]\n"
    "      What only the operator can decide about an order: shown with its key; with a decision, decided.\n"
    "  acmebridge account list [--limit N]\n"
    "  acmebridge account show ID\n"
    "  acmebridge account deactivate ID\n"
    "  acmebridge certificate list [--expiring DAYS] [--limit N]\n"
    "  acmebridge certificate show ID\n"
    "  acmebridge issuer list\n"
    "  acmebridge deploy list [--deployer NAME] [--status STATUS] [--limit N]\n"
    "  acmebridge deploy show|retry ID\n"
    "  acmebridge deploy acknowledge ID [--acknowledge --key KEY | --deny --key KEY]\n"
    "  acmebridge deployer list\n"
    "      An ID is an object's id, a unique beginning of it, or its URL; of a certificate also its serial.\n"
    "\n"
    "  -c, --config FILE   the configuration (docs/configuration.md). Without it: a local CA, served at\n"
    "                      https://localhost:14000/directory on loopback\n"
    "  --data-dir DIR      where keys and the store live, instead of data_dir of the file\n"
    "\n"
    "Exit codes: 0 all is well, 1 it could not be done (not found, refused, not started) or the check found\n"
    "an error, 2 wrong command line or configuration, 3 the server is not running.\n";

enum { DOMAINS_MAX = 100 };

struct options {
    bool upstream;
    struct acme_upstream_check check;
    const char *domains[DOMAINS_MAX]; /* of `check` */
    const char *config;
    const char *data_dir;
    enum acme_log_level log_level;
};

static bool parse_level(const char *text, enum acme_log_level *ret)
{
    static const char *const names[] = {[ACME_LOG_DEBUG] = "debug",
                                        [ACME_LOG_INFO] = "info",
                                        [ACME_LOG_WARN] = "warn",
                                        [ACME_LOG_ERROR] = "error"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret = (enum acme_log_level)i;
            return true;
        }
    }
    return false;
}

int acme_cli_usage(FILE *err, const char *what, const char *which)
{
    fprintf(err, "acmebridge: %s '%s'; see 'acmebridge help'\n", what, which);
    return ACME_EXIT_MISTAKE;
}

/* Reads argv[2..] of a command; ACME_EXIT_RIGHT or ACME_EXIT_MISTAKE, said on `err`. */
static int parse_options(int argc, char **argv, bool serving, FILE *err, struct options *ret)
{
    enum { DATA_DIR = 256, LOG_LEVEL, UPSTREAM, DOMAIN, JSON };
    static const struct option serve_options[] = {{"config", required_argument, NULL, 'c'},
                                                  {"data-dir", required_argument, NULL, DATA_DIR},
                                                  {"log-level", required_argument, NULL, LOG_LEVEL},
                                                  {NULL, 0, NULL, 0}};
    static const struct option check_options[] = {
        {"config", required_argument, NULL, 'c'},  {"data-dir", required_argument, NULL, DATA_DIR},
        {"upstream", no_argument, NULL, UPSTREAM}, {"domain", required_argument, NULL, DOMAIN},
        {"json", no_argument, NULL, JSON},         {NULL, 0, NULL, 0}};
    struct options options = {.log_level = ACME_LOG_INFO};
    opterr = 0;
    optind = 0; /* GNU: begin anew, with what comes after the command */
    for (;;) {
        /* getopt numbers from argv[1], the command, as if it were the program's name. */
        int option = getopt_long(argc - 1, argv + 1, ":c:", serving ? serve_options : check_options, NULL);
        if (option == -1)
            break;
        switch (option) {
        case 'c':
            options.config = optarg;
            break;
        case DATA_DIR:
            options.data_dir = optarg;
            break;
        case LOG_LEVEL:
            if (!parse_level(optarg, &options.log_level))
                return acme_cli_usage(err, "expected the log level debug, info, warn or error, found",
                                      optarg);
            break;
        case UPSTREAM:
            options.upstream = true;
            break;
        case DOMAIN:
            if (options.check.domain_count == DOMAINS_MAX)
                return acme_cli_usage(err, "expected at most 100 domains, found another one:", optarg);
            if (optarg[0] == '\0')
                return acme_cli_usage(err, "expected a name after --domain, found", "");
            options.domains[options.check.domain_count++] = optarg;
            break;
        case JSON:
            options.check.json = true;
            break;
        case ':':
            return acme_cli_usage(err, "a value is missing after", argv[optind]);
        default:
            if (optopt > 0 && optopt < 256) {
                char name[3] = {'-', (char)optopt, '\0'};
                return acme_cli_usage(err, "unknown option", name);
            }
            return acme_cli_usage(err, "unknown option", argv[optind]);
        }
    }
    if (optind < argc - 1)
        return acme_cli_usage(err, "unexpected argument", argv[1 + optind]);
    if (options.config != NULL && options.config[0] == '\0')
        return acme_cli_usage(err, "expected a file after -c, found", "");
    if (options.data_dir != NULL && options.data_dir[0] == '\0')
        return acme_cli_usage(err, "expected a folder after --data-dir, found", "");
    if (!options.upstream && (options.check.json || options.check.domain_count > 0))
        return acme_cli_usage(err, "--json and --domain are for --upstream, found no", "--upstream");
    *ret = options;
    return ACME_EXIT_RIGHT;
}

int acme_cli_load(const char *file, const char *data_dir, FILE *err, struct acme_config **ret)
{
    char *error = NULL;
    struct acme_err result = acme_config_load(file, data_dir, ret, &error);
    if (!acme_failed(result))
        return ACME_EXIT_RIGHT;
    if (error != NULL)
        fputs(error, err);
    else
        fprintf(err, "acmebridge: the configuration could not be read: %s\n", acme_code_name(result.code));
    free(error);
    return error != NULL || result.code == ACME_E_FORMAT ? ACME_EXIT_MISTAKE : ACME_EXIT_FAILED;
}

static void show(const struct acme_config *config, FILE *out)
{
    fprintf(out, "%s: configuration is right\n", config->file);
    fprintf(out, "url: %s/directory (listening on %s)\n", config->server.url, config->server.listen);
    for (size_t i = 0; i < config->profile_count; i++) {
        const struct acme_profile *profile = &config->profiles[i];
        bool standard = strcmp(profile->name, config->default_profile) == 0;
        fprintf(out, "profile: %s -> %s%s\n", profile->name, profile->issuer, standard ? " (default)" : "");
    }
    for (size_t i = 0; i < config->issuer_count; i++) {
        const struct acme_issuer_config *issuer = &config->issuers[i];
        const char *url = acme_issuer_config_url(issuer);
        fprintf(out, "issuer: %s (%s%s%s)\n", issuer->name, acme_issuer_type_name(issuer->type),
                url != NULL ? ", " : "", url != NULL ? url : "");
    }
    fprintf(out, "store: %s\n", config->store_path);
}

static int run_command(int argc, char **argv, bool serving, FILE *out, FILE *err,
                       int (*serve)(const struct acme_config *config))
{
    struct options options;
    int code = parse_options(argc, argv, serving, err, &options);
    if (code != ACME_EXIT_RIGHT)
        return code;
    struct acme_config *config = NULL;
    code = acme_cli_load(options.config, options.data_dir, err, &config);
    if (code != ACME_EXIT_RIGHT)
        return code;
    if (serving) {
        acme_log_set_level(options.log_level);
        code = serve(config);
    } else if (options.upstream) {
        options.check.domains = options.domains;
        code = acme_upstream_check(config, &options.check, out, err);
    } else {
        show(config, out);
    }
    acme_config_destroy(config);
    return code;
}

static bool is_any(const char *text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcmp(text, *words) == 0)
            return true;
    }
    return false;
}

int acme_cli_run(int argc, char **argv, FILE *out, FILE *err, int (*serve)(const struct acme_config *config))
{
    int code = ACME_EXIT_RIGHT;
    if (argc < 2) {
        fputs(help, err);
        return ACME_EXIT_MISTAKE;
    }
    if (is_any(argv[1], (const char *const[]){"help", "--help", "-h", NULL}))
        fputs(help, out);
    else if (is_any(argv[1], (const char *const[]){"version", "--version", NULL}))
        fputs("acmebridge " ACME_VERSION "\n", out);
    else if (strcmp(argv[1], "serve") == 0)
        code = run_command(argc, argv, true, out, err, serve);
    else if (strcmp(argv[1], "check") == 0)
        code = run_command(argc, argv, false, out, err, serve);
    else if (is_any(argv[1], (const char *const[]){"order", "account", "certificate", "issuer", "deploy",
                                                   "deployer", NULL}))
        code = acme_cli_admin(argc, argv, out, err);
    else
        return acme_cli_usage(err, "unknown command", argv[1]);
    if (fflush(out) != 0 || ferror(out)) {
        fputs("acmebridge: standard output could not be written\n", err);
        return code != ACME_EXIT_RIGHT ? code : ACME_EXIT_FAILED;
    }
    return code;
}
