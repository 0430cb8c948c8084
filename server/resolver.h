/* Names to addresses on the outbound loop, through libunbound: our own resolver settings, short caches, real
 * DNS errors. Everything belongs to the loop's thread. */
#ifndef ACME_SERVER_RESOLVER_H
#define ACME_SERVER_RESOLVER_H

#include "server/dns_message.h"

#include <event2/event.h>

struct acme_resolver;
struct acme_lookup;

/** acme_resolver_create(base, servers, count, ret): `servers` ("192.0.2.1", "192.0.2.1:53", "192.0.2.1@53",
 * "2001:db8::1",
 *  "[2001:db8::1]:53") are copied; none: /etc/resolv.conf and /etc/hosts. libunbound itself is set up at the
 * first lookup, for its memory. Errors: NOMEM, FORMAT (a server is not an address). */
struct acme_err acme_resolver_create(struct event_base *base, const char *const *servers, size_t count,
                                     struct acme_resolver **ret) ACME_MUST_USE;

/** acme_resolver_destroy(resolver): before its event base; lookups under way end without a call. NULL is
 * allowed. */
void acme_resolver_destroy(struct acme_resolver *resolver);

/* `addresses`: IPv6 first, then IPv4. When empty, `why` says so: "NXDOMAIN looking up A for x". Both valid
 * during the call only. */
typedef void (*acme_lookup_done)(void *context, const struct acme_ip_list *addresses, const char *why);

/** acme_resolver_lookup(resolver, name, done, context, ret): ask for AAAA and A at once. `done` is called
 * once, later, from the loop, unless the lookup is cancelled. Errors: NOMEM, IO (libunbound cannot be set up;
 * logged). */
struct acme_err acme_resolver_lookup(struct acme_resolver *resolver, const char *name, acme_lookup_done done,
                                     void *context, struct acme_lookup **ret) ACME_MUST_USE;
void acme_lookup_cancel(struct acme_lookup *lookup);

#endif
