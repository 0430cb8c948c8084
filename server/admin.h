/* The operator's side of the running server: one question per connection to the admin socket, answered on a
 * thread of its own. A question is one line with a JSON object, the answer another:
 *
 *     {"command":"order explain","id":"019a..."}
 *     {"result":{...}}   or   {"error":{"code":"not-found","detail":"..."}}
 *
 * Members of a question: "command" (acme_admin_command_name); "id" (an id, a unique beginning of one, or the
 * object's URL; of a certificate also the serial number); of lists "limit", "status", "account", "deployer",
 * "expiring_days"; of acknowledgements "decision" ("acknowledge" or "deny"), "key" (of the question as it was
 * shown, or its beginning), "by" (who says so). */
#ifndef ACME_SERVER_ADMIN_H
#define ACME_SERVER_ADMIN_H

#include "base/buf.h"
#include "server/config.h"
#include "store/store.h"

struct acme_admin;

struct acme_admin_options {
    struct acme_store *store;
    const struct acme_clock *clock;
    const struct acme_config *config;
    /** jobs_changed(context): jobs are due that were not. NULL: nobody wants to know. Thread: the admin's. */
    void (*jobs_changed)(void *context);
    void *context;
};

/** acme_admin_start(options, ret): open config->data_dir/admin.sock and answer. What `options` names is
 * borrowed until acme_admin_stop. Errors: BUSY (another server answers there), IO, NOMEM; logged. */
struct acme_err acme_admin_start(const struct acme_admin_options *options,
                                 struct acme_admin **ret) ACME_MUST_USE;

/** acme_admin_stop(admin): finish the answer under way, close everything, remove the socket. NULL is allowed.
 */
void acme_admin_stop(struct acme_admin *admin);

/** acme_admin_answer(options, line, len, out): the answer to one line (without its line feed) from whoever
 * may ask, with a line feed; out->failed when memory is short. Limits: an answer of ACME_ADMIN_MAX_ANSWER
 * octets. Thread: any that may wait for the store. */
void acme_admin_answer(const struct acme_admin_options *options, const char *line, size_t len,
                       struct acme_buf *out);

/** acme_admin_refuse(code, detail, out): an answer that is an error. */
void acme_admin_refuse(const char *code, const char *detail, struct acme_buf *out);

enum {
    ACME_ADMIN_MAX_QUESTION = 4096,
    ACME_ADMIN_MAX_ANSWER = 8 * 1024 * 1024,
    ACME_ADMIN_MAX_LIMIT = 1000,
    ACME_ADMIN_USUAL_LIMIT = 50,
    ACME_ADMIN_MAX_DAYS = 3650
};

enum acme_admin_command {
    ACME_ADMIN_ORDER_LIST,
    ACME_ADMIN_ORDER_SHOW,
    ACME_ADMIN_ORDER_EXPLAIN,
    ACME_ADMIN_ORDER_ACKNOWLEDGE,
    ACME_ADMIN_ACCOUNT_LIST,
    ACME_ADMIN_ACCOUNT_SHOW,
    ACME_ADMIN_ACCOUNT_DEACTIVATE,
    ACME_ADMIN_CERTIFICATE_LIST,
    ACME_ADMIN_CERTIFICATE_SHOW,
    ACME_ADMIN_ISSUER_LIST,
    ACME_ADMIN_DEPLOY_LIST,
    ACME_ADMIN_DEPLOY_SHOW,
    ACME_ADMIN_DEPLOY_RETRY,
    ACME_ADMIN_DEPLOY_ACKNOWLEDGE,
    ACME_ADMIN_DEPLOYER_LIST,
    ACME_ADMIN_COMMAND_COUNT
};

/** acme_admin_command_name(command): "order list" ... Static. */
const char *acme_admin_command_name(enum acme_admin_command command);

/** acme_admin_command_has_id(command): it is about one object. */
bool acme_admin_command_has_id(enum acme_admin_command command);

#endif
