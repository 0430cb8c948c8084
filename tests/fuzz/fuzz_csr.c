/* A CSR that is accepted reads the same from the store, and is judged without surprise. */
#include "fuzz.h"

#include "certs/csr.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = fuzz_arena();
    const struct acme_bytes der = {.data = data, .len = size};
    struct acme_csr csr;
    struct acme_csr again;
    const char *why = NULL;
    bool reread = !acme_failed(acme_csr_reread(arena, der, &again));
    if (acme_failed(acme_csr_parse(arena, der, &csr, &why)))
        return 0;
    REQUIRE(reread && csr.key != NULL);
    REQUIRE(memcmp(csr.sha256, again.sha256, sizeof csr.sha256) == 0);
    REQUIRE(memcmp(csr.spki_sha256, again.spki_sha256, sizeof csr.spki_sha256) == 0);
    REQUIRE(csr.name_count == again.name_count);
    uint8_t digest[ACME_SHA256_SIZE];
    REQUIRE(!acme_failed(acme_spki_sha256(csr.key, digest)));
    why = NULL;
    if (acme_failed(
            acme_csr_check(arena, &csr, csr.names, csr.name_count, &acme_key_policy_default, NULL, &why)))
        REQUIRE(why != NULL);
    REQUIRE(acme_csr_pem(arena, &csr) != NULL);
    return 0;
}
