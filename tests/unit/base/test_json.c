/* json.c: what passes the door and what does not; json_writer.c. */
#include "base/json.h"
#include "base/json_writer.h"

#include "cmocka_all.h"
#include <stdio.h>
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

static enum acme_code parse_len(const char *text, size_t len, cJSON **ret)
{
    return acme_json_parse(arena, text, len, ret).code;
}

static cJSON *parse(const char *text)
{
    cJSON *tree = NULL;
    if (parse_len(text, strlen(text), &tree) != ACME_OK)
        return NULL;
    return tree;
}

static void accepts(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{}",
        "[]",
        "null",
        "true",
        "0",
        "-0",
        "-1.5e+10",
        "1E-2",
        "\"\"",
        " \t\r\n{ \"a\" : [ 1 , 2 ] , \"A\" : null } \n",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\"",
        "\"\\ud83d\\ude00\"",
        "\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf \x7f\"",
        "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]", /* 16 levels */
        "{\"a\":{\"a\":{\"a\":1}}}",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_non_null(parse(good[i]));
}

static void refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "}",
        "{}x",
        "{}{}",
        "{} null",
        "{\"a\":1,}",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\" 1}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":}",
        "[1}",
        "// x\n1",
        "1/**/",
        "\v1",
        "\xef\xbb\xbf{}",
        "nul",
        "True",
        "NaN",
        "Infinity",
        "012",
        "1e309",
        "-1e309",
        "-",
        "-01",
        "+1",
        ".5",
        "1.",
        "1.e1",
        "1e",
        "1e+",
        "0x10",
        "--1",
        "1111111111111111111111111111111111111111111111111111111111111111", /* 64 digits */
        "\"",
        "\"a",
        "\"a\nb\"",
        "\"a\tb\"",
        "\"\x01\"",
        "\"\\x41\"",
        "\"\\'\"",
        "\"\\",
        "\"\\u\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\u0000\"",
        "{\"a\\u0000b\":1}",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800x\"",
        "\"\\ud800\\n\"",
        "\"\\ud800\\u0041\"",
        "\"\\ud800\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\x80\"",
        "\"\xc3\"",
        "\"\xc3(\"",
        "\"\xc0\x80\"",
        "\"\xc1\xbf\"",
        "\"\xe0\x9f\xbf\"",
        "\"\xed\xa0\x80\"",
        "\"\xf0\x8f\xbf\xbf\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xf5\x80\x80\x80\"",
        "\"\xe2\x82\"",
        "\"\xff\"",
        "{\"\xff\":1}",
        "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", /* 17 levels */
        "{\"a\":1,\"a\":1}",
        "{\"a\":1,\"b\":2,\"\\u0061\":3}",
        "{\"\":1,\"\":2}",
        "[[{\"x\":{\"k\":1,\"k\":2}}]]",
    };
    cJSON *tree = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (parse_len(bad[i], strlen(bad[i]), &tree) != ACME_E_FORMAT)
            fail_msg("accepted: %s", bad[i]);
    assert_int_equal(parse_len("{}\0", 3, &tree), ACME_E_FORMAT);
    assert_int_equal(parse_len("\0", 1, &tree), ACME_E_FORMAT);
    assert_int_equal(parse_len("\"a\0b\"", 5, &tree), ACME_E_FORMAT);
    assert_int_equal(parse_len("\"\\\0\"", 4, &tree), ACME_E_FORMAT);
    assert_null(tree);
}

/* Each octet in each place: strings are looked at in groups. */
static void every_octet_in_a_string(void **state)
{
    (void)state;
    for (size_t place = 0; place < 20; place++) {
        for (unsigned octet = 0; octet < 256; octet++) {
            char text[22] = "\"abcdefghijklmnopqrst";
            text[sizeof text - 1] = '"';
            text[1 + place] = (char)octet;
            cJSON *tree = NULL;
            enum acme_code code = parse_len(text, sizeof text, &tree);
            bool plain = octet >= 0x20 && octet < 0x80 && octet != '"' && octet != '\\';
            bool escape = octet == '\\' && (place == 0 || place == 4 || place == 12 || place == 16 ||
                                            place == 18 || place == 19);
            if (!escape)
                assert_int_equal(code, plain ? ACME_OK : ACME_E_FORMAT);
        }
    }
}

static size_t flat(const char *text, struct acme_json_text members[ACME_JSON_FLAT_MAX])
{
    return acme_json_flat(text, strlen(text), members);
}

static void assert_text(struct acme_bytes bytes, const char *text)
{
    assert_int_equal(bytes.len, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.len);
}

static void flat_objects(void **state)
{
    (void)state;
    struct acme_json_text members[ACME_JSON_FLAT_MAX];
    assert_int_equal(flat(" { \"a\" : \"1\" ,\n\"\":\"\", \"\xc3\xa4\":\"}\" } ", members), 3);
    assert_text(members[0].name, "a");
    assert_text(members[0].value, "1");
    assert_text(members[1].name, "");
    assert_text(members[1].value, "");
    assert_text(members[2].name, "\xc3\xa4");
    assert_text(members[2].value, "}");
    assert_int_equal(flat("{\"1\":\"\",\"2\":\"\",\"3\":\"\",\"4\":\"\",\"5\":\"\",\"6\":\"\",\"7\":"
                          "\"\",\"8\":\"\"}",
                          members),
                     8);
    static const char *const others[] = {
        "",
        "{",
        "{}",
        "[]",
        "\"a\"",
        "{\"a\":1}",
        "{\"a\":null}",
        "{\"a\":{}}",
        "{\"a\":[\"b\"]}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":\"b\",}",
        "{\"a\":\"b\"",
        "{\"a\":\"b",
        "{\"a\":\"b\"}x",
        "{\"a\":\"b\"}{}",
        "{\"a\":\"\\n\"}",
        "{\"\\u0061\":\"b\"}",
        "{\"a\":\"b\",\"a\":\"c\"}",
        "{\"a\":\"b\",\"c\":\"d\",\"a\":\"b\"}",
        "{\"a\":\"\x80\"}",
        "{\"a\":\"\t\"}",
        "{\"1\":\"\",\"2\":\"\",\"3\":\"\",\"4\":\"\",\"5\":\"\",\"6\":\"\",\"7\":\"\",\"8\":\"\",\"9\":"
        "\"\"}",
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (flat(others[i], members) != 0)
            fail_msg("%s", others[i]);
}

static void needs_no_terminator(void **state)
{
    (void)state;
    const char text[] = {'{', '"', 'a', '"', ':', '1', '2', '}', '3'};
    cJSON *tree = NULL;
    assert_int_equal(parse_len(text, 8, &tree), ACME_OK);
    assert_int_equal(parse_len(text, 7, &tree), ACME_E_FORMAT);
    assert_int_equal(parse_len(text, 9, &tree), ACME_E_FORMAT);
    cJSON *number = NULL;
    assert_int_equal(parse_len(text + 5, 1, &number), ACME_OK);
    assert_true(number->valuedouble >= 1 && number->valuedouble <= 1);
}

static void member_count(void **state)
{
    (void)state;
    for (int count = 1024; count <= 1025; count++) {
        ACME_CLEANUP_BUF struct acme_buf text;
        acme_buf_init(&text, 64 * 1024);
        struct acme_json_writer writer;
        acme_jw_init(&writer, &text);
        acme_jw_object(&writer, NULL);
        for (int i = 0; i < count; i++) {
            char name[16];
            (void)snprintf(name, sizeof name, "n%d", i);
            acme_jw_int(&writer, name, i);
        }
        acme_jw_object_end(&writer);
        cJSON *tree = NULL;
        assert_int_equal(parse_len(acme_buf_cstr(&text), text.len, &tree),
                         count == 1024 ? ACME_OK : ACME_E_FORMAT);
    }
}

static void no_room_in_the_arena(void **state)
{
    (void)state;
    ACME_CLEANUP_ARENA struct acme_arena *small = acme_arena_create(8);
    cJSON *tree = NULL;
    assert_int_equal(acme_json_parse(small, "{}", 2, &tree).code, ACME_E_NOMEM);
    assert_null(tree);
}

static void reads_members(void **state)
{
    (void)state;
    const cJSON *tree = parse("{\"s\":\"x\\u00e4\",\"n\":null,\"i\":-42,\"f\":1.5,\"b\":true,\"c\":false,"
                              "\"big\":9007199254740992,\"over\":9007199254740994,\"huge\":1e300,\"a\":[1]}");
    assert_non_null(tree);
    assert_string_equal(acme_json_str(tree, "s"), "x\xc3\xa4");
    assert_null(acme_json_str(tree, "S"));
    assert_null(acme_json_str(tree, "n"));
    assert_null(acme_json_str(tree, "i"));
    assert_null(acme_json_get(tree, "n"));
    assert_null(acme_json_get(NULL, "n"));
    assert_null(acme_json_get(acme_json_get(tree, "a"), "s"));
    int64_t value = 7;
    assert_true(acme_json_int(tree, "i", &value));
    assert_int_equal(value, -42);
    assert_true(acme_json_int(tree, "big", &value));
    assert_true(value == INT64_C(9007199254740992));
    value = 7;
    assert_false(acme_json_int(tree, "f", &value));
    assert_false(acme_json_int(tree, "over", &value));
    assert_false(acme_json_int(tree, "huge", &value));
    assert_false(acme_json_int(tree, "s", &value));
    assert_false(acme_json_int(tree, "absent", &value));
    assert_int_equal(value, 7);
    assert_true(acme_json_bool(tree, "b", false));
    assert_false(acme_json_bool(tree, "c", true));
    assert_true(acme_json_bool(tree, "i", true));
    assert_false(acme_json_bool(tree, "absent", false));
    assert_string_equal(acme_json_print(arena, acme_json_get(tree, "a")), "[1]");
}

static void writes(void **state)
{
    (void)state;
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, 4096);
    struct acme_json_writer writer;
    acme_jw_init(&writer, &out);
    acme_jw_object(&writer, NULL);
    acme_jw_str(&writer, "absent", NULL);
    acme_jw_str(&writer, "s\"", "a\\\"\n\x01\x7f\xc3\xa4/");
    acme_jw_time(&writer, "never", 0);
    acme_jw_time(&writer, "t", 1000);
    acme_jw_array(&writer, "a");
    acme_jw_int(&writer, NULL, INT64_MIN);
    acme_jw_bool(&writer, NULL, true);
    acme_jw_object(&writer, NULL);
    acme_jw_object_end(&writer);
    acme_jw_array(&writer, NULL);
    acme_jw_array_end(&writer);
    acme_jw_array_end(&writer);
    acme_jw_raw(&writer, "none", NULL);
    acme_jw_raw(&writer, "r", "{\"x\":1}");
    acme_jw_bool(&writer, "b", false);
    acme_jw_object_end(&writer);
    const char *text = acme_buf_cstr(&out);
    assert_string_equal(text,
                        "{\"s\\\"\":\"a\\\\\\\"\\n\\u0001\x7f\xc3\xa4/\",\"t\":\"1970-01-01T00:00:01Z\","
                        "\"a\":[-9223372036854775808,true,{},[]],\"r\":{\"x\":1},\"b\":false}");
    const cJSON *tree = parse(text);
    assert_string_equal(acme_json_str(tree, "s\""), "a\\\"\n\x01\x7f\xc3\xa4/");
}

static void writer_fails_once_for_all(void **state)
{
    (void)state;
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, 10);
    struct acme_json_writer writer;
    acme_jw_init(&writer, &out);
    acme_jw_array(&writer, NULL);
    acme_jw_str(&writer, NULL, "0123456789");
    acme_jw_array_end(&writer);
    assert_null(acme_buf_cstr(&out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts),
        cmocka_unit_test(refuses),
        cmocka_unit_test(every_octet_in_a_string),
        cmocka_unit_test(flat_objects),
        cmocka_unit_test(needs_no_terminator),
        cmocka_unit_test(member_count),
        cmocka_unit_test(no_room_in_the_arena),
        cmocka_unit_test(reads_members),
        cmocka_unit_test(writes),
        cmocka_unit_test(writer_fails_once_for_all),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
