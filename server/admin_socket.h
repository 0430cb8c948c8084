/* The Unix socket in the data directory through which the command line reaches the running server. */
#ifndef ACME_SERVER_ADMIN_SOCKET_H
#define ACME_SERVER_ADMIN_SOCKET_H

#include "base/err.h"

#include <sys/types.h>

#define ACME_ADMIN_SOCKET_NAME "admin.sock"

/** acme_admin_listen(data_dir, ret_fd): listen on data_dir/admin.sock (0600; any length of path),
 * close-on-exec and non-blocking. What a process that died has left is replaced. Errors: BUSY (somebody
 * answers there), IO (errno tells). */
struct acme_err acme_admin_listen(const char *data_dir, int *ret_fd) ACME_MUST_USE;

/** acme_admin_connect(data_dir, ret_fd): connect to it; the descriptor blocks. Errors: NOT_FOUND (no server
 * there), DENIED (not allowed to), IO (errno tells). */
struct acme_err acme_admin_connect(const char *data_dir, int *ret_fd) ACME_MUST_USE;

/** acme_admin_unlink(data_dir): remove the socket's file, best effort. */
void acme_admin_unlink(const char *data_dir);

/** acme_admin_user_allowed(peer, own): may a process of this user ask a server of that one? The same user and
 * root may. */
bool acme_admin_user_allowed(uid_t peer, uid_t own);

#endif
