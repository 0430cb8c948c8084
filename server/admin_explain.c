/* "order explain": what is read, the part of the order and its authorizations, and the answer. */
#include "server/admin_explain.h"

#include "protocol/object_json.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

/* A thing that may be gone, or not there yet: *ret stays NULL then. */
#define LOAD(explain, type, ret, read)                                                                       \
    do {                                                                                                     \
        type *loaded_ = acme_arena_alloc((explain)->arena, sizeof *loaded_);                                 \
        ENSURE(loaded_ != NULL, ACME_E_NOMEM);                                                               \
        struct acme_err load_err_ = (read);                                                                  \
        ENSURE(load_err_.code == ACME_OK || load_err_.code == ACME_E_NOT_FOUND, load_err_.code);             \
        if (load_err_.code == ACME_OK)                                                                       \
            (ret) = loaded_;                                                                                 \
    } while (0)

/* What other issuers make for the issuance. */
static struct acme_err load_children(struct explain *explain)
{
    struct acme_store *store = explain->call->options->store;
    const char **ids = NULL;
    size_t count = 0;
    TRY(acme_store_issuance_children(store, explain->arena, explain->issuance->id, &ids, &count));
    struct acme_issuance *children =
        acme_arena_alloc(explain->arena, (count + 1) * sizeof *explain->children);
    explain->child_jobs = acme_arena_alloc(explain->arena, (count + 1) * sizeof(void *));
    ENSURE(children != NULL && explain->child_jobs != NULL, ACME_E_NOMEM);
    explain->children = children;
    explain->child_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct acme_issuance *child = &children[explain->child_count];
        struct acme_err err = acme_store_issuance_get(store, explain->arena, ids[i], child);
        ENSURE(err.code == ACME_OK || err.code == ACME_E_NOT_FOUND, err.code);
        if (err.code == ACME_E_NOT_FOUND)
            continue;
        LOAD(explain, struct acme_job_report, explain->child_jobs[explain->child_count],
             acme_admin_issuance_job(explain->call, child, loaded_));
        explain->child_count++;
    }
    return acme_ok();
}

static struct acme_err load_issuance(struct explain *explain)
{
    struct acme_store *store = explain->call->options->store;
    const struct acme_order *order = &explain->order;
    if (order->issuance_id == NULL)
        return acme_ok();
    LOAD(explain, struct acme_issuance, explain->issuance,
         acme_store_issuance_get(store, explain->arena, order->issuance_id, loaded_));
    if (explain->issuance == NULL)
        return acme_ok();
    TRY(load_children(explain));
    if (order->status != ACME_ORDER_PROCESSING)
        return acme_ok();
    LOAD(explain, struct acme_job_report, explain->job,
         acme_admin_issuance_job(explain->call, explain->issuance, loaded_));
    if (explain->job != NULL && explain->job->job.asked)
        LOAD(explain, struct acme_job_question, explain->question,
             acme_store_question_get(store, explain->arena, explain->job->job.id, loaded_));
    if (explain->job == NULL || explain->job->job.state == NULL)
        return acme_ok();
    cJSON *state = NULL;
    if (!acme_failed(acme_json_parse(explain->arena, explain->job->job.state, strlen(explain->job->job.state),
                                     &state))) {
        explain->dcv = acme_json_get(state, "dcv");
        explain->dv = acme_json_get(state, "dv");
    }
    return acme_ok();
}

static struct acme_err load_certificate(struct explain *explain)
{
    struct acme_store *store = explain->call->options->store;
    const char *id = explain->order.certificate_id;
    if (id == NULL)
        return acme_ok();
    LOAD(explain, struct acme_certificate, explain->certificate,
         acme_store_certificate_get(store, explain->arena, id, loaded_));
    struct acme_deployment *deployments = NULL;
    TRY(acme_store_deployments_of(store, explain->arena, id, &deployments, &explain->deployment_count));
    explain->deployments = deployments;
    LOAD(explain, struct acme_revocation, explain->revocation,
         acme_store_revocation_get(store, explain->arena, id, loaded_));
    const struct acme_certificate *certificate = explain->certificate;
    if (certificate != NULL && explain->revocation != NULL)
        LOAD(explain, struct acme_job_report, explain->revocation_job,
             acme_store_job_find(store, explain->arena, certificate->issuer, certificate->account_id, id,
                                 loaded_));
    return acme_ok();
}

static struct acme_err load_authzs(struct explain *explain)
{
    const struct acme_order *order = &explain->order;
    explain->authzs = acme_arena_alloc(explain->arena, (order->authz_count + 1) * sizeof *explain->authzs);
    ENSURE(explain->authzs != NULL, ACME_E_NOMEM);
    for (size_t i = 0; i < order->authz_count; i++) {
        struct acme_err err =
            acme_store_authz_get(explain->call->options->store, explain->arena, order->authz_ids[i],
                                 &explain->authzs[explain->authz_count]);
        ENSURE(err.code == ACME_OK || err.code == ACME_E_NOT_FOUND, err.code);
        if (err.code == ACME_OK)
            explain->authz_count++;
    }
    return acme_ok();
}

struct acme_err acme_explain_load(struct explain *explain, const char *order_id)
{
    struct acme_store *store = explain->call->options->store;
    for (int tries = 0; tries < 2; tries++) {
        TRY(acme_store_order_get(store, explain->arena, order_id, &explain->order));
        explain->issuance = NULL;
        explain->question = NULL;
        TRY(load_issuance(explain));
        /* Without a job it has ended between two reads: then the order says how. */
        if (explain->order.status != ACME_ORDER_PROCESSING || explain->job != NULL)
            break;
    }
    TRY(acme_store_account_get(store, explain->arena, explain->order.account_id, &explain->account));
    TRY(load_certificate(explain));
    return load_authzs(explain);
}

/* ---- the order and its authorizations ---- */

static void explain_creation(struct explain *explain)
{
    const struct acme_order *order = &explain->order;
    const struct acme_account *account = &explain->account;
    acme_explain_add(explain, order->created_ms,
                     "account %s ordered a certificate for %s under the profile %s (contacts: %s%s%s%s)",
                     account->id, acme_explain_names(explain, order->identifiers, order->identifier_count),
                     order->profile, acme_explain_list(explain, account->contacts),
                     account->external_kid == NULL ? "" : "; external account: ",
                     account->external_kid == NULL ? "" : account->external_kid,
                     account->status == ACME_ACCOUNT_VALID ? "" : "; the account has been deactivated since");
    if (order->not_before_ms != 0)
        acme_explain_add(explain, order->created_ms, "it shall be valid from %s",
                         acme_explain_time(explain, order->not_before_ms));
    if (order->not_after_ms != 0)
        acme_explain_add(explain, order->created_ms, "it shall be valid until %s",
                         acme_explain_time(explain, order->not_after_ms));
}

static const char *name_of(struct explain *explain, const struct acme_authz *authz)
{
    return authz->wildcard ? acme_explain_text(explain, "*.%s", authz->identifier.value)
                           : authz->identifier.value;
}

/* How a validation under way stands. */
static void explain_tries(struct explain *explain, const char *name, const struct acme_challenge *challenge)
{
    struct acme_job_report report;
    struct acme_err err =
        acme_store_job_find(explain->call->options->store, explain->arena, ACME_VALIDATION_QUEUE,
                            explain->order.account_id, challenge->id, &report);
    if (acme_failed(err)) {
        explain->failed = explain->failed || err.code != ACME_E_NOT_FOUND; /* has ended meanwhile */
        return;
    }
    acme_explain_add(explain, explain->call->now_ms, "%s: tries that failed so far: %d; %s", name,
                     report.job.attempts,
                     report.leased ? "one is under way"
                                   : acme_explain_text(explain, "the next one is at %s",
                                                       acme_explain_time(explain, report.due_ms)));
}

static void explain_challenge(struct explain *explain, const struct acme_authz *authz,
                              const struct acme_challenge *challenge)
{
    const char *name = name_of(explain, authz);
    int64_t created_ms = explain->order.created_ms;
    bool before = challenge->validated_ms != 0 && challenge->validated_ms < created_ms;
    if (challenge->status == ACME_CHALLENGE_VALID && before) {
        acme_explain_add(explain, created_ms, "%s: proved before, by %s at %s; nothing had to be done again",
                         name, challenge->type, acme_explain_time(explain, challenge->validated_ms));
        return;
    }
    if (challenge->started_ms != 0)
        acme_explain_add(explain, challenge->started_ms, "%s: the client asked to be validated by %s", name,
                         challenge->type);
    if (challenge->error != NULL)
        acme_explain_add(explain, challenge->started_ms, "%s: %s %s: %s", name, challenge->type,
                         challenge->status == ACME_CHALLENGE_PROCESSING ? "did not succeed yet" : "failed",
                         acme_explain_problem(explain, challenge->error));
    if (challenge->status == ACME_CHALLENGE_PROCESSING)
        explain_tries(explain, name, challenge);
    if (challenge->status == ACME_CHALLENGE_VALID)
        acme_explain_add(explain, challenge->validated_ms, "%s: validated by %s", name, challenge->type);
}

static void explain_authz(struct explain *explain, const struct acme_authz *authz)
{
    bool begun = false;
    for (size_t i = 0; i < authz->challenge_count; i++) {
        begun = begun || authz->challenges[i].status != ACME_CHALLENGE_PENDING;
        explain_challenge(explain, authz, &authz->challenges[i]);
    }
    if (!begun && authz->status == ACME_AUTHZ_PENDING)
        acme_explain_add(explain, explain->order.created_ms,
                         "%s: the client has not answered any of %zu challenges", name_of(explain, authz),
                         authz->challenge_count);
    if (authz->status >= ACME_AUTHZ_DEACTIVATED)
        acme_explain_add(explain, 0, "%s: the authorization is %s", name_of(explain, authz),
                         acme_authz_status_name(authz->status));
}

void acme_explain_order(struct explain *explain)
{
    explain_creation(explain);
    for (size_t i = 0; i < explain->authz_count; i++)
        explain_authz(explain, &explain->authzs[i]);
    if (acme_admin_order_expired(&explain->order, explain->call->now_ms))
        acme_explain_add(explain, explain->order.expires_ms, "the order expired before it was finalized");
}

/* ---- the answer ---- */

static int earlier_first(const void *a, const void *b)
{
    const struct explain_event *left = a;
    const struct explain_event *right = b;
    if (left->at_ms != right->at_ms) /* those without a time come last */
        return right->at_ms == 0 || (left->at_ms != 0 && left->at_ms < right->at_ms) ? -1 : 1;
    return left->number < right->number ? -1 : 1;
}

static struct acme_err write_proofs(struct explain *explain, const char *name, const cJSON *proofs)
{
    if (proofs == NULL)
        return acme_ok();
    const char *text = acme_json_print(explain->arena, proofs);
    ENSURE(text != NULL, ACME_E_NOMEM);
    acme_jw_raw(explain->call->writer, name, text);
    return acme_ok();
}

static void write_events(const struct explain *explain)
{
    struct acme_json_writer *writer = explain->call->writer;
    acme_jw_array(writer, "events");
    for (size_t i = 0; i < explain->event_count; i++) {
        acme_jw_object(writer, NULL);
        acme_jw_time(writer, "time", explain->events[i].at_ms);
        acme_jw_str(writer, "text", explain->events[i].text);
        acme_jw_object_end(writer);
    }
    acme_jw_array_end(writer);
}

struct acme_err acme_admin_order_explain(struct admin_call *call)
{
    struct acme_json_writer *writer = call->writer;
    struct explain explain = {.call = call, .arena = call->arena};
    const char *id = NULL;
    TRY(acme_admin_resolve(call, ACME_OBJECT_ORDER, call->request->id, &id));
    TRY(acme_explain_load(&explain, id));
    acme_explain_order(&explain);
    acme_explain_issuance(&explain);
    acme_explain_certificate(&explain);
    acme_explain_next(&explain);
    if (explain.event_count > 0)
        qsort(explain.events, explain.event_count, sizeof *explain.events, earlier_first);
    acme_jw_str(writer, "order", explain.order.id);
    acme_jw_str(writer, "status", acme_admin_order_status(&explain.order, call->now_ms));
    acme_jw_time(writer, "now", call->now_ms);
    write_events(&explain);
    TRY(write_proofs(&explain, "dcv", explain.dcv));
    TRY(write_proofs(&explain, "dv", explain.dv));
    if (explain.question != NULL)
        acme_admin_write_question(writer, explain.question);
    acme_jw_str(writer, "next", explain.next);
    acme_jw_time(writer, "until", explain.until_ms);
    acme_jw_str(writer, "advice", explain.advice);
    ENSURE(!explain.failed, ACME_E_NOMEM);
    return acme_ok();
}
