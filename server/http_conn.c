/* One connection: TLS handshake (unless the server is a plain one), then requests one after the other.
 *
 *   HANDSHAKE -> IDLE -> HEAD -> BODY -> BUSY -> WRITING -> IDLE ...
 *                          \------\--- refused ----^    \-> LINGER -> closed
 *
 * One timer, which means something else in each state. Functions that may end the connection return false
 * when they did: nothing of it may be touched then. */
#include "base/log.h"
#include "base/problem.h"
#include "server/http_internal.h"
#include "server/http_tls.h"
#include "server/http_write.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    READ_CHUNK = 4096,
    MAX_TURN = 16 * 1024,       /* input taken before other connections get their turn */
    MAX_PIPELINED = 16 * 1024,  /* input kept while a request is being answered */
    MAX_LINGERING = 256 * 1024, /* input thrown away after the last answer */
    PROBLEM_ARENA = 64 * 1024
};

enum state {
    HANDSHAKE,
    IDLE,    /* no byte of a next request yet */
    HEAD,    /* part of a head is there */
    BODY,    /* the head is complete */
    BUSY,    /* handed over, not answered yet */
    WRITING, /* the answer is going out */
    LINGER   /* said good-bye; reading on for a moment, since closing with unread input would destroy what we
                sent */
};

struct acme_http_conn {
    struct acme_http_loop *loop;
    struct acme_http_peer *peer;
    SSL *ssl; /* NULL: plain HTTP, or lingering */
    int fd;
    enum state state;
    size_t slot;
    uint64_t generation;
    struct event read;
    struct event write;
    struct event timer;
    struct event more;          /* OpenSSL holds input that no event of the socket will announce */
    struct acme_http_turn turn; /* HANDSHAKE */
    bool reading;               /* the read event is set */
    bool writing;               /* the write event is set */
    bool deadline_armed;        /* the timer stands for the request (or answer) under way */
    bool close_after;           /* the answer going out is the last one */
    char *in;
    size_t in_len;
    size_t in_cap;
    size_t scanned;
    struct acme_http_head head;
    char *out;
    size_t out_len;
    size_t out_at;
    struct acme_blob *shared; /* goes out behind it; NULL: nothing */
    size_t shared_at;
    size_t lingered;
};

static bool process(struct acme_http_conn *conn);

static size_t max_input(const struct acme_http_conn *conn)
{
    return conn->state == BUSY || conn->state == WRITING
               ? (size_t)MAX_PIPELINED
               : ACME_HTTP_MAX_HEAD + conn->loop->server->options.max_body_bytes;
}

static void set_reading(struct acme_http_conn *conn, bool on)
{
    if (conn->reading != on && (on ? event_add(&conn->read, NULL) : event_del(&conn->read)) == 0)
        conn->reading = on;
}

static void set_writing(struct acme_http_conn *conn, bool on)
{
    if (conn->writing != on && (on ? event_add(&conn->write, NULL) : event_del(&conn->write)) == 0)
        conn->writing = on;
}

static void arm_deadline(struct acme_http_conn *conn)
{
    if (conn->deadline_armed)
        return;
    conn->deadline_armed = true;
    event_add(&conn->timer, conn->loop->request_deadline);
}

void acme_http_conn_destroy(struct acme_http_conn *conn)
{
    struct acme_http_loop *loop = conn->loop;
    acme_http_turns_leave(&loop->handshakes, &conn->turn);
    event_del(&conn->read);
    event_del(&conn->write);
    event_del(&conn->timer);
    event_del(&conn->more);
    SSL_free(conn->ssl);
    close(conn->fd);
    free(conn->in);
    free(conn->out);
    acme_blob_release(conn->shared);
    acme_http_loop_free_slot(loop, conn->slot);
    acme_http_peers_leave(loop->server->peers, conn->peer);
    free(conn);
    atomic_fetch_sub(&loop->server->connections, 1);
}

static bool gone(struct acme_http_conn *conn)
{
    acme_http_conn_destroy(conn);
    return false;
}

static void say_goodbye(struct acme_http_conn *conn)
{
    if (conn->ssl != NULL)
        (void)SSL_shutdown(conn->ssl);
}

/* For connections that owe nobody anything: no waiting for the peer. */
static bool close_quietly(struct acme_http_conn *conn)
{
    say_goodbye(conn);
    return gone(conn);
}

static bool linger(struct acme_http_conn *conn)
{
    say_goodbye(conn);
    if (shutdown(conn->fd, SHUT_WR) != 0)
        return gone(conn);
    SSL_free(conn->ssl);
    conn->ssl = NULL;
    free(conn->in);
    conn->in = NULL;
    conn->in_len = conn->in_cap = 0;
    conn->state = LINGER;
    event_add(&conn->timer, conn->loop->linger_timeout);
    set_writing(conn, false);
    set_reading(conn, true);
    return true;
}

static bool swallow(struct acme_http_conn *conn)
{
    char waste[READ_CHUNK];
    for (;;) {
        ssize_t count = recv(conn->fd, waste, sizeof waste, 0);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0 && errno == EAGAIN)
            return true;
        if (count <= 0)
            return gone(conn);
        conn->lingered += (size_t)count;
        if (conn->lingered > MAX_LINGERING)
            return gone(conn);
    }
}

/* The answer is out. What is buffered of the next request is left to the caller. */
static bool answered(struct acme_http_conn *conn)
{
    if (conn->close_after)
        return linger(conn);
    conn->state = IDLE;
    conn->deadline_armed = false;
    event_add(&conn->timer, conn->loop->idle_timeout);
    if (conn->in_len == 0 && atomic_load(&conn->loop->server->draining))
        return close_quietly(conn);
    return true;
}

/* What is to be written next, and how far that has come; false: there is nothing more. */
static bool next_piece(struct acme_http_conn *conn, const char **ret_data, size_t *ret_len, size_t **ret_at)
{
    struct acme_bytes shared = {.data = NULL};
    if (conn->shared != NULL)
        shared = acme_blob_bytes(conn->shared);
    bool own = conn->out_at < conn->out_len;
    *ret_at = own ? &conn->out_at : &conn->shared_at;
    *ret_data = own ? conn->out + conn->out_at : (const char *)shared.data + conn->shared_at;
    *ret_len = own ? conn->out_len - conn->out_at : shared.len - conn->shared_at;
    return *ret_len > 0;
}

static bool flush(struct acme_http_conn *conn)
{
    const char *data = NULL;
    size_t len = 0;
    size_t *at = NULL;
    while (next_piece(conn, &data, &len, &at)) {
        size_t count = 0;
        enum acme_tls_result result = conn->ssl != NULL ? acme_tls_write(conn->ssl, data, len, &count)
                                                        : acme_plain_write(conn->fd, data, len, &count);
        if (result == ACME_TLS_WANT_WRITE) {
            arm_deadline(conn);
            set_writing(conn, true);
            return true;
        }
        if (result != ACME_TLS_DONE) /* no write waits for input without renegotiation */
            return gone(conn);
        *at += count;
    }
    free(conn->out);
    conn->out = NULL;
    conn->out_len = conn->out_at = 0;
    acme_blob_release(conn->shared);
    conn->shared = NULL;
    conn->shared_at = 0;
    set_writing(conn, false);
    return conn->state == WRITING ? answered(conn) : true;
}

/* Takes `data`, malloc'd; NULL ends the connection. */
static bool send_bytes(struct acme_http_conn *conn, char *data, size_t len)
{
    if (data == NULL)
        return gone(conn);
    if (conn->out != NULL) { /* a 100 Continue is stuck: one buffer must stay one buffer */
        size_t rest = conn->out_len - conn->out_at;
        char *both = malloc(rest + len);
        if (both != NULL) {
            memcpy(both, conn->out + conn->out_at, rest);
            memcpy(both + rest, data, len);
        }
        free(conn->out);
        free(data);
        conn->out = NULL;
        if (both == NULL)
            return gone(conn);
        data = both;
        len += rest;
    }
    conn->out = data;
    conn->out_len = len;
    conn->out_at = 0;
    return flush(conn);
}

static bool refuse(struct acme_http_conn *conn, int problem, int status, const char *detail)
{
    acme_log(DEBUG, "request refused", LOG_INT("status", status), LOG_STR("why", detail));
    const struct acme_http_callbacks *callbacks = &conn->loop->server->callbacks;
    struct acme_arena *arena = acme_arena_create(PROBLEM_ARENA);
    if (arena == NULL)
        return gone(conn);
    struct acme_response response = {.status = status};
    callbacks->on_problem(callbacks->context, arena, problem, status, detail, &response);
    unsigned flags = ACME_HTTP_WRITE_CLOSE;
    if (conn->in_len >= 5 && memcmp(conn->in, "HEAD ", 5) == 0)
        flags |= ACME_HTTP_WRITE_NO_BODY;
    size_t len = 0;
    char *out = acme_http_write_response(&response, flags, &len);
    acme_arena_destroy(arena);
    conn->state = WRITING;
    conn->close_after = true;
    conn->deadline_armed = false;
    set_reading(conn, false);
    return send_bytes(conn, out, len);
}

static void consume(struct acme_http_conn *conn, size_t count)
{
    conn->in_len -= count;
    conn->scanned = 0;
    if (conn->in_len > 0) {
        memmove(conn->in, conn->in + count, conn->in_len);
        return;
    }
    free(conn->in); /* idle connections hold no buffers */
    conn->in = NULL;
    conn->in_cap = 0;
}

static bool deliver(struct acme_http_conn *conn, struct acme_http_exchange *exchange)
{
    char *out = exchange->out;
    size_t len = exchange->out_len;
    exchange->out = NULL;
    conn->shared = exchange->shared;
    exchange->shared = NULL;
    conn->close_after = exchange->close;
    acme_http_exchange_destroy(exchange);
    conn->state = WRITING;
    conn->deadline_armed = false;
    return send_bytes(conn, out, len);
}

static bool dispatch(struct acme_http_conn *conn)
{
    struct acme_http_loop *loop = conn->loop;
    struct acme_http_server *server = loop->server;
    struct acme_http_exchange *exchange = NULL;
    struct acme_err err =
        acme_http_exchange_create(conn->in, &conn->head, server->options.arena_bytes, &exchange);
    if (err.code == ACME_E_LIMIT)
        return refuse(conn, ACME_PROBLEM_MALFORMED, 413, "the request is larger than this server accepts");
    if (acme_failed(err))
        return gone(conn);
    exchange->loop = loop;
    exchange->slot = conn->slot;
    exchange->generation = conn->generation;
    consume(conn, conn->head.head_len + conn->head.content_length);
    conn->state = BUSY;
    loop->dispatching = exchange;
    loop->answered_inline = false;
    server->callbacks.on_request(server->callbacks.context, exchange, &exchange->request);
    loop->dispatching = NULL;
    return loop->answered_inline ? deliver(conn, exchange) : true;
}

static bool parse_head(struct acme_http_conn *conn)
{
    struct acme_http_refusal refusal;
    switch (acme_http_parse_head(conn->in, conn->in_len, conn->loop->server->options.max_body_bytes,
                                 &conn->scanned, &conn->head, &refusal)) {
    case ACME_HTTP_MORE:
        return true;
    case ACME_HTTP_REFUSED:
        return refuse(conn, ACME_PROBLEM_MALFORMED, refusal.status, refusal.detail);
    case ACME_HTTP_COMPLETE:
        break;
    }
    conn->state = BODY;
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (conn->head.expect_continue && conn->head.content_length > 0 && conn->in_len == conn->head.head_len)
        return send_bytes(conn, strdup(go_on), sizeof go_on - 1);
    return true;
}

/* Go on with the input as far as it reaches. */
static bool process(struct acme_http_conn *conn)
{
    for (;;) {
        if (conn->state == IDLE && conn->in_len > 0)
            conn->state = HEAD;
        if (conn->state == HEAD && !parse_head(conn))
            return false;
        if (conn->state == BODY && conn->in_len >= conn->head.head_len + conn->head.content_length) {
            if (!dispatch(conn))
                return false;
            if (conn->state == IDLE && conn->in_len > 0)
                continue;
        }
        if (conn->state == HEAD || conn->state == BODY)
            arm_deadline(conn);
        return true;
    }
}

static bool reserve_input(struct acme_http_conn *conn, size_t limit)
{
    if (conn->in_cap - conn->in_len >= READ_CHUNK / 2)
        return true;
    size_t cap = conn->in_cap == 0 ? READ_CHUNK : conn->in_cap * 2;
    if (cap > limit)
        cap = limit;
    if (cap <= conn->in_cap)
        return conn->in_len < conn->in_cap;
    char *grown = realloc(conn->in, cap);
    if (grown == NULL)
        return false;
    conn->in = grown;
    conn->in_cap = cap;
    return true;
}

static bool receive(struct acme_http_conn *conn)
{
    static const struct timeval at_once = {.tv_sec = 0};
    size_t taken = 0;
    do {
        size_t limit = max_input(conn);
        if (conn->in_len >= limit || (conn->state == WRITING && conn->close_after)) {
            set_reading(conn, false);
            return true;
        }
        if (!reserve_input(conn, limit))
            return gone(conn);
        size_t room = (conn->in_cap < limit ? conn->in_cap : limit) - conn->in_len;
        size_t count = 0;
        char *place = conn->in + conn->in_len;
        enum acme_tls_result result = conn->ssl != NULL ? acme_tls_read(conn->ssl, place, room, &count)
                                                        : acme_plain_read(conn->fd, place, room, &count);
        if (result != ACME_TLS_DONE && conn->in_len == 0)
            consume(conn, 0);
        if (result == ACME_TLS_WANT_READ)
            return true;
        if (result == ACME_TLS_WANT_WRITE) {
            set_writing(conn, true);
            return true;
        }
        if (result == ACME_TLS_CLOSED)
            return gone(conn);
        conn->in_len += count;
        taken += count;
        if (!process(conn))
            return false;
        if (conn->ssl == NULL || !SSL_has_pending(conn->ssl))
            return true;
    } while (taken < MAX_TURN);
    return event_add(&conn->more, &at_once) == 0 ? true : gone(conn);
}

/* An answer went out from outside of process(): look at what waited for that. */
static bool resume(struct acme_http_conn *conn)
{
    if (conn->state != IDLE)
        return true;
    if (!process(conn))
        return false;
    if (conn->reading || conn->state == LINGER || (conn->state == WRITING && conn->close_after))
        return true;
    set_reading(conn, true);
    return receive(conn); /* OpenSSL may hold input that no event will announce */
}

static bool handshake(struct acme_http_conn *conn)
{
    switch (acme_tls_handshake(conn->ssl)) {
    case ACME_TLS_DONE:
        conn->state = IDLE; /* the timer set at accept goes on: it is the first request's */
        set_writing(conn, false);
        return receive(conn);
    case ACME_TLS_WANT_READ:
        set_writing(conn, false);
        return true;
    case ACME_TLS_WANT_WRITE:
        set_writing(conn, true);
        return true;
    case ACME_TLS_CLOSED:
        break;
    }
    return gone(conn);
}

void acme_http_conn_handshake(struct acme_http_conn *conn)
{
    set_reading(conn, true);
    (void)handshake(conn);
}

/* Until then its socket is not watched, or it would be reported again and again. */
static void await_turn(struct acme_http_conn *conn)
{
    set_reading(conn, false);
    set_writing(conn, false);
    if (!acme_http_turns_wait(&conn->loop->handshakes, &conn->turn))
        (void)gone(conn);
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct acme_http_conn *conn = context;
    if (conn->state == HANDSHAKE)
        await_turn(conn);
    else if (conn->state == LINGER)
        (void)swallow(conn);
    else
        (void)receive(conn);
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct acme_http_conn *conn = context;
    if (conn->state == HANDSHAKE) {
        await_turn(conn);
    } else if (conn->out != NULL) {
        if (flush(conn))
            (void)resume(conn);
    } else {
        set_writing(conn, false);
        if (conn->state != LINGER)
            (void)receive(conn);
    }
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct acme_http_conn *conn = context;
    conn->deadline_armed = false;
    switch (conn->state) {
    case HANDSHAKE:
    case WRITING:
    case LINGER:
        (void)gone(conn);
        break;
    case IDLE:
        (void)close_quietly(conn);
        break;
    case HEAD:
    case BODY:
        (void)refuse(conn, ACME_PROBLEM_MALFORMED, 408, "the request did not arrive in time");
        break;
    case BUSY: /* the time is ours now, not the client's */
        break;
    }
}

void acme_http_conn_create(struct acme_http_loop *loop, int fd, const struct sockaddr *address)
{
    struct acme_http_server *server = loop->server;
    struct acme_http_peer *peer = NULL;
    if (acme_failed(acme_http_peers_enter(server->peers, address, &peer))) {
        acme_http_loop_note_refused(loop, "server.max_connections_per_address",
                                    server->options.max_connections_per_address);
        close(fd);
        return;
    }
    struct acme_http_conn *conn = calloc(1, sizeof *conn);
    SSL *ssl = NULL;
    if (!server->plain) {
        pthread_mutex_lock(&server->tls_lock);
        ssl = SSL_new(server->tls);
        pthread_mutex_unlock(&server->tls_lock);
    }
    bool secured = server->plain || (ssl != NULL && SSL_set_fd(ssl, fd) == 1);
    if (conn == NULL || !secured || !acme_http_loop_take_slot(loop, conn, &conn->slot, &conn->generation)) {
        SSL_free(ssl);
        free(conn);
        close(fd);
        acme_http_peers_leave(server->peers, peer);
        return;
    }
    conn->loop = loop;
    conn->peer = peer;
    conn->ssl = ssl;
    conn->state = server->plain ? IDLE : HANDSHAKE;
    conn->fd = fd;
    conn->turn.conn = conn;
    atomic_fetch_add(&server->connections, 1);
    event_assign(&conn->read, loop->base, fd, EV_READ | EV_PERSIST, on_readable, conn);
    event_assign(&conn->write, loop->base, fd, EV_WRITE | EV_PERSIST, on_writable, conn);
    event_assign(&conn->timer, loop->base, -1, 0, on_timer, conn);
    event_assign(&conn->more, loop->base, -1, 0, on_readable, conn);
    arm_deadline(conn);
    set_reading(conn, true);
    if (!conn->reading)
        (void)gone(conn);
}

void acme_http_conn_answer(struct acme_http_conn *conn, struct acme_http_exchange *exchange)
{
    if (deliver(conn, exchange))
        (void)resume(conn);
}

void acme_http_conn_drain(struct acme_http_conn *conn)
{
    if (conn->state != IDLE)
        return;
    if (receive(conn) && conn->state == IDLE) /* a request may have arrived just now */
        (void)close_quietly(conn);
}
