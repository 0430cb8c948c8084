#include "base/log.h"
#include "server/http_internal.h"
#include "server/http_tls.h"
#include "server/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "192.0.2.1:443" or "[2001:db8::1]:443" */
static bool parse_listen(const char *listen, struct sockaddr_storage *ret, int *ret_len)
{
    char host[INET6_ADDRSTRLEN + 2];
    const char *colon = strrchr(listen, ':');
    if (colon == NULL || (size_t)(colon - listen) >= sizeof host)
        return false;
    size_t len = (size_t)(colon - listen);
    memcpy(host, listen, len);
    host[len] = '\0';
    int number = 0;
    if (!acme_port_parse(colon + 1, strlen(colon + 1), 0, &number))
        return false;
    uint16_t port = htons((uint16_t)number);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = port};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = port};
    if (inet_pton(AF_INET, host, &in.sin_addr) == 1) {
        memcpy(ret, &in, sizeof in);
        *ret_len = sizeof in;
        return true;
    }
    if (len < 2 || host[0] != '[' || host[len - 1] != ']')
        return false;
    host[len - 1] = '\0';
    if (inet_pton(AF_INET6, host + 1, &in6.sin6_addr) != 1)
        return false;
    memcpy(ret, &in6, sizeof in6);
    *ret_len = sizeof in6;
    return true;
}

static int port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return 0;
    if (address.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&address)->sin6_port);
    return ntohs(((const struct sockaddr_in *)&address)->sin_port);
}

static void set_port(struct sockaddr_storage *address, int port)
{
    if (address->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)address)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)address)->sin_port = htons((uint16_t)port);
}

/* The loops share their port by SO_REUSEPORT, which would also let a second acmebridge of the same user in,
 * and the kernel would deal the clients out between the two. A socket without that option finds out. */
static struct acme_err check_unused(const struct sockaddr_storage *address, int len)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ENSURE(fd >= 0, ACME_E_IO);
    const int on = 1; /* connections of an earlier run may still be in TIME_WAIT */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool unused = bind(fd, (const struct sockaddr *)address, (socklen_t)len) == 0 && listen(fd, 1) == 0;
    int saved_errno = errno;
    close(fd);
    errno = saved_errno;
    return acme_err(unused ? ACME_OK : ACME_E_IO);
}

/* All loops listen before the first one serves, on the port that the first got. */
static struct acme_err start_loops(struct acme_http_server *server, struct sockaddr_storage *address, int len)
{
    TRY(check_unused(address, len));
    for (int i = 0; i < server->options.loops; i++) {
        struct acme_http_loop *loop = &server->loops[i];
        server->loop_count = i + 1;
        TRY(acme_http_loop_init(loop, server, (struct sockaddr *)address, len));
        if (i == 0) {
            server->port = port_of(evconnlistener_get_fd(loop->listener));
            set_port(address, server->port);
        }
    }
    for (int i = 0; i < server->loop_count; i++)
        TRY(acme_http_loop_start(&server->loops[i], i));
    return acme_ok();
}

struct acme_err acme_http_start(const struct acme_http_options *options,
                                const struct acme_http_callbacks *callbacks, SSL_CTX *tls,
                                struct acme_http_server **ret)
{
    ENSURE(options->loops > 0 && options->request_deadline_ms > 0 && options->idle_timeout_ms > 0,
           ACME_E_INTERNAL);
    struct sockaddr_storage address = {0};
    int address_len = 0;
    if (!parse_listen(options->listen, &address, &address_len)) {
        acme_log(ERROR, "not an address with a port to listen on", LOG_STR("address", options->listen));
        return acme_err(ACME_E_IO);
    }
    struct acme_http_server *server = calloc(1, sizeof *server);
    ENSURE(server != NULL, ACME_E_NOMEM);
    server->options = *options;
    server->options.listen = NULL;
    server->callbacks = *callbacks;
    pthread_mutex_init(&server->tls_lock, NULL);
    server->plain = tls == NULL;
    if (tls != NULL)
        acme_http_set_tls(server, tls);
    server->peers = acme_http_peers_create(options->max_connections_per_address);
    server->loops = calloc((size_t)options->loops, sizeof *server->loops);
    struct acme_err err = acme_err(ACME_E_NOMEM);
    errno = 0;
    if (server->peers != NULL && server->loops != NULL)
        err = start_loops(server, &address, address_len);
    if (acme_failed(err)) {
        char reason[128];
        acme_log(ERROR, "cannot listen", LOG_STR("address", options->listen),
                 LOG_STR("reason", strerror_r(errno, reason, sizeof reason)));
        acme_http_stop(server);
        return err;
    }
    *ret = server;
    return acme_ok();
}

void acme_http_set_tls(struct acme_http_server *server, SSL_CTX *tls)
{
    acme_tls_prepare_server(tls);
    SSL_CTX_up_ref(tls);
    pthread_mutex_lock(&server->tls_lock);
    SSL_CTX *before = server->tls;
    server->tls = tls;
    pthread_mutex_unlock(&server->tls_lock);
    SSL_CTX_free(before);
}

int acme_http_port(const struct acme_http_server *server)
{
    return server->port;
}

void acme_http_drain(struct acme_http_server *server)
{
    atomic_store(&server->draining, true);
    for (int i = 0; i < server->loop_count; i++)
        acme_inbox_wake(&server->loops[i].inbox);
}

bool acme_http_is_drained(const struct acme_http_server *server)
{
    return atomic_load(&server->connections) == 0;
}

void acme_http_stop(struct acme_http_server *server)
{
    if (server == NULL)
        return;
    atomic_store(&server->stopping, true);
    for (int i = 0; i < server->loop_count; i++)
        acme_http_loop_finish(&server->loops[i]);
    free(server->loops);
    acme_http_peers_destroy(server->peers);
    SSL_CTX_free(server->tls);
    pthread_mutex_destroy(&server->tls_lock);
    free(server);
}
