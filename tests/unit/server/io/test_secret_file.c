/* Files with secrets that are read while the server runs. */
#include "cmocka_all.h"
#include "server/secret_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/acme-secret-XXXXXX";
static char path[64];
static struct acme_arena *arena;

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/key", folder);
    arena = acme_arena_create(65536);
    return arena == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    acme_arena_destroy(arena);
    unlink(path);
    return rmdir(folder);
}

static void put(const char *text, mode_t mode)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void expect_refused(const char *why)
{
    struct acme_bytes got = {.len = 0};
    const char *found = "";
    assert_int_equal(acme_secret_file_load(NULL, arena, path, 8, &got, &found).code, ACME_E_DENIED);
    if (strstr(found, why) == NULL)
        fail_msg("%s", found);
    assert_null(got.data);
}

static void test_read(void **state)
{
    (void)state;
    struct acme_bytes got = {.len = 0};
    const char *why = "";
    put("12345678", 0640);
    assert_int_equal(acme_secret_file_load(NULL, arena, path, 8, &got, &why).code, ACME_OK);
    assert_int_equal(got.len, 8);
    assert_string_equal((const char *)got.data, "12345678");
}

static void test_refused(void **state)
{
    (void)state;
    unlink(path);
    expect_refused("No such file");
    put("123456789", 0600);
    expect_refused("too large");
    put("", 0600);
    expect_refused("nothing in it");
    put("1", 0604);
    expect_refused("everybody may read");
    put("1", 0660);
    expect_refused("its group may write");
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0); /* and does not hang on it */
    expect_refused("not a regular file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_read), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
