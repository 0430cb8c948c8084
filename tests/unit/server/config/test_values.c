/* What a right file means: values, defaults, normal forms, the example, the reference. */
#include "server/config.h"
#include "server/config_tables.h"

#include "cmocka_all.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MINIMAL                                                                                              \
    "server: { url: 'https://acme.example:14000/x', listen: '[::1]:0' }\n"                                   \
    "issuers: [ { name: lab, type: local } ]\nprofiles: [ { name: one, issuer: lab } ]\n"

static struct acme_config *parse(const char *file, const char *text, const char *data_dir)
{
    struct acme_config *config = NULL;
    char *error = NULL;
    if (acme_failed(acme_config_parse(file, text, strlen(text), data_dir, &config, &error)))
        fail_msg("refused: %s", error != NULL ? error : "out of memory");
    return config;
}

static void test_defaults(void **state)
{
    (void)state;
    unsetenv("STATE_DIRECTORY");
    struct acme_config *config = parse("f.yaml", MINIMAL, NULL);
    assert_string_equal(config->file, "f.yaml");
    assert_string_equal(config->data_dir, "./acmebridge-data");
    assert_string_equal(config->store_path, "./acmebridge-data/acmebridge.db");

    const struct acme_server_config *server = &config->server;
    assert_string_equal(server->url, "https://acme.example:14000/x");
    assert_string_equal(server->listen, "[::1]:0");
    assert_null(server->tls_certificate_file);
    assert_null(server->tls_key_file);
    assert_int_equal(server->tls_name_count, 0);
    assert_null(server->http_listen);
    assert_null(server->http_url);
    assert_null(server->terms_of_service);
    assert_null(server->website);
    assert_int_equal(server->io_threads, 0);
    assert_int_equal(server->worker_threads, 0);
    assert_int_equal(server->max_connections, 1024);
    assert_int_equal(server->max_connections_per_address, 256);
    assert_int_equal(server->max_body_bytes, 65536);
    assert_int_equal(server->request_deadline_ms, 20000);
    assert_int_equal(server->idle_timeout_ms, 60000);

    assert_int_equal(config->validation.http_port, 80);
    assert_int_equal(config->validation.tls_port, 443);
    assert_int_equal(config->validation.resolver_count, 0);
    assert_int_equal(config->validation.policy.allow_count, 0);
    assert_int_equal(config->validation.policy.deny_count, 0);
    assert_int_equal(config->validation.max_concurrency, 1024);

    assert_int_equal(config->order_lifetime_ms, INT64_C(168) * 3600 * 1000);
    assert_int_equal(config->authz_lifetime_ms, INT64_C(720) * 3600 * 1000);
    assert_int_equal(config->adopt_window_ms, INT64_C(24) * 3600 * 1000);
    assert_int_equal(config->challenge_hold_ms, 250);
    assert_int_equal(config->finalize_hold_ms, 2000);
    assert_int_equal(config->retry_after_quiet_ms, 30000);
    assert_int_equal(config->retry_after_processing_s, 60);
    assert_int_equal(config->max_identifiers, 100);
    assert_int_equal(config->max_contacts, 10);
    assert_false(config->external_account_required);
    assert_int_equal(config->external_key_count, 0);
    assert_false(server->terms_must_agree);
    assert_int_equal(config->max_pending_authzs, 100);
    assert_int_equal(config->keep_ms, INT64_C(30) * 24 * 3600 * 1000);

    assert_int_equal(config->issuer_count, 1);
    assert_string_equal(config->issuers[0].name, "lab");
    assert_int_equal(config->issuers[0].type, ACME_ISSUER_LOCAL);
    assert_int_equal(config->issuers[0].deadline_ms, 3600 * 1000);
    assert_int_equal(config->issuers[0].max_concurrency, 64);
    assert_int_equal(config->issuers[0].requests_per_minute, 0);

    assert_int_equal(config->profile_count, 1);
    const struct acme_profile *profile = &config->profiles[0];
    assert_string_equal(profile->name, "one");
    assert_string_equal(profile->issuer, "lab");
    assert_string_equal(profile->description, "one");
    assert_int_equal(profile->challenges,
                     ACME_CHALLENGE_HTTP_01 | ACME_CHALLENGE_DNS_01 | ACME_CHALLENGE_TLS_ALPN_01);
    assert_int_equal(profile->caa_issuer_count, 0);
    assert_null(config->validation.trust_anchor_file);
    assert_int_equal(profile->identifiers, 1U << ACME_IDENTIFIER_DNS | 1U << ACME_IDENTIFIER_IP);
    assert_int_equal(profile->validity_ms, INT64_C(90) * 24 * 3600 * 1000);
    assert_int_equal(profile->issue_deadline_ms, 3600 * 1000);
    assert_memory_equal(&profile->keys, &acme_key_policy_default, sizeof profile->keys);
    assert_string_equal(config->default_profile, "one");
    acme_config_destroy(config);
}

static void test_values(void **state)
{
    (void)state;
    setenv("CONFIG_TEST_HOST", "pki.example", 1);
    setenv("CONFIG_TEST_PASSWORD", "pass word", 1);
    struct acme_config *config = parse(
        "conf/f.yaml",
        "server:\n"
        "  url: https://[2001:db8::1]\n"
        "  listen: 127.0.0.1:443\n"
        "  http_listen: '[::]:80'\n"
        "  http_url: http://${CONFIG_TEST_HOST}:8080/ca\n"
        "  tls: { names: [Acme.Example, '*.x.example', 192.0.2.1, '2001:DB8::2', localhost] }\n"
        "  terms_of_service: https://${CONFIG_TEST_HOST}/terms?v=1#two\n"
        "  request_deadline_seconds: 7\n"
        "data_dir: data\n"
        "store: sqlite:other.db\n"
        "validation:\n"
        "  resolvers: [192.0.2.1, '192.0.2.2:53', '192.0.2.3@54', '2001:db8::1', '[2001:db8::2]:5353']\n"
        "  allow: [127.0.0.0/8, '::1']\n"
        "  deny: [10.1.0.0/16]\n"
        "orders: { challenge_hold_ms: 0, finalize_hold_ms: 0, max_contacts: 0 }\n"
        "issuers:\n"
        "- { name: lab, type: local, deadline_hours: 2 }\n"
        "- { name: scm-1, type: scm, url: 'http://127.0.0.1:9000', customer_uri: corp, login: api, org_id: "
        "7,\n"
        "    profile_id: 8, term_days: 199, password: '${CONFIG_TEST_PASSWORD}', poll_max_seconds: 20, "
        "burst: 9,\n"
        "    supersede: never, supersede_after_minutes: 3, renewal: renew,\n"
        "    external_requester: a@b.example, proxy: 'http://u:p@proxy.example:3128' }\n"
        "profiles:\n"
        "- { name: first, issuer: scm-1, caa: off, description: 'Text: $5 $${with \xc3\xa4' }\n"
        "- { name: default, issuer: lab, validity_days: 7, allow_requested_dates: true, challenges: "
        "[http-01, dns-persist-01], caa: [CA.example, ca2.example], "
        "keys: { rsa: false, "
        "ed25519: true } }\n",
        NULL);
    assert_string_equal(config->data_dir, "conf/data");
    assert_string_equal(config->store_path, "conf/data/other.db");
    assert_string_equal(config->server.url, "https://[2001:db8::1]");
    assert_string_equal(config->server.http_listen, "[::]:80");
    assert_string_equal(config->server.http_url, "http://pki.example:8080/ca");
    assert_string_equal(config->server.terms_of_service, "https://pki.example/terms?v=1#two");
    assert_int_equal(config->server.request_deadline_ms, 7000);
    static const char *const names[] = {"acme.example", "*.x.example", "192.0.2.1", "2001:db8::2",
                                        "localhost"};
    assert_int_equal(config->server.tls_name_count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(config->server.tls_names[i], names[i]);
    static const char *const resolvers[] = {"192.0.2.1", "192.0.2.2@53", "192.0.2.3@54", "2001:db8::1",
                                            "2001:db8::2@5353"};
    assert_int_equal(config->validation.resolver_count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(config->validation.resolvers[i], resolvers[i]);
    assert_int_equal(config->validation.policy.allow_count, 2);
    assert_int_equal(config->validation.policy.allow[0].prefix_bits, 96 + 8);
    assert_int_equal(config->validation.policy.allow[1].prefix_bits, 128);
    assert_int_equal(config->validation.policy.deny_count, 1);
    assert_int_equal(config->challenge_hold_ms, 0);
    assert_int_equal(config->finalize_hold_ms, 0);
    assert_int_equal(config->max_contacts, 0);

    assert_int_equal(config->issuers[0].deadline_ms, 2 * 3600 * 1000);
    const struct acme_issuer_config *issuer = &config->issuers[1];
    assert_int_equal(issuer->type, ACME_ISSUER_SCM);
    assert_int_equal(issuer->deadline_ms, INT64_C(168) * 3600 * 1000);
    assert_int_equal(issuer->scm.deadline_ms, issuer->deadline_ms);
    assert_int_equal(issuer->max_concurrency, 4);
    assert_int_equal(issuer->scm.max_concurrency, 4);
    assert_int_equal(issuer->requests_per_minute, 60);
    assert_int_equal(issuer->burst, 9);
    assert_string_equal(issuer->scm.url, "http://127.0.0.1:9000");
    assert_string_equal(issuer->scm.customer_uri, "corp");
    assert_string_equal(issuer->scm.login, "api");
    assert_string_equal(issuer->scm.password, "pass word");
    assert_int_equal(issuer->scm.org_id, 7);
    assert_int_equal(issuer->scm.profile_id, 8);
    assert_int_equal(issuer->scm.term_days, 199);
    assert_int_equal(issuer->scm.poll_max_ms, 20000);
    assert_true(issuer->never_supersede);
    assert_int_equal(issuer->supersede_after_ms, 3 * 60 * 1000);
    assert_true(issuer->renew);
    assert_int_equal(config->profiles[0].supersede_after_ms, 0);
    assert_false(config->profiles[0].replace);
    assert_true(config->profiles[0].renew);
    assert_int_equal(config->profiles[1].supersede_after_ms, 0);
    assert_false(config->profiles[1].renew);
    assert_string_equal(issuer->scm.external_requester, "a@b.example");
    assert_string_equal(issuer->scm.proxy, "http://u:p@proxy.example:3128");
    assert_null(issuer->scm.ca_file);

    assert_string_equal(config->default_profile, "default");
    assert_string_equal(config->profiles[0].description, "Text: $5 ${with \xc3\xa4");
    assert_int_equal(config->profiles[0].validity_ms, INT64_C(199) * 24 * 3600 * 1000);
    assert_int_equal(config->profiles[0].issue_deadline_ms, INT64_C(168) * 3600 * 1000);
    assert_int_equal(config->profiles[0].caa_issuer_count, 0);
    assert_int_equal(config->profiles[1].challenges, ACME_CHALLENGE_HTTP_01 | ACME_CHALLENGE_DNS_PERSIST_01);
    assert_int_equal(config->profiles[1].caa_issuer_count, 2);
    assert_string_equal(config->profiles[1].caa_issuers[0], "ca.example");
    assert_string_equal(config->profiles[1].caa_issuers[1], "ca2.example");
    assert_int_equal(config->profiles[1].validity_ms, INT64_C(7) * 24 * 3600 * 1000);
    assert_false(config->profiles[0].allow_requested_dates);
    assert_true(config->profiles[1].allow_requested_dates);
    assert_false(config->profiles[1].keys.rsa);
    assert_true(config->profiles[1].keys.ed25519);
    assert_true(config->profiles[1].keys.p256);
    acme_config_destroy(config);
}

static void test_external_accounts(void **state)
{
    (void)state;
    char folder[] = "/tmp/acme-config-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char file[64];
    char key[64];
    snprintf(file, sizeof file, "%s/f.yaml", folder);
    snprintf(key, sizeof key, "%s/key", folder);
    static const char text[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    FILE *stream = fopen(key, "w");
    assert_non_null(stream);
    fprintf(stream, "%s\n", text);
    fclose(stream);
    chmod(key, 0600);
    setenv("CONFIG_TEST_MAC", text, 1);
    struct acme_config *config = parse(file,
                                       MINIMAL "accounts:\n  external_account_required: true\n"
                                               "  external_accounts:\n"
                                               "  - { kid: team-a, hmac_key_file: key, single_use: true }\n"
                                               "  - { kid: 'b:2/3+4=', hmac_key: '${CONFIG_TEST_MAC}' }\n",
                                       NULL);
    assert_true(config->external_account_required);
    assert_int_equal(config->external_key_count, 2);
    assert_string_equal(config->external_keys[0].kid, "team-a");
    assert_string_equal(config->external_keys[0].key, text);
    assert_true(config->external_keys[0].single_use);
    assert_string_equal(config->external_keys[1].kid, "b:2/3+4=");
    assert_string_equal(config->external_keys[1].key, text);
    assert_false(config->external_keys[1].single_use);
    acme_config_destroy(config);
    unlink(key);
    rmdir(folder);
}

static void test_scm_issuers(void **state)
{
    (void)state;
    setenv("CONFIG_TEST_PASSWORD", "pass word", 1);
    struct acme_config *config = parse(
        "f.yaml",
        "server: { url: https://a.example, listen: 0.0.0.0:1 }\nissuers:\n- { name: lab, type: local }\n"
        "- name: newer\n  type: scm\n  url: https://admin.enterprise.sectigo.com\n  org_id: 1\n"
        "  profile_id: 2\n  term_days: 3\n  dcv: require-validated\n  dcv_mode: EMAIL\n"
        "  dcv_email: a@b.example\n  comments: 'of {account}'\n"
        "  custom_fields: { Cost centre: 4711, \"\xc3\x9c\": 'x y' }\n"
        "  oauth: { token_url: https://sso.example/realms/api/token, client_id: bridge, scope: a b,\n"
        "    client_secret: '${CONFIG_TEST_PASSWORD}' }\n"
        "- { name: devices, type: scm, class: device, url: https://cm.example, customer_uri: c, login: l,\n"
        "    org_id: 1, profile_id: 2, term_days: 3, connect_timeout_seconds: 3, call_timeout_seconds: 20,\n"
        "    client_certificate_file: " EXAMPLE_FILE ", client_key_file: " EXAMPLE_FILE " }\n"
        "profiles: [ { name: p, issuer: newer } ]\n",
        NULL);
    const struct acme_scm_config *newer = &config->issuers[1].scm;
    assert_int_equal(newer->class, ACME_SCM_SSL);
    assert_null(newer->password);
    assert_string_equal(newer->oauth.token_url, "https://sso.example/realms/api/token");
    assert_string_equal(newer->oauth.client_id, "bridge");
    assert_string_equal(newer->oauth.client_secret, "pass word");
    assert_string_equal(newer->oauth.scope, "a b");
    assert_true(newer->dcv_required);
    assert_string_equal(newer->dcv_mode, "EMAIL");
    assert_string_equal(newer->dcv_email, "a@b.example");
    assert_string_equal(newer->comments, "of {account}");
    assert_int_equal(newer->custom_field_count, 2);
    assert_string_equal(newer->custom_fields[0].name, "Cost centre");
    assert_string_equal(newer->custom_fields[0].value, "4711");
    assert_string_equal(newer->custom_fields[1].name, "\xc3\x9c");
    assert_string_equal(newer->custom_fields[1].value, "x y");
    assert_int_equal(newer->connect_timeout_ms, 10000);
    assert_int_equal(newer->call_timeout_ms, 90000);
    const struct acme_scm_config *devices = &config->issuers[2].scm;
    assert_int_equal(devices->class, ACME_SCM_DEVICE);
    assert_string_equal(devices->client_cert_file, EXAMPLE_FILE);
    assert_string_equal(devices->client_key_file, EXAMPLE_FILE);
    assert_null(devices->oauth.token_url);
    assert_false(devices->dcv_required);
    assert_int_equal(devices->connect_timeout_ms, 3000);
    assert_int_equal(devices->call_timeout_ms, 20000);
    for (size_t i = 1; i <= 2; i++) {
        struct acme_issuer *issuer = NULL;
        assert_false(acme_failed(acme_scm_issuer_create("x", &config->issuers[i].scm, &issuer)));
        acme_issuer_destroy(issuer);
    }
    acme_config_destroy(config);
}

static void test_upstream_urls(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool right;
    } urls[] = {{"https://cm.example", true},        {"https://cm.example:8443/base", true},
                {"http://localhost:1", true},        {"http://scm.localhost", true},
                {"http://127.9.9.9:81", true},       {"http://[::1]:81", true},
                {"http://127.0.0.1.example", false}, {"http://notlocalhost", false},
                {"http://10.0.0.1", false},          {"http://127.0.0.1:80", false}};
    setenv("CONFIG_TEST_PASSWORD", "x", 1);
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        char text[1024];
        snprintf(
            text, sizeof text,
            "server: { url: https://a.example, listen: 0.0.0.0:1 }\nissuers:\n- { name: lab, type: local }\n"
            "- { name: s, type: scm, customer_uri: c, login: l, org_id: 1, profile_id: 2, term_days: 3, "
            "password: '${CONFIG_TEST_PASSWORD}', url: '%s' }\nprofiles: [ { name: p, issuer: s } ]\n",
            urls[i].url);
        struct acme_config *config = NULL;
        char *error = NULL;
        struct acme_err err = acme_config_parse("f", text, strlen(text), NULL, &config, &error);
        if (acme_failed(err) == urls[i].right)
            fail_msg("%s: %s", urls[i].url, error != NULL ? error : "accepted");
        if (config != NULL)
            assert_string_equal(config->issuers[1].scm.url, urls[i].url);
        acme_config_destroy(config);
        free(error);
    }
}

static void test_data_dir(void **state)
{
    (void)state;
    setenv("STATE_DIRECTORY", "/var/lib/one:/var/lib/two", 1);
    struct acme_config *config = parse("/f.yaml", MINIMAL, NULL);
    assert_string_equal(config->data_dir, "/var/lib/one");
    assert_string_equal(config->store_path, "/var/lib/one/acmebridge.db");
    acme_config_destroy(config);

    config = parse("/etc/x/f.yaml", MINIMAL "data_dir: d\nstore: sqlite:///db/a.db\n", NULL);
    assert_string_equal(config->data_dir, "/etc/x/d");
    assert_string_equal(config->store_path, "/db/a.db");
    acme_config_destroy(config);

    config = parse("/etc/x/f.yaml", MINIMAL "data_dir: d\n", "here");
    assert_string_equal(config->data_dir, "here");
    assert_string_equal(config->store_path, "here/acmebridge.db");
    acme_config_destroy(config);
    unsetenv("STATE_DIRECTORY");
}

static void test_embedded_defaults(void **state)
{
    (void)state;
    struct acme_config *config = NULL;
    char *error = NULL;
    assert_int_equal(acme_config_load(NULL, "/tmp/d", &config, &error).code, ACME_OK);
    assert_string_equal(config->file, "embedded defaults");
    assert_string_equal(config->server.url, "https://localhost:14000");
    assert_string_equal(config->server.listen, "127.0.0.1:14000");
    assert_string_equal(config->server.http_listen, "127.0.0.1:14080");
    assert_string_equal(config->server.http_url, "http://localhost:14080");
    assert_string_equal(config->store_path, "/tmp/d/acmebridge.db");
    assert_int_equal(config->issuer_count, 1);
    assert_string_equal(config->issuers[0].name, "local");
    assert_int_equal(config->issuers[0].type, ACME_ISSUER_LOCAL);
    assert_int_equal(config->profile_count, 1);
    assert_string_equal(config->profiles[0].name, "default");
    assert_string_equal(config->default_profile, "default");
    acme_config_destroy(config);
}

static void test_example_file(void **state)
{
    (void)state;
    char folder[] = "/tmp/acme-config-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char secret[64];
    snprintf(secret, sizeof secret, "%s/scm-password", folder);
    FILE *file = fopen(secret, "w");
    assert_non_null(file);
    fputs("example secret\n", file);
    fclose(file);
    chmod(secret, 0600);
    setenv("CREDENTIALS_DIRECTORY", folder, 1);

    struct acme_config *config = NULL;
    char *error = NULL;
    struct acme_err err = acme_config_load(EXAMPLE_FILE, NULL, &config, &error);
    unlink(secret);
    rmdir(folder);
    unsetenv("CREDENTIALS_DIRECTORY");
    if (acme_failed(err))
        fail_msg("refused: %s", error != NULL ? error : "out of memory");
    assert_string_equal(config->issuers[1].scm.password, "example secret");
    assert_string_equal(config->data_dir, "/var/lib/acmebridge");
    assert_int_equal(config->profile_count, 2);
    acme_config_destroy(config);
}

static size_t count_unexplained(const struct acme_config_table *table, const char *reference)
{
    size_t missing = 0;
    const struct acme_config_key *key = NULL;
    for (size_t i = 0; (key = acme_config_row(table, i)) != NULL; i++) {
        char row[80];
        snprintf(row, sizeof row, "`%s` |", key->name);
        if (strstr(reference, row) == NULL) {
            print_error("docs/configuration.md has no row for %s\n", key->name);
            missing++;
        }
        if (key->table != NULL)
            missing += count_unexplained(key->table, reference);
    }
    return missing;
}

static void test_reference_names_every_key(void **state)
{
    (void)state;
    FILE *file = fopen(REFERENCE_FILE, "r");
    assert_non_null(file);
    static char reference[65536];
    size_t len = fread(reference, 1, sizeof reference - 1, file);
    fclose(file);
    assert_true(len > 0 && len < sizeof reference - 1);
    assert_int_equal(count_unexplained(&acme_config_root_table, reference) +
                         count_unexplained(&acme_config_issuer_table, reference) +
                         count_unexplained(&acme_config_profile_table, reference) +
                         count_unexplained(&acme_config_deployer_table, reference) +
                         count_unexplained(&acme_config_enrollment_table, reference) +
                         count_unexplained(&acme_config_deployer_table, reference) +
                         count_unexplained(&acme_config_huawei_auth_table, reference) +
                         count_unexplained(&acme_config_huawei_iam_table, reference) +
                         count_unexplained(&acme_config_huawei_access_key_table, reference) +
                         count_unexplained(&acme_config_external_table, reference),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_external_accounts),
        cmocka_unit_test(test_scm_issuers),
        cmocka_unit_test(test_upstream_urls),
        cmocka_unit_test(test_data_dir),
        cmocka_unit_test(test_embedded_defaults),
        cmocka_unit_test(test_example_file),
        cmocka_unit_test(test_reference_names_every_key),
    };
    return cmocka_run_group_tests_name("config values", tests, NULL, NULL);
}
