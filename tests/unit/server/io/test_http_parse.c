#include "cmocka_all.h"
#include "server/http_parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BODY = 1000 };

static enum acme_http_verdict parse(const char *text, size_t len, struct acme_http_head *head,
                                    struct acme_http_refusal *refusal)
{
    size_t scanned = 0;
    char *exact = malloc(len > 0 ? len : 1); /* so that reading past the end is noticed */
    memcpy(exact, text, len);
    enum acme_http_verdict verdict = acme_http_parse_head(exact, len, MAX_BODY, &scanned, head, refusal);
    free(exact);
    return verdict;
}

static void assert_span(const char *text, struct acme_http_span span, const char *expected)
{
    assert_int_equal(span.len, strlen(expected));
    assert_memory_equal(text + span.at, expected, span.len);
}

#define HOST "Host: a\r\n"

static void test_accepts(void **state)
{
    (void)state;
    static const char text[] = "POST /new-order?x=1&y HTTP/1.1\r\nhost: acme.example:14000\r\n"
                               "CONTENT-LENGTH:  12\t\r\nContent-Type: application/jose+json\r\n"
                               "User-Agent: \tcertbot \r\nExpect: 100-Continue\r\n"
                               "Connection: TE, Keep-Alive\r\nX-Empty:\r\n\r\nbody";
    struct acme_http_head head;
    struct acme_http_refusal refusal;
    assert_int_equal(parse(text, sizeof text - 1, &head, &refusal), ACME_HTTP_COMPLETE);
    assert_span(text, head.method, "POST");
    assert_span(text, head.path, "/new-order");
    assert_true(head.has_query);
    assert_span(text, head.query, "x=1&y");
    assert_span(text, head.content_type, "application/jose+json");
    assert_span(text, head.user_agent, "certbot");
    assert_int_equal(head.content_length, 12);
    assert_true(head.expect_continue);
    assert_true(head.keep_alive);
    assert_false(head.http_1_0);
    assert_int_equal(head.head_len, sizeof text - 1 - 4);
}

static void test_connection(void **state)
{
    (void)state;
    static const struct {
        const char *version;
        const char *fields;
        bool keep_alive;
    } cases[] = {
        {"1.1", "", true},
        {"1.0", "", false},
        {"1.0", "Connection: keep-alive\r\n", true},
        {"1.0", "Connection: close, keep-alive\r\n", false},
        {"1.1", "Connection: TE, close\r\n", false},
        {"1.1", "Connection: te,, ,CLOSE\r\n", false},
        {"1.1", "Connection: closed\r\n", true},
        {"1.1", "Connection: keep-alive\r\nConnection: close\r\n", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        int len =
            snprintf(text, sizeof text, "GET / HTTP/%s\r\n" HOST "%s\r\n", cases[i].version, cases[i].fields);
        struct acme_http_head head;
        struct acme_http_refusal refusal;
        assert_int_equal(parse(text, (size_t)len, &head, &refusal), ACME_HTTP_COMPLETE);
        assert_int_equal(head.keep_alive, cases[i].keep_alive);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *text;
    } cases[] = {
        {400, "GET / HTTP/1.1\r\n\r\n"},              /* no Host */
        {400, "GET / HTTP/1.1\r\n" HOST HOST "\r\n"}, /* repeated */
        {400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"},     /* empty */
        {400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"}, /* not a host */
        {400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1 2\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551617\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 0000000000000001\r\n\r\n"},
        {413, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\n"},
        {411, "POST / HTTP/1.1\r\n" HOST "\r\n"},
        {411, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"},
        {411, "GET / HTTP/1.1\r\n" HOST "transfer-encoding: identity\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"},
        {400, "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\n" HOST " folded\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\n" HOST "\tfolded\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\n folded: first\r\n" HOST "\r\n"},
        {400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\n" HOST ": no name\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\n" HOST "na\xc3\xafve: x\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\n" HOST "X: a\001b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\n" HOST "X: a\x7f\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\n" HOST "Content-Type: a\r\nContent-Type: b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\n" HOST "Connection: a b\r\n\r\n"},
        {417, "GET / HTTP/1.1\r\n" HOST "Expect: miracles\r\n\r\n"},
        {400, "GET / HTTP/1.1\n" HOST "\r\n"}, /* bare LF, at once */
        {400, "GET / HTTP/1.1\r\nHost: a\n"},
        {400, "\n"},
        {400, "\r\n\r\n"},
        {400, "GET /\r\n" HOST "\r\n"},
        {400, "GET  / HTTP/1.1\r\n" HOST "\r\n"},
        {400, "GET / HTTP/1.1 \r\n" HOST "\r\n"},
        {400, " GET / HTTP/1.1\r\n" HOST "\r\n"},
        {400, "GET\t/\tHTTP/1.1\r\n" HOST "\r\n"},
        {400, "G\"T / HTTP/1.1\r\n" HOST "\r\n"},
        {400, "ABCDEFGHIJKLMNOPQ / HTTP/1.1\r\n" HOST "\r\n"}, /* 17 characters */
        {400, "GET / http/1.1\r\n" HOST "\r\n"},
        {400, "GET / HTTP/1.10\r\n" HOST "\r\n"},
        {505, "GET / HTTP/1.2\r\n" HOST "\r\n"},
        {505, "GET / HTTP/0.9\r\n" HOST "\r\n"},
        {505, "PRI * HTTP/2.0\r\n\r\n"},
        {400, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n"},
        {400, "GET http://a/ HTTP/1.1\r\n" HOST "\r\n"},
        {400, "CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n"},
        {400, "GET /a#b HTTP/1.1\r\n" HOST "\r\n"},
        {400, "GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n"},
        {400, "GET /\x7f HTTP/1.1\r\n" HOST "\r\n"},
        {400, "GET /\001 HTTP/1.1\r\n" HOST "\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct acme_http_head head;
        struct acme_http_refusal refusal = {.status = 0};
        enum acme_http_verdict verdict = parse(cases[i].text, strlen(cases[i].text), &head, &refusal);
        if (verdict != ACME_HTTP_REFUSED || refusal.status != cases[i].status)
            print_error("case %zu: %s\n", i, cases[i].text);
        assert_int_equal(verdict, ACME_HTTP_REFUSED);
        assert_int_equal(refusal.status, cases[i].status);
        assert_non_null(refusal.detail);
    }
    static const char nul[] = "GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n";
    struct acme_http_head head;
    struct acme_http_refusal refusal = {.status = 0};
    assert_int_equal(parse(nul, sizeof nul - 1, &head, &refusal), ACME_HTTP_REFUSED);
    static const char nul_name[] = "GET / HTTP/1.1\r\n" HOST "X\0: b\r\n\r\n";
    assert_int_equal(parse(nul_name, sizeof nul_name - 1, &head, &refusal), ACME_HTTP_REFUSED);
}

static void test_tolerates(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "\r\nGET / HTTP/1.1\r\n" HOST "\r\n", /* one empty line before */
        "GET / HTTP/1.0\r\n\r\n",             /* HTTP/1.0 had no Host */
        "DELETE / HTTP/1.1\r\n" HOST "\r\n",  /* somebody else says 405 */
        "POST / HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1]:443\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST "X: caf\xc3\xa9\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct acme_http_head head;
        struct acme_http_refusal refusal;
        assert_int_equal(parse(cases[i], strlen(cases[i]), &head, &refusal), ACME_HTTP_COMPLETE);
        assert_int_equal(head.head_len, strlen(cases[i]));
    }
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    static const char text[] = "\r\nPOST /x HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello";
    const size_t head_len = sizeof text - 1 - 5;
    struct acme_http_head head;
    struct acme_http_refusal refusal;
    size_t scanned = 0;
    for (size_t len = 0; len < head_len; len++)
        assert_int_equal(acme_http_parse_head(text, len, MAX_BODY, &scanned, &head, &refusal),
                         ACME_HTTP_MORE);
    assert_int_equal(acme_http_parse_head(text, head_len, MAX_BODY, &scanned, &head, &refusal),
                     ACME_HTTP_COMPLETE);
    assert_int_equal(head.head_len, head_len);
}

static void test_sizes(void **state)
{
    (void)state;
    struct acme_http_head head;
    struct acme_http_refusal refusal;
    char *text = malloc(64 * 1024);
    /* The target: 2048 fit, 2049 do not. */
    for (int extra = 0; extra < 2; extra++) {
        int len = sprintf(text, "GET /%0*d HTTP/1.1\r\n" HOST "\r\n", ACME_HTTP_MAX_TARGET - 1 + extra, 0);
        assert_int_equal(parse(text, (size_t)len, &head, &refusal),
                         extra ? ACME_HTTP_REFUSED : ACME_HTTP_COMPLETE);
    }
    assert_int_equal(refusal.status, 414);
    /* A request line without an end. */
    memset(text, 'A', 64 * 1024);
    assert_int_equal(parse(text, ACME_HTTP_MAX_HEAD - 1, &head, &refusal), ACME_HTTP_MORE);
    assert_int_equal(parse(text, ACME_HTTP_MAX_HEAD, &head, &refusal), ACME_HTTP_REFUSED);
    assert_int_equal(refusal.status, 414);
    /* 100 fields fit, 101 do not. */
    for (int extra = 0; extra < 2; extra++) {
        int len = sprintf(text, "GET / HTTP/1.1\r\n" HOST);
        for (int i = 1; i < ACME_HTTP_MAX_FIELDS + extra; i++)
            len += sprintf(text + len, "X: y\r\n");
        len += sprintf(text + len, "\r\n");
        assert_int_equal(parse(text, (size_t)len, &head, &refusal),
                         extra ? ACME_HTTP_REFUSED : ACME_HTTP_COMPLETE);
    }
    assert_int_equal(refusal.status, 431);
    /* 16 KiB in all fit, one byte more does not. */
    for (int extra = 0; extra < 2; extra++) {
        int len = sprintf(text, "GET / HTTP/1.1\r\n" HOST "X: ");
        len += sprintf(text + len, "%0*d\r\n\r\n", ACME_HTTP_MAX_HEAD + extra - len - 4, 0);
        assert_int_equal(len, ACME_HTTP_MAX_HEAD + extra);
        assert_int_equal(parse(text, (size_t)len, &head, &refusal),
                         extra ? ACME_HTTP_REFUSED : ACME_HTTP_COMPLETE);
    }
    assert_int_equal(refusal.status, 431);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),      cmocka_unit_test(test_connection),
        cmocka_unit_test(test_refusals),     cmocka_unit_test(test_tolerates),
        cmocka_unit_test(test_byte_by_byte), cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
