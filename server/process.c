#include "server/process.h"

#include "server/pool.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    RUN_ARENA_BYTES = 4 * 1024 * 1024,
    USUAL_TIMEOUT_MS = 60 * 1000,
    READS_AT_END = 32, /* a pipe holds 16 of them */
    GRACE_MS = 1000,   /* from SIGTERM to SIGKILL */
    LET_GO_MS = 300,   /* from there to where a stop does not wait any longer */
    OUTPUT_ROOM = 2 * ACME_PROGRAM_OUTPUT_BYTES,
    TICK_MS = 50 /* how often a program is looked at where there is no pidfd */
};

struct acme_processes {
    struct acme_pool *pool;
    int stop_fd; /* an eventfd: readable from the stop on */
};

struct run {
    struct acme_processes *processes;
    struct acme_arena *arena; /* holds this struct's texts */
    struct acme_program_call call;
    acme_process_done done;
    void *context;
};

/* A program under way; touched by its thread only. */
struct watch {
    struct acme_spawned child;
    struct acme_bytes input; /* what is left of it */
    int stop_fd;
    int64_t end_ms;  /* SIGTERM then */
    int64_t kill_ms; /* SIGKILL then; 0: no SIGTERM yet */
    bool killed;
    bool timed_out;
    bool cancelled;
    char output[OUTPUT_ROOM + 1]; /* its end is what counts */
    size_t output_len;
};

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

/* ---- pipes ---- */

/* SIGPIPE is blocked on this thread: a program that does not read its input is its own business. */
static void feed(struct watch *watch)
{
    while (watch->input.len > 0) {
        ssize_t written = write(watch->child.in_fd, watch->input.data, watch->input.len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && errno == EAGAIN)
            return;
        if (written < 0)
            break;
        watch->input.data += written;
        watch->input.len -= (size_t)written;
    }
    close_fd(&watch->child.in_fd);
}

static void keep_output(struct watch *watch, const char *data, size_t len)
{
    if (watch->output_len + len > OUTPUT_ROOM) {
        size_t keep = ACME_PROGRAM_OUTPUT_BYTES;
        if (watch->output_len > keep) {
            memmove(watch->output, watch->output + watch->output_len - keep, keep);
            watch->output_len = keep;
        }
    }
    memcpy(watch->output + watch->output_len, data, len);
    watch->output_len += len;
}

/* At most `rounds` reads: somebody may write without an end. */
static void drain(struct watch *watch, int rounds)
{
    char chunk[ACME_PROGRAM_OUTPUT_BYTES];
    for (int i = 0; i < rounds && watch->child.out_fd >= 0; i++) {
        ssize_t got = read(watch->child.out_fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0)
            close_fd(&watch->child.out_fd);
        else
            keep_output(watch, chunk, (size_t)got);
    }
}

/* ---- the end ---- */

/* Looked at, not reaped: as long as the leader is a zombie the number of its group is nobody else's. */
static bool has_ended(const struct watch *watch)
{
    siginfo_t info = {.si_pid = 0};
    if (waitid(P_PID, (id_t)watch->child.pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
        return errno != EINTR; /* ECHILD: it is gone, whoever reaped it */
    return info.si_pid != 0;
}

/* What to do about the time and the stop; returns how long nothing of that kind is due. */
static int64_t press(struct watch *watch)
{
    int64_t now_ms = monotonic_ms();
    if (watch->kill_ms == 0 && (watch->cancelled || now_ms >= watch->end_ms)) {
        watch->timed_out = !watch->cancelled;
        watch->kill_ms = now_ms + GRACE_MS;
        (void)kill(-watch->child.pid, SIGTERM);
    }
    if (watch->kill_ms != 0 && !watch->killed && now_ms >= watch->kill_ms) {
        watch->killed = true;
        (void)kill(-watch->child.pid, SIGKILL);
    }
    int64_t next_ms = watch->kill_ms == 0 ? watch->end_ms : watch->kill_ms;
    if (watch->killed)
        next_ms = now_ms + (watch->cancelled ? LET_GO_MS : GRACE_MS);
    return next_ms > now_ms ? next_ms - now_ms : 0;
}

/* Programs that have gained privileges cannot be killed by us. A stop leaves them alone. */
static bool is_let_go(const struct watch *watch)
{
    return watch->cancelled && watch->killed && monotonic_ms() >= watch->kill_ms + LET_GO_MS;
}

/* False: it still runs. */
static bool supervise(struct watch *watch)
{
    bool ended = false;
    while (!(ended = has_ended(watch)) && !is_let_go(watch)) {
        int64_t delay_ms = press(watch);
        if (watch->child.end_fd < 0 && delay_ms > TICK_MS)
            delay_ms = TICK_MS;
        /* poll passes over negative files. */
        struct pollfd files[] = {{.fd = watch->child.end_fd, .events = POLLIN},
                                 {.fd = watch->cancelled ? -1 : watch->stop_fd, .events = POLLIN},
                                 {.fd = watch->child.out_fd, .events = POLLIN},
                                 {.fd = watch->child.in_fd, .events = POLLOUT}};
        if (poll(files, sizeof files / sizeof files[0], (int)delay_ms) <= 0)
            continue;
        if (files[1].revents != 0)
            watch->cancelled = true;
        if (files[2].revents != 0)
            drain(watch, 1);
        if (files[3].revents != 0)
            feed(watch);
    }
    drain(watch, READS_AT_END);
    (void)kill(-watch->child.pid, SIGKILL);
    close_fd(&watch->child.in_fd);
    close_fd(&watch->child.out_fd);
    close_fd(&watch->child.end_fd);
    return ended;
}

/* Its last bytes. */
static const char *printable_output(struct watch *watch)
{
    char *text = watch->output;
    size_t len = watch->output_len;
    if (len > ACME_PROGRAM_OUTPUT_BYTES) {
        text += len - ACME_PROGRAM_OUTPUT_BYTES;
        len = ACME_PROGRAM_OUTPUT_BYTES;
    }
    for (size_t i = 0; i < len; i++) {
        if ((text[i] < ' ' && text[i] != '\n' && text[i] != '\t') || text[i] > '~')
            text[i] = '?';
    }
    text[len] = '\0';
    return text;
}

static void reap(struct watch *watch, struct acme_program_result *ret)
{
    int status = 0;
    pid_t reaped;
    do
        reaped = waitpid(watch->child.pid, &status, 0);
    while (reaped < 0 && errno == EINTR);
    bool known = reaped == watch->child.pid;
    *ret = (struct acme_program_result){
        .timed_out = watch->timed_out,
        .exit_code = known && !watch->timed_out && WIFEXITED(status) ? WEXITSTATUS(status) : -1,
        .signal = known && WIFSIGNALED(status) ? WTERMSIG(status) : 0,
        .output = printable_output(watch)};
}

static bool is_stopping(const struct acme_processes *processes)
{
    struct pollfd stop = {.fd = processes->stop_fd, .events = POLLIN};
    return poll(&stop, 1, 0) > 0;
}

static void execute(struct run *run, struct watch *watch)
{
    struct acme_process_end end = {.outcome = ACME_PROCESS_CANCELLED};
    if (!is_stopping(run->processes)) {
        int failure = acme_process_spawn(&run->call, &watch->child);
        if (failure != 0) {
            end.outcome = ACME_PROCESS_NOT_STARTED;
            end.detail =
                acme_arena_printf(run->arena, "cannot run %s: %s", run->call.arguments[0], strerror(failure));
        } else {
            int timeout_ms = run->call.timeout_ms > 0 ? run->call.timeout_ms : USUAL_TIMEOUT_MS;
            watch->end_ms = monotonic_ms() + timeout_ms;
            if (watch->input.len == 0)
                close_fd(&watch->child.in_fd);
            if (supervise(watch))
                reap(watch, &end.result);
            if (!watch->cancelled)
                end.outcome = ACME_PROCESS_ENDED;
        }
    }
    run->done(run->context, &end);
}

static void run_task(void *task)
{
    struct run *run = task;
    struct watch *watch = acme_arena_alloc(run->arena, sizeof *watch);
    if (watch != NULL) {
        watch->input = run->call.input;
        watch->stop_fd = run->processes->stop_fd;
        execute(run, watch);
    } else {
        run->done(run->context, &(struct acme_process_end){.outcome = ACME_PROCESS_NOT_STARTED,
                                                           .detail = "no memory to run a program"});
    }
    acme_arena_destroy(run->arena);
}

/* ---- the beginning ---- */

static struct acme_err copy_text(struct acme_arena *arena, const char **text)
{
    *text = acme_arena_strdup(arena, *text);
    ENSURE(*text != NULL, ACME_E_NOMEM);
    return acme_ok();
}

static struct acme_err copy_call(struct acme_arena *arena, const struct acme_program_call *call,
                                 struct acme_program_call *ret)
{
    *ret = *call;
    for (size_t i = 0; i < call->argument_count; i++)
        TRY(copy_text(arena, &ret->arguments[i]));
    for (size_t i = 0; i < call->variable_count; i++) {
        TRY(copy_text(arena, &ret->variables[i].name));
        TRY(copy_text(arena, &ret->variables[i].value));
    }
    if (call->input.len > 0) {
        ret->input.data = acme_arena_memdup(arena, call->input.data, call->input.len);
        ENSURE(ret->input.data != NULL, ACME_E_NOMEM);
    }
    return acme_ok();
}

static struct acme_err submit(struct acme_processes *processes, struct acme_arena *arena,
                              const struct acme_program_call *call, acme_process_done done, void *context)
{
    struct run *run = acme_arena_alloc(arena, sizeof *run);
    ENSURE(run != NULL, ACME_E_NOMEM);
    *run = (struct run){.processes = processes, .arena = arena, .done = done, .context = context};
    TRY(copy_call(arena, call, &run->call));
    return acme_pool_submit(processes->pool, run_task, run);
}

struct acme_err acme_processes_run(struct acme_processes *processes, const struct acme_program_call *call,
                                   acme_process_done done, void *context)
{
    ENSURE(call->argument_count > 0 && call->argument_count <= ACME_PROGRAM_MAX_ARGUMENTS &&
               call->variable_count <= ACME_PROGRAM_MAX_VARIABLES && call->arguments[0][0] == '/',
           ACME_E_FORMAT);
    struct acme_arena *arena = acme_arena_create(RUN_ARENA_BYTES);
    ENSURE(arena != NULL, ACME_E_NOMEM);
    struct acme_err err = submit(processes, arena, call, done, context);
    if (acme_failed(err))
        acme_arena_destroy(arena);
    return err;
}

struct acme_err acme_processes_start(int at_once, size_t max_queue, struct acme_processes **ret)
{
    struct acme_processes *processes = calloc(1, sizeof *processes);
    ENSURE(processes != NULL, ACME_E_NOMEM);
    processes->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct acme_err err = acme_err(ACME_E_IO);
    if (processes->stop_fd >= 0)
        err = acme_pool_create("program", at_once, at_once, max_queue, &processes->pool);
    if (acme_failed(err)) {
        close_fd(&processes->stop_fd);
        free(processes);
        return err;
    }
    *ret = processes;
    return acme_ok();
}

void acme_processes_cancel(struct acme_processes *processes)
{
    static const uint64_t one = 1;
    if (processes != NULL && write(processes->stop_fd, &one, sizeof one) != (ssize_t)sizeof one)
        abort(); /* the counter of an eventfd of ours is small */
}

void acme_processes_stop(struct acme_processes *processes)
{
    if (processes == NULL)
        return;
    acme_processes_cancel(processes);
    acme_pool_destroy(processes->pool);
    close_fd(&processes->stop_fd);
    free(processes);
}
