/* The server's own certificate: from files, or issued and kept fresh by the local CA. */
#ifndef ACME_SERVER_IDENTITY_H
#define ACME_SERVER_IDENTITY_H

#include "base/clock.h"
#include "server/config.h"
#include "server/tls.h"

struct acme_identity;

/** acme_identity_create(config, ca, clock, ret): load the configured files, or let `ca` certify the host of
 * config->url, config->tls_names and, for "localhost", the loopback addresses. Everything is borrowed.
 * Errors: as acme_tls_*; DENIED when there is neither file nor CA. Logged. */
struct acme_err acme_identity_create(const struct acme_server_config *config, const struct acme_local_ca *ca,
                                     const struct acme_clock *clock,
                                     struct acme_identity **ret) ACME_MUST_USE;
void acme_identity_destroy(struct acme_identity *identity);

/** acme_identity_tls(identity): the context to serve with now. Borrowed until the next refresh. Thread: the
 * one that refreshes. */
SSL_CTX *acme_identity_tls(const struct acme_identity *identity);

/** acme_identity_refresh(identity): renew when a third of the lifetime is left, or read files again that have
 * changed; true when the context is a new one. A failure keeps the old one and is logged. Call about once a
 * minute. */
bool acme_identity_refresh(struct acme_identity *identity);

#endif
