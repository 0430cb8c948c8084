/* Third-party enrollments: CPS's own CSRs are signed by another issuer of this server. */
#include "backends/cps/cps_issue.h"

#include <string.h>

#define CHILD_MS (10 * ACME_MINUTE_MS) /* the job is woken earlier */

static struct acme_err ask(struct cps_issue *issue, const char *label, struct acme_delegated *ret)
{
    const struct acme_job_services *services = issue->ctx.input->services;
    *ret = (struct acme_delegated){.status = ACME_DELEGATED_NOT};
    if (services == NULL || services->delegated == NULL)
        return acme_ok();
    return services->delegated(services->context, issue->ctx.arena, label, ret);
}

static struct acme_err wait_for_child(struct cps_issue *issue, const char *label)
{
    const char *issuer = issue->profile->third_party_issuer;
    return acme_cps_wait_ms(&issue->ctx, CHILD_MS,
                            acme_arena_printf(issue->ctx.arena,
                                              "Waiting for issuer %s to sign the %s CSR of CPS.",
                                              issuer != NULL ? issuer : "?", label));
}

static struct acme_err child_failed(struct cps_issue *issue, const char *label,
                                    const struct acme_problem *problem)
{
    struct acme_arena *arena = issue->ctx.arena;
    const char *issuer = issue->profile->third_party_issuer;
    const char *detail = problem->detail != NULL ? problem->detail : "no reason given";
    return acme_cps_end(issue, problem->type, acme_arena_strdup(arena, detail),
                        acme_arena_printf(arena, "Issuer %s did not sign the %s CSR of CPS: %s",
                                          issuer != NULL ? issuer : "?", label, detail));
}

struct acme_err acme_cps_sign_waits(struct cps_issue *issue, bool *ret)
{
    *ret = false;
    struct cps_state *state = issue->ctx.state;
    const char *at = state->delegated ? state->labels : NULL;
    while (at != NULL && *at != '\0') {
        size_t len = strcspn(at, ",");
        const char *label = acme_arena_strndup(issue->ctx.arena, at, len);
        ENSURE(label != NULL, ACME_E_NOMEM);
        at += len + (at[len] == ',');
        struct acme_delegated child;
        TRY(ask(issue, label, &child));
        if (child.status == ACME_DELEGATED_PENDING) {
            *ret = true;
            return wait_for_child(issue, label);
        }
    }
    state->delegated = false;
    return acme_ok();
}

static struct acme_err misfit(struct cps_issue *issue, const char *label)
{
    struct cps_context *ctx = &issue->ctx;
    const char *why = issue->enrollment.excludes_sans ? " (the enrollment excludes SANs)" : "";
    return acme_cps_end(
        issue, ACME_PROBLEM_SERVER_INTERNAL,
        "Akamai CPS made a CSR with other names than those of the order.",
        acme_arena_printf(ctx->arena,
                          "The %s CSR of change %lld has other names than the order%s: the enrollment "
                          "must not exclude SANs (thirdParty.excludeSans).",
                          label, (long long)ctx->state->change, why));
}

static struct acme_err delegate(struct cps_issue *issue, const struct cps_csr *csr)
{
    struct cps_context *ctx = &issue->ctx;
    const char *issuer = issue->profile->third_party_issuer;
    if (issuer == NULL)
        return acme_cps_end(
            issue, ACME_PROBLEM_SERVER_INTERNAL,
            "This certificate authority's connection to Akamai CPS is not complete; its operator has "
            "to look into it.",
            "The change waits for a certificate: its profile needs third_party_issuer.");
    struct acme_step *step = ctx->step;
    step->kind = ACME_STEP_DELEGATE;
    step->delegate.label = csr->label;
    step->delegate.issuer = issuer;
    step->delegate.csr = csr->csr.der;
    step->note =
        acme_arena_printf(ctx->arena, "Having the %s CSR of CPS signed by issuer %s.", csr->label, issuer);
    ENSURE(step->note != NULL, ACME_E_NOMEM);
    ctx->state->call = CPS_CALL_NONE;
    return acme_ok();
}

static bool holds_order_key(const struct cps_issue *issue)
{
    for (size_t i = 0; i < issue->ctx.csr_count; i++)
        if (memcmp(issue->ctx.csrs[i].csr.spki_sha256, issue->request->csr->spki_sha256, ACME_SHA256_SIZE) ==
            0)
            return true;
    return false;
}

/* What became of the CSRs. *ret_pending: the label of one that is not signed yet; *ret_decided: the step is.
 */
static struct acme_err gather(struct cps_issue *issue, struct cps_signed *list, const char **ret_pending,
                              bool *ret_decided)
{
    struct cps_context *ctx = &issue->ctx;
    *ret_decided = true;
    for (size_t i = 0; i < ctx->csr_count; i++) {
        const struct cps_csr *csr = &ctx->csrs[i];
        struct acme_delegated child;
        TRY(ask(issue, csr->label, &child));
        switch (child.status) {
        case ACME_DELEGATED_NOT:
            return delegate(issue, csr);
        case ACME_DELEGATED_PENDING:
            *ret_pending = csr->label;
            continue;
        case ACME_DELEGATED_FAILED:
            return child_failed(issue, csr->label, &child.problem);
        case ACME_DELEGATED_ISSUED:
            break;
        }
        list[i].label = csr->label;
        if (acme_failed(acme_chain_build(&child.certs, csr->csr.spki_sha256, &list[i].chain)))
            return acme_cps_end(
                issue, ACME_PROBLEM_SERVER_INTERNAL,
                "The certificate that was issued does not fit the CSR of Akamai CPS.",
                acme_arena_printf(ctx->arena,
                                  "The certificate for the %s CSR has another key than the CSR, or "
                                  "its chain is incomplete.",
                                  csr->label));
    }
    *ret_decided = false;
    return acme_ok();
}

static struct acme_err remember_labels(struct cps_issue *issue)
{
    struct cps_context *ctx = &issue->ctx;
    const char *labels = ctx->csrs[0].label;
    for (size_t i = 1; labels != NULL && i < ctx->csr_count; i++)
        labels = acme_arena_printf(ctx->arena, "%s,%s", labels, ctx->csrs[i].label);
    ENSURE(labels != NULL, ACME_E_NOMEM);
    ctx->state->labels = labels;
    ctx->state->delegated = true;
    return acme_ok();
}

struct acme_err acme_cps_sign(struct cps_issue *issue)
{
    struct cps_context *ctx = &issue->ctx;
    const struct acme_issue_request *request = issue->request;
    for (size_t i = 0; i < ctx->csr_count; i++) {
        if (!acme_identifiers_equal_sets(ctx->csrs[i].csr.names, ctx->csrs[i].csr.name_count,
                                         request->identifiers, request->identifier_count))
            return misfit(issue, ctx->csrs[i].label);
    }
    if (!issue->request->key_at_edge && !holds_order_key(issue))
        return acme_cps_end(
            issue, ACME_PROBLEM_BAD_CSR,
            "Akamai CPS has made another key meanwhile: finalize a new order with its new CSR.",
            "The CSR of the change is not the order's any more.");
    struct cps_signed list[CPS_CSRS_MAX];
    const char *pending = NULL;
    bool decided = false;
    TRY(gather(issue, list, &pending, &decided));
    if (decided)
        return acme_ok();
    if (pending == NULL)
        return acme_cps_upload(ctx, list, ctx->csr_count);
    TRY(remember_labels(issue));
    return wait_for_child(issue, pending);
}
