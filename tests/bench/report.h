/* Results for people (a table) and for programs (JSON). */
#ifndef ACME_BENCH_REPORT_H
#define ACME_BENCH_REPORT_H

#include "level.h"

enum { ACME_BENCH_MAX_LEVELS = 8 };

struct acme_bench_nonce_result {
    size_t requests; /* 0: not measured */
    double p50_ms;
    double p99_ms;
};

struct acme_bench_report {
    const char *directory;
    pid_t server_pid;
    bool soak;
    struct acme_bench_nonce_result nonce;
    struct acme_bench_result levels[ACME_BENCH_MAX_LEVELS];
    size_t level_count;
};

/** acme_bench_report_table(report): to standard output. */
void acme_bench_report_table(const struct acme_bench_report *report);

/** acme_bench_report_json(report, path): write the JSON file; "-" is standard output. Errors: IO, NOMEM. */
struct acme_err acme_bench_report_json(const struct acme_bench_report *report,
                                       const char *path) ACME_MUST_USE;

#endif
