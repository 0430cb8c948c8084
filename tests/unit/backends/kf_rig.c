#include "cmocka_all.h"

#include "kf_rig.h"
#include "step_check.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const rig_names[2] = {"www.example.test", "example.test"};

void rig_reconfigure(struct rig *rig)
{
    acme_issuer_destroy(rig->issuer);
    rig->issuer = NULL;
    assert_false(acme_failed(acme_keyfactor_issuer_create("command", &rig->config, &rig->issuer)));
}

static bool is_taken(void *context, const char *ref)
{
    const struct rig *rig = context;
    return rig->taken != NULL && strcmp(rig->taken, ref) == 0;
}

static int set_up(void **state, const char *common_name)
{
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    pki_setup(&rig->pki);
    rig->arena = acme_arena_create(64 << 20);
    assert_non_null(rig->arena);
    rig->config = (struct acme_keyfactor_config){.url = "https://command.example.test",
                                                 .login = "EXAMPLE\\acme",
                                                 .password = RIG_PASSWORD,
                                                 .certificate_authority = "ca01.example.test\\IssuingCA1",
                                                 .template = "WebServer",
                                                 .renew = true,
                                                 .proxy = "http://proxy.example.test:3128"};
    rig_reconfigure(rig);

    const char *why = "";
    struct acme_csr other;
    if (acme_failed(acme_csr_parse(rig->arena, pki_csr_der(rig->arena, common_name, rig_names, 2), &rig->csr,
                                   &why)) ||
        acme_failed(
            acme_csr_parse(rig->arena, pki_csr_der(rig->arena, common_name, rig_names, 2), &other, &why)))
        fail_msg("CSR: %s", why);
    rig->leaf = pki_leaf(&rig->pki, rig->csr.key, rig_names, 2);
    rig->stranger = pki_leaf(&rig->pki, other.key, rig_names, 2);

    struct acme_identifier *identifiers = acme_arena_alloc(rig->arena, 2 * sizeof *identifiers);
    assert_non_null(identifiers);
    for (size_t i = 0; i < 2; i++)
        identifiers[i] = (struct acme_identifier){.type = ACME_IDENTIFIER_DNS, .value = rig_names[i]};
    rig->now_ms = RIG_START;
    rig->state = "{}";
    rig->request = (struct acme_issue_request){.tag = RIG_TAG,
                                               .account_id = "account",
                                               .order_id = "order",
                                               .csr = &rig->csr,
                                               .identifiers = identifiers,
                                               .identifier_count = 2,
                                               .created_ms = RIG_START,
                                               .deadline_ms = RIG_START + 7 * ACME_DAY_MS,
                                               .is_taken = is_taken,
                                               .is_taken_context = rig};
    *state = rig;
    return 0;
}

int rig_setup(void **state)
{
    return set_up(state, rig_names[0]);
}

int rig_setup_without_cn(void **state)
{
    return set_up(state, NULL);
}

int rig_teardown(void **state)
{
    struct rig *rig = *state;
    X509_free(rig->leaf);
    X509_free(rig->stranger);
    acme_issuer_destroy(rig->issuer);
    acme_arena_destroy(rig->arena);
    pki_teardown(&rig->pki);
    free(rig);
    return 0;
}

static void expect_no_secret(const char *text)
{
    if (text == NULL)
        return;
    assert_null(strstr(text, RIG_PASSWORD));
    assert_null(strstr(text, RIG_BASIC));
    assert_null(strstr(text, RIG_STORE));
}

static const char *header_of(const struct acme_http_call *call, const char *name)
{
    for (size_t i = 0; i < call->header_count; i++) {
        if (strcmp(call->headers[i].name, name) == 0)
            return call->headers[i].value;
    }
    return NULL;
}

static void check_call(const struct rig *rig, const struct acme_http_call *call)
{
    if (rig->config.password != NULL)
        assert_string_equal(header_of(call, "Authorization"), "Basic " RIG_BASIC);
    else
        assert_null(header_of(call, "Authorization"));
    assert_string_equal(header_of(call, "X-Keyfactor-Requested-With"), "APIClient");
    assert_string_equal(header_of(call, "X-Keyfactor-Api-Version"), "1");
    assert_true((call->body.data != NULL) == (header_of(call, "Content-Type") != NULL));
    assert_true(call->total_timeout_ms >= 120 * 1000);
    assert_null(strchr(call->url, ' '));
    assert_null(strchr(call->url, '+'));
    expect_no_secret(call->url);
    if (call->body.data != NULL)
        assert_null(memmem(call->body.data, call->body.len, RIG_PASSWORD, strlen(RIG_PASSWORD)));
}

static void do_step(struct rig *rig, struct acme_step_input input)
{
    input.now_ms = rig->now_ms;
    cJSON *state = NULL;
    assert_false(acme_failed(acme_json_parse(rig->arena, rig->state, strlen(rig->state), &state)));
    struct acme_step step;
    memset(&step, 0, sizeof step);
    const struct acme_issuer_class *class = rig->issuer->class;
    struct acme_err err = rig->revocation != NULL
                              ? class->revoke(rig->issuer, rig->arena, rig->revocation, state, &input, &step)
                              : class->step(rig->issuer, rig->arena, &rig->request, state, &input, &step);
    assert_int_equal(err.code, ACME_OK);
    rig->step = step;
    rig->state = acme_json_print(rig->arena, state);
    assert_non_null(rig->state);

    expect_no_secret(rig->state);
    check_step(&step, rig->now_ms);
    expect_no_secret(step.note);
    expect_no_secret(step.problem.detail);
    if (step.kind == ACME_STEP_CALL)
        check_call(rig, &step.call);
    if (step.once)
        rig->calls_once++;
}

void rig_start(struct rig *rig)
{
    do_step(rig, (struct acme_step_input){.event = ACME_EVENT_START});
}

void rig_timer(struct rig *rig)
{
    if (rig->step.kind != ACME_STEP_WAIT)
        fail_msg("expected a wait, got step kind %d: %s", (int)rig->step.kind, rig->step.note);
    rig->now_ms = rig->step.wait_until_ms;
    do_step(rig, (struct acme_step_input){.event = ACME_EVENT_TIMER});
}

void rig_restart(struct rig *rig, enum acme_step_event event)
{
    do_step(rig, (struct acme_step_input){.event = event});
}

void rig_reply_header(struct rig *rig, int status, const char *name, const char *value, const char *body)
{
    struct acme_http_header header = {.name = name, .value = value};
    struct acme_http_reply reply = {.status = status,
                                    .headers = &header,
                                    .header_count = name != NULL ? 1 : 0,
                                    .body = {.data = (const uint8_t *)body, .len = strlen(body)}};
    if (rig->step.kind != ACME_STEP_CALL)
        fail_msg("expected a call, got step kind %d: %s", (int)rig->step.kind, rig->step.note);
    do_step(rig, (struct acme_step_input){.event = ACME_EVENT_REPLY, .reply = &reply});
}

void rig_reply(struct rig *rig, int status, const char *body)
{
    rig_reply_header(rig, status, NULL, NULL, body);
}

void rig_call_failed(struct rig *rig, bool reached)
{
    assert_int_equal(rig->step.kind, ACME_STEP_CALL);
    do_step(rig, (struct acme_step_input){.event = ACME_EVENT_CALL_FAILED,
                                          .failure = reached ? "timed out" : "connection refused",
                                          .reached = reached});
}

const char *rig_format(struct rig *rig, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = format_text(rig->arena, format, args);
    va_end(args);
    return text;
}

const char *rig_pem(struct rig *rig, X509 *cert)
{
    struct acme_bytes pem = pki_pem(rig->arena, &cert, 1);
    char *out = acme_arena_alloc(rig->arena, 2 * pem.len + 1);
    assert_non_null(out);
    size_t used = 0;
    for (size_t i = 0; i < pem.len; i++) {
        if (pem.data[i] == '\n')
            out[used++] = '\\';
        out[used++] = pem.data[i] == '\n' ? 'n' : (char)pem.data[i];
    }
    return out;
}

const char *rig_base64(struct rig *rig, struct acme_bytes data)
{
    char *out = acme_arena_alloc(rig->arena, 4 * ((data.len + 2) / 3) + 1);
    assert_non_null(out);
    (void)EVP_EncodeBlock((unsigned char *)out, data.data, (int)data.len);
    return out;
}

const char *rig_der(struct rig *rig, X509 *cert)
{
    struct acme_bytes der;
    assert_false(acme_failed(acme_cert_der(rig->arena, cert, &der)));
    return rig_base64(rig, der);
}

const char *rig_row(struct rig *rig, int id, X509 *cert, const char *tag)
{
    const char *content = cert != NULL ? rig_format(rig, "\"ContentBytes\":\"%s\",", rig_der(rig, cert)) : "";
    const char *metadata = tag != NULL ? rig_format(rig, "\"AcmeOrder\":\"%s\"", tag) : "";
    return rig_format(rig,
                      "{\"Id\":%d,%s\"Metadata\":{%s},\"ImportDate\":\"2027-01-15T08:00:10\","
                      "\"CertState\":1,\"CertStateString\":\"Active\"}",
                      id, content, metadata);
}

const char *rig_download(struct rig *rig, X509 *leaf)
{
    X509 *certs[] = {rig->pki.root, leaf, rig->pki.intermediate};
    return rig_format(rig, "{\"Content\":\"%s\"}", rig_base64(rig, pki_pkcs7(rig->arena, certs, 3, false)));
}

void rig_expect_call(struct rig *rig, const char *method, const char *path)
{
    if (rig->step.kind != ACME_STEP_CALL)
        fail_msg("expected %s %s, got step kind %d: %s", method, path, (int)rig->step.kind, rig->step.note);
    assert_string_equal(rig->step.call.method, method);
    assert_string_equal(rig->step.call.url, rig_format(rig, RIG_ROOT "/%s", path));
}

void rig_expect_path(struct rig *rig, const char *method, const char *part)
{
    if (rig->step.kind != ACME_STEP_CALL)
        fail_msg("expected %s %s, got step kind %d: %s", method, part, (int)rig->step.kind, rig->step.note);
    assert_string_equal(rig->step.call.method, method);
    if (strstr(rig->step.call.url, part) == NULL)
        fail_msg("%s lacks %s", rig->step.call.url, part);
}

void rig_expect_enroll(struct rig *rig)
{
    rig_expect_call(rig, "POST", "Enrollment/CSR");
    assert_true(rig->step.once);
    assert_string_equal(header_of(&rig->step.call, "X-CertificateFormat"), "PEM");
}

void rig_expect_body(struct rig *rig, const char *part)
{
    assert_int_equal(rig->step.kind, ACME_STEP_CALL);
    if (memmem(rig->step.call.body.data, rig->step.call.body.len, part, strlen(part)) == NULL)
        fail_msg("%.*s lacks %s", (int)rig->step.call.body.len, (const char *)rig->step.call.body.data, part);
}

void rig_expect_wait(struct rig *rig, int64_t seconds, bool failure)
{
    if (rig->step.kind != ACME_STEP_WAIT)
        fail_msg("expected a wait, got step kind %d: %s", (int)rig->step.kind, rig->step.note);
    /* Polls are spread by up to a tenth. */
    int64_t wait_ms = rig->step.wait_until_ms - rig->now_ms;
    int64_t slack_ms = seconds * ACME_SECOND_MS / 10;
    assert_in_range(wait_ms, seconds * ACME_SECOND_MS - slack_ms, seconds * ACME_SECOND_MS + slack_ms);
    assert_int_equal(rig->step.failure, failure);
}

void rig_expect_failed(struct rig *rig, enum acme_problem_type type)
{
    if (rig->step.kind != ACME_STEP_FAILED)
        fail_msg("expected failure, got step kind %d: %s", (int)rig->step.kind, rig->step.note);
    if (rig->step.problem.type != type)
        fail_msg("expected %s, got %s: %s", acme_problem_urn(type), acme_problem_urn(rig->step.problem.type),
                 rig->step.note);
}

void rig_expect_issued(struct rig *rig)
{
    if (rig->step.kind != ACME_STEP_ISSUED)
        fail_msg("expected certificates, got step kind %d: %s", (int)rig->step.kind, rig->step.note);
    struct acme_cert_list chain;
    assert_false(acme_failed(acme_chain_build(&rig->step.certs, rig->csr.spki_sha256, &chain)));
    assert_int_equal(chain.count, 2);
    assert_int_equal(X509_cmp(chain.certs[0], rig->leaf), 0);
    assert_int_equal(X509_cmp(chain.certs[1], rig->pki.intermediate), 0);
}

void rig_expect_note(struct rig *rig, const char *part)
{
    if (strstr(rig->step.note, part) == NULL)
        fail_msg("note \"%s\" lacks \"%s\"", rig->step.note, part);
}

void rig_expect_ref(struct rig *rig, const char *ref)
{
    assert_non_null(rig->step.upstream_ref);
    assert_string_equal(rig->step.upstream_ref, ref);
}

void rig_no_search(struct rig *rig)
{
    while (rig->step.kind == ACME_STEP_CALL && !rig->step.once) {
        assert_string_equal(rig->step.call.method, "GET");
        rig_reply(rig, 200, "[]");
    }
}

void rig_pending(struct rig *rig)
{
    rig_start(rig);
    rig_expect_enroll(rig);
    rig_reply(
        rig, 200,
        "{\"CertificateInformation\":{\"SerialNumber\":null,\"KeyfactorID\":0,\"KeyfactorRequestId\":881,"
        "\"Certificates\":null,\"RequestDisposition\":\"PENDING\","
        "\"DispositionMessage\":\"The request is pending approval.\","
        "\"WorkflowInstanceId\":\"00000000-0000-0000-0000-000000000000\"},\"Metadata\":{}}");
    rig_expect_wait(rig, 3, false);
    rig_expect_ref(rig, "request-881");
    rig_timer(rig);
    rig_expect_call(rig, "GET", "Workflow/Certificates/881");
}

void rig_workflow(struct rig *rig)
{
    rig_start(rig);
    rig_reply(rig, 200,
              "{\"CertificateInformation\":{\"KeyfactorID\":0,\"KeyfactorRequestId\":0,\"Certificates\":[],"
              "\"RequestDisposition\":\"PENDING\",\"WorkflowInstanceId\":\"" RIG_WORKFLOW "\"}}");
    rig_expect_wait(rig, 3, false);
    rig_expect_ref(rig, "workflow-" RIG_WORKFLOW);
    rig_timer(rig);
    rig_expect_call(rig, "GET", "Workflow/Instances/" RIG_WORKFLOW);
}
