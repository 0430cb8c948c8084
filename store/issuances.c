/* Issuances: how an accepted finalize becomes one certificate wanted from an issuer, shared by the orders
 * that want the same, and how it ends for all of them at once. */
#include "store/internal.h"

#include <string.h>

static const char *const status_words[] = {
    [ACME_ISSUANCE_PENDING] = "pending",
    [ACME_ISSUANCE_ISSUED] = "issued",
    [ACME_ISSUANCE_FAILED] = "failed",
    [ACME_ISSUANCE_WITHDRAWN] = "withdrawn",
};
enum { STATUS_COUNT = sizeof status_words / sizeof status_words[0] };

static struct acme_err issuance_from_row(struct acme_db_stmt *stmt, struct acme_arena *arena,
                                         struct acme_issuance *ret)
{
    const char *identifiers = acme_db_text(stmt, arena, 10);
    struct acme_issuance issuance = {
        .id = acme_db_text(stmt, arena, 0),
        .account_id = acme_db_text(stmt, arena, 1),
        .order_id = acme_db_text(stmt, arena, 2),
        .profile = acme_db_text(stmt, arena, 3),
        .issuer = acme_db_text(stmt, arena, 4),
        .status = (enum acme_issuance_status)acme_db_word(stmt, 5, status_words, STATUS_COUNT),
        .names_digest = acme_db_text(stmt, arena, 6),
        .spki_sha256 = acme_db_text(stmt, arena, 7),
        .csr_sha256 = acme_db_text(stmt, arena, 8),
        .csr = acme_db_blob(stmt, arena, 9),
        .not_before_ms = acme_db_int(stmt, 11),
        .not_after_ms = acme_db_int(stmt, 12),
        .created_ms = acme_db_int(stmt, 13),
        .deadline_ms = acme_db_int(stmt, 14),
        .upstream_ref = acme_db_text(stmt, arena, 15),
        .certificate_id = acme_db_text(stmt, arena, 16),
        .error = acme_db_text(stmt, arena, 17),
        .continuation = acme_continuation_of(acme_db_text(stmt, arena, 18)),
        .predecessor_id = acme_db_text(stmt, arena, 19),
        .parent_id = acme_db_text(stmt, arena, 20),
        .label = acme_db_text(stmt, arena, 21),
    };
    TRY(acme_db_row_check(stmt));
    TRY(acme_identifiers_from_json(arena, identifiers, &issuance.identifiers, &issuance.identifier_count));
    *ret = issuance;
    return acme_ok();
}

static struct acme_err load(struct acme_db *db, struct acme_arena *arena, const char *id,
                            struct acme_issuance *ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_one(
        db, &stmt,
        "SELECT id, account_id, order_id, profile, issuer, status, names_digest, spki_sha256, csr_sha256,"
        " csr, identifiers, not_before_ms, not_after_ms, created_ms, deadline_ms, upstream_ref,"
        " certificate_id, error, continuation, predecessor_id, parent_id, label FROM issuances WHERE id = $1",
        DB_TEXT(id)));
    return issuance_from_row(stmt, arena, ret);
}

struct acme_err acme_store_issuance_get(struct acme_store *store, struct acme_arena *arena, const char *id,
                                        struct acme_issuance *ret)
{
    struct acme_db *db = acme_store_read_begin(store);
    struct acme_err err = load(db, arena, id, ret);
    acme_store_read_end(store, db);
    return err;
}

static struct acme_err load_status(struct acme_db *db, const char *id, enum acme_issuance_status *ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_one(db, &stmt, "SELECT status FROM issuances WHERE id = $1", DB_TEXT(id)));
    int status = acme_db_word(stmt, 0, status_words, STATUS_COUNT);
    TRY(acme_db_row_check(stmt));
    *ret = (enum acme_issuance_status)status;
    return acme_ok();
}

struct acme_err acme_store_issuance_status(struct acme_store *store, const char *id,
                                           enum acme_issuance_status *ret)
{
    struct acme_db *db = acme_store_read_begin(store);
    struct acme_err err = load_status(db, id, ret);
    acme_store_read_end(store, db);
    return err;
}

static struct acme_err list_orders(struct acme_db *db, struct acme_arena *arena, const char *issuance_id,
                                   const char ***ret_ids, size_t *ret_count)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_query(db, &stmt, "SELECT id FROM orders WHERE issuance_id = $1 ORDER BY id",
                      DB_TEXT(issuance_id)));
    return acme_store_collect_ids(stmt, arena, ret_ids, ret_count);
}

struct acme_err acme_store_issuance_orders(struct acme_store *store, struct acme_arena *arena,
                                           const char *issuance_id, const char ***ret_ids, size_t *ret_count)
{
    struct acme_db *db = acme_store_read_begin(store);
    struct acme_err err = list_orders(db, arena, issuance_id, ret_ids, ret_count);
    acme_store_read_end(store, db);
    return err;
}

/* ---- finalize ---- */

struct finalize {
    struct acme_arena *arena;
    const struct acme_issuance *issuance;
    const char *identifiers_json;
    const struct acme_certificate *certificate; /* issued already; NULL: by this job */
    const struct acme_job *job;
    const struct acme_lease *lease;
    int64_t now_ms;
    const struct acme_finalize_rules *rules;
    struct acme_order order;
    enum acme_finalize_outcome outcome;
    struct acme_finalize_effects effects;
};

/* What already exists for the same wish: *ret_id NULL for nothing; *ret_certificate_id set when it is issued.
 * A certificate that somebody wanted to be revoked, even in vain, or that another one replaces, is nobody's
 * wish. Of several the newest, found here: there is mostly none, and sorting in the statement costs even so.
 */
static struct acme_err find_existing(struct acme_db *db, const struct finalize *request, const char **ret_id,
                                     const char **ret_certificate_id)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    const struct acme_issuance *wanted = request->issuance;
    const char *newest = NULL;
    const char *certificate_id = NULL;
    int64_t created_ms = 0;
    TRY(acme_db_query(
        db, &stmt,
        "SELECT i.id, c.id, i.created_ms FROM issuances i LEFT JOIN certificates c ON c.id = i.certificate_id"
        " WHERE i.account_id = $1 AND i.names_digest = $2 AND i.spki_sha256 = $3 AND i.profile = $4"
        " AND i.issuer = $5 AND i.parent_id IS NULL"
        " AND (i.status = 'pending' OR (i.status = 'issued' AND c.downloaded_ms = 0"
        " AND c.created_ms >= $6 AND c.not_after_ms > $7"
        " AND NOT EXISTS (SELECT 1 FROM revocations r WHERE r.certificate_id = c.id)"
        " AND NOT EXISTS (SELECT 1 FROM issuances s WHERE s.predecessor_id = i.id"
        " AND s.continuation = 'replace' AND s.status <> 'failed')))"
        " AND i.not_before_ms = $8 AND i.not_after_ms = $9",
        DB_TEXT(request->order.account_id), DB_TEXT(wanted->names_digest), DB_TEXT(wanted->spki_sha256),
        DB_TEXT(request->order.profile), DB_TEXT(wanted->issuer), DB_INT(request->rules->adopt_since_ms),
        DB_INT(request->now_ms), DB_INT(wanted->not_before_ms), DB_INT(wanted->not_after_ms)));
    for (;;) {
        bool row = false;
        TRY(acme_db_next(stmt, &row));
        if (!row)
            break;
        const char *id = acme_db_text(stmt, request->arena, 0);
        const char *certificate = acme_db_text(stmt, request->arena, 1);
        int64_t ms = acme_db_int(stmt, 2);
        TRY(acme_db_row_check(stmt));
        if (newest && (ms < created_ms || (ms == created_ms && strcmp(id, newest) < 0)))
            continue;
        newest = id;
        certificate_id = certificate;
        created_ms = ms;
    }
    *ret_id = newest;
    *ret_certificate_id = certificate_id;
    return acme_ok();
}

struct acme_err acme_store_issuance_insert(struct acme_db *db, const struct acme_issuance *issuance,
                                           const char *identifiers_json)
{
    return acme_db_run(
        db, NULL,
        "INSERT INTO issuances (id, account_id, order_id, profile, issuer, status, names_digest,"
        " spki_sha256, csr_sha256, csr, identifiers, not_before_ms, not_after_ms, created_ms,"
        " deadline_ms, continuation, predecessor_id, parent_id, label, certificate_id)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
        DB_TEXT(issuance->id), DB_TEXT(issuance->account_id), DB_TEXT(issuance->order_id),
        DB_TEXT(issuance->profile), DB_TEXT(issuance->issuer), DB_TEXT(status_words[issuance->status]),
        DB_TEXT(issuance->names_digest), DB_TEXT(issuance->spki_sha256), DB_TEXT(issuance->csr_sha256),
        DB_BLOB(issuance->csr), DB_TEXT(identifiers_json), DB_INT(issuance->not_before_ms),
        DB_INT(issuance->not_after_ms), DB_INT(issuance->created_ms), DB_INT(issuance->deadline_ms),
        DB_TEXT(acme_continuation_word(issuance->continuation)), DB_TEXT(issuance->predecessor_id),
        DB_TEXT(issuance->parent_id), DB_TEXT(issuance->label), DB_TEXT(issuance->certificate_id));
}

static struct acme_err insert_issuance(struct acme_db *db, const struct finalize *request)
{
    struct acme_issuance issuance = *request->issuance;
    issuance.profile = request->order.profile;
    issuance.continuation = request->effects.continuation;
    issuance.predecessor_id = request->effects.predecessor_id;
    issuance.parent_id = NULL;
    issuance.label = NULL;
    issuance.status = request->certificate ? ACME_ISSUANCE_ISSUED : ACME_ISSUANCE_PENDING;
    issuance.certificate_id = request->certificate ? request->certificate->id : NULL;
    return acme_store_issuance_insert(db, &issuance, request->identifiers_json);
}

static struct acme_err update_order(struct acme_db *db, struct finalize *request, const char *issuance_id,
                                    const char *certificate_id)
{
    struct acme_order *order = &request->order;
    order->status = certificate_id ? ACME_ORDER_VALID : ACME_ORDER_PROCESSING;
    order->finalized_ms = request->now_ms;
    order->certificate_id = certificate_id;
    order->csr_sha256 = acme_arena_strdup(request->arena, request->issuance->csr_sha256);
    order->issuance_id = acme_arena_strdup(request->arena, issuance_id);
    ENSURE(order->csr_sha256 && order->issuance_id, ACME_E_NOMEM);
    return acme_db_run(db, NULL,
                       "UPDATE orders SET status = $1, finalized_ms = $2, csr_sha256 = $3, issuance_id = $4,"
                       " certificate_id = $5 WHERE id = $6",
                       DB_TEXT(certificate_id ? "valid" : "processing"), DB_INT(order->finalized_ms),
                       DB_TEXT(order->csr_sha256), DB_TEXT(order->issuance_id), DB_TEXT(certificate_id),
                       DB_TEXT(order->id));
}

/* A certificate that is stored goes where it is deployed. */
static struct acme_err insert_deployments(struct acme_db *db, const struct acme_certificate *certificate)
{
    for (size_t i = 0; i < certificate->deployment_count; i++)
        TRY(acme_store_deployment_insert(db, &certificate->deployments[i], certificate));
    return acme_ok();
}

static struct acme_err accept(struct acme_db *db, struct finalize *request)
{
    const char *existing = NULL;
    const char *certificate_id = NULL;
    TRY(find_existing(db, request, &existing, &certificate_id));
    if (existing) {
        request->outcome = certificate_id ? ACME_FINALIZE_ADOPTED : ACME_FINALIZE_JOINED;
        return update_order(db, request, existing, certificate_id);
    }
    const struct acme_wish wish = {
        .issuance = request->issuance, .order = &request->order, .now_ms = request->now_ms};
    TRY(acme_store_supersede(db, request->arena, &wish, request->rules, &request->effects));
    if (request->certificate) {
        request->outcome = ACME_FINALIZE_ISSUED;
        TRY(insert_issuance(db, request));
        TRY(acme_store_certificate_insert(db, request->certificate, request->issuance->id));
        TRY(insert_deployments(db, request->certificate));
        return update_order(db, request, request->issuance->id, request->certificate->id);
    }
    request->outcome = ACME_FINALIZE_STARTED;
    TRY(acme_store_find_predecessor(db, request->arena, &wish, request->rules, &request->effects));
    TRY(insert_issuance(db, request));
    TRY(acme_store_job_insert(db, request->job, ACME_JOB_ISSUE, request->issuance->id, request->lease,
                              request->now_ms));
    return update_order(db, request, request->issuance->id, NULL);
}

/* Reused authorizations may end before the order does. */
static struct acme_err require_valid_authzs(struct acme_db *db, const struct finalize *request)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    bool ended = false;
    TRY(acme_db_query(db, &stmt,
                      "SELECT 1 FROM order_authorizations oa JOIN authorizations a ON a.id = oa.authz_id"
                      " WHERE oa.order_id = $1 AND (a.status <> 'valid' OR a.expires_ms <= $2) LIMIT 1",
                      DB_TEXT(request->order.id), DB_INT(request->now_ms)));
    TRY(acme_db_next(stmt, &ended));
    ENSURE(!ended, ACME_E_DENIED);
    return acme_ok();
}

static struct acme_err finalize(struct acme_db *db, void *arg)
{
    struct finalize *request = arg;
    struct acme_order *order = &request->order;
    request->effects = (struct acme_finalize_effects){.superseded_count = 0};
    TRY(acme_store_order_load(db, request->arena, request->issuance->order_id, order));
    ENSURE(strcmp(order->account_id, request->issuance->account_id) == 0, ACME_E_NOT_FOUND);
    if (order->status == ACME_ORDER_READY) {
        TRY(require_valid_authzs(db, request));
        return accept(db, request);
    }
    ENSURE(order->csr_sha256 && strcmp(order->csr_sha256, request->issuance->csr_sha256) == 0, ACME_E_STATE);
    request->outcome = ACME_FINALIZE_REPEATED;
    return acme_ok();
}

static struct acme_err run_finalize(struct acme_store *store, struct finalize *request,
                                    struct acme_order *ret_order, enum acme_finalize_outcome *ret_outcome,
                                    struct acme_finalize_effects *ret_effects)
{
    const struct acme_issuance *issuance = request->issuance;
    request->identifiers_json =
        acme_identifiers_json(request->arena, issuance->identifiers, issuance->identifier_count);
    ENSURE(request->identifiers_json, ACME_E_NOMEM);
    struct acme_err err = acme_writer_run(&store->writer, finalize, request);
    if (err.code == ACME_OK || err.code == ACME_E_STATE)
        *ret_order = request->order;
    if (err.code == ACME_OK) {
        *ret_outcome = request->outcome;
        if (ret_effects != NULL)
            *ret_effects = request->effects;
    }
    return err;
}

struct acme_err acme_store_order_finalize(struct acme_store *store, struct acme_arena *arena,
                                          const struct acme_issuance *issuance, const struct acme_job *job,
                                          const struct acme_lease *lease,
                                          const struct acme_finalize_rules *rules,
                                          struct acme_order *ret_order,
                                          enum acme_finalize_outcome *ret_outcome,
                                          struct acme_finalize_effects *ret_effects)
{
    struct finalize request = {.arena = arena,
                               .issuance = issuance,
                               .job = job,
                               .lease = lease,
                               .now_ms = rules->now_ms,
                               .rules = rules};
    return run_finalize(store, &request, ret_order, ret_outcome, ret_effects);
}

struct acme_err acme_store_order_issue(struct acme_store *store, struct acme_arena *arena,
                                       const struct acme_issuance *issuance,
                                       const struct acme_certificate *certificate,
                                       const struct acme_finalize_rules *rules, struct acme_order *ret_order,
                                       enum acme_finalize_outcome *ret_outcome,
                                       struct acme_finalize_effects *ret_effects)
{
    struct finalize request = {.arena = arena,
                               .issuance = issuance,
                               .certificate = certificate,
                               .now_ms = rules->now_ms,
                               .rules = rules};
    return run_finalize(store, &request, ret_order, ret_outcome, ret_effects);
}

/* ---- the end ---- */

struct end {
    const char *issuance_id;
    const char *job_id;
    const char *owner;
    const char *upstream_ref;
    const struct acme_certificate *certificate;
    const char *error;
};

/* What another issuer has signed on the way is that issuer's certificate, also when it is revoked. */
static struct acme_err keep_certificate(struct acme_db *db, struct acme_arena *arena,
                                        const struct end *request, const char **ret_id)
{
    *ret_id = NULL;
    TRY(acme_store_delegated_certificate(db, arena, request->issuance_id, request->certificate->sha256_hex,
                                         ret_id));
    if (*ret_id != NULL)
        return acme_ok();
    *ret_id = request->certificate->id;
    return acme_store_certificate_insert(db, request->certificate, request->issuance_id);
}

static struct acme_err issued(struct acme_db *db, void *arg)
{
    enum { ID_ARENA_BYTES = 1024 };
    const struct end *request = arg;
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(ID_ARENA_BYTES);
    ENSURE(arena != NULL, ACME_E_NOMEM);
    const char *certificate_id = NULL;
    TRY(acme_store_job_delete(db, request->job_id, request->owner, request->issuance_id));
    TRY(keep_certificate(db, arena, request, &certificate_id));
    TRY(acme_db_run(
        db, NULL,
        "UPDATE issuances SET status = 'issued', certificate_id = $1, upstream_ref = $2 WHERE id = $3",
        DB_TEXT(certificate_id), DB_TEXT(request->upstream_ref), DB_TEXT(request->issuance_id)));
    TRY(acme_store_delegation_ended(db, request->issuance_id));
    struct acme_certificate certificate = *request->certificate;
    certificate.id = certificate_id;
    TRY(insert_deployments(db, &certificate));
    return acme_db_run(db, NULL,
                       "UPDATE orders SET status = 'valid', certificate_id = $1"
                       " WHERE issuance_id = $2 AND status = 'processing'",
                       DB_TEXT(certificate_id), DB_TEXT(request->issuance_id));
}

struct acme_err acme_store_issuance_issued(struct acme_store *store, const char *issuance_id,
                                           const char *job_id, const char *owner, const char *upstream_ref,
                                           const struct acme_certificate *certificate)
{
    struct end request = {.issuance_id = issuance_id,
                          .job_id = job_id,
                          .owner = owner,
                          .upstream_ref = upstream_ref,
                          .certificate = certificate};
    return acme_writer_run(&store->writer, issued, &request);
}

static struct acme_err failed(struct acme_db *db, void *arg)
{
    const struct end *request = arg;
    TRY(acme_store_job_delete(db, request->job_id, request->owner, request->issuance_id));
    TRY(acme_db_run(db, NULL,
                    "UPDATE issuances SET status = 'failed', error = $1, upstream_ref = $2 WHERE id = $3",
                    DB_TEXT(request->error), DB_TEXT(request->upstream_ref), DB_TEXT(request->issuance_id)));
    TRY(acme_store_delegation_ended(db, request->issuance_id));
    return acme_db_run(db, NULL,
                       "UPDATE orders SET status = 'invalid', error = $1"
                       " WHERE issuance_id = $2 AND status = 'processing'",
                       DB_TEXT(request->error), DB_TEXT(request->issuance_id));
}

struct acme_err acme_store_issuance_failed(struct acme_store *store, const char *issuance_id,
                                           const char *job_id, const char *owner, const char *upstream_ref,
                                           const char *error)
{
    struct end request = {.issuance_id = issuance_id,
                          .job_id = job_id,
                          .owner = owner,
                          .upstream_ref = upstream_ref,
                          .error = error};
    return acme_writer_run(&store->writer, failed, &request);
}
