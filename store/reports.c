/* What the operator asks for: reads over the objects of all accounts. Each is bounded, and walks an index or
 * a bounded stretch of one. */
#include "store/internal.h"

#include <limits.h>
#include <string.h>

#define AFTER_ALL_IDS "~" /* behind every hexadecimal digit and hyphen */

/* One list of ids: a statement with its parameters. */
static struct acme_err list_ids(struct acme_store *store, struct acme_arena *arena, const char *sql,
                                const struct acme_db_value *values, size_t value_count, const char ***ret_ids,
                                size_t *ret_count)
{
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_db_stmt *stmt = NULL;
    struct acme_err err = acme_db_query_values(db, &stmt, sql, values, value_count);
    if (!acme_failed(err))
        err = acme_store_collect_ids(stmt, arena, ret_ids, ret_count);
    acme_db_end(stmt);
    acme_readers_release(&store->readers, db);
    return err;
}

static struct acme_db_value limit_value(size_t limit)
{
    return acme_db_int_value(limit > INT_MAX ? INT_MAX : (int64_t)limit);
}

struct acme_err acme_store_ids_find(struct acme_store *store, struct acme_arena *arena,
                                    enum acme_object_kind kind, const char *prefix, size_t limit,
                                    const char ***ret_ids, size_t *ret_count)
{
    static const char *const sql[] = {
        [ACME_OBJECT_ACCOUNT] = "SELECT id FROM accounts WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3",
        [ACME_OBJECT_ORDER] = "SELECT id FROM orders WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3",
        [ACME_OBJECT_CERTIFICATE] =
            "SELECT id FROM certificates WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3",
        [ACME_OBJECT_DEPLOYMENT] =
            "SELECT id FROM deployments WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3",
    };
    const char *end = acme_arena_printf(arena, "%s" AFTER_ALL_IDS, prefix);
    ENSURE(end != NULL, ACME_E_NOMEM);
    const struct acme_db_value values[] = {DB_TEXT(prefix), DB_TEXT(end), limit_value(limit)};
    return list_ids(store, arena, sql[kind], values, 3, ret_ids, ret_count);
}

struct acme_err acme_store_ids_newest(struct acme_store *store, struct acme_arena *arena,
                                      enum acme_object_kind kind, size_t limit, const char ***ret_ids,
                                      size_t *ret_count)
{
    static const char *const sql[] = {
        [ACME_OBJECT_ACCOUNT] = "SELECT id FROM accounts ORDER BY id DESC LIMIT $1",
        [ACME_OBJECT_ORDER] = "SELECT id FROM orders ORDER BY id DESC LIMIT $1",
        [ACME_OBJECT_CERTIFICATE] = "SELECT id FROM certificates ORDER BY id DESC LIMIT $1",
        [ACME_OBJECT_DEPLOYMENT] = "SELECT id FROM deployments ORDER BY id DESC LIMIT $1",
    };
    const struct acme_db_value values[] = {limit_value(limit)};
    return list_ids(store, arena, sql[kind], values, 1, ret_ids, ret_count);
}

/* Every processing order has a job: their number is bounded by what waits, however old the orders are. */
static const char processing[] = "SELECT o.id FROM jobs j JOIN orders o ON o.issuance_id = j.subject_id"
                                 " WHERE j.kind = 'issue' AND o.status = 'processing'"
                                 " ORDER BY o.id DESC LIMIT $1";

static const char newest[] =
    "SELECT id FROM (SELECT id, status FROM orders ORDER BY id DESC LIMIT $1) AS looked_at"
    " WHERE status = $2 ORDER BY id DESC LIMIT $3";
static const char newest_of_account[] =
    "SELECT id FROM (SELECT id, status FROM orders WHERE account_id = $1 ORDER BY id DESC LIMIT $2)"
    " AS looked_at WHERE $3 = '' OR status = $3 ORDER BY id DESC LIMIT $4";

/* The order where the walk ends, and the next one when there are more. */
static const char end_of_walk[] = "SELECT id FROM orders ORDER BY id DESC LIMIT 2 OFFSET $1";
static const char end_of_walk_of_account[] =
    "SELECT id FROM orders WHERE account_id = $1 ORDER BY id DESC LIMIT 2 OFFSET $2";

/* By a walk over the newest orders, of one account or of all. */
static struct acme_err walk_orders(struct acme_store *store, struct acme_arena *arena,
                                   const struct acme_order_filter *filter, size_t limit,
                                   const char ***ret_ids, size_t *ret_count, const char **ret_looked_back)
{
    const struct acme_db_value values[] = {DB_TEXT(filter->account_id), DB_INT(ACME_ORDERS_LOOKED_AT),
                                           DB_TEXT(filter->status == NULL ? "" : filter->status),
                                           limit_value(limit)};
    const struct acme_db_value ends_at[] = {DB_TEXT(filter->account_id), DB_INT(ACME_ORDERS_LOOKED_AT - 1)};
    bool of_account = filter->account_id != NULL;
    size_t skip = of_account ? 0 : 1; /* the account's place */
    const char **ends = NULL;
    size_t end_count = 0;
    TRY(list_ids(store, arena, of_account ? newest_of_account : newest, values + skip, 4 - skip, ret_ids,
                 ret_count));
    if (*ret_count < limit)
        TRY(list_ids(store, arena, of_account ? end_of_walk_of_account : end_of_walk, ends_at + skip,
                     2 - skip, &ends, &end_count));
    *ret_looked_back = end_count > 1 ? ends[0] : NULL;
    return acme_ok();
}

struct acme_err acme_store_orders_newest(struct acme_store *store, struct acme_arena *arena,
                                         const struct acme_order_filter *filter, size_t limit,
                                         const char ***ret_ids, size_t *ret_count,
                                         const char **ret_looked_back)
{
    const char **ids = NULL;
    size_t count = 0;
    const char *looked_back = NULL;
    if (filter->account_id == NULL && filter->status == NULL) {
        TRY(acme_store_ids_newest(store, arena, ACME_OBJECT_ORDER, limit, &ids, &count));
    } else if (filter->account_id == NULL && strcmp(filter->status, "processing") == 0) {
        const struct acme_db_value values[] = {limit_value(limit)};
        TRY(list_ids(store, arena, processing, values, 1, &ids, &count));
    } else {
        TRY(walk_orders(store, arena, filter, limit, &ids, &count, &looked_back));
    }
    *ret_ids = ids;
    *ret_count = count;
    *ret_looked_back = looked_back;
    return acme_ok();
}

struct acme_err acme_store_certificates_ending(struct acme_store *store, struct acme_arena *arena,
                                               int64_t from_ms, int64_t until_ms, size_t limit,
                                               const char ***ret_ids, size_t *ret_count)
{
    const struct acme_db_value values[] = {DB_INT(from_ms), DB_INT(until_ms), limit_value(limit)};
    return list_ids(store, arena,
                    "SELECT id FROM certificates WHERE not_after_ms >= $1 AND not_after_ms <= $2"
                    " ORDER BY not_after_ms, id LIMIT $3",
                    values, 3, ret_ids, ret_count);
}

struct acme_err acme_store_certificates_by_serial(struct acme_store *store, struct acme_arena *arena,
                                                  const char *serial_hex, size_t limit, const char ***ret_ids,
                                                  size_t *ret_count)
{
    const struct acme_db_value values[] = {DB_TEXT(serial_hex), limit_value(limit)};
    return list_ids(store, arena, "SELECT id FROM certificates WHERE serial_hex = $1 ORDER BY id LIMIT $2",
                    values, 2, ret_ids, ret_count);
}

/* ---- jobs ---- */

#define JOB_OF                                                                                               \
    "SELECT id, kind, subject_id, queue, state, intent, attempts, run_at_ms, created_ms, share, asked,"      \
    " owner, due_ms, note, noted_ms, upstream_ref FROM jobs"                                                 \
    " WHERE queue = $1 AND share IN ($2, '" ACME_STORE_NO_SHARE "') AND subject_id = $3"

static const char waiting_job[] = JOB_OF " AND owner IS NULL";
static const char leased_job[] = JOB_OF " AND owner IS NOT NULL"; /* in no index, and looked for last */

static struct acme_err load_job(struct acme_db *db, struct acme_arena *arena, const char *sql,
                                const char *queue, const char *share, const char *subject_id,
                                struct acme_job_report *ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_one(db, &stmt, sql, DB_TEXT(queue), DB_TEXT(share), DB_TEXT(subject_id)));
    struct acme_job_report report = {.leased = !acme_db_is_null(stmt, 11),
                                     .due_ms = acme_db_int(stmt, 12),
                                     .remark = {.note = acme_db_text(stmt, arena, 13),
                                                .noted_ms = acme_db_int(stmt, 14),
                                                .upstream_ref = acme_db_text(stmt, arena, 15)}};
    acme_store_job_from_row(stmt, arena, &report.job);
    TRY(acme_db_row_check(stmt));
    *ret = report;
    return acme_ok();
}

struct acme_err acme_store_job_find(struct acme_store *store, struct acme_arena *arena, const char *queue,
                                    const char *share, const char *subject_id, struct acme_job_report *ret)
{
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = load_job(db, arena, waiting_job, queue, share, subject_id, ret);
    if (err.code == ACME_E_NOT_FOUND)
        err = load_job(db, arena, leased_job, queue, share, subject_id, ret);
    if (err.code == ACME_E_NOT_FOUND) /* given back in between */
        err = load_job(db, arena, waiting_job, queue, share, subject_id, ret);
    acme_readers_release(&store->readers, db);
    return err;
}

static struct acme_err count_jobs(struct acme_db *db, const char *queue, int64_t now_ms,
                                  struct acme_queue_report *ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    struct acme_queue_report report = {.next_ms = 0};
    TRY(acme_db_query(db, &stmt,
                      "SELECT kind, SUM(CASE WHEN owner IS NOT NULL THEN 1 ELSE 0 END),"
                      " SUM(CASE WHEN owner IS NULL AND due_ms <= $1 THEN 1 ELSE 0 END),"
                      " SUM(CASE WHEN owner IS NULL AND due_ms > $1 THEN 1 ELSE 0 END), SUM(intent),"
                      " SUM(CASE WHEN attempts > 0 THEN 1 ELSE 0 END),"
                      " MIN(CASE WHEN owner IS NULL AND due_ms > $1 THEN due_ms END), MIN(created_ms)"
                      " FROM jobs WHERE queue = $2 GROUP BY kind",
                      DB_INT(now_ms), DB_TEXT(queue)));
    for (;;) {
        bool row = false;
        TRY(acme_db_next(stmt, &row));
        if (!row)
            break;
        int kind = acme_db_word(stmt, 0, acme_store_job_words, ACME_JOB_KIND_COUNT);
        TRY(acme_db_row_check(stmt));
        report.under_way[kind] = (size_t)acme_db_int(stmt, 1);
        report.due[kind] = (size_t)acme_db_int(stmt, 2);
        report.waiting[kind] = (size_t)acme_db_int(stmt, 3);
        report.intents += (size_t)acme_db_int(stmt, 4);
        report.failing += (size_t)acme_db_int(stmt, 5);
        int64_t next_ms = acme_db_int(stmt, 6);
        int64_t oldest_ms = acme_db_int(stmt, 7);
        if (next_ms != 0 && (report.next_ms == 0 || next_ms < report.next_ms))
            report.next_ms = next_ms;
        if (report.oldest_ms == 0 || oldest_ms < report.oldest_ms)
            report.oldest_ms = oldest_ms;
    }
    *ret = report;
    return acme_ok();
}

struct acme_err acme_store_queue_report(struct acme_store *store, const char *queue, int64_t now_ms,
                                        struct acme_queue_report *ret)
{
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = count_jobs(db, queue, now_ms, ret);
    acme_readers_release(&store->readers, db);
    return err;
}
