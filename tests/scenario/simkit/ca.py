"""The CA inside the simulator: its hierarchy, issuing, download formats, and the TLS identity."""

import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from simkit.files import write_atomically

TIERS = (("root", "Simulated Root CA", None), ("intermediate", "Simulated Intermediate CA", 1),
         ("issuing", "Simulated OV Server CA", 0))
FORMATS = ("x509", "x509CO", "x509IO", "x509IOR", "x509R", "pem", "pemco", "pemia", "base64", "bin")


def utc_now():
    return datetime.datetime.utcnow().replace(microsecond=0)


def name_of(common_name, organization="SCM Simulator"):
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
                      x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def pem_of(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_usage(authority):
    return x509.KeyUsage(digital_signature=not authority, content_commitment=False,
                         key_encipherment=False, data_encipherment=False, key_agreement=False,
                         key_cert_sign=authority, crl_sign=authority, encipher_only=False,
                         decipher_only=False)


def general_name(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Authority:
    """One CA certificate with its key, kept in two files of the state directory."""

    def __init__(self, certificate, key):
        self.certificate = certificate
        self.key = key

    @classmethod
    def load_or_make(cls, directory, stem, common_name, parent, path_length):
        certificate_file = os.path.join(directory, stem + ".pem")
        key_file = os.path.join(directory, stem + ".key")
        if os.path.exists(certificate_file) and os.path.exists(key_file):
            with open(key_file, "rb") as stream:
                key = serialization.load_pem_private_key(stream.read(), None)
            with open(certificate_file, "rb") as stream:
                return cls(x509.load_pem_x509_certificate(stream.read()), key)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = name_of(common_name)
        issuer = parent.certificate.subject if parent else subject
        signer = parent.key if parent else key
        start = utc_now() - datetime.timedelta(days=1)
        certificate = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(start).not_valid_after(start + datetime.timedelta(days=3650))
            .add_extension(x509.BasicConstraints(True, path_length), True)
            .add_extension(key_usage(True), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
                           False)
            .sign(signer, hashes.SHA256()))
        # The certificate comes last: the pair counts as made only when both files are there.
        write_atomically(key_file, key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()), 0o600)
        write_atomically(certificate_file, pem_of(certificate))
        return cls(certificate, key)

    def sign(self, names, public_key, not_before, not_after, subject,
             usage=ExtendedKeyUsageOID.SERVER_AUTH):
        """An end-entity certificate; times are naive UTC."""
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self.certificate.subject)
            .public_key(public_key).serial_number(x509.random_serial_number())
            .not_valid_before(not_before).not_valid_after(not_after)
            .add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(key_usage(False), True)
            .add_extension(x509.ExtendedKeyUsage([usage]), False)
            .add_extension(x509.SubjectAlternativeName([general_name(name) for name in names]), False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False))
        return builder.sign(self.key, hashes.SHA256())


class Hierarchy:
    """Root, intermediate and issuing CA."""

    def __init__(self, directory):
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self.root_file = os.path.join(directory, "root.pem")
        self.tiers = []
        for stem, common_name, path_length in TIERS:
            parent = self.tiers[-1] if self.tiers else None
            self.tiers.append(Authority.load_or_make(directory, stem, common_name, parent,
                                                     path_length))

    @property
    def issuing(self):
        return self.tiers[-1]

    def issue(self, names, common_name, public_key, term_days):
        """A server certificate; valid from the start of the UTC day, as the real service issues."""
        start = utc_now().replace(hour=0, minute=0, second=0)
        end = start + datetime.timedelta(days=term_days) - datetime.timedelta(seconds=1)
        subject = (name_of(common_name, "Simulated Corp") if len(common_name) <= 64 else
                   x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Simulated Corp")]))
        return self.issuing.sign(names, public_key, start, end, subject)

    def strangers_chain(self):
        """Leaf-first PEM of a certificate that nobody asked for."""
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = self.issue(["stranger.invalid"], "stranger.invalid", key.public_key(), 30)
        return self.download(leaf, "x509", "leaf-first", False)

    def download(self, leaf, fmt, order="root-first", base64_as_pem=False):
        """The body of a collect answer in one of FORMATS."""
        upper = [tier.certificate for tier in self.tiers]
        if fmt == "base64" and base64_as_pem:
            fmt = "x509"
        if fmt in ("base64", "bin"):
            encoding = serialization.Encoding.PEM if fmt == "base64" else serialization.Encoding.DER
            return pkcs7.serialize_certificates(upper + [leaf], encoding)
        whole = upper + [leaf]
        if order == "leaf-first":
            whole = whole[::-1]
        elif order == "mixed":
            whole = [upper[1], leaf, upper[0], upper[2]]
        chosen = {
            "x509": whole, "pem": whole, "x509CO": [leaf], "pemco": [leaf], "x509IO": upper,
            "x509IOR": upper[::-1], "x509R": [leaf] + upper[::-1], "pemia": [leaf] + upper[:0:-1],
        }[fmt]
        return b"".join(pem_of(certificate) for certificate in chosen)


def make_tls_identity(state_directory):
    """Writes tls-ca.pem (kept over restarts) and a fresh server certificate; returns their paths."""
    authority = Authority.load_or_make(state_directory, "tls-ca", "Simulator TLS CA", None, 0)
    key = ec.generate_private_key(ec.SECP256R1())
    start = utc_now() - datetime.timedelta(hours=1)
    certificate = authority.sign(["localhost", "127.0.0.1", "::1"], key.public_key(), start,
                                 start + datetime.timedelta(days=365), name_of("localhost"))
    bundle = os.path.join(state_directory, "tls-server.pem")
    write_atomically(bundle, key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()) + pem_of(certificate), 0o600)
    return os.path.join(state_directory, "tls-ca.pem"), bundle
