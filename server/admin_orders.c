/* Orders and issuers as the operator sees them. */
#include "server/admin_internal.h"

#include "protocol/object_json.h"

#include <string.h>

bool acme_admin_order_expired(const struct acme_order *order, int64_t now_ms)
{
    return (order->status == ACME_ORDER_PENDING || order->status == ACME_ORDER_READY) &&
           order->expires_ms <= now_ms;
}

const char *acme_admin_order_status(const struct acme_order *order, int64_t now_ms)
{
    return acme_admin_order_expired(order, now_ms) ? "expired" : acme_order_status_name(order->status);
}

const struct acme_issuer_config *acme_admin_issuer(const struct admin_call *call, const char *name)
{
    const struct acme_config *config = call->options->config;
    for (size_t i = 0; i < config->issuer_count; i++) {
        if (strcmp(config->issuers[i].name, name) == 0)
            return &config->issuers[i];
    }
    return NULL;
}

struct acme_err acme_admin_issuance_job(const struct admin_call *call, const struct acme_issuance *issuance,
                                        struct acme_job_report *ret)
{
    return acme_store_job_find(call->options->store, call->arena, issuance->issuer, issuance->account_id,
                               issuance->id, ret);
}

/* What a processing order waits for; nothing when that has just ended. */
static struct acme_err write_wait(struct admin_call *call, const struct acme_issuance *issuance)
{
    struct acme_job_report report;
    struct acme_err err = acme_admin_issuance_job(call, issuance, &report);
    if (err.code == ACME_E_NOT_FOUND)
        return acme_ok();
    TRY(err);
    acme_jw_bool(call->writer, "under_way", report.leased);
    if (!report.leased)
        acme_jw_time(call->writer, "next_step", report.due_ms);
    acme_jw_int(call->writer, "attempts", report.job.attempts);
    acme_jw_bool(call->writer, "intent", report.job.intent);
    acme_jw_str(call->writer, "note", report.remark.note);
    if (issuance->upstream_ref == NULL) /* noted with the issuance a moment later */
        acme_jw_str(call->writer, "upstream", report.remark.upstream_ref);
    return acme_ok();
}

static struct acme_err write_issuance(struct admin_call *call, const struct acme_order *order)
{
    struct acme_issuance issuance;
    struct acme_err err =
        acme_store_issuance_get(call->options->store, call->arena, order->issuance_id, &issuance);
    if (err.code == ACME_E_NOT_FOUND)
        return acme_ok();
    TRY(err);
    acme_jw_str(call->writer, "issuer", issuance.issuer);
    acme_jw_str(call->writer, "issuance", issuance.id);
    acme_jw_str(call->writer, "upstream", issuance.upstream_ref);
    if (order->status != ACME_ORDER_PROCESSING)
        return acme_ok();
    acme_jw_time(call->writer, "deadline", issuance.deadline_ms);
    return write_wait(call, &issuance);
}

static struct acme_err write_order(struct admin_call *call, const char *id, const char *name)
{
    struct acme_json_writer *writer = call->writer;
    struct acme_order order;
    struct acme_err err = acme_store_order_get(call->options->store, call->arena, id, &order);
    if (err.code == ACME_E_NOT_FOUND) /* removed since it was found */
        return acme_ok();
    TRY(err);
    acme_jw_object(writer, name);
    acme_jw_str(writer, "id", order.id);
    acme_jw_str(writer, "status", acme_admin_order_status(&order, call->now_ms));
    acme_jw_str(writer, "profile", order.profile);
    acme_jw_str(writer, "account", order.account_id);
    acme_jw_array(writer, "names");
    for (size_t i = 0; i < order.identifier_count; i++)
        acme_jw_str(writer, NULL, order.identifiers[i].value);
    acme_jw_array_end(writer);
    acme_jw_time(writer, "created", order.created_ms);
    acme_jw_time(writer, "expires", order.expires_ms);
    acme_jw_time(writer, "not_before", order.not_before_ms);
    acme_jw_time(writer, "not_after", order.not_after_ms);
    acme_jw_time(writer, "finalized", order.finalized_ms);
    acme_jw_str(writer, "csr_sha256", order.csr_sha256);
    if (order.issuance_id != NULL)
        TRY(write_issuance(call, &order));
    acme_jw_str(writer, "certificate", order.certificate_id);
    acme_jw_raw(writer, "error", order.error);
    acme_jw_object_end(writer);
    return acme_ok();
}

struct acme_err acme_admin_order_list(struct admin_call *call)
{
    const struct acme_admin_request *request = call->request;
    struct acme_order_filter filter = {.status = request->status};
    const char **ids = NULL;
    const char *looked_back = NULL;
    size_t count = 0;
    if (request->account != NULL)
        TRY(acme_admin_resolve(call, ACME_OBJECT_ACCOUNT, request->account, &filter.account_id));
    TRY(acme_store_orders_newest(call->options->store, call->arena, &filter, request->limit, &ids, &count,
                                 &looked_back));
    acme_jw_array(call->writer, "orders");
    for (size_t i = 0; i < count; i++)
        TRY(write_order(call, ids[i], NULL));
    acme_jw_array_end(call->writer);
    acme_jw_bool(call->writer, "more", count == request->limit);
    acme_jw_str(call->writer, "looked_back_to", looked_back);
    return acme_ok();
}

struct acme_err acme_admin_order_show(struct admin_call *call)
{
    const char *id = NULL;
    TRY(acme_admin_resolve(call, ACME_OBJECT_ORDER, call->request->id, &id));
    return write_order(call, id, "order");
}

/* ---- issuers ---- */

void acme_admin_write_counts(struct acme_json_writer *writer, const char *name,
                             const struct acme_queue_report *report, enum acme_job_kind kind)
{
    acme_jw_object(writer, name);
    acme_jw_int(writer, "under_way", (int64_t)report->under_way[kind]);
    acme_jw_int(writer, "due", (int64_t)report->due[kind]);
    acme_jw_int(writer, "waiting", (int64_t)report->waiting[kind]);
    acme_jw_object_end(writer);
}

static struct acme_err write_issuer(struct admin_call *call, const char *name,
                                    const struct acme_issuer_config *issuer)
{
    struct acme_json_writer *writer = call->writer;
    struct acme_queue_report report;
    TRY(acme_store_queue_report(call->options->store, name, call->now_ms, &report));
    acme_jw_object(writer, NULL);
    acme_jw_str(writer, "name", name);
    acme_jw_str(writer, "type", issuer != NULL ? acme_issuer_type_name(issuer->type) : "not configured");
    if (issuer != NULL && acme_issuer_config_url(issuer) != NULL)
        acme_jw_str(writer, "url", acme_issuer_config_url(issuer));
    acme_admin_write_counts(writer, "issue", &report, ACME_JOB_ISSUE);
    acme_admin_write_counts(writer, "revoke", &report, ACME_JOB_REVOKE);
    acme_jw_int(writer, "intents", (int64_t)report.intents);
    acme_jw_int(writer, "failing", (int64_t)report.failing);
    acme_jw_time(writer, "next_due", report.next_ms);
    acme_jw_time(writer, "oldest", report.oldest_ms);
    acme_jw_object_end(writer);
    return acme_ok();
}

struct acme_err acme_admin_issuer_list(struct admin_call *call)
{
    const struct acme_config *config = call->options->config;
    const char **queues = NULL;
    size_t count = 0;
    TRY(acme_store_jobs_queues(call->options->store, call->arena, &queues, &count));
    acme_jw_array(call->writer, "issuers");
    for (size_t i = 0; i < config->issuer_count; i++)
        TRY(write_issuer(call, config->issuers[i].name, &config->issuers[i]));
    for (size_t i = 0; i < count; i++) { /* whose jobs wait for it to be configured again */
        if (strcmp(queues[i], ACME_VALIDATION_QUEUE) != 0 &&
            strncmp(queues[i], ACME_DEPLOY_QUEUE, sizeof ACME_DEPLOY_QUEUE - 1) != 0 &&
            acme_admin_issuer(call, queues[i]) == NULL)
            TRY(write_issuer(call, queues[i], NULL));
    }
    acme_jw_array_end(call->writer);
    return acme_ok();
}
