/* Objects that are made on first use: once, whatever happens. */
#include "cmocka_all.h"

#include "huawei_rig.h"

#include <string.h>

#define LIST                                                                                                 \
    ELB_PATH "?description=acmebridge%%2F01890a5d-ac96-774b-bcce-b302099a8057%%20sha256%%3Dab12&limit=10"
#define MARK ",\"description\":\"" ELB_TAG " sha256=ab12\""

static void expect_list(struct elb_rig *rig, const char *marker)
{
    elb_expect_call(rig, "GET", elb_format(rig, LIST "%s&name=acmebridge-web", marker));
    assert_false(rig->step.once);
}

static void making(struct elb_rig *rig)
{
    elb_creating(rig);
    elb_start(rig);
    elb_expect_call(rig, "POST", ELB_PATH);
    assert_true(rig->step.once);
    assert_null(rig->step.target);
}

/* The list with the object of elb_object in it. */
static const char *list_of(struct elb_rig *rig, X509 *cert, const char *members)
{
    cJSON *tree = NULL;
    const char *object = elb_object(rig, cert, members);
    assert_int_equal(acme_json_parse(rig->arena, object, strlen(object), &tree).code, ACME_OK);
    cJSON *item = cJSON_GetObjectItemCaseSensitive(tree, "certificate");
    return elb_format(rig, "{\"certificates\":[{\"id\":\"x\"},%s],\"page_info\":{\"current_count\":2}}",
                      acme_json_print(rig->arena, item));
}

static void test_made_once(void **state)
{
    struct elb_rig *rig = *state;
    making(rig);
    elb_expect_body(rig, "\"name\":\"acmebridge-web\",\"type\":\"server\",\"certificate\":\"-----BEGIN");
    elb_expect_body(rig, "\"private_key\":\"-----BEGIN PRIVATE KEY-----");
    elb_expect_body(rig, "\"description\":\"" ELB_TAG " sha256=ab12\"");
    elb_reply(rig, 201, elb_object(rig, rig->leaf, ""));
    elb_expect_call(rig, "GET", ELB_PATH "/" ELB_ID);
    assert_string_equal(rig->step.target, ELB_ID);
    elb_restart(rig, ACME_EVENT_TIMER); /* died here: it is known */
    elb_expect_call(rig, "GET", ELB_PATH "/" ELB_ID);
    elb_reply(rig, 200, elb_object(rig, rig->leaf, ""));
    elb_expect_done(rig);
    assert_string_equal(rig->step.target, ELB_ID);
    assert_int_equal(rig->onces, 1);
    /* The next deployment knows it. */
    rig->state = "{}";
    rig->request.target = ELB_ID;
    elb_putting(rig);
    elb_expect_body(rig, "private_key");
    elb_expect_no_body(rig, "acmebridge-web");
    assert_int_equal(rig->onces, 1);
}

static void test_made_but_never_heard(void **state)
{
    struct elb_rig *rig = *state;
    for (int how = 0; how < 4; how++) {
        rig->state = "{}";
        making(rig);
        if (how == 0)
            elb_call_failed(rig, true);
        else if (how == 1)
            elb_reply(rig, 502, "<html>");
        else if (how == 2)
            elb_reply(rig, 201, "{\"certificate\":{}}");
        if (how < 3) {
            elb_expect_wait(rig, 10, true);
            elb_expect_note(rig, "It is not known whether the object was made");
            elb_timer(rig);
        } else {
            elb_restart(rig, ACME_EVENT_RECOVER);
        }
        expect_list(rig, "");
        elb_reply(rig, 200, list_of(rig, rig->leaf, MARK));
        elb_expect_call(rig, "GET", ELB_PATH "/" ELB_ID);
        assert_string_equal(rig->step.target, ELB_ID);
        elb_reply(rig, 200, elb_object(rig, rig->leaf, MARK));
        elb_expect_done(rig);
    }
    assert_int_equal(rig->onces, 4);
}

static void test_recover_without_a_state(void **state)
{
    struct elb_rig *rig = *state;
    elb_creating(rig);
    elb_restart(rig, ACME_EVENT_RECOVER);
    expect_list(rig, "");
    assert_int_equal(rig->onces, 0);
}

/* Somebody else's objects are not ours, although they have the name. */
static void test_not_made(void **state)
{
    struct elb_rig *rig = *state;
    making(rig);
    elb_call_failed(rig, true);
    elb_timer(rig);
    expect_list(rig, "");
    elb_reply(rig, 200, list_of(rig, rig->leaf, ",\"description\":\"another\""));
    elb_expect_wait(rig, 20, false);
    elb_timer(rig);
    elb_reply(rig, 200, list_of(rig, rig->old, MARK));
    elb_expect_wait(rig, 40, false);
    elb_timer(rig);
    elb_reply(rig, 200, "{\"certificates\":[],\"page_info\":{\"next_marker\":\"m1\"}}");
    expect_list(rig, "&marker=m1");
    elb_reply(rig, 200, "{\"certificates\":[],\"page_info\":{\"next_marker\":\"m1\"}}"); /* does not move */
    elb_expect_wait(rig, 0, false);
    elb_timer(rig);
    elb_expect_call(rig, "POST", ELB_PATH);
    assert_int_equal(rig->onces, 2);
}

static void test_list_trouble(void **state)
{
    struct elb_rig *rig = *state;
    making(rig);
    elb_call_failed(rig, true);
    elb_timer(rig);
    elb_reply(rig, 500, "");
    elb_expect_wait(rig, 5, true);
    elb_timer(rig);
    expect_list(rig, ""); /* not another POST */
    elb_call_failed(rig, false);
    elb_expect_wait(rig, 10, true);
    elb_timer(rig);
    expect_list(rig, "");
    elb_reply(rig, 401, "");
    elb_expect_wait(rig, 600, true);
    elb_timer(rig);
    expect_list(rig, "");
    elb_reply(rig, 200, "{}");
    elb_expect_wait(rig, 20, true);
    rig->request.deadline_ms = rig->now_ms + 1;
    elb_timer(rig);
    elb_reply(rig, 500, "");
    elb_expect_failed(rig, "A certificate object may have been made");
}

static void test_refused(void **state)
{
    struct elb_rig *rig = *state;
    making(rig);
    elb_call_failed(rig, false); /* nothing was sent */
    elb_expect_wait(rig, 5, true);
    elb_timer(rig);
    elb_expect_call(rig, "POST", ELB_PATH);
    elb_reply(rig, 429, "");
    elb_timer(rig);
    elb_expect_call(rig, "POST", ELB_PATH);
    elb_reply(rig, 401, "");
    elb_expect_wait(rig, 600, true);
    elb_timer(rig);
    elb_expect_call(rig, "POST", ELB_PATH);
    elb_reply(rig, 400, elb_error(rig, "ELB.8902", "the quota of certificates is exceeded"));
    elb_expect_failed(rig, "quota of certificates is used up");
}

static void test_gone(void **state)
{
    struct elb_rig *rig = *state;
    elb_creating(rig);
    rig->request.target = ELB_ID;
    elb_looking(rig);
    elb_reply(rig, 404, elb_error(rig, "ELB.8904", "not found"));
    elb_expect_wait(rig, 0, false);
    elb_expect_note(rig, "another one will be made");
    elb_timer(rig);
    elb_expect_call(rig, "POST", ELB_PATH); /* although the target is still told */
    elb_reply(rig, 200, elb_object(rig, rig->leaf, ""));
    elb_reply(rig, 200, elb_object(rig, rig->leaf, ""));
    elb_expect_done(rig);
    assert_string_equal(rig->step.target, ELB_ID);
}

/* Taken a moment ago, not shown yet: no reason to make a second one. */
static void test_shown_late(void **state)
{
    struct elb_rig *rig = *state;
    making(rig);
    elb_reply(rig, 201, elb_object(rig, rig->leaf, ""));
    elb_reply(rig, 404, elb_error(rig, "ELB.8904", "not found"));
    elb_expect_wait(rig, 5, true);
    elb_timer(rig);
    elb_expect_call(rig, "GET", ELB_PATH "/" ELB_ID);
    elb_reply(rig, 200, elb_object(rig, rig->leaf, ""));
    elb_expect_done(rig);
    assert_int_equal(rig->onces, 1);
}

/* Whoever tries again has no state any more. */
static void test_failure_with_an_open_outcome(void **state)
{
    struct elb_rig *rig = *state;
    making(rig);
    elb_call_failed(rig, true);
    elb_timer(rig);
    elb_reply(rig, 403, "");
    elb_expect_failed(rig, "elb:certificates:get, :list");
    elb_expect_failed(rig, "A certificate object may have been made");
}

#define RUNNING(test) cmocka_unit_test_setup_teardown(test, elb_setup, elb_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUNNING(test_made_once),
        RUNNING(test_shown_late),
        RUNNING(test_failure_with_an_open_outcome),
        RUNNING(test_made_but_never_heard),
        RUNNING(test_recover_without_a_state),
        RUNNING(test_not_made),
        RUNNING(test_list_trouble),
        RUNNING(test_refused),
        RUNNING(test_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
