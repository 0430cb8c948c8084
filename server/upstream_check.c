/* acmebridge check --upstream. */
#include "base/json_writer.h"
#include "base/log.h"
#include "server/deployer_open.h"
#include "server/issuer_open.h"
#include "server/upstream_inspect.h"

#include <ctype.h>
#include <signal.h>
#include <string.h>

enum { CHECK_ARENA_BYTES = 128 * 1024 * 1024, JSON_MAX_BYTES = 4 * 1024 * 1024 };

static const char *level_name(enum acme_finding_level level)
{
    static const char *const names[] = {
        [ACME_FINDING_GOOD] = "ok", [ACME_FINDING_WARNING] = "warning", [ACME_FINDING_ERROR] = "error"};
    return names[level];
}

struct checking {
    const struct acme_config *config;
    const struct acme_upstream_check *check;
    struct acme_outbound *outbound;
    struct acme_json_writer *writer; /* of --json */
    FILE *out;
    int errors;
    struct acme_buf given_up; /* accounts of deployers that could not be looked at, one a line */
};

/* `role` is "issuer" or "deployer". */
static void say(struct checking *checking, const char *role, const char *name, enum acme_finding_level level,
                const char *text)
{
    checking->errors += level == ACME_FINDING_ERROR;
    if (!checking->check->json) {
        fprintf(checking->out, "%s: %s: %s\n", name, level_name(level), text);
        return;
    }
    acme_jw_object(checking->writer, NULL);
    acme_jw_str(checking->writer, role, name);
    acme_jw_str(checking->writer, "level", level_name(level));
    acme_jw_str(checking->writer, "text", text);
    acme_jw_object_end(checking->writer);
}

/* Names as they are compared. */
static struct acme_err lower(struct acme_arena *arena, const struct acme_upstream_check *check,
                             const char ***ret)
{
    const char **domains = acme_arena_alloc(arena, (check->domain_count + 1) * sizeof *domains);
    ENSURE(domains != NULL, ACME_E_NOMEM);
    for (size_t i = 0; i < check->domain_count; i++) {
        char *name = acme_arena_strdup(arena, check->domains[i]);
        ENSURE(name != NULL, ACME_E_NOMEM);
        for (char *c = name; *c != '\0'; c++)
            *c = (char)tolower((unsigned char)*c);
        domains[i] = name;
    }
    *ret = domains;
    return acme_ok();
}

static struct acme_err start_outbound(struct checking *checking)
{
    const struct acme_validation_config *validation = &checking->config->validation;
    const struct acme_outbound_options options = {.resolvers = validation->resolvers,
                                                  .resolver_count = validation->resolver_count,
                                                  .trust_anchor_file = validation->trust_anchor_file,
                                                  .policy = &validation->policy,
                                                  .max_fetches = 1};
    return acme_outbound_start(&options, &checking->outbound);
}

/* Over a loop of its own: it may know the backend's token until it ends. */
static struct acme_err look(struct checking *checking, const char *role, const struct acme_backend *backend,
                            const struct acme_inspect_request *request, struct acme_arena *arena)
{
    struct acme_inspection *inspection = NULL;
    TRY(start_outbound(checking));
    struct acme_err err =
        acme_upstream_inspect(checking->outbound, backend, request, arena, NULL, NULL, &inspection);
    for (size_t i = 0; !acme_failed(err) && i < inspection->finding_count; i++)
        say(checking, role, backend->name, inspection->findings[i].level, inspection->findings[i].text);
    acme_outbound_stop(checking->outbound);
    checking->outbound = NULL;
    if (!acme_failed(err) && inspection->incomplete && backend->account != NULL)
        acme_buf_printf(&checking->given_up, "%s\n", backend->account);
    return err;
}

/* Upstreams may lock an account after several refused logins, so no account is tried twice. */
static bool is_given_up(const struct checking *checking, const char *account)
{
    size_t len = account != NULL ? strlen(account) : 0;
    const char *line = len > 0 ? acme_buf_cstr(&checking->given_up) : "";
    while (line != NULL && *line != '\0') {
        if (strncmp(line, account, len) == 0 && line[len] == '\n')
            return true;
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return false;
}

static struct acme_err check_issuer(struct checking *checking, const struct acme_issuer_config *config)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(CHECK_ARENA_BYTES);
    ENSURE(arena != NULL, ACME_E_NOMEM);
    struct acme_inspect_profile *profiles = NULL;
    const char **domains = NULL;
    struct acme_inspect_request request = {.domain_count = checking->check->domain_count};
    TRY(lower(arena, checking->check, &domains));
    request.domains = domains;
    TRY(acme_upstream_profiles(checking->config, arena, config->name, &profiles, &request.profile_count));
    request.profiles = profiles;
    struct acme_issuer *issuer = NULL;
    TRY(acme_issuer_open(config, NULL, &issuer));
    struct acme_err err = look(checking, "issuer", &issuer->backend, &request, arena);
    acme_issuer_destroy(issuer);
    return err;
}

static struct acme_err check_deployer(struct checking *checking, const struct acme_deployer_config *config)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(CHECK_ARENA_BYTES);
    ENSURE(arena != NULL, ACME_E_NOMEM);
    const struct acme_inspect_request request = {.domains_only = false};
    struct acme_deployer *deployer = NULL;
    struct acme_err err = acme_ok();
    TRY(acme_deployer_open(config, &deployer));
    if (is_given_up(checking, deployer->backend.account))
        say(checking, "deployer", config->name, ACME_FINDING_ERROR,
            "Not asked, since the same login has just failed for another deployer.");
    else if (deployer->backend.inspect != NULL)
        err = look(checking, "deployer", &deployer->backend, &request, arena);
    acme_deployer_destroy(deployer);
    return err;
}

static struct acme_err check_all(struct checking *checking)
{
    for (size_t i = 0; i < checking->config->issuer_count; i++) {
        const struct acme_issuer_config *config = &checking->config->issuers[i];
        if (config->type == ACME_ISSUER_LOCAL)
            continue;
        TRY(check_issuer(checking, config));
    }
    for (size_t i = 0; i < checking->config->deployer_count; i++)
        TRY(check_deployer(checking, &checking->config->deployers[i]));
    return acme_ok();
}

int acme_upstream_check(const struct acme_config *config, const struct acme_upstream_check *check, FILE *out,
                        FILE *err)
{
    signal(SIGPIPE, SIG_IGN); /* a connection that ends is a finding */
    ACME_CLEANUP_BUF struct acme_buf json;
    acme_buf_init(&json, JSON_MAX_BYTES);
    struct acme_json_writer writer;
    acme_jw_init(&writer, &json);
    struct checking checking = {.config = config, .check = check, .writer = &writer, .out = out};
    acme_buf_init(&checking.given_up, JSON_MAX_BYTES);
    acme_jw_object(&writer, NULL);
    acme_jw_array(&writer, "findings");
    struct acme_err result = check_all(&checking);
    acme_outbound_stop(checking.outbound);
    acme_buf_finish(&checking.given_up);
    acme_jw_array_end(&writer);
    acme_jw_int(&writer, "errors", checking.errors);
    acme_jw_object_end(&writer);
    if (acme_failed(result)) {
        fprintf(err, "acmebridge: the check could not be finished: %s\n", acme_code_name(result.code));
        return 1;
    }
    const char *text = acme_buf_cstr(&json);
    if (check->json && text != NULL)
        fprintf(out, "%s\n", text);
    return checking.errors > 0 || text == NULL ? 1 : 0;
}
