/* http_call.c: header tables and Retry-After. */
#include "base/clock.h"
#include "base/http_call.h"

#include "cmocka_all.h"
#include <string.h>

/* 1994-11-06T08:49:37Z, the moment in the examples of RFC 9110. */
static const int64_t example_ms = INT64_C(784111777000);

static int64_t retry_after(const char *value, int64_t now_ms)
{
    struct acme_http_header headers[] = {{"content-type", "text/plain"}, {"retry-after", value}};
    struct acme_http_reply reply = {.status = 503, .headers = headers, .header_count = 2};
    return acme_http_reply_retry_after_s(&reply, now_ms);
}

static void retry_after_forms(void **state)
{
    (void)state;
    assert_int_equal(retry_after("0", 0), 0);
    assert_int_equal(retry_after("120", 0), 120);
    assert_int_equal(retry_after("86400", 0), 86400);
    assert_int_equal(retry_after("86401", 0), 86400);
    assert_int_equal(retry_after("99999999999999999999999999", 0), 86400);
    assert_int_equal(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", example_ms - 30000), 30);
    assert_int_equal(retry_after("Sunday, 06-Nov-94 08:49:37 GMT", example_ms - 30000), 30);
    assert_int_equal(retry_after("Sun Nov  6 08:49:37 1994", example_ms - 30000), 30);
    assert_int_equal(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", example_ms + 30000), 0);
    assert_int_equal(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 0), 86400);
    static const char *const bad[] = {"",
                                      "-5",
                                      "5s",
                                      "1.5",
                                      "soon",
                                      "+5",
                                      "Sun, 06 Nov 1994 08:49:37",
                                      "0x10",
                                      "Sun, 06 Nov 1994 08:49:37 GMT x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(retry_after(bad[i], example_ms), -1);
}

static void reply_headers(void **state)
{
    (void)state;
    struct acme_http_header headers[] = {{"etag", "one"}, {"etag", "two"}};
    struct acme_http_reply reply = {.headers = headers, .header_count = 2};
    assert_string_equal(acme_http_reply_header(&reply, "etag"), "one");
    assert_null(acme_http_reply_header(&reply, "retry-after"));
    assert_int_equal(acme_http_reply_retry_after_s(&reply, 0), -1);
}

static void reply_dates(void **state)
{
    (void)state;
    struct acme_http_header header = {"date", "Sun, 06 Nov 1994 08:49:37 GMT"};
    struct acme_http_reply reply = {.status = 401, .headers = &header, .header_count = 1};
    assert_int_equal(acme_http_reply_date_ms(&reply), example_ms);
    header.value = "yesterday";
    assert_int_equal(acme_http_reply_date_ms(&reply), 0);
    reply.header_count = 0;
    assert_int_equal(acme_http_reply_date_ms(&reply), 0);
}

static void copies_stand_alone(void **state)
{
    (void)state;
    struct acme_arena *arena = acme_arena_create(4096);
    assert_non_null(arena);
    char body[] = "body";
    char value[] = "one";
    struct acme_http_header headers[] = {{"etag", value}};
    const struct acme_http_reply reply = {.status = 201,
                                          .headers = headers,
                                          .header_count = 1,
                                          .body = {.data = (const uint8_t *)body, .len = 4}};
    const struct acme_http_reply *copy = acme_http_reply_copy(arena, &reply);
    assert_non_null(copy);
    body[0] = value[0] = '\0';
    assert_int_equal(copy->status, 201);
    assert_string_equal(acme_http_reply_header(copy, "etag"), "one");
    assert_memory_equal(copy->body.data, "body", 4);
    const struct acme_http_reply empty = {.status = 204};
    copy = acme_http_reply_copy(arena, &empty);
    assert_non_null(copy);
    assert_int_equal(copy->body.len, 0);
    const struct acme_http_reply large = {.body = {.data = (const uint8_t *)value, .len = 1 << 20}};
    assert_null(acme_http_reply_copy(arena, &large));
    acme_arena_destroy(arena);
}

static void call_headers_are_bounded(void **state)
{
    (void)state;
    struct acme_http_call call = {.method = "GET"};
    for (size_t i = 0; i < ACME_HTTP_MAX_HEADERS; i++)
        assert_true(acme_http_call_header(&call, "X-A", "b"));
    assert_false(acme_http_call_header(&call, "X-A", "b"));
    assert_int_equal(call.header_count, ACME_HTTP_MAX_HEADERS);
    assert_string_equal(call.headers[ACME_HTTP_MAX_HEADERS - 1].value, "b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retry_after_forms),
        cmocka_unit_test(reply_headers),
        cmocka_unit_test(reply_dates),
        cmocka_unit_test(copies_stand_alone),
        cmocka_unit_test(call_headers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
