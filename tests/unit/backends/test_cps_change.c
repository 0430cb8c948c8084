/* What a change asks for on its way: certificates, acknowledgements, proofs. */
#include "cmocka_all.h"

#include "cps_rig.h"

#include <stdio.h>
#include <string.h>

#define INFO          RIG_CHANGE "/input/info/"
#define UPDATE        RIG_CHANGE "/input/update/"
#define POST_WARNINGS "post-verification-warnings-acknowledgement"
#define PRE_WARNINGS  "pre-verification-warnings-acknowledgement"

/* ---- third-party enrollments ---- */

struct edge {
    struct acme_csr csr;
    const char *pem;
    X509 *leaf;
};

static void make_edge(struct rig *rig, const char *const *names, size_t count, struct edge *edge)
{
    struct acme_bytes der = pki_csr_der(rig->arena, names[0], names, count);
    const char *why = "";
    assert_false(acme_failed(acme_csr_parse(rig->arena, der, &edge->csr, &why)));
    edge->pem = rig_csr_pem(rig, der);
    edge->leaf = pki_leaf(&rig->pki, edge->csr.key, names, count);
}

static void child_issued(struct rig *rig, size_t at, const char *label, X509 *leaf)
{
    rig->children[at].label = label;
    rig->children[at].child = (struct acme_delegated){
        .status = ACME_DELEGATED_ISSUED, .certs = {.certs = {rig->pki.intermediate, leaf}, .count = 2}};
}

static void child_is(struct rig *rig, size_t at, const char *label, enum acme_delegated_status status)
{
    rig->children[at].label = label;
    rig->children[at].child = (struct acme_delegated){
        .status = status, .problem = {.type = ACME_PROBLEM_CAA, .detail = "CAA forbids it."}};
}

/* To the question for the CSRs. */
static void wants_certificate(struct rig *rig)
{
    rig_reply(rig, 200,
              rig_change(rig, "awaiting-input", "wait-upload-third-party", "third-party-certificate"));
    rig_expect_call(rig, "GET", INFO "third-party-csr");
}

static void reply_csr(struct rig *rig, const struct edge *edge)
{
    rig_reply(
        rig, 200,
        rig_format(rig, "{\"csrs\":[{\"csr\":%s,\"keyAlgorithm\":\"RSA\"}]}", rig_quote(rig, edge->pem)));
}

static void expect_delegate(struct rig *rig, const char *label, const struct edge *edge)
{
    if (rig->step.kind != ACME_STEP_DELEGATE)
        fail_msg("expected a delegate, got step kind %d: %s", (int)rig->step.kind, rig->step.note);
    assert_string_equal(rig->step.delegate.label, label);
    assert_string_equal(rig->step.delegate.issuer, "sectigo");
    assert_int_equal(rig->step.delegate.csr.len, edge->csr.der.len);
    assert_memory_equal(rig->step.delegate.csr.data, edge->csr.der.data, edge->csr.der.len);
}

static const char *body_of(struct rig *rig)
{
    assert_int_equal(rig->step.kind, ACME_STEP_CALL);
    return acme_arena_strndup(rig->arena, (const char *)rig->step.call.body.data, rig->step.call.body.len);
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
        count++;
    return count;
}

static void third_party(struct rig *rig)
{
    rig->profile.third_party_issuer = "sectigo";
    rig_changing(rig, "third-party");
}

static void test_third_party(void **state)
{
    struct rig *rig = *state;
    struct edge edge;
    make_edge(rig, rig_names, 2, &edge);
    third_party(rig);
    wants_certificate(rig);
    rig_reply(rig, 404, "{\"title\":\"Not Found\"}"); /* not offered yet */
    rig_expect_wait(rig, 30, false);
    rig_timer(rig);
    wants_certificate(rig);
    reply_csr(rig, &edge);
    expect_delegate(rig, "RSA", &edge);
    /* The runner comes back sooner than the certificate. */
    child_is(rig, 0, "RSA", ACME_DELEGATED_PENDING);
    rig_restart(rig, ACME_EVENT_TIMER);
    rig_expect_call(rig, "GET", RIG_CHANGE);
    wants_certificate(rig);
    reply_csr(rig, &edge);
    rig_expect_wait(rig, 600, false);
    rig_expect_note(rig, "Waiting for issuer sectigo to sign the RSA CSR");
    rig_timer(rig); /* nothing is asked at Akamai */
    rig_expect_wait(rig, 600, false);
    child_issued(rig, 0, "RSA", edge.leaf);
    rig_restart(rig, ACME_EVENT_TIMER);
    rig_expect_call(rig, "GET", RIG_CHANGE);
    wants_certificate(rig);
    reply_csr(rig, &edge);
    rig_expect_call(rig, "POST", UPDATE "third-party-cert-and-trust-chain");
    assert_false(rig->step.once);
    const char *body = body_of(rig);
    assert_non_null(
        strstr(body, "{\"certificatesAndTrustChains\":[{\"certificate\":\"-----BEGIN CERTIFICATE-----\\n"));
    assert_non_null(strstr(body, "\"keyAlgorithm\":\"RSA\"}]}"));
    assert_int_equal(count_of(body, "BEGIN CERTIFICATE"), 2);
    assert_null(strstr(body, "\\r"));
    rig_reply(rig, 200, ""); /* empty bodies happen */
    rig_expect_wait(rig, 30, false);
    rig_timer(rig);
    /* CPS still asks, for a moment. */
    rig_reply(rig, 200,
              rig_change(rig, "awaiting-input", "wait-upload-third-party", "third-party-certificate"));
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
    rig_timer(rig);
    rig_reply(rig, 200, rig_change(rig, "running", "verify-third-party-cert", NULL));
    rig_timer(rig);
    rig_reply(rig, 200, rig_change(rig, "Completed", "complete", NULL));
    rig_reply(rig, 200, rig_deployments(rig, edge.leaf));
    rig_expect_issued(rig, edge.leaf);
    assert_int_equal(rig->updates, 1);
    X509_free(edge.leaf);
}

static void test_upload_is_made_again_when_it_was_lost(void **state)
{
    struct rig *rig = *state;
    struct edge edge;
    make_edge(rig, rig_names, 2, &edge);
    third_party(rig);
    child_issued(rig, 0, "RSA", edge.leaf);
    wants_certificate(rig);
    reply_csr(rig, &edge);
    rig_expect_call(rig, "POST", UPDATE "third-party-cert-and-trust-chain");
    rig_call_failed(rig, true);
    rig_expect_wait(rig, 5, true);
    rig_timer(rig);
    rig_expect_call(rig, "GET", RIG_CHANGE);
    wants_certificate(rig);
    reply_csr(rig, &edge);
    rig_expect_call(rig, "POST", UPDATE "third-party-cert-and-trust-chain");
    rig_restart(rig, ACME_EVENT_RECOVER);
    rig_expect_call(rig, "GET", RIG_CHANGE);
    /* Three minutes after it was taken, it is asked for again: it was lost there. */
    wants_certificate(rig);
    reply_csr(rig, &edge);
    rig_reply(rig, 204, "");
    rig->now_ms += 3 * ACME_MINUTE_MS;
    rig_restart(rig, ACME_EVENT_TIMER);
    wants_certificate(rig);
    reply_csr(rig, &edge);
    rig_expect_call(rig, "POST", UPDATE "third-party-cert-and-trust-chain");
    X509_free(edge.leaf);
}

static void test_upload_refused(void **state)
{
    struct rig *rig = *state;
    struct edge edge;
    make_edge(rig, rig_names, 2, &edge);
    third_party(rig);
    child_issued(rig, 0, "RSA", edge.leaf);
    wants_certificate(rig);
    reply_csr(rig, &edge);
    rig_reply(rig, 400, "{\"title\":\"Bad Request\",\"detail\":\"CSR_VS_CERTIFICATE_KEY_MISMATCH\"}");
    rig_expect_call(rig, "DELETE", RIG_CHANGE);
    rig_reply(rig, 200, "");
    rig_expect_failed(rig, ACME_PROBLEM_BAD_CSR);
    rig_expect_detail(rig, "CSR_VS_CERTIFICATE_KEY_MISMATCH");
    X509_free(edge.leaf);
}

static void test_dual_stack(void **state)
{
    struct rig *rig = *state;
    struct edge rsa;
    struct edge ecdsa;
    make_edge(rig, rig_names, 2, &rsa);
    make_edge(rig, rig_names, 2, &ecdsa);
    third_party(rig);
    const char *both =
        rig_format(rig,
                   "{\"csrs\":[{\"csr\":%s,\"keyAlgorithm\":\"rsa\"},{\"csr\":\"damaged\"},{\"csr\":%s,"
                   "\"keyAlgorithm\":\"ECDSA\"}]}",
                   rig_quote(rig, rsa.pem), rig_quote(rig, ecdsa.pem));
    wants_certificate(rig);
    rig_reply(rig, 200, both);
    expect_delegate(rig, "RSA", &rsa);
    child_is(rig, 0, "RSA", ACME_DELEGATED_PENDING);
    rig_restart(rig, ACME_EVENT_TIMER);
    wants_certificate(rig);
    rig_reply(rig, 200, both);
    expect_delegate(rig, "ECDSA", &ecdsa);
    child_is(rig, 1, "ECDSA", ACME_DELEGATED_PENDING);
    rig_restart(rig, ACME_EVENT_TIMER);
    wants_certificate(rig);
    rig_reply(rig, 200, both);
    rig_expect_wait(rig, 600, false);
    assert_non_null(strstr(rig->state, "\"labels\":\"RSA,ECDSA\""));
    child_issued(rig, 0, "RSA", rsa.leaf);
    rig_restart(rig, ACME_EVENT_TIMER);
    rig_expect_wait(rig, 600, false);
    rig_expect_note(rig, "ECDSA");
    child_issued(rig, 1, "ECDSA", ecdsa.leaf);
    rig_restart(rig, ACME_EVENT_TIMER);
    wants_certificate(rig);
    rig_reply(rig, 200, both);
    rig_expect_call(rig, "POST", UPDATE "third-party-cert-and-trust-chain");
    assert_int_equal(count_of(body_of(rig), "keyAlgorithm"), 2);
    assert_int_equal(count_of(body_of(rig), "BEGIN CERTIFICATE"), 4);
    X509_free(rsa.leaf);
    X509_free(ecdsa.leaf);
}

static void test_old_form_of_a_csr(void **state)
{
    struct rig *rig = *state;
    struct edge edge;
    make_edge(rig, rig_names, 2, &edge);
    third_party(rig);
    wants_certificate(rig);
    rig_reply(rig, 200, "{\"csrs\":[{\"csr\":\"-----BEGIN CERTIFICATE REQUEST-----\\nAAAA\\n\"}]}");
    rig_expect_wait(rig, 30, true);
    rig_timer(rig);
    wants_certificate(rig);
    rig_reply(rig, 200, rig_format(rig, "{\"csr\":%s}", rig_quote(rig, edge.pem)));
    expect_delegate(rig, "ECDSA", &edge);
    X509_free(edge.leaf);
}

static void test_the_other_issuer_refuses(void **state)
{
    struct rig *rig = *state;
    struct edge edge;
    make_edge(rig, rig_names, 2, &edge);
    third_party(rig);
    child_is(rig, 0, "RSA", ACME_DELEGATED_FAILED);
    wants_certificate(rig);
    reply_csr(rig, &edge);
    rig_expect_call(rig, "DELETE", RIG_CHANGE); /* else it would block the enrollment */
    rig_reply(rig, 200, "{\"change\":\"/x/10003\"}");
    rig_expect_failed(rig, ACME_PROBLEM_CAA);
    rig_expect_detail(rig, "CAA forbids it.");
    X509_free(edge.leaf);
}

static void test_certificate_for_another_key(void **state)
{
    struct rig *rig = *state;
    struct edge edge;
    make_edge(rig, rig_names, 2, &edge);
    third_party(rig);
    child_issued(rig, 0, "RSA", rig->leaf);
    wants_certificate(rig);
    reply_csr(rig, &edge);
    rig_expect_call(rig, "DELETE", RIG_CHANGE);
    rig_reply(rig, 200, "");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    X509_free(edge.leaf);
}

static void test_csr_for_other_names(void **state)
{
    struct rig *rig = *state;
    struct edge edge;
    make_edge(rig, rig_names, 1, &edge);
    third_party(rig);
    wants_certificate(rig);
    reply_csr(rig, &edge);
    rig_expect_call(rig, "DELETE", RIG_CHANGE);
    rig_reply(rig, 200, "");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "excludeSans");
    X509_free(edge.leaf);
}

static void test_no_issuer_for_third_party(void **state)
{
    struct rig *rig = *state;
    rig_begin(rig, "third-party", RIG_SANS, "[]");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "third_party_issuer");
    assert_int_equal(rig->updates, 0);
}

/* ---- clients that bring CPS's own CSR ---- */

#define PENDING                                                                                              \
    "[{\"location\":\"/cps/v2/enrollments/10002/changes/10003\",\"changeType\":\"new-certificate\"}]"

static void bring(struct rig *rig, const struct edge *edge)
{
    rig->request.key_at_edge = false; /* whatever the profile says by now */
    rig->profile.third_party_issuer = "sectigo";
    rig->request.csr = &edge->csr;
}

static void test_csr_of_cps_is_used_without_an_update(void **state)
{
    struct rig *rig = *state;
    struct edge edge;
    make_edge(rig, rig_names, 2, &edge);
    bring(rig, &edge);
    rig_begin(rig, "third-party", RIG_SANS, PENDING);
    rig_expect_call(rig, "GET", INFO "third-party-csr");
    reply_csr(rig, &edge);
    rig_expect_call(rig, "GET", RIG_CHANGE);
    wants_certificate(rig);
    reply_csr(rig, &edge);
    expect_delegate(rig, "RSA", &edge);
    child_issued(rig, 0, "RSA", edge.leaf);
    rig_restart(rig, ACME_EVENT_TIMER);
    wants_certificate(rig);
    reply_csr(rig, &edge);
    rig_reply(rig, 200, "");
    rig_timer(rig);
    rig_reply(rig, 200, rig_change(rig, "completed", "", NULL));
    rig_reply(rig, 200, rig_deployments(rig, edge.leaf));
    rig_expect_issued(rig, edge.leaf);
    assert_int_equal(rig->updates, 0);
    X509_free(edge.leaf);
}

static void test_csr_of_anybody_else_is_refused(void **state)
{
    struct rig *rig = *state;
    struct edge edge;
    struct edge other;
    make_edge(rig, rig_names, 2, &edge);
    make_edge(rig, rig_names, 2, &other);
    bring(rig, &other);
    rig_begin(rig, "third-party", RIG_SANS, PENDING);
    reply_csr(rig, &edge);
    rig_expect_failed(rig, ACME_PROBLEM_BAD_CSR);
    rig_expect_detail(rig, "makes the private keys of edge certificates itself");
    rig->state = "{}";
    rig_begin(rig, "third-party", RIG_SANS, PENDING);
    rig_reply(rig, 404, "");
    rig_expect_failed(rig, ACME_PROBLEM_BAD_CSR);
    rig->state = "{}";
    rig_begin(rig, "third-party", RIG_SANS, "[]");
    rig_expect_failed(rig, ACME_PROBLEM_BAD_CSR);
    rig->state = "{}";
    rig_begin(rig, "dv", RIG_SANS, PENDING);
    rig_expect_failed(rig, ACME_PROBLEM_BAD_CSR);
    assert_int_equal(rig->updates, 0);
    X509_free(edge.leaf);
    X509_free(other.leaf);
}

static void test_a_client_s_change_is_never_cancelled(void **state)
{
    struct rig *rig = *state;
    struct edge edge;
    make_edge(rig, rig_names, 2, &edge);
    bring(rig, &edge);
    rig_begin(rig, "third-party", RIG_SANS, PENDING);
    reply_csr(rig, &edge);
    rig->request.withdraw = true;
    rig_reply(rig, 200,
              rig_change(rig, "awaiting-input", "wait-upload-third-party", "third-party-certificate"));
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "goes on at Akamai");
    X509_free(edge.leaf);
}

/* ---- warnings ---- */

static const char *const listed[] = {"SNI_DNS_OVERLAP*", "The  trust chain is *incomplete*",
                                     "CERT, with commas"};

static void allow(struct rig *rig)
{
    rig->profile.policy.warnings = listed;
    rig->profile.policy.warning_count = 3;
}

static void test_listed_warnings_pass(void **state)
{
    struct rig *rig = *state;
    allow(rig);
    rig_changing(rig, "ov");
    rig_reply(rig, 200, rig_change(rig, "awaiting-input", "wait-review-cert-warning", POST_WARNINGS));
    rig_expect_call(rig, "GET", INFO "post-verification-warnings");
    rig_reply(rig, 200,
              "{\"warnings\":\"sni_dns_overlap [x]\\n\\nthe trust chain\\tis somehow incomplete!\"}");
    rig_expect_call(rig, "POST", UPDATE "post-verification-warnings-ack");
    rig_expect_body(rig, "{\"acknowledgement\":\"acknowledge\"}");
    rig_reply(rig, 202, "{\"change\":\"/cps/v2/enrollments/10002/changes/10003\"}");
    rig_expect_wait(rig, 30, false);
    rig_timer(rig);
    /* An acknowledgement that comes too late is looked up in the change. */
    rig_reply(rig, 200, rig_change(rig, "awaiting-input", "x", PRE_WARNINGS));
    rig_expect_call(rig, "GET", INFO "pre-verification-warnings");
    rig_reply(rig, 200, "{\"warnings\":\"SNI_DNS_OVERLAP, CERT, with commas\"}");
    rig_expect_call(rig, "POST", UPDATE "pre-verification-warnings-ack");
    rig_reply(rig, 409, "{\"type\":\"x/invalid-enrollment-state\"}");
    rig_expect_wait(rig, 5, true);
    rig_timer(rig);
    rig_expect_call(rig, "GET", RIG_CHANGE);
}

static void test_other_warnings_are_asked_about(void **state)
{
    struct rig *rig = *state;
    allow(rig);
    rig_changing(rig, "ov");
    const char *change = rig_change(rig, "awaiting-input", "wait-review-cert-warning", POST_WARNINGS);
    const char *warnings = "{\"warnings\":\"SNI_DNS_OVERLAP\\nCERTIFICATE_EXPIRED\"}";
    rig_reply(rig, 200, change);
    rig_reply(rig, 200, warnings);
    rig_expect_wait(rig, 300, false);
    const struct acme_question *question = rig->step.question;
    assert_non_null(question);
    assert_non_null(strstr(question->details, "- SNI_DNS_OVERLAP\n* CERTIFICATE_EXPIRED\n"));
    assert_int_equal(question->deadline_ms, 0);
    const char *key = acme_arena_strdup(rig->arena, question->key);
    /* Asked again, it is the same question; an answer to another one does not count. */
    rig_timer(rig);
    rig_reply(rig, 200, change);
    rig_reply(rig, 200, warnings);
    assert_string_equal(rig->step.question->key, key);
    rig_answer(rig, ACME_DECISION_ACKNOWLEDGE, "something else");
    rig_reply(rig, 200, change);
    rig_reply(rig, 200, warnings);
    assert_non_null(rig->step.question);
    rig_answer(rig, ACME_DECISION_ACKNOWLEDGE, key);
    rig_expect_call(rig, "GET", RIG_CHANGE);
    rig_reply(rig, 200, change);
    rig_reply(rig, 200, "{\"warnings\":\"SNI_DNS_OVERLAP\\nCERTIFICATE_EXPIRED\\nOne more\"}");
    assert_non_null(rig->step.question); /* not what was answered to */
    assert_string_not_equal(rig->step.question->key, key);
    rig_answer(rig, ACME_DECISION_ACKNOWLEDGE, key);
    rig_reply(rig, 200, change);
    rig_reply(rig, 200, warnings);
    rig_expect_call(rig, "POST", UPDATE "post-verification-warnings-ack");
    rig_expect_body(rig, "{\"acknowledgement\":\"acknowledge\"}");
}

static void test_a_star_ends_with_its_warning(void **state)
{
    struct rig *rig = *state;
    static const char *const removed[] = {"SAN name [*] removed from certificate is still live*"};
    static const char *const texts[] = {
        "[SAN name [a.example.test] removed from certificate is still live., The certificate has expired.]",
        "[SAN name [x] is on another enrollment., SAN name [b] removed from certificate is still live.]",
        "SAN name [a] removed from certificate is still live., The certificate has expired."};
    rig->profile.policy.warnings = removed;
    rig->profile.policy.warning_count = 1;
    rig_changing(rig, "ov");
    for (size_t i = 0; i < 3; i++) {
        rig_reply(rig, 200, rig_change(rig, "awaiting-input", "", POST_WARNINGS));
        rig_reply(rig, 200, rig_format(rig, "{\"warnings\":\"%s\"}", texts[i]));
        assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
        assert_non_null(rig->step.question);
        rig_timer(rig);
    }
    rig_reply(rig, 200, rig_change(rig, "awaiting-input", "", POST_WARNINGS));
    rig_reply(
        rig, 200,
        "{\"warnings\":\"[SAN name [a] removed from certificate is still live on the network., SAN name "
        "[b] removed from certificate is still live on the network.]\"}");
    rig_expect_call(rig, "POST", UPDATE "post-verification-warnings-ack");
}

static void test_an_answer_survives_a_restart(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "ov");
    const char *change = rig_change(rig, "awaiting-input", "", POST_WARNINGS);
    rig_reply(rig, 200, change);
    rig_reply(rig, 200, "{\"warnings\":\"w\"}");
    rig_answer(rig, ACME_DECISION_DENY, acme_arena_strdup(rig->arena, rig->step.question->key));
    rig_call_failed(rig, true);
    rig_expect_wait(rig, 5, true);
    rig_timer(rig);
    rig_reply(rig, 200, change);
    rig_reply(rig, 200, "{\"warnings\":\"w\"}");
    rig_expect_call(rig, "POST", UPDATE "post-verification-warnings-ack");
    rig_expect_body(rig, "{\"acknowledgement\":\"deny\"}");
    rig_reply(rig, 200, "");
    rig_expect_wait(rig, 30, false);
    rig_timer(rig);
    rig_reply(rig, 200, rig_change(rig, "cancelled", "", NULL));
    rig_expect_failed(rig, ACME_PROBLEM_UNAUTHORIZED);
    rig_expect_note(rig, "Change 10003 was denied");
}

static void test_warnings_without_a_text_are_asked_about(void **state)
{
    struct rig *rig = *state;
    static const char *const bodies[] = {"{}", "{\"warnings\":null}", "{\"warnings\":\" \\n\"}"};
    static const char *const everything[] = {"*"};
    rig->profile.policy.warnings = everything;
    rig->profile.policy.warning_count = 1;
    rig_changing(rig, "ov");
    for (size_t i = 0; i < 3; i++) {
        rig_reply(rig, 200, rig_change(rig, "awaiting-input", "", PRE_WARNINGS));
        rig_reply(rig, 200, bodies[i]);
        assert_non_null(rig->step.question);
        rig_timer(rig);
    }
    rig_reply(rig, 200, rig_change(rig, "awaiting-input", "", PRE_WARNINGS));
    rig_reply(rig, 200, "[");
    rig_expect_wait(rig, 30, true);
}

/* ---- change management ---- */

#define HASH "da39a3ee5e6b4b0d3255bfef95601890afd80709"

static const char *management(struct rig *rig, const char *deadline, const char *certificates,
                              const char *result, const char *hash)
{
    return rig_format(rig,
                      "{\"acknowledgementDeadline\":%s,\"pendingState\":{%s,\"pendingNetworkConfiguration\":{"
                      "\"disallowedTlsVersions\":[\"TLSv1_2\"],\"sniOnly\":\"false\",\"networkType\":null}},"
                      "\"validationResult\":%s,\"validationResultHash\":%s}",
                      deadline, certificates, result, hash);
}

static const char *leaf_text(struct rig *rig)
{
    struct acme_bytes pem = pki_pem(rig->arena, &rig->leaf, 1);
    return rig_quote(rig, acme_arena_strndup(rig->arena, (const char *)pem.data, pem.len));
}

static void at_the_gate(struct rig *rig)
{
    rig_reply(rig, 200, rig_change(rig, "awaiting-input", "wait-ack-change-management", "change-management"));
    rig_expect_call(rig, "GET", INFO "change-management-info");
}

static void test_deployment_by_itself(void **state)
{
    struct rig *rig = *state;
    rig->profile.policy.acknowledge_auto = true;
    allow(rig);
    rig_changing(rig, "ov");
    at_the_gate(rig);
    rig_reply(
        rig, 200,
        management(rig, "null", "\"pendingCertificates\":[]",
                   "{\"errors\":null,\"warnings\":[{\"message\":\"[CERT, with commas, SNI_DNS_OVERLAP 2]\","
                   "\"messageCode\":\"no-code\"},{\"message\":\"?\",\"messageCode\":\"SNI_DNS_OVERLAP\"}]}",
                   "\"" HASH "\""));
    rig_expect_call(rig, "POST", UPDATE "change-management-ack");
    rig_expect_body(rig, "{\"acknowledgement\":\"acknowledge\",\"hash\":\"" HASH "\"}");
    bool typed = false;
    for (size_t i = 0; i < rig->step.call.header_count; i++)
        typed = typed || strcmp(rig->step.call.headers[i].value,
                                "application/vnd.akamai.cps.acknowledgement-with-hash.v1+json") == 0;
    assert_true(typed);
    rig_reply(rig, 400, "{\"detail\":\"wrong hash\"}"); /* the state has changed: read anew */
    rig_expect_wait(rig, 5, true);
    rig_timer(rig);
    at_the_gate(rig);
    rig_reply(rig, 200, management(rig, "null", "\"pendingCertificates\":null", "null", "null"));
    rig_expect_body(rig, "{\"acknowledgement\":\"acknowledge\"}"); /* versions without a hash */
}

static void test_deployment_on_a_word(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "ov");
    at_the_gate(rig);
    const char *v5 = rig_format(
        rig, "\"pendingCertificates\":[{\"fullCertificate\":%s,\"keyAlgorithm\":\"ECDSA\"}]", leaf_text(rig));
    const char *first = management(rig, "\"2027-01-16T00:00:00Z\"", v5, "null", "\"" HASH "\"");
    rig_reply(rig, 200, first);
    const struct acme_question *question = rig->step.question;
    assert_non_null(question);
    assert_int_equal(question->deadline_ms, INT64_C(1800057600000));
    assert_non_null(strstr(question->text, "by itself at 2027-01-16T00:00:00Z"));
    assert_non_null(strstr(question->details, "certificate ECDSA, serial "));
    assert_non_null(strstr(question->details, "for www.example.test example.test"));
    assert_non_null(strstr(question->details, "- disallowedTlsVersions: [\"TLSv1_2\"]\n- sniOnly: false\n"));
    const char *key = acme_arena_strdup(rig->arena, question->key);
    rig_answer(rig, ACME_DECISION_ACKNOWLEDGE, key);
    at_the_gate(rig);
    /* Another hash is another state, whatever else is the same. */
    rig_reply(rig, 200, management(rig, "\"2027-01-16T00:00:00Z\"", v5, "null", "\"0123\""));
    assert_non_null(rig->step.question);
    rig_answer(rig, ACME_DECISION_ACKNOWLEDGE, acme_arena_strdup(rig->arena, rig->step.question->key));
    at_the_gate(rig);
    rig_reply(rig, 200, management(rig, "\"2027-01-16T00:00:00Z\"", v5, "null", "\"0123\""));
    rig_expect_body(rig, "{\"acknowledgement\":\"acknowledge\",\"hash\":\"0123\"}");
}

static void test_deadline_of_the_acknowledgement(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "ov");
    at_the_gate(rig);
    rig_reply(rig, 200, management(rig, "\"2027-01-15T08:02:00Z\"", "\"x\":1", "null", "\"h\""));
    assert_non_null(rig->step.question);
    rig_timer(rig); /* nobody answered: CPS goes on */
    rig_reply(rig, 200, rig_change(rig, "running", "deploying", NULL));
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
    assert_null(rig->step.question);
    rig_timer(rig);
    rig_reply(rig, 404, "{}");
    rig_expect_call(rig, "GET", "/enrollments/10002/deployments");
    rig_reply(rig, 200, rig_deployments(rig, rig->leaf));
    rig_expect_issued(rig, rig->leaf);
}

static void test_denied(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "ov");
    at_the_gate(rig);
    const char *info = management(rig, "null", "\"x\":1", "null", "\"h\"");
    rig_reply(rig, 200, info);
    rig_answer(rig, ACME_DECISION_DENY, acme_arena_strdup(rig->arena, rig->step.question->key));
    at_the_gate(rig);
    rig_reply(rig, 200, info);
    rig_expect_body(rig, "{\"acknowledgement\":\"deny\",\"hash\":\"h\"}");
    rig_reply(rig, 200, "");
    rig_timer(rig);
    rig_reply(rig, 404, "");
    rig_expect_failed(rig, ACME_PROBLEM_UNAUTHORIZED);
}

/* CPS went on by itself before it heard of the refusal. */
static void test_denied_too_late(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "ov");
    at_the_gate(rig);
    const char *info = management(rig, "\"2027-01-15T08:02:00Z\"", "\"x\":1", "null", "\"h\"");
    rig_reply(rig, 200, info);
    rig_answer(rig, ACME_DECISION_DENY, acme_arena_strdup(rig->arena, rig->step.question->key));
    at_the_gate(rig);
    rig_reply(rig, 200, info);
    rig_expect_body(rig, "{\"acknowledgement\":\"deny\",\"hash\":\"h\"}");
    rig_reply(rig, 409, "");
    rig_timer(rig);
    rig_reply(rig, 404, "");
    rig_expect_call(rig, "GET", "/enrollments/10002/deployments");
    rig_reply(rig, 200, rig_deployments(rig, rig->leaf));
    rig_expect_issued(rig, rig->leaf);
}

static void test_denied_with_a_lost_answer(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "ov");
    at_the_gate(rig);
    const char *info = management(rig, "null", "\"x\":1", "null", "\"h\"");
    rig_reply(rig, 200, info);
    rig_answer(rig, ACME_DECISION_DENY, acme_arena_strdup(rig->arena, rig->step.question->key));
    at_the_gate(rig);
    rig_reply(rig, 200, info);
    rig_call_failed(rig, true);
    rig_timer(rig);
    rig_reply(rig, 200, rig_change(rig, "cancelled", "", NULL));
    rig_expect_failed(rig, ACME_PROBLEM_UNAUTHORIZED);
}

static void test_errors_block(void **state)
{
    struct rig *rig = *state;
    rig->profile.policy.acknowledge_auto = true;
    rig_changing(rig, "ov");
    at_the_gate(rig);
    rig_reply(rig, 200,
              management(rig, "null", "\"x\":1",
                         "{\"errors\":[{\"message\":\"Cipher gone\",\"messageCode\":\"E\"}]}", "\"h\""));
    rig_expect_wait(rig, 300, false);
    assert_null(rig->step.question);
    rig_expect_note(rig, "1 error in change 10003");
    rig_expect_note(rig, "Cipher gone (E)");
}

/* Long lists are shown as far as there is room: the change must not stand still because of them. */
static void test_long_details_are_shortened(void **state)
{
    enum { MANY = 50, ROOM = 1 << 20 };
    struct rig *rig = *state;
    const char *names[MANY];
    for (size_t i = 0; i < MANY; i++)
        names[i] = rig_format(rig, "a-name-of-which-there-are-a-lot-%03zu.subdomain.example.test", i);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *leaf = pki_leaf(&rig->pki, key, names, MANY);
    EVP_PKEY_free(key);
    struct acme_bytes pem = pki_pem(rig->arena, &leaf, 1);
    X509_free(leaf);
    const char *one = rig_quote(rig, acme_arena_strndup(rig->arena, (const char *)pem.data, pem.len));
    char *body = acme_arena_alloc(rig->arena, ROOM);
    assert_non_null(body);
    size_t len = (size_t)snprintf(body, ROOM, "{\"pendingState\":{\"pendingCertificates\":[");
    for (int i = 0; i < 10; i++)
        len += (size_t)snprintf(body + len, ROOM - len, "%s{\"fullCertificate\":%s}", i > 0 ? "," : "", one);
    len += (size_t)snprintf(body + len, ROOM - len, "]},\"validationResult\":{\"warnings\":[");
    for (int i = 0; i < 1000; i++)
        len += (size_t)snprintf(body + len, ROOM - len,
                                "%s{\"message\":\"warning %d of a long list of warnings\"}", i > 0 ? "," : "",
                                i);
    (void)snprintf(body + len, ROOM - len, "]},\"validationResultHash\":\"h\"}");
    rig_changing(rig, "ov");
    at_the_gate(rig);
    rig_reply(rig, 200, body);
    assert_non_null(rig->step.question);
    assert_non_null(strstr(rig->step.question->details, "warning 99 of"));
    assert_non_null(strstr(rig->step.question->details, " lines more\n"));
    rig_timer(rig);
    at_the_gate(rig);
    rig_reply(
        rig, 200,
        rig_format(rig, "{\"pendingState\":{\"pendingCertificates\":[{\"fullCertificate\":%s}]}}", one));
    assert_non_null(strstr(rig->step.question->details, "-000.subdomain.example.test"));
    assert_non_null(strstr(rig->step.question->details, " more\n"));
}

static void test_an_answer_is_for_the_whole_of_a_warning(void **state)
{
    enum { LENGTH = 400 };
    struct rig *rig = *state;
    char text[LENGTH + 2];
    memset(text, 'w', LENGTH);
    text[LENGTH + 1] = '\0';
    const char *keys[2];
    rig_changing(rig, "ov");
    for (size_t i = 0; i < 2; i++) {
        text[LENGTH] = (char)('a' + i);
        rig_reply(rig, 200, rig_change(rig, "awaiting-input", "", POST_WARNINGS));
        rig_reply(rig, 200, rig_format(rig, "{\"warnings\":\"%s\"}", text));
        assert_non_null(rig->step.question);
        keys[i] = acme_arena_strdup(rig->arena, rig->step.question->key);
        rig_timer(rig);
    }
    assert_string_not_equal(keys[0], keys[1]);
}

static void test_a_judgement_that_cannot_be_read_is_asked_about(void **state)
{
    struct rig *rig = *state;
    static const char *const results[] = {"\"2 errors\"", "[{\"errors\":[{\"message\":\"x\"}]}]", "true"};
    rig->profile.policy.acknowledge_auto = true;
    rig_changing(rig, "ov");
    for (size_t i = 0; i < 3; i++) {
        at_the_gate(rig);
        rig_reply(rig, 200, management(rig, "null", "\"x\":1", results[i], "\"h\""));
        assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
        assert_non_null(rig->step.question);
        rig_timer(rig);
    }
}

static void test_older_versions(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "ov");
    at_the_gate(rig);
    rig_reply(
        rig, 200,
        rig_format(rig,
                   "{\"pendingState\":{\"pendingCertificate\":{\"fullCertificate\":%s},"
                   "\"pendingNetworkConfiguration\":{\"sni\":{\"dnsNames\":[\"a\"]}}},\"validationResult\":{"
                   "\"warnings\":\"One text\"},\"validationResultHash\":\"h\"}",
                   leaf_text(rig)));
    assert_non_null(rig->step.question);
    assert_non_null(strstr(rig->step.question->details, "* One text\n"));
    assert_non_null(strstr(rig->step.question->details, "- certificate, serial "));
    assert_non_null(strstr(rig->step.question->details, "- sni: {\"dnsNames\":[\"a\"]}\n"));
    assert_non_null(strstr(rig->step.question->text, "with warnings"));
}

/* ---- domain validation ---- */

static void test_challenges_are_shown(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "dv");
    rig_reply(rig, 200,
              rig_change(rig, "awaiting-input", "coodinate-domain-validation", "lets-encrypt-challenges"));
    rig_expect_call(rig, "GET", INFO "lets-encrypt-challenges");
    rig_reply(
        rig, 200,
        "{\"dv\":[{\"domain\":\"www.example.test\",\"status\":\"Awaiting "
        "user\",\"validationStatus\":\"RESPONSE_"
        "ERROR\",\"challenges\":[{\"type\":\"http-01\",\"responseBody\":\"tok1.thumb\",\"fullPath\":\"http://"
        "www.example.test/.well-known/acme-challenge/"
        "tok1\"},{\"type\":\"dns-01\",\"responseBody\":\"TXTVALUE\","
        "\"fullPath\":\"_acme-challenge.www.example.test.\"},{\"type\":\"new-01\"}]},{\"domain\":\"example."
        "test\","
        "\"status\":\"VALID\"}]}");
    rig_expect_wait(rig, 60, false);
    rig_expect_note(rig, "www.example.test (Awaiting user) at "
                         "http://www.example.test/.well-known/acme-challenge/tok1 or TXT "
                         "_acme-challenge.www.example.test.");
    assert_non_null(
        strstr(rig->state,
               "\"dv\":[{\"domain\":\"www.example.test\",\"status\":\"Awaiting user\",\"error\":\"RESPONSE_"
               "ERROR\",\"http\":{\"url\":\"http://www.example.test/.well-known/acme-challenge/tok1\","
               "\"body\":\"tok1.thumb\"},\"dns\":{\"name\":\"_acme-challenge.www.example.test.\",\"value\":"
               "\"TXTVALUE\"}}"));
    rig_timer(rig);
    rig_reply(rig, 200, rig_change(rig, "running", "coodinate-domain-validation", NULL));
    assert_null(strstr(rig->state, "\"dv\""));
}

/* ---- its ends, and oddities ---- */

static void test_endings(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "ov");
    rig_reply(rig, 200, rig_change(rig, "CANCELLED", "", NULL));
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_detail(rig, "cancelled at Akamai");

    static const struct {
        const char *text;
        enum acme_problem_type type;
    } errors[] = {
        {"DNS problem: NXDOMAIN looking up TXT", ACME_PROBLEM_DNS},
        {"Connection refused by www.example.test", ACME_PROBLEM_CONNECTION},
        {"Domain validation expired", ACME_PROBLEM_UNAUTHORIZED},
        {"CSR_VS_CERTIFICATE_KEY_MISMATCH", ACME_PROBLEM_BAD_CSR},
        {"Something broke", ACME_PROBLEM_SERVER_INTERNAL},
    };
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        rig->state = "{}";
        rig->now_ms = RIG_START;
        rig_changing(rig, "ov");
        rig_reply(rig, 200,
                  rig_format(rig,
                             "{\"allowedInput\":null,\"statusInfo\":{\"state\":\"error\",\"error\":{"
                             "\"description\":\"%s\"}}}",
                             errors[i].text));
        rig_expect_call(rig, "DELETE", RIG_CHANGE);
        rig_reply(rig, 200, "");
        rig_expect_failed(rig, errors[i].type);
        rig_expect_detail(rig, errors[i].text);
    }
}

static void test_unknown_input_and_states(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "ov");
    rig_reply(rig, 200, rig_change(rig, "awaiting-input", "wait-x", "letter-of-authority"));
    rig_expect_wait(rig, 300, false);
    rig_expect_note(rig, "Akamai Control Center can give: letter-of-authority");
    rig_timer(rig);
    rig_reply(rig, 200,
              rig_change(rig, "awaiting-input", "wait-upload-third-party", NULL)); /* a race of theirs */
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
    rig_timer(rig);
    rig_reply(rig, 200, "{}");
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
    rig_timer(rig);
    rig_reply(rig, 200, "nonsense");
    rig_expect_wait(rig, 5, true);
    rig_timer(rig);
    /* Known by its path, with a flag in quotes. */
    rig_reply(
        rig, 200,
        "{\"allowedInput\":[{\"type\":\"novel\",\"requiredToProceed\":\"true\",\"info\":\"/cps-api/"
        "enrollments/1/"
        "changes/2/input/info/change-management-info\"}],\"statusInfo\":{\"state\":\"awaiting-input\"}}");
    rig_expect_call(rig, "GET", INFO "change-management-info");
}

static void test_polls_slow_down(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "ov");
    int64_t last_ms = 0;
    for (int i = 0; i < 80; i++) {
        rig_reply(rig, 200, rig_change(rig, "running", "deploying", NULL));
        int64_t pause_ms = rig->step.wait_until_ms - rig->now_ms;
        assert_true(pause_ms >= last_ms);
        last_ms = pause_ms;
        rig_timer(rig);
    }
    assert_int_equal(last_ms, 300 * 1000);
}

static void test_what_is_never_offered_is_asked_for_rarely(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "ov");
    for (int i = 0; i < 200; i++) {
        rig_reply(rig, 200, rig_change(rig, "awaiting-input", "", PRE_WARNINGS));
        rig_reply(rig, 404, "");
        assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
        rig_timer(rig);
    }
    assert_true(rig->now_ms - RIG_START > 8 * ACME_HOUR_MS);
}

static void test_vanished_and_cancelled(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "ov");
    rig_reply(rig, 404, "");
    rig_reply(rig, 200, rig_deployments(rig, rig->old));
    while (rig->step.kind == ACME_STEP_WAIT) {
        rig_timer(rig);
        rig_expect_call(rig, "GET", "/enrollments/10002/deployments");
        rig_reply(rig, 200, rig_deployments(rig, rig->old));
    }
    rig_expect_call(rig, "GET", "/enrollments/10002/history/changes");
    rig_reply(rig, 200, "{\"changes\":[{\"status\":\"completed\",\"createdOn\":\"2027-01-15T08:00:01Z\"}]}");
    rig_expect_wait(rig, 300, false);
    rig_timer(rig);
    rig_reply(rig, 200, rig_deployments(rig, rig->old));
    rig_reply(rig, 200, "{\"changes\":[{\"status\":\"cancelled\",\"createdOn\":\"2027-01-15T08:00:01Z\"}]}");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
}

static void test_a_change_that_was_only_mislaid_is_followed_again(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "ov");
    rig_reply(rig, 404, "");
    rig_reply(rig, 200, rig_deployments(rig, rig->old));
    while (rig->step.kind == ACME_STEP_WAIT) {
        rig_timer(rig);
        rig_reply(rig, 200, rig_deployments(rig, rig->old));
    }
    rig_expect_call(rig, "GET", "/enrollments/10002/history/changes");
    rig_reply(rig, 200, "{\"changes\":[{\"status\":\"incomplete\",\"createdOn\":\"2027-01-15T08:00:01Z\"}]}");
    rig_expect_wait(rig, 300, false);
    rig_timer(rig);
    rig_expect_call(rig, "GET", RIG_CHANGE);
    rig_reply(rig, 200, rig_change(rig, "awaiting-input", "", PRE_WARNINGS));
    rig_expect_call(rig, "GET", INFO "pre-verification-warnings");
}

/* Others wait for the enrollment. */
static void test_a_certificate_that_never_comes_is_given_up(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "ov");
    rig_reply(rig, 200, rig_change(rig, "completed", "", NULL));
    for (int looks = 0; looks < 1000 && rig->step.kind != ACME_STEP_FAILED; looks++) {
        if (rig->step.kind == ACME_STEP_WAIT)
            rig_timer(rig);
        else if (strstr(rig->step.call.url, "history") != NULL)
            rig_reply(rig, 200,
                      "{\"changes\":[{\"status\":\"completed\",\"createdOn\":\"2027-01-15T08:00:01Z\"}]}");
        else
            rig_reply(rig, 200, rig_deployments(rig, rig->old));
    }
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "no new certificate for exactly the order's names");
    assert_true(rig->now_ms - RIG_START < 25 * ACME_HOUR_MS);
}

static void test_certificate_of_other_names_is_not_taken(void **state)
{
    struct rig *rig = *state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *other = pki_leaf(&rig->pki, key, rig_names, 1);
    EVP_PKEY_free(key);
    rig_changing(rig, "ov");
    rig_reply(rig, 200, rig_change(rig, "completed", "", NULL));
    rig_reply(rig, 200, rig_deployments(rig, other));
    rig_expect_wait(rig, 30, false);
    X509_free(other);
}

/* ---- patterns ---- */

static void test_glob(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *text;
        bool fits;
    } cases[] = {
        {"a", "a", true},
        {"a", "A", true},
        {"a", "ab", false},
        {"a*", "ab", true},
        {"*b", "aab", true},
        {"*b", "aba", false},
        {"a*c*e", "abcde", true},
        {"a*c*e", "abcd", false},
        {"x  y", "x\ty", true},
        {"x y", "x \n y", true},
        {"x y", "xy", false},
        {"*", "", true},
        {"", "", true},
        {"", "a", false},
        {"a*b*", "ab", true},
        {"*ab", "aaab", true},
        /* With commas and line ends CPS separates its warnings: a star is within one of them. */
        {"a*", "a, b", false},
        {"*b", "a, b", false},
        {"*", "a, b", false},
        {"a*, *b", "a1, 2b", true},
        {"a*", "a\nb", false},
        {"*b", "a \r\n b", false},
        {"a*b,c", "ab,b,c", false},
        {"*,b", "aa,b", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (acme_cps_glob(cases[i].pattern, cases[i].text, strlen(cases[i].text)) != cases[i].fits)
            fail_msg("'%s' and '%s'", cases[i].pattern, cases[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
        TEST(test_third_party),
        TEST(test_upload_is_made_again_when_it_was_lost),
        TEST(test_upload_refused),
        TEST(test_dual_stack),
        TEST(test_old_form_of_a_csr),
        TEST(test_the_other_issuer_refuses),
        TEST(test_certificate_for_another_key),
        TEST(test_csr_for_other_names),
        TEST(test_no_issuer_for_third_party),
        TEST(test_csr_of_cps_is_used_without_an_update),
        TEST(test_csr_of_anybody_else_is_refused),
        TEST(test_a_client_s_change_is_never_cancelled),
        TEST(test_listed_warnings_pass),
        TEST(test_other_warnings_are_asked_about),
        TEST(test_a_star_ends_with_its_warning),
        TEST(test_an_answer_survives_a_restart),
        TEST(test_warnings_without_a_text_are_asked_about),
        TEST(test_deployment_by_itself),
        TEST(test_deployment_on_a_word),
        TEST(test_deadline_of_the_acknowledgement),
        TEST(test_denied),
        TEST(test_denied_too_late),
        TEST(test_denied_with_a_lost_answer),
        TEST(test_errors_block),
        TEST(test_long_details_are_shortened),
        TEST(test_an_answer_is_for_the_whole_of_a_warning),
        TEST(test_a_judgement_that_cannot_be_read_is_asked_about),
        TEST(test_older_versions),
        TEST(test_challenges_are_shown),
        TEST(test_endings),
        TEST(test_unknown_input_and_states),
        TEST(test_polls_slow_down),
        TEST(test_what_is_never_offered_is_asked_for_rarely),
        TEST(test_vanished_and_cancelled),
        TEST(test_a_change_that_was_only_mislaid_is_followed_again),
        TEST(test_a_certificate_that_never_comes_is_given_up),
        TEST(test_certificate_of_other_names_is_not_taken),
        TEST(test_glob),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
