#include "certs/pem.h"

#include <openssl/evp.h>

enum { LINE_OCTETS = 48, LINE_SIZE = 68 };

void acme_pem_append(struct acme_buf *out, const char *label, struct acme_bytes der)
{
    acme_buf_printf(out, "-----BEGIN %s-----\n", label);
    for (size_t pos = 0; pos < der.len; pos += LINE_OCTETS) {
        unsigned char line[LINE_SIZE];
        size_t rest = der.len - pos;
        int len = EVP_EncodeBlock(line, der.data + pos, (int)(rest < LINE_OCTETS ? rest : LINE_OCTETS));
        line[len] = '\n';
        acme_buf_append(out, line, (size_t)len + 1);
    }
    acme_buf_printf(out, "-----END %s-----\n", label);
}

void acme_pem_append_cert(struct acme_buf *out, const X509 *cert)
{
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der);
    if (len <= 0) {
        out->failed = true;
        return;
    }
    acme_pem_append(out, "CERTIFICATE", (struct acme_bytes){.data = der, .len = (size_t)len});
    OPENSSL_free(der);
}
