#include "client.h"

#include "base/b64url.h"
#include "base/id.h"
#include "base/problem.h"

#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OWNER "test"

static int64_t fixture_now(void *context)
{
    return ((const struct fixture *)context)->now_ms;
}

static void note_job(void *context, const struct acme_job *job)
{
    struct fixture *f = context;
    assert_true(f->job_count < MAX_JOBS);
    struct acme_job *copy = &f->jobs[f->job_count++];
    *copy = *job;
    copy->id = acme_arena_strdup(f->arena, job->id);
    copy->subject_id = acme_arena_strdup(f->arena, job->subject_id);
    copy->queue = acme_arena_strdup(f->arena, job->queue);
}

static struct acme_profile profile(const char *name, const char *issuer)
{
    return (struct acme_profile){
        .name = name,
        .description = "for tests",
        .issuer = issuer,
        .challenges = ACME_CHALLENGE_HTTP_01,
        .keys = acme_key_policy_default,
        .validity_ms = 90 * ACME_DAY_MS,
        .issue_deadline_ms = 7 * ACME_DAY_MS,
    };
}

static bool is_key_allowed(void *context, struct acme_arena *arena, const struct acme_profile *profile,
                           const uint8_t spki_sha256[ACME_SHA256_SIZE], int64_t order_created_ms,
                           const char **ret_why)
{
    struct fixture *f = context;
    static const uint8_t none[ACME_SHA256_SIZE];
    (void)arena;
    assert_memory_not_equal(spki_sha256, none, sizeof none);
    f->key_asked_ms = order_created_ms;
    if (f->key_refusal == NULL || strcmp(profile->name, "default") != 0)
        return true;
    *ret_why = f->key_refusal;
    return false;
}

static void order_made(void *context, const struct acme_profile *profile)
{
    struct fixture *f = context;
    assert_non_null(profile->issuer);
    f->orders_told++;
}

static bool is_allowed(void *context, struct acme_arena *arena, const struct acme_profile *profile,
                       const struct acme_identifier *identifier, const char **ret_why)
{
    const struct fixture *f = context;
    if (f->forbidden == NULL || strcmp(identifier->value, f->forbidden) != 0 ||
        strcmp(profile->name, "default") != 0)
        return true;
    *ret_why = acme_arena_printf(arena, "%s is forbidden", identifier->value);
    return false;
}

int fixture_open(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->arena = acme_arena_create(256 * 1024 * 1024);
    f->now_ms = INT64_C(1790000000000);
    f->clock = (struct acme_clock){.now_ms = fixture_now, .context = f};
    f->profiles[0] = profile("default", "lab");
    f->profiles[1] = profile("other", "upstream");
    f->config = (struct acme_service_config){
        .base_url = BASE,
        .profiles = f->profiles,
        .profile_count = 2,
        .default_profile = "default",
        .website = "https://ca.test/",
        .order_lifetime_ms = 7 * ACME_DAY_MS,
        .authz_lifetime_ms = 30 * ACME_DAY_MS,
        .adopt_window_ms = ACME_DAY_MS,
        .retry_after_quiet_ms = 30 * ACME_SECOND_MS,
        .retry_after_processing_s = 60,
        .max_identifiers = 5,
        .max_contacts = 2,
        .max_pending_authzs = 3,
        .job_owner = OWNER,
        .job_lease_ms = ACME_MINUTE_MS,
    };
    const char *parent = getenv("TMPDIR");
    snprintf(f->folder, sizeof f->folder, "%s/acme-unit-XXXXXX",
             parent != NULL && strlen(parent) < 40 ? parent : "/tmp");
    assert_non_null(mkdtemp(f->folder));
    const struct acme_store_options options = {
        .path = acme_arena_printf(f->arena, "%s/db", f->folder),
        .reader_count = 2,
    };
    assert_int_equal(acme_store_open(&options, &f->clock, &f->store).code, ACME_OK);
    assert_int_equal(acme_nonces_create((struct acme_bytes){.data = NULL}, &f->nonces).code, ACME_OK);
    const struct acme_service_hooks hooks = {.context = f,
                                             .job_created = note_job,
                                             .name_allowed = is_allowed,
                                             .csr_key_allowed = is_key_allowed,
                                             .order_made = order_made};
    assert_int_equal(
        acme_service_create(&f->config, f->store, f->nonces, &f->clock, &hooks, &f->service).code, ACME_OK);
    *state = f;
    return 0;
}

int fixture_close(void **state)
{
    static const char *const files[] = {"db", "db-wal", "db-shm", "db.lock", "db-journal"};
    struct fixture *f = *state;
    acme_service_destroy(f->service);
    acme_nonces_destroy(f->nonces);
    acme_store_close(f->store);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        unlink(acme_arena_printf(f->arena, "%s/%s", f->folder, files[i]));
    int left = rmdir(f->folder);
    acme_arena_destroy(f->arena);
    free(f);
    return left;
}

const char *header_of(const struct reply *reply, const char *name, int index)
{
    for (size_t i = 0; i < reply->response.header_count; i++)
        if (strcmp(reply->response.headers[i].name, name) == 0 && index-- == 0)
            return reply->response.headers[i].value;
    return NULL;
}

static int header_count(const struct reply *reply, const char *name)
{
    int count = 0;
    while (header_of(reply, name, count) != NULL)
        count++;
    return count;
}

static bool has_link(const struct reply *reply, const char *rel)
{
    for (int i = 0; header_of(reply, "Link", i) != NULL; i++)
        if (strstr(header_of(reply, "Link", i), rel) != NULL)
            return true;
    return false;
}

/* No null and no empty text anywhere: clients' parsers fail on both. */
static void check_members(const cJSON *item)
{
    assert_false(cJSON_IsNull(item));
    assert_false(cJSON_IsString(item) && *item->valuestring == '\0');
    for (const cJSON *child = item->child; child != NULL; child = child->next)
        check_members(child);
}

static void check_time(const cJSON *object, const char *name)
{
    int64_t parsed = 0;
    const char *text = acme_json_str(object, name);
    assert_non_null(text);
    assert_int_equal(acme_rfc3339_parse(text, &parsed).code, ACME_OK);
    assert_int_equal(text[strlen(text) - 1], 'Z');
}

static void check_url(const char *url)
{
    assert_non_null(url);
    assert_int_equal(strncmp(url, BASE "/", strlen(BASE "/")), 0);
}

static bool is_one_of(const char *text, const char *words)
{
    const char *found = text != NULL ? strstr(words, text) : NULL;
    return found != NULL && (found[strlen(text)] == ' ' || found[strlen(text)] == '\0') &&
           (found == words || found[-1] == ' ');
}

static void check_problem(const cJSON *problem, int status)
{
    const char *type = acme_json_str(problem, "type");
    const char *detail = acme_json_str(problem, "detail");
    int64_t number = 0;
    assert_non_null(type);
    assert_int_equal(strncmp(type, "urn:ietf:params:acme:error:", 27), 0);
    assert_non_null(detail);
    assert_true(acme_json_int(problem, "status", &number));
    if (status != 0)
        assert_int_equal(number, status);
    for (const char *c = detail; *c != '\0'; c++)
        assert_in_range((unsigned char)*c, 0x20, 0x7e);
}

static void check_order(const struct reply *reply)
{
    const cJSON *order = reply->json;
    const char *status = acme_json_str(order, "status");
    assert_true(is_one_of(status, "pending ready processing valid invalid"));
    check_time(order, "expires");
    int names = cJSON_GetArraySize(acme_json_get(order, "identifiers"));
    int authzs = cJSON_GetArraySize(acme_json_get(order, "authorizations"));
    assert_true(names > 0);
    assert_int_equal(authzs, names);
    check_url(acme_json_str(order, "finalize"));
    check_url(reply->location);
    assert_non_null(acme_json_str(order, "profile"));
    assert_int_equal(acme_json_get(order, "certificate") != NULL, strcmp(status, "valid") == 0);
    assert_int_equal(acme_json_get(order, "error") != NULL, strcmp(status, "invalid") == 0);
    if (acme_json_get(order, "error") != NULL)
        check_problem(acme_json_get(order, "error"), 0);
}

static void check_challenge(const cJSON *challenge)
{
    const char *status = acme_json_str(challenge, "status");
    assert_true(is_one_of(status, "pending processing valid invalid"));
    assert_non_null(acme_json_str(challenge, "type"));
    assert_int_equal(strlen(acme_json_str(challenge, "token")), 43);
    check_url(acme_json_str(challenge, "url"));
    if (strcmp(status, "valid") == 0)
        check_time(challenge, "validated");
    const cJSON *error = acme_json_get(challenge, "error");
    assert_true(error != NULL || strcmp(status, "invalid") != 0);
    if (error != NULL)
        check_problem(error, 0);
}

static void check_authz(const cJSON *authz)
{
    const char *status = acme_json_str(authz, "status");
    assert_true(is_one_of(status, "pending valid invalid deactivated expired revoked"));
    assert_non_null(acme_json_str(acme_json_get(authz, "identifier"), "value"));
    check_time(authz, "expires");
    const cJSON *list = acme_json_get(authz, "challenges");
    assert_true(cJSON_GetArraySize(list) > 0);
    for (const cJSON *item = list->child; item != NULL; item = item->next) {
        check_challenge(item);
        if (strcmp(status, "valid") == 0)
            assert_string_equal(acme_json_str(item, "status"), "valid");
    }
}

static void check_chain(const struct reply *reply)
{
    const char *text = (const char *)reply->response.body.data;
    assert_false(has_link(reply, "\"up\""));
    assert_int_equal(strncmp(text, "-----BEGIN CERTIFICATE-----\n", 28), 0);
    assert_int_equal(text[reply->response.body.len - 1], '\n');
    assert_non_null(strstr(text + 1, "-----BEGIN CERTIFICATE-----\n"));
}

static void check_object(const struct reply *reply, const char *path)
{
    if (strstr(path, "/new-order") != NULL || (strncmp(path, "/order/", 7) == 0)) {
        check_order(reply);
    } else if (strstr(path, "/new-authz") != NULL) {
        check_authz(reply->json);
        check_url(reply->location);
    } else if (strncmp(path, "/authz/", 7) == 0) {
        check_authz(reply->json);
    } else if (strncmp(path, "/challenge/", 11) == 0) {
        check_challenge(reply->json);
        assert_true(has_link(reply, "\"up\""));
        assert_string_equal(acme_json_str(reply->json, "url") + strlen(BASE), path);
    } else if (strncmp(path, "/certificate/", 13) == 0) {
        check_chain(reply);
    } else if (strcmp(path, "/new-account") == 0) {
        check_url(reply->location);
        assert_non_null(acme_json_str(reply->json, "status"));
        check_url(acme_json_str(reply->json, "orders"));
    }
}

static void check_body(const struct reply *reply)
{
    const struct acme_response *response = &reply->response;
    if (response->content_type == NULL) {
        assert_int_equal(response->body.len, 0);
        return;
    }
    assert_true(response->body.len > 0);
    if (response->status >= 400) {
        assert_string_equal(response->content_type, "application/problem+json");
        check_problem(reply->json, response->status);
    } else {
        assert_true(is_one_of(response->content_type, "application/json application/pem-certificate-chain"));
    }
    if (reply->json != NULL)
        check_members(reply->json);
}

static void check_contract(const struct acme_request *request, const struct reply *reply)
{
    bool signed_request = strcmp(request->method, "POST") == 0;
    bool directory = strstr(request->path, "/directory") != NULL;
    assert_in_range(reply->status, 200, 599);
    assert_int_equal(header_count(reply, "Cache-Control"), 1);
    assert_string_equal(header_of(reply, "Cache-Control", 0), "no-store");
    assert_int_equal(header_count(reply, "Replay-Nonce"),
                     signed_request || strcmp(request->path, "/new-nonce") == 0 ? 1 : 0);
    if (reply->nonce != NULL) {
        struct acme_bytes octets;
        assert_int_equal(acme_b64url_decode(request->arena, reply->nonce, strlen(reply->nonce), &octets).code,
                         ACME_OK);
        assert_true(octets.len >= 16);
    }
    if (!directory)
        assert_string_equal(header_of(reply, "Link", 0), "<" BASE "/directory>;rel=\"index\"");
    for (int i = 0; header_of(reply, "Link", i) != NULL; i++)
        assert_null(strchr(header_of(reply, "Link", i), ','));
    assert_int_equal(header_count(reply, "Allow"), reply->status == 405 ? 1 : 0);
    assert_true(header_count(reply, "Location") <= 1);
    check_body(reply);
    if (reply->status < 300)
        check_object(reply, request->path);
}

static struct reply run(struct fixture *f, const struct acme_request *request)
{
    struct reply reply = {.status = 0};
    acme_service_handle(f->service, request, &reply.response);
    reply.status = reply.response.status;
    reply.location = header_of(&reply, "Location", 0);
    reply.nonce = header_of(&reply, "Replay-Nonce", 0);
    reply.retry_after = header_of(&reply, "Retry-After", 0);
    const char *type = reply.response.content_type;
    if (type != NULL && strstr(type, "json") != NULL)
        assert_int_equal(acme_json_parse(f->arena, (const char *)reply.response.body.data,
                                         reply.response.body.len, &reply.json)
                             .code,
                         ACME_OK);
    check_contract(request, &reply);
    return reply;
}

struct reply fetch(struct fixture *f, const char *method, const char *path)
{
    const struct acme_request request = {.arena = f->arena, .method = method, .path = path};
    return run(f, &request);
}

struct reply post_raw(struct fixture *f, const char *path, const char *query, const char *content_type,
                      const char *body)
{
    const struct acme_request request = {
        .arena = f->arena,
        .method = "POST",
        .path = path,
        .query = query,
        .content_type = content_type,
        .body = {.data = (const uint8_t *)body, .len = strlen(body)},
    };
    return run(f, &request);
}

char *fresh_nonce(struct fixture *f)
{
    char *nonce = acme_arena_alloc(f->arena, ACME_NONCE_SIZE);
    assert_non_null(nonce);
    assert_int_equal(acme_nonces_issue(f->nonces, nonce).code, ACME_OK);
    return nonce;
}

struct reply post(struct fixture *f, const struct client *client, const char *url, const char *payload)
{
    const char *signer = client->kid != NULL ? acme_arena_printf(f->arena, "\"kid\":\"%s\"", client->kid)
                                             : acme_arena_printf(f->arena, "\"jwk\":%s", client->key.jwk);
    const char *protected = acme_arena_printf(
        f->arena, "{\n  \"url\": \"%s\",\n  \"nonce\": \"%s\",\n  \"alg\": \"%s\",\n  %s\n}", url,
        fresh_nonce(f), client->key.alg, signer);
    assert_int_equal(strncmp(url, BASE, strlen(BASE)), 0);
    const char *path = url + strlen(BASE);
    const char *query = strchr(path, '?');
    if (query != NULL)
        path = acme_arena_strndup(f->arena, path, (size_t)(query++ - path));
    return post_raw(f, path, query, JOSE, jose_sign(f->arena, &client->key, protected, payload));
}

struct client join(struct fixture *f)
{
    struct client client = {.key = jose_key_make(f->arena, "ES256")};
    struct reply reply = post(f, &client, BASE "/new-account", "{\"termsOfServiceAgreed\":true}");
    assert_int_equal(reply.status, 201);
    client.kid = reply.location;
    return client;
}

const char *text_of(const struct reply *reply, const char *name)
{
    const char *text = acme_json_str(reply->json, name);
    return text != NULL ? text : "";
}

const char *item_of(const struct reply *reply, const char *list, int index)
{
    const cJSON *item = cJSON_GetArrayItem(acme_json_get(reply->json, list), index);
    assert_true(cJSON_IsString(item));
    return item->valuestring;
}

const char *id_of(const char *url)
{
    const char *slash = strrchr(url, '/');
    assert_non_null(slash);
    return slash + 1;
}

void assert_problem(const struct reply *reply, int status, const char *type, const char *part_of_detail)
{
    if (reply->status != status || strcmp(text_of(reply, "type") + 27, type) != 0 ||
        strstr(text_of(reply, "detail"), part_of_detail) == NULL)
        fail_msg("%d %s: %s", reply->status, text_of(reply, "type"), text_of(reply, "detail"));
}

struct reply order_names(struct fixture *f, const struct client *client, const char *names)
{
    const char *list = "";
    while (*names != '\0') {
        size_t len = strcspn(names, " ");
        list = acme_arena_printf(f->arena, "%s%s{\"type\":\"dns\",\"value\":\"%.*s\"}", list,
                                 *list != '\0' ? "," : "", (int)len, names);
        names += len + strspn(names + len, " ");
    }
    return post(f, client, BASE "/new-order", acme_arena_printf(f->arena, "{\"identifiers\":[%s]}", list));
}

const char *challenge_url(struct fixture *f, const struct client *client, const char *authz_url)
{
    struct reply authz = post(f, client, authz_url, "");
    assert_int_equal(authz.status, 200);
    const char *url = acme_json_str(cJSON_GetArrayItem(acme_json_get(authz.json, "challenges"), 0), "url");
    assert_non_null(url);
    return url;
}

void complete(struct fixture *f, const struct client *client, const char *authz_url, const char *error)
{
    const char *url = challenge_url(f, client, authz_url);
    f->job_count = 0;
    struct reply reply = post(f, client, url, "{}");
    assert_int_equal(reply.status, 200);
    assert_string_equal(text_of(&reply, "status"), "processing");
    assert_int_equal(f->job_count, 1);
    assert_int_equal(f->jobs[0].kind, ACME_JOB_VALIDATE);
    assert_string_equal(f->jobs[0].queue, ACME_VALIDATION_QUEUE);
    assert_string_equal(f->jobs[0].subject_id, id_of(url));
    const struct acme_problem problem = {.type = ACME_PROBLEM_CONNECTION, .detail = error};
    assert_int_equal(acme_store_challenge_finish(f->store, id_of(url), f->jobs[0].id, OWNER,
                                                 error != NULL ? acme_problem_json(f->arena, &problem) : NULL,
                                                 f->now_ms, f->now_ms + f->config.authz_lifetime_ms)
                         .code,
                     ACME_OK);
    f->job_count = 0;
}

const char *ready_order(struct fixture *f, const struct client *client, const char *names)
{
    struct reply order = order_names(f, client, names);
    assert_int_equal(order.status, 201);
    int count = cJSON_GetArraySize(acme_json_get(order.json, "authorizations"));
    for (int i = 0; i < count; i++)
        complete(f, client, item_of(&order, "authorizations", i), NULL);
    struct reply now = post(f, client, order.location, "");
    assert_string_equal(text_of(&now, "status"), "ready");
    return order.location;
}

const char *csr_payload(struct fixture *f, EVP_PKEY *key, const char *names)
{
    X509_REQ *req = X509_REQ_new();
    STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
    const char *san = "";
    while (*names != '\0') {
        size_t len = strcspn(names, " ");
        san = acme_arena_printf(f->arena, "%s%sDNS:%.*s", san, *san != '\0' ? "," : "", (int)len, names);
        names += len + strspn(names + len, " ");
    }
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
    assert_non_null(extension);
    assert_true(sk_X509_EXTENSION_push(extensions, extension) > 0);
    assert_int_equal(X509_REQ_add_extensions(req, extensions), 1);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    assert_int_equal(X509_REQ_set_pubkey(req, key), 1);
    assert_true(X509_REQ_sign(req, key, EVP_sha256()) > 0);
    uint8_t *der = NULL;
    int len = i2d_X509_REQ(req, &der);
    assert_true(len > 0);
    char *text = acme_b64url_encode(f->arena, der, (size_t)len);
    OPENSSL_free(der);
    X509_REQ_free(req);
    return acme_arena_printf(f->arena, "{\"csr\":\"%s\"}", text);
}

void issue(struct fixture *f, const char *certificate_id)
{
    issue_with(f, certificate_id, NULL, 0);
}

void issue_with(struct fixture *f, const char *certificate_id, const char *const *alternates, size_t count)
{
    assert_true(f->job_count > 0);
    const struct acme_job *job = &f->jobs[f->job_count - 1];
    assert_int_equal(job->kind, ACME_JOB_ISSUE);
    struct acme_issuance issuance;
    assert_int_equal(acme_store_issuance_get(f->store, f->arena, job->subject_id, &issuance).code, ACME_OK);
    const struct acme_certificate certificate = {
        .id = certificate_id,
        .issuance_id = issuance.id,
        .account_id = issuance.account_id,
        .issuer = issuance.issuer,
        .chain = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
                 "-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n",
        .alternates = alternates,
        .alternate_count = count,
        .serial_hex = certificate_id, /* unique, like the real ones */
        .aki_hex = "AA",
        .sha256_hex = certificate_id,
        .not_before_ms = f->now_ms,
        .not_after_ms = f->now_ms + 90 * ACME_DAY_MS,
        .created_ms = f->now_ms,
    };
    assert_int_equal(
        acme_store_issuance_issued(f->store, issuance.id, job->id, OWNER, NULL, &certificate).code, ACME_OK);
}
