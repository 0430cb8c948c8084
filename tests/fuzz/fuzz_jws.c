/* A whole request body, and the same text as a JWS inside of another. Nothing verifies with a key that signed
 * nothing. */
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

static void try_inner(struct acme_arena *arena, const cJSON *tree, enum acme_jws_form form)
{
    static const uint8_t mac_key[64];
    struct acme_jws jws;
    struct acme_problem problem = {.detail = NULL};
    struct acme_err err = acme_jws_parse_inner(arena, tree, form, &jws, &problem);
    if (acme_failed(err)) {
        REQUIRE(err.code != ACME_E_PROBLEM || problem.detail != NULL);
        return;
    }
    REQUIRE(jws.nonce == NULL && jws.url != NULL);
    REQUIRE(form == ACME_JWS_BINDING ? jws.kid != NULL && jws.jwk == NULL
                                     : jws.kid == NULL && jws.jwk != NULL);
    REQUIRE(acme_failed(acme_jws_verify(&jws, stranger(), ACME_KEY_P256)));
    err = acme_jws_verify_mac(&jws, mac_key, sizeof mac_key);
    REQUIRE(err.code == (form == ACME_JWS_BINDING ? ACME_E_SIGNATURE : ACME_E_UNSUPPORTED));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = fuzz_arena();
    cJSON *tree = NULL;
    if (!acme_failed(acme_json_parse(arena, (const char *)data, size, &tree))) {
        try_inner(arena, tree, ACME_JWS_NEW_KEY);
        try_inner(arena, tree, ACME_JWS_BINDING);
    }
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
