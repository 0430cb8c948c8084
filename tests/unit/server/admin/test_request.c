/* server/admin_request.c: what is a question and what is not. */
#include "server/admin_internal.h"

#include "cmocka_all.h"
#include <string.h>

static struct acme_err parse(struct acme_arena *arena, const char *line, struct acme_admin_request *ret)
{
    const char *why = NULL;
    struct acme_err err = acme_admin_request_parse(arena, line, strlen(line), ret, &why);
    assert_true(!acme_failed(err) || (why != NULL && why[0] != '\0'));
    return err;
}

static void reads_every_command(void **state)
{
    (void)state;
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(1 << 20);
    for (int i = 0; i < ACME_ADMIN_COMMAND_COUNT; i++) {
        enum acme_admin_command command = (enum acme_admin_command)i;
        struct acme_admin_request request;
        const char *line =
            acme_arena_printf(arena, "{\"command\":\"%s\"%s}", acme_admin_command_name(command),
                              acme_admin_command_has_id(command) ? ",\"id\":\"0a\"" : "");
        assert_int_equal(parse(arena, line, &request).code, ACME_OK);
        assert_int_equal(request.command, command);
        assert_int_equal(request.limit, ACME_ADMIN_USUAL_LIMIT);
        assert_true(request.expiring_days < 0);
        if (acme_admin_command_has_id(command))
            assert_string_equal(request.id, "0a");
    }
}

static void reads_the_members(void **state)
{
    (void)state;
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(1 << 20);
    struct acme_admin_request request;
    assert_int_equal(parse(arena,
                           "{\"limit\":1000,\"command\":\"order list\",\"status\":\"processing\","
                           "\"account\":\"0b\"}",
                           &request)
                         .code,
                     ACME_OK);
    assert_int_equal(request.limit, 1000);
    assert_string_equal(request.status, "processing");
    assert_string_equal(request.account, "0b");
    assert_int_equal(parse(arena, "{\"command\":\"certificate list\",\"expiring_days\":0}", &request).code,
                     ACME_OK);
    assert_int_equal(request.expiring_days, 0);
    assert_int_equal(request.decision, ACME_ANSWER_NONE);
    assert_int_equal(parse(arena,
                           "{\"command\":\"order acknowledge\",\"id\":\"0a\",\"decision\":\"deny\","
                           "\"key\":\"k\",\"by\":\"eve\"}",
                           &request)
                         .code,
                     ACME_OK);
    assert_int_equal(request.decision, ACME_ANSWER_DENY);
    assert_string_equal(request.key, "k");
    assert_string_equal(request.by, "eve");
}

static void refuses(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        " ",
        "{\"command\":\"order acknowledge\",\"id\":\"0a\",\"decision\":\"deny\"}",
        "{\"command\":\"order acknowledge\",\"id\":\"0a\",\"key\":\"k\"}",
        "{\"command\":\"order acknowledge\",\"id\":\"0a\",\"decision\":\"perhaps\",\"key\":\"k\"}",
        "{\"command\":\"order acknowledge\",\"id\":\"0a\",\"decision\":1,\"key\":\"k\"}",
        "{\"command\":\"order show\",\"id\":\"0a\",\"decision\":\"deny\",\"key\":\"k\"}",
        "null",
        "[]",
        "7",
        "{}",
        "{\"command\":null}",
        "{\"command\":7}",
        "{\"command\":\"order\"}",
        "{\"command\":\"order list \"}",
        "{\"command\":\"order list\"} {}",
        "{\"command\":\"order list\",\"command\":\"order list\"}",
        "{\"command\":\"order list\",\"limit\":0}",
        "{\"command\":\"order list\",\"limit\":1001}",
        "{\"command\":\"order list\",\"limit\":-1}",
        "{\"command\":\"order list\",\"limit\":1.5}",
        "{\"command\":\"order list\",\"limit\":null}",
        "{\"command\":\"order list\",\"status\":\"\"}",
        "{\"command\":\"order list\",\"status\":\"expired\"}",
        "{\"command\":\"order list\",\"account\":\"\"}",
        "{\"command\":\"order list\",\"id\":\"0a\"}",
        "{\"command\":\"order list\",\"expiring_days\":1}",
        "{\"command\":\"certificate list\",\"expiring_days\":3651}",
        "{\"command\":\"certificate list\",\"status\":\"valid\"}",
        "{\"command\":\"issuer list\",\"limit\":1}",
        "{\"command\":\"deployer list\",\"limit\":1}",
        "{\"command\":\"deploy list\",\"status\":\"valid\"}",
        "{\"command\":\"deploy list\",\"deployer\":\"\"}",
        "{\"command\":\"deploy list\",\"account\":\"0a\"}",
        "{\"command\":\"order list\",\"deployer\":\"web\"}",
        "{\"command\":\"deploy show\"}",
        "{\"command\":\"deploy retry\",\"id\":\"0a\",\"status\":\"failed\"}",
        "{\"command\":\"issuer list\",\"Command\":\"x\"}",
        "{\"command\":\"order show\"}",
        "{\"command\":\"order show\",\"id\":\"\"}",
        "{\"command\":\"order show\",\"id\":[\"a\"]}",
        "{\"command\":\"order show\",\"id\":\"a\\u0000b\"}",
        "{\"command\":\"order show\",\"id\":\"\xff\"}",
    };
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(1 << 20);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct acme_admin_request request = {.limit = 4711};
        if (parse(arena, lines[i], &request).code != ACME_E_FORMAT || request.limit != 4711)
            fail_msg("%s", lines[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_command),
        cmocka_unit_test(reads_the_members),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
