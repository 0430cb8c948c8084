#include "report.h"

#include "base/json_writer.h"

#include <stdio.h>
#include <string.h>

enum { LABEL_WIDTH = 30, CELL_WIDTH = 18, MAX_JSON_BYTES = 256 * 1024 };

static double per_order(const struct acme_bench_result *level, double amount)
{
    return level->completed > 0 ? amount / (double)level->completed : 0;
}

static double orders_per_second(const struct acme_bench_result *level)
{
    return level->seconds > 0 ? (double)level->completed / level->seconds : 0;
}

static double cpu_ms_per_order(const struct acme_bench_result *level)
{
    return per_order(level, (double)(level->after.cpu_ms - level->before.cpu_ms));
}

static double mib(int64_t kib)
{
    return (double)kib / 1024;
}

/* One line of the table: a label and a figure per measurement. */
static void row(const struct acme_bench_report *report, const char *label, int digits,
                double (*figure)(const struct acme_bench_result *level))
{
    (void)printf("%-*s", LABEL_WIDTH, label);
    for (size_t i = 0; i < report->level_count; i++)
        (void)printf("%*.*f", CELL_WIDTH, digits, figure(&report->levels[i]));
    (void)printf("\n");
}

static double get_concurrency(const struct acme_bench_result *level)
{
    return level->concurrency;
}

static double get_completed(const struct acme_bench_result *level)
{
    return (double)level->completed;
}

static double get_errors(const struct acme_bench_result *level)
{
    return (double)level->errors;
}

static double get_requests(const struct acme_bench_result *level)
{
    return per_order(level, (double)level->signed_requests);
}

static double get_validations(const struct acme_bench_result *level)
{
    return per_order(level, (double)level->validations);
}

static double get_bad_nonces(const struct acme_bench_result *level)
{
    return (double)level->bad_nonces;
}

static double get_reconnects(const struct acme_bench_result *level)
{
    return (double)level->reconnects;
}

static double get_rss_before(const struct acme_bench_result *level)
{
    return mib(level->before.rss_kib);
}

static double get_rss_after(const struct acme_bench_result *level)
{
    return mib(level->after.rss_kib);
}

static double get_rss_peak(const struct acme_bench_result *level)
{
    return mib(level->after.peak_rss_kib);
}

void acme_bench_report_table(const struct acme_bench_report *report)
{
    (void)printf("\n%-*s%s\n", LABEL_WIDTH, "directory", report->directory);
    if (report->nonce.requests > 0)
        (void)printf("%-*s%zu x HEAD on one connection: p50 %.3f ms, p99 %.3f ms\n", LABEL_WIDTH, "newNonce",
                     report->nonce.requests, report->nonce.p50_ms, report->nonce.p99_ms);
    (void)printf("\n");
    row(report, "concurrency", 0, get_concurrency);
    row(report, "orders completed", 0, get_completed);
    row(report, "errors", 0, get_errors);
    row(report, "orders/s", 1, orders_per_second);
    row(report, "signed requests per order", 2, get_requests);
    row(report, "http-01 fetches per order", 2, get_validations);
    row(report, "badNonce retries", 0, get_bad_nonces);
    row(report, "reconnects", 0, get_reconnects);
    if (report->server_pid != 0) {
        row(report, "server CPU, ms per order", 2, cpu_ms_per_order);
        row(report, "server RSS before, MiB", 1, get_rss_before);
        row(report, "server RSS after, MiB", 1, get_rss_after);
        row(report, "server RSS peak, MiB", 1, get_rss_peak);
    }
    (void)printf("\n%-*s", LABEL_WIDTH, "step, ms");
    for (size_t i = 0; i < report->level_count; i++)
        (void)printf("%*s", CELL_WIDTH, "p50 / p99");
    (void)printf("\n");
    for (size_t step = 0; step < ACME_BENCH_STEP_COUNT; step++) {
        (void)printf("%-*s", LABEL_WIDTH, acme_bench_step_name((enum acme_bench_step)step));
        for (size_t i = 0; i < report->level_count; i++)
            (void)printf("%*.2f /%7.2f", CELL_WIDTH - 9, report->levels[i].p50_ms[step],
                         report->levels[i].p99_ms[step]);
        (void)printf("\n");
    }
}

static void put_number(struct acme_json_writer *writer, const char *name, double value)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%.3f", value);
    acme_jw_raw(writer, name, text);
}

static void put_server(struct acme_json_writer *writer, const struct acme_bench_report *report,
                       const struct acme_bench_result *level)
{
    acme_jw_object(writer, "server");
    put_number(writer, "cpu_ms_per_order", cpu_ms_per_order(level));
    acme_jw_int(writer, "rss_before_kib", level->before.rss_kib);
    acme_jw_int(writer, "rss_after_kib", level->after.rss_kib);
    acme_jw_int(writer, "rss_peak_kib", level->after.peak_rss_kib);
    if (report->soak) {
        acme_jw_array(writer, "rss_kib_each_tenth");
        for (size_t i = 0; i < ACME_BENCH_SOAK_MARKS; i++)
            acme_jw_int(writer, NULL, level->marks[i].rss_kib);
        acme_jw_array_end(writer);
    }
    acme_jw_object_end(writer);
}

static void put_level(struct acme_json_writer *writer, const struct acme_bench_report *report,
                      const struct acme_bench_result *level)
{
    acme_jw_object(writer, NULL);
    acme_jw_int(writer, "concurrency", level->concurrency);
    acme_jw_int(writer, "orders", (int64_t)level->orders);
    acme_jw_int(writer, "completed", (int64_t)level->completed);
    acme_jw_int(writer, "errors", (int64_t)level->errors);
    put_number(writer, "seconds", level->seconds);
    put_number(writer, "orders_per_second", orders_per_second(level));
    put_number(writer, "signed_requests_per_order", get_requests(level));
    put_number(writer, "http01_fetches_per_order", get_validations(level));
    acme_jw_int(writer, "bad_nonce_retries", (int64_t)level->bad_nonces);
    acme_jw_int(writer, "reconnects", (int64_t)level->reconnects);
    if (report->server_pid != 0)
        put_server(writer, report, level);
    acme_jw_object(writer, "steps_ms");
    for (size_t step = 0; step < ACME_BENCH_STEP_COUNT; step++) {
        acme_jw_object(writer, acme_bench_step_name((enum acme_bench_step)step));
        put_number(writer, "p50", level->p50_ms[step]);
        put_number(writer, "p99", level->p99_ms[step]);
        acme_jw_object_end(writer);
    }
    acme_jw_object_end(writer);
    acme_jw_object_end(writer);
}

struct acme_err acme_bench_report_json(const struct acme_bench_report *report, const char *path)
{
    ACME_CLEANUP_BUF struct acme_buf text;
    acme_buf_init(&text, MAX_JSON_BYTES);
    struct acme_json_writer writer;
    acme_jw_init(&writer, &text);
    acme_jw_object(&writer, NULL);
    acme_jw_str(&writer, "directory", report->directory);
    if (report->nonce.requests > 0) {
        acme_jw_object(&writer, "new_nonce");
        acme_jw_int(&writer, "requests", (int64_t)report->nonce.requests);
        put_number(&writer, "p50_ms", report->nonce.p50_ms);
        put_number(&writer, "p99_ms", report->nonce.p99_ms);
        acme_jw_object_end(&writer);
    }
    acme_jw_array(&writer, report->soak ? "soak" : "levels");
    for (size_t i = 0; i < report->level_count; i++)
        put_level(&writer, report, &report->levels[i]);
    acme_jw_array_end(&writer);
    acme_jw_object_end(&writer);
    acme_buf_str(&text, "\n");
    ENSURE(!text.failed, ACME_E_NOMEM);

    bool to_stdout = strcmp(path, "-") == 0;
    FILE *file = to_stdout ? stdout : fopen(path, "we");
    ENSURE(file != NULL, ACME_E_IO);
    bool ok = fwrite(text.data, 1, text.len, file) == text.len && fflush(file) == 0;
    if (!to_stdout)
        ok = fclose(file) == 0 && ok;
    return acme_err(ok ? ACME_OK : ACME_E_IO);
}
