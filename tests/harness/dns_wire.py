"""DNS messages on the wire, as far as the tests' server needs them: questions in, answers out, text to record."""

import dataclasses
import ipaddress
import re
import struct

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "DS": 43,
         "RRSIG": 46, "NSEC": 47, "DNSKEY": 48, "CAA": 257}
TYPE_NAMES = {number: name for name, number in TYPES.items()}
RCODES = {"ok": 0, "servfail": 2, "nxdomain": 3, "refused": 5}
OPT = 41
CLASS_IN = 1
MAX_UDP = 512


def fold(name):
    return name.rstrip(".").lower()


def encode_name(name):
    labels = [label.encode("ascii") for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def encode_text(text):
    """TXT: one string cut into pieces of 255 octets, or several in quotes: '"a" "b"'."""
    if re.fullmatch(r'\s*"[^"]*"(\s+"[^"]*")*\s*', text):
        pieces = [piece.encode("utf-8") for piece in re.findall(r'"([^"]*)"', text)]
    else:
        raw = text.encode("utf-8")
        pieces = [raw[at:at + 255] for at in range(0, len(raw), 255)] or [b""]
    return b"".join(bytes([len(piece)]) + piece for piece in pieces)


def encode_caa(text):
    flags, tag, value = re.fullmatch(r'(\d+)\s+(\S+)\s+"?([^"]*)"?', text).groups()
    tag = tag.encode("ascii")
    return bytes([int(flags), len(tag)]) + tag + value.encode("utf-8")


def encode_data(kind, text):
    """A record's data from its text; bytes are taken as they are, for malformed ones."""
    if isinstance(text, bytes):
        return text
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(text).packed
    if kind in ("CNAME", "NS", "PTR"):
        return encode_name(fold(text))
    return {"TXT": encode_text, "CAA": encode_caa}[kind](text)


@dataclasses.dataclass
class Question:
    number: int
    flags: int
    name: str
    kind: int
    raw: bytes
    wants_signatures: bool
    edns: bool


def read_name(data, at):
    labels = []
    while data[at]:
        length = data[at]
        labels.append(data[at + 1:at + 1 + length].decode("ascii"))
        at += 1 + length
    return ".".join(labels), at + 1


def read_question(data):
    """A query with one question and perhaps an OPT record."""
    number, flags, questions, _, _, additional = struct.unpack_from("!6H", data)
    if questions != 1:
        raise ValueError("not one question")
    name, at = read_name(data, 12)
    kind, _ = struct.unpack_from("!2H", data, at)
    end = at + 4
    edns = additional > 0 and data[end:end + 1] == b"\0" and data[end + 1:end + 3] == struct.pack("!H", OPT)
    signatures = edns and bool(data[end + 7] & 0x80)
    return Question(number, flags, fold(name), kind, data[12:end], signatures, edns)


def record(owner, kind, ttl, data):
    return encode_name(owner) + struct.pack("!HHIH", kind, CLASS_IN, ttl, len(data)) + data


def answer(question, rcode, answers, authority, udp):
    """The message; over UDP cut down to a request for TCP when it has more than 512 octets."""
    opt = b"\0" + struct.pack("!HHIH", OPT, 4096, 0x8000 if question.wants_signatures else 0, 0)
    flags = 0x8480 | (question.flags & 0x0100) | rcode  # response, authoritative, recursion available
    def build(flags, answers, authority):
        head = struct.pack("!6H", question.number, flags, 1, len(answers), len(authority), int(question.edns))
        return head + question.raw + b"".join(answers) + b"".join(authority) + (opt if question.edns else b"")
    message = build(flags, answers, authority)
    if udp and len(message) > MAX_UDP:
        message = build(flags | 0x0200, [], [])
    return message
