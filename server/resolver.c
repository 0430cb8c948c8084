#include "server/resolver.h"

#include "base/buf.h"
#include "base/log.h"
#include "server/port.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unbound-event.h>
#include <unbound.h>
#include <unistd.h>

/* libunbound's word for zones of which the DNS knows what is not given here. */
#define BESIDE_THE_DNS "typetransparent"

enum { MAX_NAME = 253, SERVER_SIZE = 64, MAX_SYSTEM_SERVERS = 8, MAX_CONFIG = 64 * 1024, MAX_LINE = 512 };

/* Alive until its answer is in, even when cancelled: libunbound holds it. */
struct acme_query {
    struct acme_query *prev;
    struct acme_query *next;
    struct acme_resolver *resolver;
    struct event *finish;
    acme_query_done done; /* NULL: cancelled */
    void *context;
    int rcode;
    bool bogus;
    uint8_t *packet;
    size_t len;
};

struct acme_resolver {
    struct event_base *base;
    struct ub_ctx *unbound;
    struct acme_query *queries;
    char (*servers)[SERVER_SIZE]; /* in libunbound's form, address@port */
    size_t server_count;
    char *hosts_file;
    char *trust_anchor_file;
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

static struct acme_err copy_options(struct acme_resolver *resolver,
                                    const struct acme_resolver_options *options)
{
    if (options->trust_anchor_file != NULL) {
        resolver->trust_anchor_file = strdup(options->trust_anchor_file);
        ENSURE(resolver->trust_anchor_file != NULL, ACME_E_NOMEM);
    }
    if (options->hosts_file != NULL) {
        resolver->hosts_file = strdup(options->hosts_file);
        ENSURE(resolver->hosts_file != NULL, ACME_E_NOMEM);
    }
    if (options->server_count == 0)
        return acme_ok();
    resolver->servers = calloc(options->server_count, SERVER_SIZE);
    ENSURE(resolver->servers != NULL, ACME_E_NOMEM);
    for (; resolver->server_count < options->server_count; resolver->server_count++) {
        const char *server = options->servers[resolver->server_count];
        if (server_address(server, resolver->servers[resolver->server_count]))
            continue;
        acme_log(ERROR, "not the address of a DNS resolver", LOG_STR("resolver", server));
        return acme_err(ACME_E_FORMAT);
    }
    return acme_ok();
}

static void release_query(struct acme_query *query)
{
    event_free(query->finish);
    free(query->packet);
    free(query);
}

static void destroy_query(struct acme_query *query)
{
    if (query->prev != NULL)
        query->prev->next = query->next;
    else
        query->resolver->queries = query->next;
    if (query->next != NULL)
        query->next->prev = query->prev;
    release_query(query);
}

void acme_resolver_destroy(struct acme_resolver *resolver)
{
    if (resolver == NULL)
        return;
    if (resolver->unbound != NULL)
        ub_ctx_delete(resolver->unbound);
    for (struct acme_query *query = resolver->queries; query != NULL;) {
        struct acme_query *next = query->next;
        release_query(query);
        query = next;
    }
    free(resolver->hosts_file);
    free(resolver->trust_anchor_file);
    free(resolver->servers);
    free(resolver);
}

/* ---- setting up libunbound ---- */

static void add_forward(struct acme_buf *config, const char *server)
{
    acme_buf_printf(config, "  forward-addr: %s\n", server);
}

/* The resolvers of /etc/resolv.conf, and this host when it names none, as the C library has it. */
static void add_system_servers(struct acme_buf *config)
{
    FILE *file = fopen("/etc/resolv.conf", "re");
    size_t count = 0;
    char line[MAX_LINE];
    while (file != NULL && count < MAX_SYSTEM_SERVERS && fgets(line, sizeof line, file) != NULL) {
        static const char keyword[] = "nameserver";
        char server[SERVER_SIZE];
        char *text = line + strspn(line, " \t");
        if (strncmp(text, keyword, sizeof keyword - 1) != 0)
            continue;
        text += sizeof keyword - 1;
        size_t gap = strspn(text, " \t");
        text += gap;
        text[strcspn(text, " \t\r\n")] = '\0';
        if (gap == 0 || !server_address(text, server))
            continue;
        add_forward(config, server);
        count++;
    }
    if (file != NULL)
        (void)fclose(file);
    if (count == 0)
        add_forward(config, "127.0.0.1@53");
}

static void write_config(const struct acme_resolver *resolver, struct acme_buf *config)
{
    acme_buf_str(config,
                 "server:\n"
                 "  do-not-query-localhost: no\n" /* a resolver on this host is normal */
                 "  msg-cache-size: 1m\n"
                 "  rrset-cache-size: 1m\n"
                 "  infra-cache-numhosts: 1000\n"
                 /* A question that a resolver leaves unanswered says nothing about the next: else a few names
                  * whose servers are silent would get everybody's resolver taken for dead. */
                 "  infra-host-ttl: 0\n"
                 /* Names whose DNS never answers hold a place for seconds: room for many of them
                  * beside the living. */
                 "  outgoing-range: 3072\n"
                 "  num-queries-per-thread: 6144\n"
                 /* Clients publish a record and ask within the second, and are validated again after
                  * a mistake: no answer may be used twice, not even "there is none" or "it failed".
                  * Whether the resolvers asked keep answers is up to them and to TTLs. */
                 "  aggressive-nsec: no\n"
                 "  val-bogus-ttl: 1\n"
                 /* libunbound answers these itself by default; inside a company they may well exist. */
                 "  local-zone: \"test.\" nodefault\n"
                 "  local-zone: \"home.arpa.\" nodefault\n"
                 /* A name in the hosts file has its addresses from there and everything else, its CAA records
                  * above all, from the DNS. */
                 "  local-zone: \".\" " BESIDE_THE_DNS "\n"
                 "forward-zone:\n"
                 "  name: \".\"\n"
                 "  forward-no-cache: yes\n");
    for (size_t i = 0; i < resolver->server_count; i++)
        add_forward(config, resolver->servers[i]);
    if (resolver->server_count == 0)
        add_system_servers(config);
}

/* libunbound's calls have no way to ask for forward-no-cache, only its configuration file has. */
static struct acme_err configure(const struct acme_resolver *resolver, struct ub_ctx *unbound,
                                 int *ret_failure)
{
    ACME_CLEANUP_BUF struct acme_buf config;
    acme_buf_init(&config, MAX_CONFIG);
    write_config(resolver, &config);
    ENSURE(!config.failed, ACME_E_NOMEM);
    char path[32];
    int fd = memfd_create("resolver", MFD_CLOEXEC);
    ENSURE(fd >= 0, ACME_E_IO);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (write(fd, config.data, config.len) == (ssize_t)config.len)
        *ret_failure = ub_ctx_config(unbound, path);
    (void)close(fd);
    return acme_ok();
}

static struct acme_err set_up(struct acme_resolver *resolver)
{
    struct ub_ctx *unbound = ub_ctx_create_event(resolver->base);
    ENSURE(unbound != NULL, ACME_E_NOMEM);
    (void)ub_ctx_debugout(unbound, NULL); /* its words would not be logfmt; failures reach us as results */
    int failure = UB_SYNTAX;
    struct acme_err err = configure(resolver, unbound, &failure);
    if (resolver->hosts_file != NULL || resolver->server_count == 0)
        (void)ub_ctx_hosts(unbound, resolver->hosts_file); /* a host without the file is fine */
    if (failure == 0 && resolver->trust_anchor_file != NULL)
        failure = ub_ctx_add_ta_file(unbound, resolver->trust_anchor_file);
    if (failure == 0) /* it is that already: the first call of this kind makes it read the trust anchors */
        failure = ub_ctx_zone_add(unbound, ".", BESIDE_THE_DNS);
    if (acme_failed(err) || failure != 0) {
        acme_log(ERROR, "cannot set up the DNS resolver", LOG_STR("reason", ub_strerror(failure)),
                 LOG_STR("trust_anchor_file", resolver->trust_anchor_file));
        ub_ctx_delete(unbound);
        return acme_failed(err) ? err : acme_err(ACME_E_IO);
    }
    resolver->unbound = unbound;
    return acme_ok();
}

struct acme_err acme_resolver_create(struct event_base *base, const struct acme_resolver_options *options,
                                     struct acme_resolver **ret)
{
    struct acme_resolver *resolver = calloc(1, sizeof *resolver);
    ENSURE(resolver != NULL, ACME_E_NOMEM);
    resolver->base = base;
    struct acme_err err = copy_options(resolver, options);
    if (!acme_failed(err) && resolver->trust_anchor_file != NULL)
        err = set_up(resolver);
    if (acme_failed(err)) {
        acme_resolver_destroy(resolver);
        return err;
    }
    *ret = resolver;
    return acme_ok();
}

/* ---- queries ---- */

static void on_finish(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct acme_query *query = context;
    acme_query_done done = query->done;
    query->done = NULL;
    if (done != NULL)
        done(query->context,
             &(struct acme_dns_answer){
                 .rcode = query->rcode, .bogus = query->bogus, .packet = query->packet, .len = query->len});
    destroy_query(query);
}

/* The rest happens later, from the loop: libunbound may call from within ub_resolve_event. */
static void settle(struct acme_query *query, int rcode)
{
    query->rcode = rcode;
    event_active(query->finish, EV_TIMEOUT, 0);
}

static void on_answer(void *context, int rcode, void *packet, int len, int security, char *why,
                      int ratelimited)
{
    (void)why;
    (void)ratelimited;
    const int servfail = 2;
    struct acme_query *query = context;
    query->bogus = security == 1;
    if (rcode == 0 && packet != NULL && len >= 4)
        rcode = ((const uint8_t *)packet)[3] & 0x0f; /* `rcode` itself tells libunbound's own failures only */
    if (rcode == 0 && !query->bogus && packet != NULL && len > 0) {
        query->packet = malloc((size_t)len);
        if (query->packet != NULL) {
            memcpy(query->packet, packet, (size_t)len);
            query->len = (size_t)len;
        } else {
            rcode = servfail;
        }
    }
    settle(query, rcode);
}

struct acme_err acme_resolver_query(struct acme_resolver *resolver, const char *name, int type,
                                    acme_query_done done, void *context, struct acme_query **ret)
{
    ENSURE(strlen(name) <= MAX_NAME, ACME_E_NOMEM);
    if (resolver->unbound == NULL)
        TRY(set_up(resolver));
    struct acme_query *query = calloc(1, sizeof *query);
    ENSURE(query != NULL, ACME_E_NOMEM);
    query->finish = event_new(resolver->base, -1, 0, on_finish, query);
    if (query->finish == NULL) {
        free(query);
        return acme_err(ACME_E_NOMEM);
    }
    query->resolver = resolver;
    query->done = done;
    query->context = context;
    query->next = resolver->queries;
    if (query->next != NULL)
        query->next->prev = query;
    resolver->queries = query;
    const int internet = 1;
    const int servfail = 2;
    if (ub_resolve_event(resolver->unbound, name, type, internet, query, on_answer, NULL) != 0)
        settle(query, servfail);
    *ret = query;
    return acme_ok();
}

void acme_query_cancel(struct acme_query *query)
{
    if (query != NULL)
        query->done = NULL;
}
