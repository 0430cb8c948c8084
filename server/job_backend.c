/* What jobs that drive a backend (an issuer, a deployer) share: from step to step, and what must be committed
 * before and after each one. What the steps are about is their class's (job_issue.c, job_revoke.c). */
#include "server/runner_internal.h"

#include <string.h>

enum {
    STEP_ARENA_BYTES =
        8 * 1024 * 1024,   /* holds a reply (at most 1 MiB by default), its parsed form and the next call */
    STEPS_PER_RUN = 10000, /* a backend that never waits is broken: stop, look again later */
    STEP_RETRY_MAX_MS = 5 * 60 * 1000,
    SLOT_WAIT_MAX_MS =
        60 * 1000, /* in memory, for the calls after a run's first: no more jobs do than have places */
    LINE_LOOK_MS = 15 * 1000,  /* of who is next, if it was not told that its turn has come */
    CHILD_LOOK_MS = 60 * 1000, /* likewise for what was delegated */
    WAIT_MIN_MS = 250 /* the scheduler must not meet a job that is due before this thread has let go of it */
};

static void take_step(struct active_job *job);

static void log_note(const struct active_job *job, const struct acme_step *step)
{
    if (step->note == NULL)
        return;
    const struct backend_run *run = job->run;
    const char *ref = step->upstream_ref != NULL ? step->upstream_ref : run->upstream_ref;
    if (step->kind == ACME_STEP_FAILED || (step->kind == ACME_STEP_WAIT && step->failure))
        acme_log(WARN, run->class->name, LOG_STR("note", step->note),
                 LOG_STR(run->class->role, run->backend->name), LOG_STR(run->class->about, run->about),
                 LOG_STR("upstream", ref), LOG_INT("attempts", job->attempts));
    else
        acme_log(INFO, run->class->name, LOG_STR("note", step->note),
                 LOG_STR(run->class->role, run->backend->name), LOG_STR(run->class->about, run->about),
                 LOG_STR("upstream", ref));
}

void acme_job_log_code(const struct active_job *job, const char *event, struct acme_err err)
{
    acme_log(ERROR, event, LOG_STR("job", job->id), LOG_STR("subject", job->subject_id),
             LOG_STR("code", acme_code_name(err.code)));
}

static void release_reply(struct active_job *job)
{
    acme_arena_destroy(job->reply_arena);
    job->reply_arena = NULL;
    job->run->input.reply = NULL;
    job->run->input.ran = NULL;
    job->run->input.failure = NULL;
}

/* What an upstream's pace makes of a wait for news: when a crowd waits, orders are asked about in intervals
 * that grow with their age, up to where all of them together take half of the pace. */
static int64_t spread_out(const struct active_job *job, int64_t run_at_ms)
{
    const struct backend_run *run = job->run;
    if (job->queue->upstream == NULL)
        return run_at_ms;
    int64_t now_ms = acme_job_now_ms(job);
    int64_t delay_ms = 2 * acme_job_crowd(job) * acme_upstream_interval_ms(job->queue->upstream);
    if (delay_ms > now_ms - job->created_ms)
        delay_ms = now_ms - job->created_ms;
    if (run->deadline_ms != 0 && delay_ms > run->deadline_ms - now_ms)
        delay_ms = run->deadline_ms - now_ms;
    return run_at_ms < now_ms + delay_ms ? now_ms + delay_ms : run_at_ms;
}

/* For who asks "acmebridge order explain". */
static struct acme_job_remark remark_of(const struct active_job *job, const char *note)
{
    return (struct acme_job_remark){
        .note = note, .noted_ms = acme_job_now_ms(job), .upstream_ref = job->run->upstream_ref};
}

/* Give the job back until `run_at_ms`. */
static void put_back(struct active_job *job, int64_t run_at_ms, bool failure,
                     const struct acme_job_remark *remark)
{
    struct backend_run *run = job->run;
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    int64_t soonest_ms = acme_job_now_ms(job) + WAIT_MIN_MS;
    if (run_at_ms < soonest_ms)
        run_at_ms = soonest_ms;
    char *state = acme_json_print(job->arena, run->state);
    struct acme_err err = acme_err(ACME_E_NOMEM);
    if (state != NULL)
        err = acme_store_job_wait(options->store, job->id, options->owner, state, run_at_ms,
                                  job->attempts + (failure ? 1 : 0), remark);
    if (acme_failed(err)) {
        acme_job_log_code(job, "job could not be put back", err);
        acme_job_drop(job);
        return;
    }
    acme_job_done(job, run_at_ms);
}

void acme_job_backend_wait(struct active_job *job, int64_t run_at_ms, bool failure, const char *note)
{
    const struct acme_job_remark remark = remark_of(job, note);
    put_back(job, run_at_ms, failure, &remark);
}

/* An answer to another question than the one that is asked now has been given in vain. */
static void log_answer(const struct active_job *job, const struct acme_step *step)
{
    const struct backend_run *run = job->run;
    if (run->answer.key == NULL)
        return;
    if (step->question != NULL && strcmp(step->question->key, run->answer.key) != 0)
        acme_log(WARN, "an answer of the operator does not count, what is asked has changed",
                 LOG_STR(run->class->about, run->about), LOG_STR("by", run->question.answered_by));
}

/* WAIT: when the job is to be run again. */
static int64_t wait_until_ms(const struct active_job *job, const struct acme_step *step)
{
    const struct backend_run *run = job->run;
    int64_t now_ms = acme_job_now_ms(job);
    int64_t until_ms = step->wait_until_ms;
    if (step->failure)
        return until_ms;
    if (!run->in_line && !run->child_pending) /* those do not ask the upstream */
        until_ms = spread_out(job, until_ms);
    if (run->is_next && until_ms > now_ms + LINE_LOOK_MS)
        until_ms = now_ms + LINE_LOOK_MS;
    if (run->child_pending && until_ms > now_ms + CHILD_LOOK_MS)
        until_ms = now_ms + CHILD_LOOK_MS;
    return until_ms;
}

static void take_wait(struct active_job *job, const struct acme_step *step)
{
    const struct backend_run *run = job->run;
    struct acme_job_remark remark = remark_of(job, step->note);
    struct acme_job_question question;
    if (step->question != NULL) {
        question = (struct acme_job_question){.key = step->question->key,
                                              .text = step->question->text,
                                              .details = step->question->details,
                                              .deadline_ms = step->question->deadline_ms,
                                              .asked_ms = run->input.now_ms};
        remark.question = &question;
    }
    remark.asks = step->question != NULL || job->asked;
    remark.answer_seen_ms = run->question.answered_ms;
    log_answer(job, step);
    put_back(job, wait_until_ms(job, step), step->failure, &remark);
}

/* ---- calls ---- */

static void continue_on_job_thread(void *argument)
{
    struct active_job *job = argument;
    acme_upstream_keep(job->queue->upstream);
    take_step(job);
}

/* On the outbound thread. */
static void call_done(void *context, const struct acme_outbound_result *result)
{
    struct active_job *job = context;
    struct backend_run *run = job->run;
    if (result->failure == ACME_OUTBOUND_CANCELLED) {
        acme_job_drop(job);
        return;
    }
    if (job->has_slot) {
        job->has_slot = false;
        acme_upstream_called(job->queue->upstream, result, acme_job_now_ms(job));
    }
    job->reply_arena = acme_arena_create(STEP_ARENA_BYTES);
    if (job->reply_arena == NULL) {
        acme_job_drop(job); /* an intent, if any, stands in the store: the next run recovers */
        return;
    }
    acme_arena_wipe_at_end(job->reply_arena);
    run->input.answer = NULL; /* the step that made this call has seen it */
    if (result->failure == ACME_OUTBOUND_OK) {
        run->input.event = ACME_EVENT_REPLY;
        run->input.reply = acme_http_reply_copy(job->reply_arena, result->reply);
        if (run->input.reply == NULL) {
            acme_job_drop(job);
            return;
        }
    } else {
        run->input.event = ACME_EVENT_CALL_FAILED;
        run->input.failure =
            acme_arena_strdup(job->reply_arena, result->detail != NULL ? result->detail : "");
        run->input.reached = result->failure != ACME_OUTBOUND_DNS &&
                             result->failure != ACME_OUTBOUND_CONNECT &&
                             result->failure != ACME_OUTBOUND_TLS && result->failure != ACME_OUTBOUND_LOGIN &&
                             result->failure != ACME_OUTBOUND_DENIED;
    }
    acme_job_submit(job, continue_on_job_thread);
}

static bool is_unwanted(struct active_job *job)
{
    const struct backend_run_class *class = job->run->class;
    return class->end_unwanted != NULL && class->end_unwanted(job);
}

/* What must not happen twice is announced in the store first; a known outcome of such a call, and a lease
 * that grows old, are saved as well. False when the job has been given away. */
static bool announce(struct active_job *job, const struct acme_step *step)
{
    struct backend_run *run = job->run;
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    /* At the start that was looked at already. */
    if (step->once && run->input.event != ACME_EVENT_START && is_unwanted(job))
        return false;
    bool lease_is_old = acme_job_now_ms(job) - job->leased_ms > options->lease_ms / 2;
    if (step->once || run->once_under_way || job->intent || lease_is_old) {
        struct acme_lease lease = acme_job_lease(job);
        const struct acme_job_remark remark = remark_of(job, step->note);
        char *state = acme_json_print(job->arena, run->state);
        struct acme_err err = acme_err(ACME_E_NOMEM);
        if (state != NULL)
            err = acme_store_job_save(options->store, job->id, &lease, state, step->once, &remark);
        if (acme_failed(err)) {
            acme_job_log_code(job, "job could not be saved before its call", err);
            acme_job_drop(job);
            return false;
        }
        job->intent = step->once;
        job->leased_ms = acme_job_now_ms(job);
    }
    run->once_under_way = step->once;
    return true;
}

static void send_call(struct active_job *job, const struct acme_step *step)
{
    if (!announce(job, step))
        return;
    struct acme_err err = acme_outbound_call(acme_runner_options_of(job->runner)->outbound,
                                             &job->run->backend->transport, &step->call, call_done, job);
    if (acme_failed(err)) {
        acme_job_log_code(job, "call could not be started", err);
        acme_job_drop(job);
    }
}

/* ---- programs ---- */

static struct acme_err hear_of_end(struct active_job *job, const struct acme_process_end *end)
{
    struct acme_step_input *input = &job->run->input;
    job->reply_arena = acme_arena_create(STEP_ARENA_BYTES);
    ENSURE(job->reply_arena != NULL, ACME_E_NOMEM);
    input->answer = NULL; /* the step that had this run has seen it */
    if (end->outcome == ACME_PROCESS_NOT_STARTED) {
        input->event = ACME_EVENT_CALL_FAILED;
        input->reached = false;
        input->failure = acme_arena_strdup(job->reply_arena, end->detail != NULL ? end->detail : "");
        ENSURE(input->failure != NULL, ACME_E_NOMEM);
        return acme_ok();
    }
    struct acme_program_result *ran = acme_arena_memdup(job->reply_arena, &end->result, sizeof end->result);
    ENSURE(ran != NULL, ACME_E_NOMEM);
    ran->output = acme_arena_strdup(job->reply_arena, end->result.output);
    ENSURE(ran->output != NULL, ACME_E_NOMEM);
    input->event = ACME_EVENT_REPLY;
    input->ran = ran;
    return acme_ok();
}

/* On the thread that has watched the program. */
static void program_done(void *context, const struct acme_process_end *end)
{
    struct active_job *job = context;
    if (end->outcome == ACME_PROCESS_CANCELLED || acme_failed(hear_of_end(job, end)))
        acme_job_drop(job); /* an intent, if any, stands in the store: the next run recovers */
    else
        acme_job_submit(job, continue_on_job_thread);
}

/* A program may take an hour. If this was to be the call that tries an upstream which does not work, nobody
 * else could try it meanwhile. */
static void return_slot(struct active_job *job)
{
    if (!job->has_slot)
        return;
    job->has_slot = false;
    acme_upstream_cancel(job->queue->upstream, &job->slot);
    acme_runner_wake(job->runner, job->queue->name);
}

static void run_program(struct active_job *job, const struct acme_step *step)
{
    struct acme_processes *processes = acme_runner_options_of(job->runner)->processes;
    if (!announce(job, step))
        return;
    return_slot(job);
    struct acme_err err = acme_err(ACME_E_UNSUPPORTED);
    if (processes != NULL)
        err = acme_processes_run(processes, &step->run, program_done, job);
    if (acme_failed(err)) {
        acme_job_log_code(job, "program could not be started", err);
        acme_job_drop(job);
    }
}

/* ---- the pace of the upstream ---- */

/* Give the job back as it stands in the store: as if this run had not been. */
static void release(struct active_job *job, int64_t delay_ms)
{
    const struct acme_runner_options *options = acme_runner_options_of(job->runner);
    int64_t run_at_ms = acme_job_now_ms(job) + (delay_ms < WAIT_MIN_MS ? WAIT_MIN_MS : delay_ms);
    struct acme_err err = acme_store_job_release(options->store, job->id, options->owner, run_at_ms);
    if (acme_failed(err)) {
        acme_job_log_code(job, "job could not be put back", err);
        acme_job_drop(job);
        return;
    }
    acme_job_done(job, run_at_ms);
}

/* The first step of a run. While the job waited for its slot the upstream may have begun to fail. */
static void enter(void *argument)
{
    struct active_job *job = argument;
    int64_t closed_ms = job->has_slot ? acme_upstream_closed_ms(job->queue->upstream, &job->slot) : 0;
    if (closed_ms > 0)
        release(job, closed_ms);
    else if (job->run->input.event != ACME_EVENT_START || !is_unwanted(job))
        take_step(job);
}

/* On the outbound thread. */
static void slot_came(void *context, const struct acme_outbound_result *result)
{
    struct active_job *job = context;
    bool first = job->run->steps == 0;
    if (result->failure == ACME_OUTBOUND_CANCELLED)
        acme_job_drop(job);
    else
        acme_job_submit(job, first ? enter : continue_on_job_thread);
}

/* Without a thread, and before the step: what it decides is then as new as its call. */
static void wait_for_slot(struct active_job *job)
{
    struct acme_outbound *outbound = acme_runner_options_of(job->runner)->outbound;
    struct acme_err err = acme_outbound_wait(outbound, acme_upstream_slot_ms(&job->slot), slot_came, job);
    if (acme_failed(err)) {
        acme_job_log_code(job, "a wait could not be started", err);
        acme_job_drop(job);
    }
}

/* A call that follows another in the same run: true when it can be made now. Else the job has been given
 * away: it waits for its slot with the state `before` the step, which is then taken again, or goes back to
 * the store, as it does with the known outcome of a call that must not happen twice. A step that ends in such
 * a call may have noted it in the state, so it is not kept. */
static bool get_slot(struct active_job *job, const struct acme_step *step, cJSON *before)
{
    struct backend_run *run = job->run;
    int64_t retry_ms = acme_upstream_book(job->queue->upstream, SLOT_WAIT_MAX_MS, &job->slot);
    if (retry_ms == 0) {
        job->has_slot = true;
        retry_ms = acme_upstream_slot_ms(&job->slot);
        if (retry_ms == 0)
            return true;
        if (!acme_job_is_ending(job) && (step->once || !run->once_under_way)) {
            cJSON *decided = run->state->child;
            run->state->child = before->child;
            before->child = decided;
            wait_for_slot(job);
            return false;
        }
    }
    if (step->once)
        release(job, retry_ms);
    else
        acme_job_backend_wait(job, run->input.now_ms + retry_ms, false, NULL);
    return false;
}

/* ---- steps ---- */

/* Before the job may be given away: no other issuance takes the request for its own then. */
static void learn_ref(struct active_job *job, const struct acme_step *step)
{
    struct backend_run *run = job->run;
    const char *ref = step->upstream_ref;
    if (ref == NULL || (run->upstream_ref != NULL && strcmp(ref, run->upstream_ref) == 0))
        return;
    run->upstream_ref = acme_arena_strdup(job->arena, ref);
    if (run->upstream_ref != NULL && run->class->ref_known != NULL)
        run->class->ref_known(job);
}

static void take_step(struct active_job *job)
{
    struct backend_run *run = job->run;
    run->input.now_ms = acme_job_now_ms(job);
    run->input.attempts = job->attempts;
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(STEP_ARENA_BYTES);
    struct acme_step step = {.kind = ACME_STEP_FAILED};
    struct acme_err err = acme_err(arena == NULL ? ACME_E_NOMEM : ACME_E_INTERNAL);
    bool needs_slot = job->queue->upstream != NULL && !job->has_slot;
    cJSON *before = needs_slot ? cJSON_Duplicate(run->state, true) : NULL;
    if (needs_slot && before == NULL)
        err = acme_err(ACME_E_NOMEM);
    else if (arena != NULL && ++run->steps <= STEPS_PER_RUN)
        err = run->class->step(run, arena, &step);
    if (!acme_failed(err))
        learn_ref(job, &step);
    bool may_go =
        acme_failed(err) || !needs_slot || step.kind != ACME_STEP_CALL || get_slot(job, &step, before);
    cJSON_Delete(before);
    if (!may_go)
        return;
    if (acme_failed(err)) {
        acme_job_log_code(job, "the step of an issuer or deployer failed, will be tried again", err);
        if (run->class->end_after_deadline(job))
            return;
        if (job->intent) /* leave the intent as it is: only the backend's RECOVER may decide about it */
            acme_job_drop(job);
        else
            acme_job_backend_wait(
                job, run->input.now_ms + acme_job_backoff_ms(job->attempts + 1, STEP_RETRY_MAX_MS), true,
                "the step failed for a reason of this server's own; see its log");
        return;
    }
    log_note(job, &step);
    switch (step.kind) {
    case ACME_STEP_CALL:
        release_reply(job);
        send_call(job, &step);
        break;
    case ACME_STEP_WAIT:
        take_wait(job, &step);
        break;
    case ACME_STEP_DELEGATE:
        if (run->class->delegate != NULL)
            run->class->delegate(job, &step);
        else
            run->class->end(job, &step);
        break;
    case ACME_STEP_RUN:
        release_reply(job);
        run_program(job, &step);
        break;
    case ACME_STEP_ISSUED:
    case ACME_STEP_DONE:
    case ACME_STEP_FAILED:
        run->class->end(job, &step);
        break;
    }
}

/* What the operator is asked, and has answered. */
static struct acme_err load_question(struct active_job *job, struct backend_run *run)
{
    static const enum acme_decision decisions[] = {
        [ACME_ANSWER_ACKNOWLEDGE] = ACME_DECISION_ACKNOWLEDGE, [ACME_ANSWER_DENY] = ACME_DECISION_DENY};
    if (!job->asked)
        return acme_ok();
    TRY(acme_store_question_get(acme_runner_options_of(job->runner)->store, job->arena, job->id,
                                &run->question));
    if (run->question.answer != ACME_ANSWER_NONE)
        run->answer =
            (struct acme_answer){.decision = decisions[run->question.answer], .key = run->question.key};
    return acme_ok();
}

struct acme_err acme_job_backend_load(struct active_job *job, struct backend_run *run)
{
    const char *state = job->state != NULL ? job->state : "{}";
    TRY(acme_json_parse(job->arena, state, strlen(state), &run->state));
    run->backend = job->queue->backend;
    run->services = acme_job_services_of(job);
    run->input.services = &run->services;
    return load_question(job, run);
}

void acme_job_backend_run(struct active_job *job)
{
    struct backend_run *run = job->run;
    if (run->backend == NULL) { /* stays leased, and with it as it is, for when it comes back */
        if (!run->class->end_after_deadline(job))
            acme_job_drop(job);
        return;
    }
    if (job->intent)
        run->input.event = ACME_EVENT_RECOVER;
    else
        run->input.event = job->state == NULL ? ACME_EVENT_START : ACME_EVENT_TIMER;
    if (run->input.event == ACME_EVENT_TIMER && run->answer.key != NULL)
        run->input.answer = &run->answer;
    if (job->has_slot && acme_upstream_slot_ms(&job->slot) > 0)
        wait_for_slot(job);
    else
        enter(job);
}
