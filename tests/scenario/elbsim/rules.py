"""What the members of a certificate object may be, each refused for a reason of its own."""

import re

from elbsim import pem
from elbsim.wire import Refused, wrong_value

MOST_CERTIFICATE = 65536
MOST_KEY = 8192
DOMAIN_LIMITS = {"2024": (1024, 30), "current": (10000, 100)}
LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
ID = re.compile(r"[0-9a-z]{32}")
TEXTS = ("name", "description", "protection_reason")
# Strings of a server_sm object, and links that the service only stores.
SM_MEMBERS = ("enc_certificate", "enc_private_key")
UPDATABLE = ("certificate", "private_key", "domain", "name", "description", "scm_certificate_id", "source",
             "protection_status", "protection_reason", *SM_MEMBERS)
CREATABLE = (*UPDATABLE, "type", "admin_state_up", "enterprise_project_id", "project_id")


def check_id(certificate_id):
    if not ID.fullmatch(certificate_id):
        raise Refused(400, "ELB.5020", "The certificate id must have 32 characters.")


def check_members(given, allowed):
    """All known, all of their types, texts within their lengths."""
    for name, value in given.items():
        if name not in allowed:
            raise wrong_value(name, "unknown attribute")
        if name == "admin_state_up":
            if not isinstance(value, bool):
                raise wrong_value(name, "not a boolean")
        elif not isinstance(value, str):
            raise wrong_value(name, "not a string")
        elif name in TEXTS and len(value) > 255:
            raise wrong_value(name, "longer than 255 characters")
    if given.get("source", "") not in ("", "scm"):
        raise wrong_value("source", "neither scm nor empty")
    if given.get("protection_status", "nonProtection") not in ("nonProtection", "consoleProtection"):
        raise wrong_value("protection_status", "neither nonProtection nor consoleProtection")
    if len(given.get("certificate", "")) > MOST_CERTIFICATE:
        raise wrong_value("certificate", f"longer than {MOST_CERTIFICATE} characters")
    if len(given.get("private_key", "")) > MOST_KEY:
        raise wrong_value("private_key", f"longer than {MOST_KEY} characters")


def check_domain(text, rules):
    longest, most = DOMAIN_LIMITS[rules]
    if len(text) > longest:
        raise wrong_value("domain", f"longer than {longest} characters")
    names = text.split(",") if text else []
    if len(names) > most:
        raise wrong_value("domain", f"more than {most} domain names")
    for name in names:
        labels = name.removeprefix("*.").split(".")
        if not all(LABEL.fullmatch(label) for label in labels):
            raise wrong_value("domain", "one of the names is not a domain name")


def read_certificate(text, settings):
    try:
        return pem.read_chain(text)
    except pem.BadPem as problem:
        raise Refused(400, settings.content_code, f"The certificate is invalid: {problem}.") from None


def read_key(text, settings):
    try:
        return pem.read_key(text)
    except pem.BadPem as problem:
        raise Refused(400, settings.content_code, f"The private key is invalid: {problem}.") from None


def check_pair(given, stored, settings):
    """Do certificate and key fit, as they will be? What a lone one does is a setting."""
    certificate = given.get("certificate", stored.get("certificate", ""))
    key = given.get("private_key", stored.get("private_key", ""))
    chain = read_certificate(certificate, settings)
    private = read_key(key, settings)
    if pem.public_of(chain[0]) == pem.public_of(private):
        return
    lone = "certificate" not in given or "private_key" not in given
    if not lone or settings.lone_mismatch == "refuse":
        raise Refused(400, settings.content_code, "The certificate and the private key do not match.")
