"""Starts the SCM simulator for a test and talks to it, as a client of the API and to its control port."""

import http.client
import json
import os
import shutil
import ssl
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scm_simulator.py")
START_SECONDS = 20


class Answer:
    """An HTTP answer that has been read completely."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)


class Simulator:
    """A running simulator. Its state directory outlives stop() and goes away with clean()."""

    program = PROGRAM

    def __init__(self, *arguments):
        self.directory = tempfile.mkdtemp(prefix="scmsim-")
        self.arguments = arguments
        self.process = None
        self.ready = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [self.program, "--state-dir", self.directory, *self.arguments], stdin=subprocess.DEVNULL)
        ready_file = os.path.join(self.directory, "ready.json")
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with open(ready_file, encoding="utf-8") as stream:
                    self.ready = json.load(stream)
                # A killed simulator leaves its file behind; only our process's own counts.
                if self.ready["pid"] == self.process.pid:
                    break
            except FileNotFoundError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self.program} did not start")
            time.sleep(0.02)
        if "password_file" in self.ready:
            with open(self.ready["password_file"], encoding="utf-8") as stream:
                self.password = stream.read().strip()

    def stop(self):
        """Asks the simulator to end and returns (exit code, seconds it took)."""
        begin = time.monotonic()
        self.process.terminate()
        code = self.process.wait(timeout=10)
        return code, time.monotonic() - begin

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def clean(self):
        self.kill()
        shutil.rmtree(self.directory)

    def auth_headers(self):
        return {"login": self.ready["login"], "password": self.password,
                "customerUri": self.ready["customer_uri"]}

    def connect(self, client_certificate=None):
        """A connection; client_certificate is a file with a key and a certificate."""
        parts = urllib.parse.urlsplit(self.ready["url"])
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
        context = ssl.create_default_context(cafile=self.ready["tls_ca_file"])
        if client_certificate is not None:
            context.load_cert_chain(client_certificate)
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=10, context=context)

    def api(self, method, path, body=None, headers=None, connection=None):
        """One call of the API; on a connection of its own unless one is given."""
        own = connection is None
        connection = connection or self.connect()
        sent = dict(self.auth_headers() if headers is None else headers)
        payload = None
        if body is not None:
            payload = body if isinstance(body, bytes) else json.dumps(body).encode("utf-8")
            sent.setdefault("Content-Type", "application/json;charset=UTF-8")
        try:
            connection.request(method, path, payload, sent)
            return Answer(connection.getresponse())
        finally:
            if own:
                connection.close()

    def control(self, method, path, body=None):
        request = urllib.request.Request(
            self.ready["control_url"] + path, method=method,
            data=None if body is None else json.dumps(body).encode("utf-8"))
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def enroll_body(self, *names, csr=None, **members):
        body = {"orgId": self.ready["org_id"], "certType": self.ready["profile_id"],
                "term": self.ready["term_days"], "subjAltNames": ",".join(names),
                "csr": make_csr(names) if csr is None else csr, "comments": "scenario"}
        body.update(members)
        return {name: value for name, value in body.items() if value is not None}

    def enroll(self, *names, **members):
        """Enrolls and returns the sslId."""
        answer = self.api("POST", "/api/ssl/v1/enroll", self.enroll_body(*names, **members))
        if answer.status != 200:
            raise AssertionError(f"enroll: {answer.status} {answer.body!r}")
        return answer.json["sslId"]

    def details(self, ssl_id):
        return self.api("GET", f"/api/ssl/v1/{ssl_id}").json

    def collect(self, ssl_id, fmt="x509"):
        return self.api("GET", f"/api/ssl/v1/collect/{ssl_id}?format={fmt}")

    def wait_for(self, ssl_id, status, limit=10):
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            present = self.details(ssl_id)["status"]
            if present == status:
                return
            time.sleep(0.02)
        raise AssertionError(f"{ssl_id} is {present}, not {status}")


def make_csr(names, key=None, common_name=None):
    """A PEM CSR for names; the subject stays empty unless a common name is given."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
    # Ed25519 keys have no size and take no digest.
    request = builder.sign(key, hashes.SHA256() if hasattr(key, "key_size") else None)
    return request.public_bytes(serialization.Encoding.PEM).decode("ascii")
