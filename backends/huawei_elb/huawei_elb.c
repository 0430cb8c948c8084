/* The deployer object and the way through one step. */
#include "backends/huawei_elb/huawei_internal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_DEADLINE_MS (7 * ACME_DAY_MS)
#define REFUSED_PAUSE_MS    (10 * ACME_MINUTE_MS)

enum { DEFAULT_PER_MINUTE = 60, DEFAULT_BURST = 5, STRINGS_BYTES = 256 * 1024, DOMAINS_MAX = 100 };

static struct acme_err on_reply(struct huawei_context *ctx)
{
    switch (ctx->state->call) {
    case HUAWEI_CALL_SHOW:
        return acme_huawei_show_reply(ctx);
    case HUAWEI_CALL_PUT:
        return acme_huawei_put_reply(ctx);
    case HUAWEI_CALL_VERIFY:
        return acme_huawei_verify_reply(ctx);
    case HUAWEI_CALL_CREATE:
        return acme_huawei_create_reply(ctx);
    case HUAWEI_CALL_LIST:
        return acme_huawei_list_reply(ctx);
    case HUAWEI_CALL_NONE:
    case HUAWEI_CALL_COUNT:
        break;
    }
    return acme_huawei_begin(ctx);
}

static struct acme_err decide(struct huawei_context *ctx)
{
    switch (ctx->input->event) {
    case ACME_EVENT_REPLY:
        ENSURE(ctx->input->reply != NULL, ACME_E_INTERNAL);
        return on_reply(ctx);
    case ACME_EVENT_CALL_FAILED:
        return ctx->state->call == HUAWEI_CALL_CREATE ? acme_huawei_create_failed(ctx)
                                                      : acme_huawei_unreachable(ctx);
    case ACME_EVENT_RECOVER: /* only a CREATE is announced: it may have been sent */
        if (ctx->state->create_sent_ms == 0 && acme_huawei_certificate_id(ctx) == NULL)
            ctx->state->create_sent_ms = ctx->input->now_ms;
        return acme_huawei_begin(ctx);
    case ACME_EVENT_START:
    case ACME_EVENT_TIMER:
        break;
    }
    return acme_huawei_begin(ctx);
}

/* At the deadline nothing is waited for any more. A call that is under way is finished. */
static struct acme_err keep_deadline(struct huawei_context *ctx)
{
    struct acme_step *step = ctx->step;
    int64_t deadline_ms = ctx->request->deadline_ms;
    if (deadline_ms <= 0 || step->kind != ACME_STEP_WAIT)
        return acme_ok();
    if (ctx->input->now_ms < deadline_ms) {
        if (step->wait_until_ms > deadline_ms)
            step->wait_until_ms = deadline_ms;
        return acme_ok();
    }
    const char *last = step->note;
    *step = (struct acme_step){0};
    return acme_huawei_fail(
        ctx, acme_arena_printf(ctx->arena, "Given up because the deployment's time is over. Last: %s", last));
}

static struct acme_err huawei_step(const struct acme_deployer *deployer, struct acme_arena *arena,
                                   const struct acme_deploy_request *request, cJSON *saved,
                                   const struct acme_step_input *input, struct acme_step *ret)
{
    struct huawei_state state;
    struct acme_step step = {0};
    acme_arena_wipe_at_end(arena); /* the key goes through it, and comes back in answers */
    acme_huawei_state_load(saved, &state);
    struct huawei_context ctx = {.huawei = (const struct huawei_deployer *)deployer,
                                 .arena = arena,
                                 .request = request,
                                 .input = input,
                                 .state = &state,
                                 .step = &step};
    TRY(decide(&ctx));
    TRY(keep_deadline(&ctx));
    const char *id = acme_huawei_certificate_id(&ctx);
    if (id != NULL) {
        id = acme_arena_strdup(arena, id); /* it may stand in the state that is replaced below */
        ENSURE(id != NULL, ACME_E_NOMEM);
        step.upstream_ref = id;
        if (ctx.huawei->config.create)
            step.target = id;
    }
    TRY(acme_huawei_state_store(&state, saved));
    *ret = step;
    return acme_ok();
}

/* ---- the object ---- */

static void huawei_destroy(struct acme_deployer *deployer)
{
    struct huawei_deployer *huawei = (struct huawei_deployer *)deployer;
    acme_free_secret(huawei->config.iam.password);
    acme_free_secret(huawei->config.access_key_secret);
    acme_free_secret(huawei->config.security_token);
    acme_arena_destroy(huawei->arena);
    free(huawei);
}

static const struct acme_deployer_class huawei_class = {
    .type = "huawei-elb", .one_target = true, .step = huawei_step, .destroy = huawei_destroy};

static bool is_login_right(const struct acme_huawei_elb_config *config)
{
    bool iam = config->iam.token_url != NULL;
    bool key = config->access_key_id != NULL || config->access_key_secret != NULL;
    if (iam == key)
        return false;
    if (iam)
        return config->security_token == NULL && acme_is_header_text(config->iam.token_url) &&
               acme_is_header_text(config->iam.domain) && acme_is_header_text(config->iam.user) &&
               acme_is_header_text(config->iam.password);
    return acme_is_header_text(config->access_key_id) && acme_is_header_text(config->access_key_secret) &&
           (config->security_token == NULL || acme_is_header_text(config->security_token));
}

static bool is_target_right(const struct acme_huawei_elb_config *config)
{
    if (!acme_huawei_id_right(config->project_id))
        return false;
    if (config->create)
        return config->certificate_id == NULL && config->private_key_file != NULL &&
               (config->name == NULL ||
                (acme_is_header_text(config->name) && strlen(config->name) <= ACME_HUAWEI_NAME_MAX));
    return acme_huawei_id_right(config->certificate_id) && config->name == NULL;
}

static bool are_domains_right(const struct acme_huawei_elb_config *config)
{
    if (config->domains != ACME_HUAWEI_DOMAINS_LIST)
        return true;
    if (config->domain_count == 0 || config->domain_count > DOMAINS_MAX)
        return false;
    for (size_t i = 0; i < config->domain_count; i++) {
        if (acme_huawei_domain_wrong(config->domain_list[i]) != NULL)
            return false;
    }
    return true;
}

/* "https://host:443/base" -> the Host header that libcurl would send, and "/base". */
static bool split_url(struct huawei_deployer *huawei)
{
    const char *url = huawei->config.url;
    const char *scheme_end = strstr(url, "://");
    if (scheme_end == NULL || !acme_is_header_text(url))
        return false;
    const char *host = scheme_end + 3;
    size_t len = strcspn(host, "/?#");
    const char *port = strncasecmp(url, "https", 5) == 0 ? ":443" : ":80";
    size_t port_len = strlen(port);
    huawei->base_path = host + len;
    if (len > port_len && strncmp(host + len - port_len, port, port_len) == 0)
        len -= port_len;
    huawei->host = acme_arena_strndup(huawei->arena, host, len);
    return huawei->host != NULL && len > 0;
}

static bool copy_domains(struct huawei_deployer *huawei)
{
    struct acme_huawei_elb_config *config = &huawei->config;
    const char **list = acme_arena_alloc(huawei->arena, (config->domain_count + 1) * sizeof *list);
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < config->domain_count; i++) {
        list[i] = config->domain_list[i];
        ok = acme_copy_text(huawei->arena, &list[i]);
    }
    config->domain_list = list;
    return ok;
}

/* Replaces the caller's strings by copies. */
static bool copy_strings(struct huawei_deployer *huawei, const char *name)
{
    struct acme_huawei_elb_config *config = &huawei->config;
    struct acme_arena *arena = huawei->arena;
    const char **texts[] = {&config->url,           &config->project_id,       &config->certificate_id,
                            &config->name,          &config->iam.token_url,    &config->iam.domain,
                            &config->iam.user,      &config->iam.project,      &config->iam.project_id,
                            &config->access_key_id, &config->private_key_file, &config->ca_file,
                            &config->proxy};
    bool ok = true;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        ok = acme_copy_text(arena, texts[i]) && ok;
    ok = ok && copy_domains(huawei) && split_url(huawei);
    if (!ok)
        return false;
    if (config->create && config->name == NULL)
        config->name = acme_arena_printf(arena, "acmebridge-%s", name);
    if (config->iam.project_id == NULL)
        config->iam.project_id = config->project_id;
    huawei->claim = acme_arena_printf(arena, "huawei-elb %s %s", config->url, config->project_id);
    struct acme_backend *backend = &huawei->base.backend;
    backend->name = acme_arena_strdup(arena, name);
    backend->account = config->access_key_id != NULL
                           ? acme_arena_printf(arena, "huawei-elb %s %s", config->url, config->access_key_id)
                           : acme_arena_printf(arena, "huawei-elb %s %s/%s", config->url, config->iam.domain,
                                               config->iam.user);
    return backend->name != NULL && backend->account != NULL && huawei->claim != NULL &&
           (!config->create || config->name != NULL);
}

static bool set_login_mark(struct huawei_deployer *huawei)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; i < sizeof huawei->secrets.text / sizeof huawei->secrets.text[0]; i++) {
        const char *secret = huawei->secrets.text[i];
        ok = ok && (secret == NULL || EVP_DigestUpdate(md, secret, strlen(secret)) == 1);
    }
    ok = ok && EVP_DigestFinal_ex(md, digest, NULL) == 1;
    EVP_MD_CTX_free(md);
    if (ok)
        huawei->base.backend.login_mark = digest[0];
    OPENSSL_cleanse(digest, sizeof digest);
    return ok;
}

static void set_backend(struct huawei_deployer *huawei)
{
    const struct acme_huawei_elb_config *config = &huawei->config;
    struct acme_backend *backend = &huawei->base.backend;
    backend->transport =
        (struct acme_transport){.keystone = config->iam.token_url != NULL ? &config->iam : NULL,
                                .ca_file = config->ca_file,
                                .proxy = config->proxy};
    backend->deadline_ms = config->deadline_ms > 0 ? config->deadline_ms : DEFAULT_DEADLINE_MS;
    backend->max_concurrency = 1;
    backend->requests_per_minute =
        config->requests_per_minute > 0 ? config->requests_per_minute : DEFAULT_PER_MINUTE;
    backend->burst = config->burst > 0 ? config->burst : DEFAULT_BURST;
    backend->refused_pause_ms = REFUSED_PAUSE_MS;
    backend->inspect = acme_huawei_inspect;
}

struct acme_err acme_huawei_elb_create(const char *name, const struct acme_huawei_elb_config *config,
                                       struct acme_deployer **ret)
{
    ENSURE(config->url != NULL && is_login_right(config) && is_target_right(config) &&
               are_domains_right(config),
           ACME_E_FORMAT);
    struct huawei_deployer *huawei = calloc(1, sizeof *huawei);
    ENSURE(huawei != NULL, ACME_E_NOMEM);
    huawei->base.class = &huawei_class;
    huawei->config = *config;
    /* The secrets first: what is destroyed below must be this object's. */
    bool ok = acme_copy_secret(&huawei->config.iam.password);
    ok = acme_copy_secret(&huawei->config.access_key_secret) && ok;
    ok = acme_copy_secret(&huawei->config.security_token) && ok;
    huawei->arena = acme_arena_create(STRINGS_BYTES);
    if (!ok || huawei->arena == NULL || !copy_strings(huawei, name)) {
        huawei_destroy(&huawei->base);
        return acme_err(ACME_E_NOMEM);
    }
    huawei->secrets = (struct acme_secrets){
        {huawei->config.iam.password, huawei->config.access_key_secret, huawei->config.security_token}};
    if (!set_login_mark(huawei)) {
        huawei_destroy(&huawei->base);
        return acme_err(ACME_E_NOMEM);
    }
    set_backend(huawei);
    *ret = &huawei->base;
    return acme_ok();
}
