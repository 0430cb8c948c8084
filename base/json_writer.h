/* JSON out: straight into a capped buffer, in the order written, with one failure flag to ask at the end
 * (building a cJSON tree needs a check per member, and an unnoticed one silently drops the member). */
#ifndef ACME_BASE_JSON_WRITER_H
#define ACME_BASE_JSON_WRITER_H

#include "base/buf.h"

#include <stdint.h>

struct acme_json_writer {
    struct acme_buf *out;
    bool comma; /* the next value needs a separator */
};

/** acme_jw_*: `name` is the member name inside an object, NULL inside an array or at the top. Strings are
 *  escaped; they must be UTF-8. A NULL string writes nothing at all (an absent member, never null). */
void acme_jw_init(struct acme_json_writer *writer, struct acme_buf *out);
void acme_jw_object(struct acme_json_writer *writer, const char *name);
void acme_jw_object_end(struct acme_json_writer *writer);
void acme_jw_array(struct acme_json_writer *writer, const char *name);
void acme_jw_array_end(struct acme_json_writer *writer);
void acme_jw_str(struct acme_json_writer *writer, const char *name, const char *text);
void acme_jw_int(struct acme_json_writer *writer, const char *name, int64_t value);
void acme_jw_bool(struct acme_json_writer *writer, const char *name, bool value);
/** acme_jw_time(writer, name, unix_ms): an RFC 3339 string; 0 means absent and writes nothing. */
void acme_jw_time(struct acme_json_writer *writer, const char *name, int64_t unix_ms);
/** acme_jw_raw(writer, name, json): text that is JSON already (a stored problem document); NULL writes
 * nothing. */
void acme_jw_raw(struct acme_json_writer *writer, const char *name, const char *json);

#endif
