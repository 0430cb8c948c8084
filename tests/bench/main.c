/* acme_bench: a load generator for any ACME server (RFC 8555), with http-01 answered by itself. */
#include "options.h"
#include "report.h"
#include "stats.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct acme_err measure_nonces(const struct acme_bench_target *target, size_t requests,
                                      struct acme_bench_nonce_result *ret)
{
    const char *path = acme_bench_origin_path(target->origin, target->directory->new_nonce);
    ENSURE(path != NULL, ACME_E_FORMAT);
    double *samples = calloc(requests, sizeof *samples);
    ENSURE(samples != NULL, ACME_E_NOMEM);
    struct acme_bench_conn conn;
    acme_bench_conn_init(&conn, target->origin, target->tls);
    struct acme_err err = acme_ok();
    /* One more than asked for: the first carries the handshake and is not counted. */
    for (size_t i = 0; i <= requests && !acme_failed(err); i++) {
        struct acme_bench_response response;
        int64_t mark_ns = acme_bench_now_ns();
        err = acme_bench_conn_request(&conn, "HEAD", path, NULL, &response);
        if (acme_failed(err))
            break;
        if (i > 0)
            samples[i - 1] = acme_bench_lap_ms(&mark_ns);
        acme_buf_finish(&response.body);
        if (response.status != 200) {
            (void)snprintf(conn.why, sizeof conn.why, "HEAD newNonce: status %d", response.status);
            err = acme_err(ACME_E_FORMAT);
        }
    }
    if (acme_failed(err)) {
        (void)fprintf(stderr, "acme_bench: %s\n", conn.why);
    } else {
        acme_bench_sort(samples, requests);
        *ret = (struct acme_bench_nonce_result){.requests = requests,
                                                .p50_ms = acme_bench_percentile(samples, requests, 50),
                                                .p99_ms = acme_bench_percentile(samples, requests, 99)};
    }
    acme_bench_conn_finish(&conn);
    free(samples);
    return err;
}

static void print_mark(size_t done, const struct acme_bench_procstat *stat)
{
    (void)printf("%10zu orders   RSS %7.1f MiB   peak %7.1f MiB\n", done, (double)stat->rss_kib / 1024,
                 (double)stat->peak_rss_kib / 1024);
    (void)fflush(stdout);
}

/* True when every order of every measurement was completed and checked. */
static bool measure(const struct acme_bench_options *options, const struct acme_bench_target *target)
{
    struct acme_bench_report report = {
        .directory = options->directory, .server_pid = options->server_pid, .soak = options->soak > 0};
    if (options->nonces > 0 && acme_failed(measure_nonces(target, options->nonces, &report.nonce)))
        return false;
    bool clean = true;
    uint64_t first = 0;
    size_t orders = report.soak ? options->soak : options->orders;
    for (size_t i = 0; i < options->level_count; i++) {
        struct acme_bench_result *level = &report.levels[report.level_count];
        struct acme_err err = acme_bench_level_run(target, options->levels[i], first, orders,
                                                   report.soak ? print_mark : NULL, level);
        if (acme_failed(err)) {
            (void)fprintf(stderr, "acme_bench: concurrency %u: %s\n", options->levels[i],
                          acme_code_name(err.code));
            return false;
        }
        report.level_count++;
        first += orders;
        clean = clean && level->errors == 0;
    }
    acme_bench_report_table(&report);
    if (options->json != NULL && acme_failed(acme_bench_report_json(&report, options->json))) {
        (void)fprintf(stderr, "acme_bench: cannot write %s\n", options->json);
        return false;
    }
    return clean;
}

static bool run(const struct acme_bench_options *options)
{
    bool ok = false;
    struct acme_bench_origin origin;
    struct acme_bench_directory directory;
    struct acme_bench_keys keys = {0};
    struct acme_bench_responder *responder = NULL;
    SSL_CTX *tls = NULL;
    struct acme_bench_conn conn;
    if (acme_failed(acme_bench_origin_parse(options->directory, &origin))) {
        (void)fprintf(stderr, "acme_bench: --directory: expected an https URL, found '%s'\n",
                      options->directory);
        return false;
    }
    if (acme_failed(acme_bench_tls_create(options->ca_file, &tls))) {
        (void)fprintf(stderr, "acme_bench: --ca: no certificates in '%s'\n",
                      options->ca_file != NULL ? options->ca_file : "the system's store");
        return false;
    }
    acme_bench_conn_init(&conn, &origin, tls);
    if (acme_failed(acme_bench_directory_fetch(&conn, options->directory, &directory)))
        (void)fprintf(stderr, "acme_bench: %s\n", conn.why);
    else if (acme_failed(acme_bench_keys_init(&keys)))
        (void)fprintf(stderr, "acme_bench: cannot make keys\n");
    else if (acme_failed(acme_bench_responder_start(options->http_address, options->http_port, &responder)))
        (void)fprintf(stderr, "acme_bench: cannot listen on port %u: %s\n", options->http_port,
                      strerror(errno));
    else
        ok = measure(options, &(struct acme_bench_target){.origin = &origin,
                                                          .tls = tls,
                                                          .directory = &directory,
                                                          .responder = responder,
                                                          .keys = &keys,
                                                          .names = options->names,
                                                          .server_pid = options->server_pid,
                                                          .timeout_ms = options->timeout_ms,
                                                          .one_account = options->one_account});
    acme_bench_responder_stop(responder);
    acme_bench_keys_finish(&keys);
    acme_bench_conn_finish(&conn);
    SSL_CTX_free(tls);
    return ok;
}

int main(int argc, char **argv)
{
    struct acme_bench_options options;
    int exit_code = 0;
    if (!acme_bench_options_read(argc, argv, &options, &exit_code))
        return exit_code;
    (void)signal(SIGPIPE, SIG_IGN);
    return run(&options) ? EXIT_SUCCESS : EXIT_FAILURE;
}
