#include "server/pool.h"

#include "base/blocking.h"
#include "server/thread.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/queue.h>

struct entry {
    void (*run)(void *task);
    void *task;
};

struct worker {
    struct acme_pool *pool;
    pthread_t thread;
    pthread_cond_t called; /* one for each, as they are not called in the order in which they came */
    SLIST_ENTRY(worker) next_idle;
    bool idle; /* in the pool's list, without a place */
    struct acme_blocking_hooks blocking;
};

struct acme_pool {
    pthread_mutex_t lock;
    struct entry *ring;
    size_t size;
    size_t head;
    size_t count;
    int places; /* for threads that work and do not wait for something slow */
    int taken;  /* more than there are when waits end: then who ends a task gives its place up */
    /* Who was busy last is called first: its memory is still in the processor's caches, and as few threads
     * as the load needs do all of the work. */
    SLIST_HEAD(, worker) idle;
    bool ending;
    int threads;
    struct worker *workers;
};

/* With the lock: give the place up until called, which is to be given one again. */
static void wait_for_call(struct worker *worker)
{
    struct acme_pool *pool = worker->pool;
    pool->taken--;
    worker->idle = true;
    SLIST_INSERT_HEAD(&pool->idle, worker, next_idle);
    while (worker->idle)
        pthread_cond_wait(&worker->called, &pool->lock);
}

/* With the lock: give a place to an idle worker, who is to be signalled; NULL when none is idle. */
static struct worker *take_idle(struct acme_pool *pool)
{
    struct worker *worker = SLIST_FIRST(&pool->idle);
    if (worker != NULL) {
        SLIST_REMOVE_HEAD(&pool->idle, next_idle);
        worker->idle = false;
        pool->taken++;
    }
    return worker;
}

/* With the lock: likewise, when there are a task and a place. Others come for tasks by themselves. */
static struct worker *take_for_task(struct acme_pool *pool)
{
    return pool->count > 0 && pool->taken < pool->places ? take_idle(pool) : NULL;
}

/* Without the lock, or the woken thread would only wait for that. */
static void call(struct worker *worker)
{
    if (worker != NULL)
        pthread_cond_signal(&worker->called);
}

static void begin_blocking(void *context)
{
    struct acme_pool *pool = context;
    pthread_mutex_lock(&pool->lock);
    pool->taken--;
    struct worker *worker = take_for_task(pool);
    pthread_mutex_unlock(&pool->lock);
    call(worker);
}

static void end_blocking(void *context)
{
    struct acme_pool *pool = context;
    pthread_mutex_lock(&pool->lock);
    pool->taken++;
    pthread_mutex_unlock(&pool->lock);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct acme_pool *pool = worker->pool;
    worker->blocking = (struct acme_blocking_hooks){begin_blocking, end_blocking, pool};
    acme_blocking_watch(&worker->blocking);
    pthread_mutex_lock(&pool->lock);
    pool->taken++;
    for (;;) {
        while ((pool->count == 0 || pool->taken > pool->places) && !pool->ending)
            wait_for_call(worker);
        if (pool->count == 0)
            break;
        struct entry entry = pool->ring[pool->head];
        pool->head = (pool->head + 1) % pool->size;
        pool->count--;
        pthread_mutex_unlock(&pool->lock);
        entry.run(entry.task);
        pthread_mutex_lock(&pool->lock);
    }
    pool->taken--;
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

struct acme_err acme_pool_create(const char *name, int threads, int places, size_t max_queue,
                                 struct acme_pool **ret)
{
    ENSURE(threads > 0 && places > 0 && max_queue > 0, ACME_E_INTERNAL);
    struct acme_pool *pool = calloc(1, sizeof *pool);
    ENSURE(pool != NULL, ACME_E_NOMEM);
    pthread_mutex_init(&pool->lock, NULL); /* cannot fail with default attributes on Linux */
    SLIST_INIT(&pool->idle);
    pool->places = places;
    pool->size = max_queue;
    pool->ring = calloc(max_queue, sizeof *pool->ring);
    pool->workers = calloc((size_t)threads, sizeof *pool->workers);
    struct acme_err err = acme_ok();
    if (pool->ring == NULL || pool->workers == NULL)
        err = acme_err(ACME_E_NOMEM);
    while (!acme_failed(err) && pool->threads < threads) {
        struct worker *worker = &pool->workers[pool->threads];
        worker->pool = pool;
        pthread_cond_init(&worker->called, NULL);
        err = acme_thread_start(name, work, worker, &worker->thread);
        if (acme_failed(err))
            pthread_cond_destroy(&worker->called);
        else
            pool->threads++;
    }
    if (acme_failed(err)) {
        acme_pool_destroy(pool);
        return err;
    }
    *ret = pool;
    return acme_ok();
}

struct acme_err acme_pool_submit(struct acme_pool *pool, void (*run)(void *task), void *task)
{
    struct acme_err err = acme_ok();
    struct worker *worker = NULL;
    pthread_mutex_lock(&pool->lock);
    if (pool->ending) {
        err = acme_err(ACME_E_STATE);
    } else if (pool->count == pool->size) {
        err = acme_err(ACME_E_BUSY);
    } else {
        pool->ring[(pool->head + pool->count) % pool->size] = (struct entry){.run = run, .task = task};
        pool->count++;
        worker = take_for_task(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    call(worker);
    return err;
}

void acme_pool_end(struct acme_pool *pool)
{
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    for (struct worker *worker; (worker = take_idle(pool)) != NULL;)
        pthread_cond_signal(&worker->called);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->threads; i++)
        pthread_join(pool->workers[i].thread, NULL);
    for (int i = 0; i < pool->threads; i++) /* until here one worker may be calling another */
        pthread_cond_destroy(&pool->workers[i].called);
    pool->threads = 0;
}

void acme_pool_destroy(struct acme_pool *pool)
{
    if (pool == NULL)
        return;
    acme_pool_end(pool);
    pthread_mutex_destroy(&pool->lock);
    free(pool->workers);
    free(pool->ring);
    free(pool);
}
