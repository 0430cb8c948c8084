#include "server/upstream_inspect.h"

#include "server/secret_file.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    REPLY_BYTES = 8 * 1024 * 1024,
    LOOK_MS = 100,   /* how often a waiting call looks whether to stop */
    CALLS_MAX = 1000 /* an issuer that never ends is broken */
};

/* One call: shared by who waits and by the loop that answers. Whoever is last releases it. */
struct answer {
    pthread_mutex_t lock;
    pthread_cond_t there;
    int users;
    bool done;
    enum acme_outbound_failure failure;
    struct acme_arena *arena; /* of the copies */
    const struct acme_http_reply *reply;
    const char *detail;
};

static struct answer *answer_new(void)
{
    struct answer *answer = calloc(1, sizeof *answer);
    if (answer == NULL || (answer->arena = acme_arena_create(REPLY_BYTES)) == NULL) {
        free(answer);
        return NULL;
    }
    acme_arena_wipe_at_end(answer->arena);
    pthread_mutex_init(&answer->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&answer->there, &monotonic);
    pthread_condattr_destroy(&monotonic);
    answer->users = 2;
    return answer;
}

static void answer_leave(struct answer *answer, int users)
{
    pthread_mutex_lock(&answer->lock);
    answer->users -= users;
    bool last = answer->users == 0;
    pthread_mutex_unlock(&answer->lock);
    if (!last)
        return;
    pthread_cond_destroy(&answer->there);
    pthread_mutex_destroy(&answer->lock);
    acme_arena_destroy(answer->arena);
    free(answer);
}

/* On the outbound thread. */
static void call_done(void *context, const struct acme_outbound_result *result)
{
    struct answer *answer = context;
    pthread_mutex_lock(&answer->lock);
    answer->failure = result->failure;
    if (result->failure == ACME_OUTBOUND_OK)
        answer->reply = acme_http_reply_copy(answer->arena, result->reply);
    else
        answer->detail = acme_arena_strdup(answer->arena, result->detail != NULL ? result->detail : "");
    answer->done = true;
    pthread_cond_signal(&answer->there);
    pthread_mutex_unlock(&answer->lock);
    answer_leave(answer, 1);
}

/* False when it is time to stop. */
static bool wait_for(struct answer *answer, bool (*stopping)(void *context), void *context)
{
    pthread_mutex_lock(&answer->lock);
    while (!answer->done && (stopping == NULL || !stopping(context))) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += LOOK_MS * 1000000L;
        if (until.tv_nsec >= 1000000000) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000;
        }
        pthread_cond_timedwait(&answer->there, &answer->lock, &until);
    }
    bool done = answer->done;
    pthread_mutex_unlock(&answer->lock);
    return done && answer->failure != ACME_OUTBOUND_CANCELLED;
}

struct acme_err acme_upstream_inspect(struct acme_outbound *outbound, const struct acme_backend *backend,
                                      const struct acme_inspect_request *request, struct acme_arena *arena,
                                      bool (*stopping)(void *context), void *context,
                                      struct acme_inspection **ret)
{
    static const struct acme_job_services services = {.read_secret = acme_secret_file_load};
    struct acme_inspection *inspection = acme_arena_alloc(arena, sizeof *inspection);
    ENSURE(inspection != NULL, ACME_E_NOMEM);
    struct answer *answer = NULL; /* of the call before, which the step reads */
    struct acme_step_input input = {.event = ACME_EVENT_START};
    struct acme_err err = acme_err(ACME_E_INTERNAL);
    for (int calls = 0; calls < CALLS_MAX; calls++) {
        struct acme_inspect_step step = {.done = true};
        input.now_ms = acme_clock_now_ms(&acme_clock_system);
        input.services = &services;
        err = backend->inspect(backend, arena, request, inspection, &input, &step);
        if (answer != NULL)
            answer_leave(answer, 1);
        answer = NULL;
        if (acme_failed(err) || step.done)
            break;
        answer = answer_new();
        err = answer == NULL
                  ? acme_err(ACME_E_NOMEM)
                  : acme_outbound_call(outbound, &backend->transport, &step.call, call_done, answer);
        if (acme_failed(err)) {
            if (answer != NULL)
                answer_leave(answer, 2);
            answer = NULL;
            break;
        }
        err = acme_err(ACME_E_STATE);
        if (!wait_for(answer, stopping, context))
            break;
        input = (struct acme_step_input){.event = ACME_EVENT_CALL_FAILED, .failure = answer->detail};
        if (answer->failure == ACME_OUTBOUND_OK) {
            input = (struct acme_step_input){.event = ACME_EVENT_REPLY, .reply = answer->reply};
            err = acme_err(ACME_E_NOMEM);
            if (input.reply == NULL)
                break;
        }
        err = acme_err(ACME_E_INTERNAL);
    }
    if (answer != NULL)
        answer_leave(answer, 1);
    TRY(err);
    *ret = inspection;
    return acme_ok();
}

struct acme_err acme_upstream_profiles(const struct acme_config *config, struct acme_arena *arena,
                                       const char *issuer, struct acme_inspect_profile **ret,
                                       size_t *ret_count)
{
    struct acme_inspect_profile *profiles =
        acme_arena_alloc(arena, (config->profile_count + 1) * sizeof *profiles);
    ENSURE(profiles != NULL, ACME_E_NOMEM);
    size_t count = 0;
    for (size_t i = 0; i < config->profile_count; i++) {
        if (strcmp(config->profiles[i].issuer, issuer) == 0)
            profiles[count++] =
                (struct acme_inspect_profile){.name = config->profiles[i].name,
                                              .keys = &config->profiles[i].keys,
                                              .settings = config->profiles[i].issuer_settings};
    }
    *ret = profiles;
    *ret_count = count;
    return acme_ok();
}
