/* Object identifiers: UUID version 7 (RFC 9562), 36 lower-case characters. Random enough not to be guessed
 * (74 bits), in time order so that indexes grow at their end. */
#ifndef ACME_BASE_ID_H
#define ACME_BASE_ID_H

#include "base/clock.h"

enum { ACME_ID_SIZE = 37 };

/** acme_id_new(clock, out): a new identifier, NUL-terminated. Errors: CRYPTO (no randomness). */
struct acme_err acme_id_new(const struct acme_clock *clock, char out[ACME_ID_SIZE]) ACME_MUST_USE;

/** acme_id_valid(text): has the form of one; checked before a foreign id reaches the store. */
bool acme_id_valid(const char *text);

#endif
