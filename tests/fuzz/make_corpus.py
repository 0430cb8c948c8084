#!/usr/bin/python3
"""Writes the fuzz targets' first inputs, corpus/<target>/*, and the constants they were made with, fixed.h.

Names beginning with "ok" are accepted, all others are each refused for a reason of its own. Files named found-*
are what fuzzing has found, kept for good; this program leaves them alone. A run without changes to it changes
nothing. Needs Debian's python3-cryptography.
"""

import pathlib
import struct
import textwrap

import corpus_jose
from corpus_der import digest
from corpus_scm import TAG, scm_samples
from corpus_text import (
    b64url_samples, config_samples, http01_samples, http_head_samples, identifier_samples,
)
from corpus_x509 import FIXED_KEY, certificate_samples, fixed_request, good_requests, refused_requests

HERE = pathlib.Path(__file__).resolve().parent
NOW_MS = 1800000000000  # 2027-01-15T08:00:00Z


def json_samples():
    yield from corpus_jose.JSON_SAMPLES.items()
    yield from corpus_jose.JSON_BYTES.items()


def as_json(samples):
    for name, value in samples:
        yield name, corpus_jose.compact(value)


def csr_samples():
    for name, der in good_requests():
        yield name, der
    yield from refused_requests()


# ---- DNS ----


def name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".") if label) + b"\0"


def record(owner, kind, data, klass=1):
    return owner + struct.pack(">HHIH", kind, klass, 300, len(data)) + data


def answer(question, *records, kind=1, flags=0x8180, questions=1, announced=None):
    count = len(records) if announced is None else announced
    return (
        struct.pack(">HHHHHH", 1, flags, questions, count, 0, 0)
        + question + struct.pack(">HH", kind, 1) + b"".join(records)
    )


def dns_samples():
    ask = name("www.fuzz.example")
    to_question = b"\xc0\x0c"
    four, six = bytes([192, 0, 2, 1]), bytes(15) + b"\1"
    want_a, want_aaaa, want_after_three = b"\x08", b"\x09", b"\x68"  # type, limit 4, addresses there before
    yield "ok_a", want_a + answer(ask, record(to_question, 1, four))
    yield "ok_aaaa", want_aaaa + answer(ask, record(to_question, 28, six), kind=28)
    yield "ok_none", want_a + answer(ask)
    yield "ok_nxdomain", want_a + answer(ask, flags=0x8183)
    yield "ok_servfail", want_a + answer(ask, flags=0x8182)
    yield "ok_capitals", want_a + answer(name("WWW.Fuzz.example"), record(ask, 1, four))
    cname = record(to_question, 5, name("a.fuzz.example"))
    yield "ok_cname", want_a + answer(ask, cname, record(name("a.fuzz.example"), 1, four))
    yield "ok_cname_after_address", want_a + answer(ask, record(name("a.fuzz.example"), 1, four), cname)
    compressed = record(to_question, 5, b"\1a\xc0\x10")
    yield "ok_cname_compressed", want_a + answer(ask, compressed, record(b"\xc0\x2e", 1, four))
    yield "ok_other_owner", want_a + answer(ask, record(name("other.example"), 1, four))
    yield "ok_other_class", want_a + answer(ask, record(to_question, 1, four, klass=3))
    yield "ok_other_type", want_a + answer(ask, record(to_question, 16, b"\4text"))
    yield "ok_many", want_a + answer(ask, *[record(to_question, 1, bytes([192, 0, 2, i])) for i in range(12)])
    yield "ok_list_not_empty", want_after_three + answer(ask, record(to_question, 1, four))
    yield "ok_limit_0", b"\x00" + answer(ask, record(to_question, 1, four))
    yield "ok_list_nearly_full", b"\xfe" + answer(ask, *[record(to_question, 1, four)] * 3)
    yield "ok_root", want_a + answer(b"\0", record(b"\0", 1, four))
    yield "ok_64_records", want_a + answer(ask, *[record(to_question, 16, b"")] * 70)
    hops = [record(name(f"h{i}.example"), 5, name(f"h{i + 1}.example")) for i in range(20)]
    yield "cname_long", want_a + answer(name("h0.example"), *hops)
    yield "cname_loop", want_a + answer(ask, record(to_question, 5, to_question))
    yield "cname_trailing", want_a + answer(ask, record(to_question, 5, name("a") + b"x"))
    yield "cname_past_end", want_a + answer(ask, record(to_question, 5, b"\x30a"))
    yield "length_of_a", want_a + answer(ask, record(to_question, 1, four + b"x"))
    yield "length_of_aaaa", want_aaaa + answer(ask, record(to_question, 28, four), kind=28)
    yield "query", want_a + answer(ask, flags=0x0100)
    yield "no_question", want_a + answer(ask, questions=0)
    yield "two_questions", want_a + answer(ask, questions=2)
    yield "too_short", want_a + answer(ask)[:11]
    yield "header_only", want_a + answer(ask)[:12]
    yield "question_cut", want_a + answer(ask)[:20]
    yield "no_type", want_a + answer(ask)[:-3]
    yield "records_missing", want_a + answer(ask, announced=3)
    yield "record_cut", want_a + answer(ask, record(to_question, 1, four))[:-6]
    yield "data_past_end", want_a + answer(ask, record(to_question, 1, four))[:-2]
    yield "pointer_to_itself", want_a + answer(b"\xc0\x0c")
    yield "pointer_forward", want_a + answer(b"\xc0\x20")
    yield "pointer_into_header", want_a + answer(ask, record(b"\xc0\x02", 1, four))
    yield "pointer_cut", want_a + answer(ask, record(to_question, 1, four))[:35] + b"\xc0"
    yield "label_type", want_a + answer(b"\x40" + ask)
    yield "name_too_long", want_a + answer(name(".".join(["x" * 63] * 4)))
    yield "empty", b""
    yield "one_octet", want_a


# ---- writing ----

TARGETS = {
    "b64url": b64url_samples,
    "certs": certificate_samples,
    "config": config_samples,
    "csr": csr_samples,
    "dns_message": dns_samples,
    "http01": http01_samples,
    "http_head": http_head_samples,
    "identifier": identifier_samples,
    "json": json_samples,
    "jwk": lambda: as_json(corpus_jose.jwk_samples()),
    "jws": lambda: as_json(corpus_jose.jws_samples()),
    "scm": scm_samples,
}


def write_samples(target, samples):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    left = {path.name for path in folder.iterdir() if not path.name.startswith("found-")}
    count = 0
    for sample_name, content in samples:
        content = content.encode() if isinstance(content, str) else content
        (folder / sample_name).write_bytes(content)
        left.discard(sample_name)
        count += 1
    for stale in left:
        (folder / stale).unlink()
    print(f"{target:12} {count:3} files")


def c_array(data):
    numbers = ", ".join(f"0x{octet:02x}" for octet in data)
    return textwrap.fill(numbers, 106, initial_indent="    ", subsequent_indent="    ")


def write_constants():
    jwk = corpus_jose.compact(corpus_jose.jwk(FIXED_KEY)).replace('"', '\\"')
    half = len(jwk) // 2
    half += jwk[half - 1] == "\\"
    (HERE / "fixed.h").write_text(f"""\
/* Written by make_corpus.py: what the inputs in corpus/ were made with. None of these keys protects anything. */
#ifndef TESTS_FUZZ_FIXED_H
#define TESTS_FUZZ_FIXED_H

#include <stdint.h>

/* The certificates of the samples are valid then: 2027-01-15T08:00:00Z. */
#define FIXED_NOW_MS INT64_C({NOW_MS})

#define FIXED_TAG "{TAG}"

/* The public key of the samples signed for an account, and of the CSR below. */
#define FIXED_JWK \\
    "{jwk[:half]}" \\
    "{jwk[half:]}"

/* clang-format off */
/* An Ed25519 private key. */
__attribute__((unused)) static const uint8_t fixed_seed[] = {{
{c_array(digest("fuzz", "seed"))}
}};

/* A CSR for www.fuzz.example and fuzz.example, on P-256. */
__attribute__((unused)) static const uint8_t fixed_csr[] = {{
{c_array(fixed_request())}
}};
/* clang-format on */

#endif
""")


def main():
    for target, samples in TARGETS.items():
        write_samples(target, samples())
    write_constants()


if __name__ == "__main__":
    main()
