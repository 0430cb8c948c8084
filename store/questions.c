/* What only the operator can decide about a job, and what was decided. */
#include "store/internal.h"

#include <string.h>

static const char *const answer_words[] = {
    [ACME_ANSWER_NONE] = "none", [ACME_ANSWER_ACKNOWLEDGE] = "acknowledge", [ACME_ANSWER_DENY] = "deny"};
enum { ANSWER_COUNT = sizeof answer_words / sizeof answer_words[0] };

static struct acme_err load(struct acme_db *db, struct acme_arena *arena, const char *job_id,
                            struct acme_job_question *ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_one(db, &stmt,
                    "SELECT question_key, question, details, deadline_ms, asked_ms, answer, answered_ms,"
                    " answered_by FROM questions WHERE job_id = $1",
                    DB_TEXT(job_id)));
    struct acme_job_question question = {
        .key = acme_db_text(stmt, arena, 0),
        .text = acme_db_text(stmt, arena, 1),
        .details = acme_db_text(stmt, arena, 2),
        .deadline_ms = acme_db_int(stmt, 3),
        .asked_ms = acme_db_int(stmt, 4),
        .answer = (enum acme_job_answer)acme_db_word(stmt, 5, answer_words, ANSWER_COUNT),
        .answered_ms = acme_db_int(stmt, 6),
        .answered_by = acme_db_text(stmt, arena, 7),
    };
    TRY(acme_db_row_check(stmt));
    *ret = question;
    return acme_ok();
}

struct acme_err acme_store_question_get(struct acme_store *store, struct acme_arena *arena,
                                        const char *job_id, struct acme_job_question *ret)
{
    struct acme_db *db = acme_readers_acquire(&store->readers);
    struct acme_err err = load(db, arena, job_id, ret);
    acme_readers_release(&store->readers, db);
    return err;
}

struct acme_err acme_store_question_remove(struct acme_db *db, const char *job_id)
{
    return acme_db_run(db, NULL, "DELETE FROM questions WHERE job_id = $1", DB_TEXT(job_id));
}

/* An answer counts until a step has seen it, and for the very question it was given to. */
static struct acme_err put(struct acme_db *db, const char *job_id, const struct acme_job_question *question,
                           int64_t answer_seen_ms)
{
    return acme_db_run(
        db, NULL,
        "INSERT INTO questions (job_id, question_key, question, details, deadline_ms, asked_ms)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (job_id) DO UPDATE SET"
        " answer = CASE WHEN questions.question_key = excluded.question_key AND questions.answered_ms > $7"
        " THEN questions.answer ELSE 'none' END,"
        " asked_ms = CASE WHEN questions.question_key = excluded.question_key THEN questions.asked_ms"
        " ELSE excluded.asked_ms END,"
        " question_key = excluded.question_key, question = excluded.question, details = excluded.details,"
        " deadline_ms = excluded.deadline_ms",
        DB_TEXT(job_id), DB_TEXT(question->key), DB_TEXT(question->text), DB_TEXT(question->details),
        DB_INT(question->deadline_ms), DB_INT(question->asked_ms), DB_INT(answer_seen_ms));
}

struct acme_err acme_store_question_put(struct acme_db *db, const char *job_id,
                                        const struct acme_job_remark *remark)
{
    if (remark->question == NULL) {
        TRY(acme_store_question_remove(db, job_id));
        return acme_db_run(db, NULL, "UPDATE jobs SET asked = 0 WHERE id = $1", DB_TEXT(job_id));
    }
    TRY(put(db, job_id, remark->question, remark->answer_seen_ms));
    /* Answered while a step was under way that did not know it yet: the next one is due at once. */
    return acme_db_run(
        db, NULL,
        "UPDATE jobs SET asked = 1, run_at_ms = CASE WHEN answered THEN created_ms ELSE run_at_ms END,"
        " due_ms = CASE WHEN answered THEN created_ms ELSE due_ms END"
        " FROM (SELECT answer <> 'none' AS answered FROM questions WHERE job_id = $1) AS q WHERE id = $1",
        DB_TEXT(job_id));
}

struct answer {
    const char *job_id;
    const char *key;
    enum acme_job_answer answer;
    const char *by;
    int64_t now_ms;
};

static struct acme_err answer(struct acme_db *db, void *arg)
{
    const struct answer *request = arg;
    int64_t changed = 0;
    TRY(acme_db_run(db, &changed,
                    "UPDATE questions SET answer = $1, answered_ms = $2, answered_by = $3"
                    " WHERE job_id = $4 AND question_key = $5",
                    DB_TEXT(answer_words[request->answer]), DB_INT(request->now_ms), DB_TEXT(request->by),
                    DB_TEXT(request->job_id), DB_TEXT(request->key)));
    ENSURE(changed > 0, ACME_E_STATE);
    /* One that is being worked on is put back with its answer. */
    return acme_db_run(db, NULL,
                       "UPDATE jobs SET run_at_ms = $1, due_ms = $1"
                       " WHERE id = $2 AND owner IS NULL AND due_ms > $1",
                       DB_INT(request->now_ms), DB_TEXT(request->job_id));
}

struct acme_err acme_store_question_answer(struct acme_store *store, const char *job_id, const char *key,
                                           enum acme_job_answer given, const char *by, int64_t now_ms)
{
    struct answer request = {.job_id = job_id, .key = key, .answer = given, .by = by, .now_ms = now_ms};
    ENSURE(given != ACME_ANSWER_NONE, ACME_E_INTERNAL);
    return acme_writer_run(&store->writer, answer, &request);
}
