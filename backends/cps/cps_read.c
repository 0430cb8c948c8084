/* Reading the enrollment, and what is to be done with it. */
#include "backends/cps/cps_issue.h"

#include <string.h>
#include <strings.h>

#define LINE_MS    (2 * ACME_MINUTE_MS) /* how often the place in line is looked at */
#define FOREIGN_MS (5 * ACME_MINUTE_MS) /* how often somebody else's change is */

static const char nokey_detail[] =
    "Akamai CPS makes the private keys of edge certificates itself, so it cannot issue for the key of this "
    "CSR. Only a CSR that CPS has made for a pending change, and that still waits for its certificate, can "
    "be finalized with this profile; or have the operator set \"key_holder: edge\" in the profile's "
    "enrollment: the certificate then has another key than the CSR.";

/* The configuration may have changed while the order waited. */
static bool is_still_named(const struct cps_issue *issue)
{
    const struct acme_cps_profile *profile = issue->profile;
    return profile->enrollment_id > 0 ? profile->enrollment_id == issue->ctx.state->enrollment
                                      : profile->common_name != NULL;
}

struct acme_err acme_cps_read_begin(struct cps_issue *issue)
{
    struct cps_context *ctx = &issue->ctx;
    struct cps_state *state = ctx->state;
    state->phase = CPS_PHASE_READ;
    if (issue->request->withdraw && state->sent_ms == 0)
        return acme_cps_withdrawn(issue);
    if (state->sent_ms == 0 && !is_still_named(issue))
        return acme_cps_fail(
            ctx, ACME_PROBLEM_SERVER_INTERNAL,
            "The certificate authority was set up anew before the certificate was ordered: please order "
            "again.",
            acme_arena_printf(
                ctx->arena, "The order waited for enrollment %lld, which its profile does not name any more.",
                (long long)state->enrollment));
    size_t ahead = 0;
    TRY(acme_cps_claim(ctx, &ahead));
    if (ahead > 0)
        return acme_cps_wait_ms(ctx, LINE_MS,
                                acme_arena_printf(ctx->arena,
                                                  "Waiting for %zu other job%s with enrollment %lld.", ahead,
                                                  ahead == 1 ? "" : "s", (long long)state->enrollment));
    if (!state->baseline)
        return acme_cps_call_deployments(ctx, CPS_CALL_BASELINE, "Reading which certificates are deployed.");
    return acme_cps_call_enrollment(
        ctx, acme_arena_printf(ctx->arena, "Reading enrollment %lld.", (long long)state->enrollment));
}

struct acme_err acme_cps_baseline_reply(struct cps_issue *issue)
{
    struct cps_context *ctx = &issue->ctx;
    struct cps_state *state = ctx->state;
    cJSON *json = NULL;
    struct acme_err err = acme_cps_json(ctx, &json);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    bool good = !acme_failed(err) && ctx->input->reply->status == 200;
    if (!good) {
        struct cps_verdict verdict;
        TRY(acme_cps_judge(ctx, &verdict));
        if (verdict.class != CPS_VERDICT_MISSING) /* an enrollment that was never deployed has none */
            return acme_cps_trouble(ctx, &verdict);
        json = NULL;
    }
    struct cps_deployed deployed[CPS_OLD_MAX];
    size_t count = 0;
    TRY(acme_cps_deployed_read(ctx, json, deployed, CPS_OLD_MAX, &count));
    state->old_count = 0;
    for (size_t i = 0; i < count; i++)
        state->old[state->old_count++] = deployed[i].sha256;
    state->baseline = true;
    state->failures = 0;
    return acme_cps_read_begin(issue);
}

/* ---- pending changes ---- */

/* One that CPS has started by itself, because the certificate ends soon. */
static bool is_renewal(const struct cps_pending *pending)
{
    return strncasecmp(pending->type, "renew", 5) == 0;
}

static const struct cps_pending *newest(const struct cps_issue *issue)
{
    const struct cps_enrollment *enrollment = &issue->enrollment;
    return enrollment->pending_count > 0 ? &enrollment->pending[enrollment->pending_count - 1] : NULL;
}

static struct acme_err wait_foreign(struct cps_issue *issue, const struct cps_pending *pending)
{
    struct cps_context *ctx = &issue->ctx;
    const char *type = *pending->type != '\0' ? pending->type : "kind unknown";
    return acme_cps_wait_ms(
        ctx, FOREIGN_MS,
        acme_arena_printf(
            ctx->arena,
            "Enrollment %lld has a pending change %lld (%s) that is not this server's: waiting until "
            "it has ended at Akamai, where it can be completed or cancelled.",
            (long long)ctx->state->enrollment, (long long)pending->id, type));
}

/* Orders of clients that hold their keys live from CSRs that CPS has made. */
static struct acme_err match_pending(struct cps_issue *issue)
{
    const struct cps_pending *pending = newest(issue);
    if (pending == NULL || pending->id == 0 || !issue->enrollment.third_party)
        return acme_cps_fail(
            &issue->ctx, ACME_PROBLEM_BAD_CSR, nokey_detail,
            "The enrollment has no pending change that waits for a certificate with the CSR's key.");
    issue->ctx.state->known[0] = pending->id;
    issue->ctx.state->known_count = 1;
    return acme_cps_call_csr(&issue->ctx, CPS_CALL_MATCH, pending->id);
}

struct acme_err acme_cps_match_reply(struct cps_issue *issue)
{
    struct cps_context *ctx = &issue->ctx;
    struct cps_state *state = ctx->state;
    int64_t change = state->known_count > 0 ? state->known[0] : 0;
    cJSON *json = NULL;
    struct acme_err err = acme_cps_json(ctx, &json);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    bool good = !acme_failed(err) && ctx->input->reply->status == 200;
    if (!good) {
        struct cps_verdict verdict;
        TRY(acme_cps_judge(ctx, &verdict));
        if (verdict.class != CPS_VERDICT_MISSING)
            return acme_cps_trouble(ctx, &verdict);
    } else {
        err = acme_cps_csrs_read(ctx, json);
        ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    }
    for (size_t i = 0; good && i < ctx->csr_count; i++) {
        if (memcmp(ctx->csrs[i].csr.spki_sha256, issue->request->csr->spki_sha256, ACME_SHA256_SIZE) == 0) {
            acme_cps_follow_enter(issue, change, true);
            return acme_cps_follow_begin(issue);
        }
    }
    return acme_cps_fail(
        ctx, ACME_PROBLEM_BAD_CSR, nokey_detail,
        acme_arena_printf(ctx->arena, "The CSR of pending change %lld has another key than the order's CSR.",
                          (long long)change));
}

/* ---- what to do ---- */

static struct acme_err decide(struct cps_issue *issue)
{
    struct cps_context *ctx = &issue->ctx;
    const struct acme_cps_profile *profile = issue->profile;
    if (!issue->request->key_at_edge)
        return match_pending(issue);
    if (issue->enrollment.third_party && profile->third_party_issuer == NULL)
        return acme_cps_fail(
            ctx, ACME_PROBLEM_SERVER_INTERNAL,
            "This certificate authority's connection to Akamai CPS is not complete; its operator has "
            "to look into it.",
            "The enrollment is a third-party one: its profile needs third_party_issuer.");
    struct cps_names names;
    acme_cps_names_compare(issue, &names);
    const struct cps_pending *pending = newest(issue);
    if (pending != NULL) {
        bool fits = names.added == 0 && names.removed == 0 && !names.without_common_name;
        if (pending->id != 0 && fits && is_renewal(pending)) {
            acme_cps_follow_enter(issue, pending->id, true);
            return acme_cps_follow_begin(issue);
        }
        if (!profile->allow_cancel_pending_changes)
            return wait_foreign(issue, pending);
    }
    const char *refused = NULL;
    TRY(acme_cps_names_refused(issue, &names, &refused));
    if (refused != NULL)
        return acme_cps_fail(ctx, ACME_PROBLEM_REJECTED_IDENTIFIER, refused, refused);
    return acme_cps_update_call(issue, &names);
}

struct acme_err acme_cps_enrollment_reply(struct cps_issue *issue)
{
    struct cps_context *ctx = &issue->ctx;
    cJSON *json = NULL;
    struct acme_err err = acme_cps_json(ctx, &json);
    if (!acme_failed(err) && ctx->input->reply->status == 200)
        err = acme_cps_enrollment_read(ctx, json, &issue->enrollment);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    if (acme_failed(err) || ctx->input->reply->status != 200) {
        struct cps_verdict verdict;
        TRY(acme_cps_judge(ctx, &verdict));
        if (verdict.class == CPS_VERDICT_MISSING && ctx->state->sent_ms == 0)
            return acme_cps_fail(
                ctx, ACME_PROBLEM_SERVER_INTERNAL,
                "The enrollment of this profile does not exist at Akamai; this server's operator has to look "
                "into it.",
                acme_arena_printf(ctx->arena,
                                  "CPS does not know enrollment %lld, or this API client may not see it.",
                                  (long long)ctx->state->enrollment));
        return acme_cps_trouble(ctx, &verdict);
    }
    ctx->state->failures = 0;
    return ctx->state->sent_ms != 0 ? acme_cps_recover(issue) : decide(issue);
}
