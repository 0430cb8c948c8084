/* Other ways up from the local CA: certificates that other roots gave to its keys. */
#include "base/log.h"
#include "certs/local_ca_priv.h"
#include "certs/ossl.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

enum { MAX_FILE_BYTES = 256 * 1024, CROSS_ARENA_BYTES = 4 * 1024 * 1024 };

struct cross {
    struct acme_local_ca *ca;
    const char *path;
    struct acme_cert_list pool;
    bool used[ACME_CHAIN_MAX_CERTS];
};

static struct acme_err refuse(const struct cross *cross, size_t at, const char *why)
{
    acme_log(ERROR, "local ca: cross-certificates refused", LOG_STR("path", cross->path),
             LOG_INT("certificate", at + 1), LOG_STR("why", why));
    return acme_err(ACME_E_FORMAT);
}

static struct acme_err read_file(const char *path, struct acme_arena *arena, struct acme_bytes *ret)
{
    FILE *file = fopen(path, "re");
    uint8_t *data = acme_arena_alloc(arena, MAX_FILE_BYTES + 1);
    struct acme_err err = acme_ok();
    if (file == NULL || data == NULL) {
        err = acme_err(data == NULL ? ACME_E_NOMEM : ACME_E_IO);
    } else {
        size_t len = fread(data, 1, MAX_FILE_BYTES + 1, file);
        if (ferror(file))
            err = acme_err(ACME_E_IO);
        else if (len > MAX_FILE_BYTES)
            err = acme_err(ACME_E_LIMIT);
        else
            *ret = (struct acme_bytes){.data = data, .len = len};
    }
    if (acme_failed(err))
        acme_log(ERROR, "local ca: cross-certificates cannot be read", LOG_STR("path", path),
                 LOG_STR("error", err.code == ACME_E_IO ? strerrordesc_np(errno) : acme_code_name(err.code)));
    if (file != NULL)
        fclose(file);
    return err;
}

/* The same subject and key in another certificate. */
static bool is_twin(X509 *cert, X509 *own)
{
    return X509_cmp(cert, own) != 0 &&
           X509_NAME_cmp(X509_get_subject_name(cert), X509_get_subject_name(own)) == 0 &&
           EVP_PKEY_eq(X509_get0_pubkey(cert), X509_get0_pubkey(own)) == 1;
}

static bool is_self_signed(X509 *cert)
{
    return X509_check_issued(cert, cert) == X509_V_OK && X509_verify(cert, X509_get0_pubkey(cert)) == 1;
}

/* Follow the issuers that are in the file too, up to but without a root, which clients have. */
static struct acme_err climb(struct cross *cross, struct acme_cert_list *chain)
{
    for (;;) {
        X509 *top = chain->certs[chain->count - 1];
        X509 *issuer = NULL;
        for (size_t i = 0; i < cross->pool.count; i++) {
            X509 *candidate = cross->pool.certs[i];
            if (candidate == top || X509_check_issued(candidate, top) != X509_V_OK)
                continue;
            if (X509_check_ca(candidate) != 1 || X509_verify(top, X509_get0_pubkey(candidate)) != 1)
                return refuse(cross, i,
                              "it names itself the issuer of another certificate but has not signed it");
            cross->used[i] = true;
            if (!is_self_signed(candidate))
                issuer = candidate;
        }
        if (issuer == NULL)
            return acme_ok();
        /* leaf and chain; more is a loop, or nothing clients would take */
        if (chain->count + 1 >= ACME_LOCAL_CA_CHAIN_MAX)
            return refuse(cross, 0, "the chain is longer than clients take");
        chain->certs[chain->count++] = issuer;
    }
}

static struct acme_err add_chain(struct cross *cross, size_t at)
{
    struct acme_local_ca *ca = cross->ca;
    X509 *cert = cross->pool.certs[at];
    struct acme_cert_list chain = {.count = 0};
    bool of_intermediate = is_twin(cert, ca->intermediate);
    if (!of_intermediate && (!is_twin(cert, ca->root) || is_self_signed(cert)))
        return acme_ok();
    cross->used[at] = true;
    if (X509_check_ca(cert) != 1)
        return refuse(cross, at, "it is not a CA certificate");
    if (of_intermediate) {
        const ASN1_OCTET_STRING *key_id = X509_get0_subject_key_id(cert);
        if (key_id != NULL && ASN1_OCTET_STRING_cmp(key_id, X509_get0_subject_key_id(ca->intermediate)) != 0)
            return refuse(cross, at, "its subject key identifier is not the intermediate's");
    } else {
        if (X509_check_issued(cert, ca->intermediate) != X509_V_OK || X509_get_pathlen(cert) == 0)
            return refuse(cross, at,
                          "it does not fit over the intermediate (key identifier, usage, path length)");
        chain.certs[chain.count++] = ca->intermediate;
    }
    chain.certs[chain.count++] = cert;
    if (ca->alternate_count == ACME_LOCAL_CA_MAX_ALTERNATES)
        return refuse(cross, at, "there are too many chains");
    TRY(climb(cross, &chain));
    for (size_t i = 0; i < chain.count; i++)
        if (X509_cmp_current_time(X509_get0_notAfter(chain.certs[i])) < 0)
            acme_log(WARN, "local ca: a cross-certificate has expired; its chain is not handed out",
                     LOG_STR("path", cross->path), LOG_INT("certificate", at + 1));
    ca->alternates[ca->alternate_count++] = chain;
    return acme_ok();
}

static struct acme_err load(struct cross *cross)
{
    struct acme_bytes text = {.data = NULL};
    TRY(read_file(cross->path, cross->ca->cross_arena, &text));
    struct acme_err err = acme_certs_read(cross->ca->cross_arena, text, &cross->pool);
    if (acme_failed(err)) {
        acme_log(ERROR, "local ca: no certificates can be read from the file of cross-certificates",
                 LOG_STR("path", cross->path), LOG_STR("code", acme_code_name(err.code)));
        return err;
    }
    for (size_t i = 0; i < cross->pool.count; i++)
        TRY(add_chain(cross, i));
    for (size_t i = 0; i < cross->pool.count; i++)
        if (!cross->used[i])
            return refuse(cross, i, "it belongs neither to this CA's keys nor to the chain of one that does");
    acme_log(INFO, "local ca: alternate chains", LOG_STR("path", cross->path),
             LOG_INT("chains", cross->ca->alternate_count));
    return acme_ok();
}

struct acme_err acme_local_ca_cross(struct acme_local_ca *ca, const char *path)
{
    ENSURE(ca->cross_arena == NULL, ACME_E_STATE);
    ca->cross_arena = acme_arena_create(CROSS_ARENA_BYTES);
    ENSURE(ca->cross_arena != NULL, ACME_E_NOMEM);
    struct cross cross = {.ca = ca, .path = path};
    struct acme_err err = load(&cross);
    ERR_clear_error();
    return err;
}

struct acme_err acme_local_ca_alternates(const struct acme_local_ca *ca, struct acme_arena *arena, X509 *leaf,
                                         const struct acme_cert_list **ret, size_t *ret_count)
{
    struct acme_cert_list *chains = acme_arena_alloc(arena, (ca->alternate_count + 1) * sizeof *chains);
    ENSURE(chains != NULL, ACME_E_NOMEM);
    for (size_t i = 0; i < ca->alternate_count; i++) {
        const struct acme_cert_list *above = &ca->alternates[i];
        chains[i] = (struct acme_cert_list){.certs = {leaf}, .count = 1 + above->count};
        memcpy(chains[i].certs + 1, above->certs, above->count * sizeof above->certs[0]);
    }
    *ret = chains;
    *ret_count = ca->alternate_count;
    return acme_ok();
}
