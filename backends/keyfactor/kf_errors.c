/* The catalogue: what an error reply means, by endpoint, HTTP status and Command's words. Its error codes are
 * not documented but for one (0xA0140002, a missing permission), and a CA's refusal arrives as free text in
 * Message, so words decide. */
#include "backends/keyfactor/kf_internal.h"

#include "base/buf.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define NO_PERMISSION "0xA0140002"
enum { WORDS_MAX_BYTES = 4096, ODD_TRIES = 5 };

/* What the client is told. The server's own trouble is named in general words; the operator's note has the
 * rest. */
#define TO_CLIENT_SETUP                                                                                      \
    "The certificate service refused the request because of how this ACME server is set up there; its "      \
    "administrator has to correct that."
#define TO_CLIENT_TROUBLE "The certificate service has an internal problem; please try again later."
#define TO_CLIENT_CSR                                                                                        \
    "The certificate service does not accept the CSR; its subject may have to meet rules of that service."
#define TO_CLIENT_KEY                                                                                        \
    "The certificate service does not accept the public key in the CSR; use another key type or size."
#define TO_CLIENT_NAME "The certificate service does not accept a requested name."
#define TO_CLIENT_GONE "The certificate service does not know the request any more."
#define TO_CLIENT_UNREVOKED                                                                                  \
    "The certificate service refused to revoke it; the administrator of this ACME server finds the reason "  \
    "in its log."

#define SETUP(text, gist)                                                                                    \
    {                                                                                                        \
        KF_AT_ENROLL, text, KF_VERDICT_FINAL, ACME_PROBLEM_SERVER_INTERNAL, TO_CLIENT_SETUP, gist            \
    }
#define CLIENT(text, problem, detail, gist)                                                                  \
    {                                                                                                        \
        KF_AT_ENROLL, text, KF_VERDICT_FINAL, ACME_PROBLEM_##problem, detail, gist                           \
    }
#define OPEN(text, gist)                                                                                     \
    {                                                                                                        \
        KF_AT_ONCE, text, KF_VERDICT_UNKNOWN, ACME_PROBLEM_SERVER_INTERNAL, TO_CLIENT_TROUBLE, gist          \
    }
#define AWAY(text)                                                                                           \
    {                                                                                                        \
        KF_AT_REVOKE, text, KF_VERDICT_RETRY, ACME_PROBLEM_SERVER_INTERNAL, TO_CLIENT_TROUBLE,               \
            "the CA is not available to Keyfactor"                                                           \
    }

/* First match wins. */
static const struct kf_rule rules[] = {
    {KF_AT_ALL, NO_PERMISSION, KF_VERDICT_CREDENTIALS, ACME_PROBLEM_SERVER_INTERNAL, TO_CLIENT_SETUP,
     "the configured login may not do this in Keyfactor"},
    {KF_AT_REVOKE, "already revoked", KF_VERDICT_DONE, ACME_PROBLEM_SERVER_INTERNAL, TO_CLIENT_UNREVOKED,
     "it is revoked already"},
    AWAY("RPC server"),
    AWAY("0x800706ba"),
    AWAY("unreachable"),
    AWAY("unavailable"),
    AWAY("timed out"),
    OPEN("RPC server", "the CA is not available to Keyfactor"),
    OPEN("0x800706ba", "the CA is not available to Keyfactor"),
    OPEN("unreachable", "the CA is not available to Keyfactor"),
    OPEN("unavailable", "the CA is not available to Keyfactor"),
    OPEN("could not connect", "the CA is not available to Keyfactor"),
    OPEN("unable to connect", "the CA is not available to Keyfactor"),
    OPEN("timed out", "the CA did not answer Keyfactor in time"),
    OPEN("timeout", "the CA did not answer Keyfactor in time"),
    {KF_AT_RENEW, NULL, KF_VERDICT_ANEW, ACME_PROBLEM_SERVER_INTERNAL, TO_CLIENT_TROUBLE,
     "Keyfactor does not renew this certificate"},
    CLIENT("key size", BAD_PUBLIC_KEY, TO_CLIENT_KEY, "the size of the key is not accepted"),
    CLIENT("key length", BAD_PUBLIC_KEY, TO_CLIENT_KEY, "the size of the key is not accepted"),
    CLIENT("key type", BAD_PUBLIC_KEY, TO_CLIENT_KEY, "the kind of key is not accepted"),
    CLIENT("key algorithm", BAD_PUBLIC_KEY, TO_CLIENT_KEY, "the kind of key is not accepted"),
    CLIENT("public key", BAD_PUBLIC_KEY, TO_CLIENT_KEY, "the key is not accepted"),
    CLIENT("0x80094811", BAD_PUBLIC_KEY, TO_CLIENT_KEY, "the key is too short for the template"),
    SETUP("metadata", "a metadata field is missing in Keyfactor, or its value is not accepted"),
    SETUP("enrollment pattern", "enrollment_pattern_id is not one this login may use"),
    SETUP("enrollment field", "an enrollment field is missing, or its value is not accepted"),
    SETUP("enrollment fields", "an enrollment field is missing, or its value is not accepted"),
    SETUP("owner", "the owner role is missing, or is not accepted"),
    SETUP("timestamp", "Keyfactor does not accept the time of this server's clock"),
    SETUP("0x80094800", "the CA does not offer the template"),
    SETUP("0x80094012", "the CA does not let the login's account use the template"),
    CLIENT("subject alternative name", REJECTED_IDENTIFIER, TO_CLIENT_NAME, "a name is not accepted"),
    CLIENT("subject alternative names", REJECTED_IDENTIFIER, TO_CLIENT_NAME, "a name is not accepted"),
    CLIENT("SAN", REJECTED_IDENTIFIER, TO_CLIENT_NAME, "a name is not accepted"),
    CLIENT("SANs", REJECTED_IDENTIFIER, TO_CLIENT_NAME, "a name is not accepted"),
    CLIENT("DNS name", REJECTED_IDENTIFIER, TO_CLIENT_NAME, "a name is not accepted"),
    SETUP("template", "template is not one this login may use"),
    SETUP("certificate authority", "certificate_authority is not one this login may use"),
    CLIENT("CSR", BAD_CSR, TO_CLIENT_CSR, "the CSR is not accepted"),
    CLIENT("certificate request", BAD_CSR, TO_CLIENT_CSR, "the CSR is not accepted"),
    CLIENT("PKCS10", BAD_CSR, TO_CLIENT_CSR, "the CSR is not accepted"),
    CLIENT("subject", BAD_CSR, TO_CLIENT_CSR, "the CSR's subject is not accepted"),
    CLIENT("common name", BAD_CSR, TO_CLIENT_CSR, "the CSR's subject is not accepted"),
    CLIENT("regular expression", BAD_CSR, TO_CLIENT_CSR, "the CSR does not meet a rule of the template"),
};

const struct kf_rule *acme_kf_rule_at(size_t index)
{
    return index < sizeof rules / sizeof rules[0] ? &rules[index] : NULL;
}

static bool has_words(const char *message, const char *words)
{
    size_t len = strlen(words);
    for (const char *at = strcasestr(message, words); at != NULL; at = strcasestr(at + 1, words)) {
        if ((at == message || !isalnum((unsigned char)at[-1])) && !isalnum((unsigned char)at[len]))
            return true;
    }
    return false;
}

static const struct kf_rule *rule_for(enum kf_endpoint endpoint, const char *message)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const struct kf_rule *rule = &rules[i];
        if ((rule->endpoints & (unsigned)endpoint) != 0 &&
            (rule->text == NULL || has_words(message, rule->text)))
            return rule;
    }
    return NULL;
}

const char *acme_kf_words(struct acme_arena *arena, const cJSON *json)
{
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, WORDS_MAX_BYTES);
    const char *message = acme_kf_str(json, "Message");
    if (message != NULL)
        acme_buf_str(&out, message);
    const cJSON *item;
    cJSON_ArrayForEach(item, acme_kf_get(json, "FailedOperations"))
    {
        const char *reason = acme_kf_str(item, "Reason");
        if (reason != NULL && out.len + strlen(reason) + 2 < WORDS_MAX_BYTES)
            acme_buf_printf(&out, "%s%s", out.len > 0 ? "; " : "", reason);
    }
    const char *text = acme_buf_cstr(&out);
    return text != NULL && *text != '\0' ? acme_arena_strdup(arena, text) : NULL;
}

/* A reply that is decided by its status: a gateway's, or one whose words say nothing. */
#define BY_STATUS(class, detail, gist)                                                                       \
    {                                                                                                        \
        KF_AT_ALL, NULL, KF_VERDICT_##class, ACME_PROBLEM_SERVER_INTERNAL, detail, gist                      \
    }

static const struct kf_rule login_rule =
    BY_STATUS(CREDENTIALS, TO_CLIENT_SETUP, "Keyfactor refuses the configured login");
static const struct kf_rule forbidden_rule =
    BY_STATUS(CREDENTIALS, TO_CLIENT_SETUP, "the configured login may not do this in Keyfactor");

static const struct kf_rule *rule_for_status(enum kf_endpoint endpoint, int status, bool coded)
{
    static const struct kf_rule throttled =
        BY_STATUS(RETRY, TO_CLIENT_TROUBLE, "too many requests for Keyfactor");
    static const struct kf_rule down =
        BY_STATUS(RETRY, TO_CLIENT_TROUBLE, "Keyfactor or a gateway in front of it has trouble");
    static const struct kf_rule gone = BY_STATUS(GONE, TO_CLIENT_GONE, "Keyfactor does not know it");
    static const struct kf_rule odd = BY_STATUS(
        RETRY, TO_CLIENT_TROUBLE, "this is not an answer of Keyfactor's API; check url, api_path and proxy");
    static const struct kf_rule refused =
        BY_STATUS(FINAL, TO_CLIENT_SETUP, "Keyfactor refused it for a reason this server does not know");
    static const struct kf_rule unrevoked =
        BY_STATUS(FINAL, TO_CLIENT_UNREVOKED, "Keyfactor refused it for a reason this server does not know");
    static const struct kf_rule unwilling = BY_STATUS(REFUSED, TO_CLIENT_TROUBLE, "Keyfactor refused it");
    const unsigned changing = KF_AT_ONCE | KF_AT_REVOKE;
    if (status == 401)
        return &login_rule;
    if (status == 403)
        return &forbidden_rule;
    if (status == 429)
        return &throttled;
    if (status >= 500)
        return &down;
    if (status == 404 && ((unsigned)endpoint & KF_AT_ONCE) == 0)
        return &gone;
    if (status < 400 || !coded)
        return &odd;
    if (((unsigned)endpoint & changing) == 0)
        return &unwilling;
    return endpoint == KF_AT_REVOKE ? &unrevoked : &refused;
}

static const char *verb_of(enum kf_endpoint endpoint)
{
    switch (endpoint) {
    case KF_AT_ENROLL:
        return "the enrollment";
    case KF_AT_RENEW:
        return "the renewal";
    case KF_AT_AVAILABLE:
        return "the question whether the certificate can be renewed";
    case KF_AT_LIST:
        return "the search";
    case KF_AT_REQUEST:
        return "the status query";
    case KF_AT_DOWNLOAD:
        return "the download";
    case KF_AT_WITHDRAW:
        return "the withdrawal";
    case KF_AT_REVOKE:
        return "the revocation";
    case KF_AT_ALL:
        break;
    }
    return "a call";
}

struct acme_err acme_kf_judge(struct kf_context *ctx, enum kf_endpoint endpoint, struct kf_verdict *ret)
{
    const struct acme_http_reply *reply = ctx->input->reply;
    const char *words = NULL;
    const char *code = NULL;
    cJSON *json = NULL;
    bool coded = false;
    if (reply->body.len > 0 && reply->status >= 400) {
        struct acme_err err =
            acme_json_parse(ctx->arena, (const char *)reply->body.data, reply->body.len, &json);
        if (err.code == ACME_E_NOMEM)
            return err;
        words = acme_failed(err) ? NULL : acme_kf_words(ctx->arena, json);
        code = acme_failed(err) ? NULL : acme_kf_str(json, "ErrorCode");
        coded = words != NULL || code != NULL;
    }
    const char *message =
        acme_arena_printf(ctx->arena, "%s %s", code != NULL ? code : "", words != NULL ? words : "");
    ENSURE(message != NULL, ACME_E_NOMEM);
    bool client_error = reply->status >= 400 && reply->status <= 499;
    bool by_words = coded && (client_error || reply->status == 500) && reply->status != 401 &&
                    reply->status != 403 && reply->status != 429;
    const struct kf_rule *rule = by_words ? rule_for(endpoint, message) : NULL;
    if (rule == NULL)
        rule = rule_for_status(endpoint, reply->status, coded);

    *ret = (struct kf_verdict){
        .class = rule->class, .problem = rule->problem, .detail = rule->detail, .coded = coded};
    /* An enrollment counts as refused only when Command itself says so with a client error: everything else
     * leaves it open. */
    bool refused = client_error && reply->status != 429 && (coded || rule->class == KF_VERDICT_CREDENTIALS);
    if (((unsigned)endpoint & KF_AT_ONCE) != 0 && !refused)
        ret->class = KF_VERDICT_UNKNOWN;
    bool away = rule->class == KF_VERDICT_UNKNOWN || reply->status == 429 || reply->status > 500;
    if (ret->class == KF_VERDICT_UNKNOWN && !away)
        ret->tries = ODD_TRIES;

    const char *quoted = acme_upstream_quoted(ctx->arena, &ctx->secrets, words);
    ENSURE(quoted != NULL, ACME_E_NOMEM);
    ret->note = acme_arena_printf(ctx->arena, "Keyfactor answered %s with HTTP %d%s (%s).", verb_of(endpoint),
                                  reply->status, quoted, rule->gist);
    ENSURE(ret->note != NULL, ACME_E_NOMEM);
    return acme_ok();
}
