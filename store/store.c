/* Opening and closing the store. */
#include "store/account_cache.h"
#include "store/internal.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { MAX_READERS = 256 };

static struct acme_err open_failure(const char *path)
{
    acme_log(ERROR, "database file failed", LOG_STR("path", path), LOG_STR("reason", strerror(errno)));
    return acme_err(ACME_E_IO);
}

/* A file of its own: SQLite's locks on the database are lost when anybody in the process closes that file. */
static struct acme_err take_lock(const char *path, int *ret_fd)
{
    char lock_path[PATH_MAX];
    int length = snprintf(lock_path, sizeof lock_path, "%s.lock", path);
    ENSURE(length > 0 && (size_t)length < sizeof lock_path, ACME_E_IO);

    int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return open_failure(lock_path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        struct acme_err err = errno == EWOULDBLOCK ? acme_err(ACME_E_BUSY) : open_failure(lock_path);
        close(fd);
        return err;
    }
    *ret_fd = fd;
    return acme_ok();
}

/* Before SQLite does it with the umask's mode; its log and index files take over the mode of this one. */
static struct acme_err make_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return open_failure(path);
    close(fd);
    return acme_ok();
}

static struct acme_err open_connections(struct acme_store *store, const struct acme_store_options *options,
                                        const struct acme_clock *clock)
{
    struct acme_db *db = NULL;
    TRY(make_file(options->path));
    TRY(acme_db_open(options->path, ACME_DB_WRITER, &db));
    struct acme_err err = acme_store_migrate(db, acme_clock_now_ms(clock));
    if (acme_failed(err)) {
        acme_db_close(db);
        return err;
    }
    err = acme_readers_open(&store->readers, options->path, (size_t)options->reader_count);
    if (acme_failed(err)) {
        acme_readers_close(&store->readers);
        acme_db_close(db);
        return err;
    }
    err = acme_writer_start(&store->writer, db);
    if (acme_failed(err)) {
        acme_readers_close(&store->readers);
        acme_writer_stop(&store->writer);
    }
    return err;
}

struct acme_err acme_store_open(const struct acme_store_options *options, const struct acme_clock *clock,
                                struct acme_store **ret)
{
    ENSURE(options->reader_count > 0 && options->reader_count <= MAX_READERS, ACME_E_INTERNAL);
    ENSURE(options->path[0] != '\0' && options->path[0] != ':',
           ACME_E_IO); /* SQLite's names for no file at all */
    struct acme_store *store = calloc(1, sizeof *store);
    ENSURE(store, ACME_E_NOMEM);

    store->accounts = acme_account_cache_create();
    struct acme_err err =
        store->accounts ? take_lock(options->path, &store->lock_fd) : acme_err(ACME_E_NOMEM);
    if (acme_failed(err)) {
        acme_account_cache_destroy(store->accounts);
        free(store);
        return err;
    }
    err = open_connections(store, options, clock);
    if (acme_failed(err)) {
        close(store->lock_fd);
        acme_account_cache_destroy(store->accounts);
        free(store);
        return err;
    }
    *ret = store;
    return acme_ok();
}

void acme_store_close(struct acme_store *store)
{
    if (!store)
        return;
    acme_readers_close(&store->readers); /* first: the last checkpoint then meets nobody */
    acme_writer_stop(&store->writer);
    close(store->lock_fd);
    acme_account_cache_destroy(store->accounts);
    free(store);
}

struct acme_db *acme_store_read_begin(struct acme_store *store)
{
    struct acme_db *db = acme_writer_borrow(&store->writer);
    return db != NULL ? db : acme_readers_acquire(&store->readers);
}

void acme_store_read_end(struct acme_store *store, struct acme_db *db)
{
    if (db == store->writer.db)
        acme_writer_give_back(&store->writer);
    else
        acme_readers_release(&store->readers, db);
}

struct acme_err acme_store_collect_ids(struct acme_db_stmt *stmt, struct acme_arena *arena,
                                       const char ***ret_ids, size_t *ret_count)
{
    size_t room = 8;
    size_t count = 0;
    const char **ids = acme_arena_alloc(arena, room * sizeof *ids);
    ENSURE(ids, ACME_E_NOMEM);
    for (;;) {
        bool row = false;
        TRY(acme_db_next(stmt, &row));
        if (!row)
            break;
        if (count == room) {
            const char **larger = acme_arena_alloc(arena, 2 * room * sizeof *ids);
            ENSURE(larger, ACME_E_NOMEM);
            memcpy(larger, ids, count * sizeof *ids);
            ids = larger;
            room *= 2;
        }
        ids[count++] = acme_db_text(stmt, arena, 0);
        TRY(acme_db_row_check(stmt));
    }
    *ret_ids = ids;
    *ret_count = count;
    return acme_ok();
}
