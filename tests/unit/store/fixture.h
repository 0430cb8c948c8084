/* A store in a directory of its own, and short ways to fill it. */
#ifndef ACME_TESTS_UNIT_STORE_FIXTURE_H
#define ACME_TESTS_UNIT_STORE_FIXTURE_H

#include "store/store.h"

#include "cmocka_all.h"
#include <string.h>

#define assert_ok(expr)         assert_int_equal((expr).code, ACME_OK)
#define assert_code(expr, want) assert_int_equal((expr).code, (want))

enum { NOW = 1000000, DAY = 86400000 };

struct fixture {
    char dir[64];
    char path[96];
    struct acme_store *store;
    struct acme_arena *arena;
};

/* cmocka set-up and tear-down of one test; *state is the fixture. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Close the store and open it again, as after a restart. */
void fixture_reopen(struct fixture *f);

/* A fresh id in the arena. */
const char *fixture_id(struct fixture *f);

/* A new account's id. */
const char *fixture_account(struct fixture *f);

/* An authorization candidate with `challenges` pending challenges. */
struct acme_authz fixture_authz(struct fixture *f, const char *name, bool wildcard, size_t challenges);

/* A new order for these names (NULL ends them), with two challenges each. */
struct acme_order fixture_order(struct fixture *f, const char *account_id, const char *const *names);

/* Run one challenge of an authorization to its end. */
void fixture_validate(struct fixture *f, const char *authz_id, const char *error);

/* An order of one name that is ready. */
struct acme_order fixture_ready_order(struct fixture *f, const char *account_id, const char *name);

/* A candidate issuance for an order; key and CSR are told apart by these words. */
struct acme_issuance fixture_issuance(struct fixture *f, const struct acme_order *order, const char *key,
                                      const char *csr);

struct acme_job fixture_job(struct fixture *f, const char *queue);

struct acme_certificate fixture_certificate(struct fixture *f, const char *account_id);

extern const struct acme_lease fixture_lease; /* owner "me", until NOW + 60000 */

#endif
