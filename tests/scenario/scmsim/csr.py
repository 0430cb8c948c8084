"""Decoding certificate signing requests and judging their keys and names."""

import base64
import binascii
import hashlib
import ipaddress
import re

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from scmsim.wire import ApiError

CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


class Csr:
    """A decoded CSR whose signature holds."""

    def __init__(self, text):
        if len(text) > 32767 or not re.fullmatch(r"[A-Za-z0-9+/=\\\s-]+", text):
            raise ApiError(-1601, "csr")
        armoured = re.fullmatch(
            r"\s*-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----(.*?)"
            r"-----END (?:NEW )?CERTIFICATE REQUEST-----\s*", text, re.DOTALL)
        try:
            der = base64.b64decode("".join((armoured[1] if armoured else text).split()), validate=True)
        except binascii.Error:
            raise ApiError(-9) from None
        try:
            request = x509.load_der_x509_csr(der)
            self.public_key = request.public_key()
        except UnsupportedAlgorithm:
            raise ApiError(-11) from None
        except ValueError:
            raise ApiError(-10) from None
        try:
            valid = request.is_signature_valid
        except UnsupportedAlgorithm:
            raise ApiError(-11) from None
        if not valid:
            raise ApiError(-138)
        common_names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        self.common_name = common_names[0].value.lower() if common_names else ""
        try:
            extension = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            self.alternatives = extension.value.get_values_for_type(x509.DNSName)
        except x509.ExtensionNotFound:
            self.alternatives = []
        self.pem = request.public_bytes(serialization.Encoding.PEM).decode("ascii")
        self.sha256 = hashlib.sha256(der).hexdigest().upper()
        self.sha1 = hashlib.sha1(der).hexdigest().upper()
        self.md5 = hashlib.md5(der).hexdigest().upper()

    def key_type(self):
        """(algorithm, size or curve) in the words of a profile's keyTypes."""
        if isinstance(self.public_key, rsa.RSAPublicKey):
            return "RSA", str(self.public_key.key_size)
        if isinstance(self.public_key, ec.EllipticCurvePublicKey):
            return "EC", CURVES.get(self.public_key.curve.name, self.public_key.curve.name)
        raise ApiError(-11)

    def check_profile(self, profile):
        algorithm, size = self.key_type()
        if algorithm not in profile["keyTypes"]:
            raise ApiError(-11)
        if size not in profile["keyTypes"][algorithm]:
            raise ApiError(-194)


def check_name(name):
    """Refuses what is neither a host name, a wildcard of one, nor an IP address."""
    try:
        ipaddress.ip_address(name)
        return
    except ValueError:
        pass
    if len(name) > 253:
        raise ApiError(-306, name[:60], 253)
    if not all(LABEL.fullmatch(label) for label in name.removeprefix("*.").split(".")):
        raise ApiError(-732)


def merge_names(common_name, names):
    """The common name and the alternative names, folded, in order, each once."""
    merged = []
    for name in [common_name] + names:
        name = name.strip().lower()
        if name and name not in merged:
            check_name(name)
            merged.append(name)
    return merged
