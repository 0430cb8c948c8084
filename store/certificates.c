/* Issued certificates. */
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>

struct acme_err acme_store_certificate_insert(struct acme_db *db, const struct acme_certificate *certificate,
                                              const char *issuance_id)
{
    TRY(acme_db_run(
        db, NULL,
        "INSERT INTO certificates (id, issuance_id, account_id, issuer, serial_hex, aki_hex, sha256_hex,"
        " not_before_ms, not_after_ms, created_ms, downloaded_ms, chain)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11)",
        DB_TEXT(certificate->id), DB_TEXT(issuance_id), DB_TEXT(certificate->account_id),
        DB_TEXT(certificate->issuer), DB_TEXT(certificate->serial_hex), DB_TEXT(certificate->aki_hex),
        DB_TEXT(certificate->sha256_hex), DB_INT(certificate->not_before_ms),
        DB_INT(certificate->not_after_ms), DB_INT(certificate->created_ms), DB_TEXT(certificate->chain)));
    for (size_t i = 0; i < certificate->alternate_count; i++)
        TRY(acme_db_run(
            db, NULL, "INSERT INTO certificate_chains (certificate_id, position, chain) VALUES ($1, $2, $3)",
            DB_TEXT(certificate->id), DB_INT((int64_t)i), DB_TEXT(certificate->alternates[i])));
    return acme_ok();
}

static struct acme_err certificate_from_row(struct acme_db_stmt *stmt, struct acme_arena *arena,
                                            struct acme_certificate *ret)
{
    struct acme_certificate certificate = {
        .id = acme_db_text(stmt, arena, 0),
        .issuance_id = acme_db_text(stmt, arena, 1),
        .account_id = acme_db_text(stmt, arena, 2),
        .issuer = acme_db_text(stmt, arena, 3),
        .serial_hex = acme_db_text(stmt, arena, 4),
        .aki_hex = acme_db_text(stmt, arena, 5),
        .sha256_hex = acme_db_text(stmt, arena, 6),
        .not_before_ms = acme_db_int(stmt, 7),
        .not_after_ms = acme_db_int(stmt, 8),
        .created_ms = acme_db_int(stmt, 9),
        .downloaded_ms = acme_db_int(stmt, 10),
        .chain = acme_db_text(stmt, arena, 11),
    };
    TRY(acme_db_row_check(stmt));
    *ret = certificate;
    return acme_ok();
}

enum { ALTERNATE_COLUMN = 12, FIRST_ROOM = 4 };

/* The first of its rows has been read: each has one of the other chains, or the only one none. */
static struct acme_err collect_alternates(struct acme_db_stmt *stmt, struct acme_arena *arena,
                                          struct acme_certificate *certificate)
{
    size_t room = 0;
    const char **chains = NULL;
    bool row = !acme_db_is_null(stmt, ALTERNATE_COLUMN);
    while (row) {
        if (certificate->alternate_count == room) {
            size_t larger = room == 0 ? FIRST_ROOM : 2 * room;
            const char **list = acme_arena_alloc(arena, larger * sizeof *list);
            ENSURE(list != NULL, ACME_E_NOMEM);
            if (room > 0)
                memcpy(list, chains, room * sizeof *list);
            chains = list;
            room = larger;
        }
        chains[certificate->alternate_count++] = acme_db_text(stmt, arena, ALTERNATE_COLUMN);
        TRY(acme_db_next(stmt, &row));
    }
    certificate->alternates = chains;
    return acme_db_row_check(stmt);
}

static struct acme_err load(struct acme_db *db, struct acme_arena *arena, const char *id,
                            struct acme_certificate *ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    struct acme_certificate certificate;
    TRY(acme_db_one(
        db, &stmt,
        "SELECT c.id, c.issuance_id, c.account_id, c.issuer, c.serial_hex, c.aki_hex, c.sha256_hex,"
        " c.not_before_ms, c.not_after_ms, c.created_ms, c.downloaded_ms, c.chain, o.chain"
        " FROM certificates c LEFT JOIN certificate_chains o ON o.certificate_id = c.id"
        " WHERE c.id = $1 ORDER BY o.position",
        DB_TEXT(id)));
    TRY(certificate_from_row(stmt, arena, &certificate));
    TRY(collect_alternates(stmt, arena, &certificate));
    *ret = certificate;
    return acme_ok();
}

/* Serial numbers are in an index for people; a fingerprint's random place in one of its own would be a page
 * to write for every certificate. */
static struct acme_err find(struct acme_db *db, struct acme_arena *arena, const char *serial_hex,
                            const char *sha256_hex, struct acme_certificate *ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_one(
        db, &stmt,
        "SELECT id, issuance_id, account_id, issuer, serial_hex, aki_hex, sha256_hex, not_before_ms,"
        " not_after_ms, created_ms, downloaded_ms, chain FROM certificates WHERE serial_hex = $1"
        " AND sha256_hex = $2 ORDER BY id LIMIT 1",
        DB_TEXT(serial_hex), DB_TEXT(sha256_hex)));
    return certificate_from_row(stmt, arena, ret);
}

struct acme_err acme_store_certificate_find(struct acme_store *store, struct acme_arena *arena,
                                            const char *serial_hex, const char *sha256_hex,
                                            struct acme_certificate *ret)
{
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = find(db, arena, serial_hex, sha256_hex, ret);
    acme_readers_release(&store->readers, db);
    return err;
}

struct acme_err acme_store_certificate_get(struct acme_store *store, struct acme_arena *arena, const char *id,
                                           struct acme_certificate *ret)
{
    struct acme_db *db = acme_store_read_begin(store);
    struct acme_err err = load(db, arena, id, ret);
    acme_store_read_end(store, db);
    return err;
}

struct downloaded {
    int64_t now_ms;
    char id[];
};

static struct acme_err downloaded(struct acme_db *db, void *arg)
{
    const struct downloaded *note = arg;
    return acme_db_run(db, NULL,
                       "UPDATE certificates SET downloaded_ms = $1 WHERE id = $2 AND downloaded_ms = 0",
                       DB_INT(note->now_ms), DB_TEXT(note->id));
}

void acme_store_certificate_downloaded(struct acme_store *store, const char *id, int64_t now_ms)
{
    size_t size = strlen(id) + 1;
    struct downloaded *note = malloc(sizeof *note + size);
    if (!note)
        return;
    note->now_ms = now_ms;
    memcpy(note->id, id, size);
    acme_writer_post(&store->writer, downloaded, note);
}
