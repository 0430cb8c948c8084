"""Other CAs beside the server's own: roots, and the certificates they give to its keys."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from harness.keys import certificate_key


def sign(subject, public, issuer, key, key_id=None):
    """A CA certificate for `public`, issued with `key`."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
               .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
               .not_valid_after(now + datetime.timedelta(days=300))
               .add_extension(x509.BasicConstraints(True, None), True)
               .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), True)
               .add_extension(key_id or x509.SubjectKeyIdentifier.from_public_key(public), False)
               .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False))
    return builder.sign(key, hashes.SHA256())


def make_root(name):
    """(key, certificate) of a new root."""
    key = certificate_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return key, sign(subject, key.public_key(), subject, key)


def cross(own, root_key, root):
    """The certificate that a foreign root gives to one of our CA's keys."""
    key_id = own.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return sign(own.subject, own.public_key(), root.subject, root_key, key_id)


def pem(*certificates):
    return b"".join(item.public_bytes(serialization.Encoding.PEM) for item in certificates)
