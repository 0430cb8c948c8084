/* server/admin_socket.c */
#include "server/admin_socket.h"

#include "cmocka_all.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[512];
static char path[600];

static int setup(void **state)
{
    (void)state;
    char outer[64] = "/tmp/acme-admin-XXXXXX";
    if (mkdtemp(outer) == NULL)
        return -1;
    (void)snprintf(dir, sizeof dir, "%s/%0150d", outer, 7); /* longer than an address can be */
    (void)snprintf(path, sizeof path, "%s/" ACME_ADMIN_SOCKET_NAME, dir);
    return mkdir(dir, 0700);
}

static int teardown(void **state)
{
    (void)state;
    acme_admin_unlink(dir);
    int left = rmdir(dir);
    *strrchr(dir, '/') = '\0';
    return left | rmdir(dir);
}

static void listens_and_connects(void **state)
{
    (void)state;
    int listener = -1;
    int fd = -1;
    assert_int_equal(acme_admin_connect(dir, &fd).code, ACME_E_NOT_FOUND);
    assert_int_equal(acme_admin_listen(dir, &listener).code, ACME_OK);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_true(S_ISSOCK(info.st_mode));
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(acme_admin_connect(dir, &fd).code, ACME_OK);
    close(fd);

    int second = -1;
    assert_int_equal(acme_admin_listen(dir, &second).code, ACME_E_BUSY);
    assert_int_equal(second, -1);
    assert_int_equal(acme_admin_connect(dir, &fd).code, ACME_OK); /* the first one still answers */
    close(fd);
    close(listener);
}

static void replaces_what_was_left(void **state)
{
    (void)state;
    int listener = -1;
    int fd = -1;
    assert_int_equal(acme_admin_listen(dir, &listener).code, ACME_OK);
    close(listener); /* as a process that died */
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(acme_admin_connect(dir, &fd).code, ACME_E_NOT_FOUND);
    assert_int_equal(acme_admin_listen(dir, &listener).code, ACME_OK);
    assert_int_equal(acme_admin_connect(dir, &fd).code, ACME_OK);
    close(fd);
    close(listener);
    acme_admin_unlink(dir);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(acme_admin_listen("/nonexistent/acmebridge", &listener).code, ACME_E_IO);
    assert_int_equal(acme_admin_connect("/nonexistent/acmebridge", &fd).code, ACME_E_NOT_FOUND);
}

static void knows_who_may_ask(void **state)
{
    (void)state;
    assert_true(acme_admin_user_allowed(1000, 1000));
    assert_true(acme_admin_user_allowed(0, 1000));
    assert_true(acme_admin_user_allowed(0, 0));
    assert_false(acme_admin_user_allowed(1001, 1000));
    assert_false(acme_admin_user_allowed(1000, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(listens_and_connects, setup, teardown),
        cmocka_unit_test_setup_teardown(replaces_what_was_left, setup, teardown),
        cmocka_unit_test(knows_who_may_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
