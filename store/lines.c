/* Lines: who may change something of an upstream that only one job may change at a time. The oldest entry
 * whose job still lives has it. Entries go with their jobs, so that nobody has to give anything back. */
#include "store/internal.h"

/* Entries of jobs that are gone for a reason that this file has not heard of do not count. */
#define AHEAD                                                                                                \
    "SELECT COUNT(*) FROM lines l JOIN jobs j ON j.id = l.job_id"                                            \
    " WHERE l.object = $1 AND l.place < (SELECT m.place FROM lines m WHERE m.object = $1 AND m.job_id = $2)"

static struct acme_err is_in_line(struct acme_db *db, const char *object, const char *job_id, bool *ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_query(db, &stmt, "SELECT 1 FROM lines WHERE object = $1 AND job_id = $2", DB_TEXT(object),
                      DB_TEXT(job_id)));
    return acme_db_next(stmt, ret);
}

static struct acme_err count_ahead(struct acme_db *db, const char *object, const char *job_id, size_t *ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_one(db, &stmt, AHEAD, DB_TEXT(object), DB_TEXT(job_id)));
    *ret = (size_t)acme_db_int(stmt, 0);
    return acme_ok();
}

struct enter {
    const char *object;
    const char *job_id;
    size_t ahead;
};

static struct acme_err enter(struct acme_db *db, void *arg)
{
    struct enter *request = arg;
    TRY(acme_db_run(
        db, NULL,
        "DELETE FROM lines WHERE object = $1 AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.id = lines.job_id)",
        DB_TEXT(request->object)));
    /* A job that is gone would never leave. */
    TRY(acme_db_run(db, NULL,
                    "INSERT INTO lines (object, place, job_id)"
                    " SELECT $1, (SELECT COALESCE(MAX(l.place), 0) + 1 FROM lines l WHERE l.object = $1),"
                    " j.id FROM jobs j WHERE j.id = $2 ON CONFLICT (object, job_id) DO NOTHING",
                    DB_TEXT(request->object), DB_TEXT(request->job_id)));
    bool entered = false;
    TRY(is_in_line(db, request->object, request->job_id, &entered));
    ENSURE(entered, ACME_E_STATE);
    return count_ahead(db, request->object, request->job_id, &request->ahead);
}

static struct acme_err look(struct acme_db *db, struct enter *request, bool *ret_entered)
{
    TRY(is_in_line(db, request->object, request->job_id, ret_entered));
    return *ret_entered ? count_ahead(db, request->object, request->job_id, &request->ahead) : acme_ok();
}

struct acme_err acme_store_line_enter(struct acme_store *store, const char *object, const char *job_id,
                                      size_t *ret_ahead)
{
    struct enter request = {.object = object, .job_id = job_id};
    bool entered = false;
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = look(db, &request, &entered);
    acme_readers_release(&store->readers, db);
    TRY(err);
    if (!entered)
        TRY(acme_writer_run(&store->writer, enter, &request));
    *ret_ahead = request.ahead;
    return acme_ok();
}

static struct acme_err stands_in_line(struct acme_db *db, const char *job_id, bool *ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_query(db, &stmt, "SELECT 1 FROM lines WHERE job_id = $1 LIMIT 1", DB_TEXT(job_id)));
    return acme_db_next(stmt, ret);
}

struct acme_err acme_store_lines_leave(struct acme_db *db, const char *job_id)
{
    bool stands = false;
    TRY(stands_in_line(db, job_id, &stands)); /* most jobs never do */
    if (!stands)
        return acme_ok();
    /* Who comes next is due at once; one that is being worked on looks again by itself. */
    TRY(acme_db_run(db, NULL,
                    "UPDATE jobs SET run_at_ms = created_ms, due_ms = created_ms"
                    " WHERE owner IS NULL AND due_ms > created_ms AND id IN"
                    " (SELECT n.job_id FROM lines n JOIN lines l ON l.object = n.object WHERE l.job_id = $1"
                    " AND n.place = (SELECT MIN(m.place) FROM lines m WHERE m.object = l.object"
                    " AND m.job_id <> $1))",
                    DB_TEXT(job_id)));
    return acme_db_run(db, NULL, "DELETE FROM lines WHERE job_id = $1", DB_TEXT(job_id));
}
