/* SCM's answers. First byte: the phase that gets the answer; second: the HTTP status; the rest: the body.
 * Whatever SCM says, the issuer takes a proper step, and never hands over an empty list of certificates. */
#include "fuzz.h"
#include "sample_csr.h"

#include "backends/scm/scm.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

static const char *const phases[] = {
    "{\"phase\":\"enroll\",\"enrollAttempts\":1,\"enrollSentAt\":1000}",
    "{\"phase\":\"recover\",\"enrollAttempts\":1,\"enrollSentAt\":1000}",
    "{\"phase\":\"follow\",\"sslId\":812,\"enrollAttempts\":1,\"enrollSentAt\":1000}",
    "{\"phase\":\"collect\",\"sslId\":812,\"enrollAttempts\":1,\"enrollSentAt\":1000}",
};
static const int statuses[] = {200, 400, 401, 404, 429, 500, 503, 204};

enum { MAX_CSR = 2048 };

/* Made once: an issuer and a CSR. */
static struct acme_issuer *issuer;
static uint8_t csr_der[MAX_CSR];
static size_t csr_len;

static void set_up(void)
{
    const struct acme_scm_config config = {.url = "https://scm.example.test",
                                           .customer_uri = "corp",
                                           .login = "acme-api",
                                           .password = "correct horse",
                                           .org_id = 8932,
                                           .profile_id = 5153,
                                           .term_days = 199};
    REQUIRE(!acme_failed(acme_scm_issuer_create("sectigo", &config, &issuer)));
    csr_len = sample_csr(csr_der, MAX_CSR, NULL);
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
        REQUIRE(step->call.url != NULL && strncmp(step->call.url, "https://scm.example.test/api/", 29) == 0);
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

/* The same answer to both calls of a revocation. */
static void fuzz_revoke(struct acme_arena *arena, const struct acme_http_reply *reply)
{
    const struct acme_revoke_request request = {
        .serial_hex = "00A1B2", .upstream_ref = "4242", .reason = 1, .deadline_ms = ACME_DAY_MS};
    cJSON *state = NULL;
    REQUIRE(!acme_failed(acme_json_parse(arena, "{}", 2, &state)));
    struct acme_step_input input = {.event = ACME_EVENT_START, .now_ms = 5000};
    struct acme_step step = {.kind = ACME_STEP_FAILED};
    for (int i = 0; i < 3; i++) {
        if (acme_failed(issuer->class->revoke(issuer, arena, &request, state, &input, &step)))
            return;
        check_step(&step);
        if (step.kind != ACME_STEP_CALL)
            return;
        input = (struct acme_step_input){.event = ACME_EVENT_REPLY, .now_ms = 6000, .reply = reply};
    }
}

/* How domains are validated, and the step behind it. */
static void fuzz_dcv(struct acme_arena *arena, const struct acme_issue_request *request,
                     const struct acme_http_reply *reply)
{
    static const char saved[] = "{\"phase\":\"follow\",\"call\":\"dcv\",\"sslId\":812}";
    cJSON *state = NULL;
    REQUIRE(!acme_failed(acme_json_parse(arena, saved, sizeof saved - 1, &state)));
    const struct acme_step_input input = {.event = ACME_EVENT_REPLY, .now_ms = 6000, .reply = reply};
    struct acme_step step = {.kind = ACME_STEP_FAILED};
    if (!acme_failed(issuer->class->step(issuer, arena, request, state, &input, &step)))
        REQUIRE(step.kind == ACME_STEP_WAIT);
}

/* The same answer to every call of a look without an order; it comes to an end. */
static void fuzz_inspect(struct acme_arena *arena, const struct acme_http_reply *reply)
{
    static const char *const names[] = {"www.example.test"};
    const struct acme_inspect_profile profile = {.name = "p", .keys = &acme_key_policy_default};
    const struct acme_inspect_request request = {
        .profiles = &profile, .profile_count = 1, .domains = names, .domain_count = 1};
    struct acme_inspection *inspection = acme_arena_alloc(arena, sizeof *inspection);
    if (inspection == NULL)
        return;
    for (int stage = 0; stage < 5; stage++) {
        struct acme_inspect_step step = {.done = true};
        /* Each stage by itself: the first ones end the look when they fail. */
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
    const char *phase = phases[data[0] % (sizeof phases / sizeof *phases)];
    struct acme_http_header fields[] = {{"content-type", "application/json"}, {"x-total-count", "1"}};
    struct acme_http_reply reply = {.status = statuses[data[1] % (sizeof statuses / sizeof *statuses)],
                                    .headers = fields,
                                    .header_count = 2,
                                    .body = {.data = data + 2, .len = size - 2}};
    struct acme_csr csr;
    const struct acme_identifier name = {.type = ACME_IDENTIFIER_DNS, .value = "www.example.test"};
    cJSON *state = NULL;
    /* Without its signature: that would take longer than all the rest. */
    REQUIRE(!acme_failed(acme_csr_reread(arena, (struct acme_bytes){.data = csr_der, .len = csr_len}, &csr)));
    REQUIRE(!acme_failed(acme_json_parse(arena, phase, strlen(phase), &state)));
    const struct acme_issue_request request = {.tag = "acmebridge/x",
                                               .account_id = "account",
                                               .order_id = "order",
                                               .csr = &csr,
                                               .identifiers = &name,
                                               .identifier_count = 1,
                                               .created_ms = 1000,
                                               .deadline_ms = ACME_DAY_MS};
    struct acme_step_input input = {.event = ACME_EVENT_TIMER, .now_ms = 5000};
    struct acme_step step = {.kind = ACME_STEP_FAILED};
    /* The entry makes the phase's call, the answer is the input. */
    if (acme_failed(issuer->class->step(issuer, arena, &request, state, &input, &step)))
        return 0;
    check_step(&step);
    if (step.kind != ACME_STEP_CALL)
        return 0;
    input = (struct acme_step_input){.event = ACME_EVENT_REPLY, .now_ms = 6000, .reply = &reply};
    if (!acme_failed(issuer->class->step(issuer, arena, &request, state, &input, &step)))
        check_step(&step);
    fuzz_revoke(arena, &reply);
    fuzz_dcv(arena, &request, &reply);
    fuzz_inspect(arena, &reply);
    return 0;
}
