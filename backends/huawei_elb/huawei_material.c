/* What is to be deployed, held against ELB's limits before anything is sent. */
#include "backends/huawei_elb/huawei_internal.h"
#include "base/json_writer.h"

#include <openssl/x509v3.h>
#include <string.h>

enum {
    /* Escaped, every line end of a PEM text is two characters. */
    BODY_MAX_BYTES = 2 * (HUAWEI_CHAIN_MAX_CHARS + HUAWEI_KEY_MAX_CHARS) + 64 * 1024
};

/* A client of the listener has the root itself or does not believe in it. */
static struct acme_cert_list without_root(const struct acme_cert_list *chain)
{
    struct acme_cert_list certs = {.count = 0};
    for (size_t i = 0; i < chain->count; i++) {
        if (i == 0 || (X509_get_extension_flags(chain->certs[i]) & EXFLAG_SS) == 0)
            certs.certs[certs.count++] = chain->certs[i];
    }
    return certs;
}

static struct acme_err read_domain(const struct huawei_context *ctx, const char **ret, const char **ret_why)
{
    const struct acme_huawei_elb_config *config = &ctx->huawei->config;
    const struct acme_deploy_request *request = ctx->request;
    if (config->domains == ACME_HUAWEI_DOMAINS_KEEP)
        return acme_ok();
    if (config->domains == ACME_HUAWEI_DOMAINS_LIST)
        return acme_huawei_domains_join(ctx->arena, config->domain_list, config->domain_count,
                                        config->domain_limits_2024, ret, ret_why);
    const char **names = acme_arena_alloc(ctx->arena, (request->identifier_count + 1) * sizeof *names);
    ENSURE(names != NULL, ACME_E_NOMEM);
    size_t count = 0;
    for (size_t i = 0; i < request->identifier_count; i++) {
        const struct acme_identifier *identifier = &request->identifiers[i];
        if (identifier->type != ACME_IDENTIFIER_DNS)
            continue;
        if (acme_huawei_domain_wrong(identifier->value) != NULL) {
            *ret_why =
                acme_arena_printf(ctx->arena, "ELB does not take \"%s\" as a domain", identifier->value);
            return acme_err(*ret_why != NULL ? ACME_E_DENIED : ACME_E_NOMEM);
        }
        names[count++] = identifier->value;
    }
    if (count == 0) /* an IP address only: ELB's domains have no form for that */
        return acme_ok();
    return acme_huawei_domains_join(ctx->arena, names, count, config->domain_limits_2024, ret, ret_why);
}

struct acme_err acme_huawei_material(const struct huawei_context *ctx, struct huawei_material *ret,
                                     const char **ret_why)
{
    const struct acme_deploy_request *request = ctx->request;
    ENSURE(request->chain->count > 0, ACME_E_INTERNAL);
    struct huawei_material material = {.certs = without_root(request->chain)};
    if (material.certs.count > HUAWEI_CHAIN_MAX_CERTS) {
        *ret_why = acme_arena_printf(ctx->arena, "the chain has %zu certificates, and ELB takes at most %d",
                                     material.certs.count, HUAWEI_CHAIN_MAX_CERTS);
        return acme_err(*ret_why != NULL ? ACME_E_DENIED : ACME_E_NOMEM);
    }
    material.pem = acme_chain_pem(ctx->arena, &material.certs);
    ENSURE(material.pem != NULL, ACME_E_NOMEM);
    if (strlen(material.pem) > HUAWEI_CHAIN_MAX_CHARS) {
        *ret_why = acme_arena_printf(ctx->arena,
                                     "the certificate with its chain has %zu characters, and ELB takes at "
                                     "most %d",
                                     strlen(material.pem), HUAWEI_CHAIN_MAX_CHARS);
        return acme_err(*ret_why != NULL ? ACME_E_DENIED : ACME_E_NOMEM);
    }
    const char *why = NULL;
    struct acme_err err = read_domain(ctx, &material.domain, &why);
    if (err.code == ACME_E_LIMIT || err.code == ACME_E_DENIED) {
        *ret_why = acme_arena_printf(ctx->arena, "%s: set domains to a list, or to keep", why);
        return acme_err(*ret_why != NULL ? ACME_E_DENIED : ACME_E_NOMEM);
    }
    TRY(err);
    /* The tag has at most 64 characters, the digest 64. */
    material.description =
        acme_arena_printf(ctx->arena, "%.64s sha256=%.64s", request->tag, request->sha256_hex);
    ENSURE(material.description != NULL, ACME_E_NOMEM);
    *ret = material;
    return acme_ok();
}

static void finish_body(void *body)
{
    acme_buf_finish(body);
}

struct acme_err acme_huawei_material_body(const struct huawei_context *ctx,
                                          const struct huawei_material *material, const char *key_pem,
                                          bool create, const struct acme_buf **ret)
{
    const struct acme_huawei_elb_config *config = &ctx->huawei->config;
    struct acme_buf *body = acme_arena_alloc(ctx->arena, sizeof *body);
    ENSURE(body != NULL, ACME_E_NOMEM);
    acme_buf_init_secret(body, BODY_MAX_BYTES);
    ENSURE(acme_arena_defer(ctx->arena, finish_body, body), ACME_E_NOMEM);
    struct acme_json_writer writer;
    acme_jw_init(&writer, body);
    acme_jw_object(&writer, NULL);
    acme_jw_object(&writer, "certificate");
    if (create) {
        acme_jw_str(&writer, "name", config->name);
        acme_jw_str(&writer, "type", "server");
    }
    acme_jw_str(&writer, "certificate", material->pem);
    acme_jw_str(&writer, "private_key", key_pem);
    acme_jw_str(&writer, "domain", material->domain);
    if (create || !config->keep_description)
        acme_jw_str(&writer, "description", material->description);
    acme_jw_object_end(&writer);
    acme_jw_object_end(&writer);
    ENSURE(acme_buf_cstr(body) != NULL, ACME_E_NOMEM);
    *ret = body;
    return acme_ok();
}
