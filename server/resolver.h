/* DNS on the outbound loop, through libunbound: our own resolver settings, nothing kept, real DNS errors.
 * Everything belongs to the loop's thread. */
#ifndef ACME_SERVER_RESOLVER_H
#define ACME_SERVER_RESOLVER_H

#include "server/dns_message.h"

#include <event2/event.h>

struct acme_resolver;
struct acme_query;
struct acme_lookup;

struct acme_resolver_options {
    /* "192.0.2.1", "192.0.2.1:53", "192.0.2.1@53", "2001:db8::1", "[2001:db8::1]:53"; none: those of
     * /etc/resolv.conf, and /etc/hosts */
    const char *const *servers;
    size_t server_count;
    const char *hosts_file;        /* NULL: /etc/hosts where `servers` are none, else no such file */
    const char *trust_anchor_file; /* DNSSEC: what answers are verified with; NULL: they are not */
};

/** acme_resolver_create(base, options, ret): `options` is copied. libunbound itself is set up at the first
 * query, for its memory; with a trust anchor at once, to find its mistakes. Errors: NOMEM, FORMAT (a server
 * is not an address), IO (libunbound refuses the trust anchor); logged. */
struct acme_err acme_resolver_create(struct event_base *base, const struct acme_resolver_options *options,
                                     struct acme_resolver **ret) ACME_MUST_USE;

/** acme_resolver_destroy(resolver): before its event base; queries under way end without a call. Lookups must
 * have been cancelled. NULL is allowed. */
void acme_resolver_destroy(struct acme_resolver *resolver);

struct acme_dns_answer {
    int rcode;             /* 0 NOERROR, 2 SERVFAIL, 3 NXDOMAIN ... */
    bool bogus;            /* DNSSEC says that this is not what the zone's owner published */
    const uint8_t *packet; /* the answer, for acme_dns_read_...; NULL: there is none */
    size_t len;
};

/* `answer` is valid during the call only. */
typedef void (*acme_query_done)(void *context, const struct acme_dns_answer *answer);

/** acme_resolver_query(resolver, name, type, done, context, ret): ask for the records of one type (RFC 1035
 * number). `done` is called once, later, from the loop, unless the query is cancelled. Errors: NOMEM, IO
 * (libunbound cannot be set up; logged). */
struct acme_err acme_resolver_query(struct acme_resolver *resolver, const char *name, int type,
                                    acme_query_done done, void *context,
                                    struct acme_query **ret) ACME_MUST_USE;
void acme_query_cancel(struct acme_query *query); /* NULL is allowed */

/* ---- names to addresses (resolver_addresses.c) ---- */

/* `addresses`: IPv6 first, then IPv4. When empty, `why` says so: "NXDOMAIN looking up A for x". Both valid
 * during the call only. */
typedef void (*acme_lookup_done)(void *context, const struct acme_ip_list *addresses, const char *why);

/** acme_resolver_lookup(resolver, name, done, context, ret): ask for AAAA and A at once. `done` is called
 * once, later, from the loop, unless the lookup is cancelled. Errors: as acme_resolver_query. */
struct acme_err acme_resolver_lookup(struct acme_resolver *resolver, const char *name, acme_lookup_done done,
                                     void *context, struct acme_lookup **ret) ACME_MUST_USE;
void acme_lookup_cancel(struct acme_lookup *lookup);

#endif
