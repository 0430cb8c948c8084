/* EdgeGrid against the vectors that Akamai's own signers are tested with, some of CPS's shape, and one of an
 * independent implementation; .edgerc files. */
#include "cmocka_all.h"

#include "backends/cps/edgegrid.h"
#include "backends/cps/edgerc.h"

#include <stdlib.h>
#include <string.h>

#define TIME  "20140321T19:34:21+0000"
#define NONCE "nonce-xx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
#define HOST  "akaa-baseurl-xxxxxxxxxxx-xxxxxxxxxxxxx.luna.akamaiapis.net"

static const struct acme_edgegrid_client client = {
    .client_token = "akab-client-token-xxx-xxxxxxxxxxxxxxxx",
    .client_secret = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx=",
    .access_token = "akab-access-token-xxx-xxxxxxxxxxxxxxxx",
    .max_body = 2048,
};

static int set_up(void **state)
{
    *state = acme_arena_create(1 << 20);
    return *state == NULL;
}

static int tear_down(void **state)
{
    acme_arena_destroy(*state);
    return 0;
}

static const char *repeat(struct acme_arena *arena, char c, size_t count)
{
    char *text = acme_arena_alloc(arena, count + 1);
    assert_non_null(text);
    memset(text, c, count);
    return text;
}

static void test_vectors(void **state)
{
    struct acme_arena *arena = *state;
    const struct {
        const char *method;
        const char *path;
        const char *body;
        const char *hash;
        const char *signature;
    } vectors[] = {
        {"GET", "/", "", "", "tL+y4hxyHxgWVD30X3pWnGKHcPzmrIF+LThiAOhMxYU="},
        {"GET", "", "", "", "tL+y4hxyHxgWVD30X3pWnGKHcPzmrIF+LThiAOhMxYU="},
        {"GET", "/testapi/v1/t1?p1=1&p2=2", "", "", "hKDH1UlnQySSHjvIcZpDMbQHihTQ0XyVAKZaApabdeA="},
        {"POST", "/testapi/v1/t3", "datadatadatadatadatadatadatadata",
         "fDimoYqXOLntG3If/Z0K2aS9I19Pkv9P5OMCoL8lY0w=", "hXm4iCxtpN22m4cbZb4lVLW5rhX8Ca82vCFqXzSTPe4="},
        {"POST", "/testapi/v1/t3", repeat(arena, 'd', 2048),
         "iysZKJ78BqF0NvDrpv9Hc3pJBWC5f5apR4qUK/Qfo5k=", "6Q6PiTipLae6n4GsSIDTCJ54bEbHUBp+4MUXrbQCBoY="},
        {"POST", "/testapi/v1/t3", repeat(arena, 'd', 2049),
         "iysZKJ78BqF0NvDrpv9Hc3pJBWC5f5apR4qUK/Qfo5k=", "6Q6PiTipLae6n4GsSIDTCJ54bEbHUBp+4MUXrbQCBoY="},
        {"POST", "/testapi/v1/t6", "", "", "1gEDxeQGD5GovIkJJGcBaKnZ+VaPtrc4qBUHixjsPCQ="},
        {"PUT", "/testapi/v1/t6", repeat(arena, 'P', 31), "", "GNBWEYSEWOLtu+7dD52da2C39aX/Jchpon3K/AmBqBU="},
        {"PATCH", "/testapi/v1/t6", repeat(arena, 'P', 31), "",
         "JIl05ImY1AOnMtmw+9LKgaFA8mnzsEKabbnHmI8LsQ4="},
        {"GET", "/testapi/v1/configs/111;222;333?from=12345&limit=200000", "", "",
         "pmQF7Is2+O4r/mMojPR4yeF58BrempNNoBX5/DT0Fxs="},
        {"GET", "/cps/v2/enrollments/10002", "", "", "xuTIVLNlotZlwtDo1UnDYQQGGlAfFhGSgYNcdCdQ+0A="},
        {"PUT", "/cps/v2/enrollments/10002?force-renewal=true&allow-cancel-pending-changes=true", "any", "",
         "OE34Y3LKQYDkEOs43wxEsHSqH6Twh58KlhHshDwMK1E="},
        {"POST", "/cps/v2/enrollments/10002/changes/10003/input/update/change-management-ack",
         "{\"acknowledgement\":\"acknowledge\",\"hash\":\"da39a3ee5e6b4b0d3255bfef95601890afd80709\"}",
         "KnvSUbFA3cmDbeT3pHyQtAjPGiSBma0BsOsMbFx/rqk=", "00TPWmiOwVkDGeu6dcXfleRc5FbQIOChWMNuSLCbA74="},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        const struct acme_edgegrid_request request = {
            .method = vectors[i].method,
            .scheme = "https",
            .host = HOST,
            .path = vectors[i].path,
            .body = {.data = (const uint8_t *)vectors[i].body, .len = strlen(vectors[i].body)}};
        const char *hash = NULL;
        assert_int_equal(acme_edgegrid_content_hash(arena, &client, &request, &hash).code, ACME_OK);
        assert_string_equal(hash, vectors[i].hash);
        const char *value = NULL;
        assert_int_equal(acme_edgegrid_authorization(arena, &client, &request, TIME, NONCE, &value).code,
                         ACME_OK);
        const char *wanted = acme_arena_printf(
            arena,
            "EG1-HMAC-SHA256 "
            "client_token=akab-client-token-xxx-xxxxxxxxxxxxxxxx;access_token=akab-access-token-xxx-"
            "xxxxxxxxxxxxxxxx;timestamp=" TIME ";nonce=" NONCE ";signature=%s",
            vectors[i].signature);
        assert_string_equal(value, wanted);
    }
}

static void test_signed_headers(void **state)
{
    struct acme_arena *arena = *state;
    const struct acme_http_header header = {.name = "X-Test1", .value = " test-simple-header\t"};
    const struct acme_edgegrid_request request = {.method = "GET",
                                                  .scheme = "https",
                                                  .host = HOST,
                                                  .path = "/testapi/v1/t4",
                                                  .headers = &header,
                                                  .header_count = 1};
    const char *value = NULL;
    assert_int_equal(acme_edgegrid_authorization(arena, &client, &request, TIME, NONCE, &value).code,
                     ACME_OK);
    assert_non_null(strstr(value, ";signature=8F9AybcRw+PLxnvT+H0JRkjROrrUgsxJTnRXMzqvcwY="));
    /* Inner white space counts as one blank, and several headers have a tab between them. */
    const struct acme_http_header two[] = {{.name = "A", .value = "x  y"}, {.name = "B", .value = "z"}};
    const struct acme_http_header same[] = {{.name = "a", .value = " x \t y "}, {.name = "b", .value = "z"}};
    struct acme_edgegrid_request several = request;
    several.headers = two;
    several.header_count = 2;
    const char *first = NULL;
    const char *second = NULL;
    assert_int_equal(acme_edgegrid_authorization(arena, &client, &several, TIME, NONCE, &first).code,
                     ACME_OK);
    several.headers = same;
    assert_int_equal(acme_edgegrid_authorization(arena, &client, &several, TIME, NONCE, &second).code,
                     ACME_OK);
    assert_string_equal(first, second);
    assert_string_not_equal(first, value);
}

static void test_independent_vector(void **state)
{
    const struct acme_edgegrid_client other = {
        .client_token = "bar", .client_secret = "foo", .access_token = "baz"};
    const struct acme_edgegrid_request request = {
        .method = "GET", .scheme = "https", .host = "host", .path = "path"};
    const char *value = NULL;
    assert_int_equal(
        acme_edgegrid_authorization(*state, &other, &request, "20250513T14:28:17+0000", "test-nonce", &value)
            .code,
        ACME_OK);
    assert_non_null(strstr(value, ";signature=B2M8OBYTcTDfvZQ2hMKMIZXdO9unVaRHQqAyo/a3YGA="));
}

static void test_time(void **state)
{
    (void)state;
    char text[ACME_EDGEGRID_TIME_SIZE];
    acme_edgegrid_time(INT64_C(1395430461999), text);
    assert_string_equal(text, TIME);
}

static const char *authorization_of(const struct acme_http_call *call)
{
    assert_int_equal(call->header_count, 1);
    assert_string_equal(call->headers[0].name, "Authorization");
    return call->headers[0].value;
}

/* Takes the nonce of a signed call and signs by hand. */
static void test_sign(void **state)
{
    struct acme_arena *arena = *state;
    struct acme_http_call calls[2];
    for (size_t i = 0; i < 2; i++) {
        calls[i] = (struct acme_http_call){.method = "GET", .url = "https://" HOST "/cps/v2/enrollments?x=1"};
        assert_int_equal(acme_edgegrid_sign(arena, &client, INT64_C(1395430461000), &calls[i]).code, ACME_OK);
        const char *value = authorization_of(&calls[i]);
        const char *nonce = strstr(value, ";nonce=");
        assert_non_null(nonce);
        nonce = acme_arena_strndup(arena, nonce + 7, 36);
        const struct acme_edgegrid_request request = {
            .method = "GET", .scheme = "https", .host = HOST, .path = "/cps/v2/enrollments?x=1"};
        const char *again = NULL;
        assert_int_equal(acme_edgegrid_authorization(arena, &client, &request, TIME, nonce, &again).code,
                         ACME_OK);
        assert_string_equal(value, again);
    }
    assert_string_not_equal(authorization_of(&calls[0]), authorization_of(&calls[1]));
    struct acme_http_call relative = {.method = "GET", .url = "/cps/v2"};
    assert_int_equal(acme_edgegrid_sign(arena, &client, 0, &relative).code, ACME_E_FORMAT);
    struct acme_http_call full = calls[0];
    full.header_count = ACME_HTTP_MAX_HEADERS;
    assert_int_equal(acme_edgegrid_sign(arena, &client, 0, &full).code, ACME_E_LIMIT);
}

static void test_skew(void **state)
{
    (void)state;
    struct acme_http_header date = {.name = "date", .value = "Fri, 21 Mar 2014 19:34:21 GMT"};
    const struct acme_http_reply reply = {.status = 401, .headers = &date, .header_count = 1};
    assert_int_equal(acme_edgegrid_skew_s(&reply, INT64_C(1395430461000)), 0);
    assert_int_equal(acme_edgegrid_skew_s(&reply, INT64_C(1395430522000)), 61);
    assert_int_equal(acme_edgegrid_skew_s(&reply, INT64_C(1395430400000)), -61);
    date.value = "yesterday";
    assert_int_equal(acme_edgegrid_skew_s(&reply, INT64_C(1395430522000)), 0);
    date.name = "x";
    assert_int_equal(acme_edgegrid_skew_s(&reply, INT64_C(1395430522000)), 0);
}

/* ---- .edgerc ---- */

static bool is(struct acme_edgerc_value value, const char *text)
{
    return value.len == strlen(text) && memcmp(value.text, text, value.len) == 0;
}

static const char file[] = "\xef\xbb\xbf# made by hand\r\n"
                           "[default]\r\n"
                           "client_secret = other\r\n"
                           "not even a line of the form\r\n"
                           "[ cps ]\n"
                           "; the client\n"
                           "host = https://akab-h.luna.akamaiapis.net/   # shown so\n"
                           "client_token=akab-c\n"
                           "\tclient_secret =\t\"s3cret=;#x==\" ; quoted\n"
                           "access_token = first\n"
                           "access_token = akab-a\n"
                           "max_body = 2048\n"
                           "region = somewhere\n"
                           "[other]\n"
                           "host = nowhere\n"
                           "[cps]\n"
                           "account_key = 1-ABC:1-2";

static void test_edgerc(void **state)
{
    (void)state;
    struct acme_edgerc rc;
    struct acme_edgerc_mistake mistake;
    assert_int_equal(acme_edgerc_read(file, sizeof file - 1, "cps", &rc, &mistake).code, ACME_OK);
    assert_true(is(rc.host, "akab-h.luna.akamaiapis.net"));
    assert_true(is(rc.client_token, "akab-c"));
    assert_true(is(rc.client_secret, "s3cret=;#x=="));
    assert_true(is(rc.access_token, "akab-a"));
    assert_true(is(rc.account_key, "1-ABC:1-2"));
    assert_int_equal(rc.max_body, 2048);
}

static void test_edgerc_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum acme_code code;
        int line;
        const char *expected;
    } mistakes[] = {
        {"", ACME_E_NOT_FOUND, 0, "section to be there"},
        {"[other]\nhost=h\n", ACME_E_NOT_FOUND, 0, "section to be there"},
        {"[s\n", ACME_E_FORMAT, 1, "a section as [name]"},
        {"[s]\nhost\n", ACME_E_FORMAT, 2, "name = value"},
        {"\n\n[s]\n\nhost =\n", ACME_E_FORMAT, 5, "printable"},
        {"[s]\nhost = /\n", ACME_E_FORMAT, 2, "host name"},
        {"[s]\nhost = a b\n", ACME_E_FORMAT, 2, "printable"},
        {"[s]\nhost = http://a\n", ACME_E_FORMAT, 2, "host name"},
        {"[s]\nmax_body = many\n", ACME_E_FORMAT, 2, "max_body"},
        {"[s]\nmax_body = 99999999999999999999\n", ACME_E_FORMAT, 2, "max_body"},
        {"[s]\nclient_token = a\n", ACME_E_FORMAT, 1, "a host"},
        {"#\n[s]\nhost = a\n", ACME_E_FORMAT, 2, "a client_token"},
        {"[s]\nhost = a\nclient_token = a\n", ACME_E_FORMAT, 1, "a client_secret"},
        {"[s]\nhost = a\nclient_token = a\nclient_secret = b\n", ACME_E_FORMAT, 1, "an access_token"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct acme_edgerc rc;
        struct acme_edgerc_mistake mistake;
        assert_int_equal(
            acme_edgerc_read(mistakes[i].text, strlen(mistakes[i].text), "s", &rc, &mistake).code,
            mistakes[i].code);
        assert_int_equal(mistake.line, mistakes[i].line);
        assert_non_null(strstr(mistake.expected, mistakes[i].expected));
    }
    struct acme_edgerc rc;
    struct acme_edgerc_mistake mistake;
    char *large = calloc(1, ACME_EDGERC_MAX_BYTES + 1);
    assert_non_null(large);
    assert_int_equal(acme_edgerc_read(large, ACME_EDGERC_MAX_BYTES + 1, "s", &rc, &mistake).code,
                     ACME_E_FORMAT);
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_vectors),
        TEST(test_signed_headers),
        TEST(test_independent_vector),
        TEST(test_time),
        TEST(test_sign),
        TEST(test_skew),
        TEST(test_edgerc),
        TEST(test_edgerc_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
