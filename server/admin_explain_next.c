/* "order explain": what happens next, until when, and what the operator can do about it. */
#include "server/admin_explain.h"

#include <string.h>

static void say(struct explain *explain, const char *next, int64_t until_ms, const char *advice)
{
    explain->next = next;
    explain->until_ms = until_ms;
    explain->advice = advice;
}

static void after_pending(struct explain *explain)
{
    size_t open = 0;
    bool validating = false;
    for (size_t i = 0; i < explain->authz_count; i++) {
        const struct acme_authz *authz = &explain->authzs[i];
        open += authz->status == ACME_AUTHZ_PENDING ? 1 : 0;
        for (size_t c = 0; c < authz->challenge_count; c++)
            validating = validating || authz->challenges[c].status == ACME_CHALLENGE_PROCESSING;
    }
    if (validating)
        say(explain,
            acme_explain_text(explain, "acmebridge validates; %zu of %zu names are still to be proved", open,
                              explain->authz_count),
            explain->order.expires_ms,
            "if it does not succeed: see the last error above; it names the address, file or record that is "
            "looked at");
    else
        say(explain,
            acme_explain_text(explain,
                              "the client has to answer challenges: %zu of %zu names are still to be proved; "
                              "then the order expires",
                              open, explain->authz_count),
            explain->order.expires_ms,
            "nothing is done here until the client comes: look at its log if it does not");
}

static bool is_any_open(const cJSON *proofs)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, proofs)
    {
        if (acme_explain_dcv_open(item))
            return true;
    }
    return false;
}

/* Approval is the usual reason to wait long at an SCM. */
static const char *advice_while_waiting(struct explain *explain, const struct acme_issuer_config *issuer)
{
    const char *ref = explain->job->remark.upstream_ref;
    if (is_any_open(explain->dcv))
        return "publish what the CA wants as proof (above), or prove the domain in the CA's own interface";
    if (is_any_open(explain->dv))
        return "publish what the CA wants as proof (above) if the profile's dv leaves that to you; see the "
               "issuer's last word if it does not";
    if (explain->job->job.attempts > 0)
        return "see the issuer's last word above; tries go on by themselves, and nothing is ordered twice";
    if (issuer->type == ACME_ISSUER_SCM && ref != NULL)
        return acme_explain_text(
            explain,
            "if the request %s waits for approval, approve or decline it in SCM; either is "
            "noticed here",
            ref);
    if (issuer->type == ACME_ISSUER_KEYFACTOR && ref != NULL)
        return acme_explain_text(
            explain, "if %s waits for approval, approve or deny it in Keyfactor; either is noticed here",
            ref);
    if (issuer->type == ACME_ISSUER_CPS && ref != NULL)
        return acme_explain_text(
            explain,
            "enrollment and change %s can be looked at, completed or cancelled in Akamai Control Center; "
            "whatever is done there is noticed here",
            ref);
    return "nothing has to be done; the client may come back at any time, with this or a new order";
}

static void after_processing(struct explain *explain)
{
    const struct acme_issuance *issuance = explain->issuance;
    const struct acme_issuer_config *issuer =
        issuance == NULL ? NULL : acme_admin_issuer(explain->call, issuance->issuer);
    int64_t deadline_ms = issuance == NULL ? 0 : issuance->deadline_ms;
    if (explain->job == NULL) {
        say(explain, "the issuance has just ended", 0, "ask again");
    } else if (issuer == NULL) {
        say(explain,
            acme_explain_text(explain, "nothing: the configuration has no issuer %s any more",
                              issuance->issuer),
            deadline_ms, "put the issuer back into the configuration and restart, or let the order fail");
    } else if (explain->question != NULL && explain->question->answer == ACME_ANSWER_NONE) {
        const struct acme_job_question *question = explain->question;
        say(explain, acme_explain_text(explain, "the operator decides: %s", question->text),
            question->deadline_ms != 0 ? question->deadline_ms : deadline_ms,
            acme_explain_text(explain,
                              "acmebridge order acknowledge %s --acknowledge --key %s (or --deny --key ...)",
                              explain->order.id, question->key));
    } else if (explain->job->leased) {
        say(explain, "acmebridge is at work on it right now; the issuance has to end in time", deadline_ms,
            "ask again in a moment");
    } else {
        say(explain,
            acme_explain_text(explain, "acmebridge asks %s again at %s; the issuance has to end in time",
                              issuance->issuer, acme_explain_time(explain, explain->job->due_ms)),
            deadline_ms, advice_while_waiting(explain, issuer));
    }
}

static void after_valid(struct explain *explain)
{
    const struct acme_certificate *certificate = explain->certificate;
    const struct acme_revocation *revocation = explain->revocation;
    if (certificate == NULL)
        say(explain, "nothing: the certificate has ended and was removed", 0, "nothing");
    else if (revocation != NULL && revocation->status == ACME_REVOCATION_DONE)
        say(explain, "nothing: the certificate is revoked", 0, "the client orders a new one");
    else if (revocation != NULL && revocation->status == ACME_REVOCATION_UNDER_WAY)
        say(explain, "the issuer is asked to revoke the certificate", certificate->not_after_ms,
            "the log tells how it goes");
    else if (certificate->not_after_ms < explain->call->now_ms)
        say(explain, "nothing: the certificate has expired", 0, "the client orders a new one");
    else if (certificate->downloaded_ms == 0)
        say(explain, "the client downloads the certificate", certificate->not_after_ms,
            "if it gave up, run it again: with the same key it gets this very certificate");
    else
        say(explain, "nothing: the certificate was delivered; the client renews it in time",
            certificate->not_after_ms, "nothing has to be done");
}

static const char *advice_after_failure(const struct explain *explain)
{
    const char *error = explain->order.error == NULL ? "" : explain->order.error;
    if (strstr(error, "serverInternal") != NULL)
        return "the cause is here or at the CA, not with the client: search the server's log for this order";
    if (strstr(error, "error:caa") != NULL)
        return "the CAA records of the name, or \"caa\" of the profile, have to be changed; then the client "
               "orders again";
    if (strstr(error, "rejectedIdentifier") != NULL && explain->issuance != NULL)
        return "the CA refuses a name: validate its domain there, or have the client order other names";
    if (explain->account.status != ACME_ACCOUNT_VALID)
        return "the client has to register a new account";
    return "an invalid order never changes: when the cause is gone, the client makes a new one";
}

void acme_explain_next(struct explain *explain)
{
    if (acme_admin_order_expired(&explain->order, explain->call->now_ms)) {
        say(explain, "nothing: the order has expired", 0, "the client makes a new order when it runs again");
        return;
    }
    switch (explain->order.status) {
    case ACME_ORDER_PENDING:
        after_pending(explain);
        break;
    case ACME_ORDER_READY:
        say(explain, "the client has to finalize, that is to send its CSR; then the order expires",
            explain->order.expires_ms, "nothing is done here until the client comes: look at its log");
        break;
    case ACME_ORDER_PROCESSING:
        after_processing(explain);
        break;
    case ACME_ORDER_VALID:
        after_valid(explain);
        break;
    case ACME_ORDER_INVALID:
        say(explain, "nothing: the order has failed", 0, advice_after_failure(explain));
        break;
    }
}
