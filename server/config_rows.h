/* Rows of keys that upstreams have in common, whatever the struct they fill: `kind` is the bit of the objects
 * that have the key, `place` its offset, `normal` its default. */
#ifndef ACME_SERVER_CONFIG_ROWS_H
#define ACME_SERVER_CONFIG_ROWS_H

#include "server/config_schema.h"
#include "server/config_text.h"

#include "base/clock.h"

#define ACME_CONFIG_ROW_URL(kind, place, wanted)                                                             \
    {                                                                                                        \
        .name = "url", .type = ACME_CONFIG_TEXT, .required = (wanted), .applies = (kind), .offset = (place), \
        .unit = ACME_CONFIG_UPSTREAM_FORM, .check = acme_config_upstream_url                                 \
    }

#define ACME_CONFIG_ROW_DEADLINE(kind, place, normal)                                                        \
    {                                                                                                        \
        .name = "deadline_hours", .type = ACME_CONFIG_INT64, .applies = (kind), .offset = (place), .min = 1, \
        .max = 8760, .standard = (normal), .scale = ACME_HOUR_MS, .unit = "hours"                            \
    }

#define ACME_CONFIG_ROW_CONCURRENCY(kind, place, normal, most, what)                                         \
    {                                                                                                        \
        .name = "max_concurrency", .type = ACME_CONFIG_INT, .applies = (kind), .offset = (place), .min = 1,  \
        .max = (most), .standard = (normal), .unit = (what)                                                  \
    }

#define ACME_CONFIG_ROW_PACE(kind, place, normal)                                                            \
    {                                                                                                        \
        .name = "requests_per_minute", .type = ACME_CONFIG_INT, .applies = (kind), .offset = (place),        \
        .min = 1, .max = 60000, .standard = (normal), .unit = "requests"                                     \
    }

#define ACME_CONFIG_ROW_BURST(kind, place, normal)                                                           \
    {                                                                                                        \
        .name = "burst", .type = ACME_CONFIG_INT, .applies = (kind), .offset = (place), .min = 1,            \
        .max = 1000, .standard = (normal), .unit = "requests"                                                \
    }

#define ACME_CONFIG_ROW_CA_FILE(kind, place)                                                                 \
    {                                                                                                        \
        .name = "ca_file", .type = ACME_CONFIG_TEXT, .applies = (kind), .offset = (place),                   \
        .check = acme_config_readable_file                                                                   \
    }

#define ACME_CONFIG_ROW_PROXY(kind, place)                                                                   \
    {                                                                                                        \
        .name = "proxy", .type = ACME_CONFIG_TEXT, .applies = (kind), .offset = (place),                     \
        .check = acme_config_proxy                                                                           \
    }

#define ACME_CONFIG_ROW_CONNECT_TIMEOUT(kind, place)                                                         \
    {                                                                                                        \
        .name = "connect_timeout_seconds", .type = ACME_CONFIG_INT, .applies = (kind), .offset = (place),    \
        .min = 1, .max = 60, .standard = 10, .scale = 1000, .unit = "seconds"                                \
    }

/* The longest is less than a job's lease. */
#define ACME_CONFIG_ROW_CALL_TIMEOUT(kind, place, normal)                                                    \
    {                                                                                                        \
        .name = "call_timeout_seconds", .type = ACME_CONFIG_INT, .applies = (kind), .offset = (place),       \
        .min = 5, .max = 180, .standard = (normal), .scale = 1000, .unit = "seconds"                         \
    }

#define ACME_CONFIG_ROW_POLL_MAX(kind, place, normal)                                                        \
    {                                                                                                        \
        .name = "poll_max_seconds", .type = ACME_CONFIG_INT64, .applies = (kind), .offset = (place),         \
        .min = 1, .max = 86400, .standard = (normal), .scale = ACME_SECOND_MS, .unit = "seconds"             \
    }

#endif
