/* Between HTTP and the protocol: light requests are answered on the I/O loop, the others by the workers. */
#ifndef ACME_SERVER_FRONTEND_H
#define ACME_SERVER_FRONTEND_H

#include "server/holds.h"
#include "server/http.h"
#include "server/pool.h"
#include "server/runner.h"
#include "server/upstream_watch.h"

struct acme_frontend {
    const char *base_path; /* the path part of the base URL, "" when it has none */
    struct acme_service *service;
    struct acme_pool *workers;
    struct acme_holds *holds;
    struct acme_runner *runner;
    struct acme_upstream_watch *watch;
};

/** acme_frontend_on_request / _on_problem: the callbacks of struct acme_http_callbacks; context is a struct
 * acme_frontend. */
void acme_frontend_on_request(void *context, struct acme_http_exchange *exchange,
                              const struct acme_request *request);
void acme_frontend_on_problem(void *context, struct acme_arena *arena, int problem_type, int status,
                              const char *detail, struct acme_response *response);

/** acme_frontend_job_created(context, job): the hook of the service. Thread: the worker that runs the
 * request. */
void acme_frontend_job_created(void *context, const struct acme_job *job);

/** acme_frontend_name_allowed(context, arena, profile, identifier, ret_why): the other hook. Thread:
 * likewise.
 */
bool acme_frontend_name_allowed(void *context, struct acme_arena *arena, const struct acme_profile *profile,
                                const struct acme_identifier *identifier, const char **ret_why);

/** acme_frontend_csr_key_allowed(...), acme_frontend_order_made(context, profile): hooks, likewise. */
bool acme_frontend_csr_key_allowed(void *context, struct acme_arena *arena,
                                   const struct acme_profile *profile,
                                   const uint8_t spki_sha256[ACME_SHA256_SIZE], int64_t order_created_ms,
                                   const char **ret_why);
void acme_frontend_order_made(void *context, const struct acme_profile *profile);

/** acme_frontend_issue_at_once(...), acme_frontend_jobs_due(context, queue): hooks, likewise. */
bool acme_frontend_issue_at_once(void *context, struct acme_arena *arena, const struct acme_profile *profile,
                                 const struct acme_issuance *issuance, const struct acme_csr *csr,
                                 struct acme_certificate *ret);
void acme_frontend_jobs_due(void *context, const char *queue);

/** acme_frontend_settle(context, exchange, arena, hold, id, decided): the callback of acme_holds_create.
 * Thread: who releases the hold. */
void acme_frontend_settle(void *context, struct acme_http_exchange *exchange, struct acme_arena *arena,
                          enum acme_hold hold, const char *id, const struct acme_authz *decided);

#endif
