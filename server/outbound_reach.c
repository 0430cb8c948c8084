/* The way to a host that a client of ours chose: every address is held against the policy before anything
 * is sent to it. */
#include "server/fetch_target.h"
#include "server/outbound_internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TRIED_SIZE = 1024 };

int64_t acme_outbound_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void acme_reach_finish(struct acme_reach *reach)
{
    if (reach->lookup != NULL)
        acme_lookup_cancel(reach->lookup);
    reach->lookup = NULL;
    if (reach->lookup_timer != NULL)
        event_free(reach->lookup_timer);
    reach->lookup_timer = NULL;
    acme_buf_finish(&reach->tried);
}

void acme_reach_note(struct acme_reach *reach, const char *detail)
{
    if (reach->tried.len > 0)
        acme_buf_str(&reach->tried, "; ");
    acme_buf_str(&reach->tried, detail);
    reach->tried.failed = false; /* what does not fit is left out */
}

const char *acme_reach_tried(const struct acme_reach *reach)
{
    return acme_buf_cstr(&reach->tried);
}

void acme_address_text(const struct sockaddr *address, char ret[ACME_PEER_SIZE])
{
    char text[INET6_ADDRSTRLEN] = "?";
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        (void)inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
        (void)snprintf(ret, ACME_PEER_SIZE, "%s:%d", text, ntohs(in.sin_port));
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof in6);
        (void)inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof text);
        (void)snprintf(ret, ACME_PEER_SIZE, "[%s]:%d", text, ntohs(in6.sin6_port));
    }
}

socklen_t acme_ip_sockaddr(const struct acme_ip *ip, int port, struct sockaddr_storage *ret)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    if (ip->family == AF_INET) {
        memcpy(&in.sin_addr, ip->bytes, 4);
        memcpy(ret, &in, sizeof in);
        return sizeof in;
    }
    memcpy(&in6.sin6_addr, ip->bytes, 16);
    memcpy(ret, &in6, sizeof in6);
    return sizeof in6;
}

static bool is_allowed(struct acme_reach *reach, const struct acme_ip *ip)
{
    struct sockaddr_storage address;
    (void)acme_ip_sockaddr(ip, reach->port, &address);
    const char *why = NULL;
    if (acme_address_allowed(reach->outbound->policy, (const struct sockaddr *)&address, &why))
        return true;
    char peer[ACME_PEER_SIZE] = "";
    char detail[ACME_TRANSFER_DETAIL_SIZE];
    acme_address_text((const struct sockaddr *)&address, peer);
    (void)snprintf(detail, sizeof detail, "%s: not contacted, it is %s", peer, why);
    acme_reach_note(reach, detail);
    return false;
}

static void use_addresses(struct acme_reach *reach, const struct acme_ip_list *addresses)
{
    reach->addresses.count = 0;
    reach->next = 0;
    for (size_t i = 0; i < addresses->count; i++)
        if (is_allowed(reach, &addresses->ip[i]))
            reach->addresses.ip[reach->addresses.count++] = addresses->ip[i];
    if (reach->addresses.count > 0)
        reach->attempt(reach);
    else
        reach->failed(reach, ACME_OUTBOUND_DENIED, acme_reach_tried(reach));
}

static void on_lookup(void *context, const struct acme_ip_list *addresses, const char *why)
{
    struct acme_reach *reach = context;
    reach->lookup = NULL;
    event_del(reach->lookup_timer);
    if (addresses->count > 0)
        use_addresses(reach, addresses);
    else
        reach->failed(reach, ACME_OUTBOUND_DNS, why);
}

static void on_lookup_timeout(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct acme_reach *reach = context;
    acme_lookup_cancel(reach->lookup);
    reach->lookup = NULL;
    char detail[ACME_TRANSFER_DETAIL_SIZE];
    (void)snprintf(detail, sizeof detail, "timed out looking up A and AAAA for %s", reach->host);
    reach->failed(reach, ACME_OUTBOUND_DNS, detail);
}

struct timeval acme_outbound_delay(int64_t ms)
{
    if (ms < 1)
        ms = 1;
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

static void look_up(struct acme_reach *reach)
{
    const struct timeval left = acme_outbound_delay(reach->deadline_ms - acme_outbound_now_ms());
    if (reach->lookup_timer == NULL)
        reach->lookup_timer = event_new(reach->outbound->base, -1, 0, on_lookup_timeout, reach);
    if (reach->lookup_timer == NULL || event_add(reach->lookup_timer, &left) != 0) {
        reach->failed(reach, ACME_OUTBOUND_CONNECT, ACME_OUTBOUND_NO_MEMORY);
        return;
    }
    if (acme_failed(
            acme_resolver_lookup(reach->outbound->resolver, reach->host, on_lookup, reach, &reach->lookup)))
        reach->failed(reach, ACME_OUTBOUND_DNS, "the DNS resolver of this server does not work");
}

void acme_reach_start(struct acme_reach *reach, const char *host, int port)
{
    reach->host = host;
    reach->port = port;
    acme_buf_finish(&reach->tried);
    acme_buf_init(&reach->tried, TRIED_SIZE);
    struct acme_ip_list known;
    if (acme_fetch_host_addresses(host, &known))
        use_addresses(reach, &known);
    else
        look_up(reach);
}

bool acme_reach_has_next(const struct acme_reach *reach)
{
    return reach->next < reach->addresses.count;
}

const struct acme_ip *acme_reach_next(struct acme_reach *reach, int64_t *ret_left_ms, int64_t *ret_connect_ms)
{
    int64_t left_ms = reach->deadline_ms - acme_outbound_now_ms();
    if (left_ms <= 0) {
        acme_reach_note(reach, "the time limit is over");
        reach->failed(reach, ACME_OUTBOUND_TIMEOUT, acme_reach_tried(reach));
        return NULL;
    }
    *ret_left_ms = left_ms;
    *ret_connect_ms = left_ms / (int64_t)(reach->addresses.count - reach->next) + 1;
    return &reach->addresses.ip[reach->next++];
}
