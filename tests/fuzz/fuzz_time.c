/* What is accepted stays the same moment when it is written and read again, to the second. */
#include "fuzz.h"

#include "base/clock.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = fuzz_arena();
    const char *text = acme_arena_strndup(arena, (const char *)data, size);
    REQUIRE(text != NULL);
    int64_t once = 7;
    int64_t again = 0;
    char written[ACME_RFC3339_SIZE];
    if (acme_failed(acme_rfc3339_parse(text, &once))) {
        REQUIRE(once == 7);
        return 0;
    }
    acme_rfc3339_format(once, written);
    REQUIRE(strlen(written) == strlen("2026-11-24T08:00:00Z"));
    REQUIRE(!acme_failed(acme_rfc3339_parse(written, &again)));
    const int64_t first_ms = INT64_C(-62167219200000); /* offsets lead beyond the years 0000 and 9999 */
    const int64_t last_ms = INT64_C(253402300799999);
    if (once >= first_ms && once <= last_ms)
        REQUIRE(again <= once && once - again < 1000);
    return 0;
}
