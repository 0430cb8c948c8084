/* What differs between the APIs for SSL and for device certificates (API document, "SSL Certificates" and
 * "Device Certificates"); everything else is the same for both. */
#include "backends/scm/scm_internal.h"

static const struct scm_class classes[] = {
    [ACME_SCM_SSL] = {.root = "/api/ssl/v1",
                      .id_enrolled = "sslId",
                      .id_listed = "sslId",
                      .revoke = "/revoke/",
                      .field_type = "SSL",
                      .takes_names = true,
                      .takes_dcv_mode = true,
                      .lists_names = true,
                      .continues = true},
    /* A renewal takes no new CSR, so none is made; names come from the CSR alone, there is no external
     * requester, and lists can be filtered neither by where a request came from nor by alternative names. */
    [ACME_SCM_DEVICE] = {.root = "/api/device/v1",
                         .id_enrolled = "deviceCertId",
                         .id_listed = "id",
                         .revoke = "/revoke/order/",
                         .field_type = "Device"},
};

const struct scm_class *acme_scm_class_of(const struct scm_issuer *scm)
{
    return &classes[scm->config.class];
}
