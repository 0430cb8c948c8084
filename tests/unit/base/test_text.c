/* Small text forms: b64url.c, clock.c, err.c, id.c, problem.c, sha256.c. */
#include "base/b64url.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/problem.h"
#include "base/sha256.h"

#include "cmocka_all.h"
#include <string.h>

static struct acme_arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = acme_arena_create(1024 * 1024);
    return arena == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    acme_arena_destroyp(&arena);
    return 0;
}

static enum acme_code decode(const char *text, struct acme_bytes *ret)
{
    return acme_b64url_decode(arena, text, strlen(text), ret).code;
}

static void b64url_known_values(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},         {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct acme_bytes out = {0};
        assert_string_equal(acme_b64url_encode(arena, pairs[i][0], strlen(pairs[i][0])), pairs[i][1]);
        assert_int_equal(decode(pairs[i][1], &out), ACME_OK);
        assert_int_equal(out.len, strlen(pairs[i][0]));
        assert_string_equal((const char *)out.data, pairs[i][0]);
    }
    assert_string_equal(acme_b64url_encode(arena, "\xfb\xff\xfe", 3), "-__-");
}

static void b64url_round_trip(void **state)
{
    (void)state;
    unsigned char raw[256];
    for (size_t i = 0; i < sizeof raw; i++)
        raw[i] = (unsigned char)(i * 7 + 3);
    for (size_t len = 0; len <= sizeof raw; len++) {
        struct acme_bytes out = {0};
        assert_int_equal(decode(acme_b64url_encode(arena, raw, len), &out), ACME_OK);
        assert_int_equal(out.len, len);
        assert_memory_equal(out.data, raw, len);
    }
}

/* Each octet in each place of a group, and of each kind of end. */
static void b64url_alphabet(void **state)
{
    (void)state;
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    static const char *const texts[] = {"AAAA", "AAAAAA", "AAAAAAA"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const size_t len = strlen(texts[i]);
        for (size_t place = 0; place < len; place++) {
            for (unsigned octet = 0; octet < 256; octet++) {
                char text[8];
                uint8_t out[6] = {0};
                size_t out_len = 0;
                memcpy(text, texts[i], len + 1);
                text[place] = (char)octet;
                const char *found = octet != 0 ? strchr(alphabet, (int)octet) : NULL;
                const size_t value = found != NULL ? (size_t)(found - alphabet) : 0;
                const bool last = place + 1 == len && len % 4 != 0;
                const size_t unused = !last ? 0 : len % 4 == 2 ? 15 : 3;
                enum acme_code code = acme_b64url_decode_into(text, len, out, sizeof out, &out_len).code;
                assert_int_equal(code, found != NULL && (value & unused) == 0 ? ACME_OK : ACME_E_FORMAT);
                if (code != ACME_OK)
                    continue;
                assert_int_equal(out_len, len * 3 / 4);
                const size_t bit = place * 6;
                const size_t pair =
                    (size_t)out[bit / 8] << 8 | (bit / 8 + 1 < sizeof out ? out[bit / 8 + 1] : 0);
                assert_int_equal(pair >> (10 - bit % 8) & 63, value);
            }
        }
    }
}

static void b64url_refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {"A",    "AAAAA", "Zg==", "Zm9v=", "Zm9v\n", " Zm9v",      "Zm+v",
                                      "Zm/v", "Zh",    "Zn",   "Zm9",   "Zm-",    "Z\xc3\xa4X", "AA.A"};
    struct acme_bytes out = {.data = NULL, .len = 77};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(decode(bad[i], &out), ACME_E_FORMAT);
    assert_int_equal(acme_b64url_decode(arena, "AA\0A", 4, &out).code, ACME_E_FORMAT);
    uint8_t own[3] = {0};
    size_t len = 77;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_true(acme_failed(acme_b64url_decode_into(bad[i], strlen(bad[i]), own, sizeof own, &len)));
    assert_int_equal(acme_b64url_decode_into("Zm9vYg", 6, own, sizeof own, &len).code, ACME_E_LIMIT);
    assert_int_equal(len, 77);
    assert_int_equal(acme_b64url_decode_into("Zm9v", 4, own, sizeof own, &len).code, ACME_OK);
    assert_int_equal(len, 3);
    assert_memory_equal(own, "foo", 3);
    assert_int_equal(out.len, 77);
    ACME_CLEANUP_ARENA struct acme_arena *small = acme_arena_create(16);
    assert_int_equal(acme_b64url_decode(small, "AAAAAAAAAAAAAAAAAAAAAAAAAAAA", 28, &out).code, ACME_E_NOMEM);
    assert_null(acme_b64url_encode(small, "0123456789abcdef", 16));
}

static void hexadecimal(void **state)
{
    (void)state;
    assert_string_equal(acme_hex_encode(arena, "\x00\xab\xff", 3, false), "00abff");
    assert_string_equal(acme_hex_encode(arena, "\x00\xab\xff", 3, true), "00ABFF");
    assert_string_equal(acme_hex_encode(arena, NULL, 0, true), "");
}

static void rfc3339_formats(void **state)
{
    (void)state;
    char text[ACME_RFC3339_SIZE];
    acme_rfc3339_format(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00Z");
    acme_rfc3339_format(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59Z");
    acme_rfc3339_format(INT64_C(1795507200999), text);
    assert_string_equal(text, "2026-11-24T08:00:00Z");
    acme_rfc3339_format(INT64_C(-62104060800000), text);
    assert_string_equal(text, "0002-01-01T00:00:00Z");
    acme_rfc3339_format(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59Z");
    acme_rfc3339_format(INT64_MIN, text);
    assert_string_equal(text, "0000-01-01T00:00:00Z");
}

static void rfc3339_parses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-24T08:00:00Z", INT64_C(1795507200000)},
        {"2026-11-24t08:00:00z", INT64_C(1795507200000)},
        {"2026-11-24T09:30:00.5+01:30", INT64_C(1795507200500)},
        {"2026-11-24T07:00:00.123456789-01:00", INT64_C(1795507200123)},
        {"2026-11-24T08:00:00-00:00", INT64_C(1795507200000)},
        {"2024-02-29T00:00:00Z", INT64_C(1709164800000)},
        {"2000-02-29T00:00:00Z", INT64_C(951782400000)},
        {"2016-12-31T23:59:60Z", INT64_C(1483228800000)},
        {"1969-12-31T23:59:59.999Z", -1},
        {"0001-01-01T00:00:00Z", INT64_C(-62135596800000)},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t ms = 42;
        assert_int_equal(acme_rfc3339_parse(good[i].text, &ms).code, ACME_OK);
        assert_true(ms == good[i].ms);
    }
}

static void rfc3339_refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "2026-11-24",
        "2026-11-24T08:00:00",
        "2026-11-24 08:00:00Z",
        "2026-11-24T08:00Z",
        "2026-11-24T08:00:00.Z",
        "2026-11-24T08:00:00,5Z",
        "2026-11-24T24:00:00Z",
        "2026-11-24T08:60:00Z",
        "2026-11-24T08:00:61Z",
        "2026-13-24T08:00:00Z",
        "2026-00-24T08:00:00Z",
        "2026-11-31T08:00:00Z",
        "2026-02-29T08:00:00Z",
        "1900-02-29T08:00:00Z",
        "2026-11-24T08:00:00+0100",
        "2026-11-24T08:00:00+24:00",
        "2026-11-24T08:00:00+01:60",
        "2026-11-24T08:00:00Z ",
        " 2026-11-24T08:00:00Z",
        "+026-11-24T08:00:00Z",
        "2026-1-24T08:00:00Z",
        "12026-11-24T08:00:00Z",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ms = 42;
        assert_int_equal(acme_rfc3339_parse(bad[i], &ms).code, ACME_E_FORMAT);
        assert_int_equal(ms, 42);
    }
}

static int64_t fixed_now(void *context)
{
    return *(int64_t *)context;
}

static void ids_are_version_7_in_time_order(void **state)
{
    (void)state;
    int64_t now = INT64_C(0x0123456789ab);
    const struct acme_clock clock = {.now_ms = fixed_now, .context = &now};
    char one[ACME_ID_SIZE];
    char two[ACME_ID_SIZE];
    assert_int_equal(acme_id_new(&clock, one).code, ACME_OK);
    assert_int_equal(acme_id_new(&clock, two).code, ACME_OK);
    assert_true(acme_id_valid(one));
    assert_string_not_equal(one, two);
    assert_memory_equal(one, "01234567-89ab-7", 15);
    now++;
    assert_int_equal(acme_id_new(&clock, two).code, ACME_OK);
    assert_true(strcmp(one, two) < 0);
    assert_true(acme_clock_now_ms(&acme_clock_system) > INT64_C(1700000000000));
}

/* More than come from one stock of random octets. */
static void ids_differ(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    int64_t now = 1;
    const struct acme_clock clock = {.now_ms = fixed_now, .context = &now};
    static char ids[COUNT][ACME_ID_SIZE];
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(acme_id_new(&clock, ids[i]).code, ACME_OK);
        assert_true(acme_id_valid(ids[i]));
        for (size_t j = 0; j < i; j++) /* the random part, not only the whole */
            assert_string_not_equal(ids[i] + 24, ids[j] + 24);
    }
}

static void id_form(void **state)
{
    (void)state;
    assert_true(acme_id_valid("01234567-89ab-7cde-8f01-23456789abcd"));
    assert_false(acme_id_valid(""));
    assert_false(acme_id_valid("01234567-89ab-7cde-8f01-23456789abc"));
    assert_false(acme_id_valid("01234567-89ab-7cde-8f01-23456789abcde"));
    assert_false(acme_id_valid("01234567-89AB-7cde-8f01-23456789abcd"));
    assert_false(acme_id_valid("01234567-89ab-4cde-8f01-23456789abcd"));
    assert_false(acme_id_valid("01234567-89ab-7cde-cf01-23456789abcd"));
    assert_false(acme_id_valid("0123456-789ab-7cde-8f01-23456789abcd"));
    assert_false(acme_id_valid("01234567-89ab-7cde-8f01-23456789ab/."));
}

static void codes_have_distinct_names(void **state)
{
    (void)state;
    for (int i = 0; i < ACME_E_COUNT; i++) {
        assert_string_not_equal(acme_code_name((enum acme_code)i), "unknown");
        for (int j = 0; j < i; j++)
            assert_string_not_equal(acme_code_name((enum acme_code)i), acme_code_name((enum acme_code)j));
    }
    assert_string_equal(acme_code_name((enum acme_code)99), "unknown");
}

static void problems(void **state)
{
    (void)state;
    for (int i = 0; i < ACME_PROBLEM_COUNT; i++) {
        struct acme_problem problem = {.type = (enum acme_problem_type)i};
        assert_true(acme_problem_status(&problem) >= 400);
        assert_memory_equal(acme_problem_urn(problem.type), "urn:ietf:params:acme:error:", 27);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(acme_problem_urn(problem.type),
                                    acme_problem_urn((enum acme_problem_type)j));
    }
    struct acme_problem bad_nonce = {.type = ACME_PROBLEM_BAD_NONCE, .detail = "a \"b\"\n"};
    assert_string_equal(acme_problem_json(arena, &bad_nonce),
                        "{\"type\":\"urn:ietf:params:acme:error:badNonce\",\"detail\":\"a \\\"b\\\"\\n\","
                        "\"status\":400}");
    struct acme_problem busy = {.type = ACME_PROBLEM_SERVER_INTERNAL, .status = 503};
    assert_string_equal(acme_problem_json(arena, &busy),
                        "{\"type\":\"urn:ietf:params:acme:error:serverInternal\",\"status\":503}");
}

static void printable(void **state)
{
    (void)state;
    assert_string_equal(acme_printable(arena, "a b~", 4, 100), "a b~");
    assert_string_equal(acme_printable(arena, "a\n\0\xff\\", 5, 100), "a\\x0a\\x00\\xff\\x5c");
    assert_string_equal(acme_printable(arena, "abcdef", 6, 6), "abcdef");
    assert_string_equal(acme_printable(arena, "abcdef", 6, 5), "abcde...");
    assert_string_equal(acme_printable(arena, "ab\n", 3, 5), "ab...");
    assert_string_equal(acme_printable(arena, "", 0, 0), "");
    assert_string_equal(acme_printable(arena, "a", 1, 0), "...");
}

/* FIPS 180-2 appendix B.1, and nothing at all. */
static void sha256(void **state)
{
    (void)state;
    uint8_t digest[ACME_SHA256_SIZE];
    assert_int_equal(acme_sha256("abc", 3, digest).code, ACME_OK);
    assert_string_equal(acme_hex_encode(arena, digest, sizeof digest, false),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(acme_sha256(NULL, 0, digest).code, ACME_OK);
    assert_string_equal(acme_hex_encode(arena, digest, sizeof digest, false),
                        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(b64url_known_values),
        cmocka_unit_test(b64url_round_trip),
        cmocka_unit_test(b64url_alphabet),
        cmocka_unit_test(b64url_refuses),
        cmocka_unit_test(hexadecimal),
        cmocka_unit_test(rfc3339_formats),
        cmocka_unit_test(rfc3339_parses),
        cmocka_unit_test(rfc3339_refuses),
        cmocka_unit_test(ids_are_version_7_in_time_order),
        cmocka_unit_test(ids_differ),
        cmocka_unit_test(id_form),
        cmocka_unit_test(codes_have_distinct_names),
        cmocka_unit_test(problems),
        cmocka_unit_test(printable),
        cmocka_unit_test(sha256),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
