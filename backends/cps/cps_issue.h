/* What the files share that turn an order into a change of an enrollment. One step: load the saved state, let
 * the phase decide, store the state.
 *
 *   find --> read --update answered with a change, or one adopted--> follow --completed--> collect --> ISSUED
 *             |  ^                                                     |
 *             +--+ outcome unknown: pending changes, history           +--cancel--> FAILED
 */
#ifndef ACME_BACKENDS_CPS_CPS_ISSUE_H
#define ACME_BACKENDS_CPS_CPS_ISSUE_H

#include "backends/cps/cps_internal.h"

struct cps_issue {
    struct cps_context ctx;
    const struct acme_issue_request *request;
    const struct acme_cps_profile *profile;
    struct cps_enrollment enrollment; /* of the last reply */
};

/* ---- cps_find.c ---- */

/** acme_cps_find_begin(issue): which enrollment is it? */
struct acme_err acme_cps_find_begin(struct cps_issue *issue) ACME_MUST_USE;
struct acme_err acme_cps_find_reply(struct cps_issue *issue) ACME_MUST_USE;

/* ---- cps_read.c ---- */

/** acme_cps_read_begin(issue): get in line for the enrollment, see what is deployed, read it. */
struct acme_err acme_cps_read_begin(struct cps_issue *issue) ACME_MUST_USE;
struct acme_err acme_cps_baseline_reply(struct cps_issue *issue) ACME_MUST_USE;
struct acme_err acme_cps_enrollment_reply(struct cps_issue *issue) ACME_MUST_USE;
struct acme_err acme_cps_match_reply(struct cps_issue *issue) ACME_MUST_USE;

/* ---- cps_names.c ---- */

/* What an order wants of an enrollment's names. */
struct cps_names {
    size_t added;
    size_t removed;
    const char *first_added;   /* NULL: none */
    const char *first_removed; /* likewise */
    bool without_common_name;  /* the order lacks the common name, which cannot go */
};

void acme_cps_names_compare(const struct cps_issue *issue, struct cps_names *ret);

/** acme_cps_names_refused(issue, names, ret_detail): why the change may not be made; *ret_detail NULL: it
 * may. Errors: NOMEM. */
struct acme_err acme_cps_names_refused(struct cps_issue *issue, const struct cps_names *names,
                                       const char **ret_detail) ACME_MUST_USE;

/* ---- cps_update.c: the one call that must not be repeated on a guess ---- */

struct acme_err acme_cps_update_call(struct cps_issue *issue, const struct cps_names *names) ACME_MUST_USE;
struct acme_err acme_cps_update_reply(struct cps_issue *issue) ACME_MUST_USE;
struct acme_err acme_cps_update_failed(struct cps_issue *issue) ACME_MUST_USE;

/* ---- cps_recover.c: has an update with an open outcome happened? ---- */

/** acme_cps_recover(issue): as far as issue->enrollment shows. */
struct acme_err acme_cps_recover(struct cps_issue *issue) ACME_MUST_USE;
struct acme_err acme_cps_history_reply(struct cps_issue *issue) ACME_MUST_USE;

/* ---- cps_follow.c ---- */

/** acme_cps_follow_enter(issue, change, adopted): from now on the issuance is this change. */
void acme_cps_follow_enter(struct cps_issue *issue, int64_t change, bool adopted);
struct acme_err acme_cps_follow_begin(struct cps_issue *issue) ACME_MUST_USE;
struct acme_err acme_cps_follow_reply(struct cps_issue *issue) ACME_MUST_USE;

/* ---- cps_sign.c ---- */

/** acme_cps_sign_waits(issue, ret): do certificates that were asked for still lack? *ret: the step is a wait,
 * or the end. */
struct acme_err acme_cps_sign_waits(struct cps_issue *issue, bool *ret) ACME_MUST_USE;
/** acme_cps_sign(issue): have the CSRs of issue->ctx signed, then upload. */
struct acme_err acme_cps_sign(struct cps_issue *issue) ACME_MUST_USE;

/* ---- cps_collect.c ---- */

struct acme_err acme_cps_collect_begin(struct cps_issue *issue, const char *note) ACME_MUST_USE;
struct acme_err acme_cps_collect_reply(struct cps_issue *issue) ACME_MUST_USE;

/* ---- cps_end.c ---- */

/** acme_cps_end(issue, type, detail, note): the issuance fails; a change of ours is cancelled before, when
 * that is safe. */
struct acme_err acme_cps_end(struct cps_issue *issue, enum acme_problem_type type, const char *detail,
                             const char *note) ACME_MUST_USE;
/** acme_cps_cancel_begin(issue): a cancellation is (again) to be sent. */
struct acme_err acme_cps_cancel_begin(struct cps_issue *issue) ACME_MUST_USE;
struct acme_err acme_cps_cancel_done(struct cps_issue *issue) ACME_MUST_USE;

/** acme_cps_clean_first(issue): when the step is the end and answers are still published, these are taken
 * back before. */
struct acme_err acme_cps_clean_first(struct cps_issue *issue) ACME_MUST_USE;
/** acme_cps_clean(issue): the next answer, or the end that was put off. */
struct acme_err acme_cps_clean(struct cps_issue *issue) ACME_MUST_USE;

/** acme_cps_withdrawn(issue): nobody wants the certificate any more: the end. */
struct acme_err acme_cps_withdrawn(struct cps_issue *issue) ACME_MUST_USE;

/** acme_cps_keep_deadline(issue): behind the deadline nothing is begun or waited for. */
struct acme_err acme_cps_keep_deadline(struct cps_issue *issue) ACME_MUST_USE;

#endif
