/* Certificates that failed their check are kept for the operator, never handed out. */
#ifndef ACME_SERVER_QUARANTINE_H
#define ACME_SERVER_QUARANTINE_H

#include "certs/chain.h"

/** acme_quarantine_keep(directory, name, arena, certs): write them to <directory>/<name>.pem (0600), making
 * the directory (0700). Failing to is logged; the caller's decision does not depend on it. Thread: any. */
void acme_quarantine_keep(const char *directory, const char *name, struct acme_arena *arena,
                          const struct acme_cert_list *certs);

#endif
