#include "acme_client.h"

#include "base/b64url.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum { SCALAR_BYTES = 32, MAX_BAD_NONCES = 5, SCRATCH_BYTES = 64 * 1024 };

static bool keep_url(char out[ACME_BENCH_URL_SIZE], const char *url)
{
    if (url == NULL || strlen(url) >= ACME_BENCH_URL_SIZE)
        return false;
    memcpy(out, url, strlen(url) + 1);
    return true;
}

struct acme_err acme_bench_directory_fetch(struct acme_bench_conn *conn, const char *url,
                                           struct acme_bench_directory *ret)
{
    struct acme_bench_response response;
    const char *path = acme_bench_origin_path(conn->origin, url);
    ENSURE(path != NULL, ACME_E_FORMAT);
    TRY(acme_bench_conn_request(conn, "GET", path, NULL, &response));
    ACME_CLEANUP_BUF struct acme_buf body = response.body;
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(SCRATCH_BYTES);
    ENSURE(arena != NULL, ACME_E_NOMEM);

    cJSON *json = NULL;
    struct acme_bench_directory found = {0};
    if (response.status != 200 || body.data == NULL ||
        acme_failed(acme_json_parse(arena, body.data, body.len, &json)) ||
        !keep_url(found.new_nonce, acme_json_str(json, "newNonce")) ||
        !keep_url(found.new_account, acme_json_str(json, "newAccount")) ||
        !keep_url(found.new_order, acme_json_str(json, "newOrder"))) {
        return ACME_BENCH_FAIL(conn, ACME_E_FORMAT, "%.400s: status %d, not an ACME directory", url,
                               response.status);
    }
    *ret = found;
    return acme_ok();
}

static bool coordinate(const EVP_PKEY *key, const char *name, unsigned char out[SCALAR_BYTES])
{
    BIGNUM *value = NULL;
    bool ok = EVP_PKEY_get_bn_param(key, name, &value) == 1 &&
              BN_bn2binpad(value, out, SCALAR_BYTES) == SCALAR_BYTES;
    BN_free(value);
    return ok;
}

struct acme_err acme_bench_account_init(struct acme_bench_account *account)
{
    memset(account, 0, sizeof *account);
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(SCRATCH_BYTES);
    ENSURE(arena != NULL, ACME_E_NOMEM);
    account->key = EVP_EC_gen("P-256");
    unsigned char x[SCALAR_BYTES];
    unsigned char y[SCALAR_BYTES];
    ENSURE(account->key != NULL && coordinate(account->key, OSSL_PKEY_PARAM_EC_PUB_X, x) &&
               coordinate(account->key, OSSL_PKEY_PARAM_EC_PUB_Y, y),
           ACME_E_CRYPTO);
    const char *x_text = acme_b64url_encode(arena, x, sizeof x);
    const char *y_text = acme_b64url_encode(arena, y, sizeof y);
    ENSURE(x_text != NULL && y_text != NULL, ACME_E_NOMEM);

    /* Members in the order of the thumbprint (RFC 7638), so that one text serves both. */
    int len = snprintf(account->jwk, sizeof account->jwk,
                       "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", x_text, y_text);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int digest_len = 0;
    ENSURE(EVP_Digest(account->jwk, (size_t)len, digest, &digest_len, EVP_sha256(), NULL) == 1,
           ACME_E_CRYPTO);
    const char *thumbprint = acme_b64url_encode(arena, digest, digest_len);
    ENSURE(thumbprint != NULL, ACME_E_NOMEM);
    (void)snprintf(account->thumbprint, sizeof account->thumbprint, "%s", thumbprint);
    return acme_ok();
}

void acme_bench_account_finish(struct acme_bench_account *account)
{
    EVP_PKEY_free(account->key);
    account->key = NULL;
}

void acme_bench_session_init(struct acme_bench_session *session, const struct acme_bench_origin *origin,
                             SSL_CTX *tls, const struct acme_bench_directory *directory,
                             struct acme_bench_account *account)
{
    memset(session, 0, sizeof *session);
    acme_bench_conn_init(&session->conn, origin, tls);
    session->directory = directory;
    session->account = account;
}

void acme_bench_session_finish(struct acme_bench_session *session)
{
    acme_bench_conn_finish(&session->conn);
}

/* JWS wants r and s side by side (RFC 7518 section 3.4); OpenSSL gives DER. */
static bool raw_signature(const unsigned char *der, size_t der_len, unsigned char out[2 * SCALAR_BYTES])
{
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)der_len);
    bool ok = signature != NULL &&
              BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, SCALAR_BYTES) == SCALAR_BYTES &&
              BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + SCALAR_BYTES, SCALAR_BYTES) == SCALAR_BYTES;
    ECDSA_SIG_free(signature);
    return ok;
}

static bool sign(EVP_PKEY *key, const char *text, unsigned char out[2 * SCALAR_BYTES])
{
    unsigned char der[128];
    size_t der_len = sizeof der;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ok = context != NULL && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
              EVP_DigestSign(context, der, &der_len, (const unsigned char *)text, strlen(text)) == 1;
    EVP_MD_CTX_free(context);
    return ok && raw_signature(der, der_len, out);
}

static struct acme_err make_jws(struct acme_bench_session *session, struct acme_arena *arena, const char *url,
                                const char *payload, const char **ret)
{
    const struct acme_bench_account *account = session->account;
    const char *header =
        account->kid[0] != '\0'
            ? acme_arena_printf(arena, "{\"alg\":\"ES256\",\"kid\":\"%s\",\"nonce\":\"%s\",\"url\":\"%s\"}",
                                account->kid, session->nonce, url)
            : acme_arena_printf(arena, "{\"alg\":\"ES256\",\"jwk\":%s,\"nonce\":\"%s\",\"url\":\"%s\"}",
                                account->jwk, session->nonce, url);
    ENSURE(header != NULL, ACME_E_NOMEM);
    const char *protected_text = acme_b64url_encode(arena, header, strlen(header));
    const char *payload_text = payload != NULL ? acme_b64url_encode(arena, payload, strlen(payload)) : "";
    ENSURE(protected_text != NULL && payload_text != NULL, ACME_E_NOMEM);
    const char *input = acme_arena_printf(arena, "%s.%s", protected_text, payload_text);
    ENSURE(input != NULL, ACME_E_NOMEM);
    unsigned char raw[2 * SCALAR_BYTES];
    ENSURE(sign(account->key, input, raw), ACME_E_CRYPTO);
    const char *signature = acme_b64url_encode(arena, raw, sizeof raw);
    ENSURE(signature != NULL, ACME_E_NOMEM);
    const char *jws =
        acme_arena_printf(arena, "{\"protected\":\"%s\",\"payload\":\"%s\",\"signature\":\"%s\"}",
                          protected_text, payload_text, signature);
    ENSURE(jws != NULL, ACME_E_NOMEM);
    *ret = jws;
    return acme_ok();
}

/* A nonce goes into a JSON string unescaped, so it has to be what RFC 8555 section 6.5.1 says it is. */
static bool nonce_is_sound(const char *nonce)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    return nonce[0] != '\0' && nonce[strspn(nonce, alphabet)] == '\0';
}

struct acme_err acme_bench_session_warm(struct acme_bench_session *session)
{
    if (session->nonce[0] != '\0')
        return acme_ok();
    const char *path = acme_bench_origin_path(session->conn.origin, session->directory->new_nonce);
    if (path == NULL)
        return ACME_BENCH_FAIL(session, ACME_E_FORMAT, "newNonce is at another origin: %.300s",
                               session->directory->new_nonce);
    struct acme_bench_response response;
    struct acme_err err = acme_bench_conn_request(&session->conn, "HEAD", path, NULL, &response);
    if (acme_failed(err))
        return ACME_BENCH_FAIL(session, err.code, "%.400s", session->conn.why);
    acme_buf_finish(&response.body);
    if (response.status != 200 || !nonce_is_sound(response.nonce))
        return ACME_BENCH_FAIL(session, ACME_E_FORMAT, "HEAD newNonce: status %d, nonce '%s'",
                               response.status, response.nonce);
    memcpy(session->nonce, response.nonce, sizeof session->nonce);
    return acme_ok();
}

static struct acme_err send_signed(struct acme_bench_session *session, struct acme_arena *arena,
                                   const char *url, const char *path, const char *payload,
                                   struct acme_bench_response *ret)
{
    TRY(acme_bench_session_warm(session));
    const char *jws = NULL;
    struct acme_err err = make_jws(session, arena, url, payload, &jws);
    if (acme_failed(err))
        return ACME_BENCH_FAIL(session, err.code, "cannot sign a request");
    session->nonce[0] = '\0';
    session->signed_requests++;
    err = acme_bench_conn_request(&session->conn, "POST", path, jws, ret);
    if (acme_failed(err))
        return ACME_BENCH_FAIL(session, err.code, "%.400s", session->conn.why);
    if (nonce_is_sound(ret->nonce))
        memcpy(session->nonce, ret->nonce, sizeof session->nonce);
    return acme_ok();
}

static const char *short_type(const cJSON *problem)
{
    const char *type = acme_json_str(problem, "type");
    const char *last = type != NULL ? strrchr(type, ':') : NULL;
    return last != NULL ? last + 1 : "no problem document";
}

struct acme_err acme_bench_session_post(struct acme_bench_session *session, struct acme_arena *arena,
                                        const char *url, const char *payload, struct acme_bench_reply *ret)
{
    const char *path = acme_bench_origin_path(session->conn.origin, url);
    if (path == NULL)
        return ACME_BENCH_FAIL(session, ACME_E_FORMAT, "%.300s is at another origin than the directory", url);
    for (int tries = 0;; tries++) {
        struct acme_bench_response response = {0};
        TRY(send_signed(session, arena, url, path, payload, &response));
        ACME_CLEANUP_BUF struct acme_buf body = response.body;
        struct acme_bench_reply reply = {
            .location = acme_arena_strdup(arena, response.location),
            .body = acme_arena_strndup(arena, body.data != NULL ? body.data : "", body.len),
            .body_len = body.len,
        };
        if (reply.location == NULL || reply.body == NULL)
            return ACME_BENCH_FAIL(session, ACME_E_NOMEM, "%.300s: response too large", url);
        cJSON *json = NULL;
        if (reply.body[0] == '{' && !acme_failed(acme_json_parse(arena, reply.body, reply.body_len, &json)))
            reply.json = json;
        if (response.status < 400) {
            *ret = reply;
            return acme_ok();
        }
        if (strcmp(short_type(reply.json), "badNonce") == 0 && tries < MAX_BAD_NONCES) {
            session->bad_nonces++;
            continue;
        }
        const char *detail = acme_json_str(reply.json, "detail");
        return ACME_BENCH_FAIL(session, ACME_E_PROBLEM, "POST %.120s: %d %.60s: %.250s", url, response.status,
                               short_type(reply.json), detail != NULL ? detail : "");
    }
}

struct acme_err acme_bench_session_register(struct acme_bench_session *session)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(SCRATCH_BYTES);
    ENSURE(arena != NULL, ACME_E_NOMEM);
    struct acme_bench_reply reply;
    TRY(acme_bench_session_post(session, arena, session->directory->new_account,
                                "{\"termsOfServiceAgreed\":true}", &reply));
    if (reply.location[0] == '\0' || strpbrk(reply.location, "\"\\") != NULL)
        return ACME_BENCH_FAIL(session, ACME_E_FORMAT, "newAccount: no usable Location");
    (void)snprintf(session->account->kid, sizeof session->account->kid, "%s", reply.location);
    return acme_ok();
}
