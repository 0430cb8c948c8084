/* Deployers of type huawei-elb in a configuration: what they become, and what is wrong with a file. */
#include "server/config.h"

#include "cmocka_all.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN                                                                                                \
    "server: { url: https://a.example, listen: 0.0.0.0:1 }\nissuers: [ { name: lab, type: local } ]\n"       \
    "profiles: [ { name: default, issuer: lab } ]\ndeployers:\n- name: web\n  type: huawei-elb\n"
#define PROJECT "  project_id: 0123456789abcdef0123456789abcdef\n"
#define ID      "  certificate_id: fedcba9876543210fedcba9876543210\n"
#define KEEP    "  private_key: keep\n"
#define AUTH    "  auth: { access_key: { id: AK, secret: \"${ELB_SECRET}\" } }\n"
#define REGION  "  region: eu-west-101\n"

static int set_up(void **state)
{
    (void)state;
    return setenv("ELB_SECRET", "s3cret", 1) | setenv("ELB_TOKEN", "t0ken", 1);
}

static struct acme_config *parse(const char *keys)
{
    char text[4096];
    struct acme_config *config = NULL;
    char *error = NULL;
    int len = snprintf(text, sizeof text, "%s%s", BEGIN, keys);
    struct acme_err err = acme_config_parse("/etc/x/f.yaml", text, (size_t)len, NULL, &config, &error);
    if (acme_failed(err))
        fail_msg("refused: %s", error != NULL ? error : "out of memory");
    return config;
}

static void test_access_key(void **state)
{
    (void)state;
    struct acme_config *config = parse(REGION PROJECT ID KEEP AUTH);
    assert_int_equal(config->deployer_count, 1);
    const struct acme_deployer_config *deployer = &config->deployers[0];
    const struct acme_huawei_elb_config *huawei = &deployer->huawei;
    assert_int_equal(deployer->type, ACME_DEPLOYER_HUAWEI_ELB);
    assert_int_equal(deployer->max_concurrency, 1);
    assert_int_equal(deployer->requests_per_minute, 60);
    assert_int_equal(deployer->burst, 5);
    assert_int_equal(deployer->deadline_ms, INT64_C(168) * 3600 * 1000);
    assert_string_equal(huawei->url, "https://elb.eu-west-101.myhuaweicloud.com");
    assert_string_equal(huawei->access_key_id, "AK");
    assert_string_equal(huawei->access_key_secret, "s3cret");
    assert_null(huawei->security_token);
    assert_null(huawei->iam.token_url);
    assert_null(huawei->private_key_file);
    assert_int_equal(huawei->domains, ACME_HUAWEI_DOMAINS_KEEP);
    assert_false(huawei->domain_limits_2024 || huawei->keep_description || huawei->create);
    struct acme_deployer *made = NULL;
    assert_int_equal(acme_huawei_elb_create(deployer->name, huawei, &made).code, ACME_OK);
    acme_deployer_destroy(made);
    acme_config_destroy(config);
}

static void test_everything(void **state)
{
    (void)state;
    struct acme_config *config =
        parse("  url: http://127.0.0.1:8443\n" PROJECT "  create: true\n  object_name: shop\n"
              "  private_key_file: keys/www.key\n  domains: [ www.example.test, '*.example.test' ]\n"
              "  domain_limits: 2024\n  description: keep\n  deadline_hours: 2\n  requests_per_minute: 6\n  "
              "burst: 1\n"
              "  auth:\n    iam: { url: http://127.0.0.1:8444, domain: company, user: bridge, password: "
              "\"${ELB_SECRET}\", project: p }\n");
    const struct acme_huawei_elb_config *huawei = &config->deployers[0].huawei;
    assert_string_equal(huawei->url, "http://127.0.0.1:8443");
    assert_true(huawei->create && huawei->domain_limits_2024 && huawei->keep_description);
    assert_string_equal(huawei->name, "shop");
    assert_string_equal(huawei->private_key_file, "/etc/x/keys/www.key");
    assert_int_equal(huawei->domains, ACME_HUAWEI_DOMAINS_LIST);
    assert_int_equal(huawei->domain_count, 2);
    assert_string_equal(huawei->domain_list[1], "*.example.test");
    assert_string_equal(huawei->iam.token_url, "http://127.0.0.1:8444/v3/auth/tokens?nocatalog=true");
    assert_string_equal(huawei->iam.password, "s3cret");
    assert_string_equal(huawei->iam.project, "p");
    assert_int_equal(config->deployers[0].requests_per_minute, 6);
    acme_config_destroy(config);

    config = parse(REGION PROJECT ID
                   "  private_key_file: /k\n  domains: names\n  auth: { access_key: { id: AK, secret: "
                   "\"${ELB_SECRET}\", security_token: \"${ELB_TOKEN}\" } }\n");
    assert_string_equal(config->deployers[0].huawei.security_token, "t0ken");
    assert_int_equal(config->deployers[0].huawei.domains, ACME_HUAWEI_DOMAINS_NAMES);
    acme_config_destroy(config);
    config = parse(REGION PROJECT ID KEEP
                   "  auth: { iam: { domain: d, user: u, password: \"${ELB_SECRET}\" } }\n");
    assert_string_equal(config->deployers[0].huawei.iam.token_url,
                        "https://iam.eu-west-101.myhuaweicloud.com/v3/auth/tokens?nocatalog=true");
    acme_config_destroy(config);
}

static const struct {
    const char *keys;
    const char *mistakes; /* without the file's name */
} files[] = {
    {PROJECT ID KEEP AUTH, "5:3: expected the key 'url' or 'region', found none\n"},
    {REGION "  url: https://elb.example\n" PROJECT ID KEEP AUTH,
     "7:3: expected 'url' or 'region', found both\n"},
    {"  region: eu/west\n" PROJECT ID KEEP AUTH,
     "7:11: expected a region such as eu-west-101, found 'eu/west'\n"},
    {REGION "  project_id: abc\n" ID KEEP AUTH,
     "8:15: expected an id of 32 letters and digits, found 'abc'\n"},
    {REGION PROJECT "  certificate_id: fedcba98-7654\n" KEEP AUTH,
     "9:19: expected an id of 32 letters and digits, found 'fedcba98-7654'\n"},
    {REGION PROJECT KEEP AUTH, "5:3: expected the key 'certificate_id', or create: true, found none\n"},
    {REGION PROJECT ID "  create: true\n  private_key_file: /k\n" AUTH,
     "10:3: expected 'certificate_id' or create: true, found both\n"},
    {REGION PROJECT "  create: true\n" KEEP AUTH,
     "10:3: expected 'private_key_file' with create: true (an object that is made needs a key), found "
     "'private_key'\n"},
    {REGION PROJECT ID "  object_name: x\n" KEEP AUTH,
     "10:3: expected 'object_name' only with create: true, found it without\n"},
    {REGION PROJECT ID AUTH, "5:3: expected the key 'private_key' or 'private_key_file', found none\n"},
    {REGION PROJECT ID KEEP "  private_key_file: /k\n" AUTH,
     "11:3: expected 'private_key' or 'private_key_file', found both\n"},
    {REGION PROJECT ID "  private_key: MIIEvQ\n" AUTH,
     "10:16: expected keep, found something else (not shown): a key does not belong into this file, use "
     "private_key_file\n"},
    {REGION PROJECT ID KEEP "  domains: all\n" AUTH,
     "11:12: expected keep, names or a list of domain names, found 'all'\n"},
    {REGION PROJECT ID KEEP "  domains: []\n" AUTH,
     "11:12: expected keep, names or a list of domain names, found a list\n"},
    {REGION PROJECT ID KEEP "  domains: [ a.example, a_b.example ]\n" AUTH,
     "11:25: expected a domain name whose labels have letters, digits and inner hyphens, perhaps after a "
     "leading "
     "\"*.\", found 'a_b.example'\n"},
    {REGION PROJECT ID KEEP "  domain_limits: 2023\n" AUTH,
     "11:18: expected current or 2024, found '2023'\n"},
    {REGION PROJECT ID KEEP "  description: none\n" AUTH, "11:16: expected tag or keep, found 'none'\n"},
    {REGION PROJECT ID KEEP "  command: [ /bin/true ]\n" AUTH, "11:3: key 'command' does not apply to "},
    {REGION PROJECT ID KEEP, "5:3: expected the key 'auth', found none\n"},
    {REGION PROJECT ID KEEP "  auth: {}\n", "11:9: expected one login, 'iam' or 'access_key', found none\n"},
    {REGION PROJECT ID KEEP "  auth: { iam: {}, access_key: {} }\n",
     "11:9: expected one login, 'iam' or 'access_key', found both\n"},
    {REGION PROJECT ID KEEP "  auth: { access_key: { id: AK } }\n",
     "11:23: expected the key 'secret_file', 'secret_credential' or 'secret' (${VARIABLE}), found none\n"},
    {REGION PROJECT ID KEEP "  auth: { access_key: { id: AK, secret: s3cret } }\n",
     "11:41: expected secret: ${VARIABLE}, found something else (not shown)"},
    {REGION PROJECT ID KEEP "  auth: { iam: { user: u, password: \"${ELB_SECRET}\" } }\n",
     "11:16: expected the key 'domain', found none\n"},
    {"  url: https://elb.example\n" PROJECT ID KEEP
     "  auth: { iam: { domain: d, user: u, password: \"${ELB_SECRET}\" } }\n",
     "11:16: expected the key 'url' (of the identity service, when 'region' does not say it), found none\n"},
};

static void test_mistakes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char text[4096];
        char expected[1024];
        struct acme_config *config = NULL;
        char *error = NULL;
        int len = snprintf(text, sizeof text, "%s%s", BEGIN, files[i].keys);
        snprintf(expected, sizeof expected, "f.yaml:%s", files[i].mistakes);
        struct acme_err err = acme_config_parse("f.yaml", text, (size_t)len, NULL, &config, &error);
        if (err.code != ACME_E_FORMAT || strncmp(error, expected, strlen(expected)) != 0)
            fail_msg("%sgave %s\nexpected %s", text, error != NULL ? error : "no mistake", expected);
        assert_null(strstr(error, "s3cret"));
        free(error);
    }
}

static void test_too_many_domains(void **state)
{
    (void)state;
    char keys[3072] = REGION PROJECT ID KEEP AUTH "  domain_limits: 2024\n  domains: [ h0.example";
    size_t used = strlen(keys);
    for (int i = 1; i <= 30; i++)
        used += (size_t)snprintf(keys + used, sizeof keys - used, ", h%d.example", i);
    snprintf(keys + used, sizeof keys - used, " ]\n");
    char text[4096];
    struct acme_config *config = NULL;
    char *error = NULL;
    int len = snprintf(text, sizeof text, "%s%s", BEGIN, keys);
    assert_int_equal(acme_config_parse("f.yaml", text, (size_t)len, NULL, &config, &error).code,
                     ACME_E_FORMAT);
    assert_non_null(strstr(error, "f.yaml:13:12: expected fewer domains, found too many: 31 names"));
    free(error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_access_key),
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_too_many_domains),
    };
    return cmocka_run_group_tests_name("config huawei", tests, set_up, NULL);
}
