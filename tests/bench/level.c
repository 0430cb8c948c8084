#include "level.h"
#include "stats.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* A server that is gone fails every order at once: no use in going through all of them. */
enum { MAX_ERRORS = 100, EXPLAINED_ERRORS = 5 };

struct level {
    const struct acme_bench_target *target;
    struct acme_bench_order *orders;
    size_t order_count;
    void (*on_mark)(size_t done, const struct acme_bench_procstat *stat);
    struct acme_bench_procstat marks[ACME_BENCH_SOAK_MARKS];
    atomic_size_t next;
    atomic_size_t finished;
    atomic_size_t errors;
    pthread_barrier_t start;
};

struct worker {
    struct level *level;
    pthread_t thread;
    struct acme_bench_account own_account;
    struct acme_bench_session session;
};

static void explain(struct level *level, const char *what, const char *why)
{
    size_t before = atomic_fetch_add(&level->errors, 1);
    if (before < EXPLAINED_ERRORS)
        (void)fprintf(stderr, "acme_bench: %s: %s\n", what, why);
    else if (before == EXPLAINED_ERRORS)
        (void)fprintf(stderr, "acme_bench: further errors are only counted\n");
}

static void mark_progress(struct level *level, size_t done)
{
    size_t tenth = level->order_count / ACME_BENCH_SOAK_MARKS;
    if (level->target->server_pid == 0 || tenth == 0 || done % tenth != 0 ||
        done / tenth > ACME_BENCH_SOAK_MARKS)
        return;
    struct acme_bench_procstat *mark = &level->marks[done / tenth - 1];
    if (!acme_failed(acme_bench_procstat_read(level->target->server_pid, mark)) && level->on_mark != NULL)
        level->on_mark(done, mark);
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct level *level = worker->level;
    pthread_barrier_wait(&level->start);
    for (;;) {
        size_t index = atomic_fetch_add(&level->next, 1);
        if (index >= level->order_count || atomic_load(&level->errors) >= MAX_ERRORS)
            return NULL;
        struct acme_bench_order *order = &level->orders[index];
        struct acme_err err = acme_bench_order_run(&worker->session, level->target->responder, order,
                                                   level->target->timeout_ms);
        if (acme_failed(err))
            explain(level, order->name,
                    worker->session.why[0] != '\0' ? worker->session.why : acme_code_name(err.code));
        mark_progress(level, atomic_fetch_add(&level->finished, 1) + 1);
    }
}

/* Accounts, connections and first nonces belong to the preparation: clients keep all three. */
static struct acme_err prepare_worker(struct level *level, struct worker *worker,
                                      struct acme_bench_account *shared)
{
    const struct acme_bench_target *target = level->target;
    worker->level = level;
    struct acme_bench_account *account = shared != NULL ? shared : &worker->own_account;
    acme_bench_session_init(&worker->session, target->origin, target->tls, target->directory, account);
    if (account->key == NULL)
        TRY(acme_bench_account_init(account));
    struct acme_err err = account->kid[0] == '\0' ? acme_bench_session_register(&worker->session) : acme_ok();
    if (!acme_failed(err))
        err = acme_bench_session_warm(&worker->session);
    if (acme_failed(err))
        explain(level, "preparing an account", worker->session.why);
    worker->session.signed_requests = 0;
    worker->session.bad_nonces = 0;
    return err;
}

static void compute_steps(const struct level *level, struct acme_bench_result *result, double *scratch)
{
    for (size_t step = 0; step < ACME_BENCH_STEP_COUNT; step++) {
        size_t count = 0;
        for (size_t i = 0; i < level->order_count; i++) {
            if (level->orders[i].done)
                scratch[count++] = level->orders[i].ms[step];
        }
        acme_bench_sort(scratch, count);
        result->p50_ms[step] = acme_bench_percentile(scratch, count, 50);
        result->p99_ms[step] = acme_bench_percentile(scratch, count, 99);
        result->completed = count;
    }
}

static void check_certificates(struct level *level)
{
    for (size_t i = 0; i < level->order_count; i++) {
        const struct acme_bench_order *order = &level->orders[i];
        if (!order->done)
            continue;
        struct acme_err err = acme_bench_order_check(order);
        if (acme_failed(err))
            explain(level, order->name,
                    err.code == ACME_E_DENIED ? "the certificate is for another key or name"
                                              : "not a certificate");
    }
}

static struct acme_err run_workers(struct level *level, struct worker *workers,
                                   struct acme_bench_result *result)
{
    if (pthread_barrier_init(&level->start, NULL, result->concurrency + 1) != 0)
        return acme_err(ACME_E_NOMEM);
    for (unsigned i = 0; i < result->concurrency; i++) {
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
            /* Those already started wait at the barrier for good; the process is about to end. */
            (void)fprintf(stderr, "acme_bench: cannot start thread %u of %u\n", i + 1, result->concurrency);
            exit(EXIT_FAILURE);
        }
    }
    pid_t pid = level->target->server_pid;
    struct acme_err err = acme_ok();
    if (pid != 0)
        err = acme_bench_procstat_read(pid, &result->before);
    uint64_t validations_before = acme_bench_responder_answered(level->target->responder);
    int64_t start_ns = acme_bench_now_ns();
    pthread_barrier_wait(&level->start);
    for (unsigned i = 0; i < result->concurrency; i++)
        pthread_join(workers[i].thread, NULL);
    result->seconds = (double)(acme_bench_now_ns() - start_ns) / 1e9;
    result->validations = acme_bench_responder_answered(level->target->responder) - validations_before;
    pthread_barrier_destroy(&level->start);
    if (pid != 0 && !acme_failed(err))
        err = acme_bench_procstat_read(pid, &result->after);
    return err;
}

static void collect(struct level *level, struct worker *workers, struct acme_bench_result *result,
                    double *scratch)
{
    for (unsigned i = 0; i < result->concurrency; i++) {
        result->signed_requests += workers[i].session.signed_requests;
        result->bad_nonces += workers[i].session.bad_nonces;
        result->reconnects += workers[i].session.conn.connects - 1;
    }
    compute_steps(level, result, scratch);
    check_certificates(level);
    size_t unstarted = level->order_count - atomic_load(&level->finished);
    result->errors = atomic_load(&level->errors) + unstarted;
    for (size_t i = 0; i < ACME_BENCH_SOAK_MARKS; i++)
        result->marks[i] = level->marks[i];
}

struct acme_err acme_bench_level_run(const struct acme_bench_target *target, unsigned concurrency,
                                     uint64_t first, size_t orders,
                                     void (*on_mark)(size_t done, const struct acme_bench_procstat *stat),
                                     struct acme_bench_result *ret)
{
    struct level level = {.target = target, .order_count = orders, .on_mark = on_mark};
    struct acme_bench_result result = {.concurrency = concurrency, .orders = orders};
    struct acme_bench_account shared = {0};
    struct worker *workers = calloc(concurrency, sizeof *workers);
    double *scratch = calloc(orders, sizeof *scratch);
    unsigned prepared = 0;
    struct acme_err err = acme_err(workers != NULL && scratch != NULL ? ACME_OK : ACME_E_NOMEM);
    if (!acme_failed(err))
        err = acme_bench_orders_create(target->keys, target->names, first, orders, &level.orders);
    while (!acme_failed(err) && prepared < concurrency)
        err = prepare_worker(&level, &workers[prepared++], target->one_account ? &shared : NULL);
    if (!acme_failed(err))
        err = run_workers(&level, workers, &result);
    if (!acme_failed(err)) {
        collect(&level, workers, &result, scratch);
        *ret = result;
    }
    for (unsigned i = 0; i < prepared; i++) {
        acme_bench_session_finish(&workers[i].session);
        acme_bench_account_finish(&workers[i].own_account);
    }
    acme_bench_account_finish(&shared);
    acme_bench_orders_destroy(level.orders, orders);
    free(workers);
    free(scratch);
    return err;
}
