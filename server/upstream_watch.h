/* Looks at the upstreams in the background: once at start and then daily at how they are set up, for the log;
 * every few minutes at which domains they have validated, for newOrder; when an order was made that needs one
 * of their keys, at which these are, for finalize. */
#ifndef ACME_SERVER_UPSTREAM_WATCH_H
#define ACME_SERVER_UPSTREAM_WATCH_H

#include "backends/deployer.h"
#include "server/config.h"
#include "server/outbound.h"

struct acme_upstream_watch;

struct acme_upstream_watch_options {
    const struct acme_config *config;
    struct acme_outbound *outbound;
    struct acme_issuer *const *issuers; /* config->issuer_count of them; borrowed, like all here */
    struct acme_deployer *const *deployers;
    size_t deployer_count;
};

/** acme_upstream_watch_start(options, ret): start the thread, when there is anything to look at. Errors:
 * NOMEM, IO. */
struct acme_err acme_upstream_watch_start(const struct acme_upstream_watch_options *options,
                                          struct acme_upstream_watch **ret) ACME_MUST_USE;

/** acme_upstream_watch_allows(watch, arena, issuer, identifier, ret_why): may this name be ordered of that
 * issuer? True for issuers that do not ask for validated domains, and while their list is not known. False
 * with *ret_why (in `arena`, completes "There are no certificates for x: "; NULL without memory). Never waits
 * for the network. Thread: any, until _destroy. */
bool acme_upstream_watch_allows(struct acme_upstream_watch *watch, struct acme_arena *arena,
                                const char *issuer, const struct acme_identifier *identifier,
                                const char **ret_why);

/** acme_upstream_watch_want_keys(watch, issuer): an order was made whose CSR must have a key of the upstream:
 * have the list of these read soon, at most every acme_upstream_watch_keys_pause_ms. Nothing happens for
 * issuers that take any key. Thread: any, until _destroy. */
void acme_upstream_watch_want_keys(struct acme_upstream_watch *watch, const char *issuer);

/** acme_upstream_watch_allows_key(watch, arena, profile, spki_sha256, order_created_ms, ret_why): may an
 * order of this profile be finalized with this key? False, with *ret_why as above, only when a list that was
 * read since the order was made does not have it. Never waits for the network. Thread: any, until _destroy.
 */
bool acme_upstream_watch_allows_key(struct acme_upstream_watch *watch, struct acme_arena *arena,
                                    const struct acme_profile *profile,
                                    const uint8_t spki_sha256[ACME_SHA256_SIZE], int64_t order_created_ms,
                                    const char **ret_why);

/** acme_upstream_watch_stop(watch): end the thread; what is known stays. Before acme_outbound_stop. NULL is
 * allowed, here and below. */
void acme_upstream_watch_stop(struct acme_upstream_watch *watch);

/** acme_upstream_watch_destroy(watch): release; it has been stopped. */
void acme_upstream_watch_destroy(struct acme_upstream_watch *watch);

/** acme_upstream_watch_keys_pause_ms(profiles, requests_per_minute): how long there is at least between two
 * looks at the keys of that many profiles, so that clients cannot use up the upstream's pace by orders that
 * are refused. 0 requests: no pace is kept. Thread: any. */
int64_t acme_upstream_watch_keys_pause_ms(size_t profiles, int requests_per_minute);

#endif
