"""Deployments that a test takes through their steps at the ELB simulator."""

import base64
import hashlib
import json
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from cryptography.hazmat.primitives import serialization  # noqa: E402 (found through the line above)
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402

from elb_fixture import ElbSimulator  # noqa: E402
from elb_steps import Deployment  # noqa: E402
from elbsim.control import key_text  # noqa: E402
from simkit.ca import Hierarchy  # noqa: E402

MINUTE = 60 * 1000
MODES = ("keep", "file", "create")
LOGINS = ("aksk", "token")


class Certificate:
    """A chain for a key, and the key in a file."""

    def __init__(self, hierarchy, directory, names, key=None):
        self.names = names
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.key_pem = key_text(self.key)
        leaf = hierarchy.issue(names, names[0], self.key.public_key(), 90)
        self.chain = hierarchy.download(leaf, "x509", "leaf-first").decode("ascii")
        self.sha256 = hashlib.sha256(leaf.public_bytes(serialization.Encoding.DER)).hexdigest()
        self.key_file = os.path.join(directory, names[0].replace("*", "_") + ".key")
        descriptor = os.open(self.key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(self.key_pem)


class StepCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.elb = ElbSimulator()
        cls.addClassCleanup(cls.elb.clean)
        directory = tempfile.TemporaryDirectory(prefix="acmebridge-elb-")
        cls.addClassCleanup(directory.cleanup)
        cls.directory = directory.name
        cls.hierarchy = Hierarchy(os.path.join(cls.directory, "ca"))
        cls.count = 0

    def setUp(self):
        # The deployer's waits pass in no time, so that its signatures may be from the future.
        self.elb.settings(skew_seconds=10 ** 9, pem_form="single-line", content_code="ELB.1011", error_shape="v3",
                          lone_mismatch="refuse", private_key_echo=True, quota=1000, security_token="",
                          time_members="v3", rate_limit=0, list_lag=0, domain_rules="current",
                          permissions=["get", "list", "create", "update", "delete"])
        self.elb.control("POST", "/access-key/unlock")

    def certificate(self, *names, key=None):
        type(self).count += 1
        names = list(names) or [f"step{self.count}.test"]
        return Certificate(self.hierarchy, self.directory, names, key)

    def deployment(self, mode, certificate=None, login="aksk", **options):
        """(deployment, certificate) into an object that has another certificate of the same key, or of another."""
        certificate = certificate or self.certificate()
        if mode == "create":
            options.setdefault("name", certificate.names[0])
            options.update(create=True, private_key_file=certificate.key_file)
        elif "certificate_id" not in options:
            keep = {"private_key": certificate.key_pem} if mode == "keep" else {}
            made = self.elb.make(names=certificate.names, name=certificate.names[0], bound=True, **keep)
            options["certificate_id"] = made["id"]
        if mode == "file":
            options["private_key_file"] = certificate.key_file
        return Deployment(self.elb, certificate, login=login, **options), certificate

    def no_secrets(self, deployment, certificate):
        """Keys are nowhere but in the bodies of calls, and those of calls not in the state."""
        core = base64.b64encode(certificate.key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption())).decode("ascii")
        text = json.dumps([{name: value for name, value in step.items() if name != "body"}
                           for step in deployment.steps])
        for secret in (core[60:100], self.elb.secret_key, self.elb.token or "no token"):
            self.assertNotIn(secret, text)

    def done(self, deployment, certificate, step=None):
        """Ends well: the object and its listener have the certificate, and there is one such object."""
        step = step or deployment.run()
        self.assertEqual(step["kind"], "done", deployment.notes())
        found = self.elb.objects(certificate.names[0])
        self.assertEqual(len(found), 1)
        self.assertEqual((found[0]["leaf_sha256"], found[0]["pair_fits"], found[0]["certificates"]),
                         (certificate.sha256, True, 3))
        if found[0]["bound"]:
            self.assertEqual(self.elb.live(found[0]["id"]), certificate.sha256)
        self.no_secrets(deployment, certificate)
        return found[0]

    def failed(self, deployment, certificate, *words):
        step = deployment.run()
        self.assertEqual(step["kind"], "failed", deployment.notes())
        for word in words:
            self.assertIn(word, step["detail"])
        self.no_secrets(deployment, certificate)

    def sent(self, deployment):
        return [(step["method"], step["url"].split("/certificates")[1][:1]) for step in deployment.calls]
