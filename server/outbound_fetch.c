/* Validation fetches: a GET on behalf of strangers. Every hop goes through our resolver, the address policy
 * and the fixed ports; libcurl never resolves a name or follows a redirect here. */
#include "server/outbound_internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CONNECT_TIMEOUT_MS = 4000, MAX_URL = 2048, MAX_HOST = 256, DETAIL_SIZE = 768 };

struct fetch {
    struct acme_outbound_task task;
    struct acme_transfer transfer;
    struct event *deadline; /* for all hops together */
    struct event *next;     /* leaves libcurl's callback before the next transfer */
    struct acme_lookup *lookup;
    struct curl_slist *connect_to;
    struct acme_ip_list addresses;
    size_t address; /* the one being tried */
    int http_port;
    int https_port;
    int max_redirects;
    int timeout_ms;
    int redirects;
    size_t max_bytes;
    char url[MAX_URL + 1];
    char next_url[MAX_URL + 1]; /* "" while the next step is the next address */
    char host[MAX_HOST];
    int port;
    char detail[DETAIL_SIZE];
};

static void begin_hop(struct fetch *fetch);
static void try_address(struct fetch *fetch);

static void destroy_fetch(struct acme_outbound_task *task)
{
    struct fetch *fetch = (struct fetch *)task;
    if (fetch->lookup != NULL)
        acme_lookup_cancel(fetch->lookup);
    acme_transfer_finish(&fetch->transfer);
    curl_slist_free_all(fetch->connect_to);
    if (fetch->deadline != NULL)
        event_free(fetch->deadline);
    if (fetch->next != NULL)
        event_free(fetch->next);
    free(fetch);
}

static void ACME_PRINTF(3, 4)
    fail(struct fetch *fetch, enum acme_outbound_failure failure, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(fetch->detail, sizeof fetch->detail, format, arguments);
    va_end(arguments);
    struct acme_outbound_result result = {
        .failure = failure, .detail = fetch->detail, .final_url = fetch->url};
    acme_outbound_finish(&fetch->task, &result);
}

static void on_deadline(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct fetch *fetch = context;
    if (fetch->lookup != NULL)
        fail(fetch, ACME_OUTBOUND_DNS, "timed out looking up %s", fetch->host);
    else
        fail(fetch, fetch->transfer.sent ? ACME_OUTBOUND_TIMEOUT : ACME_OUTBOUND_CONNECT, "%s%stimed out %s",
             fetch->transfer.peer, fetch->transfer.peer[0] != '\0' ? ": " : "",
             fetch->transfer.sent ? "waiting for the answer" : "while connecting");
}

static void on_next(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct fetch *fetch = context;
    acme_transfer_finish(&fetch->transfer);
    if (fetch->next_url[0] == '\0') {
        fetch->address++;
        try_address(fetch);
        return;
    }
    memcpy(fetch->url, fetch->next_url, sizeof fetch->url);
    fetch->next_url[0] = '\0';
    begin_hop(fetch);
}

/* The Location of a redirect, resolved against the URL that gave it. */
static bool redirect_target(struct fetch *fetch, const char *location)
{
    CURLU *parts = curl_url();
    char *absolute = NULL;
    bool good = parts != NULL && curl_url_set(parts, CURLUPART_URL, fetch->url, 0) == CURLUE_OK &&
                curl_url_set(parts, CURLUPART_URL, location, 0) == CURLUE_OK &&
                curl_url_set(parts, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK &&
                curl_url_get(parts, CURLUPART_URL, &absolute, 0) == CURLUE_OK && strlen(absolute) <= MAX_URL;
    if (good)
        memcpy(fetch->next_url, absolute, strlen(absolute) + 1);
    curl_free(absolute);
    curl_url_cleanup(parts);
    return good;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static void on_complete(struct acme_transfer *transfer, CURLcode code)
{
    struct fetch *fetch = (struct fetch *)((char *)transfer - offsetof(struct fetch, transfer));
    char detail[ACME_TRANSFER_DETAIL_SIZE];
    enum acme_outbound_failure failure = acme_transfer_judge(transfer, code, detail);
    /* Not even connected: the name's next address may do (RFC 8555 section 8.3, IPv6 first, then IPv4). */
    bool unreached = failure == ACME_OUTBOUND_CONNECT || failure == ACME_OUTBOUND_DENIED;
    if (unreached && fetch->address + 1 < fetch->addresses.count) {
        event_active(fetch->next, 0, 0);
        return;
    }
    if (failure != ACME_OUTBOUND_OK) {
        fail(fetch, failure, "%s", detail);
        return;
    }
    struct acme_http_reply reply = acme_transfer_reply(transfer);
    const char *location = acme_http_reply_header(&reply, "location");
    if (!is_redirect(reply.status) || location == NULL) {
        struct acme_outbound_result result = {
            .failure = ACME_OUTBOUND_OK, .reply = &reply, .detail = transfer->peer, .final_url = fetch->url};
        acme_outbound_finish(&fetch->task, &result);
        return;
    }
    if (fetch->redirects == fetch->max_redirects)
        fail(fetch, ACME_OUTBOUND_REDIRECTS, "%s: more than %d redirects", transfer->peer,
             fetch->max_redirects);
    else if (!redirect_target(fetch, location))
        fail(fetch, ACME_OUTBOUND_REDIRECTS, "%s: redirects to something that is not an http or https URL",
             transfer->peer);
    else {
        fetch->redirects++;
        event_active(fetch->next, 0, 0);
    }
}

/* The whole connection goes to this address; the URL, the Host field and the TLS name keep the host. */
static bool pin(struct fetch *fetch, const struct acme_ip *ip)
{
    char address[INET6_ADDRSTRLEN];
    char target[INET6_ADDRSTRLEN + 32];
    if (inet_ntop(ip->family, ip->bytes, address, sizeof address) == NULL)
        return false;
    (void)snprintf(target, sizeof target, ip->family == AF_INET6 ? "::[%s]:%d" : "::%s:%d", address,
                   fetch->port);
    curl_slist_free_all(fetch->connect_to);
    fetch->connect_to = curl_slist_append(NULL, target);
    return fetch->connect_to != NULL;
}

static bool set_options(struct fetch *fetch, CURL *easy)
{
    bool set = curl_easy_setopt(easy, CURLOPT_URL, fetch->url) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_CONNECT_TO, fetch->connect_to) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L) == CURLE_OK;
    /* RFC 8555 section 8.3 leaves it open, and the host being validated has no certificate yet. */
    set = set && curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L) == CURLE_OK;
    return set;
}

static void try_address(struct fetch *fetch)
{
    struct acme_transfer *transfer = &fetch->transfer;
    transfer->complete = on_complete;
    transfer->policy = fetch->task.outbound->policy;
    if (!pin(fetch, &fetch->addresses.ip[fetch->address]) ||
        acme_failed(acme_transfer_init(transfer, fetch->max_bytes)) || !set_options(fetch, transfer->easy) ||
        acme_failed(acme_transfer_start(transfer, fetch->task.outbound->multi)))
        fail(fetch, ACME_OUTBOUND_CONNECT, "the fetch could not be set up");
}

static void on_lookup(void *context, const struct acme_ip_list *addresses, const char *why)
{
    struct fetch *fetch = context;
    fetch->lookup = NULL;
    if (addresses->count == 0) {
        fail(fetch, ACME_OUTBOUND_DNS, "%s", why);
        return;
    }
    fetch->addresses = *addresses;
    fetch->address = 0;
    try_address(fetch);
}

/* Loopback names and literal addresses need no DNS. */
static bool known_addresses(const char *host, struct acme_ip_list *list)
{
    static const uint8_t v6_loopback[16] = {[15] = 1};
    static const uint8_t v4_loopback[4] = {127, 0, 0, 1};
    static const char suffix[] = ".localhost";
    size_t len = strlen(host);
    list->count = 0;
    if (strcasecmp(host, "localhost") == 0 ||
        (len >= sizeof suffix && strcasecmp(host + len - (sizeof suffix - 1), suffix) == 0)) {
        list->count = 2;
        list->ip[0].family = AF_INET6;
        memcpy(list->ip[0].bytes, v6_loopback, sizeof v6_loopback);
        list->ip[1].family = AF_INET;
        memcpy(list->ip[1].bytes, v4_loopback, sizeof v4_loopback);
        return true;
    }
    struct acme_ip *ip = &list->ip[0];
    ip->family = strchr(host, ':') != NULL ? AF_INET6 : AF_INET;
    list->count = inet_pton(ip->family, host, ip->bytes) == 1 ? 1 : 0;
    return list->count == 1;
}

/* Take the URL apart; false when the fetch has ended because it must not be followed. */
static bool read_url(struct fetch *fetch)
{
    CURLU *parts = curl_url();
    char *scheme = NULL;
    char *host = NULL;
    char *port = NULL;
    char *user = NULL;
    bool parsed = parts != NULL &&
                  curl_url_set(parts, CURLUPART_URL, fetch->url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
                  curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                  curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK && strlen(host) < MAX_HOST;
    bool web = parsed && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    bool has_user = parsed && curl_url_get(parts, CURLUPART_USER, &user, 0) == CURLUE_OK;
    long wanted = 0;
    if (web) {
        fetch->port = strcmp(scheme, "http") == 0 ? fetch->http_port : fetch->https_port;
        size_t len = strlen(host);
        bool bracketed = host[0] == '[' && host[len - 1] == ']';
        memcpy(fetch->host, bracketed ? host + 1 : host, len + 1 - (bracketed ? 1 : 0));
        if (bracketed)
            fetch->host[len - 2] = '\0';
        if (curl_url_get(parts, CURLUPART_PORT, &port, 0) == CURLUE_OK)
            wanted = strtol(port, NULL, 10);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(user);
    curl_url_cleanup(parts);
    if (!web || has_user)
        fail(fetch, ACME_OUTBOUND_REDIRECTS, "redirects to something that is not a plain http or https URL");
    else if (wanted != 0 && wanted != fetch->port)
        fail(fetch, ACME_OUTBOUND_DENIED, "redirects to port %ld, only port %d is contacted for this scheme",
             wanted, fetch->port);
    else
        return true;
    return false;
}

static void begin_hop(struct fetch *fetch)
{
    if (!read_url(fetch))
        return;
    if (known_addresses(fetch->host, &fetch->addresses)) {
        fetch->address = 0;
        try_address(fetch);
        return;
    }
    if (acme_failed(acme_resolver_lookup(fetch->task.outbound->resolver, fetch->host, on_lookup, fetch,
                                         &fetch->lookup))) {
        fetch->lookup = NULL;
        fail(fetch, ACME_OUTBOUND_DNS, "the DNS resolver could not be started");
    }
}

static void start_fetch(struct acme_outbound_task *task)
{
    struct fetch *fetch = (struct fetch *)task;
    struct event_base *base = task->outbound->base;
    struct timeval timeout = {.tv_sec = fetch->timeout_ms / 1000, .tv_usec = fetch->timeout_ms % 1000 * 1000};
    fetch->deadline = event_new(base, -1, 0, on_deadline, fetch);
    fetch->next = event_new(base, -1, 0, on_next, fetch);
    if (fetch->deadline == NULL || fetch->next == NULL || event_add(fetch->deadline, &timeout) != 0) {
        fail(fetch, ACME_OUTBOUND_CONNECT, "the fetch could not be set up");
        return;
    }
    begin_hop(fetch);
}

static const struct acme_outbound_task_class fetch_class = {
    .start = start_fetch, .destroy = destroy_fetch, .limited = true};

struct acme_err acme_outbound_fetch(struct acme_outbound *outbound, const struct acme_fetch *request,
                                    acme_outbound_done done, void *context)
{
    ENSURE(strlen(request->url) <= MAX_URL, ACME_E_LIMIT);
    struct fetch *fetch = calloc(1, sizeof *fetch);
    ENSURE(fetch != NULL, ACME_E_NOMEM);
    fetch->task = (struct acme_outbound_task){
        .class = &fetch_class, .outbound = outbound, .done = done, .context = context};
    fetch->http_port = request->http_port;
    fetch->https_port = request->https_port;
    fetch->max_redirects = request->max_redirects;
    fetch->timeout_ms = request->timeout_ms;
    fetch->max_bytes = request->max_bytes;
    memcpy(fetch->url, request->url, strlen(request->url) + 1);
    struct acme_err err = acme_outbound_submit(&fetch->task);
    if (acme_failed(err))
        destroy_fetch(&fetch->task);
    return err;
}
