/* The catalogue: what an error reply means, by endpoint, SCM's own code and HTTP status (API document,
 * "Errors"). Numbers are not unique (-9, -39, -62, -105 and -159 have two meanings), so the endpoint, and for
 * -62 the text, decides. */
#include "backends/scm/scm_internal.h"

#include <string.h>
#include <strings.h>

/* What the client is told. The server's own trouble is named in general words; the operator's note has the
 * rest. */
#define TO_CLIENT_SETUP                                                                                      \
    "The certificate service refused the request because of how this ACME server is set up there; its "      \
    "administrator has to correct that."
#define TO_CLIENT_TERM                                                                                       \
    "This ACME server asks its certificate service for a validity period that the certificate profile does " \
    "not offer; its administrator has to correct that."
#define TO_CLIENT_PROFILE                                                                                    \
    "This ACME server uses a certificate profile that its certificate service does not have; its "           \
    "administrator has to correct that."
#define TO_CLIENT_FIELD                                                                                      \
    "The certificate service demands information that this ACME server is not set up to give; its "          \
    "administrator has to correct that."
#define TO_CLIENT_ORG                                                                                        \
    "The organization this ACME server requests certificates for is not accepted by its certificate "        \
    "service; its administrator has to correct that."
#define TO_CLIENT_ORG_VALIDATION                                                                             \
    "The certificate authority has not validated the organization for this kind of certificate; the "        \
    "administrator of this ACME server has to have that done."
#define TO_CLIENT_TROUBLE "The certificate service has an internal problem; please try again later."
#define TO_CLIENT_CSR     "The certificate service cannot read the CSR."
#define TO_CLIENT_KEY                                                                                        \
    "The certificate service does not accept the public key in the CSR; use another key type or size."
#define TO_CLIENT_DCV                                                                                        \
    "The certificate authority has no current validation of a requested domain; the administrator of this "  \
    "ACME server has to renew it there."
#define TO_CLIENT_NAME   "The certificate service does not accept a requested name."
#define TO_CLIENT_DOMAIN "A requested domain is not allowed for this organization at the certificate service."
#define TO_CLIENT_LOCAL  "The certificate authority does not issue for local names or private addresses."
#define TO_CLIENT_QUOTA  "The number of certificates the certificate service allows has been reached."
#define TO_CLIENT_APPROVAL                                                                                   \
    "The request needs the approval of another administrator of the certificate service."
#define TO_CLIENT_REVOKED "The certificate was revoked before it could be handed out."
#define TO_CLIENT_GONE    "The certificate service does not know the request any more."
#define TO_CLIENT_UNREVOKED                                                                                  \
    "The certificate service refused to revoke it; the administrator of this ACME server finds the reason "  \
    "in its log."

#define CONFIG(code, detail, gist)                                                                           \
    {                                                                                                        \
        code, SCM_AT_ENROLL, NULL, SCM_VERDICT_FINAL, ACME_PROBLEM_SERVER_INTERNAL, 0, detail, gist          \
    }
#define CLIENT(code, problem, detail, gist)                                                                  \
    {                                                                                                        \
        code, SCM_AT_ENROLL, NULL, SCM_VERDICT_FINAL, ACME_PROBLEM_##problem, 0, detail, gist                \
    }
#define LOGIN(code, gist)                                                                                    \
    {                                                                                                        \
        code, SCM_AT_ALL, NULL, SCM_VERDICT_CREDENTIALS, ACME_PROBLEM_SERVER_INTERNAL, 0, TO_CLIENT_SETUP,   \
            gist                                                                                             \
    }
#define OPEN(code, tries, gist) /* it may have been done all the same */                                     \
    {                                                                                                        \
        code, SCM_AT_ONCE, NULL, SCM_VERDICT_UNKNOWN, ACME_PROBLEM_SERVER_INTERNAL, tries,                   \
            TO_CLIENT_TROUBLE, gist                                                                          \
    }
#define AGAIN(code, gist) /* what may be done twice */                                                       \
    {                                                                                                        \
        code, SCM_AT_ALL & ~SCM_AT_ONCE, NULL, SCM_VERDICT_RETRY, ACME_PROBLEM_SERVER_INTERNAL, 0,           \
            TO_CLIENT_TROUBLE, gist                                                                          \
    }
#define ANEW(code, endpoints, gist)                                                                          \
    {                                                                                                        \
        code, endpoints, NULL, SCM_VERDICT_ANEW, ACME_PROBLEM_SERVER_INTERNAL, 0, TO_CLIENT_TROUBLE, gist    \
    }
#define DECLINE(code, gist)                                                                                  \
    {                                                                                                        \
        code, SCM_AT_DECLINE, NULL, SCM_VERDICT_STATE, ACME_PROBLEM_SERVER_INTERNAL, 0, TO_CLIENT_TROUBLE,   \
            gist                                                                                             \
    }
#define NOT_YET(code, gist)                                                                                  \
    {                                                                                                        \
        code, SCM_AT_COLLECT | SCM_AT_DETAILS, NULL, SCM_VERDICT_NOT_YET, ACME_PROBLEM_SERVER_INTERNAL, 0,   \
            TO_CLIENT_TROUBLE, gist                                                                          \
    }
#define COLLECT(code, class, detail, gist)                                                                   \
    {                                                                                                        \
        code, SCM_AT_COLLECT, NULL, SCM_VERDICT_##class, ACME_PROBLEM_SERVER_INTERNAL, 0, detail, gist       \
    }
#define REVOKE(code, class, tries, gist)                                                                     \
    {                                                                                                        \
        code, SCM_AT_REVOKE, NULL, SCM_VERDICT_##class, ACME_PROBLEM_SERVER_INTERNAL, tries,                 \
            TO_CLIENT_UNREVOKED, gist                                                                        \
    }
#define GONE(code)                                                                                           \
    {                                                                                                        \
        code, SCM_AT_DETAILS | SCM_AT_COLLECT | SCM_AT_DECLINE | SCM_AT_REVOKE, NULL, SCM_VERDICT_GONE,      \
            ACME_PROBLEM_SERVER_INTERNAL, 0, TO_CLIENT_GONE, "SCM does not know this request"                \
    }

/* First match wins. */
static const struct scm_rule rules[] = {
    LOGIN(-16, "SCM refuses the configured login"),
    LOGIN(-970, "SCM refuses the configured login"),
    LOGIN(-3, "the configured login may not do this in SCM"),
    LOGIN(-25, "the configured login may not do this in SCM"),
    LOGIN(-37, "the configured login may not do this in SCM"),
    LOGIN(-226, "the configured login has no rights on this organization in SCM"),

    {-140, SCM_AT_ONCE, NULL, SCM_VERDICT_RETRY, ACME_PROBLEM_SERVER_INTERNAL, 0, TO_CLIENT_TROUBLE,
     "SCM cannot decode CSRs at the moment"},
    {-1138, SCM_AT_ENROLL, NULL, SCM_VERDICT_RETRY, ACME_PROBLEM_BAD_PUBLIC_KEY, 2, TO_CLIENT_KEY,
     "SCM could not check the key in the CSR"},
    OPEN(-129, 0, "SCM lost its connection to the CA while applying"),
    OPEN(-195, 0, "the CA is not available to SCM"),
    OPEN(-196, 0, "SCM has no connection to the CA"),
    OPEN(0, 0, "SCM says it is processing the request"),
    OPEN(-1400, 0, "SCM says it is processing the request"),
    OPEN(-1, 5, "SCM has an internal error"),
    OPEN(-2, 5, "SCM has an internal error"),
    OPEN(-14, 5, "SCM has an internal error"),
    OPEN(-43, 5, "SCM has an internal error"),
    OPEN(-65, 5, "SCM has an internal error"),
    OPEN(-3114, 0, "another user changed the record in SCM"),
    OPEN(-3115, 0, "another user changed the record in SCM"),
    AGAIN(-129, "SCM lost its connection to the CA"),
    AGAIN(-195, "the CA is not available to SCM"),
    AGAIN(-196, "SCM has no connection to the CA"),
    AGAIN(-1, "SCM has an internal error"),
    AGAIN(-2, "SCM has an internal error"),
    AGAIN(-14, "SCM has an internal error"),
    AGAIN(-43, "SCM has an internal error"),
    AGAIN(-65, "SCM has an internal error"),
    AGAIN(-3114, "another user changed the record in SCM"),
    AGAIN(-3115, "another user changed the record in SCM"),
    ANEW(-180, SCM_AT_RENEW, "SCM cannot renew this certificate"),
    ANEW(-123, SCM_AT_RENEW, "SCM cannot renew this certificate"),
    ANEW(-105, SCM_AT_RENEW, "SCM cannot renew this certificate"),
    ANEW(-1148, SCM_AT_REPLACE, "SCM installs this certificate itself and does not replace it"),
    ANEW(-130, SCM_AT_RENEW | SCM_AT_REPLACE, "the earlier request is not in a state for that"),
    ANEW(-124, SCM_AT_RENEW | SCM_AT_REPLACE, "SCM does not know the earlier request any more"),
    ANEW(-5101, SCM_AT_RENEW | SCM_AT_REPLACE, "SCM does not know the earlier request any more"),
    DECLINE(-1112, "its state does not allow that any more"),
    DECLINE(-1113, "its state does not allow that any more"),
    DECLINE(-130, "its state does not allow that any more"),

    CONFIG(-36, TO_CLIENT_TERM, "term_days is not one of the certificate profile's terms"),
    CONFIG(-39, TO_CLIENT_PROFILE, "profile_id is not a certificate profile of the organization"),
    CONFIG(-111, TO_CLIENT_PROFILE, "profile_id is not a certificate profile of the organization"),
    {-62, SCM_AT_ENROLL, "IP address", SCM_VERDICT_FINAL, ACME_PROBLEM_REJECTED_IDENTIFIER, 0, TO_CLIENT_NAME,
     "SCM finds an IP address invalid"},
    CONFIG(-62, TO_CLIENT_FIELD, "SCM demands a custom field that the enroll did not carry"),
    CONFIG(-64, TO_CLIENT_FIELD, "SCM finds an optional field invalid"),
    CONFIG(-35, TO_CLIENT_SETUP, "SCM finds the server type invalid"),
    CONFIG(-7, TO_CLIENT_FIELD, "SCM misses a required field"),
    CONFIG(-951, TO_CLIENT_FIELD, "SCM misses one of several fields"),
    CONFIG(-1601, TO_CLIENT_FIELD, "SCM finds a field's value invalid"),
    CONFIG(-639, TO_CLIENT_ORG, "org_id is not valid in SCM"),
    CONFIG(-1021, TO_CLIENT_ORG, "SCM does not allow this for org_id"),
    CONFIG(-1023, TO_CLIENT_ORG, "org_id does not exist in SCM"),
    CONFIG(-410, TO_CLIENT_ORG, "customer_uri does not exist in SCM"),
    CONFIG(-429, TO_CLIENT_SETUP, "the SCM customer has no login at the CA"),
    CONFIG(-723, TO_CLIENT_SETUP, "SCM validates high-level domains only"),
    CONFIG(-1608, TO_CLIENT_SETUP, "domain validation is not enabled for this SCM customer"),
    CONFIG(-843, TO_CLIENT_ORG_VALIDATION, "the organization is not validated for this kind of certificate"),

    CLIENT(-9, BAD_CSR, TO_CLIENT_CSR, "SCM cannot decode the CSR"),
    CLIENT(-10, BAD_CSR, TO_CLIENT_CSR, "SCM cannot decode the CSR"),
    CLIENT(-138, BAD_CSR, TO_CLIENT_CSR, "SCM finds the CSR invalid"),
    CLIENT(-11, BAD_PUBLIC_KEY, TO_CLIENT_KEY, "SCM does not support the CSR's algorithm"),
    CLIENT(-13, BAD_PUBLIC_KEY, TO_CLIENT_KEY, "SCM does not support the CSR's key size"),
    CLIENT(-194, BAD_PUBLIC_KEY, TO_CLIENT_KEY, "SCM does not support the CSR's key size"),
    CLIENT(-78, BAD_PUBLIC_KEY, TO_CLIENT_KEY, "SCM does not support the CSR's key"),
    CLIENT(-141, BAD_PUBLIC_KEY, TO_CLIENT_KEY, "SCM finds the CSR's key too small"),
    CLIENT(-170, BAD_PUBLIC_KEY, TO_CLIENT_KEY, "this SCM customer does not allow ECC keys"),
    CLIENT(-107, REJECTED_IDENTIFIER, TO_CLIENT_DCV,
           "domain control validation is missing or expired in SCM"),
    CLIENT(-724, REJECTED_IDENTIFIER, TO_CLIENT_DCV,
           "domain control validation is missing or expired in SCM"),
    CLIENT(-737, REJECTED_IDENTIFIER, TO_CLIENT_DCV,
           "domain control validation is missing or expired in SCM"),
    CLIENT(-1137, REJECTED_IDENTIFIER, TO_CLIENT_DCV,
           "domain control validation is missing or expired in SCM"),
    CLIENT(-1603, REJECTED_IDENTIFIER, TO_CLIENT_DCV, "SCM could not validate a domain"),
    CLIENT(-164, REJECTED_IDENTIFIER, TO_CLIENT_LOCAL, "SCM refuses local names for this term"),
    CLIENT(-306, REJECTED_IDENTIFIER, TO_CLIENT_NAME, "SCM finds a domain name too long"),
    CLIENT(-712, REJECTED_IDENTIFIER, TO_CLIENT_NAME, "SCM finds a domain name too short"),
    CLIENT(-713, REJECTED_IDENTIFIER, TO_CLIENT_NAME, "SCM finds a domain name too long"),
    CLIENT(-714, REJECTED_IDENTIFIER, TO_CLIENT_NAME, "SCM finds a domain name with too few dots"),
    CLIENT(-732, REJECTED_IDENTIFIER, TO_CLIENT_NAME, "SCM finds a domain name invalid"),
    CLIENT(-715, REJECTED_IDENTIFIER, TO_CLIENT_DOMAIN, "a domain is inactive in SCM"),
    CLIENT(-727, REJECTED_IDENTIFIER, TO_CLIENT_DOMAIN, "a domain does not exist in SCM"),
    CLIENT(-738, REJECTED_IDENTIFIER, TO_CLIENT_DOMAIN, "the login may not use a domain in SCM"),
    CLIENT(-1010, REJECTED_IDENTIFIER, TO_CLIENT_DOMAIN,
           "a domain is not delegated to the organization in SCM"),
    CLIENT(-188, RATE_LIMITED, TO_CLIENT_QUOTA, "the certificate quota is used up in SCM"),
    CLIENT(-1140, USER_ACTION_REQUIRED, TO_CLIENT_APPROVAL, "an EV request needs another approver in SCM"),

    {0, SCM_AT_COLLECT, NULL, SCM_VERDICT_NOT_YET, ACME_PROBLEM_SERVER_INTERNAL, 0, TO_CLIENT_TROUBLE,
     "the CA is still processing it"},
    NOT_YET(-183, "it is not collectable yet"),
    NOT_YET(-1400, "the CA is still processing it"),
    NOT_YET(-103, "it has not been collected yet"),
    NOT_YET(-109, "it is not available at the moment"),
    COLLECT(-130, STATE, TO_CLIENT_TROUBLE, "its state is not ISSUED"),
    COLLECT(-169, STATE, TO_CLIENT_TROUBLE, "SCM says it is not available and to contact an administrator"),
    COLLECT(-110, FINAL, TO_CLIENT_REVOKED, "it was revoked"),
    COLLECT(-192, FINAL, TO_CLIENT_REVOKED, "it was revoked"),
    COLLECT(-126, FINAL, TO_CLIENT_TROUBLE, "SCM does not know the format asked for"),
    COLLECT(-1450, FINAL, TO_CLIENT_TROUBLE, "SCM does not know the format asked for"),
    REVOKE(-159, DONE, 0, "it is revoked already"),
    REVOKE(-110, DONE, 0, "it is revoked already"),
    REVOKE(-192, DONE, 0, "it is revoked already"),
    REVOKE(-102, STATE, 3, "SCM revokes issued certificates only"),
    REVOKE(-1601, FINAL, 0, "SCM finds a field's value invalid"),
    GONE(-124),
    GONE(-5101),
};

const struct scm_rule *acme_scm_rule_at(size_t index)
{
    return index < sizeof rules / sizeof rules[0] ? &rules[index] : NULL;
}

static const struct scm_rule *rule_for(enum scm_endpoint endpoint, int64_t code, const char *description)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const struct scm_rule *rule = &rules[i];
        if (rule->code == code && (rule->endpoints & (unsigned)endpoint) != 0 &&
            (rule->text == NULL || (description != NULL && strcasestr(description, rule->text) != NULL)))
            return rule;
    }
    return NULL;
}

bool acme_scm_json_int(const cJSON *object, const char *name, int64_t *ret)
{
    return acme_json_number_or_text(acme_json_get(object, name), ret);
}

/* A reply without SCM's code: a gateway, or not the API at all. */
static const struct scm_rule *rule_for_status(enum scm_endpoint endpoint, int status)
{
    static const struct scm_rule login = LOGIN(0, "SCM refuses the configured login");
    static const struct scm_rule throttled = {0,
                                              SCM_AT_ALL,
                                              NULL,
                                              SCM_VERDICT_RETRY,
                                              ACME_PROBLEM_SERVER_INTERNAL,
                                              0,
                                              TO_CLIENT_TROUBLE,
                                              "too many requests for SCM"};
    static const struct scm_rule down = {0,
                                         SCM_AT_ALL,
                                         NULL,
                                         SCM_VERDICT_RETRY,
                                         ACME_PROBLEM_SERVER_INTERNAL,
                                         0,
                                         TO_CLIENT_TROUBLE,
                                         "SCM or a gateway in front of it has trouble"};
    static const struct scm_rule lost = GONE(0);
    static const struct scm_rule odd = {0,
                                        SCM_AT_ALL,
                                        NULL,
                                        SCM_VERDICT_RETRY,
                                        ACME_PROBLEM_SERVER_INTERNAL,
                                        5,
                                        TO_CLIENT_TROUBLE,
                                        "this is not an answer of SCM's API; check url and proxy"};
    if (status == 401 || status == 403)
        return &login;
    if (status == 429)
        return &throttled;
    if (status >= 500)
        return &down;
    if (status == 404 && (lost.endpoints & (unsigned)endpoint) != 0)
        return &lost;
    return &odd;
}

static const struct scm_rule unlisted_enroll =
    CONFIG(0, TO_CLIENT_SETUP, "SCM refused the enroll with a code this server does not know");
static const struct scm_rule unlisted_continued =
    ANEW(0, SCM_AT_RENEW | SCM_AT_REPLACE, "SCM refused it with a code this server does not know there");
static const struct scm_rule unlisted_decline =
    DECLINE(0, "SCM refused it with a code this server does not know");
static const struct scm_rule unlisted_revoke =
    REVOKE(0, FINAL, 0, "SCM refused the revocation with a code this server does not know");
static const struct scm_rule unlisted = {0,
                                         SCM_AT_ALL,
                                         NULL,
                                         SCM_VERDICT_RETRY,
                                         ACME_PROBLEM_SERVER_INTERNAL,
                                         0,
                                         TO_CLIENT_TROUBLE,
                                         "SCM answered with a code this server does not know"};

static const char *verb_of(enum scm_endpoint endpoint)
{
    switch (endpoint) {
    case SCM_AT_ENROLL:
        return "the enroll";
    case SCM_AT_LIST:
        return "the search for earlier requests";
    case SCM_AT_DETAILS:
        return "the status query";
    case SCM_AT_COLLECT:
        return "the collection";
    case SCM_AT_REVOKE:
        return "the revocation";
    case SCM_AT_RENEW:
        return "the renewal";
    case SCM_AT_REPLACE:
        return "the replacement";
    default:
        return "the request to decline";
    }
}

struct acme_err acme_scm_judge(struct scm_context *ctx, enum scm_endpoint endpoint, struct scm_verdict *ret)
{
    const struct acme_http_reply *reply = ctx->input->reply;
    const struct scm_rule *rule = NULL;
    const char *description = NULL;
    int64_t code = 0;
    cJSON *json = NULL;
    bool coded = false;
    bool success = reply->status >= 200 && reply->status <= 299;
    if (reply->body.len > 0) {
        struct acme_err err =
            acme_json_parse(ctx->arena, (const char *)reply->body.data, reply->body.len, &json);
        if (err.code == ACME_E_NOMEM)
            return err;
        coded = !acme_failed(err) && acme_scm_json_int(json, "code", &code);
        description = coded ? acme_json_str(json, "description") : NULL;
    }
    if (coded)
        rule = rule_for(endpoint, code, description);
    bool by_status =
        reply->status == 401 || reply->status == 403 || reply->status == 429 || reply->status >= 500;
    bool client_error = reply->status >= 400 && reply->status <= 499;
    if (rule == NULL && coded && !by_status && !success)
        rule = endpoint == SCM_AT_ENROLL                                ? &unlisted_enroll
               : endpoint == SCM_AT_RENEW || endpoint == SCM_AT_REPLACE ? &unlisted_continued
               : endpoint == SCM_AT_DECLINE && client_error             ? &unlisted_decline
               : endpoint == SCM_AT_REVOKE && client_error              ? &unlisted_revoke
                                                                        : &unlisted;
    if (rule == NULL)
        rule = rule_for_status(endpoint, reply->status);

    *ret = (struct scm_verdict){.class = rule->class,
                                .problem = rule->problem,
                                .detail = rule->detail,
                                .tries = rule->tries,
                                .coded = coded};
    /* An enroll counts as refused only when SCM itself says so with a client error: everything else leaves it
     * open. */
    bool refused = reply->status >= 400 && reply->status <= 499 && reply->status != 429 &&
                   (coded || rule->class == SCM_VERDICT_CREDENTIALS);
    if (((unsigned)endpoint & SCM_AT_ONCE) != 0 && !refused)
        ret->class = SCM_VERDICT_UNKNOWN;

    const struct acme_secrets secrets = acme_scm_secrets(ctx->scm);
    const char *words = acme_upstream_quoted(ctx->arena, &secrets, description);
    ENSURE(words != NULL, ACME_E_NOMEM);
    const char *number = coded ? acme_arena_printf(ctx->arena, ", code %lld", (long long)code) : "";
    ENSURE(number != NULL, ACME_E_NOMEM);
    ret->note = acme_arena_printf(ctx->arena, "SCM answered %s with HTTP %d%s%s (%s).", verb_of(endpoint),
                                  reply->status, number, words, rule->gist);
    ENSURE(ret->note != NULL, ACME_E_NOMEM);
    return acme_ok();
}
