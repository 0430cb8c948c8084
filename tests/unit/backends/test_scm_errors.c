/* What the SCM issuer makes of refused and garbled enrolls: one row per code of the catalogue that enroll can
 * meet. */
#include "cmocka_all.h"

#include "scm_rig.h"

#include <string.h>

enum outcome {
    FAILS,   /* at once, with `problem` */
    RETRIES, /* nothing was made: waits `seconds`, enrolls again */
    LOGIN,   /* waits for the operator, enrolls again */
    SEARCHES /* may have been made: recovery */
};

struct row {
    int status;
    int code;
    enum outcome outcome;
    enum acme_problem_type problem;
    const char *description;
};

#define FAILS_WITH(code, problem)                                                                            \
    {                                                                                                        \
        400, code, FAILS, ACME_PROBLEM_##problem, "some words"                                               \
    }

static const struct row rows[] = {
    FAILS_WITH(-36, SERVER_INTERNAL),
    FAILS_WITH(-39, SERVER_INTERNAL),
    FAILS_WITH(-111, SERVER_INTERNAL),
    {400, -62, FAILS, ACME_PROBLEM_SERVER_INTERNAL, "Missing mandatory custom field!"},
    {400, -62, FAILS, ACME_PROBLEM_REJECTED_IDENTIFIER, "Invalid IP address 192.0.2.300"},
    FAILS_WITH(-64, SERVER_INTERNAL),
    FAILS_WITH(-35, SERVER_INTERNAL),
    FAILS_WITH(-7, SERVER_INTERNAL),
    FAILS_WITH(-951, SERVER_INTERNAL),
    FAILS_WITH(-1601, SERVER_INTERNAL),
    FAILS_WITH(-639, SERVER_INTERNAL),
    FAILS_WITH(-1021, SERVER_INTERNAL),
    FAILS_WITH(-1023, SERVER_INTERNAL),
    FAILS_WITH(-410, SERVER_INTERNAL),
    FAILS_WITH(-429, SERVER_INTERNAL),
    FAILS_WITH(-723, SERVER_INTERNAL),
    FAILS_WITH(-1608, SERVER_INTERNAL),
    FAILS_WITH(-843, SERVER_INTERNAL),
    FAILS_WITH(-9, BAD_CSR),
    FAILS_WITH(-10, BAD_CSR),
    FAILS_WITH(-138, BAD_CSR),
    FAILS_WITH(-11, BAD_PUBLIC_KEY),
    FAILS_WITH(-13, BAD_PUBLIC_KEY),
    FAILS_WITH(-194, BAD_PUBLIC_KEY),
    FAILS_WITH(-78, BAD_PUBLIC_KEY),
    FAILS_WITH(-141, BAD_PUBLIC_KEY),
    FAILS_WITH(-170, BAD_PUBLIC_KEY),
    FAILS_WITH(-107, REJECTED_IDENTIFIER),
    FAILS_WITH(-724, REJECTED_IDENTIFIER),
    FAILS_WITH(-737, REJECTED_IDENTIFIER),
    FAILS_WITH(-1137, REJECTED_IDENTIFIER),
    FAILS_WITH(-1603, REJECTED_IDENTIFIER),
    FAILS_WITH(-164, REJECTED_IDENTIFIER),
    FAILS_WITH(-306, REJECTED_IDENTIFIER),
    FAILS_WITH(-712, REJECTED_IDENTIFIER),
    FAILS_WITH(-713, REJECTED_IDENTIFIER),
    FAILS_WITH(-714, REJECTED_IDENTIFIER),
    FAILS_WITH(-732, REJECTED_IDENTIFIER),
    FAILS_WITH(-715, REJECTED_IDENTIFIER),
    FAILS_WITH(-727, REJECTED_IDENTIFIER),
    FAILS_WITH(-738, REJECTED_IDENTIFIER),
    FAILS_WITH(-1010, REJECTED_IDENTIFIER),
    FAILS_WITH(-188, RATE_LIMITED),
    FAILS_WITH(-1140, USER_ACTION_REQUIRED),
    FAILS_WITH(-5109, SERVER_INTERNAL), /* not in the catalogue */
    FAILS_WITH(-77777, SERVER_INTERNAL),
    {404, -1023, FAILS, ACME_PROBLEM_SERVER_INTERNAL, "Organization '8932' not found."},
    {400, -140, RETRIES, 0, "CSR decoding temporarily unavailable. Please try again later."},
    {400, -1138, RETRIES, 0, "Error while checking size of public key in CSR."},
    {401, -16, LOGIN, 0, "Unknown user"},
    {400, -16, LOGIN, 0, "Unknown user"},
    {400, -970, LOGIN, 0, "Incorrect login credentials."},
    {403, -37, LOGIN, 0, "Access denied."},
    {400, -3, LOGIN, 0, "You are not authorized to perform enroll."},
    {400, -25, LOGIN, 0, "You are not authorized to execute enroll"},
    {400, -226, LOGIN, 0, "This Admin account does not have privileges"},
    {400, -1, SEARCHES, 0, "Unknown error."},
    {400, -2, SEARCHES, 0, "Internal error."},
    {400, -14, SEARCHES, 0, "Unknown error."},
    {400, -43, SEARCHES, 0, "Internal error while decrypting."},
    {400, -65, SEARCHES, 0, "Internal error x."},
    {400, -129, SEARCHES, 0, "Connection error while applying certificate."},
    {400, -195, SEARCHES, 0, "CA is not available now. Please try again later."},
    {400, -196, SEARCHES, 0, "Connection error while retrieving DCV email list."},
    {400, -1400, SEARCHES, 0, "The request is being processed by Sectigo."},
    {400, 0, SEARCHES, 0, "Being processed by Sectigo"},
    {400, -3114, SEARCHES, 0, "modified"},
    {200, -36, SEARCHES, 0, "a refusal under a good status is no clear word"},
};

static void check(struct rig *rig, const struct row *row, const char *started, const struct acme_step *asked)
{
    /* Once with the number, once with the same as text and members added by a newer release. */
    for (int as_text = 0; as_text < 2; as_text++) {
        rig->state = started;
        rig->step = *asked;
        rig_reply(
            rig, row->status,
            as_text ? rig_format(rig, "{\"code\":\"%d\",\"description\":\"%s\",\"details\":{},\"items\":[1]}",
                                 row->code, row->description)
                    : rig_format(rig, "{\"code\":%d,\"description\":\"%s\"}", row->code, row->description));
        switch (row->outcome) {
        case FAILS:
            if (rig->step.kind != ACME_STEP_FAILED)
                fail_msg("code %d: %s", row->code, rig->step.note);
            rig_expect_failed(rig, row->problem);
            /* The client hears neither SCM's words nor its numbers; the operator both. */
            assert_null(strstr(rig->step.problem.detail, row->description));
            rig_expect_note(rig, row->description);
            rig_expect_note(rig, rig_format(rig, "code %d", row->code));
            break;
        case RETRIES:
            rig_expect_wait(rig, 5, true);
            rig_timer(rig);
            rig_expect_enroll(rig);
            break;
        case LOGIN:
            rig_expect_wait(rig, 60, true);
            rig_timer(rig);
            rig_expect_enroll(rig);
            break;
        case SEARCHES:
            rig_expect_search(rig, "commonName=www.example.test", true, 0);
            rig_expect_note(rig, row->description);
            break;
        }
    }
}

static void test_codes(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_expect_enroll(rig);
    const char *started = rig->state;
    const struct acme_step asked = rig->step;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check(rig, &rows[i], started, &asked);
}

static void test_bodies_that_say_nothing(void **state)
{
    static const struct {
        int status;
        const char *body;
        int64_t wait_s; /* 0: searches at once */
    } table[] = {
        {200, "", 0},
        {200, "{\"sslId\":42", 0},
        {200, "{}", 0},
        {200, "[]", 0},
        {200, "null", 0},
        {200, "{\"sslId\":\"many\"}", 0},
        {200, "{\"sslId\":-3}", 0},
        {200, "{\"sslId\":0}", 0},
        {200, "{\"sslId\":4.5}", 0},
        {200, "{\"sslId\":1,\"sslId\":2}", 0},
        {200, "<!DOCTYPE html><html><body>Service</body></html>", 0},
        {302, "", 0},
        {400, "", 0},
        {400, "{\"status\":400,\"error\":\"Bad Request\"}", 0},
        {404, "<html>not found</html>", 0},
        {500, "", 5},
        {500, "{\"code\":-36,\"description\":\"not believed under a 500\"}", 5},
        {502, "<html>bad gateway</html>", 5},
        {503, "upstream connect error", 5},
        {504, "", 5},
        {429, "", 5},
    };
    struct rig *rig = *state;
    rig_start(rig);
    const char *started = rig->state;
    const struct acme_step asked = rig->step;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        rig->state = started;
        rig->step = asked;
        rig_reply(rig, table[i].status, table[i].body);
        if (table[i].wait_s > 0) {
            rig_expect_wait(rig, table[i].wait_s, true);
            rig_timer(rig);
        }
        rig_expect_search(rig, "commonName=www.example.test", true, 0);
    }
    rig->state = started;
    rig->step = asked;
    rig_reply_header(rig, 429, "retry-after", "77", "slow down");
    rig_expect_wait(rig, 77, true);
    assert_int_equal(rig->enrolls, 1);
}

static void test_id_as_text(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_reply(rig, 201, "{\"sslId\":\"4242\"}");
    rig_expect_wait(rig, 3, false);
    rig_expect_ref(rig, "4242");
}

static void test_plain_401_on_enroll(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_reply(rig, 401, "<html>who are you</html>");
    rig_expect_wait(rig, 60, true);
    rig_expect_note(rig, "login");
    rig_timer(rig);
    rig_expect_enroll(rig); /* the operator has put the password right */
    rig_reply(rig, 200, "{\"sslId\":4242}");
    rig_expect_wait(rig, 3, false);
}

static void test_key_check_fails_twice(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_reply(rig, 400, "{\"code\":-1138,\"description\":\"Error while checking\"}");
    rig_expect_wait(rig, 5, true);
    rig_timer(rig);
    rig_expect_enroll(rig);
    rig_reply(rig, 400, "{\"code\":-1138,\"description\":\"Error while checking\"}");
    rig_expect_failed(rig, ACME_PROBLEM_BAD_PUBLIC_KEY);
}

/* A description that echoes our password goes nowhere (the rig searches every step for it). */
static void test_echoed_password(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_reply(rig, 400, "{\"code\":-36,\"description\":\"bad header password=" RIG_PASSWORD "\"}");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "code -36");
}

static void test_foreign_bytes_in_description(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_reply(rig, 400, "{\"code\":-138,\"description\":\"evil\\u001b[31m\\nlevel=error\"}");
    rig_expect_failed(rig, ACME_PROBLEM_BAD_CSR);
    assert_null(strchr(rig->step.note, '\033'));
    assert_null(strchr(rig->step.note, '\n'));
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_codes),
        WITH_RIG(test_bodies_that_say_nothing),
        WITH_RIG(test_id_as_text),
        WITH_RIG(test_plain_401_on_enroll),
        WITH_RIG(test_key_check_fails_twice),
        WITH_RIG(test_echoed_password),
        WITH_RIG(test_foreign_bytes_in_description),
    };
    return cmocka_run_group_tests_name("backends/scm errors", tests, NULL, NULL);
}
