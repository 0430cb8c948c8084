/* Strict PEM output (RFC 7468): 64 columns, LF. For certs/ only. */
#ifndef ACME_CERTS_PEM_H
#define ACME_CERTS_PEM_H

#include "base/arena.h"
#include "base/buf.h"

#include <openssl/x509.h>

/** acme_pem_append(out, label, der): one block with its BEGIN and END lines. Errors: `out->failed`. Thread:
 * any. */
void acme_pem_append(struct acme_buf *out, const char *label, struct acme_bytes der);

/** acme_pem_append_cert(out, cert): a CERTIFICATE block. Errors: `out->failed`. Thread: any. */
void acme_pem_append_cert(struct acme_buf *out, const X509 *cert);

#endif
