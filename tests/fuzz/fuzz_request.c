/* Whole requests: the HTTP parser, the routes, the JWS checks, every handler on a store of its own, and the
 * response as bytes. The first byte says who asks:
 *
 *   r  the rest is a request, head and body, as it stands
 *   k  its body is the payload of a JWS that an account signs, with a good nonce and the right URL
 *   n  likewise, signed by a key that names itself (newAccount)
 *
 * In the path "@" stands for the id of an object that exists: /order/@, /order/@/finalize, /authz/@ ... Every
 * response keeps the contract that the unit tests of protocol/ check (tests/unit/protocol/client.c). */
#include "fuzz.h"

#include "base/log.h"
#include "protocol/client.h"
#include "server/http_parse.h"
#include "server/http_write.h"

#include <string.h>
#include <unistd.h>

enum { MAX_BODY = 64 * 1024, RUNS_PER_STORE = 200 };

static struct {
    struct fixture *fixture;
    struct client client;
    const char *pending; /* URLs */
    const char *ready;
    const char *authz;
    const char *challenge;
    const char *certificate;
    int runs;
} world;

static const char *certificate_of(struct fixture *f, const struct client *client)
{
    EVP_PKEY *key = jose_key_make(f->arena, "ES256").key;
    const char *order = ready_order(f, client, "c.test");
    const char *finalize = acme_arena_printf(f->arena, "%s/finalize", order);
    (void)post(f, client, finalize, csr_payload(f, key, "c.test"));
    issue(f, "certificate-1");
    struct reply done = post(f, client, order, "");
    REQUIRE(done.status == 200 && *text_of(&done, "certificate") != '\0');
    return text_of(&done, "certificate");
}

static void begin_world(void)
{
    void *state = NULL;
    (void)setenv("CMOCKA_TEST_ABORT", "1", 1); /* an assert outside of a cmocka test would only exit */
    acme_log_set_level(ACME_LOG_ERROR);
    /* Commits reach the disk, unless the disk is memory. */
    if (access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
    REQUIRE(fixture_open(&state) == 0);
    struct fixture *f = world.fixture = state;
    world.client = join(f);
    struct reply pending = order_names(f, &world.client, "a.test b.test");
    REQUIRE(pending.status == 201);
    world.pending = pending.location;
    world.authz = item_of(&pending, "authorizations", 0);
    world.challenge = challenge_url(f, &world.client, world.authz);
    world.ready = ready_order(f, &world.client, "d.test");
    world.certificate = certificate_of(f, &world.client);
    world.runs = 0;
}

static void end_world(void)
{
    void *state = world.fixture;
    if (state != NULL)
        REQUIRE(fixture_close(&state) == 0);
    world.fixture = NULL;
}

/* The URL for a target, with the id of an object of its kind for "@". */
static const char *url_of(const char *path, const char *query)
{
    const struct {
        const char *prefix;
        const char *url;
    } objects[] = {
        {"/account/@", world.client.kid},  {"/order/@/finalize", world.ready},
        {"/order/@", world.pending},       {"/authz/@", world.authz},
        {"/challenge/@", world.challenge}, {"/certificate/@", world.certificate},
    };
    struct acme_arena *arena = world.fixture->arena;
    const char *url = NULL;
    for (size_t i = 0; i < sizeof objects / sizeof *objects && url == NULL; i++) {
        size_t len = (size_t)(strchr(objects[i].prefix, '@') - objects[i].prefix) + 1;
        if (strncmp(path, objects[i].prefix, strlen(objects[i].prefix)) == 0)
            url = acme_arena_printf(arena, "%s%s", objects[i].url, path + len);
    }
    if (url == NULL)
        url = acme_arena_printf(arena, BASE "%s", path);
    return query == NULL ? url : acme_arena_printf(arena, "%s?%s", url, query);
}

static void check_wire(const struct reply *reply)
{
    size_t len = 0;
    char *out = acme_http_write_response(&reply->response, 0, &len);
    REQUIRE(out != NULL && len > 13 && memcmp(out, "HTTP/1.1 ", 9) == 0);
    const struct acme_bytes body = reply->response.body;
    const char *end = memmem(out, len, "\r\n\r\n", 4);
    REQUIRE(end != NULL && (size_t)(out + len - end) == 4 + body.len);
    REQUIRE(body.len == 0 || memcmp(end + 4, body.data, body.len) == 0);
    free(out);
}

static const char *text_at(const char *data, struct acme_http_span span)
{
    return acme_arena_strndup(world.fixture->arena, data + span.at, span.len);
}

static struct reply ask(char who, const char *data, size_t size, const struct acme_http_head *head)
{
    struct fixture *f = world.fixture;
    const char *method = text_at(data, head->method);
    const char *path = text_at(data, head->path);
    const char *query = head->has_query ? text_at(data, head->query) : NULL;
    const char *type = head->has_content_type ? text_at(data, head->content_type) : NULL;
    const char *body = acme_arena_strndup(f->arena, data + head->head_len, size - head->head_len);
    if (who == 'k' || who == 'n') {
        const struct client key_itself = {.key = world.client.key};
        return post(f, who == 'k' ? &world.client : &key_itself, url_of(path, query), body);
    }
    return strcmp(method, "POST") == 0 ? post_raw(f, path, query, type, body) : fetch(f, method, path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    char who = (char)data[0];
    const char *text = (const char *)data + 1;
    struct acme_http_head head;
    struct acme_http_refusal refusal;
    size_t scanned = 0;
    size--;
    if (acme_http_parse_head(text, size, MAX_BODY, &scanned, &head, &refusal) != ACME_HTTP_COMPLETE)
        return 0;
    if (world.fixture == NULL)
        begin_world();
    world.fixture->job_count = 0;
    struct reply reply = ask(who, text, size, &head);
    check_wire(&reply);
    /* An account without its key, or without a future, is of no use any more. */
    bool spent = who == 'k' && reply.status == 200 &&
                 (strcmp(text_of(&reply, "status"), "deactivated") == 0 ||
                  memmem(text, head.head_len, "/key-change", 11) != NULL);
    if (++world.runs >= RUNS_PER_STORE || spent)
        end_world();
    return 0;
}

__attribute__((destructor)) static void tidy(void)
{
    end_world();
}
