/* What the server process costs, read from /proc. */
#ifndef ACME_BENCH_PROCSTAT_H
#define ACME_BENCH_PROCSTAT_H

#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>

struct acme_bench_procstat {
    int64_t cpu_ms; /* user and system, all threads, in steps of a clock tick (10 ms) */
    int64_t rss_kib;
    int64_t peak_rss_kib;
};

/** acme_bench_procstat_read(pid, ret): Errors: IO when there is no such process, FORMAT. Thread: any. */
struct acme_err acme_bench_procstat_read(pid_t pid, struct acme_bench_procstat *ret) ACME_MUST_USE;

#endif
