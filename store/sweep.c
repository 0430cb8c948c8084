/* Removing what has ended long ago. Ids are in time order, so each table is walked once from its oldest row
 * to those that are too young to have ended, by a reader; only what is to go costs a write, and that a short
 * one. */
#include "store/internal.h"

#include "base/id.h"

#include <stdio.h>
#include <string.h>

enum { MAX_BATCH = 1000, BATCH_ARENA_BYTES = 256 * 1024 };

/* Whether a row is to go is asked twice: on the reader, and again in the write. $1 is the time before which
 * it must have ended. */
#define CERTIFICATE_ENDED "not_after_ms <= $1"
/* The issuer's deadline may come after the failure; a client may still ask then. */
#define ISSUANCE_ENDED                                                                                       \
    "status = 'failed' AND created_ms <= $1 AND deadline_ms <= $1"                                           \
    " AND NOT EXISTS (SELECT 1 FROM issuances k WHERE k.parent_id = issuances.id)"
#define ORDER_ENDED "issuance_id IS NULL AND status IN ('pending', 'ready', 'invalid') AND expires_ms <= $1"
#define AUTHZ_ENDED                                                                                          \
    "expires_ms <= $1"                                                                                       \
    " AND NOT EXISTS (SELECT 1 FROM order_authorizations oa WHERE oa.authz_id = authorizations.id)"          \
    " AND NOT EXISTS (SELECT 1 FROM challenges c WHERE c.authz_id = authorizations.id"                       \
    " AND c.status = 'processing')"

#define WALK(table, ended)                                                                                   \
    "SELECT id, CASE WHEN " ended " THEN 1 ELSE 0 END FROM " table                                           \
    " WHERE id > $2 AND id < $3 ORDER BY id LIMIT $4"
#define CONFIRM(table, ended) "SELECT 1 FROM " table " WHERE " ended " AND id = $2"

static struct acme_err remove_orders_of(struct acme_db *db, const char *issuance_id)
{
    TRY(acme_db_run(db, NULL,
                    "DELETE FROM order_authorizations WHERE order_id IN"
                    " (SELECT id FROM orders WHERE issuance_id = $1)",
                    DB_TEXT(issuance_id)));
    TRY(acme_db_run(db, NULL, "DELETE FROM issuances WHERE id = $1", DB_TEXT(issuance_id)));
    return acme_db_run(db, NULL, "DELETE FROM orders WHERE issuance_id = $1", DB_TEXT(issuance_id));
}

static struct acme_err is_there(struct acme_db *db, const char *sql, const char *id, bool *ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_query(db, &stmt, sql, DB_TEXT(id)));
    return acme_db_next(stmt, ret);
}

static struct acme_err parent_of(struct acme_db *db, struct acme_arena *arena, const char *issuance_id,
                                 const char **ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_one(db, &stmt, "SELECT parent_id FROM issuances WHERE id = $1", DB_TEXT(issuance_id)));
    *ret = acme_db_text(stmt, arena, 0);
    return acme_db_row_check(stmt);
}

/* An issuance that has ended goes with its orders, though not before those made for it, which refer to its
 * first order. The last of them takes it along, once its certificate, which may be theirs, is gone. */
static struct acme_err remove_ended(struct acme_db *db, struct acme_arena *arena, const char *issuance_id)
{
    for (const char *id = issuance_id; id != NULL;) {
        const char *parent_id = NULL;
        bool stays = false;
        TRY(is_there(db, "SELECT 1 FROM issuances WHERE parent_id = $1", id, &stays));
        if (!stays)
            TRY(is_there(db,
                         "SELECT 1 FROM issuances i WHERE i.id = $1 AND (i.status IN ('pending', 'withdrawn')"
                         " OR EXISTS (SELECT 1 FROM certificates c WHERE c.id = i.certificate_id))",
                         id, &stays));
        if (stays)
            return acme_ok();
        TRY(parent_of(db, arena, id, &parent_id));
        TRY(remove_orders_of(db, id));
        bool failed = false;
        if (parent_id != NULL) /* failed ones have a stage of their own, which waits for their deadline */
            TRY(is_there(db, "SELECT 1 FROM issuances WHERE id = $1 AND status = 'failed'", parent_id,
                         &failed));
        id = failed ? NULL : parent_id;
    }
    return acme_ok();
}

static struct acme_err issuance_of(struct acme_db *db, struct acme_arena *arena, const char *certificate_id,
                                   const char **ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_one(db, &stmt, "SELECT issuance_id FROM certificates WHERE id = $1",
                    DB_TEXT(certificate_id)));
    *ret = acme_db_text(stmt, arena, 0);
    return acme_db_row_check(stmt);
}

static struct acme_err remove_certificate(struct acme_db *db, struct acme_arena *arena, const char *id)
{
    const char *issuance_id = NULL;
    TRY(issuance_of(db, arena, id, &issuance_id));
    TRY(acme_db_run(db, NULL, "DELETE FROM revocations WHERE certificate_id = $1", DB_TEXT(id)));
    TRY(acme_db_run(db, NULL, "DELETE FROM certificate_chains WHERE certificate_id = $1", DB_TEXT(id)));
    TRY(acme_db_run(
        db, NULL,
        "DELETE FROM questions WHERE job_id IN (SELECT job_id FROM deployments WHERE certificate_id = $1)",
        DB_TEXT(id)));
    TRY(acme_db_run(db, NULL,
                    "DELETE FROM jobs WHERE id IN (SELECT job_id FROM deployments WHERE certificate_id = $1)",
                    DB_TEXT(id)));
    TRY(acme_db_run(db, NULL, "DELETE FROM deployments WHERE certificate_id = $1", DB_TEXT(id)));
    TRY(acme_db_run(db, NULL, "DELETE FROM certificates WHERE id = $1", DB_TEXT(id)));
    return remove_ended(db, arena, issuance_id);
}

static struct acme_err remove_issuance(struct acme_db *db, struct acme_arena *arena, const char *id)
{
    return remove_ended(db, arena, id);
}

static struct acme_err remove_order(struct acme_db *db, struct acme_arena *arena, const char *id)
{
    (void)arena;
    TRY(acme_db_run(db, NULL, "DELETE FROM order_authorizations WHERE order_id = $1", DB_TEXT(id)));
    return acme_db_run(db, NULL, "DELETE FROM orders WHERE id = $1", DB_TEXT(id));
}

static struct acme_err remove_authz(struct acme_db *db, struct acme_arena *arena, const char *id)
{
    (void)arena;
    TRY(acme_db_run(db, NULL, "DELETE FROM challenges WHERE authz_id = $1", DB_TEXT(id)));
    return acme_db_run(db, NULL, "DELETE FROM authorizations WHERE id = $1", DB_TEXT(id));
}

/* In this order: what refers to others first. */
static const struct stage {
    const char *walk;
    const char *confirm;
    struct acme_err (*remove)(struct acme_db *db, struct acme_arena *arena, const char *id);
} stages[ACME_SWEEP_STAGES] = {
    [ACME_SWEEP_CERTIFICATES] = {WALK("certificates", CERTIFICATE_ENDED),
                                 CONFIRM("certificates", CERTIFICATE_ENDED), remove_certificate},
    [ACME_SWEEP_ISSUANCES] = {WALK("issuances", ISSUANCE_ENDED), CONFIRM("issuances", ISSUANCE_ENDED),
                              remove_issuance},
    [ACME_SWEEP_ORDERS] = {WALK("orders", ORDER_ENDED), CONFIRM("orders", ORDER_ENDED), remove_order},
    [ACME_SWEEP_AUTHZS] = {WALK("authorizations", AUTHZ_ENDED), CONFIRM("authorizations", AUTHZ_ENDED),
                           remove_authz},
};

struct batch {
    struct acme_arena *arena;
    const struct stage *stage;
    int64_t ended_before_ms;
    const char **ids; /* of rows to go */
    size_t count;
    size_t removed;
    size_t seen;
    const char *last; /* id of the last row seen */
};

/* Ids made later are greater: version 7 UUIDs begin with their time. */
static void id_bound(int64_t ms, char out[ACME_ID_SIZE])
{
    uint64_t time = ms > 0 ? (uint64_t)ms & 0xffffffffffffU : 0;
    (void)snprintf(out, ACME_ID_SIZE, "%08x-%04x", (unsigned)(time >> 16), (unsigned)(time & 0xffff));
}

static struct acme_err walk(struct acme_db *db, struct batch *batch, const char *after, size_t limit)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    char bound[ACME_ID_SIZE];
    id_bound(batch->ended_before_ms, bound);
    TRY(acme_db_query(db, &stmt, batch->stage->walk, DB_INT(batch->ended_before_ms), DB_TEXT(after),
                      DB_TEXT(bound), DB_INT((int64_t)limit)));
    for (;;) {
        bool row = false;
        TRY(acme_db_next(stmt, &row));
        if (!row)
            return acme_ok();
        batch->seen++;
        batch->last = acme_db_text(stmt, batch->arena, 0);
        if (acme_db_int(stmt, 1) != 0)
            batch->ids[batch->count++] = batch->last;
        TRY(acme_db_row_check(stmt));
    }
}

static struct acme_err confirm(struct acme_db *db, const struct batch *batch, const char *id)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    return acme_db_one(db, &stmt, batch->stage->confirm, DB_INT(batch->ended_before_ms), DB_TEXT(id));
}

static struct acme_err remove_rows(struct acme_db *db, void *arg)
{
    struct batch *batch = arg;
    size_t removed = 0;
    for (size_t i = 0; i < batch->count; i++) {
        struct acme_err err = confirm(db, batch, batch->ids[i]);
        if (err.code == ACME_E_NOT_FOUND) /* used again, or gone with another */
            continue;
        TRY(err);
        TRY(batch->stage->remove(db, batch->arena, batch->ids[i]));
        removed++;
    }
    batch->removed = removed;
    return acme_ok();
}

struct acme_err acme_store_sweep(struct acme_store *store, struct acme_sweep *sweep)
{
    ENSURE(sweep->batch > 0 && sweep->batch <= MAX_BATCH && sweep->stage < ACME_SWEEP_STAGES,
           ACME_E_INTERNAL);
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(BATCH_ARENA_BYTES);
    ENSURE(arena != NULL, ACME_E_NOMEM);
    struct batch batch = {
        .arena = arena,
        .stage = &stages[sweep->stage],
        .ended_before_ms = sweep->ended_before_ms,
        .ids = acme_arena_alloc(arena, sweep->batch * sizeof *batch.ids),
    };
    ENSURE(batch.ids != NULL, ACME_E_NOMEM);
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = walk(db, &batch, sweep->after, sweep->batch);
    acme_readers_release(&store->readers, db);
    TRY(err);
    if (batch.count > 0)
        TRY(acme_writer_run(&store->writer, remove_rows, &batch));
    sweep->removed[sweep->stage] += batch.removed;
    if (batch.seen == sweep->batch && strlen(batch.last) < sizeof sweep->after) {
        (void)snprintf(sweep->after, sizeof sweep->after, "%s", batch.last);
    } else {
        sweep->after[0] = '\0';
        sweep->stage++;
    }
    return acme_ok();
}
