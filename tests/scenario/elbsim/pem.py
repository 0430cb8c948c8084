"""Certificates and keys in PEM: reading, judging, and whether they fit together."""

import base64
import binascii
import datetime
import hashlib
import re
import textwrap

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtensionOID, NameOID

BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----(.*?)-----END \1-----", re.DOTALL)
KEY_LABELS = ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY")
MOST_CERTIFICATES = 11


class BadPem(ValueError):
    """Says what is wrong, without any of the content."""


def blocks(text):
    """[(label, DER)] of all PEM in a text that holds nothing else; line ends may be missing, as ELB's own are."""
    found = []
    end = 0
    for match in BLOCK.finditer(text):
        if text[end:match.start()].strip():
            raise BadPem("there is text outside of the PEM blocks")
        end = match.end()
        try:
            found.append((match[1], base64.b64decode("".join(match[2].split()), validate=True)))
        except binascii.Error:
            raise BadPem("a PEM block is not Base64") from None
    if not found or text[end:].strip():
        raise BadPem("it is not PEM encoded")
    return found


def read_chain(text):
    """The certificates of a chain, leaf first; BadPem unless each is issued by the next."""
    found = blocks(text)
    if any(label != "CERTIFICATE" for label, _ in found):
        raise BadPem("something other than a certificate is in it")
    if len(found) > MOST_CERTIFICATES:
        raise BadPem(f"there are more than {MOST_CERTIFICATES} certificates")
    try:
        chain = [x509.load_der_x509_certificate(der) for _, der in found]
    except ValueError:
        raise BadPem("a certificate cannot be decoded") from None
    for lower, upper in zip(chain, chain[1:]):
        if lower.issuer != upper.subject:
            raise BadPem("the chain is not in order, leaf first")
    return chain


def read_key(text):
    """An unencrypted private key, alone."""
    found = blocks(text)
    if len(found) != 1 or found[0][0] not in KEY_LABELS or "Proc-Type" in text:
        raise BadPem("it is not one unencrypted private key")
    try:
        return serialization.load_pem_private_key(wrapped(*found[0]).encode("ascii"), None)
    except (ValueError, TypeError):
        raise BadPem("the private key cannot be decoded") from None


def public_of(holder):
    """The SubjectPublicKeyInfo of a certificate or private key."""
    return holder.public_key().public_bytes(serialization.Encoding.DER,
                                            serialization.PublicFormat.SubjectPublicKeyInfo)


def fits(certificate_text, key_text):
    return public_of(read_chain(certificate_text)[0]) == public_of(read_key(key_text))


def wrapped(label, der):
    lines = textwrap.wrap(base64.b64encode(der).decode("ascii"), 64)
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def normalised(text):
    return "".join(wrapped(label, der) for label, der in blocks(text))


def single_line(text):
    return "".join(f"-----BEGIN {label}-----{base64.b64encode(der).decode('ascii')}-----END {label}-----"
                   for label, der in blocks(text))


def formed(text, form):
    if not text or form == "as-sent":
        return text
    return single_line(text) if form == "single-line" else normalised(text)


def der_of(certificate):
    return certificate.public_bytes(serialization.Encoding.DER)


def leaf_sha256(text):
    return hashlib.sha256(blocks(text)[0][1]).hexdigest()


def key_sha256(text):
    """Of the public key that belongs to a private key."""
    return hashlib.sha256(public_of(read_key(text))).hexdigest()


def common_name(certificate):
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return found[0].value if found else ""


def alternative_names(certificate):
    try:
        names = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.DNSName) + [
        str(address) for address in names.get_values_for_type(x509.IPAddress)]


def sha1_of(certificate):
    return hashlib.sha1(der_of(certificate)).hexdigest()


def expiry(certificate):
    """Seconds since the epoch."""
    return certificate.not_valid_after.replace(tzinfo=datetime.timezone.utc).timestamp()
