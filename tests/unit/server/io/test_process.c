/* Programs that are run: what they get, what is heard of their end, and that nothing of them is left. */
#include "server/process.h"

#include "cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BIG = 1024 * 1024, MANY = 100 };

struct heard {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int count;
    enum acme_process_outcome outcome;
    struct acme_program_result result;
    char output[ACME_PROGRAM_OUTPUT_BYTES + 1];
    char detail[256];
};

static void hear(void *context, const struct acme_process_end *end)
{
    struct heard *heard = context;
    pthread_mutex_lock(&heard->lock);
    heard->outcome = end->outcome;
    heard->result = end->result;
    if (end->outcome == ACME_PROCESS_ENDED)
        (void)snprintf(heard->output, sizeof heard->output, "%s", end->result.output);
    if (end->detail != NULL)
        (void)snprintf(heard->detail, sizeof heard->detail, "%s", end->detail);
    heard->count++;
    pthread_cond_signal(&heard->changed);
    pthread_mutex_unlock(&heard->lock);
}

static void begin(struct heard *heard)
{
    memset(heard, 0, sizeof *heard);
    pthread_mutex_init(&heard->lock, NULL);
    pthread_cond_init(&heard->changed, NULL);
}

static void wait_for(struct heard *heard, int count)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 30;
    int failure = 0;
    pthread_mutex_lock(&heard->lock);
    while (heard->count < count && failure == 0)
        failure = pthread_cond_timedwait(&heard->changed, &heard->lock, &until);
    pthread_mutex_unlock(&heard->lock);
    assert_int_equal(failure, 0);
}

static struct acme_program_call shell(const char *script)
{
    return (struct acme_program_call){.arguments = {"/bin/sh", "-c", script}, .argument_count = 3};
}

static void run_call(const struct acme_program_call *call, struct heard *heard)
{
    struct acme_processes *processes = NULL;
    begin(heard);
    assert_int_equal(acme_processes_start(2, 10, &processes).code, ACME_OK);
    assert_int_equal(acme_processes_run(processes, call, hear, heard).code, ACME_OK);
    wait_for(heard, 1);
    acme_processes_stop(processes);
    assert_int_equal(heard->count, 1);
}

static void run_shell(const char *script, struct heard *heard)
{
    struct acme_program_call call = shell(script);
    run_call(&call, heard);
}

static bool is_alive(int pid)
{
    char path[64];
    char line[256] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    bool read = fgets(line, sizeof line, file) != NULL;
    (void)fclose(file);
    const char *state = strrchr(line, ')');
    return read && state != NULL && state[2] != 'Z' && state[2] != 'X';
}

static bool dies(int pid)
{
    for (int i = 0; i < 500; i++) {
        if (!is_alive(pid))
            return true;
        const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
        nanosleep(&pause, NULL);
    }
    return false;
}

static void exit_codes_are_told(void **state)
{
    (void)state;
    static const int codes[] = {0, 1, 75, 127, 255};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        char script[64];
        struct heard heard;
        (void)snprintf(script, sizeof script, "echo out; echo err >&2; exit %d", codes[i]);
        run_shell(script, &heard);
        assert_int_equal(heard.outcome, ACME_PROCESS_ENDED);
        assert_int_equal(heard.result.exit_code, codes[i]);
        assert_int_equal(heard.result.signal, 0);
        assert_false(heard.result.timed_out);
        assert_string_equal(heard.output, "out\nerr\n");
    }
}

static void signals_are_told(void **state)
{
    (void)state;
    struct heard heard;
    run_shell("kill -TERM $$", &heard);
    assert_int_equal(heard.result.exit_code, -1);
    assert_int_equal(heard.result.signal, SIGTERM);
    assert_false(heard.result.timed_out);
}

static void time_ends(void **state)
{
    (void)state;
    struct heard heard;
    struct acme_program_call call = shell("sleep 100 & echo $!; wait");
    call.timeout_ms = 1000;
    run_call(&call, &heard);
    assert_int_equal(heard.outcome, ACME_PROCESS_ENDED);
    assert_true(heard.result.timed_out);
    assert_int_equal(heard.result.exit_code, -1);
    assert_true(dies((int)strtol(heard.output, NULL, 10)));
}

static void who_does_not_listen_is_killed(void **state)
{
    (void)state;
    struct heard heard;
    struct acme_program_call call = shell("trap '' TERM; while :; do sleep 0.05; done");
    call.timeout_ms = 2000; /* enough to begin with on a busy machine */
    run_call(&call, &heard);
    assert_true(heard.result.timed_out);
    assert_int_equal(heard.result.signal, SIGKILL);
}

/* A clean end after SIGTERM is still no success. */
static void a_late_success_is_none(void **state)
{
    (void)state;
    struct heard heard;
    struct acme_program_call call = shell("trap 'echo cleaned; exit 0' TERM; while :; do sleep 0.05; done");
    call.timeout_ms = 2000;
    run_call(&call, &heard);
    assert_true(heard.result.timed_out);
    assert_int_equal(heard.result.exit_code, -1);
    assert_non_null(strstr(heard.output, "cleaned"));
}

static void input_arrives_whole(void **state)
{
    (void)state;
    struct heard heard;
    char *big = malloc(BIG);
    assert_non_null(big);
    memset(big, 'x', BIG);
    struct acme_program_call call = shell("wc -c");
    call.input = (struct acme_bytes){.data = (const uint8_t *)big, .len = BIG};
    run_call(&call, &heard);
    assert_int_equal(strtol(heard.output, NULL, 10), BIG);
    /* One that does not read it ends all the same, and one that gives it back does not block. */
    call = shell("exit 3");
    call.input = (struct acme_bytes){.data = (const uint8_t *)big, .len = BIG};
    run_call(&call, &heard);
    assert_int_equal(heard.result.exit_code, 3);
    call = shell("cat; echo; echo end");
    call.input = (struct acme_bytes){.data = (const uint8_t *)big, .len = BIG};
    run_call(&call, &heard);
    assert_int_equal(heard.result.exit_code, 0);
    assert_int_equal(strlen(heard.output), ACME_PROGRAM_OUTPUT_BYTES);
    assert_string_equal(heard.output + strlen(heard.output) - 6, "x\nend\n");
    free(big);
}

static void no_input_is_an_empty_one(void **state)
{
    (void)state;
    struct heard heard;
    run_shell("cat; echo end", &heard);
    assert_string_equal(heard.output, "end\n");
}

static void output_is_printable(void **state)
{
    (void)state;
    struct heard heard;
    run_shell("printf 'a\\000b\\033[2J\\377\\tc\\n'", &heard);
    assert_string_equal(heard.output, "a?b?[2J?\tc\n");
}

static void a_missing_program_is_told(void **state)
{
    (void)state;
    struct heard heard;
    struct acme_program_call call = {.arguments = {"/nonexistent/program"}, .argument_count = 1};
    run_call(&call, &heard);
    assert_int_equal(heard.outcome, ACME_PROCESS_NOT_STARTED);
    assert_string_equal(heard.detail, "cannot run /nonexistent/program: No such file or directory");
    call.arguments[0] = "/etc/passwd";
    run_call(&call, &heard);
    assert_int_equal(heard.outcome, ACME_PROCESS_NOT_STARTED);
    assert_string_equal(heard.detail, "cannot run /etc/passwd: Permission denied");
    struct acme_processes *processes = NULL;
    assert_int_equal(acme_processes_start(1, 1, &processes).code, ACME_OK);
    call.arguments[0] = "sh";
    assert_int_equal(acme_processes_run(processes, &call, hear, &heard).code, ACME_E_FORMAT);
    acme_processes_stop(processes);
}

static void children_do_not_stay(void **state)
{
    (void)state;
    struct heard heard;
    run_shell("sleep 100 & echo $!", &heard);
    assert_int_equal(heard.result.exit_code, 0);
    assert_true(dies((int)strtol(heard.output, NULL, 10)));
}

static void it_gets_nothing_else(void **state)
{
    (void)state;
    struct heard heard;
    int leak = open("/dev/null", O_RDONLY); /* NOLINT: on purpose without O_CLOEXEC */
    assert_true(leak >= 3);
    (void)signal(SIGPIPE, SIG_IGN);
    assert_int_equal(setenv("SECRET_OF_THE_SERVER", "x", 1), 0);
    /* No pipes: the shell has files and signals of its own while it makes one. */
    struct acme_program_call call =
        shell("pwd; umask; ls /proc/$$/fd; grep -E 'Sig(Ign|Blk)' /proc/self/status;"
              " [ $$ = $(ps -o pgid= -p $$) ] && echo leader; env");
    call.variables[0].name = "LC_ALL";
    call.variables[0].value = "C";
    call.variable_count = 1;
    run_call(&call, &heard);
    (void)close(leak);
    assert_ptr_equal(strstr(heard.output,
                            "/\n0077\n0\n1\n2\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
                            "leader\n"),
                     heard.output);
    assert_non_null(strstr(heard.output, "\nLC_ALL=C\n"));
    assert_non_null(
        strstr(heard.output, "\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"));
    assert_null(strstr(heard.output, "SECRET"));
}

static void many_run_and_wait(void **state)
{
    (void)state;
    struct acme_processes *processes = NULL;
    struct heard heard;
    struct acme_program_call call = shell("cat >/dev/null; exit 7");
    begin(&heard);
    call.input = (struct acme_bytes){.data = (const uint8_t *)"hello", .len = 5};
    assert_int_equal(acme_processes_start(8, MANY, &processes).code, ACME_OK);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(acme_processes_run(processes, &call, hear, &heard).code, ACME_OK);
    wait_for(&heard, MANY);
    assert_int_equal(heard.result.exit_code, 7);
    acme_processes_stop(processes);
}

static void a_stop_cancels(void **state)
{
    (void)state;
    struct acme_processes *processes = NULL;
    struct heard heard[3];
    struct acme_program_call call = shell("sleep 100");
    assert_int_equal(acme_processes_start(1, 2, &processes).code, ACME_OK);
    for (int i = 0; i < 3; i++) {
        begin(&heard[i]);
        while (acme_processes_run(processes, &call, hear, &heard[i]).code == ACME_E_BUSY) {
            const struct timespec pause = {.tv_nsec = 1000 * 1000};
            nanosleep(&pause, NULL);
        }
    }
    int64_t before = (int64_t)time(NULL);
    acme_processes_stop(processes);
    assert_true((int64_t)time(NULL) - before < 20);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(heard[i].count, 1);
        assert_int_equal(heard[i].outcome, ACME_PROCESS_CANCELLED);
    }
}

static void a_cancel_does_not_wait(void **state)
{
    (void)state;
    struct acme_processes *processes = NULL;
    struct heard heard;
    struct acme_program_call call = shell("trap '' TERM; while :; do sleep 0.05; done");
    begin(&heard);
    assert_int_equal(acme_processes_start(1, 2, &processes).code, ACME_OK);
    assert_int_equal(acme_processes_run(processes, &call, hear, &heard).code, ACME_OK);
    acme_processes_cancel(processes);
    wait_for(&heard, 1);
    assert_int_equal(heard.outcome, ACME_PROCESS_CANCELLED);
    assert_int_equal(acme_processes_run(processes, &call, hear, &heard).code, ACME_OK);
    wait_for(&heard, 2);
    assert_int_equal(heard.outcome, ACME_PROCESS_CANCELLED);
    acme_processes_stop(processes);
}

/* In a process of its own, without privileges: its program, which has become root as sudo does, cannot be
 * killed. */
static int stop_what_cannot_be_killed(const char *program)
{
    enum { NOBODY = 65534 };
    struct acme_processes *processes = NULL;
    struct heard heard;
    struct acme_program_call call = {.arguments = {program, "--reuid=0", "/bin/sleep", "20"},
                                     .argument_count = 4};
    struct timespec from;
    struct timespec to;
    begin(&heard);
    if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0 || acme_failed(acme_processes_start(1, 1, &processes)) ||
        acme_failed(acme_processes_run(processes, &call, hear, &heard)))
        return 1;
    nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    clock_gettime(CLOCK_MONOTONIC, &from);
    acme_processes_stop(processes);
    clock_gettime(CLOCK_MONOTONIC, &to);
    return to.tv_sec - from.tv_sec > 10 || heard.outcome != ACME_PROCESS_CANCELLED ? 2 : 0;
}

static void a_stop_does_not_wait_for_privileged_ones(void **state)
{
    (void)state;
    char place[] = "/tmp/acmebridge-process-XXXXXX";
    char program[64];
    char copy[256];
    if (getuid() != 0)
        skip();
    assert_non_null(mkdtemp(place));
    (void)snprintf(program, sizeof program, "%s/setpriv", place);
    (void)snprintf(copy, sizeof copy, "cp /usr/bin/setpriv %s && chmod 755 %s && chmod 4755 %s", program,
                   place, program);
    struct heard heard;
    run_shell(copy, &heard);
    assert_int_equal(heard.result.exit_code, 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(stop_what_cannot_be_killed(program));
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(unlink(program), 0);
    assert_int_equal(rmdir(place), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_codes_are_told),
        cmocka_unit_test(signals_are_told),
        cmocka_unit_test(time_ends),
        cmocka_unit_test(who_does_not_listen_is_killed),
        cmocka_unit_test(a_late_success_is_none),
        cmocka_unit_test(input_arrives_whole),
        cmocka_unit_test(no_input_is_an_empty_one),
        cmocka_unit_test(output_is_printable),
        cmocka_unit_test(a_missing_program_is_told),
        cmocka_unit_test(children_do_not_stay),
        cmocka_unit_test(it_gets_nothing_else),
        cmocka_unit_test(many_run_and_wait),
        cmocka_unit_test(a_stop_cancels),
        cmocka_unit_test(a_cancel_does_not_wait),
        cmocka_unit_test(a_stop_does_not_wait_for_privileged_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
