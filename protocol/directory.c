#include "protocol/exchange.h"

#include "protocol/dns_persist.h"

#include <string.h>

enum { MAX_DIRECTORY = 256 * 1024 };

const struct acme_profile *acme_profile_find(const struct acme_service *service, const char *name)
{
    for (size_t i = 0; i < service->config->profile_count; i++)
        if (strcmp(service->config->profiles[i].name, name) == 0)
            return &service->config->profiles[i];
    return NULL;
}

static void write_url(struct acme_json_writer *writer, struct acme_arena *arena, const char *name,
                      const char *base, const char *profile, const char *path)
{
    const char *url = profile != NULL ? acme_arena_printf(arena, "%s/profile/%s%s", base, profile, path)
                                      : acme_arena_printf(arena, "%s%s", base, path);
    if (url == NULL)
        writer->out->failed = true; /* a NULL string would only be left out */
    acme_jw_str(writer, name, url);
}

static bool is_listed_before(const struct acme_service_config *config, size_t profile, size_t at)
{
    const char *name = config->profiles[profile].caa_issuers[at];
    for (size_t i = 0; i <= profile; i++)
        for (size_t j = 0; j < (i < profile ? config->profiles[i].caa_issuer_count : at); j++)
            if (strcmp(config->profiles[i].caa_issuers[j], name) == 0)
                return true;
    return false;
}

/* The names that CAA records may allow: those of the profile, or of all, as the default directory makes
 * orders of all. */
static void write_caa(struct acme_json_writer *writer, const struct acme_service_config *config,
                      const struct acme_profile *profile)
{
    size_t count = 0;
    for (size_t i = 0; i < config->profile_count; i++) {
        const struct acme_profile *one = &config->profiles[i];
        for (size_t j = 0; j < one->caa_issuer_count; j++) {
            if (profile == NULL ? is_listed_before(config, i, j) : one != profile)
                continue;
            if (count++ == 0)
                acme_jw_array(writer, "caaIdentities");
            acme_jw_str(writer, NULL, one->caa_issuers[j]);
        }
    }
    if (count > 0)
        acme_jw_array_end(writer);
}

static bool offers_persist(const struct acme_profile *profile)
{
    return (profile->challenges & ACME_CHALLENGE_DNS_PERSIST_01) != 0;
}

static bool has_issuer(const struct acme_profile *profile, const char *name)
{
    for (size_t i = 0; i < profile->caa_issuer_count; i++)
        if (strcmp(profile->caa_issuers[i], name) == 0)
            return true;
    return false;
}

/* What records of dns-persist-01 can be made from before there is a challenge. Each name must do for every
 * challenge of this directory (draft-ietf-acme-dns-persist-02 section 3.2). */
static void write_persist(struct acme_json_writer *writer, const struct acme_service *service,
                          const struct acme_profile *profile)
{
    const struct acme_service_config *config = service->config;
    const struct acme_profile *first = profile;
    for (size_t i = 0; i < config->profile_count && first == NULL; i++)
        if (offers_persist(&config->profiles[i]))
            first = &config->profiles[i];
    if (first == NULL || !offers_persist(first))
        return;
    size_t written = 0;
    for (size_t i = 0; i < first->caa_issuer_count; i++) {
        bool everywhere = true;
        for (size_t j = 0; j < config->profile_count && profile == NULL; j++)
            everywhere = everywhere && (!offers_persist(&config->profiles[j]) ||
                                        has_issuer(&config->profiles[j], first->caa_issuers[i]));
        if (!everywhere)
            continue;
        if (written++ == 0)
            acme_jw_array(writer, "issuerDomainNames");
        acme_jw_str(writer, NULL, first->caa_issuers[i]);
    }
    if (written > 0) /* no empty lists: no name does for all, each profile's directory has its own */
        acme_jw_array_end(writer);
    write_url(writer, service->arena, "accountHashPrefix", config->base_url, NULL,
              ACME_DNS_PERSIST_HASH_PATH);
}

/* `profile` NULL: the default directory, whose newOrder and newAuthz leave the choice to
 * the request. */
static struct acme_err build(struct acme_service *service, const struct acme_profile *profile,
                             struct acme_bytes *ret)
{
    const struct acme_service_config *config = service->config;
    const char *name = profile != NULL ? profile->name : NULL;
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, MAX_DIRECTORY);
    struct acme_json_writer writer;
    acme_jw_init(&writer, &out);
    acme_jw_object(&writer, NULL);
    write_url(&writer, service->arena, "newNonce", config->base_url, NULL, "/new-nonce");
    write_url(&writer, service->arena, "newAccount", config->base_url, NULL, "/new-account");
    write_url(&writer, service->arena, "newOrder", config->base_url, name, "/new-order");
    write_url(&writer, service->arena, "newAuthz", config->base_url, name, "/new-authz");
    write_url(&writer, service->arena, "keyChange", config->base_url, NULL, "/key-change");
    write_url(&writer, service->arena, "revokeCert", config->base_url, NULL, "/revoke-cert");
    acme_jw_object(&writer, "meta");
    acme_jw_str(&writer, "termsOfService", config->terms_of_service);
    acme_jw_str(&writer, "website", config->website);
    if (config->external_account_required)
        acme_jw_bool(&writer, "externalAccountRequired", true);
    write_caa(&writer, config, profile);
    write_persist(&writer, service, profile);
    acme_jw_object(&writer, "profiles");
    for (size_t i = 0; i < config->profile_count; i++) {
        const char *description = config->profiles[i].description;
        acme_jw_str(&writer, config->profiles[i].name, description != NULL ? description : "");
    }
    acme_jw_object_end(&writer);
    acme_jw_object_end(&writer);
    acme_jw_object_end(&writer);
    const char *text = acme_buf_cstr(&out);
    ENSURE(text != NULL, ACME_E_NOMEM);
    const void *copy = acme_arena_memdup(service->arena, text, out.len);
    ENSURE(copy != NULL, ACME_E_NOMEM);
    *ret = (struct acme_bytes){.data = copy, .len = out.len};
    return acme_ok();
}

struct acme_err acme_directory_build(struct acme_service *service)
{
    const struct acme_service_config *config = service->config;
    service->directories =
        acme_arena_alloc(service->arena, config->profile_count * sizeof *service->directories);
    ENSURE(service->directories != NULL, ACME_E_NOMEM);
    for (size_t i = 0; i < config->profile_count; i++)
        TRY(build(service, &config->profiles[i], &service->directories[i]));
    return build(service, NULL, &service->directory);
}

struct acme_err acme_directory_get(struct acme_exchange *x)
{
    const struct acme_service *service = x->service;
    TRY(acme_exchange_read_only(x));
    acme_respond_body(x, 200, "application/json",
                      x->profile_in_path ? service->directories[x->profile - service->config->profiles]
                                         : service->directory);
    return acme_ok();
}

/* The codes differ because clients insist on them: 200 for HEAD, 204 for the rest (RFC 8555 section 7.2). */
struct acme_err acme_nonce_get(struct acme_exchange *x)
{
    TRY(acme_exchange_read_only(x));
    x->response->status = strcmp(x->request->method, "HEAD") == 0 ? 200 : 204;
    return acme_ok();
}
