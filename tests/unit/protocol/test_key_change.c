/* Key rollover (RFC 8555 section 7.3.5): every rule, conflicts, and many threads at once. */
#include "client.h"

#include <pthread.h>
#include <string.h>

#define URL BASE "/key-change"

static const char *inner_header(struct fixture *f, const struct jose_key *key)
{
    return acme_arena_printf(f->arena, "{\"alg\":\"%s\",\"jwk\":%s,\"url\":\"" URL "\"}", key->alg, key->jwk);
}

static const char *claims(struct fixture *f, const char *account, const char *old_jwk)
{
    return acme_arena_printf(f->arena, "{\"account\":\"%s\",\"oldKey\":%s}", account, old_jwk);
}

/* The payload of keyChange as it should be. */
static const char *inner(struct fixture *f, const struct client *client, const struct jose_key *key)
{
    return jose_sign(f->arena, key, inner_header(f, key), claims(f, client->kid, client->key.jwk));
}

static void test_every_algorithm(void **state)
{
    struct fixture *f = *state;
    static const char *const algs[] = {"RS256", "RS384", "RS512", "PS256",
                                       "ES256", "ES384", "ES512", "EdDSA"};
    struct client client = join(f);
    for (size_t i = 0; i < sizeof algs / sizeof *algs; i++) {
        struct jose_key key = jose_key_make(f->arena, algs[i]);
        struct reply reply = post(f, &client, URL, inner(f, &client, &key));
        assert_int_equal(reply.status, 200);
        assert_string_equal(reply.location, client.kid);
        assert_string_equal(text_of(&reply, "status"), "valid");
        client.key = key;
        assert_int_equal(post(f, &client, client.kid, "").status, 200);
    }
}

static void test_what_stays_and_what_ends(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct client old = client;
    struct reply order = order_names(f, &client, "a.test");
    const char *authz = item_of(&order, "authorizations", 0);
    assert_int_equal(post(f, &client, client.kid, "").status, 200); /* so that the old key is cached */
    struct jose_key key = jose_key_make(f->arena, "ES384");
    assert_int_equal(post(f, &client, URL, inner(f, &client, &key)).status, 200);
    client.key = key;

    struct reply reply = post(f, &old, client.kid, "");
    assert_problem(&reply, 400, "malformed", "");
    reply = post(f, &client, order.location, "");
    assert_string_equal(text_of(&reply, "status"), "pending");
    complete(f, &client, authz, NULL);
    reply = post(f, &client, order.location, "");
    assert_string_equal(text_of(&reply, "status"), "ready");

    client.kid = NULL;
    reply = post(f, &client, BASE "/new-account", "{\"onlyReturnExisting\":true}");
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.location, old.kid);
    /* The old key is nobody's now. */
    old.kid = NULL;
    reply = post(f, &old, BASE "/new-account", "{\"onlyReturnExisting\":true}");
    assert_problem(&reply, 400, "accountDoesNotExist", "");
}

static void test_used_keys(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct client other = join(f);
    struct reply reply = post(f, &client, URL, inner(f, &client, &other.key));
    assert_problem(&reply, 409, "malformed", "already");
    assert_string_equal(reply.location, other.kid);
    assert_int_equal(post(f, &client, client.kid, "").status, 200);
    reply = post(f, &client, URL, inner(f, &client, &client.key));
    assert_problem(&reply, 409, "malformed", "already");
    assert_string_equal(reply.location, client.kid);
    /* That an account has ended does not free its key. */
    assert_int_equal(post(f, &other, other.kid, "{\"status\":\"deactivated\"}").status, 200);
    reply = post(f, &client, URL, inner(f, &client, &other.key));
    assert_problem(&reply, 409, "malformed", "already");
}

static void test_outer_rules(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct jose_key key = jose_key_make(f->arena, "ES256");
    const char *good = inner(f, &client, &key);
    struct client by_key = {.key = client.key};
    struct reply reply = post(f, &by_key, URL, good);
    assert_problem(&reply, 400, "malformed", "kid");
    struct client by_new_key = {.key = key, .kid = client.kid};
    reply = post(f, &by_new_key, URL, good);
    assert_problem(&reply, 400, "malformed", "does not verify");
    reply = post(f, &client, URL, "");
    assert_problem(&reply, 400, "malformed", "keyChange");
    reply = post(f, &client, URL, "{}");
    assert_problem(&reply, 400, "malformed", "keyChange");
    reply = post(f, &client, URL "?x", good);
    assert_problem(&reply, 400, "malformed", "url of the inner");
    assert_int_equal(fetch(f, "GET", "/key-change").status, 405);
    assert_int_equal(post(f, &client, URL, good).status, 200);
}

static void test_inner_header(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct jose_key key = jose_key_make(f->arena, "ES256");
    const struct {
        const char *header; /* of the inner JWS; %s is the new key */
        const char *type;
        const char *part;
    } bad[] = {
        {"{\"alg\":\"ES256\",\"jwk\":%s}", "malformed", "no url"},
        {"{\"alg\":\"ES256\",\"jwk\":%s,\"url\":\"" BASE "/new-account\"}", "malformed", "url of the inner"},
        {"{\"alg\":\"ES256\",\"jwk\":%s,\"url\":\"" URL "\",\"nonce\":\"AAAA\"}", "malformed", "nonce"},
        {"{\"alg\":\"ES256\",\"jwk\":%s,\"url\":\"" URL "\",\"kid\":\"x\"}", "malformed", "no kid"},
        {"{\"alg\":\"ES256\",\"jwk\":%s,\"url\":\"" URL "\",\"crit\":[\"x\"]}", "malformed", "crit"},
        {"{\"alg\":\"ES384\",\"jwk\":%s,\"url\":\"" URL "\"}", "malformed", "algorithm"},
        {"{\"alg\":\"RS256\",\"jwk\":%s,\"url\":\"" URL "\"}", "malformed", "algorithm"},
        {"{\"alg\":\"HS256\",\"jwk\":%s,\"url\":\"" URL "\"}", "badSignatureAlgorithm", "HS256"},
        {"{\"alg\":\"none\",\"jwk\":%s,\"url\":\"" URL "\"}", "badSignatureAlgorithm", "none"},
        {"{\"jwk\":%s,\"url\":\"" URL "\"}", "malformed", "no alg"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *mark = strstr(bad[i].header, "%s");
        const char *header = acme_arena_printf(f->arena, "%.*s%s%s", (int)(mark - bad[i].header),
                                               bad[i].header, key.jwk, mark + 2);
        struct reply reply =
            post(f, &client, URL, jose_sign(f->arena, &key, header, claims(f, client.kid, client.key.jwk)));
        assert_problem(&reply, 400, bad[i].type, bad[i].part);
    }
    static const char by_kid[] = "{\"alg\":\"ES256\",\"kid\":\"x\",\"url\":\"" URL "\"}";
    struct reply reply =
        post(f, &client, URL, jose_sign(f->arena, &key, by_kid, claims(f, client.kid, client.key.jwk)));
    assert_problem(&reply, 400, "malformed", "jwk");
    assert_int_equal(post(f, &client, client.kid, "").status, 200); /* nothing changed */
}

static void test_inner_body(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct client other = join(f);
    struct jose_key key = jose_key_make(f->arena, "ES256");
    const char *own_key = client.key.jwk;
    const char *bad[] = {
        "",
        "[]",
        "{}",
        acme_arena_printf(f->arena, "{\"oldKey\":%s}", own_key),
        acme_arena_printf(f->arena, "{\"account\":\"%s\"}", client.kid),
        acme_arena_printf(f->arena, "{\"account\":5,\"oldKey\":%s}", own_key),
        acme_arena_printf(f->arena, "{\"account\":\"%s\",\"oldKey\":\"x\"}", client.kid),
        claims(f, other.kid, own_key),
        claims(f, acme_arena_printf(f->arena, "%s/", client.kid), own_key),
        claims(f, client.kid, other.key.jwk),
        claims(f, client.kid, key.jwk),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct reply reply = post(f, &client, URL, jose_sign(f->arena, &key, inner_header(f, &key), bad[i]));
        assert_problem(&reply, 400, "malformed", "inner");
    }
    /* Signed by another key than the one it names. */
    struct reply reply =
        post(f, &client, URL,
             jose_sign(f->arena, &other.key, inner_header(f, &key), claims(f, client.kid, own_key)));
    assert_problem(&reply, 400, "malformed", "does not verify");
    /* Other forms of JWS. */
    const char *good = inner(f, &client, &key);
    reply = post(f, &client, URL, acme_arena_printf(f->arena, "{\"header\":{},%s", good + 1));
    assert_problem(&reply, 400, "malformed", "unprotected");
    reply = post(f, &client, URL, acme_arena_printf(f->arena, "{\"signatures\":[],%s", good + 1));
    assert_problem(&reply, 400, "malformed", "flattened");
    /* The old key may be spelled in any way. */
    const char *tail = acme_arena_printf(f->arena, "{\"use\":\"sig\", \"kid\" : \"mine\", %s", own_key + 1);
    reply =
        post(f, &client, URL, jose_sign(f->arena, &key, inner_header(f, &key), claims(f, client.kid, tail)));
    assert_int_equal(reply.status, 200);
}

static void test_weak_new_keys(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct jose_key small = jose_rsa_make(f->arena, "RS256", 1024);
    struct reply reply = post(f, &client, URL, inner(f, &client, &small));
    assert_problem(&reply, 400, "badPublicKey", "2048");
}

/* Several keys want one account, and several accounts one key, all at the same time. */
struct change {
    struct fixture *f;
    struct acme_arena *arena;
    const char *body;
    pthread_barrier_t *start;
    struct acme_response response;
};

static void *change_thread(void *arg)
{
    struct change *c = arg;
    const struct acme_request request = {
        .arena = c->arena,
        .method = "POST",
        .path = "/key-change",
        .content_type = JOSE,
        .body = {.data = (const uint8_t *)c->body, .len = strlen(c->body)},
    };
    pthread_barrier_wait(c->start);
    acme_service_handle(c->f->service, &request, &c->response);
    return NULL;
}

enum { RACERS = 8 };

/* How many of the requests were granted, and which one was the last of these. */
static int race(struct fixture *f, const struct client *clients, const struct jose_key *keys,
                int other_status, int *ret_winner)
{
    struct change all[RACERS];
    pthread_t threads[RACERS];
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, RACERS);
    for (int i = 0; i < RACERS; i++) {
        const char *protected = acme_arena_printf(
            f->arena, "{\"alg\":\"ES256\",\"kid\":\"%s\",\"nonce\":\"%s\",\"url\":\"" URL "\"}",
            clients[i].kid, fresh_nonce(f));
        all[i] = (struct change){
            .f = f,
            .arena = acme_arena_create(1024 * 1024),
            .body = jose_sign(f->arena, &clients[i].key, protected, inner(f, &clients[i], &keys[i])),
            .start = &start,
        };
    }
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, change_thread, &all[i]), 0);
    int granted = 0;
    for (int i = 0; i < RACERS; i++) {
        pthread_join(threads[i], NULL);
        int status = all[i].response.status;
        acme_arena_destroy(all[i].arena);
        if (status == 200)
            *ret_winner = i;
        else /* what came after the end of the race does not verify any more */
            assert_true(status == other_status || status == 400);
        granted += status == 200;
    }
    pthread_barrier_destroy(&start);
    return granted;
}

static void test_race_for_an_account(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct client clients[RACERS];
    struct jose_key keys[RACERS];
    for (int i = 0; i < RACERS; i++) {
        clients[i] = client;
        keys[i] = jose_key_make(f->arena, "ES256");
    }
    int winner = 0;
    assert_int_equal(race(f, clients, keys, 403, &winner), 1);
    for (int i = 0; i < RACERS; i++) {
        clients[i].key = keys[i];
        assert_int_equal(post(f, &clients[i], client.kid, "").status, i == winner ? 200 : 400);
    }
    struct reply reply = post(f, &client, client.kid, "");
    assert_problem(&reply, 400, "malformed", "");
}

static void test_race_for_a_key(void **state)
{
    struct fixture *f = *state;
    struct jose_key key = jose_key_make(f->arena, "ES256");
    struct client clients[RACERS];
    struct jose_key keys[RACERS];
    for (int i = 0; i < RACERS; i++) {
        clients[i] = join(f);
        keys[i] = key;
    }
    int winner = 0;
    assert_int_equal(race(f, clients, keys, 409, &winner), 1);
    struct client found = {.key = key};
    struct reply reply = post(f, &found, BASE "/new-account", "{\"onlyReturnExisting\":true}");
    assert_string_equal(reply.location, clients[winner].kid);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        T(test_every_algorithm), T(test_what_stays_and_what_ends),
        T(test_used_keys),       T(test_outer_rules),
        T(test_inner_header),    T(test_inner_body),
        T(test_weak_new_keys),   T(test_race_for_an_account),
        T(test_race_for_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
