#include "server/sweeper.h"

#include "base/log.h"
#include "server/thread.h"

#include <stdlib.h>
#include <time.h>

enum {
    BATCH = 200, /* rows: a write of some milliseconds, between those of clients */
    PAUSE_MS = 20,
    FIRST_AFTER_MS = 5 * 1000,
    PERIOD_MS = 60 * 60 * 1000
};

struct acme_sweeper {
    struct acme_store *store;
    const struct acme_clock *clock;
    int64_t keep_ms;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool stopping;
};

/* True when it is time to stop. */
static bool wait_ms(struct acme_sweeper *sweeper, long ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&sweeper->lock);
    int result = 0;
    while (!sweeper->stopping && result == 0)
        result = pthread_cond_timedwait(&sweeper->stop, &sweeper->lock, &until);
    bool stopping = sweeper->stopping;
    pthread_mutex_unlock(&sweeper->lock);
    return stopping;
}

/* True when it is time to stop. A failure ends the round; the next one begins anew. */
static bool sweep_once(struct acme_sweeper *sweeper)
{
    struct acme_sweep sweep = {.ended_before_ms = acme_clock_now_ms(sweeper->clock) - sweeper->keep_ms,
                               .batch = BATCH};
    struct acme_err err = acme_ok();
    bool stopping = false;
    while (!stopping && !acme_failed(err) && sweep.stage < ACME_SWEEP_STAGES) {
        err = acme_store_sweep(sweeper->store, &sweep);
        stopping = wait_ms(sweeper, PAUSE_MS);
    }
    size_t total = 0;
    for (size_t i = 0; i < ACME_SWEEP_STAGES; i++)
        total += sweep.removed[i];
    if (acme_failed(err))
        acme_log(ERROR, "what has ended could not be removed", LOG_STR("code", acme_code_name(err.code)));
    if (total > 0)
        acme_log(INFO, "removed what ended long ago",
                 LOG_INT("certificates", sweep.removed[ACME_SWEEP_CERTIFICATES]),
                 LOG_INT("failed_issuances", sweep.removed[ACME_SWEEP_ISSUANCES]),
                 LOG_INT("orders", sweep.removed[ACME_SWEEP_ORDERS]),
                 LOG_INT("authorizations", sweep.removed[ACME_SWEEP_AUTHZS]));
    return stopping;
}

static void *sweeper_main(void *argument)
{
    struct acme_sweeper *sweeper = argument;
    long pause_ms = FIRST_AFTER_MS;
    while (!wait_ms(sweeper, pause_ms) && !sweep_once(sweeper))
        pause_ms = PERIOD_MS;
    return NULL;
}

static void release(struct acme_sweeper *sweeper)
{
    pthread_cond_destroy(&sweeper->stop);
    pthread_mutex_destroy(&sweeper->lock);
    free(sweeper);
}

struct acme_err acme_sweeper_start(struct acme_store *store, const struct acme_clock *clock, int64_t keep_ms,
                                   struct acme_sweeper **ret)
{
    struct acme_sweeper *sweeper = calloc(1, sizeof *sweeper);
    ENSURE(sweeper != NULL, ACME_E_NOMEM);
    sweeper->store = store;
    sweeper->clock = clock;
    sweeper->keep_ms = keep_ms;
    pthread_mutex_init(&sweeper->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&sweeper->stop, &monotonic);
    pthread_condattr_destroy(&monotonic);
    struct acme_err err = acme_thread_start("sweeper", sweeper_main, sweeper, &sweeper->thread);
    if (acme_failed(err))
        release(sweeper);
    else
        *ret = sweeper;
    return err;
}

void acme_sweeper_stop(struct acme_sweeper *sweeper)
{
    if (sweeper == NULL)
        return;
    pthread_mutex_lock(&sweeper->lock);
    sweeper->stopping = true;
    pthread_cond_signal(&sweeper->stop);
    pthread_mutex_unlock(&sweeper->lock);
    pthread_join(sweeper->thread, NULL);
    release(sweeper);
}
