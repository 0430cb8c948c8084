/* What the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput: built with replay_main.c
 * everywhere, and with libFuzzer in the preset `fuzz` (docs/fuzzing.md). */
#ifndef ACME_TESTS_FUZZ_H
#define ACME_TESTS_FUZZ_H

#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that every input must keep, in all builds. */
#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            (void)fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);                    \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

static inline struct acme_arena *fuzz_arena(void)
{
    struct acme_arena *arena = acme_arena_create((size_t)64 << 20);
    REQUIRE(arena != NULL);
    return arena;
}

#endif
