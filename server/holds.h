/* Requests that trigger a challenge, finalize or revoke, held for a moment, so that a quick validation or CA
 * answers within the request (architecture.md). */
#ifndef ACME_SERVER_HOLDS_H
#define ACME_SERVER_HOLDS_H

#include "server/http.h"
#include "store/store.h"

struct acme_holds;

/** acme_holds_create(settle, context, ret): settle(context, exchange, arena, hold, id, decided) is called for
 * a held request when what it waits for is decided; it answers the exchange. Errors: NOMEM, IO. */
struct acme_err acme_holds_create(void (*settle)(void *context, struct acme_http_exchange *exchange,
                                                 struct acme_arena *arena, enum acme_hold hold,
                                                 const char *id, const struct acme_authz *decided),
                                  void *context, struct acme_holds **ret) ACME_MUST_USE;

/** acme_holds_add(holds, exchange, arena, response): keep `exchange` until what it waits for is
 * decided or response->hold_ms have passed; then `response` itself is sent. `response` (copied) points into
 * the exchange's arena. When it cannot be kept it is sent at once. Thread: any. */
void acme_holds_add(struct acme_holds *holds, struct acme_http_exchange *exchange, struct acme_arena *arena,
                    const struct acme_response *response);

/** acme_holds_release(holds, id, decided): the challenge, order or revocation of this id is decided: settle
 * every request held for it. Thread: any. */
void acme_holds_release(struct acme_holds *holds, const char *id, const struct acme_authz *decided);

/** acme_holds_flush(holds): send every held response as it stands, hold none from now on, and end the timer.
 */
void acme_holds_flush(struct acme_holds *holds);

/** acme_holds_destroy(holds): after a flush; ends the thread. NULL is allowed. */
void acme_holds_destroy(struct acme_holds *holds);

#endif
