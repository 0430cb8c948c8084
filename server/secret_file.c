#include "server/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_BYTES = 1024 * 1024 };

static const char *judge_file(int fd)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return strerror(errno);
    if (!S_ISREG(info.st_mode))
        return "it is not a regular file";
    if ((info.st_mode & (S_IROTH | S_IWOTH)) != 0)
        return "everybody may read or write it: chmod 600, or 640 for a group";
    if ((info.st_mode & S_IWGRP) != 0)
        return "its group may write it: chmod 600 or 640";
    return NULL;
}

/* Everything up to the end of the file, at most `size` bytes; -1 with errno. */
static ssize_t read_whole(int fd, char *buffer, size_t size)
{
    size_t len = 0;
    while (len < size) {
        ssize_t got = read(fd, buffer + len, size - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        len += (size_t)got;
    }
    return (ssize_t)len;
}

const char *acme_secret_file_read(const char *path, char *buffer, size_t size, size_t *ret_len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return strerror(errno);
    const char *why = judge_file(fd);
    if (why == NULL) {
        ssize_t got = read_whole(fd, buffer, size);
        if (got < 0)
            why = strerror(errno);
        else
            *ret_len = (size_t)got;
    }
    close(fd);
    return why;
}

/* A secret with its size, which the arena's clean-up needs. */
struct kept {
    size_t size;
    char text[];
};

static void wipe(void *object)
{
    struct kept *kept = object;
    OPENSSL_secure_clear_free(kept, sizeof *kept + kept->size);
}

struct acme_err acme_secret_file_load(void *context, struct acme_arena *arena, const char *path,
                                      size_t max_bytes, struct acme_bytes *ret, const char **ret_why)
{
    (void)context;
    ENSURE(max_bytes <= MAX_BYTES, ACME_E_LIMIT);
    size_t size = max_bytes + 2; /* one more to notice a larger file, and a NUL */
    struct kept *kept = OPENSSL_secure_zalloc(sizeof *kept + size);
    ENSURE(kept != NULL, ACME_E_NOMEM);
    kept->size = size;
    ENSURE(acme_arena_defer(arena, wipe, kept), ACME_E_NOMEM);
    size_t len = 0;
    const char *why = acme_secret_file_read(path, kept->text, max_bytes + 1, &len);
    if (why == NULL && len == 0)
        why = "nothing in it";
    if (why == NULL && len > max_bytes)
        why = "it is too large";
    if (why != NULL) {
        *ret_why = acme_arena_strdup(arena, why); /* of strerror's, which the next call may overwrite */
        return acme_err(*ret_why != NULL ? ACME_E_DENIED : ACME_E_NOMEM);
    }
    *ret = (struct acme_bytes){.data = (const uint8_t *)kept->text, .len = len};
    return acme_ok();
}
