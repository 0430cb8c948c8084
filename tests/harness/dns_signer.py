"""Signs one zone of the tests' DNS server with DNSSEC (RFC 4034): one P-256 key, and denials made on the spot.

A name that does not exist is said to exist without the type asked for (RFC 9824), so that one NSEC record
proves every negative answer.
"""

import base64
import struct
import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from harness.dns_wire import CLASS_IN, TYPES, encode_name, fold

ALGORITHM = 13  # ECDSAP256SHA256 (RFC 6605)
FLAGS = 257  # a zone key and secure entry point


class Signer:
    def __init__(self, zone):
        self.zone = fold(zone)
        self.key = ec.generate_private_key(ec.SECP256R1())
        numbers = self.key.public_key().public_numbers()
        self.public = numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
        self.dnskey = struct.pack("!HBB", FLAGS, 3, ALGORITHM) + self.public
        self.spoiled = set()  # names with signatures that do not verify

    @property
    def anchor(self):
        """The trust anchor, as the file of a validating resolver has it."""
        return f"{self.zone}. IN DNSKEY {FLAGS} 3 {ALGORITHM} {base64.b64encode(self.public).decode('ascii')}\n"

    def covers(self, name):
        return name == self.zone or name.endswith("." + self.zone)

    def spoil(self, name):
        self.spoiled.add(fold(name))

    def tag(self):
        total = sum(octet << 8 if at % 2 == 0 else octet for at, octet in enumerate(self.dnskey))
        return (total + (total >> 16)) & 0xffff

    def sign(self, owner, kind, ttl, data):
        """The RRSIG's data for a record set."""
        now = int(time.time())
        labels = len([label for label in owner.split(".") if label])
        head = struct.pack("!HBBIIIH", kind, ALGORITHM, labels, ttl, now + 86400, now - 3600,
                           self.tag()) + encode_name(self.zone)
        name = encode_name(owner)
        signed = head + b"".join(name + struct.pack("!HHIH", kind, CLASS_IN, ttl, len(item)) + item
                                 for item in sorted(data))
        r, s = decode_dss_signature(self.key.sign(signed, ec.ECDSA(hashes.SHA256())))
        if owner in self.spoiled:
            s ^= 1
        return head + r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def denial(self, name, kinds):
        """NSEC: `name` has these types and no others, and the next name is right behind it."""
        numbers = sorted({*(TYPES[kind] for kind in kinds), TYPES["NSEC"], TYPES["RRSIG"]})
        windows = b""
        for window in sorted({number >> 8 for number in numbers}):
            bits = bytearray(32)
            for number in numbers:
                if number >> 8 == window:
                    bits[(number & 0xff) // 8] |= 0x80 >> (number % 8)
            used = bytes(bits).rstrip(b"\0")
            windows += bytes([window, len(used)]) + used
        return b"\1\0" + encode_name(name) + windows
