#include "backends/command/command.h"

#include "backends/pace.h"
#include "base/json_writer.h"

#include <stdlib.h>
#include <string.h>

enum {
    CONFIG_ARENA_BYTES = 1024 * 1024,
    EXIT_LATER = 75,                /* EX_TEMPFAIL of sysexits.h */
    DESCRIPTION_BYTES = 100 * 1024, /* the kernel takes 128 KiB in one variable */
    LINE_CHARS = 200                /* of the program's output, in notes */
};

#define BACKOFF_FIRST_MS (10 * ACME_SECOND_MS)
#define BACKOFF_MAX_MS   (15 * ACME_MINUTE_MS)

struct command {
    struct acme_deployer deployer; /* first */
    struct acme_arena *arena;      /* holds all of it */
    struct acme_command_config config;
};

static const struct command *command_of(const struct acme_deployer *deployer)
{
    return (const struct command *)deployer;
}

/* ---- what the program is told ---- */

static void write_description(struct acme_json_writer *writer, const struct acme_deployer *deployer,
                              const struct acme_deploy_request *request, int64_t attempt, bool with_names)
{
    acme_jw_object(writer, NULL);
    acme_jw_str(writer, "deployer", deployer->backend.name);
    acme_jw_str(writer, "deployment", request->deployment_id);
    acme_jw_int(writer, "attempt", attempt);
    acme_jw_str(writer, "order", request->order_id);
    acme_jw_str(writer, "account", request->account_id);
    acme_jw_str(writer, "profile", request->profile);
    acme_jw_str(writer, "certificate", request->certificate_id);
    acme_jw_str(writer, "serial", request->serial_hex);
    acme_jw_str(writer, "sha256", request->sha256_hex);
    acme_jw_time(writer, "not_before", request->not_before_ms);
    acme_jw_time(writer, "not_after", request->not_after_ms);
    if (with_names) {
        acme_jw_array(writer, "names");
        for (size_t i = 0; i < request->identifier_count; i++)
            acme_jw_str(writer, NULL, request->identifiers[i].value);
        acme_jw_array_end(writer);
    }
    acme_jw_object_end(writer);
}

static struct acme_err describe(struct acme_arena *arena, const struct acme_deployer *deployer,
                                const struct acme_deploy_request *request, int64_t attempt, bool with_names,
                                const char **ret)
{
    ACME_CLEANUP_BUF struct acme_buf buf;
    struct acme_json_writer writer;
    acme_buf_init(&buf, DESCRIPTION_BYTES);
    acme_jw_init(&writer, &buf);
    write_description(&writer, deployer, request, attempt, with_names);
    const char *text = acme_buf_cstr(&buf);
    ENSURE(text != NULL, ACME_E_LIMIT);
    *ret = acme_arena_strndup(arena, text, buf.len);
    ENSURE(*ret != NULL, ACME_E_NOMEM);
    return acme_ok();
}

/* The names with spaces between; NULL when they are too many for a variable. */
static struct acme_err join_names(struct acme_arena *arena, const struct acme_deploy_request *request,
                                  const char **ret)
{
    ACME_CLEANUP_BUF struct acme_buf buf;
    acme_buf_init(&buf, DESCRIPTION_BYTES);
    for (size_t i = 0; i < request->identifier_count; i++) {
        if (i > 0)
            acme_buf_str(&buf, " ");
        acme_buf_str(&buf, request->identifiers[i].value);
    }
    const char *text = acme_buf_cstr(&buf);
    *ret = text != NULL ? acme_arena_strdup(arena, text) : NULL;
    ENSURE(*ret != NULL || text == NULL, ACME_E_NOMEM);
    return acme_ok();
}

static void add_variable(struct acme_program_call *call, const char *name, const char *value)
{
    if (value == NULL || call->variable_count == ACME_PROGRAM_MAX_VARIABLES)
        return;
    call->variables[call->variable_count].name = name;
    call->variables[call->variable_count++].value = value;
}

static struct acme_err make_call(struct acme_arena *arena, const struct acme_deployer *deployer,
                                 const struct acme_deploy_request *request, int64_t attempt,
                                 struct acme_program_call *call)
{
    const struct acme_command_config *config = &command_of(deployer)->config;
    char not_after[ACME_RFC3339_SIZE];
    const char *names = NULL;
    const char *description = NULL;
    TRY(join_names(arena, request, &names));
    struct acme_err err = describe(arena, deployer, request, attempt, names != NULL, &description);
    if (err.code == ACME_E_LIMIT) /* they are in the certificate as well */
        err = describe(arena, deployer, request, attempt, false, &description);
    TRY(err);
    acme_rfc3339_format(request->not_after_ms, not_after);
    const char *end = acme_arena_strdup(arena, not_after);
    const char *count = acme_arena_printf(arena, "%lld", (long long)attempt);
    ENSURE(end != NULL && count != NULL, ACME_E_NOMEM);
    for (size_t i = 0; i < config->argument_count; i++)
        call->arguments[i] = config->arguments[i];
    call->argument_count = config->argument_count;
    call->timeout_ms = config->timeout_ms;
    call->input =
        (struct acme_bytes){.data = (const uint8_t *)request->chain_pem, .len = strlen(request->chain_pem)};
    add_variable(call, ACME_COMMAND_PREFIX "DEPLOYER", deployer->backend.name);
    add_variable(call, ACME_COMMAND_PREFIX "DEPLOYMENT", request->deployment_id);
    add_variable(call, ACME_COMMAND_PREFIX "ATTEMPT", count);
    add_variable(call, ACME_COMMAND_PREFIX "ORDER", request->order_id);
    add_variable(call, ACME_COMMAND_PREFIX "ACCOUNT", request->account_id);
    add_variable(call, ACME_COMMAND_PREFIX "PROFILE", request->profile);
    add_variable(call, ACME_COMMAND_PREFIX "CERTIFICATE", request->certificate_id);
    add_variable(call, ACME_COMMAND_PREFIX "NAMES", names);
    add_variable(call, ACME_COMMAND_PREFIX "SERIAL", request->serial_hex);
    add_variable(call, ACME_COMMAND_PREFIX "SHA256", request->sha256_hex);
    add_variable(call, ACME_COMMAND_PREFIX "NOT_AFTER", end);
    add_variable(call, ACME_COMMAND_PREFIX "DESCRIPTION", description);
    for (size_t i = 0; i < config->variable_count; i++)
        add_variable(call, config->variables[i].name, config->variables[i].value);
    return acme_ok();
}

/* ---- what became of it ---- */

/* The last line that says something; "" for none. */
static struct acme_err last_line(struct acme_arena *arena, const char *output, const char **ret)
{
    size_t end = strlen(output);
    while (end > 0 && strchr("\n\t ", output[end - 1]) != NULL)
        end--;
    size_t start = end;
    while (start > 0 && output[start - 1] != '\n')
        start--;
    *ret = acme_printable(arena, output + start, end - start, LINE_CHARS);
    ENSURE(*ret != NULL, ACME_E_NOMEM);
    return acme_ok();
}

static struct acme_err fail(struct acme_arena *arena, const char *why, struct acme_step *ret)
{
    ret->kind = ACME_STEP_FAILED;
    ret->problem = (struct acme_problem){
        .type = ACME_PROBLEM_SERVER_INTERNAL,
        .detail = acme_arena_printf(arena, "The certificate was not deployed: %s", why)};
    ENSURE(ret->problem.detail != NULL, ACME_E_NOMEM);
    ret->note = ret->problem.detail;
    return acme_ok();
}

static struct acme_err try_later(struct acme_arena *arena, const struct acme_deploy_request *request,
                                 const struct acme_step_input *input, const char *why, struct acme_step *ret)
{
    int64_t until_ms =
        input->now_ms + acme_pace_backoff_ms(BACKOFF_FIRST_MS, BACKOFF_MAX_MS, input->attempts);
    if (request->deadline_ms != 0 && until_ms >= request->deadline_ms) {
        const char *late = acme_arena_printf(arena, "%s, and there is no time for another try", why);
        ENSURE(late != NULL, ACME_E_NOMEM);
        return fail(arena, late, ret);
    }
    ret->kind = ACME_STEP_WAIT;
    ret->failure = true;
    ret->wait_until_ms = until_ms;
    ret->note = acme_arena_printf(arena, "%s; it will be tried again", why);
    ENSURE(ret->note != NULL, ACME_E_NOMEM);
    return acme_ok();
}

static struct acme_err judge(struct acme_arena *arena, const struct acme_deployer *deployer,
                             const struct acme_deploy_request *request, const struct acme_step_input *input,
                             struct acme_step *ret)
{
    const struct acme_program_result *ran = input->ran;
    const char *program = command_of(deployer)->config.arguments[0];
    const char *line = NULL;
    const char *how = NULL;
    TRY(last_line(arena, ran->output, &line));
    const char *colon = line[0] != '\0' ? ": " : "";
    if (ran->exit_code == 0) {
        ret->kind = ACME_STEP_DONE;
        ret->note = acme_arena_printf(arena, "%s has deployed it%s%s", program, colon, line);
        ENSURE(ret->note != NULL, ACME_E_NOMEM);
        return acme_ok();
    }
    if (ran->timed_out)
        how = acme_arena_printf(arena, "%s took too long and was ended%s%s", program, colon, line);
    else if (ran->exit_code < 0)
        how = acme_arena_printf(arena, "%s was ended by signal %d%s%s", program, ran->signal, colon, line);
    else
        how = acme_arena_printf(arena, "%s ended with code %d%s%s", program, ran->exit_code, colon, line);
    ENSURE(how != NULL, ACME_E_NOMEM);
    bool passes = ran->timed_out || ran->exit_code < 0 || ran->exit_code == EXIT_LATER;
    return passes ? try_later(arena, request, input, how, ret) : fail(arena, how, ret);
}

/* ---- steps ---- */

static struct acme_err count_run(cJSON *state, int64_t *ret)
{
    int64_t runs = 0;
    (void)acme_json_int(state, "runs", &runs);
    runs++;
    cJSON_DeleteItemFromObjectCaseSensitive(state, "runs");
    ENSURE(cJSON_AddNumberToObject(state, "runs", (double)runs) != NULL, ACME_E_NOMEM);
    *ret = runs;
    return acme_ok();
}

/* A run whose end nobody has seen is repeated: programs have to bear that. It is announced nevertheless, so
 * that they are told how often they were started. */
static struct acme_err run(struct acme_arena *arena, const struct acme_deployer *deployer,
                           const struct acme_deploy_request *request, cJSON *state,
                           const struct acme_step_input *input, struct acme_step *ret)
{
    int64_t attempt = 0;
    if (request->deadline_ms != 0 && input->now_ms >= request->deadline_ms)
        return fail(arena, "its time is over", ret);
    TRY(count_run(state, &attempt));
    ret->kind = ACME_STEP_RUN;
    ret->once = true;
    ret->note = acme_arena_printf(
        arena,
        input->event == ACME_EVENT_RECOVER ? "how %s ended is not known, it is run again" : "%s is run",
        command_of(deployer)->config.arguments[0]);
    ENSURE(ret->note != NULL, ACME_E_NOMEM);
    return make_call(arena, deployer, request, attempt, &ret->run);
}

static struct acme_err step(const struct acme_deployer *deployer, struct acme_arena *arena,
                            const struct acme_deploy_request *request, cJSON *state,
                            const struct acme_step_input *input, struct acme_step *ret)
{
    struct acme_step next = {.kind = ACME_STEP_FAILED};
    switch (input->event) {
    case ACME_EVENT_REPLY:
        ENSURE(input->ran != NULL, ACME_E_INTERNAL);
        TRY(judge(arena, deployer, request, input, &next));
        break;
    case ACME_EVENT_CALL_FAILED: /* it may be installed by the next time */
        TRY(try_later(arena, request, input, input->failure, &next));
        break;
    case ACME_EVENT_START:
    case ACME_EVENT_TIMER:
    case ACME_EVENT_RECOVER:
        TRY(run(arena, deployer, request, state, input, &next));
        break;
    }
    *ret = next;
    return acme_ok();
}

/* ---- its life ---- */

static void destroy(struct acme_deployer *deployer)
{
    struct command *command = (struct command *)deployer;
    acme_arena_destroy(command->arena);
}

static const struct acme_deployer_class command_class = {.type = "command", .step = step, .destroy = destroy};

static struct acme_err copy_config(struct acme_arena *arena, const struct acme_command_config *config,
                                   struct acme_command_config *ret)
{
    const char **arguments = acme_arena_alloc(arena, config->argument_count * sizeof *arguments);
    struct acme_command_variable *variables =
        acme_arena_alloc(arena, (config->variable_count + 1) * sizeof *variables);
    ENSURE(arguments != NULL && variables != NULL, ACME_E_NOMEM);
    for (size_t i = 0; i < config->argument_count; i++) {
        arguments[i] = acme_arena_strdup(arena, config->arguments[i]);
        ENSURE(arguments[i] != NULL, ACME_E_NOMEM);
    }
    for (size_t i = 0; i < config->variable_count; i++) {
        variables[i].name = acme_arena_strdup(arena, config->variables[i].name);
        variables[i].value = acme_arena_strdup(arena, config->variables[i].value);
        ENSURE(variables[i].name != NULL && variables[i].value != NULL, ACME_E_NOMEM);
    }
    *ret = *config;
    ret->arguments = arguments;
    ret->variables = variables;
    return acme_ok();
}

static struct acme_err create(struct acme_arena *arena, const char *name,
                              const struct acme_command_config *config, struct command **ret)
{
    struct command *command = acme_arena_alloc(arena, sizeof *command);
    ENSURE(command != NULL, ACME_E_NOMEM);
    command->arena = arena;
    command->deployer.class = &command_class;
    command->deployer.backend.name = acme_arena_strdup(arena, name);
    ENSURE(command->deployer.backend.name != NULL, ACME_E_NOMEM);
    TRY(copy_config(arena, config, &command->config));
    *ret = command;
    return acme_ok();
}

struct acme_err acme_command_create(const char *name, const struct acme_command_config *config,
                                    struct acme_deployer **ret)
{
    ENSURE(config->argument_count > 0 && config->argument_count <= ACME_COMMAND_ARGUMENTS_MAX &&
               config->variable_count <= ACME_COMMAND_VARIABLES_MAX && config->arguments[0][0] == '/',
           ACME_E_FORMAT);
    struct acme_arena *arena = acme_arena_create(CONFIG_ARENA_BYTES);
    ENSURE(arena != NULL, ACME_E_NOMEM);
    acme_arena_wipe_at_end(arena); /* a variable may be a password */
    struct command *command = NULL;
    struct acme_err err = create(arena, name, config, &command);
    if (acme_failed(err)) {
        acme_arena_destroy(arena);
        return err;
    }
    *ret = &command->deployer;
    return acme_ok();
}

const char *acme_command_variable_wrong(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    static const char digits_too[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    if (name[0] == '\0' || strchr(letters, name[0]) == NULL || strspn(name, digits_too) != strlen(name))
        return "the name of a variable: letters, digits and _, no digit in front";
    if (strncmp(name, ACME_COMMAND_PREFIX, sizeof ACME_COMMAND_PREFIX - 1) == 0)
        return "a name that does not begin with " ACME_COMMAND_PREFIX;
    return NULL;
}
