/* What a deployer can be made from, and the forms of ids and domains. */
#include "cmocka_all.h"

#include "huawei_rig.h"

#include "backends/huawei_elb/huawei_internal.h"

#include <string.h>

static bool makes(const struct acme_huawei_elb_config *config)
{
    struct acme_deployer *deployer = NULL;
    struct acme_err err = acme_huawei_elb_create("web", config, &deployer);
    acme_deployer_destroy(deployer);
    if (acme_failed(err))
        assert_int_equal(err.code, ACME_E_FORMAT);
    return !acme_failed(err);
}

static void test_logins(void **state)
{
    const struct elb_rig *rig = *state;
    const struct acme_keystone iam = {
        .token_url = "https://iam.example.test", .domain = "d", .user = "u", .password = "p"};
    struct acme_huawei_elb_config config = rig->config;
    assert_true(makes(&config));
    config.security_token = "token";
    assert_true(makes(&config));
    config.security_token = "to\nken";
    assert_false(makes(&config));
    config.security_token = NULL;
    config.iam = iam; /* both */
    assert_false(makes(&config));
    config.access_key_id = NULL;
    assert_false(makes(&config));
    config.access_key_secret = NULL;
    assert_true(makes(&config));
    config.security_token = "token";
    assert_false(makes(&config));
    config.security_token = NULL;
    const char **members[] = {&config.iam.domain, &config.iam.user, &config.iam.password};
    for (size_t i = 0; i < 3; i++) {
        config.iam = iam;
        *members[i] = NULL;
        assert_false(makes(&config));
        *members[i] = "line\n";
        assert_false(makes(&config));
    }
    config.iam.token_url = NULL; /* none */
    assert_false(makes(&config));
}

static void test_targets(void **state)
{
    const struct elb_rig *rig = *state;
    struct acme_huawei_elb_config config = rig->config;
    config.name = "x"; /* of an object that is there */
    assert_false(makes(&config));
    config.name = NULL;
    config.create = true; /* both */
    assert_false(makes(&config));
    config.certificate_id = NULL;
    assert_false(makes(&config)); /* without a key */
    config.private_key_file = "/key";
    assert_true(makes(&config));
    static const char long_name[] =
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
        "0123456789012345678901234567890123456789012345678901234x";
    assert_int_equal(strlen(long_name), 256);
    config.name = long_name;
    assert_false(makes(&config));
    config.name = long_name + 1;
    assert_true(makes(&config));
    config = rig->config;
    config.project_id = "0123456789abcdef0123456789abcde";
    assert_false(makes(&config));
    config = rig->config;
    config.certificate_id = "fedcba98-6543-2100-fedc-ba9876543210";
    assert_false(makes(&config));
    config.certificate_id = NULL;
    assert_false(makes(&config));
    config = rig->config;
    config.url = NULL;
    assert_false(makes(&config));
}

static void test_domain_forms(void **state)
{
    const struct elb_rig *rig = *state;
    static const char *const good[] = {
        "example.test",
        "*.example.test",
        "a",
        "1.2",
        "x--y.test",
        "012345678901234567890123456789012345678901234567890123456789012.test"};
    static const char *const bad[] = {
        "",
        ".",
        "*.",
        "*",
        "a..b",
        "a.",
        ".a",
        "-a.test",
        "a-.test",
        "a_b.test",
        "a.*.test",
        "*a.b",
        "a b",
        "a,b",
        "\xc3\xa4.test",
        "0123456789012345678901234567890123456789012345678901234567890123.test"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_null(acme_huawei_domain_wrong(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_non_null(acme_huawei_domain_wrong(bad[i]));
    struct acme_huawei_elb_config config = rig->config;
    config.domains = ACME_HUAWEI_DOMAINS_LIST;
    assert_false(makes(&config)); /* an empty list would empty the object's */
    config.domain_list = good;
    config.domain_count = 5;
    assert_true(makes(&config));
    config.domain_list = bad;
    assert_false(makes(&config));
}

static void test_domain_limits(void **state)
{
    struct elb_rig *rig = *state;
    const char *names[101];
    const char *value = NULL;
    const char *why = NULL;
    for (size_t i = 0; i < 101; i++)
        names[i] = "a23456789.a23456789.a23456789.test"; /* 34 */
    assert_int_equal(acme_huawei_domains_join(rig->arena, names, 29, true, &value, &why).code, ACME_OK);
    assert_int_equal(strlen(value), 29 * 35 - 1); /* 1014 */
    assert_int_equal(acme_huawei_domains_join(rig->arena, names, 30, true, &value, &why).code, ACME_E_LIMIT);
    assert_non_null(strstr(why, "1024 characters"));
    for (size_t i = 0; i < 101; i++)
        names[i] = "a.test";
    assert_int_equal(acme_huawei_domains_join(rig->arena, names, 30, true, &value, &why).code, ACME_OK);
    assert_int_equal(acme_huawei_domains_join(rig->arena, names, 31, true, &value, &why).code, ACME_E_LIMIT);
    assert_int_equal(acme_huawei_domains_join(rig->arena, names, 100, false, &value, &why).code, ACME_OK);
    assert_int_equal(acme_huawei_domains_join(rig->arena, names, 101, false, &value, &why).code,
                     ACME_E_LIMIT);
    assert_int_equal(acme_huawei_domains_join(rig->arena, names, 2, false, &value, &why).code, ACME_OK);
    assert_string_equal(value, "a.test,a.test");
    assert_int_equal(acme_huawei_domains_join(rig->arena, names, 0, false, &value, &why).code, ACME_OK);
    assert_string_equal(value, "");
}

/* The example in Huawei's own document: everything on one line. */
static void test_pem_on_one_line(void **state)
{
    struct elb_rig *rig = *state;
    struct acme_cert_list list = {.count = 0};
    struct acme_bytes pem = pki_pem(rig->arena, rig->chain.certs, 2);
    char *text = acme_arena_strndup(rig->arena, (const char *)pem.data, pem.len);
    assert_int_equal(acme_huawei_pem_read(rig->arena, text, &list).code, ACME_OK);
    assert_int_equal(list.count, 2);
    assert_int_equal(X509_cmp(list.certs[1], rig->pki.intermediate), 0);
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        if (*from != '\n')
            *to++ = *from;
    }
    *to = '\0';
    assert_int_equal(acme_huawei_pem_read(rig->arena, text, &list).code, ACME_OK);
    assert_int_equal(list.count, 2);
    assert_int_equal(X509_cmp(list.certs[0], rig->leaf), 0);

    static const char *const bad[] = {"",
                                      "MII",
                                      "-----BEGIN CERTIFICATE-----",
                                      "-----BEGIN CERTIFICATE----------END CERTIFICATE-----",
                                      "-----BEGIN CERTIFICATE-----MI-----END CERTIFICATE-----",
                                      "-----BEGIN CERTIFICATE-----====-----END CERTIFICATE-----",
                                      "-----BEGIN CERTIFICATE-----M\xff\xffI-----END CERTIFICATE-----",
                                      "-----BEGIN CERTIFICATE-----MIIC4TCC-----END CERTIFICATE-----"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(acme_huawei_pem_read(rig->arena, bad[i], &list).code, ACME_E_FORMAT);
    ACME_CLEANUP_BUF struct acme_buf many;
    acme_buf_init(&many, 1 << 20);
    for (size_t i = 0; i <= ACME_CHAIN_MAX_CERTS; i++)
        acme_buf_str(&many, text);
    assert_int_equal(acme_huawei_pem_read(rig->arena, acme_buf_cstr(&many), &list).code, ACME_E_LIMIT);
}

static void test_echoed_keys_are_overwritten(void **state)
{
    struct elb_rig *rig = *state;
    const char *body = "{\"certificates\":[{\"private_key\":\"" ELB_ECHO "\",\"enc_private_key\":\"" ELB_ECHO
                       "\"},{\"private_key\":\"******\"}]}";
    const struct acme_http_reply reply = {.status = 200,
                                          .body = {.data = (const uint8_t *)body, .len = strlen(body)}};
    const struct acme_step_input input = {.event = ACME_EVENT_REPLY, .reply = &reply};
    const struct huawei_context ctx = {.arena = rig->arena, .input = &input};
    cJSON *json = NULL;
    bool echo = false;
    assert_int_equal(acme_huawei_reply_json(&ctx, &json, &echo).code, ACME_OK);
    assert_true(echo);
    const cJSON *first = cJSON_GetArrayItem(acme_json_get(json, "certificates"), 0);
    static const char zeros[sizeof ELB_ECHO] = "";
    assert_memory_equal(acme_json_str(first, "private_key"), zeros, sizeof zeros);
    assert_memory_equal(acme_json_str(first, "enc_private_key"), zeros, sizeof zeros);
    assert_null(strstr(acme_json_print(rig->arena, json), ELB_ECHO));
}

#define RUNNING(test) cmocka_unit_test_setup_teardown(test, elb_setup, elb_teardown)

/* A pause after a refused login ends when the secret is another one. */
static void test_mark_of_the_login(void **state)
{
    struct elb_rig *rig = *state;
    int first = rig->deployer->backend.login_mark;
    elb_reconfigure(rig);
    assert_int_equal(rig->deployer->backend.login_mark, first);
    assert_in_range(first, 0, 255);
    rig->config.access_key_secret = "another";
    elb_reconfigure(rig);
    assert_int_not_equal(rig->deployer->backend.login_mark, first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUNNING(test_mark_of_the_login),
        RUNNING(test_logins),
        RUNNING(test_targets),
        RUNNING(test_domain_forms),
        RUNNING(test_domain_limits),
        RUNNING(test_pem_on_one_line),
        RUNNING(test_echoed_keys_are_overwritten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
