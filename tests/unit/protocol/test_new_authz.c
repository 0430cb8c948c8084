/* Pre-authorization (RFC 8555 section 7.4.1). */
#include "client.h"

#include <string.h>

#define DNS(name) "{\"identifier\":{\"type\":\"dns\",\"value\":\"" name "\"}}"

static void test_in_advance(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct reply made = post(f, &client, BASE "/new-authz", DNS("Early.Test"));
    assert_int_equal(made.status, 201);
    assert_string_equal(text_of(&made, "status"), "pending");
    assert_string_equal(acme_json_str(acme_json_get(made.json, "identifier"), "value"), "early.test");
    struct reply now = post(f, &client, made.location, "");
    assert_int_equal(now.status, 200);
    assert_string_equal((const char *)now.response.body.data, (const char *)made.response.body.data);

    /* Orders do not wait for it, but use it once it is valid; nobody else does. */
    struct reply order = order_names(f, &client, "early.test");
    assert_string_equal(text_of(&order, "status"), "pending");
    assert_string_not_equal(item_of(&order, "authorizations", 0), made.location);
    complete(f, &client, made.location, NULL);
    order = order_names(f, &client, "early.test");
    assert_string_equal(text_of(&order, "status"), "ready");
    assert_string_equal(item_of(&order, "authorizations", 0), made.location);
    struct client other = join(f);
    order = order_names(f, &other, "early.test");
    assert_string_equal(text_of(&order, "status"), "pending");
    now = post(f, &other, made.location, "");
    assert_problem(&now, 404, "malformed", "authorization");

    /* A valid one does not keep its owner from proving the name anew. */
    struct reply again = post(f, &client, BASE "/new-authz", DNS("early.test"));
    assert_int_equal(again.status, 201);
    assert_string_equal(text_of(&again, "status"), "pending");
    assert_string_not_equal(again.location, made.location);
}

static void test_refused(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    static const struct {
        const char *payload;
        const char *type;
        const char *part;
    } cases[] = {
        {"", "malformed", "identifier"},
        {"{}", "malformed", "identifier"},
        {"{\"identifier\":[]}", "malformed", "identifier"},
        {"{\"identifier\":\"a.test\"}", "malformed", "identifier"},
        {"{\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.test\"}]}", "malformed", "identifier"},
        {"{\"identifier\":{\"type\":\"dns\"}}", "malformed", "type and value"},
        {"{\"identifier\":{\"value\":\"a.test\"}}", "malformed", "type and value"},
        {DNS("*.a.test"), "malformed", "wildcard"},
        {DNS("*"), "malformed", "wildcard"},
        {DNS("a..test"), "rejectedIdentifier", "a..test"},
        {DNS("a_.test"), "rejectedIdentifier", "a_.test"},
        {"{\"identifier\":{\"type\":\"mail\",\"value\":\"a@a.test\"}}", "unsupportedIdentifier", "mail"},
        {"{\"identifier\":{\"type\":\"dns\",\"value\":\"a.test\"},\"profile\":\"none\"}", "invalidProfile",
         "default, other"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reply reply = post(f, &client, BASE "/new-authz", cases[i].payload);
        bool unwilling =
            strstr(cases[i].type, "Identifier") != NULL || strcmp(cases[i].part, "wildcard") == 0;
        assert_problem(&reply, unwilling ? 403 : 400, cases[i].type, cases[i].part);
        assert_null(reply.location);
    }
    struct reply reply = fetch(f, "GET", "/new-authz");
    assert_problem(&reply, 405, "malformed", "POST");
    f->profiles[1].challenges = 0;
    reply = post(f, &client, BASE "/profile/other/new-authz", DNS("a.test"));
    assert_problem(&reply, 403, "rejectedIdentifier", "no challenge");
    reply = post(f, &client, BASE "/profile/none/new-authz", DNS("a.test"));
    assert_int_equal(reply.status, 404);
}

static void test_pending_ones_are_limited(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct client other = join(f);
    const char *urls[3] = {NULL};
    for (int i = 0; i < 5; i++) /* those of orders do not count */
        assert_int_equal(order_names(f, &client, "of-orders.test").status, 201);
    for (int i = 0; i < 3; i++) {
        struct reply made = post(f, &client, BASE "/new-authz", DNS("a.test"));
        assert_int_equal(made.status, 201);
        urls[i] = made.location;
    }
    struct reply reply = post(f, &client, BASE "/new-authz", DNS("b.test"));
    assert_problem(&reply, 429, "rateLimited", "3 authorizations");
    assert_int_equal(post(f, &other, BASE "/new-authz", DNS("a.test")).status, 201);

    complete(f, &client, urls[0], NULL); /* a decided one makes room */
    assert_int_equal(post(f, &client, BASE "/new-authz", DNS("b.test")).status, 201);
    reply = post(f, &client, BASE "/new-authz", DNS("c.test"));
    assert_problem(&reply, 429, "rateLimited", "complete or deactivate");
    reply = post(f, &client, urls[1], "{\"status\":\"deactivated\"}");
    assert_string_equal(text_of(&reply, "status"), "deactivated");
    assert_int_equal(post(f, &client, BASE "/new-authz", DNS("c.test")).status, 201);
    f->now_ms += f->config.order_lifetime_ms; /* and so do those that have expired */
    reply = post(f, &client, urls[2], "");
    assert_string_equal(text_of(&reply, "status"), "invalid");
    assert_int_equal(post(f, &client, BASE "/new-authz", DNS("d.test")).status, 201);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_in_advance, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_refused, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_pending_ones_are_limited, fixture_open, fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
