/* Challenges (RFC 8555 section 7.1.5, 8): each step of one together with its job. */
#include "store/internal.h"

static const char *const status_words[] = {
    [ACME_CHALLENGE_PENDING] = "pending",
    [ACME_CHALLENGE_PROCESSING] = "processing",
    [ACME_CHALLENGE_VALID] = "valid",
    [ACME_CHALLENGE_INVALID] = "invalid",
};
enum { STATUS_COUNT = sizeof status_words / sizeof status_words[0] };

void acme_store_challenge_from_row(struct acme_db_stmt *stmt, struct acme_arena *arena, int column,
                                   const char *authz_id, struct acme_challenge *ret)
{
    *ret = (struct acme_challenge){
        .id = acme_db_text(stmt, arena, column),
        .authz_id = authz_id,
        .type = acme_db_text(stmt, arena, column + 1),
        .token = acme_db_text(stmt, arena, column + 2),
        .status = (enum acme_challenge_status)acme_db_word(stmt, column + 3, status_words, STATUS_COUNT),
        .validated_ms = acme_db_int(stmt, column + 4),
        .started_ms = acme_db_int(stmt, column + 5),
        .error = acme_db_text(stmt, arena, column + 6),
    };
}

struct acme_err acme_store_challenge_insert(struct acme_db *db, const struct acme_challenge *challenge,
                                            const char *authz_id, size_t position)
{
    return acme_db_run(db, NULL,
                       "INSERT INTO challenges (id, authz_id, position, type, token, status, validated_ms,"
                       " started_ms, error) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                       DB_TEXT(challenge->id), DB_TEXT(authz_id), DB_INT((int64_t)position),
                       DB_TEXT(challenge->type), DB_TEXT(challenge->token),
                       DB_TEXT(status_words[challenge->status]), DB_INT(challenge->validated_ms),
                       DB_INT(challenge->started_ms), DB_TEXT(challenge->error));
}

struct start {
    const char *challenge_id;
    const struct acme_job *job;
    const struct acme_lease *lease;
    int64_t now_ms;
};

static struct acme_err require_challenge(struct acme_db *db, const char *id)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    return acme_db_one(db, &stmt, "SELECT 1 FROM challenges WHERE id = $1", DB_TEXT(id));
}

static struct acme_err start(struct acme_db *db, void *arg)
{
    const struct start *request = arg;
    int64_t changed = 0;
    TRY(acme_db_run(
        db, &changed,
        "UPDATE challenges SET status = 'processing', started_ms = $1"
        " WHERE id = $2 AND status = 'pending' AND EXISTS"
        " (SELECT 1 FROM authorizations a WHERE a.id = challenges.authz_id AND a.status = 'pending')",
        DB_INT(request->now_ms), DB_TEXT(request->challenge_id)));
    if (changed == 0) {
        TRY(require_challenge(db, request->challenge_id));
        return acme_err(ACME_E_STATE);
    }
    return acme_store_job_insert(db, request->job, ACME_JOB_VALIDATE, request->challenge_id, request->lease,
                                 request->now_ms);
}

struct acme_err acme_store_challenge_start(struct acme_store *store, const char *challenge_id,
                                           const struct acme_job *job, const struct acme_lease *lease,
                                           int64_t now_ms)
{
    struct start request = {.challenge_id = challenge_id, .job = job, .lease = lease, .now_ms = now_ms};
    return acme_writer_run(&store->writer, start, &request);
}

struct progress {
    const char *challenge_id;
    const char *job_id;
    const char *owner;
    const char *error;
    int64_t run_at_ms;
    int attempts;
};

static struct acme_err progress(struct acme_db *db, void *arg)
{
    const struct progress *request = arg;
    TRY(acme_store_job_give_back(db, request->job_id, request->owner, NULL, request->run_at_ms,
                                 request->attempts));
    return acme_db_run(db, NULL, "UPDATE challenges SET error = $1 WHERE id = $2 AND status = 'processing'",
                       DB_TEXT(request->error), DB_TEXT(request->challenge_id));
}

struct acme_err acme_store_challenge_progress(struct acme_store *store, const char *challenge_id,
                                              const char *job_id, const char *owner, const char *error,
                                              int64_t run_at_ms, int attempts)
{
    struct progress request = {.challenge_id = challenge_id,
                               .job_id = job_id,
                               .owner = owner,
                               .error = error,
                               .run_at_ms = run_at_ms,
                               .attempts = attempts};
    return acme_writer_run(&store->writer, progress, &request);
}

struct finish {
    struct acme_arena *arena;
    const char *challenge_id;
    const char *job_id;
    const char *owner;
    const char *error;
    int64_t now_ms;
    int64_t authz_expires_ms;
};

/* *ret_authz_id is NULL when the challenge is not being processed. */
static struct acme_err find_authz(struct acme_db *db, const struct finish *request, const char **ret_authz_id)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    bool row = false;
    TRY(acme_db_query(db, &stmt, "SELECT authz_id FROM challenges WHERE id = $1 AND status = 'processing'",
                      DB_TEXT(request->challenge_id)));
    TRY(acme_db_next(stmt, &row));
    *ret_authz_id = row ? acme_db_text(stmt, request->arena, 0) : NULL;
    return acme_db_row_check(stmt);
}

static struct acme_err settle_challenge(struct acme_db *db, const struct finish *request)
{
    return acme_db_run(db, NULL,
                       "UPDATE challenges SET status = $1, validated_ms = $2, error = $3 WHERE id = $4",
                       DB_TEXT(status_words[request->error ? ACME_CHALLENGE_INVALID : ACME_CHALLENGE_VALID]),
                       DB_INT(request->error ? 0 : request->now_ms), DB_TEXT(request->error),
                       DB_TEXT(request->challenge_id));
}

static struct acme_err settle_authz(struct acme_db *db, const struct finish *request, const char *authz_id)
{
    int64_t changed = 0;
    if (request->error) {
        TRY(acme_db_run(db, &changed,
                        "UPDATE authorizations SET status = 'invalid' WHERE id = $1 AND status = 'pending'",
                        DB_TEXT(authz_id)));
        return changed > 0 ? acme_store_authz_orders_invalid(db, authz_id, request->error) : acme_ok();
    }
    /* One that has expired was shown as invalid, which is final. */
    TRY(acme_db_run(db, &changed,
                    "UPDATE authorizations SET status = 'valid', expires_ms = $1"
                    " WHERE id = $2 AND status = 'pending' AND expires_ms > $3",
                    DB_INT(request->authz_expires_ms), DB_TEXT(authz_id), DB_INT(request->now_ms)));
    return changed > 0 ? acme_store_authz_orders_ready(db, request->arena, authz_id, request->now_ms,
                                                       request->authz_expires_ms)
                       : acme_ok();
}

static struct acme_err finish(struct acme_db *db, void *arg)
{
    const struct finish *request = arg;
    const char *authz_id = NULL;
    TRY(acme_store_job_delete(db, request->job_id, request->owner, request->challenge_id));
    TRY(find_authz(db, request, &authz_id));
    if (!authz_id)
        return acme_ok();
    TRY(settle_challenge(db, request));
    return settle_authz(db, request, authz_id);
}

struct acme_err acme_store_challenge_finish(struct acme_store *store, const char *challenge_id,
                                            const char *job_id, const char *owner, const char *error,
                                            int64_t now_ms, int64_t authz_expires_ms)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(4096);
    ENSURE(arena, ACME_E_NOMEM);
    struct finish request = {.arena = arena,
                             .challenge_id = challenge_id,
                             .job_id = job_id,
                             .owner = owner,
                             .error = error,
                             .now_ms = now_ms,
                             .authz_expires_ms = authz_expires_ms};
    return acme_writer_run(&store->writer, finish, &request);
}
