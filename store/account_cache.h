/* Accounts as last read, in memory: every signed request asks for one. Only this process writes the database,
 * so an entry is right until this process changes the account; several processes on one database would need
 * an age limit here. Private to store/. */
#ifndef ACME_STORE_ACCOUNT_CACHE_H
#define ACME_STORE_ACCOUNT_CACHE_H

#include "store/store.h"

struct acme_account_cache;

/** acme_account_cache_create(): NULL without memory. */
struct acme_account_cache *acme_account_cache_create(void);
void acme_account_cache_destroy(struct acme_account_cache *cache); /* NULL is allowed */

/** acme_account_cache_get(cache, arena, id, ret): false when it is not there. Errors: NOMEM. */
struct acme_err acme_account_cache_get(struct acme_account_cache *cache, struct acme_arena *arena,
                                       const char *id, struct acme_account *ret,
                                       bool *ret_found) ACME_MUST_USE;

/** acme_account_cache_mark(cache): to be taken before the database is read for acme_account_cache_put. */
uint64_t acme_account_cache_mark(struct acme_account_cache *cache);

/** acme_account_cache_put(cache, mark, account): remember what was read, unless something was forgotten since
 * the mark: then it may be old already. */
void acme_account_cache_put(struct acme_account_cache *cache, uint64_t mark,
                            const struct acme_account *account);

/** acme_account_cache_forget(cache, id): the account was changed: after the commit, before anybody is told of
 * it. */
void acme_account_cache_forget(struct acme_account_cache *cache, const char *id);

#endif
