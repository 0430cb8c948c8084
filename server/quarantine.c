#include "server/quarantine.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void acme_quarantine_keep(const char *directory, const char *name, struct acme_arena *arena,
                          const struct acme_cert_list *certs)
{
    char *path = acme_arena_printf(arena, "%s/%s.pem", directory, name);
    char *pem = acme_chain_pem(arena, certs);
    if (path == NULL || pem == NULL) {
        acme_log(ERROR, "quarantine: out of memory", LOG_STR("name", name));
        return;
    }
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        acme_log(ERROR, "quarantine: cannot make the directory", LOG_STR("path", directory),
                 LOG_STR("error", strerror(errno)));
        return;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    size_t len = strlen(pem);
    bool written = fd >= 0 && write(fd, pem, len) == (ssize_t)len;
    if (!written)
        acme_log(ERROR, "quarantine: cannot write", LOG_STR("path", path), LOG_STR("error", strerror(errno)));
    if (fd >= 0)
        close(fd);
}
