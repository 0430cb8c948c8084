/* Issuers of type cps: credentials in an .edgerc file, and the enrollments of their profiles. */
#include "server/config.h"

#include "cmocka_all.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EDGERC                                                                                               \
    "[default]\nhost = akab-h.example\nclient_token = ct\nclient_secret = hunter2\naccess_token = at\n"      \
    "[other]\nhost = akab-o.example\nclient_token = ct2\nclient_secret = hunter22\naccess_token = at2\n"     \
    "account_key = 1-ABC\nmax_body = 2048\n[bad]\nhost = x y\n[short]\nhost = x\n"

static char folder[] = "/tmp/acme-edgerc-XXXXXX";
static char path[64];

static void write_file(mode_t mode)
{
    unlink(path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(EDGERC, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/edgerc", folder);
    write_file(0600);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

/* The issuer's keys stand in line 4, the profile's in line 5. */
static struct acme_err load(const char *issuer, const char *profile, struct acme_config **ret,
                            char **ret_error)
{
    char file[80];
    char text[4096];
    snprintf(file, sizeof file, "%s/f.yaml", folder);
    snprintf(text, sizeof text,
             "server: { url: https://a.example, listen: 0.0.0.0:1 }\nissuers:\n- { name: lab, type: local }\n"
             "- { name: edge, type: cps, %s }\nprofiles: [ { name: p, issuer: edge, %s } ]\n",
             issuer, profile);
    *ret = NULL;
    *ret_error = NULL;
    return acme_config_parse(file, text, strlen(text), NULL, ret, ret_error);
}

static struct acme_config *loaded(const char *issuer, const char *profile)
{
    struct acme_config *config = NULL;
    char *error = NULL;
    if (acme_failed(load(issuer, profile, &config, &error)))
        fail_msg("refused: %s", error != NULL ? error : "out of memory");
    return config;
}

static void expect_mistake(const char *issuer, const char *profile, const char *place, const char *part)
{
    struct acme_config *config = NULL;
    char *error = NULL;
    assert_int_equal(load(issuer, profile, &config, &error).code, ACME_E_FORMAT);
    const char *shown = strstr(error, "f.yaml:");
    assert_non_null(shown);
    if (strncmp(shown + 7, place, strlen(place)) != 0 || strstr(error, part) == NULL)
        fail_msg("expected %s ... %s, found %s", place, part, error);
    assert_null(strstr(error, "hunter2"));
    free(error);
}

#define EDGE     "edgerc_file: edgerc"
#define ENROLLED "enrollment: { id: 10002 }"

static void test_defaults(void **state)
{
    (void)state;
    struct acme_config *config = loaded(EDGE, ENROLLED);
    const struct acme_issuer_config *issuer = &config->issuers[1];
    assert_int_equal(issuer->type, ACME_ISSUER_CPS);
    assert_string_equal(issuer->cps.url, "https://akab-h.example");
    assert_string_equal(issuer->cps.host, "akab-h.example");
    assert_string_equal(issuer->cps.client.client_token, "ct");
    assert_string_equal(issuer->cps.client.client_secret, "hunter2");
    assert_string_equal(issuer->cps.client.access_token, "at");
    assert_null(issuer->cps.account_switch_key);
    assert_int_equal(issuer->requests_per_minute, 35);
    assert_int_equal(issuer->burst, 20);
    assert_int_equal(issuer->deadline_ms, 14 * ACME_DAY_MS);
    assert_int_equal(issuer->cps.deadline_ms, 14 * ACME_DAY_MS);
    assert_int_equal(issuer->cps.poll_ms, 30 * ACME_SECOND_MS);
    assert_int_equal(issuer->cps.poll_max_ms, 5 * ACME_MINUTE_MS);
    const struct acme_profile *profile = &config->profiles[0];
    const struct acme_cps_profile *settings = profile->issuer_settings;
    assert_int_equal(settings->enrollment_id, 10002);
    assert_false(settings->key_at_edge);
    assert_false(profile->key_at_edge);
    assert_false(settings->policy.acknowledge_auto);
    assert_int_equal(settings->policy.warning_count, 0);
    assert_int_equal(profile->identifiers, 1U << ACME_IDENTIFIER_DNS);
    assert_int_equal(profile->issue_deadline_ms, 14 * ACME_DAY_MS);
    assert_string_equal(profile->description, "p");
    acme_config_destroy(config);
}

static void test_all_keys(void **state)
{
    (void)state;
    struct acme_config *config = loaded(
        EDGE ", edgerc_section: other, url: 'https://127.0.0.1:1', poll_seconds: 5, poll_max_seconds: 6, "
             "requests_per_minute: 20, burst: 2, deadline_hours: 3",
        "description: Edge, enrollment: { common_name: WWW.example.test, key_holder: edge, "
        "third_party_issuer: lab, "
        "acknowledge: auto, warnings: ['A*', B], allow_san_removal: true, allow_cancel_pending_changes: "
        "true, "
        "renewal_date_check_override: true, allow_staging_bypass: true, allow_missing_certificate_addition: "
        "true, "
        "deploy_not_before: '2027-01-01T00:00:00Z', deploy_not_after: '2027-02-01T00:00:00Z' }");
    const struct acme_issuer_config *issuer = &config->issuers[1];
    assert_string_equal(issuer->cps.url, "https://127.0.0.1:1");
    assert_string_equal(issuer->cps.host, "akab-o.example");
    assert_string_equal(issuer->cps.client.client_secret, "hunter22");
    assert_string_equal(issuer->cps.account_switch_key, "1-ABC");
    assert_int_equal(issuer->cps.client.max_body, 2048);
    assert_int_equal(issuer->cps.poll_max_ms, 6000);
    const struct acme_profile *profile = &config->profiles[0];
    const struct acme_cps_profile *settings = profile->issuer_settings;
    assert_true(profile->key_at_edge);
    assert_true(settings->key_at_edge);
    assert_string_equal(profile->description,
                        "Edge (the certificate's private key is made and stays at the Akamai edge)");
    assert_int_equal(settings->enrollment_id, 0);
    assert_string_equal(settings->common_name, "www.example.test");
    assert_string_equal(settings->third_party_issuer, "lab");
    assert_true(settings->policy.acknowledge_auto);
    assert_int_equal(settings->policy.warning_count, 2);
    assert_string_equal(settings->policy.warnings[1], "B");
    assert_true(settings->allow_san_removal && settings->allow_cancel_pending_changes &&
                settings->renewal_date_check_override && settings->allow_staging_bypass &&
                settings->allow_missing_certificate_addition);
    assert_string_equal(settings->deploy_not_before, "2027-01-01T00:00:00Z");
    assert_string_equal(settings->deploy_not_after, "2027-02-01T00:00:00Z");
    acme_config_destroy(config);
    config = loaded(EDGE ", edgerc_section: other, account_switch_key: 2-X", ENROLLED);
    assert_string_equal(config->issuers[1].cps.account_switch_key, "2-X");
    acme_config_destroy(config);
}

static void test_mistakes_of_the_issuer(void **state)
{
    (void)state;
    expect_mistake("burst: 1", ENROLLED, "4:3: ", "expected the key 'edgerc_file'");
    expect_mistake("edgerc_file: nowhere", ENROLLED, "4:41: ", "No such file");
    expect_mistake(EDGE ", edgerc_section: third", ENROLLED, "4:41: ", "section ['third']");
    expect_mistake(EDGE ", edgerc_section: bad", ENROLLED, "4:41: ", "in line 14 of ");
    expect_mistake(EDGE ", edgerc_section: short", ENROLLED, "4:41: ", "the section to have a client_token");
    expect_mistake(EDGE ", poll_seconds: 60, poll_max_seconds: 30", ENROLLED,
                   "4:85: ", "at least poll_seconds");
    expect_mistake(EDGE ", org_id: 3", ENROLLED, "4:49: ", "does not apply to issuers of type cps");
    write_file(0644);
    expect_mistake(EDGE, ENROLLED, "4:41: ", "everybody may read or write it");
    write_file(0620);
    expect_mistake(EDGE, ENROLLED, "4:41: ", "its group may write it");
    write_file(0600);
}

static void test_mistakes_of_the_enrollment(void **state)
{
    (void)state;
    expect_mistake(EDGE, "caa: off", "5:13: ", "expected the key 'enrollment'");
    expect_mistake(EDGE, "enrollment: 3", "5:50: ", "a mapping with the id or the common_name");
    expect_mistake(EDGE, "enrollment: { }",
                   "5:50: ", "either 'id' or 'common_name' to name the enrollment, found none");
    expect_mistake(EDGE, "enrollment: { id: 3, common_name: a.example }", "5:50: ", "found both");
    expect_mistake(EDGE, "enrollment: { id: 0 }", "5:56: ", "the number of an enrollment");
    expect_mistake(EDGE, "enrollment: { id: 1, key_holder: me }", "5:71: ", "client or edge");
    expect_mistake(EDGE, "enrollment: { id: 1, acknowledge: never }", "5:72: ", "auto or manual");
    expect_mistake(EDGE, "enrollment: { id: 1, third_party_issuer: edge }", "5:79: ", "not one of type cps");
    expect_mistake(EDGE, "enrollment: { id: 1, third_party_issuer: sectigo }",
                   "5:79: ", "the name of an issuer that signs the CSRs of CPS");
    expect_mistake(EDGE, "enrollment: { id: 1, deploy_not_after: tomorrow }", "5:77: ", "a time such as");
    expect_mistake(EDGE, "enrollment: { id: 1, warnings: ['**'] }",
                   "5:70: ", "the text or code of a warning");
    expect_mistake(EDGE, "enrollment: { id: 1, keyholder: edge }", "5:59: ", "did you mean 'key_holder'?");
    expect_mistake(EDGE, ENROLLED ", identifiers: [ip]", "5:78: ", "expected only dns");
    struct acme_config *config = NULL;
    char *error = NULL;
    static const char other[] =
        "server: { url: https://a.example, listen: 0.0.0.0:1 }\nissuers: [ { name: lab, type: "
        "local } ]\nprofiles: [ { name: p, issuer: lab, enrollment: { id: 1 } } ]\n";
    assert_int_equal(acme_config_parse("f.yaml", other, sizeof other - 1, NULL, &config, &error).code,
                     ACME_E_FORMAT);
    assert_non_null(strstr(error, "f.yaml:3:37: key 'enrollment' does not apply to issuers of type local"));
    free(error);
}

static const struct acme_dv_config *dv_of(const struct acme_config *config)
{
    const struct acme_cps_profile *settings = config->profiles[0].issuer_settings;
    return &settings->policy.dv;
}

static void test_publication(void **state)
{
    (void)state;
    struct acme_config *config = loaded(EDGE, ENROLLED);
    assert_int_equal(dv_of(config)->publication, ACME_DV_MANUAL);
    acme_config_destroy(config);
    config =
        loaded(EDGE, "enrollment: { id: 1, dv: { publish: hook, hook: [/bin/sh, -c, x], challenge: dns-01, "
                     "timeout_seconds: 5 } }");
    assert_int_equal(dv_of(config)->publication, ACME_DV_HOOK);
    assert_int_equal(dv_of(config)->type, ACME_DV_DNS01);
    assert_int_equal(dv_of(config)->hook_count, 3);
    assert_string_equal(dv_of(config)->hook[2], "x");
    assert_int_equal(dv_of(config)->timeout_ms, 5000);
    acme_config_destroy(config);
    config =
        loaded(EDGE, "enrollment: { id: 1, dv: { publish: dns-update, nsupdate: /bin/sh, server: 192.0.2.1, "
                     "key_file: edgerc, zone: example.test } }");
    assert_int_equal(dv_of(config)->publication, ACME_DV_DNS_UPDATE);
    assert_int_equal(dv_of(config)->type, ACME_DV_DNS01);
    assert_string_equal(dv_of(config)->nsupdate, "/bin/sh");
    assert_string_equal(dv_of(config)->server, "192.0.2.1");
    assert_int_equal(dv_of(config)->port, 53);
    assert_string_equal(dv_of(config)->key_file, path);
    assert_string_equal(dv_of(config)->zone, "example.test");
    assert_int_equal(dv_of(config)->ttl_s, 60);
    acme_config_destroy(config);
}

static void test_mistakes_of_the_publication(void **state)
{
    (void)state;
#define DV(text) "enrollment: { id: 1, dv: { " text " } }"
    expect_mistake(EDGE, DV("publish: mail"), "5:74: ", "manual, hook or dns-update");
    expect_mistake(EDGE, DV("challenge: tls-alpn-01"), "5:76: ", "http-01 or dns-01");
    expect_mistake(EDGE, DV("publish: hook"), "5:63: ", "the key 'hook' (for publish: hook), found none");
    expect_mistake(EDGE, DV("publish: hook, hook: [sh]"), "5:86: ", "the absolute path of a program");
    expect_mistake(EDGE, DV("publish: hook, hook: [/nowhere/x]"), "5:86: ", "the absolute path of a program");
    expect_mistake(EDGE, DV("publish: dns-update, key_file: edgerc, nsupdate: /bin/sh"),
                   "5:63: ", "the key 'server' (for publish: dns-update)");
    expect_mistake(EDGE, DV("publish: dns-update, server: a, nsupdate: /bin/sh"),
                   "5:63: ", "the key 'key_file' (for publish: dns-update)");
    expect_mistake(EDGE, DV("publish: dns-update, server: 'a b', key_file: edgerc, nsupdate: /bin/sh"),
                   "5:94: ", "a DNS name or an address");
    expect_mistake(EDGE, DV("publish: dns-update, server: a, key_file: nowhere, nsupdate: /bin/sh"),
                   "5:107: ", "nowhere");
    expect_mistake(EDGE, DV("publish: dns-update, server: a, key_file: edgerc, nsupdate: nsupdate"),
                   "5:125: ", "the absolute path of a program that may be run");
    expect_mistake(
        EDGE, DV("publish: dns-update, challenge: http-01, server: a, key_file: edgerc, nsupdate: /bin/sh"),
        "5:97: ", "dns-01, which is what the DNS can answer");
#undef DV
}

static struct acme_err load_deployer(const char *keys, struct acme_config **ret, char **ret_error)
{
    char file[80];
    char text[2048];
    snprintf(file, sizeof file, "%s/f.yaml", folder);
    snprintf(
        text, sizeof text,
        "server: { url: https://a.example, listen: 0.0.0.0:1 }\nissuers: [ { name: lab, type: local } ]\n"
        "deployers:\n- { name: akamai, type: cps, %s }\n"
        "profiles: [ { name: p, issuer: lab, deploy: [akamai] } ]\n",
        keys);
    *ret = NULL;
    *ret_error = NULL;
    return acme_config_parse(file, text, strlen(text), NULL, ret, ret_error);
}

static void test_deployers(void **state)
{
    (void)state;
    struct acme_config *config = NULL;
    char *error = NULL;
    struct acme_err err =
        load_deployer(EDGE ", enrollment: { id: 7, acknowledge: auto, warnings: [A, B] }, names: [a.example]",
                      &config, &error);
    if (acme_failed(err))
        fail_msg("%s", error);
    const struct acme_deployer_config *deployer = &config->deployers[0];
    assert_int_equal(deployer->type, ACME_DEPLOYER_CPS);
    assert_string_equal(deployer->cps.host, "akab-h.example");
    assert_string_equal(deployer->cps.client.client_secret, "hunter2");
    assert_int_equal(deployer->cps.deadline_ms, 14 * ACME_DAY_MS);
    assert_int_equal(deployer->requests_per_minute, 35);
    assert_int_equal(deployer->cps_target.enrollment_id, 7);
    assert_true(deployer->cps_target.policy.acknowledge_auto);
    assert_int_equal(deployer->cps_target.policy.warning_count, 2);
    acme_config_destroy(config);

    static const struct {
        const char *keys;
        const char *place;
        const char *mistake;
    } mistakes[] = {
        {EDGE, "4:3: ", "expected the key 'enrollment'"},
        {"enrollment: { id: 7 }", "4:3: ", "expected the key 'edgerc_file'"},
        {EDGE ", enrollment: 7", "4:63: ", "a mapping with the id or the common_name"},
        {EDGE ", enrollment: { }", "4:63: ", "found none"},
        {EDGE ", enrollment: { id: 7, key_holder: edge }", "4:72: ", "unknown key 'key_holder'"},
        {EDGE ", enrollment: { id: 7, acknowledge: no }", "4:85: ", "auto or manual"},
        {EDGE ", enrollment: { id: 7 }, project_id: x", "4:74: ", "does not apply to"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        assert_int_equal(load_deployer(mistakes[i].keys, &config, &error).code, ACME_E_FORMAT);
        if (strstr(error, mistakes[i].place) == NULL || strstr(error, mistakes[i].mistake) == NULL)
            fail_msg("%s: expected %s%s, got %s", mistakes[i].keys, mistakes[i].place, mistakes[i].mistake,
                     error);
        free(error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_all_keys),
        cmocka_unit_test(test_mistakes_of_the_issuer),
        cmocka_unit_test(test_mistakes_of_the_enrollment),
        cmocka_unit_test(test_publication),
        cmocka_unit_test(test_deployers),
        cmocka_unit_test(test_mistakes_of_the_publication),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
