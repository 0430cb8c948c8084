/* Starting a program from a process that has threads: between fork and exec only what is safe in a signal
 * handler, so everything that needs memory is made before. posix_spawn would do but for the parent-death
 * signal: without that a program would outlive a killed server, and could finish after its successor. */
#include "server/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILES_MAX = 64 * 1024, FIRST_FREE_FILE = 3, FEW_FILES = 1024, FAILED_EXIT = 127 };

#define USUAL_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* What the child needs, all of it made by the parent. */
struct plan {
    char *arguments[ACME_PROGRAM_MAX_ARGUMENTS + 1];
    char *variables[ACME_PROGRAM_MAX_VARIABLES + 2];
    int in; /* the child's ends */
    int out;
    int fault; /* an errno goes here when exec fails; closed by exec */
    pid_t parent;
};

static void close_fd(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

/* A pipe beyond 0, 1 and 2, so that the child can put its ends there in any order. */
static int make_pipe(int ret[2])
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return errno;
    for (int i = 0; i < 2; i++) {
        if (ends[i] >= FIRST_FREE_FILE)
            continue;
        int moved = fcntl(ends[i], F_DUPFD_CLOEXEC, FIRST_FREE_FILE);
        int failure = errno;
        close_fd(ends[i]);
        ends[i] = moved;
        if (moved < 0) {
            close_fd(ends[0]);
            close_fd(ends[1]);
            return failure;
        }
    }
    ret[0] = ends[0];
    ret[1] = ends[1];
    return 0;
}

static int make_plan(struct acme_arena *arena, const struct acme_program_call *call, struct plan *plan)
{
    bool has_path = false;
    if (call->argument_count == 0)
        return EINVAL;
    for (size_t i = 0; i < call->argument_count; i++) {
        plan->arguments[i] = acme_arena_strdup(arena, call->arguments[i]);
        if (plan->arguments[i] == NULL)
            return ENOMEM;
    }
    size_t count = 0;
    for (; count < call->variable_count; count++) {
        const char *name = call->variables[count].name;
        plan->variables[count] = acme_arena_printf(arena, "%s=%s", name, call->variables[count].value);
        if (plan->variables[count] == NULL)
            return ENOMEM;
        has_path = has_path || strcmp(name, "PATH") == 0;
    }
    if (!has_path) {
        plan->variables[count] = acme_arena_strdup(arena, USUAL_PATH);
        if (plan->variables[count] == NULL)
            return ENOMEM;
    }
    return 0;
}

/* ---- in the child ---- */

/* All others are closed by exec. */
static void keep_three_files(void)
{
    if (syscall(SYS_close_range, (unsigned)FIRST_FREE_FILE, UINT_MAX, 1U << 2 /* CLOSE_RANGE_CLOEXEC */) == 0)
        return;
    struct rlimit limit;
    int last = FILES_MAX;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < FILES_MAX)
        last = (int)limit.rlim_cur;
    for (int fd = FIRST_FREE_FILE; fd < last; fd++)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* The server raises its own limit; programs that use select() rely on the usual one. */
static void lower_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > FEW_FILES) {
        limit.rlim_cur = FEW_FILES;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void usual_signals(void)
{
    const struct sigaction usual = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++)
        (void)sigaction(number, &usual, NULL);
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int become(const struct plan *plan)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return errno;
    if (getppid() != plan->parent) /* it died before */
        return ESRCH;
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* low ports are the server's */
    if (setpgid(0, 0) != 0 || chdir("/") != 0)
        return errno;
    (void)umask(077);
    if (dup2(plan->in, STDIN_FILENO) < 0 || dup2(plan->out, STDOUT_FILENO) < 0 ||
        dup2(plan->out, STDERR_FILENO) < 0)
        return errno;
    keep_three_files();
    lower_file_limit();
    usual_signals();
    execve(plan->arguments[0], plan->arguments, plan->variables);
    return errno;
}

static _Noreturn void run_child(const struct plan *plan)
{
    int failure = become(plan);
    ssize_t told = write(plan->fault, &failure, sizeof failure);
    _exit(told < 0 ? FAILED_EXIT - 1 : FAILED_EXIT);
}

/* ---- in the parent ---- */

/* Waits until exec has succeeded or failed. */
static int hear_of_exec(int fd)
{
    int failure = 0;
    ssize_t got;
    do
        got = read(fd, &failure, sizeof failure);
    while (got < 0 && errno == EINTR);
    if (got == 0)
        return 0;
    return got == (ssize_t)sizeof failure && failure != 0 ? failure : EIO;
}

static int start(struct plan *plan, int fault_fd, pid_t *ret)
{
    plan->parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        run_child(plan);
    if (pid < 0)
        return errno;
    close_fd(plan->fault);
    plan->fault = -1;
    int failure = hear_of_exec(fault_fd);
    if (failure != 0)
        (void)waitpid(pid, NULL, 0);
    else
        *ret = pid;
    return failure;
}

int acme_process_spawn(const struct acme_program_call *call, struct acme_spawned *ret)
{
    struct plan plan = {.in = -1, .out = -1, .fault = -1};
    int in[2] = {-1, -1};
    int out[2] = {-1, -1};
    int fault[2] = {-1, -1};
    pid_t pid = -1;
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create((size_t)4 * 1024 * 1024);
    int failure = arena == NULL ? ENOMEM : make_plan(arena, call, &plan);
    if (failure == 0)
        failure = make_pipe(in);
    if (failure == 0)
        failure = make_pipe(out);
    if (failure == 0)
        failure = make_pipe(fault);
    if (failure == 0 && (fcntl(in[1], F_SETFL, O_NONBLOCK) != 0 || fcntl(out[0], F_SETFL, O_NONBLOCK) != 0))
        failure = errno;
    plan.in = in[0];
    plan.out = out[1];
    plan.fault = fault[1];
    if (failure == 0)
        failure = start(&plan, fault[0], &pid);
    close_fd(plan.fault);
    close_fd(fault[0]);
    close_fd(in[0]);
    close_fd(out[1]);
    if (failure != 0) {
        close_fd(in[1]);
        close_fd(out[0]);
        return failure;
    }
    *ret = (struct acme_spawned){.pid = pid,
                                 .end_fd = (int)syscall(SYS_pidfd_open, pid, 0), /* Linux 5.3 */
                                 .in_fd = in[1],
                                 .out_fd = out[0]};
    return 0;
}
