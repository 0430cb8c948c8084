#include "server/config_objects.h"

#include "base/buf.h"
#include "server/config_tables.h"
#include "server/config_text.h"

#include <stdio.h>
#include <string.h>

#define TYPES "local, scm, keyfactor or cps"

enum { ISSUERS_MAX = 64, PROFILES_MAX = 256 };

struct objects {
    struct acme_config_reader *reader;
    struct acme_config *config;
    unsigned kinds[ISSUERS_MAX]; /* of config->issuers; 0: its type was not understood */
};

/* A list of mappings with `min` 1; 0 after noting a mistake or when the list is absent (noted by its table).
 */
static size_t list_size(struct acme_config_reader *reader, const struct acme_yaml_node *list, size_t max,
                        const char *expected)
{
    if (list == NULL)
        return 0;
    if (list->kind != ACME_YAML_SEQUENCE) {
        acme_config_wrong(reader, list, expected);
        return 0;
    }
    if (list->count == 0 || list->count > max) {
        acme_mistake_add(reader->mistakes, list->line, list->column,
                         "expected %s of 1 to %zu items, found %zu", expected, max, list->count);
        return 0;
    }
    return list->count;
}

static void *make_array(struct acme_config_reader *reader, size_t count, size_t size)
{
    void *array = acme_arena_alloc(reader->arena, (count + 1) * size);
    if (array == NULL)
        reader->mistakes->nomem = true;
    return array;
}

/* ---- issuers ---- */

const char *acme_issuer_type_name(enum acme_issuer_type type)
{
    static const char *const names[ACME_ISSUER_TYPE_COUNT] = {"local", "scm", "keyfactor", "cps"};
    return names[type];
}

const char *acme_issuer_type_title(enum acme_issuer_type type)
{
    static const char *const titles[ACME_ISSUER_TYPE_COUNT] = {"local CA", "SCM", "Keyfactor", "CPS"};
    return titles[type];
}

const char *acme_issuer_config_url(const struct acme_issuer_config *issuer)
{
    switch (issuer->type) {
    case ACME_ISSUER_SCM:
        return issuer->scm.url;
    case ACME_ISSUER_KEYFACTOR:
        return issuer->keyfactor.url;
    case ACME_ISSUER_CPS:
        return issuer->cps.url;
    case ACME_ISSUER_LOCAL:
    case ACME_ISSUER_TYPE_COUNT:
        break;
    }
    return NULL;
}

static unsigned read_type(struct acme_config_reader *reader, const struct acme_yaml_node *issuer)
{
    const struct acme_yaml_node *type = acme_yaml_get(issuer, "type");
    if (type == NULL) {
        acme_mistake_add(reader->mistakes, issuer->line, issuer->column,
                         "expected the key 'type' (" TYPES "), found none");
        return 0;
    }
    for (unsigned i = 0; type->kind == ACME_YAML_SCALAR && i < ACME_ISSUER_TYPE_COUNT; i++)
        if (strcmp(type->text, acme_issuer_type_name((enum acme_issuer_type)i)) == 0)
            return 1U << i;
    acme_config_wrong(reader, type, TYPES);
    return 0;
}

static void read_issuer(struct objects *objects, const struct acme_yaml_node *node, size_t at)
{
    struct acme_config_reader *reader = objects->reader;
    struct acme_issuer_config *issuer = &objects->config->issuers[at];
    if (node->kind != ACME_YAML_MAPPING) {
        acme_config_wrong(reader, node, "a mapping with name, type and what the type needs");
        return;
    }
    objects->kinds[at] = read_type(reader, node);
    if (objects->kinds[at] ==
        0) { /* which keys belong here is unknown; the name is still good for the profiles */
        const struct acme_yaml_node *name = acme_yaml_get(node, "name");
        const char *text = name != NULL ? acme_config_text(reader, name) : NULL;
        issuer->name = text != NULL ? acme_config_name(reader, name, text) : NULL;
        return;
    }
    acme_config_fill(reader, &acme_config_issuer_table, node, objects->kinds[at], issuer);
    for (unsigned type = 0; type < ACME_ISSUER_TYPE_COUNT; type++)
        if (objects->kinds[at] == 1U << type)
            issuer->type = (enum acme_issuer_type)type;
    if (issuer->type == ACME_ISSUER_CPS) {
        acme_config_check_cps(reader, node, issuer->cps_section, &issuer->cps);
        issuer->cps.deadline_ms = issuer->deadline_ms;
        issuer->cps.max_concurrency = issuer->max_concurrency;
    }
    if (issuer->type == ACME_ISSUER_KEYFACTOR) {
        acme_config_check_keyfactor(reader, node, &issuer->keyfactor);
        issuer->keyfactor.deadline_ms = issuer->deadline_ms;
        issuer->keyfactor.max_concurrency = issuer->max_concurrency;
    }
    if (issuer->type == ACME_ISSUER_SCM) {
        acme_config_check_scm(reader, node, &issuer->scm);
        issuer->scm.deadline_ms = issuer->deadline_ms;
        issuer->scm.max_concurrency = issuer->max_concurrency;
    }
}

static void refuse_repeated_name(struct acme_config_reader *reader, const struct acme_yaml_node *object,
                                 const char *what)
{
    const struct acme_yaml_node *name = acme_yaml_get(object, "name");
    acme_mistake_add(reader->mistakes, name->line, name->column,
                     "expected a name of its own for each %s, found %s again", what,
                     acme_mistake_quote(reader->mistakes, name->text));
}

static void read_issuers(struct objects *objects, const struct acme_yaml_node *list)
{
    struct acme_config *config = objects->config;
    size_t count = list_size(objects->reader, list, ISSUERS_MAX, "a list of issuers");
    if (count == 0 || (config->issuers = make_array(objects->reader, count, sizeof *config->issuers)) == NULL)
        return;
    for (const struct acme_yaml_node *node = list->first; node != NULL; node = node->next) {
        size_t at = config->issuer_count++;
        read_issuer(objects, node, at);
        for (size_t i = 0; config->issuers[at].name != NULL && i < at; i++) {
            if (config->issuers[i].name != NULL &&
                strcmp(config->issuers[i].name, config->issuers[at].name) == 0) {
                refuse_repeated_name(objects->reader, node, "issuer");
                break;
            }
        }
    }
}

/* ---- profiles ---- */

/* "a, b, c", for mistakes about a name that is none of them. */
static void add_name(struct acme_buf *names, const char *name)
{
    if (name != NULL)
        acme_buf_printf(names, "%s%s", names->len > 0 ? ", " : "", name);
}

static void refuse_name(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                        const char *what, const struct acme_buf *names)
{
    char expected[640];
    const char *known = names->len > 0 ? acme_buf_cstr(names) : NULL;
    snprintf(expected, sizeof expected, "the name of %s%s%s%s", what, known != NULL ? " (" : "",
             known != NULL ? known : "", known != NULL ? ")" : "");
    acme_config_wrong(reader, node, expected);
}

/* Which issuer a profile names: its place in config->issuers, or issuer_count after noting a mistake. */
static size_t find_issuer(struct objects *objects, const struct acme_yaml_node *profile)
{
    const struct acme_config *config = objects->config;
    const struct acme_yaml_node *node = acme_yaml_get(profile, "issuer");
    if (node == NULL) {
        acme_mistake_add(objects->reader->mistakes, profile->line, profile->column,
                         "expected the key 'issuer' (the name of an issuer), found none");
        return config->issuer_count;
    }
    const char *name = acme_config_text(objects->reader, node);
    if (name == NULL || config->issuer_count == 0) /* without issuers their absence is the mistake */
        return config->issuer_count;
    ACME_CLEANUP_BUF struct acme_buf names;
    acme_buf_init(&names, 512);
    for (size_t i = 0; i < config->issuer_count; i++) {
        if (config->issuers[i].name != NULL && strcmp(config->issuers[i].name, name) == 0)
            return i;
        add_name(&names, config->issuers[i].name);
    }
    refuse_name(objects->reader, node, "an issuer", &names);
    return config->issuer_count;
}

static void check_keys(struct acme_config_reader *reader, const struct acme_yaml_node *keys,
                       const struct acme_key_policy *policy)
{
    if (keys == NULL)
        return;
    if (policy->rsa_min_bits > policy->rsa_max_bits)
        acme_mistake_add(reader->mistakes, keys->line, keys->column,
                         "expected rsa_min_bits to be at most rsa_max_bits, found %d and %d",
                         policy->rsa_min_bits, policy->rsa_max_bits);
    if (!policy->rsa && !policy->p256 && !policy->p384 && !policy->p521 && !policy->ed25519)
        acme_mistake_add(reader->mistakes, keys->line, keys->column,
                         "expected at least one kind of key to be allowed, found all of them false");
}

/* None of the challenges can prove an address. */
static bool proves_no_address(const struct acme_profile *profile)
{
    const struct acme_challenge_type *type = NULL;
    for (size_t i = 0; (type = acme_challenge_type_at(i)) != NULL; i++)
        if (type->ip && (profile->challenges & (unsigned)type->bit) != 0)
            return false;
    return true;
}

/* Some upstreams take no addresses: better to refuse them at newOrder than after the validation. */
static void choose_identifiers(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                               const struct acme_issuer_config *issuer, struct acme_profile *profile)
{
    const unsigned dns = 1U << ACME_IDENTIFIER_DNS;
    const unsigned ip = 1U << ACME_IDENTIFIER_IP;
    bool names_only = issuer != NULL && (issuer->type == ACME_ISSUER_SCM || issuer->type == ACME_ISSUER_CPS);
    if (node == NULL)
        profile->identifiers = names_only ? dns : dns | ip;
    else if (names_only && (profile->identifiers & ip) != 0)
        acme_mistake_add(reader->mistakes, node->line, node->column,
                         "expected only dns for a profile whose issuer is of type %s, found ip",
                         acme_issuer_type_name(issuer->type));
    else if ((profile->identifiers & ip) != 0 && profile->challenges != 0 && proves_no_address(profile))
        acme_mistake_add(reader->mistakes, node->line, node->column,
                         "expected ip only with a challenge that can prove addresses (http-01, tls-alpn-01), "
                         "found none of them in 'challenges'");
}

static void read_profile(struct objects *objects, const struct acme_yaml_node *node,
                         struct acme_profile *profile)
{
    struct acme_config_reader *reader = objects->reader;
    const struct acme_config *config = objects->config;
    *profile = (struct acme_profile){.challenges = ACME_CHALLENGE_HTTP_01 | ACME_CHALLENGE_DNS_01 |
                                                   ACME_CHALLENGE_TLS_ALPN_01,
                                     .keys = acme_key_policy_default};
    if (node->kind != ACME_YAML_MAPPING) {
        acme_config_wrong(reader, node, "a mapping with name and issuer");
        return;
    }
    size_t at = find_issuer(objects, node);
    const struct acme_issuer_config *issuer = at < config->issuer_count ? &config->issuers[at] : NULL;
    acme_config_fill(reader, &acme_config_profile_table, node, issuer != NULL ? objects->kinds[at] : 0,
                     profile);
    check_keys(reader, acme_yaml_get(node, "keys"), &profile->keys);
    const struct acme_yaml_node *challenges = acme_yaml_get(node, "challenges");
    if (challenges != NULL && (profile->challenges & ACME_CHALLENGE_DNS_PERSIST_01) != 0 &&
        profile->caa_issuer_count == 0)
        acme_mistake_add(reader->mistakes, challenges->line, challenges->column,
                         "expected the key 'caa' with the CA's names, which records of dns-persist-01 name, "
                         "found none");
    choose_identifiers(reader, acme_yaml_get(node, "identifiers"), issuer, profile);
    if (profile->description == NULL)
        profile->description = profile->name;
    if (issuer == NULL)
        return;
    profile->issuer = issuer->name;
    profile->issue_deadline_ms = issuer->deadline_ms;
    bool continues = issuer->type == ACME_ISSUER_SCM && issuer->scm.class == ACME_SCM_SSL;
    profile->supersede_after_ms = issuer->never_supersede ? 0 : issuer->supersede_after_ms;
    profile->replace = profile->supersede_after_ms > 0 && continues;
    profile->renew = issuer->renew && continues;
    if (issuer->type == ACME_ISSUER_SCM)
        profile->validity_ms = issuer->scm.term_days * ACME_DAY_MS;
    if (issuer->type == ACME_ISSUER_CPS)
        acme_config_check_enrollment(reader, node, config, profile);
    if (issuer->type == ACME_ISSUER_KEYFACTOR) {
        profile->renew = issuer->keyfactor.renew;
        profile->renew_same_key = true;
    }
}

static void read_profiles(struct objects *objects, const struct acme_yaml_node *list)
{
    struct acme_config *config = objects->config;
    size_t count = list_size(objects->reader, list, PROFILES_MAX, "a list of profiles");
    if (count == 0 ||
        (config->profiles = make_array(objects->reader, count, sizeof *config->profiles)) == NULL)
        return;
    for (const struct acme_yaml_node *node = list->first; node != NULL; node = node->next) {
        size_t at = config->profile_count++;
        read_profile(objects, node, &config->profiles[at]);
        for (size_t i = 0; config->profiles[at].name != NULL && i < at; i++) {
            if (config->profiles[i].name != NULL &&
                strcmp(config->profiles[i].name, config->profiles[at].name) == 0) {
                refuse_repeated_name(objects->reader, node, "profile");
                break;
            }
        }
    }
}

static void find_default_profile(struct objects *objects, const struct acme_yaml_node *node)
{
    struct acme_config *config = objects->config;
    if (config->profile_count == 0 || (node != NULL && config->default_profile == NULL))
        return; /* noted already */
    const char *wanted = config->default_profile != NULL ? config->default_profile : "default";
    ACME_CLEANUP_BUF struct acme_buf names;
    acme_buf_init(&names, 512);
    for (size_t i = 0; i < config->profile_count; i++) {
        const char *name = config->profiles[i].name;
        if (name != NULL && strcmp(name, wanted) == 0) {
            config->default_profile = name;
            return;
        }
        add_name(&names, name);
    }
    if (node != NULL)
        refuse_name(objects->reader, node, "a profile", &names);
    else
        config->default_profile = config->profiles[0].name;
}

/* ---- the server's own certificate ---- */

static void check_tls(struct objects *objects, const struct acme_yaml_node *root)
{
    const struct acme_config *config = objects->config;
    struct acme_mistakes *mistakes = objects->reader->mistakes;
    const struct acme_yaml_node *server = acme_yaml_get(root, "server");
    const struct acme_yaml_node *tls = acme_yaml_get(server, "tls");
    const struct acme_yaml_node *certificate = acme_yaml_get(tls, "certificate_file");
    const struct acme_yaml_node *key = acme_yaml_get(tls, "key_file");
    const struct acme_yaml_node *names = acme_yaml_get(tls, "names");
    if ((certificate == NULL) != (key == NULL)) {
        const struct acme_yaml_node *there = certificate != NULL ? certificate : key;
        acme_mistake_add(mistakes, there->key->line, there->key->column,
                         "expected certificate_file and key_file together, found only %s", there->key->text);
    }
    if (certificate != NULL || key != NULL) {
        if (names != NULL)
            acme_mistake_add(mistakes, names->key->line, names->key->column,
                             "expected names only without certificate_file (they go into a certificate from "
                             "the local CA), "
                             "found both");
        return;
    }
    for (size_t i = 0; i < config->issuer_count; i++) {
        if (objects->kinds[i] == ACME_CONFIG_KIND_LOCAL || objects->kinds[i] == 0)
            return; /* local, or a type with a mistake that may have been meant so */
    }
    if (config->issuer_count == 0 || server == NULL)
        return;
    const struct acme_yaml_node *where = tls != NULL ? tls : server;
    acme_mistake_add(mistakes, where->key->line, where->key->column,
                     "expected a certificate for the server itself: either server.tls.certificate_file and "
                     "key_file, or an "
                     "issuer of type local, which then issues it; found neither");
}

/* Certificates must not name an address that nobody serves. */
static void check_http(struct objects *objects, const struct acme_yaml_node *root)
{
    const struct acme_yaml_node *server = acme_yaml_get(root, "server");
    const struct acme_yaml_node *url = acme_yaml_get(server, "http_url");
    if (url != NULL && acme_yaml_get(server, "http_listen") == NULL)
        acme_mistake_add(objects->reader->mistakes, url->key->line, url->key->column,
                         "expected http_url together with http_listen, found only http_url");
}

void acme_config_read_objects(struct acme_config_reader *reader, const struct acme_yaml_node *root,
                              struct acme_config *config)
{
    struct objects objects = {.reader = reader, .config = config};
    read_issuers(&objects, acme_yaml_get(root, "issuers"));
    read_profiles(&objects, acme_yaml_get(root, "profiles"));
    find_default_profile(&objects, acme_yaml_get(root, "default_profile"));
    check_tls(&objects, root);
    check_http(&objects, root);
    acme_config_read_deployers(reader, root, config);
}
