/* Deployers, from their configuration. */
#ifndef ACME_SERVER_DEPLOYER_OPEN_H
#define ACME_SERVER_DEPLOYER_OPEN_H

#include "server/config.h"

/** acme_deployer_open(config, ret): the deployer that `config` describes, with its limits. No connection is
 * made, no program run. Owns: *ret, release with acme_deployer_destroy. Errors: FORMAT (what the
 * configuration reader lets through should be right), NOMEM. */
struct acme_err acme_deployer_open(const struct acme_deployer_config *config,
                                   struct acme_deployer **ret) ACME_MUST_USE;

/** acme_deployers_open(config, ret): all of a configuration, in its order, in a list of its own. Owns: *ret,
 * release with acme_deployers_close. Errors: as above; logged with the deployer's name. */
struct acme_err acme_deployers_open(const struct acme_config *config,
                                    struct acme_deployer ***ret) ACME_MUST_USE;
void acme_deployers_close(struct acme_deployer **deployers, size_t count); /* NULL is allowed */

/** acme_deployer_takes(config, deployer, identifiers, count): whether a certificate with these names is for
 * this deployer: it has all of the deployer's `names`. False for one that is not configured. */
bool acme_deployer_takes(const struct acme_config *config, const char *deployer,
                         const struct acme_identifier *identifiers, size_t count);

#endif
