#include "responder.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUCKETS = 1024, MAX_LISTENERS = 2, MAX_CONNS = 1024, REQUEST_SIZE = 4096 };

struct token {
    struct token *next;
    char *name;
    char *key_authorization;
};

struct peer {
    size_t used;
    char request[REQUEST_SIZE];
};

struct acme_bench_responder {
    pthread_t thread;
    pthread_mutex_t lock; /* the table only */
    struct token *buckets[BUCKETS];
    int stop_fd;
    size_t listener_count;
    size_t conn_count;
    /* The stop event, the listeners, then the connections; peers[i] belongs to polled[1 + listener_count +
     * i]. */
    struct pollfd polled[1 + MAX_LISTENERS + MAX_CONNS];
    struct peer *peers[MAX_CONNS];
    atomic_uint_fast64_t answered;
};

static struct token **slot(struct acme_bench_responder *responder, const char *name)
{
    uint32_t hash = 2166136261U;
    for (const char *c = name; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619U;
    struct token **at = &responder->buckets[hash % BUCKETS];
    while (*at != NULL && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    return at;
}

static void token_free(struct token *token)
{
    free(token->name);
    free(token->key_authorization);
    free(token);
}

struct acme_err acme_bench_responder_add(struct acme_bench_responder *responder, const char *token,
                                         const char *thumbprint)
{
    struct token *entry = calloc(1, sizeof *entry);
    ENSURE(entry != NULL, ACME_E_NOMEM);
    entry->name = strdup(token);
    if (entry->name == NULL || asprintf(&entry->key_authorization, "%s.%s", token, thumbprint) < 0) {
        free(entry->name);
        free(entry);
        return acme_err(ACME_E_NOMEM);
    }
    pthread_mutex_lock(&responder->lock);
    struct token **at = slot(responder, token);
    struct token *old = *at;
    entry->next = old != NULL ? old->next : NULL;
    *at = entry;
    pthread_mutex_unlock(&responder->lock);
    if (old != NULL)
        token_free(old);
    return acme_ok();
}

void acme_bench_responder_remove(struct acme_bench_responder *responder, const char *token)
{
    pthread_mutex_lock(&responder->lock);
    struct token **at = slot(responder, token);
    struct token *entry = *at;
    if (entry != NULL)
        *at = entry->next;
    pthread_mutex_unlock(&responder->lock);
    if (entry != NULL)
        token_free(entry);
}

uint64_t acme_bench_responder_answered(struct acme_bench_responder *responder)
{
    return atomic_load(&responder->answered);
}

/* The answer is far smaller than a socket buffer, so that one send either takes it whole or the peer is gone.
 */
static void answer(struct acme_bench_responder *responder, int fd, const char *request)
{
    static const char prefix[] = "GET /.well-known/acme-challenge/";
    char response[1024];
    int len = -1;
    if (strncmp(request, prefix, sizeof prefix - 1) == 0) {
        char name[256] = "";
        const char *start = request + sizeof prefix - 1;
        size_t name_len = strcspn(start, " \r\n?");
        if (name_len < sizeof name)
            memcpy(name, start, name_len);
        pthread_mutex_lock(&responder->lock);
        const struct token *entry = *slot(responder, name);
        if (entry != NULL)
            len = snprintf(
                response, sizeof response,
                "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %zu\r\n"
                "Connection: close\r\n\r\n%s",
                strlen(entry->key_authorization), entry->key_authorization);
        pthread_mutex_unlock(&responder->lock);
    }
    if (len > 0 && (size_t)len < sizeof response)
        atomic_fetch_add(&responder->answered, 1);
    else
        len = snprintf(response, sizeof response,
                       "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    (void)send(fd, response, (size_t)len, MSG_NOSIGNAL);
}

static void accept_one(struct acme_bench_responder *responder, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct peer *peer = responder->conn_count < MAX_CONNS ? calloc(1, sizeof *peer) : NULL;
    if (peer == NULL) {
        (void)close(fd);
        return;
    }
    responder->peers[responder->conn_count] = peer;
    responder->polled[1 + responder->listener_count + responder->conn_count] =
        (struct pollfd){.fd = fd, .events = POLLIN};
    responder->conn_count++;
}

static void close_peer(struct acme_bench_responder *responder, size_t index)
{
    struct pollfd *conns = responder->polled + 1 + responder->listener_count;
    (void)close(conns[index].fd);
    free(responder->peers[index]);
    size_t last = --responder->conn_count;
    conns[index] = conns[last];
    responder->peers[index] = responder->peers[last];
}

/* True when the connection is done with, for better or worse. */
static bool serve_peer(struct acme_bench_responder *responder, int fd, struct peer *peer)
{
    ssize_t got = recv(fd, peer->request + peer->used, sizeof peer->request - 1 - peer->used, 0);
    if (got < 0)
        return errno != EAGAIN && errno != EINTR;
    if (got == 0)
        return true;
    peer->used += (size_t)got;
    peer->request[peer->used] = '\0';
    if (strstr(peer->request, "\r\n\r\n") == NULL)
        return peer->used == sizeof peer->request - 1;
    answer(responder, fd, peer->request);
    return true;
}

static void *serve(void *context)
{
    struct acme_bench_responder *responder = context;
    for (;;) {
        size_t conns_at = 1 + responder->listener_count;
        if (poll(responder->polled, conns_at + responder->conn_count, -1) < 0) {
            if (errno == EINTR)
                continue;
            return NULL;
        }
        if (responder->polled[0].revents != 0)
            return NULL;
        /* Backwards: closing moves the last connection, which has been looked at, into the gap. */
        for (size_t i = responder->conn_count; i-- > 0;) {
            const struct pollfd *conn = &responder->polled[conns_at + i];
            if (conn->revents != 0 && serve_peer(responder, conn->fd, responder->peers[i]))
                close_peer(responder, i);
        }
        for (size_t i = 1; i < conns_at; i++) {
            if (responder->polled[i].revents != 0)
                accept_one(responder, responder->polled[i].fd);
        }
    }
}

static bool listen_on(struct acme_bench_responder *responder, const char *address, uint16_t port)
{
    char service[8];
    (void)snprintf(service, sizeof service, "%u", port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    if (getaddrinfo(address, service, &hints, &found) != 0) {
        errno = EADDRNOTAVAIL;
        return false;
    }
    const int on = 1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
              bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0;
    int saved = errno;
    freeaddrinfo(found);
    if (!ok) {
        if (fd >= 0)
            (void)close(fd);
        errno = saved;
        return false;
    }
    responder->polled[1 + responder->listener_count++] = (struct pollfd){.fd = fd, .events = POLLIN};
    return true;
}

static void release(struct acme_bench_responder *responder)
{
    while (responder->conn_count > 0)
        close_peer(responder, responder->conn_count - 1);
    for (size_t i = 0; i < responder->listener_count; i++)
        (void)close(responder->polled[1 + i].fd);
    if (responder->stop_fd >= 0)
        (void)close(responder->stop_fd);
    for (size_t i = 0; i < BUCKETS; i++) {
        while (responder->buckets[i] != NULL) {
            struct token *entry = responder->buckets[i];
            responder->buckets[i] = entry->next;
            token_free(entry);
        }
    }
    pthread_mutex_destroy(&responder->lock);
    free(responder);
}

struct acme_err acme_bench_responder_start(const char *address, uint16_t port,
                                           struct acme_bench_responder **ret)
{
    struct acme_bench_responder *responder = calloc(1, sizeof *responder);
    ENSURE(responder != NULL, ACME_E_NOMEM);
    pthread_mutex_init(&responder->lock, NULL);
    responder->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    responder->polled[0] = (struct pollfd){.fd = responder->stop_fd, .events = POLLIN};
    bool ok = responder->stop_fd >= 0 && listen_on(responder, address != NULL ? address : "127.0.0.1", port);
    if (ok && address == NULL && !listen_on(responder, "::1", port))
        ok = errno != EADDRINUSE;
    if (ok) {
        int failure = pthread_create(&responder->thread, NULL, serve, responder);
        if (failure == 0) {
            *ret = responder;
            return acme_ok();
        }
        errno = failure;
    }
    int saved = errno;
    release(responder);
    errno = saved;
    return acme_err(ACME_E_IO);
}

void acme_bench_responder_stop(struct acme_bench_responder *responder)
{
    if (responder == NULL)
        return;
    (void)eventfd_write(responder->stop_fd, 1);
    pthread_join(responder->thread, NULL);
    release(responder);
}
