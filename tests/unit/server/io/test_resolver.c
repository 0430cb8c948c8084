/* The resolver by itself: what a hosts file says, and what it leaves to the DNS. */
#include "cmocka_all.h"
#include "local_server.h"
#include "server/resolver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct world {
    struct event_base *base;
    struct local_dns *dns;
    struct acme_resolver *resolver;
    char hosts_file[64];
};

struct seen {
    struct event_base *base;
    int calls;
    int rcode;
    struct acme_ip_list addresses;
};

static int start(void **state)
{
    static const char hosts[] = "10.1.2.3 nowhere.example\n10.1.2.4 host.test\n";
    struct world *w = calloc(1, sizeof *w);
    *state = w;
    w->base = event_base_new();
    w->dns = local_dns_start();
    snprintf(w->hosts_file, sizeof w->hosts_file, "/tmp/acmebridge-hosts-XXXXXX");
    int fd = mkstemp(w->hosts_file);
    if (fd < 0 || write(fd, hosts, sizeof hosts - 1) != (ssize_t)sizeof hosts - 1 || close(fd) != 0)
        return -1;
    char server[64];
    snprintf(server, sizeof server, "127.0.0.1@%d", local_dns_port(w->dns));
    const char *const servers[] = {server};
    const struct acme_resolver_options options = {
        .servers = servers, .server_count = 1, .hosts_file = w->hosts_file};
    return acme_failed(acme_resolver_create(w->base, &options, &w->resolver)) ? -1 : 0;
}

static int stop(void **state)
{
    struct world *w = *state;
    acme_resolver_destroy(w->resolver);
    event_base_free(w->base);
    local_dns_stop(w->dns);
    unlink(w->hosts_file);
    free(w);
    return 0;
}

static void on_answer(void *context, const struct acme_dns_answer *answer)
{
    struct seen *seen = context;
    seen->calls++;
    seen->rcode = answer->rcode;
    if (answer->rcode == 0)
        assert_false(acme_failed(acme_dns_read_addresses(answer->packet, answer->len, ACME_DNS_TYPE_A,
                                                         ACME_DNS_MAX_ADDRESSES, &seen->addresses)));
    event_base_loopbreak(seen->base);
}

static struct seen ask(struct world *w, const char *name, int type)
{
    struct seen seen = {.base = w->base};
    struct acme_query *query = NULL;
    const struct timeval limit = {.tv_sec = 10};
    assert_false(acme_failed(acme_resolver_query(w->resolver, name, type, on_answer, &seen, &query)));
    assert_int_equal(event_base_loopexit(w->base, &limit), 0);
    assert_int_equal(event_base_dispatch(w->base), 0);
    assert_int_equal(seen.calls, 1);
    return seen;
}

static void test_hosts_file_has_addresses(void **state)
{
    static const uint8_t first[] = {10, 1, 2, 3};
    static const uint8_t second[] = {10, 1, 2, 4};
    struct seen seen = ask(*state, "nowhere.example", ACME_DNS_TYPE_A);
    assert_int_equal(seen.addresses.count, 1);
    assert_memory_equal(seen.addresses.ip[0].bytes, first, 4);
    seen = ask(*state, "host.test", ACME_DNS_TYPE_A);
    assert_int_equal(seen.addresses.count, 1);
    assert_memory_equal(seen.addresses.ip[0].bytes, second, 4);
}

/* The DNS of this test knows neither name: an answer without error would be the hosts file's, which must not
 * stand for "there are no CAA records". */
static void test_the_dns_has_the_rest(void **state)
{
    const int nxdomain = 3;
    assert_int_equal(ask(*state, "nowhere.example", ACME_DNS_TYPE_CAA).rcode, nxdomain);
    assert_int_equal(ask(*state, "nowhere.example", ACME_DNS_TYPE_TXT).rcode, nxdomain);
    assert_int_equal(ask(*state, "host.test", ACME_DNS_TYPE_CAA).rcode, nxdomain);
    assert_int_equal(ask(*state, "none.example", ACME_DNS_TYPE_CAA).rcode, 0);
}

#define T(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {T(test_hosts_file_has_addresses), T(test_the_dns_has_the_rest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
