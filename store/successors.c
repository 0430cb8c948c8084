/* A client comes back with another key: which of its earlier wishes ends for the new one, and which
 * certificate the new one goes on from. */
#include "store/internal.h"

#include <string.h>

static const char *const continuation_words[] = {
    [ACME_CONTINUE_NOTHING] = NULL, [ACME_CONTINUE_RENEW] = "renew", [ACME_CONTINUE_REPLACE] = "replace"};
enum { CONTINUATION_COUNT = sizeof continuation_words / sizeof continuation_words[0] };

const char *acme_continuation_word(enum acme_continuation continuation)
{
    return continuation_words[continuation];
}

enum acme_continuation acme_continuation_of(const char *word)
{
    for (unsigned i = ACME_CONTINUE_RENEW; word != NULL && i < CONTINUATION_COUNT; i++)
        if (strcmp(word, continuation_words[i]) == 0)
            return (enum acme_continuation)i;
    return ACME_CONTINUE_NOTHING;
}

/* The same wish but for the key; i is an issuance. */
#define SAME_BUT_KEY                                                                                         \
    "i.account_id = $1 AND i.names_digest = $2 AND i.profile = $3 AND i.issuer = $4"                         \
    " AND i.not_before_ms = $5 AND i.not_after_ms = $6 AND i.parent_id IS NULL"
#define SAME_VALUES(wish)                                                                                    \
    DB_TEXT((wish)->order->account_id), DB_TEXT((wish)->issuance->names_digest),                             \
        DB_TEXT((wish)->order->profile), DB_TEXT((wish)->issuance->issuer),                                  \
        DB_INT((wish)->issuance->not_before_ms), DB_INT((wish)->issuance->not_after_ms)

/* Two hosts may share an account and names, each with a key of its own: who still looks at an order wants its
 * certificate. */
#define NOBODY_LOOKS(since)                                                                                  \
    " AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.issuance_id = i.id"                                     \
    " AND o.status IN ('processing', 'valid') AND (o.finalized_ms >= " since " OR o.seen_ms >= " since "))"

static struct acme_err find_pending(struct acme_db *db, struct acme_arena *arena,
                                    const struct acme_wish *wish, const struct acme_finalize_rules *rules,
                                    struct acme_finalize_effects *effects)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_query(db, &stmt,
                      "SELECT i.id FROM issuances i WHERE " SAME_BUT_KEY " AND i.status = 'pending'"
                      " AND i.spki_sha256 <> $7" NOBODY_LOOKS("$8") " ORDER BY i.id LIMIT $9",
                      SAME_VALUES(wish), DB_TEXT(wish->issuance->spki_sha256),
                      DB_INT(rules->supersede_before_ms), DB_INT(ACME_SUPERSEDED_MAX)));
    for (;;) {
        bool row = false;
        TRY(acme_db_next(stmt, &row));
        if (!row)
            return acme_ok();
        effects->superseded[effects->superseded_count++] = acme_db_text(stmt, arena, 0);
        TRY(acme_db_row_check(stmt));
    }
}

struct acme_err acme_store_supersede(struct acme_db *db, struct acme_arena *arena,
                                     const struct acme_wish *wish, const struct acme_finalize_rules *rules,
                                     struct acme_finalize_effects *effects)
{
    if (rules->supersede_before_ms <= 0)
        return acme_ok();
    TRY(find_pending(db, arena, wish, rules, effects));
    for (size_t i = 0; i < effects->superseded_count; i++) {
        const char *id = effects->superseded[i];
        TRY(acme_db_run(db, NULL, "UPDATE issuances SET status = 'withdrawn', error = $1 WHERE id = $2",
                        DB_TEXT(rules->superseded_error), DB_TEXT(id)));
        TRY(acme_db_run(db, NULL,
                        "UPDATE orders SET status = 'invalid', error = $1"
                        " WHERE issuance_id = $2 AND status = 'processing'",
                        DB_TEXT(rules->superseded_error), DB_TEXT(id)));
        /* One that is being worked on sees it when it is taken up next. */
        TRY(acme_db_run(db, NULL,
                        "UPDATE jobs SET run_at_ms = $1, due_ms = $1"
                        " WHERE subject_id = $2 AND kind = 'issue' AND owner IS NULL AND due_ms > $1",
                        DB_INT(wish->now_ms), DB_TEXT(id)));
    }
    return acme_ok();
}

#define GOOD_PREDECESSOR                                                                                     \
    "SELECT i.id FROM issuances i JOIN certificates c ON c.id = i.certificate_id WHERE " SAME_BUT_KEY        \
    " AND i.status = 'issued' AND i.upstream_ref IS NOT NULL"                                                \
    " AND NOT EXISTS (SELECT 1 FROM revocations r WHERE r.certificate_id = c.id)"                            \
    " AND NOT EXISTS (SELECT 1 FROM issuances s WHERE s.predecessor_id = i.id AND s.status <> 'failed')"
#define NEWEST " ORDER BY c.created_ms DESC, i.id DESC LIMIT 1"

static struct acme_err take(struct acme_db_stmt *stmt, struct acme_arena *arena,
                            enum acme_continuation continuation, struct acme_finalize_effects *effects)
{
    bool row = false;
    TRY(acme_db_next(stmt, &row));
    if (!row)
        return acme_ok();
    effects->predecessor_id = acme_db_text(stmt, arena, 0);
    effects->continuation = continuation;
    return acme_db_row_check(stmt);
}

static struct acme_err find_replaceable(struct acme_db *db, struct acme_arena *arena,
                                        const struct acme_wish *wish, const struct acme_finalize_rules *rules,
                                        struct acme_finalize_effects *effects)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_query(db, &stmt,
                      GOOD_PREDECESSOR " AND i.spki_sha256 <> $7 AND c.downloaded_ms = 0"
                                       " AND c.created_ms >= $8 AND c.not_after_ms > $9" NOBODY_LOOKS("$10")
                                           NEWEST,
                      SAME_VALUES(wish), DB_TEXT(wish->issuance->spki_sha256), DB_INT(rules->adopt_since_ms),
                      DB_INT(wish->now_ms), DB_INT(rules->supersede_before_ms)));
    return take(stmt, arena, ACME_CONTINUE_REPLACE, effects);
}

static struct acme_err find_renewable(struct acme_db *db, struct acme_arena *arena,
                                      const struct acme_wish *wish, const struct acme_finalize_rules *rules,
                                      struct acme_finalize_effects *effects)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    /* An issuer that is given no CSR when it renews may keep the key, never take another. */
    TRY(acme_db_query(db, &stmt,
                      GOOD_PREDECESSOR " AND c.not_after_ms > $7 AND ($8 = 0 OR i.spki_sha256 = $9)" NEWEST,
                      SAME_VALUES(wish), DB_INT(rules->renew_since_ms), DB_INT(rules->renew_same_key ? 1 : 0),
                      DB_TEXT(wish->issuance->spki_sha256)));
    return take(stmt, arena, ACME_CONTINUE_RENEW, effects);
}

struct acme_err acme_store_find_predecessor(struct acme_db *db, struct acme_arena *arena,
                                            const struct acme_wish *wish,
                                            const struct acme_finalize_rules *rules,
                                            struct acme_finalize_effects *effects)
{
    if (rules->replace && rules->supersede_before_ms > 0)
        TRY(find_replaceable(db, arena, wish, rules, effects));
    if (effects->predecessor_id == NULL && rules->renew_since_ms > 0)
        TRY(find_renewable(db, arena, wish, rules, effects));
    return acme_ok();
}

/* ---- the issuer's numbers ---- */

struct ref {
    const char *id;
    const char *upstream_ref;
};

static struct acme_err set_ref(struct acme_db *db, void *arg)
{
    const struct ref *request = arg;
    return acme_db_run(db, NULL,
                       "UPDATE issuances SET upstream_ref = $1"
                       " WHERE id = $2 AND status IN ('pending', 'withdrawn')",
                       DB_TEXT(request->upstream_ref), DB_TEXT(request->id));
}

struct acme_err acme_store_issuance_ref(struct acme_store *store, const char *id, const char *upstream_ref)
{
    struct ref request = {.id = id, .upstream_ref = upstream_ref};
    return acme_writer_run(&store->writer, set_ref, &request);
}

static struct acme_err owns(struct acme_db *db, const char *issuer, const char *upstream_ref,
                            const char *except_id, bool *ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_query(db, &stmt,
                      "SELECT 1 FROM issuances WHERE issuer = $1 AND upstream_ref = $2 AND id <> $3 LIMIT 1",
                      DB_TEXT(issuer), DB_TEXT(upstream_ref), DB_TEXT(except_id)));
    return acme_db_next(stmt, ret);
}

struct acme_err acme_store_issuance_owns(struct acme_store *store, const char *issuer,
                                         const char *upstream_ref, const char *except_id, bool *ret)
{
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = owns(db, issuer, upstream_ref, except_id, ret);
    acme_readers_release(&store->readers, db);
    return err;
}

static struct acme_err is_replaced(struct acme_db *db, const char *id, bool *ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_query(
        db, &stmt, "SELECT 1 FROM issuances WHERE predecessor_id = $1 AND continuation = 'replace' LIMIT 1",
        DB_TEXT(id)));
    return acme_db_next(stmt, ret);
}

struct acme_err acme_store_issuance_replaced(struct acme_store *store, const char *id, bool *ret)
{
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = is_replaced(db, id, ret);
    acme_readers_release(&store->readers, db);
    return err;
}
