/* Holds the two tables of docs/upstream-scm.md against the decisions of the code, in both directions: what
 * the document says must come out, and what the code knows must have its row. */
#include "cmocka_all.h"

#include "backends/scm/scm_internal.h"
#include "scm_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS = 200, MAX_CELLS = 8, MAX_ENTRIES = 300 };

struct row {
    char *cells[MAX_CELLS];
    bool used;
};

struct table {
    struct row rows[MAX_ROWS];
    size_t count;
};

/* ---- reading the document ---- */

static char *read_document(struct acme_arena *arena)
{
    enum { MAX_BYTES = 256 * 1024 };
    FILE *file = fopen(ACME_SCM_DOCUMENT, "re");
    assert_non_null(file);
    char *text = acme_arena_alloc(arena, MAX_BYTES);
    assert_non_null(text);
    size_t len = fread(text, 1, MAX_BYTES - 1, file);
    assert_int_equal(ferror(file), 0);
    assert_true(len < MAX_BYTES - 1); /* else the end would be missing unnoticed */
    fclose(file);
    return text;
}

static char *trim(char *text)
{
    text += strspn(text, " ");
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == ' ')
        text[--len] = '\0';
    return text;
}

static void read_row(char *line, size_t cells, struct row *ret)
{
    const char *whole = line;
    size_t len = strlen(line);
    if (len < 2 || line[0] != '|' || line[len - 1] != '|')
        fail_msg("not a row: %s", whole);
    line[len - 1] = '\0';
    char *rest = line + 1;
    *ret = (struct row){0};
    size_t count = 0;
    for (char *cell = strsep(&rest, "|"); cell != NULL; cell = strsep(&rest, "|")) {
        if (count == cells)
            fail_msg("more than %zu cells in the row of %s", cells, ret->cells[0]);
        ret->cells[count++] = trim(cell);
    }
    if (count != cells)
        fail_msg("%zu cells instead of %zu in the row of %s", count, cells, ret->cells[0]);
}

static void read_table(struct acme_arena *arena, const char *name, size_t cells, struct table *ret)
{
    char *text = read_document(arena);
    const char *marker = acme_arena_printf(arena, "<!-- table: %s -->\n", name);
    assert_non_null(marker);
    char *start = strstr(text, marker);
    if (start == NULL)
        fail_msg("no table \"%s\"", name);
    start += strlen(marker);
    char *end = strstr(start, "<!-- end of table -->");
    if (end == NULL)
        fail_msg("table \"%s\" has no end", name);
    *end = '\0';
    ret->count = 0;
    size_t lines = 0;
    for (char *line = strsep(&start, "\n"); line != NULL; line = strsep(&start, "\n")) {
        if (*line == '\0' || ++lines <= 2) /* the headings and the line below them */
            continue;
        assert_true(ret->count < MAX_ROWS);
        read_row(line, cells, &ret->rows[ret->count++]);
    }
    assert_true(ret->count > 0);
}

static const char *problem_cell(enum acme_problem_type type)
{
    static const char prefix[] = "urn:ietf:params:acme:error:";
    const char *urn = acme_problem_urn(type);
    assert_memory_equal(urn, prefix, sizeof prefix - 1);
    return urn + sizeof prefix - 1;
}

/* ---- statuses ---- */

enum { STATUS, ORDER, STATUS_PROBLEM, STATUS_LOG, STATUS_CELLS };
#define ANY_OTHER_STATUS "X"

static struct row *status_row(struct table *table, const char *name)
{
    struct row *found = NULL;
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->rows[i].cells[STATUS], name) != 0)
            continue;
        if (found != NULL)
            fail_msg("two rows for status %s", name);
        found = &table->rows[i];
    }
    if (found == NULL)
        fail_msg("no row for status %s", name);
    return found;
}

static const char *numbered(struct rig *rig, const char *line)
{
    static const char start[] = "SCM request N ";
    if (strncmp(line, start, sizeof start - 1) != 0)
        fail_msg("not a line about request N: %s", line);
    return rig_format(rig, "SCM request 4242 %s", line + sizeof start - 1);
}

/* What really happens to an order whose request has this status. */
static void check_status(struct rig *rig, const struct row *row, const char *status)
{
    rig_reply(rig, 200, rig_details(rig, 4242, status, RIG_TAG, NULL));
    const char *order = row->cells[ORDER];
    const char *problem = "-";
    const char *happened = "?";
    switch (rig->step.kind) {
    case ACME_STEP_WAIT:
        happened = "processing";
        break;
    case ACME_STEP_CALL:
        rig_expect_call(rig, "GET", "/api/ssl/v1/collect/4242?format=x509");
        happened =
            strstr(rig->state, "\"replaced\":true") != NULL ? "collected, if the key is right" : "collected";
        break;
    case ACME_STEP_FAILED:
        happened = "invalid";
        problem = problem_cell(rig->step.problem.type);
        break;
    case ACME_STEP_RUN:
    case ACME_STEP_DELEGATE:
    case ACME_STEP_ISSUED:
    case ACME_STEP_DONE:
        break;
    }
    if (strcmp(order, happened) != 0)
        fail_msg("status %s: the document says %s, the code %s", status, order, happened);
    if (strcmp(row->cells[STATUS_PROBLEM], problem) != 0)
        fail_msg("status %s: the document says %s, the code %s", status, row->cells[STATUS_PROBLEM], problem);
    assert_string_equal(rig->step.note, numbered(rig, row->cells[STATUS_LOG]));
}

static void test_statuses(void **state)
{
    struct rig *rig = *state;
    static struct table table;
    read_table(rig->arena, "statuses", STATUS_CELLS, &table);
    rig_accepted(rig);
    const char *accepted = rig->state;
    const struct acme_step asked = rig->step;
    for (size_t i = 0;; i++) {
        const struct scm_status *status = acme_scm_status_at(i);
        struct row *row = status_row(&table, status != NULL ? status->name : "any other");
        row->used = true;
        rig->state = accepted;
        rig->step = asked;
        check_status(rig, row, status != NULL ? status->name : ANY_OTHER_STATUS);
        if (status == NULL)
            break;
    }
    for (size_t i = 0; i < table.count; i++) {
        if (!table.rows[i].used)
            fail_msg("the code does not know status %s", table.rows[i].cells[STATUS]);
    }
}

/* ---- errors ---- */

enum { AT, CODE, HTTP, CLASS, ENROLLS, PROBLEM, EXPLANATION, ADVICE, ERROR_CELLS };

static const enum scm_endpoint endpoints[] = {SCM_AT_ENROLL,  SCM_AT_LIST,   SCM_AT_DETAILS, SCM_AT_COLLECT,
                                              SCM_AT_DECLINE, SCM_AT_REVOKE, SCM_AT_RENEW,   SCM_AT_REPLACE};
enum { ENDPOINT_COUNT = sizeof endpoints / sizeof endpoints[0] };

/* A row for each of its codes. */
enum entry_kind { LISTED, ANY_CODE, WITHOUT_CODE };

struct entry {
    struct row *row;
    enum entry_kind kind;
    unsigned endpoints;
    int64_t code;
    const char *text; /* NULL: any */
    bool used;
};

static struct {
    struct table table;
    struct entry entries[MAX_ENTRIES];
    size_t count;
} errors;

static unsigned endpoints_of(struct acme_arena *arena, const char *cell)
{
    static const char *const names[ENDPOINT_COUNT] = {"enroll",  "list",   "details", "collect",
                                                      "decline", "revoke", "renew",   "replace"};
    if (strcmp(cell, "all") == 0)
        return SCM_AT_ALL;
    unsigned mask = 0;
    char *rest = acme_arena_strdup(arena, cell);
    assert_non_null(rest);
    for (char *name = strsep(&rest, ","); name != NULL; name = strsep(&rest, ",")) {
        unsigned bit = 0;
        for (size_t i = 0; i < ENDPOINT_COUNT; i++) {
            if (strcmp(trim(name), names[i]) == 0)
                bit = (unsigned)endpoints[i];
        }
        if (bit == 0 || (mask & bit) != 0)
            fail_msg("endpoints: %s", cell);
        mask |= bit;
    }
    return mask;
}

static void add_entry(struct entry entry)
{
    assert_true(errors.count < MAX_ENTRIES);
    errors.entries[errors.count++] = entry;
}

/* "-1, -2", "-62 "some text"", "any other" or "-". */
static void add_entries(struct acme_arena *arena, struct row *row)
{
    struct entry entry = {.row = row, .endpoints = endpoints_of(arena, row->cells[AT])};
    const char *cell = row->cells[CODE];
    if (strcmp(cell, "any other") == 0 || strcmp(cell, "-") == 0) {
        entry.kind = *cell == '-' ? WITHOUT_CODE : ANY_CODE;
        add_entry(entry);
        return;
    }
    char *rest = acme_arena_strdup(arena, cell);
    assert_non_null(rest);
    for (char *code = strsep(&rest, ","); code != NULL; code = strsep(&rest, ",")) {
        char *end = NULL;
        code = trim(code);
        entry.code = strtoll(code, &end, 10);
        entry.text = NULL;
        size_t len = strlen(end);
        if (end == code || (len > 0 && (len < 4 || end[0] != ' ' || end[1] != '"' || end[len - 1] != '"')))
            fail_msg("code: %s", cell);
        if (len > 0) {
            entry.text = acme_arena_strndup(arena, end + 2, len - 3);
            assert_non_null(entry.text);
        }
        add_entry(entry);
    }
}

static int setup(void **state)
{
    int failed = rig_setup(state);
    if (failed != 0)
        return failed;
    struct rig *rig = *state;
    errors.count = 0;
    read_table(rig->arena, "errors", ERROR_CELLS, &errors.table);
    for (size_t i = 0; i < errors.table.count; i++)
        add_entries(rig->arena, &errors.table.rows[i]);
    return 0;
}

static const char *class_cell(enum scm_verdict_class class)
{
    switch (class) {
    case SCM_VERDICT_NOT_YET:
        return "not yet";
    case SCM_VERDICT_RETRY:
        return "retry";
    case SCM_VERDICT_UNKNOWN:
        return "open";
    case SCM_VERDICT_ANEW:
        return "anew";
    case SCM_VERDICT_CREDENTIALS:
        return "credentials";
    case SCM_VERDICT_GONE:
        return "gone";
    case SCM_VERDICT_STATE:
        return "state";
    case SCM_VERDICT_DONE:
        return "done";
    case SCM_VERDICT_FINAL:
        return "final";
    }
    return "?";
}

static void judge(struct rig *rig, enum scm_endpoint endpoint, int status, const char *body,
                  struct scm_verdict *ret)
{
    const struct acme_http_reply reply = {.status = status,
                                          .body = {.data = (const uint8_t *)body, .len = strlen(body)}};
    const struct acme_step_input input = {.event = ACME_EVENT_REPLY, .now_ms = rig->now_ms, .reply = &reply};
    struct scm_state saved = {0};
    struct acme_step step = {0};
    struct scm_context ctx = {.scm = (const struct scm_issuer *)rig->issuer,
                              .arena = rig->arena,
                              .request = &rig->request,
                              .input = &input,
                              .state = &saved,
                              .step = &step};
    assert_int_equal(acme_scm_judge(&ctx, endpoint, ret).code, ACME_OK);
}

static const char *coded_body(struct rig *rig, int64_t code, const char *text)
{
    return rig_format(rig, "{\"code\":%lld,\"description\":\"words %s words\"}", (long long)code,
                      text != NULL ? text : "");
}

static bool is_refusal(int status)
{
    return status >= 400 && status <= 499 && status != 429;
}

static bool is_once(enum scm_endpoint endpoint)
{
    return ((unsigned)endpoint & SCM_AT_ONCE) != 0;
}

/* The statuses for which the row of a listed code holds as it stands; the document's text above the table
 * says that an enroll is open under all others. */
static bool row_holds(const struct entry *entry, enum scm_endpoint endpoint, int status)
{
    const char *cell = entry->row->cells[HTTP];
    bool refusal_only =
        strcmp(cell, "4xx") == 0 || (is_once(endpoint) && strcmp(cell, "any, once: 4xx") == 0);
    if (!refusal_only && strcmp(cell, "any") != 0 && strcmp(cell, "any, once: 4xx") != 0)
        fail_msg("HTTP: %s", cell);
    return !refusal_only || is_refusal(status);
}

static void expect_cell(const struct entry *entry, int cell, const char *happened, const char *where)
{
    if (strcmp(entry->row->cells[cell], happened) != 0)
        fail_msg("%s: the document says \"%s\", the code \"%s\"", where, entry->row->cells[cell], happened);
}

/* The verdict on a reply to which the row applies. `open`: an enroll under a status the row does not name. */
static void check_verdict(struct rig *rig, const struct entry *entry, enum scm_endpoint endpoint, int status,
                          const char *body, bool open)
{
    struct scm_verdict verdict;
    judge(rig, endpoint, status, body, &verdict);
    const char *where = rig_format(rig, "endpoint %d, HTTP %d, body %s", (int)endpoint, status, body);

    if (open) {
        assert_true(is_once(endpoint));
        if (verdict.class != SCM_VERDICT_UNKNOWN)
            fail_msg("%s: not open", where);
    } else {
        int tries = is_once(endpoint) ? verdict.tries : 0;
        bool fails = verdict.class == SCM_VERDICT_FINAL || verdict.class == SCM_VERDICT_GONE || tries > 0;
        expect_cell(entry, CLASS, class_cell(verdict.class), where);
        expect_cell(entry, ENROLLS, tries > 0 ? rig_format(rig, "%d", tries) : "-", where);
        expect_cell(entry, PROBLEM, fails ? problem_cell(verdict.problem) : "-", where);
    }
    const char *end = rig_format(rig, " (%s).", entry->row->cells[EXPLANATION]);
    size_t len = strlen(verdict.note);
    if (len < strlen(end) || strcmp(verdict.note + len - strlen(end), end) != 0)
        fail_msg("%s: the document says \"%s\", the log \"%s\"", where, end, verdict.note);
}

static const int statuses[] = {200, 201, 302, 400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504};
enum { STATUS_COUNT = sizeof statuses / sizeof statuses[0] };

static struct entry *entry_of(const struct scm_rule *rule)
{
    struct entry *found = NULL;
    for (size_t i = 0; i < errors.count; i++) {
        struct entry *entry = &errors.entries[i];
        bool same_text = entry->text == NULL || rule->text == NULL ? entry->text == rule->text
                                                                   : strcmp(entry->text, rule->text) == 0;
        if (entry->kind != LISTED || entry->code != rule->code || entry->endpoints != rule->endpoints ||
            !same_text)
            continue;
        if (found != NULL)
            fail_msg("two rows for code %lld at the same endpoints", (long long)rule->code);
        found = entry;
    }
    if (found == NULL)
        fail_msg("no row for code %lld at endpoints %u", (long long)rule->code, rule->endpoints);
    return found;
}

static void test_listed_codes(void **state)
{
    struct rig *rig = *state;
    const struct scm_rule *rule;
    for (size_t i = 0; (rule = acme_scm_rule_at(i)) != NULL; i++) {
        struct entry *entry = entry_of(rule);
        if (entry->used)
            fail_msg("code %lld is twice in the code's table", (long long)rule->code);
        entry->used = true;
        const char *body = coded_body(rig, rule->code, rule->text);
        for (size_t e = 0; e < ENDPOINT_COUNT; e++) {
            for (size_t s = 0; (entry->endpoints & (unsigned)endpoints[e]) != 0 && s < STATUS_COUNT; s++)
                check_verdict(rig, entry, endpoints[e], statuses[s], body,
                              !row_holds(entry, endpoints[e], statuses[s]));
        }
    }
    for (size_t i = 0; i < errors.count; i++) {
        if (errors.entries[i].kind == LISTED && !errors.entries[i].used)
            fail_msg("the code does not list %s at %s", errors.entries[i].row->cells[CODE],
                     errors.entries[i].row->cells[AT]);
    }
}

/* The row of that kind for an endpoint: the one that names the status goes before "any other". */
static struct entry *general_entry(enum entry_kind kind, enum scm_endpoint endpoint, int status)
{
    struct entry *named = NULL;
    struct entry *other = NULL;
    for (size_t i = 0; i < errors.count; i++) {
        struct entry *entry = &errors.entries[i];
        if (entry->kind != kind || (entry->endpoints & (unsigned)endpoint) == 0)
            continue;
        const char *cell = entry->row->cells[HTTP];
        bool catch_all = strcmp(cell, "any other") == 0;
        bool applies = catch_all || (strcmp(cell, "401, 403") == 0 && (status == 401 || status == 403)) ||
                       (strcmp(cell, "5xx") == 0 && status >= 500 && status <= 599) ||
                       (strcmp(cell, "4xx") == 0 && is_refusal(status)) ||
                       (strlen(cell) == 3 && atoi(cell) == status);
        if (!applies)
            continue;
        struct entry **place = catch_all ? &other : &named;
        if (*place != NULL)
            fail_msg("two rows for endpoint %d and HTTP %d", (int)endpoint, status);
        *place = entry;
    }
    if (named == NULL && other == NULL)
        fail_msg("no row for endpoint %d and HTTP %d", (int)endpoint, status);
    return named != NULL ? named : other;
}

static void expect_all_used(enum entry_kind kind)
{
    for (size_t i = 0; i < errors.count; i++) {
        const struct entry *entry = &errors.entries[i];
        if (entry->kind == kind && !entry->used)
            fail_msg("nothing leads to the row of code %s, HTTP %s at %s", entry->row->cells[CODE],
                     entry->row->cells[HTTP], entry->row->cells[AT]);
    }
}

static void test_answers_without_code(void **state)
{
    static const char *const bodies[] = {"", "<html>", "{}", "{\"description\":\"no code\"}",
                                         "{\"code\":\"x\"}"};
    struct rig *rig = *state;
    for (size_t e = 0; e < ENDPOINT_COUNT; e++) {
        for (int status = 200; status <= 599; status++) {
            struct entry *entry = general_entry(WITHOUT_CODE, endpoints[e], status);
            entry->used = true;
            for (size_t b = 0; b < sizeof bodies / sizeof bodies[0]; b++)
                check_verdict(rig, entry, endpoints[e], status, bodies[b], false);
        }
    }
    expect_all_used(WITHOUT_CODE);
}

static bool is_listed(enum scm_endpoint endpoint, int64_t code)
{
    const struct scm_rule *rule;
    for (size_t i = 0; (rule = acme_scm_rule_at(i)) != NULL; i++) {
        if (rule->code == code && (rule->endpoints & (unsigned)endpoint) != 0)
            return true;
    }
    return false;
}

/* A code that no row lists at this endpoint, though maybe at another one. */
static void check_unlisted(struct rig *rig, enum scm_endpoint endpoint, int64_t code)
{
    for (size_t s = 0; s < STATUS_COUNT; s++) {
        int status = statuses[s];
        bool by_status = status == 401 || status == 403 || status == 429 || status >= 500 || status <= 299;
        if (status >= 300 && status <= 399) /* the document promises nothing but that an enroll is open */
            continue;
        struct entry *entry = general_entry(by_status ? WITHOUT_CODE : ANY_CODE, endpoint, status);
        entry->used = true;
        check_verdict(rig, entry, endpoint, status, coded_body(rig, code, NULL), false);
    }
}

static void test_unlisted_codes(void **state)
{
    static const int64_t made_up[] = {-77777, -5109, -17, 1, 200, 404};
    struct rig *rig = *state;
    for (size_t e = 0; e < ENDPOINT_COUNT; e++) {
        for (size_t i = 0; i < sizeof made_up / sizeof made_up[0]; i++) {
            assert_false(is_listed(endpoints[e], made_up[i]));
            check_unlisted(rig, endpoints[e], made_up[i]);
        }
        const struct scm_rule *rule;
        for (size_t i = 0; (rule = acme_scm_rule_at(i)) != NULL; i++) {
            if (!is_listed(endpoints[e], rule->code))
                check_unlisted(rig, endpoints[e], rule->code);
        }
        struct scm_verdict verdict;
        judge(rig, endpoints[e], 302, coded_body(rig, -77777, NULL), &verdict);
        assert_string_equal(class_cell(verdict.class), is_once(endpoints[e]) ? "open" : "retry");
    }
    expect_all_used(ANY_CODE);
}

/* No row without a word for the operator. */
static void test_every_row_advises(void **state)
{
    (void)state;
    for (size_t i = 0; i < errors.table.count; i++)
        assert_true(strlen(errors.table.rows[i].cells[ADVICE]) > 5);
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_statuses),       WITH_RIG(test_listed_codes),      WITH_RIG(test_answers_without_code),
        WITH_RIG(test_unlisted_codes), WITH_RIG(test_every_row_advises),
    };
    return cmocka_run_group_tests_name("backends/scm documents", tests, NULL, NULL);
}
