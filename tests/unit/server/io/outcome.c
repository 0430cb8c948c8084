#include "outcome.h"

#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void outcome_done(void *context, const struct acme_outbound_result *result)
{
    struct outcome *outcome = context;
    pthread_mutex_lock(&outcome->lock);
    outcome->calls++;
    outcome->failure = result->failure;
    snprintf(outcome->detail, sizeof outcome->detail, "%s", result->detail != NULL ? result->detail : "");
    snprintf(outcome->url, sizeof outcome->url, "%s", result->final_url != NULL ? result->final_url : "");
    if (result->reply != NULL) {
        const char *field = acme_http_reply_header(result->reply, "x-test");
        snprintf(outcome->field, sizeof outcome->field, "%s", field != NULL ? field : "");
        outcome->status = result->reply->status;
        outcome->body_len = result->reply->body.len;
        snprintf(outcome->body, sizeof outcome->body, "%.*s", (int)result->reply->body.len,
                 result->reply->body.len > 0 ? (const char *)result->reply->body.data : "");
    }
    pthread_cond_broadcast(&outcome->changed);
    pthread_mutex_unlock(&outcome->lock);
}

struct outcome *outcome_new(void)
{
    struct outcome *outcome = calloc(1, sizeof *outcome);
    pthread_mutex_init(&outcome->lock, NULL);
    pthread_cond_init(&outcome->changed, NULL);
    return outcome;
}

void outcome_wait(struct outcome *outcome)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 30;
    pthread_mutex_lock(&outcome->lock);
    while (outcome->calls == 0)
        if (pthread_cond_timedwait(&outcome->changed, &outcome->lock, &until) != 0)
            break;
    assert_int_equal(outcome->calls, 1);
    pthread_mutex_unlock(&outcome->lock);
}

void outcome_free(struct outcome *outcome)
{
    pthread_mutex_destroy(&outcome->lock);
    pthread_cond_destroy(&outcome->changed);
    free(outcome);
}
