#include "backends/huawei_elb/huawei_sign.h"

#include "backends/upstream_text.h"
#include "base/buf.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ALGORITHM "SDK-HMAC-SHA256"

enum { CANONICAL_MAX_BYTES = 64 * 1024, HEX_SIZE = 2 * SHA256_DIGEST_LENGTH + 1 };

void acme_huawei_date(int64_t now_ms, char out[ACME_HUAWEI_DATE_SIZE])
{
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL || strftime(out, ACME_HUAWEI_DATE_SIZE, "%Y%m%dT%H%M%SZ", &tm) == 0)
        out[0] = '\0';
}

static int compare_pairs(const void *left, const void *right)
{
    const struct acme_huawei_pair *a = left;
    const struct acme_huawei_pair *b = right;
    int names = strcmp(a->name, b->name);
    return names != 0 ? names : strcmp(a->value, b->value);
}

char *acme_huawei_query(struct acme_arena *arena, const struct acme_huawei_pair *pairs, size_t count)
{
    struct acme_huawei_pair sorted[ACME_HUAWEI_QUERY_MAX];
    if (count > ACME_HUAWEI_QUERY_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++)
        sorted[i] = pairs[i];
    if (count > 0)
        qsort(sorted, count, sizeof *sorted, compare_pairs);
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, CANONICAL_MAX_BYTES);
    acme_buf_str(&out, "");
    for (size_t i = 0; i < count; i++) {
        const char *name = acme_urlencode(arena, sorted[i].name);
        const char *value = acme_urlencode(arena, sorted[i].value);
        if (name == NULL || value == NULL)
            return NULL;
        acme_buf_printf(&out, "%s%s=%s", i > 0 ? "&" : "", name, value);
    }
    const char *done = acme_buf_cstr(&out);
    return done != NULL ? acme_arena_strdup(arena, done) : NULL;
}

/* Segment by segment, and with a slash at its end, which the path that is sent has not. */
static bool append_path(struct acme_arena *arena, const char *path, struct acme_buf *out)
{
    const char *at = path;
    while (*at != '\0') {
        size_t len = strcspn(at, "/");
        char *segment = acme_arena_strndup(arena, at, len);
        char *encoded = segment != NULL ? acme_urlencode(arena, segment) : NULL;
        if (encoded == NULL)
            return false;
        acme_buf_str(out, encoded);
        at += len;
        if (*at == '/') {
            acme_buf_str(out, "/");
            at++;
        }
    }
    if (at == path || at[-1] != '/')
        acme_buf_str(out, "/");
    return true;
}

static int compare_headers(const void *left, const void *right)
{
    const struct acme_http_header *a = left;
    const struct acme_http_header *b = right;
    return strcmp(a->name, b->name);
}

/* Sorted, with lower-case names and values without white space around them. */
static struct acme_err read_headers(struct acme_arena *arena, const struct acme_huawei_signing *signing,
                                    struct acme_http_header *ret, const char **ret_date)
{
    ENSURE(signing->header_count <= ACME_HUAWEI_SIGNED_MAX, ACME_E_LIMIT);
    for (size_t i = 0; i < signing->header_count; i++) {
        char *name = acme_arena_strdup(arena, signing->headers[i].name);
        const char *value = signing->headers[i].value;
        ENSURE(name != NULL, ACME_E_NOMEM);
        for (char *c = name; *c != '\0'; c++)
            *c = (char)tolower((unsigned char)*c);
        value += strspn(value, " \t");
        size_t len = strlen(value);
        while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
            len--;
        ret[i] = (struct acme_http_header){.name = name, .value = acme_arena_strndup(arena, value, len)};
        ENSURE(ret[i].value != NULL, ACME_E_NOMEM);
        if (strcmp(name, "x-sdk-date") == 0)
            *ret_date = ret[i].value;
    }
    ENSURE(*ret_date != NULL, ACME_E_STATE);
    qsort(ret, signing->header_count, sizeof *ret, compare_headers);
    return acme_ok();
}

static void put_hex(const unsigned char digest[SHA256_DIGEST_LENGTH], char out[HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[HEX_SIZE - 1] = '\0';
}

static bool hash_hex(const void *data, size_t len, char out[HEX_SIZE])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    if (EVP_Digest(len > 0 ? data : "", len, digest, NULL, EVP_sha256(), NULL) != 1)
        return false;
    put_hex(digest, out);
    return true;
}

struct acme_err acme_huawei_sign(struct acme_arena *arena, const char *access_id, const char *secret,
                                 const struct acme_huawei_signing *signing, const char **ret)
{
    struct acme_http_header headers[ACME_HUAWEI_SIGNED_MAX];
    const char *date = NULL;
    TRY(read_headers(arena, signing, headers, &date));

    ACME_CLEANUP_BUF struct acme_buf names;
    acme_buf_init(&names, CANONICAL_MAX_BYTES);
    ACME_CLEANUP_BUF struct acme_buf text;
    acme_buf_init(&text, CANONICAL_MAX_BYTES);
    acme_buf_printf(&text, "%s\n", signing->method);
    ENSURE(append_path(arena, signing->path, &text), ACME_E_NOMEM);
    acme_buf_printf(&text, "\n%s\n", signing->query);
    for (size_t i = 0; i < signing->header_count; i++) {
        acme_buf_printf(&names, "%s%s", i > 0 ? ";" : "", headers[i].name);
        acme_buf_printf(&text, "%s:%s\n", headers[i].name, headers[i].value);
    }
    char hash[HEX_SIZE];
    ENSURE(hash_hex(signing->body.data, signing->body.len, hash), ACME_E_CRYPTO);
    const char *list = acme_buf_cstr(&names);
    ENSURE(list != NULL, ACME_E_NOMEM);
    acme_buf_printf(&text, "\n%s\n%s", list, hash);
    ENSURE(acme_buf_cstr(&text) != NULL, ACME_E_NOMEM);
    bool hashed = hash_hex(text.data, text.len, hash);
    OPENSSL_cleanse(text.data, text.len); /* may hold a security token */
    ENSURE(hashed, ACME_E_CRYPTO);

    const char *to_sign = acme_arena_printf(arena, ALGORITHM "\n%s\n%s", date, hash);
    ENSURE(to_sign != NULL, ACME_E_NOMEM);
    unsigned char mac[SHA256_DIGEST_LENGTH];
    ENSURE(HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)to_sign, strlen(to_sign),
                mac, NULL) != NULL,
           ACME_E_CRYPTO);
    put_hex(mac, hash);
    const char *value = acme_arena_printf(arena, ALGORITHM " Access=%s, SignedHeaders=%s, Signature=%s",
                                          access_id, list, hash);
    ENSURE(value != NULL, ACME_E_NOMEM);
    *ret = value;
    return acme_ok();
}
