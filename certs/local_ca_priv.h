/* Shared by local_ca*.c. */
#ifndef ACME_CERTS_LOCAL_CA_PRIV_H
#define ACME_CERTS_LOCAL_CA_PRIV_H

#include "certs/local_ca.h"
#include "certs/pkcs10.h"

#include <openssl/x509v3.h>

/* The four files, in the order they get their final names. */
enum acme_ca_file {
    ACME_CA_ROOT_KEY,
    ACME_CA_INTERMEDIATE_KEY,
    ACME_CA_INTERMEDIATE_CERT,
    ACME_CA_ROOT_CERT,
    ACME_CA_FILE_COUNT
};

enum { ACME_CA_SERIAL_OCTETS = 16, ACME_CA_KEY_ID_OCTETS = 20 };

/* Read-only once open. The root's key is not kept: only the intermediate signs. */
struct acme_local_ca {
    char *root_path;
    X509 *root;
    X509 *intermediate;
    EVP_PKEY *key;         /* the intermediate's */
    EVP_MD *sha256;        /* fetched once: an implicit fetch per signature takes locks */
    int64_t not_before_ms; /* the intermediate's validity */
    int64_t not_after_ms;
    /* Extensions that are the same in every leaf. */
    X509_EXTENSION *basic_constraints;
    X509_EXTENSION *key_usage;     /* digitalSignature */
    X509_EXTENSION *key_usage_rsa; /* and keyEncipherment */
    X509_EXTENSION *extended_key_usage;
    X509_EXTENSION *authority_key_id;
    /* NULL: nothing is published */
    X509_EXTENSION *crl_points;
    X509_EXTENSION *authority_info;
    /* What may stand above a leaf instead of the intermediate alone. */
    struct acme_arena *cross_arena; /* NULL: there are none */
    struct acme_cert_list alternates[ACME_LOCAL_CA_MAX_ALTERNATES];
    size_t alternate_count;
};

/* ---- local_ca_files.c: what lies in the directory */

/** acme_ca_files_count(directory_fd, ret_count, ret_prepared): how many of the four files are there, and
 * whether those missing lie there under their temporary names. Errors: IO. Logs. */
struct acme_err acme_ca_files_count(int directory_fd, size_t *ret_count, bool *ret_prepared) ACME_MUST_USE;

/** acme_ca_files_commit(directory_fd): give all temporary files that are there their final names, and sync. A
 * crash on the way is finished by calling it again. Errors: IO. Logs. */
struct acme_err acme_ca_files_commit(int directory_fd) ACME_MUST_USE;

/** acme_ca_files_discard(directory_fd): remove temporary files. Errors: IO. Logs. */
struct acme_err acme_ca_files_discard(int directory_fd) ACME_MUST_USE;

/** acme_ca_file_write_key / _cert(directory_fd, file, object): write and sync the temporary file, mode 0600 /
 * 0644. Errors: IO, CRYPTO. Logs. */
struct acme_err acme_ca_file_write_key(int directory_fd, enum acme_ca_file file,
                                       const EVP_PKEY *key) ACME_MUST_USE;
struct acme_err acme_ca_file_write_cert(int directory_fd, enum acme_ca_file file,
                                        const X509 *cert) ACME_MUST_USE;

/** acme_ca_file_read_key / _cert(directory_fd, file, ret): Owns: *ret, the caller. Errors: IO, FORMAT, DENIED
 * (a key others can read, no plain file), NOMEM. Logs. */
struct acme_err acme_ca_file_read_key(int directory_fd, enum acme_ca_file file, EVP_PKEY **ret) ACME_MUST_USE;
struct acme_err acme_ca_file_read_cert(int directory_fd, enum acme_ca_file file, X509 **ret) ACME_MUST_USE;

/* ---- local_ca_issue.c */

/** acme_ca_template(not_before_ms, not_after_ms, ret): an unsigned version 3 certificate with a random serial
 * number of 128 bits and this validity, still without a key. Owns: *ret, the caller. Errors: CRYPTO. */
struct acme_err acme_ca_template(int64_t not_before_ms, int64_t not_after_ms, X509 **ret) ACME_MUST_USE;

/** acme_ca_add_key_id(cert): the subject key identifier, from the key already in it. Errors: CRYPTO. */
struct acme_err acme_ca_add_key_id(X509 *cert) ACME_MUST_USE;

/** acme_ca_prepare(ca): fill in what issuing needs, from `root`, `intermediate` and `key`. Errors: CRYPTO,
 * FORMAT, NOMEM. */
struct acme_err acme_ca_prepare(struct acme_local_ca *ca) ACME_MUST_USE;

#endif
