#include "stats.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

int64_t acme_bench_now_ns(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

double acme_bench_lap_ms(int64_t *mark_ns)
{
    int64_t now_ns = acme_bench_now_ns();
    double ms = (double)(now_ns - *mark_ns) / 1e6;
    *mark_ns = now_ns;
    return ms;
}

void acme_bench_sleep_us(int64_t microseconds)
{
    struct timespec left = {.tv_sec = microseconds / 1000000, .tv_nsec = (microseconds % 1000000) * 1000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

static int ascending(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

void acme_bench_sort(double *values, size_t count)
{
    qsort(values, count, sizeof *values, ascending);
}

double acme_bench_percentile(const double *sorted, size_t count, unsigned percent)
{
    if (count == 0)
        return 0;
    size_t rank = (count * percent + 99) / 100;
    return sorted[rank > 0 ? rank - 1 : 0];
}
