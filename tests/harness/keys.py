"""Account keys that sign JWS in every algorithm the server accepts, certificate keys, CSRs."""

import base64
import hashlib
import ipaddress
import json

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.x509.oid import NameOID

HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
CURVES = {"ES256": (ec.SECP256R1, "P-256", 32), "ES384": (ec.SECP384R1, "P-384", 48),
          "ES512": (ec.SECP521R1, "P-521", 66)}
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA")


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def b64_number(number, size=None):
    size = size or (number.bit_length() + 7) // 8
    return b64(number.to_bytes(size, "big"))


class AccountKey:
    """A fresh key for one JWS algorithm."""

    def __init__(self, alg="ES256", bits=2048):
        self.alg = alg
        if alg in CURVES:
            self.private = ec.generate_private_key(CURVES[alg][0]())
        elif alg == "EdDSA":
            self.private = ed25519.Ed25519PrivateKey.generate()
        else:
            self.private = rsa.generate_private_key(65537, bits)

    @classmethod
    def of(cls, private):
        """An existing key, of a certificate for example; RSA signs as RS256."""
        made = cls.__new__(cls)
        made.private = private
        made.alg = "RS256"
        if isinstance(private, ec.EllipticCurvePrivateKey):
            made.alg = next(alg for alg, (curve, _, _) in CURVES.items() if curve.name == private.curve.name)
        return made

    def jwk(self):
        public = self.private.public_key()
        if self.alg in CURVES:
            _, name, size = CURVES[self.alg]
            numbers = public.public_numbers()
            return {"crv": name, "kty": "EC", "x": b64_number(numbers.x, size),
                    "y": b64_number(numbers.y, size)}
        if self.alg == "EdDSA":
            raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            return {"crv": "Ed25519", "kty": "OKP", "x": b64(raw)}
        numbers = public.public_numbers()
        return {"e": b64_number(numbers.e), "kty": "RSA", "n": b64_number(numbers.n)}

    def thumbprint(self):
        text = json.dumps(self.jwk(), sort_keys=True, separators=(",", ":"))
        return b64(hashlib.sha256(text.encode("ascii")).digest())

    def sign(self, data):
        if self.alg == "EdDSA":
            return self.private.sign(data)
        digest = HASHES[self.alg[2:]]()
        if self.alg in CURVES:
            size = CURVES[self.alg][2]
            r, s = utils.decode_dss_signature(self.private.sign(data, ec.ECDSA(digest)))
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")
        if self.alg.startswith("PS"):
            return self.private.sign(
                data, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
        return self.private.sign(data, padding.PKCS1v15(), digest)


def certificate_key(kind="P-256"):
    if kind == "P-256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, 2048)


def identifier(name):
    """The ACME identifier that a name or an address is."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return {"type": "dns", "value": name}
    return {"type": "ip", "value": name}


def general_name(name):
    """The subjectAltName entry that a name or an address is."""
    if identifier(name)["type"] == "ip":
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.DNSName(name)


def csr_der(names, key, common_name=None, digest=None):
    """A DER CSR for DNS names and addresses; the subject stays empty unless a common name is given."""
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([general_name(name) for name in names]), False)
    return builder.sign(key, digest or hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def public_der(key):
    """The SubjectPublicKeyInfo of a private key, a public key or a certificate."""
    public = key.public_key() if hasattr(key, "public_key") else key
    return public.public_bytes(serialization.Encoding.DER,
                               serialization.PublicFormat.SubjectPublicKeyInfo)
