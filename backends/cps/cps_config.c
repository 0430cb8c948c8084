#include "backends/cps/cps_internal.h"

#define DEFAULT_DEADLINE_MS (14 * ACME_DAY_MS)
#define DEFAULT_POLL_MS     (30 * ACME_SECOND_MS)
#define DEFAULT_POLL_MAX_MS (5 * ACME_MINUTE_MS)
enum { DEFAULT_MAX_CONCURRENCY = 4, DEFAULT_CONNECT_MS = 10 * 1000, DEFAULT_CALL_MS = 90 * 1000 };

static void free_secret(const char **member)
{
    acme_free_secret(*member);
    *member = NULL;
}

struct acme_err acme_cps_backend_fill(struct acme_arena *arena, const char *name,
                                      const struct acme_cps_config *config, struct acme_backend *ret)
{
    const char *key = config->account_switch_key;
    const struct acme_backend backend = {
        .name = acme_arena_strdup(arena, name),
        .account = acme_arena_printf(arena, "cps %s %s", config->host, key != NULL ? key : "-"),
        .transport = {.ca_file = config->ca_file, .proxy = config->proxy},
        .deadline_ms = config->deadline_ms,
        .max_concurrency = config->max_concurrency};
    ENSURE(backend.name != NULL && backend.account != NULL, ACME_E_NOMEM);
    *ret = backend;
    return acme_ok();
}

void acme_cps_config_wipe(struct acme_cps_config *config)
{
    free_secret(&config->client.client_secret);
    free_secret(&config->client.client_token);
    free_secret(&config->client.access_token);
}

static bool is_given(const char *text)
{
    return text != NULL && *text != '\0';
}

static void set_defaults(struct acme_cps_config *config)
{
    if (config->deadline_ms <= 0)
        config->deadline_ms = DEFAULT_DEADLINE_MS;
    if (config->max_concurrency <= 0)
        config->max_concurrency = DEFAULT_MAX_CONCURRENCY;
    if (config->poll_ms <= 0)
        config->poll_ms = DEFAULT_POLL_MS;
    if (config->poll_max_ms <= 0)
        config->poll_max_ms = DEFAULT_POLL_MAX_MS;
    if (config->poll_max_ms < config->poll_ms)
        config->poll_max_ms = config->poll_ms;
    if (config->connect_timeout_ms <= 0)
        config->connect_timeout_ms = DEFAULT_CONNECT_MS;
    if (config->call_timeout_ms <= 0)
        config->call_timeout_ms = DEFAULT_CALL_MS;
}

struct acme_err acme_cps_config_copy(struct acme_arena *arena, const struct acme_cps_config *config,
                                     struct acme_cps_config *ret)
{
    *ret = (struct acme_cps_config){0};
    const struct acme_edgegrid_client *client = &config->client;
    ENSURE(is_given(config->url) && is_given(config->host), ACME_E_FORMAT);
    ENSURE(is_given(client->client_token) && is_given(client->client_secret) &&
               is_given(client->access_token),
           ACME_E_FORMAT);
    struct acme_cps_config copy = *config;
    const char **texts[] = {&copy.url, &copy.host, &copy.account_switch_key, &copy.ca_file, &copy.proxy};
    const char **secrets[] = {&copy.client.client_token, &copy.client.client_secret,
                              &copy.client.access_token};
    bool ok = true;
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        ok = acme_copy_secret(secrets[i]) && ok;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        ok = acme_copy_text(arena, texts[i]) && ok;
    if (!ok) {
        acme_cps_config_wipe(&copy);
        return acme_err(ACME_E_NOMEM);
    }
    set_defaults(&copy);
    *ret = copy;
    return acme_ok();
}
