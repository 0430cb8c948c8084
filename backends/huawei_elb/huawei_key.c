/* The private key for an object whose key is not kept: read when it is needed, never held longer than a
 * step. */
#include "backends/huawei_elb/huawei_internal.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

enum { FILE_MAX_BYTES = 32 * 1024 }; /* a certificate may stand in it as well */

static int no_passphrase(char *buffer, int size, int writing, void *context)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

static void release_bio(void *bio)
{
    BIO_free(bio); /* of secure memory: wiped */
}

static struct acme_err refuse(const struct huawei_context *ctx, const char *what, const char **ret_why)
{
    *ret_why =
        acme_arena_printf(ctx->arena, "private_key_file %s %s", ctx->huawei->config.private_key_file, what);
    return acme_err(*ret_why != NULL ? ACME_E_DENIED : ACME_E_NOMEM);
}

/* PKCS#8 in PEM, which ELB's own examples show. */
static struct acme_err write_key(const struct huawei_context *ctx, const EVP_PKEY *key, const char **ret_pem)
{
    BIO *out = BIO_new(BIO_s_secmem());
    ENSURE(out != NULL, ACME_E_NOMEM);
    ENSURE(acme_arena_defer(ctx->arena, release_bio, out), ACME_E_NOMEM);
    char *text = NULL;
    ENSURE(PEM_write_bio_PKCS8PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1 &&
               BIO_write(out, "", 1) == 1 && BIO_get_mem_data(out, &text) > 0,
           ACME_E_CRYPTO);
    *ret_pem = text;
    return acme_ok();
}

struct acme_err acme_huawei_key_read(const struct huawei_context *ctx, const X509 *leaf, const char **ret_pem,
                                     const char **ret_why)
{
    const struct acme_job_services *services = ctx->input->services;
    ENSURE(services != NULL && services->read_secret != NULL, ACME_E_INTERNAL);
    struct acme_bytes file = {.len = 0};
    const char *why = NULL;
    struct acme_err err = services->read_secret(
        services->context, ctx->arena, ctx->huawei->config.private_key_file, FILE_MAX_BYTES, &file, &why);
    if (err.code == ACME_E_DENIED) {
        why = acme_arena_printf(ctx->arena, "cannot be used: %s", why);
        ENSURE(why != NULL, ACME_E_NOMEM);
        return refuse(ctx, why, ret_why);
    }
    TRY(err);
    BIO *in = BIO_new_mem_buf(file.data, (int)file.len);
    ENSURE(in != NULL, ACME_E_NOMEM);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL);
    BIO_free(in);
    ERR_clear_error();
    if (key == NULL)
        return refuse(ctx,
                      memmem(file.data, file.len, "ENCRYPTED", 9) != NULL
                          ? "holds an encrypted key: ELB takes none with a passphrase"
                          : "holds no private key in PEM",
                      ret_why);
    bool fits = leaf == NULL || acme_cert_has_key(leaf, key);
    const char *pem = NULL;
    err = write_key(ctx, key, &pem);
    EVP_PKEY_free(key);
    TRY(err);
    if (!fits)
        return refuse(ctx, "holds another key than that of the new certificate", ret_why);
    if (strlen(pem) > HUAWEI_KEY_MAX_CHARS)
        return refuse(ctx, "holds a key of more characters than the 8192 that ELB takes", ret_why);
    *ret_pem = pem;
    return acme_ok();
}
