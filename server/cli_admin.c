/* Commands for the running server: from the command line to a question, and from the answer to the exit code.
 */
#include "server/cli_internal.h"

#include "base/json_writer.h"
#include "base/problem.h"
#include "server/admin_socket.h"

#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
    WHO_MAX = 40,
    ARENA_BYTES = 256 * 1024 * 1024,
    ANSWER_SECONDS = 60,
    CHUNK = 64 * 1024,
    MAX_DIGITS = 9
};

struct admin_options {
    enum acme_admin_command command;
    const char *config;
    const char *data_dir;
    const char *id;
    const char *status;
    const char *account;
    int64_t limit;        /* 0: not given */
    int64_t expiring;     /* negative: not given */
    const char *decision; /* NULL: not given */
    const char *key;
    const char *deployer;
    bool json;
};

static bool find_command(const char *object, const char *verb, enum acme_admin_command *ret)
{
    size_t len = strlen(object);
    for (int i = 0; i < ACME_ADMIN_COMMAND_COUNT; i++) {
        const char *name = acme_admin_command_name((enum acme_admin_command)i);
        if (strncmp(name, object, len) == 0 && name[len] == ' ' && strcmp(name + len + 1, verb) == 0) {
            *ret = (enum acme_admin_command)i;
            return true;
        }
    }
    return false;
}

static bool parse_number(const char *text, int64_t lowest, int64_t highest, int64_t *ret)
{
    int64_t number = 0;
    size_t len = strspn(text, "0123456789");
    if (len == 0 || len > MAX_DIGITS || text[len] != '\0')
        return false;
    for (; *text != '\0'; text++)
        number = number * 10 + (*text - '0');
    if (number < lowest || number > highest)
        return false;
    *ret = number;
    return true;
}

enum {
    DATA_DIR = 256,
    JSON,
    STATUS,
    ACCOUNT,
    LIMIT,
    EXPIRING,
    ACKNOWLEDGE,
    DENY,
    KEY,
    DEPLOYER,
    DEPLOYMENT_STATUS
};

#define COMMON                                                                                               \
    {"config", required_argument, NULL, 'c'}, {"data-dir", required_argument, NULL, DATA_DIR},               \
    {                                                                                                        \
        "json", no_argument, NULL, JSON                                                                      \
    }

static const struct option *options_of(enum acme_admin_command command)
{
    static const struct option plain[] = {COMMON, {NULL, 0, NULL, 0}};
    static const struct option list[] = {
        COMMON, {"limit", required_argument, NULL, LIMIT}, {NULL, 0, NULL, 0}};
    static const struct option order_list[] = {COMMON,
                                               {"limit", required_argument, NULL, LIMIT},
                                               {"status", required_argument, NULL, STATUS},
                                               {"account", required_argument, NULL, ACCOUNT},
                                               {NULL, 0, NULL, 0}};
    static const struct option certificate_list[] = {COMMON,
                                                     {"limit", required_argument, NULL, LIMIT},
                                                     {"expiring", required_argument, NULL, EXPIRING},
                                                     {NULL, 0, NULL, 0}};
    static const struct option acknowledge[] = {COMMON,
                                                {"acknowledge", no_argument, NULL, ACKNOWLEDGE},
                                                {"deny", no_argument, NULL, DENY},
                                                {"key", required_argument, NULL, KEY},
                                                {NULL, 0, NULL, 0}};
    static const struct option deploy_list[] = {COMMON,
                                                {"limit", required_argument, NULL, LIMIT},
                                                {"status", required_argument, NULL, DEPLOYMENT_STATUS},
                                                {"deployer", required_argument, NULL, DEPLOYER},
                                                {NULL, 0, NULL, 0}};
    switch (command) {
    case ACME_ADMIN_ORDER_ACKNOWLEDGE:
    case ACME_ADMIN_DEPLOY_ACKNOWLEDGE:
        return acknowledge;
    case ACME_ADMIN_DEPLOY_LIST:
        return deploy_list;
    case ACME_ADMIN_ORDER_LIST:
        return order_list;
    case ACME_ADMIN_ACCOUNT_LIST:
        return list;
    case ACME_ADMIN_CERTIFICATE_LIST:
        return certificate_list;
    default:
        return plain;
    }
}

static bool is_status(const char *text)
{
    static const char *const words[] = {"pending", "ready", "processing", "valid", "invalid"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i], text) == 0)
            return true;
    }
    return false;
}

static bool is_deployment_status(const char *text)
{
    static const char *const words[] = {"pending", "deployed", "failed", "superseded"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i], text) == 0)
            return true;
    }
    return false;
}

static int take_option(int option, FILE *err, struct admin_options *options)
{
    switch (option) {
    case 'c':
        options->config = optarg;
        break;
    case DATA_DIR:
        options->data_dir = optarg;
        break;
    case JSON:
        options->json = true;
        return ACME_EXIT_RIGHT;
    case ACKNOWLEDGE:
    case DENY:
        if (options->decision != NULL)
            return acme_cli_usage(err, "one decision at a time: --acknowledge or --deny", "");
        options->decision = option == DENY ? "deny" : "acknowledge";
        return ACME_EXIT_RIGHT;
    case KEY:
        options->key = optarg;
        break;
    case STATUS:
        options->status = optarg;
        if (!is_status(optarg))
            return acme_cli_usage(
                err, "expected the status pending, ready, processing, valid or invalid, found", optarg);
        break;
    case ACCOUNT:
        options->account = optarg;
        break;
    case DEPLOYER:
        options->deployer = optarg;
        break;
    case DEPLOYMENT_STATUS:
        options->status = optarg;
        if (!is_deployment_status(optarg))
            return acme_cli_usage(err, "expected the status pending, deployed, failed or superseded, found",
                                  optarg);
        break;
    case LIMIT:
        if (!parse_number(optarg, 1, ACME_ADMIN_MAX_LIMIT, &options->limit))
            return acme_cli_usage(err, "expected a number from 1 to 1000 after --limit, found", optarg);
        break;
    case EXPIRING:
        if (!parse_number(optarg, 0, ACME_ADMIN_MAX_DAYS, &options->expiring))
            return acme_cli_usage(err, "expected days, 0 to 3650, after --expiring, found", optarg);
        break;
    default:
        return acme_cli_usage(err, "unknown option", "");
    }
    return optarg[0] != '\0' ? ACME_EXIT_RIGHT : acme_cli_usage(err, "an option's value is empty", "");
}

/* argv[3..] of "acmebridge OBJECT VERB ...". */
static int parse(int argc, char **argv, FILE *err, struct admin_options *ret)
{
    struct admin_options options = {.expiring = -1};
    if (argc < 3)
        return acme_cli_usage(err, "say what to do with it after", argv[1]);
    if (!find_command(argv[1], argv[2], &options.command))
        return acme_cli_usage(err, "unknown command", argv[2]);
    char **words = argv + 2; /* getopt takes words[0], the verb, for the program's name */
    int count = argc - 2;
    opterr = 0;
    optind = 0;
    for (;;) {
        int option = getopt_long(count, words, ":c:", options_of(options.command), NULL);
        if (option == -1)
            break;
        if (option == ':')
            return acme_cli_usage(err, "a value is missing after", words[optind - 1]);
        if (option == '?')
            return acme_cli_usage(err, "unknown option", words[optind - 1]);
        int code = take_option(option, err, &options);
        if (code != ACME_EXIT_RIGHT)
            return code;
    }
    if (acme_admin_command_has_id(options.command)) {
        if (optind >= count || words[optind][0] == '\0')
            return acme_cli_usage(err, "an ID is missing after", argv[2]);
        options.id = words[optind++];
    }
    if (optind < count)
        return acme_cli_usage(err, "unexpected argument", words[optind]);
    if (options.decision != NULL && options.key == NULL)
        return acme_cli_usage(err,
                              "ask without a decision first: that shows what is asked, and the --key to "
                              "answer it with; missing:",
                              "--key");
    if (options.key != NULL && options.decision == NULL)
        return acme_cli_usage(err, "say with --key what you decide:", "--acknowledge or --deny");
    *ret = options;
    return ACME_EXIT_RIGHT;
}

/* ---- the socket ---- */

/* For the log. Who may ask at all may say what they like here. */
static const char *who(struct acme_arena *arena)
{
    const struct passwd *user = getpwuid(getuid());
    const char *name = user != NULL ? user->pw_name : "a user without a name";
    const char *behind = getenv("SUDO_USER");
    const char *text =
        behind != NULL && behind[0] != '\0' ? acme_arena_printf(arena, "%s as %s", behind, name) : name;
    return text == NULL ? NULL : acme_printable(arena, text, strlen(text), WHO_MAX);
}

static void write_question(const struct admin_options *options, struct acme_arena *arena,
                           struct acme_buf *out)
{
    struct acme_json_writer writer;
    acme_jw_init(&writer, out);
    acme_jw_object(&writer, NULL);
    acme_jw_str(&writer, "command", acme_admin_command_name(options->command));
    /* Foreign bytes of the command line: JSON takes UTF-8 only, and no id has other characters. */
    if (options->id != NULL)
        acme_jw_str(&writer, "id",
                    acme_printable(arena, options->id, strlen(options->id), strlen(options->id)));
    if (options->account != NULL)
        acme_jw_str(
            &writer, "account",
            acme_printable(arena, options->account, strlen(options->account), strlen(options->account)));
    if (options->deployer != NULL)
        acme_jw_str(
            &writer, "deployer",
            acme_printable(arena, options->deployer, strlen(options->deployer), strlen(options->deployer)));
    acme_jw_str(&writer, "status", options->status);
    acme_jw_str(&writer, "decision", options->decision);
    if (options->key != NULL) {
        acme_jw_str(&writer, "key",
                    acme_printable(arena, options->key, strlen(options->key), strlen(options->key)));
        acme_jw_str(&writer, "by", who(arena));
    }
    if (options->limit > 0)
        acme_jw_int(&writer, "limit", options->limit);
    if (options->expiring >= 0)
        acme_jw_int(&writer, "expiring_days", options->expiring);
    acme_jw_object_end(&writer);
    acme_buf_str(out, "\n");
}

static bool send_all(int fd, const struct acme_buf *question)
{
    for (size_t sent = 0; sent < question->len;) {
        ssize_t now = send(fd, question->data + sent, question->len - sent, MSG_NOSIGNAL);
        if (now < 0 && errno == EINTR)
            continue;
        if (now <= 0)
            return false;
        sent += (size_t)now;
    }
    return true;
}

static bool receive_all(int fd, struct acme_buf *answer)
{
    char chunk[CHUNK];
    for (;;) {
        ssize_t got = recv(fd, chunk, sizeof chunk, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        if (got == 0)
            return answer->len > 0 && answer->data[answer->len - 1] == '\n';
        acme_buf_append(answer, chunk, (size_t)got);
        if (answer->failed)
            return false;
    }
}

static int connect_server(const char *data_dir, FILE *err, int *ret_fd)
{
    struct acme_err result = acme_admin_connect(data_dir, ret_fd);
    switch (result.code) {
    case ACME_OK: {
        const struct timeval patience = {.tv_sec = ANSWER_SECONDS};
        (void)setsockopt(*ret_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        (void)setsockopt(*ret_fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        return ACME_EXIT_RIGHT;
    }
    case ACME_E_NOT_FOUND:
        fprintf(
            err,
            "acmebridge: no server is running on the data directory %s; start it, or name its configuration "
            "with -c or its data directory with --data-dir\n",
            data_dir);
        return ACME_EXIT_NOT_RUNNING;
    case ACME_E_DENIED:
        fprintf(err, "acmebridge: not allowed to ask the server of %s: run this as its user or as root\n",
                data_dir);
        return ACME_EXIT_FAILED;
    default:
        fprintf(err, "acmebridge: the server of %s cannot be reached: %s\n", data_dir, strerror(errno));
        return ACME_EXIT_FAILED;
    }
}

static int exchange(const char *data_dir, const struct acme_buf *question, FILE *err, struct acme_buf *answer)
{
    int fd = -1;
    int code = connect_server(data_dir, err, &fd);
    if (code != ACME_EXIT_RIGHT)
        return code;
    bool right = send_all(fd, question) && receive_all(fd, answer);
    close(fd);
    if (right)
        return ACME_EXIT_RIGHT;
    fprintf(err, "acmebridge: the server did not answer; its log may tell why\n");
    return ACME_EXIT_FAILED;
}

/* ---- the answer ---- */

static int show(const struct admin_options *options, struct acme_arena *arena, const struct acme_buf *answer,
                FILE *out, FILE *err)
{
    cJSON *tree = NULL;
    if (acme_failed(acme_json_parse(arena, answer->data, answer->len - 1, &tree))) {
        fprintf(err, "acmebridge: the server's answer cannot be read\n");
        return ACME_EXIT_FAILED;
    }
    const cJSON *result = acme_json_get(tree, "result");
    if (result == NULL) {
        const char *detail = acme_json_str(acme_json_get(tree, "error"), "detail");
        fputs("acmebridge: ", err);
        (void)acme_cli_text(detail != NULL ? detail : "the server refused and did not say why", err);
        fputc('\n', err);
        return ACME_EXIT_FAILED;
    }
    if (!options->json) {
        acme_cli_print(options->command, result, out);
        return ACME_EXIT_RIGHT;
    }
    const char *text = acme_json_print(arena, result);
    if (text == NULL) {
        fprintf(err, "acmebridge: out of memory\n");
        return ACME_EXIT_FAILED;
    }
    fprintf(out, "%s\n", text);
    return ACME_EXIT_RIGHT;
}

static int ask(const struct admin_options *options, const char *data_dir, FILE *out, FILE *err)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(ARENA_BYTES);
    ACME_CLEANUP_BUF struct acme_buf question;
    ACME_CLEANUP_BUF struct acme_buf answer;
    acme_buf_init(&question, ACME_ADMIN_MAX_QUESTION);
    acme_buf_init(&answer, ACME_ADMIN_MAX_ANSWER);
    if (arena == NULL) {
        fprintf(err, "acmebridge: out of memory\n");
        return ACME_EXIT_FAILED;
    }
    write_question(options, arena, &question);
    if (question.failed)
        return acme_cli_usage(err, "too long", options->id != NULL ? options->id : options->account);
    int code = exchange(data_dir, &question, err, &answer);
    return code == ACME_EXIT_RIGHT ? show(options, arena, &answer, out, err) : code;
}

int acme_cli_admin(int argc, char **argv, FILE *out, FILE *err)
{
    struct admin_options options;
    int code = parse(argc, argv, err, &options);
    if (code != ACME_EXIT_RIGHT)
        return code;
    if (options.data_dir != NULL) /* no need for the configuration, nor for its secrets */
        return ask(&options, options.data_dir, out, err);
    struct acme_config *config = NULL;
    code = acme_cli_load(options.config, NULL, err, &config);
    if (code != ACME_EXIT_RIGHT)
        return code;
    code = ask(&options, config->data_dir, out, err);
    acme_config_destroy(config);
    return code;
}
