/* What a host under validation shows as its certificate (tls-alpn-01). The first byte chooses the identifier;
 * only a certificate that holds the digest can pass, and no foreign byte is echoed as it is. */
#include "fuzz.h"

#include "certs/alpn_cert.h"

#include <openssl/evp.h>
#include <string.h>

static const char key_authorization[] = "token.thumbprint";

static bool holds_digest(const uint8_t *data, size_t size)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    REQUIRE(EVP_Digest(key_authorization, strlen(key_authorization), digest, NULL, EVP_sha256(), NULL) == 1);
    return memmem(data, size, digest, 32) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct acme_identifier identifiers[] = {
        {ACME_IDENTIFIER_DNS, "a.example"},
        {ACME_IDENTIFIER_IP, "192.0.2.1"},
        {ACME_IDENTIFIER_IP, "2001:db8::1"},
    };
    ACME_CLEANUP_ARENA struct acme_arena *arena = fuzz_arena();
    if (size == 0)
        return 0;
    const struct acme_identifier *identifier =
        &identifiers[data[0] % (sizeof identifiers / sizeof *identifiers)];
    struct acme_bytes der = {.data = data + 1, .len = size - 1};
    struct acme_problem problem = {.detail = NULL};
    struct acme_err err = acme_alpn_cert_judge(arena, der, identifier, key_authorization, &problem);
    if (!acme_failed(err)) {
        REQUIRE(holds_digest(der.data, der.len));
        return 0;
    }
    REQUIRE(err.code == ACME_E_PROBLEM && problem.detail != NULL);
    REQUIRE(problem.type == ACME_PROBLEM_UNAUTHORIZED || problem.type == ACME_PROBLEM_INCORRECT_RESPONSE);
    for (const char *c = problem.detail; *c != '\0'; c++)
        REQUIRE(*c >= 0x20 && *c < 0x7f);
    return 0;
}
