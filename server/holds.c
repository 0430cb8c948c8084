#include "server/holds.h"

#include "base/id.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

struct hold {
    TAILQ_ENTRY(hold) by_deadline;
    LIST_ENTRY(hold) by_id;
    struct acme_http_exchange *exchange;
    struct acme_arena *arena;
    struct acme_response response;
    char id[ACME_ID_SIZE]; /* unique whatever it names */
    struct timespec deadline;
};

enum { BUCKETS = 256, HELD_MAX = 4096 };

TAILQ_HEAD(hold_queue, hold);
LIST_HEAD(hold_bucket, hold);

struct acme_holds {
    void (*settle)(void *context, struct acme_http_exchange *exchange, struct acme_arena *arena,
                   enum acme_hold hold, const char *id, const struct acme_authz *decided);
    void *context;
    pthread_t timer;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct hold_queue queue; /* in deadline order; there are few different durations */
    struct hold_bucket buckets[BUCKETS];
    struct timespec timer_until; /* the timer sleeps until then at the latest; 0: until it is told */
    size_t count;
    bool closed;
    bool stopping;
};

static struct hold_bucket *bucket_of(struct acme_holds *holds, const char *id)
{
    unsigned hash = 5381;
    for (const char *p = id; *p != '\0'; p++)
        hash = hash * 33 + (unsigned char)*p;
    return &holds->buckets[hash % BUCKETS];
}

static void unlink_hold(struct acme_holds *holds, struct hold *hold)
{
    TAILQ_REMOVE(&holds->queue, hold, by_deadline);
    LIST_REMOVE(hold, by_id);
    holds->count--;
}

static void send_as_is(struct hold *hold)
{
    acme_http_respond(hold->exchange, &hold->response);
    free(hold);
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

static bool passed(const struct timespec *deadline)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return !is_before(&now, deadline);
}

static void *timer_main(void *argument)
{
    struct acme_holds *holds = argument;
    pthread_mutex_lock(&holds->lock);
    while (!holds->stopping) {
        struct hold *first = TAILQ_FIRST(&holds->queue);
        if (first != NULL && passed(&first->deadline)) {
            unlink_hold(holds, first);
            pthread_mutex_unlock(&holds->lock);
            send_as_is(first);
            pthread_mutex_lock(&holds->lock);
        } else if (first != NULL) {
            holds->timer_until = first->deadline;
            pthread_cond_timedwait(&holds->changed, &holds->lock, &holds->timer_until);
        } else if (holds->timer_until.tv_sec != 0 && !passed(&holds->timer_until)) {
            /* Most holds end long before their time. To sleep on spares the next one the waking. */
            pthread_cond_timedwait(&holds->changed, &holds->lock, &holds->timer_until);
        } else {
            holds->timer_until = (struct timespec){.tv_sec = 0};
            pthread_cond_wait(&holds->changed, &holds->lock);
        }
    }
    pthread_mutex_unlock(&holds->lock);
    return NULL;
}

struct acme_err acme_holds_create(void (*settle)(void *context, struct acme_http_exchange *exchange,
                                                 struct acme_arena *arena, enum acme_hold hold,
                                                 const char *id, const struct acme_authz *decided),
                                  void *context, struct acme_holds **ret)
{
    struct acme_holds *holds = calloc(1, sizeof *holds);
    ENSURE(holds != NULL, ACME_E_NOMEM);
    holds->settle = settle;
    holds->context = context;
    TAILQ_INIT(&holds->queue);
    pthread_mutex_init(&holds->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&holds->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&holds->timer, NULL, timer_main, holds) != 0) {
        pthread_cond_destroy(&holds->changed);
        pthread_mutex_destroy(&holds->lock);
        free(holds);
        return acme_err(ACME_E_IO);
    }
    *ret = holds;
    return acme_ok();
}

/* With the lock. */
static void insert(struct acme_holds *holds, struct hold *hold)
{
    struct hold *before = TAILQ_LAST(&holds->queue, hold_queue);
    while (before != NULL && is_before(&hold->deadline, &before->deadline))
        before = TAILQ_PREV(before, hold_queue, by_deadline);
    if (before != NULL)
        TAILQ_INSERT_AFTER(&holds->queue, before, hold, by_deadline);
    else
        TAILQ_INSERT_HEAD(&holds->queue, hold, by_deadline);
    LIST_INSERT_HEAD(bucket_of(holds, hold->id), hold, by_id);
    holds->count++;
}

void acme_holds_add(struct acme_holds *holds, struct acme_http_exchange *exchange, struct acme_arena *arena,
                    const struct acme_response *response)
{
    struct hold *hold = strlen(response->hold_id) < ACME_ID_SIZE ? calloc(1, sizeof *hold) : NULL;
    if (hold == NULL) {
        acme_http_respond(exchange, response);
        return;
    }
    hold->exchange = exchange;
    hold->arena = arena;
    hold->response = *response;
    strncpy(hold->id, response->hold_id, sizeof hold->id - 1);
    clock_gettime(CLOCK_MONOTONIC, &hold->deadline);
    hold->deadline.tv_sec += (time_t)(response->hold_ms / 1000);
    hold->deadline.tv_nsec += (long)(response->hold_ms % 1000) * 1000000;
    if (hold->deadline.tv_nsec >= 1000000000) {
        hold->deadline.tv_sec++;
        hold->deadline.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&holds->lock);
    bool kept = !holds->closed && holds->count < HELD_MAX;
    if (kept) {
        bool oversleeps = holds->timer_until.tv_sec == 0 || is_before(&hold->deadline, &holds->timer_until);
        insert(holds, hold);
        if (oversleeps)
            pthread_cond_signal(&holds->changed);
    }
    pthread_mutex_unlock(&holds->lock);
    if (!kept)
        send_as_is(hold);
}

void acme_holds_release(struct acme_holds *holds, const char *id, const struct acme_authz *decided)
{
    struct hold_queue released = TAILQ_HEAD_INITIALIZER(released);
    pthread_mutex_lock(&holds->lock);
    struct hold *next;
    for (struct hold *hold = LIST_FIRST(bucket_of(holds, id)); hold != NULL; hold = next) {
        next = LIST_NEXT(hold, by_id);
        if (strcmp(hold->id, id) != 0)
            continue;
        unlink_hold(holds, hold);
        TAILQ_INSERT_TAIL(&released, hold, by_deadline);
    }
    pthread_mutex_unlock(&holds->lock);
    struct hold *hold;
    while ((hold = TAILQ_FIRST(&released)) != NULL) {
        TAILQ_REMOVE(&released, hold, by_deadline);
        holds->settle(holds->context, hold->exchange, hold->arena, hold->response.hold, hold->id, decided);
        free(hold);
    }
}

void acme_holds_flush(struct acme_holds *holds)
{
    struct hold_queue all = TAILQ_HEAD_INITIALIZER(all);
    pthread_mutex_lock(&holds->lock);
    bool running = !holds->stopping;
    holds->closed = true;
    holds->stopping = true;
    struct hold *hold;
    while ((hold = TAILQ_FIRST(&holds->queue)) != NULL) {
        unlink_hold(holds, hold);
        TAILQ_INSERT_TAIL(&all, hold, by_deadline);
    }
    pthread_cond_signal(&holds->changed);
    pthread_mutex_unlock(&holds->lock);
    while ((hold = TAILQ_FIRST(&all)) != NULL) {
        TAILQ_REMOVE(&all, hold, by_deadline);
        send_as_is(hold);
    }
    if (running) /* it may be about to send one that it had taken before */
        pthread_join(holds->timer, NULL);
}

void acme_holds_destroy(struct acme_holds *holds)
{
    if (holds == NULL)
        return;
    acme_holds_flush(holds);
    pthread_cond_destroy(&holds->changed);
    pthread_mutex_destroy(&holds->lock);
    free(holds);
}
