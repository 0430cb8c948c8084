#include "cmocka_all.h"

#include "cps_rig.h"
#include "step_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const rig_names[2] = {"www.example.test", "example.test"};

void rig_reconfigure(struct rig *rig)
{
    acme_issuer_destroy(rig->issuer);
    rig->issuer = NULL;
    assert_int_equal(acme_cps_issuer_create("akamai", &rig->config, &rig->issuer).code, ACME_OK);
}

static struct acme_err claim(void *context, const char *object, size_t *ret_ahead)
{
    struct rig *rig = context;
    snprintf(rig->claimed, sizeof rig->claimed, "%s", object);
    *ret_ahead = rig->ahead;
    return acme_ok();
}

static struct acme_err delegated(void *context, struct acme_arena *arena, const char *label,
                                 struct acme_delegated *ret)
{
    (void)arena;
    const struct rig *rig = context;
    *ret = (struct acme_delegated){.status = ACME_DELEGATED_NOT};
    for (size_t i = 0; i < RIG_LABELS; i++)
        if (rig->children[i].label != NULL && strcmp(rig->children[i].label, label) == 0)
            *ret = rig->children[i].child;
    return acme_ok();
}

int rig_setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    pki_setup(&rig->pki);
    rig->arena = acme_arena_create(256 << 20);
    assert_non_null(rig->arena);
    rig->config = (struct acme_cps_config){.url = "https://cps.example.test",
                                           .host = "cps.example.test",
                                           .client = {.client_token = "akab-client-token-1",
                                                      .client_secret = RIG_SECRET,
                                                      .access_token = "akab-access-token-1"}};
    rig_reconfigure(rig);
    rig->profile = (struct acme_cps_profile){.enrollment_id = 10002, .key_at_edge = true};

    const char *why = "";
    struct acme_bytes der = pki_csr_der(rig->arena, rig_names[0], rig_names, 2);
    if (acme_failed(acme_csr_parse(rig->arena, der, &rig->csr, &why)))
        fail_msg("CSR: %s", why);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    assert_non_null(key);
    rig->old = pki_leaf(&rig->pki, key, rig_names, 2);
    rig->leaf = pki_leaf(&rig->pki, key, rig_names, 2);
    EVP_PKEY_free(key);

    struct acme_identifier *identifiers = acme_arena_alloc(rig->arena, 2 * sizeof *identifiers);
    assert_non_null(identifiers);
    for (size_t i = 0; i < 2; i++)
        identifiers[i] = (struct acme_identifier){.type = ACME_IDENTIFIER_DNS, .value = rig_names[i]};
    rig->now_ms = RIG_START;
    rig->state = "{}";
    rig->services = (struct acme_job_services){.claim = claim, .delegated = delegated, .context = rig};
    rig->request = (struct acme_issue_request){.tag = RIG_TAG,
                                               .account_id = "account",
                                               .order_id = "order",
                                               .csr = &rig->csr,
                                               .identifiers = identifiers,
                                               .identifier_count = 2,
                                               .key_at_edge = true,
                                               .created_ms = RIG_START,
                                               .deadline_ms = RIG_START + 7 * ACME_DAY_MS,
                                               .profile_settings = &rig->profile};
    *state = rig;
    return 0;
}

int rig_teardown(void **state)
{
    struct rig *rig = *state;
    X509_free(rig->old);
    X509_free(rig->leaf);
    acme_issuer_destroy(rig->issuer);
    acme_deployer_destroy(rig->deployer);
    acme_arena_destroy(rig->arena);
    pki_teardown(&rig->pki);
    free(rig);
    return 0;
}

static void expect_no_secret(const char *text)
{
    if (text != NULL) {
        assert_null(strstr(text, RIG_SECRET));
        assert_null(strstr(text, "akab-access-token-1"));
    }
}

static void check_call(const struct acme_http_call *call)
{
    const char *authorization = NULL;
    const char *accept = NULL;
    for (size_t i = 0; i < call->header_count; i++) {
        if (strcmp(call->headers[i].name, "Authorization") == 0)
            authorization = call->headers[i].value;
        if (strcmp(call->headers[i].name, "Accept") == 0)
            accept = call->headers[i].value;
    }
    assert_non_null(authorization);
    assert_non_null(strstr(authorization, "EG1-HMAC-SHA256 client_token=akab-client-token-1;"));
    assert_null(strstr(authorization, RIG_SECRET));
    assert_non_null(accept);
    assert_int_equal(strncmp(accept, "application/vnd.akamai.cps.", 27), 0);
    expect_no_secret(call->url);
}

static void do_step(struct rig *rig, struct acme_step_input input)
{
    input.now_ms = rig->now_ms;
    input.services = &rig->services;
    cJSON *state = NULL;
    assert_false(acme_failed(acme_json_parse(rig->arena, rig->state, strlen(rig->state), &state)));
    struct acme_step step;
    memset(&step, 0, sizeof step);
    struct acme_err err =
        rig->deployer != NULL
            ? rig->deployer->class->step(rig->deployer, rig->arena, &rig->deploy, state, &input, &step)
            : rig->issuer->class->step(rig->issuer, rig->arena, &rig->request, state, &input, &step);
    assert_int_equal(err.code, ACME_OK);
    rig->step = step;
    rig->state = acme_json_print(rig->arena, state);
    assert_non_null(rig->state);

    expect_no_secret(rig->state);
    check_step(&step, rig->now_ms);
    expect_no_secret(step.note);
    expect_no_secret(step.problem.detail);
    if (step.kind == ACME_STEP_CALL)
        check_call(&step.call);
    if (step.once)
        rig->updates++;
}

void rig_start(struct rig *rig)
{
    do_step(rig, (struct acme_step_input){.event = ACME_EVENT_START});
}

void rig_timer(struct rig *rig)
{
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
    rig->now_ms = rig->step.wait_until_ms;
    do_step(rig, (struct acme_step_input){.event = ACME_EVENT_TIMER});
}

void rig_answer(struct rig *rig, enum acme_decision decision, const char *key)
{
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
    const struct acme_answer answer = {.decision = decision, .key = key};
    do_step(rig, (struct acme_step_input){.event = ACME_EVENT_TIMER, .answer = &answer});
}

void rig_restart(struct rig *rig, enum acme_step_event event)
{
    do_step(rig, (struct acme_step_input){.event = event});
}

static void reply_with(struct rig *rig, struct acme_http_reply reply)
{
    if (rig->step.kind != ACME_STEP_CALL)
        fail_msg("nothing was asked: %s", rig->step.note);
    do_step(rig, (struct acme_step_input){.event = ACME_EVENT_REPLY, .reply = &reply});
}

void rig_reply(struct rig *rig, int status, const char *body)
{
    reply_with(rig, (struct acme_http_reply){.status = status,
                                             .body = {.data = (const uint8_t *)body, .len = strlen(body)}});
}

void rig_reply_header(struct rig *rig, int status, const char *name, const char *value, const char *body)
{
    struct acme_http_header header = {.name = name, .value = value};
    reply_with(rig, (struct acme_http_reply){.status = status,
                                             .headers = &header,
                                             .header_count = 1,
                                             .body = {.data = (const uint8_t *)body, .len = strlen(body)}});
}

void rig_call_failed(struct rig *rig, bool reached)
{
    assert_int_equal(rig->step.kind, ACME_STEP_CALL);
    do_step(rig, (struct acme_step_input){.event = ACME_EVENT_CALL_FAILED,
                                          .failure = reached ? "timed out" : "connection refused",
                                          .reached = reached});
}

void rig_ran(struct rig *rig, int exit_code, const char *output)
{
    assert_int_equal(rig->step.kind, ACME_STEP_RUN);
    const struct acme_program_result ran = {.exit_code = exit_code, .output = output};
    do_step(rig, (struct acme_step_input){.event = ACME_EVENT_REPLY, .ran = &ran});
}

const char *rig_format(struct rig *rig, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = format_text(rig->arena, format, args);
    va_end(args);
    return text;
}

const char *rig_quote(struct rig *rig, const char *text)
{
    cJSON *string = cJSON_CreateString(text);
    const char *quoted = acme_json_print(rig->arena, string);
    cJSON_Delete(string);
    assert_non_null(quoted);
    return quoted;
}

const char *rig_enrollment(struct rig *rig, const char *type, const char *sans, const char *pending)
{
    return rig_format(
        rig,
        "{\"id\":\"10002\",\"location\":\"/cps/v2/enrollments/10002\",\"ra\":\"x\",\"validationType\":\"%s\","
        "\"certificateType\":\"san\",\"maxAllowedSanNames\":3,\"maxAllowedWildcardSanNames\":1,"
        "\"aMemberOfTomorrow\":{\"deep\":[1,null,\"x\"]},"
        "\"csr\":{\"cn\":\"www.example.test\",\"c\":\"DE\",\"sans\":%s},"
        "\"pendingChanges\":%s}",
        type, sans, pending);
}

static const char *pem_of(struct rig *rig, X509 *cert)
{
    struct acme_bytes pem = pki_pem(rig->arena, &cert, 1);
    return acme_arena_strndup(rig->arena, (const char *)pem.data, pem.len);
}

const char *rig_deployments(struct rig *rig, X509 *leaf)
{
    if (leaf == NULL)
        return "{\"production\":null,\"staging\":null}";
    return rig_format(rig,
                      "{\"production\":{\"primaryCertificate\":{\"certificate\":%s,\"trustChain\":%s,"
                      "\"keyAlgorithm\":\"ECDSA\"},\"multiStackedCertificates\":[]},\"staging\":null}",
                      rig_quote(rig, pem_of(rig, leaf)), rig_quote(rig, pem_of(rig, rig->pki.intermediate)));
}

const char *rig_change(struct rig *rig, const char *state, const char *status, const char *input)
{
    const char *allowed =
        input == NULL
            ? ""
            : rig_format(rig, "{\"type\":\"%s\",\"requiredToProceed\":%s,\"info\":\"/x\",\"update\":\"/y\"}",
                         input, strcmp(input, "lets-encrypt-challenges") == 0 ? "false" : "true");
    return rig_format(rig,
                      "{\"allowedInput\":[%s],\"statusInfo\":{\"state\":\"%s\",\"status\":\"%s\","
                      "\"description\":\"What CPS says.\",\"error\":null}}",
                      allowed, state, status);
}

const char *rig_csr_pem(struct rig *rig, struct acme_bytes der)
{
    struct acme_csr csr;
    const char *why = "";
    assert_false(acme_failed(acme_csr_parse(rig->arena, der, &csr, &why)));
    const char *pem = acme_csr_pem(rig->arena, &csr);
    assert_non_null(pem);
    return pem;
}

void rig_expect_call(struct rig *rig, const char *method, const char *path)
{
    if (rig->step.kind != ACME_STEP_CALL)
        fail_msg("expected %s %s, got step kind %d: %s", method, path, (int)rig->step.kind, rig->step.note);
    assert_string_equal(rig->step.call.method, method);
    assert_string_equal(rig->step.call.url, rig_format(rig, "https://cps.example.test/cps/v2%s", path));
}

static const char *variable_of(const struct acme_program_call *call, const char *name)
{
    for (size_t i = 0; i < call->variable_count; i++)
        if (strcmp(call->variables[i].name, name) == 0)
            return call->variables[i].value;
    fail_msg("the program does not get %s", name);
    return NULL;
}

void rig_expect_run(struct rig *rig, const char *action, const char *body)
{
    if (rig->step.kind != ACME_STEP_RUN)
        fail_msg("expected a program, got step kind %d: %s", (int)rig->step.kind, rig->step.note);
    assert_string_equal(variable_of(&rig->step.run, "ACMEBRIDGE_DV_ACTION"), action);
    assert_string_equal(variable_of(&rig->step.run, "ACMEBRIDGE_DV_BODY"), body);
}

void rig_expect_body(struct rig *rig, const char *body)
{
    assert_int_equal(rig->step.kind, ACME_STEP_CALL);
    const struct acme_bytes *sent = &rig->step.call.body;
    assert_string_equal(acme_arena_strndup(rig->arena, (const char *)sent->data, sent->len), body);
}

void rig_expect_wait(struct rig *rig, int64_t seconds, bool failure)
{
    if (rig->step.kind != ACME_STEP_WAIT)
        fail_msg("expected a wait, got step kind %d: %s", (int)rig->step.kind, rig->step.note);
    assert_int_equal(rig->step.wait_until_ms - rig->now_ms, seconds * ACME_SECOND_MS);
    assert_int_equal(rig->step.failure, failure);
}

void rig_expect_failed(struct rig *rig, enum acme_problem_type type)
{
    if (rig->step.kind != ACME_STEP_FAILED)
        fail_msg("expected failure, got step kind %d: %s", (int)rig->step.kind, rig->step.note);
    assert_string_equal(acme_problem_urn(rig->step.problem.type), acme_problem_urn(type));
}

void rig_expect_issued(struct rig *rig, X509 *leaf)
{
    if (rig->step.kind != ACME_STEP_ISSUED)
        fail_msg("expected certificates, got step kind %d: %s", (int)rig->step.kind, rig->step.note);
    assert_true(rig->step.certs.count >= 2);
    assert_int_equal(X509_cmp(rig->step.certs.certs[0], leaf), 0);
}

void rig_expect_note(struct rig *rig, const char *part)
{
    if (strstr(rig->step.note, part) == NULL)
        fail_msg("note \"%s\" lacks \"%s\"", rig->step.note, part);
}

void rig_expect_detail(struct rig *rig, const char *part)
{
    assert_non_null(rig->step.problem.detail);
    if (strstr(rig->step.problem.detail, part) == NULL)
        fail_msg("detail \"%s\" lacks \"%s\"", rig->step.problem.detail, part);
}

void rig_read(struct rig *rig, const char *type, const char *sans, const char *pending)
{
    rig_expect_call(rig, "GET", "/enrollments/10002/deployments");
    rig_reply(rig, 200, rig_deployments(rig, rig->old));
    rig_expect_call(rig, "GET", "/enrollments/10002");
    rig_reply(rig, 200, rig_enrollment(rig, type, sans, pending));
}

void rig_begin(struct rig *rig, const char *type, const char *sans, const char *pending)
{
    rig_start(rig);
    rig_read(rig, type, sans, pending);
}

void rig_changing(struct rig *rig, const char *type)
{
    rig_begin(rig, type, RIG_SANS, "[]");
    rig_expect_call(rig, "PUT", RIG_UPDATE);
    assert_true(rig->step.once);
    rig_reply(rig, 202, RIG_TOOK);
    rig_expect_wait(rig, 30, false);
    assert_string_equal(rig->step.upstream_ref, "10002/10003");
    rig_timer(rig);
    rig_expect_call(rig, "GET", RIG_CHANGE);
}
