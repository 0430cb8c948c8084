#include "tls_client.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { IO_TIMEOUT_S = 30, LINE_SIZE = 4096, MAX_HEADERS = 100 };

struct acme_err acme_bench_origin_parse(const char *url, struct acme_bench_origin *ret)
{
    static const char scheme[] = "https://";
    ENSURE(strncasecmp(url, scheme, sizeof scheme - 1) == 0, ACME_E_FORMAT);
    const char *authority = url + sizeof scheme - 1;
    size_t len = strcspn(authority, "/?#");
    struct acme_bench_origin origin = {.port = "443"};
    ENSURE(len > 0 && len < sizeof origin.authority, ACME_E_FORMAT);
    memcpy(origin.authority, authority, len);
    (void)snprintf(origin.text, sizeof origin.text, "%.*s%s", (int)(sizeof scheme - 1), url,
                   origin.authority);

    const char *host = origin.authority;
    size_t host_len = strcspn(host, ":");
    const char *rest = host + host_len;
    if (host[0] == '[') {
        host++;
        host_len = strcspn(host, "]");
        ENSURE(host[host_len] == ']', ACME_E_FORMAT);
        rest = host + host_len + 1;
    }
    ENSURE(host_len > 0 && host_len < sizeof origin.host, ACME_E_FORMAT);
    memcpy(origin.host, host, host_len);
    if (rest[0] != '\0') {
        size_t digits = strspn(rest + 1, "0123456789");
        ENSURE(rest[0] == ':' && digits > 0 && digits < sizeof origin.port && rest[1 + digits] == '\0',
               ACME_E_FORMAT);
        memcpy(origin.port, rest + 1, digits + 1);
    }
    *ret = origin;
    return acme_ok();
}

const char *acme_bench_origin_path(const struct acme_bench_origin *origin, const char *url)
{
    size_t len = strlen(origin->text);
    if (strncmp(url, origin->text, len) != 0)
        return NULL;
    return url[len] == '/' ? url + len : NULL;
}

struct acme_err acme_bench_tls_create(const char *ca_file, SSL_CTX **ret)
{
    static const unsigned char alpn[] = "\x08http/1.1";
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    ENSURE(tls != NULL, ACME_E_CRYPTO);
    int loaded =
        ca_file != NULL ? SSL_CTX_load_verify_file(tls, ca_file) : SSL_CTX_set_default_verify_paths(tls);
    if (loaded != 1) {
        SSL_CTX_free(tls);
        return acme_err(ACME_E_IO);
    }
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_alpn_protos(tls, alpn, sizeof alpn - 1) != 0) {
        SSL_CTX_free(tls);
        return acme_err(ACME_E_CRYPTO);
    }
    *ret = tls;
    return acme_ok();
}

void acme_bench_conn_init(struct acme_bench_conn *conn, const struct acme_bench_origin *origin, SSL_CTX *tls)
{
    memset(conn, 0, sizeof *conn);
    conn->origin = origin;
    conn->tls = tls;
    conn->fd = -1;
}

static void drop(struct acme_bench_conn *conn)
{
    SSL_free(conn->ssl);
    conn->ssl = NULL;
    if (conn->fd >= 0)
        (void)close(conn->fd);
    conn->fd = -1;
    conn->input_start = conn->input_end = 0;
}

void acme_bench_conn_finish(struct acme_bench_conn *conn)
{
    if (conn->ssl != NULL)
        (void)SSL_shutdown(conn->ssl);
    drop(conn);
}

static int dial(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    const struct timeval limit = {.tv_sec = IO_TIMEOUT_S};
    const int on = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0 ||
        connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static bool expect_host(SSL *ssl, const char *host)
{
    unsigned char address[16];
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static struct acme_err open_connection(struct acme_bench_conn *conn)
{
    const struct acme_bench_origin *origin = conn->origin;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(origin->host, origin->port, &hints, &found) != 0)
        return ACME_BENCH_FAIL(conn, ACME_E_IO, "%s: no address", origin->host);
    for (const struct addrinfo *each = found; each != NULL && conn->fd < 0; each = each->ai_next)
        conn->fd = dial(each);
    freeaddrinfo(found);
    if (conn->fd < 0)
        return ACME_BENCH_FAIL(conn, ACME_E_IO, "%s: cannot connect", origin->text);

    conn->ssl = SSL_new(conn->tls);
    if (conn->ssl == NULL || SSL_set_fd(conn->ssl, conn->fd) != 1 || !expect_host(conn->ssl, origin->host)) {
        drop(conn);
        return ACME_BENCH_FAIL(conn, ACME_E_CRYPTO, "%s: TLS set-up failed", origin->text);
    }
    if (SSL_connect(conn->ssl) != 1) {
        long verdict = SSL_get_verify_result(conn->ssl);
        struct acme_err err = ACME_BENCH_FAIL(conn, ACME_E_IO, "%s: TLS handshake failed (%s)", origin->text,
                                              verdict != X509_V_OK ? X509_verify_cert_error_string(verdict)
                                                                   : "no certificate problem");
        ERR_clear_error();
        drop(conn);
        return err;
    }
    conn->connects++;
    return acme_ok();
}

static bool fill(struct acme_bench_conn *conn)
{
    if (conn->input_start > 0) {
        memmove(conn->input, conn->input + conn->input_start, conn->input_end - conn->input_start);
        conn->input_end -= conn->input_start;
        conn->input_start = 0;
    }
    if (conn->input_end == sizeof conn->input)
        return false;
    ERR_clear_error();
    int got = SSL_read(conn->ssl, conn->input + conn->input_end, (int)(sizeof conn->input - conn->input_end));
    if (got <= 0)
        return false;
    conn->input_end += (size_t)got;
    return true;
}

static bool take_line(struct acme_bench_conn *conn, char line[LINE_SIZE])
{
    for (;;) {
        const char *start = conn->input + conn->input_start;
        size_t have = conn->input_end - conn->input_start;
        const char *end = memchr(start, '\n', have);
        if (end != NULL) {
            size_t len = (size_t)(end - start);
            conn->input_start += len + 1;
            if (len > 0 && start[len - 1] == '\r')
                len--;
            if (len >= LINE_SIZE)
                return false;
            memcpy(line, start, len);
            line[len] = '\0';
            return true;
        }
        if (!fill(conn))
            return false;
    }
}

static bool take_bytes(struct acme_bench_conn *conn, size_t count, struct acme_buf *body)
{
    while (count > 0) {
        if (conn->input_start == conn->input_end && !fill(conn))
            return false;
        size_t have = conn->input_end - conn->input_start;
        size_t part = have < count ? have : count;
        acme_buf_append(body, conn->input + conn->input_start, part);
        conn->input_start += part;
        count -= part;
    }
    return !body->failed;
}

static bool take_chunks(struct acme_bench_conn *conn, struct acme_buf *body)
{
    char line[LINE_SIZE];
    for (;;) {
        if (!take_line(conn, line))
            return false;
        char *end = NULL;
        unsigned long size = strtoul(line, &end, 16);
        if (end == line || size > ACME_BENCH_MAX_BODY_BYTES || (*end != '\0' && *end != ';'))
            return false;
        if (size == 0)
            break;
        if (!take_bytes(conn, size, body) || !take_line(conn, line) || line[0] != '\0')
            return false;
    }
    do {
        if (!take_line(conn, line))
            return false;
    } while (line[0] != '\0');
    return true;
}

struct head {
    size_t content_length;
    bool chunked;
    bool close;
};

static bool keep_text(char *out, size_t size, const char *value)
{
    size_t len = strlen(value);
    if (len >= size)
        return false;
    memcpy(out, value, len + 1);
    return true;
}

static bool read_header(const char *line, struct head *head, struct acme_bench_response *response)
{
    const char *colon = strchr(line, ':');
    if (colon == NULL || colon == line)
        return false;
    size_t name_len = (size_t)(colon - line);
    const char *value = colon + 1 + strspn(colon + 1, " \t");
#define IS(name) (name_len == sizeof(name) - 1 && strncasecmp(line, name, sizeof(name) - 1) == 0)
    if (IS("Content-Length")) {
        char *end = NULL;
        unsigned long length = strtoul(value, &end, 10);
        if (end == value || *end != '\0' || length > ACME_BENCH_MAX_BODY_BYTES)
            return false;
        head->content_length = length;
    } else if (IS("Transfer-Encoding")) {
        head->chunked = strcasecmp(value, "chunked") == 0;
        return head->chunked;
    } else if (IS("Connection")) {
        head->close = strcasecmp(value, "close") == 0;
    } else if (IS("Replay-Nonce")) {
        return keep_text(response->nonce, sizeof response->nonce, value);
    } else if (IS("Location")) {
        return keep_text(response->location, sizeof response->location, value);
    }
#undef IS
    return true;
}

static bool read_status(const char *line, int *ret_status)
{
    if (strncmp(line, "HTTP/1.", 7) != 0 || strlen(line) < 12 || line[8] != ' ')
        return false;
    int status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (line[i] < '0' || line[i] > '9')
            return false;
        status = status * 10 + (line[i] - '0');
    }
    *ret_status = status;
    return true;
}

/* `ret_silent`: the peer closed before the first byte of a response, so the request may be repeated. */
static bool read_response(struct acme_bench_conn *conn, bool head_request,
                          struct acme_bench_response *response, bool *ret_close, bool *ret_silent)
{
    char line[LINE_SIZE] = "";
    *ret_silent = false;
    if (conn->input_start == conn->input_end && !fill(conn)) {
        *ret_silent = true;
        return false;
    }
    struct head head = {0};
    if (!take_line(conn, line) || !read_status(line, &response->status))
        return false;
    for (int headers = 0;; headers++) {
        if (headers > MAX_HEADERS || !take_line(conn, line))
            return false;
        if (line[0] == '\0')
            break;
        if (!read_header(line, &head, response))
            return false;
    }
    *ret_close = head.close;
    if (head_request || response->status == 204 || response->status == 304)
        return true;
    return head.chunked ? take_chunks(conn, &response->body)
                        : take_bytes(conn, head.content_length, &response->body);
}

static bool send_all(struct acme_bench_conn *conn, const struct acme_buf *request)
{
    ERR_clear_error();
    return SSL_write(conn->ssl, request->data, (int)request->len) == (int)request->len;
}

struct acme_err acme_bench_conn_request(struct acme_bench_conn *conn, const char *method, const char *path,
                                        const char *body, struct acme_bench_response *ret)
{
    ACME_CLEANUP_BUF struct acme_buf request;
    acme_buf_init(&request, ACME_BENCH_MAX_BODY_BYTES);
    acme_buf_printf(&request, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: acme_bench/%s\r\n", method, path,
                    conn->origin->authority, ACME_VERSION);
    if (body != NULL)
        acme_buf_printf(&request, "Content-Type: application/jose+json\r\nContent-Length: %zu\r\n",
                        strlen(body));
    acme_buf_str(&request, "\r\n");
    if (body != NULL)
        acme_buf_str(&request, body);
    if (request.failed)
        return ACME_BENCH_FAIL(conn, ACME_E_LIMIT, "%s %s: request too large", method, path);

    for (;;) {
        bool fresh = conn->ssl == NULL;
        if (fresh)
            TRY(open_connection(conn));
        struct acme_bench_response response = {0};
        acme_buf_init(&response.body, ACME_BENCH_MAX_BODY_BYTES);
        bool close_after = false;
        bool silent = true;
        if (send_all(conn, &request) &&
            read_response(conn, strcmp(method, "HEAD") == 0, &response, &close_after, &silent)) {
            if (close_after)
                drop(conn);
            *ret = response;
            return acme_ok();
        }
        acme_buf_finish(&response.body);
        drop(conn);
        if (fresh || !silent)
            return ACME_BENCH_FAIL(conn, silent ? ACME_E_IO : ACME_E_FORMAT, "%s %s: %s", method, path,
                                   silent ? "connection lost"
                                          : "response broken off, too large or not HTTP/1.1");
    }
}
