#include "protocol/exchange.h"

#include <string.h>

enum { GET = 1 << 0, HEAD = 1 << 1, POST = 1 << 2 };

struct route {
    const char *pattern; /* "*" is one segment: a profile's name after /profile/, else an object's id; a
                            second one: a part of it */
    unsigned methods;
    enum acme_signer signer;
    bool directory; /* no index link, no nonce on GET */
    bool nonce;     /* a nonce on GET and HEAD too */
    acme_handler handler;
};

/* The directory names what is here and nothing else. */
static const struct route routes[] = {
    {"/directory", GET | HEAD | POST, ACME_SIGNER_ACCOUNT, true, false, acme_directory_get},
    {"/profile/*/directory", GET | HEAD | POST, ACME_SIGNER_ACCOUNT, true, false, acme_directory_get},
    {"/new-nonce", GET | HEAD | POST, ACME_SIGNER_ACCOUNT, false, true, acme_nonce_get},
    {"/new-account", POST, ACME_SIGNER_NEW_KEY, false, false, acme_account_new},
    {"/key-change", POST, ACME_SIGNER_ACCOUNT, false, false, acme_key_change},
    {"/new-order", POST, ACME_SIGNER_ACCOUNT, false, false, acme_order_new},
    {"/profile/*/new-order", POST, ACME_SIGNER_ACCOUNT, false, false, acme_order_new},
    {"/new-authz", POST, ACME_SIGNER_ACCOUNT, false, false, acme_authz_new},
    {"/profile/*/new-authz", POST, ACME_SIGNER_ACCOUNT, false, false, acme_authz_new},
    {"/account/*", POST, ACME_SIGNER_ACCOUNT, false, false, acme_account_post},
    {"/account/*/orders", POST, ACME_SIGNER_ACCOUNT, false, false, acme_account_orders},
    {"/order/*", POST, ACME_SIGNER_ACCOUNT, false, false, acme_order_get},
    {"/order/*/finalize", POST, ACME_SIGNER_ACCOUNT, false, false, acme_order_finalize},
    {"/authz/*", POST, ACME_SIGNER_ACCOUNT, false, false, acme_authz_post},
    {"/challenge/*", POST, ACME_SIGNER_ACCOUNT, false, false, acme_challenge_post},
    {"/certificate/*", POST, ACME_SIGNER_ACCOUNT, false, false, acme_certificate_get},
    {"/certificate/*/alternate/*", POST, ACME_SIGNER_ACCOUNT, false, false, acme_certificate_get},
    {"/revoke-cert", POST, ACME_SIGNER_ACCOUNT_OR_KEY, false, false, acme_certificate_revoke},
};

static unsigned method_bit(const char *method)
{
    if (strcmp(method, "GET") == 0)
        return GET;
    if (strcmp(method, "HEAD") == 0)
        return HEAD;
    return strcmp(method, "POST") == 0 ? POST : 0;
}

/* What stars stand for; data NULL where there is none. */
struct segments {
    struct acme_bytes at[2];
};

static bool matches(const char *pattern, const char *path, struct segments *ret)
{
    struct segments found = {.at = {{.data = NULL}}};
    const char *star = NULL;
    for (size_t i = 0; i < 2 && (star = strchr(pattern, '*')) != NULL; i++) {
        size_t before = (size_t)(star - pattern);
        if (strncmp(pattern, path, before) != 0)
            return false;
        path += before;
        size_t len = strcspn(path, "/");
        if (len == 0)
            return false;
        found.at[i] = (struct acme_bytes){.data = (const uint8_t *)path, .len = len};
        path += len;
        pattern = star + 1;
    }
    if (strcmp(pattern, path) != 0)
        return false;
    *ret = found;
    return true;
}

static const struct route *find_route(const char *path, struct segments *ret)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (matches(routes[i].pattern, path, ret))
            return &routes[i];
    return NULL;
}

static struct acme_err not_found(struct acme_exchange *x)
{
    struct acme_err err = acme_exchange_refuse(
        x, ACME_PROBLEM_MALFORMED, "There is nothing at \"%s\"; start from the directory at %s/directory",
        acme_exchange_show(x, x->request->path), x->service->config->base_url);
    x->problem.status = 404;
    return err;
}

static struct acme_err method_not_allowed(struct acme_exchange *x, const struct route *route,
                                          size_t *ret_headers_kept)
{
    TRY(acme_respond_header(x, "Allow", (route->methods & GET) != 0 ? "GET, HEAD, POST" : "POST"));
    *ret_headers_kept = x->response->header_count;
    struct acme_err err = acme_exchange_refuse(
        x, ACME_PROBLEM_MALFORMED, "The method %s is not allowed here%s",
        acme_exchange_show(x, x->request->method),
        (route->methods & GET) != 0 ? ""
                                    : "; send a signed POST (to read: POST-as-GET, with an empty payload)");
    x->problem.status = 405;
    return err;
}

static struct acme_err copy_segment(struct acme_exchange *x, struct acme_bytes segment, const char **ret)
{
    const char *text = acme_arena_strndup(x->arena, (const char *)segment.data, segment.len);
    ENSURE(text != NULL, ACME_E_NOMEM);
    *ret = text;
    return acme_ok();
}

static struct acme_err take_segments(struct acme_exchange *x, const struct route *route,
                                     const struct segments *segments)
{
    const char *text = NULL;
    if (segments->at[0].data == NULL)
        return acme_ok();
    TRY(copy_segment(x, segments->at[0], &text));
    if (segments->at[1].data != NULL)
        TRY(copy_segment(x, segments->at[1], &x->part));
    if (strncmp(route->pattern, "/profile/", strlen("/profile/")) != 0) {
        x->id = text;
        return acme_ok();
    }
    x->profile = acme_profile_find(x->service, text);
    x->profile_in_path = true;
    return x->profile != NULL ? acme_ok() : not_found(x);
}

bool acme_service_is_light(const char *method, const char *path)
{
    struct segments segments;
    const struct route *route = find_route(path, &segments);
    return route == NULL || method_bit(method) != POST;
}

struct acme_err acme_exchange_dispatch(struct acme_exchange *x, size_t *ret_headers_kept)
{
    struct segments segments;
    const struct route *route = find_route(x->request->path, &segments);
    unsigned method = method_bit(x->request->method);
    TRY(acme_respond_common(x, method == POST || (route != NULL && route->nonce),
                            route == NULL || !route->directory));
    *ret_headers_kept = x->response->header_count;
    if (route == NULL)
        return not_found(x);
    if ((route->methods & method) == 0)
        return method_not_allowed(x, route, ret_headers_kept);
    TRY(take_segments(x, route, &segments));
    if (method == POST)
        TRY(acme_request_authenticate(x, route->signer));
    return route->handler(x);
}
