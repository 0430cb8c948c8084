/* What relying parties fetch over plain HTTP about the local CAs: lists of revoked certificates and the
 * certificates of their issuers (RFC 5280 sections 4.2.1.13 and 4.2.2.1). Each list is made once and kept; a
 * thread makes a new one when a certificate has been revoked and when half of its time is over. */
#ifndef ACME_SERVER_CA_PUBLISHER_H
#define ACME_SERVER_CA_PUBLISHER_H

#include "certs/local_ca.h"
#include "server/http.h"
#include "store/store.h"

#define ACME_PUBLISHER_CRL_PATH  "/crl/"
#define ACME_PUBLISHER_CERT_PATH "/ca/"

struct acme_publisher;

struct acme_publisher_issuer {
    const char *name; /* as in the configuration: stands in the paths */
    const struct acme_local_ca *ca;
};

struct acme_publisher_options {
    struct acme_store *store;
    const struct acme_clock *clock;
    const char *base_path; /* the path part of the published URL, "" when it has none */
    const struct acme_publisher_issuer *issuers;
    size_t issuer_count;
};

/** acme_publisher_start(options, ret): make a first list of every issuer, and the thread. What `options`
 * names is borrowed, but for the array itself. Errors: NOMEM, IO, CRYPTO (logged). Release:
 * acme_publisher_stop. */
struct acme_err acme_publisher_start(const struct acme_publisher_options *options,
                                     struct acme_publisher **ret) ACME_MUST_USE;
void acme_publisher_stop(struct acme_publisher *publisher); /* NULL is allowed */

/** acme_publisher_refresh(publisher, issuer): a certificate of this issuer has been revoked: a new list
 * within about a second. Other issuers' names are ignored. Thread: any. */
void acme_publisher_refresh(struct acme_publisher *publisher, const char *issuer);

/** acme_publisher_on_request / _on_problem: the callbacks of struct acme_http_callbacks; context is the
 * publisher. GET and HEAD of /crl/<issuer>.crl and /ca/<issuer>.cer. */
void acme_publisher_on_request(void *context, struct acme_http_exchange *exchange,
                               const struct acme_request *request);
void acme_publisher_on_problem(void *context, struct acme_arena *arena, int problem_type, int status,
                               const char *detail, struct acme_response *response);

#endif
