/* Who has how many jobs under way in a queue: the counts behind a fair share. A queue of which every place
 * may be held for long by whoever asks keeps some free for those who come later; see acme_shares_allow. */
#ifndef ACME_SERVER_SHARES_H
#define ACME_SERVER_SHARES_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct acme_shares;
struct acme_share;

/** acme_shares_create(): NULL without memory. Destroy when nobody is in. Thread: all functions under one lock
 * of the caller's. */
struct acme_shares *acme_shares_create(void);
void acme_shares_destroy(struct acme_shares *shares); /* NULL is allowed */

/** acme_shares_enter(shares, name, ret): one more job of this share is under way; give *ret back to _leave.
 * `name` is copied. Limits: names of up to 36 characters. Errors: NOMEM, LIMIT. */
struct acme_err acme_shares_enter(struct acme_shares *shares, const char *name,
                                  struct acme_share **ret) ACME_MUST_USE;
void acme_shares_leave(struct acme_shares *shares, struct acme_share *share);

/** acme_shares_count(shares, name): how many are under way. */
size_t acme_shares_count(const struct acme_shares *shares, const char *name);

/** acme_shares_allow(under_way, places, used): may a share with `under_way` jobs start another, when `used`
 * of `places` are taken? As long as fewer are its own than free: one alone gets half of the places, two a
 * third each, and with n of them 1/(n+1) of the places stays free, so that a newcomer starts at once. */
bool acme_shares_allow(size_t under_way, size_t places, size_t used);

#endif
