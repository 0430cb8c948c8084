/* The HTTP front over real sockets on loopback, with TLS and without: a small handler behind it, a raw client
 * before it. */
#include "cmocka_all.h"
#include "server/http.h"
#include "server/pool.h"
#include "tls_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { DEADLINE_MS = 600, IDLE_MS = 1000, MAX_BODY = 8192, REPLY_SIZE = 64 * 1024 };

static SSL_CTX *server_tls;
static SSL_CTX *client_tls;
static bool plain; /* no TLS on either side */
static struct acme_http_server *server;
static struct acme_pool *pool;
static sem_t late_entered; /* a worker holds a request for /late ... */
static sem_t late_release; /* ... until this is posted */
static atomic_int late_done;
static struct acme_blob *shared; /* what /shared answers */
static atomic_int flooded;       /* requests for /inline?flood so far ... */
static atomic_int flooded_first; /* ... and when there was one for /inline?other */

/* ---- the application ---- */

struct job {
    struct acme_http_exchange *exchange;
    const struct acme_request *request;
};

static void echo(struct acme_http_exchange *exchange, const struct acme_request *request)
{
    char *text = acme_arena_printf(request->arena, "%s %s?%s [%s] %zu:%.*s", request->method, request->path,
                                   request->query != NULL ? request->query : "",
                                   request->content_type != NULL ? request->content_type : "",
                                   request->body.len, (int)request->body.len,
                                   request->body.len > 0 ? (const char *)request->body.data : "");
    struct acme_response response = {.status = 200,
                                     .content_type = "text/plain",
                                     .body = {.data = (const uint8_t *)text, .len = strlen(text)}};
    acme_http_respond(exchange, &response);
}

static void work(void *task)
{
    struct job job = *(struct job *)task;
    if (strcmp(job.request->path, "/late") == 0) {
        sem_post(&late_entered);
        sem_wait(&late_release);
        echo(job.exchange, job.request);
        atomic_fetch_add(&late_done, 1);
        return;
    }
    echo(job.exchange, job.request);
}

/* On the loop's thread, which "hold" keeps busy until late_release is posted. */
static void note_inline(const char *query)
{
    if (strcmp(query, "hold") == 0) {
        sem_post(&late_entered);
        sem_wait(&late_release);
    } else if (strcmp(query, "flood") == 0) {
        atomic_fetch_add(&flooded, 1);
    } else if (strcmp(query, "other") == 0) {
        atomic_store(&flooded_first, atomic_load(&flooded));
    }
}

static void on_request(void *context, struct acme_http_exchange *exchange, const struct acme_request *request)
{
    (void)context;
    if (strcmp(request->path, "/big") == 0) {
        size_t len = 4 * 1024 * 1024;
        uint8_t *body = calloc(1, len);
        struct acme_response response = {
            .status = 200, .content_type = "text/plain", .body = {.data = body, .len = len}};
        acme_http_respond(exchange, &response);
        free(body);
        return;
    }
    if (strcmp(request->path, "/shared") == 0) {
        struct acme_response response = {
            .status = 200, .content_type = "text/plain", .body = acme_blob_bytes(shared), .shared = shared};
        acme_http_respond(exchange, &response);
        return;
    }
    if (strcmp(request->path, "/inline") == 0) {
        note_inline(request->query != NULL ? request->query : "");
        echo(exchange, request);
        return;
    }
    struct job *job = acme_arena_alloc(request->arena, sizeof *job);
    *job = (struct job){.exchange = exchange, .request = request};
    assert_false(acme_failed(acme_pool_submit(pool, work, job)));
}

static void on_problem(void *context, struct acme_arena *arena, int problem_type, int status,
                       const char *detail, struct acme_response *response)
{
    (void)context;
    (void)problem_type;
    char *text = acme_arena_printf(arena, "{\"detail\":\"%s\"}", detail);
    *response = (struct acme_response){.status = status,
                                       .content_type = "application/problem+json",
                                       .body = {.data = (const uint8_t *)text, .len = strlen(text)}};
}

static int start_with(const struct acme_http_options *options)
{
    const struct acme_http_callbacks callbacks = {.on_request = on_request, .on_problem = on_problem};
    atomic_store(&late_done, 0);
    if (acme_failed(acme_pool_create("worker", 2, 2, 100, &pool)) ||
        acme_failed(acme_http_start(options, &callbacks, plain ? NULL : server_tls, &server)))
        return -1;
    return 0;
}

static struct acme_http_options defaults(void)
{
    return (struct acme_http_options){.listen = "127.0.0.1:0",
                                      .loops = 2,
                                      .max_connections = 100,
                                      .max_connections_per_address = 0,
                                      .max_body_bytes = MAX_BODY,
                                      .request_deadline_ms = DEADLINE_MS,
                                      .idle_timeout_ms = IDLE_MS,
                                      .arena_bytes = 256 * 1024};
}

static int start(void **state)
{
    (void)state;
    struct acme_http_options options = defaults();
    return start_with(&options);
}

static int start_plain(void **state)
{
    plain = true;
    return start(state);
}

static int stop(void **state)
{
    (void)state;
    acme_pool_destroy(pool);
    acme_http_stop(server);
    plain = false;
    return 0;
}

/* ---- the client ---- */

struct client {
    int fd;
    SSL *ssl; /* NULL: plain */
    char in[REPLY_SIZE];
    size_t in_len;
};

struct reply {
    int status;
    bool closes;
    char head[4096];
    char body[4096];
    size_t body_len;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)acme_http_port(server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&in, sizeof in) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static struct client *open_client(void)
{
    struct client *client = calloc(1, sizeof *client);
    client->fd = dial();
    assert_true(client->fd >= 0);
    if (plain)
        return client;
    client->ssl = SSL_new(client_tls);
    SSL_set_fd(client->ssl, client->fd);
    if (SSL_connect(client->ssl) != 1) {
        SSL_free(client->ssl);
        close(client->fd);
        free(client);
        return NULL;
    }
    return client;
}

static void close_client(struct client *client)
{
    SSL_free(client->ssl);
    close(client->fd);
    free(client);
}

static void send_text(struct client *client, const char *text)
{
    size_t len = strlen(text);
    if (client->ssl != NULL)
        assert_int_equal(SSL_write(client->ssl, text, (int)len), (int)len);
    else
        assert_int_equal(send(client->fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

static bool fill(struct client *client)
{
    char *place = client->in + client->in_len;
    int room = (int)(sizeof client->in - client->in_len - 1);
    int count = client->ssl != NULL ? SSL_read(client->ssl, place, room)
                                    : (int)recv(client->fd, place, (size_t)room, 0);
    if (count <= 0)
        return false;
    client->in_len += (size_t)count;
    client->in[client->in_len] = '\0';
    return true;
}

static bool at_end(struct client *client)
{
    assert_int_equal(client->in_len, 0);
    return !fill(client);
}

static void drop(struct client *client, size_t count)
{
    client->in_len -= count;
    memmove(client->in, client->in + count, client->in_len + 1);
}

static struct reply receive(struct client *client, bool head_only)
{
    struct reply reply = {.status = 0};
    char *end;
    while ((end = client->in_len > 0 ? strstr(client->in, "\r\n\r\n") : NULL) == NULL)
        if (!fill(client))
            fail_msg("the connection ended before an answer: '%s'", client->in);
    size_t head_len = (size_t)(end - client->in) + 4;
    assert_true(head_len < sizeof reply.head);
    memcpy(reply.head, client->in, head_len);
    drop(client, head_len);
    assert_int_equal(sscanf(reply.head, "HTTP/1.1 %d ", &reply.status), 1);
    reply.closes = strstr(reply.head, "Connection: close\r\n") != NULL;
    const char *length = strstr(reply.head, "Content-Length: ");
    if (length != NULL)
        reply.body_len = strtoul(length + 16, NULL, 10);
    if (!head_only) {
        assert_true(reply.body_len < sizeof reply.body);
        while (client->in_len < reply.body_len)
            assert_true(fill(client));
        memcpy(reply.body, client->in, reply.body_len);
        drop(client, reply.body_len);
    }
    return reply;
}

/* ---- the tests ---- */

static void test_keep_alive(void **state)
{
    (void)state;
    struct client *client = open_client();
    for (int i = 0; i < 100; i++) {
        char text[256];
        char expected[256];
        const char *path = i % 2 == 0 ? "/inline" : "/worker";
        snprintf(text, sizeof text,
                 "POST %s?n=%d HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\nContent-Length: 3\r\n\r\nabc",
                 path, i);
        snprintf(expected, sizeof expected, "POST %s?n=%d [a/b] 3:abc", path, i);
        send_text(client, text);
        struct reply reply = receive(client, false);
        assert_int_equal(reply.status, 200);
        assert_string_equal(reply.body, expected);
        assert_false(reply.closes);
    }
    close_client(client);
}

static uint8_t shared_octet(size_t at, unsigned version)
{
    return (uint8_t)(at % 251 + version);
}

static void share(size_t len, unsigned version)
{
    uint8_t *data = malloc(len);
    assert_non_null(data);
    for (size_t i = 0; i < len; i++)
        data[i] = shared_octet(i, version);
    acme_blob_release(shared);
    shared = acme_blob_create(data, len);
    assert_non_null(shared);
}

static void receive_shared(struct client *client, size_t len, unsigned version)
{
    struct reply reply = receive(client, true);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body_len, len);
    for (size_t at = 0; at < len;) {
        if (client->in_len == 0)
            assert_true(fill(client));
        size_t count = client->in_len < len - at ? client->in_len : len - at;
        for (size_t i = 0; i < count; i++)
            if ((uint8_t)client->in[i] != shared_octet(at + i, version))
                fail_msg("octet %zu is another", at + i);
        at += count;
        drop(client, count);
    }
}

/* What many are sent is not copied for each, and stays as it was while it is on its way. */
static void test_shared_body(void **state)
{
    (void)state;
    enum { LEN = 8 * 1024 * 1024 };
    share(LEN, 1);
    struct client *slow = open_client();
    struct client *gone = open_client();
    send_text(slow, "GET /shared HTTP/1.1\r\nHost: x\r\n\r\n");
    send_text(gone, "GET /shared HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(fill(slow)); /* it has begun */
    assert_true(fill(gone));
    close_client(gone);
    share(100, 2);
    struct client *quick = open_client();
    send_text(quick, "HEAD /shared HTTP/1.1\r\nHost: x\r\n\r\nGET /shared HTTP/1.1\r\nHost: x\r\n\r\n"
                     "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(receive(quick, true).body_len, 100);
    receive_shared(quick, 100, 2);
    assert_string_equal(receive(quick, false).body, "GET /inline? [] 0:");
    receive_shared(slow, LEN, 1);
    close_client(quick);
    close_client(slow);
    acme_blob_release(shared);
    shared = NULL;
}

static void test_pipelining(void **state)
{
    (void)state;
    struct client *client = open_client();
    char text[16 * 1024] = "";
    size_t len = 0;
    for (int i = 0; i < 60; i++)
        len += (size_t)snprintf(text + len, sizeof text - len,
                                "GET /%s?%d HTTP/1.1\r\nHost: x\r\nX: %0100d\r\n\r\n",
                                i % 3 == 0 ? "inline" : "worker", i, i);
    send_text(client, text);
    for (int i = 0; i < 60; i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "GET /%s?%d [] 0:", i % 3 == 0 ? "inline" : "worker", i);
        assert_string_equal(receive(client, false).body, expected);
    }
    close_client(client);
}

/* More than is kept while a request is being answered: reading stops and goes on. */
static void test_long_pipeline(void **state)
{
    (void)state;
    struct client *client = open_client();
    enum { COUNT = 30, BODY = 4000 };
    char *text = malloc(COUNT * (BODY + 200));
    size_t len = 0;
    for (int i = 0; i < COUNT; i++)
        len += (size_t)sprintf(text + len,
                               "POST /worker?%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%0*d", i,
                               BODY, BODY, 7);
    send_text(client, text);
    for (int i = 0; i < COUNT; i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "POST /worker?%d [] 4000:0000", i);
        struct reply reply = receive(client, false);
        assert_memory_equal(reply.body, expected, strlen(expected));
    }
    free(text);
    close_client(client);
}

/* Several TLS records in one segment, and the last one in two. */
static void test_records_together(void **state)
{
    (void)state;
    enum { COUNT = 10, LATER = 9 };
    struct client *client = open_client();
    BIO *records = BIO_new(BIO_s_mem());
    SSL_set0_wbio(client->ssl, records);
    for (int i = 0; i < COUNT; i++) {
        char text[64];
        int len = snprintf(text, sizeof text, "GET /%s?%d HTTP/1.1\r\nHost: x\r\n\r\n",
                           i % 3 == 0 ? "inline" : "worker", i);
        assert_int_equal(SSL_write(client->ssl, text, len), len);
    }
    char *data = NULL;
    size_t size = (size_t)BIO_get_mem_data(records, &data);
    assert_int_equal(send(client->fd, data, size - LATER, 0), size - LATER);
    for (int i = 0; i < COUNT; i++) {
        if (i == COUNT - 1)
            assert_int_equal(send(client->fd, data + size - LATER, LATER, 0), LATER);
        char expected[64];
        snprintf(expected, sizeof expected, "GET /%s?%d [] 0:", i % 3 == 0 ? "inline" : "worker", i);
        assert_string_equal(receive(client, false).body, expected);
    }
    close_client(client);
}

static void test_head_and_versions(void **state)
{
    (void)state;
    struct client *client = open_client();
    send_text(client,
              "HEAD /inline HTTP/1.1\r\nHost: x\r\n\r\nGET /inline HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
              "GET /inline HTTP/1.1\r\nHost: x\r\nConnection: TE, close\r\n\r\nGET /never HTTP/1.1\r\n");
    struct reply reply = receive(client, true);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body_len, strlen("HEAD /inline? [] 0:"));
    reply = receive(client, false);
    assert_string_equal(reply.body, "GET /inline? [] 0:");
    assert_non_null(strstr(reply.head, "Connection: keep-alive\r\n"));
    reply = receive(client, false);
    assert_true(reply.closes);
    assert_true(at_end(client));
    close_client(client);

    client = open_client();
    send_text(client, "GET /worker HTTP/1.0\r\n\r\n");
    assert_true(receive(client, false).closes);
    assert_true(at_end(client));
    close_client(client);
}

static void test_expect_continue(void **state)
{
    (void)state;
    struct client *client = open_client();
    send_text(client,
              "POST /worker HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_int_equal(receive(client, true).status, 100);
    send_text(client, "ok");
    struct reply reply = receive(client, false);
    assert_string_equal(reply.body, "POST /worker? [] 2:ok");
    close_client(client);
}

static void assert_refused(struct client *client, int status)
{
    struct reply reply = receive(client, false);
    assert_int_equal(reply.status, status);
    assert_true(reply.closes);
    assert_non_null(strstr(reply.head, "Content-Type: application/problem+json\r\n"));
    assert_memory_equal(reply.body, "{\"detail\":", 10);
    assert_true(at_end(client));
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *text;
    } cases[] = {
        {400, "GET / HTTP/1.1\r\n\r\n"},
        {400, "nonsense\r\n\r\n"},
        {413, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8193\r\n\r\n"},
        {411, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        {505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct client *client = open_client();
        send_text(client, cases[i].text);
        assert_refused(client, cases[i].status);
        close_client(client);
    }
    /* After a good request, with a body on its way that nobody wants: the answer still arrives. */
    struct client *client = open_client();
    send_text(client, "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(receive(client, false).status, 200);
    char *body = malloc(100 * 1024 + 1);
    memset(body, 'b', 100 * 1024);
    body[100 * 1024] = '\0';
    send_text(client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 102400\r\n\r\n");
    send_text(client, body);
    assert_refused(client, 413);
    free(body);
    close_client(client);
    /* A head without an end. */
    client = open_client();
    send_text(client, "GET / HTTP/1.1\r\n");
    char line[1024];
    snprintf(line, sizeof line, "X: %01000d\r\n", 0);
    for (int i = 0; i < 17; i++)
        send_text(client, line);
    assert_refused(client, 431);
    close_client(client);
}

static void test_slow_head(void **state)
{
    (void)state;
    struct client *client = open_client();
    int64_t started = now_ms();
    static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy";
    for (size_t i = 0; text[i] != '\0' && now_ms() - started < DEADLINE_MS - 100; i++) {
        send_text(client, (char[]){text[i], '\0'});
        usleep(20 * 1000); /* never idle */
    }
    assert_refused(client, 408);
    int64_t took = now_ms() - started;
    assert_in_range(took, DEADLINE_MS - 100, DEADLINE_MS + 1500);
    close_client(client);
}

static void test_slow_body_on_second_request(void **state)
{
    (void)state;
    struct client *client = open_client();
    send_text(client, "GET /worker HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(receive(client, false).status, 200);
    usleep(300 * 1000); /* idle time is not the request's */
    int64_t started = now_ms();
    send_text(client, "POST /inline HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc");
    assert_refused(client, 408);
    assert_in_range(now_ms() - started, DEADLINE_MS - 50, DEADLINE_MS + 1500);
    close_client(client);
}

static void test_idle_and_mute(void **state)
{
    (void)state;
    int64_t started = now_ms();
    struct client *client = open_client();
    send_text(client, "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(receive(client, false).status, 200);
    int mute = dial(); /* no handshake */
    char byte;
    assert_int_equal(recv(mute, &byte, 1, 0), 0);
    assert_in_range(now_ms() - started, DEADLINE_MS - 50, DEADLINE_MS + 1500);
    close(mute);
    assert_true(at_end(client)); /* idle */
    assert_in_range(now_ms() - started, IDLE_MS - 50, IDLE_MS + 2000);
    close_client(client);
}

static void wait_for(atomic_int *value, int expected)
{
    for (int i = 0; i < 1000 && atomic_load(value) != expected; i++)
        usleep(10 * 1000);
    assert_int_equal(atomic_load(value), expected);
}

static void wait_until_empty(void)
{
    for (int i = 0; i < 1000 && !acme_http_is_drained(server); i++)
        usleep(10 * 1000);
    assert_true(acme_http_is_drained(server));
}

static void test_vanishing_client(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct client *client = open_client();
        send_text(client, "GET /late HTTP/1.1\r\nHost: x\r\n\r\n");
        sem_wait(&late_entered);
        close_client(client);
        wait_until_empty();
        struct client *other = open_client(); /* takes the slot */
        sem_post(&late_release);
        wait_for(&late_done, i + 1);
        send_text(other, "GET /inline?mine HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_string_equal(receive(other, false).body, "GET /inline?mine [] 0:");
        close_client(other);
        wait_until_empty();
    }
}

static void test_client_that_does_not_read(void **state)
{
    (void)state;
    struct client *client = open_client();
    send_text(client, "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n");
    (void)receive(client, false); /* accepted, so that "empty" means that it has gone */
    int64_t started = now_ms();
    send_text(client, "GET /big HTTP/1.1\r\nHost: x\r\n\r\nGET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_until_empty();
    assert_in_range(now_ms() - started, DEADLINE_MS - 50, DEADLINE_MS + 3000);
    close_client(client);
}

static void test_drain(void **state)
{
    (void)state;
    struct client *idle = open_client();
    send_text(idle, "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_false(receive(idle, false).closes);
    struct client *busy = open_client();
    send_text(busy, "GET /late HTTP/1.1\r\nHost: x\r\n\r\n");
    sem_wait(&late_entered);
    acme_http_drain(server);
    assert_true(at_end(idle));
    close_client(idle);
    assert_false(acme_http_is_drained(server));
    int fd = dial();
    for (int i = 0; i < 100 && fd >= 0; i++) { /* the other loop may not have closed its listener yet */
        close(fd);
        usleep(10 * 1000);
        fd = dial();
    }
    assert_int_equal(fd, -1);
    sem_post(&late_release);
    struct reply reply = receive(busy, false);
    assert_string_equal(reply.body, "GET /late? [] 0:");
    assert_true(reply.closes);
    assert_true(at_end(busy));
    close_client(busy);
    wait_until_empty();
}

/* Who sends without end gets no more than a turn at a time, even when the records are as long as makes
 * OpenSSL's buffer end within the head of the next one each time, so that it reads ahead again. Here all of
 * it waits when the one loop comes to it. */
static void test_flood(void **state)
{
    (void)state;
    enum { COUNT = 35, SIZE = 3319 };
    static const char head[] = "GET /inline?flood HTTP/1.1\r\nHost: x\r\nX: ";
    struct acme_http_options options = defaults();
    options.loops = 1;
    assert_int_equal(start_with(&options), 0);
    atomic_store(&flooded, 0);
    struct client *holder = open_client();
    struct client *flooder = open_client();
    struct client *other = open_client();
    char text[SIZE + 1];
    snprintf(text, sizeof text, "%s%0*d\r\n\r\n", head, (int)(SIZE - (sizeof head - 1) - 4), 7);
    send_text(holder, "GET /inline?hold HTTP/1.1\r\nHost: x\r\n\r\n");
    sem_wait(&late_entered);
    for (int i = 0; i < COUNT; i++)
        send_text(flooder, text);
    send_text(other, "GET /inline?other HTTP/1.1\r\nHost: x\r\n\r\n");
    sem_post(&late_release);
    assert_int_equal(receive(other, false).status, 200);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(receive(flooder, false).status, 200);
    assert_in_range(atomic_load(&flooded_first), 0, COUNT / 2);
    close_client(holder);
    close_client(flooder);
    close_client(other);
    stop(NULL);
}

static void test_flood_plain(void **state)
{
    plain = true;
    test_flood(state);
}

static void test_caps(void **state)
{
    (void)state;
    struct acme_http_options options = defaults();
    options.max_connections_per_address = 3;
    assert_int_equal(start_with(&options), 0);
    struct client *clients[3];
    for (int i = 0; i < 3; i++)
        clients[i] = open_client();
    assert_null(open_client());
    close_client(clients[0]);
    clients[0] = NULL;
    for (int i = 0; i < 100 && clients[0] == NULL; i++) {
        usleep(10 * 1000);
        clients[0] = open_client();
    }
    assert_non_null(clients[0]);
    for (int i = 0; i < 3; i++)
        close_client(clients[i]);
    stop(NULL);
}

static void test_alpn_and_versions(void **state)
{
    (void)state;
    SSL_CTX *before = client_tls;
    static const unsigned char both[] = "\x02h2\x08http/1.1";
    static const unsigned char other[] = "\x02h2";
    client_tls = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_alpn_protos(client_tls, both, sizeof both - 1);
    struct client *client = open_client();
    const unsigned char *chosen = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(client->ssl, &chosen, &len);
    assert_int_equal(len, 8);
    assert_memory_equal(chosen, "http/1.1", 8);
    close_client(client);
    SSL_CTX_set_alpn_protos(client_tls, other, sizeof other - 1);
    client = open_client();
    SSL_get0_alpn_selected(client->ssl, &chosen, &len);
    assert_int_equal(len, 0);
    close_client(client);
    SSL_CTX_set_security_level(client_tls, 0);
    SSL_CTX_set_max_proto_version(client_tls, TLS1_1_VERSION);
    assert_null(open_client());
    SSL_CTX_set_max_proto_version(client_tls, TLS1_2_VERSION);
    client = open_client();
    send_text(client, "GET /worker HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(receive(client, false).status, 200);
    close_client(client);
    SSL_CTX_free(client_tls);
    client_tls = before;
    /* Another certificate, for new connections. */
    SSL_CTX *renewed = tls_fixture_server();
    acme_http_set_tls(server, renewed);
    client = open_client();
    X509 *seen = SSL_get1_peer_certificate(client->ssl);
    assert_int_equal(X509_cmp(seen, SSL_CTX_get0_certificate(renewed)), 0);
    X509_free(seen);
    close_client(client);
    SSL_CTX_free(renewed);
}

static void *hammer(void *context)
{
    atomic_int *good = context;
    for (int round = 0; round < 10; round++) {
        struct client *client = open_client();
        for (int i = 0; i < 20; i++) {
            send_text(client, i % 2 == 0 ? "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n"
                                         : "GET /worker HTTP/1.1\r\nHost: x\r\n\r\n");
            if (receive(client, false).status == 200)
                atomic_fetch_add(good, 1);
        }
        close_client(client);
    }
    return NULL;
}

static void test_many_clients(void **state)
{
    (void)state;
    atomic_int good = 0;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, hammer, &good);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&good), 4 * 10 * 20);
}

static void test_stop_with_connections(void **state)
{
    (void)state;
    struct client *idle = open_client();
    struct client *partial = open_client();
    send_text(partial, "GET / HTTP/1.1\r\n");
    acme_pool_destroy(pool);
    pool = NULL;
    acme_http_stop(server);
    server = NULL;
    assert_true(at_end(idle));
    assert_true(at_end(partial));
    close_client(idle);
    close_client(partial);
}

static void test_bad_address(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "127.0.0.1", "example.org:443", "127.0.0.1:99999", "127.0.0.1:", "[127.0.0.1]:1", "::1:1", ""};
    const struct acme_http_callbacks callbacks = {.on_request = on_request, .on_problem = on_problem};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct acme_http_options options = defaults();
        options.listen = bad[i];
        struct acme_http_server *none = NULL;
        assert_int_equal(acme_http_start(&options, &callbacks, server_tls, &none).code, ACME_E_IO);
        assert_null(none);
    }
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* the client's */
    server_tls = tls_fixture_server();
    client_tls = SSL_CTX_new(TLS_client_method());
    sem_init(&late_entered, 0, 0);
    sem_init(&late_release, 0, 0);
#define SERVED(test) cmocka_unit_test_setup_teardown(test, start, stop)
#define PLAIN(test)                                                                                          \
    {                                                                                                        \
        .name = #test " (plain)", .test_func = test, .setup_func = start_plain, .teardown_func = stop        \
    }
    const struct CMUnitTest tests[] = {
        SERVED(test_keep_alive),
        SERVED(test_shared_body),
        SERVED(test_pipelining),
        SERVED(test_long_pipeline),
        SERVED(test_records_together),
        SERVED(test_head_and_versions),
        SERVED(test_expect_continue),
        SERVED(test_refusals),
        SERVED(test_slow_head),
        SERVED(test_slow_body_on_second_request),
        SERVED(test_idle_and_mute),
        SERVED(test_vanishing_client),
        SERVED(test_client_that_does_not_read),
        SERVED(test_drain),
        SERVED(test_alpn_and_versions),
        SERVED(test_many_clients),
        SERVED(test_stop_with_connections),
        PLAIN(test_keep_alive),
        PLAIN(test_shared_body),
        PLAIN(test_pipelining),
        PLAIN(test_long_pipeline),
        PLAIN(test_head_and_versions),
        PLAIN(test_expect_continue),
        PLAIN(test_refusals),
        PLAIN(test_slow_head),
        PLAIN(test_slow_body_on_second_request),
        PLAIN(test_vanishing_client),
        PLAIN(test_client_that_does_not_read),
        PLAIN(test_drain),
        PLAIN(test_many_clients),
        PLAIN(test_stop_with_connections),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_flood_plain),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_bad_address),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    SSL_CTX_free(client_tls);
    SSL_CTX_free(server_tls);
    return failed;
}
