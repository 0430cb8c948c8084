/* dns-persist-01: hashed account URIs and standing records. */
#include "cmocka_all.h"
#include "protocol/dns_persist.h"

#include <string.h>

#define PREFIX     "https://ca.example/account-hash/"
#define ACCOUNT    "https://ca.example/acct/123"
#define THUMBPRINT "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
#define HASHED     PREFIX "sha-256/5SQm7n6tPh2-PlLbCKGnViTXX5z19SCN4cPGQHSk-kw"
#define ANYWHERE   PREFIX "sha-256/NpDnSwUthQK8zCgFdefYxAdAVPnygMLbs9US6oO-5ug"
#define NAME       "_validation-persist.example.com"
#define NOW_MS     1700000000000

static int setup(void **state)
{
    *state = acme_arena_create(1024 * 1024);
    return *state == NULL;
}

static int teardown(void **state)
{
    acme_arena_destroy(*state);
    return 0;
}

/* The test vectors of draft-ietf-acme-dns-persist-02 section 10.2. */
static void test_hashed_uris(void **state)
{
    char *uri = NULL;
    assert_false(
        acme_failed(acme_dns_persist_account(*state, PREFIX, "example.com", THUMBPRINT, ACCOUNT, &uri)));
    assert_string_equal(uri, HASHED);
    assert_false(acme_failed(acme_dns_persist_account(*state, PREFIX, "*", THUMBPRINT, ACCOUNT, &uri)));
    assert_string_equal(uri, ANYWHERE);
    char domain[257];
    memset(domain, 'a', sizeof domain);
    domain[256] = '\0';
    assert_int_equal(acme_dns_persist_account(*state, PREFIX, domain, THUMBPRINT, ACCOUNT, &uri).code,
                     ACME_E_LIMIT);
}

static struct acme_bytes txt(struct acme_arena *arena, const char *text)
{
    char *rdata = acme_arena_printf(arena, "%c%s", (int)strlen(text), text);
    assert_non_null(rdata);
    return (struct acme_bytes){.data = (const uint8_t *)rdata, .len = strlen(text) + 1};
}

static struct acme_err judge_all(struct acme_arena *arena, bool wildcard, const char *const *texts,
                                 int64_t *ret_until_ms, struct acme_problem *ret)
{
    static const char *const issuers[] = {"ca.example", "authority.example"};
    static const char *const thumbprints[] = {"a-newer-key", THUMBPRINT};
    static const struct acme_identifier identifier = {.type = ACME_IDENTIFIER_DNS, .value = "example.com"};
    const struct acme_dns_persist_request request = {.issuers = issuers,
                                                     .issuer_count = 2,
                                                     .identifier = &identifier,
                                                     .wildcard = wildcard,
                                                     .account_url = ACCOUNT,
                                                     .hash_prefix = PREFIX,
                                                     .thumbprints = thumbprints,
                                                     .thumbprint_count = 2,
                                                     .now_ms = NOW_MS};
    struct acme_bytes records[8];
    size_t count = 0;
    for (; texts[count] != NULL; count++)
        records[count] = txt(arena, texts[count]);
    return acme_dns_persist_judge(arena, &request, NAME, records, count, ret_until_ms, ret);
}

#define RECORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void accepted(void **state, bool wildcard, const char *const *texts, int64_t until_ms)
{
    struct acme_problem problem;
    int64_t until = 0;
    assert_false(acme_failed(judge_all(*state, wildcard, texts, &until, &problem)));
    assert_int_equal(until, until_ms);
}

static void refused(void **state, bool wildcard, const char *const *texts, enum acme_problem_type type,
                    const char *word)
{
    struct acme_problem problem = {.detail = NULL};
    int64_t until = -7;
    assert_int_equal(judge_all(*state, wildcard, texts, &until, &problem).code, ACME_E_PROBLEM);
    assert_int_equal(problem.type, type);
    assert_non_null(strstr(problem.detail, word));
    assert_non_null(strstr(problem.detail, NAME));
    assert_int_equal(until, -7);
}

static void test_accepted(void **state)
{
    accepted(state, false, RECORDS("authority.example; accounturi=" HASHED), INT64_MAX);
    accepted(state, false, RECORDS("authority.example; accounturi=" ANYWHERE), INT64_MAX);
    accepted(state, false, RECORDS("CA.example;accounturi=" ACCOUNT ";policy=none;new=x"), INT64_MAX);
    accepted(state, false,
             RECORDS("x.example; accounturi=x", "%%", "ca.example", "ca.example; accounturi=" ACCOUNT),
             INT64_MAX);
    accepted(state, true, RECORDS("ca.example; accounturi=" HASHED "; policy=WILDcard"), INT64_MAX);
    accepted(state, false, RECORDS("ca.example; accounturi=" HASHED "; persistUntil=1700000001"),
             NOW_MS + 1000);
    accepted(state, false,
             RECORDS("ca.example; accounturi=" HASHED "; persistUntil=99999999999999999999999999999999"),
             INT64_MAX);
}

static void test_refused(void **state)
{
    refused(state, false, RECORDS(NULL), ACME_PROBLEM_UNAUTHORIZED, "ca.example; accounturi=" ACCOUNT);
    refused(state, true, RECORDS(NULL), ACME_PROBLEM_UNAUTHORIZED, "policy=wildcard");
    refused(state, false, RECORDS("other.example; accounturi=" ACCOUNT), ACME_PROBLEM_UNAUTHORIZED,
            "names this CA");
    refused(state, false, RECORDS("; accounturi=" ACCOUNT), ACME_PROBLEM_UNAUTHORIZED, "names this CA");
    refused(state, false, RECORDS("ca.example accounturi=" ACCOUNT), ACME_PROBLEM_UNAUTHORIZED,
            "names this CA");
    refused(state, false, RECORDS("ca.example"), ACME_PROBLEM_MALFORMED, "no accounturi");
    refused(state, false, RECORDS("ca.example; accounturi=" ACCOUNT "; accounturi=" ACCOUNT),
            ACME_PROBLEM_MALFORMED, "more than one accounturi");
    refused(state, false, RECORDS("ca.example; accounturi=" ACCOUNT "; policy=a; policy=wildcard"),
            ACME_PROBLEM_MALFORMED, "more than one policy");
    refused(state, false, RECORDS("ca.example; accounturi=" ACCOUNT "4"), ACME_PROBLEM_UNAUTHORIZED,
            "not this account");
    refused(state, false, RECORDS("ca.example; accounturi=" PREFIX "sha-256/"), ACME_PROBLEM_UNAUTHORIZED,
            "not this account");
    refused(state, true, RECORDS("ca.example; accounturi=" ACCOUNT), ACME_PROBLEM_UNAUTHORIZED,
            "policy=wildcard");
    refused(state, false, RECORDS("ca.example; accounturi=" ACCOUNT "; persistUntil=1700000000"),
            ACME_PROBLEM_UNAUTHORIZED, "is over");
    static const char *const wrong[] = {"", "-1", "1e12", "0x7fffffff", "17000000000 ", "now"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *record =
            acme_arena_printf(*state, "ca.example; accounturi=" ACCOUNT "; persistUntil=%s", wrong[i]);
        if (strcmp(wrong[i], "17000000000 ") == 0)
            accepted(state, false, RECORDS(record), 17000000000000);
        else
            refused(state, false, RECORDS(record), ACME_PROBLEM_MALFORMED, "persistUntil");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hashed_uris, setup, teardown),
        cmocka_unit_test_setup_teardown(test_accepted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
