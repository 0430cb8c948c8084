"""What was asked and what it changed."""

import json

import simkit.journal
from elbsim import pem


class Journal(simkit.journal.Journal):
    def select(self, operation=None, certificate=None, since=0):
        """The entries of an operation, about a certificate, after a number."""
        return [entry for entry in self.after(since, operation) if certificate in (None, entry["certificate"])]


def about_body(raw_body):
    """Which members a request's body has, and of the certificate and key what identifies them."""
    try:
        option = json.loads(raw_body or b"{}")["certificate"]
    except (ValueError, KeyError, TypeError, RecursionError):
        option = None
    if not isinstance(option, dict):
        return {"members": [], "key_sent": False}
    about = {"members": sorted(option), "key_sent": "private_key" in option}
    for name in ("name", "description", "domain", "type"):
        if name in option:
            about[name] = option[name]
    for name, member, look in (("leaf_sha256", "certificate", pem.leaf_sha256),
                               ("key_sha256", "private_key", pem.key_sha256)):
        if isinstance(option.get(member), str):
            try:
                about[name] = look(option[member])
            except ValueError:
                about[name] = None
    if isinstance(option.get("certificate"), str):
        about["certificates"] = option["certificate"].count("-----BEGIN CERTIFICATE-----")
    return about
