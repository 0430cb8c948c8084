/* Holds the table of docs/deploy-huawei-elb.md against the catalogue of the code, row by row: the order
 * counts. */
#include "cmocka_all.h"

#include "backends/huawei_elb/huawei_internal.h"

#include <stdio.h>
#include <string.h>

static const char *const outcomes[] = {[HUAWEI_VERDICT_RETRY] = "again",
                                       [HUAWEI_VERDICT_FEW_TRIES] = "a few tries",
                                       [HUAWEI_VERDICT_LOGIN] = "long pause",
                                       [HUAWEI_VERDICT_GONE] = "gone",
                                       [HUAWEI_VERDICT_FINAL] = "fails"};

static void test_answers(void **state)
{
    (void)state;
    static char text[64 * 1024];
    FILE *file = fopen(ACME_HUAWEI_DOCUMENT, "re");
    assert_non_null(file);
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    assert_true(len < sizeof text - 1);
    const char *start = strstr(text, "<!-- table: answers -->\n");
    assert_non_null(start);
    const char *at = strchr(start, '\n') + 1;
    at = strchr(strchr(at, '\n') + 1, '\n') + 1; /* behind the heading */
    size_t count = 0;
    for (; strncmp(at, "<!-- end of table -->", 21) != 0; at = strchr(at, '\n') + 1) {
        const struct huawei_rule *rule = acme_huawei_rule_at(count++);
        if (rule == NULL)
            fail_msg("a row too many: %.60s", at);
        char status[16] = "any 4xx";
        if (rule->status != 0)
            snprintf(status, sizeof status, "%d", rule->status);
        char row[512];
        snprintf(row, sizeof row, "| %s | %s | %s | %s | %s |\n", status,
                 rule->code != NULL ? rule->code : "any", rule->text != NULL ? rule->text : "any",
                 outcomes[rule->class], rule->gist);
        if (strncmp(at, row, strlen(row)) != 0)
            fail_msg("expected %sfound %.*s", row, (int)strcspn(at, "\n"), at);
    }
    assert_null(acme_huawei_rule_at(count));
    assert_true(count > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
