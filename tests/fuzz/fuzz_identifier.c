/* First byte: the type. What is accepted stays what it is when it is read again. */
#include "fuzz.h"

#include "base/identifier.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    ACME_CLEANUP_ARENA struct acme_arena *arena = fuzz_arena();
    const char *type = (data[0] & 1) != 0 ? "ip" : "dns";
    char *value = acme_arena_strndup(arena, (const char *)data + 1, size - 1);
    REQUIRE(value != NULL);
    struct acme_identifier once;
    struct acme_identifier again;
    const char *why = NULL;
    if (acme_failed(acme_identifier_parse(arena, type, value, &once, &why))) {
        REQUIRE(why != NULL);
        return 0;
    }
    REQUIRE(!acme_failed(acme_identifier_parse(arena, type, once.value, &again, &why)));
    REQUIRE(acme_identifier_equal(&once, &again));
    struct acme_identifier *list = NULL;
    size_t count = 0;
    const char *json = acme_identifiers_json(arena, &once, 1);
    REQUIRE(json != NULL && !acme_failed(acme_identifiers_from_json(arena, json, &list, &count)));
    REQUIRE(count == 1 && acme_identifier_equal(&once, list));
    return 0;
}
