/* A response as bytes on the wire, in one buffer, so that it leaves in one TLS record where it can. */
#ifndef ACME_SERVER_HTTP_WRITE_H
#define ACME_SERVER_HTTP_WRITE_H

#include "protocol/message.h"

enum acme_http_write_flag {
    ACME_HTTP_WRITE_NO_BODY = 1 << 0,   /* Content-Length as if, but no body: HEAD, or it follows */
    ACME_HTTP_WRITE_CLOSE = 1 << 1,     /* Connection: close */
    ACME_HTTP_WRITE_KEEP_ALIVE = 1 << 2 /* Connection: keep-alive, for HTTP/1.0 */
};

/** acme_http_write_response(response, flags, ret_len): status line, Date, the response's own fields and its
 * body. A field whose name or value could break the framing is left out and logged. Owns: malloc'd, the
 * caller's; NULL without memory. Thread: any. */
char *acme_http_write_response(const struct acme_response *response, unsigned flags, size_t *ret_len);

#endif
