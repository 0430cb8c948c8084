/* Durable jobs: who works on what, until when. The owner column is the fence: whoever is not in it changes
 * nothing. Most jobs are done by the process that makes them and never wait: the indexes have only those that
 * nobody works on (`owner IS NULL`, which statements that are to use them say). */
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>

const char *const acme_store_job_words[ACME_JOB_KIND_COUNT] = {[ACME_JOB_VALIDATE] = "validate",
                                                               [ACME_JOB_ISSUE] = "issue",
                                                               [ACME_JOB_REVOKE] = "revoke",
                                                               [ACME_JOB_DEPLOY] = "deploy"};

enum {
    MAX_CLAIM = 256,
    LOOK_AT_LEASES_MS = 15 * 1000, /* no index has them: a walk through all jobs */
    MAX_SHARES_SEEN = 4096         /* by one claim: the write connection is everybody's */
};

struct acme_err acme_store_job_insert(struct acme_db *db, const struct acme_job *job, enum acme_job_kind kind,
                                      const char *subject_id, const struct acme_lease *lease, int64_t now_ms)
{
    return acme_db_run(db, NULL,
                       "INSERT INTO jobs (id, kind, subject_id, queue, state, intent, attempts, run_at_ms,"
                       " created_ms, owner, due_ms, share)"
                       " VALUES ($1, $2, $3, $4, NULL, 0, 0, $5, $6, $7, $8, $9)",
                       DB_TEXT(job->id), DB_TEXT(acme_store_job_words[kind]), DB_TEXT(subject_id),
                       DB_TEXT(job->queue), DB_INT(now_ms), DB_INT(job->created_ms), DB_TEXT(lease->owner),
                       DB_INT(lease->until_ms),
                       DB_TEXT(job->share == NULL ? ACME_STORE_NO_SHARE : job->share));
}

struct acme_err acme_store_job_delete(struct acme_db *db, const char *job_id, const char *owner,
                                      const char *subject_id)
{
    int64_t changed = 0;
    TRY(acme_db_run(db, &changed, "DELETE FROM jobs WHERE id = $1 AND owner = $2 AND subject_id = $3",
                    DB_TEXT(job_id), DB_TEXT(owner), DB_TEXT(subject_id)));
    ENSURE(changed > 0, ACME_E_STATE);
    TRY(acme_store_question_remove(db, job_id));
    return acme_store_lines_leave(db, job_id);
}

/* For where there is nothing to remark. */
static const struct acme_job_remark nothing_new;

struct acme_err acme_store_job_put_back(struct acme_db *db, const char *job_id, const char *owner,
                                        const char *state, int64_t run_at_ms, int attempts,
                                        const struct acme_job_remark *remark)
{
    int64_t changed = 0;
    TRY(acme_db_run(db, &changed,
                    "UPDATE jobs SET owner = NULL, intent = 0, state = $1, run_at_ms = $2, due_ms = $2,"
                    " attempts = $3, note = COALESCE($4, note),"
                    " noted_ms = CASE WHEN $4 IS NULL THEN noted_ms ELSE $5 END,"
                    " upstream_ref = COALESCE($6, upstream_ref) WHERE id = $7 AND owner = $8",
                    DB_TEXT(state), DB_INT(run_at_ms), DB_INT(attempts), DB_TEXT(remark->note),
                    DB_INT(remark->noted_ms), DB_TEXT(remark->upstream_ref), DB_TEXT(job_id),
                    DB_TEXT(owner)));
    ENSURE(changed > 0, ACME_E_STATE);
    return remark->asks ? acme_store_question_put(db, job_id, remark) : acme_ok();
}

struct acme_err acme_store_job_give_back(struct acme_db *db, const char *job_id, const char *owner,
                                         const char *state, int64_t run_at_ms, int attempts)
{
    return acme_store_job_put_back(db, job_id, owner, state, run_at_ms, attempts, &nothing_new);
}

static struct acme_err recover(struct acme_db *db, void *arg)
{
    int64_t *count = arg;
    return acme_db_run(db, count, "UPDATE jobs SET owner = NULL, due_ms = run_at_ms WHERE owner IS NOT NULL");
}

struct acme_err acme_store_jobs_recover(struct acme_store *store, size_t *ret_count)
{
    int64_t count = 0;
    TRY(acme_writer_run(&store->writer, recover, &count));
    *ret_count = (size_t)count;
    return acme_ok();
}

struct share {
    const char *name;
    size_t wanted;
};

struct claim {
    struct acme_arena *arena;
    const char *queue;
    int64_t now_ms;
    const struct acme_lease *lease;
    size_t room;  /* for jobs */
    size_t limit; /* of those that are still to be claimed */
    struct acme_turns *turns;
    bool leases_ended;
    struct share *shares; /* as many places */
    size_t share_count;
    struct acme_job *jobs; /* likewise */
    size_t count;
};

void acme_store_job_from_row(struct acme_db_stmt *stmt, struct acme_arena *arena, struct acme_job *ret)
{
    *ret = (struct acme_job){
        .id = acme_db_text(stmt, arena, 0),
        .kind = (enum acme_job_kind)acme_db_word(stmt, 1, acme_store_job_words, ACME_JOB_KIND_COUNT),
        .subject_id = acme_db_text(stmt, arena, 2),
        .queue = acme_db_text(stmt, arena, 3),
        .state = acme_db_text(stmt, arena, 4),
        .intent = acme_db_int(stmt, 5) != 0,
        .attempts = (int)acme_db_int(stmt, 6),
        .run_at_ms = acme_db_int(stmt, 7),
        .created_ms = acme_db_int(stmt, 8),
        .share = acme_db_text(stmt, arena, 9),
        .asked = acme_db_int(stmt, 10) != 0,
    };
}

static int older_first(const void *a, const void *b)
{
    const struct acme_job *left = a;
    const struct acme_job *right = b;
    if (left->run_at_ms != right->run_at_ms)
        return left->run_at_ms < right->run_at_ms ? -1 : 1;
    return strcmp(left->id, right->id);
}

static bool may_take(const struct claim *request, const struct share *share, size_t taken_in_all)
{
    const struct acme_turns *turns = request->turns;
    return turns->may_take == NULL ||
           turns->may_take(turns->context, share->name, share->wanted, request->count + taken_in_all);
}

/* The shares beyond `after` (and up to `last`, unless NULL) that have due jobs and may take one, until there
 * are enough. The index is walked in leaps from share to share, however many jobs each has. */
static struct acme_err find_shares(struct acme_db *db, struct claim *request, const char *after,
                                   const char *last)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    bool row = false;
    TRY(acme_db_query(
        db, &stmt,
        "WITH RECURSIVE leap (share) AS ("
        " SELECT MIN(share) FROM jobs WHERE queue = $1 AND share > $2 AND owner IS NULL"
        " UNION ALL"
        " SELECT (SELECT MIN(j.share) FROM jobs j WHERE j.queue = $1 AND j.share > leap.share"
        " AND j.owner IS NULL) FROM leap"
        " WHERE leap.share IS NOT NULL AND ($3 = '' OR leap.share < $3))"
        " SELECT share FROM leap WHERE share IS NOT NULL AND ($3 = '' OR share <= $3) AND EXISTS"
        " (SELECT 1 FROM jobs d WHERE d.queue = $1 AND d.share = leap.share AND d.due_ms <= $4"
        " AND d.owner IS NULL) LIMIT $5",
        DB_TEXT(request->queue), DB_TEXT(after), DB_TEXT(last == NULL ? "" : last), DB_INT(request->now_ms),
        DB_INT(MAX_SHARES_SEEN)));
    for (;;) {
        TRY(acme_db_next(stmt, &row));
        if (!row)
            return acme_ok();
        struct share share = {.name = acme_db_text(stmt, request->arena, 0)};
        TRY(acme_db_row_check(stmt));
        if (!may_take(request, &share, request->share_count)) {
            request->turns->left_due = true;
            continue;
        }
        if (request->share_count == request->limit) {
            request->turns->left_due = true;
            return acme_ok();
        }
        share.wanted = 1;
        request->shares[request->share_count++] = share;
    }
}

/* Everybody has one; deal out the rest in rounds. */
static void deal(struct claim *request)
{
    size_t taken = request->share_count;
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < request->share_count && taken < request->limit; i++) {
            if (!may_take(request, &request->shares[i], taken))
                continue;
            request->shares[i].wanted++;
            taken++;
            more = true;
        }
    }
}

#define LEASED                                                                                               \
    " RETURNING id, kind, subject_id, queue, state, intent, attempts, run_at_ms, created_ms, share, asked"

static struct acme_err take_rows(struct claim *request, struct acme_db_stmt *stmt, size_t wanted)
{
    bool row = false;
    size_t before = request->count;
    for (;;) {
        TRY(acme_db_next(stmt, &row));
        if (!row)
            break;
        ENSURE(request->count < request->room, ACME_E_INTERNAL);
        acme_store_job_from_row(stmt, request->arena, &request->jobs[request->count++]);
    }
    if (request->count - before == wanted)
        request->turns->left_due = true; /* perhaps */
    return acme_db_row_check(stmt);
}

static struct acme_err claim_share(struct acme_db *db, struct claim *request, const struct share *share)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_query(db, &stmt,
                      "UPDATE jobs SET owner = $1, due_ms = $2 WHERE id IN (SELECT id FROM jobs"
                      " WHERE queue = $3 AND share = $4 AND due_ms <= $5 AND owner IS NULL"
                      " ORDER BY due_ms, id LIMIT $6)" LEASED,
                      DB_TEXT(request->lease->owner), DB_INT(request->lease->until_ms),
                      DB_TEXT(request->queue), DB_TEXT(share->name), DB_INT(request->now_ms),
                      DB_INT((int64_t)share->wanted)));
    return take_rows(request, stmt, share->wanted);
}

static struct acme_err claim_latest(struct acme_db *db, struct claim *request)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_query(db, &stmt,
                      "UPDATE jobs SET owner = $1, due_ms = $2 WHERE id IN (SELECT id FROM jobs"
                      " WHERE queue = $3 AND due_ms <= $4 AND owner IS NULL"
                      " ORDER BY due_ms DESC, id DESC LIMIT $5)" LEASED,
                      DB_TEXT(request->lease->owner), DB_INT(request->lease->until_ms),
                      DB_TEXT(request->queue), DB_INT(request->now_ms), DB_INT((int64_t)request->limit)));
    return take_rows(request, stmt, request->limit);
}

/* They have had their turn before. */
static struct acme_err claim_dropped(struct acme_db *db, struct claim *request)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_query(db, &stmt,
                      "UPDATE jobs SET owner = $1, due_ms = $2 WHERE id IN (SELECT id FROM jobs"
                      " WHERE queue = $3 AND due_ms <= $4 AND owner IS NOT NULL"
                      " ORDER BY due_ms, id LIMIT $5)" LEASED,
                      DB_TEXT(request->lease->owner), DB_INT(request->lease->until_ms),
                      DB_TEXT(request->queue), DB_INT(request->now_ms), DB_INT((int64_t)request->limit)));
    TRY(take_rows(request, stmt, request->limit));
    request->limit -= request->count;
    return acme_ok();
}

static struct acme_err claim(struct acme_db *db, void *arg)
{
    struct claim *request = arg;
    request->share_count = 0;
    request->count = 0;
    request->turns->left_due = false;
    request->limit = request->room;
    if (request->leases_ended)
        TRY(claim_dropped(db, request));
    if (request->limit == 0)
        return acme_ok();
    if (request->turns->latest_first)
        return claim_latest(db, request);
    TRY(find_shares(db, request, request->turns->last, NULL));
    if (request->share_count < request->limit && request->turns->last[0] != '\0')
        TRY(find_shares(db, request, "", request->turns->last));
    deal(request);
    for (size_t i = 0; i < request->share_count; i++)
        TRY(claim_share(db, request, &request->shares[i]));
    return acme_ok();
}

static struct acme_err read_ended(struct acme_db *db, const struct claim *request, bool *ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_query(db, &stmt,
                      "SELECT 1 FROM jobs WHERE queue = $1 AND due_ms <= $2 AND owner IS NOT NULL LIMIT 1",
                      DB_TEXT(request->queue), DB_INT(request->now_ms)));
    return acme_db_next(stmt, ret);
}

static struct acme_err look_at_leases(struct acme_store *store, struct claim *request)
{
    struct acme_turns *turns = request->turns;
    /* Later than now: the clock was set back, perhaps by hours. */
    if (turns->leases_seen_ms != 0 && turns->leases_seen_ms <= request->now_ms &&
        request->now_ms - turns->leases_seen_ms < LOOK_AT_LEASES_MS)
        return acme_ok();
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = read_ended(db, request, &request->leases_ended);
    acme_readers_release(&store->readers, db);
    turns->leases_seen_ms = request->leases_ended ? 0 : request->now_ms; /* not all may be taken at once */
    return err;
}

struct acme_err acme_store_jobs_claim(struct acme_store *store, struct acme_arena *arena, const char *queue,
                                      int64_t now_ms, const struct acme_lease *lease, size_t limit,
                                      struct acme_turns *turns, struct acme_job **ret, size_t *ret_count)
{
    struct claim request = {.arena = arena,
                            .queue = queue,
                            .now_ms = now_ms,
                            .lease = lease,
                            .room = limit < MAX_CLAIM ? limit : MAX_CLAIM,
                            .turns = turns};
    ENSURE(limit > 0, ACME_E_INTERNAL);
    request.jobs = acme_arena_alloc(arena, request.room * sizeof(struct acme_job));
    request.shares = acme_arena_alloc(arena, request.room * sizeof(struct share));
    ENSURE(request.jobs != NULL && request.shares != NULL, ACME_E_NOMEM);
    TRY(look_at_leases(store, &request));
    TRY(acme_writer_run(&store->writer, claim, &request));
    if (request.share_count > 0) {
        const char *last = request.shares[request.share_count - 1].name;
        ENSURE(strlen(last) < sizeof turns->last, ACME_E_INTERNAL);
        memcpy(turns->last, last, strlen(last) + 1);
    }
    qsort(request.jobs, request.count, sizeof(struct acme_job), older_first); /* RETURNING has no order */
    *ret = request.jobs;
    *ret_count = request.count;
    return acme_ok();
}

static struct acme_err read_next(struct acme_db *db, const char *queue, int64_t after_ms, int64_t *ret_ms)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_one(db, &stmt,
                    "SELECT MIN(due_ms) FROM jobs WHERE queue = $1 AND due_ms > $2 AND owner IS NULL",
                    DB_TEXT(queue), DB_INT(after_ms)));
    *ret_ms = acme_db_int(stmt, 0);
    return acme_ok();
}

struct acme_err acme_store_jobs_next(struct acme_store *store, const char *queue, int64_t after_ms,
                                     int64_t *ret_ms)
{
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = read_next(db, queue, after_ms, ret_ms);
    acme_readers_release(&store->readers, db);
    return err;
}

static struct acme_err count_jobs(struct acme_db *db, const char *queue, int64_t *ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_one(db, &stmt, "SELECT COUNT(*) FROM jobs WHERE queue = $1 AND owner IS NULL",
                    DB_TEXT(queue)));
    *ret = acme_db_int(stmt, 0);
    return acme_ok();
}

struct acme_err acme_store_jobs_count(struct acme_store *store, const char *queue, int64_t *ret)
{
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = count_jobs(db, queue, ret);
    acme_readers_release(&store->readers, db);
    return err;
}

static struct acme_err list_queues(struct acme_db *db, struct acme_arena *arena, const char ***ret,
                                   size_t *ret_count)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_query(db, &stmt, "SELECT DISTINCT queue FROM jobs ORDER BY queue"));
    return acme_store_collect_ids(stmt, arena, ret, ret_count);
}

struct acme_err acme_store_jobs_queues(struct acme_store *store, struct acme_arena *arena, const char ***ret,
                                       size_t *ret_count)
{
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = list_queues(db, arena, ret, ret_count);
    acme_readers_release(&store->readers, db);
    return err;
}

struct save {
    const char *job_id;
    const struct acme_lease *lease;
    const char *state;
    bool intent;
    const struct acme_job_remark *remark;
};

static struct acme_err save(struct acme_db *db, void *arg)
{
    const struct save *request = arg;
    int64_t changed = 0;
    TRY(acme_db_run(db, &changed,
                    "UPDATE jobs SET due_ms = $1, state = $2, intent = $3, note = COALESCE($4, note),"
                    " noted_ms = CASE WHEN $4 IS NULL THEN noted_ms ELSE $5 END,"
                    " upstream_ref = COALESCE($6, upstream_ref) WHERE id = $7 AND owner = $8",
                    DB_INT(request->lease->until_ms), DB_TEXT(request->state), DB_INT(request->intent),
                    DB_TEXT(request->remark->note), DB_INT(request->remark->noted_ms),
                    DB_TEXT(request->remark->upstream_ref), DB_TEXT(request->job_id),
                    DB_TEXT(request->lease->owner)));
    ENSURE(changed > 0, ACME_E_STATE);
    return acme_ok();
}

struct acme_err acme_store_job_save(struct acme_store *store, const char *job_id,
                                    const struct acme_lease *lease, const char *state, bool intent,
                                    const struct acme_job_remark *remark)
{
    struct save request = {.job_id = job_id,
                           .lease = lease,
                           .state = state,
                           .intent = intent,
                           .remark = remark == NULL ? &nothing_new : remark};
    return acme_writer_run(&store->writer, save, &request);
}

struct wait {
    const char *job_id;
    const char *owner;
    const char *state;
    int64_t run_at_ms;
    int attempts;
    const struct acme_job_remark *remark;
};

static struct acme_err give_back(struct acme_db *db, void *arg)
{
    const struct wait *request = arg;
    return acme_store_job_put_back(db, request->job_id, request->owner, request->state, request->run_at_ms,
                                   request->attempts, request->remark);
}

struct acme_err acme_store_job_wait(struct acme_store *store, const char *job_id, const char *owner,
                                    const char *state, int64_t run_at_ms, int attempts,
                                    const struct acme_job_remark *remark)
{
    struct wait request = {.job_id = job_id,
                           .owner = owner,
                           .state = state,
                           .run_at_ms = run_at_ms,
                           .attempts = attempts,
                           .remark = remark == NULL ? &nothing_new : remark};
    return acme_writer_run(&store->writer, give_back, &request);
}

static struct acme_err release(struct acme_db *db, void *arg)
{
    const struct wait *request = arg;
    int64_t changed = 0;
    TRY(acme_db_run(db, &changed,
                    "UPDATE jobs SET owner = NULL, run_at_ms = $1, due_ms = $1 WHERE id = $2 AND owner = $3",
                    DB_INT(request->run_at_ms), DB_TEXT(request->job_id), DB_TEXT(request->owner)));
    ENSURE(changed > 0, ACME_E_STATE);
    return acme_ok();
}

struct acme_err acme_store_job_release(struct acme_store *store, const char *job_id, const char *owner,
                                       int64_t run_at_ms)
{
    struct wait request = {.job_id = job_id, .owner = owner, .run_at_ms = run_at_ms};
    return acme_writer_run(&store->writer, release, &request);
}
