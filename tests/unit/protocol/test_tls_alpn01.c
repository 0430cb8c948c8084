/* tls-alpn-01: the name asked for, and which challenge types may prove what. */
#include "cmocka_all.h"
#include "protocol/challenge_types.h"
#include "protocol/tls_alpn01.h"

static int setup(void **state)
{
    *state = acme_arena_create(64 * 1024);
    return *state == NULL;
}

static int teardown(void **state)
{
    acme_arena_destroy(*state);
    return 0;
}

static void test_server_name(void **state)
{
    static const struct {
        struct acme_identifier identifier;
        const char *name; /* NULL: none */
    } cases[] = {
        {{ACME_IDENTIFIER_DNS, "a.test"}, "a.test"},
        {{ACME_IDENTIFIER_DNS, "xn--mnchen-3ya.example"}, "xn--mnchen-3ya.example"},
        {{ACME_IDENTIFIER_IP, "192.0.2.17"}, "17.2.0.192.in-addr.arpa"},
        {{ACME_IDENTIFIER_IP, "::1"},
         "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa"},
        {{ACME_IDENTIFIER_IP, "2001:db8::567:89ab"},
         "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"},
        {{ACME_IDENTIFIER_IP, "a.test"}, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *name = acme_tls_alpn01_server_name(*state, &cases[i].identifier);
        if (cases[i].name == NULL)
            assert_null(name);
        else
            assert_string_equal(name, cases[i].name);
    }
}

static void test_what_it_proves(void **state)
{
    (void)state;
    const struct acme_challenge_type *type = acme_challenge_type_find("tls-alpn-01");
    assert_non_null(type);
    assert_int_equal(type->bit, ACME_CHALLENGE_TLS_ALPN_01);
    const struct acme_identifier name = {ACME_IDENTIFIER_DNS, "a.test"};
    const struct acme_identifier wildcard = {ACME_IDENTIFIER_DNS, "*.a.test"};
    const struct acme_identifier address = {ACME_IDENTIFIER_IP, "192.0.2.1"};
    assert_true(acme_challenge_type_proves(type, &name));
    assert_true(acme_challenge_type_proves(type, &address));
    assert_false(acme_challenge_type_proves(type, &wildcard));
    /* Nothing that looks at the DNS proves an address (RFC 8738 section 7). */
    for (size_t i = 0; (type = acme_challenge_type_at(i)) != NULL; i++)
        assert_false(type->wildcard && acme_challenge_type_proves(type, &address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_server_name, setup, teardown),
        cmocka_unit_test(test_what_it_proves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
