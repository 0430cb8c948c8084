/* Handshakes take turns. A ClientHello costs its sender next to nothing and a loop half a millisecond:
 * hundreds that arrive together would keep everybody else waiting. So a loop goes on with handshakes for a
 * moment only, then looks after those who are through with theirs, then continues. Everything belongs to the
 * loop's thread. */
#ifndef ACME_SERVER_HTTP_TURNS_H
#define ACME_SERVER_HTTP_TURNS_H

#include "base/err.h"

#include <event2/event.h>
#include <stdbool.h>
#include <sys/queue.h>

struct acme_http_conn;

/* Part of a connection. */
struct acme_http_turn {
    TAILQ_ENTRY(acme_http_turn) entry;
    struct acme_http_conn *conn;
    bool waiting;
    bool begun; /* had a turn before */
};

/* Part of a loop. */
struct acme_http_turns {
    /* First those who are about to finish: they have waited once, and little is left to do. */
    TAILQ_HEAD(acme_http_line, acme_http_turn) begun;
    struct acme_http_line fresh;
    struct event *next;
    void (*take)(struct acme_http_conn *conn);
};

/** acme_http_turns_init(turns, base, take): `take` goes on with a connection's handshake when it is its turn;
 * it may destroy the connection. Errors: NOMEM. Release: acme_http_turns_finish, when nobody waits. */
struct acme_err acme_http_turns_init(struct acme_http_turns *turns, struct event_base *base,
                                     void (*take)(struct acme_http_conn *conn)) ACME_MUST_USE;
void acme_http_turns_finish(struct acme_http_turns *turns);

/** acme_http_turns_wait(turns, turn): queue up, once; first come, first served. False without memory. */
bool acme_http_turns_wait(struct acme_http_turns *turns, struct acme_http_turn *turn);

/** acme_http_turns_leave(turns, turn): out of the queue, if in it. */
void acme_http_turns_leave(struct acme_http_turns *turns, struct acme_http_turn *turn);

#endif
