/* What an upstream calls certificates: any chain that is built from it is written out as PEM that reads as
 * the same chain. */
#include "fuzz.h"

#include "certs/chain.h"

#include <string.h>

static void build_for(struct acme_arena *arena, const struct acme_cert_list *pool, X509 *leaf)
{
    uint8_t spki[ACME_SHA256_SIZE];
    EVP_PKEY *key = X509_get0_pubkey(leaf);
    struct acme_cert_list chain;
    struct acme_cert_list again;
    if (key == NULL || acme_failed(acme_spki_sha256(key, spki)) ||
        acme_failed(acme_chain_build(pool, spki, &chain)))
        return;
    REQUIRE(chain.count >= 2 && chain.count <= pool->count && acme_cert_has_spki(chain.certs[0], spki));
    const char *pem = acme_chain_pem(arena, &chain);
    REQUIRE(pem != NULL);
    REQUIRE(!acme_failed(acme_certs_read(
        arena, (struct acme_bytes){.data = (const uint8_t *)pem, .len = strlen(pem)}, &again)));
    REQUIRE(again.count == chain.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = fuzz_arena();
    struct acme_cert_list pool;
    if (acme_failed(acme_certs_read(arena, (struct acme_bytes){.data = data, .len = size}, &pool)))
        return 0;
    REQUIRE(pool.count >= 1 && pool.count <= ACME_CHAIN_MAX_CERTS);
    for (size_t i = 0; i < pool.count; i++) {
        struct acme_cert_info info;
        (void)acme_failed(acme_cert_info_read(arena, pool.certs[i], &info));
        build_for(arena, &pool, pool.certs[i]);
    }
    return 0;
}
