/* A look at CPS without an order: signature, grants, each profile's enrollment, the keys it waits with. */
#include "backends/cps/cps_internal.h"

#include <string.h>

/* Stages: the list once, when a profile names its enrollment by a common name; then for each profile its
 * enrollment and the CSRs of the newest pending change. */
enum stage { STAGE_LIST, STAGE_ENROLLMENT, STAGE_CSR, STAGE_OVER };

enum { TARGETS_MAX = 256, KEYS_MAX = 1024, SKEW_WORTH_S = 10 };

struct target {
    const struct acme_inspect_profile *profile;
    const char *title;  /* how the operator knows it: "Profile edge" */
    int64_t enrollment; /* 0: not found */
    int64_t change;     /* the newest pending one of a third-party enrollment; 0: none */
};

struct findings {
    struct target targets[TARGETS_MAX];
    size_t count;
    struct acme_upstream_key keys[KEYS_MAX];
    size_t key_count;
    bool let_in;  /* one good answer was had */
    bool in_part; /* some keys could not be read */
};

struct inspecting {
    struct cps_context *ctx;
    const struct acme_inspect_request *request;
    struct acme_inspection *inspection;
    struct findings *own;
    bool deployer; /* which needs third-party enrollments, and no issuer to sign for them */
};

#define FIND(in, level, ...)                                                                                 \
    ((in)->request->keys_only ? acme_ok()                                                                    \
                              : acme_finding_add((in)->inspection, ACME_FINDING_##level,                     \
                                                 acme_arena_printf((in)->ctx->arena, __VA_ARGS__)))

static const struct acme_cps_profile *settings_of(const struct target *target)
{
    return target->profile->settings;
}

static struct target *current(const struct inspecting *in)
{
    int64_t position = in->inspection->position;
    return position >= 0 && (size_t)position < in->own->count ? &in->own->targets[position] : NULL;
}

static struct acme_err begin(struct inspecting *in)
{
    struct findings *own = acme_arena_alloc(in->ctx->arena, sizeof *own);
    ENSURE(own != NULL, ACME_E_NOMEM);
    for (size_t i = 0; i < in->request->profile_count && own->count < TARGETS_MAX; i++) {
        const struct acme_cps_profile *settings = in->request->profiles[i].settings;
        if (settings == NULL || (in->request->keys_only && settings->key_at_edge)) /* those need none */
            continue;
        struct target *target = &own->targets[own->count++];
        *target = (struct target){.profile = &in->request->profiles[i],
                                  .title = acme_arena_printf(in->ctx->arena, "%s %s",
                                                             in->deployer ? "Deployer" : "Profile",
                                                             in->request->profiles[i].name),
                                  .enrollment = settings->enrollment_id};
        ENSURE(target->title != NULL, ACME_E_NOMEM);
    }
    in->own = own;
    in->inspection->own = own;
    return acme_ok();
}

/* ---- what came ---- */

static struct acme_err find_good_login(struct inspecting *in)
{
    if (in->own->let_in)
        return acme_ok();
    in->own->let_in = true;
    int64_t skew_s = acme_edgegrid_skew_s(in->ctx->input->reply, in->ctx->input->now_ms);
    if (skew_s > SKEW_WORTH_S || skew_s < -SKEW_WORTH_S)
        return FIND(
            in, WARNING,
            "Akamai accepts the signature, but this machine's clock is %lld seconds %s; at %d it is refused.",
            (long long)(skew_s < 0 ? -skew_s : skew_s), skew_s < 0 ? "slow" : "fast", ACME_EDGEGRID_SKEW_S);
    return FIND(in, GOOD, "Akamai accepts the signature of this API client, and it may read CPS.");
}

/* *ret_over: nothing else will be answered either. */
static struct acme_err find_failure(struct inspecting *in, bool *ret_over)
{
    struct cps_verdict verdict;
    TRY(acme_cps_judge(in->ctx, &verdict));
    in->own->in_part = true;
    const struct target *target = current(in);
    if (verdict.class == CPS_VERDICT_LOGIN || verdict.class == CPS_VERDICT_TROUBLE ||
        verdict.class == CPS_VERDICT_LATER || target == NULL || in->inspection->stage == STAGE_LIST) {
        *ret_over = true;
        return FIND(in, ERROR, "%s", verdict.note);
    }
    if (verdict.class == CPS_VERDICT_MISSING)
        return FIND(in, ERROR, "%s: CPS does not know enrollment %lld, or this API client may not see it.",
                    target->title, (long long)target->enrollment);
    return FIND(in, ERROR, "%s: %s", target->title, verdict.note);
}

static struct acme_err take_list(struct inspecting *in, const cJSON *json)
{
    struct findings *own = in->own;
    for (size_t i = 0; i < own->count; i++) {
        struct target *target = &own->targets[i];
        const char *wanted = settings_of(target)->common_name;
        if (target->enrollment != 0)
            continue;
        int64_t found = 0;
        size_t matches =
            acme_cps_list_find(acme_json_get(json, "enrollments"), wanted != NULL ? wanted : "", &found);
        if (matches == 1)
            target->enrollment = found;
        else
            TRY(FIND(in, ERROR, "%s: CPS has %zu enrollments with the common name %s, not one.",
                     target->title, matches, wanted != NULL ? wanted : "?"));
    }
    return acme_ok();
}

static struct acme_err find_kind(struct inspecting *in, const struct target *target,
                                 const struct cps_enrollment *enrollment)
{
    const struct acme_cps_profile *settings = settings_of(target);
    const char *name = target->title;
    long long id = (long long)target->enrollment;
    TRY(FIND(in, GOOD, "%s: enrollment %lld is for %s, a %s one, with %zu alternative names%s%s.", name, id,
             acme_cps_shown(in->ctx, enrollment->common_name, 253),
             enrollment->third_party ? "third-party"
             : enrollment->dv        ? "DV"
                                     : "OV or EV",
             enrollment->san_count, enrollment->multi_stacked ? ", dual-stacked" : "",
             enrollment->change_management ? ", with change management" : ""));
    if (in->deployer)
        return enrollment->third_party ? acme_ok()
                                       : FIND(in, ERROR,
                                              "%s: enrollment %lld is no third-party one, and CPS takes "
                                              "certificates of others for "
                                              "these only.",
                                              name, id);
    if (enrollment->third_party && settings->third_party_issuer == NULL)
        TRY(FIND(in, ERROR,
                 "%s: enrollment %lld is a third-party one, so the profile needs "
                 "third_party_issuer.",
                 name, id));
    if (!enrollment->third_party && settings->third_party_issuer != NULL)
        TRY(FIND(in, WARNING, "%s: third_party_issuer is of no use, enrollment %lld is no third-party one.",
                 name, id));
    if (!enrollment->third_party && !settings->key_at_edge)
        TRY(FIND(in, ERROR,
                 "%s: with key_holder: client no order can ever be fulfilled by enrollment %lld, "
                 "whose CSRs "
                 "nobody sees: it needs key_holder: edge.",
                 name, id));
    if (enrollment->third_party && enrollment->excludes_sans)
        TRY(FIND(in, WARNING,
                 "%s: enrollment %lld leaves the SANs out of its CSRs (thirdParty.excludeSans), so only "
                 "orders for its common name alone can be fulfilled.",
                 name, id));
    return acme_ok();
}

static struct acme_err find_room(struct inspecting *in, const struct target *target,
                                 const struct cps_enrollment *enrollment)
{
    const char *name = target->title;
    if (enrollment->max_sans >= 0 && (int64_t)enrollment->san_count >= enrollment->max_sans)
        TRY(FIND(in, WARNING, "%s: all %lld alternative names that Akamai allows are in use.", name,
                 (long long)enrollment->max_sans));
    else if (enrollment->max_sans >= 0)
        TRY(FIND(in, GOOD, "%s: %zu of %lld alternative names are in use.", name, enrollment->san_count,
                 (long long)enrollment->max_sans));
    for (size_t i = 0; i < enrollment->pending_count; i++)
        TRY(FIND(in, WARNING, "%s: change %lld (%s) is pending; new orders wait for it.", name,
                 (long long)enrollment->pending[i].id,
                 *enrollment->pending[i].type != '\0' ? enrollment->pending[i].type : "kind unknown"));
    return acme_ok();
}

static struct acme_err take_enrollment(struct inspecting *in, struct target *target, cJSON *json)
{
    struct cps_enrollment *enrollment = acme_arena_alloc(in->ctx->arena, sizeof *enrollment);
    ENSURE(enrollment != NULL, ACME_E_NOMEM);
    struct acme_err err = acme_cps_enrollment_read(in->ctx, json, enrollment);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    if (acme_failed(err)) {
        in->own->in_part = true;
        return FIND(in, ERROR, "%s: enrollment %lld cannot be read.", target->title,
                    (long long)target->enrollment);
    }
    if (enrollment->third_party && enrollment->pending_count > 0)
        target->change = enrollment->pending[enrollment->pending_count - 1].id;
    TRY(find_kind(in, target, enrollment));
    return find_room(in, target, enrollment);
}

static struct acme_err take_csrs(struct inspecting *in, const struct target *target, const cJSON *json)
{
    struct cps_context *ctx = in->ctx;
    struct acme_err err = acme_cps_csrs_read(ctx, json);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    for (size_t i = 0; !acme_failed(err) && i < ctx->csr_count && in->own->key_count < KEYS_MAX; i++) {
        struct acme_upstream_key *key = &in->own->keys[in->own->key_count++];
        key->profile = target->profile->name;
        memcpy(key->spki_sha256, ctx->csrs[i].csr.spki_sha256, sizeof key->spki_sha256);
        TRY(FIND(in, GOOD, "%s: change %lld waits for a certificate for its %s CSR.", target->title,
                 (long long)target->change, ctx->csrs[i].label));
    }
    return acme_ok();
}

static struct acme_err take(struct inspecting *in, bool *ret_over)
{
    const struct acme_step_input *input = in->ctx->input;
    struct target *target = current(in);
    int stage = in->inspection->stage;
    cJSON *json = NULL;
    struct acme_err err = acme_cps_json(in->ctx, &json);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    if (acme_failed(err) || input->reply->status != 200) {
        bool moved_on = stage == STAGE_CSR && input->event == ACME_EVENT_REPLY &&
                        (input->reply->status == 404 || input->reply->status == 409);
        return moved_on ? acme_ok() : find_failure(in, ret_over);
    }
    TRY(find_good_login(in));
    if (stage == STAGE_LIST)
        return take_list(in, json);
    ENSURE(target != NULL, ACME_E_INTERNAL);
    return stage == STAGE_ENROLLMENT ? take_enrollment(in, target, json) : take_csrs(in, target, json);
}

/* ---- the way through ---- */

static bool needs_list(const struct findings *own)
{
    for (size_t i = 0; i < own->count; i++)
        if (own->targets[i].enrollment == 0)
            return true;
    return false;
}

/* To the next stage that has something to ask. */
static void advance(struct inspecting *in)
{
    struct acme_inspection *inspection = in->inspection;
    const struct target *target = current(in);
    if (inspection->stage == STAGE_ENROLLMENT && target != NULL && target->change != 0) {
        inspection->stage = STAGE_CSR;
        return;
    }
    if (inspection->stage != STAGE_LIST)
        inspection->position++;
    inspection->stage = STAGE_ENROLLMENT;
    while ((target = current(in)) != NULL && target->enrollment == 0)
        inspection->position++;
    if (target == NULL)
        inspection->stage = STAGE_OVER;
}

static struct acme_err call_stage(struct inspecting *in, struct acme_inspect_step *ret)
{
    struct cps_context *ctx = in->ctx;
    const struct target *target = current(in);
    if (in->inspection->stage == STAGE_LIST) {
        TRY(acme_cps_call_list(ctx));
    } else {
        ENSURE(target != NULL, ACME_E_INTERNAL);
        ctx->state->enrollment = target->enrollment;
        if (in->inspection->stage == STAGE_ENROLLMENT)
            TRY(acme_cps_call_enrollment(ctx, ""));
        else
            TRY(acme_cps_call_csr(ctx, CPS_CALL_CSR, target->change));
    }
    *ret = (struct acme_inspect_step){.call = ctx->step->call};
    return acme_ok();
}

static struct acme_err end(struct inspecting *in, bool over, struct acme_inspect_step *ret)
{
    struct acme_inspection *inspection = in->inspection;
    inspection->keys = in->own->keys;
    inspection->key_count = in->own->key_count;
    inspection->keys_known = !over && !in->own->in_part;
    inspection->incomplete = over;
    *ret = (struct acme_inspect_step){.done = true};
    return acme_ok();
}

static struct acme_err look(const struct acme_cps_config *config, bool deployer, struct acme_arena *arena,
                            const struct acme_inspect_request *request, struct acme_inspection *inspection,
                            const struct acme_step_input *input, struct acme_inspect_step *ret)
{
    static const struct acme_cps_policy no_policy = {0};
    struct cps_state *state = acme_arena_alloc(arena, sizeof *state);
    struct cps_context *ctx = acme_arena_alloc(arena, sizeof *ctx);
    ENSURE(state != NULL && ctx != NULL, ACME_E_NOMEM);
    struct acme_step step = {0};
    *ctx = (struct cps_context){.config = config,
                                .policy = &no_policy,
                                .arena = arena,
                                .input = input,
                                .state = state,
                                .step = &step};
    struct inspecting in = {.ctx = ctx,
                            .request = request,
                            .inspection = inspection,
                            .own = inspection->own,
                            .deployer = deployer};
    bool over = false;
    if (in.own == NULL) {
        TRY(begin(&in));
        inspection->stage = STAGE_LIST;
        if (request->domains_only)
            inspection->stage = STAGE_OVER;
        else if (!needs_list(in.own))
            advance(&in);
    } else {
        ENSURE(input->event != ACME_EVENT_REPLY || input->reply != NULL, ACME_E_INTERNAL);
        TRY(take(&in, &over));
        advance(&in);
    }
    if (over || inspection->stage == STAGE_OVER)
        return end(&in, over, ret);
    return call_stage(&in, ret);
}

struct acme_err acme_cps_inspect(const struct acme_backend *backend, struct acme_arena *arena,
                                 const struct acme_inspect_request *request,
                                 struct acme_inspection *inspection, const struct acme_step_input *input,
                                 struct acme_inspect_step *ret)
{
    const struct cps_issuer *cps = (const struct cps_issuer *)backend;
    return look(&cps->config, false, arena, request, inspection, input, ret);
}

struct acme_err acme_cps_inspect_target(const struct acme_cps_config *config, const char *name,
                                        const struct acme_cps_target *target, struct acme_arena *arena,
                                        const struct acme_inspect_request *request,
                                        struct acme_inspection *inspection,
                                        const struct acme_step_input *input, struct acme_inspect_step *ret)
{
    struct acme_cps_profile *settings = acme_arena_alloc(arena, sizeof *settings);
    struct acme_inspect_profile *profile = acme_arena_alloc(arena, sizeof *profile);
    ENSURE(settings != NULL && profile != NULL, ACME_E_NOMEM);
    *settings =
        (struct acme_cps_profile){.enrollment_id = target->enrollment_id, .common_name = target->common_name};
    *profile = (struct acme_inspect_profile){.name = name, .settings = settings};
    struct acme_inspect_request own = *request;
    own.profiles = profile;
    own.profile_count = 1;
    return look(config, true, arena, &own, inspection, input, ret);
}
