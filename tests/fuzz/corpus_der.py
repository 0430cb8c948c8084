"""Keys, signatures and DER for make_corpus.py: the same octets at every run, so that a new run shows as no
change. Keys come from fixed seeds and protect nothing."""

import hashlib
import random

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa


def digest(*parts):
    return hashlib.sha256("|".join(str(part) for part in parts).encode()).digest()


# ---- DER ----


def tlv(tag, *contents):
    content = b"".join(contents)
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 128 + len(octets)]) + octets + content


def sequence(*contents):
    return tlv(0x30, *contents)


def set_of(*contents):
    return tlv(0x31, *contents)


def integer(value):
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def octets(content):
    return tlv(0x04, content)


def bits(content):
    return tlv(0x03, b"\0", content)


def utf8(text):
    return tlv(0x0C, text if isinstance(text, bytes) else text.encode())


def oid(dotted):
    numbers = [int(part) for part in dotted.split(".")]
    out = bytes([numbers[0] * 40 + numbers[1]])
    for number in numbers[2:]:
        septets = [number & 127]
        while number > 127:
            number >>= 7
            septets.append(128 | number & 127)
        out += bytes(reversed(septets))
    return tlv(0x06, out)


NULL = b"\x05\x00"
TRUE = b"\x01\x01\xff"


# ---- keys ----

CURVES = {
    "P-256": (ec.SECP256R1(), "1.2.840.10045.3.1.7", 32, hashes.SHA256(), "1.2.840.10045.4.3.2",
              0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551),
    "P-384": (ec.SECP384R1(), "1.3.132.0.34", 48, hashes.SHA384(), "1.2.840.10045.4.3.3",
              0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973),
    "P-521": (ec.SECP521R1(), "1.3.132.0.35", 66, hashes.SHA512(), "1.2.840.10045.4.3.4",
              0x01FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409),
}


class EcKey:
    """ECDSA with a secret number per message that is drawn from the message."""

    def __init__(self, name, curve="P-256"):
        (self.curve, self.curve_oid, self.size, self.hash, self.signature_oid, self.order) = CURVES[curve]
        self.curve_name = curve
        self.secret = int.from_bytes(digest("ec", name), "big") % (self.order - 1) + 1
        self.private = ec.derive_private_key(self.secret, self.curve)
        self.public = self.private.public_key()

    def point(self):
        numbers = self.public.public_numbers()
        return numbers.x.to_bytes(self.size, "big"), numbers.y.to_bytes(self.size, "big")

    def numbers_signed(self, message):
        data = hashlib.new(self.hash.name, message).digest()
        shift = max(0, len(data) * 8 - self.order.bit_length())
        number = int.from_bytes(data, "big") >> shift
        once = int.from_bytes(digest("nonce", self.secret, message.hex()), "big") % (self.order - 1) + 1
        r = ec.derive_private_key(once, self.curve).public_key().public_numbers().x % self.order
        return r, pow(once, -1, self.order) * (number + r * self.secret) % self.order

    def sign(self, message):
        r, s = self.numbers_signed(message)
        return sequence(integer(r), integer(s))

    def sign_raw(self, message):
        return b"".join(number.to_bytes(self.size, "big") for number in self.numbers_signed(message))

    def algorithm(self):
        return sequence(oid(self.signature_oid))


def prime(generator, size):
    while True:
        candidate = generator.getrandbits(size) | 3 << size - 2 | 1
        if all(candidate % small for small in (3, 5, 7, 11, 13, 17, 19, 23, 29, 31)) and all(
            pow(base, candidate - 1, candidate) == 1 for base in (2, 3, 5, 7)
        ):
            return candidate


class RsaKey:
    def __init__(self, name, size=2048, exponent=65537):
        generator = random.Random("rsa " + name)
        while True:
            p, q = prime(generator, size // 2), prime(generator, size // 2)
            if p != q and (p - 1) % exponent and (q - 1) % exponent:
                break
        d = pow(exponent, -1, (p - 1) * (q - 1))
        self.public_numbers = rsa.RSAPublicNumbers(exponent, p * q)
        self.private = rsa.RSAPrivateNumbers(
            p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), self.public_numbers
        ).private_key()
        self.public = self.private.public_key()
        self.hash = hashes.SHA256()

    def sign(self, message):
        return self.private.sign(message, padding.PKCS1v15(), self.hash)

    sign_raw = sign

    def algorithm(self):
        number = {"sha1": 5, "sha256": 11, "sha384": 12, "sha512": 13}[self.hash.name]
        return sequence(oid("1.2.840.113549.1.1.%d" % number), NULL)


class EdKey:
    def __init__(self, name):
        self.seed = digest("ed", name)
        self.private = ed25519.Ed25519PrivateKey.from_private_bytes(self.seed)
        self.public = self.private.public_key()
        self.hash = None

    def sign(self, message):
        return self.private.sign(message)

    sign_raw = sign

    def algorithm(self):
        return sequence(oid("1.3.101.112"))


def spki(key):
    return key.public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def signed(key, content, algorithm=None, signature=None):
    """What certificates and requests have in common: content, algorithm, signature."""
    return sequence(
        content,
        algorithm if algorithm is not None else key.algorithm(),
        bits(signature if signature is not None else key.sign(content)),
    )
