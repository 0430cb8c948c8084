/* server/cli_table.c, cli_print.c: what people see, and what their terminal must not. */
#include "server/cli_internal.h"

#include "cmocka_all.h"
#include <stdlib.h>
#include <string.h>

static char *printed(enum acme_admin_command command, const char *json)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(1 << 20);
    cJSON *result = NULL;
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(acme_json_parse(arena, json, strlen(json), &result).code, ACME_OK);
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    acme_cli_print(command, result, out);
    fclose(out);
    return text;
}

static void expect(enum acme_admin_command command, const char *json, const char *text)
{
    char *found = printed(command, json);
    assert_string_equal(found, text);
    free(found);
}

static void prints_tables(void **state)
{
    (void)state;
    expect(ACME_ADMIN_ACCOUNT_LIST, "{\"accounts\":[],\"more\":false}", "no accounts\n");
    expect(ACME_ADMIN_ACCOUNT_LIST,
           "{\"accounts\":[{\"id\":\"0a\",\"status\":\"valid\",\"created\":\"c\",\"contacts\":"
           "[\"1\",\"2\",\"3\",\"4\",\"5\"]},{\"id\":\"\xc3\xa4long-id\",\"status\":\"x\",\"contacts\":[]}],"
           "\"more\":true}",
           "ACCOUNT   STATUS  CREATED  EXTERNAL  CONTACTS\n"
           "0a        valid   c        -         1, 2, 3 +2\n"
           "\xc3\xa4long-id  x       -        -         -\n"
           "There may be more: ask with a larger --limit.\n");
    expect(ACME_ADMIN_ISSUER_LIST,
           "{\"issuers\":[{\"name\":\"lab\",\"type\":\"scm\",\"issue\":{\"under_way\":1,\"due\":2,"
           "\"waiting\":3},"
           "\"revoke\":{\"waiting\":4},\"intents\":5,\"failing\":6}]}",
           "ISSUER  TYPE  AT WORK  DUE  WAITING  REVOKING  UNKNOWN  FAILING  NEXT DUE  OLDEST\n"
           "lab     scm   1        2    3        4         5        6        -         -\n");
}

static void prints_fields(void **state)
{
    (void)state;
    expect(ACME_ADMIN_CERTIFICATE_SHOW,
           "{\"certificate\":{\"id\":\"0a\",\"good\":true,\"n\":12,\"names\":[\"a\",\"b\",\"c\",\"d\"],"
           "\"chain\":\"one\\ntwo\\n\",\"revocation\":{\"reason\":4}}}",
           "certificate\n"
           "  id                0a\n"
           "  good              yes\n"
           "  n                 12\n"
           "  names             a, b, c, d\n"
           "  chain\n"
           "    one\n"
           "    two\n"
           "  revocation\n"
           "    reason            4\n");
}

static void prints_explanations(void **state)
{
    (void)state;
    expect(
        ACME_ADMIN_ORDER_EXPLAIN,
        "{\"order\":\"0a\",\"status\":\"processing\",\"events\":[{\"time\":\"1970-01-01T00:16:40Z\",\"text\":"
        "\"begun\"},{\"text\":\"ended\"}],\"next\":\"n\",\"until\":\"u\",\"advice\":\"a\"}",
        "Order 0a is processing\n\n"
        "1970-01-01T00:16:40Z  begun\n"
        "in the end            ended\n"
        "\nNext:       n\nUntil:      u\nYou can do: a\n");
    expect(ACME_ADMIN_ORDER_EXPLAIN,
           "{\"order\":\"0a\",\"status\":\"valid\",\"next\":\"n\",\"advice\":\"a\"}",
           "Order 0a is valid\n\n\nNext:       n\nYou can do: a\n");
}

/* Escape sequences in a contact or an upstream's text would act on the operator's terminal. */
static void prints_questions(void **state)
{
    (void)state;
    expect(ACME_ADMIN_ORDER_ACKNOWLEDGE,
           "{\"order\":\"0a\",\"question\":{\"text\":\"Deploy\\u001b it?\",\"details\":\"one\\n\\ntwo\","
           "\"asked\":\"t1\",\"deadline\":\"t2\",\"key\":\"abc\"}}",
           "Order:      0a\n"
           "Asked of the operator:\n"
           "  Deploy\\x1B it?\n"
           "  | one\n  | \n  | two\n"
           "Asked:      t1\n"
           "Deadline:   t2\n"
           "Key:        abc\n"
           "Answer with: --acknowledge --key KEY, or --deny --key KEY\n");
    expect(ACME_ADMIN_ORDER_ACKNOWLEDGE,
           "{\"order\":\"0a\",\"question\":{\"text\":\"Deploy it?\",\"asked\":\"t1\",\"key\":\"abc\","
           "\"answer\":\"deny\",\"answered\":\"t3\",\"answered_by\":\"eve\"}}",
           "Order:      0a\n"
           "Asked of the operator:\n"
           "  Deploy it?\n"
           "Asked:      t1\n"
           "Key:        abc\n"
           "Answer:     deny\n"
           "Given:      t3\n"
           "By:         eve\n");
}

static void escapes_control_characters(void **state)
{
    (void)state;
    char *found =
        printed(ACME_ADMIN_ORDER_SHOW,
                "{\"order\":{\"note\":\"\\u001b]0;x\\u0007\\u009b2J\\u007f\\r\\t\xc3\xa9\",\"chain\":"
                "\"a\\u001b\\nb\\u009b\"}}");
    assert_string_equal(found, "order\n"
                               "  note              \\x1B]0;x\\x07\\x9B2J\\x7F\\x0D\\x09\xc3\xa9\n"
                               "  chain\n"
                               "    a\\x1B\n"
                               "    b\\x9B\n");
    free(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_tables),
        cmocka_unit_test(prints_fields),
        cmocka_unit_test(prints_explanations),
        cmocka_unit_test(prints_questions),
        cmocka_unit_test(escapes_control_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
