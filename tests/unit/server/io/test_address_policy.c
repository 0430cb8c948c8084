#include "cmocka_all.h"
#include "server/address_policy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static bool allowed(const struct acme_address_policy *policy, const char *text, const char **why)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    *why = NULL;
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
        return acme_address_allowed(policy, (struct sockaddr *)&in, why);
    assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    return acme_address_allowed(policy, (struct sockaddr *)&in6, why);
}

static struct acme_network network(const char *text)
{
    struct acme_network parsed;
    assert_false(acme_failed(acme_network_parse(text, &parsed)));
    return parsed;
}

static void test_defaults(void **state)
{
    (void)state;
    static const char *const yes[] = {"10.0.0.1",         "172.16.1.1",      "192.168.1.1", "203.0.113.5",
                                      "100.64.0.1",       "fd00::1",         "2001:db8::1", "::ffff:8.8.8.8",
                                      "64:ff9b::8.8.8.8", "223.255.255.255", "126.0.0.1",   "128.0.0.1",
                                      "fec0::1",          "2002:808:808::1"};
    static const struct {
        const char *address;
        const char *why;
    } no[] = {
        {"127.0.0.1", "loopback"},
        {"127.255.255.255", "loopback"},
        {"::1", "loopback"},
        {"::ffff:127.0.0.1", "loopback"},
        {"2002:7f00:1::", "loopback"},
        {"64:ff9b::7f00:1", "loopback"},
        {"64:ff9b:1::7f00:1", "loopback"},
        {"64:ff9b:1:1:7f:0:100:0", "loopback"},
        {"64:ff9b:1:1:a9:fea9:fe00:0", "metadata"},
        {"64:ff9b:1:7f05:6:700::", "unspecified"},
        {"::127.0.0.1", "loopback"},
        {"169.254.1.1", "link-local"},
        {"fe80::1", "link-local"},
        {"febf::1", "link-local"},
        {"169.254.169.254", "metadata"},
        {"fd00:ec2::254", "metadata"},
        {"100.100.100.200", "metadata"},
        {"168.63.129.16", "metadata"},
        {"64:ff9b::a9fe:a9fe", "metadata"},
        {"0.0.0.0", "unspecified"},
        {"0.1.2.3", "unspecified"},
        {"::", "unspecified"},
        {"224.0.0.1", "multicast"},
        {"239.255.255.255", "multicast"},
        {"ff02::1", "multicast"},
        {"255.255.255.255", "broadcast"},
        {"240.0.0.1", "reserved"},
    };
    const struct acme_address_policy policy = {.allow = NULL};
    const char *why;
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        if (!allowed(&policy, yes[i], &why))
            fail_msg("%s: %s", yes[i], why);
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
        if (allowed(&policy, no[i].address, &why))
            fail_msg("%s is allowed", no[i].address);
        if (strstr(why, no[i].why) == NULL)
            fail_msg("%s: %s", no[i].address, why);
    }
}

static void test_lists(void **state)
{
    (void)state;
    struct acme_network allow[] = {network("127.0.0.0/8"), network("169.254.169.254"), network("fe80::/10")};
    struct acme_network deny[] = {network("127.0.0.2"), network("10.0.0.0/9"), network("2001:db8::/33")};
    const struct acme_address_policy policy = {
        .allow = allow, .allow_count = 3, .deny = deny, .deny_count = 3};
    const char *why;
    assert_true(allowed(&policy, "127.0.0.1", &why));
    assert_true(allowed(&policy, "::ffff:127.0.0.1", &why));
    assert_false(allowed(&policy, "::1", &why));
    assert_true(allowed(&policy, "169.254.169.254", &why));
    assert_false(allowed(&policy, "169.254.169.253", &why));
    assert_true(allowed(&policy, "fe80::5", &why));
    assert_false(allowed(&policy, "127.0.0.2", &why)); /* deny wins */
    assert_string_equal(why, "denied by the configuration");
    assert_false(allowed(&policy, "10.127.0.1", &why));
    assert_true(allowed(&policy, "10.128.0.1", &why));
    assert_false(allowed(&policy, "64:ff9b::a7f:1", &why));
    assert_false(allowed(&policy, "2001:db8:7fff::1", &why));
    assert_true(allowed(&policy, "2001:db8:8000::1", &why));
}

static void test_everything_of_one_family(void **state)
{
    (void)state;
    struct acme_network all_v6 = network("::/0");
    struct acme_network all_v4 = network("0.0.0.0/0");
    const char *why;
    struct acme_address_policy policy = {.deny = &all_v6, .deny_count = 1};
    assert_false(allowed(&policy, "2001:db8::1", &why));
    assert_true(allowed(&policy, "203.0.113.1", &why));
    policy.deny = &all_v4;
    assert_true(allowed(&policy, "2001:db8::1", &why));
    assert_false(allowed(&policy, "203.0.113.1", &why));
}

static void test_parse(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "/8",
                                      "10.0.0.0/",
                                      "10.0.0.0/33",
                                      "10.0.0.1/8",
                                      "10.0.0.0/08",
                                      "10.0.0.0/+8",
                                      "10.0.0/8",
                                      "10.0.0.0/8 ",
                                      "2001:db8::/129",
                                      "2001:db8::1/32",
                                      "example.org",
                                      "::ffff:10.0.0.1/8",
                                      "10.0.0.0/8/8",
                                      "fe80::1%eth0"};
    struct acme_network parsed;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (acme_network_parse(bad[i], &parsed).code != ACME_E_FORMAT)
            fail_msg("%s is accepted", bad[i]);
    assert_int_equal(network("10.0.0.0/8").prefix_bits, 104);
    assert_int_equal(network("2001:db8::/32").prefix_bits, 32);
    assert_int_equal(network("192.0.2.1").prefix_bits, 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_everything_of_one_family),
        cmocka_unit_test(test_parse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
