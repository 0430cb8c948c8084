/* Certificate details: what the status means and whose request it is (API document, "SSL certificate
 * details"). */
#include "backends/scm/scm_internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define CLIENT_AUTHORITY "The certificate authority "

static const struct scm_status statuses[] = {
    {"Init", SCM_STATUS_IN_FLIGHT, 0, NULL, "is being created"},
    {"Requested", SCM_STATUS_IN_FLIGHT, 0, NULL, "waits for an administrator's approval in SCM"},
    {"SAApproved", SCM_STATUS_IN_FLIGHT, 0, NULL, "has passed a first approval"},
    {"SA Approved", SCM_STATUS_IN_FLIGHT, 0, NULL, "has passed a first approval"},
    {"Approved", SCM_STATUS_IN_FLIGHT, 0, NULL, "is approved and waits to be handed to the CA"},
    {"Applied", SCM_STATUS_IN_FLIGHT, 0, NULL, "is being processed by the CA"},
    {"Issued", SCM_STATUS_ISSUED, 0, NULL, "is issued"},
    {"Replaced", SCM_STATUS_REPLACED, 0, NULL, "is issued and was replaced since"},
    {"Declined", SCM_STATUS_FAILED, ACME_PROBLEM_UNAUTHORIZED,
     "An administrator of the certificate service declined the request.",
     "was declined by an administrator in SCM"},
    {"Rejected", SCM_STATUS_FAILED, ACME_PROBLEM_REJECTED_IDENTIFIER,
     CLIENT_AUTHORITY "rejected the request for these names.", "was rejected by the CA"},
    {"Invalid", SCM_STATUS_FAILED, ACME_PROBLEM_BAD_CSR,
     "The certificate service found the request invalid; check names and key in the CSR.",
     "was found invalid by SCM"},
    {"Revoked", SCM_STATUS_FAILED, ACME_PROBLEM_SERVER_INTERNAL,
     "The certificate was revoked before it could be handed out.", "was revoked"},
    {"Expired", SCM_STATUS_FAILED, ACME_PROBLEM_SERVER_INTERNAL,
     "The certificate expired before it could be handed out.", "has expired"},
    {"Unmanaged", SCM_STATUS_FAILED, ACME_PROBLEM_SERVER_INTERNAL,
     CLIENT_AUTHORITY "does not manage this request any more.",
     "is listed as unmanaged, which a request of ours never should be"},
};

/* A status this program does not know may be a step of an approval made up later: never success, never the
 * end. */
static const struct scm_status unknown_status = {
    NULL, SCM_STATUS_IN_FLIGHT, 0, NULL, "has a status this server does not know and waits for another"};

const struct scm_status *acme_scm_status_at(size_t index)
{
    return index < sizeof statuses / sizeof statuses[0] ? &statuses[index] : NULL;
}

static const struct scm_status *status_of(const char *text)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (strcasecmp(text, statuses[i].name) == 0)
            return &statuses[i];
    }
    return &unknown_status;
}

/* "01/15/2026" by default, ISO when the tenant is set up so; only the day counts. */
int64_t acme_scm_day_ms(const char *text)
{
    int year = 0;
    int month = 0;
    int day = 0;
    if (text == NULL || (sscanf(text, "%2d/%2d/%4d", &month, &day, &year) != 3 &&
                         sscanf(text, "%4d-%2d-%2d", &year, &month, &day) != 3))
        return 0;
    if (year < 2000 || month < 1 || month > 12 || day < 1 || day > 31)
        return 0;
    struct tm parts = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
    return (int64_t)timegm(&parts) * ACME_SECOND_MS;
}

struct acme_err acme_scm_details_read(struct scm_context *ctx, int64_t ssl_id, struct scm_details *ret)
{
    const struct acme_http_reply *reply = ctx->input->reply;
    ENSURE(reply->status >= 200 && reply->status <= 299 && reply->body.len > 0, ACME_E_FORMAT);
    cJSON *json = NULL;
    TRY(acme_json_parse(ctx->arena, (const char *)reply->body.data, reply->body.len, &json));
    const char *status = acme_json_str(json, "status");
    ENSURE(status != NULL && *status != '\0', ACME_E_FORMAT);
    int64_t named = 0;
    if (acme_scm_json_int(json, "sslId", &named) || acme_scm_json_int(json, "id", &named))
        ENSURE(named == ssl_id, ACME_E_FORMAT);
    /* Foreign text for the log, unless it echoes a secret. */
    const struct acme_secrets secrets = acme_scm_secrets(ctx->scm);
    const char *shown = acme_secrets_echoed(&secrets, status) ? "(not shown)" : status;
    const char *printable = acme_printable(ctx->arena, shown, strlen(shown), 40);
    ENSURE(printable != NULL, ACME_E_NOMEM);
    *ret = (struct scm_details){
        .status_text = printable,
        .status = status_of(status),
        .comments = acme_json_str(json, "comments"),
        .csr_sha256 = acme_json_str(acme_json_get(json, "csrDetails"), "sha256Hash"),
        .serial = acme_json_str(json, "serialNumber"),
        .requested_day_ms = acme_scm_day_ms(acme_json_str(json, "requested")),
    };
    return acme_ok();
}

bool acme_scm_same_serial(const char *a, const char *b)
{
    a += strspn(a, "0:");
    b += strspn(b, "0:");
    for (;;) {
        a += strspn(a, ":");
        b += strspn(b, ":");
        char left = *a >= 'a' && *a <= 'f' ? (char)(*a - 'a' + 'A') : *a;
        char right = *b >= 'a' && *b <= 'f' ? (char)(*b - 'a' + 'A') : *b;
        if (left != right)
            return false;
        if (left == '\0')
            return true;
        a++;
        b++;
    }
}
