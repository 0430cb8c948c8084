#include "server/caa_check.h"

#include <string.h>
#include <time.h>

enum { TIMEOUT_MS = 10 * 1000, ALL_TIMEOUT_S = 120, MAX_EMPTY = 64 };

struct caa_check {
    struct acme_outbound *outbound;
    struct acme_arena *arena;
    const struct acme_caa_request *requests;
    size_t count;
    size_t at;
    const char *asked;            /* points into the request's name */
    const char *empty[MAX_EMPTY]; /* names known to have no CAA records */
    size_t empty_count;
    time_t deadline; /* monotonic, for all names */
    acme_caa_done done;
    void *context;
};

static struct acme_err ask(struct caa_check *check);

static time_t monotonic_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static void end(struct caa_check *check, const struct acme_caa_result *result)
{
    check->done(check->context, result);
}

static void fail(struct caa_check *check, struct acme_err err, struct acme_problem problem, bool transient)
{
    if (problem.detail == NULL)
        problem.detail = "CAA could not be checked.";
    if (err.code != ACME_E_PROBLEM) {
        problem = (struct acme_problem){.type = ACME_PROBLEM_SERVER_INTERNAL,
                                        .detail = "CAA could not be checked for lack of memory."};
        transient = true;
    }
    end(check, &(struct acme_caa_result){
                   .verdict = acme_err(ACME_E_PROBLEM), .problem = problem, .transient = transient});
}

static void next_name(struct caa_check *check)
{
    check->at++;
    check->asked = check->at < check->count ? check->requests[check->at].name : NULL;
}

static bool is_known_empty(const struct caa_check *check, const char *name)
{
    for (size_t i = 0; i < check->empty_count; i++)
        if (strcmp(check->empty[i], name) == 0)
            return true;
    return false;
}

static void climb(struct caa_check *check)
{
    check->asked = acme_caa_parent(check->asked);
    if (check->asked == NULL) /* no records anywhere: everybody may issue */
        next_name(check);
}

static void on_records(void *context, const struct acme_outbound_result *result)
{
    struct caa_check *check = context;
    const struct acme_caa_request *request = &check->requests[check->at];
    struct acme_problem problem = {.detail = NULL};
    if (result->failure == ACME_OUTBOUND_CANCELLED) {
        end(check, &(struct acme_caa_result){.cancelled = true});
        return;
    }
    if (result->failure != ACME_OUTBOUND_OK) {
        /* Whoever can keep the records from us must not get more than their owner allows. */
        problem.type = ACME_PROBLEM_DNS;
        problem.detail = acme_arena_printf(
            check->arena, "Checking CAA for %s: %s; nothing may be issued without an answer", request->name,
            result->detail != NULL ? result->detail : "no DNS answer");
        fail(check, acme_err(ACME_E_PROBLEM), problem, true);
        return;
    }
    if (result->records->count > 0) {
        struct acme_err err = acme_caa_judge(check->arena, request, check->asked, result->records->data,
                                             result->records->count, &problem);
        if (acme_failed(err)) {
            fail(check, err, problem, false);
            return;
        }
        next_name(check);
    } else {
        if (check->empty_count < MAX_EMPTY)
            check->empty[check->empty_count++] = check->asked;
        climb(check);
    }
    if (monotonic_s() > check->deadline) {
        problem.type = ACME_PROBLEM_DNS;
        problem.detail = "Checking CAA took too long; the DNS is slow";
        fail(check, acme_err(ACME_E_PROBLEM), problem, true);
        return;
    }
    struct acme_err err = ask(check);
    if (acme_failed(err))
        fail(check, err, problem, true);
}

static struct acme_err ask(struct caa_check *check)
{
    while (check->asked != NULL && is_known_empty(check, check->asked))
        climb(check);
    if (check->asked == NULL) {
        end(check, &(struct acme_caa_result){.verdict = acme_ok()});
        return acme_ok();
    }
    return acme_outbound_lookup(check->outbound, check->asked, ACME_DNS_TYPE_CAA, TIMEOUT_MS, on_records,
                                check);
}

struct acme_err acme_caa_check(struct acme_outbound *outbound, struct acme_arena *arena,
                               const struct acme_caa_request *requests, size_t count, acme_caa_done done,
                               void *context)
{
    struct caa_check *check = acme_arena_alloc(arena, sizeof *check);
    ENSURE(check != NULL, ACME_E_NOMEM);
    check->outbound = outbound;
    check->arena = arena;
    check->requests = requests;
    check->count = count;
    check->asked = count > 0 ? requests[0].name : NULL;
    check->deadline = monotonic_s() + ALL_TIMEOUT_S;
    check->done = done;
    check->context = context;
    return ask(check);
}
