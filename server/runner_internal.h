/* Shared by the runner and the kinds of jobs it runs (job_issue.c, job_revoke.c, job_validate.c,
 * job_deploy.c). */
#ifndef ACME_SERVER_RUNNER_INTERNAL_H
#define ACME_SERVER_RUNNER_INTERNAL_H

#include "server/runner.h"
#include "server/shares.h"
#include "server/upstream.h"

#include "base/id.h"
#include "base/json.h"
#include "base/log.h"

#include <sys/queue.h>

enum { ACME_JOB_ARENA_BYTES = 4 * 1024 * 1024 };

struct job_queue {
    struct acme_runner *runner;
    const char *name;
    const struct acme_backend *backend; /* NULL: the validation queue, or no longer configured */
    size_t max_active;
    size_t active;
    size_t reserved;                /* places for what is being claimed */
    bool keep_room;                 /* no account may take all places: acme_shares_allow */
    bool blocked;                   /* what is due waits for a job to end */
    uint64_t ended;                 /* jobs so far */
    int64_t next_due_ms;            /* 0: nothing known to be due ever */
    struct acme_upstream *upstream; /* what paces its calls; NULL: nothing does */
    bool owns_upstream;
    bool uses_lines; /* its jobs stand in lines (acme_job_services.claim) */
    int64_t crowd;   /* its jobs that wait in the store, as of crowd_ms; the scheduler's */
    int64_t crowd_ms;
    struct acme_shares *shares; /* of what is active */
    struct acme_turns turns;    /* of the claims; touched by the scheduler only */
};

/* One leased job while this process works on it. Touched by one thread at a time: a job thread, then the
 * outbound thread that brings an answer, then a job thread again. */
struct active_job {
    LIST_ENTRY(active_job) known_entry; /* in the runner's table of known ids */
    struct acme_runner *runner;
    struct job_queue *queue;
    struct acme_share *share; /* in its queue's shares */
    struct acme_arena *arena; /* for the whole run of this lease */
    struct acme_arena
        *reply_arena; /* the answer of the last call, until the step that reads it is over; NULL: none */
    char id[ACME_ID_SIZE];
    char subject_id[ACME_ID_SIZE];
    enum acme_job_kind kind;
    bool intent;
    int attempts;
    int64_t created_ms;
    struct acme_gate_slot slot; /* for the next call */
    bool has_slot;
    bool asked;              /* the operator is asked something, as loaded */
    bool wakes_others;       /* when it ends, jobs of other queues may be due */
    int64_t leased_ms;       /* when the lease was last renewed */
    const char *state;       /* as loaded; NULL before the first step */
    struct backend_run *run; /* of a kind that drives a backend, else NULL */
    struct validate_run *validate;
};

/** acme_job_is_ending(job): we are stopping: begin nothing that takes time. */
bool acme_job_is_ending(const struct active_job *job);

/** acme_job_crowd(job): how many jobs its queue has in the store, as of not long ago. */
int64_t acme_job_crowd(const struct active_job *job);

/** acme_job_submit(job, run): continue on a job thread. When that is impossible (stopping) the job is
 * dropped: its lease ends with the process. */
void acme_job_submit(struct active_job *job, void (*run)(void *job));

/** acme_job_drop(job): stop working on it without a change in the store (stopping, lost lease, broken store).
 * Releases `job`. */
void acme_job_drop(struct active_job *job);

/** acme_job_done(job, next_run_ms): its outcome is committed; next_run_ms is when it is due again, 0 when it
 * is gone. Releases `job`. */
void acme_job_done(struct active_job *job, int64_t next_run_ms);

/** acme_job_uses_lines(job): jobs of its queue may hold up others, which are looked for when they end. */
void acme_job_uses_lines(struct active_job *job);

/** acme_job_lease(job): the lease to write with, from now. */
struct acme_lease acme_job_lease(const struct active_job *job);

/** acme_job_account_url(job, account_id): as the account knows it; in the job's arena, NULL without memory.
 */
char *acme_job_account_url(const struct active_job *job, const char *account_id);

int64_t acme_job_now_ms(const struct active_job *job);

/** acme_job_backoff_ms(attempts, max_ms): 2 s doubling, with up to 25 % added at random so that a crowd
 * spreads out. */
int64_t acme_job_backoff_ms(int attempts, int64_t max_ms);

/* The kinds. Each is entered on a job thread with a freshly leased job and ends in one of the three functions
 * above. */
void acme_job_issue_run(void *argument);
void acme_job_revoke_run(void *argument);
void acme_job_validate_run(void *argument);
void acme_job_deploy_run(void *argument);

/** acme_deploy_alert_revoked(store, arena, certificate_id): when this certificate is revoked, an ALERT in the
 * log for each place where it still is. */
void acme_deploy_alert_revoked(struct acme_store *store, struct acme_arena *arena,
                               const char *certificate_id);

/* ---- job_backend.c: jobs that drive a backend ---- */

struct backend_run_class {
    const char *name;  /* of the log's event: "issuance" */
    const char *about; /* of the log's field for run->about: "order" */
    const char *role;  /* of the log's field for the backend's name: "issuer" */
    struct acme_err (*step)(struct backend_run *run, struct acme_arena *arena, struct acme_step *ret);
    /** end(job, step): the backend has ended with ISSUED, DONE or FAILED: commit that. Gives the job away. */
    void (*end)(struct active_job *job, const struct acme_step *step);
    /** end_after_deadline(job): what the backend itself cannot end any more: true when the time is over and
     * the job has been ended, and given away. */
    bool (*end_after_deadline)(struct active_job *job);
    /** end_unwanted(job): asked before the first step and before each call that must not happen twice: true
     * when it shall not be made any more and the job has been ended, and given away. NULL: always wanted. */
    bool (*end_unwanted)(struct active_job *job);
    /** delegate(job, step): DELEGATE. Gives the job away. NULL: there is nothing to delegate, it ends. */
    void (*delegate)(struct active_job *job, const struct acme_step *step);
    /** ref_known(job): run->upstream_ref is new. NULL: nothing to do. */
    void (*ref_known)(struct active_job *job);
};

/* First member of the kinds' own. */
struct backend_run {
    const struct backend_run_class *class;
    const char *about;                  /* what people know the subject by */
    const struct acme_backend *backend; /* NULL: no longer configured */
    int64_t deadline_ms;                /* when the backend is asked at the latest; 0: none */
    cJSON *state;
    bool once_under_way; /* the call in flight was flagged `once` */
    int steps;
    const char *upstream_ref;
    struct acme_job_services services;
    bool in_line;                      /* others come first, as of the last claim */
    bool is_next;                      /* one other does */
    bool has_children;                 /* something was delegated */
    bool child_pending;                /* what was delegated has not ended, as of when it was asked for */
    struct acme_job_question question; /* when job->asked */
    struct acme_answer answer;         /* to that */
    struct acme_step_input input;
};

/** acme_job_backend_load(job, run): the backend of the job's queue, and the saved state. Errors: FORMAT,
 * NOMEM.
 */
struct acme_err acme_job_backend_load(struct active_job *job, struct backend_run *run) ACME_MUST_USE;

/** acme_job_backend_run(job): drive the backend of job->run, which is loaded, as far as it goes now. Gives
 * the job away. */
void acme_job_backend_run(struct active_job *job);

/** acme_job_backend_wait(job, run_at_ms, failure, note): give the job back until then; what the operator is
 * asked stays. `note` may be NULL. */
void acme_job_backend_wait(struct active_job *job, int64_t run_at_ms, bool failure, const char *note);

/* ---- job_services.c, job_delegate.c ---- */

/** acme_job_services_of(job): for the steps of this run. */
struct acme_job_services acme_job_services_of(struct active_job *job);

/** acme_job_delegate(job, parent, step, ret_why): start what DELEGATE of the issuance `parent` wants. Gives
 * the job away when it succeeds. Errors: as acme_csr_parse, with *ret_why; INTERNAL. */
struct acme_err acme_job_delegate(struct active_job *job, const struct acme_issuance *parent,
                                  const struct acme_step *step, const char **ret_why) ACME_MUST_USE;

/** acme_job_log_code(job, event, err): our own failure, for the operator. */
void acme_job_log_code(const struct active_job *job, const char *event, struct acme_err err);

#endif
