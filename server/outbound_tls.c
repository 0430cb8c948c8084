/* TLS handshakes for validations (RFC 8737): a client of ours chose the peer, so time and bytes are bounded,
 * and all that is wanted of it is its certificate. Nothing is verified here and nothing is sent but the
 * handshake and its close. */
#include "server/outbound_internal.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REASON_SIZE = 256, MAX_CERTIFICATE_LIST = 32 * 1024 };

struct probe {
    struct acme_outbound_task task;
    struct acme_reach reach;
    struct acme_probe options; /* its texts are ours */
    int fd;
    struct event *event;
    SSL *tls;
    size_t received; /* bytes of the handshake */
    bool too_large;
    char peer[ACME_PEER_SIZE];
};

static void end_attempt(struct probe *probe)
{
    if (probe->event != NULL)
        event_free(probe->event);
    probe->event = NULL;
    SSL_free(probe->tls);
    probe->tls = NULL;
    if (probe->fd >= 0)
        (void)close(probe->fd);
    probe->fd = -1;
}

static void free_text(const char *text)
{
    free((char *)(uintptr_t)text);
}

static void destroy_probe(struct acme_outbound_task *task)
{
    struct probe *probe = (struct probe *)task;
    end_attempt(probe);
    acme_reach_finish(&probe->reach);
    free_text(probe->options.host);
    free_text(probe->options.server_name);
    free_text(probe->options.alpn);
    free(probe);
}

static void fail(struct probe *probe, enum acme_outbound_failure failure, const char *detail)
{
    const struct acme_outbound_result result = {.failure = failure, .detail = detail};
    acme_outbound_finish(&probe->task, &result);
}

static struct probe *probe_of(struct acme_reach *reach)
{
    return (struct probe *)((char *)reach - offsetof(struct probe, reach));
}

static void unreachable(struct acme_reach *reach, enum acme_outbound_failure failure, const char *detail)
{
    fail(probe_of(reach), failure, detail);
}

static void attempt(struct acme_reach *reach);

/* What became of this address; the next one is tried only when nothing answered here. */
static void fail_address(struct probe *probe, enum acme_outbound_failure failure, const char *reason)
{
    char detail[ACME_TRANSFER_DETAIL_SIZE];
    (void)snprintf(detail, sizeof detail, "%s: %s", probe->peer, reason);
    acme_reach_note(&probe->reach, detail);
    end_attempt(probe);
    if (failure == ACME_OUTBOUND_CONNECT && acme_reach_has_next(&probe->reach))
        attempt(&probe->reach);
    else
        fail(probe, failure, acme_reach_tried(&probe->reach));
}

static void fail_errno(struct probe *probe, enum acme_outbound_failure failure, int number)
{
    char buffer[128];
    char reason[REASON_SIZE];
    (void)snprintf(reason, sizeof reason, "%s", strerror_r(number, buffer, sizeof buffer));
    reason[0] = (char)tolower((unsigned char)reason[0]);
    fail_address(probe, failure, reason);
}

static void on_event(evutil_socket_t fd, short what, void *context);

static void wait_for(struct probe *probe, short what, int64_t until_ms)
{
    const struct timeval left = acme_outbound_delay(until_ms - acme_outbound_now_ms());
    if (probe->event != NULL)
        event_free(probe->event);
    probe->event = event_new(probe->task.outbound->base, probe->fd, what, on_event, probe);
    if (probe->event == NULL || event_add(probe->event, &left) != 0)
        fail(probe, ACME_OUTBOUND_CONNECT, ACME_OUTBOUND_NO_MEMORY);
}

/* Counts what is read, and reads no further than the cap, even within one call of SSL_connect. */
static long count_bytes(BIO *bio, int operation, const char *data, size_t len, int argument,
                        long argument_long, int result, size_t *processed)
{
    (void)data;
    (void)len;
    (void)argument;
    (void)argument_long;
    struct probe *probe = (struct probe *)BIO_get_callback_arg(bio);
    if (operation == (BIO_CB_READ | BIO_CB_RETURN) && result > 0)
        probe->received += *processed;
    if (operation == BIO_CB_READ && probe->received >= probe->options.max_bytes) {
        probe->too_large = true;
        BIO_clear_retry_flags(bio);
        return 0;
    }
    return result;
}

static bool set_up_tls(struct probe *probe)
{
    uint8_t offer[256];
    size_t len = strlen(probe->options.alpn);
    if (len == 0 || len >= sizeof offer)
        return false;
    offer[0] = (uint8_t)len;
    memcpy(offer + 1, probe->options.alpn, len);
    probe->tls = SSL_new(probe->task.outbound->tls);
    if (probe->tls == NULL || SSL_set_fd(probe->tls, probe->fd) != 1 ||
        SSL_set_alpn_protos(probe->tls, offer, (unsigned)len + 1) != 0 ||
        SSL_set_tlsext_host_name(probe->tls, probe->options.server_name) != 1)
        return false;
    BIO *bio = SSL_get_rbio(probe->tls);
    BIO_set_callback_arg(bio, (char *)probe);
    BIO_set_callback_ex(bio, count_bytes);
    SSL_set_connect_state(probe->tls);
    return true;
}

static void succeed(struct probe *probe)
{
    const unsigned char *alpn = NULL;
    unsigned alpn_len = 0;
    SSL_get0_alpn_selected(probe->tls, &alpn, &alpn_len);
    unsigned char *der = NULL;
    X509 *certificate = SSL_get0_peer_certificate(probe->tls);
    int der_len = certificate != NULL ? i2d_X509(certificate, &der) : 0;
    /* RFC 8737 section 6.2: closed at once, without any data. */
    (void)SSL_shutdown(probe->tls);
    ERR_clear_error();
    const struct acme_outbound_result result = {
        .failure = ACME_OUTBOUND_OK,
        .detail = probe->peer,
        .alpn = {.data = alpn, .len = alpn_len},
        .certificate = {.data = der, .len = der_len > 0 ? (size_t)der_len : 0},
    };
    acme_outbound_finish(&probe->task, &result);
    OPENSSL_free(der);
}

/* OpenSSL's words for what broke the handshake. */
static void explain(unsigned long error, char reason[REASON_SIZE])
{
    int number = ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET;
    if (ERR_GET_LIB(error) == ERR_LIB_SSL && number >= 0 && number < 256) {
        (void)snprintf(reason, REASON_SIZE, "the TLS handshake was refused with the alert \"%s\"%s",
                       number == SSL_AD_NO_APPLICATION_PROTOCOL ? "no application protocol"
                                                                : SSL_alert_desc_string_long(number),
                       number == SSL_AD_NO_APPLICATION_PROTOCOL
                           ? ": the TLS server does not take part in tls-alpn-01"
                           : "");
        return;
    }
    const char *words = error != 0 ? ERR_reason_error_string(error) : NULL;
    (void)snprintf(reason, REASON_SIZE, "the TLS handshake failed: %s",
                   words != NULL ? words : "the connection was closed");
}

static void fail_handshake(struct probe *probe, int error, int number)
{
    char reason[REASON_SIZE];
    unsigned long queued = ERR_peek_error();
    ERR_clear_error();
    if (probe->too_large) {
        (void)snprintf(reason, sizeof reason, "the TLS handshake is larger than %zu bytes",
                       probe->options.max_bytes);
        fail_address(probe, ACME_OUTBOUND_TOO_LARGE, reason);
        return;
    }
    if (error == SSL_ERROR_SYSCALL && queued == 0 && number != 0) {
        char buffer[128];
        (void)snprintf(reason, sizeof reason, "the TLS handshake failed: %s",
                       strerror_r(number, buffer, sizeof buffer));
    } else {
        explain(queued, reason);
    }
    fail_address(probe, ACME_OUTBOUND_TLS, reason);
}

static void shake_hands(struct probe *probe)
{
    ERR_clear_error(); /* SSL_get_error reads this thread's queue */
    errno = 0;
    int done = SSL_connect(probe->tls);
    int number = errno;
    if (done == 1) {
        succeed(probe);
        return;
    }
    int error = probe->too_large ? SSL_ERROR_SSL : SSL_get_error(probe->tls, done);
    if (error == SSL_ERROR_WANT_READ)
        wait_for(probe, EV_READ, probe->reach.deadline_ms);
    else if (error == SSL_ERROR_WANT_WRITE)
        wait_for(probe, EV_WRITE, probe->reach.deadline_ms);
    else
        fail_handshake(probe, error, number);
}

/* The TCP connection stands, or has failed. */
static void on_connected(struct probe *probe)
{
    int number = 0;
    socklen_t len = sizeof number;
    if (getsockopt(probe->fd, SOL_SOCKET, SO_ERROR, &number, &len) != 0)
        number = errno;
    if (number != 0) {
        fail_errno(probe, ACME_OUTBOUND_CONNECT, number);
        return;
    }
    struct sockaddr_storage address;
    const char *why = NULL;
    len = sizeof address;
    if (getpeername(probe->fd, (struct sockaddr *)&address, &len) != 0) {
        fail_errno(probe, ACME_OUTBOUND_CONNECT, errno);
        return;
    }
    if (!acme_address_allowed(probe->task.outbound->policy, (const struct sockaddr *)&address, &why)) {
        char reason[REASON_SIZE];
        (void)snprintf(reason, sizeof reason, "not contacted, it is %s", why);
        fail_address(probe, ACME_OUTBOUND_DENIED, reason);
        return;
    }
    if (!set_up_tls(probe)) {
        ERR_clear_error();
        fail(probe, ACME_OUTBOUND_CONNECT, ACME_OUTBOUND_NO_MEMORY);
        return;
    }
    shake_hands(probe);
}

static void on_event(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    struct probe *probe = context;
    if ((what & EV_TIMEOUT) != 0)
        fail_address(probe, probe->tls == NULL ? ACME_OUTBOUND_CONNECT : ACME_OUTBOUND_TLS,
                     probe->tls == NULL ? "timed out while connecting"
                                        : "timed out during the TLS handshake");
    else if (probe->tls == NULL)
        on_connected(probe);
    else
        shake_hands(probe);
}

static void attempt(struct acme_reach *reach)
{
    struct probe *probe = probe_of(reach);
    int64_t left_ms = 0;
    int64_t connect_ms = 0;
    const struct acme_ip *ip = acme_reach_next(reach, &left_ms, &connect_ms);
    if (ip == NULL)
        return;
    struct sockaddr_storage address;
    socklen_t len = acme_ip_sockaddr(ip, reach->port, &address);
    acme_address_text((const struct sockaddr *)&address, probe->peer);
    probe->received = 0;
    probe->fd = socket(ip->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe->fd < 0 ||
        (connect(probe->fd, (const struct sockaddr *)&address, len) != 0 && errno != EINPROGRESS))
        fail_errno(probe, ACME_OUTBOUND_CONNECT, errno);
    else
        wait_for(probe, EV_WRITE, acme_outbound_now_ms() + connect_ms);
}

static void start_probe(struct acme_outbound_task *task)
{
    struct probe *probe = (struct probe *)task;
    probe->reach = (struct acme_reach){.outbound = task->outbound,
                                       .attempt = attempt,
                                       .failed = unreachable,
                                       .deadline_ms = acme_outbound_now_ms() + probe->options.timeout_ms};
    acme_reach_start(&probe->reach, probe->options.host, probe->options.port);
}

struct acme_err acme_outbound_probe(struct acme_outbound *outbound, const struct acme_probe *options,
                                    acme_outbound_done done, void *context)
{
    static const struct acme_outbound_task_class class = {
        .start = start_probe, .destroy = destroy_probe, .limited = true};
    struct probe *probe = calloc(1, sizeof *probe);
    ENSURE(probe != NULL, ACME_E_NOMEM);
    probe->task =
        (struct acme_outbound_task){.class = &class, .outbound = outbound, .done = done, .context = context};
    probe->fd = -1;
    probe->options = *options;
    probe->options.host = strdup(options->host);
    probe->options.server_name = strdup(options->server_name);
    probe->options.alpn = strdup(options->alpn);
    struct acme_err err = acme_err(ACME_E_NOMEM);
    if (probe->options.host != NULL && probe->options.server_name != NULL && probe->options.alpn != NULL)
        err = acme_outbound_submit(&probe->task);
    if (acme_failed(err))
        destroy_probe(&probe->task);
    return err;
}

bool acme_outbound_tls_limit(SSL_CTX *tls)
{
    return SSL_CTX_set_cipher_list(tls, "DEFAULT:!kDHE") == 1 &&
           SSL_CTX_set1_groups_list(tls, "X25519:P-256:X448:P-521:P-384") == 1;
}

struct acme_err acme_outbound_tls_init(struct acme_outbound *outbound)
{
    SSL_CTX *tls = outbound->tls = SSL_CTX_new(TLS_client_method());
    ENSURE(tls != NULL, ACME_E_NOMEM);
    ENSURE(SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) == 1 && acme_outbound_tls_limit(tls),
           ACME_E_CRYPTO);
    SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_cert_list(tls, MAX_CERTIFICATE_LIST);
    return acme_ok();
}

void acme_outbound_tls_finish(struct acme_outbound *outbound)
{
    SSL_CTX_free(outbound->tls);
}
