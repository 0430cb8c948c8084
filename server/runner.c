#include "server/runner_internal.h"

#include "server/pool.h"

#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    KNOWN_BUCKETS = 1024,
    RECHECK_MS = 30 * 1000, /* look at the store this often even when nothing is known to be due */
    STORE_RETRY_MS = 1000,
    FOREIGN_AT_ONCE = 16,
    NAMES_ARENA_BYTES = 1024 * 1024,
    SLOTS_AHEAD_MS = 2000, /* jobs are taken up so long before their calls may be made */
    SLOTS_MAX = 256        /* at once */
};

LIST_HEAD(known_bucket, active_job);

struct acme_runner {
    struct acme_runner_options options;
    struct acme_pool *pool;
    struct job_queue *queues;
    size_t queue_count;
    size_t first_queue;       /* where the scheduler begins */
    struct acme_arena *names; /* of the deployers' queues, and of those whose backend is not configured */
    pthread_t scheduler;
    bool scheduler_started;
    pthread_mutex_t lock; /* guards everything below and the queues */
    pthread_cond_t changed;
    bool quiet;
    bool stopping;
    bool called;      /* since the scheduler began its round */
    int64_t wakes_ms; /* the scheduler sleeps until then; 0: it is in a round */
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
    copy->asked = job->asked;
    copy->attempts = job->attempts;
    copy->created_ms = job->created_ms;
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

/* With the lock held: have the scheduler look at the queues. While it claims for one of them it has no lock
 * and does not wait: a signal would be lost, and with it a queue that it had looked at before. */
static void call_scheduler(struct acme_runner *runner)
{
    runner->called = true;
    pthread_cond_signal(&runner->changed);
}

/* ---- places ---- */

/* With the lock held. */
static size_t used_places(const struct job_queue *queue)
{
    return queue->active + queue->reserved;
}

static bool has_place_for(const struct job_queue *queue, const char *share)
{
    size_t used = used_places(queue);
    return queue->keep_room
               ? acme_shares_allow(acme_shares_count(queue->shares, share), queue->max_active, used)
               : used < queue->max_active;
}

static const char *share_of(const struct acme_job *job)
{
    return job->share != NULL ? job->share : "";
}

/* With the lock held: the scheduler would find something to claim before it wakes by itself. Most jobs end
 * with nothing else to do. */
static bool may_claim_sooner(const struct acme_runner *runner)
{
    for (size_t i = 0; i < runner->queue_count; i++) {
        const struct job_queue *queue = &runner->queues[i];
        if (used_places(queue) < queue->max_active && queue->next_due_ms != 0 &&
            queue->next_due_ms < runner->wakes_ms)
            return true;
    }
    return runner->wakes_ms == 0;
}

/* On the thread it is called on, which is a job thread or one that may do as much. */
static void run_job(void *argument)
{
    struct active_job *job = argument;
    static void (*const runs[ACME_JOB_KIND_COUNT])(void *) = {
        [ACME_JOB_VALIDATE] = acme_job_validate_run,
        [ACME_JOB_ISSUE] = acme_job_issue_run,
        [ACME_JOB_REVOKE] = acme_job_revoke_run,
        [ACME_JOB_DEPLOY] = acme_job_deploy_run,
    };
    runs[job->kind](job);
}

/* With the lock held, and a place free: take the job up, with a slot for its first call if the queue's calls
 * are paced. It is run here, with run_job by the caller who has given back the lock, or (NULL) on a job
 * thread. False without memory: it is then left to the end of its lease, and the slot is the caller's. */
static bool begin(struct job_queue *queue, const struct acme_job *leased, const struct acme_gate_slot *slot,
                  struct active_job **ret_here)
{
    struct acme_runner *runner = queue->runner;
    struct active_job *job = copy_job(runner, queue, leased);
    if (job == NULL)
        return false;
    if (slot != NULL) {
        job->slot = *slot;
        job->has_slot = true;
    }
    if (acme_failed(acme_shares_enter(queue->shares, share_of(leased), &job->share))) {
        free_job(job);
        return false;
    }
    if (runner->pool == NULL ||
        (ret_here == NULL && acme_failed(acme_pool_submit(runner->pool, run_job, job)))) {
        acme_shares_leave(queue->shares, job->share);
        free_job(job);
        return false;
    }
    queue->active++;
    LIST_INSERT_HEAD(bucket_of(runner, job->id), job, known_entry);
    runner->known_count++;
    if (ret_here != NULL)
        *ret_here = job;
    return true;
}

/* ---- ends of a run ---- */

static void forget(struct active_job *job, int64_t next_run_ms, bool ended)
{
    struct acme_runner *runner = job->runner;
    struct job_queue *queue = job->queue;
    if (job->has_slot)
        acme_upstream_cancel(queue->upstream, &job->slot);
    pthread_mutex_lock(&runner->lock);
    LIST_REMOVE(job, known_entry);
    runner->known_count--;
    queue->active--;
    queue->ended++;
    acme_shares_leave(queue->shares, job->share);
    due_at(queue, next_run_ms);
    for (size_t i = 0; ended && (job->wakes_others || queue->uses_lines) && i < runner->queue_count; i++)
        due_at(&runner->queues[i], now_ms(runner));
    if (queue->blocked) {
        queue->blocked = false;
        due_at(queue, now_ms(runner));
    }
    if (may_claim_sooner(runner))
        call_scheduler(runner);
    pthread_mutex_unlock(&runner->lock);
    free_job(job);
}

void acme_job_drop(struct active_job *job)
{
    forget(job, 0, false);
}

void acme_job_done(struct active_job *job, int64_t next_run_ms)
{
    forget(job, next_run_ms, next_run_ms == 0);
}

void acme_job_uses_lines(struct active_job *job)
{
    struct acme_runner *runner = job->runner;
    pthread_mutex_lock(&runner->lock);
    job->queue->uses_lines = true;
    pthread_mutex_unlock(&runner->lock);
}

bool acme_job_is_ending(const struct active_job *job)
{
    struct acme_runner *runner = job->runner;
    pthread_mutex_lock(&runner->lock);
    bool quiet = runner->quiet;
    pthread_mutex_unlock(&runner->lock);
    return quiet;
}

int64_t acme_job_crowd(const struct active_job *job)
{
    struct acme_runner *runner = job->runner;
    pthread_mutex_lock(&runner->lock);
    int64_t crowd = job->queue->crowd + (int64_t)job->queue->active;
    pthread_mutex_unlock(&runner->lock);
    return crowd;
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

struct claim_rule {
    struct job_queue *queue;
    size_t room;
};

/* Asked by the store while it claims, on whichever thread does the write; nobody writes with the lock held.
 */
static bool may_take(void *context, const char *share, size_t taken, size_t taken_in_all)
{
    const struct claim_rule *rule = context;
    struct job_queue *queue = rule->queue;
    if (!queue->keep_room)
        return true;
    pthread_mutex_lock(&queue->runner->lock);
    size_t used = used_places(queue) - rule->room + taken_in_all;
    bool allowed =
        acme_shares_allow(acme_shares_count(queue->shares, share) + taken, queue->max_active, used);
    pthread_mutex_unlock(&queue->runner->lock);
    return allowed;
}

/* How many jobs the upstream has to deal with, counted anew now and then; without the lock. */
static int64_t count_crowd(struct acme_runner *runner, const struct job_queue *queue, int64_t now)
{
    int64_t crowd = queue->crowd;
    if (queue->upstream == NULL || (queue->crowd_ms != 0 && now - queue->crowd_ms < RECHECK_MS))
        return crowd;
    struct acme_err err = acme_store_jobs_count(runner->options.store, queue->name, &crowd);
    if (acme_failed(err))
        acme_log(ERROR, "jobs could not be counted", LOG_STR("queue", queue->name),
                 LOG_STR("code", acme_code_name(err.code)));
    return crowd;
}

/* Lease up to `room` jobs that are due in the store and start them, each with one of the slots (as many;
 * NULL: the queue has no pace). Called with the lock, which is given back for the while; the places are
 * reserved meanwhile. */
static void claim(struct acme_runner *runner, struct job_queue *queue, size_t room,
                  const struct acme_gate_slot *slots)
{
    queue->next_due_ms = 0;
    queue->reserved += room;
    uint64_t ended = queue->ended;
    pthread_mutex_unlock(&runner->lock);
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(ACME_JOB_ARENA_BYTES);
    int64_t now = now_ms(runner);
    int64_t next = now + STORE_RETRY_MS;
    struct acme_lease lease = {.owner = runner->options.owner, .until_ms = now + runner->options.lease_ms};
    struct claim_rule rule = {.queue = queue, .room = room};
    struct acme_job *jobs = NULL;
    size_t count = 0;
    struct acme_err err = acme_err(ACME_E_NOMEM);
    queue->turns.may_take = may_take;
    queue->turns.context = &rule;
    /* When more is due than the pace allows, half of it is for those who have waited longest, account by
     * account, the other half for those whose time came last: new orders, and polls of young ones, are not
     * held up by a crowd of old ones, nor these by them. */
    queue->turns.latest_first = queue->upstream != NULL && !queue->turns.latest_first;
    if (arena != NULL)
        err = acme_store_jobs_claim(runner->options.store, arena, queue->name, now, &lease, room,
                                    &queue->turns, &jobs, &count);
    if (!acme_failed(err))
        err = acme_store_jobs_next(runner->options.store, queue->name, now, &next);
    if (acme_failed(err))
        acme_log(ERROR, "jobs could not be read", LOG_STR("queue", queue->name),
                 LOG_STR("code", acme_code_name(err.code)));
    int64_t crowd = count_crowd(runner, queue, now);
    pthread_mutex_lock(&runner->lock);
    if (now - queue->crowd_ms >= RECHECK_MS)
        queue->crowd_ms = now;
    queue->crowd = crowd;
    queue->reserved -= room;
    size_t used = 0;
    for (size_t i = 0; i < count && !runner->quiet; i++) {
        if (!is_known(runner, jobs[i].id) &&
            begin(queue, &jobs[i], slots != NULL ? &slots[used] : NULL, NULL))
            used++;
    }
    while (slots != NULL && room > used)
        acme_upstream_cancel(queue->upstream, &slots[--room]);
    due_at(queue, next);
    if (acme_failed(err) || !queue->turns.left_due)
        return;
    if (count > 0 || queue->ended != ended)
        due_at(queue, now); /* look again at once */
    else
        queue->blocked = true;
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

static bool is_due(const struct acme_runner *runner, const struct job_queue *queue)
{
    return used_places(queue) < queue->max_active && queue->next_due_ms != 0 &&
           queue->next_due_ms <= now_ms(runner);
}

/* Claim as many as there are places for and as can make their call soon. Returns how long none can, 0 when
 * that is not what hinders. */
static int64_t claim_due(struct acme_runner *runner, struct job_queue *queue)
{
    /* The other half is for what is handed over meanwhile. */
    size_t room = (queue->max_active - used_places(queue) + 1) / 2;
    if (queue->upstream == NULL) {
        claim(runner, queue, room, NULL);
        return 0;
    }
    struct acme_gate_slot slots[SLOTS_MAX];
    size_t count = 0;
    int64_t retry_ms = 0;
    while (count < room && count < SLOTS_MAX && retry_ms == 0) {
        retry_ms = acme_upstream_book(queue->upstream, SLOTS_AHEAD_MS, &slots[count]);
        if (retry_ms == 0)
            count++;
    }
    if (count > 0)
        claim(runner, queue, count, slots);
    return count > 0 ? 0 : retry_ms;
}

/* One look at every queue, with the lock held; returns how long nothing will be due. */
static int64_t schedule(struct acme_runner *runner)
{
    int64_t delay = RECHECK_MS;
    size_t first = runner->first_queue++; /* queues may share an upstream */
    for (size_t i = 0; i < runner->queue_count && !runner->quiet; i++) {
        struct job_queue *queue = &runner->queues[(first + i) % runner->queue_count];
        int64_t closed_ms = is_due(runner, queue) ? claim_due(runner, queue) : 0;
        if (used_places(queue) < queue->max_active && queue->next_due_ms != 0) {
            int64_t left = queue->next_due_ms - now_ms(runner);
            if (left < closed_ms)
                left = closed_ms;
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
        runner->called = false;
        int64_t delay = schedule(runner);
        if (runner->stopping || runner->called)
            continue;
        runner->wakes_ms = now_ms(runner) + delay;
        wait_until(runner, delay);
        runner->wakes_ms = 0;
    }
    pthread_mutex_unlock(&runner->lock);
    return NULL;
}

/* ---- life of the runner ---- */

static struct acme_err set_queue(struct acme_runner *runner, size_t index, const char *name,
                                 const struct acme_backend *backend, size_t max)
{
    struct job_queue *queue = &runner->queues[index];
    *queue = (struct job_queue){.runner = runner,
                                .name = name,
                                .backend = backend,
                                .max_active = max,
                                /* look at once: an earlier run may have left work */
                                .next_due_ms = now_ms(runner),
                                .shares = acme_shares_create()};
    ENSURE(queue->shares != NULL, ACME_E_NOMEM);
    return acme_ok();
}

/* Backends of one upstream account share its pace: the slowest of theirs. */
static struct acme_err set_upstream(const struct acme_runner *runner, struct job_queue *queue)
{
    const struct acme_backend *backend = queue->backend;
    struct acme_gate_limits limits = {.per_minute = backend->requests_per_minute,
                                      .burst = backend->burst,
                                      .refused_pause_ms = backend->refused_pause_ms};
    if (limits.per_minute <= 0)
        return acme_ok();
    if (backend->account != NULL) {
        for (size_t i = 1; &runner->queues[i] < queue; i++) {
            const struct acme_backend *other = runner->queues[i].backend;
            if (runner->queues[i].upstream != NULL && other->account != NULL &&
                strcmp(other->account, backend->account) == 0) {
                queue->upstream = runner->queues[i].upstream;
                acme_upstream_tighten(queue->upstream, &limits);
                return acme_ok();
            }
        }
    }
    queue->upstream = acme_upstream_create(backend->name, &limits);
    ENSURE(queue->upstream != NULL, ACME_E_NOMEM);
    queue->owns_upstream = true;
    if (limits.refused_pause_ms > 0 && backend->account != NULL)
        TRY(acme_upstream_remember(queue->upstream, runner->options.store, backend, now_ms(runner)));
    return acme_ok();
}

static struct acme_err set_known_queues(struct acme_runner *runner)
{
    const struct acme_runner_options *options = &runner->options;
    TRY(set_queue(runner, 0, ACME_VALIDATION_QUEUE, NULL, (size_t)options->validation_max_concurrency));
    /* A validation lasts as long as the host that is asked pleases: 10 s. */
    runner->queues[0].keep_room = true;
    for (size_t i = 0; i < options->issuer_count; i++) {
        const struct acme_backend *backend = &options->issuers[i]->backend;
        TRY(set_queue(runner, i + 1, backend->name, backend, (size_t)backend->max_concurrency));
        TRY(set_upstream(runner, &runner->queues[i + 1]));
    }
    for (size_t i = 0; i < options->deployer_count; i++) {
        const struct acme_backend *backend = &options->deployers[i]->backend;
        const char *name = acme_arena_printf(runner->names, ACME_DEPLOY_QUEUE "%s", backend->name);
        size_t at = options->issuer_count + 1 + i;
        ENSURE(name != NULL, ACME_E_NOMEM);
        TRY(set_queue(runner, at, name, backend, (size_t)backend->max_concurrency));
        TRY(set_upstream(runner, &runner->queues[at]));
    }
    return acme_ok();
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
    runner->queues = queues;
    TRY(set_known_queues(runner));
    for (size_t i = 0; i < count; i++) {
        if (queue_named(runner, names[i]) != NULL)
            continue;
        const size_t prefix = sizeof ACME_DEPLOY_QUEUE - 1;
        if (strncmp(names[i], ACME_DEPLOY_QUEUE, prefix) == 0)
            acme_log(WARN, "deployments wait for a deployer that the configuration does not have",
                     LOG_STR("deployer", names[i] + prefix));
        else
            acme_log(WARN, "orders or revocations wait for an issuer that the configuration does not have",
                     LOG_STR("issuer", names[i]));
        TRY(set_queue(runner, runner->queue_count++, names[i], NULL, FOREIGN_AT_ONCE));
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
    runner->queue_count = options->issuer_count + options->deployer_count + 1;
    TRY(add_foreign_queues(runner));
    size_t places = 0;
    for (size_t i = 0; i < runner->queue_count; i++)
        places += runner->queues[i].max_active;
    /* Every active job is queued at most once, so this pool never refuses one. */
    TRY(acme_pool_create("job", options->threads, options->threads, places, &runner->pool));
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

/* True when the job runs now (see begin), or shall not; false when it has to wait for its turn. */
static bool begin_handed(struct acme_runner *runner, struct job_queue *queue, const struct acme_job *job,
                         struct active_job **ret_here)
{
    /* Where places are not kept free for newcomers, they do not pass those who wait already. */
    bool others_first = !queue->keep_room && queue->next_due_ms != 0 && queue->next_due_ms <= now_ms(runner);
    if (runner->quiet || is_known(runner, job->id))
        return true;
    if (others_first || !has_place_for(queue, share_of(job)))
        return false;
    struct acme_gate_slot slot;
    if (queue->upstream != NULL && acme_upstream_book(queue->upstream, SLOTS_AHEAD_MS, &slot) != 0)
        return false;
    if (!begin(queue, job, queue->upstream != NULL ? &slot : NULL, ret_here) && queue->upstream != NULL)
        acme_upstream_cancel(queue->upstream, &slot);
    return true;
}

static void hand(struct acme_runner *runner, const struct acme_job *job, struct active_job **ret_here)
{
    struct job_queue *queue = queue_named(runner, job->queue);
    if (queue == NULL) { /* a revocation: certificates outlive issuers */
        acme_log(ERROR, "a job waits for an issuer that the configuration does not have",
                 LOG_STR("issuer", job->queue), LOG_STR("subject", job->subject_id));
        return;
    }
    pthread_mutex_lock(&runner->lock);
    bool settled = begin_handed(runner, queue, job, ret_here);
    pthread_mutex_unlock(&runner->lock);
    if (settled)
        return;
    int64_t now = now_ms(runner);
    if (acme_failed(acme_store_job_wait(runner->options.store, job->id, runner->options.owner, job->state,
                                        now, job->attempts, NULL)))
        return; /* it comes back when its lease ends */
    pthread_mutex_lock(&runner->lock);
    if (queue->reserved > 0 || has_place_for(queue, share_of(job)))
        due_at(queue, now); /* a place became free, or a claim that may not have seen it is under way */
    else
        queue->blocked = true;
    call_scheduler(runner);
    pthread_mutex_unlock(&runner->lock);
}

void acme_runner_hand(struct acme_runner *runner, const struct acme_job *job)
{
    hand(runner, job, NULL);
}

void acme_runner_run(struct acme_runner *runner, const struct acme_job *job)
{
    struct active_job *here = NULL;
    hand(runner, job, &here);
    if (here != NULL)
        run_job(here);
}

bool acme_runner_has_others(struct acme_runner *runner, const struct acme_job *job)
{
    const struct job_queue *queue = queue_named(runner, job->queue);
    if (queue == NULL)
        return false;
    pthread_mutex_lock(&runner->lock);
    bool others = acme_shares_count(queue->shares, share_of(job)) > 0;
    pthread_mutex_unlock(&runner->lock);
    return others;
}

void acme_runner_look(struct acme_runner *runner)
{
    pthread_mutex_lock(&runner->lock);
    for (size_t i = 0; i < runner->queue_count; i++)
        due_at(&runner->queues[i], now_ms(runner));
    call_scheduler(runner);
    pthread_mutex_unlock(&runner->lock);
}

void acme_runner_wake(struct acme_runner *runner, const char *queue_name)
{
    struct job_queue *queue = queue_named(runner, queue_name);
    if (queue == NULL)
        return;
    pthread_mutex_lock(&runner->lock);
    due_at(queue, now_ms(runner));
    call_scheduler(runner);
    pthread_mutex_unlock(&runner->lock);
}

void acme_runner_quiesce(struct acme_runner *runner)
{
    pthread_mutex_lock(&runner->lock);
    runner->quiet = true;
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
    pthread_mutex_lock(&runner->lock);
    runner->quiet = true;
    runner->stopping = true;
    struct acme_pool *pool = runner->pool;
    runner->pool =
        NULL; /* answers that still come from the outbound loop find no thread: their jobs are dropped */
    call_scheduler(runner);
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
    for (size_t i = 0; runner->queues != NULL && i < runner->queue_count; i++) {
        acme_shares_destroy(runner->queues[i].shares);
        if (runner->queues[i].owns_upstream)
            acme_upstream_destroy(runner->queues[i].upstream);
    }
    free(runner->queues);
    acme_arena_destroy(runner->names);
    free(runner);
}
