/* Orders, authorizations and challenges up to the point where an order is ready. */
#include "client.h"

#include "base/problem.h"

#include <string.h>

static void test_new_order(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct reply order = order_names(f, &client, "WWW.Example.test b.test");
    assert_int_equal(order.status, 201);
    assert_string_equal(text_of(&order, "status"), "pending");
    assert_string_equal(text_of(&order, "profile"), "default");
    const cJSON *names = acme_json_get(order.json, "identifiers");
    assert_int_equal(cJSON_GetArraySize(names), 2);
    assert_string_equal(acme_json_str(cJSON_GetArrayItem(names, 0), "value"), "www.example.test");
    assert_string_equal(acme_json_str(cJSON_GetArrayItem(names, 1), "value"), "b.test");
    assert_string_equal(text_of(&order, "finalize"),
                        acme_arena_printf(f->arena, "%s/finalize", order.location));

    struct reply now = post(f, &client, order.location, "");
    assert_int_equal(now.status, 200);
    assert_string_equal(now.location, order.location);
    assert_string_equal((const char *)now.response.body.data, (const char *)order.response.body.data);
    assert_int_equal(post(f, &client, order.location, "{}").status, 200);
    now = post(f, &client, order.location, "{\"status\":\"valid\"}");
    assert_problem(&now, 400, "malformed", "POST-as-GET");

    struct reply authz = post(f, &client, item_of(&order, "authorizations", 0), "");
    assert_int_equal(authz.status, 200);
    assert_string_equal(text_of(&authz, "status"), "pending");
    assert_string_equal(acme_json_str(acme_json_get(authz.json, "identifier"), "value"), "www.example.test");
    assert_null(acme_json_get(authz.json, "wildcard"));
    assert_null(authz.retry_after);
    struct reply again = order_names(f, &client, "www.example.test b.test");
    assert_string_not_equal(again.location, order.location);
}

static void test_tokens_differ(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct reply order = order_names(f, &client, "a.test b.test");
    struct reply first =
        post(f, &client, challenge_url(f, &client, item_of(&order, "authorizations", 0)), "");
    struct reply second =
        post(f, &client, challenge_url(f, &client, item_of(&order, "authorizations", 1)), "");
    assert_string_not_equal(text_of(&first, "token"), text_of(&second, "token"));
}

static void test_zero_values_are_absent(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct reply order = post(
        f, &client, BASE "/new-order",
        "{\"status\":\"\",\"expires\":\"0001-01-01T00:00:00Z\",\"identifiers\":[{\"type\":\"dns\",\"value\":"
        "\"a.test\"}],\"notBefore\":\"\",\"notAfter\":\"0001-01-01T00:00:00Z\",\"authorizations\":null,"
        "\"finalize\":\"\",\"certificate\":\"\",\"profile\":\"\",\"resource\":\"new-order\"}");
    assert_int_equal(order.status, 201);
    assert_null(acme_json_get(order.json, "notBefore"));
    order = post(
        f, &client, BASE "/new-order",
        "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.test\"}],\"notBefore\":null,\"profile\":null}");
    assert_int_equal(order.status, 201);
}

static void test_refused_orders(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
#define DNS(name) "{\"type\":\"dns\",\"value\":\"" name "\"}"
#define IP(text)  "{\"identifiers\":[{\"type\":\"ip\",\"value\":\"" text "\"}]}"
#define ONE(name) "{\"identifiers\":[" DNS(name) "]}"
    static const struct {
        const char *payload;
        const char *type;
        const char *part;
    } cases[] = {
        {"", "malformed", "payload"},
        {"{}", "malformed", "identifiers"},
        {"{\"identifiers\":null}", "malformed", "identifiers"},
        {"{\"identifiers\":[]}", "malformed", "identifiers"},
        {"{\"identifiers\":{}}", "malformed", "identifiers"},
        {"{\"identifiers\":[5]}", "malformed", "type and value"},
        {"{\"identifiers\":[{\"type\":\"dns\"}]}", "malformed", "type and value"},
        {"{\"identifiers\":[{\"value\":\"a.test\"}]}", "malformed", "type and value"},
        {"{\"identifiers\":[" DNS("a.test") "," DNS("A.test") "]}", "malformed", "a.test"},
        {"{\"identifiers\":[" DNS("a.b") "," DNS("b.b") "," DNS("c.b") "," DNS("d.b") "," DNS("e.b") "," DNS(
             "f.b") "]}",
         "malformed", "at most 5"},
        {IP("127.0.0.01"), "malformed", "not an IPv4 or IPv6 address"},
        {IP("2001:DB8::1"), "malformed", "\"2001:db8::1\""},
        {IP("2001:db8:0::1"), "malformed", "\"2001:db8::1\""},
        {IP("[2001:db8::1]"), "malformed", "not an IPv4 or IPv6 address"},
        {IP("::ffff:192.0.2.1"), "malformed", "it is written 192.0.2.1"},
        {IP("a.test"), "malformed", "a.test"},
        {IP("0.0.0.0"), "rejectedIdentifier", "unspecified"},
        {IP("224.0.0.1"), "rejectedIdentifier", "multicast"},
        {IP("255.255.255.255"), "rejectedIdentifier", "broadcast"},
        {IP("::"), "rejectedIdentifier", "unspecified"},
        {IP("ff02::1"), "rejectedIdentifier", "multicast"},
        {"{\"identifiers\":[{\"type\":\"ip\",\"value\":\"::1\"},{\"type\":\"ip\",\"value\":\"::1\"}]}",
         "malformed", "twice"},
        {"{\"identifiers\":[{\"type\":\"x\\u0007\",\"value\":\"a\"}]}", "unsupportedIdentifier", "x\\x07"},
        {ONE(""), "rejectedIdentifier", "empty"},
        {ONE("-a.test"), "rejectedIdentifier", "-a.test"},
        {ONE("a..test"), "rejectedIdentifier", "a..test"},
        {ONE("a.test."), "rejectedIdentifier", "a.test."},
        {ONE("a_b.test"), "rejectedIdentifier", "a_b.test"},
        {ONE("127.0.0.1"), "rejectedIdentifier", "127.0.0.1"},
        {ONE("b\\u00fccher.test"), "rejectedIdentifier", "b\\xc3\\xbccher.test"},
        {ONE("*"), "rejectedIdentifier", "*"},
        {ONE("*.*.test"), "rejectedIdentifier", "*.*.test"},
        {ONE("a.*.test"), "rejectedIdentifier", "a.*.test"},
        {ONE("*.a.test"), "rejectedIdentifier", "dns-01"},
        {"{\"identifiers\":[" DNS("a.test") "],\"notAfter\":\"2030-01-01T00:00:00Z\"}", "malformed",
         "notAfter"},
        {"{\"identifiers\":[" DNS("a.test") "],\"notBefore\":\"2030-01-01T00:00:00Z\"}", "malformed",
         "notBefore"},
        {"{\"identifiers\":[" DNS("a.test") "],\"notBefore\":5}", "malformed", "notBefore"},
        {"{\"identifiers\":[" DNS("a.test") "],\"profile\":\"none\"}", "invalidProfile", "default, other"},
        {"{\"identifiers\":[" DNS("a.test") "],\"profile\":[]}", "malformed", "profile"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reply reply = post(f, &client, BASE "/new-order", cases[i].payload);
        assert_problem(&reply, 400, cases[i].type, cases[i].part);
    }
    struct reply list = post(f, &client, acme_arena_printf(f->arena, "%s/orders", client.kid), "");
    assert_int_equal(cJSON_GetArraySize(acme_json_get(list.json, "orders")), 0);
}

static void test_names_the_server_forbids(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    f->forbidden = "b.test";
    struct reply reply = order_names(f, &client, "a.test b.test c.test");
    assert_problem(&reply, 400, "rejectedIdentifier",
                   "There are no certificates for b.test: b.test is forbidden");
    reply = post(f, &client, BASE "/new-authz", "{\"identifier\":{\"type\":\"dns\",\"value\":\"b.test\"}}");
    assert_problem(&reply, 403, "rejectedIdentifier", "b.test is forbidden");
    reply = order_names(f, &client, "a.test c.test");
    assert_int_equal(reply.status, 201);
    reply = post(f, &client, BASE "/profile/other/new-order",
                 "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"b.test\"}]}");
    assert_int_equal(reply.status, 201);
}

static void test_subproblems_name_the_identifiers(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct reply reply =
        post(f, &client, BASE "/new-order",
             "{\"identifiers\":[" DNS("good.test") ",{\"type\":\"email\",\"value\":\"a@b\"}," DNS(
                 "bad_.test") "]}");
    assert_problem(&reply, 400, "compound", "2 identifiers");
    const cJSON *list = acme_json_get(reply.json, "subproblems");
    assert_int_equal(cJSON_GetArraySize(list), 2);
    const cJSON *first = cJSON_GetArrayItem(list, 0);
    const cJSON *second = cJSON_GetArrayItem(list, 1);
    assert_string_equal(acme_json_str(first, "type"), "urn:ietf:params:acme:error:unsupportedIdentifier");
    assert_string_equal(acme_json_str(acme_json_get(first, "identifier"), "value"), "a@b");
    assert_string_equal(acme_json_str(second, "type"), "urn:ietf:params:acme:error:rejectedIdentifier");
    assert_string_equal(acme_json_str(acme_json_get(second, "identifier"), "type"), "dns");
    assert_string_equal(acme_json_str(acme_json_get(second, "identifier"), "value"), "bad_.test");
    reply = order_names(f, &client, "bad_.test worse_.test");
    assert_problem(&reply, 400, "rejectedIdentifier", "2 identifiers");
}

static void test_addresses(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    static const char *const addresses[] = {"192.0.2.1", "2001:db8::1"};
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        struct reply order =
            post(f, &client, BASE "/new-order",
                 acme_arena_printf(f->arena, "{\"identifiers\":[{\"type\":\"ip\",\"value\":\"%s\"}]}",
                                   addresses[i]));
        assert_int_equal(order.status, 201);
        const cJSON *named = cJSON_GetArrayItem(acme_json_get(order.json, "identifiers"), 0);
        assert_string_equal(acme_json_str(named, "type"), "ip");
        assert_string_equal(acme_json_str(named, "value"), addresses[i]);
        struct reply authz = post(f, &client, item_of(&order, "authorizations", 0), "");
        named = acme_json_get(authz.json, "identifier");
        assert_string_equal(acme_json_str(named, "type"), "ip");
        assert_string_equal(acme_json_str(named, "value"), addresses[i]);
        assert_null(acme_json_get(authz.json, "wildcard"));
    }
    f->profiles[1].identifiers = 1U << ACME_IDENTIFIER_DNS;
    struct reply reply = post(f, &client, BASE "/profile/other/new-order", IP("192.0.2.1"));
    assert_problem(&reply, 400, "unsupportedIdentifier", "accepts: dns");
    reply = post(f, &client, BASE "/profile/other/new-order", ONE("a.test"));
    assert_int_equal(reply.status, 201);
    f->profiles[1].identifiers = 1U << ACME_IDENTIFIER_IP;
    reply = post(f, &client, BASE "/profile/other/new-order", ONE("a.test"));
    assert_problem(&reply, 400, "unsupportedIdentifier", "accepts: ip");
}

static void test_profiles(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    static const struct {
        const char *path;
        const char *member;
        const char *chosen; /* NULL: refused */
    } cases[] = {
        {"/new-order", "", "default"},
        {"/new-order", ",\"profile\":\"default\"", "default"},
        {"/new-order", ",\"profile\":\"other\"", "other"},
        {"/profile/other/new-order", "", "other"},
        {"/profile/other/new-order", ",\"profile\":\"other\"", "other"},
        {"/profile/other/new-order", ",\"profile\":\"default\"", NULL},
        {"/profile/default/new-order", ",\"profile\":\"other\"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *url = acme_arena_printf(f->arena, BASE "%s", cases[i].path);
        struct reply reply =
            post(f, &client, url,
                 acme_arena_printf(f->arena, "{\"identifiers\":[" DNS("a.test") "]%s}", cases[i].member));
        if (cases[i].chosen == NULL) {
            assert_problem(&reply, 400, "invalidProfile", "/directory");
        } else {
            assert_int_equal(reply.status, 201);
            assert_string_equal(text_of(&reply, "profile"), cases[i].chosen);
        }
    }
    struct reply reply = post(f, &client, BASE "/profile/none/new-order", ONE("a.test"));
    assert_int_equal(reply.status, 404);
    f->profiles[1].challenges = 0;
    reply = post(f, &client, BASE "/profile/other/new-order", ONE("a.test"));
    assert_problem(&reply, 400, "rejectedIdentifier", "no challenge");
}

static void test_challenge_success(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct reply order = order_names(f, &client, "a.test b.test");
    const char *first = item_of(&order, "authorizations", 0);
    const char *second = item_of(&order, "authorizations", 1);
    complete(f, &client, first, NULL);
    struct reply authz = post(f, &client, first, "");
    assert_string_equal(text_of(&authz, "status"), "valid");
    assert_int_equal(cJSON_GetArraySize(acme_json_get(authz.json, "challenges")), 1);
    order = post(f, &client, order.location, "");
    assert_string_equal(text_of(&order, "status"), "pending");
    complete(f, &client, second, NULL);
    order = post(f, &client, order.location, "");
    assert_string_equal(text_of(&order, "status"), "ready");
    assert_null(order.retry_after);

    /* Valid authorizations serve the next order of the account, and of no other account. */
    struct reply next = order_names(f, &client, "b.test a.test");
    assert_string_equal(text_of(&next, "status"), "ready");
    assert_string_not_equal(next.location, order.location);
    assert_string_equal(item_of(&next, "authorizations", 0), second);
    assert_string_equal(item_of(&next, "authorizations", 1), first);
    struct client other = join(f);
    next = order_names(f, &other, "a.test");
    assert_string_equal(text_of(&next, "status"), "pending");

    /* Not when they end within the hour. */
    f->now_ms += f->config.authz_lifetime_ms - ACME_HOUR_MS + 1;
    next = order_names(f, &client, "a.test");
    assert_string_equal(text_of(&next, "status"), "pending");
}

/* An invalid order says what is wrong with each of its names. */
static void test_every_failure_is_in_the_order(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct reply order = order_names(f, &client, "a.test b.test c.test");
    complete(f, &client, item_of(&order, "authorizations", 1), "b is away");
    struct reply now = post(f, &client, order.location, "");
    const cJSON *error = acme_json_get(now.json, "error");
    assert_string_equal(text_of(&now, "status"), "invalid");
    assert_string_equal(acme_json_str(error, "detail"), "b is away");
    const cJSON *list = acme_json_get(error, "subproblems");
    assert_int_equal(cJSON_GetArraySize(list), 1);
    assert_string_equal(acme_json_str(acme_json_get(list->child, "identifier"), "value"), "b.test");
    complete(f, &client, item_of(&order, "authorizations", 0), "a \"too\"");
    complete(f, &client, item_of(&order, "authorizations", 2), NULL);
    now = post(f, &client, order.location, "");
    error = acme_json_get(now.json, "error");
    assert_string_equal(acme_json_str(error, "detail"), "b is away"); /* the first */
    list = acme_json_get(error, "subproblems");
    assert_int_equal(cJSON_GetArraySize(list), 2);
    const cJSON *first = list->child;
    assert_string_equal(acme_json_str(acme_json_get(first, "identifier"), "value"), "a.test");
    assert_string_equal(acme_json_str(acme_json_get(first, "identifier"), "type"), "dns");
    assert_string_equal(acme_json_str(first, "detail"), "a \"too\"");
    assert_string_equal(acme_json_str(first, "type"), "urn:ietf:params:acme:error:connection");

    /* Not where no challenge failed. */
    order = order_names(f, &client, "d.test");
    (void)post(f, &client, item_of(&order, "authorizations", 0), "{\"status\":\"deactivated\"}");
    now = post(f, &client, order.location, "");
    assert_string_equal(text_of(&now, "status"), "invalid");
    assert_null(acme_json_get(acme_json_get(now.json, "error"), "subproblems"));
}

/* As much as an order can hold is still an answer. */
static void test_an_order_with_a_thousand_failures(void **state)
{
    enum { COUNT = 1000 };
    struct fixture *f = *state;
    struct client client = join(f);
    struct acme_identifier *names = acme_arena_alloc(f->arena, COUNT * sizeof *names);
    struct acme_authz *authzs = acme_arena_alloc(f->arena, COUNT * sizeof *authzs);
    assert_true(names != NULL && authzs != NULL);
    const struct acme_problem problem = {.type = ACME_PROBLEM_DNS,
                                         .detail = acme_arena_printf(f->arena, "%0150d", 0)};
    for (int i = 0; i < COUNT; i++) {
        const char *id = acme_arena_printf(f->arena, "00000000-0000-7000-8000-%012d", i);
        names[i] = (struct acme_identifier){.type = ACME_IDENTIFIER_DNS,
                                            .value = acme_arena_printf(f->arena, "%050d.%050d.test", i, i)};
        authzs[i] = (struct acme_authz){.id = id,
                                        .identifier = names[i],
                                        .status = i == 0 ? ACME_AUTHZ_PENDING : ACME_AUTHZ_INVALID,
                                        .challenges = {{.id = id,
                                                        .type = "http-01",
                                                        .token = "t",
                                                        .status = ACME_CHALLENGE_INVALID,
                                                        .error = acme_problem_json(f->arena, &problem)}},
                                        .challenge_count = 1};
    }
    struct acme_order order = {.id = "00000000-0000-7000-8000-000000000000",
                               .account_id = id_of(client.kid),
                               .profile = "default",
                               .identifiers = names,
                               .identifier_count = COUNT,
                               .expires_ms = f->now_ms + ACME_DAY_MS};
    struct acme_order made;
    assert_int_equal(
        acme_store_order_create(f->store, f->arena, &order, authzs, f->now_ms, f->now_ms, &made).code,
        ACME_OK);
    assert_int_equal(
        acme_store_authz_deactivate(f->store, authzs[0].id, acme_problem_json(f->arena, &problem)).code,
        ACME_OK);
    struct reply now = post(f, &client, acme_arena_printf(f->arena, BASE "/order/%s", made.id), "");
    assert_int_equal(now.status, 200);
    assert_string_equal(text_of(&now, "status"), "invalid");
    assert_true(now.response.body.len > (size_t)512 * 1024);
    const cJSON *list = acme_json_get(acme_json_get(now.json, "error"), "subproblems");
    assert_int_equal(cJSON_GetArraySize(list), COUNT - 1);
}

static void test_challenge_requests(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct reply order = order_names(f, &client, "a.test");
    const char *authz_url = item_of(&order, "authorizations", 0);
    const char *url = challenge_url(f, &client, authz_url);
    struct reply reply = post(f, &client, url, "");
    assert_string_equal(text_of(&reply, "status"), "pending");
    assert_string_equal(header_of(&reply, "Link", 1),
                        acme_arena_printf(f->arena, "<%s>;rel=\"up\"", authz_url));
    assert_int_equal(f->job_count, 0); /* POST-as-GET triggers nothing */

    reply =
        post(f, &client, url, "{\"resource\":\"challenge\",\"type\":\"http-01\",\"keyAuthorization\":\"x\"}");
    assert_int_equal(reply.status, 200);
    assert_string_equal(text_of(&reply, "status"), "processing");
    assert_string_equal(reply.retry_after, "5");
    assert_int_equal(f->job_count, 1);
    assert_string_equal(f->jobs[0].subject_id, id_of(url));

    reply = post(f, &client, url, "{}");
    assert_int_equal(reply.status, 200);
    assert_string_equal(text_of(&reply, "status"), "processing");
    assert_int_equal(f->job_count, 1); /* once is enough */

    f->now_ms += 9999;
    assert_string_equal(post(f, &client, authz_url, "").retry_after, "5");
    f->now_ms += 1;
    reply = post(f, &client, authz_url, "");
    assert_string_equal(text_of(&reply, "status"), "pending");
    assert_string_equal(reply.retry_after, "30");
}

static void test_challenge_failure(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct reply order = order_names(f, &client, "a.test");
    const char *authz_url = item_of(&order, "authorizations", 0);
    const char *url = challenge_url(f, &client, authz_url);
    complete(f, &client, authz_url, "connection refused");
    struct reply reply = post(f, &client, url, "{}");
    assert_int_equal(reply.status, 200);
    assert_string_equal(text_of(&reply, "status"), "invalid");
    assert_string_equal(acme_json_str(acme_json_get(reply.json, "error"), "detail"), "connection refused");
    assert_null(reply.retry_after);
    reply = post(f, &client, authz_url, "");
    assert_string_equal(text_of(&reply, "status"), "invalid");
    order = post(f, &client, order.location, "");
    assert_string_equal(text_of(&order, "status"), "invalid");
    assert_string_equal(acme_json_str(acme_json_get(order.json, "error"), "detail"), "connection refused");
    assert_int_equal(f->job_count, 0);
}

static void test_authz_deactivation(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    const char *order_url = ready_order(f, &client, "a.test");
    struct reply order = post(f, &client, order_url, "");
    const char *authz_url = item_of(&order, "authorizations", 0);
    struct reply reply = post(f, &client, authz_url, "{\"status\":\"valid\"}");
    assert_problem(&reply, 400, "malformed", "deactivated");
    assert_int_equal(post(f, &client, authz_url, "{\"status\":\"\"}").status, 200);
    reply = post(f, &client, authz_url, "{\"status\":\"deactivated\"}");
    assert_int_equal(reply.status, 200);
    assert_string_equal(text_of(&reply, "status"), "deactivated");
    reply = post(f, &client, authz_url, "{\"status\":\"deactivated\"}");
    assert_int_equal(reply.status, 200);
    assert_string_equal(text_of(&reply, "status"), "deactivated");
    order = post(f, &client, order_url, "");
    assert_string_equal(text_of(&order, "status"), "invalid");
    order = order_names(f, &client, "a.test");
    assert_string_equal(text_of(&order, "status"), "pending");
}

static void test_expiry(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct reply pending = order_names(f, &client, "a.test");
    const char *authz_url = item_of(&pending, "authorizations", 0);
    const char *url = challenge_url(f, &client, authz_url);
    const char *ready = ready_order(f, &client, "b.test");
    f->now_ms += f->config.order_lifetime_ms - 1;
    assert_string_equal(post(f, &client, ready, "").location, ready);
    struct reply reply = post(f, &client, ready, "");
    assert_string_equal(text_of(&reply, "status"), "ready");
    f->now_ms += 1;
    reply = post(f, &client, ready, "");
    assert_string_equal(text_of(&reply, "status"), "invalid");
    assert_non_null(strstr(acme_json_str(acme_json_get(reply.json, "error"), "detail"), "expired"));
    reply = post(f, &client, pending.location, "");
    assert_string_equal(text_of(&reply, "status"), "invalid");
    reply = post(f, &client, authz_url, "");
    assert_string_equal(text_of(&reply, "status"), "invalid");
    reply = post(f, &client, url, "{}");
    assert_int_equal(reply.status, 200);
    assert_string_equal(text_of(&reply, "status"), "invalid");
    assert_int_equal(f->job_count, 0);
}

static void test_valid_authz_expires(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    const char *order_url = ready_order(f, &client, "a.test");
    struct reply order = post(f, &client, order_url, "");
    f->now_ms += f->config.authz_lifetime_ms;
    struct reply reply = post(f, &client, item_of(&order, "authorizations", 0), "");
    assert_string_equal(text_of(&reply, "status"), "expired");
}

static void test_foreign_objects_look_like_none(void **state)
{
    struct fixture *f = *state;
    struct client owner = join(f);
    struct client client = join(f);
    struct reply order = order_names(f, &owner, "a.test");
    const char *authz_url = item_of(&order, "authorizations", 0);
    const struct {
        const char *url;
        const char *kind;
    } objects[] = {
        {order.location, "/order/%s"},
        {text_of(&order, "finalize"), "/order/%s/finalize"},
        {authz_url, "/authz/%s"},
        {challenge_url(f, &owner, authz_url), "/challenge/%s"},
    };
    static const char *const ids[] = {"01900000-0000-7000-8000-000000000000", "x", "..", "%27"};
    static const char *const payloads[] = {"", "{\"csr\":\"AAAA\"}", "{\"status\":\"deactivated\"}"};
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++) {
        for (size_t p = 0; p < sizeof payloads / sizeof *payloads; p++) {
            struct reply foreign = post(f, &client, objects[i].url, payloads[p]);
            assert_problem(&foreign, 404, "malformed", "account");
            for (size_t j = 0; j < sizeof ids / sizeof *ids; j++) {
                const char *slash = strrchr(objects[i].kind, '%');
                const char *url = acme_arena_printf(f->arena, BASE "%.*s%s%s", (int)(slash - objects[i].kind),
                                                    objects[i].kind, ids[j], slash + 2);
                struct reply absent = post(f, &client, url, payloads[p]);
                assert_int_equal(absent.status, 404);
                assert_string_equal((const char *)foreign.response.body.data,
                                    (const char *)absent.response.body.data);
            }
        }
    }
    assert_int_equal(f->job_count, 0);
    struct reply authz = post(f, &owner, authz_url, "");
    assert_string_equal(text_of(&authz, "status"), "pending");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        T(test_new_order),
        T(test_tokens_differ),
        T(test_zero_values_are_absent),
        T(test_refused_orders),
        T(test_names_the_server_forbids),
        T(test_subproblems_name_the_identifiers),
        T(test_addresses),
        T(test_profiles),
        T(test_challenge_success),
        T(test_every_failure_is_in_the_order),
        T(test_an_order_with_a_thousand_failures),
        T(test_challenge_requests),
        T(test_challenge_failure),
        T(test_authz_deactivation),
        T(test_expiry),
        T(test_valid_authz_expires),
        T(test_foreign_objects_look_like_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
