/* Issuers of type keyfactor in the configuration. */
#include "cmocka_all.h"

#include "server/config.h"
#include "server/issuer_open.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD                                                                                                 \
    "server: { url: https://a.example, listen: 0.0.0.0:1 }\nissuers:\n- { name: lab, type: local }\n"        \
    "- { name: kf, type: keyfactor, "
#define TAIL " }\nprofiles: [ { name: p, issuer: kf } ]\n"
#define GOOD                                                                                                 \
    "login: 'D\\u', password: '${CONFIG_TEST_PASSWORD}', certificate_authority: 'h\\ca', template: Web"

static struct acme_config *load(const char *keys, char **ret_error)
{
    char text[4096];
    int n = snprintf(text, sizeof text, HEAD "%s" TAIL, keys);
    assert_true(n > 0 && (size_t)n < sizeof text);
    struct acme_config *config = NULL;
    *ret_error = NULL;
    if (acme_failed(acme_config_parse("f.yaml", text, (size_t)n, NULL, &config, ret_error)))
        return NULL;
    return config;
}

static struct acme_config *good(const char *keys)
{
    char *error = NULL;
    struct acme_config *config = load(keys, &error);
    if (config == NULL)
        fail_msg("refused: %s", error);
    return config;
}

static void opens(const struct acme_config *config)
{
    struct acme_issuer *issuer = NULL;
    assert_false(acme_failed(acme_issuer_open(&config->issuers[1], NULL, &issuer)));
    assert_string_equal(issuer->class->type, "keyfactor");
    assert_int_equal(issuer->backend.requests_per_minute, 60);
    acme_issuer_destroy(issuer);
}

static void test_defaults(void **state)
{
    (void)state;
    struct acme_config *config = good("url: https://kf.example, " GOOD);
    const struct acme_issuer_config *issuer = &config->issuers[1];
    const struct acme_keyfactor_config *keyfactor = &issuer->keyfactor;
    assert_int_equal(issuer->type, ACME_ISSUER_KEYFACTOR);
    assert_int_equal(issuer->deadline_ms, 168 * ACME_HOUR_MS);
    assert_int_equal(keyfactor->deadline_ms, issuer->deadline_ms);
    assert_int_equal(keyfactor->max_concurrency, 4);
    assert_string_equal(keyfactor->api_path, "KeyfactorAPI");
    assert_string_equal(keyfactor->login, "D\\u");
    assert_string_equal(keyfactor->password, "pass word");
    assert_string_equal(keyfactor->certificate_authority, "h\\ca");
    assert_string_equal(keyfactor->template, "Web");
    assert_string_equal(keyfactor->tag_field, "AcmeOrder");
    assert_int_equal(keyfactor->connect_timeout_ms, 10000);
    assert_int_equal(keyfactor->call_timeout_ms, 120000);
    assert_int_equal(keyfactor->poll_max_ms, 900000);
    assert_true(keyfactor->renew);
    const struct acme_profile *profile = &config->profiles[0];
    assert_true(profile->renew && profile->renew_same_key);
    assert_false(profile->replace);
    assert_int_equal(profile->supersede_after_ms, 10 * ACME_MINUTE_MS);
    assert_int_equal(profile->identifiers, 1U << ACME_IDENTIFIER_DNS | 1U << ACME_IDENTIFIER_IP);
    opens(config);
    acme_config_destroy(config);
}

static void test_everything_set(void **state)
{
    (void)state;
    struct acme_config *config =
        good("url: https://kf.example, api_path: Keyfactor/API, enrollment_pattern_id: 3, owner_role_id: 4, "
             "collection_id: 5, tag_field: Bridge-Tag, metadata: { Team: 'of {account}', Site: 7 }, "
             "enrollment_fields: { Room: '{12}' }, renew: false, supersede: never, poll_max_seconds: 2, "
             "oauth: { token_url: https://id.example/token, client_id: bridge, audience: command, "
             "client_secret: '${CONFIG_TEST_PASSWORD}' }");
    const struct acme_keyfactor_config *keyfactor = &config->issuers[1].keyfactor;
    assert_string_equal(keyfactor->api_path, "Keyfactor/API");
    assert_int_equal(keyfactor->enrollment_pattern_id, 3);
    assert_int_equal(keyfactor->owner_role_id, 4);
    assert_int_equal(keyfactor->collection_id, 5);
    assert_string_equal(keyfactor->tag_field, "Bridge-Tag");
    assert_int_equal(keyfactor->metadata_count, 2);
    assert_string_equal(keyfactor->metadata[0].name, "Team");
    assert_string_equal(keyfactor->metadata[1].value, "7");
    assert_int_equal(keyfactor->enrollment_field_count, 1);
    assert_string_equal(keyfactor->enrollment_fields[0].value, "{12}");
    assert_null(keyfactor->password);
    assert_string_equal(keyfactor->oauth.audience, "command");
    assert_string_equal(keyfactor->oauth.client_secret, "pass word");
    assert_false(config->profiles[0].renew);
    assert_int_equal(config->profiles[0].supersede_after_ms, 0);
    opens(config);
    acme_config_destroy(config);
}

static void test_mistakes(void **state)
{
    static const struct {
        const char *keys;
        const char *mistake; /* must be among them */
    } rows[] = {
        {GOOD, "expected the key 'url'"},
        {"url: https://kf.example, login: u, certificate_authority: c, template: t",
         "expected a login: 'password_file' (or 'password_credential', 'password'), or 'oauth', found none"},
        {"url: https://kf.example, password: '${CONFIG_TEST_PASSWORD}', enrollment_pattern_id: 1",
         "expected the key 'login'"},
        {"url: https://kf.example, login: u, password: '${CONFIG_TEST_PASSWORD}', template: t",
         "expected the key 'certificate_authority', or 'enrollment_pattern_id', found neither"},
        {"url: https://kf.example, login: u, password: '${CONFIG_TEST_PASSWORD}', certificate_authority: c",
         "expected the key 'template', or 'enrollment_pattern_id', found neither"},
        {"url: https://kf.example, api_path: /api, " GOOD, "expected a path such as KeyfactorAPI"},
        {"url: https://kf.example, tag_field: 'a b', " GOOD, "expected the name of a metadata field"},
        {"url: https://kf.example, metadata: [a], " GOOD, "expected a mapping of at most 64 fields"},
        {"url: https://kf.example, metadata: { Team: '{host}' }, " GOOD, "expected a text whose only braces"},
        {"url: https://kf.example, owner_role: r, owner_role_id: 1, " GOOD,
         "expected 'owner_role_id' only without 'owner_role', found it besides it"},
        {"url: https://kf.example, client_key_file: k, " GOOD,
         "key 'client_key_file' does not apply to issuers of type keyfactor"},
        {"url: https://kf.example, templat: x, " GOOD, "unknown key 'templat', did you mean 'template'?"},
        {"url: https://kf.example, login: 'a:b', password: '${CONFIG_TEST_PASSWORD}', enrollment_pattern_id: "
         "1",
         "without a colon"},
        {"url: https://kf.example, login: u, enrollment_pattern_id: 1, oauth: { token_url: "
         "https://id.example/t, client_id: b, client_secret: '${CONFIG_TEST_PASSWORD}' }",
         "expected 'login' only with a password, found it besides 'oauth'"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *error = NULL;
        struct acme_config *config = load(rows[i].keys, &error);
        if (config != NULL || strstr(error, rows[i].mistake) == NULL)
            fail_msg("%s: found %s", rows[i].keys, error);
        free(error);
    }
}

int main(void)
{
    setenv("CONFIG_TEST_PASSWORD", "pass word", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_everything_set),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
