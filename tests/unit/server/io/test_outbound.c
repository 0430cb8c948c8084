/* The outbound loop against small servers on loopback: upstream calls, and fetches with all their refusals.
 */
#include "cmocka_all.h"
#include "local_server.h"
#include "outcome.h"
#include "tls_fixture.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct acme_outbound *outbound;
static struct local_dns *dns;
static struct acme_network loopback[2];
static struct acme_address_policy policy;
static SSL_CTX *tls;
static char ca_file[] = "/tmp/acmebridge-test-XXXXXX";

static int start_with(size_t max_fetches)
{
    char resolver[64];
    snprintf(resolver, sizeof resolver, "127.0.0.1:%d", local_dns_port(dns));
    const char *const resolvers[] = {resolver};
    const struct acme_outbound_options options = {
        .resolvers = resolvers, .resolver_count = 1, .policy = &policy, .max_fetches = max_fetches};
    return acme_failed(acme_outbound_start(&options, &outbound)) ? -1 : 0;
}

static int start(void **state)
{
    (void)state;
    policy = (struct acme_address_policy){.allow = loopback, .allow_count = 2};
    dns = local_dns_start();
    return start_with(10);
}

static int stop(void **state)
{
    (void)state;
    acme_outbound_stop(outbound);
    outbound = NULL;
    local_dns_stop(dns);
    return 0;
}

static int free_port(void)
{
    struct local_server *server = local_server_start(NULL, NULL);
    int port = local_server_port(server);
    local_server_stop(server);
    return port;
}

static struct outcome *fetch_with(const struct acme_fetch *fetch)
{
    struct outcome *outcome = outcome_new();
    assert_false(acme_failed(acme_outbound_fetch(outbound, fetch, outcome_done, outcome)));
    outcome_wait(outcome);
    return outcome;
}

static struct acme_fetch to(const char *url, int port)
{
    return (struct acme_fetch){.url = url,
                               .http_port = port,
                               .https_port = port,
                               .max_redirects = 3,
                               .timeout_ms = 5000,
                               .max_bytes = 1000};
}

static struct outcome *fetch(const char *url, int port)
{
    struct acme_fetch options = to(url, port);
    return fetch_with(&options);
}

static void expect(struct outcome *outcome, enum acme_outbound_failure failure, const char *detail)
{
    if (outcome->failure != failure || strstr(outcome->detail, detail) == NULL)
        fail_msg("failure %d, detail '%s', expected %d, '%s'", outcome->failure, outcome->detail, failure,
                 detail);
    outcome_free(outcome);
}

/* ---- a web server with everything that fetches may meet ---- */

static char redirect_to[512];

static bool web(struct local_server *server, const char *request)
{
    static const char zeros[2000];
    char fields[600];
    if (strncmp(request, "GET /ok", 7) == 0) {
        bool agent =
            strstr(request, "User-Agent: acmebridge/") != NULL && strstr(request, "Accept: */*") != NULL;
        local_answer(server, 200, "X-Test: some \r\n", agent ? "hello" : "no agent");
        return true;
    }
    if (strncmp(request, "GET /big", 8) == 0) {
        local_write(server, "HTTP/1.1 200 X\r\nContent-Length: 2000\r\n\r\n", 41);
        local_write(server, zeros, sizeof zeros);
        return true;
    }
    if (strncmp(request, "GET /host", 9) == 0) {
        const char *host = strstr(request, "Host: ");
        snprintf(fields, sizeof fields, "%.*s", (int)strcspn(host + 6, "\r"), host + 6);
        local_answer(server, 200, "", fields);
        return true;
    }
    if (strncmp(request, "GET /redirect", 13) == 0) {
        snprintf(fields, sizeof fields, "Location: %s\r\n", redirect_to);
        local_answer(server, 302, fields, "elsewhere");
        return false;
    }
    if (strncmp(request, "GET /count/", 11) == 0) {
        snprintf(fields, sizeof fields, "location: /count/%d\r\n", atoi(request + 11) + 1);
        local_answer(server, 307, fields, "");
        return false;
    }
    if (strncmp(request, "GET /plain302", 13) == 0) {
        local_answer(server, 302, "", "nowhere");
        return false;
    }
    if (strncmp(request, "GET /slow", 9) == 0) {
        usleep(700 * 1000);
        return false;
    }
    if (strncmp(request, "GET /garbage", 12) == 0) {
        local_write(server, "SSH-2.0-x\r\n", 11);
        return false;
    }
    if (strncmp(request, "GET /trailers", 13) == 0) {
        local_write(server, "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", 49);
        for (int i = 0; i < 20000; i++)
            local_write(server, "T: x\r\n", 6);
        local_write(server, "\r\n", 2);
        return false;
    }
    if (strncmp(request, "GET /broken", 11) == 0) {
        local_write(server, "HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\nabc", 42);
        return false;
    }
    return false;
}

static const char *url_of(char url[256], const char *host, const char *path)
{
    snprintf(url, 256, "http://%s%s", host, path);
    return url;
}

static void test_fetch_success(void **state)
{
    (void)state;
    struct local_server *server = local_server_start(NULL, web);
    int port = local_server_port(server);
    char url[256];
    static const char *const hosts[] = {
        "127.0.0.1",  "localhost",     "www.localhost", "v4.example",
        "V4.Example", "alias.example", "both.example"}; /* the last by falling back to IPv4 */
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        struct outcome *outcome = fetch(url_of(url, hosts[i], "/ok"), port);
        if (outcome->failure != ACME_OUTBOUND_OK)
            fail_msg("%s: %s", hosts[i], outcome->detail);
        assert_int_equal(outcome->status, 200);
        assert_string_equal(outcome->body, "hello");
        assert_string_equal(outcome->field, "some");
        assert_string_equal(outcome->url, url);
        outcome_free(outcome);
    }
    /* The Host field says what the URL says, not where we went. */
    struct outcome *outcome = fetch(url_of(url, "v4.example", "/host"), port);
    assert_string_equal(outcome->body, "v4.example");
    outcome_free(outcome);
    outcome = fetch(url_of(url, "127.0.0.1", "/plain302"), port);
    assert_int_equal(outcome->status, 302);
    outcome_free(outcome);
    assert_int_equal(local_server_connections(server), 9); /* never reused */
    local_server_stop(server);
}

static void test_fetch_redirects(void **state)
{
    (void)state;
    struct local_server *server = local_server_start(NULL, web);
    struct local_server *secure = local_server_start(tls, web);
    int port = local_server_port(server);
    char url[256];
    char expected[64];

    snprintf(redirect_to, sizeof redirect_to, "http://v4.example:%d/ok#x", port);
    struct outcome *outcome = fetch(url_of(url, "127.0.0.1", "/redirect"), port);
    assert_string_equal(outcome->body, "hello");
    snprintf(expected, sizeof expected, "http://v4.example:%d/ok", port);
    assert_string_equal(outcome->url, expected);
    outcome_free(outcome);

    strcpy(redirect_to, "ok"); /* relative */
    outcome = fetch(url_of(url, "127.0.0.1", "/redirect"), port);
    assert_string_equal(outcome->url, "http://127.0.0.1/ok");
    outcome_free(outcome);

    struct acme_fetch options = to(url_of(url, "127.0.0.1", "/redirect"), port);
    options.https_port = local_server_port(secure);
    strcpy(redirect_to, "https://v4.example/ok"); /* its certificate is not for that name */
    outcome = fetch_with(&options);
    assert_string_equal(outcome->body, "hello");
    outcome_free(outcome);

    SSL_CTX *costly = tls_fixture_server(); /* a handshake would take the loop's time for 100 ms */
    assert_int_equal(SSL_CTX_set1_groups_list(costly, "ffdhe8192"), 1);
    struct local_server *costly_server = local_server_start(costly, web);
    options.https_port = local_server_port(costly_server);
    expect(fetch_with(&options), ACME_OUTBOUND_TLS, "");
    local_server_stop(costly_server);
    SSL_CTX_free(costly);

    strcpy(redirect_to, "/redirect");
    expect(fetch(url_of(url, "127.0.0.1", "/redirect"), port), ACME_OUTBOUND_REDIRECTS, "circle");
    expect(fetch(url_of(url, "127.0.0.1", "/count/0"), port), ACME_OUTBOUND_REDIRECTS, "too many");
    static const struct {
        const char *location;
        const char *detail;
    } denied[] = {
        {"http://127.0.0.1:1/", "port 1 is not allowed"},
        {"ftp://127.0.0.1/", "redirect"},
        {"file:///etc/passwd", "redirect"},
        {"http://user:pw@127.0.0.1/", "user information"},
        {"http://169.254.169.254/latest", "169.254.169.254"},
        {"http://inner.example/latest", "metadata"},
        {"http://[::ffff:169.254.169.254]/", "metadata"},
        {"http://0xa9fea9fe/", "metadata"},
    };
    for (size_t i = 0; i < sizeof denied / sizeof *denied; i++) {
        strcpy(redirect_to, denied[i].location);
        expect(fetch(url_of(url, "127.0.0.1", "/redirect"), port), ACME_OUTBOUND_DENIED, denied[i].detail);
    }
    local_server_stop(server);
    local_server_stop(secure);
}

static void test_fetch_failures(void **state)
{
    (void)state;
    struct local_server *server = local_server_start(NULL, web);
    int port = local_server_port(server);
    int closed = free_port();
    char url[256];
    char detail[64];
    snprintf(detail, sizeof detail, "127.0.0.1:%d: connection refused", closed);
    expect(fetch(url_of(url, "127.0.0.1", "/ok"), closed), ACME_OUTBOUND_CONNECT, detail);
    /* Both addresses are told. */
    expect(fetch(url_of(url, "localhost", "/ok"), closed), ACME_OUTBOUND_CONNECT, detail);
    struct outcome *outcome = fetch(url_of(url, "localhost", "/ok"), closed);
    expect(outcome, ACME_OUTBOUND_CONNECT, "[::1]:");
    expect(fetch(url_of(url, "127.0.0.1", "/big"), port), ACME_OUTBOUND_TOO_LARGE, "larger than 1000 bytes");
    expect(fetch(url_of(url, "127.0.0.1", "/trailers"), port), ACME_OUTBOUND_TOO_LARGE,
           "fields are larger than");
    expect(fetch(url_of(url, "127.0.0.1", "/garbage"), port), ACME_OUTBOUND_BROKEN, "127.0.0.1");
    expect(fetch(url_of(url, "127.0.0.1", "/broken"), port), ACME_OUTBOUND_BROKEN, "127.0.0.1");
    struct acme_fetch options = to(url_of(url, "127.0.0.1", "/slow"), port);
    options.timeout_ms = 300;
    expect(fetch_with(&options), ACME_OUTBOUND_TIMEOUT, "timed out waiting for the answer");
    options = to("https://127.0.0.1/", port);
    options.timeout_ms = 300;
    expect(fetch_with(&options), ACME_OUTBOUND_TLS, "timed out during the TLS handshake");
    expect(fetch("nonsense://x y/", port), ACME_OUTBOUND_DENIED, "not a URL");
    local_server_stop(server);
}

static void test_fetch_policy(void **state)
{
    (void)state;
    struct local_server *server = local_server_start(NULL, web);
    int port = local_server_port(server);
    char url[256];
    policy.allow_count = 0; /* nothing is under way */
    expect(fetch(url_of(url, "127.0.0.1", "/ok"), port), ACME_OUTBOUND_DENIED,
           "not contacted, it is a loopback address");
    expect(fetch(url_of(url, "www.localhost", "/ok"), port), ACME_OUTBOUND_DENIED, "[::1]:");
    expect(fetch(url_of(url, "v4.example", "/ok"), port), ACME_OUTBOUND_DENIED, "127.0.0.1:");
    policy.allow_count = 1; /* IPv4 only: what remains is tried */
    struct outcome *outcome = fetch(url_of(url, "both.example", "/ok"), port);
    assert_int_equal(outcome->failure, ACME_OUTBOUND_OK);
    outcome_free(outcome);
    assert_int_equal(local_server_connections(server), 1);
    local_server_stop(server);
}

static void test_fetch_dns(void **state)
{
    (void)state;
    expect(fetch("http://nowhere.example/", 80), ACME_OUTBOUND_DNS,
           "NXDOMAIN looking up A for nowhere.example");
    expect(fetch("http://none.example/", 80), ACME_OUTBOUND_DNS, "no A or AAAA records for none.example");
    expect(fetch("http://fail.example/", 80), ACME_OUTBOUND_DNS, "SERVFAIL looking up A for fail.example");
    expect(fetch("http://host.test/", 80), ACME_OUTBOUND_DNS, "NXDOMAIN looking up A for host.test");
    struct acme_fetch options = to("http://mute.example/", 80);
    options.timeout_ms = 300;
    expect(fetch_with(&options), ACME_OUTBOUND_DNS, "timed out looking up A and AAAA for mute.example");
}

static void test_many_fetches(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    struct local_server *server = local_server_start(NULL, web);
    int port = local_server_port(server);
    struct outcome *outcomes[COUNT];
    for (int i = 0; i < COUNT; i++) {
        struct acme_fetch options = to(i % 4 == 0   ? "http://nowhere.example/"
                                       : i % 4 == 1 ? "http://127.0.0.2/x"
                                                    : "http://v4.example/broken",
                                       port);
        options.timeout_ms = 20000;
        outcomes[i] = outcome_new();
        assert_false(acme_failed(acme_outbound_fetch(outbound, &options, outcome_done, outcomes[i])));
    }
    for (int i = 0; i < COUNT; i++) {
        outcome_wait(outcomes[i]);
        enum acme_outbound_failure expected = i % 4 == 0   ? ACME_OUTBOUND_DNS
                                              : i % 4 == 1 ? ACME_OUTBOUND_CONNECT
                                                           : ACME_OUTBOUND_BROKEN;
        expect(outcomes[i], expected, "");
    }
    local_server_stop(server);
}

static void test_stop_cancels(void **state)
{
    (void)state;
    enum { COUNT = 20 };
    struct outcome *outcomes[COUNT];
    dns = local_dns_start();
    policy = (struct acme_address_policy){.allow = loopback, .allow_count = 2};
    assert_int_equal(start_with(3), 0);
    for (int i = 0; i < COUNT; i++) { /* some looking up, some waiting in line */
        struct acme_fetch options = to("http://mute.example/", 80);
        outcomes[i] = outcome_new();
        assert_false(acme_failed(acme_outbound_fetch(outbound, &options, outcome_done, outcomes[i])));
    }
    usleep(100 * 1000);
    acme_outbound_stop(outbound);
    outbound = NULL;
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(outcomes[i]->calls, 1);
        expect(outcomes[i], ACME_OUTBOUND_CANCELLED, "stopping");
    }
    local_dns_stop(dns);
}

/* ---- upstream calls ---- */

static atomic_int posts;

static bool upstream(struct local_server *server, const char *request)
{
    if (strncmp(request, "POST ", 5) == 0)
        atomic_fetch_add(&posts, 1);
    if (strstr(request, " /drop-second ") != NULL) /* a kept connection that is dead when used again */
        return local_server_requests(server) == 1 ? (local_answer(server, 200, "", "first"), true) : false;
    if (strstr(request, " /big ") != NULL) {
        local_answer(server, 200, "", "0123456789");
        return true;
    }
    if (strstr(request, " /error ") != NULL) {
        local_answer(server, 503, "Retry-After: 5\r\nX-Test: busy\r\n", "");
        return true;
    }
    if (strstr(request, " /slow ") != NULL) {
        usleep(700 * 1000);
        return false;
    }
    if (strstr(request, " /away ") != NULL) {
        local_answer(server, 302, "Location: /ok\r\n", "not followed");
        return true;
    }
    char echo[2048]; /* "METHOD|login|content-type|body" */
    const char *login = strstr(request, "login: ");
    const char *type = strstr(request, "Content-Type: ");
    snprintf(echo, sizeof echo, "%.*s|%.*s|%.*s|%s%s", (int)strcspn(request, " "), request,
             login != NULL ? (int)strcspn(login + 7, "\r") : 0, login != NULL ? login + 7 : "",
             type != NULL ? (int)strcspn(type + 14, "\r") : 0, type != NULL ? type + 14 : "",
             strstr(request, "\r\n\r\n") + 4, strstr(request, "Expect") != NULL ? "!" : "");
    local_answer(server, 200, "X-Test: a\r\nX-Other: b\r\n", echo);
    return true;
}

static struct outcome *call_with(const struct acme_transport *transport, const struct acme_http_call *call)
{
    struct outcome *outcome = outcome_new();
    assert_false(acme_failed(acme_outbound_call(outbound, transport, call, outcome_done, outcome)));
    outcome_wait(outcome);
    return outcome;
}

static struct acme_http_call make_call(const char *method, const char *url, const char *body)
{
    struct acme_http_call call = {.method = method, .url = url, .total_timeout_ms = 5000};
    if (body != NULL)
        call.body = (struct acme_bytes){.data = (const uint8_t *)body, .len = strlen(body)};
    return call;
}

static const char *call_url(char url[128], const char *scheme, struct local_server *server, const char *path)
{
    snprintf(url, 128, "%s://127.0.0.1:%d%s", scheme, local_server_port(server), path);
    return url;
}

static void test_call_methods(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        const char *body;
        const char *type;
        const char *echo;
    } cases[] = {
        {"GET", NULL, NULL, "GET|me||"},
        {"POST", "{}", "application/json", "POST|me|application/json|{}"},
        {"POST", "x", NULL, "POST|me||x"},
        {"POST", NULL, NULL, "POST|me||"},
        {"PUT", "y", "text/plain", "PUT|me|text/plain|y"},
        {"DELETE", NULL, NULL, "DELETE|me||"},
        {"HEAD", NULL, NULL, ""},
    };
    char url[128];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct local_server *server = local_server_start(NULL, upstream);
        struct acme_http_call call =
            make_call(cases[i].method, call_url(url, "http", server, "/ok"), cases[i].body);
        assert_true(acme_http_call_header(&call, "login", "me"));
        if (cases[i].type != NULL)
            assert_true(acme_http_call_header(&call, "Content-Type", cases[i].type));
        struct outcome *outcome = call_with(NULL, &call);
        if (outcome->failure != ACME_OUTBOUND_OK)
            fail_msg("%s: %s", cases[i].method, outcome->detail);
        assert_int_equal(outcome->status, 200);
        assert_string_equal(outcome->body, cases[i].echo);
        assert_string_equal(outcome->field, "a");
        outcome_free(outcome);
        local_server_stop(server);
    }
}

static void test_call_answers(void **state)
{
    (void)state;
    struct local_server *server = local_server_start(NULL, upstream);
    char url[128];
    struct acme_http_call call = make_call("GET", call_url(url, "http", server, "/error"), NULL);
    struct outcome *outcome = call_with(NULL, &call);
    assert_int_equal(outcome->status, 503);
    assert_string_equal(outcome->field, "busy");
    expect(outcome, ACME_OUTBOUND_OK, "");
    call.url = call_url(url, "http", server, "/away");
    outcome = call_with(NULL, &call);
    assert_int_equal(outcome->status, 302);
    outcome_free(outcome);
    call.url = call_url(url, "http", server, "/big");
    call.max_reply_bytes = 9;
    expect(call_with(NULL, &call), ACME_OUTBOUND_TOO_LARGE, "larger than 9 bytes");
    call.max_reply_bytes = 10;
    expect(call_with(NULL, &call), ACME_OUTBOUND_OK, "");
    call.url = call_url(url, "http", server, "/slow");
    call.total_timeout_ms = 200;
    expect(call_with(NULL, &call), ACME_OUTBOUND_TIMEOUT, "timed out waiting for the answer");
    call.headers[0] = (struct acme_http_header){"X", "a\r\nY: b"};
    call.header_count = 1;
    assert_int_equal(acme_outbound_call(outbound, NULL, &call, outcome_done, NULL).code, ACME_E_FORMAT);
    local_server_stop(server);
    struct acme_http_call dead = make_call("GET", "http://host.invalid/", NULL);
    expect(call_with(NULL, &dead), ACME_OUTBOUND_DNS, "resolve");
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", free_port());
    dead.url = url;
    expect(call_with(NULL, &dead), ACME_OUTBOUND_CONNECT, "connection refused");
}

/* libcurl repeats a request by itself when a kept connection fails; never may it do so with one that changes
 * something. */
static void test_call_is_never_repeated(void **state)
{
    (void)state;
    struct local_server *server = local_server_start(NULL, upstream);
    char url[128];
    struct acme_http_call call = make_call("GET", call_url(url, "http", server, "/drop-second"), NULL);
    expect(call_with(NULL, &call), ACME_OUTBOUND_OK, "");
    atomic_store(&posts, 0);
    struct outcome *outcome = outcome_new();
    struct acme_http_call post = make_call("POST", url, "{}");
    assert_false(acme_failed(acme_outbound_call(outbound, NULL, &post, outcome_done, outcome)));
    /* It has a connection of its own; the server still sits on the first one, so end that. */
    struct acme_http_call again = make_call("GET", url, NULL);
    struct outcome *ignored = call_with(NULL, &again);
    outcome_free(ignored);
    outcome_wait(outcome);
    expect(outcome, ACME_OUTBOUND_BROKEN, "127.0.0.1");
    assert_int_equal(atomic_load(&posts), 1);
    local_server_stop(server);
}

static void test_call_keeps_connections(void **state)
{
    (void)state;
    struct local_server *server = local_server_start(NULL, upstream);
    char url[128];
    struct acme_http_call call = make_call("GET", call_url(url, "http", server, "/ok"), NULL);
    for (int i = 0; i < 5; i++)
        expect(call_with(NULL, &call), ACME_OUTBOUND_OK, "");
    assert_int_equal(local_server_connections(server), 1);
    assert_int_equal(local_server_requests(server), 5);
    local_server_stop(server);
}

static void test_call_tls(void **state)
{
    (void)state;
    struct local_server *server = local_server_start(tls, upstream);
    struct local_server *plain = local_server_start(NULL, upstream);
    char url[128];
    struct acme_http_call call = make_call("GET", call_url(url, "https", server, "/ok"), NULL);
    expect(call_with(NULL, &call), ACME_OUTBOUND_TLS, "127.0.0.1");
    const struct acme_transport trusting = {.ca_file = ca_file};
    struct outcome *outcome = call_with(&trusting, &call);
    assert_int_equal(outcome->status, 200);
    expect(outcome, ACME_OUTBOUND_OK, "");
    const struct acme_transport missing = {.ca_file = "/nonexistent/ca.pem"};
    expect(call_with(&missing, &call), ACME_OUTBOUND_TLS, "");
    call.url = call_url(url, "https", plain, "/ok");
    call.total_timeout_ms = 1000;
    expect(call_with(&trusting, &call), ACME_OUTBOUND_TLS, "127.0.0.1");
    local_server_stop(server);
    local_server_stop(plain);
}

static void test_call_proxy(void **state)
{
    (void)state;
    struct local_server *proxy = local_server_start(NULL, upstream);
    char url[128];
    const struct acme_transport transport = {.proxy = call_url(url, "http", proxy, "")};
    struct acme_http_call call = make_call("GET", "http://ca.example.invalid/ok", NULL);
    struct outcome *outcome = call_with(&transport, &call);
    assert_string_equal(outcome->body, "GET|||");
    outcome_free(outcome);
    setenv("http_proxy", url, 1); /* not for us */
    expect(call_with(NULL, &call), ACME_OUTBOUND_DNS, "");
    unsetenv("http_proxy");
    local_server_stop(proxy);
}

/* ---- stopping in the middle of everything ---- */

static void count_done(void *context, const struct acme_outbound_result *result)
{
    (void)result;
    atomic_fetch_add((atomic_int *)context, 1);
}

static struct acme_err hand_over(int kind, int port, atomic_int *done)
{
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", port);
    const struct acme_fetch fetch = to(url, port);
    const struct acme_http_call call = make_call("GET", url, NULL);
    const struct acme_probe probe = {.host = "both.example",
                                     .port = port,
                                     .server_name = "a.example",
                                     .alpn = "acme-tls/1",
                                     .timeout_ms = 5000,
                                     .max_bytes = 1000};
    switch (kind) {
    case 0:
        return acme_outbound_call(outbound, NULL, &call, count_done, done);
    case 1:
        return acme_outbound_lookup(outbound, "mute.example", ACME_DNS_TYPE_TXT, 5000, count_done, done);
    case 2:
        return acme_outbound_fetch(outbound, &fetch, count_done, done);
    default:
        return acme_outbound_probe(outbound, &probe, count_done, done);
    }
}

/* Whatever was handed over is told its end once, wherever the stop meets it: in the inbox, in line, looking
 * up, connecting, waiting for an answer, or over. */
static void test_stop_in_the_middle(void **state)
{
    (void)state;
    policy = (struct acme_address_policy){.allow = loopback, .allow_count = 2};
    dns = local_dns_start();
    struct local_server *server = local_server_start(NULL, web);
    const int ports[] = {local_server_port(server), free_port()};
    for (int round = 0; round < 200; round++) {
        atomic_int done = 0;
        int count = 1 + round % 40;
        assert_int_equal(start_with(10), 0);
        for (int i = 0; i < count; i++)
            assert_false(acme_failed(hand_over((i + round) % 4, ports[i % 2], &done)));
        if (round % 3 == 0)
            usleep((unsigned)(100 * round));
        acme_outbound_stop(outbound);
        outbound = NULL;
        assert_int_equal(atomic_load(&done), count);
    }
    local_server_stop(server);
    local_dns_stop(dns);
}

/* A label in front of a name of 253 characters. */
static void test_lookup_of_too_long_a_name(void **state)
{
    (void)state;
    char name[256];
    for (size_t i = 0; i < sizeof name - 1; i++)
        name[i] = i % 2 == 0 ? 'a' : '.';
    name[sizeof name - 1] = '\0';
    struct outcome *outcome = outcome_new();
    assert_false(
        acme_failed(acme_outbound_lookup(outbound, name, ACME_DNS_TYPE_TXT, 5000, outcome_done, outcome)));
    outcome_wait(outcome);
    expect(outcome, ACME_OUTBOUND_DNS, "longer than 253 characters");
}

static void test_bad_resolver(void **state)
{
    (void)state;
    static const char *const bad[] = {"example.org", "127.0.0.1:0", "[::1", "127.0.0.1:dns", ""};
    static const char *const good[] = {"127.0.0.1", "127.0.0.1:53", "127.0.0.1@53", "::1",
                                       "[::1]",     "[::1]:53",     "::1@53"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct acme_outbound_options options = {
            .resolvers = &bad[i], .resolver_count = 1, .policy = &policy, .max_fetches = 1};
        struct acme_outbound *none = NULL;
        assert_int_equal(acme_outbound_start(&options, &none).code, ACME_E_FORMAT);
    }
    const struct acme_outbound_options options = {
        .resolvers = good, .resolver_count = sizeof good / sizeof *good, .policy = &policy, .max_fetches = 1};
    struct acme_outbound *started = NULL;
    assert_false(acme_failed(acme_outbound_start(&options, &started)));
    acme_outbound_stop(started);
    acme_outbound_stop(NULL);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* the test servers' */
    tls = tls_fixture_server();
    int file = mkstemp(ca_file);
    if (file < 0 || close(file) != 0 || !tls_fixture_write_cert(tls, ca_file) ||
        acme_failed(acme_network_parse("127.0.0.0/8", &loopback[0])) ||
        acme_failed(acme_network_parse("::1", &loopback[1])))
        return 1;
#define RUNNING(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        RUNNING(test_fetch_success),
        RUNNING(test_fetch_redirects),
        RUNNING(test_fetch_failures),
        RUNNING(test_fetch_policy),
        RUNNING(test_fetch_dns),
        RUNNING(test_many_fetches),
        cmocka_unit_test(test_stop_cancels),
        RUNNING(test_call_methods),
        RUNNING(test_call_answers),
        RUNNING(test_call_is_never_repeated),
        RUNNING(test_call_keeps_connections),
        RUNNING(test_call_tls),
        RUNNING(test_call_proxy),
        RUNNING(test_lookup_of_too_long_a_name),
        cmocka_unit_test(test_stop_in_the_middle),
        cmocka_unit_test(test_bad_resolver),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(ca_file);
    SSL_CTX_free(tls);
    return failed;
}
