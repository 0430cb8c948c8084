/* One measurement: a number of orders by a number of workers, each with its own thread and connection. */
#ifndef ACME_BENCH_LEVEL_H
#define ACME_BENCH_LEVEL_H

#include "order.h"
#include "procstat.h"

enum { ACME_BENCH_SOAK_MARKS = 10, ACME_BENCH_MAX_WORKERS = 512 };

/* What all measurements of a run share; everything borrowed. */
struct acme_bench_target {
    const struct acme_bench_origin *origin;
    SSL_CTX *tls;
    const struct acme_bench_directory *directory;
    struct acme_bench_responder *responder;
    const struct acme_bench_keys *keys;
    const char *names; /* with %d */
    pid_t server_pid;  /* 0: unknown, then no CPU and memory figures */
    int timeout_ms;
    bool one_account;
};

struct acme_bench_result {
    unsigned concurrency;
    size_t orders;
    size_t completed;
    size_t
        errors; /* orders that failed, were not started after too many errors, or got a wrong certificate */
    double seconds;
    uint64_t signed_requests;
    uint64_t bad_nonces;
    uint64_t reconnects;
    uint64_t validations; /* fetches the responder answered */
    double p50_ms[ACME_BENCH_STEP_COUNT];
    double p99_ms[ACME_BENCH_STEP_COUNT];
    struct acme_bench_procstat before;
    struct acme_bench_procstat after;
    struct acme_bench_procstat marks[ACME_BENCH_SOAK_MARKS]; /* after each tenth of the orders */
};

/** acme_bench_level_run(target, concurrency, first, orders, on_mark, ret): prepare keys, accounts and
 * connections, then run `orders` orders named from `first` on. After each tenth of them `on_mark` (may be
 * NULL) is called, from a worker. The first few failures are explained on standard error. Errors: those of
 * the preparation. */
struct acme_err acme_bench_level_run(const struct acme_bench_target *target, unsigned concurrency,
                                     uint64_t first, size_t orders,
                                     void (*on_mark)(size_t done, const struct acme_bench_procstat *stat),
                                     struct acme_bench_result *ret) ACME_MUST_USE;

#endif
