/* server/job_delegate.c, job_services.c and what job_backend.c does with lines and questions, by a runner
 * that is stopped and started. */
#include "jobs_rig.h"
#include "store/internal.h"

#include <pthread.h>

static void assert_theirs(struct jobs_rig *r, const struct acme_order *order,
                          const struct acme_issuance *child)
{
    struct acme_certificate certificate;
    assert_string_equal(order->certificate_id, child->certificate_id);
    assert_ok(acme_store_certificate_get(r->f->store, r->f->arena, order->certificate_id, &certificate));
    assert_string_equal(certificate.issuer, "signer");
    assert_int_equal(r->wrong_settings, 0);
}

/* Without a pause: the parent is woken by its child. */
static void delegated(void **state)
{
    struct jobs_rig *r = *state;
    r->profile.key_at_edge = false; /* it was true at finalize */
    jobs_start(r);
    struct acme_issuance issuance = jobs_order(r, fixture_account(r->f), ACME_KEY_AT_EDGE);
    struct acme_order order = jobs_wait_status(r, issuance.order_id, ACME_ORDER_VALID);
    struct acme_issuance child = jobs_wait_child(r, issuance.id, ACME_ISSUANCE_ISSUED);
    assert_theirs(r, &order, &child);
    assert_string_equal(child.upstream_ref, "17");
    assert_int_equal(r->signer_starts, 1);
    assert_int_equal(r->edge_starts, 1);
}

/* The certificate's key is not the client's: it is handed out only when the profile said so as the order was
 * finalized, whatever it says by now. */
static void key_is_not_at_edge(void **state)
{
    struct jobs_rig *r = *state;
    jobs_start(r);
    struct acme_issuance issuance = jobs_order(r, fixture_account(r->f), "k1");
    struct acme_order order = jobs_wait_status(r, issuance.order_id, ACME_ORDER_INVALID);
    assert_non_null(strstr(order.error, "does not fit this order"));
    (void)jobs_wait_child(r, issuance.id, ACME_ISSUANCE_ISSUED); /* for its own CSR it is right */
}

static void forged_signatures_are_seen(void **state)
{
    struct jobs_rig *r = *state;
    r->forges = true;
    jobs_start(r);
    struct acme_issuance issuance = jobs_order(r, fixture_account(r->f), ACME_KEY_AT_EDGE);
    (void)jobs_wait_status(r, issuance.order_id, ACME_ORDER_INVALID);
    struct acme_issuance child = jobs_wait_child(r, issuance.id, ACME_ISSUANCE_FAILED);
    assert_non_null(strstr(child.error, "not signed by the next"));
}

/* What an issuer signed itself is taken as it is from its own step, not any more when it comes from the
 * store. */
static void signatures_of_others_are_verified(void **state)
{
    struct jobs_rig *r = *state;
    r->forges = true;
    r->signs_here = true;
    jobs_start(r);
    struct acme_issuance issuance = jobs_order(r, fixture_account(r->f), ACME_KEY_AT_EDGE);
    struct acme_order order = jobs_wait_status(r, issuance.order_id, ACME_ORDER_INVALID);
    assert_non_null(strstr(order.error, "not signed by the next"));
    (void)jobs_wait_child(r, issuance.id, ACME_ISSUANCE_ISSUED);
}

/* They are of another kind: whoever is at work must not read them as its own. */
static void settings_of_another_issuer_are_not_passed_on(void **state)
{
    struct jobs_rig *r = *state;
    r->profile.issuer = "signer"; /* since the order was finalized */
    jobs_start(r);
    struct acme_issuance issuance = jobs_order(r, fixture_account(r->f), ACME_KEY_AT_EDGE);
    (void)jobs_wait_status(r, issuance.order_id, ACME_ORDER_VALID);
    assert_true(r->wrong_settings > 0);
}

static void stopped_and_started(void **state)
{
    struct jobs_rig *r = *state;
    r->never_signs = true;
    r->asks = true;
    jobs_start(r);
    struct acme_issuance issuance = jobs_order(r, fixture_account(r->f), ACME_KEY_AT_EDGE);
    (void)jobs_wait_child(r, issuance.id, ACME_ISSUANCE_PENDING);
    jobs_stop(r);
    jobs_start(r);
    r->never_signs = false;
    struct acme_issuance child = jobs_wait_child(r, issuance.id, ACME_ISSUANCE_ISSUED);
    struct acme_job_question question;
    (void)jobs_wait_question(r, &issuance, &question);
    jobs_stop(r);
    jobs_start(r);
    const char *job_id = jobs_wait_question(r, &issuance, &question);
    assert_string_equal(question.text, "Deploy it?");
    assert_string_equal(question.details, "one\ntwo");
    assert_int_equal(question.deadline_ms, 1);
    assert_ok(acme_store_question_answer(r->f->store, job_id, question.key, ACME_ANSWER_ACKNOWLEDGE, "eve",
                                         acme_clock_now_ms(&acme_clock_system)));
    acme_runner_look(r->runner);
    struct acme_order order = jobs_wait_status(r, issuance.order_id, ACME_ORDER_VALID);
    assert_theirs(r, &order, &child);
    assert_int_equal(r->stale_answers, 0);
}

static void denied(void **state)
{
    struct jobs_rig *r = *state;
    struct acme_job_question question;
    r->asks = true;
    jobs_start(r);
    struct acme_issuance issuance = jobs_order(r, fixture_account(r->f), ACME_KEY_AT_EDGE);
    const char *job_id = jobs_wait_question(r, &issuance, &question);
    assert_code(acme_store_question_answer(r->f->store, job_id, "another", ACME_ANSWER_DENY, "eve", NOW),
                ACME_E_STATE);
    assert_ok(acme_store_question_answer(r->f->store, job_id, question.key, ACME_ANSWER_DENY, "eve",
                                         acme_clock_now_ms(&acme_clock_system)));
    acme_runner_look(r->runner);
    struct acme_order order = jobs_wait_status(r, issuance.order_id, ACME_ORDER_INVALID);
    assert_non_null(strstr(order.error, "The operator denied it."));
}

/* The second one's wait is ten minutes long: it is woken when the first one has ended. */
static void one_after_the_other(void **state)
{
    struct jobs_rig *r = *state;
    const char *account = fixture_account(r->f);
    const char *other = fixture_account(r->f);
    r->uses_line = true;
    r->hold_line = true;
    jobs_start(r);
    struct acme_issuance first = jobs_order(r, account, ACME_KEY_AT_EDGE);
    while (r->edge_starts < 1)
        jobs_pause();
    struct acme_issuance second = jobs_order(r, other, ACME_KEY_AT_EDGE);
    while (r->edge_starts < 2)
        jobs_pause();
    struct acme_job_report report = {.leased = true};
    while (report.leased)
        assert_ok(acme_store_job_find(r->f->store, r->f->arena, "edge", other, second.id, &report));
    assert_string_equal(report.remark.note, "waits for its turn");
    r->hold_line = false;
    (void)jobs_wait_status(r, first.order_id, ACME_ORDER_VALID);
    (void)jobs_wait_status(r, second.order_id, ACME_ORDER_VALID);
}

/* It had not begun when the issuance that needs it ended. */
static void not_wanted_any_more(void **state)
{
    struct jobs_rig *r = *state;
    struct fixture *f = r->f;
    struct acme_issuance parent = jobs_order(r, fixture_account(f), ACME_KEY_AT_EDGE);
    struct acme_issuance child = parent;
    struct acme_job *jobs = NULL;
    size_t count = 0;
    assert_ok(acme_store_jobs_claim(f->store, f->arena, "edge", NOW, &fixture_lease, 1,
                                    &(struct acme_turns){.last = ""}, &jobs, &count));
    assert_int_equal(count, 1);
    struct acme_job child_job = fixture_job(f, "signer");
    bool started = false;
    child.id = fixture_id(f);
    child.issuer = "signer";
    child.parent_id = parent.id;
    child.label = "rsa";
    const struct acme_job_remark remark = {.note = NULL};
    const struct acme_delegation delegation = {.child = &child,
                                               .child_job = &child_job,
                                               .child_lease = &fixture_lease,
                                               .job_id = jobs[0].id,
                                               .owner = "me",
                                               .state = "{}",
                                               .run_at_ms = NOW,
                                               .remark = &remark};
    assert_ok(acme_store_delegate(f->store, f->arena, &delegation, &started));
    assert_ok(acme_store_jobs_claim(f->store, f->arena, "edge", NOW, &fixture_lease, 1,
                                    &(struct acme_turns){.last = ""}, &jobs, &count));
    assert_ok(acme_store_issuance_failed(f->store, parent.id, jobs[0].id, "me", NULL, "{}"));
    jobs_start(r);
    child = jobs_wait_child(r, parent.id, ACME_ISSUANCE_FAILED);
    assert_non_null(strstr(child.error, "has ended"));
    assert_int_equal(r->signer_starts, 0);
}

/* The script of each waits for the other's, and there is one call in a minute: they have not taken it. */
static void programs_take_no_slots(void **state)
{
    struct jobs_rig *r = *state;
    char place[] = "/tmp/acmebridge-jobs-XXXXXX";
    assert_non_null(mkdtemp(place));
    r->script = acme_arena_printf(
        r->f->arena, "touch %s/$$; until [ $(ls %s | wc -l) -ge 2 ]; do sleep 0.05; done", place, place);
    r->edge.base.backend.requests_per_minute = 1;
    r->edge.base.backend.burst = 1;
    jobs_start(r);
    struct acme_issuance first = jobs_order(r, fixture_account(r->f), ACME_KEY_AT_EDGE);
    struct acme_issuance second = jobs_order(r, fixture_account(r->f), ACME_KEY_AT_EDGE);
    (void)jobs_wait_status(r, first.order_id, ACME_ORDER_VALID);
    (void)jobs_wait_status(r, second.order_id, ACME_ORDER_VALID);
    assert_int_equal(r->scripts_failed, 0);
    r->script = acme_arena_printf(r->f->arena, "rm -r %s", place);
    (void)jobs_wait_status(r, jobs_order(r, fixture_account(r->f), ACME_KEY_AT_EDGE).order_id,
                           ACME_ORDER_VALID);
}

static void an_answer_is_told_once(void **state)
{
    struct jobs_rig *r = *state;
    struct acme_job_question question;
    r->asks = true;
    r->script = "true";
    jobs_start(r);
    struct acme_issuance issuance = jobs_order(r, fixture_account(r->f), "k1");
    const char *job = jobs_wait_question(r, &issuance, &question);
    assert_ok(acme_store_question_answer(r->f->store, job, question.key, ACME_ANSWER_ACKNOWLEDGE, "me", NOW));
    acme_runner_look(r->runner);
    while (r->scripts_ended < 1)
        jobs_pause();
    assert_int_equal(r->late_answers, 0);
}

struct busy_store {
    struct acme_store *store;
    atomic_bool holds;
    atomic_bool let_go;
};

static struct acme_err hold_writer(struct acme_db *db, void *argument)
{
    struct busy_store *busy = argument;
    (void)db;
    busy->holds = true;
    while (!busy->let_go)
        jobs_pause();
    return acme_ok();
}

static void *keep_store_busy(void *argument)
{
    struct busy_store *busy = argument;
    assert_ok(acme_writer_run(&busy->store->writer, hold_writer, busy));
    return NULL;
}

/* A queue is told to be due while the scheduler, which has passed it, claims for another one. Which it passes
 * first changes from round to round. */
static void no_call_is_lost(void **state)
{
    enum { ROUNDS = 6, WITHIN = 400 /* pauses */ };
    struct jobs_rig *r = *state;
    jobs_start(r);
    for (int round = 0; round < ROUNDS; round++) {
        struct busy_store busy = {.store = r->f->store};
        struct acme_runner *runner = r->runner;
        struct acme_order order = {.status = ACME_ORDER_PROCESSING};
        pthread_t thread;
        r->runner = NULL; /* not told yet */
        struct acme_issuance issuance = jobs_order(r, fixture_account(r->f), ACME_KEY_AT_EDGE);
        r->runner = runner;
        assert_int_equal(pthread_create(&thread, NULL, keep_store_busy, &busy), 0);
        while (!busy.holds)
            jobs_pause();
        acme_runner_wake(runner, "signer");
        for (int i = 0; i < 10; i++)
            jobs_pause();
        acme_runner_wake(runner, "edge");
        busy.let_go = true;
        assert_int_equal(pthread_join(thread, NULL), 0);
        for (int i = 0; i < WITHIN && order.status == ACME_ORDER_PROCESSING; i++) {
            jobs_pause();
            assert_ok(acme_store_order_get(r->f->store, r->f->arena, issuance.order_id, &order));
        }
        assert_int_equal(order.status, ACME_ORDER_VALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(delegated, jobs_setup, jobs_teardown),
        cmocka_unit_test_setup_teardown(settings_of_another_issuer_are_not_passed_on, jobs_setup,
                                        jobs_teardown),
        cmocka_unit_test_setup_teardown(key_is_not_at_edge, jobs_setup, jobs_teardown),
        cmocka_unit_test_setup_teardown(forged_signatures_are_seen, jobs_setup, jobs_teardown),
        cmocka_unit_test_setup_teardown(signatures_of_others_are_verified, jobs_setup, jobs_teardown),
        cmocka_unit_test_setup_teardown(stopped_and_started, jobs_setup, jobs_teardown),
        cmocka_unit_test_setup_teardown(denied, jobs_setup, jobs_teardown),
        cmocka_unit_test_setup_teardown(one_after_the_other, jobs_setup, jobs_teardown),
        cmocka_unit_test_setup_teardown(not_wanted_any_more, jobs_setup, jobs_teardown),
        cmocka_unit_test_setup_teardown(programs_take_no_slots, jobs_setup, jobs_teardown),
        cmocka_unit_test_setup_teardown(an_answer_is_told_once, jobs_setup, jobs_teardown),
        cmocka_unit_test_setup_teardown(no_call_is_lost, jobs_setup, jobs_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
