/* Accounts (RFC 8555 section 7.1.2). */
#include "store/internal.h"

static const char *const status_words[] = {
    [ACME_ACCOUNT_VALID] = "valid",
    [ACME_ACCOUNT_DEACTIVATED] = "deactivated",
    [ACME_ACCOUNT_REVOKED] = "revoked",
};
enum { STATUS_COUNT = sizeof status_words / sizeof status_words[0] };

#define ACCOUNT_COLUMNS "id, status, thumbprint, jwk, contacts, tos_agreed, created_ms"

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

static struct acme_err read_account(struct acme_store *store, struct acme_arena *arena, const char *sql,
                                    const char *key, struct acme_account *ret)
{
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = load(db, arena, sql, key, ret);
    acme_readers_release(&store->readers, db);
    return err;
}

struct acme_err acme_store_account_get(struct acme_store *store, struct acme_arena *arena, const char *id,
                                       struct acme_account *ret)
{
    return read_account(store, arena, by_id, id, ret);
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

static struct acme_err create_account(struct acme_db *db, void *arg)
{
    struct create_account *create = arg;
    const struct acme_account *account = create->account;
    int64_t inserted = 0;
    TRY(acme_db_run(db, &inserted,
                    "INSERT INTO accounts (" ACCOUNT_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7)"
                    " ON CONFLICT (thumbprint) DO NOTHING",
                    DB_TEXT(account->id), DB_TEXT(status_words[account->status]),
                    DB_TEXT(account->thumbprint), DB_TEXT(account->jwk), DB_TEXT(account->contacts),
                    DB_INT(account->tos_agreed), DB_INT(account->created_ms)));
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
    enum acme_account_status status;
};

static struct acme_err update_account(struct acme_db *db, void *arg)
{
    const struct update_account *update = arg;
    int64_t changed = 0;
    TRY(acme_db_run(db, &changed,
                    "UPDATE accounts SET contacts = COALESCE($1, contacts), status = $2"
                    " WHERE id = $3 AND status = 'valid'",
                    DB_TEXT(update->contacts), DB_TEXT(status_words[update->status]), DB_TEXT(update->id)));
    ENSURE(changed > 0, ACME_E_NOT_FOUND);
    return acme_ok();
}

struct acme_err acme_store_account_update(struct acme_store *store, const char *id, const char *contacts,
                                          enum acme_account_status status)
{
    struct update_account update = {.id = id, .contacts = contacts, .status = status};
    return acme_writer_run(&store->writer, update_account, &update);
}
