"""What was asked and what it changed, a line of JSON for each call. Never has keys, passwords or tokens in it."""

import json
import os
import threading
import time

from elbsim import pem


class Journal:
    def __init__(self, path):
        self.lock = threading.Lock()
        self.entries = []
        if os.path.exists(path):
            with open(path, "r+b") as stream:
                whole = stream.read()
                # kill -9 may have cut the last line short.
                stream.truncate(whole.rfind(b"\n") + 1)
            self.entries = [json.loads(line) for line in whole.split(b"\n")[:-1]]
        self.stream = open(path, "a", encoding="utf-8")  # pylint: disable=consider-using-with

    def add(self, entry):
        with self.lock:
            entry = {"n": len(self.entries) + 1, "time": time.time(), **entry}
            self.entries.append(entry)
            self.stream.write(json.dumps(entry) + "\n")
            self.stream.flush()

    def select(self, operation=None, certificate=None, since=0):
        with self.lock:
            return [entry for entry in self.entries if entry["n"] > since
                    and operation in (None, entry["operation"]) and certificate in (None, entry["certificate"])]


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
