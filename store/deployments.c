/* Deployments: what becomes of a certificate after it was issued. One is made with the certificate for each
 * deployer of its profile; those of one deployer that go to the same place are ordered by their position, and
 * the last one counts. */
#include "store/internal.h"

#include <limits.h>
#include <string.h>

static const char *const status_words[] = {
    [ACME_DEPLOYMENT_PENDING] = "pending",
    [ACME_DEPLOYMENT_DEPLOYED] = "deployed",
    [ACME_DEPLOYMENT_FAILED] = "failed",
    [ACME_DEPLOYMENT_SUPERSEDED] = "superseded",
};
enum { STATUS_COUNT = sizeof status_words / sizeof status_words[0], FIRST_ROOM = 8, ID_ARENA_BYTES = 1024 };

const char *acme_deployment_status_name(enum acme_deployment_status status)
{
    return status_words[status];
}

/* ---- reading ---- */

#define COLUMNS                                                                                              \
    "SELECT d.id, d.deployer, d.certificate_id, d.issuance_id, d.job_id, d.status, d.target, d.created_ms,"  \
    " d.deadline_ms, d.ended_ms, d.error, c.account_id, i.order_id, i.profile, c.serial_hex,"                \
    " c.not_after_ms, (SELECT r.revoked_ms FROM revocations r WHERE r.certificate_id = d.certificate_id"     \
    " AND r.status = 'revoked'),"                                                                            \
    " CASE WHEN d.status = 'deployed' AND NOT EXISTS (SELECT 1 FROM deployments n"                           \
    " WHERE n.deployer = d.deployer AND n.place = d.place AND n.position > d.position"                       \
    " AND n.status = 'deployed') THEN 1 ELSE 0 END, d.place, i.identifiers"                                  \
    " FROM deployments d JOIN certificates c ON c.id = d.certificate_id"                                     \
    " JOIN issuances i ON i.id = d.issuance_id"

static struct acme_err from_row(struct acme_db_stmt *stmt, struct acme_arena *arena,
                                struct acme_deployment *ret)
{
    const struct acme_deployment deployment = {
        .id = acme_db_text(stmt, arena, 0),
        .deployer = acme_db_text(stmt, arena, 1),
        .certificate_id = acme_db_text(stmt, arena, 2),
        .issuance_id = acme_db_text(stmt, arena, 3),
        .job_id = acme_db_text(stmt, arena, 4),
        .status = (enum acme_deployment_status)acme_db_word(stmt, 5, status_words, STATUS_COUNT),
        .target = acme_db_text(stmt, arena, 6),
        .created_ms = acme_db_int(stmt, 7),
        .deadline_ms = acme_db_int(stmt, 8),
        .ended_ms = acme_db_int(stmt, 9),
        .error = acme_db_text(stmt, arena, 10),
        .account_id = acme_db_text(stmt, arena, 11),
        .order_id = acme_db_text(stmt, arena, 12),
        .profile = acme_db_text(stmt, arena, 13),
        .serial_hex = acme_db_text(stmt, arena, 14),
        .not_after_ms = acme_db_int(stmt, 15),
        .revoked_ms = acme_db_int(stmt, 16),
        .in_place = acme_db_int(stmt, 17) != 0,
        .place = acme_db_text(stmt, arena, 18),
        .identifiers_json = acme_db_text(stmt, arena, 19),
    };
    TRY(acme_db_row_check(stmt));
    *ret = deployment;
    return acme_ok();
}

static struct acme_err load(struct acme_db *db, struct acme_arena *arena, const char *id,
                            struct acme_deployment *ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_one(db, &stmt, COLUMNS " WHERE d.id = $1", DB_TEXT(id)));
    return from_row(stmt, arena, ret);
}

struct acme_err acme_store_deployment_get(struct acme_store *store, struct acme_arena *arena, const char *id,
                                          struct acme_deployment *ret)
{
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = load(db, arena, id, ret);
    acme_readers_release(&store->readers, db);
    return err;
}

static struct acme_err collect(struct acme_db_stmt *stmt, struct acme_arena *arena,
                               struct acme_deployment **ret, size_t *ret_count)
{
    size_t room = FIRST_ROOM;
    size_t count = 0;
    struct acme_deployment *list = acme_arena_alloc(arena, room * sizeof *list);
    ENSURE(list != NULL, ACME_E_NOMEM);
    for (;;) {
        bool row = false;
        TRY(acme_db_next(stmt, &row));
        if (!row)
            break;
        if (count == room) {
            struct acme_deployment *more = acme_arena_alloc(arena, 2 * room * sizeof *more);
            ENSURE(more != NULL, ACME_E_NOMEM);
            memcpy(more, list, count * sizeof *list);
            list = more;
            room *= 2;
        }
        TRY(from_row(stmt, arena, &list[count++]));
    }
    *ret = list;
    *ret_count = count;
    return acme_ok();
}

static struct acme_err of_certificate(struct acme_db *db, struct acme_arena *arena,
                                      const char *certificate_id, struct acme_deployment **ret,
                                      size_t *ret_count)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_query(db, &stmt, COLUMNS " WHERE d.certificate_id = $1 ORDER BY d.id",
                      DB_TEXT(certificate_id)));
    return collect(stmt, arena, ret, ret_count);
}

struct acme_err acme_store_deployments_of(struct acme_store *store, struct acme_arena *arena,
                                          const char *certificate_id, struct acme_deployment **ret,
                                          size_t *ret_count)
{
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = of_certificate(db, arena, certificate_id, ret, ret_count);
    acme_readers_release(&store->readers, db);
    return err;
}

static struct acme_err newest(struct acme_db *db, struct acme_arena *arena,
                              const struct acme_deployment_filter *filter, size_t limit,
                              struct acme_deployment **ret, size_t *ret_count)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_query(
        db, &stmt,
        COLUMNS
        " WHERE ($1 = '' OR d.deployer = $1) AND ($2 = '' OR d.status = $2) ORDER BY d.id DESC LIMIT $3",
        DB_TEXT(filter->deployer != NULL ? filter->deployer : ""),
        DB_TEXT(filter->status != NULL ? filter->status : ""),
        DB_INT(limit > INT_MAX ? INT_MAX : (int64_t)limit)));
    return collect(stmt, arena, ret, ret_count);
}

struct acme_err acme_store_deployments_newest(struct acme_store *store, struct acme_arena *arena,
                                              const struct acme_deployment_filter *filter, size_t limit,
                                              struct acme_deployment **ret, size_t *ret_count)
{
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = newest(db, arena, filter, limit, ret, ret_count);
    acme_readers_release(&store->readers, db);
    return err;
}

static struct acme_err find_earlier(struct acme_db *db, struct acme_arena *arena, const char *id,
                                    const char **ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    bool row = false;
    TRY(acme_db_query(
        db, &stmt,
        "SELECT o.id FROM deployments d JOIN deployments o ON o.deployer = d.deployer"
        " AND o.place = d.place AND o.position < d.position JOIN jobs j ON j.id = o.job_id"
        " AND (j.owner IS NOT NULL OR j.intent = 1) WHERE d.id = $1 ORDER BY o.position LIMIT 1",
        DB_TEXT(id)));
    TRY(acme_db_next(stmt, &row));
    const char *found = row ? acme_db_text(stmt, arena, 0) : NULL;
    TRY(acme_db_row_check(stmt));
    *ret = found;
    return acme_ok();
}

struct acme_err acme_store_deployment_behind(struct acme_store *store, struct acme_arena *arena,
                                             const char *id, const char **ret)
{
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = find_earlier(db, arena, id, ret);
    acme_readers_release(&store->readers, db);
    return err;
}

static struct acme_err read_target(struct acme_db *db, struct acme_arena *arena, const char *deployer,
                                   const char *place, const char **ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    bool row = false;
    TRY(acme_db_query(db, &stmt, "SELECT target FROM deploy_targets WHERE deployer = $1 AND place = $2",
                      DB_TEXT(deployer), DB_TEXT(place)));
    TRY(acme_db_next(stmt, &row));
    const char *found = row ? acme_db_text(stmt, arena, 0) : NULL;
    TRY(acme_db_row_check(stmt));
    *ret = found;
    return acme_ok();
}

struct acme_err acme_store_deploy_target(struct acme_store *store, struct acme_arena *arena,
                                         const char *deployer, const char *place, const char **ret)
{
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = read_target(db, arena, deployer, place, ret);
    acme_readers_release(&store->readers, db);
    return err;
}

/* ---- the beginning ---- */

static struct acme_err find_superseded_job(struct acme_db *db, struct acme_arena *arena,
                                           const struct acme_deployment *deployment, const char **ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    bool row = false;
    TRY(acme_db_query(db, &stmt,
                      "SELECT j.id FROM deployments o JOIN jobs j ON j.id = o.job_id AND j.owner IS NULL"
                      " AND j.intent = 0 WHERE o.deployer = $1 AND o.status = 'superseded'"
                      " AND o.place = (SELECT place FROM deployments WHERE id = $2) LIMIT 1",
                      DB_TEXT(deployment->deployer), DB_TEXT(deployment->id)));
    TRY(acme_db_next(stmt, &row));
    *ret = row ? acme_db_text(stmt, arena, 0) : NULL;
    return acme_db_row_check(stmt);
}

/* One job, which may stand in a line. */
static struct acme_err remove_superseded_job(struct acme_db *db, const struct acme_deployment *deployment,
                                             bool *ret_more)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(ID_ARENA_BYTES);
    ENSURE(arena != NULL, ACME_E_NOMEM);
    const char *job_id = NULL;
    TRY(find_superseded_job(db, arena, deployment, &job_id));
    *ret_more = job_id != NULL;
    if (job_id == NULL)
        return acme_ok();
    TRY(acme_store_lines_leave(db, job_id));
    TRY(acme_store_question_remove(db, job_id));
    return acme_db_run(db, NULL, "DELETE FROM jobs WHERE id = $1", DB_TEXT(job_id));
}

/* Jobs nobody works on and that have nothing in doubt go at once; the others find out that they are
 * superseded, and what follows waits for them. */
static struct acme_err supersede(struct acme_db *db, const struct acme_deployment *deployment, int64_t now_ms)
{
    TRY(acme_db_run(db, NULL,
                    "UPDATE deployments SET status = 'superseded', ended_ms = $1 WHERE status = 'pending'"
                    " AND deployer = $2 AND place = (SELECT place FROM deployments WHERE id = $3)"
                    " AND id <> $3",
                    DB_INT(now_ms), DB_TEXT(deployment->deployer), DB_TEXT(deployment->id)));
    bool more = true;
    while (more)
        TRY(remove_superseded_job(db, deployment, &more));
    return acme_ok();
}

static struct acme_err add_job(struct acme_db *db, const struct acme_deployment *deployment,
                               const char *job_id, const char *account_id, int64_t now_ms)
{
    return acme_db_run(db, NULL,
                       "INSERT INTO jobs (id, kind, subject_id, queue, state, intent, attempts, run_at_ms,"
                       " created_ms, owner, due_ms, share)"
                       " VALUES ($1, $2, $3, $4, NULL, 0, 0, $5, $5, NULL, $5, $6)",
                       DB_TEXT(job_id), DB_TEXT(acme_store_job_words[ACME_JOB_DEPLOY]),
                       DB_TEXT(deployment->id), DB_TEXT(deployment->queue), DB_INT(now_ms),
                       DB_TEXT(account_id));
}

struct acme_err acme_store_deployment_insert(struct acme_db *db, const struct acme_deployment *deployment,
                                             const struct acme_certificate *certificate)
{
    TRY(acme_db_run(
        db, NULL,
        "INSERT INTO deployments (id, deployer, certificate_id, issuance_id, job_id, place, position, status,"
        " created_ms, deadline_ms, ended_ms) SELECT $1, $2, $3, i.id, $4,"
        " CASE WHEN $5 <> 0 THEN '' ELSE i.names_digest END,"
        " (SELECT COALESCE(MAX(position), 0) + 1 FROM deployments WHERE deployer = $2), 'pending', $6, $7, 0"
        " FROM issuances i WHERE i.id = $8",
        DB_TEXT(deployment->id), DB_TEXT(deployment->deployer), DB_TEXT(certificate->id),
        DB_TEXT(deployment->job_id), DB_INT(deployment->one_target), DB_INT(certificate->created_ms),
        DB_INT(deployment->deadline_ms), DB_TEXT(certificate->issuance_id)));
    TRY(supersede(db, deployment, certificate->created_ms));
    return add_job(db, deployment, deployment->job_id, certificate->account_id, certificate->created_ms);
}

/* ---- on its way ---- */

struct target {
    const char *deployment_id;
    const char *text;
};

static struct acme_err set_target(struct acme_db *db, void *arg)
{
    const struct target *request = arg;
    TRY(acme_db_run(db, NULL, "UPDATE deployments SET target = $1 WHERE id = $2", DB_TEXT(request->text),
                    DB_TEXT(request->deployment_id)));
    return acme_db_run(db, NULL,
                       "INSERT INTO deploy_targets (deployer, place, target)"
                       " SELECT deployer, place, target FROM deployments WHERE id = $1"
                       " ON CONFLICT (deployer, place) DO UPDATE SET target = excluded.target",
                       DB_TEXT(request->deployment_id));
}

struct acme_err acme_store_deployment_target(struct acme_store *store, const char *id, const char *target)
{
    struct target request = {.deployment_id = id, .text = target};
    return acme_writer_run(&store->writer, set_target, &request);
}

/* ---- the end ---- */

struct end {
    const char *id;
    const char *job_id;
    const char *owner;
    int64_t now_ms;
    enum acme_deployment_status status;
    const char *error;
};

/* One that was superseded on its way stays so, unless it got there: its certificate is in place then until
 * what follows it has replaced it, which may fail. */
static struct acme_err end(struct acme_db *db, void *arg)
{
    const struct end *request = arg;
    TRY(acme_store_job_delete(db, request->job_id, request->owner, request->id));
    return acme_db_run(db, NULL,
                       "UPDATE deployments SET status = $1, ended_ms = $2, error = $3"
                       " WHERE id = $4 AND (status = 'pending' OR $1 = 'deployed')",
                       DB_TEXT(status_words[request->status]), DB_INT(request->now_ms),
                       DB_TEXT(request->error), DB_TEXT(request->id));
}

struct acme_err acme_store_deployment_end(struct acme_store *store, const char *id, const char *job_id,
                                          const char *owner, int64_t now_ms,
                                          enum acme_deployment_status status, const char *error)
{
    struct end request = {
        .id = id, .job_id = job_id, .owner = owner, .now_ms = now_ms, .status = status, .error = error};
    return acme_writer_run(&store->writer, end, &request);
}

/* ---- once more ---- */

struct retry {
    struct acme_arena *arena;
    const struct acme_deployment *deployment;
    int64_t now_ms;
};

static struct acme_err ensure_last(struct acme_db *db, const char *id)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_one(db, &stmt,
                    "SELECT COUNT(*) FROM deployments d JOIN deployments n ON n.deployer = d.deployer"
                    " AND n.place = d.place AND n.position > d.position WHERE d.id = $1",
                    DB_TEXT(id)));
    ENSURE(acme_db_int(stmt, 0) == 0, ACME_E_CONFLICT);
    return acme_ok();
}

static struct acme_err retry(struct acme_db *db, void *arg)
{
    const struct retry *request = arg;
    const struct acme_deployment *wanted = request->deployment;
    struct acme_deployment known;
    TRY(load(db, request->arena, wanted->id, &known));
    ENSURE(known.status == ACME_DEPLOYMENT_PENDING || known.status == ACME_DEPLOYMENT_FAILED, ACME_E_STATE);
    TRY(ensure_last(db, wanted->id));
    if (known.status == ACME_DEPLOYMENT_PENDING) /* when somebody works on it, it runs now already */
        return acme_db_run(db, NULL,
                           "UPDATE jobs SET run_at_ms = $1, due_ms = $1 WHERE id = $2 AND owner IS NULL",
                           DB_INT(request->now_ms), DB_TEXT(known.job_id));
    TRY(acme_db_run(db, NULL,
                    "UPDATE deployments SET status = 'pending', ended_ms = 0, error = NULL, job_id = $1,"
                    " deadline_ms = $2 WHERE id = $3",
                    DB_TEXT(wanted->job_id), DB_INT(wanted->deadline_ms), DB_TEXT(wanted->id)));
    return add_job(db, wanted, wanted->job_id, known.account_id, request->now_ms);
}

struct acme_err acme_store_deployment_retry(struct acme_store *store, struct acme_arena *arena,
                                            const struct acme_deployment *deployment, int64_t now_ms)
{
    struct retry request = {.arena = arena, .deployment = deployment, .now_ms = now_ms};
    return acme_writer_run(&store->writer, retry, &request);
}
