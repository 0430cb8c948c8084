#include "certs/alpn_cert.h"

#include "base/b64url.h"
#include "base/buf.h"
#include "base/sha256.h"
#include "certs/ossl.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>
#include <strings.h>

enum { MAX_SHOWN = 80, MAX_NAMES_SHOWN = 5, MAX_LIST = 1024 };

/* id-pe-acmeIdentifier, 1.3.6.1.5.5.7.1.31: the content octets of the OBJECT IDENTIFIER. */
static const unsigned char acme_identifier_oid[] = {0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x1f};

struct judged {
    struct acme_arena *arena;
    X509 *certificate;
    const struct acme_identifier *identifier;
    const char *key_authorization;
    struct acme_problem *problem;
};

static struct acme_err refuse(const struct judged *judged, enum acme_problem_type type, const char *detail)
{
    ENSURE(detail != NULL, ACME_E_NOMEM);
    *judged->problem = (struct acme_problem){.type = type, .detail = detail};
    return acme_err(ACME_E_PROBLEM);
}

static void show_name(struct acme_arena *arena, const GENERAL_NAME *name, struct acme_buf *out)
{
    char address[INET6_ADDRSTRLEN];
    const ASN1_STRING *text = NULL;
    if (name->type == GEN_DNS || name->type == GEN_EMAIL || name->type == GEN_URI)
        text = name->d.ia5;
    const ASN1_OCTET_STRING *octets = name->type == GEN_IPADD ? name->d.iPAddress : NULL;
    int len = octets != NULL ? ASN1_STRING_length(octets) : 0;
    if (text != NULL) {
        const char *shown =
            acme_printable(arena, ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text), MAX_SHOWN);
        acme_buf_printf(out, "\"%s\"", shown != NULL ? shown : "?");
    } else if ((len == 4 || len == 16) && inet_ntop(len == 4 ? AF_INET : AF_INET6,
                                                    ASN1_STRING_get0_data(octets), address, sizeof address)) {
        acme_buf_printf(out, "the address %s", address);
    } else {
        acme_buf_str(out, "a name of another kind");
    }
}

/* "the names "a.test", "b.test" and 3 more", for a problem's detail; NULL without memory. */
static const char *show_names(struct acme_arena *arena, const GENERAL_NAMES *names)
{
    int count = names != NULL ? sk_GENERAL_NAME_num(names) : 0;
    if (count == 0)
        return "no names";
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, MAX_LIST);
    for (int i = 0; i < count && i < MAX_NAMES_SHOWN; i++) {
        acme_buf_str(&out, i > 0 ? ", " : "");
        show_name(arena, sk_GENERAL_NAME_value(names, i), &out);
    }
    if (count > MAX_NAMES_SHOWN)
        acme_buf_printf(&out, " and %d more", count - MAX_NAMES_SHOWN);
    const char *text = acme_buf_cstr(&out);
    return text != NULL ? acme_arena_strdup(arena, text) : NULL;
}

/* NULL: there is no readable subjectAltName, or more than one; *ret_index is then -1, or the second's place.
 */
static GENERAL_NAMES *read_names(const X509 *certificate, int *ret_index)
{
    int index = X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1);
    *ret_index = index;
    if (index < 0)
        return NULL;
    int second = X509_get_ext_by_NID(certificate, NID_subject_alt_name, index);
    if (second >= 0) {
        *ret_index = second;
        return NULL;
    }
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(X509_get_ext(certificate, index));
    const unsigned char *at = ASN1_STRING_get0_data(value);
    const unsigned char *end = at + ASN1_STRING_length(value);
    GENERAL_NAMES *names = d2i_GENERAL_NAMES(NULL, &at, end - at);
    if (names != NULL && at != end) {
        GENERAL_NAMES_free(names);
        names = NULL;
    }
    return names;
}

static bool is_the_identifier(const GENERAL_NAME *name, const struct acme_identifier *identifier)
{
    if (identifier->type == ACME_IDENTIFIER_DNS) {
        if (name->type != GEN_DNS)
            return false;
        size_t len = strlen(identifier->value);
        return (size_t)ASN1_STRING_length(name->d.dNSName) == len &&
               strncasecmp((const char *)ASN1_STRING_get0_data(name->d.dNSName), identifier->value, len) == 0;
    }
    unsigned char raw[16];
    bool v6 = strchr(identifier->value, ':') != NULL;
    int len = v6 ? 16 : 4;
    return name->type == GEN_IPADD && inet_pton(v6 ? AF_INET6 : AF_INET, identifier->value, raw) == 1 &&
           ASN1_STRING_length(name->d.iPAddress) == len &&
           memcmp(ASN1_STRING_get0_data(name->d.iPAddress), raw, (size_t)len) == 0;
}

static struct acme_err check_names(const struct judged *judged, const GENERAL_NAMES *names, int index)
{
    const struct acme_identifier *identifier = judged->identifier;
    if (names == NULL && index >= 0)
        return refuse(judged, ACME_PROBLEM_INCORRECT_RESPONSE,
                      "the subjectAltName of the certificate is damaged or there twice");
    if (names != NULL && sk_GENERAL_NAME_num(names) == 1 &&
        is_the_identifier(sk_GENERAL_NAME_value(names, 0), identifier))
        return acme_ok();
    const char *shown = show_names(judged->arena, names);
    ENSURE(shown != NULL, ACME_E_NOMEM);
    return refuse(
        judged, ACME_PROBLEM_INCORRECT_RESPONSE,
        acme_arena_printf(judged->arena, "the certificate names %s instead of exactly the %s %s once", shown,
                          identifier->type == ACME_IDENTIFIER_IP ? "address" : "name", identifier->value));
}

static bool is_acme_identifier(const ASN1_OBJECT *object)
{
    return OBJ_length(object) == sizeof acme_identifier_oid &&
           memcmp(OBJ_get0_data(object), acme_identifier_oid, sizeof acme_identifier_oid) == 0;
}

/* The extension; *ret_count how many there are. */
static X509_EXTENSION *find_extension(const X509 *certificate, int *ret_count)
{
    X509_EXTENSION *found = NULL;
    *ret_count = 0;
    for (int i = 0; i < X509_get_ext_count(certificate); i++) {
        X509_EXTENSION *extension = X509_get_ext(certificate, i);
        if (!is_acme_identifier(X509_EXTENSION_get_object(extension)))
            continue;
        found = extension;
        (*ret_count)++;
    }
    return found;
}

static struct acme_err check_digest(const struct judged *judged, const ASN1_OCTET_STRING *value)
{
    uint8_t wanted[ACME_SHA256_SIZE];
    TRY(acme_sha256(judged->key_authorization, strlen(judged->key_authorization), wanted));
    const unsigned char *data = ASN1_STRING_get0_data(value);
    size_t len = (size_t)ASN1_STRING_length(value);
    if (len != 2 + ACME_SHA256_SIZE || data[0] != V_ASN1_OCTET_STRING || data[1] != ACME_SHA256_SIZE)
        return refuse(
            judged, ACME_PROBLEM_INCORRECT_RESPONSE,
            acme_arena_printf(judged->arena,
                              "the acmeIdentifier extension of the certificate (%zu bytes) is not an "
                              "OCTET STRING of 32 octets",
                              len));
    if (memcmp(data + 2, wanted, ACME_SHA256_SIZE) == 0)
        return acme_ok();
    const char *seen = acme_hex_encode(judged->arena, data + 2, ACME_SHA256_SIZE, false);
    const char *right = acme_hex_encode(judged->arena, wanted, ACME_SHA256_SIZE, false);
    ENSURE(seen != NULL && right != NULL, ACME_E_NOMEM);
    return refuse(
        judged, ACME_PROBLEM_INCORRECT_RESPONSE,
        acme_arena_printf(judged->arena,
                          "the certificate is for another challenge or account: its acmeIdentifier "
                          "extension has the digest %s, not %s (the SHA-256 of the key authorization)",
                          seen, right));
}

static struct acme_err check_extension(const struct judged *judged, const GENERAL_NAMES *names)
{
    int count = 0;
    X509_EXTENSION *extension = find_extension(judged->certificate, &count);
    if (count == 0) {
        const char *shown = show_names(judged->arena, names);
        ENSURE(shown != NULL, ACME_E_NOMEM);
        return refuse(
            judged, ACME_PROBLEM_UNAUTHORIZED,
            acme_arena_printf(judged->arena,
                              "the certificate has no acmeIdentifier extension, it names %s: the TLS "
                              "server answered itself instead of the ACME client",
                              shown));
    }
    if (count > 1)
        return refuse(judged, ACME_PROBLEM_INCORRECT_RESPONSE,
                      acme_arena_printf(judged->arena,
                                        "the acmeIdentifier extension is %d times in the certificate",
                                        count));
    if (X509_EXTENSION_get_critical(extension) == 0)
        return refuse(judged, ACME_PROBLEM_INCORRECT_RESPONSE,
                      "the acmeIdentifier extension of the certificate is not critical");
    return check_digest(judged, X509_EXTENSION_get_data(extension));
}

static struct acme_err check_signature(const struct judged *judged)
{
    X509 *certificate = judged->certificate;
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    if (key == NULL ||
        X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_issuer_name(certificate)) != 0 ||
        X509_verify(certificate, key) != 1)
        return refuse(judged, ACME_PROBLEM_INCORRECT_RESPONSE,
                      "the certificate is not signed by its own key");
    return acme_ok();
}

static struct acme_err judge(struct judged *judged, struct acme_bytes der)
{
    const unsigned char *at = der.data;
    OSSL_CLEANUP(X509) X509 *certificate = der.len > 0 ? d2i_X509(NULL, &at, (long)der.len) : NULL;
    if (certificate == NULL || at != der.data + der.len)
        return refuse(judged, ACME_PROBLEM_UNAUTHORIZED, "the TLS server has shown no readable certificate");
    judged->certificate = certificate;
    int index = -1;
    OSSL_CLEANUP(GENERAL_NAMES) GENERAL_NAMES *names = read_names(certificate, &index);
    TRY(check_extension(judged, names));
    TRY(check_names(judged, names, index));
    return check_signature(judged);
}

struct acme_err acme_alpn_cert_judge(struct acme_arena *arena, struct acme_bytes der,
                                     const struct acme_identifier *identifier, const char *key_authorization,
                                     struct acme_problem *ret)
{
    struct judged judged = {
        .arena = arena, .identifier = identifier, .key_authorization = key_authorization, .problem = ret};
    struct acme_err err = judge(&judged, der);
    ERR_clear_error();
    return err;
}
