/* One order: what is made before the clock starts, what is done while it runs, what is checked afterwards. */
#ifndef ACME_BENCH_ORDER_H
#define ACME_BENCH_ORDER_H

#include "acme_client.h"
#include "responder.h"

enum acme_bench_step {
    ACME_BENCH_NEW_ORDER,
    ACME_BENCH_AUTHORIZATION, /* reading the authorization */
    ACME_BENCH_CHALLENGE,     /* the request that asks for the validation */
    ACME_BENCH_VALIDATION,    /* from there until the authorization is seen valid */
    ACME_BENCH_FINALIZE,
    ACME_BENCH_ISSUANCE, /* from there until the order is seen valid; next to nothing when finalize said so */
    ACME_BENCH_CERTIFICATE,
    ACME_BENCH_ORDER, /* all of it */
    ACME_BENCH_STEP_COUNT
};

struct acme_bench_order {
    char name[256];
    EVP_PKEY *key; /* borrowed from the key ring */
    char *csr;     /* base64url */
    bool done;
    double ms[ACME_BENCH_STEP_COUNT];
    char *chain; /* PEM, kept until it is checked */
};

enum { ACME_BENCH_KEY_COUNT = 8 };

struct acme_bench_keys {
    EVP_PKEY *key[ACME_BENCH_KEY_COUNT];
};

const char *acme_bench_step_name(enum acme_bench_step step);

/** acme_bench_keys_init(keys): a few P-256 keys for many orders. Errors: CRYPTO. Release:
 * acme_bench_keys_finish. */
struct acme_err acme_bench_keys_init(struct acme_bench_keys *keys) ACME_MUST_USE;
void acme_bench_keys_finish(struct acme_bench_keys *keys);

/** acme_bench_orders_create(keys, pattern, first, count, ret): `count` orders with their CSRs; "%d" in
 * `pattern` becomes first, first + 1 and so on. Owns: the caller, acme_bench_orders_destroy. Errors: FORMAT,
 * CRYPTO, NOMEM. */
struct acme_err acme_bench_orders_create(const struct acme_bench_keys *keys, const char *pattern,
                                         uint64_t first, size_t count,
                                         struct acme_bench_order **ret) ACME_MUST_USE;
void acme_bench_orders_destroy(struct acme_bench_order *orders, size_t count);

/** acme_bench_order_run(session, responder, order, timeout_ms): the whole way from newOrder to the downloaded
 * chain; fills order->ms, ->chain and ->done. Errors: as acme_bench_session_post, STATE when the order became
 * invalid, BUSY after `timeout_ms` of waiting; session->why is set. Thread: one per session. */
struct acme_err acme_bench_order_run(struct acme_bench_session *session,
                                     struct acme_bench_responder *responder, struct acme_bench_order *order,
                                     int timeout_ms) ACME_MUST_USE;

/** acme_bench_order_check(order): does the first certificate of the chain carry the order's key and name?
 *  Errors: FORMAT (not a certificate), DENIED (another key or name). */
struct acme_err acme_bench_order_check(const struct acme_bench_order *order) ACME_MUST_USE;

#endif
