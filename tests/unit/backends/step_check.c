#include "cmocka_all.h"

#include "step_check.h"

#include <stdio.h>
#include <string.h>

void check_step(const struct acme_step *step, int64_t now_ms)
{
    assert_non_null(step->note);
    assert_true(strlen(step->note) > 10);
    if (step->kind == ACME_STEP_WAIT)
        assert_true(step->wait_until_ms >= now_ms);
    if (step->kind == ACME_STEP_FAILED)
        assert_non_null(step->problem.detail);
    if (step->once)
        assert_int_equal(step->kind, ACME_STEP_CALL);
}

const char *format_text(struct acme_arena *arena, const char *format, va_list args)
{
    static char text[65536];
    int n = vsnprintf(text, sizeof text, format, args);
    assert_true(n >= 0 && (size_t)n < sizeof text);
    const char *copy = acme_arena_strdup(arena, text);
    assert_non_null(copy);
    return copy;
}
