/* States, as strings: of enrollments (RequestDisposition), of requests at the CA (StateString), of workflows
 * (Status). The numbers beside them are not documented well enough to be relied upon, but for those of
 * requests and workflows where the text is missing. */
#include "backends/keyfactor/kf_internal.h"

#include <ctype.h>
#include <string.h>

#define DENIED   "The certificate authority's administrator denied the request."
#define FAILED   "The certificate authority could not fulfil the request."
#define REJECTED "The request was rejected by an approver of the certificate service."

static const struct kf_status statuses[] = {
    {"Pending", KF_STATUS_WAITING, 0, NULL, "waits for an approval at the CA"},
    {"ExternalValidation", KF_STATUS_WAITING, 0, NULL, "waits for an external validation"},
    {"Running", KF_STATUS_WAITING, 0, NULL, "is being worked on"},
    {"Suspended", KF_STATUS_WAITING, 0, NULL, "waits for an approval in Keyfactor"},
    {"CanceledForRestart", KF_STATUS_WAITING, 0, NULL, "is being started anew"},
    {"Issued", KF_STATUS_ISSUED, 0, NULL, "is issued"},
    {"Active", KF_STATUS_ISSUED, 0, NULL, "is issued"},
    {"Complete", KF_STATUS_ISSUED, 0, NULL, "is complete"},
    {"Denied", KF_STATUS_FAILED, ACME_PROBLEM_UNAUTHORIZED, DENIED, "was denied at the CA"},
    {"Rejected", KF_STATUS_FAILED, ACME_PROBLEM_UNAUTHORIZED, REJECTED, "was rejected in Keyfactor"},
    {"Failed", KF_STATUS_FAILED, ACME_PROBLEM_SERVER_INTERNAL, FAILED, "has failed"},
};

/* A state this program does not know may be a step of an approval made up later: never success, never the
 * end.
 */
static const struct kf_status unknown_status = {
    NULL, KF_STATUS_WAITING, 0, NULL, "has a state this server does not know and waits for another"};

const struct kf_status *acme_kf_status_at(size_t index)
{
    return index < sizeof statuses / sizeof statuses[0] ? &statuses[index] : NULL;
}

/* "External Validation", "EXTERNAL_VALIDATION" and "ExternalValidation" are one. */
static bool same_name(const char *text, const char *name)
{
    for (;;) {
        while (*text != '\0' && !isalnum((unsigned char)*text))
            text++;
        if (tolower((unsigned char)*text) != tolower((unsigned char)*name))
            return false;
        if (*name == '\0')
            return true;
        text++;
        name++;
    }
}

const struct kf_status *acme_kf_status_of(const char *text)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (same_name(text, statuses[i].name))
            return &statuses[i];
    }
    return &unknown_status;
}
