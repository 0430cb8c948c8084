/* What only the operator can decide: shown, and answered. For the jobs of orders and of deployments alike. */
#include "server/admin_internal.h"

#include "base/log.h"
#include "base/problem.h"

#include <string.h>

enum { KEY_SHOWN = 100, KEY_PREFIX_MIN = 8 };

void acme_admin_write_question(struct acme_json_writer *writer, const struct acme_job_question *question)
{
    static const char *const words[] = {
        [ACME_ANSWER_NONE] = NULL, [ACME_ANSWER_ACKNOWLEDGE] = "acknowledge", [ACME_ANSWER_DENY] = "deny"};
    acme_jw_object(writer, "question");
    acme_jw_str(writer, "text", question->text);
    acme_jw_str(writer, "details", question->details);
    acme_jw_time(writer, "asked", question->asked_ms);
    acme_jw_time(writer, "deadline", question->deadline_ms);
    acme_jw_str(writer, "key", question->key);
    if (question->answer != ACME_ANSWER_NONE) {
        acme_jw_str(writer, "answer", words[question->answer]);
        acme_jw_time(writer, "answered", question->answered_ms);
        acme_jw_str(writer, "answered_by", question->answered_by);
    }
    acme_jw_object_end(writer);
}

/* The whole key, or enough of its beginning. */
static bool means_key(const char *given, const char *key)
{
    size_t len = strlen(given);
    return strcmp(given, key) == 0 || (len >= KEY_PREFIX_MIN && strncmp(given, key, len) == 0);
}

static struct acme_err changed(struct admin_call *call)
{
    return acme_admin_refused(call, "changed",
                              "what is asked has changed since that key was shown, nothing was decided: look "
                              "again, and answer with the new key");
}

static struct acme_err answer(struct admin_call *call, const char *job_id, const char *about,
                              struct acme_job_question *question)
{
    const struct acme_admin_request *request = call->request;
    bool deny = request->decision == ACME_ANSWER_DENY;
    if (!means_key(request->key, question->key))
        return changed(call);
    struct acme_err err = acme_store_question_answer(call->options->store, job_id, question->key,
                                                     request->decision, request->by, call->now_ms);
    if (err.code == ACME_E_STATE)
        return changed(call);
    TRY(err);
    const char *key = acme_printable(call->arena, question->key, strlen(question->key), KEY_SHOWN);
    const char *by =
        request->by == NULL ? NULL : acme_printable(call->arena, request->by, strlen(request->by), KEY_SHOWN);
    acme_log(INFO, deny ? "the operator denies" : "the operator acknowledges", LOG_STR("about", about),
             LOG_STR("key", key), LOG_STR("by", by));
    question->answer = request->decision;
    question->answered_ms = call->now_ms;
    question->answered_by = request->by;
    if (call->options->jobs_changed != NULL)
        call->options->jobs_changed(call->options->context);
    return acme_ok();
}

struct acme_err acme_admin_question(struct admin_call *call, const char *job_id, const char *about)
{
    struct acme_job_question question;
    struct acme_err err = acme_store_question_get(call->options->store, call->arena, job_id, &question);
    if (err.code == ACME_E_NOT_FOUND)
        return acme_admin_refused(call, "nothing-asked", "nothing has to be decided about %s now", about);
    TRY(err);
    if (call->request->decision != ACME_ANSWER_NONE)
        TRY(answer(call, job_id, about, &question));
    acme_admin_write_question(call->writer, &question);
    return acme_ok();
}

struct acme_err acme_admin_order_acknowledge(struct admin_call *call)
{
    const char *id = NULL;
    struct acme_order order;
    struct acme_issuance issuance;
    struct acme_job_report report;
    TRY(acme_admin_resolve(call, ACME_OBJECT_ORDER, call->request->id, &id));
    TRY(acme_store_order_get(call->options->store, call->arena, id, &order));
    if (order.status != ACME_ORDER_PROCESSING || order.issuance_id == NULL)
        return acme_admin_refused(call, "nothing-asked",
                                  "nothing has to be decided about the order %s: it is %s", id,
                                  acme_admin_order_status(&order, call->now_ms));
    TRY(acme_store_issuance_get(call->options->store, call->arena, order.issuance_id, &issuance));
    struct acme_err err = acme_admin_issuance_job(call, &issuance, &report);
    if (err.code == ACME_E_NOT_FOUND)
        return acme_admin_refused(call, "nothing-asked",
                                  "nothing has to be decided about the order %s: it has just ended", id);
    TRY(err);
    acme_jw_str(call->writer, "order", id);
    return acme_admin_question(call, report.job.id, acme_arena_printf(call->arena, "order %s", id));
}
