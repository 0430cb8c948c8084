/* Programs that are run: a bounded number at once, each watched by a thread of its own pool. A thread, and
 * not the outbound loop: a run is a fork and a handful of blocking waits, programs are few and slow, and
 * nothing of the loop (TLS, DNS) has to wait for a fork. SIGCHLD is not used. */
#ifndef ACME_SERVER_PROCESS_H
#define ACME_SERVER_PROCESS_H

#include "base/err.h"
#include "base/program_call.h"

struct acme_processes;

/** acme_processes_start(at_once, max_queue, ret): at most `at_once` programs run at the same time,
 * `max_queue` more wait in line. No program runs yet. Errors: NOMEM, IO. */
struct acme_err acme_processes_start(int at_once, size_t max_queue,
                                     struct acme_processes **ret) ACME_MUST_USE;

/** acme_processes_cancel(processes): begin to end what runs (SIGTERM to its group, SIGKILL a second later);
 * each done, also of what waits and of what is still asked for, is called with CANCELLED. Does not wait. NULL
 * is allowed. Thread: any. */
void acme_processes_cancel(struct acme_processes *processes);

/** acme_processes_stop(processes): the same, and join the threads. What cannot be killed is left running.
 * Nobody may be calling acme_processes_run any more when it returns; until then that answers STATE. NULL is
 * allowed. */
void acme_processes_stop(struct acme_processes *processes);

enum acme_process_outcome {
    ACME_PROCESS_ENDED,       /* `result` tells how, also when its time was over */
    ACME_PROCESS_NOT_STARTED, /* `detail` tells why: nothing has happened */
    ACME_PROCESS_CANCELLED    /* we are stopping; it may have run */
};

struct acme_process_end {
    enum acme_process_outcome outcome;
    struct acme_program_result result; /* ENDED */
    const char *detail;                /* NOT_STARTED: "cannot run /x: No such file or directory" */
};

/* Called once per run, on a thread of the pool; `end` is valid only during it. */
typedef void (*acme_process_done)(void *context, const struct acme_process_end *end);

/** acme_processes_run(processes, call, done, context): run a program, in a process group of its own: in "/",
 * umask 077, default signals, no files but its stdin, stdout and stderr, no variables but those of the call
 * and PATH. The group is killed when the time is over, when the program has ended (what it leaves behind in
 * the group) and, its leader at least, when this process dies. All of `call` is copied, 4 MiB at most.
 * Errors: FORMAT (no absolute path), NOMEM, STATE (stopping), BUSY (max_queue): done is then not called.
 * Thread: any.
 */
struct acme_err acme_processes_run(struct acme_processes *processes, const struct acme_program_call *call,
                                   acme_process_done done, void *context) ACME_MUST_USE;

/* ---- process_spawn.c ---- */

struct acme_spawned {
    int pid;    /* leader of its process group */
    int end_fd; /* a pidfd: readable when it has ended; -1: this kernel has none */
    int in_fd;  /* its stdin, does not block */
    int out_fd; /* its stdout and stderr, likewise */
};

/** acme_process_spawn(call, ret): start the program as described above. Owns: the three files are the
 * caller's, who also reaps the process. Returns 0 or the errno of what went wrong (nothing runs then).
 * Thread: any, which has to live as long as the program: its end kills it. */
int acme_process_spawn(const struct acme_program_call *call, struct acme_spawned *ret);

#endif
