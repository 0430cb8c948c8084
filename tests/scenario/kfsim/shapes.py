"""Certificates in the forms that Command answers with."""

import base64

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from simkit.ca import pem_of


def der_base64(certificate):
    return base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode("ascii")


def with_text(certificate):
    """PEM after the lines that say what it is of."""
    return (f"Subject: {certificate.subject.rfc4514_string()}\nIssuer: {certificate.issuer.rfc4514_string()}\n"
            + pem_of(certificate).decode("ascii"))


FORMS = {"pem": lambda certificate: pem_of(certificate).decode("ascii"), "base64": der_base64, "text": with_text}


def ordered(hierarchy, leaf, include_chain, include_root, order):
    """The leaf, with its chain if asked for."""
    if not include_chain:
        return [leaf]
    upper = [tier.certificate for tier in hierarchy.tiers]
    if not include_root:
        upper = upper[1:]
    if order == "mixed":
        return [upper[-1], leaf] + upper[:-1]
    whole = upper + [leaf]
    return whole if order == "root-first" else whole[::-1]


def enrolled(settings, hierarchy, leaf, include_chain, fmt):
    """Certificates[] of a reply to an enrollment."""
    chain = ordered(hierarchy, leaf, include_chain, settings.include_root, settings.chain_order)
    if fmt == "P7B":
        return [base64.b64encode(pkcs7.serialize_certificates(chain, serialization.Encoding.DER)).decode("ascii")]
    form = FORMS["base64" if fmt == "DER" else settings.certificate_shape]
    return [form(certificate) for certificate in chain]


def content(settings, hierarchy, leaf, fmt, include_chain, order):
    """Content of a download."""
    chain = ordered(hierarchy, leaf, include_chain, settings.include_root, order)
    if fmt == "P7B":
        return base64.b64encode(pkcs7.serialize_certificates(chain, serialization.Encoding.DER)).decode("ascii")
    if fmt == "DER":
        return der_base64(leaf)
    text = b"".join(pem_of(certificate) for certificate in chain)
    return text.decode("ascii") if settings.pem_content == "text" else base64.b64encode(text).decode("ascii")
