/* Whatever is accepted has one spelling: it encodes back to the same text. */
#include "fuzz.h"

#include "base/b64url.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = fuzz_arena();
    struct acme_bytes octets;
    if (acme_failed(acme_b64url_decode(arena, (const char *)data, size, &octets)))
        return 0;
    const char *text = acme_b64url_encode(arena, octets.data, octets.len);
    REQUIRE(text != NULL && strlen(text) == size && memcmp(text, data, size) == 0);
    return 0;
}
