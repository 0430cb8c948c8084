/* The SCM issuer on its way from enroll to the certificates: requests, statuses, not-yet flavours, chains. */
#include "cmocka_all.h"

#include "scm_rig.h"

#include <string.h>

static const char *body_member(struct rig *rig, const cJSON **ret_json)
{
    cJSON *json = NULL;
    const struct acme_bytes *body = &rig->step.call.body;
    assert_false(acme_failed(acme_json_parse(rig->arena, (const char *)body->data, body->len, &json)));
    *ret_json = json;
    return acme_json_str(json, "csr");
}

static void test_enroll_request(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_expect_enroll(rig);
    const cJSON *json = NULL;
    const char *csr = body_member(rig, &json);
    int64_t number = 0;
    assert_true(acme_json_int(json, "orgId", &number) && number == 8932);
    assert_true(acme_json_int(json, "certType", &number) && number == 5153);
    assert_true(acme_json_int(json, "term", &number) && number == 199);
    assert_string_equal(acme_json_str(json, "comments"), RIG_TAG);
    assert_string_equal(acme_json_str(json, "subjAltNames"), "www.example.test,example.test");
    assert_string_equal(acme_json_str(json, "externalRequester"), "pki@example.test");
    assert_int_equal(strncmp(csr, "-----BEGIN CERTIFICATE REQUEST-----\n", 36), 0);
    assert_string_equal(csr + strlen(csr) - 33, "-----END CERTIFICATE REQUEST-----");
    bool typed = false;
    for (size_t i = 0; i < rig->step.call.header_count; i++)
        typed = typed || (strcmp(rig->step.call.headers[i].name, "Content-Type") == 0 &&
                          strncmp(rig->step.call.headers[i].value, "application/json", 16) == 0);
    assert_true(typed);
    assert_non_null(strstr(rig->state, "enrollSentAt"));
    assert_string_equal(rig->issuer->backend.transport.proxy, "http://proxy.example.test:3128");
    assert_null(rig->issuer->backend.transport.ca_file);
}

static void test_ip_identifier_is_refused(void **state)
{
    struct rig *rig = *state;
    struct acme_identifier mixed[] = {{ACME_IDENTIFIER_DNS, "www.example.test"},
                                      {ACME_IDENTIFIER_IP, "192.0.2.1"}};
    rig->request.identifiers = mixed;
    rig_start(rig);
    rig_expect_failed(rig, ACME_PROBLEM_UNSUPPORTED_IDENTIFIER);
    assert_int_equal(rig->enrolls, 0);
}

static void test_whole_path(void **state)
{
    struct rig *rig = *state;
    X509 *root_first[] = {rig->pki.root, rig->pki.intermediate, rig->leaf};
    rig_accepted(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", RIG_TAG, rig->csr_sha256));
    rig_expect_wait(rig, 5, false);
    rig_expect_note(rig, "approval");
    rig_timer(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Applied", RIG_TAG, rig->csr_sha256));
    rig_expect_wait(rig, 8, false);
    rig_timer(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Issued", RIG_TAG, rig->csr_sha256));
    rig_expect_call(rig, "GET", "/api/ssl/v1/collect/4242?format=x509");
    rig_reply_bytes(rig, 200, pki_pem(rig->arena, root_first, 3));
    rig_expect_issued(rig, 3);
    rig_expect_ref(rig, "4242");
    assert_int_equal(rig->enrolls, 1);
}

static void test_pace(void **state)
{
    struct rig *rig = *state;
    static const int64_t pace[] = {5, 8, 13, 21, 30, 60, 60, 60};
    rig_accepted(rig);
    int64_t accepted_ms = rig->now_ms - 3 * ACME_SECOND_MS;
    for (size_t i = 0; i < sizeof pace / sizeof pace[0]; i++) {
        rig_reply(rig, 200, rig_details(rig, 4242, "Approved", NULL, NULL));
        rig_expect_wait(rig, pace[i], false);
        rig_timer(rig);
        rig_expect_call(rig, "GET", "/api/ssl/v1/4242");
    }
    /* From then on it slows down with age, up to a bound. */
    static const int ages_h[] = {1, 2, 3, 10, 100};
    static const int64_t slow[] = {300, 600, 900, 900, 900};
    for (size_t i = 0; i < sizeof slow / sizeof slow[0]; i++) {
        rig->now_ms = accepted_ms + ages_h[i] * ACME_HOUR_MS;
        rig_reply(rig, 200, rig_details(rig, 4242, "Approved", NULL, NULL));
        rig_expect_wait(rig, slow[i], false);
        rig_timer(rig);
    }
    rig_reply_header(rig, 200, "retry-after", "900", rig_details(rig, 4242, "Approved", NULL, NULL));
    rig_expect_wait(rig, 900, false);
    rig_timer(rig);
    rig_reply_header(rig, 200, "retry-after", "1500", rig_details(rig, 4242, "Approved", NULL, NULL));
    rig_expect_wait(rig, 1500, false);
    assert_int_equal(rig->step.wait_until_ms - rig->now_ms, 1500 * ACME_SECOND_MS);
    rig_timer(rig);
    rig_reply_header(rig, 200, "retry-after", "2", rig_details(rig, 4242, "Approved", NULL, NULL));
    rig_expect_wait(rig, 900, false);
}

/* Requests made at the same time are not asked about at the same time. */
static void test_polls_are_spread(void **state)
{
    struct rig *rig = *state;
    int64_t waits_ms[6];
    rig_accepted(rig);
    for (size_t i = 0; i < 6; i++) {
        rig->now_ms += ACME_HOUR_MS;
        rig_reply(rig, 200, rig_details(rig, 4242, "Approved", NULL, NULL));
        rig_expect_wait(rig, i < 4 ? (const int[]){5, 8, 13, 21}[i] : i == 4 ? 30 : 60, false);
        waits_ms[i] = (rig->step.wait_until_ms - rig->now_ms) % 1000;
        rig_timer(rig);
    }
    size_t even = 0;
    for (size_t i = 0; i < 6; i++)
        even += waits_ms[i] == 0;
    assert_true(even < 3);
}

static void test_poll_max_is_kept(void **state)
{
    struct rig *rig = *state;
    const struct acme_scm_config config = {.url = "https://scm.example.test",
                                           .customer_uri = "corp",
                                           .login = "acme-api",
                                           .password = RIG_PASSWORD,
                                           .org_id = 8932,
                                           .profile_id = 5153,
                                           .term_days = 199,
                                           .poll_max_ms = 1000};
    acme_issuer_destroy(rig->issuer);
    assert_false(acme_failed(acme_scm_issuer_create("quick", &config, &rig->issuer)));
    rig_start(rig);
    assert_null(memmem(rig->step.call.body.data, rig->step.call.body.len, "externalRequester", 17));
    rig_reply(rig, 200, "{\"sslId\":4242}");
    rig_expect_wait(rig, 1, false);
}

static void test_statuses(void **state)
{
    static const struct {
        const char *status;
        enum acme_step_kind kind;
        enum acme_problem_type problem;
    } rows[] = {
        {"Init", ACME_STEP_WAIT, 0},
        {"Requested", ACME_STEP_WAIT, 0},
        {"SAApproved", ACME_STEP_WAIT, 0},
        {"SA Approved", ACME_STEP_WAIT, 0},
        {"Approved", ACME_STEP_WAIT, 0},
        {"APPLIED", ACME_STEP_WAIT, 0},
        {"Awaiting Approval", ACME_STEP_WAIT, 0},
        {"Enrolled - Pending Download", ACME_STEP_WAIT, 0},
        {"Downloaded", ACME_STEP_WAIT, 0},
        {"Issued", ACME_STEP_CALL, 0},
        {"issued", ACME_STEP_CALL, 0},
        {"Replaced", ACME_STEP_CALL, 0},
        {"Declined", ACME_STEP_FAILED, ACME_PROBLEM_UNAUTHORIZED},
        {"Rejected", ACME_STEP_FAILED, ACME_PROBLEM_REJECTED_IDENTIFIER},
        {"Invalid", ACME_STEP_FAILED, ACME_PROBLEM_BAD_CSR},
        {"Revoked", ACME_STEP_FAILED, ACME_PROBLEM_SERVER_INTERNAL},
        {"Expired", ACME_STEP_FAILED, ACME_PROBLEM_SERVER_INTERNAL},
        {"Unmanaged", ACME_STEP_FAILED, ACME_PROBLEM_SERVER_INTERNAL},
    };
    struct rig *rig = *state;
    rig_accepted(rig);
    const char *accepted = rig->state;
    const struct acme_step asked = rig->step;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rig->state = accepted;
        rig->step = asked;
        rig_reply(rig, 200, rig_details(rig, 4242, rows[i].status, RIG_TAG, NULL));
        if (rig->step.kind != rows[i].kind)
            fail_msg("%s: %s", rows[i].status, rig->step.note);
        if (rows[i].kind == ACME_STEP_FAILED)
            rig_expect_failed(rig, rows[i].problem);
        if (rows[i].kind != ACME_STEP_CALL) /* the status itself is in the note, unknown ones too */
            rig_expect_note(rig, rows[i].status);
        rig_expect_ref(rig, "4242");
    }
}

static void test_not_yet_flavours(void **state)
{
    static const struct {
        int status;
        const char *body;
        bool failure;
    } rows[] = {
        {400, "{\"code\":0,\"description\":\"Being processed by Sectigo\"}", false},
        {400, "{\"code\":-183,\"description\":\"Certificate is not collectable.\"}", false},
        {400, "{\"code\":\"-183\",\"description\":\"as text\"}", false},
        {400, "{\"code\":-1400,\"description\":\"The request is being processed by Sectigo.\"}", false},
        {400, "{\"code\":-103,\"description\":\"Certificate has not been collected yet.\"}", false},
        {400, "{\"code\":-109,\"description\":\"Certificate is not available now\",\"items\":[]}", false},
        {500, "{\"code\":-1400,\"description\":\"The request is being processed by Sectigo.\"}", false},
        {200, "", false},
        {200, "{\"code\":0,\"description\":\"Being processed by Sectigo\"}", false},
        {400, "{\"code\":-130,\"description\":\"SSL state is not 'ISSUED': Applied\"}", false},
        {400, "{\"code\":-169,\"description\":\"Certificate is not available\"}", false},
        {404, "", false},
        {400, "{\"code\":-124,\"description\":\"Wrong SSL certificate id 4242.\"}", false},
        {200, "certificate coming soon", true},
        {200, "-----BEGIN CERTIFICATE-----\nMIIB", true},
        {503, "<html>upstream connect error</html>", true},
        {429, "", true},
        {400, "{\"code\":-99999,\"description\":\"new in this release\"}", true},
        {302, "", true},
    };
    struct rig *rig = *state;
    rig_collecting(rig);
    const char *collecting = rig->state;
    const struct acme_step asked = rig->step;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rig->state = collecting;
        rig->step = asked;
        rig_reply(rig, rows[i].status, rows[i].body);
        rig_expect_wait(rig, 3, rows[i].failure);
        rig_timer(rig);
        rig_expect_call(rig, "GET", "/api/ssl/v1/4242");
        rig_reply(rig, 200, rig_details(rig, 4242, "Issued", RIG_TAG, NULL));
        rig_expect_call(rig, "GET", "/api/ssl/v1/collect/4242?format=x509");
        rig_reply(rig, rows[i].status, rows[i].body);
        rig_expect_wait(rig, 5, rows[i].failure); /* slower each time, though the status answers well */
    }
}

static void test_collect_refused_for_good(void **state)
{
    static const char *const bodies[] = {
        "{\"code\":-110,\"description\":\"Certificate has been revoked and cannot be downloaded.\"}",
        "{\"code\":-192,\"description\":\"revoked\"}",
        "{\"code\":-126,\"description\":\"Unknown SSL certificate file format requested: x509\"}",
        "{\"code\":-1450,\"description\":\"Unsupported certificate format specified: x509\"}",
    };
    struct rig *rig = *state;
    rig_collecting(rig);
    const char *collecting = rig->state;
    const struct acme_step asked = rig->step;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        rig->state = collecting;
        rig->step = asked;
        rig_reply(rig, 400, bodies[i]);
        rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    }
}

static void test_collect_patience_ends(void **state)
{
    struct rig *rig = *state;
    rig_collecting(rig);
    const int64_t begun_ms = rig->now_ms;
    int rounds = 0;
    for (; rounds < 1000; rounds++) {
        rig_reply(rig, 200, "");
        if (rig->step.kind != ACME_STEP_WAIT)
            break;
        rig_timer(rig);
        rig_reply(rig, 200, rig_details(rig, 4242, "Issued", RIG_TAG, NULL));
    }
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    assert_true(rig->now_ms - begun_ms >= ACME_DAY_MS);
    assert_true(rounds < 320);
}

static void test_containers(void **state)
{
    struct rig *rig = *state;
    X509 *shuffled[] = {rig->pki.intermediate, rig->leaf, rig->pki.root};
    struct acme_bytes pem = pki_pem(rig->arena, shuffled, 3);
    uint8_t *crlf = acme_arena_alloc(rig->arena, 2 * pem.len);
    assert_non_null(crlf);
    size_t len = 0;
    for (size_t i = 0; i < pem.len; i++) {
        if (pem.data[i] == '\n')
            crlf[len++] = '\r';
        crlf[len++] = pem.data[i];
    }
    const struct acme_bytes bodies[] = {
        pem,
        {.data = crlf, .len = len},
        pki_pkcs7(rig->arena, shuffled, 3, true),
        pki_pkcs7(rig->arena, shuffled, 3, false),
    };
    rig_collecting(rig);
    const char *collecting = rig->state;
    const struct acme_step asked = rig->step;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        rig->state = collecting;
        rig->step = asked;
        rig_reply_bytes(rig, 200, bodies[i]);
        rig_expect_issued(rig, 3);
    }
}

static void test_issuers_fetched_separately(void **state)
{
    struct rig *rig = *state;
    X509 *issuers[] = {rig->pki.root, rig->pki.intermediate, rig->leaf};
    rig_collecting(rig);
    rig_reply_bytes(rig, 200, pki_pem(rig->arena, &rig->leaf, 1));
    rig_expect_call(rig, "GET", "/api/ssl/v1/collect/4242?format=x509IO");
    const char *asked_state = rig->state;
    const struct acme_step asked = rig->step;
    rig_reply_bytes(rig, 200, pki_pem(rig->arena, issuers, 3));
    rig_expect_issued(rig, 3); /* the leaf only once */

    rig->state = asked_state;
    rig->step = asked;
    rig_reply(rig, 502, "<html>");
    rig_expect_wait(rig, 3, true);
    assert_null(strstr(rig->state, "BEGIN CERTIFICATE"));
    rig_timer(rig);
    rig_expect_call(rig, "GET", "/api/ssl/v1/4242");

    rig->state = asked_state;
    rig->step = asked;
    rig_call_failed(rig, true);
    rig_expect_wait(rig, 5, true);

    rig->state = asked_state;
    rig->step = asked;
    rig_reply_bytes(rig, 200, pki_pem(rig->arena, issuers, 1)); /* the root alone does not help */
    rig_expect_wait(rig, 3, true);
}

static void test_replaced_needs_the_right_key(void **state)
{
    struct rig *rig = *state;
    rig_accepted(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Replaced", RIG_TAG, NULL));
    rig_expect_call(rig, "GET", "/api/ssl/v1/collect/4242?format=x509");
    const char *collecting = rig->state;
    const struct acme_step asked = rig->step;
    X509 *good[] = {rig->leaf, rig->pki.intermediate};
    rig_reply_bytes(rig, 200, pki_pem(rig->arena, good, 2));
    rig_expect_issued(rig, 2);

    EVP_PKEY *other_key = EVP_EC_gen("P-256");
    X509 *other_leaf = pki_leaf(&rig->pki, other_key, rig_names, 2);
    X509 *other[] = {other_leaf, rig->pki.intermediate};
    rig->state = collecting;
    rig->step = asked;
    rig_reply_bytes(rig, 200, pki_pem(rig->arena, other, 2));
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    X509_free(other_leaf);
    EVP_PKEY_free(other_key);
}

static void test_gone(void **state)
{
    static const char *const coded = "{\"code\":-124,\"description\":\"Wrong SSL certificate id 4242.\"}";
    struct rig *rig = *state;
    rig_accepted(rig);
    const char *accepted = rig->state;
    const struct acme_step asked = rig->step;
    const int64_t begun_ms = rig->now_ms;

    rig_reply(rig, 400, coded); /* within 30 s: replication */
    rig_expect_wait(rig, 5, false);
    rig_timer(rig);
    rig_reply(rig, 404, "{\"code\":\"-5101\",\"description\":\"Certificate not found.\"}");
    rig_expect_wait(rig, 8, false);
    rig->now_ms += ACME_MINUTE_MS;
    rig_restart(rig, ACME_EVENT_TIMER);
    rig_reply(rig, 400, coded);
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);

    /* A 404 that is not SCM's own is believed much later only. */
    rig->state = accepted;
    rig->step = asked;
    rig->now_ms = begun_ms + ACME_MINUTE_MS;
    rig_reply(rig, 404, "default backend - 404");
    rig_expect_wait(rig, 5, true);
    rig_timer(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Applied", NULL, NULL)); /* the gateway is well again */
    rig_expect_wait(rig, 5, false);
    rig_timer(rig);
    int rounds = 0;
    for (; rounds < 20 && rig->step.kind == ACME_STEP_CALL; rounds++) {
        rig_reply(rig, 404, "");
        if (rig->step.kind == ACME_STEP_WAIT)
            rig_timer(rig);
    }
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    assert_true(rounds >= 5);
}

static void test_trouble_while_following(void **state)
{
    static const struct {
        int status;
        const char *body;
    } rows[] = {
        {503, "upstream connect error or disconnect/reset before headers"},
        {500, "{\"code\":-2,\"description\":\"Internal error.\"}"},
        {429, ""},
        {200, ""},
        {200, "<html><body>maintenance</body></html>"},
        {200, "{\"sslId\":4242,\"status\":\"Iss"},
        {200, "{\"sslId\":4242,\"status\":5}"},
        {200, "{\"sslId\":4242}"},
        {200, "[]"},
        {200, "null"},
        {200, "{\"sslId\":17,\"status\":\"Issued\"}"},
        {400, "{\"code\":-424242,\"description\":\"never heard of\"}"},
        {400, "{\"code\":[1],\"description\":7}"},
        {302, ""},
    };
    struct rig *rig = *state;
    rig_accepted(rig);
    const char *accepted = rig->state;
    const struct acme_step asked = rig->step;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        static const int64_t backoff[] = {5, 10, 20, 40, 80, 160, 300, 300};
        rig->state = accepted;
        rig->step = asked;
        for (size_t k = 0; k < sizeof backoff / sizeof backoff[0]; k++) {
            rig_reply(rig, rows[i].status, rows[i].body);
            rig_expect_wait(rig, backoff[k], true);
            rig_expect_ref(rig, "4242");
            rig_timer(rig);
            rig_expect_call(rig, "GET", "/api/ssl/v1/4242");
        }
    }
    rig->state = accepted;
    rig->step = asked;
    rig_reply_header(rig, 429, "retry-after", "120", "");
    rig_expect_wait(rig, 120, true);
    rig_timer(rig);
    rig_call_failed(rig, true);
    rig_expect_wait(rig, 10, true);
    rig_expect_note(rig, "timed out");
    rig_timer(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Applied", NULL, NULL)); /* forgets the failures */
    rig_expect_wait(rig, 5, false);
    rig_timer(rig);
    rig_call_failed(rig, false);
    rig_expect_wait(rig, 5, true);
}

static void test_login_refused_waits_for_the_operator(void **state)
{
    struct rig *rig = *state;
    rig_accepted(rig);
    static const int64_t waits[] = {60, 120, 240, 480, 900, 900};
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        rig_reply(rig, 401, "{\"code\": -16, \"description\": \"Unknown user\"}");
        rig_expect_wait(rig, waits[i], true);
        rig_expect_note(rig, "login");
        rig_timer(rig);
    }
    rig_reply(rig, 200, rig_details(rig, 4242, "Issued", NULL, NULL));
    rig_expect_call(rig, "GET", "/api/ssl/v1/collect/4242?format=x509");
    rig_reply(rig, 403, "");
    rig_expect_wait(rig, 60, true);
}

static void test_deadline(void **state)
{
    struct rig *rig = *state;
    rig_accepted(rig);
    rig->now_ms = rig->request.deadline_ms - 10 * ACME_SECOND_MS;
    rig_reply_header(rig, 200, "retry-after", "3600", rig_details(rig, 4242, "Requested", NULL, NULL));
    rig_expect_wait(rig, 10, false); /* cut to the deadline, where the status is asked a last time */
    rig_timer(rig);
    rig_expect_call(rig, "GET", "/api/ssl/v1/4242");
    const char *asked_state = rig->state;
    const struct acme_step asked = rig->step;
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", NULL, NULL));
    rig_expect_call(rig, "POST", "/api/ssl/v1/decline/4242");
    rig_expect_note(rig, "deadline");
    rig_expect_note(rig, "Requested");
    rig_reply(rig, 204, "");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "withdrawn (declined)");
    rig_expect_ref(rig, "4242");

    rig->state = asked_state;
    rig->step = asked;
    rig_reply(rig, 200, rig_details(rig, 4242, "Issued", NULL, NULL));
    X509 *certs[] = {rig->leaf, rig->pki.intermediate};
    rig_reply_bytes(rig, 200, pki_pem(rig->arena, certs, 2));
    rig_expect_issued(rig, 2);
}

static void test_no_enroll_after_the_deadline(void **state)
{
    struct rig *rig = *state;
    rig->now_ms = rig->request.deadline_ms;
    rig_start(rig);
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    assert_int_equal(rig->enrolls, 0);
}

static void test_restart_anywhere(void **state)
{
    struct rig *rig = *state;
    rig_accepted(rig);
    rig_restart(rig, ACME_EVENT_TIMER); /* died while the status was asked for */
    rig_expect_call(rig, "GET", "/api/ssl/v1/4242");
    rig_restart(rig, ACME_EVENT_RECOVER);
    rig_expect_call(rig, "GET", "/api/ssl/v1/4242");
    rig_reply(rig, 200, rig_details(rig, 4242, "Issued", NULL, NULL));
    rig_restart(rig, ACME_EVENT_TIMER); /* died while collecting */
    rig_expect_call(rig, "GET", "/api/ssl/v1/4242");
    rig_reply(rig, 200, rig_details(rig, 4242, "Issued", NULL, NULL));
    rig_reply_bytes(rig, 200, pki_pem(rig->arena, &rig->leaf, 1));
    rig_restart(rig, ACME_EVENT_TIMER); /* died between leaf and issuers */
    rig_expect_call(rig, "GET", "/api/ssl/v1/4242");
    assert_int_equal(rig->enrolls, 1);
}

static void test_create_checks_header_values(void **state)
{
    (void)state;
    const struct acme_scm_config good = {.url = "https://scm.example.test",
                                         .customer_uri = "corp",
                                         .login = "acme",
                                         .password = "x",
                                         .org_id = 1,
                                         .profile_id = 2,
                                         .term_days = 3};
    struct acme_issuer *issuer = NULL;
    struct acme_scm_config bad = good;
    bad.password = "two\r\nlines";
    assert_int_equal(acme_scm_issuer_create("x", &bad, &issuer).code, ACME_E_FORMAT);
    bad = good;
    bad.customer_uri = "";
    assert_int_equal(acme_scm_issuer_create("x", &bad, &issuer).code, ACME_E_FORMAT);
    bad = good;
    bad.term_days = 0;
    assert_int_equal(acme_scm_issuer_create("x", &bad, &issuer).code, ACME_E_FORMAT);
    assert_null(issuer);
    assert_int_equal(acme_scm_issuer_create("x", &good, &issuer).code, ACME_OK);
    assert_int_equal(issuer->backend.deadline_ms, 7 * ACME_DAY_MS);
    assert_true(issuer->backend.max_concurrency > 0);
    acme_issuer_destroy(issuer);
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_enroll_request),
        WITH_RIG(test_ip_identifier_is_refused),
        WITH_RIG(test_whole_path),
        WITH_RIG(test_pace),
        WITH_RIG(test_polls_are_spread),
        WITH_RIG(test_poll_max_is_kept),
        WITH_RIG(test_statuses),
        WITH_RIG(test_not_yet_flavours),
        WITH_RIG(test_collect_refused_for_good),
        WITH_RIG(test_collect_patience_ends),
        WITH_RIG(test_containers),
        WITH_RIG(test_issuers_fetched_separately),
        WITH_RIG(test_replaced_needs_the_right_key),
        WITH_RIG(test_gone),
        WITH_RIG(test_trouble_while_following),
        WITH_RIG(test_login_refused_waits_for_the_operator),
        WITH_RIG(test_deadline),
        WITH_RIG(test_no_enroll_after_the_deadline),
        WITH_RIG(test_restart_anywhere),
        cmocka_unit_test(test_create_checks_header_values),
    };
    return cmocka_run_group_tests_name("backends/scm path", tests, NULL, NULL);
}
