#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, MAX_ORDERS = 1000000, DEFAULT_SOAK_WORKERS = 8 };

static const char usage[] =
    "usage: acme_bench --directory URL [options]\n"
    "\n"
    "  --directory URL      the ACME server's directory (https)\n"
    "  --ca FILE            trust these certificates (PEM) instead of the system's\n"
    "  --http-port PORT     answer http-01 here (5002)\n"
    "  --http-address ADDR  listen on this address instead of loopback\n"
    "  --server-pid PID     measure this process: CPU, resident memory\n"
    "  --orders N           orders per measurement (500)\n"
    "  --concurrency LIST   workers, one measurement for each number (1,8,32)\n"
    "  --names PATTERN      host names, %d is the number of the order (b%d.bench.localhost)\n"
    "  --accounts KIND      worker: one account for each worker (the default); shared: one for all\n"
    "  --nonces N           time N newNonce requests first (5000; 0: none)\n"
    "  --timeout-s N        longest wait for a validation or a certificate (60)\n"
    "  --soak N             instead: N orders with 8 workers, memory after each tenth\n"
    "  --json FILE          write the results as JSON, too (-: standard output)\n";

static bool read_number(const char *text, unsigned long min, unsigned long max, unsigned long *ret)
{
    char *end = NULL;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < min || value > max)
        return false;
    *ret = value;
    return true;
}

static bool read_levels(const char *text, struct acme_bench_options *options)
{
    options->level_count = 0;
    for (;;) {
        char part[16];
        size_t len = strcspn(text, ",");
        unsigned long value = 0;
        if (len >= sizeof part || options->level_count == ACME_BENCH_MAX_LEVELS)
            return false;
        memcpy(part, text, len);
        part[len] = '\0';
        if (!read_number(part, 1, ACME_BENCH_MAX_WORKERS, &value))
            return false;
        options->levels[options->level_count++] = (unsigned)value;
        if (text[len] == '\0')
            return true;
        text += len + 1;
    }
}

/* The names go into JSON and CSRs as they are. */
static bool names_are_sound(const char *pattern)
{
    const char *mark = strstr(pattern, "%d");
    return mark != NULL && strchr(mark + 1, '%') == NULL && strlen(pattern) < 200 &&
           strspn(pattern, "abcdefghijklmnopqrstuvwxyz0123456789-.%") == strlen(pattern) &&
           strchr(pattern, '%') == mark;
}

enum option_id {
    OPT_DIRECTORY = 256,
    OPT_CA,
    OPT_HTTP_PORT,
    OPT_HTTP_ADDRESS,
    OPT_SERVER_PID,
    OPT_ORDERS,
    OPT_CONCURRENCY,
    OPT_NAMES,
    OPT_ACCOUNTS,
    OPT_NONCES,
    OPT_TIMEOUT,
    OPT_SOAK,
    OPT_JSON,
    OPT_HELP
};

static const struct option known[] = {
    {"directory", required_argument, NULL, OPT_DIRECTORY},
    {"ca", required_argument, NULL, OPT_CA},
    {"http-port", required_argument, NULL, OPT_HTTP_PORT},
    {"http-address", required_argument, NULL, OPT_HTTP_ADDRESS},
    {"server-pid", required_argument, NULL, OPT_SERVER_PID},
    {"orders", required_argument, NULL, OPT_ORDERS},
    {"concurrency", required_argument, NULL, OPT_CONCURRENCY},
    {"names", required_argument, NULL, OPT_NAMES},
    {"accounts", required_argument, NULL, OPT_ACCOUNTS},
    {"nonces", required_argument, NULL, OPT_NONCES},
    {"timeout-s", required_argument, NULL, OPT_TIMEOUT},
    {"soak", required_argument, NULL, OPT_SOAK},
    {"json", required_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

/* NULL when the value fits, else what was expected. */
static const char *take(struct acme_bench_options *options, int id, const char *value, bool *levels_given)
{
    unsigned long number = 0;
    switch (id) {
    case OPT_DIRECTORY:
        options->directory = value;
        return NULL;
    case OPT_CA:
        options->ca_file = value;
        return NULL;
    case OPT_HTTP_ADDRESS:
        options->http_address = value;
        return NULL;
    case OPT_JSON:
        options->json = value;
        return NULL;
    case OPT_HTTP_PORT:
        if (!read_number(value, 1, 65535, &number))
            return "a port number";
        options->http_port = (uint16_t)number;
        return NULL;
    case OPT_SERVER_PID:
        if (!read_number(value, 1, 4194304, &number))
            return "a process id";
        options->server_pid = (pid_t)number;
        return NULL;
    case OPT_ORDERS:
        if (!read_number(value, 1, MAX_ORDERS, &number))
            return "a number from 1 to 1000000";
        options->orders = number;
        return NULL;
    case OPT_SOAK:
        if (!read_number(value, ACME_BENCH_SOAK_MARKS, MAX_ORDERS, &number))
            return "a number from 10 to 1000000";
        options->soak = number;
        return NULL;
    case OPT_NONCES:
        if (!read_number(value, 0, MAX_ORDERS, &number))
            return "a number from 0 to 1000000";
        options->nonces = number;
        return NULL;
    case OPT_TIMEOUT:
        if (!read_number(value, 1, 3600, &number))
            return "seconds from 1 to 3600";
        options->timeout_ms = (int)number * 1000;
        return NULL;
    case OPT_CONCURRENCY:
        *levels_given = true;
        return read_levels(value, options) ? NULL : "up to 8 numbers from 1 to 512, separated by commas";
    case OPT_NAMES:
        options->names = value;
        return names_are_sound(value) ? NULL : "a lower-case host name with one %d in it";
    case OPT_ACCOUNTS:
        options->one_account = strcmp(value, "shared") == 0;
        return options->one_account || strcmp(value, "worker") == 0 ? NULL : "'worker' or 'shared'";
    default:
        return "another option";
    }
}

static const char *option_name(int id)
{
    for (const struct option *each = known; each->name != NULL; each++) {
        if (each->val == id)
            return each->name;
    }
    return "";
}

bool acme_bench_options_read(int argc, char **argv, struct acme_bench_options *ret, int *ret_exit)
{
    struct acme_bench_options options = {
        .http_port = 5002,
        .names = "b%d.bench.localhost",
        .orders = 500,
        .nonces = 5000,
        .timeout_ms = 60000,
        .levels = {1, 8, 32},
        .level_count = 3,
    };
    bool levels_given = false;
    int id = 0;
    *ret_exit = EXIT_USAGE;
    while ((id = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (id == OPT_HELP) {
            (void)fputs(usage, stdout);
            *ret_exit = EXIT_SUCCESS;
            return false;
        }
        if (id == '?') {
            (void)fputs(usage, stderr);
            return false;
        }
        const char *expected = take(&options, id, optarg, &levels_given);
        if (expected != NULL) {
            (void)fprintf(stderr, "acme_bench: --%s: expected %s, found '%s'\n", option_name(id), expected,
                          optarg);
            return false;
        }
    }
    if (optind < argc || options.directory == NULL) {
        if (optind < argc)
            (void)fprintf(stderr, "acme_bench: unexpected '%s'\n", argv[optind]);
        (void)fputs(usage, stderr);
        return false;
    }
    if (options.soak > 0 && !levels_given) {
        options.levels[0] = DEFAULT_SOAK_WORKERS;
        options.level_count = 1;
    }
    *ret = options;
    return true;
}
