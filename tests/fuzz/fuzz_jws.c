/* A whole request body. Nothing verifies with a key that signed nothing. */
#include "fuzz.h"

#include "base/json.h"
#include "protocol/jws.h"

#include <string.h>

static EVP_PKEY *stranger(void)
{
    static EVP_PKEY *key;
    if (key == NULL)
        key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    REQUIRE(key != NULL);
    return key;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = fuzz_arena();
    struct acme_jws jws;
    struct acme_problem problem = {.detail = NULL};
    struct acme_err err =
        acme_jws_parse(arena, (struct acme_bytes){.data = data, .len = size}, &jws, &problem);
    if (acme_failed(err)) {
        REQUIRE(err.code != ACME_E_PROBLEM || problem.detail != NULL);
        return 0;
    }
    REQUIRE(jws.nonce != NULL && jws.url != NULL && (jws.kid == NULL) != (jws.jwk == NULL));
    REQUIRE(acme_failed(acme_jws_verify(&jws, stranger(), ACME_KEY_P256)));
    if (jws.jwk != NULL) {
        struct acme_jwk jwk;
        const char *why = NULL;
        if (!acme_failed(acme_jwk_parse(arena, jws.jwk, &jwk, &why)))
            (void)acme_failed(acme_jws_verify(&jws, jwk.key, jwk.kind));
    }
    cJSON *payload = NULL;
    (void)acme_failed(acme_json_parse(arena, (const char *)jws.payload.data, jws.payload.len, &payload));
    return 0;
}
