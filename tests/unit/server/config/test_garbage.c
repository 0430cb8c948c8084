/* Damaged files give mistakes, never a crash: random changes to a real file, with a fixed seed so that a
 * failure repeats. Worth most under the sanitizers. */
#include "server/config.h"

#include "cmocka_all.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 4000, FILE_MAX = 16384 };

static uint64_t seed = 88172645463325252U;

static size_t draw(size_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (size_t)(seed % below);
}

static size_t damage(char *text, size_t len, size_t room)
{
    static const char *const pieces[] = {
        "{",  "}", "[", "]", ": ", "- ", "\n",    "\"", "'",    "&a ",  "*a",           "!!int ", "|\n",
        "${", "}", "@", "%", "#",  "\t", "---\n", "? ", "<<: ", "\xff", "\xe2\x80\xa8", "\\",     "~"};
    size_t at = draw(len);
    size_t cut = draw(12);
    const char *piece = pieces[draw(sizeof pieces / sizeof pieces[0])];
    size_t piece_len = strlen(piece);
    switch (draw(4)) {
    case 0: /* one octet changed */
        text[at] = (char)draw(256);
        return len;
    case 1: /* some taken out */
        cut = cut < len - at ? cut : len - at - 1;
        memmove(text + at, text + at + cut, len - at - cut);
        return len - cut;
    case 2: /* a piece of syntax put in */
        if (len + piece_len > room)
            return len;
        memmove(text + at + piece_len, text + at, len - at);
        memcpy(text + at, piece, piece_len);
        return len + piece_len;
    default: /* the end missing */
        return draw(20) == 0 ? at + 1 : len;
    }
}

static void test_damaged_files(void **state)
{
    (void)state;
    static char original[FILE_MAX];
    static char text[FILE_MAX];
    FILE *file = fopen(EXAMPLE_FILE, "r");
    assert_non_null(file);
    size_t original_len = fread(original, 1, sizeof original / 2, file);
    fclose(file);
    assert_true(original_len > 0);

    size_t refused = 0;
    for (size_t round = 0; round < ROUNDS; round++) {
        memcpy(text, original, original_len);
        size_t len = original_len;
        for (size_t changes = 1 + draw(8); changes > 0; changes--)
            len = damage(text, len, sizeof text);
        /* A block of the exact size, so that reading past its end is seen. */
        char *exact = malloc(len);
        assert_non_null(exact);
        memcpy(exact, text, len);
        struct acme_config *config = NULL;
        char *error = NULL;
        struct acme_err err = acme_config_parse("f.yaml", exact, len, NULL, &config, &error);
        free(exact);
        if (acme_failed(err)) {
            assert_int_equal(err.code, ACME_E_FORMAT);
            assert_null(config);
            assert_int_equal(strncmp(error, "f.yaml:", 7), 0);
            refused++;
        }
        free(error);
        acme_config_destroy(config);
    }
    assert_true(refused > ROUNDS / 2);
}

static void test_noise(void **state)
{
    (void)state;
    for (size_t round = 0; round < ROUNDS; round++) {
        size_t len = 1 + draw(200);
        char *noise = malloc(len);
        assert_non_null(noise);
        for (size_t i = 0; i < len; i++)
            noise[i] = round % 2 == 0 ? (char)draw(256) : "{}[]:,-'\"\n a&*!|>?#%@`${0"[draw(25)];
        struct acme_config *config = NULL;
        char *error = NULL;
        assert_int_equal(acme_config_parse("f.yaml", noise, len, NULL, &config, &error).code, ACME_E_FORMAT);
        free(noise);
        free(error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_noise),
    };
    return cmocka_run_group_tests_name("config garbage", tests, NULL, NULL);
}
