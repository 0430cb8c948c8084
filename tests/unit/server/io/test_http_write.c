#include "cmocka_all.h"
#include "server/http_write.h"

#include <stdlib.h>
#include <string.h>

static struct acme_response sample(void)
{
    return (struct acme_response){.status = 201,
                                  .content_type = "application/json",
                                  .body = {.data = (const uint8_t *)"{}", .len = 2},
                                  .headers = {{"Replay-Nonce", "abc"}, {"Link", "<x>;rel=\"index\""}},
                                  .header_count = 2};
}

static char *write_text(const struct acme_response *response, unsigned flags)
{
    size_t len = 0;
    char *text = acme_http_write_response(response, flags, &len);
    assert_non_null(text);
    assert_int_equal(len, strlen(text));
    return text;
}

static void test_whole(void **state)
{
    (void)state;
    struct acme_response response = sample();
    char *text = write_text(&response, 0);
    assert_memory_equal(text, "HTTP/1.1 201 Created\r\nDate: ", 28);
    assert_non_null(
        strstr(text, " GMT\r\nContent-Type: application/json\r\nContent-Length: 2\r\nReplay-Nonce: abc\r\n"
                     "Link: <x>;rel=\"index\"\r\n\r\n{}"));
    assert_null(strstr(text, "Connection"));
    assert_null(strstr(text, "Server"));
    free(text);
}

static void test_flags(void **state)
{
    (void)state;
    struct acme_response response = sample();
    char *text = write_text(&response, ACME_HTTP_WRITE_NO_BODY | ACME_HTTP_WRITE_CLOSE);
    assert_non_null(strstr(text, "Content-Length: 2\r\n"));
    const char end[] = "Connection: close\r\n\r\n";
    assert_string_equal(text + strlen(text) - strlen(end), end);
    free(text);
    text = write_text(&response, ACME_HTTP_WRITE_KEEP_ALIVE);
    assert_non_null(strstr(text, "Connection: keep-alive\r\n\r\n{}"));
    free(text);
}

static void test_without_body(void **state)
{
    (void)state;
    struct acme_response response = {.status = 200};
    char *text = write_text(&response, 0);
    assert_non_null(strstr(text, "Content-Length: 0\r\n"));
    assert_null(strstr(text, "Content-Type"));
    free(text);
    response.status = 204;
    text = write_text(&response, 0);
    assert_null(strstr(text, "Content-Length"));
    free(text);
}

static void test_numbers(void **state)
{
    (void)state;
    static const uint8_t body[1] = {0};
    struct acme_response response = {.status = 299, .content_type = "text/plain", .body = {.data = body}};
    char *text = write_text(&response, 0);
    assert_memory_equal(text, "HTTP/1.1 299 Other\r\n", 20);
    assert_non_null(strstr(text, "\r\nContent-Length: 0\r\n"));
    free(text);
    response.body.len = 1234567890;
    text = write_text(&response, ACME_HTTP_WRITE_NO_BODY);
    assert_non_null(strstr(text, "\r\nContent-Length: 1234567890\r\n"));
    free(text);
}

static void test_no_injection(void **state)
{
    (void)state;
    struct acme_response response = sample();
    response.headers[0].value = "a\r\nSet-Cookie: b";
    char *text = write_text(&response, 0);
    assert_null(strstr(text, "Set-Cookie"));
    assert_null(strstr(text, "Replay-Nonce"));
    assert_non_null(strstr(text, "Link: "));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_without_body), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_no_injection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
