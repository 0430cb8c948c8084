/* External account binding (RFC 8555 section 7.3.4). */
#include "client.h"

#include <string.h>

#define URL BASE "/new-account"

enum { SHORT = 32, LONG = 64 };

/* Not zero at its end: HMAC fills short keys up with zeros. */
static const uint8_t octets[LONG] = {1, 2, 3, 4, 5, 6, 7, 8, 9, [LONG - 1] = 10};

/* kid-32 and kid-64 by their keys' sizes; kid-once for one account. */
static int open_with_keys(void **state)
{
    int failed = fixture_open(state);
    struct fixture *f = *state;
    struct acme_external_key *keys = acme_arena_alloc(f->arena, 3 * sizeof *keys);
    const char *key32 = jose_b64_octets(f->arena, octets, SHORT);
    const char *key64 = jose_b64_octets(f->arena, octets, LONG);
    keys[0] = (struct acme_external_key){.kid = "kid-32", .key = key32};
    keys[1] = (struct acme_external_key){.kid = "kid-64", .key = key64};
    keys[2] = (struct acme_external_key){.kid = "kid-once", .key = key32, .single_use = true};
    f->config.external_keys = keys;
    f->config.external_key_count = 3;
    f->config.external_account_required = true;
    return failed;
}

static const char *bind(struct fixture *f, const char *alg, size_t size, const char *header, const char *jwk)
{
    struct jose_key mac = jose_mac_make(f->arena, alg, octets, size);
    return acme_arena_printf(f->arena, "{\"externalAccountBinding\":%s}",
                             jose_sign(f->arena, &mac, header, jwk));
}

static const char *header(struct fixture *f, const char *alg, const char *kid)
{
    return acme_arena_printf(f->arena, "{\"alg\":\"%s\",\"kid\":\"%s\",\"url\":\"" URL "\"}", alg, kid);
}

static struct client stranger(struct fixture *f)
{
    return (struct client){.key = jose_key_make(f->arena, "ES256")};
}

static void test_good_bindings(void **state)
{
    struct fixture *f = *state;
    static const char *const algs[] = {"HS256", "HS384", "HS512"};
    for (size_t i = 0; i < 3; i++) {
        struct client client = stranger(f);
        /* As Proxmox spells it: other members, another order. */
        const char *jwk = acme_arena_printf(f->arena, "{\"use\":\"sig\",\n \"key_ops\":[\"verify\"],%s",
                                            client.key.jwk + 1);
        const char *payload = bind(f, algs[i], LONG, header(f, algs[i], "kid-64"), jwk);
        struct reply reply = post(f, &client, URL, payload);
        assert_int_equal(reply.status, 201);
        client.kid = reply.location;
        reply = post(f, &client, client.kid, "");
        assert_string_equal(acme_json_print(f->arena, acme_json_get(reply.json, "externalAccountBinding")),
                            acme_arena_strndup(f->arena, payload + 26, strlen(payload) - 27));
        struct acme_account account;
        assert_int_equal(acme_store_account_get(f->store, f->arena, id_of(client.kid), &account).code,
                         ACME_OK);
        assert_string_equal(account.external_kid, "kid-64");
    }
}

static void test_existing_accounts_need_none(void **state)
{
    struct fixture *f = *state;
    f->config.terms_of_service = "https://ca.test/terms";
    struct client client = stranger(f);
    struct reply reply = post(f, &client, URL, "{\"onlyReturnExisting\":true}");
    assert_problem(&reply, 400, "accountDoesNotExist", "");
    const char *payload = bind(f, "HS256", SHORT, header(f, "HS256", "kid-32"), client.key.jwk);
    payload = acme_arena_printf(f->arena, "{\"termsOfServiceAgreed\":true,%s", payload + 1);
    assert_int_equal(post(f, &client, URL, payload).status, 201);
    static const char *const later[] = {"{}", "{\"onlyReturnExisting\":true}",
                                        "{\"externalAccountBinding\":{\"protected\":\"x\"}}"};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(post(f, &client, URL, later[i]).status, 200);
}

static void test_required(void **state)
{
    struct fixture *f = *state;
    struct client client = stranger(f);
    struct reply reply = post(f, &client, URL, "{}");
    assert_problem(&reply, 403, "externalAccountRequired", "operator");
    reply = post(f, &client, URL, "{\"externalAccountBinding\":null}");
    assert_problem(&reply, 403, "externalAccountRequired", "operator");
    /* Where it is not required it may be there, and then it must be right. */
    f->config.external_account_required = false;
    const char *wrong = bind(f, "HS256", SHORT, header(f, "HS256", "nobody"), client.key.jwk);
    reply = post(f, &client, URL, wrong);
    assert_problem(&reply, 403, "unauthorized", "nobody");
    assert_int_equal(post(f, &client, URL, "{}").status, 201);
    /* Without any keys there is no such thing. */
    f->config.external_key_count = 0;
    client = stranger(f);
    reply = post(f, &client, URL, bind(f, "HS256", SHORT, header(f, "HS256", "kid-32"), client.key.jwk));
    assert_int_equal(reply.status, 201);
    assert_null(acme_json_get(reply.json, "externalAccountBinding"));
}

static void test_bad_bindings(void **state)
{
    struct fixture *f = *state;
    struct client client = stranger(f);
    const char *jwk = client.key.jwk;
    const struct {
        const char *alg;
        size_t size;
        const char *header;
        const char *payload;
        int status;
        const char *type;
        const char *part;
    } bad[] = {
        {"HS256", SHORT, header(f, "HS256", "nobody"), jwk, 403, "unauthorized", "nobody"},
        {"HS256", LONG, header(f, "HS256", "kid-32"), jwk, 403, "unauthorized", "HMAC key"},
        {"HS384", SHORT, header(f, "HS256", "kid-32"), jwk, 403, "unauthorized", "HMAC key"},
        {"HS384", SHORT, header(f, "HS384", "kid-32"), jwk, 400, "malformed", "too short for HS384"},
        {"HS512", SHORT, header(f, "HS512", "kid-32"), jwk, 400, "malformed", "too short for HS512"},
        {"HS256", SHORT, header(f, "ES256", "kid-32"), jwk, 400, "malformed", "HS256, HS384 or HS512"},
        {"HS256", SHORT, header(f, "none", "kid-32"), jwk, 400, "malformed", "HS256, HS384 or HS512"},
        {"HS256", SHORT, header(f, "HS256", "kid-32"), "", 400, "malformed", "account key"},
        {"HS256", SHORT, header(f, "HS256", "kid-32"), "{}", 400, "malformed", "account key"},
        {"HS256", SHORT, header(f, "HS256", "kid-32"), stranger(f).key.jwk, 400, "malformed", "account key"},
        {"HS256", SHORT, "{\"alg\":\"HS256\",\"kid\":\"kid-32\"}", jwk, 400, "malformed", "no url"},
        {"HS256", SHORT, "{\"alg\":\"HS256\",\"kid\":\"kid-32\",\"url\":\"" BASE "/new-order\"}", jwk, 400,
         "malformed", "/new-order"},
        {"HS256", SHORT, "{\"alg\":\"HS256\",\"kid\":\"kid-32\",\"url\":\"" URL "\",\"nonce\":\"AAAA\"}", jwk,
         400, "malformed", "nonce"},
        {"HS256", SHORT, "{\"alg\":\"HS256\",\"url\":\"" URL "\"}", jwk, 400, "malformed", "kid"},
        {"HS256", SHORT, "{\"alg\":\"HS256\",\"jwk\":{},\"url\":\"" URL "\"}", jwk, 400, "malformed", "kid"},
        {"HS256", SHORT, "{\"alg\":\"HS256\",\"jwk\":{},\"kid\":\"kid-32\",\"url\":\"" URL "\"}", jwk, 400,
         "malformed", "kid"},
        {"HS256", SHORT, "{\"alg\":\"HS256\",\"kid\":7,\"url\":\"" URL "\"}", jwk, 400, "malformed",
         "string"},
        {"HS256", SHORT, "[]", jwk, 400, "malformed", "protected header"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct reply reply =
            post(f, &client, URL, bind(f, bad[i].alg, bad[i].size, bad[i].header, bad[i].payload));
        assert_problem(&reply, bad[i].status, bad[i].type, bad[i].part);
    }
    static const char *const forms[] = {"5", "\"x.y.z\"", "[]", "{}",
                                        "{\"protected\":\"e30\",\"payload\":\"\"}"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct reply reply =
            post(f, &client, URL, acme_arena_printf(f->arena, "{\"externalAccountBinding\":%s}", forms[i]));
        assert_problem(&reply, 400, "malformed", "externalAccountBinding");
    }
    /* A long one is not kept. */
    const char *good = bind(f, "HS256", SHORT, header(f, "HS256", "kid-32"), jwk);
    char *filler = acme_arena_alloc(f->arena, 20001);
    memset(filler, 'x', 20000);
    struct reply reply = post(f, &client, URL,
                              acme_arena_printf(f->arena, "{\"externalAccountBinding\":{\"x\":\"%s\",%s",
                                                filler, good + strlen("{\"externalAccountBinding\":{")));
    assert_problem(&reply, 400, "malformed", "longer");
    reply = post(f, &client, URL, "{\"onlyReturnExisting\":true}");
    assert_problem(&reply, 400, "accountDoesNotExist", "");
    assert_int_equal(post(f, &client, URL, good).status, 201);
}

static void test_one_key_many_accounts(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        struct client client = stranger(f);
        const char *payload = bind(f, "HS256", SHORT, header(f, "HS256", "kid-32"), client.key.jwk);
        assert_int_equal(post(f, &client, URL, payload).status, 201);
    }
    struct client first = stranger(f);
    const char *payload = bind(f, "HS256", SHORT, header(f, "HS256", "kid-once"), first.key.jwk);
    struct reply reply = post(f, &first, URL, payload);
    assert_int_equal(reply.status, 201);
    assert_int_equal(post(f, &first, URL, payload).status, 200);
    struct client second = stranger(f);
    payload = bind(f, "HS256", SHORT, header(f, "HS256", "kid-once"), second.key.jwk);
    struct reply refused = post(f, &second, URL, payload);
    assert_problem(&refused, 403, "unauthorized", "kid-once");
    first.kid = reply.location;
    assert_int_equal(post(f, &first, first.kid, "{\"status\":\"deactivated\"}").status, 200);
    refused = post(f, &second, URL, payload);
    assert_problem(&refused, 403, "unauthorized", "kid-once");
}

static void test_directory(void **state)
{
    struct fixture *f = *state;
    struct reply reply = fetch(f, "GET", "/directory");
    assert_false(acme_json_bool(acme_json_get(reply.json, "meta"), "externalAccountRequired", false));
    assert_string_equal(text_of(&reply, "keyChange"), BASE "/key-change");
    acme_service_destroy(f->service); /* directories are made once */
    const struct acme_service_hooks hooks = {.context = f};
    assert_int_equal(
        acme_service_create(&f->config, f->store, f->nonces, &f->clock, &hooks, &f->service).code, ACME_OK);
    reply = fetch(f, "GET", "/profile/other/directory");
    assert_true(acme_json_bool(acme_json_get(reply.json, "meta"), "externalAccountRequired", false));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_with_keys, fixture_close)
    const struct CMUnitTest tests[] = {
        T(test_good_bindings), T(test_existing_accounts_need_none), T(test_required),
        T(test_bad_bindings),  T(test_one_key_many_accounts),       T(test_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
