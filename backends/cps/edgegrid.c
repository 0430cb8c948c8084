#include "backends/cps/edgegrid.h"

#include "base/buf.h"
#include "base/id.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum {
    DIGEST_CHARS = 4 * ((SHA256_DIGEST_LENGTH + 2) / 3), /* in base64 */
    SIGNED_MAX = 64 * 1024
};

void acme_edgegrid_time(int64_t unix_ms, char out[ACME_EDGEGRID_TIME_SIZE])
{
    struct tm tm = {0};
    time_t seconds = (time_t)(unix_ms / 1000);
    gmtime_r(&seconds, &tm);
    if (strftime(out, ACME_EDGEGRID_TIME_SIZE, "%Y%m%dT%H:%M:%S+0000", &tm) == 0)
        out[0] = '\0';
}

static void digest_text(const uint8_t digest[SHA256_DIGEST_LENGTH], char out[DIGEST_CHARS + 1])
{
    EVP_EncodeBlock((unsigned char *)out, digest, SHA256_DIGEST_LENGTH);
}

/* base64 of HMAC-SHA-256; the key is a text. */
static struct acme_err hmac_text(const char *key, const void *data, size_t len, char out[DIGEST_CHARS + 1])
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    unsigned int size = sizeof digest;
    bool made = HMAC(EVP_sha256(), key, (int)strlen(key), data, len, digest, &size) != NULL;
    if (made)
        digest_text(digest, out);
    OPENSSL_cleanse(digest, sizeof digest);
    return acme_err(made ? ACME_OK : ACME_E_CRYPTO);
}

struct acme_err acme_edgegrid_content_hash(struct acme_arena *arena,
                                           const struct acme_edgegrid_client *client,
                                           const struct acme_edgegrid_request *request, const char **ret)
{
    if (strcmp(request->method, "POST") != 0 || request->body.len == 0) {
        *ret = "";
        return acme_ok();
    }
    size_t max = client->max_body > 0 ? client->max_body : ACME_EDGEGRID_MAX_BODY;
    size_t len = request->body.len < max ? request->body.len : max;
    uint8_t digest[SHA256_DIGEST_LENGTH];
    ENSURE(EVP_Digest(request->body.data, len, digest, NULL, EVP_sha256(), NULL) == 1, ACME_E_CRYPTO);
    char text[DIGEST_CHARS + 1];
    digest_text(digest, text);
    *ret = acme_arena_strdup(arena, text);
    return acme_err(*ret != NULL ? ACME_OK : ACME_E_NOMEM);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Lower-case names, values without outer space and with inner space as one blank. */
static void write_headers(struct acme_buf *out, const struct acme_edgegrid_request *request)
{
    for (size_t i = 0; i < request->header_count; i++) {
        const struct acme_http_header *header = &request->headers[i];
        if (i > 0)
            acme_buf_str(out, "\t");
        for (const char *c = header->name; *c != '\0'; c++) {
            char lower = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
            acme_buf_append(out, &lower, 1);
        }
        acme_buf_str(out, ":");
        bool begun = false;
        bool gap = false;
        for (const char *c = header->value; *c != '\0'; c++) {
            if (is_space(*c)) {
                gap = begun;
                continue;
            }
            if (gap)
                acme_buf_str(out, " ");
            acme_buf_append(out, c, 1);
            begun = true;
            gap = false;
        }
    }
}

struct acme_err acme_edgegrid_authorization(struct acme_arena *arena,
                                            const struct acme_edgegrid_client *client,
                                            const struct acme_edgegrid_request *request, const char *time,
                                            const char *nonce, const char **ret)
{
    const char *hash = "";
    TRY(acme_edgegrid_content_hash(arena, client, request, &hash));
    const char *prefix =
        acme_arena_printf(arena, "EG1-HMAC-SHA256 client_token=%s;access_token=%s;timestamp=%s;nonce=%s;",
                          client->client_token, client->access_token, time, nonce);
    ENSURE(prefix != NULL, ACME_E_NOMEM);
    ACME_CLEANUP_BUF struct acme_buf data;
    acme_buf_init(&data, SIGNED_MAX);
    acme_buf_printf(&data, "%s\t%s\t%s\t%s\t", request->method, request->scheme, request->host,
                    *request->path != '\0' ? request->path : "/");
    write_headers(&data, request);
    acme_buf_printf(&data, "\t%s\t%s", hash, prefix);
    const char *text = acme_buf_cstr(&data);
    ENSURE(text != NULL, ACME_E_NOMEM);
    char key[DIGEST_CHARS + 1];
    char signature[DIGEST_CHARS + 1];
    struct acme_err err = hmac_text(client->client_secret, time, strlen(time), key);
    if (!acme_failed(err))
        err = hmac_text(key, text, data.len, signature);
    OPENSSL_cleanse(key, sizeof key);
    TRY(err);
    *ret = acme_arena_printf(arena, "%ssignature=%s", prefix, signature);
    return acme_err(*ret != NULL ? ACME_OK : ACME_E_NOMEM);
}

static int64_t frozen_now(void *context)
{
    return *(int64_t *)context;
}

struct acme_err acme_edgegrid_sign(struct acme_arena *arena, const struct acme_edgegrid_client *client,
                                   int64_t now_ms, struct acme_http_call *call)
{
    const char *rest = strstr(call->url, "://");
    ENSURE(rest != NULL, ACME_E_FORMAT);
    const char *scheme = acme_arena_strndup(arena, call->url, (size_t)(rest - call->url));
    rest += 3;
    size_t host_len = strcspn(rest, "/?");
    const char *host = acme_arena_strndup(arena, rest, host_len);
    ENSURE(scheme != NULL && host != NULL, ACME_E_NOMEM);
    const struct acme_edgegrid_request request = {
        .method = call->method, .scheme = scheme, .host = host, .path = rest + host_len, .body = call->body};
    char time[ACME_EDGEGRID_TIME_SIZE];
    char nonce[ACME_ID_SIZE];
    acme_edgegrid_time(now_ms, time);
    const struct acme_clock clock = {.now_ms = frozen_now, .context = &now_ms};
    TRY(acme_id_new(&clock, nonce));
    const char *value = NULL;
    TRY(acme_edgegrid_authorization(arena, client, &request, time, nonce, &value));
    ENSURE(acme_http_call_header(call, "Authorization", value), ACME_E_LIMIT);
    return acme_ok();
}

int64_t acme_edgegrid_skew_s(const struct acme_http_reply *reply, int64_t now_ms)
{
    const char *date = acme_http_reply_header(reply, "date");
    struct tm tm = {0};
    const char *end = date != NULL ? strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm) : NULL;
    if (end == NULL || *end != '\0')
        return 0;
    tm.tm_isdst = 0;
    return now_ms / 1000 - (int64_t)timegm(&tm);
}
