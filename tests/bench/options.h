/* The command line of acme_bench. */
#ifndef ACME_BENCH_OPTIONS_H
#define ACME_BENCH_OPTIONS_H

#include "report.h"

struct acme_bench_options {
    const char *directory;
    const char *ca_file;      /* NULL: the system's roots */
    const char *http_address; /* NULL: loopback */
    uint16_t http_port;
    const char *names;
    const char *json; /* NULL: none */
    pid_t server_pid; /* 0: unknown */
    size_t orders;    /* per measurement */
    size_t soak;      /* 0: no soak */
    size_t nonces;    /* newNonce requests to time */
    int timeout_ms;
    bool one_account;
    unsigned levels[ACME_BENCH_MAX_LEVELS];
    size_t level_count;
};

/** acme_bench_options_read(argc, argv, ret, ret_exit): false when there is nothing to run: --help (exit 0) or
 * a mistake, which is explained on standard error (exit 2). The strings are argv's. */
bool acme_bench_options_read(int argc, char **argv, struct acme_bench_options *ret, int *ret_exit);

#endif
