/* Looks at the upstreams in the background: once at start and then daily at how they are set up, for the log;
 * every few minutes at which domains they have validated, for newOrder. */
#ifndef ACME_SERVER_UPSTREAM_WATCH_H
#define ACME_SERVER_UPSTREAM_WATCH_H

#include "server/config.h"
#include "server/outbound.h"

struct acme_upstream_watch;

struct acme_upstream_watch_options {
    const struct acme_config *config;
    struct acme_outbound *outbound;
    struct acme_issuer *const *issuers; /* config->issuer_count of them; borrowed, like all here */
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

/** acme_upstream_watch_stop(watch): end the thread; what is known stays. Before acme_outbound_stop. NULL is
 * allowed, here and below. */
void acme_upstream_watch_stop(struct acme_upstream_watch *watch);

/** acme_upstream_watch_destroy(watch): release; it has been stopped. */
void acme_upstream_watch_destroy(struct acme_upstream_watch *watch);

#endif
