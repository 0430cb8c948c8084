#include "protocol/exchange.h"

#include "base/id.h"

#include <string.h>

/* No Link rel="up": the chain is complete, and clients that follow the link append the issuer once more. */
struct acme_err acme_certificate_get(struct acme_exchange *x)
{
    struct acme_certificate certificate;
    struct acme_err err = acme_err(ACME_E_NOT_FOUND);
    if (acme_id_valid(x->id))
        err = acme_store_certificate_get(x->service->store, x->arena, x->id, &certificate);
    if (err.code == ACME_E_NOT_FOUND ||
        (!acme_failed(err) && strcmp(certificate.account_id, x->account.id) != 0))
        return acme_exchange_no_such(x, "certificate");
    TRY(err);
    TRY(acme_exchange_read_only(x));
    if (certificate.downloaded_ms == 0) {
        acme_store_certificate_downloaded(x->service->store, certificate.id, x->now_ms);
        acme_log(INFO, "certificate downloaded", LOG_STR("account", x->account.id),
                 LOG_STR("certificate", certificate.id), LOG_STR("serial", certificate.serial_hex));
    }
    acme_respond_body(
        x, 200, "application/pem-certificate-chain",
        (struct acme_bytes){.data = (const uint8_t *)certificate.chain, .len = strlen(certificate.chain)});
    return acme_ok();
}
