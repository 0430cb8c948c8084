/* ACME identifiers (RFC 8555 section 9.7.7, RFC 8738): what an order asks for and a certificate names. */
#ifndef ACME_BASE_IDENTIFIER_H
#define ACME_BASE_IDENTIFIER_H

#include "base/arena.h"

enum acme_identifier_type { ACME_IDENTIFIER_DNS, ACME_IDENTIFIER_IP, ACME_IDENTIFIER_TYPE_COUNT };

struct acme_identifier {
    enum acme_identifier_type type;
    const char *value; /* dns: lower-case A-labels, perhaps "*." in front; ip: RFC 5952 / dotted decimal */
};

/** acme_identifier_type_name(type): "dns", "ip". */
const char *acme_identifier_type_name(enum acme_identifier_type type);

/** acme_identifier_parse(arena, type_name, value, ret, ret_why): check and normalise a client's identifier.
 *  dns: at most 253 octets, labels of 1..63 letters, digits and inner hyphens (and no underscore),
 * lower-cased, at least one letter in the last label (so no IPv4 address), "*." only in front and not before
 * a single label. "xn--" labels must be syntactically possible A-labels.
 *  ip: dotted decimal, or IPv6 brought into its canonical form (RFC 5952 section 4; who may only write that,
 * RFC 8738 section 3, compares); IPv4-mapped and -compatible IPv6 addresses are refused. Owns: ret->value in
 * `arena`; *ret_why a static or arena string naming the mistake. Errors: UNSUPPORTED (type), FORMAT (value),
 * NOMEM. Thread: any. */
struct acme_err acme_identifier_parse(struct acme_arena *arena, const char *type_name, const char *value,
                                      struct acme_identifier *ret, const char **ret_why) ACME_MUST_USE;

/** acme_name_to_unicode(arena, name): a DNS name in lower-case letters with its "xn--" labels in UTF-8, as
 * people read it; labels that are no A-labels stay as they are. NULL without memory. Thread: any. */
char *acme_name_to_unicode(struct acme_arena *arena, const char *name);

/** acme_identifier_unusable(identifier): why no certificate can be for this address (unspecified, multicast,
 * broadcast, reserved), or NULL: it may be one of a host, or is a name. Static. Thread: any. */
const char *acme_identifier_unusable(const struct acme_identifier *identifier);

bool acme_identifier_equal(const struct acme_identifier *a, const struct acme_identifier *b);
bool acme_identifier_is_wildcard(const struct acme_identifier *identifier);

/** acme_identifiers_equal_sets(a, na, b, nb): the same set, whatever order and repetition. */
bool acme_identifiers_equal_sets(const struct acme_identifier *a, size_t na, const struct acme_identifier *b,
                                 size_t nb);

/** acme_identifiers_json(arena, list, count): [{"type":"dns","value":"..."}] in the order given; NULL without
 * memory. */
char *acme_identifiers_json(struct acme_arena *arena, const struct acme_identifier *list, size_t count);

/** acme_identifiers_from_json(arena, json, ret, ret_count): the inverse, for what we stored ourselves.
 *  Errors: FORMAT, NOMEM. */
struct acme_err acme_identifiers_from_json(struct acme_arena *arena, const char *json,
                                           struct acme_identifier **ret, size_t *ret_count) ACME_MUST_USE;

/** acme_identifiers_digest(arena, list, count): SHA-256 over the sorted set, as lower-case hex in `arena`: a
 * key to find orders for the same names. NULL without memory. */
char *acme_identifiers_digest(struct acme_arena *arena, const struct acme_identifier *list, size_t count);

#endif
