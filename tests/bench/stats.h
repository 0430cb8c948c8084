/* Time stamps and percentiles. */
#ifndef ACME_BENCH_STATS_H
#define ACME_BENCH_STATS_H

#include <stddef.h>
#include <stdint.h>

/** acme_bench_now_ns(): monotonic time. */
int64_t acme_bench_now_ns(void);

/** acme_bench_lap_ms(mark_ns): milliseconds since *mark_ns, which is set to now. */
double acme_bench_lap_ms(int64_t *mark_ns);

/** acme_bench_sleep_us(microseconds): pause this thread. */
void acme_bench_sleep_us(int64_t microseconds);

/** acme_bench_sort(values, count): ascending, as acme_bench_percentile needs it. */
void acme_bench_sort(double *values, size_t count);

/** acme_bench_percentile(sorted, count, percent): nearest rank, so always a value that was measured; 0 of
 * none. */
double acme_bench_percentile(const double *sorted, size_t count, unsigned percent);

#endif
