/* Whatever is accepted prints, and what was printed is accepted, means the same and prints the same again. */
#include "fuzz.h"

#include "base/json.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = fuzz_arena();
    cJSON *tree = NULL;
    if (acme_failed(acme_json_parse(arena, (const char *)data, size, &tree)))
        return 0;
    const char *once = acme_json_print(arena, tree);
    REQUIRE(once != NULL);
    cJSON *again = NULL;
    REQUIRE(!acme_failed(acme_json_parse(arena, once, strlen(once), &again)));
    REQUIRE(cJSON_Compare(tree, again, true));
    const char *twice = acme_json_print(arena, again);
    REQUIRE(twice != NULL && strcmp(once, twice) == 0);
    (void)acme_json_get(tree, "identifiers");
    (void)acme_json_str(tree, "status");
    (void)acme_json_bool(tree, "termsOfServiceAgreed", false);
    int64_t number = 0;
    if (acme_json_int(tree, "code", &number))
        REQUIRE(number >= -(INT64_C(1) << 53) && number <= INT64_C(1) << 53);
    return 0;
}
