#include "server/runner_internal.h"

#include "protocol/service.h"
#include "server/pool.h"

#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    KNOWN_BUCKETS = 1024,
    HANDED_MAX =
        10000, /* jobs kept in memory beyond a queue's limit; the rest comes back when its lease ends */
    RECHECK_MS = 30 * 1000, /* look at the store this often even when nothing is known to be due */
    STORE_RETRY_MS = 1000,
    FOREIGN_AT_ONCE = 16,
    NAMES_ARENA_BYTES = 1024 * 1024
};

LIST_HEAD(known_bucket, active_job);

struct acme_runner {
    struct acme_runner_options options;
    struct acme_pool *pool;
    struct job_queue *queues;
    size_t queue_count;
    struct acme_arena *names; /* of the queues whose issuer is not configured any more */
    pthread_t scheduler;
    bool scheduler_started;
    pthread_mutex_t lock; /* guards everything below and the queues */
    pthread_cond_t changed;
    bool quiet;
    bool stopping;
    size_t known_count;
    struct known_bucket known[KNOWN_BUCKETS];
};

const struct acme_runner_options *acme_runner_options_of(const struct acme_runner *runner)
{
    return &runner->options;
}

static int64_t now_ms(const struct acme_runner *runner)
{
    return acme_clock_now_ms(runner->options.clock);
}

int64_t acme_job_now_ms(const struct active_job *job)
{
    return now_ms(job->runner);
}

char *acme_job_account_url(const struct active_job *job, const char *account_id)
{
    return acme_account_url(job->arena, job->runner->options.base_url, account_id);
}

struct acme_lease acme_job_lease(const struct active_job *job)
{
    return (struct acme_lease){.owner = job->runner->options.owner,
                               .until_ms = acme_job_now_ms(job) + job->runner->options.lease_ms};
}

int64_t acme_job_backoff_ms(int attempts, int64_t max_ms)
{
    int64_t delay = 2 * ACME_SECOND_MS;
    for (int i = 1; i < attempts && delay < max_ms; i++)
        delay *= 2;
    if (delay > max_ms)
        delay = max_ms;
    uint8_t random = 0;
    if (RAND_bytes(&random, 1) != 1)
        random = 0;
    return delay + delay * random / 1024;
}

/* ---- the table of known ids: a job whose lease ran out while it waited here must not be started twice ----
 */

static struct known_bucket *bucket_of(struct acme_runner *runner, const char *id)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (const char *p = id; *p != '\0'; p++)
        hash = (hash ^ (uint8_t)*p) * 16777619u;
    return &runner->known[hash % KNOWN_BUCKETS];
}

static bool is_known(struct acme_runner *runner, const char *id)
{
    const struct active_job *job;
    LIST_FOREACH(job, bucket_of(runner, id), known_entry)
    {
        if (strcmp(job->id, id) == 0)
            return true;
    }
    return false;
}

static struct job_queue *queue_named(struct acme_runner *runner, const char *name)
{
    for (size_t i = 0; i < runner->queue_count; i++) {
        if (strcmp(runner->queues[i].name, name) == 0)
            return &runner->queues[i];
    }
    return NULL;
}

static void free_job(struct active_job *job)
{
    acme_arena_destroy(job->reply_arena);
    acme_arena_destroy(job->arena);
    free(job);
}

static struct active_job *copy_job(struct acme_runner *runner, struct job_queue *queue,
                                   const struct acme_job *job)
{
    struct active_job *copy = calloc(1, sizeof *copy);
    if (copy == NULL)
        return NULL;
    copy->arena = acme_arena_create(ACME_JOB_ARENA_BYTES);
    if (copy->arena == NULL || strlen(job->id) >= sizeof copy->id ||
        strlen(job->subject_id) >= sizeof copy->subject_id) {
        free_job(copy);
        return NULL;
    }
    copy->runner = runner;
    copy->queue = queue;
    strncpy(copy->id, job->id, sizeof copy->id - 1);
    strncpy(copy->subject_id, job->subject_id, sizeof copy->subject_id - 1);
    copy->kind = job->kind;
    copy->intent = job->intent;
    copy->attempts = job->attempts;
    copy->leased_ms = now_ms(runner);
    if (job->state != NULL) {
        copy->state = acme_arena_strdup(copy->arena, job->state);
        if (copy->state == NULL) {
            free_job(copy);
            return NULL;
        }
    }
    return copy;
}

/* With the lock held. Only ever earlier: what the store said may be older than what a job has just committed.
 */
static void due_at(struct job_queue *queue, int64_t at_ms)
{
    if (at_ms != 0 && (queue->next_due_ms == 0 || at_ms < queue->next_due_ms))
        queue->next_due_ms = at_ms;
}

/* ---- ends of a run ---- */

static void forget(struct active_job *job, int64_t next_run_ms)
{
    struct acme_runner *runner = job->runner;
    pthread_mutex_lock(&runner->lock);
    LIST_REMOVE(job, known_entry);
    runner->known_count--;
    job->queue->active--;
    due_at(job->queue, next_run_ms);
    pthread_cond_signal(&runner->changed);
    pthread_mutex_unlock(&runner->lock);
    free_job(job);
}

void acme_job_drop(struct active_job *job)
{
    forget(job, 0);
}

void acme_job_done(struct active_job *job, int64_t next_run_ms)
{
    forget(job, next_run_ms);
}

void acme_job_submit(struct active_job *job, void (*run)(void *job))
{
    struct acme_runner *runner = job->runner;
    struct acme_err err = acme_err(ACME_E_STATE);
    pthread_mutex_lock(&runner->lock);
    if (runner->pool != NULL)
        err = acme_pool_submit(runner->pool, run, job);
    pthread_mutex_unlock(&runner->lock);
    if (acme_failed(err))
        acme_job_drop(job);
}

/* ---- the scheduler ---- */

/* With the lock held: put a copied job to work. */
static void begin(struct job_queue *queue, struct active_job *job)
{
    struct acme_runner *runner = job->runner;
    queue->active++;
    void (*run)(void *) = job->kind == ACME_JOB_ISSUE ? acme_job_issue_run : acme_job_validate_run;
    if (runner->pool == NULL || acme_failed(acme_pool_submit(runner->pool, run, job))) {
        LIST_REMOVE(job, known_entry);
        runner->known_count--;
        queue->active--;
        free_job(job);
    }
}

static void begin_handed(struct job_queue *queue)
{
    struct active_job *job;
    while (queue->active < queue->max_active && (job = TAILQ_FIRST(&queue->handed)) != NULL) {
        TAILQ_REMOVE(&queue->handed, job, entry);
        queue->handed_count--;
        begin(queue, job);
    }
}

static void remember(struct acme_runner *runner, struct active_job *job)
{
    LIST_INSERT_HEAD(bucket_of(runner, job->id), job, known_entry);
    runner->known_count++;
}

/* Lease what is due in the store and start it. Called without the lock, which is taken for the result. */
static void claim(struct acme_runner *runner, struct job_queue *queue, size_t room)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(ACME_JOB_ARENA_BYTES);
    int64_t now = now_ms(runner);
    int64_t next = now + STORE_RETRY_MS;
    struct acme_lease lease = {.owner = runner->options.owner, .until_ms = now + runner->options.lease_ms};
    struct acme_job *jobs = NULL;
    size_t count = 0;
    struct acme_err err = acme_err(ACME_E_NOMEM);
    if (arena != NULL)
        err = acme_store_jobs_claim(runner->options.store, arena, queue->name, now, &lease, room, &jobs,
                                    &count);
    if (!acme_failed(err)) {
        err = acme_store_jobs_next(runner->options.store, queue->name, &next);
    }
    if (acme_failed(err))
        acme_log(ERROR, "jobs could not be read", LOG_STR("queue", queue->name),
                 LOG_STR("code", acme_code_name(err.code)));
    pthread_mutex_lock(&runner->lock);
    due_at(queue, next);
    for (size_t i = 0; i < count; i++) {
        if (is_known(runner, jobs[i].id))
            continue;
        struct active_job *job = copy_job(runner, queue, &jobs[i]);
        if (job == NULL)
            continue; /* comes back when its lease ends */
        remember(runner, job);
        TAILQ_INSERT_HEAD(&queue->handed, job, entry); /* the room may have been taken meanwhile */
        queue->handed_count++;
    }
    begin_handed(queue);
    pthread_mutex_unlock(&runner->lock);
}

static void wait_until(struct acme_runner *runner, int64_t delay_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(delay_ms / 1000);
    until.tv_nsec += (long)(delay_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&runner->changed, &runner->lock, &until);
}

/* One look at every queue, with the lock held; returns how long nothing will be due. */
static int64_t schedule(struct acme_runner *runner)
{
    int64_t delay = RECHECK_MS;
    for (size_t i = 0; i < runner->queue_count && !runner->quiet; i++) {
        struct job_queue *queue = &runner->queues[i];
        /* What is due in the store has waited before: it gets half of the free places, and what was handed
         * over the rest. */
        if (queue->active < queue->max_active && queue->next_due_ms != 0 &&
            queue->next_due_ms <= now_ms(runner)) {
            size_t room = (size_t)(queue->max_active - queue->active);
            if (queue->handed_count > 0)
                room = (room + 1) / 2;
            queue->next_due_ms = 0;
            pthread_mutex_unlock(&runner->lock);
            claim(runner, queue, room);
            pthread_mutex_lock(&runner->lock);
        }
        begin_handed(queue);
        if (queue->active < queue->max_active && queue->next_due_ms != 0) {
            int64_t left = queue->next_due_ms - now_ms(runner);
            if (left < delay)
                delay = left < 1 ? 1 : left;
        }
    }
    return delay;
}

static void *scheduler_main(void *argument)
{
    struct acme_runner *runner = argument;
    pthread_mutex_lock(&runner->lock);
    int64_t recheck_ms = now_ms(runner) + RECHECK_MS;
    while (!runner->stopping) {
        if (now_ms(runner) >= recheck_ms) {
            /* Leases of another process, or jobs dropped here, end without a signal. */
            for (size_t i = 0; i < runner->queue_count; i++)
                runner->queues[i].next_due_ms = now_ms(runner);
            recheck_ms = now_ms(runner) + RECHECK_MS;
        }
        int64_t delay = schedule(runner);
        if (!runner->stopping)
            wait_until(runner, delay);
    }
    pthread_mutex_unlock(&runner->lock);
    return NULL;
}

/* ---- life of the runner ---- */

static void set_queue(struct acme_runner *runner, size_t index, const char *name,
                      const struct acme_issuer *issuer, int max)
{
    struct job_queue *queue = &runner->queues[index];
    queue->name = name;
    queue->issuer = issuer;
    queue->max_active = max;
    queue->next_due_ms = now_ms(runner); /* look at once: an earlier run may have left work */
    TAILQ_INIT(&queue->handed);
}

static void set_known_queues(struct acme_runner *runner)
{
    const struct acme_runner_options *options = &runner->options;
    set_queue(runner, 0, ACME_VALIDATION_QUEUE, NULL, options->validation_max_concurrency);
    for (size_t i = 0; i < options->issuer_count; i++)
        set_queue(runner, i + 1, options->issuers[i]->name, options->issuers[i],
                  options->issuers[i]->max_concurrency);
}

/* An issuer that was taken out of the configuration leaves jobs behind. They get queues without an issuer:
 * nobody works on them, but they end at their deadline, and the operator learns why these orders stand still.
 */
static struct acme_err add_foreign_queues(struct acme_runner *runner)
{
    const char **names = NULL;
    size_t count = 0;
    runner->names = acme_arena_create(NAMES_ARENA_BYTES);
    ENSURE(runner->names != NULL, ACME_E_NOMEM);
    TRY(acme_store_jobs_queues(runner->options.store, runner->names, &names, &count));
    size_t known = runner->queue_count;
    struct job_queue *queues = calloc(known + count, sizeof *queues);
    ENSURE(queues != NULL, ACME_E_NOMEM);
    free(runner->queues);
    runner->queues = queues;
    set_known_queues(runner);
    for (size_t i = 0; i < count; i++) {
        if (queue_named(runner, names[i]) != NULL)
            continue;
        acme_log(WARN, "orders wait for an issuer that the configuration does not have",
                 LOG_STR("issuer", names[i]));
        set_queue(runner, runner->queue_count++, names[i], NULL, FOREIGN_AT_ONCE);
    }
    return acme_ok();
}

static struct acme_err start(struct acme_runner *runner)
{
    const struct acme_runner_options *options = &runner->options;
    size_t recovered = 0;
    TRY(acme_store_jobs_recover(options->store, &recovered));
    if (recovered > 0)
        acme_log(INFO, "unfinished jobs of an earlier run taken up", LOG_INT("jobs", recovered));
    runner->queue_count = options->issuer_count + 1;
    TRY(add_foreign_queues(runner));
    size_t places = 0;
    for (size_t i = 0; i < runner->queue_count; i++)
        places += (size_t)runner->queues[i].max_active;
    /* Every active job is queued at most once, so this pool never refuses one. */
    TRY(acme_pool_create("job", options->threads, places, &runner->pool));
    ENSURE(pthread_create(&runner->scheduler, NULL, scheduler_main, runner) == 0, ACME_E_IO);
    runner->scheduler_started = true;
    return acme_ok();
}

struct acme_err acme_runner_start(const struct acme_runner_options *options, struct acme_runner **ret)
{
    struct acme_runner *runner = calloc(1, sizeof *runner);
    ENSURE(runner != NULL, ACME_E_NOMEM);
    runner->options = *options;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&runner->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&runner->lock, NULL);
    struct acme_err err = start(runner);
    if (acme_failed(err)) {
        acme_runner_stop(runner);
        acme_runner_destroy(runner);
        return err;
    }
    *ret = runner;
    return acme_ok();
}

void acme_runner_hand(struct acme_runner *runner, const struct acme_job *job)
{
    pthread_mutex_lock(&runner->lock);
    struct job_queue *queue = queue_named(runner, job->queue);
    if (queue != NULL && !runner->quiet && queue->handed_count < HANDED_MAX && !is_known(runner, job->id)) {
        struct active_job *copy = copy_job(runner, queue, job);
        if (copy != NULL) {
            remember(runner, copy);
            TAILQ_INSERT_TAIL(&queue->handed, copy, entry);
            queue->handed_count++;
            begin_handed(queue);
        }
    }
    pthread_mutex_unlock(&runner->lock);
}

void acme_runner_quiesce(struct acme_runner *runner)
{
    pthread_mutex_lock(&runner->lock);
    runner->quiet = true;
    for (size_t i = 0; i < runner->queue_count; i++) {
        struct active_job *job;
        while ((job = TAILQ_FIRST(&runner->queues[i].handed)) != NULL) {
            TAILQ_REMOVE(&runner->queues[i].handed, job, entry);
            LIST_REMOVE(job, known_entry);
            runner->known_count--;
            free_job(job);
        }
        runner->queues[i].handed_count = 0;
    }
    pthread_mutex_unlock(&runner->lock);
}

bool acme_runner_is_idle(struct acme_runner *runner)
{
    pthread_mutex_lock(&runner->lock);
    bool idle = runner->known_count == 0;
    pthread_mutex_unlock(&runner->lock);
    return idle;
}

void acme_runner_stop(struct acme_runner *runner)
{
    if (runner == NULL)
        return;
    if (runner->queues != NULL)
        acme_runner_quiesce(runner);
    pthread_mutex_lock(&runner->lock);
    runner->stopping = true;
    struct acme_pool *pool = runner->pool;
    runner->pool =
        NULL; /* answers that still come from the outbound loop find no thread: their jobs are dropped */
    pthread_cond_signal(&runner->changed);
    pthread_mutex_unlock(&runner->lock);
    if (runner->scheduler_started)
        pthread_join(runner->scheduler, NULL);
    acme_pool_destroy(pool);
}

void acme_runner_destroy(struct acme_runner *runner)
{
    if (runner == NULL)
        return;
    pthread_cond_destroy(&runner->changed);
    pthread_mutex_destroy(&runner->lock);
    free(runner->queues);
    acme_arena_destroy(runner->names);
    free(runner);
}
