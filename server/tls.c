#include "server/tls.h"

#include "base/log.h"

#include <openssl/err.h>

enum { CERTIFICATE_ARENA_BYTES = 256 * 1024 };

/* OpenSSL would ask on the terminal, and the server hang. */
static int no_passphrase(char *buffer, int size, int writing, void *argument)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)argument;
    acme_log(ERROR, "the server's key is encrypted; give it one that is not");
    return 0;
}

static SSL_CTX *new_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL)
        return NULL;
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    return context;
}

static void log_openssl(const char *event, const char *file)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    acme_log(ERROR, event, LOG_STR("file", file), LOG_STR("error", reason));
    ERR_clear_error();
}

struct acme_err acme_tls_from_files(const char *certificate_file, const char *key_file, SSL_CTX **ret)
{
    ERR_clear_error();
    SSL_CTX *context = new_context();
    ENSURE(context != NULL, ACME_E_NOMEM);
    enum acme_code failure = ACME_E_FORMAT;
    if (SSL_CTX_use_certificate_chain_file(context, certificate_file) != 1) {
        log_openssl("the server's certificate cannot be used", certificate_file);
    } else if (SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1) {
        log_openssl("the server's key cannot be used", key_file);
    } else if (SSL_CTX_check_private_key(context) != 1) {
        log_openssl("the server's key does not match its certificate", key_file);
        failure = ACME_E_DENIED;
    } else {
        *ret = context;
        return acme_ok();
    }
    SSL_CTX_free(context);
    return acme_err(failure);
}

static bool use_chain(SSL_CTX *context, const struct acme_cert_list *chain)
{
    X509 *leaf = X509_dup(chain->certs[0]); /* decodes its key, which OpenSSL compares with the private one */
    bool ok = leaf != NULL && SSL_CTX_use_certificate(context, leaf) == 1;
    X509_free(leaf);
    for (size_t i = 1; ok && i < chain->count; i++)
        ok = SSL_CTX_add1_chain_cert(context, chain->certs[i]) == 1;
    return ok;
}

/* A new key in `context`, with its certificate. */
static struct acme_err certify(const struct acme_local_ca *ca, struct acme_arena *arena, EVP_PKEY *key,
                               const struct acme_identifier *names, size_t count, int64_t not_before_ms,
                               int64_t not_after_ms, SSL_CTX *context)
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    ENSURE(len > 0, ACME_E_CRYPTO);
    struct acme_cert_list chain;
    struct acme_err err = acme_local_ca_issue(ca, arena, (struct acme_bytes){.data = der, .len = (size_t)len},
                                              names, count, not_before_ms, not_after_ms, &chain);
    OPENSSL_free(der);
    TRY(err);
    ENSURE(use_chain(context, &chain) && SSL_CTX_use_PrivateKey(context, key) == 1, ACME_E_CRYPTO);
    return acme_ok();
}

struct acme_err acme_tls_from_ca(const struct acme_local_ca *ca, const struct acme_identifier *names,
                                 size_t count, int64_t now_ms, int64_t lifetime_ms, SSL_CTX **ret)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(CERTIFICATE_ARENA_BYTES);
    ENSURE(arena != NULL, ACME_E_NOMEM);
    SSL_CTX *context = new_context();
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    struct acme_err err = acme_err(ACME_E_CRYPTO);
    if (context != NULL && key != NULL)
        err = certify(ca, arena, key, names, count, now_ms - ACME_HOUR_MS, now_ms + lifetime_ms, context);
    EVP_PKEY_free(key);
    if (acme_failed(err)) {
        SSL_CTX_free(context);
        return err;
    }
    *ret = context;
    return acme_ok();
}
