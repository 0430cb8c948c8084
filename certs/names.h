/* subjectAltName as ACME identifiers, for requests and certificates alike. For certs/ only. */
#ifndef ACME_CERTS_NAMES_H
#define ACME_CERTS_NAMES_H

#include "base/identifier.h"

#include <openssl/x509.h>

enum { ACME_NAMES_MAX = 1000 };

/** acme_names_read(arena, extension, ret, ret_count, ret_why): the dns and ip names of a subjectAltName
 * extension, normalised, each once. Owns: everything in `arena`. Limits: ACME_NAMES_MAX names. Errors:
 * FORMAT, UNSUPPORTED (another kind of name), LIMIT, each with *ret_why; NOMEM. Thread: any. */
struct acme_err acme_names_read(struct acme_arena *arena, X509_EXTENSION *extension,
                                struct acme_identifier **ret, size_t *ret_count,
                                const char **ret_why) ACME_MUST_USE;

/** acme_names_compare(arena, who, names, name_count, identifiers, count, ret_why): the same set? Errors:
 * DENIED with *ret_why naming the first name too many or missing ("<who> ..."). Thread: any. */
struct acme_err acme_names_compare(struct acme_arena *arena, const char *who,
                                   const struct acme_identifier *names, size_t name_count,
                                   const struct acme_identifier *identifiers, size_t count,
                                   const char **ret_why) ACME_MUST_USE;

/** acme_deny(ret_why, text): DENIED for this reason; NULL (memory was out while it was worded) gives a
 * general one. Borrows `text`. Thread: any. */
struct acme_err acme_deny(const char **ret_why, const char *text) ACME_MUST_USE;

#endif
