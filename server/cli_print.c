/* Answers of the running server, for people. */
#include "server/cli_internal.h"

#include <string.h>

static const struct acme_cli_column orders[] = {
    {"ORDER", "id"},      {"STATUS", "status"},     {"PROFILE", "profile"}, {"CREATED", "created"},
    {"ISSUER", "issuer"}, {"UPSTREAM", "upstream"}, {"NEXT", "next_step"},  {"NAMES", "names"}};
static const struct acme_cli_column accounts[] = {{"ACCOUNT", "id"},
                                                  {"STATUS", "status"},
                                                  {"CREATED", "created"},
                                                  {"EXTERNAL", "external_account"},
                                                  {"CONTACTS", "contacts"}};
static const struct acme_cli_column certificates[] = {
    {"CERTIFICATE", "id"},      {"STATUS", "status"},         {"SERIAL", "serial"}, {"ISSUER", "issuer"},
    {"NOT AFTER", "not_after"}, {"DOWNLOADED", "downloaded"}, {"NAMES", "names"}};
static const struct acme_cli_column issuers[] = {{"ISSUER", "name"},
                                                 {"TYPE", "type"},
                                                 {"AT WORK", "issue.under_way"},
                                                 {"DUE", "issue.due"},
                                                 {"WAITING", "issue.waiting"},
                                                 {"REVOKING", "revoke.waiting"},
                                                 {"UNKNOWN", "intents"},
                                                 {"FAILING", "failing"},
                                                 {"NEXT DUE", "next_due"},
                                                 {"OLDEST", "oldest"}};

static const struct acme_cli_column deployments[] = {
    {"DEPLOYMENT", "id"},       {"STATUS", "status"},     {"DEPLOYER", "deployer"}, {"CREATED", "created"},
    {"ENDED", "ended"},         {"ATTEMPTS", "attempts"}, {"NEXT", "next_step"},    {"SERIAL", "serial"},
    {"NOT AFTER", "not_after"}, {"NAMES", "names"}};
static const struct acme_cli_column deployers[] = {{"DEPLOYER", "name"},
                                                   {"TYPE", "type"},
                                                   {"AT WORK", "deploy.under_way"},
                                                   {"DUE", "deploy.due"},
                                                   {"WAITING", "deploy.waiting"},
                                                   {"UNKNOWN", "intents"},
                                                   {"FAILING", "failing"},
                                                   {"NEXT DUE", "next_due"},
                                                   {"OLDEST", "oldest"}};
enum { LINE_SIZE = 1024 };

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void print_list(const struct acme_cli_column *columns, size_t count, const char *name,
                       const cJSON *result, FILE *out)
{
    const cJSON *rows = acme_json_get(result, name);
    const char *looked_back = acme_json_str(result, "looked_back_to");
    if (cJSON_GetArraySize(rows) == 0)
        fprintf(out, "no %s\n", name);
    else
        acme_cli_table(columns, count, rows, out);
    if (acme_json_bool(result, "more", false))
        fprintf(out, "There may be more: ask with a larger --limit.\n");
    if (looked_back != NULL) {
        fputs("Only the newest orders were looked at, back to ", out);
        (void)acme_cli_text(looked_back, out);
        fputs("; --account narrows the search.\n", out);
    }
}

static void print_explanation(const cJSON *result, FILE *out)
{
    enum { TIME_WIDTH = 22 };
    const char *const parts[] = {"order", "status", "next", "until", "advice"};
    const char *texts[COUNT_OF(parts)];
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        const char *text = acme_json_str(result, parts[i]);
        texts[i] = text == NULL ? "" : text;
    }
    fputs("Order ", out);
    (void)acme_cli_text(texts[0], out);
    fputs(" is ", out);
    (void)acme_cli_text(texts[1], out);
    fputs("\n\n", out);
    const cJSON *event;
    cJSON_ArrayForEach(event, acme_json_get(result, "events"))
    {
        const char *time = acme_json_str(event, "time");
        const char *text = acme_json_str(event, "text");
        size_t width = acme_cli_text(time == NULL ? "in the end" : time, out);
        fprintf(out, "%*s", (int)(width < TIME_WIDTH ? TIME_WIDTH - width : 1), "");
        (void)acme_cli_text(text == NULL ? "" : text, out);
        fputc('\n', out);
    }
    fputs("\nNext:       ", out);
    (void)acme_cli_text(texts[2], out);
    fputs(texts[3][0] == '\0' ? "" : "\nUntil:      ", out);
    (void)acme_cli_text(texts[3], out);
    fputs("\nYou can do: ", out);
    (void)acme_cli_text(texts[4], out);
    fputc('\n', out);
}

static void print_lines(const char *text, const char *before, FILE *out)
{
    while (text != NULL && *text != '\0') {
        char line[LINE_SIZE];
        size_t len = strcspn(text, "\n");
        size_t taken = len < sizeof line ? len : sizeof line - 1;
        memcpy(line, text, taken);
        line[taken] = '\0';
        fputs(before, out);
        (void)acme_cli_text(line, out);
        fputc('\n', out);
        text += taken;
        text += taken == len && *text == '\n' ? 1 : 0;
    }
}

static void print_field(const char *title, const cJSON *object, const char *member, FILE *out)
{
    const char *text = acme_json_str(object, member);
    if (text == NULL)
        return;
    fputs(title, out);
    (void)acme_cli_text(text, out);
    fputc('\n', out);
}

static void print_question(const cJSON *result, FILE *out)
{
    const cJSON *question = acme_json_get(result, "question");
    const char *answer = acme_json_str(question, "answer");
    if (question == NULL)
        return;
    fputs("Asked of the operator:\n", out);
    print_lines(acme_json_str(question, "text"), "  ", out);
    print_lines(acme_json_str(question, "details"), "  | ", out);
    print_field("Asked:      ", question, "asked", out);
    print_field("Deadline:   ", question, "deadline", out);
    print_field("Key:        ", question, "key", out);
    if (answer == NULL) {
        fputs("Answer with: --acknowledge --key KEY, or --deny --key KEY\n", out);
        return;
    }
    print_field("Answer:     ", question, "answer", out);
    print_field("Given:      ", question, "answered", out);
    print_field("By:         ", question, "answered_by", out);
}

void acme_cli_print(enum acme_admin_command command, const cJSON *result, FILE *out)
{
    switch (command) {
    case ACME_ADMIN_ORDER_LIST:
        print_list(orders, COUNT_OF(orders), "orders", result, out);
        break;
    case ACME_ADMIN_ACCOUNT_LIST:
        print_list(accounts, COUNT_OF(accounts), "accounts", result, out);
        break;
    case ACME_ADMIN_CERTIFICATE_LIST:
        print_list(certificates, COUNT_OF(certificates), "certificates", result, out);
        break;
    case ACME_ADMIN_ISSUER_LIST:
        print_list(issuers, COUNT_OF(issuers), "issuers", result, out);
        break;
    case ACME_ADMIN_DEPLOY_LIST:
        print_list(deployments, COUNT_OF(deployments), "deployments", result, out);
        break;
    case ACME_ADMIN_DEPLOYER_LIST:
        print_list(deployers, COUNT_OF(deployers), "deployers", result, out);
        break;
    case ACME_ADMIN_ORDER_EXPLAIN:
        print_explanation(result, out);
        break;
    case ACME_ADMIN_ORDER_ACKNOWLEDGE:
        print_field("Order:      ", result, "order", out);
        print_question(result, out);
        break;
    case ACME_ADMIN_DEPLOY_ACKNOWLEDGE:
        print_field("Deployment: ", result, "deployment", out);
        print_question(result, out);
        break;
    case ACME_ADMIN_ORDER_SHOW:
    case ACME_ADMIN_ACCOUNT_SHOW:
    case ACME_ADMIN_ACCOUNT_DEACTIVATE:
    case ACME_ADMIN_CERTIFICATE_SHOW:
    case ACME_ADMIN_DEPLOY_SHOW:
    case ACME_ADMIN_DEPLOY_RETRY:
    case ACME_ADMIN_COMMAND_COUNT:
        acme_cli_fields(result, 0, out);
        break;
    }
}
