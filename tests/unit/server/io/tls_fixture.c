#include "tls_fixture.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test server", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_set_pubkey(cert, key);
    X509_EXTENSION *sans =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");
    X509_add_ext(cert, sans, -1);
    X509_EXTENSION_free(sans);
    X509_sign(cert, key, EVP_sha256());
    return cert;
}

SSL_CTX *tls_fixture_server(void)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = make_certificate(key);
    if (SSL_CTX_use_certificate(tls, cert) != 1 || SSL_CTX_use_PrivateKey(tls, key) != 1) {
        SSL_CTX_free(tls);
        tls = NULL;
    }
    X509_free(cert);
    EVP_PKEY_free(key);
    return tls;
}

int tls_fixture_write_cert(SSL_CTX *tls, const char *path)
{
    FILE *file = fopen(path, "w");
    if (file == NULL)
        return 0;
    int written = PEM_write_X509(file, SSL_CTX_get0_certificate(tls));
    return fclose(file) == 0 && written;
}
