#include "procstat.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool read_cpu(pid_t pid, int64_t *ret_ms)
{
    char path[64];
    char text[1024];
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    size_t len = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[len] = '\0';
    /* The second field is the program's name in parentheses and may hold anything: count from its end
     * (proc(5)). */
    const char *rest = strrchr(text, ')');
    uint64_t user_ticks = 0;
    uint64_t system_ticks = 0;
    if (rest == NULL || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
                               &user_ticks, &system_ticks) != 2)
        return false;
    *ret_ms = (int64_t)(user_ticks + system_ticks) * 1000 / sysconf(_SC_CLK_TCK);
    return true;
}

static bool read_memory(pid_t pid, int64_t *ret_rss_kib, int64_t *ret_peak_kib)
{
    char path[64];
    char line[256];
    (void)snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    int found = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        found += sscanf(line, "VmRSS: %" SCNd64, ret_rss_kib) == 1;
        found += sscanf(line, "VmHWM: %" SCNd64, ret_peak_kib) == 1;
    }
    (void)fclose(file);
    return found == 2;
}

struct acme_err acme_bench_procstat_read(pid_t pid, struct acme_bench_procstat *ret)
{
    struct acme_bench_procstat stat = {0};
    ENSURE(read_cpu(pid, &stat.cpu_ms), ACME_E_IO);
    ENSURE(read_memory(pid, &stat.rss_kib, &stat.peak_rss_kib), ACME_E_FORMAT);
    *ret = stat;
    return acme_ok();
}
