/* "order explain": from finalize to the certificate's end. */
#include "server/admin_explain.h"

#include "certs/csr.h"
#include "certs/ossl.h"

#include <openssl/core_names.h>
#include <openssl/x509.h>
#include <string.h>
#include <strings.h>

enum { GROUP_SIZE = 64 };

/* "RSA of 2048 bits", "EC P-256", "ED25519". */
static const char *key_words(struct explain *explain, const struct acme_csr *csr)
{
    const unsigned char *der = csr->spki.data;
    OSSL_CLEANUP(EVP_PKEY) EVP_PKEY *key = d2i_PUBKEY(NULL, &der, (long)csr->spki.len);
    if (key == NULL)
        return "of an unknown kind";
    char group[GROUP_SIZE];
    const char *type = EVP_PKEY_get0_type_name(key);
    if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, NULL) == 1 &&
        EVP_PKEY_is_a(key, "EC"))
        return acme_explain_text(explain, "EC %s",
                                 strcmp(group, "prime256v1") == 0  ? "P-256"
                                 : strcmp(group, "secp384r1") == 0 ? "P-384"
                                 : strcmp(group, "secp521r1") == 0 ? "P-521"
                                                                   : group);
    if (EVP_PKEY_is_a(key, "RSA"))
        return acme_explain_text(explain, "RSA of %d bits", EVP_PKEY_get_bits(key));
    return acme_explain_text(explain, "%s", type == NULL ? "of an unknown kind" : type);
}

static bool keeps_key(const struct explain *explain)
{
    return strcmp(explain->issuance->spki_sha256, ACME_KEY_AT_EDGE) == 0;
}

static void explain_finalize(struct explain *explain)
{
    const struct acme_order *order = &explain->order;
    const struct acme_issuance *issuance = explain->issuance;
    struct acme_csr csr;
    const char *key = "of an unknown kind";
    if (!acme_failed(acme_csr_reread(explain->arena, issuance->csr, &csr)))
        key = key_words(explain, &csr);
    acme_explain_add(explain, order->finalized_ms,
                     "the client finalized: key %s, CSR with the SHA-256 %.16s...", key,
                     order->csr_sha256 == NULL ? "?" : order->csr_sha256);
    if (keeps_key(explain))
        acme_explain_add(explain, order->finalized_ms,
                         "the profile keeps the key at the edge (key_holder): the certificate does not carry "
                         "the CSR's key");
}

/* Which of three ways finalize took. */
static void explain_way(struct explain *explain)
{
    const struct acme_order *order = &explain->order;
    const struct acme_issuance *issuance = explain->issuance;
    const struct acme_issuer_config *issuer = acme_admin_issuer(explain->call, issuance->issuer);
    const char *type = issuer != NULL ? acme_issuer_type_title(issuer->type) : "not configured any more";
    const char *same = keeps_key(explain) ? "same names" : "same names, same key";
    if (strcmp(issuance->order_id, order->id) == 0)
        acme_explain_add(explain, issuance->created_ms,
                         "issuance %s began at the issuer %s (%s); it has to end by %s", issuance->id,
                         issuance->issuer, type, acme_explain_time(explain, issuance->deadline_ms));
    else if (explain->certificate != NULL && explain->certificate->created_ms <= order->finalized_ms)
        acme_explain_add(
            explain, order->finalized_ms,
            "it adopted the certificate that issuance %s had got at %s for the earlier order %s: "
            "%s, never downloaded",
            issuance->id, issuance->issuer, issuance->order_id, same);
    else
        acme_explain_add(
            explain, order->finalized_ms,
            "it joined issuance %s, under way at the issuer %s (%s) since %s for the earlier order "
            "%s: %s; it has to end by %s",
            issuance->id, issuance->issuer, type, acme_explain_time(explain, issuance->created_ms),
            issuance->order_id, same, acme_explain_time(explain, issuance->deadline_ms));
}

bool acme_explain_dcv_open(const cJSON *item)
{
    const char *status = acme_json_str(item, "status");
    return acme_json_str(item, "domain") != NULL &&
           (status == NULL || (strcasecmp(status, "validated") != 0 && strcasecmp(status, "valid") != 0));
}

static void explain_dcv(struct explain *explain)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, explain->dcv)
    {
        const char *domain = acme_json_str(item, "domain");
        const char *mode = acme_json_str(item, "mode");
        if (domain == NULL)
            continue;
        const char *text = acme_explain_text(explain,
                                             acme_explain_dcv_open(item) ? "the CA wants proof of %s by %s"
                                                                         : "the CA has proof of %s by %s",
                                             domain, mode == NULL ? "a way it did not name" : mode);
        for (const cJSON *member = item->child; member != NULL; member = member->next) {
            if (cJSON_IsString(member) && strcmp(member->string, "domain") != 0 &&
                strcmp(member->string, "mode") != 0)
                text = acme_explain_text(explain, "%s; %s: %s", text, member->string, member->valuestring);
        }
        acme_explain_add(explain, explain->call->now_ms, "%s", text);
    }
}

/* Whoever publishes them by hand needs every part of them. */
static void explain_dv(struct explain *explain)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, explain->dv)
    {
        const char *domain = acme_json_str(item, "domain");
        if (domain == NULL)
            continue;
        const char *status = acme_json_str(item, "status");
        const char *error = acme_json_str(item, "error");
        const cJSON *http = acme_json_get(item, "http");
        const cJSON *dns = acme_json_get(item, "dns");
        const char *url = acme_json_str(http, "url");
        const char *body = acme_json_str(http, "body");
        const char *name = acme_json_str(dns, "name");
        const char *value = acme_json_str(dns, "value");
        const char *text =
            acme_explain_text(explain,
                              acme_explain_dcv_open(item) ? "the CA wants proof of %s (%s%s%s)"
                                                          : "the CA has proof of %s (%s%s%s)",
                              domain, status != NULL ? status : "it does not say how it stands",
                              error != NULL ? ": " : "", error != NULL ? error : "");
        if (acme_explain_dcv_open(item) && url != NULL && body != NULL)
            text = acme_explain_text(explain, "%s; http-01: %s with the content %s", text, url, body);
        if (acme_explain_dcv_open(item) && name != NULL && value != NULL)
            text =
                acme_explain_text(explain, "%s; dns-01: TXT record %s with the value %s", text, name, value);
        acme_explain_add(explain, explain->call->now_ms, "%s", text);
    }
}

/* How it stands at this moment. */
static void explain_job(struct explain *explain, const struct acme_job_report *report)
{
    const struct acme_job_remark *remark = &report->remark;
    int64_t now_ms = explain->call->now_ms;
    if (remark->upstream_ref != NULL)
        acme_explain_add(explain, now_ms, "the upstream's number of the request is %s", remark->upstream_ref);
    if (report->job.attempts > 0)
        acme_explain_add(explain, now_ms, "attempts failed so far: %d (waiting is not counted)",
                         report->job.attempts);
    if (report->job.intent)
        acme_explain_add(
            explain, now_ms,
            "a call that must not happen twice was announced and its outcome is not known: before "
            "anything else the earlier request is looked for upstream");
    if (remark->note != NULL)
        acme_explain_add(explain, now_ms, "last word of the issuer, of %s: %s",
                         acme_explain_time(explain, remark->noted_ms), remark->note);
}

/* What another issuer of this server makes on the way. */
static void explain_child(struct explain *explain, const struct acme_issuance *child,
                          const struct acme_job_report *report)
{
    acme_explain_add(explain, child->created_ms,
                     "it needs a certificate (%s) of the issuer %s: issuance %s began there", child->label,
                     child->issuer, child->id);
    switch (child->status) {
    case ACME_ISSUANCE_PENDING:
    case ACME_ISSUANCE_WITHDRAWN:
        if (report != NULL && report->remark.note != NULL)
            acme_explain_add(explain, explain->call->now_ms, "last word of the issuer %s, of %s: %s",
                             child->issuer, acme_explain_time(explain, report->remark.noted_ms),
                             report->remark.note);
        if (report != NULL && report->remark.upstream_ref != NULL)
            acme_explain_add(explain, explain->call->now_ms, "its number at the issuer %s is %s",
                             child->issuer, report->remark.upstream_ref);
        break;
    case ACME_ISSUANCE_ISSUED:
        acme_explain_add(explain, explain->call->now_ms, "the issuer %s has issued %s%s%s", child->issuer,
                         child->certificate_id, child->upstream_ref == NULL ? "" : ", its number ",
                         child->upstream_ref == NULL ? "" : child->upstream_ref);
        break;
    case ACME_ISSUANCE_FAILED:
        acme_explain_add(explain, explain->call->now_ms, "the issuer %s has failed: %s", child->issuer,
                         acme_explain_problem(explain, child->error));
        break;
    }
}

static void explain_question(struct explain *explain)
{
    const struct acme_job_question *question = explain->question;
    acme_explain_add(explain, question->asked_ms, "the operator is asked: %s", question->text);
    for (const char *line = question->details; line != NULL && *line != '\0';) {
        size_t len = strcspn(line, "\n");
        if (len > 0)
            acme_explain_add(explain, question->asked_ms, "  %.*s", (int)len, line);
        line += len + (line[len] == '\n' ? 1 : 0);
    }
    if (question->deadline_ms != 0)
        acme_explain_add(explain, explain->call->now_ms, "it has to be decided by %s",
                         acme_explain_time(explain, question->deadline_ms));
    if (question->answer != ACME_ANSWER_NONE)
        acme_explain_add(explain, question->answered_ms, "%s %s it",
                         question->answered_by == NULL ? "the operator" : question->answered_by,
                         question->answer == ACME_ANSWER_DENY ? "denied" : "acknowledged");
}

void acme_explain_issuance(struct explain *explain)
{
    const struct acme_issuance *issuance = explain->issuance;
    if (issuance == NULL) {
        if (explain->order.status == ACME_ORDER_INVALID)
            acme_explain_add(explain, 0, "the order is invalid: %s",
                             acme_explain_problem(explain, explain->order.error));
        return;
    }
    explain_finalize(explain);
    explain_way(explain);
    for (size_t i = 0; i < explain->child_count; i++)
        explain_child(explain, &explain->children[i], explain->child_jobs[i]);
    if (explain->job != NULL)
        explain_job(explain, explain->job);
    if (explain->question != NULL)
        explain_question(explain);
    explain_dcv(explain);
    explain_dv(explain);
    if (explain->order.status != ACME_ORDER_INVALID)
        return;
    if (issuance->upstream_ref != NULL)
        acme_explain_add(explain, 0, "the upstream's number of the request was %s", issuance->upstream_ref);
    acme_explain_add(explain, 0, "the issuance failed and the order is invalid: %s",
                     acme_explain_problem(explain, explain->order.error));
}

/* Where it went, and what keeps it from going there. */
static void explain_deployment(struct explain *explain, const struct acme_deployment *deployment)
{
    const char *name = deployment->deployer;
    const char *status = acme_admin_deployment_status(deployment);
    struct acme_job_report report;
    acme_explain_add(explain, deployment->created_ms, "deployment %s was to put it in place by %s",
                     deployment->id, name);
    switch (deployment->status) {
    case ACME_DEPLOYMENT_DEPLOYED:
        acme_explain_add(explain, deployment->ended_ms, "%s deployed it%s%s (now: %s)", name,
                         deployment->target != NULL ? " to " : "",
                         deployment->target != NULL ? deployment->target : "", status);
        break;
    case ACME_DEPLOYMENT_FAILED:
        acme_explain_add(explain, deployment->ended_ms,
                         "%s gave up: %s; when the cause is gone: acmebridge deploy retry %s", name,
                         acme_explain_problem(explain, deployment->error), deployment->id);
        break;
    case ACME_DEPLOYMENT_SUPERSEDED:
        acme_explain_add(explain, deployment->ended_ms, "a newer certificate took its place at %s", name);
        break;
    case ACME_DEPLOYMENT_PENDING:
        if (acme_failed(acme_admin_deployment_job(explain->call, deployment, &report)))
            break; /* it has ended meanwhile */
        acme_explain_add(explain, explain->call->now_ms, "%s: tries that failed so far: %d; %s%s%s", name,
                         report.job.attempts,
                         report.leased ? "one is under way"
                                       : acme_explain_text(explain, "the next one is at %s",
                                                           acme_explain_time(explain, report.due_ms)),
                         report.remark.note != NULL ? "; last word: " : "",
                         report.remark.note != NULL ? report.remark.note : "");
        break;
    }
}

static void explain_revocation(struct explain *explain)
{
    const struct acme_revocation *revocation = explain->revocation;
    acme_explain_add(explain, revocation->requested_ms, "revocation was requested (reason %d)",
                     revocation->reason);
    if (explain->revocation_job != NULL)
        explain_job(explain, explain->revocation_job);
    if (revocation->status == ACME_REVOCATION_DONE)
        acme_explain_add(explain, revocation->revoked_ms, "the certificate was revoked");
    if (revocation->status == ACME_REVOCATION_FAILED)
        acme_explain_add(explain, revocation->requested_ms,
                         "the issuer refused to revoke it; it is NOT revoked: %s",
                         acme_explain_problem(explain, revocation->error));
}

void acme_explain_certificate(struct explain *explain)
{
    const struct acme_certificate *certificate = explain->certificate;
    if (certificate == NULL)
        return;
    const char *ref = explain->issuance == NULL ? NULL : explain->issuance->upstream_ref;
    acme_explain_add(explain, certificate->created_ms,
                     "certificate %s was issued: serial %s, valid from %s until %s%s%s", certificate->id,
                     certificate->serial_hex, acme_explain_time(explain, certificate->not_before_ms),
                     acme_explain_time(explain, certificate->not_after_ms),
                     ref == NULL ? "" : ", upstream number ", ref == NULL ? "" : ref);
    if (certificate->downloaded_ms != 0)
        acme_explain_add(explain, certificate->downloaded_ms, "the client downloaded it for the first time");
    if (certificate->not_after_ms < explain->call->now_ms)
        acme_explain_add(explain, certificate->not_after_ms, "the certificate expired");
    for (size_t i = 0; i < explain->deployment_count; i++)
        explain_deployment(explain, &explain->deployments[i]);
    if (explain->revocation != NULL)
        explain_revocation(explain);
}
