/* Enrollments, and the CSRs of their pending changes. */
#include "backends/cps/cps_internal.h"

#include <ctype.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <strings.h>

enum { TYPE_CHARS = 40 };

/* Names of changes are objects of newer, URLs of older versions. */
static struct acme_err read_pending(struct cps_context *ctx, const cJSON *json, struct cps_enrollment *ret)
{
    const cJSON *item;
    const cJSON *list = acme_json_get(json, "pendingChanges");
    int skip = cJSON_IsArray(list) ? cJSON_GetArraySize(list) - CPS_PENDING_MAX : 0; /* the oldest */
    cJSON_ArrayForEach(item, (cJSON_IsArray(list) ? list : NULL))
    {
        if (skip-- > 0 || cJSON_IsNull(item))
            continue;
        const char *location = cJSON_IsString(item) ? item->valuestring : acme_json_str(item, "location");
        struct cps_pending *pending = &ret->pending[ret->pending_count++];
        pending->id = acme_cps_last_id(location);
        pending->type = acme_cps_shown(ctx, acme_json_str(item, "changeType"), TYPE_CHARS);
        ENSURE(pending->type != NULL, ACME_E_NOMEM);
    }
    return acme_ok();
}

static int64_t quota(const cJSON *json, const char *name)
{
    int64_t value = -1;
    return acme_json_int(json, name, &value) && value >= 0 ? value : -1;
}

struct acme_err acme_cps_enrollment_read(struct cps_context *ctx, cJSON *json, struct cps_enrollment *ret)
{
    memset(ret, 0, sizeof *ret);
    const cJSON *csr = acme_json_get(json, "csr");
    ret->json = json;
    ret->common_name = acme_json_str(csr, "cn");
    ENSURE(ret->common_name != NULL, ACME_E_FORMAT);
    const cJSON *item;
    const cJSON *sans = acme_json_get(csr, "sans");
    cJSON_ArrayForEach(item, (cJSON_IsArray(sans) ? sans : NULL))
    {
        if (!cJSON_IsString(item))
            continue;
        ENSURE(ret->san_count < CPS_NAMES_MAX, ACME_E_FORMAT);
        ret->sans[ret->san_count++] = item->valuestring;
    }
    if (!acme_cps_id(json, "id", &ret->id))
        ret->id = acme_cps_last_id(acme_json_str(json, "location"));
    const char *validation = acme_json_str(json, "validationType");
    ret->third_party = validation != NULL && strcasecmp(validation, "third-party") == 0;
    ret->dv = validation != NULL && strcasecmp(validation, "dv") == 0;
    ret->excludes_sans = acme_cps_flag(acme_json_get(json, "thirdParty"), "excludeSans");
    ret->change_management = acme_cps_flag(json, "changeManagement");
    ret->multi_stacked = acme_cps_flag(json, "enableMultiStackedCertificates");
    ret->max_sans = quota(json, "maxAllowedSanNames");
    ret->max_wildcards = quota(json, "maxAllowedWildcardSanNames");
    return read_pending(ctx, json, ret);
}

bool acme_cps_enrollment_has(const struct cps_enrollment *enrollment, const char *name)
{
    if (strcasecmp(enrollment->common_name, name) == 0)
        return true;
    for (size_t i = 0; i < enrollment->san_count; i++)
        if (strcasecmp(enrollment->sans[i], name) == 0)
            return true;
    return false;
}

struct acme_err acme_cps_call_enrollment(struct cps_context *ctx, const char *note)
{
    const struct cps_request request = {
        .call = CPS_CALL_ENROLLMENT,
        .method = "GET",
        .path = acme_arena_printf(ctx->arena, "/enrollments/%lld", (long long)ctx->state->enrollment),
        .accept = "enrollment.v11",
        .note = note};
    return acme_cps_call(ctx, &request);
}

struct acme_err acme_cps_call_list(struct cps_context *ctx)
{
    const struct cps_request request = {.call = CPS_CALL_LIST,
                                        .method = "GET",
                                        .path = "/enrollments",
                                        .accept = "enrollments.v11",
                                        .note = "Looking for the enrollment by its common name."};
    return acme_cps_call(ctx, &request);
}

size_t acme_cps_list_find(const cJSON *list, const char *common_name, int64_t *ret)
{
    size_t count = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        const char *name = acme_json_str(acme_json_get(item, "csr"), "cn");
        int64_t id = 0;
        if (name == NULL || strcasecmp(name, common_name) != 0)
            continue;
        if (!acme_cps_id(item, "id", &id))
            id = acme_cps_last_id(acme_json_str(item, "location"));
        if (id > 0) {
            *ret = id;
            count++;
        }
    }
    return count;
}

struct acme_err acme_cps_call_csr(struct cps_context *ctx, enum cps_call call, int64_t change)
{
    const struct cps_request request = {
        .call = call,
        .method = "GET",
        .path = acme_arena_printf(ctx->arena, "/enrollments/%lld/changes/%lld/input/info/third-party-csr",
                                  (long long)ctx->state->enrollment, (long long)change),
        .accept = "csr.v2",
        .note = acme_arena_printf(ctx->arena, "Reading the CSR of change %lld.", (long long)change)};
    return acme_cps_call(ctx, &request);
}

/* ---- CSRs ---- */

static struct acme_err csr_from_pem(struct acme_arena *arena, const char *pem, struct acme_csr *ret)
{
    size_t len = strlen(pem);
    ENSURE(len <= 2 * ACME_CSR_MAX_BYTES, ACME_E_FORMAT);
    BIO *bio = BIO_new_mem_buf(pem, (int)len);
    ENSURE(bio != NULL, ACME_E_NOMEM);
    unsigned char *der = NULL;
    long der_len = 0;
    int read = PEM_bytes_read_bio(&der, &der_len, NULL, PEM_STRING_X509_REQ, bio, NULL, NULL);
    BIO_free(bio);
    ERR_clear_error();
    ENSURE(read == 1, ACME_E_FORMAT);
    const char *why = NULL;
    struct acme_err err =
        acme_csr_parse(arena, (struct acme_bytes){.data = der, .len = (size_t)der_len}, ret, &why);
    OPENSSL_free(der);
    if (acme_failed(err) && err.code != ACME_E_NOMEM)
        return acme_err(ACME_E_FORMAT);
    return err;
}

/* The algorithm as CPS calls it, as a name of a delegate. */
static const char *label_of(struct acme_arena *arena, const char *algorithm, const struct acme_csr *csr)
{
    if (algorithm == NULL || *algorithm == '\0')
        algorithm = csr->key != NULL && EVP_PKEY_get_base_id(csr->key) == EVP_PKEY_EC ? "ECDSA" : "RSA";
    char *label = acme_arena_strndup(arena, algorithm, strnlen(algorithm, CPS_LABEL_MAX));
    for (char *c = label; c != NULL && *c != '\0'; c++)
        *c = isalnum((unsigned char)*c) ? (char)toupper((unsigned char)*c) : '-';
    return label;
}

static struct acme_err add_csr(struct cps_context *ctx, const char *pem, const char *algorithm)
{
    if (pem == NULL || ctx->csr_count == CPS_CSRS_MAX)
        return acme_ok();
    struct cps_csr *slot = &ctx->csrs[ctx->csr_count];
    struct acme_err err = csr_from_pem(ctx->arena, pem, &slot->csr);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    if (acme_failed(err))
        return acme_ok();
    slot->label = label_of(ctx->arena, algorithm, &slot->csr);
    ENSURE(slot->label != NULL, ACME_E_NOMEM);
    for (size_t i = 0; i < ctx->csr_count; i++)
        if (strcmp(ctx->csrs[i].label, slot->label) == 0)
            return acme_ok();
    ctx->csr_count++;
    return acme_ok();
}

struct acme_err acme_cps_csrs_read(struct cps_context *ctx, const cJSON *json)
{
    ctx->csr_count = 0;
    const cJSON *item;
    const cJSON *list = acme_json_get(json, "csrs");
    cJSON_ArrayForEach(item, (cJSON_IsArray(list) ? list : NULL))
    {
        TRY(add_csr(ctx, acme_json_str(item, "csr"), acme_json_str(item, "keyAlgorithm")));
    }
    if (!cJSON_IsArray(list))
        TRY(add_csr(ctx, acme_json_str(json, "csr"), NULL));
    return acme_err(ctx->csr_count > 0 ? ACME_OK : ACME_E_FORMAT);
}
