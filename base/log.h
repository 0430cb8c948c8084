/* One line per event on standard error, logfmt: `ts=... level=info event="order issued" order=...`.
 * Values are quoted and escaped here, so client text may be passed as it is. Never log a key, a token, a
 * password or a whole JWS. Logged once, by the layer that decides what happens next. */
#ifndef ACME_BASE_LOG_H
#define ACME_BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

enum acme_log_level { ACME_LOG_DEBUG, ACME_LOG_INFO, ACME_LOG_WARN, ACME_LOG_ERROR };

struct acme_log_field {
    const char *key;
    const char *text; /* NULL: a number, or an absent string, which is then left out */
    int64_t number;
    int is_number;
};

#define LOG_STR(k, v) ((struct acme_log_field){.key = (k), .text = (v)})
#define LOG_INT(k, v) ((struct acme_log_field){.key = (k), .number = (int64_t)(v), .is_number = 1})

/** acme_log_set_level(level): drop what is below. Thread: any; default INFO. */
void acme_log_set_level(enum acme_log_level level);

/** acme_log(LEVEL, event, fields...): e.g. acme_log(INFO, "order issued", LOG_STR("order", id)).
 *  At most 4 KiB a line, longer values are cut. Thread: any; one write(2) per line. */
void acme_log_fields(enum acme_log_level level, const char *event, const struct acme_log_field *fields,
                     size_t count);

#define acme_log(level, event, ...)                                                                          \
    acme_log_fields(ACME_LOG_##level, (event),                                                               \
                    (const struct acme_log_field[]){{.key = NULL}, ##__VA_ARGS__} + 1,                       \
                    sizeof((const struct acme_log_field[]){{.key = NULL}, ##__VA_ARGS__}) /                  \
                            sizeof(struct acme_log_field) -                                                  \
                        1)

#endif
