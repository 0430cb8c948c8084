/* One libcurl exchange: what calls and fetches have in common. */
#include "server/outbound_internal.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { MAX_FIELD_BYTES = 64 * 1024 };

static size_t on_body(char *data, size_t unit, size_t count, void *context)
{
    struct acme_transfer *transfer = context;
    size_t size = unit * count;
    if (size > transfer->max_bytes - transfer->body->len) {
        transfer->too_large = true;
        return 0;
    }
    acme_buf_append(transfer->body, data, size);
    return transfer->body->failed ? 0 : size;
}

/* Once per line, also of trailers, of which libcurl takes any number. Lines of interim answers are forgotten
 * when the next status line comes, but for their size. */
static size_t on_header(char *data, size_t unit, size_t count, void *context)
{
    struct acme_transfer *transfer = context;
    size_t size = unit * count;
    size_t len = size;
    if (size > MAX_FIELD_BYTES - transfer->field_bytes) {
        transfer->too_large = transfer->fields_too_large = true;
        return 0;
    }
    transfer->field_bytes += size;
    while (len > 0 && isspace((unsigned char)data[len - 1]))
        len--;
    if (len >= 5 && memcmp(data, "HTTP/", 5) == 0) {
        transfer->field_count = 0;
        return size;
    }
    const char *colon = memchr(data, ':', len);
    if (colon == NULL || transfer->field_count == ACME_TRANSFER_MAX_FIELDS)
        return size;
    const char *value = colon + 1;
    while (value < data + len && (*value == ' ' || *value == '\t'))
        value++;
    char *name = acme_arena_strndup(transfer->arena, data, (size_t)(colon - data));
    char *copy = acme_arena_strndup(transfer->arena, value, (size_t)(data + len - value));
    if (name == NULL || copy == NULL) {
        transfer->too_large = true;
        return 0;
    }
    for (char *c = name; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    transfer->fields[transfer->field_count++] = (struct acme_http_header){.name = name, .value = copy};
    return size;
}

static curl_socket_t on_open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct acme_transfer *transfer = context;
    acme_address_text(&address->addr, transfer->peer);
    if (purpose != CURLSOCKTYPE_IPCXN ||
        (transfer->policy != NULL &&
         !acme_address_allowed(transfer->policy, &address->addr, &transfer->denied)))
        return CURL_SOCKET_BAD;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* Called when the TCP connection (or the proxy's tunnel) stands and the handshake begins. */
static CURLcode on_tls_begins(CURL *easy, void *tls, void *context)
{
    (void)easy;
    struct acme_transfer *transfer = context;
    transfer->tls_began = true;
    if (transfer->policy != NULL && !acme_outbound_tls_limit(tls))
        return CURLE_SSL_CONNECT_ERROR;
    return CURLE_OK;
}

/* Connected, the request is about to leave. */
static int on_about_to_send(void *context, char *peer, char *local, int peer_port, int local_port)
{
    (void)local;
    (void)peer_port;
    (void)local_port;
    struct acme_transfer *transfer = context;
    if (transfer->policy != NULL) {
        struct sockaddr_in in = {.sin_family = AF_INET};
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
        const struct sockaddr *address = NULL;
        if (inet_pton(AF_INET, peer, &in.sin_addr) == 1)
            address = (const struct sockaddr *)&in;
        else if (inet_pton(AF_INET6, peer, &in6.sin6_addr) == 1)
            address = (const struct sockaddr *)&in6;
        if (address == NULL)
            transfer->denied = "not an Internet address";
        if (address == NULL || !acme_address_allowed(transfer->policy, address, &transfer->denied))
            return CURL_PREREQFUNC_ABORT;
    }
    transfer->sent = true;
    return CURL_PREREQFUNC_OK;
}

struct acme_err acme_transfer_init(struct acme_transfer *transfer, size_t max_bytes)
{
    transfer->max_bytes = max_bytes;
    transfer->body = malloc(sizeof *transfer->body);
    ENSURE(transfer->body != NULL, ACME_E_NOMEM);
    acme_buf_init_secret(transfer->body, max_bytes); /* upstreams answer with tokens, some even with keys */
    transfer->arena = acme_arena_create(MAX_FIELD_BYTES);
    CURL *easy = transfer->easy = curl_easy_init();
    ENSURE(easy != NULL && transfer->arena != NULL, ACME_E_NOMEM);
    acme_arena_wipe_at_end(transfer->arena);
    bool set = curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_USERAGENT, ACME_OUTBOUND_USER_AGENT) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_about_to_send) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls_begins) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, transfer) == CURLE_OK;
    /* A transfer that ends during a name lookup must not make the loop wait for the lookup's thread. */
    set = set && curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK;
    return acme_err(set ? ACME_OK : ACME_E_NOMEM);
}

void acme_transfer_finish(struct acme_transfer *transfer)
{
    if (transfer->multi != NULL)
        curl_multi_remove_handle(transfer->multi, transfer->easy);
    curl_easy_cleanup(transfer->easy);
    acme_arena_destroy(transfer->arena);
    if (transfer->body != NULL)
        acme_buf_finish(transfer->body);
    free(transfer->body);
    *transfer = (struct acme_transfer){.easy = NULL};
}

struct acme_err acme_transfer_start(struct acme_transfer *transfer, CURLM *multi)
{
    ENSURE(curl_multi_add_handle(multi, transfer->easy) == CURLM_OK, ACME_E_NOMEM);
    transfer->multi = multi;
    return acme_ok();
}

static bool is_tls_failure(CURLcode code)
{
    switch (code) {
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_CLIENTCERT:
        return true;
    default:
        return false;
    }
}

static enum acme_outbound_failure classify(const struct acme_transfer *transfer, CURLcode code)
{
    if (transfer->denied != NULL)
        return ACME_OUTBOUND_DENIED;
    if (code == CURLE_OK)
        return ACME_OUTBOUND_OK;
    if (transfer->too_large)
        return ACME_OUTBOUND_TOO_LARGE;
    if (transfer->sent)
        return code == CURLE_OPERATION_TIMEDOUT ? ACME_OUTBOUND_TIMEOUT : ACME_OUTBOUND_BROKEN;
    if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY)
        return ACME_OUTBOUND_DNS;
    if (is_tls_failure(code) || (code == CURLE_OPERATION_TIMEDOUT && transfer->tls_began))
        return ACME_OUTBOUND_TLS;
    return ACME_OUTBOUND_CONNECT;
}

/* libcurl's words may quote the peer's: a certificate's subject, say. */
static void put_reason(char *out, size_t size, const char *text)
{
    size_t len = 0;
    for (; *text != '\0' && len + 1 < size; text++)
        out[len++] = *text >= 0x20 && *text < 0x7f ? *text : '?';
    out[len] = '\0';
}

enum acme_outbound_failure acme_transfer_judge(const struct acme_transfer *transfer, CURLcode code,
                                               char detail[ACME_TRANSFER_DETAIL_SIZE])
{
    enum acme_outbound_failure failure = classify(transfer, code);
    char reason[CURL_ERROR_SIZE + 32] = "";
    char buffer[128];
    long os_error = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &os_error);
    if (failure == ACME_OUTBOUND_DENIED) {
        (void)snprintf(reason, sizeof reason, "not contacted, it is %s", transfer->denied);
    } else if (failure == ACME_OUTBOUND_TOO_LARGE) {
        (void)snprintf(reason, sizeof reason, "the answer%s larger than %zu bytes",
                       transfer->fields_too_large ? "'s header fields are" : " is",
                       transfer->fields_too_large ? (size_t)MAX_FIELD_BYTES : transfer->max_bytes);
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
        (void)snprintf(reason, sizeof reason, "timed out %s",
                       failure == ACME_OUTBOUND_CONNECT ? "while connecting"
                       : failure == ACME_OUTBOUND_TLS   ? "during the TLS handshake"
                                                        : "waiting for the answer");
    } else if (code == CURLE_COULDNT_CONNECT && os_error != 0) {
        put_reason(reason, sizeof reason, strerror_r((int)os_error, buffer, sizeof buffer));
        reason[0] = (char)tolower((unsigned char)reason[0]);
    } else if (failure != ACME_OUTBOUND_OK) {
        put_reason(reason, sizeof reason,
                   transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(code));
    }
    (void)snprintf(detail, ACME_TRANSFER_DETAIL_SIZE, "%s%s%s", transfer->peer,
                   transfer->peer[0] != '\0' && reason[0] != '\0' ? ": " : "", reason);
    return failure;
}

struct acme_http_reply acme_transfer_reply(struct acme_transfer *transfer)
{
    long status = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    return (struct acme_http_reply){
        .status = (int)status,
        .headers = transfer->fields,
        .header_count = transfer->field_count,
        .body = {.data = (const uint8_t *)transfer->body->data, .len = transfer->body->len}};
}
