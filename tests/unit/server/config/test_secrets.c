/* Where passwords come from, what is refused, and that nothing of them is shown. */
#include "server/config.h"

#include "cmocka_all.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/acme-secret-XXXXXX";
static char secret_path[64];

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(secret_path, sizeof secret_path, "%s/secret", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(secret_path);
    return rmdir(folder);
}

static void write_secret(const char *contents, size_t len, mode_t mode)
{
    unlink(secret_path);
    FILE *file = fopen(secret_path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(contents, 1, len, file), len);
    fclose(file);
    assert_int_equal(chmod(secret_path, mode), 0);
}

/* A configuration file in the folder of the secret whose scm issuer has these keys for its password. */
static struct acme_err load(const char *keys, struct acme_config **ret, char **ret_error)
{
    char file[80];
    char text[2048];
    snprintf(file, sizeof file, "%s/f.yaml", folder);
    snprintf(text, sizeof text,
             "server: { url: https://a.example, listen: 0.0.0.0:1 }\nissuers:\n- { name: lab, type: local }\n"
             "- name: s\n  type: scm\n  url: https://cm.example\n  customer_uri: c\n  login: l\n  org_id: 1\n"
             "  profile_id: 2\n  term_days: 3\n  %s\nprofiles: [ { name: p, issuer: s } ]\n",
             keys);
    *ret = NULL;
    *ret_error = NULL;
    return acme_config_parse(file, text, strlen(text), NULL, ret, ret_error);
}

static void expect_password(const char *keys, const char *password)
{
    struct acme_config *config = NULL;
    char *error = NULL;
    if (acme_failed(load(keys, &config, &error)))
        fail_msg("refused: %s", error != NULL ? error : "out of memory");
    assert_string_equal(config->issuers[1].scm.password, password);
    acme_config_destroy(config);
}

/* The mistake stands in line 12 at `column` and contains `part`, and nothing in it gives a secret away. */
static void expect_mistake(const char *keys, int column, const char *part)
{
    struct acme_config *config = NULL;
    char *error = NULL;
    assert_int_equal(load(keys, &config, &error).code, ACME_E_FORMAT);
    assert_null(config);
    char place[96];
    snprintf(place, sizeof place, "%s/f.yaml:12:%d: ", folder, column);
    if (strncmp(error, place, strlen(place)) != 0 || strstr(error, part) == NULL)
        fail_msg("expected %s...%s, found %s", place, part, error);
    assert_null(strstr(error, "hunter2"));
    assert_ptr_equal(strchr(error, '\n'), error + strlen(error) - 1);
    free(error);
}

static void test_file(void **state)
{
    (void)state;
    char absolute[128];
    snprintf(absolute, sizeof absolute, "password_file: %s", secret_path);
    write_secret("hunter2\n", 8, 0600);
    expect_password("password_file: secret", "hunter2");
    expect_password(absolute, "hunter2");
    write_secret("hunter2", 7, 0640);
    expect_password("password_file: secret", "hunter2");
    write_secret(" a b \r\n", 7, 0400);
    expect_password("password_file: secret", " a b ");
    char longest[4097];
    memset(longest, 'x', 4096);
    longest[4096] = '\n';
    write_secret(longest, 4097, 0600);
    longest[4096] = '\0';
    expect_password("password_file: secret", longest);
}

static void test_file_refused(void **state)
{
    (void)state;
    static const char keys[] = "password_file: secret";
    write_secret("hunter2\n", 8, 0644);
    expect_mistake(keys, 18, "/secret': everybody may read or write it: chmod 600");
    write_secret("hunter2\n", 8, 0602);
    expect_mistake(keys, 18, "everybody may read or write it");
    write_secret("hunter2\n", 8, 0660);
    expect_mistake(keys, 18, "its group may write it");
    write_secret("", 0, 0600);
    expect_mistake(keys, 18, "nothing in it");
    write_secret("\n", 1, 0600);
    expect_mistake(keys, 18, "nothing in it");
    write_secret("hunter2\n\n", 9, 0600);
    expect_mistake(keys, 18, "more than one line in it");
    write_secret("hunter2\nx", 9, 0600);
    expect_mistake(keys, 18, "more than one line in it");
    write_secret("hunter2\0x\n", 10, 0600);
    expect_mistake(keys, 18, "a control character in it");
    char large[4097];
    memset(large, 'x', sizeof large);
    write_secret(large, sizeof large, 0600);
    expect_mistake(keys, 18, "more than 4096 characters in it");
    unlink(secret_path);
    expect_mistake(keys, 18, "No such file or directory");
    expect_mistake("password_file: .", 18, "it is not a regular file");
    assert_int_equal(mkfifo(secret_path, 0600), 0);
    expect_mistake(keys, 18, "it is not a regular file");
}

static void test_credential(void **state)
{
    (void)state;
    unsetenv("CREDENTIALS_DIRECTORY");
    expect_mistake("password_credential: secret", 24, "expected $CREDENTIALS_DIRECTORY to be set");
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    write_secret("hunter2\n", 8, 0400);
    expect_password("password_credential: secret", "hunter2");
    expect_mistake("password_credential: ../secret", 24, "expected the name of a systemd credential");
    expect_mistake("password_credential: other", 24, "No such file or directory");
    unsetenv("CREDENTIALS_DIRECTORY");
}

static void test_environment(void **state)
{
    (void)state;
    setenv("CONFIG_TEST_PASSWORD", "hunter2", 1);
    expect_password("password: ${CONFIG_TEST_PASSWORD}", "hunter2");
    expect_password("password: '${CONFIG_TEST_PASSWORD}'", "hunter2");
    setenv("CONFIG_TEST_PASSWORD", "hunter2\r\nX-Header: 1", 1);
    expect_mistake(
        "password: ${CONFIG_TEST_PASSWORD}", 13,
        "expected the environment variable CONFIG_TEST_PASSWORD to hold a password, found a control "
        "character in it");
    setenv("CONFIG_TEST_PASSWORD", "", 1);
    expect_mistake("password: ${CONFIG_TEST_PASSWORD}", 13, "found nothing in it");
    unsetenv("CONFIG_TEST_PASSWORD");
    expect_mistake("password: ${CONFIG_TEST_PASSWORD}", 13, "found it unset");
}

static void test_passwords_in_the_file(void **state)
{
    (void)state;
    static const char part[] = "a password does not belong into this file";
    setenv("CONFIG_TEST_PASSWORD", "x", 1);
    expect_mistake("password: hunter2", 13, part);
    expect_mistake("password: [hunter2]", 13, part);
    expect_mistake("password: hunter2${CONFIG_TEST_PASSWORD}", 13, part);
    expect_mistake("password: ${CONFIG_TEST_PASSWORD}hunter2", 13, part);
    expect_mistake("password: $${hunter2}", 13, part);
    expect_mistake("password:", 12, part);
}

static void test_two_sources(void **state)
{
    (void)state;
    write_secret("hunter2\n", 8, 0600);
    setenv("CONFIG_TEST_PASSWORD", "hunter2", 1);
    expect_mistake("password: ${CONFIG_TEST_PASSWORD}\n  password_file: secret", 3,
                   "expected one source of the password, found 'password' besides 'password_file'");
}

static void test_expanded_values_are_not_shown(void **state)
{
    (void)state;
    write_secret("x\n", 2, 0600);
    setenv("CONFIG_TEST_VALUE", "http://hunter2.example/", 1);
    struct acme_config *config = NULL;
    char *error = NULL;
    assert_int_equal(
        load("password_file: secret\n- { name: t, type: scm, customer_uri: c, login: l, org_id: 1, "
             "profile_id: 2, term_days: 3, password_file: secret, url: '${CONFIG_TEST_VALUE}' }",
             &config, &error)
            .code,
        ACME_E_FORMAT);
    assert_non_null(strstr(error, "found the text '${CONFIG_TEST_VALUE}'"));
    assert_null(strstr(error, "hunter2"));
    free(error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_file_refused),
        cmocka_unit_test(test_credential),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_two_sources),
        cmocka_unit_test(test_passwords_in_the_file),
        cmocka_unit_test(test_expanded_values_are_not_shown),
    };
    return cmocka_run_group_tests_name("config secrets", tests, set_up, tear_down);
}
