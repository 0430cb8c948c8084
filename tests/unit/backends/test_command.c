/* The deployer `command`: what is run, and what is made of its end. */
#include "cmocka_all.h"

#include "backends/command/command.h"

#include <stdlib.h>
#include <string.h>

enum { NOW = 1000000, ARENA_BYTES = 16 * 1024 * 1024, MANY = 1000 };

struct rig {
    struct acme_arena *arena;
    struct acme_deployer *deployer;
    cJSON *state;
    struct acme_identifier names[MANY];
    struct acme_deploy_request request;
    struct acme_step step;
};

static int set_up(void **state)
{
    static const char *const arguments[] = {"/opt/put", "--now"};
    static const struct acme_command_variable variables[] = {{"HOST", "web1"}};
    const struct acme_command_config config = {.arguments = arguments,
                                               .argument_count = 2,
                                               .timeout_ms = 5000,
                                               .variables = variables,
                                               .variable_count = 1};
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    rig->arena = acme_arena_create(ARENA_BYTES);
    rig->state = cJSON_CreateObject();
    assert_int_equal(acme_command_create("web", &config, &rig->deployer).code, ACME_OK);
    rig->names[0].value = "a.example";
    rig->names[1].value = "b.example";
    rig->request = (struct acme_deploy_request){.deployment_id = "d-1",
                                                .certificate_id = "c-1",
                                                .order_id = "o-1",
                                                .account_id = "a-1",
                                                .profile = "default",
                                                .identifiers = rig->names,
                                                .identifier_count = 2,
                                                .chain_pem = "PEM\n",
                                                .serial_hex = "0A",
                                                .sha256_hex = "ff",
                                                .not_after_ms = 86400000,
                                                .deadline_ms = NOW + ACME_HOUR_MS};
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    acme_deployer_destroy(rig->deployer);
    acme_arena_destroy(rig->arena);
    cJSON_Delete(rig->state);
    free(rig);
    return 0;
}

static const struct acme_step *enter(struct rig *rig, const struct acme_step_input *input)
{
    assert_int_equal(
        rig->deployer->class->step(rig->deployer, rig->arena, &rig->request, rig->state, input, &rig->step)
            .code,
        ACME_OK);
    return &rig->step;
}

static const struct acme_step *begin(struct rig *rig, enum acme_step_event event)
{
    return enter(rig, &(struct acme_step_input){.event = event, .now_ms = NOW});
}

static const struct acme_step *end_with(struct rig *rig, struct acme_program_result ran, int attempts)
{
    return enter(rig, &(struct acme_step_input){
                          .event = ACME_EVENT_REPLY, .now_ms = NOW, .ran = &ran, .attempts = attempts});
}

static const char *variable(const struct acme_step *step, const char *name)
{
    for (size_t i = 0; i < step->run.variable_count; i++) {
        if (strcmp(step->run.variables[i].name, name) == 0)
            return step->run.variables[i].value;
    }
    return NULL;
}

static void it_is_described(void **state)
{
    struct rig *rig = *state;
    const struct acme_step *step = begin(rig, ACME_EVENT_START);
    cJSON *description = NULL;
    assert_int_equal(step->kind, ACME_STEP_RUN);
    assert_true(step->once);
    assert_int_equal(step->run.argument_count, 2);
    assert_string_equal(step->run.arguments[0], "/opt/put");
    assert_string_equal(step->run.arguments[1], "--now");
    assert_int_equal(step->run.timeout_ms, 5000);
    assert_int_equal(step->run.input.len, 4);
    assert_memory_equal(step->run.input.data, "PEM\n", 4);
    assert_string_equal(variable(step, "HOST"), "web1");
    assert_string_equal(variable(step, "ACMEBRIDGE_NAMES"), "a.example b.example");
    assert_string_equal(variable(step, "ACMEBRIDGE_NOT_AFTER"), "1970-01-02T00:00:00Z");
    assert_string_equal(variable(step, "ACMEBRIDGE_ATTEMPT"), "1");
    const char *text = variable(step, "ACMEBRIDGE_DESCRIPTION");
    assert_int_equal(acme_json_parse(rig->arena, text, strlen(text), &description).code, ACME_OK);
    assert_string_equal(acme_json_str(description, "deployment"), "d-1");
    assert_string_equal(acme_json_str(description, "serial"), "0A");
    assert_int_equal(cJSON_GetArraySize(acme_json_get(description, "names")), 2);
    assert_string_equal(variable(begin(rig, ACME_EVENT_RECOVER), "ACMEBRIDGE_ATTEMPT"), "2");
    assert_non_null(strstr(rig->step.note, "not known"));
}

/* The kernel takes no variable that is longer than 128 KiB. */
static void too_many_names_are_left_out(void **state)
{
    struct rig *rig = *state;
    char *name = acme_arena_alloc(rig->arena, 200);
    memset(name, 'a', 199);
    for (size_t i = 0; i < MANY; i++)
        rig->names[i].value = name;
    rig->request.identifier_count = MANY;
    const struct acme_step *step = begin(rig, ACME_EVENT_START);
    assert_null(variable(step, "ACMEBRIDGE_NAMES"));
    assert_null(strstr(variable(step, "ACMEBRIDGE_DESCRIPTION"), "names"));
    assert_string_equal(variable(step, "HOST"), "web1");
}

static void ends(void **state)
{
    struct rig *rig = *state;
    const struct acme_step *step =
        end_with(rig, (struct acme_program_result){.output = "one\nsaved as 12\n \n"}, 0);
    assert_int_equal(step->kind, ACME_STEP_DONE);
    assert_string_equal(step->note, "/opt/put has deployed it: saved as 12");
    assert_int_equal(end_with(rig, (struct acme_program_result){.output = ""}, 0)->kind, ACME_STEP_DONE);
    assert_string_equal(rig->step.note, "/opt/put has deployed it");
    step = end_with(rig, (struct acme_program_result){.exit_code = 1, .output = "no disk"}, 0);
    assert_int_equal(step->kind, ACME_STEP_FAILED);
    assert_string_equal(step->problem.detail,
                        "The certificate was not deployed: /opt/put ended with code 1: no disk");
}

static void what_passes_waits(void **state)
{
    struct rig *rig = *state;
    static const struct acme_program_result results[] = {
        {.exit_code = 75, .output = ""},
        {.exit_code = -1, .signal = 9, .output = ""},
        {.exit_code = -1, .timed_out = true, .signal = 15, .output = ""}};
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
        const struct acme_step *step = end_with(rig, results[i], 0);
        assert_int_equal(step->kind, ACME_STEP_WAIT);
        assert_true(step->failure);
        assert_int_equal(step->wait_until_ms, NOW + 10000);
        int64_t later_ms = end_with(rig, results[i], 3)->wait_until_ms;
        assert_int_equal(later_ms, NOW + 80000);
        rig->request.deadline_ms = later_ms;
        assert_int_equal(end_with(rig, results[i], 3)->kind, ACME_STEP_FAILED);
        assert_non_null(strstr(rig->step.problem.detail, "no time for another try"));
        rig->request.deadline_ms = NOW + ACME_HOUR_MS;
    }
    const struct acme_step *step = enter(
        rig, &(struct acme_step_input){
                 .event = ACME_EVENT_CALL_FAILED, .now_ms = NOW, .failure = "cannot run /opt/put: gone"});
    assert_int_equal(step->kind, ACME_STEP_WAIT);
    assert_string_equal(step->note, "cannot run /opt/put: gone; it will be tried again");
}

static void nothing_is_run_after_the_deadline(void **state)
{
    struct rig *rig = *state;
    rig->request.deadline_ms = NOW;
    assert_int_equal(begin(rig, ACME_EVENT_TIMER)->kind, ACME_STEP_FAILED);
}

static void configurations(void **state)
{
    (void)state;
    static const char *const relative[] = {"put"};
    struct acme_deployer *deployer = NULL;
    assert_int_equal(
        acme_command_create("web", &(struct acme_command_config){.arguments = relative}, &deployer).code,
        ACME_E_FORMAT);
    assert_int_equal(
        acme_command_create("web", &(struct acme_command_config){.arguments = relative, .argument_count = 1},
                            &deployer)
            .code,
        ACME_E_FORMAT);
    assert_null(acme_command_variable_wrong("A_1"));
    assert_non_null(acme_command_variable_wrong("1A"));
    assert_non_null(acme_command_variable_wrong(""));
    assert_non_null(acme_command_variable_wrong("A=B"));
    assert_non_null(acme_command_variable_wrong("ACMEBRIDGE_NAMES"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_described),   TEST(too_many_names_are_left_out),       TEST(ends),
        TEST(what_passes_waits), TEST(nothing_is_run_after_the_deadline), cmocka_unit_test(configurations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
