/* log.c: one line per event whatever the values hold. Standard error is a pipe during a call. */
#include "base/log.h"

#include "cmocka_all.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int saved_stderr;
static int pipe_out;
static char captured[64 * 1024];

static void begin_capture(void)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    saved_stderr = dup(STDERR_FILENO);
    assert_true(saved_stderr >= 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
    pipe_out = ends[0];
}

/* The text after the time stamp, whose form is checked here. */
static const char *end_capture(void)
{
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    size_t len = 0;
    ssize_t got = 0;
    while ((got = read(pipe_out, captured + len, sizeof captured - 1 - len)) > 0)
        len += (size_t)got;
    close(pipe_out);
    captured[len] = '\0';
    if (len == 0)
        return captured;
    assert_memory_equal(captured, "ts=20", 5);
    const char *rest = strchr(captured, ' ');
    assert_non_null(rest);
    assert_int_equal(rest - captured, strlen("ts=2026-11-24T08:00:00.000Z"));
    return rest + 1;
}

static void plain_fields(void **state)
{
    (void)state;
    begin_capture();
    errno = EAGAIN;
    acme_log(INFO, "order issued", LOG_STR("order", "abc-1"), LOG_INT("count", -3), LOG_STR("absent", NULL),
             LOG_STR("empty", ""), LOG_STR("path", "/a.b"));
    assert_int_equal(errno, EAGAIN);
    assert_string_equal(end_capture(),
                        "level=info event=\"order issued\" order=abc-1 count=-3 empty=\"\" path=/a.b\n");
    begin_capture();
    acme_log(ERROR, "bare");
    assert_string_equal(end_capture(), "level=error event=\"bare\"\n");
}

static void hostile_values(void **state)
{
    (void)state;
    begin_capture();
    acme_log(WARN, "e\nv", LOG_STR("a", "x y"), LOG_STR("b", "x\nlevel=info event=\"forged\""),
             LOG_STR("c", "k=v"), LOG_STR("d", "\x1b[0m\x7f\xc3\xa4\\\t\r"));
    assert_string_equal(
        end_capture(),
        "level=warn event=\"e\\nv\" a=\"x y\" b=\"x\\nlevel=info event=\\\"forged\\\"\" c=\"k=v\" "
        "d=\"\\x1b[0m\\x7f\\xc3\\xa4\\\\\\t\\r\"\n");
}

static void levels(void **state)
{
    (void)state;
    begin_capture();
    acme_log(DEBUG, "no");
    acme_log_set_level(ACME_LOG_ERROR);
    acme_log(WARN, "no");
    acme_log_set_level(ACME_LOG_DEBUG);
    acme_log(DEBUG, "yes");
    acme_log_set_level(ACME_LOG_INFO);
    assert_string_equal(end_capture(), "level=debug event=\"yes\"\n");
}

static void long_values_are_cut(void **state)
{
    (void)state;
    static char text[20000];
    memset(text, 'v', sizeof text - 1);
    begin_capture();
    acme_log(INFO, "long", LOG_STR("a", text), LOG_STR("b", "after"));
    const char *line = end_capture();
    assert_true(strlen(captured) < 1200);
    assert_non_null(strstr(line, "vvv...\" b=after\n"));

    memset(text, '\n', sizeof text - 1);
    for (size_t fields = 1; fields <= 12; fields++) {
        const struct acme_log_field many[12] = {
            LOG_STR("a", text), LOG_STR("b", text),     LOG_STR("c", text), LOG_STR("d", text),
            LOG_STR("e", text), LOG_STR("f", "x"),      LOG_INT("g", 1),    LOG_STR("h", text),
            LOG_INT("i", 1),    LOG_STR("j", text + 1), LOG_STR("k", ""),   LOG_STR("l", "l")};
        begin_capture();
        acme_log_fields(ACME_LOG_INFO, text, many, fields);
        end_capture();
        size_t len = strlen(captured);
        assert_true(len <= 4096);
        assert_int_equal(captured[len - 1], '\n');
        assert_ptr_equal(strchr(captured, '\n'), captured + len - 1);
        size_t quotes = 0;
        for (size_t i = 0; i < len; i++)
            quotes += captured[i] == '"';
        assert_int_equal(quotes % 2, 0);
    }
}

/* Every length around the end of the line: no overrun, and always one whole line. */
static void line_end_is_exact(void **state)
{
    (void)state;
    static char text[1025];
    for (size_t len = 800; len <= 1024; len++) {
        memset(text, 'v', len);
        text[len] = '\0';
        begin_capture();
        acme_log(INFO, "x", LOG_STR("a", text), LOG_STR("b", text), LOG_STR("c", text), LOG_STR("d", text),
                 LOG_STR("e", "tail"), LOG_STR("f", "two words"));
        end_capture();
        size_t total = strlen(captured);
        assert_true(total <= 4096);
        assert_ptr_equal(strchr(captured, '\n'), captured + total - 1);
        assert_int_not_equal(captured[total - 2], '=');
        assert_int_not_equal(captured[total - 2], ' ');
    }
}

static void *log_many(void *argument)
{
    for (int i = 0; i < 50; i++)
        acme_log(INFO, "thread", LOG_STR("who", argument), LOG_INT("i", i));
    return NULL;
}

static void threads_do_not_mix_lines(void **state)
{
    (void)state;
    static char names[4][2] = {"a", "b", "c", "d"};
    pthread_t threads[4];
    begin_capture();
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, names[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    end_capture();
    size_t lines = 0;
    for (char *line = strtok(captured, "\n"); line != NULL; line = strtok(NULL, "\n"), lines++) {
        char who = 0;
        int number = -1;
        assert_int_equal(sscanf(line, "ts=%*s level=info event=\"thread\" who=%c i=%d", &who, &number), 2);
        assert_true(who >= 'a' && who <= 'd' && number >= 0 && number < 50);
    }
    assert_int_equal(lines, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_fields),
        cmocka_unit_test(hostile_values),
        cmocka_unit_test(levels),
        cmocka_unit_test(long_values_are_cut),
        cmocka_unit_test(line_end_is_exact),
        cmocka_unit_test(threads_do_not_mix_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
