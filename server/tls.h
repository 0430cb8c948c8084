/* The server's own certificate and key as a TLS context; the HTTP front adds what it wants of TLS
 * (http_tls.c). */
#ifndef ACME_SERVER_TLS_H
#define ACME_SERVER_TLS_H

#include "certs/local_ca.h"

#include <openssl/ssl.h>

/** acme_tls_from_files(certificate_file, key_file, ret): chain (leaf first) and key in PEM. Errors: IO,
 * FORMAT, DENIED (key does not match); logged. Owns: *ret, release with SSL_CTX_free. TLS 1.2 and newer, ALPN
 * http/1.1. */
struct acme_err acme_tls_from_files(const char *certificate_file, const char *key_file,
                                    SSL_CTX **ret) ACME_MUST_USE;

/** acme_tls_from_ca(ca, names, count, now_ms, lifetime_ms, ret): a fresh P-256 key and a certificate of the
 * local CA for `names`; the key exists only in this context. Errors: CRYPTO, NOMEM. */
struct acme_err acme_tls_from_ca(const struct acme_local_ca *ca, const struct acme_identifier *names,
                                 size_t count, int64_t now_ms, int64_t lifetime_ms,
                                 SSL_CTX **ret) ACME_MUST_USE;

#endif
