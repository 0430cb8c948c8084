/* ACME objects as clients see them (RFC 8555 section 7.1). Absent members are left out, never null. */
#ifndef ACME_PROTOCOL_OBJECT_JSON_H
#define ACME_PROTOCOL_OBJECT_JSON_H

#include "protocol/exchange.h"

/** acme_*_write(x, object, out): append the object's JSON; a failure shows in out->failed. The objects must
 * be as of now (acme_order_as_of_now, acme_authz_as_of_now). */
void acme_account_write(const struct acme_exchange *x, const struct acme_account *account,
                        struct acme_buf *out);
void acme_order_write(const struct acme_exchange *x, const struct acme_order *order, struct acme_buf *out);
void acme_authz_write(const struct acme_exchange *x, const struct acme_authz *authz, struct acme_buf *out);
void acme_challenge_write(const struct acme_exchange *x, const struct acme_authz *authz,
                          const struct acme_challenge *challenge, struct acme_buf *out);

/** acme_*_status_name(status): "pending", "ready" ... Static. */
const char *acme_account_status_name(enum acme_account_status status);
const char *acme_order_status_name(enum acme_order_status status);
const char *acme_authz_status_name(enum acme_authz_status status);

#endif
