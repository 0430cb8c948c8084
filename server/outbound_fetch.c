/* Fetches for validations: a client of ours chose the target, so every step is checked and every resource
 * bounded.
 *
 *   visit (a URL) -> lookup -> attempt (one address after the other) -> reply, or visit the next URL
 *
 * Each attempt is pinned to the one address that the policy has seen; libcurl never resolves a name here. */
#include "server/fetch_target.h"
#include "server/outbound_internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_VISITS = 32, TRIED_SIZE = 1024, PIN_SIZE = 80 };

struct fetch {
    struct acme_outbound_task task;
    struct acme_fetch options; /* `url` is ours */
    int64_t deadline_ms;
    CURLU *url;
    struct acme_fetch_target target;
    char *visited[MAX_VISITS];
    size_t visits;
    struct acme_lookup *lookup; /* not NULL while under way */
    struct event *lookup_timer;
    struct acme_ip_list addresses;
    size_t next_address;
    struct acme_transfer transfer;
    struct curl_slist *pin;
    struct acme_buf tried; /* what became of the addresses so far */
};

static void attempt(struct fetch *fetch);
static void visit(struct fetch *fetch);

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void end_transfer(struct fetch *fetch)
{
    acme_transfer_finish(&fetch->transfer);
    curl_slist_free_all(fetch->pin);
    fetch->pin = NULL;
}

static void destroy_fetch(struct acme_outbound_task *task)
{
    struct fetch *fetch = (struct fetch *)task;
    if (fetch->lookup != NULL)
        acme_lookup_cancel(fetch->lookup);
    if (fetch->lookup_timer != NULL)
        event_free(fetch->lookup_timer);
    end_transfer(fetch);
    acme_fetch_target_finish(&fetch->target);
    curl_url_cleanup(fetch->url);
    for (size_t i = 0; i < fetch->visits; i++)
        free(fetch->visited[i]);
    acme_buf_finish(&fetch->tried);
    free((char *)(uintptr_t)fetch->options.url);
    free(fetch);
}

static void fail(struct fetch *fetch, enum acme_outbound_failure failure, const char *detail)
{
    struct acme_outbound_result result = {
        .failure = failure, .detail = detail, .final_url = fetch->target.url};
    acme_outbound_finish(&fetch->task, &result);
}

static void fail_without_memory(struct fetch *fetch)
{
    fail(fetch, ACME_OUTBOUND_CONNECT, "the request could not be set up");
}

static void fail_before(struct fetch *fetch, const char *what, const char *why)
{
    char detail[ACME_TRANSFER_DETAIL_SIZE];
    (void)snprintf(detail, sizeof detail, "%s%s", what, why);
    fail(fetch, ACME_OUTBOUND_DENIED, detail);
}

static void succeed(struct fetch *fetch)
{
    struct acme_http_reply reply = acme_transfer_reply(&fetch->transfer);
    struct acme_outbound_result result = {.failure = ACME_OUTBOUND_OK,
                                          .reply = &reply,
                                          .detail = fetch->transfer.peer,
                                          .final_url = fetch->target.url};
    acme_outbound_finish(&fetch->task, &result);
}

static void note_tried(struct fetch *fetch, const char *detail)
{
    if (fetch->tried.len > 0)
        acme_buf_str(&fetch->tried, "; ");
    acme_buf_str(&fetch->tried, detail);
    fetch->tried.failed = false; /* what does not fit is left out */
}

static bool is_redirect(const struct acme_http_reply *reply)
{
    switch (reply->status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        return acme_http_reply_header(reply, "location") != NULL;
    default:
        return false;
    }
}

static void follow(struct fetch *fetch, const char *location)
{
    if (fetch->visits > (size_t)fetch->options.max_redirects) {
        fail(fetch, ACME_OUTBOUND_REDIRECTS, "too many redirects");
        return;
    }
    CURLUcode code = curl_url_set(fetch->url, CURLUPART_URL, location, CURLU_URLENCODE);
    if (code == CURLUE_OUT_OF_MEMORY) {
        fail_without_memory(fetch);
        return;
    }
    if (code != CURLUE_OK) {
        fail_before(fetch, "a redirect cannot be followed: ", curl_url_strerror(code));
        return;
    }
    end_transfer(fetch);
    visit(fetch);
}

static void on_complete(struct acme_transfer *transfer, CURLcode code)
{
    struct fetch *fetch = (struct fetch *)((char *)transfer - offsetof(struct fetch, transfer));
    char detail[ACME_TRANSFER_DETAIL_SIZE];
    enum acme_outbound_failure failure = acme_transfer_judge(transfer, code, detail);
    if (failure == ACME_OUTBOUND_OK) {
        struct acme_http_reply reply = acme_transfer_reply(transfer);
        if (is_redirect(&reply))
            follow(fetch, acme_http_reply_header(&reply, "location"));
        else
            succeed(fetch);
        return;
    }
    note_tried(fetch, detail);
    if (failure == ACME_OUTBOUND_CONNECT && fetch->next_address < fetch->addresses.count) {
        end_transfer(fetch);
        attempt(fetch);
        return;
    }
    fail(fetch, failure, acme_buf_cstr(&fetch->tried));
}

/* "::HOST:PORT" in CURLOPT_CONNECT_TO: whatever the URL says, connect there. CURLOPT_RESOLVE would put the
 * address into the cache that the upstream calls use too. */
static bool pin_address(struct fetch *fetch, const struct acme_ip *ip)
{
    char text[INET6_ADDRSTRLEN];
    char pin[PIN_SIZE];
    if (inet_ntop(ip->family, ip->bytes, text, sizeof text) == NULL)
        return false;
    (void)snprintf(pin, sizeof pin, ip->family == AF_INET6 ? "::[%s]:%d" : "::%s:%d", text,
                   fetch->target.port);
    fetch->pin = curl_slist_append(NULL, pin);
    return fetch->pin != NULL;
}

static bool set_options(struct fetch *fetch, CURL *easy, int64_t left_ms)
{
    size_t untried = fetch->addresses.count - fetch->next_address + 1;
    bool set = curl_easy_setopt(easy, CURLOPT_URL, fetch->target.url) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_CONNECT_TO, fetch->pin) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)left_ms) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(left_ms / (int64_t)untried) + 1) ==
                     CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L) == CURLE_OK;
    /* RFC 8555 section 8.3: what is being asked for is the certificate, so there may be none yet. Without the
     * system's CAs in memory, as nothing is verified. */
    set = set && curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_CAINFO, NULL) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK;
    return set;
}

static bool is_allowed(struct fetch *fetch, const struct acme_ip *ip)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    const struct sockaddr *address = (const struct sockaddr *)&in6;
    if (ip->family == AF_INET) {
        memcpy(&in.sin_addr, ip->bytes, 4);
        address = (const struct sockaddr *)&in;
    } else {
        memcpy(&in6.sin6_addr, ip->bytes, 16);
    }
    const char *why = NULL;
    if (acme_address_allowed(fetch->task.outbound->policy, address, &why))
        return true;
    char text[INET6_ADDRSTRLEN] = "?";
    char detail[ACME_TRANSFER_DETAIL_SIZE];
    (void)inet_ntop(ip->family, ip->bytes, text, sizeof text);
    (void)snprintf(detail, sizeof detail,
                   ip->family == AF_INET6 ? "[%s]:%d: not contacted, it is %s"
                                          : "%s:%d: not contacted, it is %s",
                   text, fetch->target.port, why);
    note_tried(fetch, detail);
    return false;
}

static void attempt(struct fetch *fetch)
{
    int64_t left_ms = fetch->deadline_ms - monotonic_ms();
    if (left_ms <= 0) {
        note_tried(fetch, "the time limit is over");
        fail(fetch, ACME_OUTBOUND_TIMEOUT, acme_buf_cstr(&fetch->tried));
        return;
    }
    const struct acme_ip *ip = &fetch->addresses.ip[fetch->next_address++];
    fetch->transfer.complete = on_complete;
    if (acme_failed(acme_transfer_init(&fetch->transfer, fetch->options.max_bytes)) ||
        !pin_address(fetch, ip) || !set_options(fetch, fetch->transfer.easy, left_ms)) {
        fail_without_memory(fetch);
        return;
    }
    fetch->transfer.policy = fetch->task.outbound->policy;
    if (acme_failed(acme_transfer_start(&fetch->transfer, fetch->task.outbound->multi)))
        fail_without_memory(fetch);
}

/* The addresses are known: try those that the policy allows. */
static void connect_to(struct fetch *fetch, const struct acme_ip_list *addresses)
{
    fetch->addresses.count = 0;
    fetch->next_address = 0;
    for (size_t i = 0; i < addresses->count; i++)
        if (is_allowed(fetch, &addresses->ip[i]))
            fetch->addresses.ip[fetch->addresses.count++] = addresses->ip[i];
    if (fetch->addresses.count > 0)
        attempt(fetch);
    else
        fail(fetch, ACME_OUTBOUND_DENIED, acme_buf_cstr(&fetch->tried));
}

static void on_lookup(void *context, const struct acme_ip_list *addresses, const char *why)
{
    struct fetch *fetch = context;
    fetch->lookup = NULL;
    event_del(fetch->lookup_timer);
    if (addresses->count > 0)
        connect_to(fetch, addresses);
    else
        fail(fetch, ACME_OUTBOUND_DNS, why);
}

static void on_lookup_timeout(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct fetch *fetch = context;
    acme_lookup_cancel(fetch->lookup);
    fetch->lookup = NULL;
    char detail[ACME_TRANSFER_DETAIL_SIZE];
    (void)snprintf(detail, sizeof detail, "timed out looking up A and AAAA for %s", fetch->target.host);
    fail(fetch, ACME_OUTBOUND_DNS, detail);
}

static void look_up(struct fetch *fetch)
{
    int64_t left_ms = fetch->deadline_ms - monotonic_ms();
    if (left_ms < 1)
        left_ms = 1;
    const struct timeval left = {.tv_sec = left_ms / 1000, .tv_usec = left_ms % 1000 * 1000};
    if (fetch->lookup_timer == NULL)
        fetch->lookup_timer = event_new(fetch->task.outbound->base, -1, 0, on_lookup_timeout, fetch);
    if (fetch->lookup_timer == NULL || event_add(fetch->lookup_timer, &left) != 0) {
        fail_without_memory(fetch);
        return;
    }
    if (acme_failed(acme_resolver_lookup(fetch->task.outbound->resolver, fetch->target.host, on_lookup, fetch,
                                         &fetch->lookup)))
        fail(fetch, ACME_OUTBOUND_DNS, "the DNS resolver of this server does not work");
}

static bool remember_visit(struct fetch *fetch)
{
    if (fetch->visits == MAX_VISITS)
        return false;
    fetch->visited[fetch->visits] = strdup(fetch->target.url);
    if (fetch->visited[fetch->visits] == NULL)
        return false;
    fetch->visits++;
    return true;
}

static bool was_visited(const struct fetch *fetch)
{
    for (size_t i = 0; i < fetch->visits; i++)
        if (strcmp(fetch->visited[i], fetch->target.url) == 0)
            return true;
    return false;
}

/* fetch->url is the next one to get. */
static void visit(struct fetch *fetch)
{
    char why[ACME_FETCH_WHY_SIZE];
    struct acme_fetch_target target = {.url = NULL};
    struct acme_err err =
        acme_fetch_target_read(fetch->url, fetch->options.http_port, fetch->options.https_port, &target, why);
    if (err.code == ACME_E_DENIED) {
        fail_before(fetch, fetch->visits > 0 ? "a redirect is not followed: " : "", why);
        return;
    }
    if (acme_failed(err)) {
        fail_without_memory(fetch);
        return;
    }
    acme_fetch_target_finish(&fetch->target);
    fetch->target = target;
    acme_buf_finish(&fetch->tried);
    acme_buf_init(&fetch->tried, TRIED_SIZE);
    if (was_visited(fetch)) {
        fail(fetch, ACME_OUTBOUND_REDIRECTS, "the redirects lead in a circle");
        return;
    }
    if (!remember_visit(fetch)) {
        fail_without_memory(fetch);
        return;
    }
    struct acme_ip_list known;
    if (acme_fetch_target_addresses(&fetch->target, &known))
        connect_to(fetch, &known);
    else
        look_up(fetch);
}

static void start_fetch(struct acme_outbound_task *task)
{
    struct fetch *fetch = (struct fetch *)task;
    fetch->deadline_ms = monotonic_ms() + fetch->options.timeout_ms;
    fetch->url = curl_url();
    if (fetch->url == NULL) {
        fail_without_memory(fetch);
        return;
    }
    CURLUcode code = curl_url_set(fetch->url, CURLUPART_URL, fetch->options.url, 0);
    if (code != CURLUE_OK)
        fail_before(fetch, "not a URL to fetch: ", curl_url_strerror(code));
    else
        visit(fetch);
}

struct acme_err acme_outbound_fetch(struct acme_outbound *outbound, const struct acme_fetch *fetch,
                                    acme_outbound_done done, void *context)
{
    static const struct acme_outbound_task_class class = {
        .start = start_fetch, .destroy = destroy_fetch, .limited = true};
    struct fetch *copy = calloc(1, sizeof *copy);
    ENSURE(copy != NULL, ACME_E_NOMEM);
    copy->task =
        (struct acme_outbound_task){.class = &class, .outbound = outbound, .done = done, .context = context};
    copy->options = *fetch;
    if (copy->options.max_redirects > MAX_VISITS - 1)
        copy->options.max_redirects = MAX_VISITS - 1;
    acme_buf_init(&copy->tried, TRIED_SIZE);
    copy->options.url = strdup(fetch->url);
    struct acme_err err = acme_err(ACME_E_NOMEM);
    if (copy->options.url != NULL)
        err = acme_outbound_submit(&copy->task);
    if (acme_failed(err))
        destroy_fetch(&copy->task);
    return err;
}
