/* From a ready order to the certificate: CSRs, repetition, shared issuances, holding, failures. */
#include "client.h"

#include "base/b64url.h"
#include "base/id.h"
#include "base/problem.h"

#include <string.h>

static const char *finalize_url(struct fixture *f, const char *order_url)
{
    return acme_arena_printf(f->arena, "%s/finalize", order_url);
}

static struct reply finalize(struct fixture *f, const struct client *client, const char *order_url,
                             const char *payload)
{
    return post(f, client, finalize_url(f, order_url), payload);
}

static void assert_status(struct fixture *f, const struct client *client, const char *order_url,
                          const char *status)
{
    struct reply order = post(f, client, order_url, "");
    assert_int_equal(order.status, 200);
    assert_string_equal(text_of(&order, "status"), status);
}

static EVP_PKEY *new_key(struct fixture *f)
{
    return jose_key_make(f->arena, "ES256").key;
}

static const char *new_id(struct fixture *f)
{
    char id[ACME_ID_SIZE];
    assert_int_equal(acme_id_new(&f->clock, id).code, ACME_OK);
    return acme_arena_strdup(f->arena, id);
}

static void test_whole_way(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    const char *order_url = ready_order(f, &client, "a.test b.test");
    struct reply reply = finalize(f, &client, order_url, csr_payload(f, new_key(f), "b.test A.test"));
    assert_int_equal(reply.status, 200);
    assert_string_equal(text_of(&reply, "status"), "processing");
    assert_string_equal(reply.location, order_url);
    assert_null(reply.retry_after);
    assert_null(reply.response.hold_id);

    assert_int_equal(f->job_count, 1);
    assert_int_equal(f->jobs[0].kind, ACME_JOB_ISSUE);
    assert_string_equal(f->jobs[0].queue, "lab");
    struct acme_issuance issuance;
    assert_int_equal(acme_store_issuance_get(f->store, f->arena, f->jobs[0].subject_id, &issuance).code,
                     ACME_OK);
    assert_string_equal(issuance.order_id, id_of(order_url));
    assert_string_equal(issuance.profile, "default");
    assert_string_equal(issuance.issuer, "lab");
    assert_true(issuance.deadline_ms == f->now_ms + f->profiles[0].issue_deadline_ms);
    assert_string_equal(issuance.identifiers[0].value, "a.test");
    assert_true(issuance.csr.len > 100);

    f->now_ms += 29999;
    assert_null(post(f, &client, order_url, "").retry_after);
    f->now_ms += 1;
    assert_string_equal(post(f, &client, order_url, "").retry_after, "60");

    issue(f, new_id(f));
    reply = post(f, &client, order_url, "");
    assert_string_equal(text_of(&reply, "status"), "valid");
    assert_null(reply.retry_after);
    const char *certificate_url = acme_arena_strdup(f->arena, text_of(&reply, "certificate"));
    for (int i = 0; i < 2; i++) {
        reply = post(f, &client, certificate_url, "");
        assert_int_equal(reply.status, 200);
        assert_string_equal(reply.response.content_type, "application/pem-certificate-chain");
    }
    /* Long after the order has expired, too. */
    f->now_ms += 30 * ACME_DAY_MS;
    assert_status(f, &client, order_url, "valid");
    assert_int_equal(post(f, &client, certificate_url, "").status, 200);

    struct client other = join(f);
    struct reply foreign = post(f, &other, certificate_url, "");
    assert_problem(&foreign, 404, "malformed", "certificate");
    struct reply absent = post(f, &other, BASE "/certificate/01900000-0000-7000-8000-000000000000", "");
    assert_string_equal((const char *)foreign.response.body.data, (const char *)absent.response.body.data);
    reply = fetch(f, "GET", certificate_url + strlen(BASE));
    assert_int_equal(reply.status, 405);
    reply = post(f, &client, certificate_url, "{\"x\":1}");
    assert_problem(&reply, 400, "malformed", "POST-as-GET");
}

static int count_links(const struct reply *reply, const char *rel)
{
    int count = 0;
    for (int i = 0; header_of(reply, "Link", i) != NULL; i++)
        count += strstr(header_of(reply, "Link", i), rel) != NULL;
    return count;
}

static void test_alternate_chains(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct client other = join(f);
    const char *order_url = ready_order(f, &client, "a.test");
    assert_int_equal(finalize(f, &client, order_url, csr_payload(f, new_key(f), "a.test")).status, 200);
#define CERT(body) "-----BEGIN CERTIFICATE-----\n" body "\n-----END CERTIFICATE-----\n"
    static const char *const alternates[] = {CERT("AAAA") CERT("CCCC"),
                                             CERT("AAAA") CERT("DDDD") CERT("EEEE")};
    issue_with(f, new_id(f), alternates, 2);
    struct reply order = post(f, &client, order_url, "");
    const char *url = text_of(&order, "certificate");
    const char *urls[] = {url, acme_arena_printf(f->arena, "%s/alternate/1", url),
                          acme_arena_printf(f->arena, "%s/alternate/2", url)};
    const char *chains[] = {CERT("AAAA") CERT("BBBB"), alternates[0], alternates[1]};
    for (int i = 0; i < 3; i++) {
        struct reply reply = post(f, &client, urls[i], "");
        assert_int_equal(reply.status, 200);
        assert_string_equal((const char *)reply.response.body.data, chains[i]);
        assert_int_equal(count_links(&reply, "rel=\"alternate\""), 2);
        for (int j = 0; j < 3; j++)
            assert_int_equal(
                count_links(&reply, acme_arena_printf(f->arena, "<%s>;rel=\"alternate\"", urls[j])), i != j);
        struct reply foreign = post(f, &other, urls[i], "");
        assert_problem(&foreign, 404, "malformed", "certificate");
    }
    static const char *const wrong[] = {"/alternate/0",
                                        "/alternate/3",
                                        "/alternate/01",
                                        "/alternate/-1",
                                        "/alternate/x",
                                        "/alternate/1x",
                                        "/alternate/99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct reply reply = post(f, &client, acme_arena_printf(f->arena, "%s%s", url, wrong[i]), "");
        assert_problem(&reply, 404, "malformed", "certificate");
    }
    static const char *const no_routes[] = {"/alternate/", "/alternate", "/alternate/1/", "/other/1"};
    for (size_t i = 0; i < sizeof no_routes / sizeof *no_routes; i++) {
        struct reply reply = post(f, &client, acme_arena_printf(f->arena, "%s%s", url, no_routes[i]), "");
        assert_problem(&reply, 404, "malformed", "nothing at");
    }
    struct reply reply = post(f, &client, urls[1], "{\"x\":1}");
    assert_problem(&reply, 400, "malformed", "POST-as-GET");
}

/* Another key for the same names: an order whose client still asks stays, one that nobody asks about gives
 * way. */
static void test_another_key(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    f->profiles[0].supersede_after_ms = 10 * ACME_MINUTE_MS;
    const char *urls[4];
    urls[0] = ready_order(f, &client, "a.test");
    for (int i = 1; i < 4; i++)
        urls[i] = order_names(f, &client, "a.test").location;
    f->job_count = 0;
    EVP_PKEY *first = new_key(f);
    assert_int_equal(finalize(f, &client, urls[0], csr_payload(f, first, "a.test")).status, 200);
    f->now_ms += 5 * ACME_MINUTE_MS;
    assert_status(f, &client, urls[0], "processing");
    f->now_ms += 7 * ACME_MINUTE_MS;
    assert_int_equal(finalize(f, &client, urls[1], csr_payload(f, new_key(f), "a.test")).status, 200);
    assert_status(f, &client, urls[0], "processing"); /* this is asking, too */
    f->now_ms += 11 * ACME_MINUTE_MS;
    assert_status(f, &client, urls[1], "processing");
    assert_int_equal(finalize(f, &client, urls[2], csr_payload(f, new_key(f), "a.test")).status, 200);

    struct reply order = post(f, &client, urls[0], "");
    assert_string_equal(text_of(&order, "status"), "invalid");
    const cJSON *error = cJSON_GetObjectItem(order.json, "error");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(error, "type")),
                        "urn:ietf:params:acme:error:orderNotReady");
    assert_non_null(strstr(cJSON_GetStringValue(cJSON_GetObjectItem(error, "detail")), "newer order"));
    assert_status(f, &client, urls[1], "processing");
    assert_status(f, &client, urls[2], "processing");
    assert_int_equal(f->job_count, 3);

    f->now_ms += 30 * ACME_MINUTE_MS;
    assert_int_equal(finalize(f, &client, urls[3], csr_payload(f, first, "a.test")).status, 200);
    assert_status(f, &client, urls[1], "invalid");
    assert_status(f, &client, urls[2], "invalid");
    assert_status(f, &client, urls[3], "processing");
    assert_int_equal(f->job_count, 4); /* the first issuance is being withdrawn: not joined */
}

/* Whichever chain is fetched, the certificate has been downloaded, and no later order adopts it. */
static void test_an_alternate_is_a_download(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    const char *payload = csr_payload(f, new_key(f), "a.test");
    const char *order_url = ready_order(f, &client, "a.test");
    assert_int_equal(finalize(f, &client, order_url, payload).status, 200);
    static const char *const alternates[] = {CERT("AAAA") CERT("CCCC")};
    const char *id = new_id(f);
    issue_with(f, id, alternates, 1);
    const char *url = acme_arena_printf(f->arena, BASE "/certificate/%s/alternate/1", id);
    assert_int_equal(post(f, &client, url, "").status, 200);
    struct reply second = order_names(f, &client, "a.test");
    struct reply reply = finalize(f, &client, second.location, payload);
    assert_string_equal(text_of(&reply, "status"), "processing");
    assert_int_equal(f->job_count, 2);
}

static void test_bad_csrs(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct client other = join(f);
    struct client left = join(f);
    assert_int_equal(post(f, &left, left.kid, "{\"status\":\"deactivated\"}").status, 200);
    const char *order_url = ready_order(f, &client, "a.test");
    const struct {
        const char *payload;
        const char *type;
        const char *part;
    } cases[] = {
        {"", "malformed", "csr"},
        {"{}", "malformed", "csr"},
        {"{\"csr\":5}", "malformed", "csr"},
        {"{\"csr\":\"AAA=\"}", "malformed", "base64url"},
        {"{\"csr\":\"-----BEGIN CERTIFICATE REQUEST-----\\nAAAA\"}", "badCSR", "PEM"},
        {"{\"csr\":\"\"}", "badCSR", "CSR"},
        {"{\"csr\":\"AAAA\"}", "badCSR", "CSR"},
        {csr_payload(f, new_key(f), "b.test"), "badCSR", "b.test"},
        {csr_payload(f, new_key(f), "a.test b.test"), "badCSR", "b.test"},
        {csr_payload(f, jose_rsa_make(f->arena, "RS256", 1024).key, "a.test"), "badCSR", "1024"},
        {csr_payload(f, client.key.key, "a.test"), "badCSR", "account"},
        {csr_payload(f, other.key.key, "a.test"), "badCSR", "an account of this server"},
        {csr_payload(f, left.key.key, "a.test"), "badCSR", "an account of this server"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reply reply = finalize(f, &client, order_url, cases[i].payload);
        assert_problem(&reply, 400, cases[i].type, cases[i].part);
        assert_status(f, &client, order_url, "ready");
    }
    assert_int_equal(f->job_count, 0);
    struct reply reply = finalize(f, &client, order_url, csr_payload(f, new_key(f), "a.test"));
    assert_int_equal(reply.status, 200);
    assert_int_equal(f->job_count, 1);
}

static void test_not_ready(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    const char *payload = csr_payload(f, new_key(f), "a.test");
    struct reply order = order_names(f, &client, "a.test");
    struct reply reply = finalize(f, &client, order.location, payload);
    assert_problem(&reply, 403, "orderNotReady", "pending");
    complete(f, &client, item_of(&order, "authorizations", 0), "refused");
    reply = finalize(f, &client, order.location, payload);
    assert_problem(&reply, 403, "orderNotReady", "invalid");
    const char *order_url = ready_order(f, &client, "a.test");
    f->now_ms += f->config.order_lifetime_ms;
    reply = finalize(f, &client, order_url, payload);
    assert_problem(&reply, 403, "orderNotReady", "invalid");
    assert_int_equal(f->job_count, 0);
}

static void assert_expires(const struct reply *order, int64_t expires_ms)
{
    char text[ACME_RFC3339_SIZE];
    acme_rfc3339_format(expires_ms, text);
    assert_string_equal(text_of(order, "expires"), text);
}

/* A reused authorization that would end before the order does ends the order. */
static void test_authorization_ended(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    ready_order(f, &client, "a.test");
    int64_t end_ms = f->now_ms + f->config.authz_lifetime_ms;
    f->now_ms = end_ms - 2 * ACME_HOUR_MS;
    struct reply order = order_names(f, &client, "a.test");
    assert_string_equal(text_of(&order, "status"), "ready");
    assert_expires(&order, end_ms);
    struct reply two = order_names(f, &client, "a.test b.test"); /* also while it waits for another name */
    assert_string_equal(text_of(&two, "status"), "pending");
    assert_expires(&two, end_ms);
    f->now_ms = end_ms;
    const char *urls[] = {order.location, two.location};
    for (size_t i = 0; i < 2; i++) {
        struct reply now = post(f, &client, urls[i], "");
        assert_string_equal(text_of(&now, "status"), "invalid");
        assert_non_null(strstr(acme_json_str(acme_json_get(now.json, "error"), "detail"), "authorization"));
        struct reply reply = finalize(f, &client, urls[i], csr_payload(f, new_key(f), "a.test"));
        assert_problem(&reply, 403, "orderNotReady", "invalid");
    }
    assert_int_equal(f->job_count, 0);
}

/* The same when the authorization is proved for this very order, with a life shorter than the order's. */
static void test_authorization_shorter_than_its_order(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    f->config.authz_lifetime_ms = 3 * ACME_HOUR_MS;
    struct reply order = order_names(f, &client, "a.test b.test");
    assert_expires(&order, f->now_ms + f->config.order_lifetime_ms);
    int64_t end_ms = f->now_ms + 3 * ACME_HOUR_MS;
    complete(f, &client, item_of(&order, "authorizations", 0), NULL);
    order = post(f, &client, order.location, "");
    assert_string_equal(text_of(&order, "status"), "pending");
    assert_expires(&order, end_ms);
    f->now_ms += ACME_HOUR_MS;
    complete(f, &client, item_of(&order, "authorizations", 1), NULL);
    order = post(f, &client, order.location, "");
    assert_string_equal(text_of(&order, "status"), "ready");
    assert_expires(&order, end_ms); /* of the first */
    f->now_ms = end_ms;
    assert_status(f, &client, order.location, "invalid");
}

static void test_repetition(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    const char *order_url = ready_order(f, &client, "a.test");
    const char *payload = csr_payload(f, new_key(f), "a.test");
    const char *other = csr_payload(f, new_key(f), "a.test");
    assert_int_equal(finalize(f, &client, order_url, payload).status, 200);
    struct reply reply = finalize(f, &client, order_url, payload);
    assert_int_equal(reply.status, 200);
    assert_string_equal(text_of(&reply, "status"), "processing");
    assert_string_equal(reply.location, order_url);
    reply = finalize(f, &client, order_url, other);
    assert_problem(&reply, 403, "orderNotReady", "processing");
    reply = finalize(f, &client, order_url, "{\"csr\":\"AAAA\"}");
    assert_problem(&reply, 403, "orderNotReady", "processing");
    assert_status(f, &client, order_url, "processing");
    assert_int_equal(f->job_count, 1);
    issue(f, new_id(f));
    reply = finalize(f, &client, order_url, payload);
    assert_int_equal(reply.status, 200);
    assert_string_equal(text_of(&reply, "status"), "valid");
    reply = finalize(f, &client, order_url, other);
    assert_problem(&reply, 403, "orderNotReady", "valid");
    assert_int_equal(f->job_count, 1);
}

/* The order of a failed issuance answers its finalize too, with what went wrong. */
static void test_repetition_after_failure(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    const char *order_url = ready_order(f, &client, "a.test");
    const char *payload = csr_payload(f, new_key(f), "a.test");
    assert_int_equal(finalize(f, &client, order_url, payload).status, 200);
    const struct acme_problem problem = {.type = ACME_PROBLEM_SERVER_INTERNAL,
                                         .detail = "The CA is on fire."};
    assert_int_equal(acme_store_issuance_failed(f->store, f->jobs[0].subject_id, f->jobs[0].id,
                                                f->config.job_owner, NULL,
                                                acme_problem_json(f->arena, &problem))
                         .code,
                     ACME_OK);
    struct reply reply = finalize(f, &client, order_url, payload);
    assert_int_equal(reply.status, 200);
    assert_string_equal(text_of(&reply, "status"), "invalid");
    assert_string_equal(acme_json_str(acme_json_get(reply.json, "error"), "detail"), "The CA is on fire.");
    assert_string_equal(reply.location, order_url);
    reply = finalize(f, &client, order_url, csr_payload(f, new_key(f), "a.test"));
    assert_problem(&reply, 403, "orderNotReady", "invalid");
    assert_int_equal(f->job_count, 1);
}

static void test_compromised_keys(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    EVP_PKEY *key = new_key(f);
    struct client newcomer = {.key = jose_key_make(f->arena, "ES256")};
    const EVP_PKEY *const listed[] = {key, newcomer.key.key, client.key.key};
    const char *path = acme_arena_printf(f->arena, "%s/blocked", f->folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < 3; i++) {
        uint8_t digest[ACME_SHA256_SIZE];
        assert_int_equal(acme_spki_sha256(listed[i], digest).code, ACME_OK);
        assert_true(fprintf(file, "%s\n", acme_hex_encode(f->arena, digest, sizeof digest, false)) > 0);
    }
    assert_int_equal(fclose(file), 0);
    struct acme_blocked_keys *keys = NULL;
    size_t line = 0;
    assert_int_equal(acme_blocked_keys_load(path, &keys, &line).code, ACME_OK);
    assert_int_equal(remove(path), 0);
    f->config.blocked_keys = keys;

    const char *order_url = ready_order(f, &client, "a.test"); /* who has an account keeps it */
    struct reply reply = finalize(f, &client, order_url, csr_payload(f, key, "a.test"));
    assert_problem(&reply, 400, "badCSR", "compromised");
    assert_int_equal(finalize(f, &client, order_url, csr_payload(f, new_key(f), "a.test")).status, 200);
    reply = post(f, &newcomer, BASE "/new-account", "{\"termsOfServiceAgreed\":true}");
    assert_problem(&reply, 400, "badPublicKey", "compromised");
    reply = post(f, &newcomer, BASE "/new-account", "{\"onlyReturnExisting\":true}");
    assert_problem(&reply, 400, "accountDoesNotExist", "no account");
    f->config.blocked_keys = NULL;
    acme_blocked_keys_destroy(keys);
    (void)join(f);
}

static void test_new_orders_share_an_issuance(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    EVP_PKEY *key = new_key(f);
    const char *first = ready_order(f, &client, "a.test");
    assert_int_equal(finalize(f, &client, first, csr_payload(f, key, "a.test")).status, 200);
    assert_int_equal(f->job_count, 1);

    /* Same key while it runs: joined. */
    struct reply second = order_names(f, &client, "a.test");
    struct reply reply = finalize(f, &client, second.location, csr_payload(f, key, "a.test"));
    assert_string_equal(text_of(&reply, "status"), "processing");
    assert_int_equal(f->job_count, 1);
    issue(f, new_id(f));
    assert_status(f, &client, first, "valid");
    assert_status(f, &client, second.location, "valid");

    /* Issued, but never downloaded: adopted. */
    struct reply third = order_names(f, &client, "a.test");
    reply = finalize(f, &client, third.location, csr_payload(f, key, "a.test"));
    assert_string_equal(text_of(&reply, "status"), "valid");
    assert_int_equal(f->job_count, 1);
    assert_int_equal(post(f, &client, text_of(&reply, "certificate"), "").status, 200);

    /* Another key: an issuance of its own. */
    struct reply fourth = order_names(f, &client, "a.test");
    reply = finalize(f, &client, fourth.location, csr_payload(f, new_key(f), "a.test"));
    assert_string_equal(text_of(&reply, "status"), "processing");
    assert_int_equal(f->job_count, 2);
}

static void test_other_profile_other_issuer(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    ready_order(f, &client, "a.test");
    struct reply order = post(f, &client, BASE "/profile/other/new-order",
                              "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.test\"}]}");
    assert_string_equal(text_of(&order, "status"), "ready");
    f->profiles[1].keys.p256 = false;
    struct reply reply = finalize(f, &client, order.location, csr_payload(f, new_key(f), "a.test"));
    assert_problem(&reply, 400, "badCSR", "");
    f->profiles[1].keys.p256 = true;
    reply = finalize(f, &client, order.location, csr_payload(f, new_key(f), "a.test"));
    assert_int_equal(reply.status, 200);
    assert_string_equal(f->jobs[0].queue, "upstream");
}

static void test_withdrawn_profile(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    const char *order_url = ready_order(f, &client, "a.test");
    f->profiles[0].name = "renamed";
    struct reply reply = finalize(f, &client, order_url, csr_payload(f, new_key(f), "a.test"));
    assert_problem(&reply, 400, "invalidProfile", "default");
}

static void test_hold(void **state)
{
    struct fixture *f = *state;
    f->config.finalize_hold_ms = 2000;
    struct client client = join(f);
    const char *order_url = ready_order(f, &client, "a.test");
    const char *payload = csr_payload(f, new_key(f), "a.test");
    struct reply reply = finalize(f, &client, order_url, payload);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.response.hold_id, id_of(order_url));
    assert_int_equal(reply.response.hold_ms, 2000);
    assert_null(finalize(f, &client, order_url, payload).response.hold_id);
    assert_null(post(f, &client, order_url, "").response.hold_id);
    issue(f, new_id(f));

    struct reply held = {.status = 0};
    acme_service_held_response(f->service, f->arena, ACME_HOLD_ORDER, id_of(order_url), NULL, &held.response);
    assert_int_equal(held.response.status, 200);
    assert_string_equal(held.response.content_type, "application/json");
    assert_string_equal(header_of(&held, "Location", 0), order_url);
    assert_string_equal(header_of(&held, "Link", 0), "<" BASE "/directory>;rel=\"index\"");
    assert_true(acme_nonces_use(f->nonces, header_of(&held, "Replay-Nonce", 0)));
    reply = post(f, &client, order_url, "");
    assert_string_equal((const char *)held.response.body.data, (const char *)reply.response.body.data);
    assert_non_null(strstr((const char *)held.response.body.data, "\"status\":\"valid\""));

    acme_service_held_response(f->service, f->arena, ACME_HOLD_ORDER, "01900000-0000-7000-8000-000000000000",
                               NULL, &held.response);
    assert_int_equal(held.response.status, 500);
    assert_non_null(header_of(&held, "Replay-Nonce", 0));
}

/* An upstream that makes the keys itself has not made this one: the order stays ready for the right CSR. */
static void test_keys_of_the_upstream(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    const char *order_url = ready_order(f, &client, "a.test");
    assert_int_equal(f->orders_told, 1);
    int64_t created_ms = f->now_ms;
    f->now_ms += 5000;
    f->key_refusal = "the upstream has not made its key; set key_holder: edge";
    struct reply reply = finalize(f, &client, order_url, csr_payload(f, new_key(f), "a.test"));
    assert_problem(&reply, 400, "badCSR", "key_holder: edge");
    assert_true(f->key_asked_ms != 0 && f->key_asked_ms <= created_ms);
    assert_status(f, &client, order_url, "ready");
    assert_int_equal(f->job_count, 0);

    f->key_refusal = NULL;
    const char *payload = csr_payload(f, new_key(f), "a.test");
    reply = finalize(f, &client, order_url, payload);
    assert_int_equal(reply.status, 200);
    /* a repetition is answered whatever the upstream has by now */
    f->key_refusal = "no";
    reply = finalize(f, &client, order_url, payload);
    assert_int_equal(reply.status, 200);
}

static void test_key_at_edge(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    f->profiles[0].key_at_edge = true;
    f->key_refusal = "no";
    const char *order_url = ready_order(f, &client, "a.test");
    struct reply reply = finalize(f, &client, order_url, csr_payload(f, new_key(f), "a.test"));
    assert_int_equal(reply.status, 200);
    assert_true(f->key_asked_ms == 0);

    /* it comes back with another key: the same certificate does for both */
    struct reply second = order_names(f, &client, "a.test");
    reply = finalize(f, &client, second.location, csr_payload(f, new_key(f), "a.test"));
    assert_int_equal(reply.status, 200);
    assert_int_equal(f->job_count, 1);
}

static void test_failed_issuance(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    const char *order_url = ready_order(f, &client, "a.test");
    const char *payload = csr_payload(f, new_key(f), "a.test");
    assert_int_equal(finalize(f, &client, order_url, payload).status, 200);
    const struct acme_problem problem = {.type = ACME_PROBLEM_REJECTED_IDENTIFIER,
                                         .detail = "not our domain"};
    assert_int_equal(acme_store_issuance_failed(f->store, f->jobs[0].subject_id, f->jobs[0].id,
                                                f->config.job_owner, NULL,
                                                acme_problem_json(f->arena, &problem))
                         .code,
                     ACME_OK);
    struct reply order = post(f, &client, order_url, "");
    assert_string_equal(text_of(&order, "status"), "invalid");
    assert_string_equal(acme_json_str(acme_json_get(order.json, "error"), "detail"), "not our domain");
    /* The next order tries anew. */
    struct reply next = order_names(f, &client, "a.test");
    struct reply reply = finalize(f, &client, next.location, payload);
    assert_string_equal(text_of(&reply, "status"), "processing");
    assert_int_equal(f->job_count, 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        T(test_whole_way),
        T(test_alternate_chains),
        T(test_another_key),
        T(test_an_alternate_is_a_download),
        T(test_bad_csrs),
        T(test_not_ready),
        T(test_authorization_ended),
        T(test_authorization_shorter_than_its_order),
        T(test_repetition),
        T(test_repetition_after_failure),
        T(test_compromised_keys),
        T(test_new_orders_share_an_issuance),
        T(test_other_profile_other_issuer),
        T(test_withdrawn_profile),
        T(test_hold),
        T(test_keys_of_the_upstream),
        T(test_key_at_edge),
        T(test_failed_issuance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
