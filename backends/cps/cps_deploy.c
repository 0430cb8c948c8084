/* A deployer: an issued certificate is given to the change of a third-party enrollment whose CSR has its key,
 * and followed to the edge. Nothing is begun or cancelled at CPS: without such a change there is no place for
 * the certificate.
 *
 *   find --> read --CSR of a pending change fits--> follow --completed--> collect --on the edge--> DONE
 *             |                                                            ^
 *             +--no change is pending: is it on the edge already?----------+
 */
#include "backends/cps/cps_internal.h"

#include <stdlib.h>
#include <string.h>

/* How long a change may be without a CSR before it counts as none of ours. */
#define CSR_MS     (15 * ACME_MINUTE_MS)
#define TURN_MS    (15 * ACME_SECOND_MS)
/* When what a change has made should be on the edge. */
#define ARRIVAL_MS (6 * ACME_HOUR_MS)
enum { DEPLOYED_MAX = 8, STRINGS_BYTES = 64 * 1024 };

struct cps_deployer {
    struct acme_deployer base;
    struct acme_cps_config config;
    struct acme_cps_target target;
    struct acme_arena *arena; /* has the strings that are no secrets */
};

struct deploy {
    struct cps_context ctx;
    const struct acme_deploy_request *request;
    const struct acme_cps_target *target;
};

static struct acme_err fail(struct deploy *deploy, const char *note)
{
    return acme_cps_fail(&deploy->ctx, ACME_PROBLEM_SERVER_INTERNAL, note, note);
}

/* ---- which change it is ---- */

static struct acme_err read_begin(struct deploy *deploy)
{
    struct cps_context *ctx = &deploy->ctx;
    ctx->state->phase = CPS_PHASE_READ;
    if (ctx->state->began_ms == 0)
        ctx->state->began_ms = ctx->input->now_ms;
    size_t ahead = 0;
    TRY(acme_cps_claim(ctx, &ahead));
    if (ahead > 0)
        return acme_cps_wait_ms(ctx, TURN_MS,
                                acme_arena_printf(ctx->arena,
                                                  "Waiting for its turn at enrollment %lld: %zu before it.",
                                                  (long long)ctx->state->enrollment, ahead));
    return acme_cps_call_enrollment(ctx, "Reading the enrollment.");
}

static struct acme_err find_begin(struct deploy *deploy)
{
    if (deploy->target->enrollment_id <= 0)
        return acme_cps_call_list(&deploy->ctx);
    deploy->ctx.state->enrollment = deploy->target->enrollment_id;
    return read_begin(deploy);
}

/* The reply as an object, or the step is decided: the call is made again later. */
static struct acme_err read_reply(struct deploy *deploy, cJSON **ret, bool *ret_decided)
{
    struct cps_context *ctx = &deploy->ctx;
    struct acme_err err = acme_cps_json(ctx, ret);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    *ret_decided = acme_failed(err) || ctx->input->reply->status != 200;
    if (!*ret_decided) {
        ctx->state->failures = 0;
        ctx->state->refusals = 0;
        return acme_ok();
    }
    struct cps_verdict verdict;
    TRY(acme_cps_judge(ctx, &verdict));
    if (verdict.class == CPS_VERDICT_MISSING && ctx->state->call == CPS_CALL_ENROLLMENT)
        return fail(deploy, acme_arena_printf(ctx->arena, "CPS has no enrollment %lld.",
                                              (long long)ctx->state->enrollment));
    return acme_cps_trouble(ctx, &verdict);
}

static struct acme_err list_reply(struct deploy *deploy)
{
    struct cps_context *ctx = &deploy->ctx;
    cJSON *json = NULL;
    bool decided = false;
    TRY(read_reply(deploy, &json, &decided));
    if (decided)
        return acme_ok();
    int64_t found = 0;
    const char *wanted = deploy->target->common_name != NULL ? deploy->target->common_name : "";
    size_t count = acme_cps_list_find(acme_json_get(json, "enrollments"), wanted, &found);
    if (count != 1)
        return fail(deploy, acme_arena_printf(
                                ctx->arena, "CPS has %zu enrollments with the common name %s; one is needed.",
                                count, wanted));
    ctx->state->enrollment = found;
    return read_begin(deploy);
}

static struct acme_err collect_begin(struct deploy *deploy, const char *note)
{
    struct cps_context *ctx = &deploy->ctx;
    ctx->state->phase = CPS_PHASE_COLLECT;
    if (ctx->state->collect_ms == 0)
        ctx->state->collect_ms = ctx->input->now_ms;
    return acme_cps_call_deployments(ctx, CPS_CALL_DEPLOYMENTS, note);
}

static struct acme_err enrollment_reply(struct deploy *deploy)
{
    struct cps_context *ctx = &deploy->ctx;
    struct cps_enrollment enrollment;
    cJSON *json = NULL;
    bool decided = false;
    TRY(read_reply(deploy, &json, &decided));
    if (decided)
        return acme_ok();
    struct acme_err err = acme_cps_enrollment_read(ctx, json, &enrollment);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    long long id = (long long)ctx->state->enrollment;
    if (acme_failed(err))
        return fail(deploy, acme_arena_printf(ctx->arena, "Enrollment %lld cannot be read.", id));
    if (!enrollment.third_party)
        return fail(deploy,
                    acme_arena_printf(ctx->arena,
                                      "Enrollment %lld is not a third-party one: CPS takes certificates of "
                                      "others for these only.",
                                      id));
    if (enrollment.pending_count == 0 || enrollment.pending[enrollment.pending_count - 1].id == 0)
        return collect_begin(deploy, "No change is pending; looking whether the certificate is on the edge.");
    ctx->state->change = enrollment.pending[enrollment.pending_count - 1].id;
    return acme_cps_call_csr(ctx, CPS_CALL_MATCH, ctx->state->change);
}

static struct acme_err match_reply(struct deploy *deploy)
{
    struct cps_context *ctx = &deploy->ctx;
    struct cps_state *state = ctx->state;
    cJSON *json = NULL;
    struct acme_err err = acme_cps_json(ctx, &json);
    if (!acme_failed(err) && ctx->input->reply->status == 200)
        err = acme_cps_csrs_read(ctx, json);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    if (acme_failed(err) || ctx->input->reply->status != 200) {
        struct cps_verdict verdict;
        TRY(acme_cps_judge(ctx, &verdict));
        if (verdict.class != CPS_VERDICT_MISSING && verdict.class != CPS_VERDICT_CONFLICT)
            return acme_cps_trouble(ctx, &verdict);
        if (ctx->input->now_ms >= state->began_ms + CSR_MS)
            return collect_begin(deploy,
                                 "The pending change has no CSR; looking whether the certificate is on "
                                 "the edge.");
        return acme_cps_wait_ms(ctx, ctx->config->poll_ms,
                                acme_arena_printf(ctx->arena, "Change %lld offers no CSR yet; asking again.",
                                                  (long long)state->change));
    }
    for (size_t i = 0; i < ctx->csr_count; i++) {
        if (memcmp(ctx->csrs[i].csr.spki_sha256, deploy->request->spki_sha256, ACME_SHA256_SIZE) != 0)
            continue;
        state->phase = CPS_PHASE_FOLLOW;
        state->adopted = true;
        state->failures = 0;
        state->began_ms = ctx->input->now_ms;
        enum cps_outcome what = CPS_GOES_ON;
        return acme_cps_change_begin(ctx, &what);
    }
    return fail(deploy, acme_arena_printf(
                            ctx->arena,
                            "The certificate's key is not the one that CPS made for change %lld: keys never "
                            "leave CPS, so the order has to be made with the CSR of the change.",
                            (long long)state->change));
}

/* ---- the change ---- */

static struct acme_err upload(struct deploy *deploy)
{
    struct cps_context *ctx = &deploy->ctx;
    for (size_t i = 0; i < ctx->csr_count; i++) {
        if (memcmp(ctx->csrs[i].csr.spki_sha256, deploy->request->spki_sha256, ACME_SHA256_SIZE) != 0)
            continue;
        const struct cps_signed ours = {.label = ctx->csrs[i].label, .chain = *deploy->request->chain};
        TRY(acme_cps_upload(ctx, &ours, 1));
        /* So that the change is known afterwards: behind the upload it offers no CSR to find it by. */
        ctx->step->once = true;
        return acme_ok();
    }
    return fail(deploy,
                "CPS has made another key for the change meanwhile: the certificate does not fit it any "
                "more.");
}

static struct acme_err follow(struct deploy *deploy, enum cps_outcome what)
{
    struct cps_context *ctx = &deploy->ctx;
    long long change = (long long)ctx->state->change;
    switch (what) {
    case CPS_GOES_ON:
        break;
    case CPS_FINISHED:
    case CPS_VANISHED:
        return collect_begin(
            deploy,
            acme_arena_printf(ctx->arena, "Change %lld has ended; looking at what is on the edge.", change));
    case CPS_CANCELLED:
        return fail(deploy, acme_arena_printf(ctx->arena, "Change %lld was %s.", change,
                                              ctx->state->denied ? "denied" : "cancelled at Akamai"));
    case CPS_BROKEN:
        return fail(deploy, acme_arena_printf(ctx->arena, "Change %lld failed at Akamai: %s.", change,
                                              ctx->fault.text));
    case CPS_WANTS_CERTIFICATES:
        return upload(deploy);
    }
    return acme_ok();
}

static struct acme_err change_reply(struct deploy *deploy)
{
    enum cps_outcome what = CPS_GOES_ON;
    TRY(acme_cps_change_reply(&deploy->ctx, &what));
    return follow(deploy, what);
}

/* ---- the edge ---- */

static struct acme_err not_there(struct deploy *deploy)
{
    struct cps_context *ctx = &deploy->ctx;
    const struct cps_state *state = ctx->state;
    if (state->uploaded_ms == 0)
        return fail(deploy,
                    acme_arena_printf(ctx->arena,
                                      "No change of enrollment %lld waits for this certificate: begin one at "
                                      "Akamai, order with its CSR, and the deployment is made by itself.",
                                      (long long)state->enrollment));
    if (ctx->input->now_ms >= state->collect_ms + ARRIVAL_MS)
        return fail(deploy, "The change has ended, but the certificate is not on the edge.");
    return acme_cps_wait_ms(ctx, acme_cps_poll_ms(ctx),
                            "The change has ended, and the certificate is not on the edge yet.");
}

static struct acme_err collect_reply(struct deploy *deploy)
{
    struct cps_context *ctx = &deploy->ctx;
    cJSON *json = NULL;
    struct acme_err err = acme_cps_json(ctx, &json);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    if (acme_failed(err) || ctx->input->reply->status != 200) {
        struct cps_verdict verdict;
        TRY(acme_cps_judge(ctx, &verdict));
        return verdict.class == CPS_VERDICT_MISSING ? not_there(deploy) : acme_cps_trouble(ctx, &verdict);
    }
    ctx->state->failures = 0;
    struct cps_deployed list[DEPLOYED_MAX];
    size_t count = 0;
    TRY(acme_cps_deployed_read(ctx, json, list, DEPLOYED_MAX, &count));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].sha256, deploy->request->sha256_hex) != 0)
            continue;
        ctx->step->kind = ACME_STEP_DONE;
        ctx->step->note = acme_arena_printf(ctx->arena, "Enrollment %lld has the certificate on the edge.",
                                            (long long)ctx->state->enrollment);
        ENSURE(ctx->step->note != NULL, ACME_E_NOMEM);
        ctx->state->call = CPS_CALL_NONE;
        return acme_ok();
    }
    return not_there(deploy);
}

/* ---- steps ---- */

static struct acme_err resume(struct deploy *deploy)
{
    struct cps_context *ctx = &deploy->ctx;
    enum cps_outcome what = CPS_GOES_ON;
    if (ctx->state->enrollment <= 0)
        return find_begin(deploy);
    switch (ctx->state->phase) {
    case CPS_PHASE_FOLLOW:
        return acme_cps_change_begin(ctx, &what); /* always a call */
    case CPS_PHASE_COLLECT:
        return collect_begin(deploy, "Looking for the certificate on the edge.");
    default:
        return read_begin(deploy);
    }
}

static struct acme_err on_outcome(struct deploy *deploy)
{
    switch (deploy->ctx.state->call) {
    case CPS_CALL_LIST:
        return list_reply(deploy);
    case CPS_CALL_ENROLLMENT:
        return enrollment_reply(deploy);
    case CPS_CALL_MATCH:
        return match_reply(deploy);
    case CPS_CALL_DEPLOYMENTS:
        return collect_reply(deploy);
    default:
        return acme_cps_is_change_call(deploy->ctx.state->call) ? change_reply(deploy) : resume(deploy);
    }
}

static struct acme_err keep_deadline(struct deploy *deploy)
{
    struct cps_context *ctx = &deploy->ctx;
    struct acme_step *step = ctx->step;
    int64_t deadline_ms = deploy->request->deadline_ms;
    if (step->kind != ACME_STEP_WAIT || deadline_ms <= 0)
        return acme_ok();
    if (ctx->input->now_ms < deadline_ms) {
        if (step->wait_until_ms > deadline_ms)
            step->wait_until_ms = deadline_ms;
        return acme_ok();
    }
    const char *last = step->note;
    *step = (struct acme_step){0};
    return fail(deploy, acme_arena_printf(ctx->arena,
                                          "Gave up because the deployment's deadline has passed. %s", last));
}

static struct acme_err cps_deploy_step(const struct acme_deployer *deployer, struct acme_arena *arena,
                                       const struct acme_deploy_request *request, cJSON *saved,
                                       const struct acme_step_input *input, struct acme_step *ret)
{
    const struct cps_deployer *cps = (const struct cps_deployer *)deployer;
    struct deploy *deploy = acme_arena_alloc(arena, sizeof *deploy);
    struct cps_state *state = acme_arena_alloc(arena, sizeof *state);
    ENSURE(deploy != NULL && state != NULL, ACME_E_NOMEM);
    acme_cps_state_load(saved, state);
    struct acme_step step = {0};
    *deploy = (struct deploy){.ctx = {.config = &cps->config,
                                      .policy = &cps->target.policy,
                                      .arena = arena,
                                      .input = input,
                                      .state = state,
                                      .step = &step},
                              .request = request,
                              .target = &cps->target};
    bool outcome =
        input->event == ACME_EVENT_CALL_FAILED || (input->event == ACME_EVENT_REPLY && input->reply != NULL);
    TRY(outcome ? on_outcome(deploy) : resume(deploy));
    TRY(keep_deadline(deploy));
    if (state->change > 0) {
        step.upstream_ref =
            acme_arena_printf(arena, "%lld/%lld", (long long)state->enrollment, (long long)state->change);
        ENSURE(step.upstream_ref != NULL, ACME_E_NOMEM);
    }
    TRY(acme_cps_state_store(state, saved));
    *ret = step;
    return acme_ok();
}

static struct acme_err inspect(const struct acme_backend *backend, struct acme_arena *arena,
                               const struct acme_inspect_request *request, struct acme_inspection *inspection,
                               const struct acme_step_input *input, struct acme_inspect_step *ret)
{
    const struct cps_deployer *cps = (const struct cps_deployer *)backend;
    return acme_cps_inspect_target(&cps->config, backend->name, &cps->target, arena, request, inspection,
                                   input, ret);
}

/* ---- the object ---- */

static void destroy(struct acme_deployer *deployer)
{
    struct cps_deployer *cps = (struct cps_deployer *)deployer;
    acme_cps_config_wipe(&cps->config);
    acme_arena_destroy(cps->arena);
    free(cps);
}

static const struct acme_deployer_class cps_deployer_class = {
    .type = "cps", .one_target = true, .step = cps_deploy_step, .destroy = destroy};

struct acme_err acme_cps_deployer_create(const char *name, const struct acme_cps_config *config,
                                         const struct acme_cps_target *target, struct acme_deployer **ret)
{
    ENSURE(target->enrollment_id > 0 || target->common_name != NULL, ACME_E_FORMAT);
    struct cps_deployer *cps = calloc(1, sizeof *cps);
    ENSURE(cps != NULL, ACME_E_NOMEM);
    cps->base.class = &cps_deployer_class;
    cps->target = *target;
    struct acme_err err = acme_err(ACME_E_NOMEM);
    cps->arena = acme_arena_create(STRINGS_BYTES);
    if (cps->arena != NULL)
        err = acme_cps_config_copy(cps->arena, config, &cps->config);
    if (!acme_failed(err))
        err = acme_cps_backend_fill(cps->arena, name, &cps->config, &cps->base.backend);
    cps->base.backend.inspect = inspect;
    if (acme_failed(err)) {
        destroy(&cps->base);
        return err;
    }
    *ret = &cps->base;
    return acme_ok();
}
