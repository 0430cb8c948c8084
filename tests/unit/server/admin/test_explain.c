/* server/admin_explain*.c: the words for orders in every state. */
#include "rig.h"

static const cJSON *explain(struct rig *r, const char *order_id)
{
    return rig_ask(r,
                   acme_arena_printf(r->f->arena, "{\"command\":\"order explain\",\"id\":\"%s\"}", order_id));
}

/* Where an event with this text is; fails when there is none. */
static int event_at(const cJSON *told, const char *text)
{
    const cJSON *event;
    int at = 0;
    cJSON_ArrayForEach(event, acme_json_get(told, "events"))
    {
        if (strstr(acme_json_str(event, "text"), text) != NULL)
            return at;
        at++;
    }
    char *all = cJSON_Print(told);
    fail_msg("no event with '%s' in %s", text, all);
    return -1;
}

static void expect_time(const cJSON *told, const char *text, const char *time)
{
    const cJSON *event = cJSON_GetArrayItem(acme_json_get(told, "events"), event_at(told, text));
    const char *found = acme_json_str(event, "time");
    if (time == NULL)
        assert_null(found);
    else
        assert_string_equal(found, time);
}

static void expect_next(const cJSON *told, const char *status, const char *next, const char *until,
                        const char *advice)
{
    assert_string_equal(acme_json_str(told, "status"), status);
    if (strstr(acme_json_str(told, "next"), next) == NULL ||
        strstr(acme_json_str(told, "advice"), advice) == NULL)
        fail_msg("'%s' / '%s'", acme_json_str(told, "next"), acme_json_str(told, "advice"));
    if (until == NULL)
        assert_null(acme_json_str(told, "until"));
    else
        assert_string_equal(acme_json_str(told, "until"), until);
}

static void pending_and_expired(void **state)
{
    struct rig *r = *state;
    struct fixture *f = r->f;
    struct acme_account account = {.id = fixture_id(f),
                                   .jwk = "{}",
                                   .thumbprint = "t",
                                   .contacts = "[\"mailto:a@example.com\",\"mailto:b@example.com\"]",
                                   .external_kid = "team-7",
                                   .created_ms = NOW};
    bool created = false;
    assert_ok(acme_store_account_create(f->store, f->arena, &account, &account, &created));
    struct acme_order order =
        fixture_order(f, account.id, (const char *const[]){"a.example", "*.b.example", NULL});
    const cJSON *told = explain(r, order.id);
    expect_time(told,
                "ordered a certificate for a.example, *.b.example under the profile default (contacts: "
                "mailto:a@example.com, mailto:b@example.com; external account: team-7)",
                "1970-01-01T00:16:40Z");
    (void)event_at(told, account.id);
    (void)event_at(told, "a.example: the client has not answered any of 2 challenges");
    (void)event_at(told, "*.b.example: the client has not answered any of 2 challenges");
    expect_next(told, "pending", "2 of 2 names are still to be proved", "1970-01-08T00:16:40Z",
                "look at its log");

    r->now_ms = NOW + 8 * (int64_t)DAY;
    told = explain(r, order.id);
    expect_time(told, "the order expired before it was finalized", "1970-01-08T00:16:40Z");
    expect_next(told, "expired", "nothing: the order has expired", NULL, "new order");
}

static void validating(void **state)
{
    struct rig *r = *state;
    struct fixture *f = r->f;
    struct acme_order order = fixture_order(f, fixture_account(f), (const char *const[]){"a.example", NULL});
    struct acme_authz authz;
    assert_ok(acme_store_authz_get(f->store, f->arena, order.authz_ids[0], &authz));
    struct acme_job job = fixture_job(f, ACME_VALIDATION_QUEUE);
    job.share = order.account_id;
    const char *challenge = authz.challenges[0].id;
    assert_ok(acme_store_challenge_start(f->store, challenge, &job, &fixture_lease, NOW + 1000));
    const cJSON *told = explain(r, order.id);
    expect_time(told, "a.example: the client asked to be validated by http-01", "1970-01-01T00:16:41Z");
    (void)event_at(told, "a.example: tries that failed so far: 0; one is under way");
    assert_ok(acme_store_challenge_progress(
        f->store, challenge, job.id, "me",
        "{\"type\":\"urn:ietf:params:acme:error:connection\",\"detail\":\"refused\"}", r->now_ms + 3000, 2));
    told = explain(r, order.id);
    (void)event_at(told, "a.example: http-01 did not succeed yet: refused [connection]");
    (void)event_at(told, "tries that failed so far: 2; the next one is at 1970-01-01T00:17:43Z (in 3 s)");
    expect_next(told, "pending", "acmebridge validates; 1 of 1 names", "1970-01-08T00:16:40Z", "last error");
}

static void failed_validation(void **state)
{
    struct rig *r = *state;
    struct fixture *f = r->f;
    struct acme_order order = fixture_order(f, fixture_account(f), (const char *const[]){"a.example", NULL});
    fixture_validate(
        f, order.authz_ids[0],
        "{\"type\":\"urn:ietf:params:acme:error:dns\",\"detail\":\"no such name\",\"subproblems\":"
        "[{\"detail\":\"why\",\"identifier\":{\"type\":\"dns\",\"value\":\"x.example\"}}]}");
    const cJSON *told = explain(r, order.id);
    (void)event_at(told, "a.example: http-01 failed: no such name; x.example: why [dns]");
    expect_time(told, "the order is invalid: no such name", NULL);
    assert_int_equal(event_at(told, "the order is invalid"),
                     cJSON_GetArraySize(acme_json_get(told, "events")) - 1);
    expect_next(told, "invalid", "nothing: the order has failed", NULL, "makes a new one");
}

static void ready(void **state)
{
    struct rig *r = *state;
    struct acme_order order = fixture_ready_order(r->f, fixture_account(r->f), "a.example");
    const cJSON *told = explain(r, order.id);
    expect_time(told, "a.example: validated by http-01", "1970-01-01T00:16:40Z");
    expect_next(told, "ready", "send its CSR", "1970-01-08T00:16:40Z", "look at its log");
}

static void waiting_at_the_issuer(void **state)
{
    struct rig *r = *state;
    struct fixture *f = r->f;
    struct acme_order order = fixture_ready_order(f, fixture_account(f), "a.example");
    const char *job = fixture_id(f);
    struct acme_issuance issuance = rig_finalize(r, &order, "k1", job);
    const cJSON *told = explain(r, order.id);
    expect_time(told,
                "the client finalized: key of an unknown kind, CSR with the SHA-256 0123456789abcdef...",
                "1970-01-01T00:16:41Z");
    (void)event_at(told, acme_arena_printf(f->arena,
                                           "issuance %s began at the issuer lab (SCM); it has to end by "
                                           "1970-01-08T00:16:40Z (in 6 d 23 h)",
                                           issuance.id));
    expect_next(told, "processing", "at work on it right now", "1970-01-08T00:16:40Z", "ask again");

    struct acme_job_remark remark = {.note = "enroll", .noted_ms = NOW + 2000};
    assert_ok(acme_store_job_save(f->store, job, &fixture_lease, "{}", true, &remark));
    told = explain(r, order.id);
    (void)event_at(told, "a call that must not happen twice was announced");

    remark = (struct acme_job_remark){
        .note = "waits for approval", .noted_ms = NOW + 3000, .upstream_ref = "4242"};
    assert_ok(acme_store_job_wait(f->store, job, "me", "{\"n\":1}", r->now_ms + 3700000, 0, &remark));
    told = explain(r, order.id);
    (void)event_at(told, "the upstream's number of the request is 4242");
    (void)event_at(told, "last word of the issuer, of 1970-01-01T00:16:43Z (57 s ago): waits for approval");
    expect_next(told, "processing", "asks lab again at 1970-01-01T01:19:20Z (in 1 h 1 min)",
                "1970-01-08T00:16:40Z", "if the request 4242 waits for approval");

    /* A note and a number stay until there are others. */
    struct acme_lease lease = {.owner = "me", .until_ms = r->now_ms + 9000000};
    struct acme_job *claimed = NULL;
    size_t count = 0;
    assert_ok(acme_store_jobs_claim(f->store, f->arena, "lab", r->now_ms + 3700000, &lease, 1,
                                    &(struct acme_turns){.last = ""}, &claimed, &count));
    assert_int_equal(count, 1);
    assert_ok(acme_store_job_wait(f->store, job, "me",
                                  "{\"dcv\":[{\"domain\":\"a.example\",\"mode\":\"CNAME\","
                                  "\"host\":\"_x.a.example\",\"point\":\"y.ca.example\","
                                  "\"n\":1},{},7]}",
                                  r->now_ms + 1000, 2, NULL));
    told = explain(r, order.id);
    (void)event_at(told, "waits for approval");
    (void)event_at(told, "attempts failed so far: 2");
    (void)event_at(told, "the CA wants proof of a.example by CNAME; host: _x.a.example; point: y.ca.example");
    assert_int_equal(cJSON_GetArraySize(acme_json_get(told, "dcv")), 3);
    expect_next(told, "processing", "asks lab again", "1970-01-08T00:16:40Z", "publish what the CA wants");

    assert_ok(acme_store_jobs_claim(f->store, f->arena, "lab", r->now_ms + 1000, &lease, 1,
                                    &(struct acme_turns){.last = ""}, &claimed, &count));
    assert_ok(acme_store_job_wait(f->store, job, "me",
                                  "{\"dcv\":[{\"domain\":\"a.example\",\"status\":\"Validated\"}]}",
                                  r->now_ms, 0, NULL));
    told = explain(r, order.id);
    (void)event_at(told, "the CA has proof of a.example by a way it did not name; status: Validated");
    expect_next(told, "processing", "asks lab again", "1970-01-08T00:16:40Z", "if the request 4242 waits");

    /* Challenges that a CA behind the issuer gives it. */
    assert_ok(acme_store_jobs_claim(f->store, f->arena, "lab", r->now_ms + 1000, &lease, 1,
                                    &(struct acme_turns){.last = ""}, &claimed, &count));
    assert_ok(acme_store_job_wait(
        f->store, job, "me",
        "{\"dv\":[{\"domain\":\"a.example\",\"status\":\"Awaiting user\",\"error\":\"DNS_ERROR\","
        "\"http\":{\"url\":\"http://a.example/x\",\"body\":\"x.y\"},"
        "\"dns\":{\"name\":\"_acme-challenge.a.example.\",\"value\":\"xyz\"}},"
        "{\"domain\":\"b.example\",\"status\":\"VALID\",\"http\":{\"url\":\"u\",\"body\":\"b\"}},{},7]}",
        r->now_ms, 0, NULL));
    told = explain(r, order.id);
    (void)event_at(told, "the CA wants proof of a.example (Awaiting user: DNS_ERROR); http-01: "
                         "http://a.example/x with the content x.y; dns-01: TXT record "
                         "_acme-challenge.a.example. with the value xyz");
    (void)event_at(told, "the CA has proof of b.example (VALID)");
    assert_int_equal(cJSON_GetArraySize(acme_json_get(told, "dv")), 4);
    expect_next(told, "processing", "asks lab again", "1970-01-08T00:16:40Z", "if the profile's dv leaves");

    r->config.issuer_count = 0;
    told = explain(r, order.id);
    expect_next(told, "processing", "no issuer lab any more", "1970-01-08T00:16:40Z",
                "back into the configuration");
}

static void joined_adopted_and_delivered(void **state)
{
    struct rig *r = *state;
    struct fixture *f = r->f;
    const char *account = fixture_account(f);
    struct acme_order first = fixture_ready_order(f, account, "a.example");
    struct acme_order second = fixture_ready_order(f, account, "a.example");
    struct acme_order third = fixture_ready_order(f, account, "a.example");
    const char *job = fixture_id(f);
    struct acme_issuance issuance = rig_finalize(r, &first, "k1", job);
    assert_string_equal(rig_finalize(r, &second, "k1", fixture_id(f)).id, issuance.id);
    const char *joined = acme_arena_printf(f->arena, "it joined issuance %s, under way", issuance.id);
    (void)event_at(explain(r, second.id), joined);
    (void)event_at(explain(r, second.id), acme_arena_printf(f->arena, "for the earlier order %s", first.id));

    struct acme_certificate certificate = fixture_certificate(f, account);
    certificate.created_ms = NOW + 1000;
    assert_ok(acme_store_issuance_issued(f->store, issuance.id, job, "me", "4242", &certificate));
    certificate.created_ms = NOW + 500;
    assert_string_equal(rig_finalize(r, &third, "k1", fixture_id(f)).id, issuance.id);
    const cJSON *told = explain(r, third.id);
    (void)event_at(told, "it adopted the certificate");
    told = explain(r, first.id);
    expect_time(told, "was issued: serial 0102, valid from", "1970-01-01T00:16:41Z");
    (void)event_at(told, "upstream number 4242");
    expect_next(told, "valid", "the client downloads the certificate", "1970-04-01T00:16:40Z",
                "run it again");

    acme_store_certificate_downloaded(f->store, certificate.id, NOW + 9000);
    assert_ok(acme_store_value_set(f->store, "wait for the writer", (struct acme_bytes){.data = NULL}));
    told = explain(r, first.id);
    expect_time(told, "the client downloaded it for the first time", "1970-01-01T00:16:49Z");
    expect_next(told, "valid", "renews it in time", "1970-04-01T00:16:40Z", "nothing has to be done");

    r->now_ms = NOW + 100 * (int64_t)DAY;
    told = explain(r, first.id);
    expect_time(told, "the certificate expired", "1970-04-01T00:16:40Z");
    expect_next(told, "valid", "nothing: the certificate has expired", NULL, "a new one");
}

static void revoked(void **state)
{
    struct rig *r = *state;
    struct fixture *f = r->f;
    const char *account = fixture_account(f);
    struct acme_order order = fixture_ready_order(f, account, "a.example");
    const char *job_id = fixture_id(f);
    struct acme_issuance issuance = rig_finalize(r, &order, "k1", job_id);
    struct acme_certificate certificate = fixture_certificate(f, account);
    assert_ok(acme_store_issuance_issued(f->store, issuance.id, job_id, "me", NULL, &certificate));
    enum acme_revoke_outcome outcome;
    struct acme_job job = fixture_job(f, "lab");
    job.share = account;
    assert_ok(acme_store_revocation_start(f->store, f->arena, &certificate, 4, &job, &fixture_lease,
                                          NOW + 2000, &outcome));
    struct acme_job_remark remark = {.note = "asked", .noted_ms = NOW + 3000};
    assert_ok(acme_store_job_save(f->store, job.id, &fixture_lease, "{}", true, &remark));
    const cJSON *told = explain(r, order.id);
    expect_time(told, "revocation was requested (reason 4)", "1970-01-01T00:16:42Z");
    (void)event_at(told, "last word of the issuer, of 1970-01-01T00:16:43Z (57 s ago): asked");
    expect_next(told, "valid", "is asked to revoke", "1970-04-01T00:16:40Z", "log");
    assert_ok(acme_store_revocation_end(f->store, certificate.id, job.id, "me", NOW + 4000, NULL));
    told = explain(r, order.id);
    expect_time(told, "the certificate was revoked", "1970-01-01T00:16:44Z");
    expect_next(told, "valid", "nothing: the certificate is revoked", NULL, "a new one");
}

static void failed_issuance(void **state)
{
    static const struct {
        const char *type;
        const char *advice;
    } failures[] = {
        {"serverInternal", "search the server's log"}, {"caa", "CAA records"}, {"badCSR", "a new one"}};
    struct rig *r = *state;
    struct fixture *f = r->f;
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        struct acme_order order = fixture_ready_order(f, fixture_account(f), "a.example");
        const char *job = fixture_id(f);
        struct acme_issuance issuance = rig_finalize(r, &order, "k1", job);
        const char *error = acme_arena_printf(
            f->arena, "{\"type\":\"urn:ietf:params:acme:error:%s\",\"detail\":\"declined\"}",
            failures[i].type);
        assert_ok(acme_store_issuance_failed(f->store, issuance.id, job, "me", "4242", error));
        const cJSON *told = explain(r, order.id);
        (void)event_at(told, "the upstream's number of the request was 4242");
        expect_time(told,
                    acme_arena_printf(f->arena, "the issuance failed and the order is invalid: declined [%s]",
                                      failures[i].type),
                    NULL);
        expect_next(told, "invalid", "nothing: the order has failed", NULL, failures[i].advice);
    }
}

/* What only the operator can decide: told, shown, and decided once. */
static void asks_the_operator(void **state)
{
    struct rig *r = *state;
    struct fixture *f = r->f;
    struct acme_order order = fixture_ready_order(f, fixture_account(f), "a.example");
    const char *job_id = fixture_id(f);
    const char *question =
        acme_arena_printf(f->arena, "{\"command\":\"order acknowledge\",\"id\":\"%s\"}", order.id);
    assert_string_equal(rig_refusal(r, question), "nothing-asked");
    struct acme_issuance issuance = rig_finalize(r, &order, "key", job_id);
    assert_string_equal(rig_refusal(r, question), "nothing-asked");

    const struct acme_job_question asked = {.key = "0123456789abcdef",
                                            .text = "Deploy the change?",
                                            .details = "warning one\nwarning two",
                                            .deadline_ms = NOW + DAY,
                                            .asked_ms = NOW + 2000};
    const struct acme_job_remark remark = {.note = "waits", .asks = true, .question = &asked};
    assert_ok(acme_store_job_wait(f->store, job_id, "me", "{}", NOW + DAY, 0, &remark));
    const cJSON *told = explain(r, order.id);
    expect_time(told, "the operator is asked: Deploy the change?", "1970-01-01T00:16:42Z");
    (void)event_at(told, "  warning two");
    (void)event_at(told, "it has to be decided by 1970-01-02T00:16:40Z");
    expect_next(told, "processing", "the operator decides: Deploy the change?", "1970-01-02T00:16:40Z",
                "--acknowledge --key 0123456789abcdef");
    assert_string_equal(acme_json_str(acme_json_get(told, "question"), "key"), "0123456789abcdef");

    const cJSON *shown = acme_json_get(rig_ask(r, question), "question");
    assert_string_equal(acme_json_str(shown, "details"), "warning one\nwarning two");
    assert_null(acme_json_str(shown, "answer"));

    static const char *const wrong[] = {"fedcba9876543210", "0123456", "0123456789abcdef0"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_string_equal(
            rig_refusal(r, acme_arena_printf(f->arena,
                                             "{\"command\":\"order acknowledge\",\"id\":\"%s\","
                                             "\"decision\":\"deny\",\"key\":\"%s\"}",
                                             order.id, wrong[i])),
            "changed");
    shown = acme_json_get(
        rig_ask(r, acme_arena_printf(f->arena,
                                     "{\"command\":\"order acknowledge\",\"id\":\"%s\","
                                     "\"decision\":\"acknowledge\",\"key\":\"01234567\",\"by\":\"eve\"}",
                                     order.id)),
        "question");
    assert_string_equal(acme_json_str(shown, "answer"), "acknowledge");
    told = explain(r, order.id);
    (void)event_at(told, "eve acknowledged it");
    expect_next(told, "processing", "acmebridge asks lab again", "1970-01-08T00:16:40Z", "");

    struct acme_job_report report;
    assert_ok(acme_store_job_find(f->store, f->arena, "lab", issuance.account_id, issuance.id, &report));
    assert_int_equal(report.due_ms, r->now_ms);
}

static void tells_of_children(void **state)
{
    struct rig *r = *state;
    struct fixture *f = r->f;
    struct acme_order order = fixture_ready_order(f, fixture_account(f), "a.example");
    const char *job_id = fixture_id(f);
    struct acme_issuance issuance = rig_finalize(r, &order, ACME_KEY_AT_EDGE, job_id);
    struct acme_issuance child = issuance;
    struct acme_job child_job = fixture_job(f, "signer");
    child_job.share = issuance.account_id;
    child.id = fixture_id(f);
    child.issuer = "signer";
    child.parent_id = issuance.id;
    child.label = "rsa";
    const struct acme_job_remark remark = {.note = "waits for the signer", .noted_ms = NOW};
    const struct acme_delegation delegation = {.child = &child,
                                               .child_job = &child_job,
                                               .child_lease = &fixture_lease,
                                               .job_id = job_id,
                                               .owner = "me",
                                               .state = "{}",
                                               .run_at_ms = NOW + DAY,
                                               .remark = &remark};
    bool started = false;
    assert_ok(acme_store_delegate(f->store, f->arena, &delegation, &started));
    const struct acme_job_remark word = {
        .note = "waits for approval", .noted_ms = NOW + 1000, .upstream_ref = "4711"};
    assert_ok(acme_store_job_wait(f->store, child_job.id, "me", "{}", NOW + DAY, 0, &word));
    const cJSON *told = explain(r, order.id);
    (void)event_at(told, "the profile keeps the key at the edge");
    (void)event_at(told, "it needs a certificate (rsa) of the issuer signer");
    (void)event_at(told, "waits for approval");
    (void)event_at(told, "its number at the issuer signer is 4711");

    r->config.profile_count = 0;
    struct acme_job *jobs = NULL;
    size_t count = 0;
    const struct acme_lease again = {.owner = "me", .until_ms = NOW + 2 * (int64_t)DAY};
    assert_ok(acme_store_jobs_claim(f->store, f->arena, "signer", NOW + DAY, &again, 1,
                                    &(struct acme_turns){.last = ""}, &jobs, &count));
    assert_int_equal(count, 1);
    assert_ok(acme_store_issuance_failed(f->store, child.id, child_job.id, "me", "4711",
                                         "{\"type\":\"urn:x:y\",\"detail\":\"declined\"}"));
    told = explain(r, order.id);
    (void)event_at(told, "the issuer signer has failed: declined [y]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pending_and_expired, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(asks_the_operator, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(tells_of_children, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(validating, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(failed_validation, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(ready, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(waiting_at_the_issuer, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(joined_adopted_and_delivered, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(revoked, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(failed_issuance, rig_setup, rig_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
