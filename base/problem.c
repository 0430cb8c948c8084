#include "base/problem.h"

#include "base/json_writer.h"

/* Usual statuses: RFC 8555 section 6.7 leaves most open; those clients depend on are the ones public servers
 * send. */
static const struct {
    const char *urn;
    int status;
} types[ACME_PROBLEM_COUNT] = {
#define URN(name) "urn:ietf:params:acme:error:" name
    [ACME_PROBLEM_ACCOUNT_DOES_NOT_EXIST] = {URN("accountDoesNotExist"), 400},
    [ACME_PROBLEM_ALREADY_REPLACED] = {URN("alreadyReplaced"), 409},
    [ACME_PROBLEM_ALREADY_REVOKED] = {URN("alreadyRevoked"), 400},
    [ACME_PROBLEM_BAD_CSR] = {URN("badCSR"), 400},
    [ACME_PROBLEM_BAD_NONCE] = {URN("badNonce"), 400},
    [ACME_PROBLEM_BAD_PUBLIC_KEY] = {URN("badPublicKey"), 400},
    [ACME_PROBLEM_BAD_REVOCATION_REASON] = {URN("badRevocationReason"), 400},
    [ACME_PROBLEM_BAD_SIGNATURE_ALGORITHM] = {URN("badSignatureAlgorithm"), 400},
    [ACME_PROBLEM_CAA] = {URN("caa"), 403},
    [ACME_PROBLEM_COMPOUND] = {URN("compound"), 400},
    [ACME_PROBLEM_CONNECTION] = {URN("connection"), 400},
    [ACME_PROBLEM_DNS] = {URN("dns"), 400},
    [ACME_PROBLEM_EXTERNAL_ACCOUNT_REQUIRED] = {URN("externalAccountRequired"), 403},
    [ACME_PROBLEM_INCORRECT_RESPONSE] = {URN("incorrectResponse"), 403},
    [ACME_PROBLEM_INVALID_CONTACT] = {URN("invalidContact"), 400},
    [ACME_PROBLEM_INVALID_PROFILE] = {URN("invalidProfile"), 400},
    [ACME_PROBLEM_MALFORMED] = {URN("malformed"), 400},
    [ACME_PROBLEM_ORDER_NOT_READY] = {URN("orderNotReady"), 403},
    [ACME_PROBLEM_RATE_LIMITED] = {URN("rateLimited"), 429},
    [ACME_PROBLEM_REJECTED_IDENTIFIER] = {URN("rejectedIdentifier"), 400},
    [ACME_PROBLEM_SERVER_INTERNAL] = {URN("serverInternal"), 500},
    [ACME_PROBLEM_TLS] = {URN("tls"), 400},
    [ACME_PROBLEM_UNAUTHORIZED] = {URN("unauthorized"), 403},
    [ACME_PROBLEM_UNSUPPORTED_CONTACT] = {URN("unsupportedContact"), 400},
    [ACME_PROBLEM_UNSUPPORTED_IDENTIFIER] = {URN("unsupportedIdentifier"), 400},
    [ACME_PROBLEM_USER_ACTION_REQUIRED] = {URN("userActionRequired"), 403},
#undef URN
};

static unsigned type_index(enum acme_problem_type type)
{
    return (unsigned)type < ACME_PROBLEM_COUNT ? (unsigned)type : (unsigned)ACME_PROBLEM_SERVER_INTERNAL;
}

const char *acme_problem_urn(enum acme_problem_type type)
{
    return types[type_index(type)].urn;
}

int acme_problem_status(const struct acme_problem *problem)
{
    return problem->status != 0 ? problem->status : types[type_index(problem->type)].status;
}

char *acme_problem_json(struct acme_arena *arena, const struct acme_problem *problem)
{
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, 64 * 1024);
    struct acme_json_writer writer;
    acme_jw_init(&writer, &out);
    acme_jw_object(&writer, NULL);
    acme_jw_str(&writer, "type", acme_problem_urn(problem->type));
    acme_jw_str(&writer, "detail", problem->detail);
    acme_jw_int(&writer, "status", acme_problem_status(problem));
    acme_jw_str(&writer, "instance", problem->instance);
    acme_jw_object_end(&writer);
    const char *text = acme_buf_cstr(&out);
    return text != NULL ? acme_arena_strdup(arena, text) : NULL;
}

char *acme_printable(struct acme_arena *arena, const void *data, size_t len, size_t max)
{
    const uint8_t *in = data;
    static const char digits[] = "0123456789abcdef";
    size_t room = len < max / 4 ? len * 4 : max;
    if (room > SIZE_MAX - 4)
        return NULL;
    char *out = acme_arena_alloc(arena, room + 4);
    if (out == NULL)
        return NULL;
    size_t pos = 0;
    for (size_t i = 0; i < len; i++) {
        /* The backslash is escaped too, so that the result reads back in one way only. */
        bool plain = in[i] >= 0x20 && in[i] < 0x7f && in[i] != '\\';
        size_t need = plain ? 1 : 4;
        if (need > max - pos) {
            for (int dot = 0; dot < 3; dot++)
                out[pos++] = '.';
            break;
        }
        if (plain) {
            out[pos++] = (char)in[i];
        } else {
            out[pos++] = '\\';
            out[pos++] = 'x';
            out[pos++] = digits[in[i] >> 4];
            out[pos++] = digits[in[i] & 15];
        }
    }
    return out;
}
