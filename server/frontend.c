#include "server/frontend.h"

#include "base/id.h"
#include "base/problem.h"
#include "protocol/service.h"
#include "server/delivery.h"

#include <string.h>

enum { CHECK_ARENA_BYTES = 4 * 1024 * 1024 }; /* a cap: an order for a thousand names */

/* One request on its way through a worker; lives in the request's arena. */
struct worker_task {
    struct acme_frontend *frontend;
    struct acme_http_exchange *exchange;
    struct acme_request request;
};

/* The jobs that the request on this worker has made. They are started after its response is sent or held: a
 * job that ends at once must find the held response, and the arena with the job's texts is gone once the
 * response is out, hence the copies. */
struct created_job {
    char id[ACME_ID_SIZE];
    char subject_id[ACME_ID_SIZE];
    char queue[33];
    char share[ACME_ID_SIZE];
    struct acme_job job;
};
enum { JOBS_PER_REQUEST = 2 };
static _Thread_local struct created_job created[JOBS_PER_REQUEST];
static _Thread_local size_t created_count;

static bool copy_text(char *out, size_t size, const char *text)
{
    size_t len = strlen(text);
    if (len >= size)
        return false;
    memcpy(out, text, len + 1);
    return true;
}

void acme_frontend_job_created(void *context, const struct acme_job *job)
{
    (void)context;
    if (created_count == JOBS_PER_REQUEST)
        return; /* comes back when its lease ends */
    struct created_job *copy = &created[created_count];
    if (!copy_text(copy->id, sizeof copy->id, job->id) ||
        !copy_text(copy->subject_id, sizeof copy->subject_id, job->subject_id) ||
        !copy_text(copy->queue, sizeof copy->queue, job->queue) ||
        !copy_text(copy->share, sizeof copy->share, job->share == NULL ? "" : job->share))
        return;
    copy->job = *job;
    copy->job.id = copy->id;
    copy->job.subject_id = copy->subject_id;
    copy->job.queue = copy->queue;
    copy->job.share = copy->share;
    copy->job.state = NULL;
    created_count++;
}

static bool is_undecided(struct acme_frontend *frontend, enum acme_hold hold, const char *id)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(CHECK_ARENA_BYTES);
    return arena != NULL && acme_service_is_undecided(frontend->service, arena, hold, id);
}

/* Clients with many names trigger one challenge after the other: the first of them that takes its time shall
 * not hold up the rest. */
static bool is_worth_holding(struct acme_frontend *frontend, enum acme_hold hold)
{
    return hold != ACME_HOLD_CHALLENGE || created_count == 0 ||
           !acme_runner_has_others(frontend->runner, &created[0].job);
}

static void handle(void *argument)
{
    const struct worker_task *task = argument;
    struct acme_frontend *frontend = task->frontend;
    struct acme_response response = {.status = 0};
    char id[ACME_ID_SIZE];
    created_count = 0;
    acme_service_handle(frontend->service, &task->request, &response);
    enum acme_hold hold = response.hold;
    if (hold != ACME_HOLD_NONE && !copy_text(id, sizeof id, response.hold_id))
        hold = ACME_HOLD_NONE;
    if (!is_worth_holding(frontend, hold))
        hold = ACME_HOLD_NONE;
    if (hold != ACME_HOLD_NONE)
        acme_holds_add(frontend->holds, task->exchange, task->request.arena, &response);
    else
        acme_http_respond(task->exchange, &response);
    /* The task is gone with the response. */
    for (size_t i = 0; i < created_count; i++)
        acme_runner_run(frontend->runner, &created[i].job);
    /* Who joined something under way may have missed its end. */
    if (hold != ACME_HOLD_NONE && created_count == 0 && !is_undecided(frontend, hold, id))
        acme_holds_release(frontend->holds, id, NULL);
}

static void respond_busy(struct acme_frontend *frontend, struct acme_http_exchange *exchange,
                         struct acme_arena *arena)
{
    struct acme_response response = {.status = 0};
    acme_service_problem_response(frontend->service, arena, ACME_PROBLEM_SERVER_INTERNAL, 503,
                                  "The server is busy; try again in a few seconds.", &response);
    acme_http_respond(exchange, &response);
}

void acme_frontend_settle(void *context, struct acme_http_exchange *exchange, struct acme_arena *arena,
                          enum acme_hold hold, const char *id, const struct acme_authz *decided)
{
    struct acme_frontend *frontend = context;
    struct acme_response response = {.status = 0};
    acme_service_held_response(frontend->service, arena, hold, id, decided, &response);
    acme_http_respond(exchange, &response);
}

/* The path below the base URL's own, NULL when the request is for something else. */
static const char *path_below(const char *base_path, const char *path)
{
    size_t len = strlen(base_path);
    if (strncmp(path, base_path, len) != 0 || path[len] != '/')
        return NULL;
    return path + len;
}

void acme_frontend_on_request(void *context, struct acme_http_exchange *exchange,
                              const struct acme_request *request)
{
    struct acme_frontend *frontend = context;
    struct acme_response response = {.status = 0};
    struct acme_request below = *request;
    below.path = path_below(frontend->base_path, request->path);
    if (below.path == NULL) {
        acme_service_problem_response(frontend->service, request->arena, ACME_PROBLEM_MALFORMED, 404,
                                      "There is no such resource on this server.", &response);
        acme_http_respond(exchange, &response);
        return;
    }
    if (acme_service_is_light(below.method, below.path)) {
        acme_service_handle(frontend->service, &below, &response);
        acme_http_respond(exchange, &response);
        return;
    }
    struct worker_task *task = acme_arena_alloc(request->arena, sizeof *task);
    if (task != NULL)
        *task = (struct worker_task){.frontend = frontend, .exchange = exchange, .request = below};
    if (task == NULL || acme_failed(acme_pool_submit(frontend->workers, handle, task)))
        respond_busy(frontend, exchange, request->arena);
}

void acme_frontend_on_problem(void *context, struct acme_arena *arena, int problem_type, int status,
                              const char *detail, struct acme_response *response)
{
    struct acme_frontend *frontend = context;
    acme_service_problem_response(frontend->service, arena, problem_type, status, detail, response);
}

bool acme_frontend_name_allowed(void *context, struct acme_arena *arena, const struct acme_profile *profile,
                                const struct acme_identifier *identifier, const char **ret_why)
{
    const struct acme_frontend *frontend = context;
    return acme_upstream_watch_allows(frontend->watch, arena, profile->issuer, identifier, ret_why);
}

bool acme_frontend_csr_key_allowed(void *context, struct acme_arena *arena,
                                   const struct acme_profile *profile,
                                   const uint8_t spki_sha256[ACME_SHA256_SIZE], int64_t order_created_ms,
                                   const char **ret_why)
{
    const struct acme_frontend *frontend = context;
    return acme_upstream_watch_allows_key(frontend->watch, arena, profile, spki_sha256, order_created_ms,
                                          ret_why);
}

void acme_frontend_order_made(void *context, const struct acme_profile *profile)
{
    const struct acme_frontend *frontend = context;
    if (!profile->key_at_edge)
        acme_upstream_watch_want_keys(frontend->watch, profile->issuer);
}

bool acme_frontend_issue_at_once(void *context, struct acme_arena *arena, const struct acme_profile *profile,
                                 const struct acme_issuance *issuance, const struct acme_csr *csr,
                                 struct acme_certificate *ret)
{
    const struct acme_frontend *frontend = context;
    return acme_issue_at_once(acme_runner_options_of(frontend->runner), arena, profile, issuance, csr, ret);
}

void acme_frontend_jobs_due(void *context, const char *queue)
{
    const struct acme_frontend *frontend = context;
    acme_runner_wake(frontend->runner, queue);
}
