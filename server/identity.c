#include "server/identity.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { NAMES_ARENA_BYTES = 64 * 1024, NAMES_MAX = 64 };

#define LIFETIME_MS (30 * ACME_DAY_MS)

struct acme_identity {
    const struct acme_server_config *config;
    const struct acme_local_ca *ca;
    const struct acme_clock *clock;
    SSL_CTX *tls;
    int64_t renew_ms;              /* from the CA: when to issue the next one */
    struct timespec file_times[2]; /* from files: what was read */
    bool told;                     /* a failure to read them again was logged */
};

static struct acme_err add_name(struct acme_arena *arena, const char *type, const char *value,
                                struct acme_identifier *names, size_t *count)
{
    const char *why = NULL;
    ENSURE(*count < NAMES_MAX, ACME_E_LIMIT);
    struct acme_err err = acme_identifier_parse(arena, type, value, &names[*count], &why);
    if (acme_failed(err)) {
        acme_log(ERROR, "a name cannot stand in the server's certificate", LOG_STR("name", value),
                 LOG_STR("why", why));
        return err;
    }
    (*count)++;
    return acme_ok();
}

static bool looks_like_address(const char *host)
{
    return strchr(host, ':') != NULL || strspn(host, "0123456789.") == strlen(host);
}

static struct acme_err add_host(struct acme_arena *arena, const char *host, struct acme_identifier *names,
                                size_t *count)
{
    return add_name(arena, looks_like_address(host) ? "ip" : "dns", host, names, count);
}

/* The host of https://host[:port][/path], IPv6 brackets removed. */
static char *url_host(struct acme_arena *arena, const char *url)
{
    const char *start = strstr(url, "://");
    start = start == NULL ? url : start + 3;
    if (*start == '[') {
        const char *end = strchr(start, ']');
        return end == NULL ? NULL : acme_arena_strndup(arena, start + 1, (size_t)(end - start - 1));
    }
    return acme_arena_strndup(arena, start, strcspn(start, ":/"));
}

static struct acme_err issue(struct acme_identity *identity)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(NAMES_ARENA_BYTES);
    ENSURE(arena != NULL, ACME_E_NOMEM);
    struct acme_identifier names[NAMES_MAX];
    size_t count = 0;
    char *host = url_host(arena, identity->config->url);
    ENSURE(host != NULL, ACME_E_NOMEM);
    TRY(add_host(arena, host, names, &count));
    for (size_t i = 0; i < identity->config->tls_name_count; i++)
        TRY(add_host(arena, identity->config->tls_names[i], names, &count));
    if (strcmp(host, "localhost") == 0) {
        TRY(add_name(arena, "ip", "127.0.0.1", names, &count));
        TRY(add_name(arena, "ip", "::1", names, &count));
    }
    int64_t now = acme_clock_now_ms(identity->clock);
    SSL_CTX *tls = NULL;
    TRY(acme_tls_from_ca(identity->ca, names, count, now, LIFETIME_MS, &tls));
    SSL_CTX_free(identity->tls);
    identity->tls = tls;
    identity->renew_ms = now + LIFETIME_MS * 2 / 3;
    return acme_ok();
}

static bool read_times(const struct acme_identity *identity, struct timespec times[2])
{
    struct stat certificate, key;
    if (stat(identity->config->tls_certificate_file, &certificate) != 0 ||
        stat(identity->config->tls_key_file, &key) != 0)
        return false;
    times[0] = certificate.st_mtim;
    times[1] = key.st_mtim;
    return true;
}

static struct acme_err load(struct acme_identity *identity)
{
    SSL_CTX *tls = NULL;
    struct timespec times[2] = {{.tv_sec = 0}};
    (void)read_times(identity, times); /* before reading: a change in between is then seen next time */
    TRY(acme_tls_from_files(identity->config->tls_certificate_file, identity->config->tls_key_file, &tls));
    SSL_CTX_free(identity->tls);
    identity->tls = tls;
    memcpy(identity->file_times, times, sizeof times);
    return acme_ok();
}

struct acme_err acme_identity_create(const struct acme_server_config *config, const struct acme_local_ca *ca,
                                     const struct acme_clock *clock, struct acme_identity **ret)
{
    if (config->tls_certificate_file == NULL && ca == NULL) {
        acme_log(
            ERROR,
            "no certificate for the server: set server.tls.certificate_file and key_file, or configure an "
            "issuer of type local");
        return acme_err(ACME_E_DENIED);
    }
    struct acme_identity *identity = calloc(1, sizeof *identity);
    ENSURE(identity != NULL, ACME_E_NOMEM);
    identity->config = config;
    identity->ca = ca;
    identity->clock = clock;
    struct acme_err err = config->tls_certificate_file != NULL ? load(identity) : issue(identity);
    if (acme_failed(err)) {
        acme_identity_destroy(identity);
        return err;
    }
    *ret = identity;
    return acme_ok();
}

void acme_identity_destroy(struct acme_identity *identity)
{
    if (identity == NULL)
        return;
    SSL_CTX_free(identity->tls);
    free(identity);
}

SSL_CTX *acme_identity_tls(const struct acme_identity *identity)
{
    return identity->tls;
}

bool acme_identity_refresh(struct acme_identity *identity)
{
    struct acme_err err;
    if (identity->config->tls_certificate_file != NULL) {
        struct timespec times[2];
        if (!read_times(identity, times) || memcmp(times, identity->file_times, sizeof times) == 0)
            return false;
        err = load(identity);
    } else {
        if (acme_clock_now_ms(identity->clock) < identity->renew_ms)
            return false;
        err = issue(identity);
    }
    if (acme_failed(err)) {
        if (!identity->told) /* not every minute */
            acme_log(ERROR, "the server's certificate could not be refreshed, the old one stays for now",
                     LOG_STR("code", acme_code_name(err.code)));
        identity->told = true;
        return false;
    }
    identity->told = false;
    acme_log(INFO, "the server's certificate was refreshed");
    return true;
}
