/* revokeCert: who may, what is refused and how, what is held. */
#include "client.h"

#include "base/b64url.h"
#include "base/id.h"
#include "base/problem.h"
#include "certs/chain.h"

#include <openssl/x509v3.h>
#include <string.h>

#define REVOKE BASE "/revoke-cert"
#define OWNER  "test"

/* A certificate that was issued to a client. */
struct issued {
    struct jose_key key; /* the certificate's own */
    struct acme_bytes der;
    const char *id;
};

static void release_cert(void *cert)
{
    X509_free(cert);
}

static X509 *make_cert(struct fixture *f, EVP_PKEY *key, const char *names, long serial)
{
    X509 *cert = X509_new();
    assert_non_null(cert);
    assert_true(acme_arena_defer(f->arena, release_cert, cert));
    assert_int_equal(X509_set_version(cert, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), serial), 1);
    assert_non_null(ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)(f->now_ms / 1000)));
    assert_non_null(ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)((f->now_ms + ACME_DAY_MS) / 1000)));
    assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                                                (const unsigned char *)"x", -1, -1, 0),
                     1);
    assert_int_equal(X509_set_issuer_name(cert, X509_get_subject_name(cert)), 1);
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    const char *san = "";
    while (*names != '\0') {
        size_t len = strcspn(names, " ");
        san = acme_arena_printf(f->arena, "%s%sDNS:%.*s", san, *san != '\0' ? "," : "", (int)len, names);
        names += len + strspn(names + len, " ");
    }
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    return cert;
}

static struct acme_bytes der_of(struct fixture *f, X509 *cert)
{
    struct acme_bytes der;
    assert_int_equal(acme_cert_der(f->arena, cert, &der).code, ACME_OK);
    return der;
}

/* Order, finalize, and end the issuance as the runner would. */
static struct issued obtain(struct fixture *f, const struct client *client, const char *names)
{
    static long serial = 1000;
    struct issued issued = {.key = jose_key_make(f->arena, "ES256")};
    const char *order_url = ready_order(f, client, names);
    const char *finalize = acme_arena_printf(f->arena, "%s/finalize", order_url);
    assert_int_equal(post(f, client, finalize, csr_payload(f, issued.key.key, names)).status, 200);
    const struct acme_job *job = &f->jobs[f->job_count - 1];
    struct acme_issuance issuance;
    assert_int_equal(acme_store_issuance_get(f->store, f->arena, job->subject_id, &issuance).code, ACME_OK);
    X509 *cert = make_cert(f, issued.key.key, names, ++serial);
    struct acme_cert_list chain = {.certs = {cert, cert}, .count = 2};
    struct acme_cert_info info;
    assert_int_equal(acme_cert_info_read(f->arena, cert, &info).code, ACME_OK);
    char *id = acme_arena_alloc(f->arena, ACME_ID_SIZE);
    assert_int_equal(acme_id_new(&f->clock, id).code, ACME_OK);
    const struct acme_certificate certificate = {
        .id = id,
        .issuance_id = issuance.id,
        .account_id = issuance.account_id,
        .issuer = issuance.issuer,
        .chain = acme_chain_pem(f->arena, &chain),
        .serial_hex = info.serial_hex,
        .aki_hex = info.aki_hex,
        .sha256_hex = info.sha256_hex,
        .not_before_ms = info.not_before_ms,
        .not_after_ms = info.not_after_ms,
        .created_ms = f->now_ms,
    };
    assert_int_equal(
        acme_store_issuance_issued(f->store, issuance.id, job->id, OWNER, NULL, &certificate).code, ACME_OK);
    issued.id = id;
    issued.der = der_of(f, cert);
    f->job_count = 0;
    return issued;
}

/* `more` are further members, with the comma before. */
static struct reply revoke(struct fixture *f, const struct client *client, struct acme_bytes der,
                           const char *more)
{
    const char *text = acme_b64url_encode(f->arena, der.data, der.len);
    return post(f, client, REVOKE, acme_arena_printf(f->arena, "{\"certificate\":\"%s\"%s}", text, more));
}

static void assert_accepted(const struct reply *reply)
{
    assert_int_equal(reply->status, 200);
    assert_null(reply->response.content_type);
    assert_int_equal(reply->response.body.len, 0);
}

/* End the revocation as its job would; `detail` NULL: well. */
static void settle(struct fixture *f, const struct issued *issued, const char *detail)
{
    assert_int_equal(f->job_count, 1);
    assert_int_equal(f->jobs[0].kind, ACME_JOB_REVOKE);
    assert_string_equal(f->jobs[0].subject_id, issued->id);
    assert_string_equal(f->jobs[0].queue, "lab");
    const struct acme_problem problem = {.type = ACME_PROBLEM_SERVER_INTERNAL, .detail = detail};
    assert_int_equal(acme_store_revocation_end(f->store, issued->id, f->jobs[0].id, OWNER, f->now_ms,
                                               detail != NULL ? acme_problem_json(f->arena, &problem) : NULL)
                         .code,
                     ACME_OK);
    f->job_count = 0;
}

static int reason_of(struct fixture *f, const struct issued *issued)
{
    struct acme_revocation revocation;
    assert_int_equal(acme_store_revocation_get(f->store, f->arena, issued->id, &revocation).code, ACME_OK);
    return revocation.reason;
}

static void test_by_the_account(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct issued issued = obtain(f, &client, "a.test b.test");
    struct reply reply = revoke(f, &client, issued.der, ",\"reason\":4");
    assert_accepted(&reply);
    assert_int_equal(reason_of(f, &issued), 4);
    settle(f, &issued, NULL);
    reply = revoke(f, &client, issued.der, "");
    assert_problem(&reply, 400, "alreadyRevoked", "already");
    assert_int_equal(f->job_count, 0);
}

static void test_by_the_certificates_key(void **state)
{
    static const char *const algorithms[] = {"RS256", "ES384", "EdDSA"};
    struct fixture *f = *state;
    struct client client = join(f);
    struct issued issued = obtain(f, &client, "a.test");
    const struct client owner = {.key = issued.key};
    struct reply reply = revoke(f, &owner, issued.der, ",\"reason\":1");
    assert_accepted(&reply);
    assert_int_equal(reason_of(f, &issued), 1);
    settle(f, &issued, NULL);
    reply = revoke(f, &owner, issued.der, "");
    assert_problem(&reply, 400, "alreadyRevoked", "already");
    /* Other keys, of every type, are not the certificate's; the account's own neither. */
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
        const struct client stranger = {.key = jose_key_make(f->arena, algorithms[i])};
        reply = revoke(f, &stranger, issued.der, "");
        assert_problem(&reply, 403, "unauthorized", "key");
    }
    const struct client without_kid = {.key = client.key};
    reply = revoke(f, &without_kid, issued.der, "");
    assert_problem(&reply, 403, "unauthorized", "key");
}

static void test_by_another_account(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct client other = join(f);
    struct issued issued = obtain(f, &client, "a.test b.test");
    struct reply reply = revoke(f, &other, issued.der, "");
    assert_problem(&reply, 403, "unauthorized", "authorizations");
    ready_order(f, &other, "a.test");
    reply = revoke(f, &other, issued.der, "");
    assert_problem(&reply, 403, "unauthorized", "all its names");
    const char *order_url = ready_order(f, &other, "b.test");
    reply = revoke(f, &other, issued.der, ",\"reason\":null");
    assert_accepted(&reply);
    assert_int_equal(reason_of(f, &issued), 0);
    settle(f, &issued, NULL);
    /* Its own order has nothing to do with it. */
    reply = post(f, &other, order_url, "");
    assert_string_equal(text_of(&reply, "status"), "ready");
}

static void test_authorizations_end(void **state)
{
    struct fixture *f = *state;
    f->config.authz_lifetime_ms = ACME_HOUR_MS;
    struct client client = join(f);
    struct client other = join(f);
    struct issued issued = obtain(f, &client, "a.test");
    ready_order(f, &other, "a.test");
    f->now_ms += 2 * ACME_HOUR_MS;
    struct reply reply = revoke(f, &other, issued.der, "");
    assert_problem(&reply, 403, "unauthorized", "authorizations");
    reply = revoke(f, &client, issued.der, ""); /* who ordered it needs none */
    assert_accepted(&reply);
}

static void test_reasons(void **state)
{
    static const char *const allowed[] = {"0", "1", "3", "4", "5"};
    static const char *const refused[] = {"2", "6", "7", "8", "9", "10", "11", "-1", "4294967297"};
    static const char *const wrong[] = {"\"1\"", "1.5", "true", "[]", "{}"};
    struct fixture *f = *state;
    struct client client = join(f);
    struct issued issued = obtain(f, &client, "a.test");
    struct reply reply;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        reply = revoke(f, &client, issued.der, acme_arena_printf(f->arena, ",\"reason\":%s", refused[i]));
        assert_problem(&reply, 400, "badRevocationReason", refused[i]);
        assert_problem(&reply, 400, "badRevocationReason",
                       "0 (unspecified), 1 (keyCompromise), 3 (affiliationChanged), 4 (superseded)");
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        reply = revoke(f, &client, issued.der, acme_arena_printf(f->arena, ",\"reason\":%s", wrong[i]));
        assert_problem(&reply, 400, "malformed", "reason");
    }
    assert_int_equal(f->job_count, 0);
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++) {
        struct issued one = i == 0 ? issued : obtain(f, &client, acme_arena_printf(f->arena, "n%zu.test", i));
        reply = revoke(f, &client, one.der, acme_arena_printf(f->arena, ",\"reason\":%s", allowed[i]));
        assert_accepted(&reply);
        assert_int_equal(reason_of(f, &one), allowed[i][0] - '0');
        settle(f, &one, NULL);
    }
}

/* An account without right to the names learns nothing; one that has it, and the key's owner, are told. */
static void test_unknown_certificates(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct client other = join(f);
    struct issued issued = obtain(f, &client, "a.test");
    struct acme_bytes unknown = der_of(f, make_cert(f, issued.key.key, "a.test", 7));
    struct reply foreign = revoke(f, &other, issued.der, "");
    struct reply absent = revoke(f, &other, unknown, "");
    assert_problem(&foreign, 403, "unauthorized", "authorizations");
    assert_string_equal(acme_json_print(f->arena, foreign.json), acme_json_print(f->arena, absent.json));

    struct reply reply = revoke(f, &client, unknown, "");
    assert_problem(&reply, 404, "malformed", "not issued");
    const struct client owner = {.key = issued.key};
    reply = revoke(f, &owner, unknown, "");
    assert_problem(&reply, 404, "malformed", "not issued");
    assert_int_equal(f->job_count, 0);
}

/* The same certificate in another encoding, or with its signature touched, is not the one that was issued. */
static void test_only_the_very_bytes(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct issued issued = obtain(f, &client, "a.test");
    uint8_t *changed = acme_arena_memdup(f->arena, issued.der.data, issued.der.len);
    changed[issued.der.len - 1] ^= 1;
    struct reply reply = revoke(f, &client, (struct acme_bytes){.data = changed, .len = issued.der.len}, "");
    assert_problem(&reply, 404, "malformed", "not issued");
}

static void test_malformed(void **state)
{
    static const char *const payloads[] = {
        "",
        "{}",
        "{\"certificate\":1}",
        "{\"certificate\":null}",
        "{\"certificate\":\"\"}",
        "{\"certificate\":\"MAA=\"}",
        "{\"certificate\":\"MAA+\"}",
        "{\"certificate\":\"MAAA\"}",
        "{\"certificate\":\"-----BEGIN CERTIFICATE-----\\n\"}",
    };
    struct fixture *f = *state;
    struct client client = join(f);
    for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++) {
        struct reply reply = post(f, &client, REVOKE, payloads[i]);
        assert_problem(&reply, 400, "malformed", "certificate");
    }
    struct issued issued = obtain(f, &client, "a.test");
    uint8_t *longer = acme_arena_alloc(f->arena, issued.der.len + 1);
    memcpy(longer, issued.der.data, issued.der.len);
    struct reply reply =
        revoke(f, &client, (struct acme_bytes){.data = longer, .len = issued.der.len + 1}, "");
    assert_problem(&reply, 400, "malformed", "one X.509 certificate");
    reply = fetch(f, "GET", "/revoke-cert");
    assert_problem(&reply, 405, "malformed", "GET");
}

static void test_expired(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct issued issued = obtain(f, &client, "a.test");
    f->now_ms += 2 * ACME_DAY_MS;
    struct reply reply = revoke(f, &client, issued.der, "");
    assert_problem(&reply, 400, "malformed", "expired");
}

static void test_deactivated_accounts(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct issued issued = obtain(f, &client, "a.test");
    assert_int_equal(acme_store_account_deactivate(f->store, id_of(client.kid), "{}").code, ACME_OK);
    struct reply reply = revoke(f, &client, issued.der, "");
    assert_problem(&reply, 401, "unauthorized", "deactivated");
    const struct client owner = {.key = issued.key};
    reply = revoke(f, &owner, issued.der, "");
    assert_accepted(&reply);
}

static void test_repetitions(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct issued issued = obtain(f, &client, "a.test");
    struct reply reply = revoke(f, &client, issued.der, ",\"reason\":3");
    assert_accepted(&reply);
    assert_int_equal(f->job_count, 1);
    reply = revoke(f, &client, issued.der, ",\"reason\":1");
    assert_accepted(&reply);
    assert_int_equal(f->job_count, 1);
    assert_int_equal(reason_of(f, &issued), 3);
}

static void test_hold(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    struct issued issued = obtain(f, &client, "a.test");
    f->config.finalize_hold_ms = 2000;
    struct reply reply = revoke(f, &client, issued.der, "");
    assert_accepted(&reply);
    assert_int_equal(reply.response.hold, ACME_HOLD_REVOCATION);
    assert_string_equal(reply.response.hold_id, issued.id);
    assert_int_equal(reply.response.hold_ms, 2000);
    assert_true(acme_service_is_undecided(f->service, f->arena, ACME_HOLD_REVOCATION, issued.id));
    struct reply held = {.status = 0};
    acme_service_held_response(f->service, f->arena, ACME_HOLD_REVOCATION, issued.id, NULL, &held.response);
    assert_int_equal(held.response.status, 200); /* it will be revoked */

    settle(f, &issued, "SCM said no.");
    assert_false(acme_service_is_undecided(f->service, f->arena, ACME_HOLD_REVOCATION, issued.id));
    acme_service_held_response(f->service, f->arena, ACME_HOLD_REVOCATION, issued.id, NULL, &held.response);
    assert_int_equal(held.response.status, 500);
    assert_non_null(strstr((const char *)held.response.body.data, "serverInternal"));
    assert_non_null(strstr((const char *)held.response.body.data, "not revoked: SCM said no."));
    assert_true(acme_nonces_use(f->nonces, header_of(&held, "Replay-Nonce", 0)));

    /* It can be tried again. */
    reply = revoke(f, &client, issued.der, "");
    assert_accepted(&reply);
    settle(f, &issued, NULL);
    acme_service_held_response(f->service, f->arena, ACME_HOLD_REVOCATION, issued.id, NULL, &held.response);
    assert_int_equal(held.response.status, 200);
    assert_null(held.response.content_type);
}

#define T(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_by_the_account),
        T(test_by_the_certificates_key),
        T(test_by_another_account),
        T(test_authorizations_end),
        T(test_reasons),
        T(test_unknown_certificates),
        T(test_only_the_very_bytes),
        T(test_malformed),
        T(test_expired),
        T(test_deactivated_accounts),
        T(test_repetitions),
        T(test_hold),
    };
    return cmocka_run_group_tests_name("protocol/revoke", tests, NULL, NULL);
}
