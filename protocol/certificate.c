#include "protocol/exchange.h"

#include "base/id.h"

#include <string.h>

/* Links to the chains that are not this one (RFC 8555 section 7.4.2), one header line each. */
static struct acme_err link_others(struct acme_exchange *x, const char *id, size_t shown, size_t count)
{
    for (size_t i = 0; i <= count; i++) {
        if (i == shown)
            continue;
        const char *suffix = i == 0 ? "" : acme_arena_printf(x->arena, "/alternate/%zu", i);
        ENSURE(suffix != NULL, ACME_E_NOMEM);
        TRY(acme_respond_link(x, acme_exchange_url(x, "/certificate/", id, suffix), "alternate"));
    }
    return acme_ok();
}

/* Which chain the path names: 0 for the first, else the number of an alternate; beyond `count`: none. */
static size_t chosen_chain(const struct acme_exchange *x, size_t count)
{
    if (x->part == NULL)
        return 0;
    if (x->part[0] < '1' || x->part[0] > '9' || x->part[1] != '\0')
        return count + 1;
    return (size_t)(x->part[0] - '0');
}

/* No Link rel="up": the chain is complete, and clients that follow the link append the issuer once more. */
struct acme_err acme_certificate_get(struct acme_exchange *x)
{
    struct acme_store *store = x->service->store;
    struct acme_certificate certificate;
    struct acme_err err = acme_err(ACME_E_NOT_FOUND);
    if (acme_id_valid(x->id))
        err = acme_store_certificate_get(store, x->arena, x->id, &certificate);
    if (err.code == ACME_E_NOT_FOUND ||
        (!acme_failed(err) && strcmp(certificate.account_id, x->account.id) != 0))
        return acme_exchange_no_such(x, "certificate");
    TRY(err);
    size_t count = certificate.alternate_count;
    size_t chosen = chosen_chain(x, count);
    if (chosen > count)
        return acme_exchange_no_such(x, "certificate");
    TRY(acme_exchange_read_only(x));
    TRY(link_others(x, certificate.id, chosen, count));
    if (certificate.downloaded_ms == 0) {
        acme_store_certificate_downloaded(store, certificate.id, x->now_ms);
        acme_log(INFO, "certificate downloaded", LOG_STR("account", x->account.id),
                 LOG_STR("certificate", certificate.id), LOG_STR("serial", certificate.serial_hex));
    }
    const char *chain = chosen == 0 ? certificate.chain : certificate.alternates[chosen - 1];
    acme_respond_body(x, 200, "application/pem-certificate-chain",
                      (struct acme_bytes){.data = (const uint8_t *)chain, .len = strlen(chain)});
    return acme_ok();
}
