#include "server/resolver.h"

#include "base/log.h"
#include "server/port.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unbound-event.h>
#include <unbound.h>

enum { MAX_NAME = 253, EACH_FAMILY = ACME_DNS_MAX_ADDRESSES / 2, SERVER_SIZE = 64 };

/* Alive until both answers are in, even when cancelled: libunbound holds it. */
struct acme_lookup {
    struct acme_lookup *prev;
    struct acme_lookup *next;
    struct acme_resolver *resolver;
    struct event *finish;
    acme_lookup_done done; /* NULL: cancelled */
    void *context;
    int pending;
    int v6_rcode;
    int v4_rcode;
    bool bogus;
    bool malformed;
    struct acme_ip_list v6;
    struct acme_ip_list v4;
    char name[MAX_NAME + 1];
};

struct acme_resolver {
    struct event_base *base;
    struct ub_ctx *unbound;
    struct acme_lookup *lookups;
    char (*servers)[SERVER_SIZE]; /* in libunbound's form, address@port */
    size_t server_count;
};

static bool server_address(const char *text, char ret[SERVER_SIZE])
{
    char host[SERVER_SIZE];
    const char *port = "53";
    size_t len = strlen(text);
    if (len == 0 || len >= sizeof host)
        return false;
    memcpy(host, text, len + 1);
    char *at = strchr(host, '@');
    char *bracket = host[0] == '[' ? strchr(host, ']') : NULL;
    char *first_colon = strchr(host, ':');
    char *name = host;
    if (bracket != NULL) {
        name = host + 1;
        if (bracket[1] == ':' || bracket[1] == '@')
            port = bracket + 2;
        else if (bracket[1] != '\0')
            return false;
        *bracket = '\0';
    } else if (at != NULL) {
        port = at + 1;
        *at = '\0';
    } else if (first_colon != NULL && strchr(first_colon + 1, ':') == NULL) {
        port = first_colon + 1;
        *first_colon = '\0';
    }
    unsigned char address[16];
    int number = 0;
    if (!acme_port_parse(port, strlen(port), 1, &number) ||
        (inet_pton(AF_INET, name, address) != 1 && inet_pton(AF_INET6, name, address) != 1))
        return false;
    int written = snprintf(ret, SERVER_SIZE, "%s@%s", name, port);
    return written > 0 && written < SERVER_SIZE;
}

struct acme_err acme_resolver_create(struct event_base *base, const char *const *servers, size_t count,
                                     struct acme_resolver **ret)
{
    struct acme_resolver *resolver = calloc(1, sizeof *resolver);
    ENSURE(resolver != NULL, ACME_E_NOMEM);
    resolver->base = base;
    if (count > 0 && (resolver->servers = calloc(count, SERVER_SIZE)) == NULL) {
        acme_resolver_destroy(resolver);
        return acme_err(ACME_E_NOMEM);
    }
    for (; resolver->server_count < count; resolver->server_count++) {
        const char *server = servers[resolver->server_count];
        if (!server_address(server, resolver->servers[resolver->server_count])) {
            acme_log(ERROR, "not the address of a DNS resolver", LOG_STR("resolver", server));
            acme_resolver_destroy(resolver);
            return acme_err(ACME_E_FORMAT);
        }
    }
    *ret = resolver;
    return acme_ok();
}

static void destroy_lookup(struct acme_lookup *lookup)
{
    if (lookup->prev != NULL)
        lookup->prev->next = lookup->next;
    else
        lookup->resolver->lookups = lookup->next;
    if (lookup->next != NULL)
        lookup->next->prev = lookup->prev;
    event_free(lookup->finish);
    free(lookup);
}

void acme_resolver_destroy(struct acme_resolver *resolver)
{
    if (resolver == NULL)
        return;
    if (resolver->unbound != NULL)
        ub_ctx_delete(resolver->unbound);
    while (resolver->lookups != NULL)
        destroy_lookup(resolver->lookups);
    free(resolver->servers);
    free(resolver);
}

static int set_servers(struct acme_resolver *resolver, struct ub_ctx *unbound)
{
    int failure = 0;
    for (size_t i = 0; i < resolver->server_count && failure == 0; i++)
        failure = ub_ctx_set_fwd(unbound, resolver->servers[i]);
    if (resolver->server_count == 0) {
        failure = ub_ctx_resolvconf(unbound, NULL);
        (void)ub_ctx_hosts(unbound, NULL); /* a host without the file is fine */
    }
    return failure;
}

static int set_options(struct ub_ctx *unbound)
{
    static const char *const options[][2] = {
        {"do-not-query-localhost:", "no"}, /* a resolver on this host is normal */
        {"cache-max-ttl:", "60"},          /* a validation that was repaired should not meet old data */
        {"cache-max-negative-ttl:", "5"},
        {"msg-cache-size:", "1m"},
        {"rrset-cache-size:", "1m"},
        {"infra-cache-numhosts:", "1000"},
        {"infra-keep-probing:", "yes"}, /* forwarders that come back are
                                           used again at once */
        /* Names whose DNS never answers hold a place for seconds: room for many of them beside the living. */
        {"outgoing-range:", "3072"},
        {"num-queries-per-thread:", "6144"},
    };
    int failure = 0;
    for (size_t i = 0; i < sizeof options / sizeof *options && failure == 0; i++)
        failure = ub_ctx_set_option(unbound, options[i][0], options[i][1]);
    return failure;
}

static struct acme_err set_up(struct acme_resolver *resolver)
{
    struct ub_ctx *unbound = ub_ctx_create_event(resolver->base);
    ENSURE(unbound != NULL, ACME_E_NOMEM);
    (void)ub_ctx_debugout(unbound, NULL); /* its words would not be logfmt; failures reach us as results */
    int failure = set_options(unbound);
    if (failure == 0)
        failure = set_servers(resolver, unbound);
    /* libunbound answers these itself by default; inside a company they may well exist. */
    static const char *const local[] = {"test.", "home.arpa."};
    for (size_t i = 0; i < sizeof local / sizeof *local && failure == 0; i++)
        failure = ub_ctx_zone_remove(unbound, local[i]);
    if (failure != 0) {
        acme_log(ERROR, "cannot set up the DNS resolver", LOG_STR("reason", ub_strerror(failure)));
        ub_ctx_delete(unbound);
        return acme_err(ACME_E_IO);
    }
    resolver->unbound = unbound;
    return acme_ok();
}

static void explain(const struct acme_lookup *lookup, char *out, size_t size)
{
    if (lookup->bogus)
        (void)snprintf(out, size, "the DNSSEC signatures for %s are bogus", lookup->name);
    else if (lookup->v4_rcode != 0)
        (void)snprintf(out, size, "%s looking up A for %s", acme_dns_rcode_name(lookup->v4_rcode),
                       lookup->name);
    else if (lookup->v6_rcode != 0)
        (void)snprintf(out, size, "%s looking up AAAA for %s", acme_dns_rcode_name(lookup->v6_rcode),
                       lookup->name);
    else if (lookup->malformed)
        (void)snprintf(out, size, "a malformed DNS answer for %s", lookup->name);
    else
        (void)snprintf(out, size, "no A or AAAA records for %s", lookup->name);
}

static void on_finish(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct acme_lookup *lookup = context;
    struct acme_ip_list all = lookup->v6;
    for (size_t i = 0; i < lookup->v4.count; i++)
        all.ip[all.count++] = lookup->v4.ip[i];
    char why[MAX_NAME + 64] = "";
    if (all.count == 0)
        explain(lookup, why, sizeof why);
    acme_lookup_done done = lookup->done;
    void *done_context = lookup->context;
    destroy_lookup(lookup);
    if (done != NULL)
        done(done_context, &all, why);
}

static void settle(struct acme_lookup *lookup)
{
    if (--lookup->pending == 0) /* later, from the loop: libunbound may call from within ub_resolve_event */
        event_active(lookup->finish, EV_TIMEOUT, 0);
}

static void take(struct acme_lookup *lookup, int type, int rcode, const void *packet, int len, int security)
{
    struct acme_ip_list *list = type == ACME_DNS_TYPE_A ? &lookup->v4 : &lookup->v6;
    int *ret_rcode = type == ACME_DNS_TYPE_A ? &lookup->v4_rcode : &lookup->v6_rcode;
    if (rcode == 0 && packet != NULL && len >= 4)
        rcode = ((const uint8_t *)packet)[3] & 0x0f; /* `rcode` itself tells libunbound's own failures only */
    *ret_rcode = rcode;
    if (security == 1)
        lookup->bogus = true;
    else if (rcode == 0 &&
             (len < 0 || packet == NULL ||
              acme_failed(acme_dns_read_addresses(packet, (size_t)len, type, EACH_FAMILY, list))))
        lookup->malformed = true;
    settle(lookup);
}

static void on_v6(void *context, int rcode, void *packet, int len, int security, char *why, int ratelimited)
{
    (void)why;
    (void)ratelimited;
    take(context, ACME_DNS_TYPE_AAAA, rcode, packet, len, security);
}

static void on_v4(void *context, int rcode, void *packet, int len, int security, char *why, int ratelimited)
{
    (void)why;
    (void)ratelimited;
    take(context, ACME_DNS_TYPE_A, rcode, packet, len, security);
}

struct acme_err acme_resolver_lookup(struct acme_resolver *resolver, const char *name, acme_lookup_done done,
                                     void *context, struct acme_lookup **ret)
{
    ENSURE(strlen(name) <= MAX_NAME, ACME_E_NOMEM);
    if (resolver->unbound == NULL)
        TRY(set_up(resolver));
    struct acme_lookup *lookup = calloc(1, sizeof *lookup);
    ENSURE(lookup != NULL, ACME_E_NOMEM);
    lookup->finish = event_new(resolver->base, -1, 0, on_finish, lookup);
    if (lookup->finish == NULL) {
        free(lookup);
        return acme_err(ACME_E_NOMEM);
    }
    memcpy(lookup->name, name, strlen(name) + 1);
    lookup->resolver = resolver;
    lookup->done = done;
    lookup->context = context;
    lookup->pending = 2;
    lookup->next = resolver->lookups;
    if (lookup->next != NULL)
        lookup->next->prev = lookup;
    resolver->lookups = lookup;
    const int internet = 1;
    const int servfail = 2;
    if (ub_resolve_event(resolver->unbound, name, ACME_DNS_TYPE_AAAA, internet, lookup, on_v6, NULL) != 0)
        take(lookup, ACME_DNS_TYPE_AAAA, servfail, NULL, 0, 0);
    if (ub_resolve_event(resolver->unbound, name, ACME_DNS_TYPE_A, internet, lookup, on_v4, NULL) != 0)
        take(lookup, ACME_DNS_TYPE_A, servfail, NULL, 0, 0);
    *ret = lookup;
    return acme_ok();
}

void acme_lookup_cancel(struct acme_lookup *lookup)
{
    lookup->done = NULL;
}
