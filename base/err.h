/* Results of fallible functions.
 *
 * A struct instead of an int: the compiler rejects a result used as a number or a truth value, and
 * ACME_MUST_USE makes it reject one that is dropped. The code says what a caller can do about it; the words
 * for a person travel elsewhere (a problem document, a log line, a `ret_why` output). */
#ifndef ACME_BASE_ERR_H
#define ACME_BASE_ERR_H

#include <stdbool.h>

enum acme_code {
    ACME_OK = 0,
    ACME_E_NOMEM,       /* allocation failed, or an arena or buffer met its cap */
    ACME_E_LIMIT,       /* foreign input is larger than its limit */
    ACME_E_FORMAT,      /* input is not what its grammar demands */
    ACME_E_NOT_FOUND,   /* no such object (or not visible to this caller) */
    ACME_E_CONFLICT,    /* exists already */
    ACME_E_STATE,       /* the object's state does not allow this now */
    ACME_E_UNSUPPORTED, /* well-formed, but not something we do */
    ACME_E_DENIED,      /* a policy says no */
    ACME_E_SIGNATURE,   /* a signature or digest does not verify */
    ACME_E_BUSY,        /* a bounded resource is full; the same call may succeed later */
    ACME_E_IO,          /* operating system, disk or database */
    ACME_E_CRYPTO,      /* OpenSSL failed where it must not */
    ACME_E_PROBLEM,     /* a problem document has been set in the context handed in */
    ACME_E_INTERNAL,    /* a broken invariant: our bug */
    ACME_E_COUNT
};

struct acme_err {
    enum acme_code code;
};

#define ACME_MUST_USE     __attribute__((warn_unused_result))
#define ACME_PRINTF(f, a) __attribute__((format(printf, f, a)))

static inline struct acme_err acme_err(enum acme_code code)
{
    return (struct acme_err){.code = code};
}

static inline struct acme_err acme_ok(void)
{
    return acme_err(ACME_OK);
}

static inline bool acme_failed(struct acme_err err)
{
    return err.code != ACME_OK;
}

/** acme_code_name(code): a short lower-case word for logs ("nomem", "not-found"). Never NULL. Thread: any. */
const char *acme_code_name(enum acme_code code);

/* Leave the function when `expr` fails. Only where nothing has to be released by hand. */
#define TRY(expr)                                                                                            \
    do {                                                                                                     \
        struct acme_err try_err_ = (expr);                                                                   \
        if (acme_failed(try_err_))                                                                           \
            return try_err_;                                                                                 \
    } while (0)

#define ENSURE(cond, failure_code)                                                                           \
    do {                                                                                                     \
        if (!(cond))                                                                                         \
            return acme_err(failure_code);                                                                   \
    } while (0)

#endif
