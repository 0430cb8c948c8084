/* store/store.c, writer.c, readers.c, migrations.c, db_sqlite.c */
#include "fixture.h"

#include "base/log.h"
#include "store/internal.h"

#include <pthread.h>
#include <semaphore.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* A direct look into (or hand on) the file, while no store has it open. */
static void tamper(struct fixture *f, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static struct acme_err open_again(struct fixture *f)
{
    struct acme_store_options options = {.path = f->path, .reader_count = 1};
    return acme_store_open(&options, &acme_clock_system, &f->store);
}

static void files_are_private(void **state)
{
    struct fixture *f = *state;
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    (void)fixture_account(f);
    for (size_t i = 0; i < 4; i++) {
        char path[128];
        struct stat info;
        (void)snprintf(path, sizeof path, "%s%s", f->path, suffixes[i]);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0600);
    }
}

static void close_checkpoints(void **state)
{
    struct fixture *f = *state;
    char path[128];
    struct stat info;
    (void)fixture_account(f);
    (void)snprintf(path, sizeof path, "%s-wal", f->path);
    assert_int_equal(stat(path, &info), 0);
    acme_store_close(f->store);
    f->store = NULL;
    assert_int_not_equal(stat(path, &info), 0);
}

static void second_open_is_busy(void **state)
{
    struct fixture *f = *state;
    struct acme_store_options options = {.path = f->path, .reader_count = 1};
    struct acme_store *second = NULL;
    assert_code(acme_store_open(&options, &acme_clock_system, &second), ACME_E_BUSY);
    assert_null(second);
    acme_store_close(f->store);
    f->store = NULL;
    assert_ok(open_again(f));
}

static void unusable_paths(void **state)
{
    struct acme_store *store = NULL;
    struct acme_store_options options = {.path = "/nonexistent/dir/x.db", .reader_count = 1};
    (void)state;
    assert_code(acme_store_open(&options, &acme_clock_system, &store), ACME_E_IO);
    options.path = ":memory:";
    assert_code(acme_store_open(&options, &acme_clock_system, &store), ACME_E_IO);
    options.path = "";
    assert_code(acme_store_open(&options, &acme_clock_system, &store), ACME_E_IO);
}

static void not_a_database(void **state)
{
    struct fixture *f = *state;
    acme_store_close(f->store);
    f->store = NULL;
    FILE *file = fopen(f->path, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        assert_true(fputs("this is no database ", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_code(open_again(f), ACME_E_IO);
    assert_null(f->store);
}

static void newer_schema_is_refused(void **state)
{
    struct fixture *f = *state;
    acme_store_close(f->store);
    f->store = NULL;
    tamper(f, "INSERT INTO schema_version VALUES (1000, 0)");
    assert_code(open_again(f), ACME_E_UNSUPPORTED);
    tamper(f, "DELETE FROM schema_version WHERE version = 1000");
    assert_ok(open_again(f));
}

/* Step 14 makes their table anew. */
static void earlier_challenges_are_kept(void **state)
{
    struct fixture *f = *state;
    struct acme_order order =
        fixture_order(f, fixture_account(f), (const char *const[]){"a.example.com", "b.example.com", NULL});
    struct acme_authz before[2];
    for (size_t i = 0; i < 2; i++)
        assert_ok(acme_store_authz_get(f->store, f->arena, order.authz_ids[i], &before[i]));
    acme_store_close(f->store);
    f->store = NULL;
    tamper(f, "DELETE FROM schema_version WHERE version = 14;"
              "CREATE TABLE earlier (id TEXT NOT NULL PRIMARY KEY, authz_id TEXT NOT NULL,"
              " position BIGINT NOT NULL, type TEXT NOT NULL, token TEXT NOT NULL, status TEXT NOT NULL,"
              " validated_ms BIGINT NOT NULL, started_ms BIGINT NOT NULL, error TEXT) WITHOUT ROWID;"
              "INSERT INTO earlier SELECT * FROM challenges;"
              "DROP TABLE challenges;"
              "ALTER TABLE earlier RENAME TO challenges;"
              "CREATE UNIQUE INDEX challenges_authz ON challenges (authz_id, position)");
    assert_ok(open_again(f));
    for (size_t i = 0; i < 2; i++) {
        struct acme_authz after;
        assert_ok(acme_store_authz_get(f->store, f->arena, order.authz_ids[i], &after));
        assert_int_equal(after.challenge_count, before[i].challenge_count);
        for (size_t c = 0; c < after.challenge_count; c++) {
            assert_string_equal(after.challenges[c].id, before[i].challenges[c].id);
            assert_string_equal(after.challenges[c].type, before[i].challenges[c].type);
            assert_string_equal(after.challenges[c].token, before[i].challenges[c].token);
        }
        assert_ok(acme_store_challenge_get(f->store, f->arena, before[i].challenges[0].id, &after));
        assert_string_equal(after.id, before[i].id);
    }
}

static void failed_migration_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    acme_store_close(f->store);
    f->store = NULL;
    /* version unknown, one late table in the way: the whole step must be taken back */
    tamper(f, "DROP TABLE schema_version; DROP TABLE accounts");
    assert_code(open_again(f), ACME_E_IO);
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_not_equal(sqlite3_exec(db, "SELECT 1 FROM accounts", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void close_while_idle(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++)
        fixture_reopen(f);
    acme_store_close(NULL);
}

/* ---- the seam ---- */

static void seam_rules(void **state)
{
    struct fixture *f = *state;
    struct acme_db *db = acme_readers_acquire(&f->store->readers);
    struct acme_db_stmt *stmt = NULL;
    struct acme_db_stmt *again = NULL;
    static const char numbers[] = "SELECT $1 + $2 * $1";
    static const char disorder[] = "SELECT $2 - $1";
    static const char broken[] = "SELEKT 1";

    assert_ok(acme_db_one(db, &stmt, numbers, DB_INT(3), DB_INT(4)));
    assert_int_equal(acme_db_int(stmt, 0), 15);
    assert_code(acme_db_query(db, &again, numbers, DB_INT(1), DB_INT(1)),
                ACME_E_INTERNAL); /* still running */
    acme_db_end(stmt);
    assert_code(acme_db_query(db, &again, numbers, DB_INT(1)), ACME_E_INTERNAL); /* a value is missing */
    assert_code(acme_db_query(db, &again, disorder, DB_INT(1), DB_INT(2)), ACME_E_INTERNAL);
    assert_code(acme_db_query(db, &again, broken), ACME_E_IO);
    assert_code(acme_db_one(db, &again, "SELECT 1 WHERE 1 = 2"), ACME_E_NOT_FOUND);
    assert_code(acme_db_run(db, NULL, "DELETE FROM named_values"), ACME_E_IO); /* readers cannot write */

    static const char *const words[] = {"one", "two"};
    assert_ok(acme_db_one(db, &stmt, "SELECT 'two', 'three', NULL"));
    assert_int_equal(acme_db_word(stmt, 0, words, 2), 1);
    assert_ok(acme_db_row_check(stmt));
    assert_null(acme_db_text(stmt, f->arena, 2));
    assert_int_equal(acme_db_int(stmt, 2), 0);
    assert_ok(acme_db_row_check(stmt));
    (void)acme_db_word(stmt, 1, words, 2);
    assert_code(acme_db_row_check(stmt), ACME_E_IO);
    acme_db_end(stmt);
    acme_readers_release(&f->store->readers, db);
}

static void reads_wait_for_a_connection(void **state)
{
    struct fixture *f = *state;
    struct acme_readers *readers = &f->store->readers;
    struct acme_db *taken[3];
    for (size_t i = 0; i < 3; i++)
        taken[i] = acme_readers_acquire(readers);
    assert_int_equal(readers->free_count, 0);
    assert_ptr_not_equal(taken[0], taken[1]);
    for (size_t i = 0; i < 3; i++)
        acme_readers_release(readers, taken[i]);
    assert_int_equal(readers->free_count, 3);
}

/* ---- the writer ---- */

struct gate {
    sem_t entered;
    sem_t open;
};

/* Keeps the writer busy, so that what is enqueued meanwhile makes one batch. */
static struct acme_err hold(struct acme_db *db, void *arg)
{
    struct gate *gate = arg;
    (void)db;
    sem_post(&gate->entered);
    while (sem_wait(&gate->open) != 0)
        ;
    return acme_ok();
}

enum trouble { NO_TROUBLE, FAILS_EARLY, RETURNS_ERROR, BREAKS_CONSTRAINT, BREAKS_COMMIT };

struct write {
    struct acme_writer *writer;
    pthread_t thread;
    char name[16];
    enum trouble trouble;
    int runs;
    struct acme_err result;
};

static struct acme_err write_value(struct acme_db *db, void *arg)
{
    struct write *write = arg;
    static const char insert[] = "INSERT INTO named_values (name, value) VALUES ($1, 'x')";
    write->runs++;
    ENSURE(write->trouble != FAILS_EARLY, ACME_E_STATE);
    TRY(acme_db_run(db, NULL, insert, DB_TEXT(write->name)));
    switch (write->trouble) {
    case RETURNS_ERROR:
        return acme_err(ACME_E_STATE);
    case BREAKS_CONSTRAINT:
        return acme_db_run(db, NULL, insert, DB_TEXT(write->name));
    case BREAKS_COMMIT: /* noticed only when the transaction ends */
        TRY(acme_db_script(db, "PRAGMA defer_foreign_keys=ON"));
        return acme_db_script(
            db, "INSERT INTO authorizations (id, account_id, identifier_type, identifier_value, wildcard, "
                "status, expires_ms) VALUES ('z', 'nobody', 'dns', 'x', 0, 'valid', 0)");
    case FAILS_EARLY:
    case NO_TROUBLE:
        break;
    }
    return acme_ok();
}

static void *write_main(void *arg)
{
    struct write *write = arg;
    write->result = acme_writer_run(write->writer, write_value, write);
    return NULL;
}

static void *hold_main(void *arg)
{
    void **pair = arg;
    assert_ok(acme_writer_run(pair[0], hold, pair[1]));
    return NULL;
}

static void wait_until_queued(struct acme_writer *writer, size_t count)
{
    for (;;) {
        pthread_mutex_lock(&writer->lock);
        size_t queued = writer->queued;
        pthread_mutex_unlock(&writer->lock);
        if (queued == count)
            return;
        sched_yield();
    }
}

enum { WRITES = 6 };

static void write_together(struct fixture *f, struct write writes[WRITES], size_t bad, enum trouble trouble)
{
    struct acme_writer *writer = &f->store->writer;
    struct gate gate;
    pthread_t holder;
    void *pair[] = {writer, &gate};
    assert_int_equal(sem_init(&gate.entered, 0, 0), 0);
    assert_int_equal(sem_init(&gate.open, 0, 0), 0);
    assert_int_equal(pthread_create(&holder, NULL, hold_main, pair), 0);
    while (sem_wait(&gate.entered) != 0)
        ;
    for (size_t i = 0; i < WRITES; i++) {
        writes[i] = (struct write){.writer = writer, .trouble = i == bad ? trouble : NO_TROUBLE};
        (void)snprintf(writes[i].name, sizeof writes[i].name, "w%zu", i);
        assert_int_equal(pthread_create(&writes[i].thread, NULL, write_main, &writes[i]), 0);
        wait_until_queued(writer, i + 1);
    }
    sem_post(&gate.open);
    for (size_t i = 0; i < WRITES; i++)
        assert_int_equal(pthread_join(writes[i].thread, NULL), 0);
    assert_int_equal(pthread_join(holder, NULL), 0);
    sem_destroy(&gate.entered);
    sem_destroy(&gate.open);
}

static void check_written(struct fixture *f, size_t at, bool expected)
{
    char name[16];
    struct acme_bytes value;
    (void)snprintf(name, sizeof name, "w%zu", at);
    assert_code(acme_store_value_get(f->store, f->arena, name, &value),
                expected ? ACME_OK : ACME_E_NOT_FOUND);
}

static void failing_write_leaves_the_others(void **state)
{
    struct fixture *f = *state;
    static const enum trouble troubles[] = {FAILS_EARLY, RETURNS_ERROR, BREAKS_CONSTRAINT};
    static const enum acme_code codes[] = {ACME_E_STATE, ACME_E_STATE, ACME_E_INTERNAL};
    for (size_t t = 0; t < 3; t++) {
        struct write writes[WRITES];
        write_together(f, writes, 2, troubles[t]);
        for (size_t i = 0; i < WRITES; i++) {
            assert_code(writes[i].result, i == 2 ? codes[t] : ACME_OK);
            check_written(f, i, i != 2);
            assert_int_equal(writes[i].runs, troubles[t] == FAILS_EARLY || i > 2 ? 1 : 2);
            assert_ok(acme_store_value_set(f->store, writes[i].name, (struct acme_bytes){.data = NULL}));
        }
    }
}

static void failing_write_alone(void **state)
{
    struct fixture *f = *state;
    struct write write = {.name = "w0", .trouble = RETURNS_ERROR};
    assert_code(acme_writer_run(&f->store->writer, write_value, &write), ACME_E_STATE);
    check_written(f, 0, false);
    write.trouble = NO_TROUBLE;
    assert_ok(acme_writer_run(&f->store->writer, write_value, &write));
    check_written(f, 0, true);
}

static void failed_commit_fails_all(void **state)
{
    struct fixture *f = *state;
    struct write writes[WRITES];
    write_together(f, writes, 4, BREAKS_COMMIT);
    for (size_t i = 0; i < WRITES; i++) {
        assert_code(writes[i].result, ACME_E_IO);
        check_written(f, i, false);
    }
    write_together(f, writes, WRITES, NO_TROUBLE); /* and the writer goes on */
    for (size_t i = 0; i < WRITES; i++)
        check_written(f, i, true);
}

static struct acme_err count_post(struct acme_db *db, void *arg)
{
    int **counter = arg;
    (void)db;
    ++**counter;
    return acme_ok();
}

static void full_queue_is_busy(void **state)
{
    struct fixture *f = *state;
    struct acme_writer *writer = &f->store->writer;
    struct gate gate;
    pthread_t holder;
    void *pair[] = {writer, &gate};
    int done = 0;
    struct write late = {.name = "late"};
    assert_int_equal(sem_init(&gate.entered, 0, 0), 0);
    assert_int_equal(sem_init(&gate.open, 0, 0), 0);
    assert_int_equal(pthread_create(&holder, NULL, hold_main, pair), 0);
    while (sem_wait(&gate.entered) != 0)
        ;
    for (int i = 0; i < 1030; i++) { /* the last few are dropped */
        int **arg = malloc(sizeof *arg);
        assert_non_null(arg);
        *arg = &done;
        acme_writer_post(writer, count_post, arg);
    }
    assert_code(acme_writer_run(writer, write_value, &late), ACME_E_BUSY);
    sem_post(&gate.open);
    assert_int_equal(pthread_join(holder, NULL), 0);
    wait_until_queued(writer, 0);
    assert_ok(acme_writer_run(writer, write_value, &late)); /* behind all the posted ones */
    assert_int_equal(done, 1024);
    sem_destroy(&gate.entered);
    sem_destroy(&gate.open);
}

static void posted_write_is_done_soon(void **state)
{
    struct fixture *f = *state;
    struct acme_order order = fixture_ready_order(f, fixture_account(f), "a.example.com");
    struct acme_issuance issuance = fixture_issuance(f, &order, "key", "csr");
    struct acme_job job = fixture_job(f, "lab");
    enum acme_finalize_outcome outcome;
    assert_ok(acme_store_order_finalize(f->store, f->arena, &issuance, &job, &fixture_lease,
                                        &(struct acme_finalize_rules){.now_ms = NOW, .adopt_since_ms = 0},
                                        &order, &outcome, NULL));
    struct acme_certificate certificate = fixture_certificate(f, order.account_id);
    assert_ok(acme_store_issuance_issued(f->store, issuance.id, job.id, "me", NULL, &certificate));
    acme_store_certificate_downloaded(f->store, certificate.id, NOW + 1);
    struct acme_certificate got = certificate;
    for (int i = 0; i < 2000 && got.downloaded_ms == 0; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        assert_ok(acme_store_certificate_get(f->store, f->arena, certificate.id, &got));
    }
    assert_int_equal(got.downloaded_ms, NOW + 1);
}

static void log_stays_short(void **state)
{
    struct fixture *f = *state;
    char path[128];
    struct stat info;
    uint8_t block[40000];
    memset(block, 7, sizeof block);
    for (int i = 0; i < 1000; i++)
        assert_ok(
            acme_store_value_set(f->store, i % 2 ? "a" : "b", (struct acme_bytes){block, sizeof block}));
    (void)snprintf(path, sizeof path, "%s-wal", f->path);
    assert_int_equal(stat(path, &info), 0);
    assert_true(info.st_size < (off_t)2000 * 4096); /* 40 MB have been written */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_are_private, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(close_checkpoints, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(second_open_is_busy, fixture_setup, fixture_teardown),
        cmocka_unit_test(unusable_paths),
        cmocka_unit_test_setup_teardown(not_a_database, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(newer_schema_is_refused, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(earlier_challenges_are_kept, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(failed_migration_leaves_nothing, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(close_while_idle, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(seam_rules, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(reads_wait_for_a_connection, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(failing_write_leaves_the_others, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(failing_write_alone, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(failed_commit_fails_all, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(full_queue_is_busy, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(posted_write_is_done_soon, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(log_stays_short, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
