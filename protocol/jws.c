#include "protocol/jws.h"

#include "base/b64url.h"

#include <limits.h>
#include <openssl/asn1.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <string.h>

enum {
    MAX_HALF = 66,              /* octets of r and of s, P-521's */
    MAX_INTEGER = MAX_HALF + 3, /* with tag, length and sign */
    MAX_ECDSA_DER = 2 * MAX_INTEGER + 3,
    MAX_URL = 2048,
};

enum scheme { SCHEME_RSA_PKCS1, SCHEME_RSA_PSS, SCHEME_ECDSA, SCHEME_EDDSA, SCHEME_HMAC };

struct acme_jws_alg {
    const char *name;
    enum scheme scheme;
    enum acme_key_kind kind;
    const char *digest; /* NULL: the scheme's own */
    int half;           /* ECDSA: octets of r and of s; HMAC: those of the digest */
};

static const struct acme_jws_alg algs[] = {
    {"RS256", SCHEME_RSA_PKCS1, ACME_KEY_RSA, "SHA256", 0},
    {"RS384", SCHEME_RSA_PKCS1, ACME_KEY_RSA, "SHA384", 0},
    {"RS512", SCHEME_RSA_PKCS1, ACME_KEY_RSA, "SHA512", 0},
    {"PS256", SCHEME_RSA_PSS, ACME_KEY_RSA, "SHA256", 0},
    {"ES256", SCHEME_ECDSA, ACME_KEY_P256, "SHA256", 32},
    {"ES384", SCHEME_ECDSA, ACME_KEY_P384, "SHA384", 48},
    {"ES512", SCHEME_ECDSA, ACME_KEY_P521, "SHA512", MAX_HALF},
    {"EdDSA", SCHEME_EDDSA, ACME_KEY_ED25519, NULL, 0},
};

/* Apart, so that a request can never be signed with a MAC. */
static const struct acme_jws_alg mac_algs[] = {
    {"HS256", SCHEME_HMAC, ACME_KEY_KIND_COUNT, "SHA256", 32},
    {"HS384", SCHEME_HMAC, ACME_KEY_KIND_COUNT, "SHA384", 48},
    {"HS512", SCHEME_HMAC, ACME_KEY_KIND_COUNT, "SHA512", 64},
};

const char *acme_jws_algorithms_json(void)
{
    return "[\"RS256\",\"RS384\",\"RS512\",\"PS256\",\"ES256\",\"ES384\",\"ES512\",\"EdDSA\"]";
}

const char *acme_jws_alg_name(const struct acme_jws *jws)
{
    return jws->alg->name;
}

static struct acme_err malformed(struct acme_problem *ret_problem, const char *detail)
{
    *ret_problem = (struct acme_problem){.type = ACME_PROBLEM_MALFORMED, .detail = detail};
    return acme_err(ACME_E_PROBLEM);
}

static struct acme_err bad_nonce(struct acme_problem *ret_problem)
{
    *ret_problem = (struct acme_problem){
        .type = ACME_PROBLEM_BAD_NONCE,
        .detail = "JWS has an invalid anti-replay nonce: it has none; get one from newNonce",
    };
    return acme_err(ACME_E_PROBLEM);
}

/* data NULL for NULL. */
static struct acme_bytes bytes_of(const char *text)
{
    return (struct acme_bytes){.data = (const uint8_t *)text, .len = text != NULL ? strlen(text) : 0};
}

static bool has(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name) != NULL;
}

static struct acme_err decode(struct acme_arena *arena, struct acme_bytes text, const char *complaint,
                              struct acme_bytes *ret, struct acme_problem *ret_problem)
{
    struct acme_err err = acme_b64url_decode(arena, (const char *)text.data, text.len, ret);
    return err.code == ACME_E_FORMAT ? malformed(ret_problem, complaint) : err;
}

const struct acme_jws_alg *acme_jws_alg_find(const char *name)
{
    for (size_t i = 0; i < sizeof algs / sizeof *algs; i++)
        if (strcmp(name, algs[i].name) == 0)
            return &algs[i];
    return NULL;
}

bool acme_jws_alg_fits(const struct acme_jws_alg *alg, enum acme_key_kind kind)
{
    return alg->kind == kind;
}

static struct acme_err bad_algorithm(struct acme_arena *arena, const char *name,
                                     struct acme_problem *ret_problem)
{
    const char *shown = acme_printable(arena, name, strlen(name), 40);
    ENSURE(shown != NULL, ACME_E_NOMEM);
    const char *detail = acme_arena_printf(
        arena,
        "The JWS signature algorithm \"%s\" is not accepted; use one of RS256, RS384, RS512, PS256, ES256, "
        "ES384, ES512 or EdDSA (Ed25519)",
        shown);
    ENSURE(detail != NULL, ACME_E_NOMEM);
    *ret_problem = (struct acme_problem){.type = ACME_PROBLEM_BAD_SIGNATURE_ALGORITHM, .detail = detail};
    return acme_err(ACME_E_PROBLEM);
}

static struct acme_err read_nonce(struct acme_arena *arena, const cJSON *header, enum acme_jws_form form,
                                  struct acme_jws *ret, struct acme_problem *ret_problem)
{
    if (form != ACME_JWS_REQUEST)
        return has(header, "nonce") ? malformed(ret_problem, "The JWS protected header must not have a nonce")
                                    : acme_ok();
    ret->nonce = acme_json_str(header, "nonce");
    if (ret->nonce == NULL && !has(header, "nonce")) /* RFC 8555 section 6.5: the same as a bad one */
        return bad_nonce(ret_problem);
    if (ret->nonce == NULL)
        return malformed(ret_problem, "The JWS nonce is not a string");
    struct acme_bytes nonce;
    return decode(arena, bytes_of(ret->nonce), "The JWS nonce is not unpadded base64url", &nonce,
                  ret_problem);
}

static struct acme_err read_signer(const cJSON *header, enum acme_jws_form form, struct acme_jws *ret,
                                   struct acme_problem *ret_problem)
{
    static const char *const complaints[ACME_JWS_FORM_COUNT] = {
        [ACME_JWS_REQUEST] = "The JWS protected header must have exactly one of jwk and kid",
        [ACME_JWS_NEW_KEY] = "The JWS protected header must have the new key as jwk, and no kid",
        [ACME_JWS_BINDING] = "The JWS protected header must have the external account's kid, and no jwk",
    };
    bool jwk = has(header, "jwk");
    bool kid = has(header, "kid");
    if (jwk == kid || (jwk && form == ACME_JWS_BINDING) || (kid && form == ACME_JWS_NEW_KEY))
        return malformed(ret_problem, complaints[form]);
    ret->kid = acme_json_str(header, "kid");
    ret->jwk = acme_json_get(header, "jwk");
    if (ret->kid == NULL && !cJSON_IsObject(ret->jwk))
        return malformed(ret_problem, "In the JWS protected header jwk must be an object and kid a string");
    return acme_ok();
}

static struct acme_err read_alg(struct acme_arena *arena, const char *name, enum acme_jws_form form,
                                struct acme_jws *ret, struct acme_problem *ret_problem)
{
    if (form != ACME_JWS_BINDING) {
        ret->alg = acme_jws_alg_find(name);
        return ret->alg != NULL ? acme_ok() : bad_algorithm(arena, name, ret_problem);
    }
    for (size_t i = 0; i < sizeof mac_algs / sizeof *mac_algs; i++)
        if (strcmp(name, mac_algs[i].name) == 0)
            ret->alg = &mac_algs[i];
    return ret->alg != NULL ? acme_ok()
                            : malformed(ret_problem, "The JWS algorithm must be HS256, HS384 or HS512");
}

static struct acme_err read_protected(struct acme_arena *arena, struct acme_bytes text,
                                      enum acme_jws_form form, struct acme_jws *ret,
                                      struct acme_problem *ret_problem)
{
    cJSON *header = NULL;
    struct acme_err err = acme_json_parse(arena, (const char *)text.data, text.len, &header);
    if (err.code == ACME_E_FORMAT || (!acme_failed(err) && !cJSON_IsObject(header)))
        return malformed(ret_problem, "The JWS protected header is not a valid JSON object");
    TRY(err);
    if (has(header, "crit") || has(header, "b64"))
        return malformed(ret_problem,
                         "The JWS header parameters crit and b64 are not supported; leave them out");
    const char *alg = acme_json_str(header, "alg");
    if (alg == NULL)
        return malformed(ret_problem, "The JWS protected header has no alg");
    TRY(read_nonce(arena, header, form, ret, ret_problem));
    ret->url = acme_json_str(header, "url");
    if (ret->url == NULL || strlen(ret->url) > MAX_URL)
        return malformed(ret_problem,
                         "The JWS protected header has no url (or one of more than 2048 characters)");
    TRY(read_signer(header, form, ret, ret_problem));
    return read_alg(arena, alg, form, ret, ret_problem);
}

/* The members of a JWS in flattened form; data NULL: absent, or not a string. */
struct members {
    struct acme_bytes protected;
    struct acme_bytes payload;
    struct acme_bytes signature;
    bool header;
    bool signatures;
};

static struct acme_err parse_members(struct acme_arena *arena, const struct members *members,
                                     enum acme_jws_form form, struct acme_jws *ret,
                                     struct acme_problem *ret_problem)
{
    if (members->signatures)
        return malformed(
            ret_problem,
            "The JWS has the general JSON form (signatures); only the flattened one is accepted");
    if (members->header)
        return malformed(ret_problem, "The JWS has an unprotected header, which is not allowed");
    const struct acme_bytes protected = members->protected;
    const struct acme_bytes payload = members->payload;
    if (protected.data == NULL || payload.data == NULL || members->signature.data == NULL)
        return malformed(ret_problem,
                         "The JWS must have the string members protected, payload and signature");

    struct acme_jws jws = {.kid = NULL};
    struct acme_bytes header;
    TRY(decode(arena, protected, "The JWS protected header is not unpadded base64url", &header, ret_problem));
    TRY(decode(arena, payload, "The JWS payload is not unpadded base64url", &jws.payload, ret_problem));
    TRY(decode(arena, members->signature, "The JWS signature is not unpadded base64url", &jws.signature,
               ret_problem));
    TRY(read_protected(arena, header, form, &jws, ret_problem));
    uint8_t *input = acme_arena_alloc(arena, protected.len + 1 + payload.len);
    ENSURE(input != NULL, ACME_E_NOMEM);
    memcpy(input, protected.data, protected.len);
    input[protected.len] = '.';
    memcpy(input + protected.len + 1, payload.data, payload.len);
    jws.signing_input = (struct acme_bytes){.data = input, .len = protected.len + 1 + payload.len};
    *ret = jws;
    return acme_ok();
}

static struct acme_err parse_tree(struct acme_arena *arena, const cJSON *tree, enum acme_jws_form form,
                                  struct acme_jws *ret, struct acme_problem *ret_problem)
{
    const struct members members = {
        .protected = bytes_of(acme_json_str(tree, "protected")),
        .payload = bytes_of(acme_json_str(tree, "payload")),
        .signature = bytes_of(acme_json_str(tree, "signature")),
        .header = has(tree, "header"),
        .signatures = has(tree, "signatures"),
    };
    return parse_members(arena, &members, form, ret, ret_problem);
}

static bool is_named(struct acme_bytes name, const char *text)
{
    return name.len == strlen(text) && memcmp(name.data, text, name.len) == 0;
}

/* What clients send: strings only, and no escapes in them. */
static bool read_flat(struct acme_bytes body, struct members *ret)
{
    struct acme_json_text texts[ACME_JSON_FLAT_MAX];
    const size_t count = acme_json_flat((const char *)body.data, body.len, texts);
    struct members members = {.header = false};
    for (size_t i = 0; i < count; i++) {
        if (is_named(texts[i].name, "protected"))
            members.protected = texts[i].value;
        else if (is_named(texts[i].name, "payload"))
            members.payload = texts[i].value;
        else if (is_named(texts[i].name, "signature"))
            members.signature = texts[i].value;
        else if (is_named(texts[i].name, "header"))
            members.header = true;
        else if (is_named(texts[i].name, "signatures"))
            members.signatures = true;
    }
    *ret = members;
    return count > 0;
}

struct acme_err acme_jws_parse(struct acme_arena *arena, struct acme_bytes body, struct acme_jws *ret,
                               struct acme_problem *ret_problem)
{
    if (body.len > ACME_JWS_MAX_BYTES)
        return malformed(ret_problem, "The request body is too large");
    struct members members;
    if (read_flat(body, &members))
        return parse_members(arena, &members, ACME_JWS_REQUEST, ret, ret_problem);
    cJSON *tree = NULL;
    struct acme_err err = acme_json_parse(arena, (const char *)body.data, body.len, &tree);
    if (err.code == ACME_E_FORMAT || (!acme_failed(err) && !cJSON_IsObject(tree)))
        return malformed(ret_problem,
                         "The request body is not a JWS in flattened JSON form: it is not a valid "
                         "JSON object");
    TRY(err);
    return parse_tree(arena, tree, ACME_JWS_REQUEST, ret, ret_problem);
}

struct acme_err acme_jws_parse_inner(struct acme_arena *arena, const cJSON *tree, enum acme_jws_form form,
                                     struct acme_jws *ret, struct acme_problem *ret_problem)
{
    if (!cJSON_IsObject(tree))
        return malformed(ret_problem, "The JWS must be a JSON object (flattened JSON form)");
    return parse_tree(arena, tree, form, ret, ret_problem);
}

struct acme_err acme_jws_verify_mac(const struct acme_jws *jws, const uint8_t *key, size_t len)
{
    const struct acme_jws_alg *alg = jws->alg;
    ENSURE(alg->scheme == SCHEME_HMAC && len >= (size_t)alg->half && len <= INT_MAX, ACME_E_UNSUPPORTED);
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned mac_len = 0;
    ENSURE(HMAC(EVP_get_digestbyname(alg->digest), key, (int)len, jws->signing_input.data,
                jws->signing_input.len, mac, &mac_len) != NULL,
           ACME_E_CRYPTO);
    bool good = jws->signature.len == mac_len && CRYPTO_memcmp(jws->signature.data, mac, mac_len) == 0;
    return acme_err(good ? ACME_OK : ACME_E_SIGNATURE);
}

/* One INTEGER of the ASN.1 form: without leading zeros, but not negative. Returns the end. */
static uint8_t *put_integer(uint8_t *at, const uint8_t *octets, size_t len)
{
    while (len > 1 && *octets == 0) {
        octets++;
        len--;
    }
    const size_t sign = *octets >> 7;
    *at++ = V_ASN1_INTEGER;
    *at++ = (uint8_t)(len + sign); /* at most 67 */
    if (sign != 0)
        *at++ = 0;
    memcpy(at, octets, len);
    return at + len;
}

/* JWS carries r||s, OpenSSL wants the ASN.1 form: SEQUENCE { r INTEGER, s INTEGER } (RFC 3279 section 2.2.3).
 * 0 when the length is not that of the algorithm. Done here, as OpenSSL's way costs ten allocations. */
static size_t ecdsa_to_der(struct acme_bytes raw, int half, uint8_t out[MAX_ECDSA_DER])
{
    uint8_t content[2 * MAX_INTEGER];
    const size_t size = (size_t)half;
    if (raw.len != 2 * size)
        return 0;
    const uint8_t *end = put_integer(put_integer(content, raw.data, size), raw.data + size, size);
    const size_t len = (size_t)(end - content);
    uint8_t *at = out;
    *at++ = V_ASN1_SEQUENCE | V_ASN1_CONSTRUCTED;
    if (len > 127)
        *at++ = 0x81; /* the length takes one more octet */
    *at++ = (uint8_t)len;
    memcpy(at, content, len);
    return (size_t)(at - out) + len;
}

EVP_MD_CTX *acme_jws_verifier(const struct acme_jws_alg *alg, EVP_PKEY *key)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_ctx = NULL;
    bool ready =
        ctx != NULL && EVP_DigestVerifyInit_ex(ctx, &key_ctx, alg->digest, NULL, NULL, key, NULL) == 1;
    if (ready && alg->scheme == SCHEME_RSA_PSS)
        ready = EVP_PKEY_CTX_set_rsa_padding(key_ctx, RSA_PKCS1_PSS_PADDING) > 0 &&
                EVP_PKEY_CTX_set_rsa_pss_saltlen(key_ctx, RSA_PSS_SALTLEN_DIGEST) > 0;
    if (ready)
        return ctx;
    ERR_clear_error();
    EVP_MD_CTX_free(ctx);
    return NULL;
}

struct acme_err acme_jws_verify_with(const struct acme_jws *jws, EVP_MD_CTX *verifier)
{
    const struct acme_jws_alg *alg = jws->alg;
    uint8_t der[MAX_ECDSA_DER];
    struct acme_bytes signature = jws->signature;
    if (alg->scheme == SCHEME_ECDSA) {
        signature = (struct acme_bytes){.data = der, .len = ecdsa_to_der(jws->signature, alg->half, der)};
        ENSURE(signature.len > 0, ACME_E_SIGNATURE);
    }
    if (EVP_DigestVerify(verifier, signature.data, signature.len, jws->signing_input.data,
                         jws->signing_input.len) == 1)
        return acme_ok();
    ERR_clear_error();
    return acme_err(ACME_E_SIGNATURE);
}

struct acme_err acme_jws_verify(const struct acme_jws *jws, EVP_PKEY *key, enum acme_key_kind kind)
{
    ENSURE(acme_jws_alg_fits(jws->alg, kind), ACME_E_UNSUPPORTED);
    EVP_MD_CTX *verifier = acme_jws_verifier(jws->alg, key);
    ENSURE(verifier != NULL, ACME_E_CRYPTO);
    struct acme_err err = acme_jws_verify_with(jws, verifier);
    EVP_MD_CTX_free(verifier);
    return err;
}
