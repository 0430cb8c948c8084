/* Shared by the files that answer the operator's questions. */
#ifndef ACME_SERVER_ADMIN_INTERNAL_H
#define ACME_SERVER_ADMIN_INTERNAL_H

#include "server/admin.h"

#include "base/json_writer.h"

struct acme_admin_request {
    enum acme_admin_command command;
    const char *id;       /* as it came; NULL for lists */
    const char *status;   /* of order list and deploy list; NULL: any */
    const char *deployer; /* of deploy list; NULL: of all */
    const char *account;  /* of order list, as it came; NULL: of all */
    size_t limit;
    int64_t expiring_days;         /* of certificate list; negative: not asked for */
    enum acme_job_answer decision; /* of an acknowledgement; NONE: only show what is asked */
    const char *key;               /* with a decision */
    const char *by;                /* likewise; NULL: not said */
};

/** acme_admin_request_parse(arena, line, len, ret, ret_why): read a question strictly: members that the
 * command does not have are mistakes. *ret_why: what is wrong, in `arena` or static. Errors: FORMAT, NOMEM.
 * Thread: any. */
struct acme_err acme_admin_request_parse(struct acme_arena *arena, const char *line, size_t len,
                                         struct acme_admin_request *ret, const char **ret_why) ACME_MUST_USE;

/* One question being answered. */
struct admin_call {
    const struct acme_admin_options *options;
    const struct acme_admin_request *request;
    struct acme_arena *arena;
    struct acme_json_writer *writer; /* inside of the object "result" */
    int64_t now_ms;
    const char *refusal; /* after ACME_E_PROBLEM: the code of the error */
    const char *detail;  /* likewise */
};

/* One handler per command: writes the members of "result". Errors: PROBLEM (refusal and detail are set); else
 * our own failure. */
typedef struct acme_err (*acme_admin_handler)(struct admin_call *call);

struct acme_err acme_admin_order_list(struct admin_call *call) ACME_MUST_USE;
struct acme_err acme_admin_order_show(struct admin_call *call) ACME_MUST_USE;
struct acme_err acme_admin_order_explain(struct admin_call *call) ACME_MUST_USE;
struct acme_err acme_admin_order_acknowledge(struct admin_call *call) ACME_MUST_USE;
struct acme_err acme_admin_deploy_acknowledge(struct admin_call *call) ACME_MUST_USE;
struct acme_err acme_admin_account_list(struct admin_call *call) ACME_MUST_USE;
struct acme_err acme_admin_account_show(struct admin_call *call) ACME_MUST_USE;
struct acme_err acme_admin_account_deactivate(struct admin_call *call) ACME_MUST_USE;
struct acme_err acme_admin_certificate_list(struct admin_call *call) ACME_MUST_USE;
struct acme_err acme_admin_certificate_show(struct admin_call *call) ACME_MUST_USE;
struct acme_err acme_admin_issuer_list(struct admin_call *call) ACME_MUST_USE;
struct acme_err acme_admin_deploy_list(struct admin_call *call) ACME_MUST_USE;
struct acme_err acme_admin_deploy_show(struct admin_call *call) ACME_MUST_USE;
struct acme_err acme_admin_deploy_retry(struct admin_call *call) ACME_MUST_USE;
struct acme_err acme_admin_deployer_list(struct admin_call *call) ACME_MUST_USE;

/** acme_admin_write_question(writer, question): the member "question". */
void acme_admin_write_question(struct acme_json_writer *writer, const struct acme_job_question *question);

/** acme_admin_question(call, job_id, about): show what the operator is asked about a job, after answering it
 * when the request has a decision. `about` names the job's subject: "order 019a...". Errors: PROBLEM (nothing
 * is asked, or something else than was shown). */
struct acme_err acme_admin_question(struct admin_call *call, const char *job_id,
                                    const char *about) ACME_MUST_USE;

/** acme_admin_refused(call, code, format, ...): set the refusal; returns PROBLEM (NOMEM without memory). */
struct acme_err acme_admin_refused(struct admin_call *call, const char *code, const char *format, ...)
    ACME_PRINTF(3, 4) ACME_MUST_USE;

/** acme_admin_resolve(call, kind, text, ret): the id that `text` means: an id, a unique beginning of one, the
 * object's URL, of a certificate also its serial number. Errors: PROBLEM (none, or several). */
struct acme_err acme_admin_resolve(struct admin_call *call, enum acme_object_kind kind, const char *text,
                                   const char **ret) ACME_MUST_USE;

/** acme_admin_order_expired(order, now_ms): it expired before it was finalized, which nobody has written
 * down.
 */
bool acme_admin_order_expired(const struct acme_order *order, int64_t now_ms);

/** acme_admin_order_status(order, now_ms): its status as the operator sees it: "expired" for the above. */
const char *acme_admin_order_status(const struct acme_order *order, int64_t now_ms);

/** acme_admin_issuer(call, name): its configuration; NULL when it has none any more. */
const struct acme_issuer_config *acme_admin_issuer(const struct admin_call *call, const char *name);

/** acme_admin_issuance_job(call, issuance, ret): the job of an issuance. Errors: NOT_FOUND. */
struct acme_err acme_admin_issuance_job(const struct admin_call *call, const struct acme_issuance *issuance,
                                        struct acme_job_report *ret) ACME_MUST_USE;

/** acme_admin_deployment_job(call, deployment, ret): its job. Errors: NOT_FOUND. */
struct acme_err acme_admin_deployment_job(const struct admin_call *call,
                                          const struct acme_deployment *deployment,
                                          struct acme_job_report *ret) ACME_MUST_USE;

/** acme_admin_deployment_status(deployment): as the operator sees it: "revoked, still in place" and
 * "deployed, replaced since" beside the stored words. Static. */
const char *acme_admin_deployment_status(const struct acme_deployment *deployment);

/** acme_admin_write_counts(writer, name, report, kind): the jobs of a kind in a queue, as an object. */
void acme_admin_write_counts(struct acme_json_writer *writer, const char *name,
                             const struct acme_queue_report *report, enum acme_job_kind kind);

#endif
