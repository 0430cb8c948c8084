/* The admin socket: few connections, one question each, everything within a deadline. */
#include "server/admin.h"

#include "base/log.h"
#include "server/admin_socket.h"
#include "server/thread.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_CONNECTIONS = 16, /* more wait in the backlog */
    DEADLINE_MS = 10 * 1000,
    WAKE = 0, /* places in the list for poll */
    LISTENER = 1,
    FIRST = 2
};

struct connection {
    int fd; /* -1: free */
    int64_t deadline_ms;
    char question[ACME_ADMIN_MAX_QUESTION];
    size_t question_len;
    bool allowed;
    bool answering;
    struct acme_buf answer;
    size_t sent;
};

struct acme_admin {
    struct acme_admin_options options;
    int listen_fd;
    int wake_fd;
    pthread_t thread;
    struct connection connections[MAX_CONNECTIONS];
    size_t open_count;
};

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void close_connection(struct acme_admin *admin, struct connection *connection)
{
    close(connection->fd);
    connection->fd = -1;
    if (connection->answering)
        acme_buf_finish(&connection->answer);
    admin->open_count--;
}

static bool peer_allowed(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && len == sizeof peer &&
           acme_admin_user_allowed(peer.uid, geteuid());
}

static void refuse(struct connection *connection, const char *code, const char *detail)
{
    connection->answering = true;
    acme_buf_init(&connection->answer, ACME_ADMIN_MAX_QUESTION);
    acme_admin_refuse(code, detail, &connection->answer);
}

static void accept_one(struct acme_admin *admin)
{
    int fd = accept4(admin->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct connection *connection = admin->connections;
    while (connection->fd >= 0) /* one is free, else nobody is accepted */
        connection++;
    connection->fd = fd;
    connection->deadline_ms = monotonic_ms() + DEADLINE_MS;
    connection->question_len = 0;
    connection->answering = false;
    connection->sent = 0;
    connection->allowed = peer_allowed(fd);
    admin->open_count++;
}

static void take_question(struct acme_admin *admin, struct connection *connection)
{
    const char *end = memchr(connection->question, '\n', connection->question_len);
    if (end != NULL) {
        size_t len = (size_t)(end - connection->question);
        if (len + 1 < connection->question_len) {
            refuse(connection, "malformed", "one question, in one line, is answered per connection");
            return;
        }
        if (!connection->allowed) {
            acme_log(WARN, "admin socket: a process of another user was refused");
            refuse(connection, "denied", "only root and the user this server runs as may ask");
            return;
        }
        connection->answering = true;
        acme_admin_answer(&admin->options, connection->question, len, &connection->answer);
        connection->deadline_ms = monotonic_ms() + DEADLINE_MS; /* the time we took is not the asker's */
    } else if (connection->question_len == sizeof connection->question) {
        refuse(connection, "malformed", "the question is too long");
    }
}

static void receive(struct acme_admin *admin, struct connection *connection)
{
    ssize_t got = recv(connection->fd, connection->question + connection->question_len,
                       sizeof connection->question - connection->question_len, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        close_connection(admin, connection);
        return;
    }
    connection->question_len += (size_t)got;
    take_question(admin, connection);
}

static void send_answer(struct acme_admin *admin, struct connection *connection)
{
    const struct acme_buf *answer = &connection->answer;
    if (!answer->failed && connection->sent < answer->len) {
        ssize_t sent = send(connection->fd, answer->data + connection->sent, answer->len - connection->sent,
                            MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (sent > 0)
            connection->sent += (size_t)sent;
        if (sent >= 0 && connection->sent < answer->len)
            return;
    }
    close_connection(admin, connection);
}

static int until_next_deadline(const struct acme_admin *admin)
{
    int64_t now_ms = monotonic_ms();
    int64_t soonest_ms = -1;
    for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
        const struct connection *connection = &admin->connections[i];
        if (connection->fd < 0)
            continue;
        int64_t left_ms = connection->deadline_ms > now_ms ? connection->deadline_ms - now_ms : 0;
        if (soonest_ms < 0 || left_ms < soonest_ms)
            soonest_ms = left_ms;
    }
    return (int)soonest_ms; /* negative: for ever */
}

static void serve(struct acme_admin *admin, const struct pollfd *polled)
{
    int64_t now_ms = monotonic_ms();
    for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
        struct connection *connection = &admin->connections[i];
        if (connection->fd < 0)
            continue;
        bool ready = polled[FIRST + i].revents != 0;
        if (ready && connection->answering)
            send_answer(admin, connection);
        else if (ready)
            receive(admin, connection);
        if (connection->fd >= 0 && connection->deadline_ms <= now_ms)
            close_connection(admin, connection);
    }
    if (polled[LISTENER].revents != 0)
        accept_one(admin);
}

static void *admin_main(void *argument)
{
    struct acme_admin *admin = argument;
    for (;;) {
        struct pollfd polled[FIRST + MAX_CONNECTIONS] = {
            [WAKE] = {.fd = admin->wake_fd, .events = POLLIN},
            [LISTENER] = {.fd = admin->open_count < MAX_CONNECTIONS ? admin->listen_fd : -1,
                          .events = POLLIN}};
        for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
            const struct connection *connection = &admin->connections[i];
            polled[FIRST + i] = (struct pollfd){.fd = connection->fd, /* negative: passed over */
                                                .events = connection->answering ? POLLOUT : POLLIN};
        }
        if (poll(polled, FIRST + MAX_CONNECTIONS, until_next_deadline(admin)) < 0 && errno != EINTR) {
            acme_log(ERROR, "admin socket: poll failed, no more questions are answered",
                     LOG_STR("error", strerror(errno)));
            return NULL;
        }
        if (polled[WAKE].revents != 0)
            return NULL;
        serve(admin, polled);
    }
}

static void release(struct acme_admin *admin)
{
    for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
        if (admin->connections[i].fd >= 0)
            close_connection(admin, &admin->connections[i]);
    }
    if (admin->wake_fd >= 0)
        close(admin->wake_fd);
    if (admin->listen_fd >= 0) {
        acme_admin_unlink(admin->options.config->data_dir);
        close(admin->listen_fd);
    }
    free(admin);
}

static struct acme_err open_all(struct acme_admin *admin)
{
    const char *data_dir = admin->options.config->data_dir;
    struct acme_err err = acme_admin_listen(data_dir, &admin->listen_fd);
    if (err.code == ACME_E_BUSY)
        acme_log(ERROR, "another acmebridge serves this data directory", LOG_STR("data_dir", data_dir));
    else if (acme_failed(err))
        acme_log(ERROR, "the admin socket cannot be opened", LOG_STR("data_dir", data_dir),
                 LOG_STR("error", strerror(errno)));
    TRY(err);
    admin->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ENSURE(admin->wake_fd >= 0, ACME_E_IO);
    return acme_thread_start("admin", admin_main, admin, &admin->thread);
}

struct acme_err acme_admin_start(const struct acme_admin_options *options, struct acme_admin **ret)
{
    struct acme_admin *admin = calloc(1, sizeof *admin);
    ENSURE(admin != NULL, ACME_E_NOMEM);
    admin->options = *options;
    admin->listen_fd = -1;
    admin->wake_fd = -1;
    for (size_t i = 0; i < MAX_CONNECTIONS; i++)
        admin->connections[i].fd = -1;
    struct acme_err err = open_all(admin);
    if (acme_failed(err))
        release(admin);
    else
        *ret = admin;
    return err;
}

void acme_admin_stop(struct acme_admin *admin)
{
    if (admin == NULL)
        return;
    uint64_t one = 1;
    (void)!write(admin->wake_fd, &one, sizeof one);
    pthread_join(admin->thread, NULL);
    release(admin);
}
