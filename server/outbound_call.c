/* Calls to upstreams. */
#include "server/outbound_token.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_TIMEOUT_MS = 10 * 1000,
    TOTAL_TIMEOUT_MS = 90 * 1000,
    MAX_REPLY_BYTES = 1024 * 1024,
    CA_CACHE_S = 60 /* so that a renewed CA file is noticed */
};

struct call {
    struct acme_outbound_task task;
    struct acme_transfer transfer;
    struct acme_token_waiter token_waiter;
    struct acme_token_login login;
    char *bearer;              /* the token it was made with */
    bool token_renewed;        /* after the upstream had refused the first one */
    struct curl_slist *fields; /* ours to the last byte, to be wiped */
    char *method;
    char *url;
    void *body;
    size_t body_len;
    bool has_body;
    int connect_timeout_ms;
    int total_timeout_ms;
    size_t max_reply_bytes;
    char *ca_file;
    char *proxy;
    char *client_cert_file;
    char *client_key_file;
};

static void wipe(char *text)
{
    if (text != NULL)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
}

static void drop_first_field(struct call *call)
{
    struct curl_slist *field = call->fields;
    call->fields = field->next;
    wipe(field->data);
    free(field);
}

static void destroy_call(struct acme_outbound_task *task)
{
    struct call *call = (struct call *)task;
    acme_token_cancel(&call->token_waiter);
    acme_transfer_finish(&call->transfer);
    while (call->fields != NULL)
        drop_first_field(call);
    wipe(call->bearer);
    if (call->body != NULL)
        OPENSSL_cleanse(call->body, call->body_len);
    free(call->body);
    free(call->method);
    wipe(call->url);
    free(call->ca_file);
    wipe(call->proxy); /* may hold a password */
    free(call->client_cert_file);
    free(call->client_key_file);
    free(call);
}

static void finish_call(struct call *call, enum acme_outbound_failure failure, const char *detail)
{
    struct acme_outbound_result result = {.failure = failure, .detail = detail};
    struct acme_http_reply reply;
    if (failure == ACME_OUTBOUND_OK) {
        reply = acme_transfer_reply(&call->transfer);
        result.reply = &reply;
    }
    acme_outbound_finish(&call->task, &result);
}

static bool set_method(const struct call *call, CURL *easy)
{
    if (strcmp(call->method, "GET") == 0 && !call->has_body)
        return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L) == CURLE_OK;
    if (strcmp(call->method, "HEAD") == 0)
        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
    bool set = true;
    if (call->has_body || strcmp(call->method, "POST") == 0) {
        set = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_len) == CURLE_OK;
        set = set && curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                                      call->body_len > 0 ? (const char *)call->body : "") == CURLE_OK;
    }
    return set && curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method) == CURLE_OK;
}

static bool set_options(struct call *call, CURL *easy)
{
    bool set = set_method(call, easy);
    set = set && curl_easy_setopt(easy, CURLOPT_URL, call->url) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->fields) == CURLE_OK;
    set =
        set && curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)call->connect_timeout_ms) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->total_timeout_ms) == CURLE_OK;
    /* "" also keeps the environment's proxies out */
    set = set && curl_easy_setopt(easy, CURLOPT_PROXY, call->proxy != NULL ? call->proxy : "") == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_NOPROXY, "") == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, (long)CA_CACHE_S) == CURLE_OK;
    if (call->ca_file != NULL) { /* these and no others */
        set = set && curl_easy_setopt(easy, CURLOPT_CAINFO, call->ca_file) == CURLE_OK;
        set = set && curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK;
    }
    if (call->client_cert_file != NULL)
        set = set && curl_easy_setopt(easy, CURLOPT_SSLCERT, call->client_cert_file) == CURLE_OK;
    if (call->client_key_file != NULL)
        set = set && curl_easy_setopt(easy, CURLOPT_SSLKEY, call->client_key_file) == CURLE_OK;
    /* When a kept connection turns out dead libcurl sends the request again by itself, whatever its method.
     * The server may have acted on the first one, so what changes something upstream gets a connection of its
     * own. */
    bool repeatable = strcmp(call->method, "GET") == 0 || strcmp(call->method, "HEAD") == 0;
    set = set && curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, repeatable ? 0L : 1L) == CURLE_OK;
    set = set && curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, repeatable ? 0L : 1L) == CURLE_OK;
    return set;
}

static bool copy_text(const char *text, char **ret)
{
    if (text != NULL)
        *ret = strdup(text);
    return text == NULL || *ret != NULL;
}

/* libcurl's form of a field: "Name: value", "Name;" for an empty value, "Name:" for none at all. */
static bool add_field(struct call *call, const char *name, const char *separator, const char *value)
{
    struct curl_slist *field = calloc(1, sizeof *field);
    size_t size = strlen(name) + strlen(separator) + strlen(value) + 1;
    char *text = malloc(size);
    if (field == NULL || text == NULL) {
        free(field);
        free(text);
        return false;
    }
    (void)snprintf(text, size, "%s%s%s", name, separator, value);
    field->data = text;
    field->next = call->fields;
    call->fields = field;
    return true;
}

static void on_complete(struct acme_transfer *transfer, CURLcode code);

static void perform(struct call *call)
{
    call->transfer.complete = on_complete;
    if (acme_failed(acme_transfer_init(&call->transfer, call->max_reply_bytes)) ||
        !set_options(call, call->transfer.easy) ||
        acme_failed(acme_transfer_start(&call->transfer, call->task.outbound->multi)))
        finish_call(call, ACME_OUTBOUND_CONNECT, "the call could not be set up");
}

static void on_token(struct acme_token_waiter *waiter, const char *bearer, enum acme_outbound_failure kind,
                     const char *failure)
{
    struct call *call = (struct call *)((char *)waiter - offsetof(struct call, token_waiter));
    if (bearer == NULL) {
        finish_call(call, kind, failure);
        return;
    }
    if (call->bearer != NULL)
        drop_first_field(call); /* the refused one */
    wipe(call->bearer);
    call->bearer = strdup(bearer);
    char separator[16];
    const char *prefix = "";
    const char *name = acme_token_field(&call->login, &prefix);
    (void)snprintf(separator, sizeof separator, ": %s", prefix);
    if (call->bearer == NULL || !add_field(call, name, separator, bearer))
        finish_call(call, ACME_OUTBOUND_CONNECT, "out of memory");
    else
        perform(call);
}

static void ask_for_token(struct call *call)
{
    const struct acme_transport transport = {.oauth = call->login.oauth,
                                             .keystone = call->login.keystone,
                                             .ca_file = call->ca_file,
                                             .proxy = call->proxy,
                                             .client_cert_file = call->client_cert_file,
                                             .client_key_file = call->client_key_file};
    call->token_waiter.ready = on_token;
    acme_token_get(call->task.outbound, &transport, &call->token_waiter);
}

/* A token may be withdrawn before its time. A request that was refused for its token was not acted upon, so
 * even what must not happen twice may be sent once more. */
static bool wants_new_token(const struct call *call, enum acme_outbound_failure failure)
{
    long status = 0;
    if (!acme_token_needed(&call->login) || call->token_renewed || failure != ACME_OUTBOUND_OK)
        return false;
    curl_easy_getinfo(call->transfer.easy, CURLINFO_RESPONSE_CODE, &status);
    return status == 401;
}

static void on_complete(struct acme_transfer *transfer, CURLcode code)
{
    struct call *call = (struct call *)((char *)transfer - offsetof(struct call, transfer));
    char detail[ACME_TRANSFER_DETAIL_SIZE];
    enum acme_outbound_failure failure = acme_transfer_judge(transfer, code, detail);
    if (!wants_new_token(call, failure)) {
        finish_call(call, failure, detail);
        return;
    }
    call->token_renewed = true;
    acme_token_forget(call->task.outbound, &call->login, call->bearer);
    acme_transfer_finish(&call->transfer);
    ask_for_token(call);
}

static void start_call(struct acme_outbound_task *task)
{
    struct call *call = (struct call *)task;
    if (acme_token_needed(&call->login))
        ask_for_token(call);
    else
        perform(call);
}

static bool is_one_line(const char *text)
{
    return text[strcspn(text, "\r\n")] == '\0';
}

static struct acme_err copy_fields(struct call *call, const struct acme_http_call *from)
{
    bool typed = false;
    /* Latest first: add_field puts in front. */
    for (size_t i = from->header_count; i-- > 0;) {
        const struct acme_http_header *field = &from->headers[i];
        ENSURE(is_one_line(field->name) && is_one_line(field->value), ACME_E_FORMAT);
        bool empty = field->value[0] == '\0';
        ENSURE(add_field(call, field->name, empty ? ";" : ": ", field->value), ACME_E_NOMEM);
        typed = typed || strcasecmp(field->name, "Content-Type") == 0;
    }
    ENSURE(add_field(call, "Expect", ":", ""),
           ACME_E_NOMEM); /* a second of waiting, and answers that confuse */
    ENSURE(typed || add_field(call, "Content-Type", ":", ""), ACME_E_NOMEM);
    return acme_ok();
}

static struct acme_err copy_call(struct call *call, const struct acme_transport *transport,
                                 const struct acme_http_call *from)
{
    ENSURE(copy_text(from->method, &call->method) && copy_text(from->url, &call->url) &&
               copy_text(transport->ca_file, &call->ca_file) && copy_text(transport->proxy, &call->proxy) &&
               copy_text(transport->client_cert_file, &call->client_cert_file) &&
               copy_text(transport->client_key_file, &call->client_key_file),
           ACME_E_NOMEM);
    call->login = acme_token_login_of(transport);
    call->has_body = from->body.data != NULL;
    if (call->has_body && from->body.len > 0) {
        call->body = malloc(from->body.len);
        ENSURE(call->body != NULL, ACME_E_NOMEM);
        memcpy(call->body, from->body.data, from->body.len);
        call->body_len = from->body.len;
    }
    call->connect_timeout_ms = from->connect_timeout_ms > 0 ? from->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    call->total_timeout_ms = from->total_timeout_ms > 0 ? from->total_timeout_ms : TOTAL_TIMEOUT_MS;
    call->max_reply_bytes = from->max_reply_bytes > 0 ? from->max_reply_bytes : MAX_REPLY_BYTES;
    return copy_fields(call, from);
}

struct acme_err acme_outbound_call(struct acme_outbound *outbound, const struct acme_transport *transport,
                                   const struct acme_http_call *call, acme_outbound_done done, void *context)
{
    static const struct acme_outbound_task_class class = {.start = start_call, .destroy = destroy_call};
    static const struct acme_transport plain = {.ca_file = NULL};
    struct call *copy = calloc(1, sizeof *copy);
    ENSURE(copy != NULL, ACME_E_NOMEM);
    copy->task =
        (struct acme_outbound_task){.class = &class, .outbound = outbound, .done = done, .context = context};
    struct acme_err err = copy_call(copy, transport != NULL ? transport : &plain, call);
    if (!acme_failed(err))
        err = acme_outbound_submit(&copy->task);
    if (acme_failed(err))
        destroy_call(&copy->task);
    return err;
}
