/* The extensions a PKCS#10 request asks for (RFC 2985 section 5.4.2). For certs/ only. */
#ifndef ACME_CERTS_CSR_EXTENSIONS_H
#define ACME_CERTS_CSR_EXTENSIONS_H

#include "base/err.h"

#include "certs/pkcs10.h"

/** acme_csr_extensions(request, ret, ret_why): all of them; NULL when there are none. A request with several
 * extension attributes (the PKCS#9 one and Microsoft's older one, or several values) is refused, because two
 * readers may pick different ones. Owns: the caller frees *ret with its elements. Errors: FORMAT with
 * *ret_why. Thread: any. */
struct acme_err acme_csr_extensions(const ACME_PKCS10 *request, STACK_OF(X509_EXTENSION) * *ret,
                                    const char **ret_why) ACME_MUST_USE;

#endif
