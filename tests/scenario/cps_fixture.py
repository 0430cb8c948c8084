"""Starts the CPS simulator for a test and talks to it: as an EdgeGrid client, and to its control port."""

import configparser
import datetime
import http.client
import json
import os
import ssl
import time
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cpssim import edgegrid
from cpssim.wire import vendor_type
from simkit.fixture import Answer, Simulator

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cps_simulator.py")
# Steps that take no time, and no throttle: what a test does not look at is fast.
FAST = {name: 0.0 for name in ("start_delay", "check_delay", "csr_delay", "verify_delay", "issue_delay", "ov_delay",
                               "staging_delay", "production_delay")}
FAST.update(rate_limit=0, burst_limit=0, dv_interval=0.1)
# input: (info segment, its media type, update segment, its media type)
INPUTS = {
    "csr": ("third-party-csr", "csr.v2", "third-party-cert-and-trust-chain", "certificate-and-trust-chain.v2"),
    "challenges": ("lets-encrypt-challenges", "dv-challenges.v2", "lets-encrypt-challenges-completed",
                   "acknowledgement.v1"),
    "pre": ("pre-verification-warnings", "warnings.v1", "pre-verification-warnings-ack", "acknowledgement.v1"),
    "post": ("post-verification-warnings", "warnings.v1", "post-verification-warnings-ack", "acknowledgement.v1"),
    "management": ("change-management-info", "change-management-info.v5", "change-management-ack",
                   "acknowledgement-with-hash.v1"),
}


class CpsSimulator(Simulator):
    """A running simulator. Its state directory outlives stop() and kill(), and goes away with clean(); start()
    takes the same ports again."""

    program = PROGRAM

    def __init__(self, *arguments, fast=True, **settings):
        chosen = {**(FAST if fast else {}), **settings}
        self.given = [*arguments]
        for name, value in chosen.items():
            self.given += ["--set", f"{name}={json.dumps(value)}"]
        super().__init__(*self.given)

    def start(self):
        if self.ready is not None:
            self.arguments = (*self.given, "--listen", f"127.0.0.1:{self.ready['port']}",
                              "--control", f"127.0.0.1:{self.ready['control_port']}")
        super().start()

    # ---- control port ----

    def settings(self, enrollment=None, **changes):
        """Changes settings: of all, or of one enrollment only."""
        path = "/settings" if enrollment is None else f"/enrollments/{enrollment}/settings"
        return self.control("POST", path, changes)

    def fault(self, operation, fault, **members):
        return self.control("POST", "/faults", {"operation": operation, "fault": fault, **members})

    def make(self, kind="third-party", cn="www.example.test", **members):
        """Makes an enrollment and returns its number."""
        return self.control("POST", "/enrollments", {"kind": kind, "cn": cn, **members})["id"]

    def look(self, enrollment):
        """All the control port knows of an enrollment."""
        return self.control("GET", f"/enrollments/{enrollment}")

    def change(self, number, verb=None, **members):
        """Looks at a change, or orders something of it."""
        if verb is None:
            return self.control("GET", f"/changes/{number}")
        return self.control("POST", f"/changes/{number}/{verb}", members)

    def journal(self, **query):
        return self.control("GET", "/journal?" + urllib.parse.urlencode(query))

    def wait_phase(self, change, phase, limit=10):
        """Waits until a change is in a phase (see cpssim/progress.py)."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            present = self.change(change)["phase"]
            if present == phase:
                return
            time.sleep(0.02)
        raise AssertionError(f"change {change} is in {present}, not {phase}")

    # ---- as a client ----

    def client(self, section="default"):
        """The credentials of a section of the .edgerc file."""
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(self.ready["edgerc_file"])
        return dict(parser[section])

    def connect(self):
        # pylint: disable=arguments-differ
        context = ssl.create_default_context(cafile=self.ready["tls_ca_file"])
        return http.client.HTTPSConnection("localhost", self.ready["port"], timeout=10, context=context)

    def send(self, method, target, payload=b"", headers=None):
        """One call with exactly these headers (Host and Content-Length are added)."""
        connection = self.connect()
        try:
            connection.request(method, target, payload or None, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def call(self, method, path, body=None, accept=None, content_type=None, section="default", query=None,
             **signing):
        """A signed call; path is below /cps/v2. `signing` may have a moment and a nonce."""
        client = self.client(section)
        query = dict(query or {})
        if "account_key" in client:
            query.setdefault("accountSwitchKey", client["account_key"])
        target = "/cps/v2" + path
        if query:
            target += "?" + urllib.parse.urlencode(query)
        payload = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode("utf-8")
        headers = {"Authorization": edgegrid.authorization(client, method, self.ready["host"], target, payload,
                                                           **signing)}
        if accept:
            headers["Accept"] = vendor_type(accept)
        if content_type:
            headers["Content-Type"] = vendor_type(content_type)
        return self.send(method, target, payload, headers)

    @staticmethod
    def good(answer, *statuses):
        if answer.status not in (statuses or (200, 202, 204)):
            raise AssertionError(f"{answer.status} {answer.body!r}")
        return answer

    def list(self, section="default"):
        return self.good(self.call("GET", "/enrollments", accept="enrollments.v11", section=section)).json

    def read(self, enrollment, section="default"):
        return self.good(self.call("GET", f"/enrollments/{enrollment}", accept="enrollment.v11",
                                   section=section)).json

    def put(self, enrollment, document, section="default", **query):
        """PUT of an enrollment; names of options have underscores here, and true is what bool is."""
        named = {name.replace("_", "-"): str(value).lower() if isinstance(value, bool) else value
                 for name, value in query.items()}
        return self.call("PUT", f"/enrollments/{enrollment}", document, "enrollment-status.v1", "enrollment.v11",
                         section, named)

    def renew(self, enrollment, **query):
        """Forces a renewal and returns the number of the change."""
        answer = self.good(self.put(enrollment, self.read(enrollment), force_renewal=True, **query), 202)
        return int(answer.json["changes"][0].rpartition("/")[2])

    def status(self, enrollment, change):
        return self.call("GET", f"/enrollments/{enrollment}/changes/{change}", accept="change.v2")

    def state(self, enrollment, change):
        """(state, status, types of inputs) of a change."""
        shown = self.good(self.status(enrollment, change)).json
        return (shown["statusInfo"]["state"], shown["statusInfo"]["status"],
                [item["type"] for item in shown["allowedInput"] or []])

    def wait_state(self, enrollment, change, state, limit=10):
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            present = self.state(enrollment, change)
            if present[0] == state:
                return present
            time.sleep(0.02)
        raise AssertionError(f"change {change} is {present}, not {state}")

    def cancel(self, enrollment, change):
        return self.call("DELETE", f"/enrollments/{enrollment}/changes/{change}", accept="change-id.v1")

    def info(self, enrollment, change, what, accept=None):
        """What an input of INPUTS asks for."""
        segment, media, _, _ = INPUTS[what]
        return self.call("GET", f"/enrollments/{enrollment}/changes/{change}/input/info/{segment}",
                         accept=accept or media)

    def submit(self, enrollment, change, what, body, content_type=None):
        _, _, segment, media = INPUTS[what]
        return self.call("POST", f"/enrollments/{enrollment}/changes/{change}/input/update/{segment}", body,
                         "change-id.v1", content_type or media)

    def acknowledge(self, enrollment, change, what, word="acknowledge", **members):
        return self.submit(enrollment, change, what, {"acknowledgement": word, **members})

    def csrs(self, enrollment, change):
        """{algorithm: CSR as PEM}"""
        return {item["keyAlgorithm"]: item["csr"]
                for item in self.good(self.info(enrollment, change, "csr")).json["csrs"]}

    def upload(self, enrollment, change, authority, **keys):
        """Signs CPS's requests with a TestAuthority and uploads them; keys may have another public key by
        algorithm."""
        items = []
        for algorithm, csr in self.csrs(enrollment, change).items():
            items.append({"certificate": authority.sign_csr(csr, public_key=keys.get(algorithm)),
                          "trustChain": authority.pem, "keyAlgorithm": algorithm})
        return self.submit(enrollment, change, "csr", {"certificatesAndTrustChains": items})

    def deployments(self, enrollment):
        return self.good(self.call("GET", f"/enrollments/{enrollment}/deployments", accept="deployments.v7")).json


class TestAuthority:
    """A CA of the test's own, for third-party enrollments."""

    __test__ = False

    def __init__(self, common_name="Third Party CA"):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
        self.certificate = self.builder(self.name, self.key.public_key(), 3650).add_extension(
            x509.BasicConstraints(True, None), True).sign(self.key, hashes.SHA256())

    def builder(self, subject, public_key, days):
        start = datetime.datetime.utcnow().replace(microsecond=0)
        first = start - datetime.timedelta(days=40) if days < 0 else start - datetime.timedelta(hours=1)
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(public_key)
                .serial_number(x509.random_serial_number()).not_valid_before(first)
                .not_valid_after(start + datetime.timedelta(days=days)))

    @property
    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")

    def sign_csr(self, csr, public_key=None, days=200, names=None):
        """A certificate as PEM for a request; with another key or other names when they are given."""
        request = x509.load_pem_x509_csr(csr.encode("ascii"))
        builder = self.builder(request.subject, public_key or request.public_key(), days)
        if names is not None:
            wanted = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        else:
            wanted = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        leaf = builder.add_extension(wanted, False).sign(self.key, hashes.SHA256())
        return leaf.public_bytes(serialization.Encoding.PEM).decode("ascii")
