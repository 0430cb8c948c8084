#include "huawei_setup.h"

#include <string.h>

static struct acme_err read_list(struct acme_arena *arena, const cJSON *json, const char *const **ret,
                                 size_t *ret_count)
{
    int count = cJSON_GetArraySize(json);
    const char **texts = acme_arena_alloc(arena, ((size_t)count + 1) * sizeof *texts);
    ENSURE(texts != NULL, ACME_E_NOMEM);
    for (int i = 0; i < count; i++) {
        texts[i] = cJSON_GetStringValue(cJSON_GetArrayItem(json, i));
        ENSURE(texts[i] != NULL, ACME_E_FORMAT);
    }
    *ret = texts;
    *ret_count = (size_t)count;
    return acme_ok();
}

static enum acme_huawei_domains domains_of(const cJSON *json)
{
    const char *text = acme_json_str(json, "domains");
    if (text != NULL && strcmp(text, "names") == 0)
        return ACME_HUAWEI_DOMAINS_NAMES;
    return text != NULL && strcmp(text, "list") == 0 ? ACME_HUAWEI_DOMAINS_LIST : ACME_HUAWEI_DOMAINS_KEEP;
}

struct acme_err acme_steps_deployer(struct acme_arena *arena, const cJSON *json, struct acme_deployer **ret)
{
    struct acme_huawei_elb_config config = {
        .url = acme_json_str(json, "url"),
        .project_id = acme_json_str(json, "project_id"),
        .certificate_id = acme_json_str(json, "certificate_id"),
        .create = acme_json_bool(json, "create", false),
        .name = acme_json_str(json, "name"),
        .access_key_id = acme_json_str(json, "access_key_id"),
        .access_key_secret = acme_json_str(json, "access_key_secret"),
        .security_token = acme_json_str(json, "security_token"),
        .private_key_file = acme_json_str(json, "private_key_file"),
        .domains = domains_of(json),
        .domain_limits_2024 = acme_json_bool(json, "domain_limits_2024", false),
        .keep_description = acme_json_bool(json, "keep_description", false),
    };
    if (acme_json_bool(json, "iam", false))
        config.iam = (struct acme_keystone){.token_url = "https://iam.example.test/v3/auth/tokens",
                                            .domain = "domain",
                                            .user = "user",
                                            .password = "of no use here",
                                            .project_id = config.project_id};
    TRY(read_list(arena, acme_json_get(json, "domain_list"), &config.domain_list, &config.domain_count));
    return acme_huawei_elb_create("elb", &config, ret);
}

struct acme_err acme_steps_request(struct acme_arena *arena, const cJSON *json,
                                   struct acme_deploy_request *ret)
{
    const char *pem = acme_json_str(json, "chain");
    const char *const *names = NULL;
    size_t count = 0;
    ENSURE(pem != NULL, ACME_E_FORMAT);
    TRY(read_list(arena, acme_json_get(json, "names"), &names, &count));
    struct acme_identifier *identifiers = acme_arena_alloc(arena, (count + 1) * sizeof *identifiers);
    struct acme_cert_list *chain = acme_arena_alloc(arena, sizeof *chain);
    uint8_t *spki = acme_arena_alloc(arena, ACME_SHA256_SIZE);
    ENSURE(identifiers != NULL && chain != NULL && spki != NULL, ACME_E_NOMEM);
    for (size_t i = 0; i < count; i++)
        identifiers[i] = (struct acme_identifier){.type = ACME_IDENTIFIER_DNS, .value = names[i]};
    TRY(acme_certs_read(arena, (struct acme_bytes){(const uint8_t *)pem, strlen(pem)}, chain));
    struct acme_cert_info info;
    TRY(acme_cert_info_read(arena, chain->certs[0], &info));
    TRY(acme_spki_sha256(X509_get0_pubkey(chain->certs[0]), spki));
    int64_t created_ms = 0;
    ENSURE(acme_json_int(json, "created_ms", &created_ms), ACME_E_FORMAT);
    *ret = (struct acme_deploy_request){.tag = acme_json_str(json, "tag"),
                                        .deployment_id = "deployment",
                                        .certificate_id = "certificate",
                                        .order_id = "order",
                                        .account_id = "account",
                                        .profile = "default",
                                        .identifiers = identifiers,
                                        .identifier_count = count,
                                        .chain = chain,
                                        .chain_pem = acme_chain_pem(arena, chain),
                                        .spki_sha256 = spki,
                                        .serial_hex = info.serial_hex,
                                        .sha256_hex = info.sha256_hex,
                                        .not_before_ms = info.not_before_ms,
                                        .not_after_ms = info.not_after_ms,
                                        .created_ms = created_ms,
                                        .deadline_ms = created_ms + 7 * ACME_DAY_MS,
                                        .target = acme_json_str(json, "target")};
    return acme_ok();
}
