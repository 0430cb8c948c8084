#include "certs/cert_time.h"
#include "certs/chain.h"
#include "certs/names.h"
#include "certs/ossl.h"

#include <openssl/err.h>

static struct acme_err check_names(struct acme_arena *arena, X509 *leaf,
                                   const struct acme_identifier *identifiers, size_t count,
                                   const char **ret_why)
{
    int index = X509_get_ext_by_NID(leaf, NID_subject_alt_name, -1);
    if (index < 0)
        return acme_deny(ret_why, "the certificate has no subjectAltName");
    if (X509_get_ext_by_NID(leaf, NID_subject_alt_name, index) >= 0)
        return acme_deny(ret_why, "the certificate has more than one subjectAltName extension");
    struct acme_identifier *names = NULL;
    size_t name_count = 0;
    const char *why = NULL;
    struct acme_err err = acme_names_read(arena, X509_get_ext(leaf, index), &names, &name_count, &why);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    if (acme_failed(err))
        return acme_deny(ret_why,
                         acme_arena_printf(arena, "the certificate's names: %s", why != NULL ? why : "?"));
    return acme_names_compare(arena, "the certificate", names, name_count, identifiers, count, ret_why);
}

static struct acme_err check_purpose(X509 *leaf, const char **ret_why)
{
    if (X509_check_ca(leaf) != 0)
        return acme_deny(ret_why, "the certificate is a CA certificate");
    if ((X509_get_extension_flags(leaf) & EXFLAG_INVALID) != 0)
        return acme_deny(ret_why, "an extension of the certificate is damaged");
    if ((X509_get_extension_flags(leaf) & EXFLAG_XKUSAGE) != 0 &&
        (X509_get_extended_key_usage(leaf) & (XKU_SSL_SERVER | XKU_SSL_CLIENT)) == 0)
        return acme_deny(ret_why,
                         "the certificate's extended key usage has neither serverAuth nor clientAuth");
    return acme_ok();
}

static struct acme_err check_validity(struct acme_arena *arena, const X509 *cert, size_t position,
                                      int64_t now_ms, const char **ret_why)
{
    int64_t not_before_ms = 0;
    int64_t not_after_ms = 0;
    if (acme_failed(acme_cert_time_ms(X509_get0_notBefore(cert), &not_before_ms)) ||
        acme_failed(acme_cert_time_ms(X509_get0_notAfter(cert), &not_after_ms)))
        return acme_deny(
            ret_why,
            acme_arena_printf(arena, "certificate %zu of the chain has no readable validity", position + 1));
    if (not_before_ms > now_ms + ACME_HOUR_MS) /* the CA's clock may be ahead of ours */
        return acme_deny(
            ret_why, acme_arena_printf(arena, "certificate %zu of the chain is not yet valid", position + 1));
    if (not_after_ms < now_ms)
        return acme_deny(ret_why,
                         acme_arena_printf(arena, "certificate %zu of the chain has expired", position + 1));
    return acme_ok();
}

static bool has_signed(X509 *issuer, X509 *subject)
{
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    return key != NULL && X509_verify(subject, key) == 1;
}

static struct acme_err check_issuer(struct acme_arena *arena, const struct acme_cert_list *chain,
                                    size_t position, bool signed_here, const char **ret_why)
{
    X509 *subject = chain->certs[position];
    X509 *issuer = chain->certs[position + 1];
    bool good = signed_here ? X509_check_issued(issuer, subject) == X509_V_OK : has_signed(issuer, subject);
    if (X509_check_ca(issuer) == 0 || !good)
        return acme_deny(
            ret_why,
            acme_arena_printf(arena, "certificate %zu of the chain is not signed by the next", position + 1));
    return acme_ok();
}

static struct acme_err check(struct acme_arena *arena, const struct acme_cert_list *chain,
                             const struct acme_csr *csr, const struct acme_identifier *identifiers,
                             size_t count, int64_t now_ms, bool signed_here, const char **ret_why)
{
    if (chain->count == 0)
        return acme_deny(ret_why, "the chain is empty");
    X509 *leaf = chain->certs[0];
    if (csr != NULL && !acme_cert_has_spki(leaf, csr->spki_sha256))
        return acme_deny(ret_why, "the certificate's key is not the key of the CSR");
    TRY(check_names(arena, leaf, identifiers, count, ret_why));
    TRY(check_purpose(leaf, ret_why));
    for (size_t i = 0; i < chain->count; i++) {
        TRY(check_validity(arena, chain->certs[i], i, now_ms, ret_why));
        if (i + 1 < chain->count)
            TRY(check_issuer(arena, chain, i, signed_here, ret_why));
    }
    return acme_ok();
}

struct acme_err acme_chain_check(struct acme_arena *arena, const struct acme_cert_list *chain,
                                 const struct acme_csr *csr, const struct acme_identifier *identifiers,
                                 size_t count, int64_t now_ms, const char **ret_why)
{
    struct acme_err err = check(arena, chain, csr, identifiers, count, now_ms, false, ret_why);
    ERR_clear_error();
    return err;
}

struct acme_err acme_chain_check_signed_here(struct acme_arena *arena, const struct acme_cert_list *chain,
                                             const struct acme_csr *csr,
                                             const struct acme_identifier *identifiers, size_t count,
                                             int64_t now_ms, const char **ret_why)
{
    struct acme_err err = check(arena, chain, csr, identifiers, count, now_ms, true, ret_why);
    ERR_clear_error();
    return err;
}
