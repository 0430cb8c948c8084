/* What an upstream calls certificates: any chain that is built from it is written out as PEM that reads as
 * the same chain. And what a client presents as one certificate in DER, to have it revoked. */
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

static void present(struct acme_arena *arena, struct acme_bytes data)
{
    X509 *cert = NULL;
    struct acme_identifier *names = NULL;
    struct acme_bytes der;
    size_t count = 0;
    if (acme_failed(acme_cert_parse(arena, data, &cert)))
        return;
    REQUIRE(!acme_failed(acme_cert_der(arena, cert, &der)) && der.len > 0);
    EVP_PKEY *key = X509_get0_pubkey(cert);
    REQUIRE(key == NULL || acme_cert_has_key(cert, key) || EVP_PKEY_eq(key, key) != 1);
    if (!acme_failed(acme_cert_names(arena, cert, &names, &count)))
        REQUIRE(count == 0 || names[0].value[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = fuzz_arena();
    struct acme_cert_list pool;
    present(arena, (struct acme_bytes){.data = data, .len = size});
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
