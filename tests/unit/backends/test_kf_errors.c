/* What refusals mean, and that docs/upstream-keyfactor.md says the same. */
#include "cmocka_all.h"

#include "backends/keyfactor/kf_internal.h"
#include "base/buf.h"
#include "kf_rig.h"

#include <stdio.h>
#include <string.h>

static void test_refusals_of_an_enrollment(void **state)
{
    static const struct {
        const char *words;
        enum acme_problem_type problem;
    } rows[] = {
        {"certificate template not found", ACME_PROBLEM_SERVER_INTERNAL},
        {"The certificate authority was not found.", ACME_PROBLEM_SERVER_INTERNAL},
        {"Metadata field 'AcmeOrder' does not exist.", ACME_PROBLEM_SERVER_INTERNAL},
        {"An owner is required.", ACME_PROBLEM_SERVER_INTERNAL},
        {"Key size 1024 is not allowed by the template.", ACME_PROBLEM_BAD_PUBLIC_KEY},
        {"Denied by Policy Module 0x80094811", ACME_PROBLEM_BAD_PUBLIC_KEY},
        {"Denied by Policy Module 0x80094800", ACME_PROBLEM_SERVER_INTERNAL},
        {"The CSR could not be parsed.", ACME_PROBLEM_BAD_CSR},
        {"The Subject does not match the regular expression.", ACME_PROBLEM_BAD_CSR},
        {"SAN 'x' does not match the regular expression of the template.", ACME_PROBLEM_REJECTED_IDENTIFIER},
        {"SANCTIONS apply", ACME_PROBLEM_SERVER_INTERNAL},
        {"Denied by Policy Module", ACME_PROBLEM_SERVER_INTERNAL},
    };
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int shape = 0; shape < 2; shape++) {
            rig->state = "{}";
            rig_start(rig);
            rig_reply(rig, 400,
                      rig_format(rig,
                                 shape == 0
                                     ? "{\"ErrorCode\":\"0x1\",\"Message\":\"%s\"}"
                                     : "{\"message\":\"Failed\",\"FailedOperations\":[{\"Reason\":\"%s\"}]}",
                                 rows[i].words));
            rig_expect_failed(rig, rows[i].problem);
            rig_expect_note(rig, rows[i].words);
            assert_null(
                strstr(rig->step.problem.detail, rows[i].words)); /* the operator's, not the client's */
        }
    }
}

static void test_logins_wait_for_the_operator(void **state)
{
    static const struct {
        int status;
        const char *body;
    } rows[] = {
        {401, ""},
        {401, "<html>"},
        {403, "{\"ErrorCode\":\"0xA0140002\",\"Message\":\"User bridge doesn't have the permission\"}"},
        {400, "{\"ErrorCode\":\"0xA0140002\",\"Message\":\"no\"}"}};
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rig->state = "{}";
        rig_start(rig);
        rig_reply(rig, rows[i].status, rows[i].body);
        rig_expect_wait(rig, 60, true);
        rig_timer(rig);
        rig_expect_enroll(rig); /* nothing was made */
    }
}

static void test_retry_after_and_secrets(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_reply_header(rig, 503, "retry-after", "90", "");
    rig_expect_wait(rig, 90, true);
    rig->state = "{}";
    rig_start(rig);
    rig_reply(rig, 400, "{\"Message\":\"" RIG_PASSWORD " and " RIG_BASIC " are wrong\"}");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
}

/* ---- the document ---- */

static char *read_document(struct acme_arena *arena)
{
    enum { MAX_BYTES = 128 * 1024 };
    FILE *file = fopen(ACME_KEYFACTOR_DOCUMENT, "re");
    assert_non_null(file);
    char *text = acme_arena_alloc(arena, MAX_BYTES);
    assert_non_null(text);
    size_t len = fread(text, 1, MAX_BYTES - 1, file);
    fclose(file);
    assert_true(len < MAX_BYTES - 1);
    return text;
}

/* The rows of a table of the document: what stands between its marker and the end, without the headings. */
static void expect_table(struct rig *rig, const char *name, const char *expected)
{
    const char *marker = rig_format(rig, "<!-- table: %s -->\n", name);
    char *start = strstr(read_document(rig->arena), marker);
    if (start == NULL)
        fail_msg("no table %s", name);
    start += strlen(marker);
    char *end = strstr(start, "<!-- end of table -->");
    assert_non_null(end);
    *end = '\0';
    for (int i = 0; i < 2; i++)
        start = strchr(start, '\n') + 1;
    if (strcmp(start, expected) != 0) {
        fputs(expected, stderr); /* too long for a message */
        fail_msg("table %s should be what stands above", name);
    }
}

static const char *problem_name(enum acme_problem_type type)
{
    return strrchr(acme_problem_urn(type), ':') + 1;
}

static const char *endpoint_names(struct rig *rig, unsigned endpoints)
{
    static const char *const names[] = {"enroll", "renew",    "available", "list",
                                        "status", "download", "withdraw",  "revoke"};
    if (endpoints == KF_AT_ALL)
        return "all";
    const char *text = "";
    for (size_t i = 0; i < 8; i++)
        if ((endpoints & (1U << i)) != 0)
            text = rig_format(rig, "%s%s%s", text, *text != '\0' ? ", " : "", names[i]);
    return text;
}

static void test_document_has_the_errors(void **state)
{
    static const char *const classes[] = {
        [KF_VERDICT_RETRY] = "retry", [KF_VERDICT_UNKNOWN] = "open",
        [KF_VERDICT_ANEW] = "anew",   [KF_VERDICT_CREDENTIALS] = "credentials",
        [KF_VERDICT_GONE] = "gone",   [KF_VERDICT_REFUSED] = "refused",
        [KF_VERDICT_DONE] = "done",   [KF_VERDICT_FINAL] = "final"};
    struct rig *rig = *state;
    const char *table = "";
    const struct kf_rule *rule = NULL;
    for (size_t i = 0; (rule = acme_kf_rule_at(i)) != NULL; i++)
        table = rig_format(rig, "%s| %s | %s | %s | %s | %s |\n", table, endpoint_names(rig, rule->endpoints),
                           rule->text != NULL ? rule->text : "anything else", classes[rule->class],
                           rule->class == KF_VERDICT_FINAL ? problem_name(rule->problem) : "-", rule->gist);
    expect_table(rig, "errors", table);
}

static void test_document_has_the_states(void **state)
{
    static const char *const ends[] = {"processing", "the certificate is looked for", "invalid"};
    struct rig *rig = *state;
    const char *table = "";
    const struct kf_status *status = NULL;
    for (size_t i = 0; (status = acme_kf_status_at(i)) != NULL; i++)
        table =
            rig_format(rig, "%s| %s | %s | %s | %s |\n", table, status->name, ends[status->class],
                       status->class == KF_STATUS_FAILED ? problem_name(status->problem) : "-", status->gist);
    expect_table(rig, "states", table);
    assert_ptr_equal(acme_kf_status_of("EXTERNAL_VALIDATION"), acme_kf_status_of("external validation"));
    assert_null(acme_kf_status_of("Pendin")->name);
    assert_null(acme_kf_status_of("Pendings")->name);
    assert_null(acme_kf_status_of("")->name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refusals_of_an_enrollment, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_logins_wait_for_the_operator, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_retry_after_and_secrets, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_document_has_the_errors, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_document_has_the_states, rig_setup, rig_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
