#include "certs/chain.h"

#include "certs/ossl.h"
#include "certs/pem.h"

#include <openssl/err.h>
#include <string.h>

bool acme_cert_has_spki(const X509 *cert, const uint8_t sha256[ACME_SHA256_SIZE])
{
    unsigned char *der = NULL;
    uint8_t digest[ACME_SHA256_SIZE];
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
    if (len <= 0)
        return false;
    struct acme_err err = acme_sha256(der, (size_t)len, digest);
    OPENSSL_free(der);
    return !acme_failed(err) && memcmp(digest, sha256, ACME_SHA256_SIZE) == 0;
}

/* A pool that also holds an earlier certificate of the same key: the latest one is meant. */
static X509 *find_leaf(const struct acme_cert_list *pool, const uint8_t sha256[ACME_SHA256_SIZE])
{
    X509 *leaf = NULL;
    for (size_t i = 0; i < pool->count; i++) {
        X509 *cert = pool->certs[i];
        if (X509_check_ca(cert) != 0 || !acme_cert_has_spki(cert, sha256))
            continue;
        if (leaf == NULL || ASN1_TIME_compare(X509_get0_notBefore(cert), X509_get0_notBefore(leaf)) > 0)
            leaf = cert;
    }
    return leaf;
}

/* By names, key identifiers and usage. */
static bool fits(X509 *issuer, X509 *subject)
{
    return X509_check_ca(issuer) != 0 && X509_check_issued(issuer, subject) == X509_V_OK;
}

static bool has_signed(X509 *issuer, X509 *subject)
{
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    return key != NULL && X509_verify(subject, key) == 1;
}

static bool is_root(X509 *cert)
{
    return (X509_get_extension_flags(cert) & EXFLAG_SS) != 0 && fits(cert, cert);
}

static bool contains(const struct acme_cert_list *list, const X509 *cert)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->certs[i] == cert)
            return true;
    return false;
}

/* Several may fit (a root and its cross-certificate): a root ends the chain soonest, else the longest-lived.
 */
static bool better_issuer(X509 *one, X509 *other)
{
    bool one_root = is_root(one);
    if (one_root != is_root(other))
        return one_root;
    return ASN1_TIME_compare(X509_get0_notAfter(one), X509_get0_notAfter(other)) > 0;
}

/* The issuer of the chain's last certificate; *ret_loop when the only one is in the chain already. Signatures
 * are looked at only where several fit: acme_chain_check verifies those of the chain all the same. */
static X509 *find_issuer(const struct acme_cert_list *pool, const struct acme_cert_list *chain,
                         bool *ret_loop)
{
    X509 *top = chain->certs[chain->count - 1];
    X509 *candidates[ACME_CHAIN_MAX_CERTS];
    size_t count = 0;
    for (size_t i = 0; i < pool->count; i++) {
        if (fits(pool->certs[i], top))
            candidates[count++] = pool->certs[i];
    }
    X509 *best = NULL;
    bool loop = false;
    for (size_t i = 0; i < count; i++) {
        if (count > 1 && !has_signed(candidates[i], top))
            continue;
        if (contains(chain, candidates[i]))
            loop = true;
        else if (best == NULL || better_issuer(candidates[i], best))
            best = candidates[i];
    }
    *ret_loop = best == NULL && loop;
    return best;
}

static struct acme_err build(const struct acme_cert_list *pool, X509 *leaf, struct acme_cert_list *ret)
{
    struct acme_cert_list chain = {.certs = {leaf}, .count = 1};
    while (chain.count < ACME_CHAIN_MAX_CERTS) {
        bool loop = false;
        X509 *issuer = find_issuer(pool, &chain, &loop);
        ENSURE(!loop, ACME_E_FORMAT);
        if (issuer == NULL || (chain.count > 1 && is_root(issuer)))
            break;
        chain.certs[chain.count++] = issuer;
        if (is_root(issuer))
            break;
    }
    ENSURE(chain.count > 1, ACME_E_FORMAT);
    *ret = chain;
    return acme_ok();
}

struct acme_err acme_chain_build(const struct acme_cert_list *pool,
                                 const uint8_t spki_sha256[ACME_SHA256_SIZE], struct acme_cert_list *ret)
{
    X509 *leaf = find_leaf(pool, spki_sha256);
    struct acme_err err = leaf == NULL ? acme_err(ACME_E_NOT_FOUND) : build(pool, leaf, ret);
    ERR_clear_error();
    return err;
}

char *acme_chain_pem(struct acme_arena *arena, const struct acme_cert_list *chain)
{
    return acme_chain_pem_of(arena, chain, (struct acme_bytes){.data = NULL});
}

char *acme_chain_pem_of(struct acme_arena *arena, const struct acme_cert_list *chain,
                        struct acme_bytes leaf_der)
{
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, 1024 * 1024);
    for (size_t i = 0; i < chain->count; i++) {
        if (i == 0 && leaf_der.data != NULL)
            acme_pem_append(&out, "CERTIFICATE", leaf_der);
        else
            acme_pem_append_cert(&out, chain->certs[i]);
    }
    const char *text = acme_buf_cstr(&out);
    return text != NULL ? acme_arena_strdup(arena, text) : NULL;
}
