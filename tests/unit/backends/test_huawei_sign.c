/* Huawei Cloud's signature: the vectors of its own SDKs' tests, and of an independent implementation. */
#include "cmocka_all.h"

#include "backends/huawei_elb/huawei_sign.h"

#include <stdio.h>
#include <string.h>

#define PROJECT "0123456789abcdef0123456789abcdef"

static int set_up(void **state)
{
    *state = acme_arena_create(1 << 20);
    return *state == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    acme_arena_destroy(*state);
    return 0;
}

struct vector {
    const char *method;
    const char *path;
    struct acme_huawei_pair query[4];
    size_t query_count;
    struct acme_http_header headers[4];
    size_t header_count;
    const char *body;
    const char *names;
    const char *signature;
};

static const struct vector vectors[] = {
    /* huaweicloud-sdk-go-v3, core/auth/signer */
    {"GET",
     "/path",
     {{"limit", "1"}},
     1,
     {{"X-Sdk-Date", "20060102T150405Z"}},
     1,
     "",
     "x-sdk-date",
     "5a2ce64c865e0e6046321c6f3d5a77ba8413eeaf355c3166c03d58d02ac79624"},
    {"POST",
     "/path",
     {{"key", "value"}},
     1,
     {{"X-Sdk-Date", "20060102T150405Z"}},
     1,
     "{\"Name\":\"test\",\"Id\":1}\n",
     "x-sdk-date",
     "cecc2af119b18ab70b4d094c0750f3b42c02f254903179a0fc2cc72fc9db4f59"},
    /* huaweicloud-sdk-python-v3, tests/test_signer.py */
    {"GET",
     "/resources",
     {{"size", "1"}},
     1,
     {{"X-Sdk-Date", "20200608T023900Z"}, {"Host", "service.endpoint.myhuaweicloud.com"}},
     2,
     "",
     "host;x-sdk-date",
     "cfb4171acec81de07d50e53d57eb77edd537414d66ddb1d7d780f128e12cd842"},
    {"POST",
     "/resources",
     {{"size", "1"}},
     1,
     {{"X-Sdk-Date", "20200608T023900Z"}, {"Host", "service.endpoint.myhuaweicloud.com"}},
     2,
     "{\"name\":\"test\",\"id\":1}",
     "host;x-sdk-date",
     "436b1ac0a1ae03705934bb70ef2f2e09f7bfed2117d731a38235053199323a1f"},
    /* computed apart from this code */
    {"PUT",
     "/v3/" PROJECT "/elb/certificates/fedcba9876543210fedcba9876543210",
     {{NULL, NULL}},
     0,
     {{"X-Sdk-Date", "20240102T030405Z"},
      {"Host", "elb.eu-west-101.myhuaweicloud.com"},
      {"Content-Type", "  application/json;charset=UTF-8 "}}, /* signed without what surrounds it */
     3,
     "{\"certificate\":{\"name\":\"acme-bridge-1\"}}",
     "content-type;host;x-sdk-date",
     "ee3ad9e56d0cb9830c29aa3584e18057b31d8fe07b9bd787eeb55f3d3074237f"},
    {"GET",
     "/v3/" PROJECT "/elb/certificates",
     {{"name", "acme bridge/1"}, {"limit", "50"}},
     2,
     {{"X-Sdk-Date", "20240102T030405Z"},
      {"X-Project-Id", PROJECT},
      {"Host", "elb.eu-west-101.myhuaweicloud.com"}},
     3,
     "",
     "host;x-project-id;x-sdk-date",
     "100f3e03cd0c88edfcddc5fde44cfd28693e665a5b192a6929af0a27ab7184c9"},
};

static struct acme_huawei_signing signing_of(struct acme_arena *arena, const struct vector *vector)
{
    const char *query = acme_huawei_query(arena, vector->query, vector->query_count);
    assert_non_null(query);
    return (struct acme_huawei_signing){
        .method = vector->method,
        .path = vector->path,
        .query = query,
        .headers = vector->headers,
        .header_count = vector->header_count,
        .body = {.data = (const uint8_t *)vector->body, .len = strlen(vector->body)}};
}

static void test_vectors(void **state)
{
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        const struct acme_huawei_signing signing = signing_of(*state, &vectors[i]);
        const char *value = NULL;
        assert_int_equal(acme_huawei_sign(*state, "AccessKey", "SecretKey", &signing, &value).code, ACME_OK);
        char expected[512];
        snprintf(expected, sizeof expected,
                 "SDK-HMAC-SHA256 Access=AccessKey, SignedHeaders=%s, Signature=%s", vectors[i].names,
                 vectors[i].signature);
        assert_string_equal(value, expected);
    }
}

/* Everything that is signed changes the signature. */
static void test_all_of_it_counts(void **state)
{
    const struct vector *vector = &vectors[4];
    struct acme_http_header headers[3];
    memcpy(headers, vector->headers, sizeof headers);
    struct acme_huawei_signing base = signing_of(*state, vector);
    base.headers = headers;
    for (int change = 0; change < 6; change++) {
        struct acme_huawei_signing signing = base;
        struct acme_http_header changed[3];
        memcpy(changed, headers, sizeof changed);
        signing.headers = changed;
        const char *secret = "SecretKey";
        if (change == 0)
            signing.method = "POST";
        else if (change == 1)
            signing.path = "/v3/" PROJECT "/elb/certificates/fedcba9876543210fedcba9876543211";
        else if (change == 2)
            signing.query = "a=b";
        else if (change == 3)
            signing.body.len--;
        else if (change == 4)
            changed[1].value = "elb.eu-west-102.myhuaweicloud.com";
        else
            secret = "SecretKez";
        const char *value = NULL;
        assert_int_equal(acme_huawei_sign(*state, "AccessKey", secret, &signing, &value).code, ACME_OK);
        assert_null(strstr(value, vector->signature));
    }
}

static void test_query(void **state)
{
    static const struct acme_huawei_pair pairs[] = {
        {"limit", "1"},       {"enable", "true"}, {"test", "\xe4\xb8\x80 (&=?!#%.*)"},
        {"path", "/tmp/123"}, {"multi", "2"},     {"multi", "1"},
        {"multi", "3"},
    };
    assert_string_equal(acme_huawei_query(*state, pairs, 7),
                        "enable=true&limit=1&multi=1&multi=2&multi=3&path=%2Ftmp%2F123&"
                        "test=%E4%B8%80%20%28%26%3D%3F%21%23%25.%2A%29");
    static const struct acme_huawei_pair empty[] = {{"k", ""}};
    assert_string_equal(acme_huawei_query(*state, empty, 1), "k=");
    assert_string_equal(acme_huawei_query(*state, NULL, 0), "");
    assert_null(acme_huawei_query(*state, pairs, ACME_HUAWEI_QUERY_MAX + 1));
}

static void test_path_is_encoded_by_segment(void **state)
{
    /* The same signature, since the canonical form is the same: with and without the slash at the end. */
    static const struct acme_http_header date = {"X-Sdk-Date", "20060102T150405Z"};
    struct acme_huawei_signing signing = {
        .method = "GET", .path = "/a b/c", .query = "", .headers = &date, .header_count = 1};
    const char *first = NULL;
    const char *second = NULL;
    const char *third = NULL;
    assert_int_equal(acme_huawei_sign(*state, "A", "S", &signing, &first).code, ACME_OK);
    signing.path = "/a b/c/";
    assert_int_equal(acme_huawei_sign(*state, "A", "S", &signing, &second).code, ACME_OK);
    assert_string_equal(first, second);
    signing.path = "/a+b/c/";
    assert_int_equal(acme_huawei_sign(*state, "A", "S", &signing, &third).code, ACME_OK);
    assert_string_not_equal(first, third);
}

static void test_date(void **state)
{
    (void)state;
    char date[ACME_HUAWEI_DATE_SIZE];
    acme_huawei_date(INT64_C(1704164645999), date);
    assert_string_equal(date, "20240102T030405Z");
}

static void test_mistakes(void **state)
{
    static const struct acme_http_header many[ACME_HUAWEI_SIGNED_MAX + 1] = {{"x-sdk-date", ""}};
    const char *value = NULL;
    struct acme_huawei_signing signing = {.method = "GET",
                                          .path = "/",
                                          .query = "",
                                          .headers = many,
                                          .header_count = ACME_HUAWEI_SIGNED_MAX + 1};
    assert_int_equal(acme_huawei_sign(*state, "A", "S", &signing, &value).code, ACME_E_LIMIT);
    static const struct acme_http_header host = {"host", "h"};
    signing.headers = &host;
    signing.header_count = 1;
    assert_int_equal(acme_huawei_sign(*state, "A", "S", &signing, &value).code, ACME_E_STATE);
    assert_null(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_vectors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_all_of_it_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_query, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_path_is_encoded_by_segment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_date, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mistakes, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
