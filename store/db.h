/* The driver seam: one database connection, its statements and transactions. Everything above speaks SQL in
 * the subset SQLite and PostgreSQL share:
 * - parameters are $1..$n and appear for the first time in numeric order (SQLite numbers `$n` by first
 * occurrence; checked when a statement is prepared);
 * - column types BIGINT (also for truth values, 0 or 1), TEXT, BYTEA; ON CONFLICT and RETURNING are allowed;
 * no AUTOINCREMENT, rowid, INSERT OR, or type affinity tricks.
 *
 * A connection belongs to one thread at a time. Unexpected failures are logged here, where their text is
 * known. Errors of all functions: IO, NOMEM; INTERNAL when a constraint is violated or a statement is
 * misused. */
#ifndef ACME_STORE_DB_H
#define ACME_STORE_DB_H

#include "base/arena.h"

struct acme_db;
struct acme_db_stmt;

enum acme_db_role {
    ACME_DB_WRITER, /* commits and checkpoints; at most one in the world per database */
    ACME_DB_READER  /* cannot change anything, never checkpoints */
};

/** acme_db_open(path, role, ret): connect to an existing file (it may be empty). Release: acme_db_close. */
struct acme_err acme_db_open(const char *path, enum acme_db_role role, struct acme_db **ret) ACME_MUST_USE;

/** acme_db_close(db): end all statements and the connection; a writer copies the log into the database first.
 * NULL allowed. */
void acme_db_close(struct acme_db *db);

/** acme_db_begin / _commit / _rollback: a writing transaction. A failed commit leaves none open. */
struct acme_err acme_db_begin(struct acme_db *db) ACME_MUST_USE;
struct acme_err acme_db_commit(struct acme_db *db) ACME_MUST_USE;
void acme_db_rollback(struct acme_db *db);

/** acme_db_savepoint / _keep / _undo: a part of the transaction that can be taken back alone. One level.
 *  Errors: IO also when the database has given up the whole transaction. */
struct acme_err acme_db_savepoint(struct acme_db *db) ACME_MUST_USE;
struct acme_err acme_db_savepoint_keep(struct acme_db *db) ACME_MUST_USE;
struct acme_err acme_db_savepoint_undo(struct acme_db *db) ACME_MUST_USE;

/** acme_db_change_count(db): rows changed over this connection so far, also by what was taken back since. */
int64_t acme_db_change_count(struct acme_db *db);

/** acme_db_is_writing(db): a transaction is open. Failures of the disk or of memory may have ended it. */
bool acme_db_is_writing(struct acme_db *db);

/** acme_db_is_untidy(db): the write-ahead log has grown enough for a checkpoint. */
bool acme_db_is_untidy(struct acme_db *db);

/** acme_db_tidy(db): checkpoint, between transactions. Takes some milliseconds, and longer on a slow disk. */
void acme_db_tidy(struct acme_db *db);

/* What ends CREATE TABLE when the rows are to be kept in the primary key itself: one tree less to write. For
 * short rows (under about 1000 bytes). Each driver has its own words, or none. */
#define ACME_DB_CLUSTERED " WITHOUT ROWID"

/** acme_db_script(db, sql): run several statements without parameters or results; for migrations. */
struct acme_err acme_db_script(struct acme_db *db, const char *sql) ACME_MUST_USE;

/* One parameter. Borrowed until the statement ends. */
struct acme_db_value {
    enum { ACME_DB_NULL, ACME_DB_INT, ACME_DB_TEXT, ACME_DB_BLOB } kind;
    int64_t number;
    const void *data;
    size_t len;
};

struct acme_db_value acme_db_int_value(int64_t number);
struct acme_db_value acme_db_text_value(const char *text);        /* NULL: SQL NULL */
struct acme_db_value acme_db_blob_value(struct acme_bytes bytes); /* data NULL: SQL NULL */

#define DB_INT(x)  acme_db_int_value(x)
#define DB_TEXT(x) acme_db_text_value(x)
#define DB_BLOB(x) acme_db_blob_value(x)

#define ACME_DB_VALUES(...)                                                                                  \
    (const struct acme_db_value[]){{.kind = ACME_DB_NULL}, ##__VA_ARGS__} + 1,                               \
        sizeof((const struct acme_db_value[]){{.kind = ACME_DB_NULL}, ##__VA_ARGS__}) /                      \
                sizeof(struct acme_db_value) -                                                               \
            1

/** acme_db_query(db, ret, sql, values...): start a statement; its rows come from acme_db_next. `sql` has
 * static storage: prepared statements are kept per connection and found again by its address. One use at a
 * time. Release: acme_db_end, before the connection is used by another thread. */
#define acme_db_query(db, ret, sql, ...) acme_db_query_values((db), (ret), (sql), ACME_DB_VALUES(__VA_ARGS__))
struct acme_err acme_db_query_values(struct acme_db *db, struct acme_db_stmt **ret, const char *sql,
                                     const struct acme_db_value *values, size_t count) ACME_MUST_USE;

/** acme_db_one(db, ret, sql, values...): acme_db_query and its first row. Errors: NOT_FOUND when there is
 * none. */
#define acme_db_one(db, ret, sql, ...) acme_db_one_values((db), (ret), (sql), ACME_DB_VALUES(__VA_ARGS__))
struct acme_err acme_db_one_values(struct acme_db *db, struct acme_db_stmt **ret, const char *sql,
                                   const struct acme_db_value *values, size_t count) ACME_MUST_USE;

/** acme_db_run(db, ret_changes, sql, values...): a statement without rows; how many rows it changed. */
#define acme_db_run(db, ret_changes, sql, ...)                                                               \
    acme_db_run_values((db), (ret_changes), (sql), ACME_DB_VALUES(__VA_ARGS__))
struct acme_err acme_db_run_values(struct acme_db *db, int64_t *ret_changes, const char *sql,
                                   const struct acme_db_value *values, size_t count) ACME_MUST_USE;

/** acme_db_next(stmt, ret_row): go to the next row; false behind the last. */
struct acme_err acme_db_next(struct acme_db_stmt *stmt, bool *ret_row) ACME_MUST_USE;

/** acme_db_end(stmt): done with it; it stays prepared. NULL allowed. */
void acme_db_end(struct acme_db_stmt *stmt);

/* The current row, columns from 0. Texts and blobs are copied into the arena. A column that cannot be read
 * (no memory, a word that is not in the list) is remembered: ask acme_db_row_check once per row. */
bool acme_db_is_null(struct acme_db_stmt *stmt, int column);
int64_t acme_db_int(struct acme_db_stmt *stmt, int column);                                /* NULL: 0 */
const char *acme_db_text(struct acme_db_stmt *stmt, struct acme_arena *arena, int column); /* NULL: NULL */
struct acme_bytes acme_db_blob(struct acme_db_stmt *stmt, struct acme_arena *arena,
                               int column); /* NULL: data NULL */

/** acme_db_word(stmt, column, words, count): position of the column's text in `words`. */
int acme_db_word(struct acme_db_stmt *stmt, int column, const char *const *words, int count);

/** acme_db_row_check(stmt): Errors: NOMEM, or IO for contents this program does not know, met in any row so
 * far. */
struct acme_err acme_db_row_check(const struct acme_db_stmt *stmt) ACME_MUST_USE;

void acme_db_endp(struct acme_db_stmt **stmt);
#define ACME_CLEANUP_STMT __attribute__((cleanup(acme_db_endp)))

#endif
