#include "cmocka_all.h"

#include "scm_rig.h"
#include "step_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const rig_names[2] = {"www.example.test", "example.test"};

void rig_reconfigure(struct rig *rig)
{
    acme_issuer_destroy(rig->issuer);
    rig->issuer = NULL;
    assert_false(acme_failed(acme_scm_issuer_create("sectigo", &rig->config, &rig->issuer)));
}

static int set_up(void **state, const char *common_name)
{
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    pki_setup(&rig->pki);
    rig->arena = acme_arena_create(64 << 20);
    assert_non_null(rig->arena);
    rig->config = (struct acme_scm_config){.url = "https://scm.example.test",
                                           .customer_uri = "corp",
                                           .login = "acme-api",
                                           .password = RIG_PASSWORD,
                                           .org_id = 8932,
                                           .profile_id = 5153,
                                           .term_days = 199,
                                           .external_requester = "pki@example.test",
                                           .proxy = "http://proxy.example.test:3128"};
    rig_reconfigure(rig);

    const char *why = "";
    struct acme_bytes der = pki_csr_der(rig->arena, common_name, rig_names, 2);
    if (acme_failed(acme_csr_parse(rig->arena, der, &rig->csr, &why)))
        fail_msg("CSR: %s", why);
    for (size_t i = 0; i < sizeof rig->csr.sha256; i++)
        snprintf(&rig->csr_sha256[2 * i], 3, "%02X", rig->csr.sha256[i]);
    rig->leaf = pki_leaf(&rig->pki, rig->csr.key, rig_names, 2);

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
                                               .deadline_ms = RIG_START + 7 * ACME_DAY_MS};
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
    acme_issuer_destroy(rig->issuer);
    acme_arena_destroy(rig->arena);
    pki_teardown(&rig->pki);
    free(rig);
    return 0;
}

static void expect_no_password(const char *text)
{
    if (text != NULL)
        assert_null(strstr(text, RIG_PASSWORD));
}

/* The login's headers, those of the others not. */
static void check_call(const struct rig *rig, const struct acme_http_call *call)
{
    const struct acme_scm_config *config = &rig->config;
    const char *const wanted[][2] = {
        {"login", config->login}, {"password", config->password}, {"customerUri", config->customer_uri}};
    for (size_t i = 0; i < 3; i++) {
        const char *found = NULL;
        for (size_t h = 0; h < call->header_count; h++) {
            if (strcmp(call->headers[h].name, wanted[i][0]) == 0)
                found = call->headers[h].value;
        }
        if (wanted[i][1] == NULL)
            assert_null(found);
        else
            assert_string_equal(found, wanted[i][1]);
    }
    expect_no_password(call->url);
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

    expect_no_password(rig->state);
    check_step(&step, rig->now_ms);
    expect_no_password(step.note);
    expect_no_password(step.problem.detail);
    if (step.kind == ACME_STEP_CALL)
        check_call(rig, &step.call);
    if (step.once)
        rig->enrolls++;
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

void rig_restart(struct rig *rig, enum acme_step_event event)
{
    do_step(rig, (struct acme_step_input){.event = event});
}

static void reply_with(struct rig *rig, struct acme_http_reply reply)
{
    assert_int_equal(rig->step.kind, ACME_STEP_CALL);
    do_step(rig, (struct acme_step_input){.event = ACME_EVENT_REPLY, .reply = &reply});
}

void rig_reply_bytes(struct rig *rig, int status, struct acme_bytes body)
{
    reply_with(rig, (struct acme_http_reply){.status = status, .body = body});
}

void rig_reply(struct rig *rig, int status, const char *body)
{
    rig_reply_bytes(rig, status, (struct acme_bytes){.data = (const uint8_t *)body, .len = strlen(body)});
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

const char *rig_format(struct rig *rig, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = format_text(rig->arena, format, args);
    va_end(args);
    return text;
}

const char *rig_details(struct rig *rig, int64_t ssl_id, const char *status, const char *comments,
                        const char *sha256)
{
    const char *comment_member = comments != NULL ? rig_format(rig, "\"comments\":\"%s\",", comments) : "";
    const char *csr_member =
        sha256 != NULL ? rig_format(rig, "\"csrDetails\":{\"csr\":\"..\",\"sha256Hash\":\"%s\"},", sha256)
                       : "";
    return rig_format(rig,
                      "{\"commonName\":\"www.example.test\",\"sslId\":%" PRId64 ",\"id\":%" PRId64
                      ",\"orgId\":8932,%s%s\"requestedVia\":\"REST API\",\"requested\":\"" RIG_TODAY
                      "\",\"renewed\":false,\"certType\":{\"id\":5153,\"keyTypes\":{\"RSA\":[\"2048\"]}},"
                      "\"status\":\"%s\"}",
                      ssl_id, ssl_id, comment_member, csr_member, status);
}

void rig_expect_call(struct rig *rig, const char *method, const char *path)
{
    if (rig->step.kind != ACME_STEP_CALL)
        fail_msg("expected %s %s, got step kind %d: %s", method, path, (int)rig->step.kind, rig->step.note);
    assert_string_equal(rig->step.call.method, method);
    assert_string_equal(rig->step.call.url, rig_format(rig, "https://scm.example.test%s", path));
}

void rig_expect_enroll(struct rig *rig)
{
    rig_expect_call(rig, "POST", "/api/ssl/v1/enroll");
    assert_true(rig->step.once);
}

void rig_expect_search(struct rig *rig, const char *name_query, bool via_rest, int position)
{
    rig_expect_call(rig, "GET",
                    rig_format(rig, "/api/ssl/v1?%s&orgId=8932%s&size=200&position=%d", name_query,
                               via_rest ? "&requestedVia=REST" : "", position));
    assert_false(rig->step.once);
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
    assert_string_equal(acme_problem_urn(rig->step.problem.type), acme_problem_urn(type));
}

void rig_expect_issued(struct rig *rig, size_t certs)
{
    if (rig->step.kind != ACME_STEP_ISSUED)
        fail_msg("expected certificates, got step kind %d: %s", (int)rig->step.kind, rig->step.note);
    assert_int_equal(rig->step.certs.count, certs);
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

void rig_accepted(struct rig *rig)
{
    rig_start(rig);
    rig_expect_enroll(rig);
    rig_reply(rig, 200, "{\"sslId\":4242,\"renewId\":\"kTestRenewId0000000A\"}");
    rig_expect_wait(rig, 3, false);
    rig_expect_ref(rig, "4242");
    rig_timer(rig);
    rig_expect_call(rig, "GET", "/api/ssl/v1/4242");
}

void rig_collecting(struct rig *rig)
{
    rig_accepted(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Issued", RIG_TAG, NULL));
    rig_expect_call(rig, "GET", "/api/ssl/v1/collect/4242?format=x509");
}
