/* Whatever is accepted prints, and what was printed is accepted, means the same and prints the same again. */
#include "fuzz.h"

#include "base/json.h"

#include <string.h>

/* The way without a tree finds what is in the tree, and takes all that it says it takes. */
static void compare_flat(const uint8_t *data, size_t size, const cJSON *tree)
{
    struct acme_json_text members[ACME_JSON_FLAT_MAX];
    size_t count = acme_json_flat((const char *)data, size, members);
    bool flat = cJSON_IsObject(tree) && tree->child != NULL && memchr(data, '\\', size) == NULL;
    size_t expected = 0;
    if (tree != NULL)
        for (const cJSON *member = tree->child; member != NULL; member = member->next, expected++)
            flat = flat && cJSON_IsString(member);
    REQUIRE(count == (flat && expected <= ACME_JSON_FLAT_MAX ? expected : 0));
    const cJSON *member = count > 0 ? tree->child : NULL;
    for (size_t i = 0; i < count; i++, member = member->next) {
        REQUIRE(strlen(member->string) == members[i].name.len);
        REQUIRE(memcmp(member->string, members[i].name.data, members[i].name.len) == 0);
        REQUIRE(strlen(member->valuestring) == members[i].value.len);
        REQUIRE(memcmp(member->valuestring, members[i].value.data, members[i].value.len) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = fuzz_arena();
    cJSON *tree = NULL;
    bool good = !acme_failed(acme_json_parse(arena, (const char *)data, size, &tree));
    compare_flat(data, size, good ? tree : NULL);
    if (!good)
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
