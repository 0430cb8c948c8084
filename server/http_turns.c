#include "server/http_turns.h"

#include <stdint.h>
#include <time.h>

enum { TURNS_US = 2000 }; /* what handshakes may take between two looks at everybody else */

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* A timer that is due at once runs behind all sockets that are ready by then. */
static bool go_on(struct acme_http_turns *turns)
{
    static const struct timeval at_once;
    return event_pending(turns->next, EV_TIMEOUT, NULL) != 0 || event_add(turns->next, &at_once) == 0;
}

static struct acme_http_line *line_of(struct acme_http_turns *turns, const struct acme_http_turn *turn)
{
    return turn->begun ? &turns->begun : &turns->fresh;
}

static struct acme_http_turn *first(const struct acme_http_turns *turns)
{
    struct acme_http_turn *turn = TAILQ_FIRST(&turns->begun);
    return turn != NULL ? turn : TAILQ_FIRST(&turns->fresh);
}

static void on_next(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct acme_http_turns *turns = context;
    int64_t end_us = now_us() + TURNS_US;
    struct acme_http_turn *turn;
    while ((turn = first(turns)) != NULL) {
        acme_http_turns_leave(turns, turn);
        turn->begun = true;
        turns->take(turn->conn);
        if (now_us() >= end_us)
            break;
    }
    if (first(turns) != NULL)
        (void)go_on(turns); /* when that fails, the next who comes tries again */
}

struct acme_err acme_http_turns_init(struct acme_http_turns *turns, struct event_base *base,
                                     void (*take)(struct acme_http_conn *conn))
{
    TAILQ_INIT(&turns->begun);
    TAILQ_INIT(&turns->fresh);
    turns->take = take;
    turns->next = event_new(base, -1, 0, on_next, turns);
    ENSURE(turns->next != NULL, ACME_E_NOMEM);
    return acme_ok();
}

void acme_http_turns_finish(struct acme_http_turns *turns)
{
    if (turns->next != NULL)
        event_free(turns->next);
    turns->next = NULL;
}

bool acme_http_turns_wait(struct acme_http_turns *turns, struct acme_http_turn *turn)
{
    if (!go_on(turns))
        return false;
    if (!turn->waiting) {
        TAILQ_INSERT_TAIL(line_of(turns, turn), turn, entry);
        turn->waiting = true;
    }
    return true;
}

void acme_http_turns_leave(struct acme_http_turns *turns, struct acme_http_turn *turn)
{
    if (!turn->waiting)
        return;
    TAILQ_REMOVE(line_of(turns, turn), turn, entry);
    turn->waiting = false;
}
