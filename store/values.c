/* Small named values. */
#include "store/internal.h"

#include <stdio.h>

static struct acme_err read_value(struct acme_db *db, struct acme_arena *arena, const char *name,
                                  struct acme_bytes *ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_one(db, &stmt, "SELECT value FROM named_values WHERE name = $1", DB_TEXT(name)));
    struct acme_bytes value = acme_db_blob(stmt, arena, 0);
    TRY(acme_db_row_check(stmt));
    *ret = value;
    return acme_ok();
}

struct acme_err acme_store_value_get(struct acme_store *store, struct acme_arena *arena, const char *name,
                                     struct acme_bytes *ret)
{
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = read_value(db, arena, name, ret);
    acme_readers_release(&store->readers, db);
    return err;
}

struct set_value {
    const char *name;
    struct acme_bytes value;
};

static struct acme_err set_value(struct acme_db *db, void *arg)
{
    const struct set_value *set = arg;
    if (!set->value.data)
        return acme_db_run(db, NULL, "DELETE FROM named_values WHERE name = $1", DB_TEXT(set->name));
    return acme_db_run(db, NULL,
                       "INSERT INTO named_values (name, value) VALUES ($1, $2)"
                       " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                       DB_TEXT(set->name), DB_BLOB(set->value));
}

struct acme_err acme_store_value_set(struct acme_store *store, const char *name, struct acme_bytes value)
{
    struct set_value set = {.name = name, .value = value};
    return acme_writer_run(&store->writer, set_value, &set);
}

struct count {
    const char *name;
    int64_t at_least;
    int64_t value;
};

/* Kept as decimal text: a value of any driver, and readable for people. */
static struct acme_err count_up(struct acme_db *db, void *arg)
{
    enum { DIGITS = 20, ARENA_BYTES = 1024 };
    struct count *count = arg;
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(ARENA_BYTES);
    ENSURE(arena, ACME_E_NOMEM);
    struct acme_bytes text = {.data = NULL};
    struct acme_err err = read_value(db, arena, count->name, &text);
    if (err.code != ACME_E_NOT_FOUND)
        TRY(err);
    count->value = 0;
    for (size_t i = 0; i < text.len; i++) {
        ENSURE(text.data[i] >= '0' && text.data[i] <= '9' && count->value < INT64_MAX / 10 - 1,
               ACME_E_INTERNAL);
        count->value = count->value * 10 + (text.data[i] - '0');
    }
    count->value++;
    if (count->value < count->at_least)
        count->value = count->at_least;
    char digits[DIGITS];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)count->value);
    ENSURE(len > 0 && len < DIGITS, ACME_E_INTERNAL);
    struct set_value set = {.name = count->name,
                            .value = {.data = (const uint8_t *)digits, .len = (size_t)len}};
    return set_value(db, &set);
}

struct acme_err acme_store_counter_next(struct acme_store *store, const char *name, int64_t at_least,
                                        int64_t *ret)
{
    struct count count = {.name = name, .at_least = at_least};
    TRY(acme_writer_run(&store->writer, count_up, &count));
    *ret = count.value;
    return acme_ok();
}
