/* What holds for every request: directory, nonces, methods, content type, JWS, url, signer. */
#include "client.h"

#include "base/problem.h"

#include <string.h>

static void test_directory(void **state)
{
    struct fixture *f = *state;
    struct reply reply = fetch(f, "GET", "/directory");
    assert_int_equal(reply.status, 200);
    assert_string_equal(text_of(&reply, "newNonce"), BASE "/new-nonce");
    assert_string_equal(text_of(&reply, "newAccount"), BASE "/new-account");
    assert_string_equal(text_of(&reply, "newOrder"), BASE "/new-order");
    assert_string_equal(text_of(&reply, "newAuthz"), BASE "/new-authz");
    const cJSON *meta = acme_json_get(reply.json, "meta");
    assert_string_equal(acme_json_str(meta, "website"), "https://ca.test/");
    assert_null(acme_json_get(meta, "termsOfService"));
    assert_false(acme_json_bool(meta, "externalAccountRequired", false));
    assert_string_equal(acme_json_str(acme_json_get(meta, "profiles"), "other"), "for tests");
    /* Nothing that is not served. */
    for (const cJSON *member = reply.json->child; member != NULL; member = member->next)
        if (cJSON_IsString(member)) {
            struct reply there = fetch(f, "PUT", member->valuestring + strlen(BASE));
            assert_int_equal(there.status, 405);
        }

    reply = fetch(f, "GET", "/profile/other/directory");
    assert_int_equal(reply.status, 200);
    assert_string_equal(text_of(&reply, "newAccount"), BASE "/new-account");
    assert_string_equal(text_of(&reply, "newOrder"), BASE "/profile/other/new-order");
    assert_string_equal(text_of(&reply, "newAuthz"), BASE "/profile/other/new-authz");
    reply = fetch(f, "GET", "/profile/none/directory");
    assert_problem(&reply, 404, "malformed", "/profile/none/directory");
    assert_int_equal(fetch(f, "HEAD", "/directory").status, 200);
}

static void test_new_nonce(void **state)
{
    struct fixture *f = *state;
    struct reply head = fetch(f, "HEAD", "/new-nonce");
    struct reply get = fetch(f, "GET", "/new-nonce");
    assert_int_equal(head.status, 200);
    assert_int_equal(get.status, 204);
    assert_null(head.response.content_type);
    assert_null(get.response.content_type);
    assert_string_not_equal(head.nonce, get.nonce);
    assert_true(acme_nonces_use(f->nonces, head.nonce));
}

static void test_post_as_get_of_open_resources(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct reply reply = post(f, &client, BASE "/directory", "");
    assert_int_equal(reply.status, 200);
    assert_string_equal(text_of(&reply, "newOrder"), BASE "/new-order");
    reply = post(f, &client, BASE "/new-nonce", "");
    assert_int_equal(reply.status, 204);
    assert_non_null(reply.nonce);
}

static void test_paths_and_methods(void **state)
{
    struct fixture *f = *state;
    static const char *const unknown[] = {"/",
                                          "",
                                          "/x",
                                          "/order/",
                                          "/order/a/b",
                                          "/directory/",
                                          "/new-order/x",
                                          "/profile//directory",
                                          "/revoke-cert/x"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        assert_int_equal(fetch(f, "GET", unknown[i]).status, 404);
        assert_int_equal(post_raw(f, unknown[i], NULL, JOSE, "{}").status, 404);
    }
    struct reply reply = fetch(f, "GET", "/order/0");
    assert_problem(&reply, 405, "malformed", "POST-as-GET");
    assert_string_equal(header_of(&reply, "Allow", 0), "POST");
    reply = fetch(f, "DELETE", "/directory");
    assert_int_equal(reply.status, 405);
    assert_string_equal(header_of(&reply, "Allow", 0), "GET, HEAD, POST");
    reply = fetch(f, "GET", "/\x01\xff");
    assert_problem(&reply, 404, "malformed", "\\x01\\xff");
}

static void test_light_requests(void **state)
{
    (void)state;
    assert_true(acme_service_is_light("GET", "/directory"));
    assert_true(acme_service_is_light("HEAD", "/new-nonce"));
    assert_true(acme_service_is_light("GET", "/order/1"));
    assert_true(acme_service_is_light("POST", "/nothing"));
    assert_false(acme_service_is_light("POST", "/directory"));
    assert_false(acme_service_is_light("POST", "/new-order"));
    assert_false(acme_service_is_light("POST", "/certificate/1"));
}

static const char *body_with(struct fixture *f, const struct client *client, const char *url,
                             const char *nonce)
{
    const char *protected =
        acme_arena_printf(f->arena, "{\"alg\":\"%s\",\"kid\":\"%s\",\"nonce\":\"%s\",\"url\":\"%s\"}",
                          client->key.alg, client->kid, nonce, url);
    return jose_sign(f->arena, &client->key, protected, "");
}

static void test_content_type(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    static const struct {
        const char *type;
        int status;
    } cases[] = {
        {NULL, 415},
        {"", 415},
        {"application/json", 415},
        {"application/jose+jsonx", 415},
        {"application/jose", 415},
        {"text/plain; application/jose+json", 415},
        {"application/jose+json", 200},
        {"Application/JOSE+JSON", 200},
        {"application/jose+json; charset=utf-8", 200},
        {"application/jose+json ;x=y", 200},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reply reply = post_raw(f, client.kid + strlen(BASE), NULL, cases[i].type,
                                      body_with(f, &client, client.kid, fresh_nonce(f)));
        assert_int_equal(reply.status, cases[i].status);
        if (reply.status == 415)
            assert_problem(&reply, 415, "malformed", "application/jose+json");
    }
}

static void test_bodies(void **state)
{
    struct fixture *f = *state;
    struct reply reply = post_raw(f, "/new-account", NULL, JOSE, "");
    assert_problem(&reply, 400, "malformed", "JWS");
    reply = post_raw(f, "/new-account", NULL, JOSE, "{\"protected\":");
    assert_problem(&reply, 400, "malformed", "JWS");
    reply = post_raw(f, "/new-account", NULL, JOSE,
                     "{\"protected\":\"e30=\",\"payload\":\"\",\"signature\":\"\"}");
    assert_problem(&reply, 400, "malformed", "base64url");
}

static void test_nonces_are_used_up(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    const char *path = client.kid + strlen(BASE);
    const char *nonce = fresh_nonce(f);
    const char *body = body_with(f, &client, client.kid, nonce);
    assert_int_equal(post_raw(f, path, NULL, JOSE, body).status, 200);
    struct reply reply = post_raw(f, path, NULL, JOSE, body);
    assert_problem(&reply, 400, "badNonce", "");
    assert_string_equal(text_of(&reply, "detail"), "JWS has an invalid anti-replay nonce");
    /* The nonce of the refusal is good. */
    reply = post_raw(f, path, NULL, JOSE, body_with(f, &client, client.kid, reply.nonce));
    assert_int_equal(reply.status, 200);
    reply = post_raw(f, path, NULL, JOSE, body_with(f, &client, client.kid, "AAAA"));
    assert_problem(&reply, 400, "badNonce", "");
    reply = post_raw(f, path, NULL, JOSE, body_with(f, &client, client.kid, "AAAA="));
    assert_problem(&reply, 400, "malformed", "nonce");
}

static void test_url_must_be_the_requested_one(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    const char *path = client.kid + strlen(BASE);
    const char *const urls[] = {
        acme_arena_printf(f->arena, "%s/", client.kid),
        acme_arena_printf(f->arena, "%s?x", client.kid),
        acme_arena_printf(f->arena, "https://evil.test:14000/acme%s", path),
        acme_arena_printf(f->arena, "http://ca.test:14000/acme%s", path),
        acme_arena_printf(f->arena, "https://ca.test/acme%s", path),
        acme_arena_printf(f->arena, "%s", path),
        BASE "/new-order",
        "",
    };
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct reply reply = post_raw(f, path, NULL, JOSE, body_with(f, &client, urls[i], fresh_nonce(f)));
        assert_problem(&reply, 403, "unauthorized", client.kid);
    }
    /* A query belongs to the URL. */
    struct reply reply = post_raw(f, path, "a=b", JOSE, body_with(f, &client, client.kid, fresh_nonce(f)));
    assert_problem(&reply, 403, "unauthorized", "?a=b");
    reply =
        post_raw(f, path, "a=b", JOSE,
                 body_with(f, &client, acme_arena_printf(f->arena, "%s?a=b", client.kid), fresh_nonce(f)));
    assert_int_equal(reply.status, 200);
}

static void test_signers(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct client other = join(f);
    struct client mixed = {.key = client.key, .kid = other.kid};
    struct reply reply = post(f, &mixed, other.kid, "");
    assert_problem(&reply, 400, "malformed", "does not verify");

    static const char *const unknown[] = {BASE "/account/01900000-0000-7000-8000-000000000000",
                                          BASE "/account/x",
                                          BASE "/account/",
                                          "x",
                                          "",
                                          BASE};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        mixed.kid = unknown[i];
        reply = post(f, &mixed, BASE "/new-order", "{}");
        assert_problem(&reply, 400, "accountDoesNotExist", "register");
    }
    mixed.kid = NULL;
    reply = post(f, &mixed, BASE "/new-order", "{}");
    assert_problem(&reply, 400, "malformed", "kid");
    reply = post(f, &client, BASE "/new-account", "{}");
    assert_problem(&reply, 400, "malformed", "jwk");
}

static void test_account_keys(void **state)
{
    struct fixture *f = *state;
    struct client weak = {.key = jose_rsa_make(f->arena, "RS256", 1024)};
    struct reply reply = post(f, &weak, BASE "/new-account", "{}");
    assert_problem(&reply, 400, "badPublicKey", "2048");
    struct client wrong = {.key = jose_key_make(f->arena, "ES256")};
    struct jose_key rsa = jose_key_make(f->arena, "RS256");
    wrong.key.jwk = rsa.jwk;
    reply = post(f, &wrong, BASE "/new-account", "{}");
    assert_problem(&reply, 400, "malformed", "ES256");
    wrong.key.alg = "none";
    reply =
        post_raw(f, "/new-account", NULL, JOSE,
                 jose_sign(f->arena, &rsa,
                           acme_arena_printf(f->arena,
                                             "{\"alg\":\"none\",\"jwk\":%s,\"nonce\":\"%s\",\"url\":\"" BASE
                                             "/new-account\"}",
                                             rsa.jwk, fresh_nonce(f)),
                           "{}"));
    assert_problem(&reply, 400, "badSignatureAlgorithm", "none");
    const cJSON *algorithms = acme_json_get(reply.json, "algorithms");
    assert_int_equal(cJSON_GetArraySize(algorithms), 8);
    assert_string_equal(cJSON_GetArrayItem(algorithms, 0)->valuestring, "RS256");
}

static void test_payloads(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    static const char *const payloads[] = {"x", "[]", "\"\"", "null", "{\"a\":1,\"a\":2}", "{} {}", "\xff"};
    for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++) {
        struct reply reply = post(f, &client, client.kid, payloads[i]);
        assert_problem(&reply, 400, "malformed", "payload");
    }
}

/* Even when memory runs out in the middle there is an answer in due form. */
static void test_exhausted_memory(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    const char *body = body_with(f, &client, client.kid, fresh_nonce(f));
    bool seen_failure = false;
    bool seen_success = false;
    for (size_t size = 64; size < 64 * 1024 && !seen_success; size += 64) {
        ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(size);
        body = body_with(f, &client, client.kid, fresh_nonce(f));
        const struct acme_request request = {
            .arena = arena,
            .method = "POST",
            .path = client.kid + strlen(BASE),
            .content_type = JOSE,
            .body = {.data = (const uint8_t *)body, .len = strlen(body)},
        };
        struct acme_response response;
        acme_service_handle(f->service, &request, &response);
        assert_true(response.status == 200 || response.status == 500);
        seen_failure |= response.status == 500;
        seen_success |= response.status == 200;
        if (response.status == 500) {
            assert_string_equal(response.content_type, "application/problem+json");
            assert_non_null(strstr((const char *)response.body.data, "serverInternal"));
        }
    }
    assert_true(seen_failure);
    assert_true(seen_success);
}

static void test_problems_of_the_http_layer(void **state)
{
    struct fixture *f = *state;
    struct reply reply = {.status = 0};
    acme_service_problem_response(f->service, f->arena, ACME_PROBLEM_RATE_LIMITED, 503, "queue is full",
                                  &reply.response);
    assert_int_equal(reply.response.status, 503);
    assert_string_equal(header_of(&reply, "Retry-After", 0), "5");
    assert_true(acme_nonces_use(f->nonces, header_of(&reply, "Replay-Nonce", 0)));
    assert_non_null(header_of(&reply, "Link", 0));
    assert_string_equal((const char *)reply.response.body.data,
                        "{\"type\":\"urn:ietf:params:acme:error:rateLimited\",\"detail\":\"queue is full\","
                        "\"status\":503}");
    acme_service_problem_response(NULL, f->arena, ACME_PROBLEM_MALFORMED, 0, "no", &reply.response);
    assert_int_equal(reply.response.status, 400);
    assert_null(header_of(&reply, "Replay-Nonce", 0));
    assert_null(header_of(&reply, "Link", 0));
    assert_string_equal(header_of(&reply, "Cache-Control", 0), "no-store");
}

/* Names of the CA for records of dns-persist-01 are those that do for every challenge of a directory. */
static void test_directory_with_standing_records(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"one.test", "both.test", "two.test"};
    for (size_t common = 0; common < 2; common++) {
        f->profiles[0].challenges = f->profiles[1].challenges = ACME_CHALLENGE_DNS_PERSIST_01;
        f->profiles[0].caa_issuers = names;
        f->profiles[0].caa_issuer_count = 1 + common;
        f->profiles[1].caa_issuers = names + 1;
        f->profiles[1].caa_issuer_count = 2;
        const struct acme_service_hooks hooks = {.context = f};
        acme_service_destroy(f->service); /* directories are made once */
        assert_int_equal(
            acme_service_create(&f->config, f->store, f->nonces, &f->clock, &hooks, &f->service).code,
            ACME_OK);
        struct reply reply = fetch(f, "GET", "/directory");
        const cJSON *list = acme_json_get(acme_json_get(reply.json, "meta"), "issuerDomainNames");
        assert_int_equal(list != NULL, common == 1);
        if (list != NULL) {
            assert_int_equal(cJSON_GetArraySize(list), 1);
            assert_string_equal(list->child->valuestring, "both.test");
        }
        reply = fetch(f, "GET", "/profile/other/directory");
        list = acme_json_get(acme_json_get(reply.json, "meta"), "issuerDomainNames");
        assert_int_equal(cJSON_GetArraySize(list), 2);
    }
}

static void test_default_profile_must_exist(void **state)
{
    struct fixture *f = *state;
    struct acme_service_config config = f->config;
    config.default_profile = "none";
    const struct acme_service_hooks hooks = {.context = NULL};
    struct acme_service *service = NULL;
    assert_int_equal(acme_service_create(&config, f->store, f->nonces, &f->clock, &hooks, &service).code,
                     ACME_E_NOT_FOUND);
    assert_null(service);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        T(test_directory),
        T(test_new_nonce),
        T(test_post_as_get_of_open_resources),
        T(test_paths_and_methods),
        T(test_light_requests),
        T(test_content_type),
        T(test_bodies),
        T(test_nonces_are_used_up),
        T(test_url_must_be_the_requested_one),
        T(test_signers),
        T(test_account_keys),
        T(test_payloads),
        T(test_exhausted_memory),
        T(test_problems_of_the_http_layer),
        T(test_directory_with_standing_records),
        T(test_default_profile_must_exist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
