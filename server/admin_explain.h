/* "order explain": what the store knows of an order, put in the order of time and into plain words. */
#ifndef ACME_SERVER_ADMIN_EXPLAIN_H
#define ACME_SERVER_ADMIN_EXPLAIN_H

#include "server/admin_internal.h"

#include "base/json.h"

struct explain_event {
    int64_t at_ms;
    size_t number; /* as added: for those of the same time */
    const char *text;
};

struct explain {
    struct admin_call *call;
    struct acme_arena *arena;
    struct acme_order order;
    struct acme_account account;
    struct acme_authz *authzs;
    size_t authz_count;
    const struct acme_issuance *issuance;         /* NULL: not finalized */
    const struct acme_job_report *job;            /* of the issuance; NULL: none any more */
    const struct acme_certificate *certificate;   /* NULL: none yet */
    const struct acme_revocation *revocation;     /* NULL: nobody asked */
    const struct acme_job_report *revocation_job; /* NULL: none under way */
    const struct acme_job_question *question;     /* about `job`; NULL: nothing is asked */
    const struct acme_issuance *children;         /* that were made for the issuance */
    const struct acme_job_report **child_jobs;    /* NULL: none any more */
    size_t child_count;
    const struct acme_deployment *deployments; /* of the certificate */
    size_t deployment_count;
    const cJSON *dcv; /* the list in the job's state; NULL: none */
    const cJSON *dv;  /* likewise, ACME challenges that the issuer's CA gave it */
    struct explain_event *events;
    size_t event_count;
    size_t event_room;
    bool failed; /* memory was short: the explanation is incomplete */
    /* What comes next. */
    const char *next;
    int64_t until_ms; /* 0: no time */
    const char *advice;
};

/** acme_explain_load(explain, order_id): fill in what is read. Errors: NOT_FOUND. */
struct acme_err acme_explain_load(struct explain *explain, const char *order_id) ACME_MUST_USE;

/** acme_explain_order / _issuance / _certificate: add the events of these parts. */
void acme_explain_order(struct explain *explain);
void acme_explain_issuance(struct explain *explain);
void acme_explain_certificate(struct explain *explain);

/** acme_explain_dcv_open(item): does an entry of explain->dcv or ->dv still want something to be published?
 */
bool acme_explain_dcv_open(const cJSON *item);

/** acme_explain_next(explain): set next, until_ms and advice. */
void acme_explain_next(struct explain *explain);

/* ---- words (admin_explain_text.c): in the arena; "" and explain->failed without memory ---- */

/** acme_explain_add(explain, at_ms, format, ...): one event; at_ms 0: when is not known, it comes last. */
void acme_explain_add(struct explain *explain, int64_t at_ms, const char *format, ...) ACME_PRINTF(3, 4);

const char *acme_explain_text(struct explain *explain, const char *format, ...) ACME_PRINTF(2, 3);

/** acme_explain_time(explain, at_ms): "2026-11-24T08:00:00Z (in 3 h 5 min)" or "(2 d 1 h ago)". */
const char *acme_explain_time(struct explain *explain, int64_t at_ms);

/** acme_explain_problem(explain, json): the details of a problem document and of its subproblems, and its
 * type's last word; the text itself when it is none. */
const char *acme_explain_problem(struct explain *explain, const char *json);

/** acme_explain_list(explain, json): the texts of a JSON array, with commas; "none" when empty or not one. */
const char *acme_explain_list(struct explain *explain, const char *json);

/** acme_explain_names(explain, names, count): the first of them, and how many more. */
const char *acme_explain_names(struct explain *explain, const struct acme_identifier *names, size_t count);

#endif
