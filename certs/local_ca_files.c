#include "base/buf.h"
#include "base/log.h"
#include "certs/local_ca_priv.h"
#include "certs/ossl.h"
#include "certs/pem.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILE = 64 * 1024 };

static const struct {
    const char *name;
    const char *temporary;
} files[ACME_CA_FILE_COUNT] = {
    [ACME_CA_ROOT_KEY] = {"root.key", "root.key.new"},
    [ACME_CA_INTERMEDIATE_KEY] = {"intermediate.key", "intermediate.key.new"},
    [ACME_CA_INTERMEDIATE_CERT] = {"intermediate.pem", "intermediate.pem.new"},
    [ACME_CA_ROOT_CERT] = {"root.pem", "root.pem.new"},
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
#define CLEANUP_FD __attribute__((cleanup(close_fd)))

static struct acme_err io_failure(const char *what, const char *name)
{
    acme_log(ERROR, what, LOG_STR("file", name), LOG_STR("error", strerrordesc_np(errno)));
    return acme_err(ACME_E_IO);
}

static struct acme_err exists(int directory_fd, const char *name, bool *ret)
{
    struct stat status;
    if (fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
        *ret = true;
        return acme_ok();
    }
    if (errno != ENOENT)
        return io_failure("local ca: cannot look at a file", name);
    *ret = false;
    return acme_ok();
}

struct acme_err acme_ca_files_count(int directory_fd, size_t *ret_count, bool *ret_prepared)
{
    size_t count = 0;
    bool prepared = true;
    for (size_t i = 0; i < ACME_CA_FILE_COUNT; i++) {
        bool final = false;
        bool temporary = false;
        TRY(exists(directory_fd, files[i].name, &final));
        TRY(exists(directory_fd, files[i].temporary, &temporary));
        count += final;
        prepared = prepared && (final || temporary);
    }
    *ret_count = count;
    *ret_prepared = prepared;
    return acme_ok();
}

struct acme_err acme_ca_files_commit(int directory_fd)
{
    for (size_t i = 0; i < ACME_CA_FILE_COUNT; i++)
        if (renameat(directory_fd, files[i].temporary, directory_fd, files[i].name) != 0 && errno != ENOENT)
            return io_failure("local ca: cannot rename a file", files[i].temporary);
    if (fsync(directory_fd) != 0)
        return io_failure("local ca: cannot sync the directory", ".");
    return acme_ok();
}

struct acme_err acme_ca_files_discard(int directory_fd)
{
    for (size_t i = 0; i < ACME_CA_FILE_COUNT; i++)
        if (unlinkat(directory_fd, files[i].temporary, 0) != 0 && errno != ENOENT)
            return io_failure("local ca: cannot remove a file", files[i].temporary);
    return acme_ok();
}

static struct acme_err write_file(int directory_fd, const char *name, const void *data, size_t len,
                                  mode_t mode)
{
    CLEANUP_FD int fd =
        openat(directory_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return io_failure("local ca: cannot create a file", name);
    if (fchmod(fd, mode) != 0) /* whatever the umask is */
        return io_failure("local ca: cannot set a file's mode", name);
    const char *at = data;
    while (len > 0) {
        ssize_t written = write(fd, at, len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return io_failure("local ca: cannot write a file", name);
        at += written;
        len -= (size_t)written;
    }
    if (fsync(fd) != 0)
        return io_failure("local ca: cannot sync a file", name);
    return acme_ok();
}

struct acme_err acme_ca_file_write_key(int directory_fd, enum acme_ca_file file, const EVP_PKEY *key)
{
    OSSL_CLEANUP(BIO) BIO *bio = BIO_new(BIO_s_secmem()); /* cleansed when freed */
    ENSURE(bio != NULL && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1,
           ACME_E_CRYPTO);
    char *text = NULL;
    long len = BIO_get_mem_data(bio, &text);
    ENSURE(len > 0, ACME_E_CRYPTO);
    return write_file(directory_fd, files[file].temporary, text, (size_t)len, 0600);
}

struct acme_err acme_ca_file_write_cert(int directory_fd, enum acme_ca_file file, const X509 *cert)
{
    ACME_CLEANUP_BUF struct acme_buf text;
    acme_buf_init(&text, MAX_FILE);
    acme_pem_append_cert(&text, cert);
    const char *data = acme_buf_cstr(&text);
    ENSURE(data != NULL, ACME_E_CRYPTO);
    return write_file(directory_fd, files[file].temporary, data, text.len, 0644);
}

/* Secure memory, because it may be a key. */
struct content {
    char *data;
    size_t len;
};

static void release_content(struct content *content)
{
    OPENSSL_secure_clear_free(content->data, MAX_FILE);
}

static struct acme_err read_file(int directory_fd, const char *name, bool secret, struct content *content)
{
    CLEANUP_FD int fd = openat(directory_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return io_failure("local ca: cannot open a file", name);
    struct stat status;
    if (fstat(fd, &status) != 0)
        return io_failure("local ca: cannot look at a file", name);
    bool mine = status.st_uid == geteuid() || status.st_uid == 0;
    if (!S_ISREG(status.st_mode) || !mine || (status.st_mode & (secret ? 077 : 022)) != 0) {
        acme_log(ERROR, "local ca: others have access to a file", LOG_STR("file", name),
                 LOG_INT("owner", status.st_uid), LOG_INT("mode_decimal", status.st_mode & 07777));
        return acme_err(ACME_E_DENIED);
    }
    content->data = OPENSSL_secure_malloc(MAX_FILE);
    ENSURE(content->data != NULL, ACME_E_NOMEM);
    while (content->len < MAX_FILE) {
        ssize_t got = read(fd, content->data + content->len, MAX_FILE - content->len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return io_failure("local ca: cannot read a file", name);
        if (got == 0)
            return acme_ok();
        content->len += (size_t)got;
    }
    acme_log(ERROR, "local ca: a file is too large", LOG_STR("file", name));
    return acme_err(ACME_E_FORMAT);
}

/* An encrypted key cannot be used here, and nobody is there to be asked. */
static int no_passphrase(char *buf, int size, int writing, void *context)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

struct acme_err acme_ca_file_read_key(int directory_fd, enum acme_ca_file file, EVP_PKEY **ret)
{
    __attribute__((cleanup(release_content))) struct content content = {.len = 0};
    TRY(read_file(directory_fd, files[file].name, true, &content));
    OSSL_CLEANUP(BIO) BIO *bio = BIO_new_mem_buf(content.data, (int)content.len);
    ENSURE(bio != NULL, ACME_E_NOMEM);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    if (key == NULL) {
        acme_log(ERROR, "local ca: no unencrypted PEM private key", LOG_STR("file", files[file].name));
        return acme_err(ACME_E_FORMAT);
    }
    *ret = key;
    return acme_ok();
}

struct acme_err acme_ca_file_read_cert(int directory_fd, enum acme_ca_file file, X509 **ret)
{
    __attribute__((cleanup(release_content))) struct content content = {.len = 0};
    TRY(read_file(directory_fd, files[file].name, false, &content));
    OSSL_CLEANUP(BIO) BIO *bio = BIO_new_mem_buf(content.data, (int)content.len);
    ENSURE(bio != NULL, ACME_E_NOMEM);
    X509 *cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
    if (cert == NULL) {
        acme_log(ERROR, "local ca: no PEM certificate", LOG_STR("file", files[file].name));
        return acme_err(ACME_E_FORMAT);
    }
    *ret = cert;
    return acme_ok();
}
