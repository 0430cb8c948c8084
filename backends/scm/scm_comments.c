/* The comments of a request: the tag by which it is found again, and behind it what the operator wants to see
 * in SCM. */
#include "backends/scm/scm_internal.h"

#include "base/buf.h"

#include <ctype.h>
#include <string.h>

enum { BODY_MAX_BYTES = 64 * 1024 };

const char *acme_scm_comments_wrong(const char *text)
{
    if (strlen(text) > ACME_SCM_COMMENTS_MAX / 2)
        return "at most 512 characters";
    return acme_placeholders_wrong(text);
}

char *acme_scm_comments(struct scm_context *ctx)
{
    const struct acme_issue_request *request = ctx->request;
    const char *text = ctx->scm->config.comments;
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, BODY_MAX_BYTES);
    acme_buf_str(&out, request->tag);
    if (text != NULL && *text != '\0') {
        const char *filled = acme_placeholders_fill(ctx->arena, text, request);
        if (filled == NULL)
            return NULL;
        acme_buf_str(&out, " ");
        acme_buf_str(&out, filled);
    }
    const char *whole = acme_buf_cstr(&out);
    if (whole == NULL)
        return NULL;
    size_t len = out.len;
    if (len > ACME_SCM_COMMENTS_MAX) {
        len = ACME_SCM_COMMENTS_MAX;
        while (len > 0 && ((unsigned char)whole[len] & 0xc0) == 0x80) /* whole characters only */
            len--;
    }
    return acme_arena_strndup(ctx->arena, whole, len);
}

/* A tag ends where no more of it could follow. */
static bool is_edge(char c)
{
    return !isalnum((unsigned char)c) && c != '-' && c != '/' && c != '_';
}

static bool stands_alone(const char *comments, const char *at, size_t len)
{
    return (at == comments || is_edge(at[-1])) && is_edge(at[len]);
}

bool acme_scm_comments_have_tag(const char *comments, const char *tag)
{
    size_t len = strlen(tag);
    for (const char *at = strstr(comments, tag); at != NULL; at = strstr(at + 1, tag)) {
        if (stands_alone(comments, at, len))
            return true;
    }
    return false;
}

static bool same_form(const char *text, const char *tag)
{
    for (; *tag != '\0'; tag++, text++) {
        bool digits = isxdigit((unsigned char)*tag) && isxdigit((unsigned char)*text);
        if (*tag != *text && !digits)
            return false;
    }
    return true;
}

bool acme_scm_comments_have_other_tag(const char *comments, const char *tag)
{
    size_t len = strlen(tag);
    size_t left = strlen(comments);
    for (const char *at = comments; left >= len; at++, left--) {
        if (same_form(at, tag) && strncmp(at, tag, len) != 0 && stands_alone(comments, at, len))
            return true;
    }
    return false;
}
