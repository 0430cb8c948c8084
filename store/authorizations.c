/* Authorizations (RFC 8555 section 7.1.4) and what their fate means for orders. */
#include "store/internal.h"

#include <string.h>

static const char *const status_words[] = {
    [ACME_AUTHZ_PENDING] = "pending", [ACME_AUTHZ_VALID] = "valid",
    [ACME_AUTHZ_INVALID] = "invalid", [ACME_AUTHZ_DEACTIVATED] = "deactivated",
    [ACME_AUTHZ_EXPIRED] = "expired", [ACME_AUTHZ_REVOKED] = "revoked",
};
enum { STATUS_COUNT = sizeof status_words / sizeof status_words[0] };

static const char *const type_words[] = {[ACME_IDENTIFIER_DNS] = "dns", [ACME_IDENTIFIER_IP] = "ip"};
_Static_assert(sizeof type_words / sizeof type_words[0] == ACME_IDENTIFIER_TYPE_COUNT, "a word per type");

enum { CHALLENGE_COLUMN = 8 }; /* where the challenge begins in a joined row */

/* One statement for the authorization and its challenges: they change together and must be seen together. */
#define JOINED_COLUMNS                                                                                       \
    "SELECT a.id, a.account_id, a.identifier_type, a.identifier_value, a.wildcard, a.status, a.expires_ms,"  \
    " a.profile, c.id, c.type, c.token, c.status, c.validated_ms, c.started_ms, c.error"                     \
    " FROM authorizations a LEFT JOIN challenges c ON c.authz_id = a.id "

static const char by_id[] = JOINED_COLUMNS "WHERE a.id = $1 ORDER BY c.position";
static const char by_challenge[] =
    JOINED_COLUMNS "WHERE a.id = (SELECT authz_id FROM challenges WHERE id = $1) ORDER BY c.position";

static void authz_from_row(struct acme_db_stmt *stmt, struct acme_arena *arena, struct acme_authz *ret)
{
    *ret = (struct acme_authz){
        .id = acme_db_text(stmt, arena, 0),
        .account_id = acme_db_text(stmt, arena, 1),
        .identifier.type =
            (enum acme_identifier_type)acme_db_word(stmt, 2, type_words, ACME_IDENTIFIER_TYPE_COUNT),
        .identifier.value = acme_db_text(stmt, arena, 3),
        .wildcard = acme_db_int(stmt, 4) != 0,
        .status = (enum acme_authz_status)acme_db_word(stmt, 5, status_words, STATUS_COUNT),
        .expires_ms = acme_db_int(stmt, 6),
        .profile = acme_db_text(stmt, arena, 7),
    };
}

static struct acme_err load(struct acme_db *db, struct acme_arena *arena, const char *sql, const char *key,
                            struct acme_authz *ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    struct acme_authz authz;
    bool row = true;
    TRY(acme_db_one(db, &stmt, sql, DB_TEXT(key)));
    authz_from_row(stmt, arena, &authz);
    while (row && !acme_db_is_null(stmt, CHALLENGE_COLUMN)) {
        ENSURE(authz.challenge_count < ACME_MAX_CHALLENGES, ACME_E_IO);
        acme_store_challenge_from_row(stmt, arena, CHALLENGE_COLUMN, authz.id,
                                      &authz.challenges[authz.challenge_count++]);
        TRY(acme_db_next(stmt, &row));
    }
    TRY(acme_db_row_check(stmt));
    *ret = authz;
    return acme_ok();
}

static struct acme_err read_authz(struct acme_store *store, struct acme_arena *arena, const char *sql,
                                  const char *key, struct acme_authz *ret)
{
    struct acme_db *db = acme_store_read_begin(store);
    struct acme_err err = load(db, arena, sql, key, ret);
    acme_store_read_end(store, db);
    return err;
}

struct acme_err acme_store_authz_get(struct acme_store *store, struct acme_arena *arena, const char *id,
                                     struct acme_authz *ret)
{
    return read_authz(store, arena, by_id, id, ret);
}

struct acme_err acme_store_challenge_get(struct acme_store *store, struct acme_arena *arena,
                                         const char *challenge_id, struct acme_authz *ret)
{
    return read_authz(store, arena, by_challenge, challenge_id, ret);
}

/* Would `authz` take what a challenge of this type has proved under this profile (NULL: not known)? */
static bool takes(const struct acme_authz *authz, const char *type, const char *profile)
{
    for (size_t i = 0; i < authz->challenge_count; i++) {
        const struct acme_challenge *challenge = &authz->challenges[i];
        if (strcmp(challenge->type, type) == 0)
            return !challenge->of_profile || (profile && strcmp(profile, authz->profile) == 0);
    }
    return authz->challenge_count == 0; /* any will do */
}

struct acme_err acme_store_authz_find_valid(struct acme_db *db, struct acme_arena *arena,
                                            const struct acme_authz *authz, const char *account_id,
                                            int64_t live_until_ms, const char **ret_id,
                                            int64_t *ret_expires_ms)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_query(db, &stmt,
                      "SELECT a.id, a.expires_ms, c.type, a.profile FROM authorizations a"
                      " JOIN challenges c ON c.authz_id = a.id AND c.status = 'valid'"
                      " WHERE a.account_id = $1 AND a.identifier_type = $2 AND a.identifier_value = $3"
                      " AND a.wildcard = $4 AND a.expires_ms > $5 AND a.status = 'valid'"
                      " ORDER BY a.expires_ms DESC",
                      DB_TEXT(account_id), DB_TEXT(type_words[authz->identifier.type]),
                      DB_TEXT(authz->identifier.value), DB_INT(authz->wildcard), DB_INT(live_until_ms)));
    for (;;) {
        bool row = false;
        TRY(acme_db_next(stmt, &row));
        if (!row)
            break;
        const char *type = acme_db_text(stmt, arena, 2);
        const char *profile = acme_db_text(stmt, arena, 3);
        TRY(acme_db_row_check(stmt));
        if (!takes(authz, type, profile))
            continue;
        const char *id = acme_db_text(stmt, arena, 0);
        TRY(acme_db_row_check(stmt));
        *ret_expires_ms = acme_db_int(stmt, 1);
        *ret_id = id;
        return acme_ok();
    }
    *ret_id = NULL;
    return acme_ok();
}

static struct acme_err covers(struct acme_db *db, struct acme_arena *arena, const char *account_id,
                              const struct acme_identifier *identifiers, size_t count, int64_t now_ms,
                              bool *ret)
{
    bool all = count > 0;
    for (size_t i = 0; all && i < count; i++) {
        struct acme_authz wanted = {.identifier = identifiers[i]};
        wanted.wildcard = acme_identifier_is_wildcard(&identifiers[i]);
        if (wanted.wildcard)
            wanted.identifier.value += strlen("*.");
        const char *id = NULL;
        int64_t expires_ms = 0;
        TRY(acme_store_authz_find_valid(db, arena, &wanted, account_id, now_ms, &id, &expires_ms));
        all = id != NULL;
    }
    *ret = all;
    return acme_ok();
}

struct acme_err acme_store_authz_covers(struct acme_store *store, struct acme_arena *arena,
                                        const char *account_id, const struct acme_identifier *identifiers,
                                        size_t count, int64_t now_ms, bool *ret)
{
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = covers(db, arena, account_id, identifiers, count, now_ms, ret);
    acme_readers_release(&store->readers, db);
    return err;
}

struct acme_err acme_store_authz_insert(struct acme_db *db, const struct acme_authz *authz,
                                        const char *account_id)
{
    ENSURE(authz->challenge_count <= ACME_MAX_CHALLENGES, ACME_E_INTERNAL);
    TRY(acme_db_run(db, NULL,
                    "INSERT INTO authorizations (id, account_id, identifier_type, identifier_value, wildcard,"
                    " status, expires_ms, profile) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                    DB_TEXT(authz->id), DB_TEXT(account_id), DB_TEXT(type_words[authz->identifier.type]),
                    DB_TEXT(authz->identifier.value), DB_INT(authz->wildcard),
                    DB_TEXT(status_words[authz->status]), DB_INT(authz->expires_ms),
                    DB_TEXT(authz->profile)));
    for (size_t i = 0; i < authz->challenge_count; i++)
        TRY(acme_store_challenge_insert(db, &authz->challenges[i], authz->id, i));
    return acme_ok();
}

struct create {
    const struct acme_authz *authz;
    int64_t now_ms;
    size_t max_pending;
};

static struct acme_err count_pending(struct acme_db *db, const struct create *create, int64_t *ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_one(db, &stmt,
                    "SELECT COUNT(*) FROM authorizations WHERE account_id = $1 AND expires_ms > $2"
                    " AND status = 'pending' AND in_advance = 1",
                    DB_TEXT(create->authz->account_id), DB_INT(create->now_ms)));
    *ret = acme_db_int(stmt, 0);
    return acme_ok();
}

static struct acme_err create_authz(struct acme_db *db, void *arg)
{
    const struct create *create = arg;
    int64_t pending = 0;
    TRY(count_pending(db, create, &pending));
    ENSURE((uint64_t)pending < create->max_pending, ACME_E_LIMIT);
    TRY(acme_store_authz_insert(db, create->authz, create->authz->account_id));
    return acme_db_run(db, NULL, "UPDATE authorizations SET in_advance = 1 WHERE id = $1",
                       DB_TEXT(create->authz->id));
}

struct acme_err acme_store_authz_create(struct acme_store *store, const struct acme_authz *authz,
                                        int64_t now_ms, size_t max_pending)
{
    struct create create = {.authz = authz, .now_ms = now_ms, .max_pending = max_pending};
    return acme_writer_run(&store->writer, create_authz, &create);
}

static struct acme_err list_orders(struct acme_db *db, struct acme_arena *arena, const char *authz_id,
                                   const char ***ret_ids, size_t *ret_count)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_query(db, &stmt, "SELECT order_id FROM order_authorizations WHERE authz_id = $1",
                      DB_TEXT(authz_id)));
    return acme_store_collect_ids(stmt, arena, ret_ids, ret_count);
}

/* Order by order: mostly there is one, and a list in the statement would be a table made for it. */
struct acme_err acme_store_authz_orders_ready(struct acme_db *db, struct acme_arena *arena,
                                              const char *authz_id, int64_t now_ms, int64_t authz_expires_ms)
{
    const char **ids = NULL;
    size_t count = 0;
    TRY(list_orders(db, arena, authz_id, &ids, &count));
    for (size_t i = 0; i < count; i++)
        TRY(acme_db_run(
            db, NULL,
            "UPDATE orders SET expires_ms = CASE WHEN expires_ms > $1 THEN $1 ELSE expires_ms END,"
            " status = CASE WHEN EXISTS (SELECT 1 FROM order_authorizations oa"
            " JOIN authorizations a ON a.id = oa.authz_id WHERE oa.order_id = orders.id"
            " AND (a.status <> 'valid' OR a.expires_ms <= $2)) THEN 'pending' ELSE 'ready' END"
            " WHERE id = $3 AND status = 'pending'",
            DB_INT(authz_expires_ms), DB_INT(now_ms), DB_TEXT(ids[i])));
    return acme_ok();
}

struct acme_err acme_store_authz_orders_invalid(struct acme_db *db, const char *authz_id, const char *error)
{
    return acme_db_run(db, NULL,
                       "UPDATE orders SET status = 'invalid', error = $1 WHERE status IN ('pending', 'ready')"
                       " AND id IN (SELECT order_id FROM order_authorizations WHERE authz_id = $2)",
                       DB_TEXT(error), DB_TEXT(authz_id));
}

struct deactivate {
    const char *id;
    const char *error;
};

static struct acme_err require_authz(struct acme_db *db, const char *id)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    return acme_db_one(db, &stmt, "SELECT 1 FROM authorizations WHERE id = $1", DB_TEXT(id));
}

static struct acme_err deactivate(struct acme_db *db, void *arg)
{
    const struct deactivate *request = arg;
    int64_t changed = 0;
    TRY(acme_db_run(db, &changed,
                    "UPDATE authorizations SET status = 'deactivated'"
                    " WHERE id = $1 AND status IN ('pending', 'valid')",
                    DB_TEXT(request->id)));
    if (changed == 0) {
        TRY(require_authz(db, request->id));
        return acme_err(ACME_E_STATE);
    }
    return acme_store_authz_orders_invalid(db, request->id, request->error);
}

struct acme_err acme_store_authz_deactivate(struct acme_store *store, const char *id, const char *error)
{
    struct deactivate request = {.id = id, .error = error};
    return acme_writer_run(&store->writer, deactivate, &request);
}
