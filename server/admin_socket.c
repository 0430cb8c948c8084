#include "server/admin_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 16 };

/* An address holds 107 characters of a path, a data directory may have more: the way over the directory's
 * descriptor is always short. */
struct place {
    int dir_fd;
    struct sockaddr_un address;
};

static bool open_place(const char *data_dir, struct place *ret)
{
    struct place place = {.address = {.sun_family = AF_UNIX}};
    place.dir_fd = open(data_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (place.dir_fd < 0)
        return false;
    (void)snprintf(place.address.sun_path, sizeof place.address.sun_path,
                   "/proc/self/fd/%d/" ACME_ADMIN_SOCKET_NAME, place.dir_fd); /* always fits */
    *ret = place;
    return true;
}

static int new_socket(int flags)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
}

static bool reach(int fd, const struct place *place)
{
    return connect(fd, (const struct sockaddr *)&place->address, sizeof place->address) == 0;
}

/* The lock of the store keeps a second server away from it, but not from this directory. */
static bool is_served(const struct place *place)
{
    int fd = new_socket(SOCK_NONBLOCK);
    bool served = fd >= 0 && (reach(fd, place) || errno == EAGAIN);
    if (fd >= 0)
        close(fd);
    return served;
}

static struct acme_err listen_at(const struct place *place, int fd)
{
    (void)unlinkat(place->dir_fd, ACME_ADMIN_SOCKET_NAME, 0);
    ENSURE(bind(fd, (const struct sockaddr *)&place->address, sizeof place->address) == 0, ACME_E_IO);
    ENSURE(fchmodat(place->dir_fd, ACME_ADMIN_SOCKET_NAME, 0600, 0) == 0, ACME_E_IO);
    ENSURE(listen(fd, BACKLOG) == 0, ACME_E_IO);
    return acme_ok();
}

struct acme_err acme_admin_listen(const char *data_dir, int *ret_fd)
{
    struct place place;
    ENSURE(open_place(data_dir, &place), ACME_E_IO);
    int fd = -1;
    struct acme_err err = acme_err(ACME_E_BUSY);
    if (!is_served(&place)) {
        fd = new_socket(SOCK_NONBLOCK);
        err = fd < 0 ? acme_err(ACME_E_IO) : listen_at(&place, fd);
    }
    int reason = errno;
    close(place.dir_fd);
    if (acme_failed(err) && fd >= 0)
        close(fd);
    errno = reason;
    TRY(err);
    *ret_fd = fd;
    return acme_ok();
}

static enum acme_code code_of(int reason)
{
    switch (reason) {
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
        return ACME_E_NOT_FOUND;
    case EACCES:
    case EPERM:
        return ACME_E_DENIED;
    default:
        return ACME_E_IO;
    }
}

struct acme_err acme_admin_connect(const char *data_dir, int *ret_fd)
{
    struct place place;
    ENSURE(open_place(data_dir, &place), code_of(errno));
    int fd = new_socket(0);
    bool connected = fd >= 0 && reach(fd, &place);
    int reason = errno;
    close(place.dir_fd);
    if (!connected && fd >= 0)
        close(fd);
    errno = reason;
    ENSURE(connected, code_of(reason));
    *ret_fd = fd;
    return acme_ok();
}

void acme_admin_unlink(const char *data_dir)
{
    int dir_fd = open(data_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return;
    (void)unlinkat(dir_fd, ACME_ADMIN_SOCKET_NAME, 0);
    close(dir_fd);
}

bool acme_admin_user_allowed(uid_t peer, uid_t own)
{
    return peer == own || peer == 0;
}
