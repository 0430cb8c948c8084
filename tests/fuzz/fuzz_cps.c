/* CPS's answers. First byte: the state that gets the answer; second: the HTTP status; the rest: the body.
 * Whatever CPS says, the issuer takes a proper step, tells no secret, and never hands over an empty list of
 * certificates. The same bytes as an .edgerc file, and as a pattern with a text. */
#include "fuzz.h"
#include "sample_csr.h"

#include "backends/cps/cps.h"
#include "backends/cps/edgerc.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#define FOLLOW "{\"phase\":\"follow\",\"enrollment\":1,\"change\":2,\"beganAt\":1000,\"call\":"

static const char *const states[] = {
    "{\"call\":\"list\"}",
    "{\"phase\":\"read\",\"enrollment\":1,\"call\":\"baseline\"}",
    "{\"phase\":\"read\",\"enrollment\":1,\"baseline\":true,\"call\":\"enrollment\"}",
    "{\"phase\":\"read\",\"enrollment\":1,\"baseline\":true,\"sentAt\":1000,\"call\":\"enrollment\"}",
    "{\"phase\":\"read\",\"enrollment\":1,\"baseline\":true,\"known\":[2],\"call\":\"match\"}",
    "{\"phase\":\"read\",\"enrollment\":1,\"baseline\":true,\"sentAt\":1000,\"updates\":1,\"call\":"
    "\"update\"}",
    "{\"phase\":\"read\",\"enrollment\":1,\"baseline\":true,\"sentAt\":1000,\"call\":\"history\"}",
    "{\"phase\":\"collect\",\"enrollment\":1,\"change\":2,\"collectSince\":1000,\"call\":\"deployments\"}",
    "{\"phase\":\"cancel\",\"enrollment\":1,\"change\":2,\"failNote\":\"x\",\"call\":\"cancel\"}",
    FOLLOW "\"change\"}",
    FOLLOW "\"csr\"}",
    FOLLOW "\"upload\"}",
    FOLLOW "\"challenges\"}",
    FOLLOW "\"pre-warnings\"}",
    FOLLOW "\"post-warnings\"}",
    FOLLOW "\"management\"}",
    FOLLOW "\"ack\"}",
};
static const int statuses[] = {200, 202, 400, 401, 403, 404, 409, 429, 500, 204};

#define SECRET "c2VjcmV0"

enum { MAX_CSR = 2048 };

/* Made once: an issuer and a CSR. */
static struct acme_issuer *issuer;
static uint8_t csr_der[MAX_CSR];
static size_t csr_len;

static void set_up(void)
{
    const struct acme_cps_config config = {
        .url = "https://cps.example.test",
        .host = "cps.example.test",
        .client = {.client_token = "client-token", .client_secret = SECRET, .access_token = "access-token"}};
    REQUIRE(!acme_failed(acme_cps_issuer_create("akamai", &config, &issuer)));
    csr_len = sample_csr(csr_der, MAX_CSR, NULL);
}

/* An escaped backslash, "\\x5c", may lend the secret's first letter to what follows. */
static bool shows_secret(const char *text)
{
    for (const char *at = text == NULL ? NULL : strstr(text, SECRET); at != NULL; at = strstr(at + 1, SECRET))
        if (at - text < 3 || memcmp(at - 3, "\\x5", 3) != 0)
            return true;
    return false;
}

static void check_step(const struct acme_step *step)
{
    REQUIRE(step->note != NULL && !shows_secret(step->note));
    switch (step->kind) {
    case ACME_STEP_CALL:
        REQUIRE(strncmp(step->call.url, "https://cps.example.test/cps/v2/", 32) == 0);
        break;
    case ACME_STEP_WAIT:
        REQUIRE(step->wait_until_ms > 0);
        REQUIRE(step->question == NULL || !shows_secret(step->question->details));
        break;
    case ACME_STEP_DELEGATE:
        REQUIRE(step->delegate.csr.len > 0 && strlen(step->delegate.label) <= 32);
        break;
    case ACME_STEP_ISSUED:
        REQUIRE(step->certs.count > 0);
        break;
    case ACME_STEP_FAILED:
        REQUIRE(step->problem.detail != NULL && !shows_secret(step->problem.detail));
        break;
    case ACME_STEP_RUN:
    case ACME_STEP_DONE:
        REQUIRE(false);
        break;
    }
}

/* The same answer to every call of a look without an order, of which there are not many. */
static void fuzz_inspect(struct acme_arena *arena, const struct acme_cps_profile *settings,
                         const struct acme_http_reply *reply)
{
    const struct acme_cps_profile by_name = {.common_name = "www.example.test"};
    const struct acme_inspect_profile profiles[] = {{.name = "p", .settings = settings},
                                                    {.name = "q", .settings = &by_name}};
    const struct acme_inspect_request request = {.profiles = profiles, .profile_count = 2};
    struct acme_inspection *inspection = acme_arena_alloc(arena, sizeof *inspection);
    struct acme_step_input input = {.event = ACME_EVENT_START, .now_ms = 6000};
    if (inspection == NULL)
        return;
    for (int calls = 0;; calls++) {
        REQUIRE(calls < 8);
        struct acme_inspect_step step = {.done = true};
        if (acme_failed(
                issuer->backend.inspect(&issuer->backend, arena, &request, inspection, &input, &step)) ||
            step.done)
            break;
        input = (struct acme_step_input){.event = ACME_EVENT_REPLY, .now_ms = 6000, .reply = reply};
    }
    for (size_t i = 0; i < inspection->finding_count; i++)
        REQUIRE(!shows_secret(inspection->findings[i].text));
}

static void fuzz_texts(struct acme_arena *arena, const uint8_t *data, size_t size)
{
    struct acme_edgerc rc;
    struct acme_edgerc_mistake mistake;
    const char *text = acme_arena_strndup(arena, (const char *)data, size);
    if (text == NULL)
        return;
    if (acme_failed(acme_edgerc_read((const char *)data, size, "default", &rc, &mistake)))
        REQUIRE(mistake.expected != NULL);
    else
        REQUIRE(rc.host.len > 0 && rc.client_secret.len > 0 &&
                (const uint8_t *)rc.host.text + rc.host.len <= data + size);
    size_t len = strlen(text);
    size_t half = len / 2;
    const char *pattern = acme_arena_strndup(arena, text, half);
    if (pattern != NULL)
        acme_cps_glob(pattern, text + half, len - half);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const warnings[] = {"A*b", "SNI_DNS_OVERLAP"};
    if (size < 2)
        return 0;
    if (issuer == NULL)
        set_up();
    ACME_CLEANUP_ARENA struct acme_arena *arena = fuzz_arena();
    const char *saved = states[data[0] % (sizeof states / sizeof *states)];
    struct acme_http_header fields[] = {{"content-type", "application/json"}};
    struct acme_http_reply reply = {.status = statuses[data[1] % (sizeof statuses / sizeof *statuses)],
                                    .headers = fields,
                                    .header_count = 1,
                                    .body = {.data = data + 2, .len = size - 2}};
    struct acme_csr csr;
    const struct acme_identifier name = {.type = ACME_IDENTIFIER_DNS, .value = "www.example.test"};
    const struct acme_cps_profile settings = {
        .enrollment_id = 1,
        .common_name = "www.example.test",
        .key_at_edge = (data[0] & 0x80) == 0,
        .third_party_issuer = "lab",
        .policy = {.warnings = warnings, .warning_count = 2, .acknowledge_auto = true}};
    cJSON *state = NULL;
    /* Without its signature: that would take longer than all the rest. */
    REQUIRE(!acme_failed(acme_csr_reread(arena, (struct acme_bytes){.data = csr_der, .len = csr_len}, &csr)));
    REQUIRE(!acme_failed(acme_json_parse(arena, saved, strlen(saved), &state)));
    const struct acme_issue_request request = {.tag = "acmebridge/x",
                                               .account_id = "account",
                                               .order_id = "order",
                                               .csr = &csr,
                                               .identifiers = &name,
                                               .identifier_count = 1,
                                               .created_ms = 1000,
                                               .deadline_ms = ACME_DAY_MS,
                                               .profile_settings = &settings};
    const struct acme_step_input input = {.event = ACME_EVENT_REPLY, .now_ms = 6000, .reply = &reply};
    struct acme_step step = {.kind = ACME_STEP_FAILED};
    if (!acme_failed(issuer->class->step(issuer, arena, &request, state, &input, &step)))
        check_step(&step);
    fuzz_inspect(arena, &settings, &reply);
    fuzz_texts(arena, data + 2, size - 2);
    return 0;
}
