/* What the files of the outbound loop share. A task is one call or one fetch; a transfer is one libcurl
 * exchange of it. After they were handed over, tasks belong to the loop's thread. */
#ifndef ACME_SERVER_OUTBOUND_INTERNAL_H
#define ACME_SERVER_OUTBOUND_INTERNAL_H

#include "base/buf.h"
#include "server/inbox.h"
#include "server/outbound.h"
#include "server/resolver.h"

#include <curl/curl.h>
#include <event2/event.h>
#include <openssl/ssl.h>
#include <stdatomic.h>

#define ACME_OUTBOUND_USER_AGENT "acmebridge/" ACME_VERSION

struct acme_outbound_task;
struct acme_token;

struct acme_outbound_task_class {
    void (*start)(struct acme_outbound_task *task);
    void (*destroy)(struct acme_outbound_task *task); /* also when never started, or in the middle */
    bool limited;                                     /* counts against max_fetches */
};

/* First member of a call or a fetch. */
struct acme_outbound_task {
    struct acme_inbox_item item;
    const struct acme_outbound_task_class *class;
    struct acme_outbound *outbound;
    acme_outbound_done done;
    void *context;
    struct acme_outbound_task *prev; /* in `running` or `waiting` */
    struct acme_outbound_task *next;
};

struct acme_task_list {
    struct acme_outbound_task *first;
    struct acme_outbound_task *last;
};

struct acme_outbound {
    pthread_t thread;
    struct event_base *base;
    struct acme_inbox inbox;
    struct event *wake;
    CURLM *multi;
    struct event *curl_timer;
    struct acme_resolver *resolver;
    SSL_CTX *tls; /* of probes */
    const struct acme_address_policy *policy;
    size_t max_fetches;
    size_t fetches;            /* running */
    struct acme_token *tokens; /* of upstreams with OAuth 2 */
    struct acme_task_list running;
    struct acme_task_list waiting;
    atomic_bool stopping;
};

/** acme_outbound_submit(task): hand a complete task to the loop. Errors: STATE; the task then stays the
 * caller's. Thread: any. */
struct acme_err acme_outbound_submit(struct acme_outbound_task *task) ACME_MUST_USE;

/** acme_outbound_finish(task, result): the end of a task: call its `done`, then destroy it. */
void acme_outbound_finish(struct acme_outbound_task *task, const struct acme_outbound_result *result);

enum { ACME_TRANSFER_MAX_FIELDS = 64, ACME_TRANSFER_DETAIL_SIZE = 512, ACME_PEER_SIZE = 80 };

#define ACME_OUTBOUND_NO_MEMORY "the request could not be set up"

/* The way to the host of a validation: the addresses that the policy allows, IPv6 first, one after the other
 * within one time limit. Zero it, then set the members of the first group. */
struct acme_reach {
    struct acme_outbound *outbound;
    void (*attempt)(struct acme_reach *reach); /* there are addresses: take the first with acme_reach_next */
    void (*failed)(struct acme_reach *reach, enum acme_outbound_failure failure, const char *detail);
    int64_t deadline_ms; /* of acme_outbound_now_ms, over all addresses and the lookup */

    const char *host; /* borrowed */
    int port;
    struct acme_lookup *lookup; /* not NULL while under way */
    struct event *lookup_timer;
    struct acme_ip_list addresses;
    size_t next;
    struct acme_buf tried; /* what became of the addresses so far */
};

/** acme_reach_start(reach, host, port): forget an earlier host and find the addresses of this one (literal,
 * localhost, or by DNS), then call `attempt`, or `failed` with DNS or DENIED; at once or later. Either may
 * end the task. */
void acme_reach_start(struct acme_reach *reach, const char *host, int port);
/** acme_reach_finish(reach): fine on zeroed memory, and while a lookup is under way. */
void acme_reach_finish(struct acme_reach *reach);
/** acme_reach_next(reach, ret_left_ms, ret_connect_ms): the next address, the time for all that is left to
 * do, and this address's share of it for connecting. Only when acme_reach_has_next. NULL when the time is
 * over: `failed` was then called. */
const struct acme_ip *acme_reach_next(struct acme_reach *reach, int64_t *ret_left_ms,
                                      int64_t *ret_connect_ms);
bool acme_reach_has_next(const struct acme_reach *reach);
/** acme_reach_note(reach, detail): remember what became of an address. */
void acme_reach_note(struct acme_reach *reach, const char *detail);
/** acme_reach_tried(reach): all notes, for a problem's detail. */
const char *acme_reach_tried(const struct acme_reach *reach);

/** acme_outbound_now_ms(): the monotonic clock. acme_outbound_delay(ms): at least 1 ms, for an event. */
int64_t acme_outbound_now_ms(void);
struct timeval acme_outbound_delay(int64_t ms);
/** acme_address_text(address, ret): "203.0.113.5:80", "[2001:db8::1]:80"; untouched for other families. */
void acme_address_text(const struct sockaddr *address, char ret[ACME_PEER_SIZE]);
/** acme_ip_sockaddr(ip, port, ret): returns the length. */
socklen_t acme_ip_sockaddr(const struct acme_ip *ip, int port, struct sockaddr_storage *ret);

struct acme_transfer {
    CURL *easy;
    CURLM *multi; /* not NULL while under way */
    void (*complete)(struct acme_transfer *transfer, CURLcode code);
    const struct acme_address_policy *policy; /* NULL: every address will do */
    struct acme_buf *body;
    size_t max_bytes;
    struct acme_arena *arena; /* the reply's fields */
    struct acme_http_header fields[ACME_TRANSFER_MAX_FIELDS];
    size_t field_count;
    size_t field_bytes; /* of all lines of heads and trailers so far */
    bool sent;          /* the request is on its way, or may be */
    bool tls_began;     /* connected: a timeout is the handshake's */
    bool too_large;
    bool fields_too_large;     /* it was them */
    const char *denied;        /* why the policy forbade an address */
    char peer[ACME_PEER_SIZE]; /* the last address tried, "203.0.113.5:80" */
    char error[CURL_ERROR_SIZE];
};

/** acme_transfer_init(transfer, max_bytes): a handle with what calls and fetches have in common. Errors:
 * NOMEM; finish it all the same. */
struct acme_err acme_transfer_init(struct acme_transfer *transfer, size_t max_bytes) ACME_MUST_USE;
/** acme_transfer_finish(transfer): ends it when under way, without a call to `complete`. Fine on zeroed
 * memory. */
void acme_transfer_finish(struct acme_transfer *transfer);

/** acme_transfer_start(transfer, multi): perform; `complete` is called later, from the loop. Errors: NOMEM.
 */
struct acme_err acme_transfer_start(struct acme_transfer *transfer, CURLM *multi) ACME_MUST_USE;

/** acme_transfer_judge(transfer, code, detail): what libcurl's result means, and in words. */
enum acme_outbound_failure acme_transfer_judge(const struct acme_transfer *transfer, CURLcode code,
                                               char detail[ACME_TRANSFER_DETAIL_SIZE]);

/** acme_transfer_reply(transfer): the reply of a transfer that went well; borrows from it. */
struct acme_http_reply acme_transfer_reply(struct acme_transfer *transfer);

/** acme_outbound_multi_init(outbound) / _finish: libcurl's multi handle on the event base. Errors: NOMEM. */
struct acme_err acme_outbound_multi_init(struct acme_outbound *outbound) ACME_MUST_USE;
void acme_outbound_multi_finish(struct acme_outbound *outbound);

/** acme_outbound_tls_limit(tls): for peers that clients of ours chose: no key exchange over finite fields,
 * whose size is the peer's to choose. One over 8192 bits takes more than 100 ms of the time of the loop,
 * which is everybody's. False when OpenSSL refuses. */
bool acme_outbound_tls_limit(SSL_CTX *tls);

/** acme_outbound_tls_init(outbound) / _finish: the TLS settings of probes. Errors: NOMEM, CRYPTO. */
struct acme_err acme_outbound_tls_init(struct acme_outbound *outbound) ACME_MUST_USE;
void acme_outbound_tls_finish(struct acme_outbound *outbound);

#endif
