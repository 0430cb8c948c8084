"""Conversations with SCM for make_corpus.py; fuzz_scm.c says how they are written."""

import hashlib
import json

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from corpus_der import EdKey
from corpus_x509 import NAMES, certificate, chain, fixed_request, leaf_of, pems

TAG = "acmebridge/01890a5d-ac96-774b-bcce-b302099a8057"
OTHER_TAG = "acmebridge/01890a5d-ac96-774b-bcce-b302099a8058"
SHA256 = hashlib.sha256(fixed_request()).hexdigest().upper()
TODAY = "01/15/2027"


def talk(*entries):
    return b"\n%%\n".join(entry if isinstance(entry, bytes) else entry.encode() for entry in entries)


def reply(status, body=b"", *words):
    if not isinstance(body, (bytes, str)):
        body = json.dumps(body)
    body = body if isinstance(body, bytes) else body.encode()
    return " ".join((str(status),) + words).encode() + b"\n" + body


def error(code, description="text", status=400):
    return reply(status, {"code": code, "description": description})


def details(number, status, comments=TAG, sha256=SHA256, requested=TODAY):
    value = {"commonName": NAMES[0], "sslId": number, "id": number, "orgId": 8932, "status": status,
             "requestedVia": "REST API", "requested": requested, "certType": {"id": 5153}}
    if comments is not None:
        value["comments"] = comments
    if sha256 is not None:
        value["csrDetails"] = {"csr": "..", "sha256Hash": sha256}
    return reply(200, value)


def listing(*numbers, total=None):
    words = () if total is None else (f"t={total}",)
    return reply(200, [{"sslId": number, "commonName": NAMES[0]} for number in numbers], *words)


ENROLLED = reply(200, {"sslId": 4242, "renewId": "kTestRenewId0000000A"})
ISSUED = details(4242, "Issued")
COLLECTING = (ENROLLED, ISSUED)


def state(**members):
    return reply("state", members)


def path_samples():
    leaf, middle, root = chain()
    whole = pems(leaf, middle)
    yield "ok_issued", talk(ENROLLED, ISSUED, reply(200, whole))
    yield "ok_root_first", talk(ENROLLED, ISSUED, reply(200, pems(root, middle, leaf)))
    yield "ok_pkcs7", talk(ENROLLED, ISSUED, reply(
        200, pkcs7.serialize_certificates([root, middle, leaf], serialization.Encoding.DER)))
    yield "ok_number_as_text", talk(reply(200, {"sslId": "4242"}), ISSUED, reply(200, whole))
    yield "ok_waits", talk(ENROLLED, details(4242, "Requested"), details(4242, "SA Approved"),
                           details(4242, "Applied"), ISSUED, reply(200, whole))
    yield "ok_issuers_apart", talk(ENROLLED, ISSUED, reply(200, pems(leaf)), reply(200, pems(middle, root)))
    yield "issuers_missing", talk(ENROLLED, ISSUED, reply(200, pems(leaf)), reply(200, pems(root)), ISSUED)
    yield "issuers_garbage", talk(ENROLLED, ISSUED, reply(200, pems(leaf)), reply(200, "later"), ISSUED)
    yield "ok_replaced", talk(ENROLLED, details(4242, "Replaced"), reply(200, whole))
    other = certificate("Fuzz Root", EdKey("root"), NAMES[0], EdKey("other").public, False)
    yield "replaced_other_key", talk(ENROLLED, details(4242, "Replaced"), reply(200, pems(other, root)))
    yield "ok_issued_other_key", talk(ENROLLED, ISSUED, reply(200, pems(other, root)))
    yield "ok_many", talk(ENROLLED, ISSUED, reply(
        200, b"".join(pems(leaf_of(EdKey("intermediate"), serial=i + 1)) for i in range(14)) + pems(middle)))
    for name in ("Init", "Approved", "Declined", "Rejected", "Invalid", "Revoked", "Expired", "Unmanaged",
                 "Awaiting\u202eApproval"):
        yield "status_" + name.split("\u202e", maxsplit=1)[0].lower(), talk(ENROLLED, details(4242, name))
    yield "retry_after", talk(ENROLLED, reply(200, {"sslId": 4242, "status": "Applied"}, "r=900"),
                              reply(503, "", "r=Fri, 15 Jan 2027 09:00:00 GMT"), reply(429, "", "r=99999999999"))


def collect_samples():
    for name, entry in {
        "not_collectable": error(-183),
        "being_processed": error(0, "Being processed by Sectigo"),
        "code_as_text": reply(400, {"code": "-183", "description": "as text"}),
        "processed_500": error(-1400, status=500),
        "empty": reply(200),
        "error_as_200": error(0, "Being processed by Sectigo", 200),
        "not_issued": error(-130, "SSL state is not 'ISSUED': Applied"),
        "not_found": reply(404),
        "wrong_id": error(-124),
        "text": reply(200, "certificate coming soon"),
        "cut": reply(200, b"-----BEGIN CERTIFICATE-----\nMIIB"),
        "html": reply(503, "<html>upstream connect error</html>"),
        "redirect": reply(302),
        "login": error(-16, status=401),
        "unknown_code": error(-99999, "new\x1b[31m \u00e4"),
        "odd_json": reply(200, "{"),
    }.items():
        yield "collect_" + name, talk(*COLLECTING, entry, ISSUED)


def enroll_samples():
    for name, entry in {
        "login": error(-16, status=401),
        "term": error(-36),
        "field_62_address": error(-62, "IP address 10.0.0.1 is invalid"),
        "csr": error(-9),
        "internal": error(-14, status=500),
        "not_json": reply(200, "ok"),
        "number_zero": reply(200, {"sslId": 0}),
        "number_huge": reply(200, '{"sslId":9007199254740993}'),
        "number_text_huge": reply(200, {"sslId": "99999999999999999999"}),
        "array": reply(200, "[]"),
        "empty": reply(200),
        "teapot": reply(418),
        "key_check": error(-1138),
    }.items():
        yield "enroll_" + name, talk(entry, entry, ENROLLED)


def recover_samples():
    yield "ok_lost_then_found", talk("lost", listing(7, 4242), details(7, "Declined", OTHER_TAG, None),
                                     details(4242, "Applied"), ISSUED)
    yield "lost_then_found_newer_first", talk("lost", listing(4243, 4242), details(4243, "Applied"),
                                              details(4242, "Applied"), reply(200, {}), ISSUED)
    yield "lost_then_nothing", talk("lost", *[listing()] * 12, ENROLLED, ISSUED)
    yield "lost_list_paged", talk("lost", listing(3, 2, total=4), listing(1, 4242, total=4),
                                  details(4242, "Applied"))
    yield "lost_list_total_wrong", talk("lost", listing(3, total=999999999999), listing(total=-1))
    yield "lost_list_refused", talk("lost", error(-1601), listing(), reply(500), reply(200, "{}"), error(-16))
    yield "lost_list_strange", talk("lost", reply(200, '[1,"a",null,{},{"sslId":-1},{"sslId":"5"}]'),
                                    reply(200, "[]"))
    yield "lost_same_csr", talk("lost", listing(4242), details(4242, "Issued", "another comment"), ISSUED)
    yield "lost_same_csr_old", talk("lost", listing(4242), details(4242, "Issued", None, SHA256, "01/15/2020"))
    yield "lost_same_csr_iso_day", talk("lost", listing(4242), details(4242, "Issued", None, SHA256, "2027-01-15"))
    yield "lost_other_csr", talk("lost", listing(4242), details(4242, "Issued", None, "AB" * 32))
    yield "lost_foreign_tag", talk("lost", listing(4242), details(4242, "Issued", OTHER_TAG))
    yield "lost_decline_fails", talk("lost", listing(9, 8), details(9, "Applied"), details(8, "Applied"),
                                     reply(500), details(8, "Applied"))
    yield "lost_all_failed", talk("lost", listing(9, 8), details(9, "Declined"), details(8, "Rejected"))
    yield "lost_duplicate_issued", talk("lost", listing(9, 8), details(9, "Issued"), details(8, "Applied"))
    yield "lost_candidate_gone", talk("lost", listing(9), reply(404), error(-124))
    yield "lost_candidate_refused", talk("lost", listing(9), error(-16), reply(503))
    yield "crash_at_enroll", talk("crash", listing(4242), details(4242, "Applied"), "crash", ISSUED)
    yield "refused_then_enrolled", talk("refused", "refused", ENROLLED)
    yield "details_lost", talk(ENROLLED, "lost", "refused", ISSUED, "lost", ISSUED)
    yield "details_of_another", talk(ENROLLED, details(1, "Issued"), reply(200, "[]"), reply(200, "{}"))
    yield "details_gone", talk(ENROLLED, reply(404), error(-124), error(-124), ISSUED)
    yield "state_empty", talk(state(), ENROLLED)
    yield "state_follow", talk(state(phase="follow", call="details", sslId=4242), ISSUED)
    yield "state_collect", talk(state(phase="collect", sslId=4242, collectSince=1800000000000), ISSUED)
    yield "state_recover", talk(state(phase="recover", unknownSince=1800000000000, enrollAttempts=9,
                                      ruledOut=list(range(300)), candidates=[1, 2], duplicates=[3],
                                      matches=[{"sslId": 5, "tagged": True}] * 20), listing(5))
    yield "state_strange", talk(state(phase="none", call=5, sslId=-1, failures=1e15, certificates="x",
                                      enrollAttempts=-5, position=-7, variant=99, unknownSince=-1e15))


def scm_samples():
    yield from path_samples()
    yield from enroll_samples()
    yield from collect_samples()
    yield from recover_samples()
