#include "order.h"

#include "base/b64url.h"

#include <inttypes.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CSR_ARENA_BYTES = 16 * 1024 };

struct acme_err acme_bench_keys_init(struct acme_bench_keys *keys)
{
    *keys = (struct acme_bench_keys){0};
    for (size_t i = 0; i < ACME_BENCH_KEY_COUNT; i++) {
        keys->key[i] = EVP_EC_gen("P-256");
        if (keys->key[i] == NULL) {
            acme_bench_keys_finish(keys);
            return acme_err(ACME_E_CRYPTO);
        }
    }
    return acme_ok();
}

void acme_bench_keys_finish(struct acme_bench_keys *keys)
{
    for (size_t i = 0; i < ACME_BENCH_KEY_COUNT; i++)
        EVP_PKEY_free(keys->key[i]);
    *keys = (struct acme_bench_keys){0};
}

static bool add_san(X509_REQ *request, const char *name)
{
    char value[300];
    (void)snprintf(value, sizeof value, "DNS:%s", name);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, value);
    STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
    bool ok = extension != NULL && extensions != NULL && sk_X509_EXTENSION_push(extensions, extension) > 0;
    if (!ok)
        X509_EXTENSION_free(extension);
    ok = ok && X509_REQ_add_extensions(request, extensions) == 1;
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return ok;
}

static struct acme_err make_csr(EVP_PKEY *key, const char *name, char **ret)
{
    unsigned char *der = NULL;
    int der_len = -1;
    X509_REQ *request = X509_REQ_new();
    if (request != NULL && X509_REQ_set_pubkey(request, key) == 1 && add_san(request, name) &&
        X509_REQ_sign(request, key, EVP_sha256()) > 0)
        der_len = i2d_X509_REQ(request, &der);
    X509_REQ_free(request);
    ENSURE(der_len > 0, ACME_E_CRYPTO);

    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(CSR_ARENA_BYTES);
    const char *text = arena != NULL ? acme_b64url_encode(arena, der, (size_t)der_len) : NULL;
    OPENSSL_free(der);
    char *copy = text != NULL ? strdup(text) : NULL;
    ENSURE(copy != NULL, ACME_E_NOMEM);
    *ret = copy;
    return acme_ok();
}

static struct acme_err fill_order(const struct acme_bench_keys *keys, const char *pattern, uint64_t number,
                                  struct acme_bench_order *order)
{
    const char *mark = strstr(pattern, "%d");
    ENSURE(mark != NULL, ACME_E_FORMAT);
    int len = snprintf(order->name, sizeof order->name, "%.*s%" PRIu64 "%s", (int)(mark - pattern), pattern,
                       number, mark + 2);
    ENSURE(len > 0 && (size_t)len < sizeof order->name, ACME_E_FORMAT);
    order->key = keys->key[number % ACME_BENCH_KEY_COUNT];
    return make_csr(order->key, order->name, &order->csr);
}

struct acme_err acme_bench_orders_create(const struct acme_bench_keys *keys, const char *pattern,
                                         uint64_t first, size_t count, struct acme_bench_order **ret)
{
    struct acme_bench_order *orders = calloc(count, sizeof *orders);
    ENSURE(orders != NULL, ACME_E_NOMEM);
    for (size_t i = 0; i < count; i++) {
        struct acme_err err = fill_order(keys, pattern, first + i, &orders[i]);
        if (acme_failed(err)) {
            acme_bench_orders_destroy(orders, count);
            return err;
        }
    }
    *ret = orders;
    return acme_ok();
}

void acme_bench_orders_destroy(struct acme_bench_order *orders, size_t count)
{
    for (size_t i = 0; orders != NULL && i < count; i++) {
        free(orders[i].csr);
        free(orders[i].chain);
    }
    free(orders);
}

struct acme_err acme_bench_order_check(const struct acme_bench_order *order)
{
    BIO *text = BIO_new_mem_buf(order->chain, -1);
    ENSURE(text != NULL, ACME_E_NOMEM);
    X509 *certificate = PEM_read_bio_X509(text, NULL, NULL, NULL);
    BIO_free(text);
    ENSURE(certificate != NULL, ACME_E_FORMAT);
    bool fits = X509_check_private_key(certificate, order->key) == 1 &&
                X509_check_host(certificate, order->name, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1;
    X509_free(certificate);
    return acme_err(fits ? ACME_OK : ACME_E_DENIED);
}
