#include "cmocka_all.h"
#include "server/fetch_target.h"

#include <string.h>

static struct acme_err read_url(const char *text, struct acme_fetch_target *ret,
                                char why[ACME_FETCH_WHY_SIZE])
{
    CURLU *url = curl_url();
    assert_non_null(url);
    struct acme_err err = acme_err(ACME_E_FORMAT);
    if (curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK)
        err = acme_fetch_target_read(url, 80, 443, ret, why);
    curl_url_cleanup(url);
    return err;
}

static void test_accepts(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        const char *host;
        int port;
        const char *kept; /* NULL: as it is */
    } cases[] = {
        {"http://Example.org/.well-known/acme-challenge/x", "example.org", 80, NULL},
        {"http://example.org:80/x?y", "example.org", 80, NULL},
        {"https://example.org/x#y", "example.org", 443, "https://example.org/x"},
        {"https://[2001:db8::1]:443/", "2001:db8::1", 443, NULL},
        {"http://192.0.2.1/", "192.0.2.1", 80, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct acme_fetch_target target;
        char why[ACME_FETCH_WHY_SIZE] = "";
        if (acme_failed(read_url(cases[i].url, &target, why)))
            fail_msg("%s: %s", cases[i].url, why);
        assert_string_equal(target.host, cases[i].host);
        assert_int_equal(target.port, cases[i].port);
        assert_string_equal(target.url, cases[i].kept != NULL ? cases[i].kept : cases[i].url);
        acme_fetch_target_finish(&target);
    }
}

static void test_denies(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "http://example.org:8080/",   "http://example.org:443/",  "https://example.org:80/",
        "ftp://example.org/",         "http://user@example.org/", "http://u:p@example.org/",
        "http://ex\xc3\xa4mple.org/", "http://[fe80::1%25eth0]/",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct acme_fetch_target target;
        char why[ACME_FETCH_WHY_SIZE] = "";
        if (read_url(cases[i], &target, why).code != ACME_E_DENIED)
            fail_msg("%s is not denied", cases[i]);
        assert_true(why[0] != '\0');
    }
}

static void test_known_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        size_t count;
        int first;
    } cases[] = {
        {"http://localhost/", 2, AF_INET6},    {"http://a.b.localhost/", 2, AF_INET6},
        {"http://a.localhost./", 2, AF_INET6}, {"http://notlocalhost/", 0, 0},
        {"http://localhost.example/", 0, 0},   {"http://192.0.2.1/", 1, AF_INET},
        {"http://[::1]/", 1, AF_INET6},        {"http://127.1/", 1, AF_INET}, /* libcurl makes it 127.0.0.1 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct acme_fetch_target target;
        char why[ACME_FETCH_WHY_SIZE] = "";
        assert_false(acme_failed(read_url(cases[i].url, &target, why)));
        struct acme_ip_list list = {.count = 0};
        assert_int_equal(acme_fetch_host_addresses(target.host, &list), cases[i].count > 0);
        assert_int_equal(list.count, cases[i].count);
        if (list.count > 0)
            assert_int_equal(list.ip[0].family, cases[i].first);
        acme_fetch_target_finish(&target);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_denies),
        cmocka_unit_test(test_known_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
