/* The seam on SQLite (3.37 or later, for counts of changes of 64 bits). */
#include "store/db.h"

#include "base/log.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum {
    STMT_SLOTS = 256, /* several times the number of statements in this folder; a power of two */
    BUSY_TIMEOUT_MS = 1000,
    CHECKPOINT_PAGES = 3500, /* the log's index stays in its first segment, of 4062 */
    RESTART_PAGES = 16000    /* when readers kept the log from starting anew for so long, wait for them */
};

struct acme_db_stmt {
    const char *sql; /* NULL: a free slot */
    sqlite3_stmt *handle;
    struct acme_db *db;
    bool busy;
    enum acme_code row_failure;
};

struct acme_db {
    sqlite3 *handle;
    enum acme_db_role role;
    int wal_pages;          /* after the last commit */
    int checkpointed_pages; /* of these, how many the last checkpoint looked at */
    size_t stmt_count;
    struct acme_db_stmt stmts[STMT_SLOTS];
};

static struct acme_err failure(struct acme_db *db, int rc, const char *what)
{
    acme_log(ERROR, "database failed", LOG_STR("reason", sqlite3_errmsg(db->handle)), LOG_INT("code", rc),
             LOG_STR("statement", what));
    switch (rc & 0xff) {
    case SQLITE_NOMEM:
        return acme_err(ACME_E_NOMEM);
    case SQLITE_CONSTRAINT:
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
        return acme_err(ACME_E_INTERNAL);
    default:
        return acme_err(ACME_E_IO);
    }
}

static int note_wal_pages(void *context, sqlite3 *handle, const char *name, int pages)
{
    struct acme_db *db = context;
    (void)handle;
    (void)name;
    db->wal_pages = pages;
    return SQLITE_OK;
}

static struct acme_err configure(struct acme_db *db)
{
    /* SQLite checkpoints by itself in whichever connection commits or closes; 3.40 can corrupt the log when
     * two connections do so at the same moment, so nobody but the writer ever does. */
    static const char common[] = "PRAGMA wal_autocheckpoint=0;"
                                 "PRAGMA synchronous=FULL;"
                                 "PRAGMA temp_store=MEMORY;"
                                 "PRAGMA trusted_schema=OFF;";
    static const char writer[] = "PRAGMA foreign_keys=ON;"
                                 "PRAGMA cache_size=-4096;";
    static const char reader[] = "PRAGMA query_only=ON;"
                                 "PRAGMA cache_size=-512;";

    (void)sqlite3_extended_result_codes(db->handle, 1);
    (void)sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (db->role == ACME_DB_WRITER) {
        ACME_CLEANUP_STMT struct acme_db_stmt *mode = NULL;
        TRY(acme_db_one(db, &mode, "PRAGMA journal_mode=WAL"));
        const unsigned char *text = sqlite3_column_text(mode->handle, 0);
        if (!text || strcmp((const char *)text, "wal") != 0) {
            acme_log(ERROR, "database failed", LOG_STR("reason", "this file system does not allow WAL mode"));
            return acme_err(ACME_E_IO);
        }
    }
    TRY(acme_db_script(db, common));
    TRY(acme_db_script(db, db->role == ACME_DB_WRITER ? writer : reader));
    if (db->role == ACME_DB_WRITER)
        (void)sqlite3_wal_hook(db->handle, note_wal_pages, db);
    return acme_ok();
}

/* Memory statistics cost a process-wide lock at every allocation. Refused, harmlessly, when SQLite is in use
 * already. */
static void configure_library(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

struct acme_err acme_db_open(const char *path, enum acme_db_role role, struct acme_db **ret)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, configure_library);
    struct acme_db *db = calloc(1, sizeof *db);
    ENSURE(db, ACME_E_NOMEM);
    db->role = role;

    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    int rc = sqlite3_open_v2(path, &db->handle, flags, NULL);
    struct acme_err err = rc == SQLITE_OK ? configure(db) : failure(db, rc, "open");
    if (acme_failed(err)) {
        acme_db_close(db);
        return err;
    }
    *ret = db;
    return acme_ok();
}

void acme_db_close(struct acme_db *db)
{
    if (!db)
        return;
    for (size_t i = 0; i < STMT_SLOTS; i++)
        (void)sqlite3_finalize(db->stmts[i].handle);
    if (db->handle && db->role == ACME_DB_WRITER)
        (void)sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    (void)sqlite3_close_v2(db->handle);
    free(db);
}

struct acme_err acme_db_begin(struct acme_db *db)
{
    return acme_db_run(db, NULL, "BEGIN IMMEDIATE");
}

struct acme_err acme_db_commit(struct acme_db *db)
{
    struct acme_err err = acme_db_run(db, NULL, "COMMIT");
    if (acme_failed(err))
        acme_db_rollback(db);
    return err;
}

void acme_db_rollback(struct acme_db *db)
{
    if (!acme_db_is_writing(db)) /* SQLite rolled back by itself */
        return;
    struct acme_err err = acme_db_run(db, NULL, "ROLLBACK");
    (void)err; /* logged; the next BEGIN reports it to somebody who waits */
}

struct acme_err acme_db_savepoint(struct acme_db *db)
{
    return acme_db_run(db, NULL, "SAVEPOINT op");
}

struct acme_err acme_db_savepoint_keep(struct acme_db *db)
{
    return acme_db_run(db, NULL, "RELEASE SAVEPOINT op");
}

struct acme_err acme_db_savepoint_undo(struct acme_db *db)
{
    ENSURE(acme_db_is_writing(db), ACME_E_IO);
    TRY(acme_db_run(db, NULL, "ROLLBACK TO SAVEPOINT op"));
    return acme_db_savepoint_keep(db);
}

int64_t acme_db_change_count(struct acme_db *db)
{
    return sqlite3_total_changes64(db->handle);
}

bool acme_db_is_writing(struct acme_db *db)
{
    return !sqlite3_get_autocommit(db->handle);
}

bool acme_db_is_untidy(struct acme_db *db)
{
    if (db->wal_pages < db->checkpointed_pages) /* the log has started anew */
        db->checkpointed_pages = 0;
    return db->wal_pages - db->checkpointed_pages >= CHECKPOINT_PAGES;
}

void acme_db_tidy(struct acme_db *db)
{
    int mode = db->wal_pages < RESTART_PAGES ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_RESTART;
    int rc = sqlite3_wal_checkpoint_v2(db->handle, NULL, mode, NULL, NULL);
    if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY)
        (void)failure(db, rc, "checkpoint");
    db->checkpointed_pages = db->wal_pages; /* also when it failed: do not try at every commit */
}

struct acme_err acme_db_script(struct acme_db *db, const char *sql)
{
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? acme_ok() : failure(db, rc, sql);
}

struct acme_db_value acme_db_int_value(int64_t number)
{
    return (struct acme_db_value){.kind = ACME_DB_INT, .number = number};
}

struct acme_db_value acme_db_text_value(const char *text)
{
    if (!text)
        return (struct acme_db_value){.kind = ACME_DB_NULL};
    return (struct acme_db_value){.kind = ACME_DB_TEXT, .data = text, .len = strlen(text)};
}

struct acme_db_value acme_db_blob_value(struct acme_bytes bytes)
{
    if (!bytes.data)
        return (struct acme_db_value){.kind = ACME_DB_NULL};
    return (struct acme_db_value){.kind = ACME_DB_BLOB, .data = bytes.data, .len = bytes.len};
}

static bool placeholders_in_order(sqlite3_stmt *handle)
{
    int count = sqlite3_bind_parameter_count(handle);
    for (int i = 1; i <= count; i++) {
        char expected[16];
        (void)sqlite3_snprintf(sizeof expected, expected, "$%d", i);
        const char *name = sqlite3_bind_parameter_name(handle, i);
        if (!name || strcmp(name, expected) != 0)
            return false;
    }
    return true;
}

static struct acme_db_stmt *find_slot(struct acme_db *db, const char *sql)
{
    size_t at = ((uintptr_t)sql * UINT64_C(0x9E3779B97F4A7C15)) >> 32;
    while (db->stmts[at % STMT_SLOTS].sql && db->stmts[at % STMT_SLOTS].sql != sql)
        at++;
    return &db->stmts[at % STMT_SLOTS];
}

static struct acme_err prepare(struct acme_db *db, const char *sql, struct acme_db_stmt **ret)
{
    struct acme_db_stmt *slot = find_slot(db, sql);
    if (!slot->sql) {
        ENSURE(db->stmt_count < STMT_SLOTS - 1, ACME_E_INTERNAL);
        sqlite3_stmt *handle = NULL;
        int rc = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &handle, NULL);
        if (rc != SQLITE_OK)
            return failure(db, rc, sql);
        if (!placeholders_in_order(handle)) {
            acme_log(ERROR, "database failed", LOG_STR("reason", "placeholders are out of order"),
                     LOG_STR("statement", sql));
            (void)sqlite3_finalize(handle);
            return acme_err(ACME_E_INTERNAL);
        }
        *slot = (struct acme_db_stmt){.sql = sql, .handle = handle, .db = db};
        db->stmt_count++;
    }
    ENSURE(!slot->busy, ACME_E_INTERNAL);
    *ret = slot;
    return acme_ok();
}

static int bind(sqlite3_stmt *handle, int at, const struct acme_db_value *value)
{
    switch (value->kind) {
    case ACME_DB_INT:
        return sqlite3_bind_int64(handle, at, value->number);
    case ACME_DB_TEXT:
        return sqlite3_bind_text64(handle, at, value->data, value->len, SQLITE_STATIC, SQLITE_UTF8);
    case ACME_DB_BLOB:
        return sqlite3_bind_blob64(handle, at, value->data, value->len, SQLITE_STATIC);
    case ACME_DB_NULL:
        break;
    }
    return sqlite3_bind_null(handle, at);
}

struct acme_err acme_db_query_values(struct acme_db *db, struct acme_db_stmt **ret, const char *sql,
                                     const struct acme_db_value *values, size_t count)
{
    struct acme_db_stmt *stmt = NULL;
    TRY(prepare(db, sql, &stmt));
    ENSURE((size_t)sqlite3_bind_parameter_count(stmt->handle) == count, ACME_E_INTERNAL);
    for (size_t i = 0; i < count; i++) {
        int rc = bind(stmt->handle, (int)i + 1, &values[i]);
        if (rc != SQLITE_OK)
            return failure(db, rc, sql);
    }
    stmt->busy = true;
    stmt->row_failure = ACME_OK;
    *ret = stmt;
    return acme_ok();
}

struct acme_err acme_db_one_values(struct acme_db *db, struct acme_db_stmt **ret, const char *sql,
                                   const struct acme_db_value *values, size_t count)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    bool row = false;
    TRY(acme_db_query_values(db, &stmt, sql, values, count));
    TRY(acme_db_next(stmt, &row));
    ENSURE(row, ACME_E_NOT_FOUND);
    *ret = stmt;
    stmt = NULL;
    return acme_ok();
}

struct acme_err acme_db_run_values(struct acme_db *db, int64_t *ret_changes, const char *sql,
                                   const struct acme_db_value *values, size_t count)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    bool row = false;
    TRY(acme_db_query_values(db, &stmt, sql, values, count));
    TRY(acme_db_next(stmt, &row));
    ENSURE(!row, ACME_E_INTERNAL);
    if (ret_changes)
        *ret_changes = sqlite3_changes64(db->handle);
    return acme_ok();
}

struct acme_err acme_db_next(struct acme_db_stmt *stmt, bool *ret_row)
{
    int rc = sqlite3_step(stmt->handle);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return failure(stmt->db, rc, stmt->sql);
    *ret_row = rc == SQLITE_ROW;
    return acme_ok();
}

void acme_db_end(struct acme_db_stmt *stmt)
{
    if (!stmt)
        return;
    (void)sqlite3_reset(stmt->handle); /* repeats the error of the last step, which has been reported */
    stmt->busy = false;
}

void acme_db_endp(struct acme_db_stmt **stmt)
{
    acme_db_end(*stmt);
}

bool acme_db_is_null(struct acme_db_stmt *stmt, int column)
{
    return sqlite3_column_type(stmt->handle, column) == SQLITE_NULL;
}

int64_t acme_db_int(struct acme_db_stmt *stmt, int column)
{
    return sqlite3_column_int64(stmt->handle, column);
}

const char *acme_db_text(struct acme_db_stmt *stmt, struct acme_arena *arena, int column)
{
    if (acme_db_is_null(stmt, column))
        return NULL;
    const char *text = (const char *)sqlite3_column_text(stmt->handle, column);
    char *copy =
        text ? acme_arena_strndup(arena, text, (size_t)sqlite3_column_bytes(stmt->handle, column)) : NULL;
    if (!copy)
        stmt->row_failure = ACME_E_NOMEM;
    return copy;
}

struct acme_bytes acme_db_blob(struct acme_db_stmt *stmt, struct acme_arena *arena, int column)
{
    if (acme_db_is_null(stmt, column))
        return (struct acme_bytes){.data = NULL};
    const void *data = sqlite3_column_blob(stmt->handle, column);
    size_t len = (size_t)sqlite3_column_bytes(stmt->handle, column);
    uint8_t *copy =
        acme_arena_alloc(arena, len + 1); /* never NULL for an empty blob, which is not an absent one */
    if (!copy || (len > 0 && !data)) {
        stmt->row_failure = ACME_E_NOMEM;
        return (struct acme_bytes){.data = NULL};
    }
    if (len > 0)
        memcpy(copy, data, len);
    return (struct acme_bytes){.data = copy, .len = len};
}

int acme_db_word(struct acme_db_stmt *stmt, int column, const char *const *words, int count)
{
    const char *text = (const char *)sqlite3_column_text(stmt->handle, column);
    for (int i = 0; text && i < count; i++)
        if (strcmp(text, words[i]) == 0)
            return i;
    acme_log(ERROR, "database failed", LOG_STR("reason", "unknown word in a row"), LOG_STR("word", text),
             LOG_STR("statement", stmt->sql));
    stmt->row_failure = ACME_E_IO;
    return 0;
}

struct acme_err acme_db_row_check(const struct acme_db_stmt *stmt)
{
    return acme_err(stmt->row_failure);
}
