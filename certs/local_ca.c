#include "base/log.h"
#include "certs/cert_time.h"
#include "certs/local_ca_priv.h"
#include "certs/ossl.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_NAME = 44 }; /* with " Intermediate CA" within a common name's 64 (RFC 5280 appendix A) */

static const int64_t root_life_ms = 20 * 365 * ACME_DAY_MS;
static const int64_t intermediate_life_ms = 10 * 365 * ACME_DAY_MS;

/* Clients whose clocks are behind accept leaves that are back-dated; their issuers must not be younger. */
static const int64_t backdate_ms = ACME_DAY_MS;

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd); /* releases the lock */
}
#define CLEANUP_FD __attribute__((cleanup(close_fd)))

/* Out of the hands of its clean-up. */
static int take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

static struct acme_err open_directory(const char *directory, int *ret_fd)
{
    bool made = mkdir(directory, 0700) == 0;
    if (!made && errno != EEXIST) {
        acme_log(ERROR, "local ca: cannot make the directory", LOG_STR("path", directory),
                 LOG_STR("error", strerrordesc_np(errno)));
        return acme_err(ACME_E_IO);
    }
    CLEANUP_FD int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat status;
    /* The lock keeps two processes from making a CA at the same time. */
    if (fd < 0 || fstat(fd, &status) != 0 || flock(fd, LOCK_EX) != 0 || (made && fchmod(fd, 0700) != 0)) {
        acme_log(ERROR, "local ca: cannot open the directory", LOG_STR("path", directory),
                 LOG_STR("error", strerrordesc_np(errno)));
        return acme_err(ACME_E_IO);
    }
    bool mine = status.st_uid == geteuid() || status.st_uid == 0;
    if (!mine || (status.st_mode & 022) != 0) {
        acme_log(ERROR, "local ca: others can write to the directory", LOG_STR("path", directory));
        return acme_err(ACME_E_DENIED);
    }
    *ret_fd = take_fd(&fd);
    return acme_ok();
}

static struct acme_err set_name(X509_NAME *name, const char *common_name)
{
    ENSURE(name != NULL && X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                                      (const unsigned char *)common_name, -1, -1, 0) == 1,
           ACME_E_CRYPTO);
    return acme_ok();
}

static struct acme_err add_ca_extensions(X509 *cert, X509 *issuer, const char *constraints)
{
    const struct {
        int nid;
        const char *value;
    } wanted[] = {{NID_basic_constraints, constraints},
                  {NID_key_usage, "critical,keyCertSign,cRLSign"},
                  {NID_authority_key_identifier, "keyid:always"}};
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    size_t count = issuer == cert ? 2 : 3;
    for (size_t i = 0; i < count; i++) {
        X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, wanted[i].nid, wanted[i].value);
        int added = extension != NULL && X509_add_ext(cert, extension, -1);
        X509_EXTENSION_free(extension);
        ENSURE(added, ACME_E_CRYPTO);
    }
    return acme_ok();
}

static struct acme_err make_ca_cert(EVP_PKEY *key, const char *name, int64_t now_ms, int64_t life_ms,
                                    X509 *issuer, EVP_PKEY *issuer_key, X509 **ret)
{
    OSSL_CLEANUP(X509) X509 *cert = NULL;
    TRY(acme_ca_template(now_ms - backdate_ms, now_ms + life_ms, &cert));
    ENSURE(X509_set_pubkey(cert, key) == 1, ACME_E_CRYPTO);
    TRY(acme_ca_add_key_id(cert));
    TRY(set_name(X509_get_subject_name(cert), name));
    bool self = issuer == NULL;
    if (self)
        issuer = cert;
    ENSURE(X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1, ACME_E_CRYPTO);
    TRY(add_ca_extensions(cert, issuer, self ? "critical,CA:TRUE" : "critical,CA:TRUE,pathlen:0"));
    ENSURE(X509_sign(cert, issuer_key, EVP_sha256()) > 0, ACME_E_CRYPTO);
    *ret = cert;
    cert = NULL;
    return acme_ok();
}

static struct acme_err create(int directory_fd, const char *name, const struct acme_clock *clock)
{
    char root_name[MAX_NAME + 32];
    char intermediate_name[MAX_NAME + 32];
    size_t len = strlen(name);
    if (len == 0 || len > MAX_NAME) {
        acme_log(ERROR, "local ca: the name is empty or too long", LOG_INT("max", MAX_NAME));
        return acme_err(ACME_E_FORMAT);
    }
    (void)snprintf(root_name, sizeof root_name, "%s Root CA", name);
    (void)snprintf(intermediate_name, sizeof intermediate_name, "%s Intermediate CA", name);
    OSSL_CLEANUP(EVP_PKEY) EVP_PKEY *root_key = EVP_EC_gen("P-256");
    OSSL_CLEANUP(EVP_PKEY) EVP_PKEY *key = EVP_EC_gen("P-256");
    OSSL_CLEANUP(X509) X509 *root = NULL;
    OSSL_CLEANUP(X509) X509 *intermediate = NULL;
    ENSURE(root_key != NULL && key != NULL, ACME_E_CRYPTO);
    int64_t now_ms = acme_clock_now_ms(clock);
    TRY(make_ca_cert(root_key, root_name, now_ms, root_life_ms, NULL, root_key, &root));
    TRY(make_ca_cert(key, intermediate_name, now_ms, intermediate_life_ms, root, root_key, &intermediate));
    TRY(acme_ca_files_discard(directory_fd));
    TRY(acme_ca_file_write_key(directory_fd, ACME_CA_ROOT_KEY, root_key));
    TRY(acme_ca_file_write_key(directory_fd, ACME_CA_INTERMEDIATE_KEY, key));
    TRY(acme_ca_file_write_cert(directory_fd, ACME_CA_INTERMEDIATE_CERT, intermediate));
    TRY(acme_ca_file_write_cert(directory_fd, ACME_CA_ROOT_CERT, root));
    /* All four names must be on disk before the first gets its final form: that is what a restart relies on.
     */
    if (fsync(directory_fd) != 0) {
        acme_log(ERROR, "local ca: cannot sync the directory", LOG_STR("error", strerrordesc_np(errno)));
        return acme_err(ACME_E_IO);
    }
    TRY(acme_ca_files_commit(directory_fd));
    acme_log(INFO, "local ca: new root and intermediate", LOG_STR("name", name));
    return acme_ok();
}

/* Afterwards the four files are there: made now, made earlier, or begun earlier and finished now. */
static struct acme_err make_whole(int directory_fd, const char *name, const struct acme_clock *clock)
{
    size_t count = 0;
    bool prepared = false;
    TRY(acme_ca_files_count(directory_fd, &count, &prepared));
    if (count == ACME_CA_FILE_COUNT)
        return acme_ok();
    if (count == 0)
        return create(directory_fd, name,
                      clock); /* drops what an interrupted attempt left; nobody has seen it */
    if (prepared)
        return acme_ca_files_commit(directory_fd);
    acme_log(ERROR,
             "local ca: files are missing; restore them from a backup or empty the directory for a new CA",
             LOG_INT("found", count), LOG_INT("wanted", ACME_CA_FILE_COUNT));
    return acme_err(ACME_E_FORMAT);
}

static struct acme_err refuse(const char *why)
{
    acme_log(ERROR, "local ca: refused", LOG_STR("why", why));
    return acme_err(ACME_E_FORMAT);
}

/* The public part of a key file is a copy: what is signed by the private part must verify with the
 * certificate's key, since nobody verifies it later (acme_chain_check_signed_here). */
static bool is_key_of(const X509 *cert, EVP_PKEY *key)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    bool good =
        X509_check_private_key(cert, key) == 1 && context != NULL && EVP_PKEY_pairwise_check(context) == 1;
    EVP_PKEY_CTX_free(context);
    return good;
}

static struct acme_err load(int directory_fd, struct acme_local_ca *ca)
{
    OSSL_CLEANUP(EVP_PKEY) EVP_PKEY *root_key = NULL;
    TRY(acme_ca_file_read_cert(directory_fd, ACME_CA_ROOT_CERT, &ca->root));
    TRY(acme_ca_file_read_cert(directory_fd, ACME_CA_INTERMEDIATE_CERT, &ca->intermediate));
    TRY(acme_ca_file_read_key(directory_fd, ACME_CA_ROOT_KEY, &root_key));
    TRY(acme_ca_file_read_key(directory_fd, ACME_CA_INTERMEDIATE_KEY, &ca->key));
    if (!is_key_of(ca->root, root_key))
        return refuse("root.key is not the key of root.pem");
    if (!is_key_of(ca->intermediate, ca->key))
        return refuse("intermediate.key is not the key of intermediate.pem");
    if (X509_check_ca(ca->root) != 1 || X509_check_ca(ca->intermediate) != 1)
        return refuse("a certificate is not a CA certificate");
    if (X509_check_issued(ca->root, ca->intermediate) != X509_V_OK ||
        X509_verify(ca->intermediate, root_key) != 1)
        return refuse("intermediate.pem is not signed by root.pem");
    return acme_ok();
}

static struct acme_err open_ca(const char *directory, const char *name, const struct acme_clock *clock,
                               struct acme_local_ca *ca)
{
    CLEANUP_FD int fd = -1;
    TRY(open_directory(directory, &fd));
    TRY(make_whole(fd, name, clock));
    TRY(load(fd, ca));
    TRY(acme_ca_prepare(ca));
    int len = asprintf(&ca->root_path, "%s/root.pem", directory);
    if (len < 0) {
        ca->root_path = NULL;
        return acme_err(ACME_E_NOMEM);
    }
    if (ca->not_after_ms <= acme_clock_now_ms(clock))
        acme_log(WARN, "local ca: the intermediate certificate has expired", LOG_STR("path", directory));
    return acme_ok();
}

struct acme_err acme_local_ca_open(const char *directory, const char *name, const struct acme_clock *clock,
                                   struct acme_local_ca **ret)
{
    struct acme_local_ca *ca = calloc(1, sizeof *ca);
    ENSURE(ca != NULL, ACME_E_NOMEM);
    struct acme_err err = open_ca(directory, name, clock, ca);
    ERR_clear_error();
    if (acme_failed(err))
        acme_local_ca_close(ca);
    else
        *ret = ca;
    return err;
}

void acme_local_ca_close(struct acme_local_ca *ca)
{
    if (ca == NULL)
        return;
    X509_free(ca->root);
    X509_free(ca->intermediate);
    EVP_PKEY_free(ca->key);
    EVP_MD_free(ca->sha256);
    X509_EXTENSION_free(ca->basic_constraints);
    X509_EXTENSION_free(ca->key_usage);
    X509_EXTENSION_free(ca->key_usage_rsa);
    X509_EXTENSION_free(ca->extended_key_usage);
    X509_EXTENSION_free(ca->authority_key_id);
    acme_arena_destroy(ca->cross_arena);
    X509_EXTENSION_free(ca->crl_points);
    X509_EXTENSION_free(ca->authority_info);
    free(ca->root_path);
    free(ca);
}

const char *acme_local_ca_root_path(const struct acme_local_ca *ca)
{
    return ca->root_path;
}

void acme_local_ca_validity(const struct acme_local_ca *ca, int64_t *ret_not_before_ms,
                            int64_t *ret_not_after_ms)
{
    *ret_not_before_ms = ca->not_before_ms;
    *ret_not_after_ms = ca->not_after_ms;
}
