/* arena.c and buf.c: caps, order of clean-ups, alignment, sticky failure. */
#include "base/arena.h"
#include "base/buf.h"

#include "cmocka_all.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int released[8];
static size_t released_count;

static void note_release(void *object)
{
    released[released_count++] = *(int *)object;
}

static void arena_releases_latest_first(void **state)
{
    (void)state;
    int one = 1;
    int two = 2;
    int three = 3;
    released_count = 0;
    struct acme_arena *arena = acme_arena_create(4096);
    assert_true(acme_arena_defer(arena, note_release, &one));
    assert_true(acme_arena_defer(arena, note_release, &two));
    assert_true(acme_arena_defer(arena, note_release, &three));
    assert_int_equal(released_count, 0);
    acme_arena_destroyp(&arena);
    assert_null(arena);
    assert_int_equal(released_count, 3);
    assert_int_equal(released[0], 3);
    assert_int_equal(released[1], 2);
    assert_int_equal(released[2], 1);
    acme_arena_destroy(NULL);
}

static void arena_full_defer_releases_at_once(void **state)
{
    (void)state;
    int one = 1;
    released_count = 0;
    struct acme_arena *arena = acme_arena_create(8);
    assert_false(acme_arena_defer(arena, note_release, &one));
    assert_int_equal(released_count, 1);
    acme_arena_destroy(arena);
    assert_int_equal(released_count, 1);
}

static void arena_keeps_its_cap(void **state)
{
    (void)state;
    struct acme_arena *arena = acme_arena_create(1024);
    assert_null(acme_arena_alloc(arena, 1025));
    assert_null(acme_arena_alloc(arena, SIZE_MAX));
    assert_null(acme_arena_alloc(arena, SIZE_MAX - 8));
    assert_non_null(acme_arena_alloc(arena, 1000));
    assert_non_null(acme_arena_alloc(arena, 16));
    assert_null(acme_arena_alloc(arena, 1));
    assert_null(acme_arena_strdup(arena, "x"));
    assert_null(acme_arena_printf(arena, "%d", 7));
    acme_arena_destroy(arena);
}

static void arena_memory_is_zeroed_aligned_and_separate(void **state)
{
    (void)state;
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(4 * 1024 * 1024);
    unsigned char *pieces[300];
    size_t sizes[300];
    for (size_t i = 0; i < 300; i++) {
        sizes[i] = i * 37 % 5000; /* within a block, over its end, and with blocks of their own */
        pieces[i] = acme_arena_alloc(arena, sizes[i]);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(pieces[i][j], 0);
        memset(pieces[i], (int)(i & 0xff), sizes[i]);
    }
    for (size_t i = 0; i < 300; i++)
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(pieces[i][j], i & 0xff);
}

static void arena_copies_text(void **state)
{
    (void)state;
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(4096);
    assert_string_equal(acme_arena_strdup(arena, ""), "");
    assert_string_equal(acme_arena_strndup(arena, "abcdef", 3), "abc");
    assert_string_equal(acme_arena_strndup(arena, "ab", 30), "ab");
    assert_string_equal(acme_arena_printf(arena, "%s-%05d", "x", 42), "x-00042");
    assert_memory_equal(acme_arena_memdup(arena, "a\0b", 3), "a\0b", 3);
    assert_non_null(acme_arena_memdup(arena, NULL, 0));
}

/* Texts that fit the rest of a block, and those that do not: none overlaps another, and memory stays zeroed.
 */
static void arena_prints_texts_of_all_lengths(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    static char long_text[COUNT * 7 + 1];
    memset(long_text, 'x', sizeof long_text - 1);
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(1024 * 1024);
    char *texts[COUNT];
    for (int i = 0; i < COUNT; i++) {
        texts[i] = acme_arena_printf(arena, "%d:%.*s", i, i * 7, long_text);
        assert_non_null(texts[i]);
        const unsigned char *zeroed = acme_arena_alloc(arena, 24);
        for (size_t j = 0; j < 24; j++)
            assert_int_equal(zeroed[j], 0);
    }
    for (int i = 0; i < COUNT; i++) {
        char number[16];
        int digits = snprintf(number, sizeof number, "%d:", i);
        assert_memory_equal(texts[i], number, (size_t)digits);
        assert_int_equal(strlen(texts[i]), (size_t)digits + (size_t)i * 7);
        assert_int_equal(strspn(texts[i] + digits, "x"), (size_t)i * 7);
    }
}

static void buf_extends(void **state)
{
    (void)state;
    ACME_CLEANUP_BUF struct acme_buf buf;
    acme_buf_init(&buf, 6);
    acme_buf_str(&buf, "ab");
    char *room = acme_buf_extend(&buf, 3);
    assert_non_null(room);
    memcpy(room, "cde", 3);
    assert_string_equal(acme_buf_cstr(&buf), "abcde");
    assert_null(acme_buf_extend(&buf, 2));
    assert_null(acme_buf_cstr(&buf));
    assert_null(acme_buf_extend(&buf, 1));
}

static void buf_grows_up_to_its_maximum(void **state)
{
    (void)state;
    ACME_CLEANUP_BUF struct acme_buf buf;
    acme_buf_init(&buf, 1000);
    assert_string_equal(acme_buf_cstr(&buf), "");
    for (int i = 0; i < 100; i++)
        acme_buf_printf(&buf, "%010d", i);
    assert_false(buf.failed);
    assert_int_equal(buf.len, 1000);
    assert_int_equal(strlen(acme_buf_cstr(&buf)), 1000);
    assert_memory_equal(buf.data + 990, "0000000099", 10);
    acme_buf_append(&buf, "", 0);
    assert_false(buf.failed);
    acme_buf_str(&buf, "x");
    assert_true(buf.failed);
    assert_int_equal(buf.len, 1000);
    assert_null(acme_buf_cstr(&buf));
    assert_null(acme_buf_steal(&buf));
}

static void buf_reserves_within_its_maximum(void **state)
{
    (void)state;
    ACME_CLEANUP_BUF struct acme_buf buf;
    acme_buf_init(&buf, 1000);
    acme_buf_reserve(&buf, 600);
    assert_true(buf.cap > 600);
    assert_int_equal(buf.len, 0);
    assert_string_equal(acme_buf_cstr(&buf), "");
    const char *data = buf.data;
    for (int i = 0; i < 60; i++)
        acme_buf_printf(&buf, "%010d", i);
    assert_ptr_equal(buf.data, data);
    acme_buf_reserve(&buf, 401);
    assert_false(buf.failed);
    assert_ptr_equal(buf.data, data);
}

static void buf_failure_is_sticky(void **state)
{
    (void)state;
    ACME_CLEANUP_BUF struct acme_buf buf;
    acme_buf_init(&buf, 4);
    acme_buf_printf(&buf, "%s", "12345");
    assert_true(buf.failed);
    acme_buf_str(&buf, "1");
    assert_int_equal(buf.len, 0);
    acme_buf_finish(&buf);
    assert_false(buf.failed);
    acme_buf_str(&buf, "1234");
    assert_string_equal(acme_buf_cstr(&buf), "1234");
}

static void buf_can_be_stolen(void **state)
{
    (void)state;
    struct acme_buf buf;
    acme_buf_init(&buf, 10);
    char *empty = acme_buf_steal(&buf);
    assert_string_equal(empty, "");
    free(empty);
    acme_buf_append(&buf, "a\0b", 3);
    char *text = acme_buf_steal(&buf);
    assert_memory_equal(text, "a\0b\0", 4);
    free(text);
    assert_int_equal(buf.len, 0);
    acme_buf_finish(&buf);
}

static void secret_buf_grows_and_ends_like_others(void **state)
{
    (void)state;
    struct acme_buf buf;
    acme_buf_init_secret(&buf, 4096);
    for (int i = 0; i < 1000; i++)
        acme_buf_printf(&buf, "%03d", i);
    assert_int_equal(buf.len, 3000);
    assert_memory_equal(buf.data, "000001002", 9);
    assert_string_equal(buf.data + 2997, "999");
    acme_buf_finish(&buf);
    assert_null(buf.data);
    assert_true(buf.secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secret_buf_grows_and_ends_like_others),
        cmocka_unit_test(arena_releases_latest_first),
        cmocka_unit_test(arena_full_defer_releases_at_once),
        cmocka_unit_test(arena_keeps_its_cap),
        cmocka_unit_test(arena_memory_is_zeroed_aligned_and_separate),
        cmocka_unit_test(arena_copies_text),
        cmocka_unit_test(arena_prints_texts_of_all_lengths),
        cmocka_unit_test(buf_extends),
        cmocka_unit_test(buf_grows_up_to_its_maximum),
        cmocka_unit_test(buf_reserves_within_its_maximum),
        cmocka_unit_test(buf_failure_is_sticky),
        cmocka_unit_test(buf_can_be_stolen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
