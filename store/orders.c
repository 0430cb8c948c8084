/* Orders (RFC 8555 section 7.1.3): making, reading, listing. How they end is in challenges.c and issuances.c.
 */
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>

static const char *const status_words[] = {
    [ACME_ORDER_PENDING] = "pending",       [ACME_ORDER_READY] = "ready",
    [ACME_ORDER_PROCESSING] = "processing", [ACME_ORDER_VALID] = "valid",
    [ACME_ORDER_INVALID] = "invalid",
};
enum { STATUS_COUNT = sizeof status_words / sizeof status_words[0] };

static struct acme_err order_from_row(struct acme_db_stmt *stmt, struct acme_arena *arena,
                                      struct acme_order *ret)
{
    const char *identifiers = acme_db_text(stmt, arena, 4);
    struct acme_order order = {
        .id = acme_db_text(stmt, arena, 0),
        .account_id = acme_db_text(stmt, arena, 1),
        .profile = acme_db_text(stmt, arena, 2),
        .status = (enum acme_order_status)acme_db_word(stmt, 3, status_words, STATUS_COUNT),
        .not_before_ms = acme_db_int(stmt, 5),
        .not_after_ms = acme_db_int(stmt, 6),
        .expires_ms = acme_db_int(stmt, 7),
        .created_ms = acme_db_int(stmt, 8),
        .finalized_ms = acme_db_int(stmt, 9),
        .csr_sha256 = acme_db_text(stmt, arena, 10),
        .issuance_id = acme_db_text(stmt, arena, 11),
        .certificate_id = acme_db_text(stmt, arena, 12),
        .error = acme_db_text(stmt, arena, 13),
        .seen_ms = acme_db_int(stmt, 14),
    };
    TRY(acme_db_row_check(stmt));
    TRY(acme_identifiers_from_json(arena, identifiers, &order.identifiers, &order.identifier_count));
    *ret = order;
    return acme_ok();
}

enum { AUTHZ_COLUMN = 15 };

/* One statement for the order and the ids of its authorizations, a row for each. */
struct acme_err acme_store_order_load(struct acme_db *db, struct acme_arena *arena, const char *id,
                                      struct acme_order *ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    struct acme_order order;
    bool row = true;
    TRY(acme_db_one(
        db, &stmt,
        "SELECT o.id, o.account_id, o.profile, o.status, o.identifiers, o.not_before_ms, o.not_after_ms,"
        " o.expires_ms, o.created_ms, o.finalized_ms, o.csr_sha256, o.issuance_id, o.certificate_id,"
        " o.error, o.seen_ms, oa.authz_id FROM orders o"
        " LEFT JOIN order_authorizations oa ON oa.order_id = o.id WHERE o.id = $1 ORDER BY oa.position",
        DB_TEXT(id)));
    TRY(order_from_row(stmt, arena, &order));
    order.authz_ids = acme_arena_alloc(arena, order.identifier_count * sizeof *order.authz_ids);
    ENSURE(order.authz_ids, ACME_E_NOMEM);
    while (row && !acme_db_is_null(stmt, AUTHZ_COLUMN)) {
        ENSURE(order.authz_count < order.identifier_count, ACME_E_IO);
        order.authz_ids[order.authz_count++] = acme_db_text(stmt, arena, AUTHZ_COLUMN);
        TRY(acme_db_next(stmt, &row));
    }
    TRY(acme_db_row_check(stmt));
    *ret = order;
    return acme_ok();
}

struct acme_err acme_store_order_get(struct acme_store *store, struct acme_arena *arena, const char *id,
                                     struct acme_order *ret)
{
    struct acme_db *db = acme_store_read_begin(store);
    struct acme_err err = acme_store_order_load(db, arena, id, ret);
    acme_store_read_end(store, db);
    return err;
}

enum { WALKED_PER_ID = 10 };

static struct acme_err walk(struct acme_db_stmt *stmt, struct acme_arena *arena, size_t limit,
                            struct acme_order_page *page)
{
    const char *last = NULL;
    for (size_t walked = 0;; walked++) {
        bool row = false;
        TRY(acme_db_next(stmt, &row));
        if (!row)
            return acme_ok();
        bool shown = acme_db_int(stmt, 1) != 0;
        if (walked == limit * WALKED_PER_ID || (shown && page->count == limit)) {
            page->next = last;
            return acme_ok();
        }
        last = acme_db_text(stmt, arena, 0);
        TRY(acme_db_row_check(stmt));
        if (shown)
            page->ids[page->count++] = last;
    }
}

struct seen {
    int64_t now_ms;
    char id[];
};

static struct acme_err seen(struct acme_db *db, void *arg)
{
    const struct seen *note = arg;
    return acme_db_run(db, NULL, "UPDATE orders SET seen_ms = $1 WHERE id = $2", DB_INT(note->now_ms),
                       DB_TEXT(note->id));
}

void acme_store_order_seen(struct acme_store *store, const char *id, int64_t now_ms)
{
    size_t size = strlen(id) + 1;
    struct seen *note = malloc(sizeof *note + size);
    if (!note)
        return;
    note->now_ms = now_ms;
    memcpy(note->id, id, size);
    acme_writer_post(&store->writer, seen, note);
}

static struct acme_err list(struct acme_db *db, struct acme_arena *arena, const char *account_id,
                            const char *after_id, int64_t now_ms, size_t limit, struct acme_order_page *page)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_query(db, &stmt,
                      "SELECT id, CASE WHEN status <> 'invalid'"
                      " AND (expires_ms > $1 OR status NOT IN ('pending', 'ready')) THEN 1 ELSE 0 END"
                      " FROM orders WHERE account_id = $2 AND id > $3 ORDER BY id LIMIT $4",
                      DB_INT(now_ms), DB_TEXT(account_id), DB_TEXT(after_id ? after_id : ""),
                      DB_INT((int64_t)(limit * WALKED_PER_ID + 1))));
    return walk(stmt, arena, limit, page);
}

struct acme_err acme_store_orders_list(struct acme_store *store, struct acme_arena *arena,
                                       const char *account_id, const char *after_id, int64_t now_ms,
                                       size_t limit, struct acme_order_page *ret)
{
    struct acme_order_page page = {.ids = acme_arena_alloc(arena, (limit + 1) * sizeof *page.ids)};
    ENSURE(page.ids, ACME_E_NOMEM);
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = list(db, arena, account_id, after_id, now_ms, limit, &page);
    acme_readers_release(&store->readers, db);
    TRY(err);
    *ret = page;
    return acme_ok();
}

struct create_order {
    struct acme_arena *arena;
    struct acme_order *order; /* a copy in the arena; its status, expiry and authz_ids are filled in */
    int64_t expires_ms;       /* at the latest */
    const char *identifiers_json;
    const struct acme_authz *authzs;
    int64_t reuse_until_ms;
};

static struct acme_err insert_order(struct acme_db *db, const struct acme_order *order,
                                    const char *identifiers_json)
{
    TRY(acme_db_run(
        db, NULL,
        "INSERT INTO orders (id, account_id, profile, status, identifiers, not_before_ms, not_after_ms,"
        " expires_ms, created_ms, finalized_ms)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)",
        DB_TEXT(order->id), DB_TEXT(order->account_id), DB_TEXT(order->profile),
        DB_TEXT(status_words[order->status]), DB_TEXT(identifiers_json), DB_INT(order->not_before_ms),
        DB_INT(order->not_after_ms), DB_INT(order->expires_ms), DB_INT(order->created_ms)));
    for (size_t i = 0; i < order->authz_count; i++)
        TRY(acme_db_run(db, NULL,
                        "INSERT INTO order_authorizations (order_id, position, authz_id) VALUES ($1, $2, $3)",
                        DB_TEXT(order->id), DB_INT((int64_t)i), DB_TEXT(order->authz_ids[i])));
    return acme_ok();
}

static struct acme_err create_order(struct acme_db *db, void *arg)
{
    struct create_order *create = arg;
    struct acme_order *order = create->order;

    order->status = ACME_ORDER_READY;
    order->expires_ms = create->expires_ms;
    for (size_t i = 0; i < order->authz_count; i++) {
        const struct acme_authz *authz = &create->authzs[i];
        const char *id = NULL;
        int64_t expires_ms = order->expires_ms;
        TRY(acme_store_authz_find_valid(db, create->arena, authz, order->account_id, create->reuse_until_ms,
                                        &id, &expires_ms));
        if (expires_ms < order->expires_ms) /* an order does not outlive what it is made of */
            order->expires_ms = expires_ms;
        if (!id) {
            TRY(acme_store_authz_insert(db, authz, order->account_id));
            id = acme_arena_strdup(create->arena, authz->id);
            ENSURE(id, ACME_E_NOMEM);
            if (authz->status != ACME_AUTHZ_VALID)
                order->status = ACME_ORDER_PENDING;
        }
        order->authz_ids[i] = id;
    }
    return insert_order(db, order, create->identifiers_json);
}

static struct acme_err copy_text(struct acme_arena *arena, const char *text, const char **ret)
{
    *ret = acme_arena_strdup(arena, text);
    ENSURE(*ret, ACME_E_NOMEM);
    return acme_ok();
}

/* The parts of a new order that the caller decides. */
static struct acme_err copy_new_order(struct acme_arena *arena, const struct acme_order *order,
                                      int64_t now_ms, struct acme_order *ret)
{
    size_t count = order->identifier_count;
    struct acme_order copy = {
        .identifiers = acme_arena_alloc(arena, count * sizeof(struct acme_identifier)),
        .identifier_count = count,
        .authz_ids = acme_arena_alloc(arena, count * sizeof(const char *)),
        .authz_count = count,
        .not_before_ms = order->not_before_ms,
        .not_after_ms = order->not_after_ms,
        .expires_ms = order->expires_ms,
        .created_ms = order->created_ms ? order->created_ms : now_ms,
    };
    ENSURE(copy.identifiers && copy.authz_ids, ACME_E_NOMEM);
    TRY(copy_text(arena, order->id, &copy.id));
    TRY(copy_text(arena, order->account_id, &copy.account_id));
    TRY(copy_text(arena, order->profile, &copy.profile));
    for (size_t i = 0; i < count; i++) {
        copy.identifiers[i].type = order->identifiers[i].type;
        TRY(copy_text(arena, order->identifiers[i].value, &copy.identifiers[i].value));
    }
    *ret = copy;
    return acme_ok();
}

struct acme_err acme_store_order_create(struct acme_store *store, struct acme_arena *arena,
                                        const struct acme_order *order, const struct acme_authz *authzs,
                                        int64_t now_ms, int64_t reuse_until_ms, struct acme_order *ret)
{
    struct acme_order made;
    ENSURE(order->identifier_count > 0, ACME_E_INTERNAL);
    TRY(copy_new_order(arena, order, now_ms, &made));
    struct create_order create = {
        .arena = arena,
        .order = &made,
        .expires_ms = order->expires_ms,
        .identifiers_json = acme_identifiers_json(arena, order->identifiers, order->identifier_count),
        .authzs = authzs,
        .reuse_until_ms = reuse_until_ms,
    };
    ENSURE(create.identifiers_json, ACME_E_NOMEM);
    TRY(acme_writer_run(&store->writer, create_order, &create));
    *ret = made;
    return acme_ok();
}
