/* Issuances that go on from an earlier certificate: renewed, or given another key in place. */
#include "cmocka_all.h"

#include "scm_rig.h"

#include <string.h>

#define EARLIER_TAG "acmebridge/01890a5d-ac96-774b-bcce-b302099a0000"
#define CN_QUERY    "commonName=www.example.test"

static void continue_from(struct rig *rig, enum acme_earlier_use use)
{
    rig->request.earlier =
        (struct acme_earlier){.use = use, .upstream_ref = "4100", .tag = EARLIER_TAG, .serial_hex = "0A1B2C"};
}

static void expect_once(struct rig *rig, const char *path)
{
    rig_expect_call(rig, "POST", path);
    assert_true(rig->step.once);
    const struct acme_bytes *body = &rig->step.call.body;
    assert_non_null(memmem(body->data, body->len, "BEGIN CERTIFICATE REQUEST", 25));
}

static void collect(struct rig *rig, const char *id)
{
    rig_expect_call(rig, "GET", rig_format(rig, "/api/ssl/v1/collect/%s?format=x509", id));
    X509 *certs[] = {rig->leaf, rig->pki.intermediate};
    rig_reply_bytes(rig, 200, pki_pem(rig->arena, certs, 2));
    rig_expect_issued(rig, 2);
}

/* ---- renewals ---- */

static void renewing(struct rig *rig)
{
    continue_from(rig, ACME_EARLIER_RENEW);
    rig_start(rig);
    expect_once(rig, "/api/ssl/v1/renewById/4100");
}

static void expect_comment(struct rig *rig)
{
    rig_expect_call(rig, "PUT", "/api/ssl/v1");
    assert_false(rig->step.once);
    static const char body[] = "{\"sslId\":4242,\"comments\":\"" RIG_TAG "\"}";
    assert_int_equal(rig->step.call.body.len, strlen(body));
    assert_memory_equal(rig->step.call.body.data, body, strlen(body));
    rig_expect_ref(rig, "4242");
}

static void test_renewed(void **state)
{
    struct rig *rig = *state;
    renewing(rig);
    rig_reply(rig, 200, "{\"sslId\":4242}");
    expect_comment(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", RIG_TAG, NULL));
    rig_expect_wait(rig, 3, false);
    rig_timer(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Issued", RIG_TAG, NULL));
    collect(rig, "4242");
    assert_int_equal(rig->enrolls, 1);
}

/* The number may be saved without the call having been made: the upstream was paused just then. */
static void test_comment_survives_a_pause(void **state)
{
    struct rig *rig = *state;
    renewing(rig);
    rig_reply(rig, 200, "{\"sslId\":4242}");
    expect_comment(rig);
    rig_restart(rig, ACME_EVENT_TIMER);
    expect_comment(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", RIG_TAG, NULL));
    rig_expect_wait(rig, 3, false);
    rig_timer(rig);
    rig_expect_call(rig, "GET", "/api/ssl/v1/4242");
}

/* The tag is for people: nothing depends on it. */
static void test_renewed_without_comment(void **state)
{
    struct rig *rig = *state;
    renewing(rig);
    rig_reply(rig, 200, "{\"sslId\":4242}");
    expect_comment(rig);
    const char *asked_state = rig->state;
    const struct acme_step asked = rig->step;
    rig_call_failed(rig, true);
    rig_expect_wait(rig, 3, false);
    rig_expect_note(rig, "did not change");
    rig->state = asked_state;
    rig->step = asked;
    rig_reply(rig, 400, "{\"code\":-39,\"description\":\"no\"}");
    rig_timer(rig);
    rig_expect_call(rig, "GET", "/api/ssl/v1/4242");
}

static void test_renewal_refused(void **state)
{
    static const char *const bodies[] = {
        "{\"code\":-180,\"description\":\"no\"}",  "{\"code\":-123,\"description\":\"no\"}",
        "{\"code\":-105,\"description\":\"no\"}",  "{\"code\":-130,\"description\":\"Revoked\"}",
        "{\"code\":-5101,\"description\":\"no\"}", "{\"code\":-98765,\"description\":\"no\"}"};
    struct rig *rig = *state;
    renewing(rig);
    const char *asked_state = rig->state;
    const struct acme_step asked = rig->step;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        rig->state = asked_state;
        rig->step = asked;
        rig_reply(rig, 400, bodies[i]);
        rig_expect_enroll(rig);
        rig_expect_note(rig, "new certificate instead");
        rig_restart(rig, ACME_EVENT_RECOVER); /* the refusal is remembered */
        rig_expect_search(rig, CN_QUERY, true, 0);
    }
}

/* -105 and -180 mean something else, or nothing, to an enroll. */
static void test_codes_are_the_renewals(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_expect_enroll(rig);
    rig_reply(rig, 400, "{\"code\":-105,\"description\":\"no\"}");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
}

static void find_renewed(struct rig *rig)
{
    renewing(rig);
    rig_call_failed(rig, true);
    rig_expect_search(rig, CN_QUERY, true, 0);
    rig_expect_note(rig, "The renewal was sent");
    rig_reply_header(rig, 200, "x-total-count", "2", "[{\"sslId\":4242},{\"sslId\":4100}]");
    rig_expect_call(rig, "GET", "/api/ssl/v1/4242");
}

/* It carries the tag of the one it renews; that one itself is not it. */
static void test_lost_renewal_is_found_by_csr(void **state)
{
    struct rig *rig = *state;
    find_renewed(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", EARLIER_TAG, rig->csr_sha256));
    rig_expect_call(rig, "GET", "/api/ssl/v1/4100");
    rig_reply(rig, 200, rig_details(rig, 4100, "Issued", EARLIER_TAG, "00FF"));
    rig_expect_call(rig, "GET", "/api/ssl/v1/4242");
    rig_expect_ref(rig, "4242");
    assert_int_equal(rig->enrolls, 1);
}

/* SCM did not let us tag the earlier request, a renewal itself. */
static void test_lost_renewal_with_an_inherited_tag(void **state)
{
    struct rig *rig = *state;
    find_renewed(rig);
    const char *tag = "acmebridge/01890a5d-ac96-774b-bcce-b30209900000";
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", tag, rig->csr_sha256));
    rig_expect_call(rig, "GET", "/api/ssl/v1/4100");
    rig_reply(rig, 200, rig_details(rig, 4100, "Issued", tag, rig->csr_sha256)); /* the same key as before */
    rig_expect_call(rig, "GET", "/api/ssl/v1/4242");
    rig_expect_ref(rig, "4242");
    assert_int_equal(rig->enrolls, 1);
}

static void test_lost_renewal_in_an_older_scm(void **state)
{
    struct rig *rig = *state;
    find_renewed(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", EARLIER_TAG, NULL));
    rig_expect_call(rig, "GET", "/api/ssl/v1/4100");
    rig_reply(rig, 200, rig_details(rig, 4100, "Issued", EARLIER_TAG, NULL));
    rig_expect_call(rig, "GET", "/api/ssl/v1/4242");
    rig_expect_ref(rig, "4242");
}

static void test_renewal_of_another_csr_is_not_ours(void **state)
{
    struct rig *rig = *state;
    find_renewed(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", EARLIER_TAG, "00FF"));
    rig_reply(rig, 200, rig_details(rig, 4100, "Issued", EARLIER_TAG, "00FF"));
    rig_expect_search(rig, CN_QUERY, false, 0);
    assert_null(rig->step.upstream_ref);
}

/* Nothing shows up: the renewal is sent again, and after the fifth internal error an enroll. */
static void test_renewal_gives_way_in_the_end(void **state)
{
    struct rig *rig = *state;
    renewing(rig);
    int renewals = 0;
    for (int steps = 0; renewals < 5; steps++) {
        assert_true(steps < 200);
        if (rig->step.kind == ACME_STEP_WAIT) {
            rig_timer(rig);
        } else if (rig->step.once) {
            expect_once(rig, "/api/ssl/v1/renewById/4100");
            renewals++;
            rig_reply(rig, 400, "{\"code\":-1,\"description\":\"Internal error\"}");
        } else {
            rig_reply_header(rig, 200, "x-total-count", "0", "[]");
        }
    }
    for (int steps = 0; !rig->step.once; steps++) {
        assert_true(steps < 200);
        if (rig->step.kind == ACME_STEP_WAIT)
            rig_timer(rig);
        else
            rig_reply_header(rig, 200, "x-total-count", "0", "[]");
    }
    rig_expect_enroll(rig);
}

/* ---- replacements ---- */

static void replacing(struct rig *rig)
{
    continue_from(rig, ACME_EARLIER_REPLACE);
    rig_start(rig);
    expect_once(rig, "/api/ssl/v1/replace/4100");
    static const char names[] = "\"commonName\":\"www.example.test\",\"subjectAlternativeNames\":"
                                "[\"www.example.test\",\"example.test\"]";
    assert_non_null(memmem(rig->step.call.body.data, rig->step.call.body.len, names, strlen(names)));
    assert_non_null(memmem(rig->step.call.body.data, rig->step.call.body.len, "\"reason\":\"", 10));
}

static const char *with_serial(struct rig *rig, const char *status, const char *serial, const char *sha256)
{
    return rig_format(rig, "{\"sslId\":4100,\"status\":\"%s\",\"serialNumber\":\"%s\"%s}", status, serial,
                      sha256 != NULL ? rig_format(rig, ",\"csrDetails\":{\"sha256Hash\":\"%s\"}", sha256)
                                     : "");
}

static void test_replaced(void **state)
{
    struct rig *rig = *state;
    replacing(rig);
    rig_reply(rig, 204, "");
    rig_expect_wait(rig, 3, false);
    rig_expect_ref(rig, "4100");
    rig_timer(rig);
    rig_expect_call(rig, "GET", "/api/ssl/v1/4100");
    rig_reply(rig, 200, with_serial(rig, "Issued", "0A:1B:2C", NULL)); /* not done yet */
    rig_expect_note(rig, "still has the certificate");
    rig_timer(rig);
    rig_reply(rig, 200, with_serial(rig, "Issued", "0A:1B:2C", "00FF"));
    rig_expect_note(rig, "still has the certificate");
    rig_timer(rig);
    rig_reply(rig, 200, with_serial(rig, "Replaced", "0A:1B:2D", rig->csr_sha256));
    rig_expect_call(rig, "GET", "/api/ssl/v1/collect/4100?format=x509");
    X509 *before[] = {rig->pki.intermediate}; /* collect lags behind */
    rig_reply_bytes(rig, 200, pki_pem(rig->arena, before, 1));
    rig_expect_wait(rig, 3, false);
    rig_expect_note(rig, "that was replaced");
    rig_timer(rig);
    rig_reply(rig, 200, with_serial(rig, "Replaced", "0A:1B:2D", NULL));
    collect(rig, "4100");
    assert_int_equal(rig->enrolls, 1);
}

static void test_replacement_refused(void **state)
{
    static const char *const bodies[] = {
        "{\"code\":-1148,\"description\":\"auto\"}", "{\"code\":-130,\"description\":\"Revoked\"}",
        "{\"code\":-124,\"description\":\"unknown\"}", "{\"code\":-98765,\"description\":\"no\"}"};
    struct rig *rig = *state;
    replacing(rig);
    const char *asked_state = rig->state;
    const struct acme_step asked = rig->step;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        rig->state = asked_state;
        rig->step = asked;
        rig_reply(rig, 400, bodies[i]);
        rig_expect_enroll(rig);
        assert_null(rig->step.upstream_ref);
        rig_reply(rig, 200, "{\"sslId\":4242}");
        rig_expect_ref(rig, "4242");
    }
}

static void test_lost_replacement(void **state)
{
    struct rig *rig = *state;
    replacing(rig);
    rig_call_failed(rig, true);
    rig_expect_call(rig, "GET", "/api/ssl/v1/4100");
    rig_expect_note(rig, "The replacement was sent");
    const char *asked_state = rig->state;
    const struct acme_step asked = rig->step;
    const char *done[] = {with_serial(rig, "Issued", "0A1B2D", NULL),
                          with_serial(rig, "Applied", "0A1B2C", NULL),
                          with_serial(rig, "Issued", "0A1B2C", rig->csr_sha256)};
    for (size_t i = 0; i < sizeof done / sizeof done[0]; i++) {
        rig->state = asked_state;
        rig->step = asked;
        rig_reply(rig, 200, done[i]);
        rig_expect_wait(rig, 3, false);
        rig_expect_ref(rig, "4100");
        assert_int_equal(rig->enrolls, 1);
    }
}

static void test_lost_replacement_is_repeated(void **state)
{
    struct rig *rig = *state;
    replacing(rig);
    rig_restart(rig, ACME_EVENT_RECOVER);
    for (int steps = 0; !rig->step.once; steps++) {
        assert_true(steps < 50);
        if (rig->step.kind == ACME_STEP_WAIT) {
            rig_timer(rig);
        } else {
            rig_expect_call(rig, "GET", "/api/ssl/v1/4100");
            rig_reply(rig, 200, with_serial(rig, "Issued", "0A1B2C", "00FF"));
        }
    }
    expect_once(rig, "/api/ssl/v1/replace/4100");
    rig_expect_note(rig, "attempt 2");
    assert_true(rig->now_ms >= RIG_START + 60 * ACME_SECOND_MS);
}

static void test_lost_replacement_of_nothing(void **state)
{
    struct rig *rig = *state;
    replacing(rig);
    rig_call_failed(rig, true);
    rig_reply(rig, 404, "{\"code\":-5101,\"description\":\"Certificate not found.\"}");
    rig_expect_enroll(rig);
}

/* Superseded in turn, and late: the request was another issuance's, so it is not declined. */
static void test_replaced_is_not_declined(void **state)
{
    struct rig *rig = *state;
    replacing(rig);
    rig_reply(rig, 204, "");
    rig->request.withdraw = true;
    rig_timer(rig);
    rig_expect_call(rig, "GET", "/api/ssl/v1/4100");
    rig->now_ms = rig->request.deadline_ms;
    rig_reply(rig, 200, with_serial(rig, "Applied", "0A1B2C", NULL));
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "was to be replaced");
}

/* Revoked or fetched since the order was finalized: before the first call, or before a repetition. */
static void test_too_late_to_go_on(void **state)
{
    static const enum acme_earlier_use uses[] = {ACME_EARLIER_RENEW, ACME_EARLIER_REPLACE};
    struct rig *rig = *state;
    for (size_t i = 0; i < 2; i++) {
        continue_from(rig, uses[i]);
        rig->request.earlier.too_late = true;
        rig->state = "{}";
        rig_start(rig);
        rig_expect_enroll(rig);
    }
    continue_from(rig, ACME_EARLIER_REPLACE);
    rig->state = "{}";
    rig_start(rig);
    expect_once(rig, "/api/ssl/v1/replace/4100");
    rig->request.earlier.too_late = true;
    rig_restart(rig, ACME_EVENT_RECOVER);
    for (int steps = 0; !rig->step.once; steps++) {
        assert_true(steps < 50);
        if (rig->step.kind == ACME_STEP_WAIT) {
            rig_timer(rig);
        } else { /* what was sent is looked for all the same */
            rig_expect_call(rig, "GET", "/api/ssl/v1/4100");
            rig_reply(rig, 200, with_serial(rig, "Issued", "0A1B2C", "00FF"));
        }
    }
    rig_expect_enroll(rig);
}

/* What is no number of SCM's is not continued. */
static void test_odd_reference(void **state)
{
    static const char *const refs[] = {"", "x", "4100x", "-1", "0", "1234567890123456"};
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof refs / sizeof refs[0]; i++) {
        continue_from(rig, ACME_EARLIER_RENEW);
        rig->request.earlier.upstream_ref = refs[i];
        rig->state = "{}";
        rig_start(rig);
        rig_expect_enroll(rig);
    }
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_renewed),
        WITH_RIG(test_comment_survives_a_pause),
        WITH_RIG(test_renewed_without_comment),
        WITH_RIG(test_renewal_refused),
        WITH_RIG(test_codes_are_the_renewals),
        WITH_RIG(test_lost_renewal_is_found_by_csr),
        WITH_RIG(test_lost_renewal_with_an_inherited_tag),
        WITH_RIG(test_lost_renewal_in_an_older_scm),
        WITH_RIG(test_renewal_of_another_csr_is_not_ours),
        WITH_RIG(test_renewal_gives_way_in_the_end),
        WITH_RIG(test_replaced),
        WITH_RIG(test_replacement_refused),
        WITH_RIG(test_lost_replacement),
        WITH_RIG(test_lost_replacement_is_repeated),
        WITH_RIG(test_lost_replacement_of_nothing),
        WITH_RIG(test_replaced_is_not_declined),
        WITH_RIG(test_too_late_to_go_on),
        WITH_RIG(test_odd_reference),
    };
    return cmocka_run_group_tests_name("backends/scm continue", tests, NULL, NULL);
}
