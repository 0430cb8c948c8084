/* Accounts: registration, contacts, terms, update, deactivation, the list of orders. */
#include "client.h"

#include <pthread.h>
#include <string.h>

static struct client stranger(struct fixture *f, const char *alg)
{
    return (struct client){.key = jose_key_make(f->arena, alg)};
}

static void test_registration(void **state)
{
    struct fixture *f = *state;
    struct client client = stranger(f, "ES256");
    struct reply reply = post(f, &client, BASE "/new-account",
                              "{\"contact\":[\"mailto:a@x.test\"],\"status\":\"\",\"orders\":\"\"}");
    assert_int_equal(reply.status, 201);
    assert_string_equal(text_of(&reply, "status"), "valid");
    assert_string_equal(item_of(&reply, "contact", 0), "mailto:a@x.test");
    assert_string_equal(text_of(&reply, "orders"), acme_arena_printf(f->arena, "%s/orders", reply.location));

    struct reply again = post(f, &client, BASE "/new-account", "{\"contact\":[\"mailto:b@x.test\"]}");
    assert_int_equal(again.status, 200);
    assert_string_equal(again.location, reply.location);
    assert_string_equal(item_of(&again, "contact", 0), "mailto:a@x.test");
    reply = post(f, &client, BASE "/new-account", "");
    assert_problem(&reply, 400, "malformed", "payload");
}

static void test_every_algorithm_registers(void **state)
{
    struct fixture *f = *state;
    static const char *const algs[] = {"RS256", "RS384", "RS512", "PS256",
                                       "ES256", "ES384", "ES512", "EdDSA"};
    for (size_t i = 0; i < sizeof algs / sizeof *algs; i++) {
        struct client client = stranger(f, algs[i]);
        struct reply reply = post(f, &client, BASE "/new-account", "{}");
        assert_int_equal(reply.status, 201);
        client.kid = reply.location;
        assert_int_equal(post(f, &client, client.kid, "").status, 200);
        /* Twice, so that the key comes from the cache, too. */
        assert_int_equal(post(f, &client, client.kid, "{}").status, 200);
    }
}

static void test_only_return_existing(void **state)
{
    struct fixture *f = *state;
    f->config.terms_of_service = "https://ca.test/terms";
    struct client client = stranger(f, "ES256");
    struct reply reply = post(f, &client, BASE "/new-account", "{\"onlyReturnExisting\":true}");
    assert_problem(&reply, 400, "accountDoesNotExist", "register");
    reply = post(f, &client, BASE "/new-account", "{\"termsOfServiceAgreed\":true}");
    assert_int_equal(reply.status, 201);
    struct reply again = post(f, &client, BASE "/new-account", "{\"onlyReturnExisting\":true}");
    assert_int_equal(again.status, 200);
    assert_string_equal(again.location, reply.location);
}

static void test_terms_of_service(void **state)
{
    struct fixture *f = *state;
    f->config.terms_of_service = "https://ca.test/terms";
    struct client client = stranger(f, "ES256");
    struct reply reply = post(f, &client, BASE "/new-account", "{}");
    assert_problem(&reply, 403, "userActionRequired", "https://ca.test/terms");
    reply = post(f, &client, BASE "/new-account", "{\"termsOfServiceAgreed\":false}");
    assert_problem(&reply, 403, "userActionRequired", "https://ca.test/terms");
    reply = post(f, &client, BASE "/new-account", "{\"onlyReturnExisting\":true}");
    assert_problem(&reply, 400, "accountDoesNotExist", "");
    reply = post(f, &client, BASE "/new-account", "{\"termsOfServiceAgreed\":true}");
    assert_int_equal(reply.status, 201);
    assert_true(acme_json_bool(reply.json, "termsOfServiceAgreed", false));
}

#define TERMS      "https://ca.test/terms"
#define TERMS_LINK "<" TERMS "-2>;rel=\"terms-of-service\""

/* What section 7.3.3 wants of the refusal. */
static void assert_terms(const struct reply *reply)
{
    assert_problem(reply, 403, "userActionRequired", TERMS "-2");
    assert_string_equal(text_of(reply, "instance"), TERMS "-2");
    assert_string_equal(header_of(reply, "Link", 1), TERMS_LINK);
    assert_null(header_of(reply, "Link", 2));
}

static void test_new_terms(void **state)
{
    struct fixture *f = *state;
    f->config.terms_of_service = TERMS;
    struct client by_update = join(f);
    struct client by_registration = join(f);
    struct reply order = order_names(f, &by_update, "a.test");
    f->config.terms_of_service = TERMS "-2";
    assert_int_equal(post(f, &by_update, order.location, "").status, 200); /* the operator does not insist */
    f->config.terms_must_agree = true;

    static const char *const closed[] = {BASE "/new-order", BASE "/profile/other/new-order"};
    for (size_t i = 0; i < 2; i++) {
        struct reply reply =
            post(f, &by_update, closed[i], "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.test\"}]}");
        assert_terms(&reply);
    }
    struct reply reply = post(f, &by_update, order.location, "");
    assert_terms(&reply);
    reply = post(f, &by_update, item_of(&order, "authorizations", 0), "");
    assert_terms(&reply);
    /* What stays open. */
    reply = post(f, &by_update, by_update.kid, "{\"contact\":[]}");
    assert_int_equal(reply.status, 200);
    assert_null(acme_json_get(reply.json, "termsOfServiceAgreed"));
    assert_int_equal(post(f, &by_update, acme_arena_printf(f->arena, "%s/orders", by_update.kid), "").status,
                     200);
    assert_int_equal(post(f, &by_update, BASE "/directory", "").status, 200);
    assert_int_equal(post(f, &by_update, BASE "/profile/other/directory", "").status, 200);
    assert_int_equal(post(f, &by_update, BASE "/new-nonce", "").status, 204);
    reply = post(f, &by_update, BASE "/key-change", "{}");
    assert_problem(&reply, 400, "malformed", "keyChange");

    reply = post(f, &by_update, by_update.kid, "{\"termsOfServiceAgreed\":false}");
    assert_null(acme_json_get(reply.json, "termsOfServiceAgreed"));
    reply = post(f, &by_update, by_update.kid, "{\"termsOfServiceAgreed\":true}");
    assert_true(acme_json_bool(reply.json, "termsOfServiceAgreed", false));
    assert_int_equal(post(f, &by_update, order.location, "").status, 200);

    struct client anew = {.key = by_registration.key};
    assert_int_equal(post(f, &anew, BASE "/new-account", "{\"onlyReturnExisting\":true}").status, 200);
    assert_int_equal(
        post(f, &anew, BASE "/new-account", "{\"onlyReturnExisting\":true,\"termsOfServiceAgreed\":true}")
            .status,
        200);
    reply = order_names(f, &by_registration, "a.test");
    assert_terms(&reply);
    reply = post(f, &anew, BASE "/new-account", "{\"termsOfServiceAgreed\":true}");
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.location, by_registration.kid);
    assert_int_equal(order_names(f, &by_registration, "a.test").status, 201);
    anew = stranger(f, "ES256");
    reply = post(f, &anew, BASE "/new-account", "{}");
    assert_terms(&reply);
}

static void test_terms_that_come_later(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f); /* says that it agrees, but there was nothing to agree to */
    f->config.terms_of_service = TERMS "-2";
    f->config.terms_must_agree = true;
    struct reply reply = order_names(f, &client, "a.test");
    assert_terms(&reply);
    assert_int_equal(post(f, &client, client.kid, "{\"status\":\"deactivated\"}").status, 200);
}

static void test_contacts(void **state)
{
    struct fixture *f = *state;
    struct client client = stranger(f, "ES256");
    static const struct {
        const char *contact; /* JSON */
        const char *type;
        const char *part;
    } bad[] = {
        {"\"mailto:a@x.test\"", "invalidContact", "array"},
        {"[5]", "invalidContact", "array"},
        {"[\"tel:123\"]", "unsupportedContact", "tel:123"},
        {"[\"ftp://x.test\"]", "unsupportedContact", "mailto"},
        {"[\"a@x.test\"]", "invalidContact", "mailto:name@domain"},
        {"[\"\"]", "invalidContact", "URL"},
        {"[\"mailto:\"]", "invalidContact", "form"},
        {"[\"mailto:a\"]", "invalidContact", "form"},
        {"[\"mailto:@x.test\"]", "invalidContact", "before @"},
        {"[\"mailto:a@\"]", "invalidContact", "after @"},
        {"[\"mailto:a@b@x.test\"]", "invalidContact", "form"},
        {"[\"mailto:a@*.x.test\"]", "invalidContact", "after @"},
        {"[\"mailto:a@127.0.0.1\"]", "invalidContact", "after @"},
        {"[\"mailto:a b@x.test\"]", "invalidContact", "not allowed"},
        {"[\"mailto:a%2cb@x.test\"]", "invalidContact", "not allowed"},
        {"[\"mailto:\\u00e9@x.test\"]", "invalidContact", "\\xc3\\xa9"},
        {"[\"mailto:a@x.test?subject=x\"]", "invalidContact", "?"},
        {"[\"mailto:a@x.test,b@x.test\"]", "invalidContact", "one address"},
        {"[\"mailto:a@x.test\",\"mailto:b@x.test\",\"mailto:c@x.test\"]", "invalidContact", "at most 2"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct reply reply = post(f, &client, BASE "/new-account",
                                  acme_arena_printf(f->arena, "{\"contact\":%s}", bad[i].contact));
        assert_problem(&reply, 400, bad[i].type, bad[i].part);
    }
    struct reply reply = post(f, &client, BASE "/new-account", "{\"onlyReturnExisting\":true}");
    assert_problem(&reply, 400, "accountDoesNotExist", ""); /* none of these made one */
    static const char *const good[] = {"null", "[]", "[\"MAILTO:A@X.test\"]",
                                       "[\"mailto:a+b@x.test\",\"mailto:b@y\"]"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct client other = stranger(f, "ES256");
        reply =
            post(f, &other, BASE "/new-account", acme_arena_printf(f->arena, "{\"contact\":%s}", good[i]));
        assert_int_equal(reply.status, 201);
        assert_int_equal(cJSON_GetArraySize(acme_json_get(reply.json, "contact")), i == 3 ? 2 : i == 2);
    }
}

static void test_update(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct reply reply = post(f, &client, client.kid, "{\"contact\":[\"mailto:new@x.test\"]}");
    assert_int_equal(reply.status, 200);
    assert_string_equal(item_of(&reply, "contact", 0), "mailto:new@x.test");
    reply = post(f, &client, client.kid, "{}");
    assert_string_equal(item_of(&reply, "contact", 0), "mailto:new@x.test");
    reply = post(f, &client, client.kid, "");
    assert_string_equal(item_of(&reply, "contact", 0), "mailto:new@x.test");
    reply = post(f, &client, client.kid, "{\"status\":\"revoked\"}");
    assert_problem(&reply, 400, "malformed", "deactivated");
    reply = post(f, &client, client.kid, "{\"contact\":[\"tel:1\"],\"status\":\"deactivated\"}");
    assert_problem(&reply, 400, "unsupportedContact", "");
    reply =
        post(f, &client, client.kid, "{\"contact\":[],\"status\":\"valid\",\"termsOfServiceAgreed\":true}");
    assert_int_equal(reply.status, 200);
    assert_null(acme_json_get(reply.json, "contact"));
}

static void test_deactivation(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct reply reply = post(f, &client, client.kid, "{\"status\":\"deactivated\"}");
    assert_int_equal(reply.status, 200);
    assert_string_equal(text_of(&reply, "status"), "deactivated");
    reply = post(f, &client, client.kid, "");
    assert_problem(&reply, 401, "unauthorized", "deactivated");
    reply = order_names(f, &client, "a.test");
    assert_problem(&reply, 401, "unauthorized", "deactivated");
    client.kid = NULL;
    reply = post(f, &client, BASE "/new-account", "{}");
    assert_problem(&reply, 401, "unauthorized", "deactivated");
    reply = post(f, &client, BASE "/new-account", "{\"onlyReturnExisting\":true}");
    assert_problem(&reply, 401, "unauthorized", "deactivated");
}

static void test_deactivation_ends_orders(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct client other = join(f);
    struct reply foreign = order_names(f, &other, "a.test");
    struct reply pending = order_names(f, &client, "pending.test");
    const char *ready = ready_order(f, &client, "ready.test");
    const char *started = ready_order(f, &client, "started.test");
    struct reply reply = post(f, &client, acme_arena_printf(f->arena, "%s/finalize", started),
                              csr_payload(f, jose_key_make(f->arena, "ES256").key, "started.test"));
    assert_string_equal(text_of(&reply, "status"), "processing");
    struct reply running = order_names(f, &client, "running.test");
    struct reply early =
        post(f, &client, BASE "/new-authz", "{\"identifier\":{\"type\":\"dns\",\"value\":\"early.test\"}}");
    assert_int_equal(early.status, 201);
    const char *authz_id = id_of(item_of(&running, "authorizations", 0));
    const char *challenge = challenge_url(f, &client, item_of(&running, "authorizations", 0));
    f->job_count = 0;
    assert_int_equal(post(f, &client, challenge, "{}").status, 200);
    assert_int_equal(f->job_count, 1);

    reply = post(f, &client, client.kid, "{\"status\":\"deactivated\",\"contact\":[]}");
    assert_int_equal(reply.status, 200);
    const char *ended[] = {pending.location, ready, running.location};
    struct acme_order order;
    struct acme_authz authz;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(acme_store_order_get(f->store, f->arena, id_of(ended[i]), &order).code, ACME_OK);
        assert_int_equal(order.status, ACME_ORDER_INVALID);
        assert_non_null(strstr(order.error, "deactivated"));
        assert_int_equal(acme_store_authz_get(f->store, f->arena, order.authz_ids[0], &authz).code, ACME_OK);
        assert_int_equal(authz.status, ACME_AUTHZ_DEACTIVATED);
    }
    assert_int_equal(acme_store_authz_get(f->store, f->arena, id_of(early.location), &authz).code, ACME_OK);
    assert_int_equal(authz.status, ACME_AUTHZ_DEACTIVATED);
    /* What may be under way at a CA is followed to its end. */
    assert_int_equal(acme_store_order_get(f->store, f->arena, id_of(started), &order).code, ACME_OK);
    assert_int_equal(order.status, ACME_ORDER_PROCESSING);
    /* A validation that ends now changes nothing. */
    assert_int_equal(acme_store_challenge_finish(f->store, id_of(challenge), f->jobs[0].id, "test", NULL,
                                                 f->now_ms, f->now_ms + ACME_DAY_MS)
                         .code,
                     ACME_OK);
    assert_int_equal(acme_store_authz_get(f->store, f->arena, authz_id, &authz).code, ACME_OK);
    assert_int_equal(authz.status, ACME_AUTHZ_DEACTIVATED);
    assert_int_equal(acme_store_order_get(f->store, f->arena, id_of(running.location), &order).code, ACME_OK);
    assert_int_equal(order.status, ACME_ORDER_INVALID);

    const char *closed[] = {pending.location,   item_of(&pending, "authorizations", 0),
                            challenge,          acme_arena_printf(f->arena, "%s/orders", client.kid),
                            BASE "/key-change", acme_arena_printf(f->arena, "%s/finalize", ready)};
    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++) {
        reply = post(f, &client, closed[i], "");
        assert_problem(&reply, 401, "unauthorized", "deactivated");
    }
    assert_int_equal(post(f, &other, foreign.location, "").status, 200);
    assert_string_equal(text_of(&foreign, "status"), "pending");
}

static void test_foreign_accounts_look_like_none(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct client other = join(f);
    static const char *const suffixes[] = {"", "/orders"};
    for (size_t i = 0; i < 2; i++) {
        struct reply foreign =
            post(f, &client, acme_arena_printf(f->arena, "%s%s", other.kid, suffixes[i]), "");
        struct reply absent = post(
            f, &client,
            acme_arena_printf(f->arena, BASE "/account/01900000-0000-7000-8000-000000000000%s", suffixes[i]),
            "");
        assert_problem(&foreign, 403, "unauthorized", "newAccount");
        assert_string_equal((const char *)foreign.response.body.data,
                            (const char *)absent.response.body.data);
    }
}

static void test_orders_in_pages(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    const char *list = acme_arena_printf(f->arena, "%s/orders", client.kid);
    struct reply page = post(f, &client, list, "");
    assert_int_equal(page.status, 200);
    assert_int_equal(cJSON_GetArraySize(acme_json_get(page.json, "orders")), 0);

    enum { ORDERS = 203 };
    for (int i = 0; i < ORDERS; i++) {
        f->now_ms++;
        assert_int_equal(order_names(f, &client, "a.test").status, 201);
    }
    f->now_ms++; /* ids of one millisecond have no order */
    struct client other = join(f);
    assert_int_equal(order_names(f, &other, "a.test").status, 201);
    int seen = 0;
    int pages = 0;
    const char *last = "";
    const char *url = list;
    while (url != NULL) {
        page = post(f, &client, url, "");
        assert_int_equal(page.status, 200);
        int count = cJSON_GetArraySize(acme_json_get(page.json, "orders"));
        for (int i = 0; i < count; i++) {
            const char *order = item_of(&page, "orders", i);
            assert_true(strcmp(last, order) < 0);
            last = order;
        }
        seen += count;
        pages++;
        const char *link = header_of(&page, "Link", 1);
        url = NULL;
        if (link != NULL) {
            assert_non_null(strstr(link, ">;rel=\"next\""));
            url = acme_arena_strndup(f->arena, link + 1, strcspn(link, ">") - 1);
        }
    }
    assert_int_equal(seen, ORDERS);
    assert_int_equal(pages, 3);
    /* A cursor from elsewhere only says where to begin among one's own. */
    struct reply foreign = post(f, &client, acme_arena_printf(f->arena, "%s/orders", other.kid), "");
    assert_problem(&foreign, 403, "unauthorized", "");
    page = post(f, &client, acme_arena_printf(f->arena, "%s?cursor=%s", list, id_of(other.kid)), "");
    assert_int_equal(page.status, 200);
    assert_int_equal(cJSON_GetArraySize(acme_json_get(page.json, "orders")), 0);
    page = post(f, &client,
                acme_arena_printf(f->arena, "%s?cursor=00000000-0000-7000-8000-000000000000", list), "");
    assert_int_equal(cJSON_GetArraySize(acme_json_get(page.json, "orders")), 100);
    page = post(f, &client, acme_arena_printf(f->arena, "%s?cursor=x", list), "");
    assert_problem(&page, 400, "malformed", "next");
    page = post(f, &client, acme_arena_printf(f->arena, "%s?", list), "");
    assert_problem(&page, 400, "malformed", "next");
    f->now_ms += f->config.order_lifetime_ms; /* what expired is invalid, and not listed */
    page = post(f, &client, list, "");
    assert_int_equal(cJSON_GetArraySize(acme_json_get(page.json, "orders")), 0);
}

/* Two registrations with one key at the same time make one account. */
struct registration {
    struct fixture *f;
    struct acme_arena *arena;
    const char *body;
    pthread_barrier_t *start;
    struct acme_response response;
};

static void *registration_thread(void *arg)
{
    struct registration *r = arg;
    const struct acme_request request = {
        .arena = r->arena,
        .method = "POST",
        .path = "/new-account",
        .content_type = JOSE,
        .body = {.data = (const uint8_t *)r->body, .len = strlen(r->body)},
    };
    pthread_barrier_wait(r->start);
    acme_service_handle(r->f->service, &request, &r->response);
    return NULL;
}

static void test_parallel_registrations(void **state)
{
    struct fixture *f = *state;
    struct jose_key key = jose_key_make(f->arena, "ES256");
    enum { COUNT = 8 };
    struct registration all[COUNT];
    pthread_t threads[COUNT];
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, COUNT);
    for (int i = 0; i < COUNT; i++) {
        const char *protected = acme_arena_printf(
            f->arena, "{\"alg\":\"ES256\",\"jwk\":%s,\"nonce\":\"%s\",\"url\":\"" BASE "/new-account\"}",
            key.jwk, fresh_nonce(f));
        all[i] = (struct registration){
            .f = f,
            .arena = acme_arena_create(1024 * 1024),
            .body = jose_sign(f->arena, &key, protected, "{}"),
            .start = &start,
        };
    }
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, registration_thread, &all[i]), 0);
    int created = 0;
    const char *location = NULL;
    for (int i = 0; i < COUNT; i++) {
        pthread_join(threads[i], NULL);
        struct reply reply = {.response = all[i].response};
        assert_true(reply.response.status == 201 || reply.response.status == 200);
        created += reply.response.status == 201;
        if (location == NULL)
            location = acme_arena_strdup(f->arena, header_of(&reply, "Location", 0));
        assert_string_equal(header_of(&reply, "Location", 0), location);
        acme_arena_destroy(all[i].arena);
    }
    assert_int_equal(created, 1);
    pthread_barrier_destroy(&start);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        T(test_registration),
        T(test_every_algorithm_registers),
        T(test_only_return_existing),
        T(test_terms_of_service),
        T(test_new_terms),
        T(test_terms_that_come_later),
        T(test_contacts),
        T(test_update),
        T(test_deactivation),
        T(test_deactivation_ends_orders),
        T(test_foreign_accounts_look_like_none),
        T(test_orders_in_pages),
        T(test_parallel_registrations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
