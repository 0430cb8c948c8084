/* One I/O loop: a thread, its event base, its listener and the table of its connections. */
#include "base/log.h"
#include "server/http_internal.h"
#include "server/thread.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    FIRST_SLOTS = 16,
    BACKLOG = 1024,
    LINGER_MS = 2000,
    ACCEPT_PAUSE_MS = 200,
    ACCEPTS_AT_ONCE = 16, /* then those who are connected are looked after */
    MAX_LAST_ACCEPTS = 256,
    REFUSED_TOLD_EVERY_S = 60
};

bool acme_http_loop_take_slot(struct acme_http_loop *loop, struct acme_http_conn *conn, size_t *ret_slot,
                              uint64_t *ret_generation)
{
    size_t slot = loop->first_free;
    while (slot < loop->slot_count && loop->slots[slot].conn != NULL)
        slot++;
    if (slot == loop->slot_count) {
        size_t count = loop->slot_count == 0 ? FIRST_SLOTS : loop->slot_count * 2;
        struct acme_http_slot *grown = realloc(loop->slots, count * sizeof *grown);
        if (grown == NULL)
            return false;
        memset(grown + loop->slot_count, 0, (count - loop->slot_count) * sizeof *grown);
        loop->slots = grown;
        loop->slot_count = count;
    }
    loop->first_free = slot + 1;
    loop->slots[slot] = (struct acme_http_slot){.conn = conn, .generation = ++loop->next_generation};
    *ret_slot = slot;
    *ret_generation = loop->next_generation;
    return true;
}

void acme_http_loop_free_slot(struct acme_http_loop *loop, size_t slot)
{
    loop->slots[slot] = (struct acme_http_slot){.conn = NULL};
    if (slot < loop->first_free)
        loop->first_free = slot;
}

void acme_http_loop_note_refused(struct acme_http_loop *loop, const char *setting, size_t limit)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    loop->refused++;
    if (loop->refused_told_s != 0 && now.tv_sec - loop->refused_told_s < REFUSED_TOLD_EVERY_S)
        return;
    acme_log(WARN, "connections are refused, a limit is reached", LOG_STR("setting", setting),
             LOG_INT("limit", limit), LOG_INT("refused", loop->refused));
    loop->refused_told_s = now.tv_sec;
    loop->refused = 0;
}

static void accept_socket(struct acme_http_loop *loop, int fd, const struct sockaddr *address)
{
    struct acme_http_server *server = loop->server;
    const int on = 1;
    if (atomic_load(&server->connections) >= server->options.max_connections) {
        acme_http_loop_note_refused(loop, "server.max_connections", server->options.max_connections);
        close(fd);
        return;
    }
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        close(fd);
        return;
    }
    acme_http_conn_create(loop, fd, address);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int len,
                      void *context)
{
    (void)len;
    static const struct timeval at_once;
    struct acme_http_loop *loop = context;
    accept_socket(loop, fd, address);
    if (++loop->accepted < ACCEPTS_AT_ONCE)
        return;
    /* A timer that is due at once runs behind all sockets that are ready by then. */
    loop->accepted = 0;
    if (event_add(loop->accept_again, &at_once) == 0)
        evconnlistener_disable(listener);
}

static void on_accept_error(struct evconnlistener *listener, void *context)
{
    struct acme_http_loop *loop = context;
    char reason[128];
    acme_log(WARN, "cannot accept connections for a moment",
             LOG_STR("reason", strerror_r(errno, reason, sizeof reason)));
    /* The connection stays in the backlog and would call us again at once. */
    const struct timeval pause = {.tv_usec = ACCEPT_PAUSE_MS * 1000};
    evconnlistener_disable(listener);
    event_add(loop->accept_again, &pause);
}

static void on_accept_again(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct acme_http_loop *loop = context;
    if (loop->listener != NULL)
        evconnlistener_enable(loop->listener);
}

static void drain(struct acme_http_loop *loop)
{
    loop->drained = true;
    /* Who is in the backlog believes to be connected: closing the listener now would reset those connections.
     */
    int listening = evconnlistener_get_fd(loop->listener);
    for (int i = 0; i < MAX_LAST_ACCEPTS; i++) {
        struct sockaddr_storage address;
        socklen_t len = sizeof address;
        int fd = accept4(listening, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            break;
        accept_socket(loop, fd, (struct sockaddr *)&address);
    }
    evconnlistener_free(loop->listener);
    loop->listener = NULL;
    for (size_t i = 0; i < loop->slot_count; i++)
        if (loop->slots[i].conn != NULL)
            acme_http_conn_drain(loop->slots[i].conn);
}

static void deliver(struct acme_http_loop *loop, struct acme_http_exchange *exchange)
{
    struct acme_http_slot *slot = &loop->slots[exchange->slot];
    if (slot->conn != NULL && slot->generation == exchange->generation)
        acme_http_conn_answer(slot->conn, exchange);
    else
        acme_http_exchange_destroy(exchange); /* the client has gone */
}

static void on_wake(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct acme_http_loop *loop = context;
    struct acme_inbox_item *item = acme_inbox_take(&loop->inbox);
    while (item != NULL) {
        struct acme_http_exchange *exchange = (struct acme_http_exchange *)item;
        item = item->next;
        deliver(loop, exchange);
    }
    if (atomic_load(&loop->server->draining) && !loop->drained)
        drain(loop);
    if (atomic_load(&loop->server->stopping))
        event_base_loopbreak(loop->base);
}

static const struct timeval *common_timeout(struct event_base *base, int ms)
{
    const struct timeval duration = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    return event_base_init_common_timeout(base, &duration);
}

struct acme_err acme_http_loop_init(struct acme_http_loop *loop, struct acme_http_server *server,
                                    const struct sockaddr *address, int address_len)
{
    loop->server = server;
    loop->inbox.fd = -1;
    TRY(acme_inbox_init(&loop->inbox));
    loop->base = event_base_new();
    ENSURE(loop->base != NULL, ACME_E_NOMEM);
    loop->request_deadline = common_timeout(loop->base, server->options.request_deadline_ms);
    loop->idle_timeout = common_timeout(loop->base, server->options.idle_timeout_ms);
    loop->linger_timeout = common_timeout(loop->base, LINGER_MS);
    loop->wake = event_new(loop->base, loop->inbox.fd, EV_READ | EV_PERSIST, on_wake, loop);
    loop->accept_again = event_new(loop->base, -1, 0, on_accept_again, loop);
    ENSURE(loop->request_deadline != NULL && loop->idle_timeout != NULL && loop->linger_timeout != NULL &&
               loop->wake != NULL && loop->accept_again != NULL && event_add(loop->wake, NULL) == 0,
           ACME_E_NOMEM);
    TRY(acme_http_turns_init(&loop->handshakes, loop->base, acme_http_conn_handshake));
    loop->listener = evconnlistener_new_bind(loop->base, on_accept, loop,
                                             LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC |
                                                 LEV_OPT_REUSEABLE | LEV_OPT_REUSEABLE_PORT,
                                             BACKLOG, address, address_len);
    ENSURE(loop->listener != NULL, ACME_E_IO);
    evconnlistener_set_error_cb(loop->listener, on_accept_error);
    return acme_ok();
}

static void *run(void *context)
{
    struct acme_http_loop *loop = context;
    loop->thread = pthread_self(); /* our own view of it: pthread_create may return later than we start */
    (void)event_base_dispatch(loop->base);
    return NULL;
}

struct acme_err acme_http_loop_start(struct acme_http_loop *loop, int number)
{
    char name[16];
    (void)snprintf(name, sizeof name, "http-%d", number % 1000);
    pthread_t thread;
    TRY(acme_thread_start(name, run, loop, &thread));
    loop->joinable = thread;
    loop->started = true;
    return acme_ok();
}

void acme_http_loop_finish(struct acme_http_loop *loop)
{
    if (loop->started) {
        acme_inbox_wake(&loop->inbox);
        pthread_join(loop->joinable, NULL);
    }
    for (size_t i = 0; i < loop->slot_count; i++)
        if (loop->slots[i].conn != NULL)
            acme_http_conn_destroy(loop->slots[i].conn);
    free(loop->slots);
    if (loop->inbox.fd >= 0) {
        acme_inbox_close(&loop->inbox);
        struct acme_inbox_item *item = acme_inbox_take(&loop->inbox);
        while (item != NULL) {
            struct acme_http_exchange *exchange = (struct acme_http_exchange *)item;
            item = item->next;
            acme_http_exchange_destroy(exchange);
        }
    }
    if (loop->listener != NULL)
        evconnlistener_free(loop->listener);
    if (loop->wake != NULL)
        event_free(loop->wake);
    if (loop->accept_again != NULL)
        event_free(loop->accept_again);
    acme_http_turns_finish(&loop->handshakes);
    if (loop->base != NULL)
        event_base_free(loop->base);
    if (loop->inbox.fd >= 0)
        acme_inbox_finish(&loop->inbox);
}
