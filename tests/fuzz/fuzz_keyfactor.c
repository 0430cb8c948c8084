/* Keyfactor Command's answers. First byte: the phase and call that gets the answer; second: the HTTP status;
 * the rest: the body. Whatever Command says, the issuer takes a proper step, hands over certificates only
 * when there are some, and shows no secret. */
#include "fuzz.h"
#include "sample_csr.h"

#include "backends/keyfactor/keyfactor.h"
#include "certs/chain.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#define GUID "0f8fad5b-d9cb-469f-a165-70867728950e"

static const char *const states[] = {
    "{\"phase\":\"enroll\",\"call\":\"enroll\",\"attempts\":1,\"sentAt\":1000}",
    "{\"phase\":\"enroll\",\"call\":\"available\"}",
    "{\"phase\":\"enroll\",\"call\":\"renew\",\"renewing\":true,\"attempts\":1,\"sentAt\":1000}",
    "{\"phase\":\"recover\",\"call\":\"search\",\"page\":1,\"attempts\":1,\"unknownSince\":1000}",
    "{\"phase\":\"recover\",\"call\":\"search\",\"variant\":1,\"page\":1,\"attempts\":2,\"renewing\":true}",
    "{\"phase\":\"recover\",\"call\":\"search\",\"variant\":3,\"page\":1,\"attempts\":2,\"unknownSince\":"
    "1000}",
    "{\"phase\":\"recover\",\"call\":\"search\",\"variant\":6,\"page\":1,\"attempts\":1,\"unknownSince\":"
    "1000}",
    "{\"phase\":\"recover\",\"call\":\"instance\",\"variant\":6,\"instances\":[\"" GUID "\"]}",
    "{\"phase\":\"follow\",\"call\":\"request\",\"requestId\":881}",
    "{\"phase\":\"follow\",\"call\":\"find\",\"requestId\":881}",
    "{\"phase\":\"follow\",\"call\":\"workflow\",\"workflow\":\"" GUID "\"}",
    "{\"phase\":\"collect\",\"call\":\"download\",\"certId\":1207,\"collectSince\":1000}",
    "{\"phase\":\"collect\",\"call\":\"download\",\"certId\":1207,\"renewing\":true}",
    "{\"phase\":\"follow\",\"call\":\"withdraw\",\"requestId\":881,\"withdrawing\":1}",
    "{\"phase\":\"follow\",\"call\":\"deny\",\"requestId\":881,\"duplicates\":[882]}",
};
static const int statuses[] = {200, 400, 401, 403, 404, 429, 500, 503, 204};

enum { MAX_DER = 2048 };

/* Made once: an issuer, a CSR, and a certificate with its key. */
static struct acme_issuer *issuer;
static uint8_t csr_der[MAX_DER];
static size_t csr_len;
static uint8_t cert_der[MAX_DER];
static size_t cert_len;

static void make_samples(void)
{
    EVP_PKEY *key = NULL;
    csr_len = sample_csr(csr_der, MAX_DER, &key);
    X509 *cert = X509_new();
    REQUIRE(cert != NULL);
    REQUIRE(X509_set_pubkey(cert, key) == 1 && X509_gmtime_adj(X509_getm_notBefore(cert), 0) != NULL &&
            X509_gmtime_adj(X509_getm_notAfter(cert), 86400) != NULL);
    REQUIRE(X509_sign(cert, key, EVP_sha256()) > 0 && i2d_X509(cert, NULL) <= MAX_DER);
    unsigned char *at = cert_der;
    cert_len = (size_t)i2d_X509(cert, &at);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void set_up(void)
{
    const struct acme_keyfactor_config config = {.url = "https://command.example.test",
                                                 .login = "EXAMPLE\\acme",
                                                 .password = "correct horse",
                                                 .certificate_authority = "ca01\\Issuing",
                                                 .template = "Web",
                                                 .renew = true};
    REQUIRE(!acme_failed(acme_keyfactor_issuer_create("command", &config, &issuer)));
    make_samples();
}

/* An escaped backslash, "\\x5c", may lend the password's first letter to what follows. */
static bool shows_password(const char *text)
{
    static const char password[] = "correct horse";
    for (const char *at = strstr(text, password); at != NULL; at = strstr(at + 1, password))
        if (at - text < 3 || memcmp(at - 3, "\\x5", 3) != 0)
            return true;
    return false;
}

static void check_step(const struct acme_step *step)
{
    switch (step->kind) {
    case ACME_STEP_CALL:
        REQUIRE(step->call.url != NULL &&
                strncmp(step->call.url, "https://command.example.test/KeyfactorAPI/", 42) == 0);
        REQUIRE(strpbrk(step->call.url, " \"\r\n") == NULL);
        break;
    case ACME_STEP_WAIT:
        REQUIRE(step->wait_until_ms > 0);
        break;
    case ACME_STEP_RUN:
    case ACME_STEP_DELEGATE:
        REQUIRE(false);
        break;
    case ACME_STEP_ISSUED:
        REQUIRE(step->certs.count > 0);
        break;
    case ACME_STEP_DONE:
        break;
    case ACME_STEP_FAILED:
        REQUIRE(step->problem.detail != NULL && !shows_password(step->problem.detail));
        break;
    }
    REQUIRE(step->note == NULL || !shows_password(step->note));
}

/* The same answer to all calls of a revocation. */
static void fuzz_revoke(struct acme_arena *arena, const struct acme_http_reply *reply)
{
    static const char *const saved[] = {
        "{}", "{\"phase\":\"revoke\",\"call\":\"revoke\",\"certId\":1207}",
        "{\"phase\":\"revoke\",\"call\":\"workflow\",\"certId\":1207,\"revokedIt\":true,\"workflow\":\"" GUID
        "\"}"};
    const struct acme_revoke_request request = {.certificate = {.data = cert_der, .len = cert_len},
                                                .serial_hex = "00A1B2",
                                                .upstream_ref = "1207",
                                                .reason = 1,
                                                .deadline_ms = ACME_DAY_MS};
    for (size_t i = 0; i < sizeof saved / sizeof *saved; i++) {
        cJSON *state = NULL;
        REQUIRE(!acme_failed(acme_json_parse(arena, saved[i], strlen(saved[i]), &state)));
        struct acme_step_input input = {
            .event = i == 0 ? ACME_EVENT_START : ACME_EVENT_REPLY, .now_ms = 5000, .reply = reply};
        struct acme_step step = {.kind = ACME_STEP_FAILED};
        for (int calls = 0; calls < 4; calls++) {
            if (acme_failed(issuer->class->revoke(issuer, arena, &request, state, &input, &step)))
                break;
            check_step(&step);
            if (step.kind != ACME_STEP_CALL)
                break;
            input.event = ACME_EVENT_REPLY;
        }
    }
}

/* The same answer to every call of a look without an order. */
static void fuzz_inspect(struct acme_arena *arena, const struct acme_http_reply *reply)
{
    const struct acme_inspect_request request = {.profile_count = 0};
    struct acme_inspection *inspection = acme_arena_alloc(arena, sizeof *inspection);
    for (int stage = 0; inspection != NULL && stage < 6; stage++) {
        struct acme_inspect_step step = {.done = true};
        inspection->stage = stage;
        const struct acme_step_input input = {.event = ACME_EVENT_REPLY, .now_ms = 6000, .reply = reply};
        if (acme_failed(
                issuer->backend.inspect(&issuer->backend, arena, &request, inspection, &input, &step)))
            return;
        for (size_t i = 0; i < inspection->finding_count; i++)
            REQUIRE(!shows_password(inspection->findings[i].text));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    if (issuer == NULL)
        set_up();
    ACME_CLEANUP_ARENA struct acme_arena *arena = fuzz_arena();
    const char *saved = states[data[0] % (sizeof states / sizeof *states)];
    struct acme_http_header fields[] = {{"content-type", "application/json"},
                                        {"x-keyfactor-product-version", "24.4.0.0"}};
    struct acme_http_reply reply = {.status = statuses[data[1] % (sizeof statuses / sizeof *statuses)],
                                    .headers = fields,
                                    .header_count = 2,
                                    .body = {.data = data + 2, .len = size - 2}};
    struct acme_csr csr;
    const struct acme_identifier name = {.type = ACME_IDENTIFIER_DNS, .value = "www.example.test"};
    cJSON *state = NULL;
    REQUIRE(!acme_failed(acme_csr_reread(arena, (struct acme_bytes){.data = csr_der, .len = csr_len}, &csr)));
    REQUIRE(!acme_failed(acme_json_parse(arena, saved, strlen(saved), &state)));
    const struct acme_issue_request request = {
        .tag = "acmebridge/x",
        .account_id = "account",
        .order_id = "order",
        .csr = &csr,
        .identifiers = &name,
        .identifier_count = 1,
        .created_ms = 1000,
        .deadline_ms = ACME_DAY_MS,
        .earlier = {
            .use = ACME_EARLIER_RENEW, .upstream_ref = "1200", .tag = "acmebridge/w", .same_key = true}};
    struct acme_step_input input = {.event = ACME_EVENT_REPLY, .now_ms = 6000, .reply = &reply};
    struct acme_step step = {.kind = ACME_STEP_FAILED};
    /* The answer, and the same once more to what follows. */
    for (int calls = 0; calls < 2; calls++) {
        if (acme_failed(issuer->class->step(issuer, arena, &request, state, &input, &step)))
            break;
        check_step(&step);
        if (step.kind != ACME_STEP_CALL)
            break;
    }
    fuzz_revoke(arena, &reply);
    fuzz_inspect(arena, &reply);
    return 0;
}
