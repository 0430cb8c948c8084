/* Recovery of the SCM issuer: the outcome of an enroll is open, nothing may be requested twice. */
#include "cmocka_all.h"

#include "base/buf.h"
#include "scm_rig.h"

#include <string.h>

#define CN_QUERY  "commonName=www.example.test"
#define OTHER_TAG "acmebridge/01890a5d-ac96-774b-bcce-b302099affff"

static void expect_candidate(struct rig *rig, int ssl_id)
{
    rig_expect_call(rig, "GET", rig_format(rig, "/api/ssl/v1/%d", ssl_id));
    assert_false(rig->step.once);
}

/* The enroll was sent, the answer never came. */
static void lose_answer(struct rig *rig)
{
    rig_start(rig);
    rig_expect_enroll(rig);
    rig->now_ms += 2 * ACME_SECOND_MS;
    rig_call_failed(rig, true);
    rig_expect_search(rig, CN_QUERY, true, 0);
    rig_expect_note(rig, "timed out");
}

static void find_4242(struct rig *rig)
{
    rig_reply_header(rig, 200, "x-total-count", "1",
                     "[{\"sslId\":4242,\"commonName\":\"www.example.test\"}]");
    expect_candidate(rig, 4242);
    assert_null(rig->step.upstream_ref); /* not known to be ours yet */
}

static void expect_following_4242(struct rig *rig)
{
    rig_expect_call(rig, "GET", "/api/ssl/v1/4242");
    rig_expect_ref(rig, "4242");
    rig_expect_note(rig, "4242");
    rig_reply(rig, 200, rig_details(rig, 4242, "Applied", NULL, NULL));
    rig_expect_wait(rig, 3, false);
    assert_int_equal(rig->enrolls, 1);
}

/* An empty round: both searches answer with nothing. */
static void empty_round(struct rig *rig)
{
    rig_expect_search(rig, CN_QUERY, true, 0);
    rig_reply_header(rig, 200, "x-total-count", "0", "[]");
    rig_expect_search(rig, CN_QUERY, false, 0);
    rig_reply_header(rig, 200, "x-total-count", "0", "[]");
}

static void test_found_by_hash(void **state)
{
    struct rig *rig = *state;
    lose_answer(rig);
    find_4242(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", NULL, rig->csr_sha256));
    expect_following_4242(rig);
}

static void test_found_by_hash_in_edited_record(void **state)
{
    struct rig *rig = *state;
    lose_answer(rig);
    find_4242(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Issued", "approved by the PKI desk", rig->csr_sha256));
    expect_following_4242(rig);
}

static void test_found_by_comment(void **state)
{
    struct rig *rig = *state;
    lose_answer(rig);
    find_4242(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", RIG_TAG " ", NULL));
    expect_following_4242(rig);
}

static void test_found_after_a_crash(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig->now_ms += ACME_SECOND_MS;
    rig_restart(rig, ACME_EVENT_RECOVER);
    rig_expect_search(rig, CN_QUERY, true, 0);
    find_4242(rig);
    rig_restart(rig, ACME_EVENT_RECOVER); /* and another in the middle of the search */
    rig_expect_search(rig, CN_QUERY, true, 0);
    find_4242(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", RIG_TAG, rig->csr_sha256));
    expect_following_4242(rig);
}

static void test_a_sent_enroll_is_never_resumed(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_restart(rig, ACME_EVENT_TIMER); /* whatever the event claims */
    rig_expect_search(rig, CN_QUERY, true, 0);
    rig_restart(rig, ACME_EVENT_START);
    rig_expect_search(rig, CN_QUERY, true, 0);
    assert_int_equal(rig->enrolls, 1);
}

static void test_found_without_the_source_filter(void **state)
{
    struct rig *rig = *state;
    lose_answer(rig);
    rig_reply_header(rig, 200, "x-total-count", "0", "[]");
    rig_expect_search(rig, CN_QUERY, false, 0);
    find_4242(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", RIG_TAG, NULL));
    expect_following_4242(rig);
}

static void test_source_filter_refused(void **state)
{
    struct rig *rig = *state;
    lose_answer(rig);
    rig_reply(rig, 400, "{\"code\":-1601,\"description\":\"Field 'requestedVia' has invalid value.\"}");
    rig_expect_search(rig, CN_QUERY, false, 0);
    rig_reply(rig, 400, "{\"code\":-1601,\"description\":\"Field 'commonName' has invalid value.\"}");
    rig_expect_wait(rig, 5, true); /* but without any search nothing is known */
}

static void test_without_cn_searches_by_alt_name(void **state)
{
    struct rig *rig = *state;
    lose_answer(rig);
    rig_reply_header(rig, 200, "x-total-count", "0", "[]");
    rig_expect_search(rig, CN_QUERY, false, 0);
    rig_reply_header(rig, 200, "x-total-count", "0", "[]");
    rig_expect_search(rig, "subjectAlternativeName=www.example.test", false, 0);
    rig_reply_header(rig, 200, "x-total-count", "1", "[{\"sslId\":4242,\"commonName\":\"example.test\"}]");
    expect_candidate(rig, 4242);
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", RIG_TAG, NULL));
    expect_following_4242(rig);
}

static void test_nothing_found_enrolls_again_after_a_minute(void **state)
{
    struct rig *rig = *state;
    lose_answer(rig);
    const int64_t lost_ms = rig->now_ms;
    static const int64_t waits[] = {5, 10, 15, 30};
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        empty_round(rig);
        rig_expect_wait(rig, waits[i], i == 0);
        assert_int_equal(rig->enrolls, 1);
        rig_timer(rig);
    }
    assert_int_equal(rig->now_ms - lost_ms, ACME_MINUTE_MS);
    empty_round(rig);
    rig_expect_enroll(rig);
    rig_expect_note(rig, "attempt 2");
    assert_int_equal(rig->enrolls, 2);

    /* Lost again: two minutes of quiet now, then the third. */
    rig_call_failed(rig, true);
    const int64_t again_ms = rig->now_ms;
    for (int i = 0; i < 20 && rig->enrolls == 2; i++) {
        empty_round(rig);
        if (rig->step.kind == ACME_STEP_WAIT)
            rig_timer(rig);
    }
    rig_expect_enroll(rig);
    assert_int_equal(rig->now_ms - again_ms, 2 * ACME_MINUTE_MS);
    rig_reply(rig, 200, "{\"sslId\":4300}");
    rig_expect_wait(rig, 3, false);
    rig_expect_ref(rig, "4300");
}

/* The process died right after sending: the enroll may reach SCM as late as its time-out. */
static void test_crash_waits_for_the_enroll_under_way(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig->now_ms += 1000;
    rig_restart(rig, ACME_EVENT_RECOVER);
    for (int round = 0; round < 100 && rig->enrolls == 1; round++) {
        empty_round(rig);
        if (rig->step.kind == ACME_STEP_WAIT)
            rig_timer(rig);
    }
    assert_int_equal(rig->enrolls, 2);
    assert_true(rig->now_ms - RIG_START >= (90 + 60) * ACME_SECOND_MS);
    assert_true(rig->now_ms - RIG_START < 4 * ACME_MINUTE_MS);
}

/* The list shows a request with our name that cannot be read: it may be ours. */
static void test_unreadable_candidate_forbids_a_quick_enroll(void **state)
{
    struct rig *rig = *state;
    lose_answer(rig);
    while (rig->now_ms - RIG_START < 20 * ACME_MINUTE_MS) {
        if (rig->step.kind == ACME_STEP_WAIT)
            rig_timer(rig);
        else if (strstr(rig->step.call.url, "/api/ssl/v1?") != NULL)
            rig_reply_header(rig, 200, "x-total-count", "1",
                             "[{\"sslId\":4242,\"commonName\":\"www.example.test\"}]");
        else
            rig_reply(rig, 400, "{\"code\":-124,\"description\":\"Wrong SSL id\"}");
        assert_int_equal(rig->enrolls, 1);
    }
}

static void test_crash_long_ago_needs_one_round(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig->now_ms += ACME_HOUR_MS;
    rig_restart(rig, ACME_EVENT_RECOVER);
    empty_round(rig);
    rig_expect_enroll(rig);
}

static void test_found_late(void **state)
{
    struct rig *rig = *state;
    lose_answer(rig);
    empty_round(rig);
    rig_timer(rig);
    empty_round(rig);
    rig_timer(rig);
    rig_expect_search(rig, CN_QUERY, true, 0);
    find_4242(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Init", RIG_TAG, NULL));
    expect_following_4242(rig);
}

static void test_two_found(void **state)
{
    struct rig *rig = *state;
    lose_answer(rig);
    rig_reply_header(rig, 200, "x-total-count", "2",
                     "[{\"sslId\":4242,\"commonName\":\"www.example.test\"},"
                     "{\"sslId\":4250,\"commonName\":\"WWW.example.test\"}]");
    expect_candidate(rig, 4250);
    rig_reply(rig, 200, rig_details(rig, 4250, "Requested", RIG_TAG, rig->csr_sha256));
    expect_candidate(rig, 4242);
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", RIG_TAG, rig->csr_sha256));
    rig_expect_call(rig, "POST", "/api/ssl/v1/decline/4250");
    rig_expect_note(rig, "4242");
    rig_expect_note(rig, "4250");
    assert_non_null(memmem(rig->step.call.body.data, rig->step.call.body.len, "\"message\":\"", 11));
    const char *declining = rig->state;
    const struct acme_step asked = rig->step;
    rig_reply(rig, 204, "");
    rig_expect_call(rig, "GET", "/api/ssl/v1/4242");
    rig_expect_note(rig, "declined");
    rig_expect_ref(rig, "4242");

    rig->state = declining; /* best effort: a refusal is said and then left alone */
    rig->step = asked;
    rig_reply(rig, 400, "{\"code\":-1112,\"description\":\"wrong state\"}");
    rig_expect_call(rig, "GET", "/api/ssl/v1/4242");
    rig_expect_note(rig, "by hand");

    rig->state = declining;
    rig->step = asked;
    for (int i = 0; i < 4; i++) {
        if (i % 2 == 0)
            rig_call_failed(rig, true);
        else
            rig_reply(rig, 503, "");
        rig_expect_wait(rig, 5 << i, true);
        rig_timer(rig);
        rig_expect_call(rig, "POST", "/api/ssl/v1/decline/4250");
    }
    rig_call_failed(rig, true);
    expect_candidate(rig, 4242);
    rig_expect_note(rig, "by hand");
    assert_int_equal(rig->enrolls, 1);
}

/* The decision may be saved without its call having been made: the upstream was paused just then. */
static void test_duplicates_survive_a_pause(void **state)
{
    struct rig *rig = *state;
    lose_answer(rig);
    rig_reply_header(rig, 200, "x-total-count", "3", "[{\"sslId\":4242},{\"sslId\":4250},{\"sslId\":4251}]");
    expect_candidate(rig, 4251);
    rig_reply(rig, 200, rig_details(rig, 4251, "Issued", RIG_TAG, NULL));
    expect_candidate(rig, 4250);
    rig_reply(rig, 200, rig_details(rig, 4250, "Requested", RIG_TAG, NULL));
    expect_candidate(rig, 4242);
    rig_reply(rig, 200, rig_details(rig, 4242, "Issued", RIG_TAG, NULL));
    for (int i = 0; i < 2; i++) {
        rig_expect_call(rig, "POST", "/api/ssl/v1/decline/4250");
        rig_restart(rig, ACME_EVENT_TIMER);
    }
    rig_reply(rig, 204, "");
    for (int i = 0; i < 2; i++) {
        rig_expect_call(rig, "POST", "/api/ssl/v1/revoke/4251");
        rig_restart(rig, ACME_EVENT_TIMER);
    }
    rig_reply(rig, 204, "");
    for (int i = 0; i < 2; i++) {
        rig_expect_call(rig, "GET", "/api/ssl/v1/4242");
        rig_expect_ref(rig, "4242");
        rig_restart(rig, ACME_EVENT_TIMER);
    }
}

static void test_oldest_good_one_is_kept(void **state)
{
    static const struct {
        const char *older;
        const char *newer;
        int kept;
        bool declines;
    } rows[] = {
        {"Declined", "Requested", 4250, false}, {"Issued", "Requested", 4242, true},
        {"Requested", "Issued", 4250, true}, /* paid, the other one not yet */
        {"Issued", "Issued", 4242, true},    /* an issued one cannot be declined, so it is revoked */
        {"Declined", "Rejected", 4242, false},  {"Applied", "Invalid", 4242, false},
    };
    struct rig *rig = *state;
    lose_answer(rig);
    rig_reply_header(rig, 200, "x-total-count", "2",
                     "[{\"sslId\":4250,\"commonName\":\"www.example.test\"},{\"sslId\":4242}]");
    const char *searching = rig->state;
    const struct acme_step asked = rig->step;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rig->state = searching;
        rig->step = asked;
        expect_candidate(rig, 4250);
        rig_reply(rig, 200, rig_details(rig, 4250, rows[i].newer, RIG_TAG, NULL));
        expect_candidate(rig, 4242);
        rig_reply(rig, 200, rig_details(rig, 4242, rows[i].older, RIG_TAG, NULL));
        if (rows[i].declines) {
            bool issued = strcmp(rows[i].newer, "Issued") == 0 && strcmp(rows[i].older, "Issued") == 0;
            int other = 4250 + 4242 - rows[i].kept;
            rig_expect_call(rig, "POST",
                            rig_format(rig, "/api/ssl/v1/%s/%d", issued ? "revoke" : "decline", other));
            rig_expect_note(rig,
                            rig_format(rig,
                                       issued ? "%d is a duplicate and issued already, so it is being revoked"
                                              : "%d is a duplicate and is being declined",
                                       other));
            rig_reply(rig, issued ? 400 : 204, issued ? "{\"code\":-102,\"description\":\"no\"}" : "");
            rig_expect_note(rig, issued ? "by hand" : "was declined");
        }
        rig_expect_call(rig, "GET", rig_format(rig, "/api/ssl/v1/%d", rows[i].kept));
    }
}

/* The request of another order, or of last month: same CSR, but not this issuance. */
static void test_not_ours(void **state)
{
    struct rig *rig = *state;
    const char *const bodies[] = {
        rig_details(rig, 4242, "Requested", OTHER_TAG, rig->csr_sha256),
        rig_details(rig, 4242, "Requested", OTHER_TAG, NULL),
        rig_details(rig, 4242, "Requested", "somebody's", "00FF"),
        rig_details(rig, 4242, "Revoked", NULL, rig->csr_sha256),
        rig_details(rig, 4242, "Declined", NULL, rig->csr_sha256),
        rig_format(rig,
                   "{\"sslId\":4242,\"status\":\"Issued\",\"requested\":\"11/20/"
                   "2026\",\"csrDetails\":{\"sha256Hash\":\"%s\"}}",
                   rig->csr_sha256),
        rig_format(rig,
                   "{\"sslId\":4242,\"status\":\"Issued\",\"requested\":\"\",\"csrDetails\":{\"sha256Hash\":"
                   "\"%s\"}}",
                   rig->csr_sha256),
    };
    lose_answer(rig);
    find_4242(rig);
    const char *looking = rig->state;
    const struct acme_step asked = rig->step;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        rig->state = looking;
        rig->step = asked;
        rig_reply(rig, 200, bodies[i]);
        rig_expect_search(rig, CN_QUERY, false, 0);
        rig_reply_header(
            rig, 200, "x-total-count", "1",
            "[{\"sslId\":4242,\"commonName\":\"www.example.test\"}]"); /* is not asked for again */
        rig_expect_wait(rig, 5, true);
        assert_null(rig->step.upstream_ref);
    }
}

static bool is_4242(void *context, const char *ref)
{
    ++*(int *)context;
    return strcmp(ref, "4242") == 0;
}

/* SCM may keep such a name in either form, and shows what it likes. */
static void test_internationalised_name(void **state)
{
    struct rig *rig = *state;
    rig->csr.common_name = "xn--mnchen-3ya.example";
    rig_start(rig);
    rig_call_failed(rig, true);
    rig_expect_search(rig, "commonName=xn--mnchen-3ya.example", true, 0);
    const char *searching = rig->state;
    const struct acme_step asked = rig->step;
    rig_reply_header(rig, 200, "x-total-count", "1",
                     "[{\"sslId\":4242,\"commonName\":\"m\xc3\xbcnchen.example\"}]");
    expect_candidate(rig, 4242);

    rig->state = searching;
    rig->step = asked;
    rig_reply_header(rig, 200, "x-total-count", "0", "[]");
    rig_expect_search(rig, "commonName=xn--mnchen-3ya.example", false, 0);
    rig_reply_header(rig, 200, "x-total-count", "0", "[]");
    rig_expect_search(rig, "commonName=m%C3%BCnchen.example", false, 0);
    rig_reply_header(rig, 200, "x-total-count", "1",
                     "[{\"sslId\":4242,\"commonName\":\"m\xc3\xbcnchen.example\"}]");
    expect_candidate(rig, 4242);
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", RIG_TAG, NULL));
    rig_expect_ref(rig, "4242");
}

/* Without a tag, the same CSR and asked for in time, but another issuance of this server has that number. */
static void test_taken_request_is_not_ours(void **state)
{
    struct rig *rig = *state;
    int asked = 0;
    rig->request.is_taken = is_4242;
    rig->request.is_taken_context = &asked;
    lose_answer(rig);
    rig_reply_header(rig, 200, "x-total-count", "2", "[{\"sslId\":4242},{\"sslId\":4241}]");
    expect_candidate(rig, 4242);
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", NULL, rig->csr_sha256));
    expect_candidate(rig, 4241);
    rig_reply(rig, 200, rig_details(rig, 4241, "Requested", NULL, rig->csr_sha256));
    rig_expect_call(rig, "GET", "/api/ssl/v1/4241");
    rig_expect_ref(rig, "4241");
    assert_int_equal(asked, 2);
}

static void test_old_request_in_flight_is_not_ours(void **state)
{
    struct rig *rig = *state;
    lose_answer(rig);
    find_4242(rig);
    rig_reply(rig, 200,
              rig_format(rig,
                         "{\"sslId\":4242,\"status\":\"Requested\",\"requested\":\"01/12/2027\","
                         "\"csrDetails\":{\"sha256Hash\":\"%s\"}}",
                         rig->csr_sha256));
    rig_expect_search(rig, CN_QUERY, false, 0);
}

/* A match only by CSR next to one by tag: another order's request is left in peace. */
static void test_same_csr_is_never_declined(void **state)
{
    struct rig *rig = *state;
    lose_answer(rig);
    rig_reply_header(rig, 200, "x-total-count", "2", "[{\"sslId\":4100},{\"sslId\":4242}]");
    expect_candidate(rig, 4242);
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", RIG_TAG, rig->csr_sha256));
    expect_candidate(rig, 4100);
    rig_reply(rig, 200, rig_details(rig, 4100, "Requested", NULL, rig->csr_sha256));
    expect_following_4242(rig);
}

/* Neither when it is the only one, and nobody wants it any more, or the time is over. */
static void test_same_csr_is_never_withdrawn(void **state)
{
    struct rig *rig = *state;
    lose_answer(rig);
    rig_reply_header(rig, 200, "x-total-count", "1", "[{\"sslId\":4242}]");
    expect_candidate(rig, 4242);
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", NULL, rig->csr_sha256));
    expect_following_4242(rig);
    rig->request.withdraw = true;
    rig_restart(rig, ACME_EVENT_TIMER);
    rig_expect_call(rig, "GET", "/api/ssl/v1/4242");
    rig->now_ms = rig->request.deadline_ms;
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", NULL, rig->csr_sha256));
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "still open in SCM");
}

static void test_match_survives_a_broken_round(void **state)
{
    struct rig *rig = *state;
    lose_answer(rig);
    rig_reply_header(rig, 200, "x-total-count", "2", "[{\"sslId\":4100},{\"sslId\":4242}]");
    expect_candidate(rig, 4242);
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", RIG_TAG, rig->csr_sha256));
    expect_candidate(rig, 4100);
    rig_reply(rig, 503, "");
    rig_expect_wait(rig, 5, true);
    rig_timer(rig);
    rig_reply_header(rig, 200, "x-total-count", "2", "[{\"sslId\":4100},{\"sslId\":4242}]");
    expect_candidate(rig, 4242);
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", RIG_TAG, rig->csr_sha256));
    expect_candidate(rig, 4100);
    rig_reply(rig, 200, rig_details(rig, 4100, "Expired", "old", "00"));
    expect_following_4242(rig);
}

static void test_names_are_compared_here(void **state)
{
    struct rig *rig = *state;
    lose_answer(rig);
    rig_reply_header(
        rig, 200, "x-total-count", "6",
        "[{\"sslId\":1,\"commonName\":\"www.example.test.example\"},"
        "{\"sslId\":2,\"commonName\":\"awww.example.test\"},"
        "{\"sslId\":-3,\"commonName\":\"www.example.test\"},"
        "{\"commonName\":\"www.example.test\"},"
        "\"text\",{\"sslId\":4242,\"commonName\":\"www.example.test\",\"serialNumber\":\"0A:1B\"}]");
    expect_candidate(rig, 4242);
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", RIG_TAG, NULL));
    expect_following_4242(rig);
}

static const char *page(struct rig *rig, int first, int count)
{
    ACME_CLEANUP_BUF struct acme_buf text;
    acme_buf_init(&text, 64 * 1024);
    for (int i = 0; i < count; i++)
        acme_buf_printf(&text, "%s{\"sslId\":%d,\"commonName\":\"x%d.test\"}", i > 0 ? "," : "[", first + i,
                        i);
    acme_buf_str(&text, "]");
    const char *copy = acme_arena_strdup(rig->arena, acme_buf_cstr(&text));
    assert_non_null(copy);
    return copy;
}

static void test_paging(void **state)
{
    struct rig *rig = *state;
    lose_answer(rig);
    rig_reply_header(rig, 200, "x-total-count", "401", page(rig, 1000, 200));
    rig_expect_search(rig, CN_QUERY, true, 200);
    rig_reply_header(rig, 200, "x-total-count", "401", page(rig, 1200, 200));
    rig_expect_search(rig, CN_QUERY, true, 400);
    find_4242(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", RIG_TAG, NULL));
    expect_following_4242(rig);
}

static void test_paging_without_a_total(void **state)
{
    struct rig *rig = *state;
    lose_answer(rig);
    rig_reply(rig, 200, page(rig, 1000, 200));
    rig_expect_search(rig, CN_QUERY, true, 200);
    rig_reply_header(rig, 200, "x-total-count", "a lot", page(rig, 1200, 3));
    rig_expect_search(rig, CN_QUERY, false, 0);
    rig_reply_header(rig, 200, "x-total-count", "99999",
                     "[]"); /* a total that is not kept ends the list too */
    rig_expect_wait(rig, 5, true);
}

static void test_search_in_trouble(void **state)
{
    static const struct {
        int status;
        const char *body;
        int64_t wait_s;
    } rows[] = {
        {503, "", 5},
        {429, "", 5},
        {200, "", 5},
        {200, "{\"list\":[]}", 5},
        {200, "[{\"sslId\":4242", 5},
        {200, "<html>", 5},
        {404, "", 5},
        {401, "{\"code\":-16,\"description\":\"Unknown user\"}", 60},
        {403, "", 60},
    };
    struct rig *rig = *state;
    lose_answer(rig);
    const char *searching = rig->state;
    const struct acme_step asked = rig->step;
    const int64_t begun_ms = rig->now_ms;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rig->state = searching;
        rig->step = asked;
        rig->now_ms = begun_ms;
        for (int k = 0; k < 8; k++) { /* goes on for many minutes without another enroll */
            rig_reply(rig, rows[i].status, rows[i].body);
            if (k == 0)
                rig_expect_wait(rig, rows[i].wait_s, true);
            rig_timer(rig);
            rig_expect_search(rig, CN_QUERY, true, 0);
        }
        assert_true(rig->now_ms - begun_ms > 10 * ACME_MINUTE_MS);
    }
    rig_call_failed(rig, false);
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
    assert_int_equal(rig->enrolls, 1);
}

static void test_candidate_that_cannot_be_read(void **state)
{
    struct rig *rig = *state;
    lose_answer(rig);
    find_4242(rig);
    rig_reply(rig, 404, ""); /* listed before its details are there */
    rig_expect_search(rig, CN_QUERY, false, 0);
    find_4242(rig);
    rig_reply(rig, 200, "{\"sslId\":4242,\"status\":\"Init\"}"); /* not filled in yet */
    rig_expect_wait(rig, 5, true);
    rig_timer(rig);
    find_4242(rig);
    rig_call_failed(rig, true);
    rig_expect_wait(rig, 5, true);
    rig_timer(rig);
    find_4242(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", RIG_TAG, NULL));
    expect_following_4242(rig);
}

static void test_nothing_was_sent(void **state)
{
    struct rig *rig = *state;
    static const int64_t waits[] = {5, 10, 20};
    rig_start(rig);
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        rig_expect_enroll(rig);
        rig_call_failed(rig, false);
        rig_expect_wait(rig, waits[i], true);
        rig_expect_note(rig, "refused");
        rig_timer(rig);
    }
    rig_expect_enroll(rig);
    rig_reply(rig, 200, "{\"sslId\":4242}");
    rig_expect_wait(rig, 3, false);
}

static void test_internal_errors_come_to_an_end(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    for (int i = 0; i < 200 && rig->step.kind != ACME_STEP_FAILED; i++) {
        if (rig->step.kind == ACME_STEP_WAIT)
            rig_timer(rig);
        else if (rig->step.once)
            rig_reply(rig, 400, "{\"code\":-2,\"description\":\"Internal error.\"}");
        else
            rig_reply_header(rig, 200, "x-total-count", "0", "[]");
    }
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    assert_int_equal(rig->enrolls, 5);
}

static void test_deadline_while_open(void **state)
{
    struct rig *rig = *state;
    lose_answer(rig);
    rig->now_ms = rig->request.deadline_ms;
    rig_reply(rig, 503, "");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "not known whether SCM holds a request");
}

static void test_wildcard_is_escaped(void **state)
{
    struct rig *rig = *state;
    rig->csr.common_name = "*.example.test";
    rig_start(rig);
    rig_call_failed(rig, true);
    rig_expect_search(rig, "commonName=%2A.example.test", true, 0);
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_found_by_hash),
        WITH_RIG(test_found_by_hash_in_edited_record),
        WITH_RIG(test_found_by_comment),
        WITH_RIG(test_found_after_a_crash),
        WITH_RIG(test_a_sent_enroll_is_never_resumed),
        WITH_RIG(test_found_without_the_source_filter),
        WITH_RIG(test_source_filter_refused),
        cmocka_unit_test_setup_teardown(test_without_cn_searches_by_alt_name, rig_setup_without_cn,
                                        rig_teardown),
        WITH_RIG(test_nothing_found_enrolls_again_after_a_minute),
        WITH_RIG(test_crash_long_ago_needs_one_round),
        WITH_RIG(test_crash_waits_for_the_enroll_under_way),
        WITH_RIG(test_unreadable_candidate_forbids_a_quick_enroll),
        WITH_RIG(test_found_late),
        WITH_RIG(test_two_found),
        WITH_RIG(test_duplicates_survive_a_pause),
        WITH_RIG(test_oldest_good_one_is_kept),
        WITH_RIG(test_not_ours),
        WITH_RIG(test_internationalised_name),
        WITH_RIG(test_taken_request_is_not_ours),
        WITH_RIG(test_old_request_in_flight_is_not_ours),
        WITH_RIG(test_same_csr_is_never_declined),
        WITH_RIG(test_same_csr_is_never_withdrawn),
        WITH_RIG(test_match_survives_a_broken_round),
        WITH_RIG(test_names_are_compared_here),
        WITH_RIG(test_paging),
        WITH_RIG(test_paging_without_a_total),
        WITH_RIG(test_search_in_trouble),
        WITH_RIG(test_candidate_that_cannot_be_read),
        WITH_RIG(test_nothing_was_sent),
        WITH_RIG(test_internal_errors_come_to_an_end),
        WITH_RIG(test_deadline_while_open),
        WITH_RIG(test_wildcard_is_escaped),
    };
    return cmocka_run_group_tests_name("backends/scm recover", tests, NULL, NULL);
}
