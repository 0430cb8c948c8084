"""Base classes of the test cases: what they start is ended, the server's log is shown when a test fails."""

import os
import subprocess
import sys
import tempfile
import unittest

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from harness.acme import Client
from harness.bridge import Bridge, program
from harness.keys import identifier, public_der
from harness.responder import Responder
from scm_fixture import Simulator

LOG_SHOWN = 12000


class Case(unittest.TestCase):
    """Every test may start servers of its own; after each the logs are checked and shown on failure."""

    @classmethod
    def setUpClass(cls):
        if not os.access(program(), os.X_OK):
            raise RuntimeError(f"{program()} is not there: build it, or set ACMEBRIDGE_BIN")

    def run(self, result=None):
        """Shows the logs of the servers in use when the test has failed."""
        result = result or self.defaultTestResult()
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            for log in getattr(self, "logs", []):
                print(f"---- acmebridge's log, {self.id()}\n{log[-LOG_SHOWN:]}\n----", file=sys.stderr)
        return result

    def watch(self, bridge):
        """Makes a server's log part of this test's verdict."""
        self.addCleanup(self.look_at, bridge)

    def look_at(self, bridge):
        self.logs = getattr(self, "logs", []) + [bridge.log()]
        bridge.check_log()

    def make_bridge(self, *arguments, **options):
        """A server of this test's own, not started yet; one that still runs at the end is stopped orderly."""
        bridge = Bridge(*arguments, **options)
        self.addCleanup(bridge.clean)
        self.watch(bridge)
        self.addCleanup(lambda: bridge.stop() if bridge.running() else None)
        return bridge

    def make_responder(self, **options):
        responder = Responder(**options)
        self.addCleanup(responder.stop)
        return responder

    def make_simulator(self, *arguments):
        simulator = Simulator(*arguments)
        self.addCleanup(simulator.clean)
        return simulator

    def client(self, bridge, **options):
        client = Client(bridge, **options)
        self.addCleanup(client.close)
        return client

    def check_certificate(self, chain, key, names, root_file, intermediates=1):
        """The chain verifies against the root, belongs to the key, and names exactly what was ordered."""
        parts = [part + "-----END CERTIFICATE-----\n"
                 for part in chain.split("-----END CERTIFICATE-----\n") if part.strip()]
        self.assertGreaterEqual(len(parts), 1 + intermediates)
        certificates = [x509.load_pem_x509_certificate(part.encode("ascii")) for part in parts]
        leaf = certificates[0]
        self.assertEqual(public_der(leaf), public_der(key))
        names_found = leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
        addresses = [str(address) for address in names_found.get_values_for_type(x509.IPAddress)]
        self.assertEqual(sorted(names_found.get_values_for_type(x509.DNSName) + addresses), sorted(names))
        self.assertEqual(len(names_found), len(names))
        for lower, upper in zip(certificates, certificates[1:]):
            self.assertEqual(lower.issuer, upper.subject, "the chain is out of order")
        with tempfile.TemporaryDirectory(prefix="acmebridge-chain-") as directory:
            for name, content in (("leaf.pem", parts[0]), ("upper.pem", "".join(parts[1:]))):
                with open(os.path.join(directory, name), "w", encoding="ascii") as stream:
                    stream.write(content)
            done = subprocess.run(
                ["openssl", "verify", "-x509_strict", "-purpose", "sslserver",
                 "-verify_ip" if identifier(names[0])["type"] == "ip" else "-verify_hostname", names[0],
                 "-no-CApath", "-no-CAstore", "-CAfile", root_file,
                 "-untrusted", os.path.join(directory, "upper.pem"), os.path.join(directory, "leaf.pem")],
                capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return leaf

    def refused(self, response, status, problem, *words):
        """A problem document of a type, with a detail that has all of the words."""
        self.assertEqual((response.status, response.problem), (status, problem), response.describe())
        for word in words:
            self.assertIn(word.lower(), response.detail.lower())


class ServerCase(Case):
    """One server, one responder, for all tests of a class; with a simulator when `simulator_arguments` is set."""

    simulator_arguments = None

    @classmethod
    def configure(cls, bridge):
        """Changes the settings before the start."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.simulator = None
        if cls.simulator_arguments is not None:
            cls.simulator = Simulator(*cls.simulator_arguments)
            cls.addClassCleanup(cls.simulator.clean)
        cls.responder = Responder()
        cls.addClassCleanup(cls.responder.stop)
        cls.bridge = Bridge(cls.responder.port, cls.simulator)
        cls.addClassCleanup(cls.bridge.clean)
        cls.configure(cls.bridge)
        cls.bridge.start()

    @classmethod
    def tearDownClass(cls):
        if cls.bridge.running():
            cls.bridge.stop()
        cls.bridge.check_log()

    def setUp(self):
        self.watch(self.bridge)
        self.responder.override = None
        if not self.bridge.running():
            self.bridge.start()
