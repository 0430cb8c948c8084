/* A key that is accepted has a canonical text, which is accepted and has the same thumbprint. */
#include "fuzz.h"

#include "base/json.h"
#include "protocol/jwk.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = fuzz_arena();
    cJSON *tree = NULL;
    struct acme_jwk once;
    struct acme_jwk again;
    const char *why = NULL;
    if (acme_failed(acme_json_parse(arena, (const char *)data, size, &tree)) ||
        acme_failed(acme_jwk_parse(arena, tree, &once, &why)))
        return 0;
    REQUIRE(once.key != NULL);
    REQUIRE(!acme_failed(acme_json_parse(arena, once.canonical, strlen(once.canonical), &tree)));
    REQUIRE(!acme_failed(acme_jwk_parse(arena, tree, &again, &why)));
    REQUIRE(strcmp(once.thumbprint, again.thumbprint) == 0 && once.kind == again.kind);
    return 0;
}
