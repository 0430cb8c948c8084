#include "protocol/jws.h"

#include "base/b64url.h"

#include <string.h>

enum { MAX_URL = 2048 };

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

/* The members of a protected header that count; NULL: absent, or of the wrong type. */
struct header {
    const char *alg;
    const char *nonce;
    const char *url;
    const char *kid;
    const cJSON *jwk;
    bool has_nonce;
    bool has_kid;
    bool has_jwk;
    bool has_more; /* crit or b64 */
};

static struct acme_err read_nonce(struct acme_arena *arena, const struct header *header,
                                  enum acme_jws_form form, struct acme_jws *ret,
                                  struct acme_problem *ret_problem)
{
    if (form != ACME_JWS_REQUEST)
        return header->has_nonce ? malformed(ret_problem, "The JWS protected header must not have a nonce")
                                 : acme_ok();
    if (!header->has_nonce) /* RFC 8555 section 6.5: the same as a bad one */
        return bad_nonce(ret_problem);
    if (header->nonce == NULL)
        return malformed(ret_problem, "The JWS nonce is not a string");
    ret->nonce = header->nonce;
    struct acme_bytes nonce;
    return decode(arena, bytes_of(ret->nonce), "The JWS nonce is not unpadded base64url", &nonce,
                  ret_problem);
}

static struct acme_err read_signer(const struct header *header, enum acme_jws_form form, struct acme_jws *ret,
                                   struct acme_problem *ret_problem)
{
    static const char *const complaints[ACME_JWS_FORM_COUNT] = {
        [ACME_JWS_REQUEST] = "The JWS protected header must have exactly one of jwk and kid",
        [ACME_JWS_NEW_KEY] = "The JWS protected header must have the new key as jwk, and no kid",
        [ACME_JWS_BINDING] = "The JWS protected header must have the external account's kid, and no jwk",
    };
    const bool jwk = header->has_jwk;
    const bool kid = header->has_kid;
    if (jwk == kid || (jwk && form == ACME_JWS_BINDING) || (kid && form == ACME_JWS_NEW_KEY))
        return malformed(ret_problem, complaints[form]);
    ret->kid = header->kid;
    ret->jwk = header->jwk;
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
    ret->alg = acme_jws_mac_find(name);
    return ret->alg != NULL ? acme_ok()
                            : malformed(ret_problem, "The JWS algorithm must be HS256, HS384 or HS512");
}

/* The value of a member; data NULL: there is none of this name. */
static struct acme_bytes pick(const struct acme_json_text *members, size_t count, const char *name)
{
    const size_t len = strlen(name);
    for (size_t i = 0; i < count; i++)
        if (members[i].name.len == len && memcmp(members[i].name.data, name, len) == 0)
            return members[i].value;
    return (struct acme_bytes){.data = NULL};
}

static struct acme_err copy(struct acme_arena *arena, struct acme_bytes text, const char **ret)
{
    if (text.data == NULL)
        return acme_ok();
    *ret = acme_arena_strndup(arena, (const char *)text.data, text.len);
    ENSURE(*ret != NULL, ACME_E_NOMEM);
    return acme_ok();
}

static struct acme_err header_of_flat(struct acme_arena *arena, const struct acme_json_text *members,
                                      size_t count, struct header *ret)
{
    struct header header = {
        .has_nonce = pick(members, count, "nonce").data != NULL,
        .has_kid = pick(members, count, "kid").data != NULL,
        .has_jwk = pick(members, count, "jwk").data != NULL,
        .has_more = pick(members, count, "crit").data != NULL || pick(members, count, "b64").data != NULL,
    };
    TRY(copy(arena, pick(members, count, "alg"), &header.alg));
    TRY(copy(arena, pick(members, count, "nonce"), &header.nonce));
    TRY(copy(arena, pick(members, count, "url"), &header.url));
    TRY(copy(arena, pick(members, count, "kid"), &header.kid));
    *ret = header;
    return acme_ok();
}

static struct header header_of_tree(const cJSON *tree)
{
    return (struct header){
        .alg = acme_json_str(tree, "alg"),
        .nonce = acme_json_str(tree, "nonce"),
        .url = acme_json_str(tree, "url"),
        .kid = acme_json_str(tree, "kid"),
        .jwk = acme_json_get(tree, "jwk"),
        .has_nonce = has(tree, "nonce"),
        .has_kid = has(tree, "kid"),
        .has_jwk = has(tree, "jwk"),
        .has_more = has(tree, "crit") || has(tree, "b64"),
    };
}

/* With kid it is made of strings, and clients write no escapes: then it takes no tree. */
static struct acme_err read_header(struct acme_arena *arena, struct acme_bytes text, struct header *ret,
                                   struct acme_problem *ret_problem)
{
    struct acme_json_text members[ACME_JSON_FLAT_MAX];
    const size_t count = acme_json_flat((const char *)text.data, text.len, members);
    if (count > 0)
        return header_of_flat(arena, members, count, ret);
    cJSON *tree = NULL;
    struct acme_err err = acme_json_parse(arena, (const char *)text.data, text.len, &tree);
    if (err.code == ACME_E_FORMAT || (!acme_failed(err) && !cJSON_IsObject(tree)))
        return malformed(ret_problem, "The JWS protected header is not a valid JSON object");
    TRY(err);
    *ret = header_of_tree(tree);
    return acme_ok();
}

static struct acme_err read_protected(struct acme_arena *arena, struct acme_bytes text,
                                      enum acme_jws_form form, struct acme_jws *ret,
                                      struct acme_problem *ret_problem)
{
    struct header header = {.alg = NULL};
    TRY(read_header(arena, text, &header, ret_problem));
    if (header.has_more)
        return malformed(ret_problem,
                         "The JWS header parameters crit and b64 are not supported; leave them out");
    if (header.alg == NULL)
        return malformed(ret_problem, "The JWS protected header has no alg");
    TRY(read_nonce(arena, &header, form, ret, ret_problem));
    ret->url = header.url;
    if (ret->url == NULL || strlen(ret->url) > MAX_URL)
        return malformed(ret_problem,
                         "The JWS protected header has no url (or one of more than 2048 characters)");
    TRY(read_signer(&header, form, ret, ret_problem));
    return read_alg(arena, header.alg, form, ret, ret_problem);
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

/* What clients send: strings only, and no escapes in them. */
static bool read_flat(struct acme_bytes body, struct members *ret)
{
    struct acme_json_text texts[ACME_JSON_FLAT_MAX];
    const size_t count = acme_json_flat((const char *)body.data, body.len, texts);
    *ret = (struct members){
        .protected = pick(texts, count, "protected"),
        .payload = pick(texts, count, "payload"),
        .signature = pick(texts, count, "signature"),
        .header = pick(texts, count, "header").data != NULL,
        .signatures = pick(texts, count, "signatures").data != NULL,
    };
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
