/* The embedded CA as an issuer: answers in its first step. */
#ifndef ACME_BACKENDS_LOCAL_LOCAL_H
#define ACME_BACKENDS_LOCAL_LOCAL_H

#include "backends/issuer.h"
#include "certs/local_ca.h"

/** acme_local_issuer_create(name, ca, ret): an issuer over `ca`, which it borrows and which must outlive it.
 *  Errors: NOMEM. Release: acme_issuer_destroy. */
struct acme_err acme_local_issuer_create(const char *name, const struct acme_local_ca *ca,
                                         struct acme_issuer **ret) ACME_MUST_USE;

#endif
