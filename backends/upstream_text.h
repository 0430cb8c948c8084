/* Texts that go to upstreams, and what upstreams say: the small tools that backends share. */
#ifndef ACME_BACKENDS_UPSTREAM_TEXT_H
#define ACME_BACKENDS_UPSTREAM_TEXT_H

#include "backends/issuer.h"

#include "base/buf.h"

/** acme_urlencode(arena, text): for a query value or a part of a path (RFC 3986 section 2.1; a space becomes
 * "%20"); NULL without memory. Limits: 4096 characters out. Thread: any. */
char *acme_urlencode(struct acme_arena *arena, const char *text);

/** acme_is_header_text(text): it may go into a header line: not NULL, not empty, no control character, which
 * would be another header. Thread: any. */
bool acme_is_header_text(const char *text);

/** acme_reply_json(arena, reply, ret): the body as JSON. Errors: FORMAT (no success, no or other body),
 * NOMEM; *ret untouched on error. Thread: any. */
struct acme_err acme_reply_json(struct acme_arena *arena, const struct acme_http_reply *reply,
                                cJSON **ret) ACME_MUST_USE;

/** acme_json_number_or_text(item, ret): a whole number, or the same as decimal text of at most 15 characters;
 * NULL is none. Thread: any. */
bool acme_json_number_or_text(const cJSON *item, int64_t *ret);

/** acme_decimal(text, ret): a positive number of at most 15 digits and nothing else; NULL is none. */
bool acme_decimal(const char *text, int64_t *ret);

/* The secrets of a backend that may turn up in what its upstream says. NULL entries are none. */
struct acme_secrets {
    const char *text[4];
};

/** acme_secrets_echoed(secrets, text): one of them is in `text`. Thread: any. */
bool acme_secrets_echoed(const struct acme_secrets *secrets, const char *text);

/** acme_upstream_quoted(arena, secrets, text): the upstream's own words for the operator's eyes, as `: "..."`
 * behind a sentence's subject; "" when there are none (NULL, empty) or when they echo a secret; NULL without
 * memory. Thread: any. */
const char *acme_upstream_quoted(struct acme_arena *arena, const struct acme_secrets *secrets,
                                 const char *text);

/** acme_upstream_shown(arena, secrets, text): the same as a plain text of at most 80 characters, "(not
 * shown)" when there is nothing to show. Never NULL. Thread: any. */
const char *acme_upstream_shown(struct acme_arena *arena, const struct acme_secrets *secrets,
                                const char *text);

/** acme_words_add(list, text): behind a comma, as long as there is room in the buffer: a list of what an
 * upstream offers, for the operator. acme_words_text(list): that list, "none" when it is empty; borrowed from
 * the buffer. Thread: any. */
void acme_words_add(struct acme_buf *list, const char *text);
const char *acme_words_text(const struct acme_buf *list);

/** acme_placeholders_wrong(text): what is wrong with a configured text that goes into requests: NULL when
 * nothing. It may hold {order}, {account} and {eab} and no other braces. Static text, completes "expected
 * ...". Thread: any. */
const char *acme_placeholders_wrong(const char *text);

/** acme_placeholders_fill(arena, text, request): the same with the order's id, the account's, and the key
 * identifier of the account's external binding ("-" without one). NULL without memory. Limits: 64 KiB.
 * Thread: any. */
char *acme_placeholders_fill(struct acme_arena *arena, const char *text,
                             const struct acme_issue_request *request);

/** acme_request_common_name(request): what an upstream will call the certificate: the CSR's CN or the first
 * name of the order. Borrowed, never NULL. Thread: any. */
const char *acme_request_common_name(const struct acme_issue_request *request);

/* ---- a configuration made a backend's own ---- */

/** acme_copy_text(arena, member): replace *member by a copy in `arena`; NULL stays NULL. False without
 * memory.
 */
bool acme_copy_text(struct acme_arena *arena, const char **member);

/** acme_copy_secret(member): likewise, outside of arenas; after a failure *member is NULL, so that
 * acme_free_secret may be called in any case. Release: acme_free_secret. */
bool acme_copy_secret(const char **member);

/** acme_free_secret(text): wipe and release what acme_copy_secret made; NULL is allowed. */
void acme_free_secret(const char *text);

#endif
