/* How many connections each client address has. Shared by all loops, touched once per connection. */
#ifndef ACME_SERVER_HTTP_PEERS_H
#define ACME_SERVER_HTTP_PEERS_H

#include "base/err.h"

#include <stddef.h>
#include <sys/socket.h>

struct acme_http_peers;
struct acme_http_peer;

/** acme_http_peers_create(max_each): at most `max_each` connections per IPv4 address or IPv6 /64 (one host
 * has a whole /64); 0: no limit. NULL without memory. Destroy when nobody is in. */
struct acme_http_peers *acme_http_peers_create(size_t max_each);
void acme_http_peers_destroy(struct acme_http_peers *peers);

/** acme_http_peers_enter(peers, address, ret): count one more connection; give *ret back to _leave. Errors:
 * BUSY (too many already), NOMEM. Thread: any. */
struct acme_err acme_http_peers_enter(struct acme_http_peers *peers, const struct sockaddr *address,
                                      struct acme_http_peer **ret) ACME_MUST_USE;
void acme_http_peers_leave(struct acme_http_peers *peers, struct acme_http_peer *peer);

#endif
