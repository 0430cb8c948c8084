/* What ELB says a certificate object is. It shows private keys in clear unless the project has switched that
 * off: they are overwritten before anything else is done with an answer. */
#include "backends/huawei_elb/huawei_internal.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

static const char begin_mark[] = "-----BEGIN CERTIFICATE-----";
static const char end_mark[] = "-----END CERTIFICATE-----";

/* True when there was a key to be seen; with the echo off it is a row of asterisks. */
static bool scrub(cJSON *item)
{
    bool found = false;
    for (cJSON *child = item != NULL ? item->child : NULL; child != NULL; child = child->next) {
        if (child->string != NULL && strcasestr(child->string, "private_key") != NULL &&
            cJSON_IsString(child)) {
            found = found || child->valuestring[strspn(child->valuestring, "*")] != '\0';
            OPENSSL_cleanse(child->valuestring, strlen(child->valuestring));
        }
        found = scrub(child) || found;
    }
    return found;
}

struct acme_err acme_huawei_reply_json(const struct huawei_context *ctx, cJSON **ret, bool *ret_echo)
{
    const struct acme_bytes body = ctx->input->reply->body;
    cJSON *json = NULL;
    ENSURE(body.len > 0, ACME_E_FORMAT);
    TRY(acme_json_parse(ctx->arena, (const char *)body.data, body.len, &json));
    bool echo = scrub(json);
    ENSURE(cJSON_IsObject(json), ACME_E_FORMAT);
    if (ret_echo != NULL)
        *ret_echo = echo;
    *ret = json;
    return acme_ok();
}

/* Base64 with any white space in it. */
static struct acme_err read_block(struct acme_arena *arena, const char *text, size_t len,
                                  struct acme_cert_list *list)
{
    char *packed = acme_arena_alloc(arena, len + 1);
    uint8_t *der = acme_arena_alloc(arena, len + 4);
    ENSURE(packed != NULL && der != NULL, ACME_E_NOMEM);
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        if (!isspace((unsigned char)text[i]))
            packed[used++] = text[i];
    }
    ENSURE(used > 0 && used % 4 == 0, ACME_E_FORMAT);
    int got = EVP_DecodeBlock(der, (const unsigned char *)packed, (int)used);
    ENSURE(got > 0, ACME_E_FORMAT);
    size_t padding = (packed[used - 1] == '=' ? 1u : 0u) + (packed[used - 2] == '=' ? 1u : 0u);
    ENSURE(list->count < ACME_CHAIN_MAX_CERTS, ACME_E_LIMIT);
    TRY(acme_cert_parse(arena, (struct acme_bytes){.data = der, .len = (size_t)got - padding},
                        &list->certs[list->count]));
    list->count++;
    return acme_ok();
}

struct acme_err acme_huawei_pem_read(struct acme_arena *arena, const char *text, struct acme_cert_list *ret)
{
    struct acme_cert_list list = {.count = 0};
    const char *at = text;
    while ((at = strstr(at, begin_mark)) != NULL) {
        at += sizeof begin_mark - 1;
        const char *end = strstr(at, end_mark);
        ENSURE(end != NULL, ACME_E_FORMAT);
        TRY(read_block(arena, at, (size_t)(end - at), &list));
        at = end + sizeof end_mark - 1;
    }
    ENSURE(list.count > 0, ACME_E_FORMAT);
    *ret = list;
    return acme_ok();
}

static const char *text_of(const cJSON *json, const char *name, const char *otherwise)
{
    const char *text = acme_json_str(json, name);
    return text != NULL ? text : otherwise;
}

struct acme_err acme_huawei_object_read(struct acme_arena *arena, const cJSON *json,
                                        struct huawei_object *ret)
{
    const char *id = acme_json_str(json, "id");
    ENSURE(id != NULL && acme_huawei_id_right(id), ACME_E_FORMAT);
    struct huawei_object object = {.id = id,
                                   .name = text_of(json, "name", ""),
                                   .description = text_of(json, "description", ""),
                                   .type = text_of(json, "type", "server"),
                                   .domain = text_of(json, "domain", ""),
                                   .protection = text_of(json, "protection_status", "nonProtection")};
    const char *expires = acme_json_str(json, "expire_time");
    if (expires == NULL || acme_failed(acme_rfc3339_parse(expires, &object.expires_ms)))
        object.expires_ms = 0;
    struct acme_err err = acme_huawei_pem_read(arena, text_of(json, "certificate", ""), &object.certs);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    object.readable = !acme_failed(err);
    *ret = object;
    return acme_ok();
}
