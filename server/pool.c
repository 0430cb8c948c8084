#include "server/pool.h"

#include "server/thread.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

struct entry {
    void (*run)(void *task);
    void *task;
};

struct acme_pool {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct entry *ring;
    size_t size;
    size_t head;
    size_t count;
    size_t idle; /* threads that wait for a task */
    bool ending;
    int threads;
    pthread_t *thread;
};

static void *work(void *argument)
{
    struct acme_pool *pool = argument;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->count == 0 && !pool->ending) {
            pool->idle++;
            pthread_cond_wait(&pool->work, &pool->lock);
            pool->idle--;
        }
        if (pool->count == 0)
            break;
        struct entry entry = pool->ring[pool->head];
        pool->head = (pool->head + 1) % pool->size;
        pool->count--;
        pthread_mutex_unlock(&pool->lock);
        entry.run(entry.task);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

struct acme_err acme_pool_create(const char *name, int threads, size_t max_queue, struct acme_pool **ret)
{
    ENSURE(threads > 0 && max_queue > 0, ACME_E_INTERNAL);
    struct acme_pool *pool = calloc(1, sizeof *pool);
    ENSURE(pool != NULL, ACME_E_NOMEM);
    pthread_mutex_init(&pool->lock, NULL); /* neither can fail with default attributes on Linux */
    pthread_cond_init(&pool->work, NULL);
    pool->size = max_queue;
    pool->ring = calloc(max_queue, sizeof *pool->ring);
    pool->thread = calloc((size_t)threads, sizeof *pool->thread);
    struct acme_err err = acme_ok();
    if (pool->ring == NULL || pool->thread == NULL)
        err = acme_err(ACME_E_NOMEM);
    while (!acme_failed(err) && pool->threads < threads) {
        err = acme_thread_start(name, work, pool, &pool->thread[pool->threads]);
        if (!acme_failed(err))
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
    bool wake = false;
    pthread_mutex_lock(&pool->lock);
    if (pool->ending) {
        err = acme_err(ACME_E_STATE);
    } else if (pool->count == pool->size) {
        err = acme_err(ACME_E_BUSY);
    } else {
        pool->ring[(pool->head + pool->count) % pool->size] = (struct entry){.run = run, .task = task};
        pool->count++;
        wake = pool->idle > 0;
    }
    pthread_mutex_unlock(&pool->lock);
    if (wake) /* without the lock, or the woken thread would only wait for that */
        pthread_cond_signal(&pool->work);
    return err;
}

void acme_pool_end(struct acme_pool *pool)
{
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->threads; i++)
        pthread_join(pool->thread[i], NULL);
    pool->threads = 0;
}

void acme_pool_destroy(struct acme_pool *pool)
{
    if (pool == NULL)
        return;
    acme_pool_end(pool);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool->thread);
    free(pool->ring);
    free(pool);
}
