/* What the files of store/ share. */
#ifndef ACME_STORE_INTERNAL_H
#define ACME_STORE_INTERNAL_H

#include "store/db.h"
#include "store/store.h"

#include <pthread.h>

/* ---- writer.c ---- */

/* One write: runs on the thread of whichever caller leads, inside a transaction shared with others; an error
 * takes back what it did and nothing else. Results belong in `arg`: they count only once the caller has been
 * told of the commit. When one of its batch fails halfway all are taken back and run once more, so a write
 * begins by setting what it returns and never adds to what is there. */
typedef struct acme_err (*acme_write_function)(struct acme_db *db, void *arg);

struct acme_write_op;

struct acme_writer {
    struct acme_db *db; /* used by who leads, and by nobody else */
    pthread_t thread;
    bool running;
    pthread_mutex_t lock; /* what follows */
    pthread_cond_t wake;  /* the thread */
    struct acme_write_op *first;
    struct acme_write_op **end;
    size_t queued;
    bool led;          /* somebody leads */
    bool thread_wants; /* the thread is next */
    bool thread_leads;
    bool resting; /* the thread waits for something to do, not for the end of a post's delay */
    bool untidy;  /* the thread should checkpoint */
    bool stopping;
};

/** acme_writer_start(writer, db): takes `db` in any case. Release: acme_writer_stop. Errors: IO. */
struct acme_err acme_writer_start(struct acme_writer *writer, struct acme_db *db) ACME_MUST_USE;

/** acme_writer_stop(writer): do what is queued, end the thread, close the connection. Also after a failed
 * start. */
void acme_writer_stop(struct acme_writer *writer);

/** acme_writer_run(writer, function, arg): have the write done and committed. Errors: the function's; IO when
 * the commit failed; BUSY when the queue is full (nothing happened). Thread: any. */
struct acme_err acme_writer_run(struct acme_writer *writer, acme_write_function function,
                                void *arg) ACME_MUST_USE;

/** acme_writer_post(writer, function, arg): the same without waiting, best effort: dropped when the queue is
 * full or the commit fails. Takes the malloc'd `arg`. May lie for a moment until other writes come along.
 * Thread: any. */
void acme_writer_post(struct acme_writer *writer, acme_write_function function, void *arg);

/** acme_writer_borrow(writer): the writer's connection, for reading a few rows; NULL when somebody leads.
 * Until it is given back all writes wait. Thread: any; it may not wait for anything meanwhile. */
struct acme_db *acme_writer_borrow(struct acme_writer *writer);
void acme_writer_give_back(struct acme_writer *writer);

/* ---- readers.c ---- */

struct acme_readers {
    struct acme_db **free; /* a stack: the most recently used connection has the warmest cache */
    size_t free_count;
    size_t count;
    pthread_mutex_t lock;
    pthread_cond_t returned;
};

/** acme_readers_open(readers, path, count): Release: acme_readers_close, also after a failure. */
struct acme_err acme_readers_open(struct acme_readers *readers, const char *path, size_t count) ACME_MUST_USE;
void acme_readers_close(struct acme_readers *readers);

/** acme_readers_acquire(readers): a connection for this thread; waits for one. Give it back soon, with no
 * statement running. */
struct acme_db *acme_readers_acquire(struct acme_readers *readers);
void acme_readers_release(struct acme_readers *readers, struct acme_db *db);

/* ---- store.c ---- */

struct acme_account_cache;

struct acme_store {
    int lock_fd;
    struct acme_account_cache *accounts;
    struct acme_writer writer;
    struct acme_readers readers;
};

/** acme_store_read_begin(store), acme_store_read_end(store, db): a connection for a few rows that are found
 * by their keys: the writer's when nobody leads. Its pages are always valid, while a reader has to drop all
 * of its own whenever the log has grown. With no statement running at the end. */
struct acme_db *acme_store_read_begin(struct acme_store *store);
void acme_store_read_end(struct acme_store *store, struct acme_db *db);

/** acme_store_collect_ids(stmt, arena, ret_ids, ret_count): the first column of all rows. */
struct acme_err acme_store_collect_ids(struct acme_db_stmt *stmt, struct acme_arena *arena,
                                       const char ***ret_ids, size_t *ret_count) ACME_MUST_USE;

/* ---- migrations.c ---- */

/** acme_store_migrate(db, now_ms): bring the schema to this program's version in one transaction.
 *  Errors: UNSUPPORTED when it is newer. */
struct acme_err acme_store_migrate(struct acme_db *db, int64_t now_ms) ACME_MUST_USE;

/* ---- parts of writes, for use inside an acme_write_function ---- */

/** acme_store_job_insert(db, job, kind, subject_id, lease, now_ms): a new job in the hands of lease->owner.
 */
struct acme_err acme_store_job_insert(struct acme_db *db, const struct acme_job *job, enum acme_job_kind kind,
                                      const char *subject_id, const struct acme_lease *lease,
                                      int64_t now_ms) ACME_MUST_USE;

/* What stands in the column of the kind, and in that of the share when it is nobody's (as in schema_3). */
extern const char *const acme_store_job_words[ACME_JOB_KIND_COUNT];
#define ACME_STORE_NO_SHARE "-"

/** acme_store_job_from_row(stmt, arena, ret): id, kind, subject_id, queue, state, intent, attempts,
 * run_at_ms, created_ms, share, asked. */
void acme_store_job_from_row(struct acme_db_stmt *stmt, struct acme_arena *arena, struct acme_job *ret);

/** acme_store_job_delete(db, job_id, owner, subject_id): a job is done. Errors: STATE when it is not the
 * owner's. */
struct acme_err acme_store_job_delete(struct acme_db *db, const char *job_id, const char *owner,
                                      const char *subject_id) ACME_MUST_USE;

/** acme_store_job_give_back(db, job_id, owner, state, run_at_ms, attempts): see acme_store_job_wait. */
struct acme_err acme_store_job_give_back(struct acme_db *db, const char *job_id, const char *owner,
                                         const char *state, int64_t run_at_ms, int attempts) ACME_MUST_USE;

/** acme_store_job_put_back(db, job_id, owner, state, run_at_ms, attempts, remark): likewise, with a remark.
 */
struct acme_err acme_store_job_put_back(struct acme_db *db, const char *job_id, const char *owner,
                                        const char *state, int64_t run_at_ms, int attempts,
                                        const struct acme_job_remark *remark) ACME_MUST_USE;

/** acme_store_lines_leave(db, job_id): a job has ended: it leaves all lines, and who comes next in them is
 * due. */
struct acme_err acme_store_lines_leave(struct acme_db *db, const char *job_id) ACME_MUST_USE;

/** acme_store_question_put(db, job_id, remark): what the operator is asked from now on about a job that has
 * just been put back; it is due at once when that has been answered already. */
struct acme_err acme_store_question_put(struct acme_db *db, const char *job_id,
                                        const struct acme_job_remark *remark) ACME_MUST_USE;

/** acme_store_question_remove(db, job_id): nothing is asked any more. */
struct acme_err acme_store_question_remove(struct acme_db *db, const char *job_id) ACME_MUST_USE;

/** acme_store_issuance_insert(db, issuance, identifiers_json): a pending one. */
struct acme_err acme_store_issuance_insert(struct acme_db *db, const struct acme_issuance *issuance,
                                           const char *identifiers_json) ACME_MUST_USE;

/** acme_store_delegation_ended(db, child_id): an issuance has ended: if it was for another one, that one's
 * job is due. */
struct acme_err acme_store_delegation_ended(struct acme_db *db, const char *child_id) ACME_MUST_USE;

/** acme_store_delegated_certificate(db, arena, parent_id, sha256_hex, ret_id): the certificate with this
 * fingerprint that was issued for a child of the issuance; *ret_id NULL for none. */
struct acme_err acme_store_delegated_certificate(struct acme_db *db, struct acme_arena *arena,
                                                 const char *parent_id, const char *sha256_hex,
                                                 const char **ret_id) ACME_MUST_USE;

/* A certificate wanted, when an earlier wish for the same is looked for. */
struct acme_wish {
    const struct acme_issuance *issuance; /* candidate */
    const struct acme_order *order;
    int64_t now_ms;
};

/** acme_store_supersede(db, arena, wish, rules, effects): end the orders of pending issuances for the same
 * names with another key whose clients have been away since rules->supersede_before_ms, and let their jobs
 * withdraw what they have upstream. Fills effects->superseded. */
struct acme_err acme_store_supersede(struct acme_db *db, struct acme_arena *arena,
                                     const struct acme_wish *wish, const struct acme_finalize_rules *rules,
                                     struct acme_finalize_effects *effects) ACME_MUST_USE;

/** acme_store_find_predecessor(db, arena, wish, rules, effects): the certificate to replace or to renew. Sets
 * effects->continuation and ->predecessor_id, or leaves both. Nothing is continued twice. */
struct acme_err acme_store_find_predecessor(struct acme_db *db, struct acme_arena *arena,
                                            const struct acme_wish *wish,
                                            const struct acme_finalize_rules *rules,
                                            struct acme_finalize_effects *effects) ACME_MUST_USE;

/** acme_continuation_word(continuation): as stored; NULL for ACME_CONTINUE_NOTHING. _of: the other way round.
 */
const char *acme_continuation_word(enum acme_continuation continuation);
enum acme_continuation acme_continuation_of(const char *word);

/** acme_store_order_load(db, arena, id, ret): see acme_store_order_get. */
struct acme_err acme_store_order_load(struct acme_db *db, struct acme_arena *arena, const char *id,
                                      struct acme_order *ret) ACME_MUST_USE;

/** acme_store_authz_orders_ready(db, arena, authz_id, now_ms, authz_expires_ms): this authorization has
 * become valid, until authz_expires_ms: pending orders with it end then at the latest, and those that have
 * only valid ones become ready. */
struct acme_err acme_store_authz_orders_ready(struct acme_db *db, struct acme_arena *arena,
                                              const char *authz_id, int64_t now_ms,
                                              int64_t authz_expires_ms) ACME_MUST_USE;

/** acme_store_authz_orders_invalid(db, authz_id, error): pending and ready orders that need this
 * authorization become invalid. */
struct acme_err acme_store_authz_orders_invalid(struct acme_db *db, const char *authz_id,
                                                const char *error) ACME_MUST_USE;

/** acme_store_authz_find_valid(db, arena, authz, account_id, live_until_ms, ret_id, ret_expires_ms): the
 * account's valid authorization for the same identifier that lives longest, if beyond live_until_ms, and was
 * validated by a challenge of a type `authz` has too, under the same profile when that is of_profile (by any,
 * when it has none); *ret_id is NULL, and the time untouched, for none. */
struct acme_err acme_store_authz_find_valid(struct acme_db *db, struct acme_arena *arena,
                                            const struct acme_authz *authz, const char *account_id,
                                            int64_t live_until_ms, const char **ret_id,
                                            int64_t *ret_expires_ms) ACME_MUST_USE;

/** acme_store_authz_insert(db, authz, account_id): with its challenges. */
struct acme_err acme_store_authz_insert(struct acme_db *db, const struct acme_authz *authz,
                                        const char *account_id) ACME_MUST_USE;

/** acme_store_challenge_insert(db, challenge, authz_id, position). */
struct acme_err acme_store_challenge_insert(struct acme_db *db, const struct acme_challenge *challenge,
                                            const char *authz_id, size_t position) ACME_MUST_USE;

/** acme_store_challenge_from_row(stmt, arena, column, authz_id, ret): id, type, token, status, validated_ms,
 * started_ms, error from `column` on. */
void acme_store_challenge_from_row(struct acme_db_stmt *stmt, struct acme_arena *arena, int column,
                                   const char *authz_id, struct acme_challenge *ret);

/** acme_store_deployment_insert(db, deployment, certificate): a candidate becomes a pending deployment of a
 * certificate that was just stored, with its job, which is due; pending ones for the same place are
 * superseded. */
struct acme_err acme_store_deployment_insert(struct acme_db *db, const struct acme_deployment *deployment,
                                             const struct acme_certificate *certificate) ACME_MUST_USE;

/** acme_store_certificate_insert(db, certificate, issuance_id). */
struct acme_err acme_store_certificate_insert(struct acme_db *db, const struct acme_certificate *certificate,
                                              const char *issuance_id) ACME_MUST_USE;

#endif
