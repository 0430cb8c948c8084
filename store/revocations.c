/* Revocations: a certificate's way from the request over the issuer's job to the list of the revoked. */
#include "store/internal.h"

#include <string.h>

static const char *const status_words[] = {
    [ACME_REVOCATION_UNDER_WAY] = "revoking",
    [ACME_REVOCATION_DONE] = "revoked",
    [ACME_REVOCATION_FAILED] = "failed",
};
enum { STATUS_COUNT = sizeof status_words / sizeof status_words[0] };

static struct acme_err load(struct acme_db *db, struct acme_arena *arena, const char *certificate_id,
                            struct acme_revocation *ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_one(db, &stmt,
                    "SELECT certificate_id, status, reason, requested_ms, revoked_ms, error"
                    " FROM revocations WHERE certificate_id = $1",
                    DB_TEXT(certificate_id)));
    const struct acme_revocation revocation = {
        .certificate_id = acme_db_text(stmt, arena, 0),
        .status = (enum acme_revocation_status)acme_db_word(stmt, 1, status_words, STATUS_COUNT),
        .reason = (int)acme_db_int(stmt, 2),
        .requested_ms = acme_db_int(stmt, 3),
        .revoked_ms = acme_db_int(stmt, 4),
        .error = acme_db_text(stmt, arena, 5),
    };
    TRY(acme_db_row_check(stmt));
    *ret = revocation;
    return acme_ok();
}

struct acme_err acme_store_revocation_get(struct acme_store *store, struct acme_arena *arena,
                                          const char *certificate_id, struct acme_revocation *ret)
{
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = load(db, arena, certificate_id, ret);
    acme_readers_release(&store->readers, db);
    return err;
}

/* ---- the beginning ---- */

struct start {
    struct acme_arena *arena;
    const struct acme_certificate *certificate;
    int reason;
    const struct acme_job *job;
    const struct acme_lease *lease;
    int64_t now_ms;
    enum acme_revoke_outcome outcome;
};

static struct acme_err start(struct acme_db *db, void *arg)
{
    struct start *request = arg;
    const struct acme_certificate *certificate = request->certificate;
    struct acme_revocation known;
    struct acme_err err = load(db, request->arena, certificate->id, &known);
    if (!acme_failed(err) && known.status != ACME_REVOCATION_FAILED) {
        request->outcome = known.status == ACME_REVOCATION_DONE ? ACME_REVOKE_ALREADY : ACME_REVOKE_UNDER_WAY;
        return acme_ok();
    }
    if (err.code != ACME_E_NOT_FOUND)
        TRY(err);
    request->outcome = ACME_REVOKE_STARTED;
    TRY(acme_db_run(
        db, NULL,
        "INSERT INTO revocations (certificate_id, issuer, serial_hex, not_after_ms, status, reason,"
        " requested_ms, revoked_ms, error) VALUES ($1, $2, $3, $4, 'revoking', $5, $6, 0, NULL)"
        " ON CONFLICT (certificate_id) DO UPDATE SET status = excluded.status,"
        " reason = excluded.reason, requested_ms = excluded.requested_ms, error = NULL",
        DB_TEXT(certificate->id), DB_TEXT(certificate->issuer), DB_TEXT(certificate->serial_hex),
        DB_INT(certificate->not_after_ms), DB_INT(request->reason), DB_INT(request->now_ms)));
    return acme_store_job_insert(db, request->job, ACME_JOB_REVOKE, certificate->id, request->lease,
                                 request->now_ms);
}

struct acme_err acme_store_revocation_start(struct acme_store *store, struct acme_arena *arena,
                                            const struct acme_certificate *certificate, int reason,
                                            const struct acme_job *job, const struct acme_lease *lease,
                                            int64_t now_ms, enum acme_revoke_outcome *ret_outcome)
{
    struct start request = {.arena = arena,
                            .certificate = certificate,
                            .reason = reason,
                            .job = job,
                            .lease = lease,
                            .now_ms = now_ms};
    TRY(acme_writer_run(&store->writer, start, &request));
    *ret_outcome = request.outcome;
    return acme_ok();
}

/* ---- the end ---- */

struct end {
    const char *certificate_id;
    const char *job_id;
    const char *owner;
    int64_t now_ms;
    const char *error;
};

static struct acme_err end(struct acme_db *db, void *arg)
{
    const struct end *request = arg;
    TRY(acme_store_job_delete(db, request->job_id, request->owner, request->certificate_id));
    return acme_db_run(
        db, NULL, "UPDATE revocations SET status = $1, revoked_ms = $2, error = $3 WHERE certificate_id = $4",
        DB_TEXT(status_words[request->error ? ACME_REVOCATION_FAILED : ACME_REVOCATION_DONE]),
        DB_INT(request->error ? 0 : request->now_ms), DB_TEXT(request->error),
        DB_TEXT(request->certificate_id));
}

struct acme_err acme_store_revocation_end(struct acme_store *store, const char *certificate_id,
                                          const char *job_id, const char *owner, int64_t now_ms,
                                          const char *error)
{
    struct end request = {
        .certificate_id = certificate_id, .job_id = job_id, .owner = owner, .now_ms = now_ms, .error = error};
    return acme_writer_run(&store->writer, end, &request);
}

/* ---- the list ---- */

enum { ROW_ARENA_BYTES = 16 * 1024, ROWS_PER_ARENA = 50 };

/* The arena of the rows' texts is renewed now and then, so that a list of any length takes the same memory.
 */
static struct acme_err visit_rows(struct acme_db_stmt *stmt, acme_revocation_visit visit, void *context,
                                  bool *ret_more)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(ROW_ARENA_BYTES);
    ENSURE(arena, ACME_E_NOMEM);
    for (int i = 0; i < ROWS_PER_ARENA; i++) {
        TRY(acme_db_next(stmt, ret_more));
        if (!*ret_more)
            return acme_ok();
        const char *serial_hex = acme_db_text(stmt, arena, 0);
        TRY(acme_db_row_check(stmt));
        TRY(visit(context, serial_hex, acme_db_int(stmt, 1), (int)acme_db_int(stmt, 2)));
    }
    return acme_ok();
}

static struct acme_err each(struct acme_db *db, const char *issuer, int64_t not_after_ms,
                            acme_revocation_visit visit, void *context)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_query(db, &stmt,
                      "SELECT serial_hex, revoked_ms, reason FROM revocations"
                      " WHERE status = 'revoked' AND issuer = $1 AND not_after_ms >= $2",
                      DB_TEXT(issuer), DB_INT(not_after_ms)));
    bool more = true;
    while (more)
        TRY(visit_rows(stmt, visit, context, &more));
    return acme_ok();
}

struct acme_err acme_store_revocations_each(struct acme_store *store, const char *issuer,
                                            int64_t not_after_ms, acme_revocation_visit visit, void *context)
{
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = each(db, issuer, not_after_ms, visit, context);
    acme_readers_release(&store->readers, db);
    return err;
}
