/* The issuer object and the way through one step. */
#include "backends/cps/cps_issue.h"

#include <stdlib.h>

enum { STRINGS_BYTES = 64 * 1024 };

/* ---- steps ---- */

/* After a wait, and whenever what came does not fit what was asked. An update whose outcome is open is looked
 * up, whatever the event says. */
static struct acme_err resume(struct cps_issue *issue)
{
    struct cps_state *state = issue->ctx.state;
    if (state->phase != CPS_PHASE_FIND && state->enrollment <= 0)
        state->phase = CPS_PHASE_FIND;
    switch (state->phase) {
    case CPS_PHASE_READ:
        return acme_cps_read_begin(issue);
    case CPS_PHASE_FOLLOW:
        return acme_cps_follow_begin(issue);
    case CPS_PHASE_COLLECT:
        return acme_cps_collect_begin(issue, "Looking for the certificate on the production network.");
    case CPS_PHASE_CANCEL:
        return acme_cps_cancel_begin(issue);
    case CPS_PHASE_CLEAN:
        return acme_cps_clean(issue);
    case CPS_PHASE_FIND:
    case CPS_PHASE_COUNT:
        break;
    }
    return acme_cps_find_begin(issue);
}

static struct acme_err on_outcome(struct cps_issue *issue)
{
    const struct acme_step_input *input = issue->ctx.input;
    switch (issue->ctx.state->call) {
    case CPS_CALL_LIST:
        return acme_cps_find_reply(issue);
    case CPS_CALL_BASELINE:
        return acme_cps_baseline_reply(issue);
    case CPS_CALL_ENROLLMENT:
        return acme_cps_enrollment_reply(issue);
    case CPS_CALL_MATCH:
        return acme_cps_match_reply(issue);
    case CPS_CALL_UPDATE:
        return input->event == ACME_EVENT_REPLY ? acme_cps_update_reply(issue)
                                                : acme_cps_update_failed(issue);
    case CPS_CALL_HISTORY:
        return acme_cps_history_reply(issue);
    case CPS_CALL_DEPLOYMENTS:
        return acme_cps_collect_reply(issue);
    case CPS_CALL_CANCEL:
        return acme_cps_cancel_done(issue);
    case CPS_CALL_NONE:
    case CPS_CALL_COUNT:
        return resume(issue);
    case CPS_CALL_UNPUBLISH:
        if (issue->ctx.state->phase != CPS_PHASE_CLEAN)
            return acme_cps_follow_reply(issue);
        TRY(acme_cps_unpublish_ended(&issue->ctx));
        return acme_cps_clean(issue);
    default:
        return acme_cps_follow_reply(issue);
    }
}

static bool is_program(enum cps_call call)
{
    return call == CPS_CALL_PUBLISH || call == CPS_CALL_UNPUBLISH;
}

static struct acme_err take_step(struct cps_issue *issue)
{
    const struct acme_step_input *input = issue->ctx.input;
    switch (input->event) {
    case ACME_EVENT_REPLY:
        /* What came is of the kind that was asked for, or the state is of another time. */
        return (input->ran != NULL) == is_program(issue->ctx.state->call) ? on_outcome(issue) : resume(issue);
    case ACME_EVENT_CALL_FAILED:
        return on_outcome(issue);
    case ACME_EVENT_START:
    case ACME_EVENT_TIMER:
    case ACME_EVENT_RECOVER:
        break;
    }
    return resume(issue);
}

static struct acme_err cps_step(const struct acme_issuer *issuer, struct acme_arena *arena,
                                const struct acme_issue_request *request, cJSON *saved,
                                const struct acme_step_input *input, struct acme_step *ret)
{
    static const struct acme_cps_profile no_profile = {0};
    const struct cps_issuer *cps = (const struct cps_issuer *)issuer;
    struct cps_issue *issue = acme_arena_alloc(arena, sizeof *issue);
    struct cps_state *state = acme_arena_alloc(arena, sizeof *state);
    ENSURE(issue != NULL && state != NULL, ACME_E_NOMEM);
    acme_cps_state_load(saved, state);
    struct acme_step step = {0};
    const struct acme_cps_profile *profile =
        request->profile_settings != NULL ? request->profile_settings : &no_profile;
    issue->ctx = (struct cps_context){.config = &cps->config,
                                      .policy = &profile->policy,
                                      .arena = arena,
                                      .input = input,
                                      .state = state,
                                      .step = &step};
    issue->request = request;
    issue->profile = profile;
    TRY(take_step(issue));
    /* Whoever changes the enrollment meanwhile deploys a certificate that is not the order's. */
    if (step.kind == ACME_STEP_WAIT && state->phase == CPS_PHASE_READ && state->sent_ms == 0)
        state->baseline = false;
    TRY(acme_cps_keep_deadline(issue));
    TRY(acme_cps_clean_first(issue));
    if (issue->ctx.aside != NULL) {
        step.note = acme_arena_printf(arena, "%s %s", issue->ctx.aside, step.note != NULL ? step.note : "");
        ENSURE(step.note != NULL, ACME_E_NOMEM);
    }
    if (state->change > 0) {
        step.upstream_ref =
            acme_arena_printf(arena, "%lld/%lld", (long long)state->enrollment, (long long)state->change);
        ENSURE(step.upstream_ref != NULL, ACME_E_NOMEM);
    }
    TRY(acme_cps_state_store(state, saved));
    *ret = step;
    return acme_ok();
}

/* CPS has no revocation. */
static struct acme_err cps_revoke(const struct acme_issuer *issuer, struct acme_arena *arena,
                                  const struct acme_revoke_request *request, cJSON *saved,
                                  const struct acme_step_input *input, struct acme_step *ret)
{
    (void)issuer;
    (void)arena;
    (void)request;
    (void)saved;
    (void)input;
    *ret = (struct acme_step){
        .kind = ACME_STEP_FAILED,
        .problem =
            {.type = ACME_PROBLEM_SERVER_INTERNAL,
             .detail =
                 "Akamai CPS has no way to revoke certificates over its API. Certificates that Akamai "
                 "ordered (Let's Encrypt, DigiCert) are revoked by a case with Akamai support; those of "
                 "third-party enrollments at the authority that signed them."},
        .note =
            "CPS cannot revoke: open a case with Akamai support, or revoke at the authority that signed the "
            "certificate."};
    return acme_ok();
}

/* ---- the object ---- */

static void cps_destroy(struct acme_issuer *issuer)
{
    struct cps_issuer *cps = (struct cps_issuer *)issuer;
    acme_cps_config_wipe(&cps->config);
    acme_arena_destroy(cps->arena);
    free(cps);
}

static const struct acme_issuer_class cps_class = {
    .type = "cps", .step = cps_step, .revoke = cps_revoke, .destroy = cps_destroy};

struct acme_err acme_cps_issuer_create(const char *name, const struct acme_cps_config *config,
                                       struct acme_issuer **ret)
{
    struct cps_issuer *cps = calloc(1, sizeof *cps);
    ENSURE(cps != NULL, ACME_E_NOMEM);
    cps->base.class = &cps_class;
    struct acme_err err = acme_err(ACME_E_NOMEM);
    cps->arena = acme_arena_create(STRINGS_BYTES);
    if (cps->arena != NULL)
        err = acme_cps_config_copy(cps->arena, config, &cps->config);
    if (!acme_failed(err))
        err = acme_cps_backend_fill(cps->arena, name, &cps->config, &cps->base.backend);
    cps->base.backend.inspect = acme_cps_inspect;
    cps->base.needs_keys = true;
    if (acme_failed(err)) {
        cps_destroy(&cps->base);
        return err;
    }
    *ret = &cps->base;
    return acme_ok();
}
