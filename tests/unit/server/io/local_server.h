/* Small blocking servers on loopback for the outbound tests: one thread each, one connection at a time. */
#ifndef ACME_TESTS_LOCAL_SERVER_H
#define ACME_TESTS_LOCAL_SERVER_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

struct local_server;

/* One request head (and body, if announced) came; write an answer with local_write. False: close the
 * connection. */
typedef bool (*local_handler)(struct local_server *server, const char *request);

/** local_server_start(tls, handler): serve on 127.0.0.1, with TLS if `tls`. */
struct local_server *local_server_start(SSL_CTX *tls, local_handler handler);
int local_server_port(const struct local_server *server);
/** local_server_requests / _connections(server): counted so far. */
int local_server_requests(struct local_server *server);
int local_server_connections(struct local_server *server);
void local_server_stop(struct local_server *server);

void local_write(struct local_server *server, const char *data, size_t len);
void local_answer(struct local_server *server, int status, const char *fields, const char *body);

/* A DNS server on 127.0.0.1/udp. Names: "v4.example" has A 127.0.0.1; "alias.example" is a CNAME of it;
 * "both.example" has AAAA ::1 as well; "inner.example" has A 169.254.169.254; "none.example" has nothing;
 * "fail.example" SERVFAIL; "mute.example" is never answered; all others NXDOMAIN. */
struct local_dns;
struct local_dns *local_dns_start(void);
int local_dns_port(const struct local_dns *dns);
void local_dns_stop(struct local_dns *dns);

#endif
