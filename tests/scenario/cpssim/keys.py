"""Keys that CPS makes, its certificate signing requests, and the judging of certificates that are uploaded."""

import datetime
import hashlib
import re

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from cpssim.wire import Refused

ALGORITHMS = ("RSA", "ECDSA")
SUBJECT = (("c", NameOID.COUNTRY_NAME), ("st", NameOID.STATE_OR_PROVINCE_NAME), ("l", NameOID.LOCALITY_NAME),
           ("o", NameOID.ORGANIZATION_NAME), ("ou", NameOID.ORGANIZATIONAL_UNIT_NAME), ("cn", NameOID.COMMON_NAME))
EPOCH = datetime.datetime(1970, 1, 1)
BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----")


def make_key(algorithm):
    """A new private key as PEM."""
    key = rsa.generate_private_key(65537, 2048) if algorithm == "RSA" else ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption()).decode("ascii")


def load_key(pem):
    return serialization.load_pem_private_key(pem.encode("ascii"), None)


def names_of(csr):
    """The names of an enrollment's csr member: the common name first, each once."""
    names = []
    for name in [csr["cn"], *(csr.get("sans") or [])]:
        if name.lower() not in names:
            names.append(name.lower())
    return names


def make_csr(key_pem, csr, exclude_sans=False):
    subject = [x509.NameAttribute(oid, csr[member]) for member, oid in SUBJECT if csr.get(member)]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if not exclude_sans:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names_of(csr)]), False)
    request = builder.sign(load_key(key_pem), hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode("ascii")


def public_der(public_key):
    return public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_sha256(public_key):
    return hashlib.sha256(public_der(public_key)).hexdigest()


def algorithm_of(certificate):
    return "RSA" if isinstance(certificate.public_key(), rsa.RSAPublicKey) else "ECDSA"


def alternative_names(certificate):
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return [name.lower() for name in extension.value.get_values_for_type(x509.DNSName)]


def read_certificates(text):
    """The certificates of a PEM text that has nothing else in it; ValueError."""
    rest = BLOCK.sub("", text)
    if rest.strip():
        raise ValueError("there is something that is not a certificate in PEM")
    return [x509.load_pem_x509_certificate(block.encode("ascii")) for block in BLOCK.findall(text)]


def is_signed_by(certificate, issuer):
    if certificate.issuer != issuer.subject:
        return False
    key = issuer.public_key()
    arguments = [certificate.signature, certificate.tbs_certificate_bytes]
    if isinstance(key, rsa.RSAPublicKey):
        arguments += [padding.PKCS1v15(), certificate.signature_hash_algorithm]
    elif isinstance(key, ec.EllipticCurvePublicKey):
        arguments.append(ec.ECDSA(certificate.signature_hash_algorithm))
    try:
        key.verify(*arguments)
    except InvalidSignature:
        return False
    return True


def check_upload(certificate_text, chain_text, algorithm, refuse_cr):
    """The leaf of an uploaded certificate with its chain; what CPS cannot take at all is refused."""
    for member, text in (("certificate", certificate_text), ("trustChain", chain_text)):
        if not isinstance(text, str):
            raise Refused(400, "invalid-certificate", f"{member} is missing.")
        if refuse_cr and "\r" in text:
            raise Refused(400, "invalid-certificate", f"{member} has carriage returns in it.")
    try:
        leaves = read_certificates(certificate_text.replace("\r", ""))
        chain = read_certificates(chain_text.replace("\r", ""))
    except ValueError as error:
        raise Refused(400, "invalid-certificate", f"Unable to parse the certificate or trust chain: {error}.") from None
    if len(leaves) != 1:
        raise Refused(400, "invalid-certificate", "certificate has to be exactly one certificate.")
    leaf = leaves[0]
    if algorithm_of(leaf) != algorithm:
        raise Refused(400, "invalid-certificate", f"keyAlgorithm {algorithm} is not the certificate's.")
    if not chain:
        raise Refused(400, "invalid-trust-chain", "The trust chain is empty.")
    if leaf in chain:
        raise Refused(400, "invalid-trust-chain", "The trust chain has the leaf certificate in it.")
    for certificate, issuer in zip([leaf, *chain], chain):
        if not is_signed_by(certificate, issuer):
            raise Refused(400, "invalid-trust-chain", f"{certificate.subject.rfc4514_string()} is not signed by the "
                          "next certificate of the trust chain.")
    return leaf


def findings(leaf, key_pem, names, algorithm):
    """Warnings about an uploaded certificate, as text."""
    warnings = []
    if not key_fits(leaf, key_pem):
        warnings.append(f"CSR_VS_CERTIFICATE_KEY_MISMATCH: the public key of the {algorithm} certificate is not the "
                        "one of the CSR.")
    if leaf.not_valid_after < datetime.datetime.utcnow():
        warnings.append(f"CERTIFICATE_EXPIRED: the {algorithm} certificate has expired.")
    missing = sorted(set(names) - set(alternative_names(leaf)))
    if missing:
        warnings.append(f"CSR_VS_CERTIFICATE_SANS_MISMATCH: the {algorithm} certificate lacks [{' '.join(missing)}].")
    return warnings


def key_fits(leaf, key_pem):
    return public_der(leaf.public_key()) == public_der(load_key(key_pem).public_key())


def expiry_text(certificate):
    return certificate.not_valid_after.strftime("%Y-%m-%dT%H:%M:%SZ")


def facts(pem):
    """What identifies a certificate, for the control port."""
    leaf = read_certificates(pem)[0]
    return {"serial": f"{leaf.serial_number:x}", "key_sha256": key_sha256(leaf.public_key()),
            "names": alternative_names(leaf), "expiry": expiry_text(leaf)}
