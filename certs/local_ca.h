/* The embedded CA: a P-256 root and intermediate made at first use, keys kept in files only their owner
 * reads. The intermediate signs; the root is what clients trust. */
#ifndef ACME_CERTS_LOCAL_CA_H
#define ACME_CERTS_LOCAL_CA_H

#include "base/clock.h"
#include "certs/chain.h"
#include "certs/csr.h"

struct acme_local_ca;

/* A leaf with all that is above it, the root excepted: five is what the most careful clients take. */
enum { ACME_LOCAL_CA_MAX_ALTERNATES = 4, ACME_LOCAL_CA_CHAIN_MAX = 5 };

/** acme_local_ca_open(directory, name, clock, ret): open the CA kept in `directory`, made (mode 0700) with a
 * new root (20 years) and intermediate (10 years), subject "<name> Root CA" / "<name> Intermediate CA", when
 * it is empty or absent. Files: root.pem, intermediate.pem, root.key, intermediate.key (PKCS#8 PEM, mode
 * 0600), each written to a temporary name, synced and renamed, so that a crash leaves a whole CA or none
 * (renames that a crash interrupted are finished at the next open). Half a CA, a key readable by others, a
 * key that does not match its certificate (its private part, too), or an intermediate that the root has not
 * signed is refused and logged. Owns: *ret, release with
 * acme_local_ca_close. Errors: IO, FORMAT, DENIED, CRYPTO. Thread: the caller's. */
struct acme_err acme_local_ca_open(const char *directory, const char *name, const struct acme_clock *clock,
                                   struct acme_local_ca **ret) ACME_MUST_USE;
void acme_local_ca_close(struct acme_local_ca *ca);

/** acme_local_ca_root_path(ca): the file to hand to clients. Borrowed. */
const char *acme_local_ca_root_path(const struct acme_local_ca *ca);

/** acme_local_ca_validity(ca, ret_not_before_ms, ret_not_after_ms): of the intermediate, which bounds its
 * certificates. Thread: any. */
void acme_local_ca_validity(const struct acme_local_ca *ca, int64_t *ret_not_before_ms,
                            int64_t *ret_not_after_ms);

/** acme_local_ca_cross(ca, path): know other chains: `path` is a PEM file of certificates that other CAs gave
 * to the intermediate's or to the root's key (same subject, other issuer), each the begin of a chain, and of
 * the CAs above them. Call once, before the CA is used by others. Errors: IO, LIMIT (256 KiB,
 * ACME_CHAIN_MAX_CERTS certificates), FORMAT (no certificates, one that belongs to no chain, a chain that
 * does not verify, too long or too many), NOMEM. Logs. */
struct acme_err acme_local_ca_cross(struct acme_local_ca *ca, const char *path) ACME_MUST_USE;

/** acme_local_ca_alternates(ca, arena, leaf, ret, ret_count): the other chains of a certificate of this CA,
 * leaf first, without roots; whether they are valid now is not looked at. Owns: *ret in `arena`; it borrows
 * `leaf` and from the CA. Errors: NOMEM. Thread: any. */
struct acme_err acme_local_ca_alternates(const struct acme_local_ca *ca, struct acme_arena *arena, X509 *leaf,
                                         const struct acme_cert_list **ret, size_t *ret_count) ACME_MUST_USE;

/** acme_local_ca_issue(ca, arena, spki, names, count, not_before_ms, not_after_ms, ret): sign an end-entity
 * certificate for the public key `spki` (DER SubjectPublicKeyInfo) with exactly these names (SAN; CN = first
 * dns name of at most 64 octets), 128-bit-random serial, keyUsage, basicConstraints CA:FALSE, EKU serverAuth
 * and clientAuth, SKI and AKI. The validity is cut to the intermediate's; both ends are whole seconds. Owns:
 * *ret, leaf then intermediate, released with `arena`. Errors: FORMAT (`spki`), STATE (nothing is left of the
 * validity: the intermediate has expired), CRYPTO, NOMEM. Thread: any (the CA is read-only). */
struct acme_err acme_local_ca_issue(const struct acme_local_ca *ca, struct acme_arena *arena,
                                    struct acme_bytes spki, const struct acme_identifier *names, size_t count,
                                    int64_t not_before_ms, int64_t not_after_ms,
                                    struct acme_cert_list *ret) ACME_MUST_USE;

/** acme_local_ca_publish(ca, crl_url, issuer_url): from now on every certificate says where the list of the
 * revoked (CRL distribution point) and the issuer's certificate (authority information access) are to be
 * had. Call once, before the CA is used by others. Errors: CRYPTO, NOMEM. */
struct acme_err acme_local_ca_publish(struct acme_local_ca *ca, const char *crl_url,
                                      const char *issuer_url) ACME_MUST_USE;

/** acme_local_ca_issuer_der(ca, arena, ret): the intermediate, which signs certificates and lists, in DER.
 * Errors: CRYPTO, NOMEM. Thread: any. */
struct acme_err acme_local_ca_issuer_der(const struct acme_local_ca *ca, struct acme_arena *arena,
                                         struct acme_bytes *ret) ACME_MUST_USE;

/* A certificate revocation list being made (RFC 5280 section 5). */
struct acme_local_crl;

/** acme_local_crl_create(ca, ret): an empty version 2 list of the intermediate. Owns: *ret, release with
 * acme_local_crl_destroy. Errors: CRYPTO, NOMEM. Thread: one at a time per list; the CA is read-only. */
struct acme_err acme_local_crl_create(const struct acme_local_ca *ca,
                                      struct acme_local_crl **ret) ACME_MUST_USE;
void acme_local_crl_destroy(struct acme_local_crl *crl);

/** acme_local_crl_add(crl, serial_hex, revoked_ms, reason): one revoked certificate; each serial number once.
 * Reason 0 (unspecified) is left out, as section 5.3.1 advises. Errors: FORMAT (no serial number, no reason),
 * CRYPTO. */
struct acme_err acme_local_crl_add(struct acme_local_crl *crl, const char *serial_hex, int64_t revoked_ms,
                                   int reason) ACME_MUST_USE;

/** acme_local_crl_sign(crl, number, this_ms, next_ms, ret_der, ret_len): finish and sign it. `number` must
 * grow from list to list (section 5.2.3). Owns: *ret_der, malloc'd. Errors: CRYPTO, NOMEM. */
struct acme_err acme_local_crl_sign(struct acme_local_crl *crl, int64_t number, int64_t this_ms,
                                    int64_t next_ms, uint8_t **ret_der, size_t *ret_len) ACME_MUST_USE;

#endif
