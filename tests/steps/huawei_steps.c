/* Steps of the Huawei ELB deployer for a test that performs them: reads a description of deployer and
 * deployment from the first line of stdin, then an event with the saved state from each further line, and
 * answers each with a line of JSON: the step. Nothing is kept between events, as over a restart. */
#include "huawei_setup.h"

#include "base/json_writer.h"
#include "server/secret_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = 64 << 20, LINE_BYTES = 8 << 20 };

static const char *const kinds[] = {
    [ACME_STEP_CALL] = "call",    [ACME_STEP_RUN] = "run",       [ACME_STEP_DELEGATE] = "delegate",
    [ACME_STEP_WAIT] = "wait",    [ACME_STEP_ISSUED] = "issued", [ACME_STEP_DONE] = "done",
    [ACME_STEP_FAILED] = "failed"};
static const char *const events[] = {[ACME_EVENT_START] = "start",
                                     [ACME_EVENT_TIMER] = "timer",
                                     [ACME_EVENT_REPLY] = "reply",
                                     [ACME_EVENT_CALL_FAILED] = "failed",
                                     [ACME_EVENT_RECOVER] = "recover"};

/* `context` is how many jobs the test says are ahead. */
static struct acme_err claim(void *context, const char *object, size_t *ret_ahead)
{
    ENSURE(object != NULL && *object != '\0', ACME_E_INTERNAL);
    *ret_ahead = *(const size_t *)context;
    return acme_ok();
}

static struct acme_err read_event(struct acme_arena *arena, const cJSON *json, struct acme_step_input *ret)
{
    const char *name = acme_json_str(json, "event");
    size_t event = 0;
    while (event < sizeof events / sizeof events[0] && (name == NULL || strcmp(events[event], name) != 0))
        event++;
    ENSURE(event < sizeof events / sizeof events[0], ACME_E_FORMAT);
    *ret = (struct acme_step_input){.event = (enum acme_step_event)event,
                                    .failure = acme_json_str(json, "failure"),
                                    .reached = acme_json_bool(json, "reached", false)};
    ENSURE(acme_json_int(json, "now_ms", &ret->now_ms), ACME_E_FORMAT);
    if (event != ACME_EVENT_REPLY)
        return acme_ok();

    int64_t status = 0;
    const char *body = acme_json_str(json, "body");
    const cJSON *given = acme_json_get(json, "headers");
    ENSURE(acme_json_int(json, "status", &status) && body != NULL, ACME_E_FORMAT);
    size_t count = (size_t)cJSON_GetArraySize(given);
    struct acme_http_header *headers = acme_arena_alloc(arena, (count + 1) * sizeof *headers);
    struct acme_http_reply *reply = acme_arena_alloc(arena, sizeof *reply);
    ENSURE(headers != NULL && reply != NULL, ACME_E_NOMEM);
    for (size_t i = 0; i < count; i++) {
        const cJSON *header = cJSON_GetArrayItem(given, (int)i);
        headers[i].name = cJSON_GetStringValue(cJSON_GetArrayItem(header, 0));
        headers[i].value = cJSON_GetStringValue(cJSON_GetArrayItem(header, 1));
        ENSURE(headers[i].name != NULL && headers[i].value != NULL, ACME_E_FORMAT);
    }
    *reply = (struct acme_http_reply){.status = (int)status,
                                      .headers = headers,
                                      .header_count = count,
                                      .body = {(const uint8_t *)body, strlen(body)}};
    ret->reply = reply;
    return acme_ok();
}

static void write_call(struct acme_json_writer *writer, const struct acme_http_call *call)
{
    acme_jw_str(writer, "method", call->method);
    acme_jw_str(writer, "url", call->url);
    acme_jw_array(writer, "headers");
    for (size_t i = 0; i < call->header_count; i++) {
        acme_jw_array(writer, NULL);
        acme_jw_str(writer, NULL, call->headers[i].name);
        acme_jw_str(writer, NULL, call->headers[i].value);
        acme_jw_array_end(writer);
    }
    acme_jw_array_end(writer);
}

static struct acme_err write_step(struct acme_arena *arena, const struct acme_step *step, const cJSON *state)
{
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init_secret(&out, LINE_BYTES);
    struct acme_json_writer writer;
    acme_jw_init(&writer, &out);
    acme_jw_object(&writer, NULL);
    acme_jw_str(&writer, "kind", kinds[step->kind]);
    acme_jw_bool(&writer, "once", step->once);
    acme_jw_str(&writer, "note", step->note);
    acme_jw_str(&writer, "target", step->target);
    if (step->kind == ACME_STEP_CALL) {
        write_call(&writer, &step->call);
        if (step->call.body.data != NULL)
            acme_jw_str(&writer, "body",
                        acme_arena_strndup(arena, (const char *)step->call.body.data, step->call.body.len));
    }
    if (step->kind == ACME_STEP_WAIT) {
        acme_jw_int(&writer, "wait_until_ms", step->wait_until_ms);
        acme_jw_bool(&writer, "failure", step->failure);
    }
    if (step->kind == ACME_STEP_FAILED)
        acme_jw_str(&writer, "detail", step->problem.detail);
    acme_jw_raw(&writer, "state", acme_json_print(arena, state));
    acme_jw_object_end(&writer);
    const char *line = acme_buf_cstr(&out);
    ENSURE(line != NULL, ACME_E_NOMEM);
    ENSURE(printf("%s\n", line) > 0 && fflush(stdout) == 0, ACME_E_IO);
    return acme_ok();
}

static struct acme_err take_step(const struct acme_deployer *deployer, struct acme_deploy_request *request,
                                 const char *line, size_t len)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(ARENA_BYTES);
    ENSURE(arena != NULL, ACME_E_NOMEM);
    cJSON *json = NULL;
    struct acme_step_input input;
    TRY(acme_json_parse(arena, line, len, &json));
    TRY(read_event(arena, json, &input));
    int64_t ahead = 0;
    acme_json_int(json, "ahead", &ahead);
    size_t jobs_ahead = (size_t)ahead;
    const struct acme_job_services services = {
        .claim = claim, .read_secret = acme_secret_file_load, .context = &jobs_ahead};
    input.services = &services;
    cJSON *state = cJSON_GetObjectItemCaseSensitive(json, "state");
    ENSURE(cJSON_IsObject(state), ACME_E_FORMAT);
    struct acme_step step;
    memset(&step, 0, sizeof step);
    TRY(deployer->class->step(deployer, arena, request, state, &input, &step));
    return write_step(arena, &step, state);
}

static struct acme_err run(struct acme_arena *arena, struct acme_deployer **deployer)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t len = getline(&line, &room, stdin);
    cJSON *json = NULL;
    struct acme_deploy_request request;
    struct acme_err err = len > 0 ? acme_json_parse(arena, line, (size_t)len, &json) : acme_err(ACME_E_IO);
    if (!acme_failed(err))
        err = acme_steps_deployer(arena, json, deployer);
    if (!acme_failed(err))
        err = acme_steps_request(arena, json, &request);
    while (!acme_failed(err) && (len = getline(&line, &room, stdin)) > 0)
        err = take_step(*deployer, &request, line, (size_t)len);
    free(line);
    return err;
}

int main(void)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(ARENA_BYTES);
    if (arena == NULL)
        return EXIT_FAILURE;
    struct acme_deployer *deployer = NULL;
    struct acme_err err = run(arena, &deployer);
    acme_deployer_destroy(deployer);
    if (acme_failed(err))
        fprintf(stderr, "huawei_steps: %s\n", acme_code_name(err.code));
    return acme_failed(err) ? EXIT_FAILURE : EXIT_SUCCESS;
}
