/* Files in which Akamai's tools keep the credentials of API clients (~/.edgerc): sections of "name = value".
 */
#ifndef ACME_BACKENDS_CPS_EDGERC_H
#define ACME_BACKENDS_CPS_EDGERC_H

#include "base/arena.h"

enum { ACME_EDGERC_MAX_BYTES = 64 * 1024, ACME_EDGERC_VALUE_MAX = 512 };

/* A piece of the file's text. Not copied: it may be a secret. */
struct acme_edgerc_value {
    const char *text; /* not NUL-terminated; NULL: the section does not have it */
    size_t len;
};

struct acme_edgerc {
    struct acme_edgerc_value host; /* without scheme and slashes */
    struct acme_edgerc_value client_token;
    struct acme_edgerc_value client_secret;
    struct acme_edgerc_value access_token;
    struct acme_edgerc_value account_key; /* of another account; may be absent */
    size_t max_body;                      /* 0: not said */
};

/* What is wrong, in words without any value of the file. */
struct acme_edgerc_mistake {
    int line;             /* from 1; 0: of the file as a whole */
    const char *expected; /* static: completes "expected ..." */
};

/** acme_edgerc_read(text, len, section, ret, ret_mistake): the values of [section]. Lines may end with CR LF;
 * "#" and ";" begin comments, at the start of a line or behind white space; names are case-sensitive, values
 * printable ASCII without inner space, perhaps in double quotes; "host" loses a scheme and a slash at its end
 * (Akamai's console shows it with both); unknown names, and what stands in other sections, are passed over. A
 * section that stands twice counts as one, of a name that stands twice the last counts. Owns: values borrow
 * from `text`. Limits: ACME_EDGERC_MAX_BYTES. Errors: NOT_FOUND (no such section), FORMAT; both with
 * *ret_mistake, *ret is untouched. Thread: any. */
struct acme_err acme_edgerc_read(const char *text, size_t len, const char *section, struct acme_edgerc *ret,
                                 struct acme_edgerc_mistake *ret_mistake) ACME_MUST_USE;

#endif
