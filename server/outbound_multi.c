/* libcurl's multi socket interface on libevent: libcurl says which sockets and what time to watch, we say
 * what happened. */
#include "server/outbound_internal.h"

enum { MAX_KEPT_CONNECTIONS = 32 };

static void reap(struct acme_outbound *outbound)
{
    CURLMsg *message;
    int left = 0;
    while ((message = curl_multi_info_read(outbound->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result;
        struct acme_transfer *transfer = NULL;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
        curl_multi_remove_handle(outbound->multi, easy);
        transfer->multi = NULL;
        transfer->complete(transfer, code);
    }
}

static void on_socket_event(evutil_socket_t fd, short what, void *context)
{
    struct acme_outbound *outbound = context;
    int happened =
        ((what & EV_READ) != 0 ? CURL_CSELECT_IN : 0) | ((what & EV_WRITE) != 0 ? CURL_CSELECT_OUT : 0);
    int running = 0;
    (void)curl_multi_socket_action(outbound->multi, fd, happened, &running);
    reap(outbound);
}

static void on_curl_timer(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct acme_outbound *outbound = context;
    int running = 0;
    (void)curl_multi_socket_action(outbound->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    reap(outbound);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *socket_context)
{
    (void)easy;
    struct acme_outbound *outbound = context;
    struct event *event = socket_context;
    if (event != NULL)
        event_free(event);
    event = NULL;
    short wanted = 0;
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        wanted |= EV_READ;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        wanted |= EV_WRITE;
    if (what != CURL_POLL_REMOVE && wanted != 0) {
        event = event_new(outbound->base, fd, wanted | EV_PERSIST, on_socket_event, outbound);
        if (event == NULL || event_add(event, NULL) != 0) {
            if (event != NULL)
                event_free(event);
            event = NULL; /* the transfer ends by its timeout */
        }
    }
    (void)curl_multi_assign(outbound->multi, fd, event);
    return 0;
}

static int set_timer(CURLM *multi, long timeout_ms, void *context)
{
    (void)multi;
    struct acme_outbound *outbound = context;
    if (timeout_ms < 0)
        return event_del(outbound->curl_timer);
    const struct timeval delay = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    return event_add(outbound->curl_timer, &delay);
}

struct acme_err acme_outbound_multi_init(struct acme_outbound *outbound)
{
    outbound->curl_timer = event_new(outbound->base, -1, 0, on_curl_timer, outbound);
    outbound->multi = curl_multi_init();
    ENSURE(outbound->curl_timer != NULL && outbound->multi != NULL, ACME_E_NOMEM);
    ENSURE(curl_multi_setopt(outbound->multi, CURLMOPT_SOCKETFUNCTION, watch_socket) == CURLM_OK &&
               curl_multi_setopt(outbound->multi, CURLMOPT_SOCKETDATA, outbound) == CURLM_OK &&
               curl_multi_setopt(outbound->multi, CURLMOPT_TIMERFUNCTION, set_timer) == CURLM_OK &&
               curl_multi_setopt(outbound->multi, CURLMOPT_TIMERDATA, outbound) == CURLM_OK &&
               curl_multi_setopt(outbound->multi, CURLMOPT_MAXCONNECTS, (long)MAX_KEPT_CONNECTIONS) ==
                   CURLM_OK,
           ACME_E_NOMEM);
    return acme_ok();
}

void acme_outbound_multi_finish(struct acme_outbound *outbound)
{
    if (outbound->multi != NULL)
        (void)curl_multi_cleanup(outbound->multi); /* may still call watch_socket and set_timer */
    if (outbound->curl_timer != NULL)
        event_free(outbound->curl_timer);
}
