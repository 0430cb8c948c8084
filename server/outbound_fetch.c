/* Fetches for validations: a client of ours chose the target, so every step is checked and every resource
 * bounded.
 *
 *   visit (a URL) -> lookup -> attempt (one address after the other) -> reply, or visit the next URL
 *
 * Each attempt is pinned to the one address that the policy has seen; libcurl never resolves a name here. */
#include "server/fetch_target.h"
#include "server/outbound_internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_VISITS = 32, PIN_SIZE = 80 };

struct fetch {
    struct acme_outbound_task task;
    struct acme_fetch options; /* `url` is ours */
    CURLU *url;
    struct acme_fetch_target target;
    char *visited[MAX_VISITS];
    size_t visits;
    struct acme_reach reach;
    struct acme_transfer transfer;
    struct curl_slist *pin;
};

static void attempt(struct acme_reach *reach);
static void visit(struct fetch *fetch);

static void end_transfer(struct fetch *fetch)
{
    acme_transfer_finish(&fetch->transfer);
    curl_slist_free_all(fetch->pin);
    fetch->pin = NULL;
}

static void destroy_fetch(struct acme_outbound_task *task)
{
    struct fetch *fetch = (struct fetch *)task;
    acme_reach_finish(&fetch->reach);
    end_transfer(fetch);
    acme_fetch_target_finish(&fetch->target);
    curl_url_cleanup(fetch->url);
    for (size_t i = 0; i < fetch->visits; i++)
        free(fetch->visited[i]);
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
    fail(fetch, ACME_OUTBOUND_CONNECT, ACME_OUTBOUND_NO_MEMORY);
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
    acme_reach_note(&fetch->reach, detail);
    if (failure == ACME_OUTBOUND_CONNECT && acme_reach_has_next(&fetch->reach)) {
        end_transfer(fetch);
        attempt(&fetch->reach);
        return;
    }
    fail(fetch, failure, acme_reach_tried(&fetch->reach));
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

static bool set_options(struct fetch *fetch, CURL *easy, int64_t left_ms, int64_t connect_ms)
{
    /* The handle goes before the text: what was checked is used as it is, not parsed again. */
    bool set = curl_easy_setopt(easy, CURLOPT_URL, fetch->target.url) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_CURLU, fetch->url) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_CONNECT_TO, fetch->pin) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)left_ms) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms) == CURLE_OK;
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

static void attempt(struct acme_reach *reach)
{
    struct fetch *fetch = (struct fetch *)((char *)reach - offsetof(struct fetch, reach));
    int64_t left_ms = 0;
    int64_t connect_ms = 0;
    const struct acme_ip *ip = acme_reach_next(reach, &left_ms, &connect_ms);
    if (ip == NULL)
        return;
    fetch->transfer.complete = on_complete;
    if (acme_failed(acme_transfer_init(&fetch->transfer, fetch->options.max_bytes)) ||
        !pin_address(fetch, ip) || !set_options(fetch, fetch->transfer.easy, left_ms, connect_ms)) {
        fail_without_memory(fetch);
        return;
    }
    fetch->transfer.policy = fetch->task.outbound->policy;
    if (acme_failed(acme_transfer_start(&fetch->transfer, fetch->task.outbound->multi)))
        fail_without_memory(fetch);
}

static void unreachable(struct acme_reach *reach, enum acme_outbound_failure failure, const char *detail)
{
    fail((struct fetch *)((char *)reach - offsetof(struct fetch, reach)), failure, detail);
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
    if (was_visited(fetch)) {
        fail(fetch, ACME_OUTBOUND_REDIRECTS, "the redirects lead in a circle");
        return;
    }
    if (!remember_visit(fetch)) {
        fail_without_memory(fetch);
        return;
    }
    acme_reach_start(&fetch->reach, fetch->target.host, fetch->target.port);
}

static void start_fetch(struct acme_outbound_task *task)
{
    struct fetch *fetch = (struct fetch *)task;
    fetch->reach = (struct acme_reach){.outbound = task->outbound,
                                       .attempt = attempt,
                                       .failed = unreachable,
                                       .deadline_ms = acme_outbound_now_ms() + fetch->options.timeout_ms};
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
    copy->options.url = strdup(fetch->url);
    struct acme_err err = acme_err(ACME_E_NOMEM);
    if (copy->options.url != NULL)
        err = acme_outbound_submit(&copy->task);
    if (acme_failed(err))
        destroy_fetch(&copy->task);
    return err;
}
