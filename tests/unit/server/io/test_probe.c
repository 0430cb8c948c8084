/* TLS probes of the outbound loop against small servers on loopback. */
#include "cmocka_all.h"
#include "local_server.h"
#include "server/outbound.h"
#include "tls_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct acme_outbound *outbound;
static struct local_dns *dns;
static struct acme_network loopback[2];
static struct acme_address_policy policy;
static SSL_CTX *tls;
static char server_name[256]; /* what the server was asked for */
static char offered[256];     /* its ALPN list, as on the wire */
static const char *choice;    /* what the server answers; NULL: nothing */

/* What `done` saw, copied. */
struct outcome {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int calls;
    enum acme_outbound_failure failure;
    char detail[1024];
    char alpn[256];
    unsigned char certificate[2048];
    size_t certificate_len;
};

static void on_done(void *context, const struct acme_outbound_result *result)
{
    struct outcome *outcome = context;
    pthread_mutex_lock(&outcome->lock);
    outcome->calls++;
    outcome->failure = result->failure;
    snprintf(outcome->detail, sizeof outcome->detail, "%s", result->detail != NULL ? result->detail : "");
    snprintf(outcome->alpn, sizeof outcome->alpn, "%.*s", (int)result->alpn.len,
             result->alpn.len > 0 ? (const char *)result->alpn.data : "");
    outcome->certificate_len = result->certificate.len;
    if (result->certificate.len > 0 && result->certificate.len <= sizeof outcome->certificate)
        memcpy(outcome->certificate, result->certificate.data, result->certificate.len);
    pthread_cond_broadcast(&outcome->changed);
    pthread_mutex_unlock(&outcome->lock);
}

static struct outcome *begin(const struct acme_probe *probe)
{
    struct outcome *outcome = calloc(1, sizeof *outcome);
    pthread_mutex_init(&outcome->lock, NULL);
    pthread_cond_init(&outcome->changed, NULL);
    assert_false(acme_failed(acme_outbound_probe(outbound, probe, on_done, outcome)));
    return outcome;
}

static void wait_outcome(struct outcome *outcome)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 30;
    pthread_mutex_lock(&outcome->lock);
    while (outcome->calls == 0)
        if (pthread_cond_timedwait(&outcome->changed, &outcome->lock, &until) != 0)
            break;
    assert_int_equal(outcome->calls, 1);
    pthread_mutex_unlock(&outcome->lock);
}

static void free_outcome(struct outcome *outcome)
{
    pthread_mutex_destroy(&outcome->lock);
    pthread_cond_destroy(&outcome->changed);
    free(outcome);
}

static struct acme_probe to(const char *host, int port)
{
    return (struct acme_probe){.host = host,
                               .port = port,
                               .server_name = "a.example",
                               .alpn = "acme-tls/1",
                               .timeout_ms = 5000,
                               .max_bytes = 65536};
}

static struct outcome *probe_with(const struct acme_probe *probe)
{
    struct outcome *outcome = begin(probe);
    wait_outcome(outcome);
    return outcome;
}

static void expect(const struct acme_probe *probe, enum acme_outbound_failure failure, const char *detail)
{
    struct outcome *outcome = probe_with(probe);
    if (outcome->failure != failure || strstr(outcome->detail, detail) == NULL)
        fail_msg("failure %d, detail '%s', expected %d, '%s'", outcome->failure, outcome->detail, failure,
                 detail);
    assert_int_equal(outcome->certificate_len, 0);
    free_outcome(outcome);
}

static int choose(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                  unsigned in_len, void *context)
{
    (void)context;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    snprintf(server_name, sizeof server_name, "%s", name != NULL ? name : "");
    snprintf(offered, sizeof offered, "%.*s", (int)in_len, (const char *)in);
    if (choice == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    if (*choice == '\0')
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = (const unsigned char *)choice;
    *out_len = (unsigned char)strlen(choice);
    return SSL_TLSEXT_ERR_OK;
}

static int start(void **state)
{
    (void)state;
    choice = "acme-tls/1";
    policy = (struct acme_address_policy){.allow = loopback, .allow_count = 2};
    dns = local_dns_start();
    char resolver[64];
    snprintf(resolver, sizeof resolver, "127.0.0.1:%d", local_dns_port(dns));
    const char *const resolvers[] = {resolver};
    const struct acme_outbound_options options = {
        .resolvers = resolvers, .resolver_count = 1, .policy = &policy, .max_fetches = 10};
    return acme_failed(acme_outbound_start(&options, &outbound)) ? -1 : 0;
}

static int stop(void **state)
{
    (void)state;
    acme_outbound_stop(outbound);
    outbound = NULL;
    local_dns_stop(dns);
    return 0;
}

/* Nothing is ever asked of us behind the handshake. */
static bool never(struct local_server *server, const char *request)
{
    (void)server;
    (void)request;
    return false;
}

static void test_success(void **state)
{
    (void)state;
    struct local_server *server = local_server_start(tls, never);
    int port = local_server_port(server);
    unsigned char *der = NULL;
    int len = i2d_X509(SSL_CTX_get0_certificate(tls), &der);
    static const char *const hosts[] = {"127.0.0.1", "localhost", "v4.example", "alias.example",
                                        "both.example"};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        struct acme_probe probe = to(hosts[i], port);
        struct outcome *outcome = probe_with(&probe);
        if (outcome->failure != ACME_OUTBOUND_OK)
            fail_msg("%s: %s", hosts[i], outcome->detail);
        char peer[64];
        snprintf(peer, sizeof peer, "127.0.0.1:%d", port);
        assert_string_equal(outcome->detail, peer);
        assert_string_equal(outcome->alpn, "acme-tls/1");
        assert_int_equal(outcome->certificate_len, len);
        assert_memory_equal(outcome->certificate, der, (size_t)len);
        free_outcome(outcome);
        assert_string_equal(server_name, "a.example");
        assert_string_equal(offered, "\x0a"
                                     "acme-tls/1");
    }
    OPENSSL_free(der);
    assert_int_equal(local_server_requests(server), 0);
    local_server_stop(server);
}

static void test_alpn(void **state)
{
    (void)state;
    struct local_server *server = local_server_start(tls, never);
    struct acme_probe probe = to("127.0.0.1", local_server_port(server));
    choice = NULL;
    struct outcome *outcome = probe_with(&probe);
    assert_int_equal(outcome->failure, ACME_OUTBOUND_OK);
    assert_string_equal(outcome->alpn, "");
    free_outcome(outcome);
    choice = "";
    expect(&probe, ACME_OUTBOUND_TLS, "\"no application protocol\": the TLS server does not take part");
    local_server_stop(server);
}

static void test_limits(void **state)
{
    (void)state;
    struct local_server *server = local_server_start(tls, never);
    struct local_server *silent = local_server_start(NULL, never);
    struct acme_probe probe = to("127.0.0.1", local_server_port(server));
    probe.max_bytes = 100;
    expect(&probe, ACME_OUTBOUND_TOO_LARGE, "larger than 100 bytes");
    probe = to("127.0.0.1", local_server_port(silent));
    probe.timeout_ms = 300;
    expect(&probe, ACME_OUTBOUND_TLS, "timed out during the TLS handshake");
    local_server_stop(server);
    local_server_stop(silent);
    expect(&probe, ACME_OUTBOUND_CONNECT, "connection refused");
    probe.host = "localhost";
    expect(&probe, ACME_OUTBOUND_CONNECT, "]:");
    probe.host = "nowhere.example";
    expect(&probe, ACME_OUTBOUND_DNS, "NXDOMAIN");
    probe.host = "mute.example";
    expect(&probe, ACME_OUTBOUND_DNS, "timed out looking up");
}

static void test_old_tls(void **state)
{
    (void)state;
    SSL_CTX *old = tls_fixture_server();
    SSL_CTX_set_min_proto_version(old, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(old, TLS1_1_VERSION);
    SSL_CTX_set_security_level(old, 0);
    struct local_server *server = local_server_start(old, never);
    struct acme_probe probe = to("127.0.0.1", local_server_port(server));
    expect(&probe, ACME_OUTBOUND_TLS, "protocol");
    local_server_stop(server);
    SSL_CTX_free(old);
}

static void test_policy(void **state)
{
    (void)state;
    struct local_server *server = local_server_start(tls, never);
    struct acme_probe probe = to("127.0.0.1", local_server_port(server));
    policy.allow_count = 0; /* nothing is under way */
    expect(&probe, ACME_OUTBOUND_DENIED, "not contacted, it is a loopback address");
    probe.host = "::1";
    expect(&probe, ACME_OUTBOUND_DENIED, "[::1]:");
    probe.host = "v4.example";
    expect(&probe, ACME_OUTBOUND_DENIED, "loopback");
    probe.host = "inner.example";
    expect(&probe, ACME_OUTBOUND_DENIED, "metadata");
    assert_int_equal(local_server_connections(server), 0);
    local_server_stop(server);
}

/* ---- a peer that never comes to the point ---- */

struct flood {
    pthread_t thread;
    int listener;
    int port;
    const char *unit;
    size_t unit_len;
    atomic_size_t sent;
};

static void *run_flood(void *context)
{
    struct flood *flood = context;
    int fd = accept(flood->listener, NULL, NULL);
    char bulk[4096];
    size_t len = 0;
    while (len + flood->unit_len <= sizeof bulk) {
        memcpy(bulk + len, flood->unit, flood->unit_len);
        len += flood->unit_len;
    }
    ssize_t count = 0;
    while ((count = send(fd, bulk, len, MSG_NOSIGNAL)) > 0)
        atomic_fetch_add(&flood->sent, (size_t)count);
    close(fd);
    return NULL;
}

static void flood_with(const char *unit, size_t len, enum acme_outbound_failure failure, const char *detail)
{
    struct flood flood = {.unit = unit, .unit_len = len};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof in;
    flood.listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(flood.listener, (struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(listen(flood.listener, 1), 0);
    assert_int_equal(getsockname(flood.listener, (struct sockaddr *)&in, &size), 0);
    assert_int_equal(pthread_create(&flood.thread, NULL, run_flood, &flood), 0);
    struct acme_probe probe = to("127.0.0.1", ntohs(in.sin_port));
    expect(&probe, failure, detail);
    pthread_join(flood.thread, NULL);
    close(flood.listener);
}

static void test_floods(void **state)
{
    (void)state;
    /* HelloRequest, which TLS 1.2 clients skip while they wait for the ServerHello. */
    static const char hello_request[] = {0x16, 0x03, 0x03, 0, 4, 0, 0, 0, 0};
    flood_with(hello_request, sizeof hello_request, ACME_OUTBOUND_TOO_LARGE, "larger than 65536 bytes");
    flood_with("SSH-2.0-x\r\n", 11, ACME_OUTBOUND_TLS, "the TLS handshake failed: ");
}

/* Groups whose size makes one handshake cost as much as a hundred. */
static void test_finite_fields(void **state)
{
    (void)state;
    SSL_CTX *costly = tls_fixture_server();
    assert_int_equal(SSL_CTX_set1_groups_list(costly, "ffdhe8192"), 1);
    struct local_server *server = local_server_start(costly, never);
    struct acme_probe probe = to("127.0.0.1", local_server_port(server));
    expect(&probe, ACME_OUTBOUND_TLS, "the TLS handshake was refused");
    local_server_stop(server);
    SSL_CTX_free(costly);
}

static void test_stop(void **state)
{
    (void)state;
    struct local_server *silent = local_server_start(NULL, never);
    struct acme_probe probe = to("127.0.0.1", local_server_port(silent));
    struct outcome *under_way = begin(&probe);
    probe.host = "mute.example";
    struct outcome *looking_up = begin(&probe);
    for (int i = 0; i < 500 && local_server_connections(silent) == 0; i++)
        usleep(10 * 1000);
    acme_outbound_stop(outbound);
    outbound = NULL;
    wait_outcome(under_way);
    wait_outcome(looking_up);
    assert_int_equal(under_way->failure, ACME_OUTBOUND_CANCELLED);
    assert_int_equal(looking_up->failure, ACME_OUTBOUND_CANCELLED);
    free_outcome(under_way);
    free_outcome(looking_up);
    local_server_stop(silent);
}

static int setup_all(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    tls = tls_fixture_server();
    SSL_CTX_set_alpn_select_cb(tls, choose, NULL);
    return acme_failed(acme_network_parse("127.0.0.0/8", &loopback[0])) ||
           acme_failed(acme_network_parse("::1", &loopback[1]));
}

static int teardown_all(void **state)
{
    (void)state;
    SSL_CTX_free(tls);
    return 0;
}

#define T(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_success), T(test_alpn),   T(test_limits),        T(test_old_tls),
        T(test_policy),  T(test_floods), T(test_finite_fields), T(test_stop),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
