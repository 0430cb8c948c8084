"""A server whose certificates go into objects of the Huawei ELB simulator."""

import contextlib
import hashlib
import json
import os
import sqlite3
import time

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from elb_fixture import ElbSimulator
from elbsim.control import key_text
from harness.acme import Client
from harness.case import Case
from harness.keys import certificate_key

LIMIT = 30


def leaf_sha256(chain):
    leaf = x509.load_pem_x509_certificate(chain.encode("ascii"))
    return hashlib.sha256(leaf.public_bytes(serialization.Encoding.DER)).hexdigest()


class Place:
    """A deployer with the name it is for, that name's key, and the object it fills (None while it is to be made)."""

    def __init__(self, label, mode, login, host, key, key_file, made):
        self.label, self.mode, self.login, self.host = label, mode, login, host
        self.key, self.key_file = key, key_file
        self.made = made
        self.chain = None

    @property
    def sha256(self):
        return leaf_sha256(self.chain)


class ElbDeployCase(Case):
    """One simulator for a class, a server for each test."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.elb = ElbSimulator()
        cls.addClassCleanup(cls.elb.clean)

    def setUp(self):
        self.elb.settings(skew_seconds=900, projects=[], permissions=["get", "list", "create", "update", "delete"])
        self.elb.control("DELETE", "/faults")
        self.elb.control("POST", "/access-key/unlock")
        for stored in self.elb.objects():
            self.elb.remove(stored["id"])
        self.responder = self.make_responder()
        self.bridge = self.make_bridge(self.responder.port)
        self.bridge.secrets += [self.elb.password, self.elb.secret_key]
        self.bridge.settings["deployers"] = []
        self.bridge.settings["profiles"][0]["deploy"] = []
        self.acme = None

    # ---- places ----

    def login_of(self, login):
        ready = self.elb.ready
        if login == "iam":
            return {"iam": {"url": ready["iam_url"], "domain": ready["domain"], "user": ready["user"],
                            "password_file": ready["password_file"]}}
        return {"access_key": {"id": ready["access_key"], "secret_file": ready["secret_key_file"]}}

    def place(self, label, mode="keep", login="access_key", project=None, **settings):
        """A deployer for <label>.localhost: mode is keep, file or create."""
        host, key = f"{label}.localhost", certificate_key()
        key_file = os.path.join(self.bridge.directory, f"{label}.key")
        made = None
        deployer = {
            "name": label, "type": "huawei-elb", "names": [host], "url": self.elb.ready["url"],
            "project_id": project or self.elb.ready["project_id"], "auth": self.login_of(login),
            "ca_file": self.elb.ready["tls_ca_file"], "requests_per_minute": 6000, "burst": 100}
        if mode == "create":
            deployer["create"] = True
        else:
            keep = {"private_key": key_text(key)} if mode == "keep" else {}
            made = self.elb.make(names=[host], name=label, bound=True, **keep,
                                 **({"project": project} if project else {}))
            deployer["certificate_id"] = made["id"]
        if mode == "keep":
            deployer["private_key"] = "keep"
        else:
            deployer["private_key_file"] = key_file
            self.write_key(key_file, key)
        self.bridge.settings["deployers"].append({**deployer, **settings})
        self.bridge.settings["profiles"][0]["deploy"].append(label)
        return Place(label, mode, login, host, key, key_file, made)

    @staticmethod
    def write_key(path, key):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(key_text(key))

    # ---- what happens ----

    def serve(self):
        self.bridge.start()
        self.acme = Client(self.bridge)
        self.addCleanup(self.acme.close)
        self.acme.register()

    def restart(self):
        """After a kill -9."""
        self.acme.close()
        self.acme.nonces = []
        self.bridge.start()

    def obtain(self, *places):
        for place in places:
            place.chain, _ = self.acme.obtain(self.responder, place.host, key=place.key)

    def deployments(self, label=None):
        """[(status, error)] from the store itself, oldest first."""
        path = f"file:{self.bridge.data}/acmebridge.db?mode=ro"
        with contextlib.closing(sqlite3.connect(path, uri=True, timeout=10)) as database:
            rows = database.execute("SELECT deployer, status, error FROM deployments ORDER BY id").fetchall()
        return [(status, error) for deployer, status, error in rows if label in (None, deployer)]

    def wait_for(self, condition, what, limit=LIMIT):
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            result = condition()
            if result:
                return result
            time.sleep(0.1)
        raise AssertionError(f"not within {limit} s: {what}")

    def ended(self, place, status, limit=LIMIT):
        """The error of a place's last deployment, once it has ended as it should."""
        def look():
            rows = self.deployments(place.label)
            return rows[-1] if rows and rows[-1][0] != "pending" else None

        found = self.wait_for(look, f"the end of {place.label}: {self.deployments(place.label)}", limit)
        self.assertEqual(found[0], status, found[1])
        return found[1]

    def in_place(self, *places, limit=LIMIT):
        """Deployed, and seen in a handshake with the listener."""
        for place in places:
            self.ended(place, "deployed", limit)
            if place.made is None:
                found = self.elb.objects(f"acmebridge-{place.label}")
                self.assertEqual(len(found), 1, place.label)
                place.made = self.elb.change(found[0]["id"], bound=True)
            stored = self.elb.look(place.made["id"])
            self.assertEqual((stored["leaf_sha256"], stored["pair_fits"]), (place.sha256, True), place.label)
            self.assertEqual(self.elb.live(place.made["id"]), place.sha256, place.label)

    def ask(self, *words):
        """What an operator's command says, as JSON."""
        done = self.bridge.run(*words, "--json", "--data-dir", self.bridge.data)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def received(self, operation):
        return self.elb.control("GET", "/stats")["received"].get(operation, 0)
