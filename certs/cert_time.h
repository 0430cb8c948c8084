/* ASN.1 times as milliseconds since 1970. For certs/ only. */
#ifndef ACME_CERTS_CERT_TIME_H
#define ACME_CERTS_CERT_TIME_H

#include "base/clock.h"

#include <openssl/asn1.h>

/** acme_cert_time_ms(time, ret_ms): Errors: FORMAT. Thread: any. */
struct acme_err acme_cert_time_ms(const ASN1_TIME *time, int64_t *ret_ms) ACME_MUST_USE;

#endif
