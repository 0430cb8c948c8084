/* Issuances on behalf of others: the certificate an issuance needs from another issuer on its way. They have
 * a job of their own, no order that waits for them, and tell their parent when they end. */
#include "store/internal.h"

struct delegate {
    const struct acme_delegation *delegation;
    const char *identifiers_json;
    bool started;
};

/* Whether it is there already, and whether it has ended. */
static struct acme_err find(struct acme_db *db, const char *parent_id, const char *label, bool *ret_found,
                            bool *ret_ended)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_query(db, &stmt,
                      "SELECT CASE WHEN status = 'pending' THEN 0 ELSE 1 END FROM issuances"
                      " WHERE parent_id = $1 AND label = $2",
                      DB_TEXT(parent_id), DB_TEXT(label)));
    TRY(acme_db_next(stmt, ret_found));
    *ret_ended = *ret_found && acme_db_int(stmt, 0) != 0;
    return acme_ok();
}

static struct acme_err delegate(struct acme_db *db, void *arg)
{
    struct delegate *request = arg;
    const struct acme_delegation *delegation = request->delegation;
    const struct acme_issuance *child = delegation->child;
    bool found = false;
    bool ended = false;
    TRY(find(db, child->parent_id, child->label, &found, &ended));
    TRY(acme_store_job_put_back(db, delegation->job_id, delegation->owner, delegation->state,
                                ended ? child->created_ms : delegation->run_at_ms, delegation->attempts,
                                delegation->remark));
    request->started = !found;
    if (found)
        return acme_ok();
    TRY(acme_store_issuance_insert(db, child, request->identifiers_json));
    return acme_store_job_insert(db, delegation->child_job, ACME_JOB_ISSUE, child->id,
                                 delegation->child_lease, child->created_ms);
}

struct acme_err acme_store_delegate(struct acme_store *store, struct acme_arena *arena,
                                    const struct acme_delegation *delegation, bool *ret_started)
{
    const struct acme_issuance *child = delegation->child;
    ENSURE(child->parent_id != NULL && child->label != NULL, ACME_E_INTERNAL);
    struct delegate request = {.delegation = delegation,
                               .identifiers_json =
                                   acme_identifiers_json(arena, child->identifiers, child->identifier_count)};
    ENSURE(request.identifiers_json != NULL, ACME_E_NOMEM);
    TRY(acme_writer_run(&store->writer, delegate, &request));
    *ret_started = request.started;
    return acme_ok();
}

static struct acme_err list(struct acme_db *db, struct acme_arena *arena, const char *parent_id,
                            const char ***ret_ids, size_t *ret_count)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_query(db, &stmt, "SELECT id FROM issuances WHERE parent_id = $1 ORDER BY id",
                      DB_TEXT(parent_id)));
    return acme_store_collect_ids(stmt, arena, ret_ids, ret_count);
}

struct acme_err acme_store_issuance_children(struct acme_store *store, struct acme_arena *arena,
                                             const char *parent_id, const char ***ret_ids, size_t *ret_count)
{
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = list(db, arena, parent_id, ret_ids, ret_count);
    acme_readers_release(&store->readers, db);
    return err;
}

/* ---- parts of the ends of issuances ---- */

static struct acme_err has_parent(struct acme_db *db, const char *child_id, bool *ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_one(db, &stmt, "SELECT parent_id FROM issuances WHERE id = $1", DB_TEXT(child_id)));
    *ret = !acme_db_is_null(stmt, 0);
    return acme_ok();
}

struct acme_err acme_store_delegation_ended(struct acme_db *db, const char *child_id)
{
    bool of_other = false;
    TRY(has_parent(db, child_id, &of_other)); /* most have none */
    if (!of_other)
        return acme_ok();
    return acme_db_run(db, NULL,
                       "UPDATE jobs SET run_at_ms = created_ms, due_ms = created_ms"
                       " WHERE kind = 'issue' AND owner IS NULL AND due_ms > created_ms"
                       " AND (queue, share, subject_id) IN (SELECT p.issuer, p.account_id, p.id"
                       " FROM issuances k JOIN issuances p ON p.id = k.parent_id WHERE k.id = $1)",
                       DB_TEXT(child_id));
}

struct acme_err acme_store_delegated_certificate(struct acme_db *db, struct acme_arena *arena,
                                                 const char *parent_id, const char *sha256_hex,
                                                 const char **ret_id)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    bool row = false;
    TRY(acme_db_query(
        db, &stmt,
        "SELECT k.certificate_id FROM issuances k JOIN certificates c ON c.id = k.certificate_id"
        " WHERE k.parent_id = $1 AND c.sha256_hex = $2 LIMIT 1",
        DB_TEXT(parent_id), DB_TEXT(sha256_hex)));
    TRY(acme_db_next(stmt, &row));
    *ret_id = row ? acme_db_text(stmt, arena, 0) : NULL;
    return acme_db_row_check(stmt);
}
