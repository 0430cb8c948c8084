/* A small ACME client that drives the service in this process, on a store in a temporary directory and a
 * clock that tests move. Every response passes one check of what clients rely on (check_contract in
 * client.c). */
#ifndef TESTS_UNIT_PROTOCOL_CLIENT_H
#define TESTS_UNIT_PROTOCOL_CLIENT_H

#include "base/json.h"
#include "cmocka_all.h"
#include "jose.h"
#include "protocol/service.h"

#define BASE "https://ca.test:14000/acme"
#define JOSE "application/jose+json"

enum { MAX_JOBS = 16 };

struct fixture {
    struct acme_arena *arena;
    char folder[64];
    int64_t now_ms;
    struct acme_clock clock;
    struct acme_profile profiles[2]; /* "default" and "other" */
    struct acme_service_config config;
    struct acme_store *store;
    struct acme_nonces *nonces;
    struct acme_service *service;
    struct acme_job jobs[MAX_JOBS]; /* what the hook was told */
    size_t job_count;
    const char *key_refusal; /* why no CSR's key may be used under "default"; NULL: every one may */
    int64_t key_asked_ms;    /* of the order whose CSR was last asked about; 0: none */
    int orders_told;         /* what the other hook was told */
    const char *forbidden;   /* a name that may not be ordered under "default"; NULL: none */
};

struct client {
    struct jose_key key;
    const char *kid; /* NULL: sign with the key itself */
};

struct reply {
    struct acme_response response;
    int status;
    cJSON *json; /* NULL when the body is none */
    const char *location;
    const char *nonce;
    const char *retry_after;
};

int fixture_open(void **state);
int fixture_close(void **state);

struct reply fetch(struct fixture *f, const char *method, const char *path);

/* A POST with whatever body. */
struct reply post_raw(struct fixture *f, const char *path, const char *query, const char *content_type,
                      const char *body);

/* A signed POST; `url` is absolute, payload "" makes it a POST-as-GET. */
struct reply post(struct fixture *f, const struct client *client, const char *url, const char *payload);
char *fresh_nonce(struct fixture *f);

/* A registered client. */
struct client join(struct fixture *f);

const char *text_of(const struct reply *reply, const char *name);
const char *item_of(const struct reply *reply, const char *list, int index);
/* The last segment of a URL. */
const char *id_of(const char *url);
const char *header_of(const struct reply *reply, const char *name, int index);

void assert_problem(const struct reply *reply, int status, const char *type, const char *part_of_detail);

/* newOrder for dns names, separated by spaces. */
struct reply order_names(struct fixture *f, const struct client *client, const char *names);
/* Its first challenge: the URL. */
const char *challenge_url(struct fixture *f, const struct client *client, const char *authz_url);
/* Trigger it and end it well (error NULL) or badly, as the job runner would. */
void complete(struct fixture *f, const struct client *client, const char *authz_url, const char *error);
/* A new order with all its authorizations completed: its URL. */
const char *ready_order(struct fixture *f, const struct client *client, const char *names);

/* A payload for finalize: a CSR for these names, signed by this key. */
const char *csr_payload(struct fixture *f, EVP_PKEY *key, const char *names);
/* End the latest issuance job well. */
void issue(struct fixture *f, const char *certificate_id);
void issue_with(struct fixture *f, const char *certificate_id, const char *const *alternates, size_t count);

#endif
