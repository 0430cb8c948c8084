/* Files that hold secrets: opened, judged and read in one go. */
#ifndef ACME_SERVER_SECRET_FILE_H
#define ACME_SERVER_SECRET_FILE_H

#include "base/arena.h"

/** acme_secret_file_read(path, buffer, size, ret_len): the first `size` octets of a regular file that neither
 * everybody may read nor anybody but its owner may write. NULL when it was read; else why not: static text,
 * or that of strerror. Wipe `buffer` in any case. Thread: any. */
const char *acme_secret_file_read(const char *path, char *buffer, size_t size, size_t *ret_len);

/** acme_secret_file_load(context, arena, path, max_bytes, ret, ret_why): the whole of such a file; as
 * acme_job_services.read_secret, without a context. Memory of *ret is apart from the arena's and wiped with
 * it; behind it stands a NUL octet. */
struct acme_err acme_secret_file_load(void *context, struct acme_arena *arena, const char *path,
                                      size_t max_bytes, struct acme_bytes *ret,
                                      const char **ret_why) ACME_MUST_USE;

#endif
