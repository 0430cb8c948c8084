#include "local_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_SIZE = 64 * 1024, TICK_MS = 20 };

struct local_server {
    pthread_t thread;
    int listener;
    int port;
    SSL_CTX *tls;
    local_handler handler;
    atomic_bool stopping;
    atomic_int requests;
    atomic_int connections;
    int fd; /* the connection being served */
    SSL *ssl;
};

static int bind_loopback(int type, int *ret_port)
{
    int fd = socket(AF_INET, type, 0);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    if (fd < 0 || bind(fd, (struct sockaddr *)&in, sizeof in) != 0 ||
        getsockname(fd, (struct sockaddr *)&in, &len) != 0)
        abort();
    *ret_port = ntohs(in.sin_port);
    return fd;
}

static bool readable(int fd, atomic_bool *stopping)
{
    while (!atomic_load(stopping)) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, TICK_MS) > 0)
            return true;
    }
    return false;
}

static ssize_t read_some(struct local_server *server, char *data, size_t size)
{
    if ((server->ssl == NULL || SSL_pending(server->ssl) == 0) && !readable(server->fd, &server->stopping))
        return -1;
    return server->ssl != NULL ? SSL_read(server->ssl, data, (int)size) : recv(server->fd, data, size, 0);
}

void local_write(struct local_server *server, const char *data, size_t len)
{
    if (server->ssl != NULL) {
        (void)SSL_write(server->ssl, data, (int)len);
        return;
    }
    while (len > 0) {
        ssize_t count = send(server->fd, data, len, MSG_NOSIGNAL);
        if (count <= 0)
            return;
        data += count;
        len -= (size_t)count;
    }
}

void local_answer(struct local_server *server, int status, const char *fields, const char *body)
{
    char text[4096];
    int len = snprintf(text, sizeof text, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n%s", status,
                       strlen(body), fields, body);
    local_write(server, text, (size_t)len);
}

static bool complete(const char *request, size_t len)
{
    const char *end = strstr(request, "\r\n\r\n");
    if (end == NULL)
        return false;
    const char *length = strcasestr(request, "\r\nContent-Length:");
    size_t body = length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;
    return len >= (size_t)(end - request) + 4 + body;
}

static void serve(struct local_server *server)
{
    char *request = malloc(REQUEST_SIZE);
    bool going = true;
    while (going) {
        size_t len = 0;
        request[0] = '\0';
        while (!complete(request, len) && len < REQUEST_SIZE - 1) {
            ssize_t count = read_some(server, request + len, REQUEST_SIZE - 1 - len);
            if (count <= 0) {
                free(request);
                return;
            }
            len += (size_t)count;
            request[len] = '\0';
        }
        atomic_fetch_add(&server->requests, 1);
        going = server->handler(server, request);
    }
    free(request);
}

static void *run_server(void *context)
{
    struct local_server *server = context;
    while (readable(server->listener, &server->stopping)) {
        server->fd = accept(server->listener, NULL, NULL);
        if (server->fd < 0)
            continue;
        atomic_fetch_add(&server->connections, 1);
        server->ssl = NULL;
        if (server->tls != NULL) {
            server->ssl = SSL_new(server->tls);
            SSL_set_fd(server->ssl, server->fd);
        }
        if (server->ssl == NULL || SSL_accept(server->ssl) == 1)
            serve(server);
        if (server->ssl != NULL)
            (void)SSL_shutdown(server->ssl);
        SSL_free(server->ssl);
        close(server->fd);
    }
    return NULL;
}

struct local_server *local_server_start(SSL_CTX *tls, local_handler handler)
{
    struct local_server *server = calloc(1, sizeof *server);
    server->tls = tls;
    server->handler = handler;
    server->listener = bind_loopback(SOCK_STREAM, &server->port);
    if (listen(server->listener, 64) != 0 || pthread_create(&server->thread, NULL, run_server, server) != 0)
        abort();
    return server;
}

int local_server_port(const struct local_server *server)
{
    return server->port;
}

int local_server_requests(struct local_server *server)
{
    return atomic_load(&server->requests);
}

int local_server_connections(struct local_server *server)
{
    return atomic_load(&server->connections);
}

void local_server_stop(struct local_server *server)
{
    atomic_store(&server->stopping, true);
    pthread_join(server->thread, NULL);
    close(server->listener);
    free(server);
}

struct local_dns {
    pthread_t thread;
    int fd;
    int port;
    atomic_bool stopping;
};

/* The name in wire form as text, and where the question ends; 0 on a strange query. */
static size_t read_question(const uint8_t *query, size_t len, char name[256], int *ret_type)
{
    size_t at = 12;
    size_t out = 0;
    while (at < len && query[at] != 0 && query[at] < 64 && at + query[at] < len && out + query[at] < 250) {
        for (size_t i = 1; i <= query[at]; i++)
            name[out++] = (char)query[at + i];
        name[out++] = '.';
        at += query[at] + 1U;
    }
    if (out == 0 || at + 5 > len)
        return 0;
    name[out - 1] = '\0';
    *ret_type = query[at + 1] << 8 | query[at + 2];
    return at + 5;
}

static size_t add_record(uint8_t *reply, size_t at, int owner, int type, const void *data, size_t len)
{
    const uint8_t head[] = {
        (uint8_t)(0xc0 | owner >> 8), (uint8_t)owner, 0, (uint8_t)type, 0, 1, 0, 0, 0, 60, 0, (uint8_t)len};
    memcpy(reply + at, head, sizeof head);
    memcpy(reply + at + sizeof head, data, len);
    reply[7]++;
    return at + sizeof head + len;
}

static size_t add_answers(uint8_t *reply, size_t end, const char *name, int type)
{
    static const uint8_t loopback[] = {127, 0, 0, 1};
    static const uint8_t metadata[] = {169, 254, 169, 254};
    static const uint8_t loopback6[16] = {[15] = 1};
    static const uint8_t target[] = "\2v4\7example";
    size_t at = end;
    if (strcasecmp(name, "alias.example") == 0) {
        size_t owner = at + 12;
        at = add_record(reply, at, 12, 5, target, sizeof target);
        return type == 1 ? add_record(reply, at, (int)owner, 1, loopback, 4) : at;
    }
    bool both = strcasecmp(name, "both.example") == 0;
    if (type == 1 && (both || strcasecmp(name, "v4.example") == 0))
        return add_record(reply, at, 12, 1, loopback, 4);
    if (type == 28 && both)
        return add_record(reply, at, 12, 28, loopback6, 16);
    if (type == 1 && strcasecmp(name, "inner.example") == 0)
        return add_record(reply, at, 12, 1, metadata, 4);
    return at;
}

static int rcode_of(const char *name)
{
    static const char *const known[] = {"v4.example", "alias.example", "both.example", "inner.example",
                                        "none.example"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(name, known[i]) == 0)
            return 0;
    return strcasecmp(name, "fail.example") == 0 ? 2 : 3;
}

static void *run_dns(void *context)
{
    struct local_dns *dns = context;
    while (readable(dns->fd, &dns->stopping)) {
        uint8_t packet[1024];
        char name[256];
        int type = 0;
        struct sockaddr_storage from;
        socklen_t from_len = sizeof from;
        ssize_t len = recvfrom(dns->fd, packet, 512, 0, (struct sockaddr *)&from, &from_len);
        size_t end = len > 12 ? read_question(packet, (size_t)len, name, &type) : 0;
        if (end == 0 || strcasecmp(name, "mute.example") == 0)
            continue;
        packet[2] = 0x81;
        packet[3] = (uint8_t)(0x80 | rcode_of(name));
        memset(packet + 6, 0, 6);
        end = add_answers(packet, end, name, type);
        (void)sendto(dns->fd, packet, end, 0, (struct sockaddr *)&from, from_len);
    }
    return NULL;
}

struct local_dns *local_dns_start(void)
{
    struct local_dns *dns = calloc(1, sizeof *dns);
    dns->fd = bind_loopback(SOCK_DGRAM, &dns->port);
    if (pthread_create(&dns->thread, NULL, run_dns, dns) != 0)
        abort();
    return dns;
}

int local_dns_port(const struct local_dns *dns)
{
    return dns->port;
}

void local_dns_stop(struct local_dns *dns)
{
    atomic_store(&dns->stopping, true);
    pthread_join(dns->thread, NULL);
    close(dns->fd);
    free(dns);
}
