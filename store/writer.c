/* Group commit: the writes of many callers share one transaction, so that the price of a durable commit is
 * shared. One caller at a time leads: it takes everything that is queued, runs and commits it, answers the
 * others and hands the lead to the first of those who came meanwhile. A caller that finds nobody leading does
 * its own write without waking any other thread. The writer thread leads only for what nobody waits for:
 * posted writes and checkpoints. */
#include "store/internal.h"

#include "base/blocking.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

enum {
    MAX_QUEUED = 1024,
    POST_DELAY_MS = 200 /* how long a write nobody waits for may lie to save a commit of its own */
};

struct acme_write_op {
    acme_write_function function;
    void *arg;
    bool posted; /* nobody waits; this and arg are ours to free */
    struct acme_err result;
    struct acme_write_op *next;
    pthread_mutex_t
        lock; /* what follows; a lock of its own, so that a woken caller does not wait for the writer's */
    pthread_cond_t told;
    bool done;
    bool leads; /* the lead was handed to its caller */
};

static void fail_all(struct acme_write_op *batch)
{
    for (struct acme_write_op *op = batch; op; op = op->next)
        op->result = acme_err(ACME_E_IO);
}

/* Errors: STATE when it failed with part of its work done, which only taking back all of the batch undoes; IO
 * when the transaction as a whole cannot go on. */
static struct acme_err run_plainly(struct acme_db *db, struct acme_write_op *op)
{
    int64_t before = acme_db_change_count(db);
    op->result = op->function(db, op->arg);
    ENSURE(acme_db_is_writing(db), ACME_E_IO);
    ENSURE(!acme_failed(op->result) || acme_db_change_count(db) == before, ACME_E_STATE);
    return acme_ok();
}

/* Errors: the transaction as a whole cannot go on. */
static struct acme_err run_in_savepoint(struct acme_db *db, struct acme_write_op *op)
{
    TRY(acme_db_savepoint(db));
    op->result = op->function(db, op->arg);
    return acme_failed(op->result) ? acme_db_savepoint_undo(db) : acme_db_savepoint_keep(db);
}

static struct acme_err try_batch(struct acme_db *db, struct acme_write_op *batch,
                                 struct acme_err (*run)(struct acme_db *db, struct acme_write_op *op))
{
    TRY(acme_db_begin(db));
    for (struct acme_write_op *op = batch; op; op = op->next) {
        struct acme_err err = run(db, op);
        if (acme_failed(err)) {
            acme_db_rollback(db);
            return err;
        }
    }
    return acme_db_commit(db);
}

/* A savepoint costs a copy of every page changed within it, and few writes fail, nearly all of those before
 * they have changed anything: the batch is run without savepoints first. */
static void run_batch(struct acme_db *db, struct acme_write_op *batch)
{
    struct acme_err err = try_batch(db, batch, run_plainly);
    if (err.code == ACME_E_STATE && !batch->next)
        return; /* taken back, and its error is its own */
    if (err.code == ACME_E_STATE)
        err = try_batch(db, batch, run_in_savepoint);
    if (acme_failed(err))
        fail_all(batch);
}

/* A waiting caller's op is on its stack and gone as soon as the caller has been told. */
static void tell(struct acme_write_op *op, bool done)
{
    pthread_mutex_lock(&op->lock);
    op->done = done;
    op->leads = !done;
    pthread_cond_signal(&op->told);
    pthread_mutex_unlock(&op->lock);
}

static void answer_batch(struct acme_write_op *batch, struct acme_write_op *own)
{
    struct acme_write_op *next = NULL;
    for (struct acme_write_op *op = batch; op; op = next) {
        next = op->next;
        if (op->posted) {
            free(op->arg);
            free(op);
        } else if (op != own) {
            tell(op, true);
        }
    }
}

/* Leading. Who is queued waits, and cannot go away before it is told. */
static void hand_on_lead(struct acme_writer *writer)
{
    struct acme_write_op *heir = NULL;
    pthread_mutex_lock(&writer->lock);
    if (writer->thread_wants) {
        writer->thread_leads = true;
        pthread_cond_signal(&writer->wake);
    } else {
        heir = writer->first;
        while (heir && heir->posted)
            heir = heir->next;
        writer->led = heir != NULL;
    }
    pthread_mutex_unlock(&writer->lock);
    if (heir)
        tell(heir, false);
}

struct acme_db *acme_writer_borrow(struct acme_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    /* Within a transaction (a rollback has failed) it would show what was never committed. */
    bool free = !writer->led && !acme_db_is_writing(writer->db);
    if (free)
        writer->led = true;
    pthread_mutex_unlock(&writer->lock);
    return free ? writer->db : NULL;
}

void acme_writer_give_back(struct acme_writer *writer)
{
    hand_on_lead(writer);
}

/* Leading: everything queued, and the caller's own op (NULL: the thread leads) with it. */
static void lead(struct acme_writer *writer, struct acme_write_op *own)
{
    pthread_mutex_lock(&writer->lock);
    struct acme_write_op *batch = writer->first;
    writer->first = NULL;
    writer->end = &writer->first;
    writer->queued = 0;
    pthread_mutex_unlock(&writer->lock);
    if (batch)
        run_batch(writer->db, batch);
    if (acme_db_is_untidy(writer->db)) {
        if (!own)
            acme_db_tidy(writer->db);
        pthread_mutex_lock(&writer->lock);
        writer->untidy = own != NULL;
        pthread_cond_signal(&writer->wake);
        pthread_mutex_unlock(&writer->lock);
    }
    answer_batch(batch, own);
    hand_on_lead(writer);
}

static struct timespec monotonic_in(int delay_ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += delay_ms / 1000;
    at.tv_nsec += (delay_ms % 1000) * 1000000L;
    if (at.tv_nsec >= 1000000000L) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000L;
    }
    return at;
}

/* Called with the lock: until the thread is needed. Posted writes mostly go along with others' meanwhile. */
static void wait_for_work(struct acme_writer *writer)
{
    while (!writer->first && !writer->untidy && !writer->stopping) {
        writer->resting = true;
        pthread_cond_wait(&writer->wake, &writer->lock);
    }
    writer->resting = false;
    struct timespec until = monotonic_in(POST_DELAY_MS);
    while (writer->first && !writer->untidy && !writer->stopping)
        if (pthread_cond_timedwait(&writer->wake, &writer->lock, &until) != 0)
            break;
}

/* Called with the lock. */
static void take_lead(struct acme_writer *writer)
{
    if (writer->led) {
        writer->thread_wants = true;
        while (!writer->thread_leads)
            pthread_cond_wait(&writer->wake, &writer->lock);
        writer->thread_wants = writer->thread_leads = false;
    }
    writer->led = true;
}

static void *writer_main(void *context)
{
    struct acme_writer *writer = context;

    pthread_mutex_lock(&writer->lock);
    for (;;) {
        wait_for_work(writer);
        if (writer->stopping && !writer->first)
            break;
        if (!writer->first && !writer->untidy)
            continue; /* went along with somebody else's */
        take_lead(writer);
        writer->untidy = false;
        pthread_mutex_unlock(&writer->lock);
        lead(writer, NULL);
        pthread_mutex_lock(&writer->lock);
    }
    pthread_mutex_unlock(&writer->lock);
    return NULL;
}

struct acme_err acme_writer_start(struct acme_writer *writer, struct acme_db *db)
{
    *writer = (struct acme_writer){.db = db, .lock = PTHREAD_MUTEX_INITIALIZER};
    writer->end = &writer->first;

    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&writer->wake, &attributes);
    pthread_condattr_destroy(&attributes);

    /* Signals are the main program's business; a thread inherits the mask. */
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    writer->running = pthread_create(&writer->thread, NULL, writer_main, writer) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    ENSURE(writer->running, ACME_E_IO);
    return acme_ok();
}

void acme_writer_stop(struct acme_writer *writer)
{
    if (writer->running) {
        pthread_mutex_lock(&writer->lock);
        writer->stopping = true;
        pthread_cond_signal(&writer->wake);
        pthread_mutex_unlock(&writer->lock);
        pthread_join(writer->thread, NULL);
        writer->running = false;
    }
    acme_db_close(writer->db);
    writer->db = NULL;
    pthread_cond_destroy(&writer->wake);
    pthread_mutex_destroy(&writer->lock);
}

/* Called with the lock. */
static bool enqueue(struct acme_writer *writer, struct acme_write_op *op)
{
    if (writer->queued >= MAX_QUEUED)
        return false;
    *writer->end = op;
    writer->end = &op->next;
    writer->queued++;
    return true;
}

/* Until the write is done or the lead is ours; true for the latter. */
static bool wait_until_told(struct acme_write_op *op)
{
    pthread_mutex_lock(&op->lock);
    while (!op->done && !op->leads)
        pthread_cond_wait(&op->told, &op->lock);
    bool leads = op->leads;
    pthread_mutex_unlock(&op->lock);
    return leads;
}

struct acme_err acme_writer_run(struct acme_writer *writer, acme_write_function function, void *arg)
{
    struct acme_write_op op = {.function = function,
                               .arg = arg,
                               .lock = PTHREAD_MUTEX_INITIALIZER,
                               .told = PTHREAD_COND_INITIALIZER};
    pthread_mutex_lock(&writer->lock);
    bool queued = enqueue(writer, &op);
    bool leads = queued && !writer->led;
    if (leads)
        writer->led = true;
    pthread_mutex_unlock(&writer->lock);
    if (!queued)
        return acme_err(ACME_E_BUSY);
    acme_blocking_begin(); /* mostly for the disk, leading or not */
    if (leads || wait_until_told(&op))
        lead(writer, &op);
    acme_blocking_end();
    pthread_cond_destroy(&op.told);
    pthread_mutex_destroy(&op.lock);
    return op.result;
}

void acme_writer_post(struct acme_writer *writer, acme_write_function function, void *arg)
{
    struct acme_write_op *op = calloc(1, sizeof *op);
    bool queued = false;
    if (op) {
        *op = (struct acme_write_op){.function = function, .arg = arg, .posted = true};
        pthread_mutex_lock(&writer->lock);
        queued = enqueue(writer, op);
        if (queued && writer->resting) {
            writer->resting = false; /* it is on its way */
            pthread_cond_signal(&writer->wake);
        }
        pthread_mutex_unlock(&writer->lock);
    }
    if (!queued) {
        free(op);
        free(arg);
    }
}
