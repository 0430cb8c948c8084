/* Problem documents of CPS, and what stands in front of it. */
#include "backends/cps/cps_internal.h"

#include <string.h>
#include <strings.h>

enum { LOGIN_TRIES = 5, REFUSED_TRIES = 3, WORDS_MAX = 300 };

const char *acme_cps_shown(struct cps_context *ctx, const char *text, size_t max)
{
    if (text == NULL)
        return "";
    const struct acme_edgegrid_client *client = &ctx->config->client;
    const struct acme_secrets secrets = {
        .text = {client->client_secret, client->access_token, client->client_token}};
    if (acme_secrets_echoed(&secrets, text))
        return "(not shown)";
    return acme_printable(ctx->arena, text, strlen(text), max);
}

/* "title: detail", or the one that is there. */
static struct acme_err read_words(struct cps_context *ctx, const char **ret)
{
    cJSON *json = NULL;
    struct acme_err err = acme_cps_json(ctx, &json);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    const char *title = acme_json_str(json, "title");
    const char *detail = acme_json_str(json, "detail");
    const char *both = title != NULL ? title : detail;
    if (title != NULL && detail != NULL && strcmp(title, detail) != 0)
        both = acme_arena_printf(ctx->arena, "%s: %s", title, detail);
    else if (both == NULL)
        both = "";
    ENSURE(both != NULL, ACME_E_NOMEM);
    *ret = acme_cps_shown(ctx, both, WORDS_MAX);
    return acme_err(*ret != NULL ? ACME_OK : ACME_E_NOMEM);
}

static enum cps_verdict_class class_of(int status)
{
    switch (status) {
    case 401:
        return CPS_VERDICT_LOGIN;
    case 403:
    case 406:
    case 415:
        return CPS_VERDICT_DENIED;
    case 404:
    case 410:
        return CPS_VERDICT_MISSING;
    case 409:
        return CPS_VERDICT_CONFLICT;
    case 429:
        return CPS_VERDICT_LATER;
    default:
        return status >= 400 && status <= 499 && status != 408 ? CPS_VERDICT_REFUSED : CPS_VERDICT_TROUBLE;
    }
}

/* Our clock, and by how much; 0: it is right, as far as can be told. */
static int64_t wrong_clock_s(const struct cps_context *ctx)
{
    int64_t skew_s = acme_edgegrid_skew_s(ctx->input->reply, ctx->input->now_ms);
    return skew_s > ACME_EDGEGRID_SKEW_S || skew_s < -ACME_EDGEGRID_SKEW_S ? skew_s : 0;
}

static const char *login_note(struct cps_context *ctx, const char *words)
{
    int64_t skew_s = wrong_clock_s(ctx);
    int status = ctx->input->reply->status;
    if (skew_s != 0)
        return acme_arena_printf(
            ctx->arena,
            "Akamai refuses the signature (HTTP %d) because this machine's clock is %lld "
            "seconds %s: set it right (NTP).",
            status, (long long)(skew_s < 0 ? -skew_s : skew_s), skew_s < 0 ? "slow" : "fast");
    return acme_arena_printf(
        ctx->arena, "Akamai refuses the signature (HTTP %d%s%s): check the credentials in the .edgerc file.",
        status, *words != '\0' ? ", " : "", words);
}

static const char *note_of(struct cps_context *ctx, enum cps_verdict_class class, const char *words)
{
    int status = ctx->input->reply->status;
    const char *colon = *words != '\0' ? ": " : "";
    switch (class) {
    case CPS_VERDICT_LOGIN:
        return login_note(ctx, words);
    case CPS_VERDICT_DENIED:
        if (status == 403)
            return acme_arena_printf(
                ctx->arena,
                "Akamai denies this API client access to CPS (HTTP 403%s%s): it needs the "
                "CPS grant with read-write access, in the right account and contract.",
                colon, words);
        return acme_arena_printf(ctx->arena, "CPS does not speak this version of its API (HTTP %d%s%s).",
                                 status, colon, words);
    case CPS_VERDICT_LATER:
        return acme_arena_printf(ctx->arena, "Akamai throttles this account (HTTP 429%s%s).", colon, words);
    default:
        return acme_arena_printf(ctx->arena, "CPS answered with HTTP %d%s%s.", status, colon, words);
    }
}

struct acme_err acme_cps_judge(struct cps_context *ctx, struct cps_verdict *ret)
{
    const struct acme_step_input *input = ctx->input;
    struct cps_verdict verdict = {.class = CPS_VERDICT_TROUBLE, .words = ""};
    if (input->event != ACME_EVENT_REPLY || input->reply == NULL) {
        verdict.note = acme_arena_printf(ctx->arena, "CPS could not be reached: %s.",
                                         input->failure != NULL ? input->failure : "no answer");
    } else {
        TRY(read_words(ctx, &verdict.words));
        verdict.class = class_of(input->reply->status);
        if (input->reply->status == 400 && wrong_clock_s(ctx) != 0) /* how gateways refuse an old timestamp */
            verdict.class = CPS_VERDICT_LOGIN;
        verdict.note = note_of(ctx, verdict.class, verdict.words);
    }
    ENSURE(verdict.note != NULL, ACME_E_NOMEM);
    *ret = verdict;
    return acme_ok();
}

struct acme_err acme_cps_trouble(struct cps_context *ctx, const struct cps_verdict *verdict)
{
    static const char detail[] =
        "The certificate service refuses requests of this server; its operator has to look into it.";
    struct cps_state *state = ctx->state;
    bool under_way = state->change != 0 || state->sent_ms != 0 || state->phase == CPS_PHASE_COLLECT;
    switch (verdict->class) {
    case CPS_VERDICT_LATER:
        return acme_cps_wait_ms(ctx, ACME_MINUTE_MS, verdict->note);
    case CPS_VERDICT_LOGIN:
        if (!under_way && ++state->refusals >= LOGIN_TRIES)
            return acme_cps_fail(ctx, ACME_PROBLEM_SERVER_INTERNAL, detail, verdict->note);
        return acme_cps_wait_failure(ctx, ACME_LOGIN_FIRST_MS, ACME_LOGIN_MAX_MS, verdict->note);
    case CPS_VERDICT_DENIED:
        if (!under_way)
            return acme_cps_fail(ctx, ACME_PROBLEM_SERVER_INTERNAL, detail, verdict->note);
        return acme_cps_wait_failure(ctx, ACME_LOGIN_FIRST_MS, ACME_LOGIN_MAX_MS, verdict->note);
    case CPS_VERDICT_REFUSED:
        if (!under_way && ++state->refusals >= REFUSED_TRIES)
            return acme_cps_fail(ctx, ACME_PROBLEM_SERVER_INTERNAL, detail, verdict->note);
        return acme_cps_wait_failure(ctx, ACME_LOGIN_FIRST_MS, ACME_LOGIN_MAX_MS, verdict->note);
    case CPS_VERDICT_MISSING:
    case CPS_VERDICT_CONFLICT:
    case CPS_VERDICT_TROUBLE:
        break;
    }
    return acme_cps_wait_failure(ctx, ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS, verdict->note);
}

enum acme_problem_type acme_cps_fault_type(const char *text)
{
    static const struct {
        const char *word;
        enum acme_problem_type type;
    } words[] = {
        {"csr_vs_certificate", ACME_PROBLEM_BAD_CSR},
        {"key_mismatch", ACME_PROBLEM_BAD_CSR},
        {"caa", ACME_PROBLEM_CAA},
        {"nxdomain", ACME_PROBLEM_DNS},
        {"servfail", ACME_PROBLEM_DNS},
        {"dns", ACME_PROBLEM_DNS},
        {"connection", ACME_PROBLEM_CONNECTION},
        {"timeout", ACME_PROBLEM_CONNECTION},
        {"timed out", ACME_PROBLEM_CONNECTION},
        {"response_error", ACME_PROBLEM_INCORRECT_RESPONSE},
        {"domain validation", ACME_PROBLEM_UNAUTHORIZED},
        {"unauthorized", ACME_PROBLEM_UNAUTHORIZED},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasestr(text, words[i].word) != NULL)
            return words[i].type;
    return ACME_PROBLEM_SERVER_INTERNAL;
}
