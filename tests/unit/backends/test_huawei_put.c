/* Deployments to an object that exists. */
#include "cmocka_all.h"

#include "huawei_rig.h"

#include <stdio.h>
#include <string.h>

static void test_kept_key(void **state)
{
    struct elb_rig *rig = *state;
    elb_putting(rig);
    elb_expect_body(rig, "\"certificate\":{\"certificate\":\"-----BEGIN CERTIFICATE-----\\nMII");
    elb_expect_body(rig, "\"description\":\"" ELB_TAG " sha256=ab12\"");
    elb_expect_no_body(rig, "private_key");
    elb_expect_no_body(rig, "domain");
    elb_expect_no_body(rig, "name");
    elb_reply(rig, 200, elb_object(rig, rig->leaf, ""));
    elb_expect_call(rig, "GET", ELB_PATH "/" ELB_ID);
    elb_reply(rig, 200, elb_object(rig, rig->leaf, ",\"domain\":null"));
    elb_expect_done(rig);
    assert_null(rig->step.target);
}

static void test_in_place_already(void **state)
{
    struct elb_rig *rig = *state;
    elb_looking(rig);
    elb_reply(rig, 200, elb_object(rig, rig->leaf, ",\"type\":\"server\""));
    elb_expect_done(rig);
    elb_expect_note(rig, "already");
}

/* The leaf alone is not all of it: the chain, and the domains where they are ours, count too. */
static void test_in_place_in_part(void **state)
{
    struct elb_rig *rig = *state;
    rig->chain.count = 1;
    elb_looking(rig);
    elb_reply(rig, 200, elb_object(rig, rig->leaf, ""));
    elb_expect_call(rig, "PUT", ELB_PATH "/" ELB_ID);
    rig->chain.count = 2;
    rig->state = "{}";
    rig->config.domains = ACME_HUAWEI_DOMAINS_NAMES;
    elb_reconfigure(rig);
    elb_looking(rig);
    elb_reply(rig, 200, elb_object(rig, rig->leaf, ",\"domain\":\"www.example.test\""));
    elb_expect_call(rig, "PUT", ELB_PATH "/" ELB_ID);
    rig->state = "{}";
    elb_looking(rig);
    elb_reply(rig, 200, elb_object(rig, rig->leaf, ",\"domain\":\"www.example.test,*.example.test\""));
    elb_expect_done(rig);
}

static void test_root_is_left_out(void **state)
{
    struct elb_rig *rig = *state;
    rig->chain.certs[2] = rig->pki.root;
    rig->chain.count = 3;
    elb_looking(rig);
    elb_reply(rig, 200, elb_object(rig, rig->leaf, ""));
    elb_expect_done(rig);
    rig->chain.certs[1] = rig->pki.root;
    rig->chain.count = 2;
    rig->state = "{}";
    elb_putting(rig);
    const char *begin = memmem(rig->step.call.body.data, rig->step.call.body.len, "BEGIN", 5);
    assert_non_null(begin);
    size_t rest = rig->step.call.body.len - (size_t)(begin + 5 - (const char *)rig->step.call.body.data);
    assert_null(memmem(begin + 5, rest, "BEGIN", 5));
}

static void test_another_key_is_refused(void **state)
{
    struct elb_rig *rig = *state;
    elb_looking(rig);
    elb_reply(rig, 200, elb_object(rig, rig->foreign, ""));
    elb_expect_failed(rig, "has another key than the new certificate");
    elb_expect_failed(rig, "--reuse-key");
    elb_expect_failed(rig, "private_key_file");
    rig->state = "{}";
    elb_looking(rig);
    elb_reply(rig, 200, elb_object(rig, NULL, ""));
    elb_expect_failed(rig, "no certificate that could be read");
}

static void test_key_file(void **state)
{
    struct elb_rig *rig = *state;
    elb_with_key_file(rig);
    elb_looking(rig);
    elb_reply(rig, 200, elb_object(rig, rig->foreign, "")); /* whatever is in it now */
    elb_expect_call(rig, "PUT", ELB_PATH "/" ELB_ID);
    elb_expect_body(rig, "\"private_key\":\"-----BEGIN PRIVATE KEY-----\\n");
    elb_expect_body(rig, "-----END PRIVATE KEY-----\\n\"");
    elb_reply(rig, 200, elb_object(rig, rig->leaf, ""));
    elb_reply(rig, 200, elb_object(rig, rig->leaf, ""));
    elb_expect_done(rig);
}

/* Nothing is sent, and no place in the line is taken, as long as the key is not there. */
static void test_key_file_is_waited_for(void **state)
{
    struct elb_rig *rig = *state;
    elb_with_key_file(rig);
    const char *good = rig->key_file;
    EVP_PKEY *other = EVP_EC_gen("P-256");
    const struct {
        const char *file;
        const char *why;
    } cases[] = {
        {NULL, "No such file"},
        {elb_key_pem(rig, other, NULL), "holds another key"},
        {elb_key_pem(rig, rig->key, "Passwort"), "holds an encrypted key"},
        {"-----BEGIN CERTIFICATE-----\n", "holds no private key"},
    };
    EVP_PKEY_free(other);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig->state = "{}";
        rig->now_ms = ELB_START;
        rig->key_file = cases[i].file;
        elb_start(rig);
        elb_expect_wait(rig, 2, false);
        elb_expect_note(rig, cases[i].why);
        elb_timer(rig);
        elb_expect_wait(rig, 4, false);
        while (rig->step.kind == ACME_STEP_WAIT && rig->now_ms < ELB_START + 2 * ACME_HOUR_MS)
            elb_timer(rig);
        elb_expect_failed(rig, cases[i].why);
        elb_expect_failed(rig, "deploy retry");
        assert_true(rig->now_ms >= ELB_START + ACME_HOUR_MS);
    }
    assert_int_equal(rig->claims, 0);
    rig->state = "{}";
    rig->key_file = NULL;
    elb_start(rig);
    rig->key_file = good;
    elb_timer(rig);
    elb_expect_call(rig, "GET", ELB_PATH "/" ELB_ID);
    rig->key_file = NULL; /* gone in the meantime */
    elb_reply(rig, 200, elb_object(rig, rig->old, ""));
    elb_expect_wait(rig, 2, false);
}

static void test_unfit_objects(void **state)
{
    struct elb_rig *rig = *state;
    elb_looking(rig);
    elb_reply(rig, 200, elb_object(rig, rig->old, ",\"type\":\"client\""));
    elb_expect_failed(rig, "is of type client");
    rig->state = "{}";
    elb_looking(rig);
    elb_reply(rig, 200, elb_object(rig, rig->old, ",\"protection_status\":\"fullProtection\""));
    elb_expect_failed(rig, "protected against changes (fullProtection)");
    rig->state = "{}";
    elb_looking(rig); /* this one keeps people in the console from it, not programs */
    elb_reply(rig, 200, elb_object(rig, rig->old, ",\"protection_status\":\"consoleProtection\""));
    elb_expect_call(rig, "PUT", ELB_PATH "/" ELB_ID);
}

static void test_the_line(void **state)
{
    struct elb_rig *rig = *state;
    rig->ahead = 3;
    elb_start(rig);
    elb_expect_wait(rig, 2, false);
    elb_expect_note(rig, "3 other deployments");
    elb_timer(rig);
    elb_expect_wait(rig, 4, false);
    for (int i = 0; i < 10; i++)
        elb_timer(rig);
    elb_expect_wait(rig, 30, false);
    rig->ahead = 0;
    elb_timer(rig);
    elb_expect_call(rig, "GET", ELB_PATH "/" ELB_ID);
}

static void test_description_is_kept(void **state)
{
    struct elb_rig *rig = *state;
    rig->config.keep_description = true;
    elb_reconfigure(rig);
    elb_putting(rig);
    elb_expect_no_body(rig, "description");
}

static void test_domains(void **state)
{
    struct elb_rig *rig = *state;
    static const char *const list[] = {"a.example.test", "b.example.test"};
    rig->config.domains = ACME_HUAWEI_DOMAINS_NAMES;
    elb_reconfigure(rig);
    elb_putting(rig);
    elb_expect_body(rig, "\"domain\":\"www.example.test,*.example.test\"");
    rig->config.domains = ACME_HUAWEI_DOMAINS_LIST;
    rig->config.domain_list = list;
    rig->config.domain_count = 2;
    elb_reconfigure(rig);
    rig->state = "{}";
    elb_putting(rig);
    elb_expect_body(rig, "\"domain\":\"a.example.test,b.example.test\"");
    /* Addresses have no place there. */
    rig->config.domains = ACME_HUAWEI_DOMAINS_NAMES;
    elb_reconfigure(rig);
    rig->identifiers[0].type = ACME_IDENTIFIER_IP;
    rig->state = "{}";
    elb_putting(rig);
    elb_expect_body(rig, "\"domain\":\"*.example.test\"");
    rig->identifiers[1].type = ACME_IDENTIFIER_IP;
    rig->state = "{}";
    elb_putting(rig);
    elb_expect_no_body(rig, "domain");
}

static void test_too_many_domains(void **state)
{
    struct elb_rig *rig = *state;
    for (size_t i = 0; i < 101; i++)
        rig->identifiers[i] = (struct acme_identifier){.type = ACME_IDENTIFIER_DNS,
                                                       .value = elb_format(rig, "host-%zu.example.test", i)};
    rig->request.identifier_count = 101;
    rig->config.domains = ACME_HUAWEI_DOMAINS_NAMES;
    elb_reconfigure(rig);
    elb_start(rig);
    elb_expect_failed(rig, "101 names");
    elb_expect_failed(rig, "set domains to a list");
    rig->request.identifier_count = 100;
    rig->state = "{}";
    elb_putting(rig);
    rig->config.domain_limits_2024 = true;
    elb_reconfigure(rig);
    rig->state = "{}";
    elb_start(rig);
    elb_expect_failed(rig, "the 30 names of 1024 characters");
    rig->request.identifier_count = 30;
    rig->state = "{}";
    elb_putting(rig);
    assert_int_equal(rig->claims, 2);
}

static void test_long_chains(void **state)
{
    struct elb_rig *rig = *state;
    for (size_t i = 2; i < 11; i++)
        rig->chain.certs[i] = rig->pki.intermediate;
    rig->chain.count = 11;
    elb_putting(rig);
    rig->chain.certs[11] = rig->pki.intermediate;
    rig->chain.count = 12;
    rig->state = "{}";
    elb_start(rig);
    elb_expect_failed(rig, "12 certificates");
    static char names[110][64];
    static const char *list[110];
    for (size_t i = 0; i < 110; i++) {
        snprintf(names[i], sizeof names[i], "%055zu.test", i);
        list[i] = names[i];
    }
    X509 *large = pki_leaf(&rig->pki, rig->key, list, 110);
    for (size_t i = 0; i < 11; i++)
        rig->chain.certs[i] = large;
    rig->chain.count = 11;
    rig->state = "{}";
    elb_start(rig);
    elb_expect_failed(rig, "ELB takes at most 65536");
    X509_free(large);
}

static void test_another_certificate_shows_up(void **state)
{
    struct elb_rig *rig = *state;
    elb_putting(rig);
    for (int i = 0; i < 4; i++) {
        elb_reply(rig, 200, elb_object(rig, rig->leaf, ""));
        elb_reply(rig, 200, elb_object(rig, rig->old, ""));
        elb_expect_wait(rig, 2 << i, true);
        elb_timer(rig);
        elb_reply(rig, 200, elb_object(rig, rig->old, ""));
        elb_expect_call(rig, "PUT", ELB_PATH "/" ELB_ID);
    }
    elb_reply(rig, 200, elb_object(rig, rig->leaf, ""));
    elb_reply(rig, 200, elb_object(rig, rig->old, ""));
    elb_expect_failed(rig, "shows another one, time and again");
}

static void test_interruptions(void **state)
{
    struct elb_rig *rig = *state;
    elb_putting(rig);
    elb_restart(rig, ACME_EVENT_TIMER); /* the process died: look again */
    elb_expect_call(rig, "GET", ELB_PATH "/" ELB_ID);
    elb_reply(rig, 200, elb_object(rig, rig->old, ""));
    elb_expect_call(rig, "PUT", ELB_PATH "/" ELB_ID);
    elb_call_failed(rig, true);
    elb_expect_wait(rig, 5, true);
    elb_expect_note(rig, "timed out");
    elb_timer(rig);
    elb_reply(rig, 200, elb_object(rig, rig->leaf, "")); /* it had been taken */
    elb_expect_done(rig);
}

static void test_deadline(void **state)
{
    struct elb_rig *rig = *state;
    rig->request.deadline_ms = ELB_START + 12 * ACME_SECOND_MS;
    elb_looking(rig);
    elb_call_failed(rig, false);
    elb_expect_wait(rig, 5, true);
    elb_timer(rig);
    elb_call_failed(rig, false);
    elb_expect_wait(rig, 7, true); /* not 10 */
    elb_timer(rig);
    elb_call_failed(rig, false);
    elb_expect_failed(rig, "time is over. Last: ELB could not be asked");
}

#define RUNNING(test) cmocka_unit_test_setup_teardown(test, elb_setup, elb_teardown)

/* One call per second: the PUT right behind the look would be refused again and again. */
static void test_throttle_of_few_calls(void **state)
{
    struct elb_rig *rig = *state;
    elb_putting(rig);
    for (int i = 0; i < 2; i++) {
        elb_reply(rig, 429, elb_error(rig, "APIGW.0308", "limit:1,time:1 second"));
        elb_expect_wait(rig, i == 0 ? 5 : 10, true);
        elb_timer(rig);
        elb_expect_call(rig, "GET", ELB_PATH "/" ELB_ID);
        elb_reply(rig, 200, elb_object(rig, rig->old, ""));
        elb_expect_wait(rig, i == 0 ? 2 : 4, false);
        elb_timer(rig);
        elb_expect_call(rig, "PUT", ELB_PATH "/" ELB_ID);
    }
    elb_reply(rig, 500, ""); /* the look has been used */
    elb_timer(rig);
    elb_expect_call(rig, "GET", ELB_PATH "/" ELB_ID);
    elb_reply(rig, 200, elb_object(rig, rig->old, ""));
    elb_timer(rig);
    elb_expect_call(rig, "PUT", ELB_PATH "/" ELB_ID);
    elb_reply(rig, 200, elb_object(rig, rig->leaf, ""));
    elb_expect_call(rig, "GET", ELB_PATH "/" ELB_ID);
    elb_reply(rig, 429, "");
    elb_timer(rig);
    elb_reply(rig, 200, elb_object(rig, rig->leaf, ""));
    elb_expect_done(rig);
}

/* What the object was some minutes ago says nothing. */
static void test_an_old_look_does_not_count(void **state)
{
    struct elb_rig *rig = *state;
    elb_putting(rig);
    elb_reply(rig, 429, "");
    elb_timer(rig);
    elb_reply(rig, 200, elb_object(rig, rig->old, ""));
    elb_expect_wait(rig, 2, false);
    rig->now_ms += 3 * ACME_MINUTE_MS;
    elb_restart(rig, ACME_EVENT_TIMER);
    elb_expect_call(rig, "GET", ELB_PATH "/" ELB_ID);
    elb_reply(rig, 200, elb_object(rig, rig->foreign, ""));
    elb_expect_failed(rig, "has another key");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUNNING(test_kept_key),
        RUNNING(test_throttle_of_few_calls),
        RUNNING(test_an_old_look_does_not_count),
        RUNNING(test_in_place_already),
        RUNNING(test_in_place_in_part),
        RUNNING(test_root_is_left_out),
        RUNNING(test_another_key_is_refused),
        RUNNING(test_key_file),
        RUNNING(test_key_file_is_waited_for),
        RUNNING(test_unfit_objects),
        RUNNING(test_the_line),
        RUNNING(test_description_is_kept),
        RUNNING(test_domains),
        RUNNING(test_too_many_domains),
        RUNNING(test_long_chains),
        RUNNING(test_another_certificate_shows_up),
        RUNNING(test_interruptions),
        RUNNING(test_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
