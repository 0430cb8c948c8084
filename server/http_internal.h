/* What the files of the HTTP front share. A server has loops, a loop has connections in slots, a connection
 * has at most one exchange under way. Everything of a loop and its connections belongs to the loop's thread;
 * what other threads touch is atomic, locked or the inbox. */
#ifndef ACME_SERVER_HTTP_INTERNAL_H
#define ACME_SERVER_HTTP_INTERNAL_H

#include "server/http.h"
#include "server/http_parse.h"
#include "server/http_peers.h"
#include "server/http_turns.h"
#include "server/inbox.h"

#include <event2/event.h>
#include <event2/listener.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

struct acme_http_conn;

struct acme_http_slot {
    struct acme_http_conn *conn; /* NULL: free */
    uint64_t generation;         /* of the connection in it; never used twice in a loop */
};

struct acme_http_loop {
    struct acme_http_server *server;
    pthread_t thread;   /* as the loop's own thread knows itself */
    pthread_t joinable; /* as its creator knows it */
    bool started;
    struct event_base *base;
    struct evconnlistener *listener;
    struct event *wake;
    struct event *accept_again; /* after a pause in accepting */
    int accepted;               /* since the last one */
    struct acme_inbox inbox;    /* answered exchanges */
    struct acme_http_turns handshakes;
    const struct timeval *request_deadline;
    const struct timeval *idle_timeout;
    const struct timeval *linger_timeout;
    struct acme_http_slot *slots;
    size_t slot_count;
    size_t first_free; /* no slot before it is free */
    uint64_t next_generation;
    struct acme_http_exchange *dispatching; /* the one on_request is being called for */
    bool answered_inline;                   /* it was answered during that call */
    bool drained;                           /* the drain has been carried out here */
    size_t refused;                         /* connections over a limit since that was last logged */
    time_t refused_told_s;                  /* monotonic; 0: never */
};

struct acme_http_server {
    struct acme_http_options options; /* `listen` is not kept */
    struct acme_http_callbacks callbacks;
    pthread_mutex_t tls_lock;
    SSL_CTX *tls;
    bool plain; /* without TLS; `tls` is NULL then */
    struct acme_http_peers *peers;
    atomic_size_t connections;
    atomic_bool draining;
    atomic_bool stopping;
    int port;
    int loop_count;
    struct acme_http_loop *loops;
};

/* In the inbox once answered. The connection is named by slot and generation, so that one that went away, and
 * another that took its slot, are told apart. */
struct acme_http_exchange {
    struct acme_inbox_item item;
    struct acme_http_loop *loop;
    size_t slot;
    uint64_t generation;
    struct acme_request request; /* its arena too, until answered */
    bool is_head;
    bool http_1_0;
    bool close; /* after this answer */
    char *out;  /* the answer, malloc'd; NULL when there was no memory for it */
    size_t out_len;
    struct acme_blob *shared; /* what is sent behind it; NULL: nothing */
};

/** acme_http_exchange_create(data, head, max_arena, ret): the request in `data`, which holds head and body,
 * copied into an exchange and its arena. Errors: NOMEM; LIMIT when it does not fit the arena. */
struct acme_err acme_http_exchange_create(const char *data, const struct acme_http_head *head,
                                          size_t max_arena, struct acme_http_exchange **ret) ACME_MUST_USE;
void acme_http_exchange_destroy(struct acme_http_exchange *exchange);

/** acme_http_conn_create(loop, fd, address): serve an accepted socket; closes `fd` when it cannot. */
void acme_http_conn_create(struct acme_http_loop *loop, int fd, const struct sockaddr *address);
void acme_http_conn_destroy(struct acme_http_conn *conn);

/** acme_http_conn_handshake(conn): go on with its handshake, now that it is its turn. */
void acme_http_conn_handshake(struct acme_http_conn *conn);

/** acme_http_conn_answer(conn, exchange): send the answer. Takes the exchange. */
void acme_http_conn_answer(struct acme_http_conn *conn, struct acme_http_exchange *exchange);

/** acme_http_conn_drain(conn): close if no request is under way. */
void acme_http_conn_drain(struct acme_http_conn *conn);

/** acme_http_loop_init(loop, server, address, address_len): event base, inbox and listener. On failure *loop
 * is to be finished all the same. Errors: NOMEM, IO. */
struct acme_err acme_http_loop_init(struct acme_http_loop *loop, struct acme_http_server *server,
                                    const struct sockaddr *address, int address_len) ACME_MUST_USE;
struct acme_err acme_http_loop_start(struct acme_http_loop *loop, int number) ACME_MUST_USE;
void acme_http_loop_finish(struct acme_http_loop *loop);

/** acme_http_loop_note_refused(loop, setting, limit): a connection was refused because of this setting;
 * logged at most once a minute. Thread: the loop's. */
void acme_http_loop_note_refused(struct acme_http_loop *loop, const char *setting, size_t limit);

/** acme_http_loop_take_slot(loop, conn, ret_generation): a slot for a new connection; false without memory.
 */
bool acme_http_loop_take_slot(struct acme_http_loop *loop, struct acme_http_conn *conn, size_t *ret_slot,
                              uint64_t *ret_generation);
void acme_http_loop_free_slot(struct acme_http_loop *loop, size_t slot);

#endif
