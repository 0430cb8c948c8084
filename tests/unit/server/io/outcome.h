/* How an outbound call or fetch ended, for tests that wait for it. */
#ifndef ACME_TESTS_OUTCOME_H
#define ACME_TESTS_OUTCOME_H

#include "server/outbound.h"

#include <pthread.h>

/* What `done` saw, copied. */
struct outcome {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int calls;
    enum acme_outbound_failure failure;
    int status;
    char detail[1024];
    char url[1024];
    char body[1024];
    size_t body_len;
    char field[256]; /* x-test */
};

struct outcome *outcome_new(void);
void outcome_free(struct outcome *outcome);

/** outcome_done: the acme_outbound_done to hand over, with the outcome as context. */
void outcome_done(void *context, const struct acme_outbound_result *result);

/** outcome_wait(outcome): until it was called, exactly once, or 30 s have passed: then the test fails. */
void outcome_wait(struct outcome *outcome);

#endif
