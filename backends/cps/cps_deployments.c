/* What is on Akamai's production network: the only place where certificates of an enrollment can be read. */
#include "backends/cps/cps_internal.h"

#include <string.h>

struct acme_err acme_cps_call_deployments(struct cps_context *ctx, enum cps_call call, const char *note)
{
    const struct cps_request request = {.call = call,
                                        .method = "GET",
                                        .path = acme_arena_printf(ctx->arena, "/enrollments/%lld/deployments",
                                                                  (long long)ctx->state->enrollment),
                                        .accept = "deployments.v7",
                                        .note = note};
    return acme_cps_call(ctx, &request);
}

static struct acme_err read_pem(struct acme_arena *arena, const char *pem, struct acme_cert_list *ret)
{
    ret->count = 0;
    if (pem == NULL || *pem == '\0')
        return acme_ok();
    struct acme_err err =
        acme_certs_read(arena, (struct acme_bytes){.data = (const uint8_t *)pem, .len = strlen(pem)}, ret);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    if (acme_failed(err))
        ret->count = 0;
    return acme_ok();
}

static struct acme_err read_one(struct cps_context *ctx, const cJSON *json, bool primary,
                                struct cps_deployed *list, size_t max, size_t *count)
{
    struct acme_cert_list leaf;
    struct acme_cert_list issuers;
    TRY(read_pem(ctx->arena, acme_json_str(json, "certificate"), &leaf));
    TRY(read_pem(ctx->arena, acme_json_str(json, "trustChain"), &issuers));
    if (leaf.count == 0 || *count == max)
        return acme_ok();
    struct cps_deployed deployed = {.leaf = leaf.certs[0], .certs = leaf, .primary = primary};
    for (size_t i = 0; i < issuers.count && deployed.certs.count < ACME_CHAIN_MAX_CERTS; i++)
        deployed.certs.certs[deployed.certs.count++] = issuers.certs[i];
    struct acme_cert_info info;
    struct acme_err err = acme_cert_info_read(ctx->arena, deployed.leaf, &info);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    if (acme_failed(err))
        return acme_ok();
    deployed.sha256 = info.sha256_hex;
    list[(*count)++] = deployed;
    return acme_ok();
}

struct acme_err acme_cps_certificates_read(struct cps_context *ctx, const cJSON *json,
                                           struct cps_deployed *ret, size_t max, size_t *ret_count)
{
    size_t count = 0;
    TRY(read_one(ctx, acme_json_get(json, "primaryCertificate"), true, ret, max, &count));
    const cJSON *others = acme_json_get(json, "multiStackedCertificates");
    const cJSON *item;
    cJSON_ArrayForEach(item, (cJSON_IsArray(others) ? others : NULL))
    {
        TRY(read_one(ctx, item, false, ret, max, &count));
    }
    *ret_count = count;
    return acme_ok();
}

struct acme_err acme_cps_deployed_read(struct cps_context *ctx, const cJSON *json, struct cps_deployed *ret,
                                       size_t max, size_t *ret_count)
{
    return acme_cps_certificates_read(ctx, acme_json_get(json, "production"), ret, max, ret_count);
}
