/* Accounts (RFC 8555 section 7.1.2). */
#include "store/account_cache.h"
#include "store/internal.h"

static const char *const status_words[] = {
    [ACME_ACCOUNT_VALID] = "valid",
    [ACME_ACCOUNT_DEACTIVATED] = "deactivated",
    [ACME_ACCOUNT_REVOKED] = "revoked",
};
enum { STATUS_COUNT = sizeof status_words / sizeof status_words[0] };

#define ACCOUNT_COLUMNS                                                                                      \
    "id, status, thumbprint, jwk, contacts, tos_agreed, created_ms, terms, external_kid, external_binding"

static const char by_id[] = "SELECT " ACCOUNT_COLUMNS " FROM accounts WHERE id = $1";
static const char by_thumbprint[] = "SELECT " ACCOUNT_COLUMNS " FROM accounts WHERE thumbprint = $1";

static struct acme_err account_from_row(struct acme_db_stmt *stmt, struct acme_arena *arena,
                                        struct acme_account *ret)
{
    struct acme_account account = {
        .id = acme_db_text(stmt, arena, 0),
        .status = (enum acme_account_status)acme_db_word(stmt, 1, status_words, STATUS_COUNT),
        .thumbprint = acme_db_text(stmt, arena, 2),
        .jwk = acme_db_text(stmt, arena, 3),
        .contacts = acme_db_text(stmt, arena, 4),
        .tos_agreed = acme_db_int(stmt, 5) != 0,
        .created_ms = acme_db_int(stmt, 6),
        .terms = acme_db_text(stmt, arena, 7),
        .external_kid = acme_db_text(stmt, arena, 8),
        .external_binding = acme_db_text(stmt, arena, 9),
    };
    TRY(acme_db_row_check(stmt));
    *ret = account;
    return acme_ok();
}

static struct acme_err load(struct acme_db *db, struct acme_arena *arena, const char *sql, const char *key,
                            struct acme_account *ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_one(db, &stmt, sql, DB_TEXT(key)));
    return account_from_row(stmt, arena, ret);
}

/* A write that changes the account: also when it seems to have failed, what is in memory may be old now. */
static struct acme_err change_account(struct acme_store *store, const char *id, acme_write_function function,
                                      void *arg)
{
    struct acme_err err = acme_writer_run(&store->writer, function, arg);
    acme_account_cache_forget(store->accounts, id);
    return err;
}

static struct acme_err read_account(struct acme_store *store, struct acme_arena *arena, const char *sql,
                                    const char *key, struct acme_account *ret)
{
    struct acme_db *db = acme_store_read_begin(store);
    struct acme_err err = load(db, arena, sql, key, ret);
    acme_store_read_end(store, db);
    return err;
}

struct acme_err acme_store_account_get(struct acme_store *store, struct acme_arena *arena, const char *id,
                                       struct acme_account *ret)
{
    bool found = false;
    TRY(acme_account_cache_get(store->accounts, arena, id, ret, &found));
    if (found)
        return acme_ok();
    uint64_t mark = acme_account_cache_mark(store->accounts);
    TRY(read_account(store, arena, by_id, id, ret));
    acme_account_cache_put(store->accounts, mark, ret);
    return acme_ok();
}

struct acme_err acme_store_account_find(struct acme_store *store, struct acme_arena *arena,
                                        const char *thumbprint, struct acme_account *ret)
{
    return read_account(store, arena, by_thumbprint, thumbprint, ret);
}

struct create_account {
    const struct acme_account *account;
    struct acme_arena *arena;
    struct acme_account found;
    bool created;
};

static struct acme_err refuse_used_external(struct acme_db *db, const struct acme_account *account)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    struct acme_err err =
        acme_db_one(db, &stmt, "SELECT 1 FROM accounts WHERE external_kid = $1 AND thumbprint <> $2 LIMIT 1",
                    DB_TEXT(account->external_kid), DB_TEXT(account->thumbprint));
    if (err.code == ACME_E_NOT_FOUND)
        return acme_ok();
    return acme_failed(err) ? err : acme_err(ACME_E_CONFLICT);
}

static struct acme_err create_account(struct acme_db *db, void *arg)
{
    struct create_account *create = arg;
    const struct acme_account *account = create->account;
    int64_t inserted = 0;
    if (account->external_once)
        TRY(refuse_used_external(db, account));
    TRY(acme_db_run(db, &inserted,
                    "INSERT INTO accounts (" ACCOUNT_COLUMNS
                    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
                    " ON CONFLICT (thumbprint) DO NOTHING",
                    DB_TEXT(account->id), DB_TEXT(status_words[account->status]),
                    DB_TEXT(account->thumbprint), DB_TEXT(account->jwk), DB_TEXT(account->contacts),
                    DB_INT(account->tos_agreed), DB_INT(account->created_ms), DB_TEXT(account->terms),
                    DB_TEXT(account->external_kid), DB_TEXT(account->external_binding)));
    create->created = inserted > 0;
    return load(db, create->arena, by_thumbprint, account->thumbprint, &create->found);
}

struct acme_err acme_store_account_create(struct acme_store *store, struct acme_arena *arena,
                                          const struct acme_account *account, struct acme_account *ret,
                                          bool *ret_created)
{
    struct create_account create = {.account = account, .arena = arena};
    TRY(acme_writer_run(&store->writer, create_account, &create));
    *ret = create.found;
    *ret_created = create.created;
    return acme_ok();
}

struct update_account {
    const char *id;
    const char *contacts;
    const char *terms;
};

static struct acme_err update_account(struct acme_db *db, void *arg)
{
    const struct update_account *update = arg;
    int64_t changed = 0;
    TRY(acme_db_run(db, &changed,
                    "UPDATE accounts SET contacts = COALESCE($1, contacts), terms = COALESCE($2, terms),"
                    " tos_agreed = CASE WHEN $2 IS NULL THEN tos_agreed ELSE 1 END"
                    " WHERE id = $3 AND status = 'valid'",
                    DB_TEXT(update->contacts), DB_TEXT(update->terms), DB_TEXT(update->id)));
    ENSURE(changed > 0, ACME_E_NOT_FOUND);
    return acme_ok();
}

struct acme_err acme_store_account_update(struct acme_store *store, const char *id, const char *contacts,
                                          const char *terms)
{
    struct update_account update = {.id = id, .contacts = contacts, .terms = terms};
    return change_account(store, id, update_account, &update);
}

struct rekey_account {
    struct acme_arena *arena;
    const struct acme_account *account;
    const char *thumbprint;
    const char *jwk;
    const char *holder;
};

/* Writes happen one after the other, so nobody takes the key between the question and the answer. */
static struct acme_err rekey_account(struct acme_db *db, void *arg)
{
    struct rekey_account *rekey = arg;
    struct acme_account holder;
    struct acme_err err = load(db, rekey->arena, by_thumbprint, rekey->thumbprint, &holder);
    if (!acme_failed(err)) {
        rekey->holder = holder.id;
        return acme_err(ACME_E_CONFLICT);
    }
    ENSURE(err.code == ACME_E_NOT_FOUND, err.code);
    int64_t changed = 0;
    TRY(acme_db_run(db, &changed,
                    "UPDATE accounts SET thumbprint = $1, jwk = $2"
                    " WHERE id = $3 AND thumbprint = $4 AND status = 'valid'",
                    DB_TEXT(rekey->thumbprint), DB_TEXT(rekey->jwk), DB_TEXT(rekey->account->id),
                    DB_TEXT(rekey->account->thumbprint)));
    ENSURE(changed > 0, ACME_E_STATE);
    return acme_db_run(db, NULL,
                       "INSERT INTO former_keys (account_id, thumbprint, position)"
                       " SELECT $1, $2, COALESCE(MAX(position), 0) + 1 FROM former_keys WHERE account_id = $1"
                       " ON CONFLICT (account_id, thumbprint) DO UPDATE SET position = excluded.position",
                       DB_TEXT(rekey->account->id), DB_TEXT(rekey->account->thumbprint));
}

static struct acme_err read_former_keys(struct acme_db *db, struct acme_arena *arena, const char *account_id,
                                        size_t limit, const char **ret, size_t *ret_count)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    bool row = false;
    *ret_count = 0;
    TRY(acme_db_query(db, &stmt,
                      "SELECT thumbprint FROM former_keys WHERE account_id = $1"
                      " ORDER BY position DESC LIMIT $2",
                      DB_TEXT(account_id), DB_INT((int64_t)limit)));
    TRY(acme_db_next(stmt, &row));
    while (row && *ret_count < limit) {
        ret[(*ret_count)++] = acme_db_text(stmt, arena, 0);
        TRY(acme_db_next(stmt, &row));
    }
    return acme_db_row_check(stmt);
}

struct acme_err acme_store_account_former_keys(struct acme_store *store, struct acme_arena *arena,
                                               const char *account_id, size_t limit, const char ***ret,
                                               size_t *ret_count)
{
    const char **list = acme_arena_alloc(arena, (limit + 1) * sizeof *list);
    size_t count = 0;
    ENSURE(list != NULL, ACME_E_NOMEM);
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = read_former_keys(db, arena, account_id, limit, list, &count);
    acme_readers_release(&store->readers, db);
    TRY(err);
    *ret = list;
    *ret_count = count;
    return acme_ok();
}

struct acme_err acme_store_account_rekey(struct acme_store *store, struct acme_arena *arena,
                                         const struct acme_account *account, const char *thumbprint,
                                         const char *jwk, const char **ret_holder)
{
    struct rekey_account rekey = {.arena = arena, .account = account, .thumbprint = thumbprint, .jwk = jwk};
    struct acme_err err = change_account(store, account->id, rekey_account, &rekey);
    if (err.code == ACME_E_CONFLICT)
        *ret_holder = rekey.holder;
    return err;
}

struct deactivate_account {
    const char *id;
    const char *error;
};

static struct acme_err deactivate_account(struct acme_db *db, void *arg)
{
    const struct deactivate_account *request = arg;
    int64_t changed = 0;
    TRY(acme_db_run(db, &changed,
                    "UPDATE accounts SET status = 'deactivated' WHERE id = $1 AND status = 'valid'",
                    DB_TEXT(request->id)));
    ENSURE(changed > 0, ACME_E_NOT_FOUND);
    TRY(acme_db_run(db, NULL,
                    "UPDATE orders SET status = 'invalid', error = $1"
                    " WHERE account_id = $2 AND status IN ('pending', 'ready')",
                    DB_TEXT(request->error), DB_TEXT(request->id)));
    /* Three statements for the sake of their indexes: there is none over all authorizations of an account. */
    TRY(acme_db_run(db, NULL,
                    "UPDATE authorizations SET status = 'deactivated' WHERE status = 'pending' AND id IN"
                    " (SELECT oa.authz_id FROM orders o JOIN order_authorizations oa ON oa.order_id = o.id"
                    " WHERE o.account_id = $1)",
                    DB_TEXT(request->id)));
    TRY(acme_db_run(db, NULL,
                    "UPDATE authorizations SET status = 'deactivated'"
                    " WHERE account_id = $1 AND status = 'pending' AND in_advance = 1",
                    DB_TEXT(request->id)));
    return acme_db_run(db, NULL,
                       "UPDATE authorizations SET status = 'deactivated'"
                       " WHERE account_id = $1 AND status = 'valid'",
                       DB_TEXT(request->id));
}

struct acme_err acme_store_account_deactivate(struct acme_store *store, const char *id, const char *error)
{
    struct deactivate_account request = {.id = id, .error = error};
    return change_account(store, id, deactivate_account, &request);
}
