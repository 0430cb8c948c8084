/* Issuers, from their configuration. */
#ifndef ACME_SERVER_ISSUER_OPEN_H
#define ACME_SERVER_ISSUER_OPEN_H

#include "backends/local/local.h"
#include "server/config.h"

/** acme_issuer_open(config, ca, ret): the issuer that `config` describes, with its limits; `ca`, borrowed, is
 * that of type local, NULL for the others. No connection is made. Owns: *ret, release with
 * acme_issuer_destroy. Errors: FORMAT (what the configuration reader lets through should be right), NOMEM. */
struct acme_err acme_issuer_open(const struct acme_issuer_config *config, const struct acme_local_ca *ca,
                                 struct acme_issuer **ret) ACME_MUST_USE;

#endif
