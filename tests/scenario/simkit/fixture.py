"""Starts a simulator for a test and talks to it and to its control port."""

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

    program = None  # its path, of derived classes

    def __init__(self, *arguments):
        self.directory = tempfile.mkdtemp(prefix="simulator-")
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

    def connect(self, client_certificate=None):
        """A connection; client_certificate is a file with a key and a certificate."""
        parts = urllib.parse.urlsplit(self.ready["url"])
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
        context = ssl.create_default_context(cafile=self.ready["tls_ca_file"])
        if client_certificate is not None:
            context.load_cert_chain(client_certificate)
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=10, context=context)

    def control(self, method, path, body=None):
        request = urllib.request.Request(
            self.ready["control_url"] + path, method=method,
            data=None if body is None else json.dumps(body).encode("utf-8"))
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)


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
