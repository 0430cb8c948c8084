/* A self-signed certificate for 127.0.0.1 and localhost, made anew by each test program. */
#ifndef ACME_TESTS_TLS_FIXTURE_H
#define ACME_TESTS_TLS_FIXTURE_H

#include <openssl/ssl.h>

/** tls_fixture_server(): a server context with a fresh key and certificate; NULL on failure. */
SSL_CTX *tls_fixture_server(void);

/** tls_fixture_write_cert(tls, path): the context's certificate as PEM. */
int tls_fixture_write_cert(SSL_CTX *tls, const char *path);

#endif
