/* Answers to challenges of DV enrollments, published by a hook or in the DNS. Each is published once and
 * taken back when its name is validated, or the change goes on, or the job ends. A program may run again
 * after a crash: publishing the same answer twice must do no harm. */
#include "backends/cps/cps_internal.h"

#include <string.h>

#define RETRY_FIRST_MS (30 * ACME_SECOND_MS)
#define RETRY_MAX_MS   (10 * ACME_MINUTE_MS)
enum { OUTPUT_CHARS = 300 };

/* ---- answers: {"type", "domain", "token", "body", "path", "redirect"} ---- */

static bool put(cJSON *object, const char *name, const char *text)
{
    return text == NULL || cJSON_AddStringToObject(object, name, text) != NULL;
}

/* The answer to one domain's challenge of the kind that is published; *ret NULL: CPS offers none. */
static struct acme_err answer_of(struct cps_context *ctx, const cJSON *domain, cJSON **ret)
{
    bool http = ctx->policy->dv.type == ACME_DV_HTTP01;
    const cJSON *challenge = acme_json_get(domain, http ? "http" : "dns");
    *ret = NULL;
    if (challenge == NULL)
        return acme_ok();
    cJSON *answer = acme_cps_keep(ctx, cJSON_CreateObject());
    ENSURE(answer != NULL && put(answer, "type", acme_dv_type_name(ctx->policy->dv.type)) &&
               put(answer, "domain", acme_json_str(domain, "domain")) &&
               put(answer, "token", acme_json_str(challenge, "token")) &&
               put(answer, "body", acme_json_str(challenge, http ? "body" : "value")) &&
               put(answer, "path", acme_json_str(challenge, http ? "url" : "name")) &&
               put(answer, "redirect", acme_json_str(challenge, "redirect")),
           ACME_E_NOMEM);
    *ret = answer;
    return acme_ok();
}

static bool is_published(const struct cps_state *state, const cJSON *answer)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, state->published)
    {
        if (cJSON_Compare(item, answer, true))
            return true;
    }
    return false;
}

static const char *text_of(const cJSON *answer, const char *name)
{
    const char *text = acme_json_str(answer, name);
    return text != NULL ? text : "";
}

/* The list with `answer` behind it, or without it; NULL when it is empty. */
static struct acme_err set_published(struct cps_context *ctx, const cJSON *answer, bool with)
{
    struct cps_state *state = ctx->state;
    cJSON *list = acme_cps_keep(ctx, cJSON_CreateArray());
    ENSURE(list != NULL, ACME_E_NOMEM);
    const cJSON *item;
    cJSON_ArrayForEach(item, state->published)
    {
        cJSON *copy = cJSON_Compare(item, answer, true) ? NULL : cJSON_Duplicate(item, true);
        ENSURE(copy != NULL || cJSON_Compare(item, answer, true), ACME_E_NOMEM);
        if (copy != NULL)
            cJSON_AddItemToArray(list, copy);
    }
    if (with) {
        cJSON *copy = cJSON_Duplicate(answer, true);
        ENSURE(copy != NULL, ACME_E_NOMEM);
        cJSON_AddItemToArray(list, copy);
    }
    state->published = list->child != NULL ? list : NULL;
    return acme_ok();
}

/* ---- programs ---- */

/* *ret_why: the answer must not be passed on, and no step is decided; else the step is the program. */
static struct acme_err run(struct cps_context *ctx, enum acme_dv_action action, const cJSON *which,
                           const char **ret_why)
{
    const struct acme_dv_config *config = &ctx->policy->dv;
    /* The program outlives the saved state that `which` may belong to. */
    const cJSON *answer = acme_cps_keep(ctx, cJSON_Duplicate(which, true));
    ENSURE(answer != NULL, ACME_E_NOMEM);
    const char *about = acme_arena_printf(ctx->arena, "%lld/%lld", (long long)ctx->state->enrollment,
                                          (long long)ctx->state->change);
    ENSURE(about != NULL, ACME_E_NOMEM);
    const struct acme_dv_answer dv = {.type = strcmp(text_of(answer, "type"), "dns-01") == 0 ? ACME_DV_DNS01
                                                                                             : ACME_DV_HTTP01,
                                      .domain = text_of(answer, "domain"),
                                      .token = text_of(answer, "token"),
                                      .body = text_of(answer, "body"),
                                      .path = text_of(answer, "path"),
                                      .redirect_path = acme_json_str(answer, "redirect"),
                                      .about = about};
    struct acme_step *step = ctx->step;
    *ret_why = NULL;
    struct acme_err err = acme_dv_call(config, ctx->arena, action, &dv, &step->run, ret_why);
    if (err.code == ACME_E_STATE)
        *ret_why = "the configuration publishes nothing any more";
    if (*ret_why != NULL)
        return acme_ok();
    TRY(err);
    step->kind = ACME_STEP_RUN;
    step->note = acme_arena_printf(ctx->arena, "%s the %s answer for %s (%s).",
                                   action == ACME_DV_PUBLISH ? "Publishing" : "Taking back",
                                   acme_dv_type_name(dv.type), dv.domain, dv.path);
    ENSURE(step->note != NULL, ACME_E_NOMEM);
    ctx->state->publishing = answer;
    ctx->state->call = action == ACME_DV_PUBLISH ? CPS_CALL_PUBLISH : CPS_CALL_UNPUBLISH;
    return acme_ok();
}

static const char *ending_of(struct cps_context *ctx)
{
    const struct acme_step_input *input = ctx->input;
    const struct acme_program_result *ran = input->event == ACME_EVENT_REPLY ? input->ran : NULL;
    if (ran == NULL)
        return acme_arena_printf(ctx->arena, "it could not be run: %s",
                                 input->failure != NULL ? input->failure : "no reason given");
    const char *output = acme_cps_shown(ctx, ran->output, OUTPUT_CHARS);
    if (ran->timed_out)
        return acme_arena_printf(ctx->arena, "it took too long. %s", output);
    if (ran->signal != 0)
        return acme_arena_printf(ctx->arena, "it was ended by signal %d. %s", ran->signal, output);
    return acme_arena_printf(ctx->arena, "exit code %d. %s", ran->exit_code, output);
}

static bool went_well(const struct cps_context *ctx)
{
    const struct acme_program_result *ran = ctx->input->ran;
    return ctx->input->event == ACME_EVENT_REPLY && ran != NULL && !ran->timed_out && ran->exit_code == 0;
}

/* ---- publishing ---- */

static struct acme_err call_hurry(struct cps_context *ctx)
{
    const struct cps_request request = {
        .call = CPS_CALL_HURRY,
        .method = "POST",
        .path = acme_arena_printf(
            ctx->arena, "/enrollments/%lld/changes/%lld/input/update/lets-encrypt-challenges-completed",
            (long long)ctx->state->enrollment, (long long)ctx->state->change),
        .accept = "change-id.v1",
        .content_type = "acknowledgement.v1",
        .body = "{\"acknowledgement\":\"acknowledge\"}",
        .note = "Telling CPS that the answers are published."};
    return acme_cps_call(ctx, &request);
}

/* What is not needed any more; *ret: the step takes it back. */
static struct acme_err tidy(struct cps_context *ctx, bool *ret)
{
    const cJSON *answer;
    *ret = false;
    cJSON_ArrayForEach(answer, ctx->state->published)
    {
        bool needed = false;
        const cJSON *domain;
        cJSON_ArrayForEach(domain, ctx->state->dv)
        {
            if (!acme_cps_dv_is_done(domain) &&
                strcmp(text_of(domain, "domain"), text_of(answer, "domain")) == 0)
                needed = true;
        }
        const char *why = NULL;
        if (needed)
            continue;
        TRY(run(ctx, ACME_DV_REMOVE, answer, &why));
        *ret = why == NULL;
        return why == NULL ? acme_ok() : set_published(ctx, answer, false);
    }
    return acme_ok();
}

struct acme_err acme_cps_publish(struct cps_context *ctx)
{
    bool decided = false;
    if (ctx->policy->dv.publication == ACME_DV_MANUAL)
        return acme_cps_dv_wait(ctx);
    TRY(tidy(ctx, &decided));
    if (decided)
        return acme_ok();
    const cJSON *domain;
    cJSON_ArrayForEach(domain, ctx->state->dv)
    {
        cJSON *answer = NULL;
        const char *why = NULL;
        if (acme_cps_dv_is_done(domain))
            continue;
        TRY(answer_of(ctx, domain, &answer));
        if (answer == NULL || is_published(ctx->state, answer))
            continue;
        TRY(run(ctx, ACME_DV_PUBLISH, answer, &why));
        if (why == NULL)
            return acme_ok();
        ctx->aside = acme_arena_printf(ctx->arena, "The challenge for %s is not published: %s.",
                                       text_of(domain, "domain"), why);
        ENSURE(ctx->aside != NULL, ACME_E_NOMEM);
    }
    return ctx->state->hurry ? call_hurry(ctx) : acme_cps_dv_wait(ctx);
}

struct acme_err acme_cps_publish_ended(struct cps_context *ctx)
{
    struct cps_state *state = ctx->state;
    const cJSON *answer = state->publishing;
    state->publishing = NULL;
    if (!went_well(ctx)) {
        const char *ending = ending_of(ctx);
        ENSURE(ending != NULL, ACME_E_NOMEM);
        return acme_cps_wait_failure(ctx, RETRY_FIRST_MS, RETRY_MAX_MS,
                                     acme_arena_printf(ctx->arena,
                                                       "The challenge for %s could not be published: %s",
                                                       text_of(answer, "domain"), ending));
    }
    TRY(set_published(ctx, answer, true));
    state->failures = 0;
    state->hurry = true;
    return acme_cps_publish(ctx);
}

/* CPS looks by itself all the same. */
struct acme_err acme_cps_hurried(struct cps_context *ctx)
{
    ctx->state->hurry = false;
    return acme_cps_dv_wait(ctx);
}

/* ---- taking back ---- */

struct acme_err acme_cps_unpublish(struct cps_context *ctx, bool *ret)
{
    *ret = false;
    while (ctx->state->published != NULL) {
        const char *why = NULL;
        const cJSON *answer = ctx->state->published->child;
        TRY(run(ctx, ACME_DV_REMOVE, answer, &why));
        *ret = why == NULL;
        if (*ret)
            return acme_ok();
        TRY(set_published(ctx, answer, false));
    }
    return acme_ok();
}

struct acme_err acme_cps_unpublish_ended(struct cps_context *ctx)
{
    const cJSON *answer = ctx->state->publishing;
    ctx->state->publishing = NULL;
    if (answer == NULL)
        return acme_ok();
    if (!went_well(ctx)) {
        const char *ending = ending_of(ctx);
        ENSURE(ending != NULL, ACME_E_NOMEM);
        ctx->aside =
            acme_arena_printf(ctx->arena, "The answer at %s could not be taken back, remove it yourself: %s",
                              text_of(answer, "path"), ending);
        ENSURE(ctx->aside != NULL, ACME_E_NOMEM);
    }
    return set_published(ctx, answer, false);
}
