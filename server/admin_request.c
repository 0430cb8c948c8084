/* Questions of the operator, read strictly. */
#include "server/admin_internal.h"

#include "base/json.h"
#include "base/problem.h"
#include "protocol/object_json.h"

#include <string.h>

enum member {
    ID = 1 << 0,
    LIMIT = 1 << 1,
    STATUS = 1 << 2,
    ACCOUNT = 1 << 3,
    EXPIRING = 1 << 4,
    DECISION = 1 << 5,
    KEY = 1 << 6,
    BY = 1 << 7,
    DEPLOYER = 1 << 8,
    DEPLOYMENT_STATUS = 1 << 9
};

enum { BY_MAX = 200 };

static const struct {
    const char *name;
    unsigned members;
} commands[ACME_ADMIN_COMMAND_COUNT] = {
    [ACME_ADMIN_ORDER_LIST] = {"order list", LIMIT | STATUS | ACCOUNT},
    [ACME_ADMIN_ORDER_SHOW] = {"order show", ID},
    [ACME_ADMIN_ORDER_EXPLAIN] = {"order explain", ID},
    [ACME_ADMIN_ORDER_ACKNOWLEDGE] = {"order acknowledge", ID | DECISION | KEY | BY},
    [ACME_ADMIN_ACCOUNT_LIST] = {"account list", LIMIT},
    [ACME_ADMIN_ACCOUNT_SHOW] = {"account show", ID},
    [ACME_ADMIN_ACCOUNT_DEACTIVATE] = {"account deactivate", ID},
    [ACME_ADMIN_CERTIFICATE_LIST] = {"certificate list", LIMIT | EXPIRING},
    [ACME_ADMIN_CERTIFICATE_SHOW] = {"certificate show", ID},
    [ACME_ADMIN_ISSUER_LIST] = {"issuer list", 0},
    [ACME_ADMIN_DEPLOY_LIST] = {"deploy list", LIMIT | DEPLOYMENT_STATUS | DEPLOYER},
    [ACME_ADMIN_DEPLOY_SHOW] = {"deploy show", ID},
    [ACME_ADMIN_DEPLOY_RETRY] = {"deploy retry", ID},
    [ACME_ADMIN_DEPLOY_ACKNOWLEDGE] = {"deploy acknowledge", ID | DECISION | KEY | BY},
    [ACME_ADMIN_DEPLOYER_LIST] = {"deployer list", 0},
};

static const struct {
    const char *name;
    enum member member;
} members[] = {{"id", ID},
               {"limit", LIMIT},
               {"status", STATUS},
               {"account", ACCOUNT},
               {"expiring_days", EXPIRING},
               {"decision", DECISION},
               {"key", KEY},
               {"by", BY},
               {"deployer", DEPLOYER},
               {"status", DEPLOYMENT_STATUS}};

const char *acme_admin_command_name(enum acme_admin_command command)
{
    return commands[command].name;
}

bool acme_admin_command_has_id(enum acme_admin_command command)
{
    return (commands[command].members & ID) != 0;
}

static bool find_command(const char *name, enum acme_admin_command *ret)
{
    for (size_t i = 0; name != NULL && i < ACME_ADMIN_COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            *ret = (enum acme_admin_command)i;
            return true;
        }
    }
    return false;
}

static bool is_status(const char *text)
{
    for (int i = ACME_ORDER_PENDING; i <= ACME_ORDER_INVALID; i++) {
        if (strcmp(acme_order_status_name((enum acme_order_status)i), text) == 0)
            return true;
    }
    return false;
}

static bool is_deployment_status(const char *text)
{
    for (int i = ACME_DEPLOYMENT_PENDING; i <= ACME_DEPLOYMENT_SUPERSEDED; i++) {
        if (strcmp(acme_deployment_status_name((enum acme_deployment_status)i), text) == 0)
            return true;
    }
    return false;
}

static bool in_range(const cJSON *question, const char *name, int64_t lowest, int64_t highest, int64_t *ret)
{
    return acme_json_int(question, name, ret) && *ret >= lowest && *ret <= highest;
}

/* One member that the command has. NULL, or what is wrong with it. */
static const char *take(const cJSON *question, const char *name, enum member member,
                        struct acme_admin_request *request)
{
    const char *text = acme_json_str(question, name);
    int64_t number = 0;
    switch (member) {
    case ID:
        request->id = text;
        return text == NULL || text[0] == '\0' ? "\"id\" must be a text" : NULL;
    case ACCOUNT:
        request->account = text;
        return text == NULL || text[0] == '\0' ? "\"account\" must be a text" : NULL;
    case STATUS:
        request->status = text;
        return text == NULL || !is_status(text)
                   ? "\"status\" must be pending, ready, processing, valid or invalid"
                   : NULL;
    case DEPLOYER:
        request->deployer = text;
        return text == NULL || text[0] == '\0' ? "\"deployer\" must be a text" : NULL;
    case DEPLOYMENT_STATUS:
        request->status = text;
        return text == NULL || !is_deployment_status(text)
                   ? "\"status\" must be pending, deployed, failed or superseded"
                   : NULL;
    case LIMIT:
        if (!in_range(question, name, 1, ACME_ADMIN_MAX_LIMIT, &number))
            return "\"limit\" must be a number from 1 to 1000";
        request->limit = (size_t)number;
        return NULL;
    case DECISION:
        request->decision = text == NULL                       ? ACME_ANSWER_NONE
                            : strcmp(text, "acknowledge") == 0 ? ACME_ANSWER_ACKNOWLEDGE
                            : strcmp(text, "deny") == 0        ? ACME_ANSWER_DENY
                                                               : ACME_ANSWER_NONE;
        return request->decision == ACME_ANSWER_NONE ? "\"decision\" must be acknowledge or deny" : NULL;
    case KEY:
        request->key = text;
        return text == NULL || text[0] == '\0' ? "\"key\" must be a text" : NULL;
    case BY:
        request->by = text;
        return text == NULL || strlen(text) > BY_MAX ? "\"by\" must be a short text" : NULL;
    case EXPIRING:
        return in_range(question, name, 0, ACME_ADMIN_MAX_DAYS, &request->expiring_days)
                   ? NULL
                   : "\"expiring_days\" must be a number from 0 to 3650";
    }
    return "it has an unknown member";
}

static const char *take_members(const cJSON *question, struct acme_admin_request *request)
{
    unsigned allowed = commands[request->command].members;
    for (const cJSON *item = question->child; item != NULL; item = item->next) {
        const char *wrong = "it has a member that this command does not know";
        if (strcmp(item->string, "command") == 0)
            continue;
        for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
            if ((allowed & (unsigned)members[i].member) != 0 && strcmp(members[i].name, item->string) == 0)
                wrong = take(question, members[i].name, members[i].member, request);
        }
        if (wrong != NULL)
            return wrong;
    }
    if ((request->decision != ACME_ANSWER_NONE) != (request->key != NULL))
        return "\"decision\" and \"key\" come together";
    return (allowed & ID) != 0 && request->id == NULL ? "this command needs an \"id\"" : NULL;
}

struct acme_err acme_admin_request_parse(struct acme_arena *arena, const char *line, size_t len,
                                         struct acme_admin_request *ret, const char **ret_why)
{
    struct acme_admin_request request = {.limit = ACME_ADMIN_USUAL_LIMIT, .expiring_days = -1};
    cJSON *question = NULL;
    *ret_why = "it is not a JSON object in one line";
    TRY(acme_json_parse(arena, line, len, &question));
    ENSURE(cJSON_IsObject(question), ACME_E_FORMAT);
    *ret_why = "\"command\" is missing or unknown";
    ENSURE(find_command(acme_json_str(question, "command"), &request.command), ACME_E_FORMAT);
    *ret_why = take_members(question, &request);
    ENSURE(*ret_why == NULL, ACME_E_FORMAT);
    *ret = request;
    return acme_ok();
}
