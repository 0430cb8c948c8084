/* The outbound loop: one thread with libcurl's multi interface and libunbound on one event_base. It carries
 * calls to upstreams and the fetches of validations, thousands in flight. */
#ifndef ACME_SERVER_OUTBOUND_H
#define ACME_SERVER_OUTBOUND_H

#include "backends/issuer.h"
#include "base/http_call.h"
#include "server/address_policy.h"
#include "server/dns_message.h"

struct acme_outbound;

struct acme_outbound_options {
    const char *const *resolvers; /* "192.0.2.1", "192.0.2.1@53"/"[2001:db8::1]:53" forms; count 0: the
                                     system's /etc/resolv.conf */
    size_t resolver_count;
    const char *trust_anchor_file;            /* DNSSEC is verified with it; NULL: it is not */
    const struct acme_address_policy *policy; /* for fetches only; borrowed */
    size_t max_fetches; /* fetches, lookups and probes under way at once; more wait in line (bounded by the
                           job runner) */
};

/** acme_outbound_start(options, ret): start the thread. Errors: IO (also: the trust anchor is not usable;
 * logged), NOMEM, FORMAT (a resolver is not an address; logged). */
struct acme_err acme_outbound_start(const struct acme_outbound_options *options,
                                    struct acme_outbound **ret) ACME_MUST_USE;
/** acme_outbound_stop(outbound): cancel everything under way (each done is called with CANCELLED), end and
 * join the thread. NULL allowed. */
void acme_outbound_stop(struct acme_outbound *outbound);

enum acme_outbound_failure {
    ACME_OUTBOUND_OK,      /* `reply` is there, or `records` are */
    ACME_OUTBOUND_DNS,     /* no usable address: NXDOMAIN, no records, SERVFAIL, bogus; lookup: no answer */
    ACME_OUTBOUND_DENIED,  /* the address policy forbids the address, or a redirect leads where it must not */
    ACME_OUTBOUND_CONNECT, /* refused, unreachable, connect timed out: nothing was sent */
    ACME_OUTBOUND_TLS,     /* handshake or certificate: nothing was sent */
    ACME_OUTBOUND_TIMEOUT, /* after the request may have been sent */
    ACME_OUTBOUND_BROKEN,  /* connection lost or not HTTP, after the request may have been sent */
    ACME_OUTBOUND_TOO_LARGE, /* reply over its cap */
    ACME_OUTBOUND_REDIRECTS, /* too many, or a loop */
    ACME_OUTBOUND_LOGIN,     /* call: no token, the login was refused just now; the call was not made */
    ACME_OUTBOUND_CANCELLED  /* we are stopping */
};

struct acme_outbound_result {
    enum acme_outbound_failure failure;
    const struct acme_http_reply *reply; /* OK only */
    const char *detail; /* what was seen, fit for a problem document: addresses, port, libcurl's reason; never
                           header values */
    const char *final_url;                  /* fetch: the URL answered, after redirects */
    const struct acme_dns_records *records; /* lookup, OK only: none is a proper answer, see `detail` */
    /* probe, OK only: */
    struct acme_bytes alpn;        /* the protocol the peer chose; empty: none */
    struct acme_bytes certificate; /* DER; empty: it has shown none */
};

/* Called once per call on the outbound thread; `result` is valid only during it. Must not block. */
typedef void (*acme_outbound_done)(void *context, const struct acme_outbound_result *result);

/** acme_outbound_call(outbound, transport, call, done, context): one upstream call; everything of `call` and
 * `transport` is copied. Connections are kept and reused. Redirects are not followed. POST, PUT and DELETE
 * get a connection of their own, since libcurl would repeat them when a kept one turns out dead. Errors:
 * NOMEM, STATE (stopping), FORMAT (a header with a line end): done is then not called. Thread: any. */
struct acme_err acme_outbound_call(struct acme_outbound *outbound, const struct acme_transport *transport,
                                   const struct acme_http_call *call, acme_outbound_done done,
                                   void *context) ACME_MUST_USE;

/** acme_outbound_wait(outbound, delay_ms, done, context): nothing but time: `done` comes after delay_ms with
 * OK and nothing else. Errors: as above. */
struct acme_err acme_outbound_wait(struct acme_outbound *outbound, int64_t delay_ms, acme_outbound_done done,
                                   void *context) ACME_MUST_USE;

struct acme_fetch {
    const char *url; /* http://... */
    int http_port;   /* the port meant by http:// without one (80, or the configured one) and the only one
                        allowed for http */
    int https_port;  /* likewise for https redirects (443) */
    int max_redirects;
    int timeout_ms; /* for all of it */
    size_t max_bytes;
};

/** acme_outbound_fetch(outbound, fetch, done, context): a validation's GET. Names are resolved through our
 * resolver (AAAA first, then A; names under .localhost are loopback; literal addresses as they are), each
 * address is checked against the policy before connecting, and the connected socket's peer again; redirects
 * 301, 302, 303, 307, 308 are followed by hand with all checks anew, to http and https and the two ports
 * only; TLS certificates are not verified (RFC 8555 section 8.3 leaves it open, and the client asking has
 * none yet). No proxy, no cookies, no reuse of connections. Errors: as above. */
struct acme_err acme_outbound_fetch(struct acme_outbound *outbound, const struct acme_fetch *fetch,
                                    acme_outbound_done done, void *context) ACME_MUST_USE;

/** acme_outbound_lookup(outbound, name, type, timeout_ms, done, context): the records of one type that the
 * DNS has for `name`, along CNAMEs; nothing is taken from an earlier answer. NXDOMAIN and a name without such
 * records are OK with no records, and `detail` says which; everything else ("SERVFAIL looking up TXT for x",
 * bogus, malformed, too many, timed out) is the failure DNS. Counts against max_fetches. Errors: as above. */
struct acme_err acme_outbound_lookup(struct acme_outbound *outbound, const char *name, int type,
                                     int timeout_ms, acme_outbound_done done, void *context) ACME_MUST_USE;

struct acme_probe {
    const char *host; /* a DNS name, or an address (IPv6 without brackets) */
    int port;
    const char *server_name; /* SNI */
    const char *alpn;        /* the one protocol that is offered */
    int timeout_ms;          /* for all of it */
    size_t max_bytes;        /* read during the handshake */
};

/** acme_outbound_probe(outbound, options, done, context): a TLS handshake (1.2 or newer) to see the peer's
 * certificate, which is not verified; then the connection is closed, and nothing else is sent. Addresses are
 * found and checked as for fetches, and the next one is tried only when there is no connection to one.
 * Errors: as above. */
struct acme_err acme_outbound_probe(struct acme_outbound *outbound, const struct acme_probe *options,
                                    acme_outbound_done done, void *context) ACME_MUST_USE;

#endif
