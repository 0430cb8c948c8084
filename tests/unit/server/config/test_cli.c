/* The command line: commands, options, exit codes, what goes where. */
#include "server/cli.h"

#include "cmocka_all.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int served;
static char served_url[64];
static char served_data_dir[64];

static int serve(const struct acme_config *config)
{
    served++;
    snprintf(served_url, sizeof served_url, "%s", config->server.url);
    snprintf(served_data_dir, sizeof served_data_dir, "%s", config->data_dir);
    return 7;
}

struct outcome {
    int code;
    char *out;
    char *err;
};

static struct outcome run(const char *const *words)
{
    char *argv[12] = {NULL};
    int argc = 0;
    for (; words[argc] != NULL; argc++) {
        argv[argc] = strdup(words[argc]);
        assert_non_null(argv[argc]);
    }
    char *owned[12];
    memcpy(owned, argv, sizeof owned); /* getopt_long may change the sequence */
    struct outcome outcome = {0};
    size_t out_len = 0;
    size_t err_len = 0;
    FILE *out = open_memstream(&outcome.out, &out_len);
    FILE *err = open_memstream(&outcome.err, &err_len);
    assert_true(out != NULL && err != NULL);
    outcome.code = acme_cli_run(argc, argv, out, err, serve);
    fclose(out);
    fclose(err);
    for (int i = 0; i < argc; i++)
        free(owned[i]);
    return outcome;
}

#define RUN(...) run((const char *const[]){"acmebridge", ##__VA_ARGS__, NULL})

static void expect(struct outcome outcome, int code, const char *out, const char *err)
{
    if (outcome.code != code || strstr(outcome.out, out) == NULL || strstr(outcome.err, err) == NULL ||
        (out[0] == '\0' && outcome.out[0] != '\0') || (err[0] == '\0' && outcome.err[0] != '\0'))
        fail_msg("expected %d, '%s', '%s'; found %d, '%s', '%s'", code, out, err, outcome.code, outcome.out,
                 outcome.err);
    free(outcome.out);
    free(outcome.err);
}

static void test_commands(void **state)
{
    (void)state;
    expect(RUN(), 2, "", "acmebridge serve [-c FILE]");
    expect(RUN("help"), 0, "acmebridge serve [-c FILE]", "");
    expect(RUN("--help"), 0, "acmebridge serve [-c FILE]", "");
    expect(RUN("version"), 0, "acmebridge " ACME_VERSION "\n", "");
    expect(RUN("sreve"), 2, "", "acmebridge: unknown command 'sreve'; see 'acmebridge help'\n");
}

/* Mistakes in commands for the running server are found without one. */
static void test_admin_commands(void **state)
{
    (void)state;
    expect(RUN("order"), 2, "", "say what to do with it after 'order'");
    expect(RUN("order", "lost"), 2, "", "unknown command 'lost'");
    expect(RUN("issuer", "show", "lab"), 2, "", "unknown command 'show'");
    expect(RUN("order", "explain"), 2, "", "an ID is missing after 'explain'");
    expect(RUN("order", "explain", ""), 2, "", "an ID is missing after 'explain'");
    expect(RUN("order", "explain", "0a", "0b"), 2, "", "unexpected argument '0b'");
    expect(RUN("order", "list", "0a"), 2, "", "unexpected argument '0a'");
    expect(RUN("order", "acknowledge", "0a", "--deny"), 2, "", "ask without a decision first");
    expect(RUN("order", "acknowledge", "0a", "--key", "k"), 2, "", "--acknowledge or --deny");
    expect(RUN("order", "acknowledge", "0a", "--deny", "--acknowledge", "--key", "k"), 2, "",
           "one decision at a time");
    expect(RUN("order", "show", "0a", "--deny"), 2, "", "unknown option '--deny'");
    expect(RUN("order", "list", "--status", "lost"), 2, "", "found 'lost'");
    expect(RUN("order", "list", "--account", ""), 2, "", "an option's value is empty");
    expect(RUN("order", "list", "--limit"), 2, "", "a value is missing after '--limit'");
    expect(RUN("order", "list", "--limit", "1001"), 2, "", "found '1001'");
    expect(RUN("order", "list", "--limit", "-1"), 2, "", "found '-1'");
    expect(RUN("order", "list", "--limit", "99999999999999999999"), 2, "", "found '99999999999999999999'");
    expect(RUN("order", "list", "--expiring", "1"), 2, "", "unknown option '--expiring'");
    expect(RUN("certificate", "list", "--expiring", "1d"), 2, "", "found '1d'");
    expect(RUN("issuer", "list", "-x"), 2, "", "unknown option '-x'");
    expect(RUN("order", "list", "-c", "/nonexistent/acmebridge.yaml"), 2, "", "/nonexistent/acmebridge.yaml");
    expect(RUN("order", "list", "--data-dir", "/nonexistent"), 3, "",
           "no server is running on the data directory /nonexistent");
}

static void test_options(void **state)
{
    (void)state;
    expect(RUN("serve", "--nope"), 2, "", "unknown option '--nope'");
    expect(RUN("serve", "-x"), 2, "", "unknown option '-x'");
    expect(RUN("serve", "-c"), 2, "", "a value is missing after '-c'");
    expect(RUN("serve", "--log-level", "loud"), 2, "",
           "expected the log level debug, info, warn or error, found 'loud'");
    expect(RUN("check", "--log-level", "info"), 2, "", "unknown option '--log-level'");
    expect(RUN("check", "--json"), 2, "", "--json and --domain are for --upstream");
    expect(RUN("check", "--domain", "a.test"), 2, "", "--json and --domain are for --upstream");
    expect(RUN("check", "--domain", ""), 2, "", "expected a name after --domain");
    expect(RUN("serve", "--upstream"), 2, "", "unknown option '--upstream'");
    expect(RUN("check", "extra"), 2, "", "unexpected argument 'extra'");
    expect(RUN("check", "-c", ""), 2, "", "expected a file after -c");
    expect(RUN("check", "--data-dir="), 2, "", "expected a folder after --data-dir");
    assert_int_equal(served, 0);
}

static void test_serve(void **state)
{
    (void)state;
    served = 0;
    expect(RUN("serve", "--log-level", "warn", "--data-dir", "/tmp/somewhere"), 7, "", "");
    assert_int_equal(served, 1);
    assert_string_equal(served_url, "https://localhost:14000");
    assert_string_equal(served_data_dir, "/tmp/somewhere");
    expect(RUN("serve", "-c", "/no/such/file"), 2, "", "/no/such/file: expected a readable file");
    assert_int_equal(served, 1);
}

static void test_check(void **state)
{
    (void)state;
    served = 0;
    char path[] = "/tmp/acme-cli-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    static const char text[] = "server: { url: https://a.example, listen: 127.0.0.1:0 }\n"
                               "issuers: [ { name: lab, type: local } ]\n"
                               "profiles: [ { name: one, issuer: lab }, { name: two, issuer: lab } ]\n"
                               "default_profile: two\nstore: sqlite:///x/y.db\n";
    assert_int_equal(write(fd, text, sizeof text - 1), (int)sizeof text - 1);
    char expected[256];
    snprintf(expected, sizeof expected,
             "%s: configuration is right\nurl: https://a.example/directory (listening on 127.0.0.1:0)\n"
             "profile: one -> lab\nprofile: two -> lab (default)\nissuer: lab (local)\nstore: /x/y.db\n",
             path);
    expect(RUN("check", "--config", path), 0, expected, "");

    assert_int_equal(write(fd, "nope: 1\n", 8), 8);
    snprintf(expected, sizeof expected, "%s:6:1: unknown key 'nope'", path);
    expect(RUN("check", "-c", path), 2, "", expected);
    close(fd);
    unlink(path);
    expect(RUN("check"), 0, "embedded defaults: configuration is right\n", "");
    /* There is no upstream. */
    expect(RUN("check", "--upstream"), 0, "", "");
    expect(RUN("check", "--upstream", "--json", "--domain", "a.test"), 0, "{\"findings\":[],\"errors\":0}\n",
           "");
    assert_int_equal(served, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands), cmocka_unit_test(test_admin_commands),
        cmocka_unit_test(test_options),  cmocka_unit_test(test_serve),
        cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests_name("command line", tests, NULL, NULL);
}
