"""What every client of the table goes through: issue, renew and revoke, with every challenge type it has."""

import json
import os
import shutil
import subprocess
import tempfile
import time
import unittest
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from client_case import COMMAND_SECONDS
from harness import SOURCE
from harness.bridge import free_port
from harness.case import Case
from harness.dns_server import DnsServer
from harness.keys import AccountKey, b64
from lab import AlpnFiles, DnsControl

CLIENTS = os.path.join(SOURCE, "build", "clients")
LIST_SECONDS = 10
ADDRESS_ROW = "http-01, ip"
RESULTS = os.path.join(CLIENTS, "results")
HOOK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "dns_hook.py")
STEPS = ("issue", "renew", "revoke", "revoke by key")


def why_missing(folder):
    """Why scripts/lib/clients.sh could not install a client; None when it did."""
    if os.path.exists(os.path.join(CLIENTS, folder, "installed")):
        return None
    try:
        with open(os.path.join(CLIENTS, folder, "why-not"), encoding="utf-8") as stream:
            return stream.read().strip()
    except FileNotFoundError:
        return "scripts/test has not installed it"


class MatrixCase(Case):
    """A client is a subclass that says what it has, and how it is called. Its files live in `directory`.

    issue, renew: (chain file, key file) of the certificate for the names. revoke: by the account that ordered.
    revoke_by_key: None for a client that cannot sign with the certificate's key.
    """

    title = None          # as in docs/clients.md
    folder = None         # below build/clients
    challenges = ()
    own_http = False      # answers http-01 itself, at http_port, instead of putting a file into the webroot
    own_tls = False       # answers tls-alpn-01 itself, at tls_port, instead of putting a certificate into alpn
    addresses = False     # asks for an IP address too, with http-01
    several = True        # puts several names into one certificate
    revokes = True
    revoke_by_key = None

    def __init_subclass__(cls):
        for challenge in cls.challenges:
            setattr(cls, "test_" + challenge.replace("-", "_"),
                    lambda self, kind=challenge: self.walk(kind, kind, self.names_for(kind)))
        if cls.addresses:
            cls.test_address = lambda self: self.walk("http-01", ADDRESS_ROW, ["127.0.0.1"])

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        missing = why_missing(cls.folder)
        if missing is not None:
            message = f"{cls.title} could not be installed: {missing}"
            if os.environ.get("ACMEBRIDGE_CI"):
                raise RuntimeError(message)
            raise unittest.SkipTest(message)

    @classmethod
    def version(cls):
        """What the client says it is, asked once."""
        if "known_version" not in cls.__dict__:
            cls.known_version = cls.find_version()
        return cls.known_version

    @staticmethod
    def output_of(*command):
        """What a program prints that needs no server."""
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=60, check=True)
        return done.stdout

    @classmethod
    def debian_version(cls, package):
        """For a program that does not say it well; without Debian's revision."""
        return cls.output_of("dpkg-query", "-W", "-f", "${Version}", package).rpartition("-")[0]

    # ---- what the client meets ----

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix=f"acmebridge-{self.folder}-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.webroot = self.make_folder("webroot")
        self.alpn = self.make_folder("alpn")
        self.state = self.make_folder("state")

    def make_folder(self, name):
        path = os.path.join(self.directory, name)
        os.mkdir(path)
        return path

    def start_lab(self, names):
        self.dns = DnsServer().start()
        self.addCleanup(self.dns.stop)
        for name in names:
            if name != "127.0.0.1":
                self.dns.add(name, "A", "127.0.0.1")
        self.control = DnsControl(self.dns)
        self.addCleanup(self.control.stop)
        if self.own_http:
            self.http_port = free_port()
        else:
            self.http_port = self.make_responder(webroot=self.webroot).port
        if self.own_tls:
            self.tls_port = free_port()
        else:
            alpn_files = AlpnFiles(self.alpn)
            self.addCleanup(alpn_files.stop)
            self.tls_port = alpn_files.port
        self.bridge = self.make_bridge(self.http_port)
        lists = f"127.0.0.1:{free_port()}"
        self.bridge.settings["server"].update({"http_listen": lists, "http_url": f"http://{lists}"})
        self.bridge.settings["validation"]["tls_port"] = self.tls_port
        self.bridge.settings["validation"]["resolvers"] = [self.dns.address]
        self.bridge.start()
        self.directory_url = self.bridge.url + "/directory"

    def environment(self):
        """What all programs get; a client adds its own."""
        return {"PATH": os.environ["PATH"], "HOME": self.directory, "LANG": "C.UTF-8",
                "INTEROP_DNS_CONTROL": self.control.url}

    def program_environment(self):
        """What our own programs on a client library read."""
        return {"INTEROP_DIRECTORY": self.directory_url, "INTEROP_STATE": self.state, "INTEROP_ROOT": self.bridge.root,
                "INTEROP_WEBROOT": self.webroot, "INTEROP_ALPN": self.alpn, "INTEROP_DNS_HOOK": HOOK,
                "INTEROP_HTTP_PORT": str(self.http_port), "INTEROP_TLS_PORT": str(self.tls_port),
                "INTEROP_DNS": f"127.0.0.1:{self.dns.port}"}

    def call(self, *command, **environment):
        """Runs a program of the client and insists on exit code 0; what it printed."""
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=COMMAND_SECONDS, cwd=self.directory, env={**self.environment(), **environment})
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout[-6000:]}")
        return done.stdout

    def trusting_call(self, *command, **environment):
        """The same for clients that trust the system's list only: they see one with the server's root in it.

        In a mount namespace of its own, so that nothing of the system changes.
        """
        bundle = os.path.join(self.directory, "bundle.pem")
        with open(bundle, "wb") as stream:
            for path in ("/etc/ssl/certs/ca-certificates.crt", self.bridge.root):
                with open(path, "rb") as source:
                    stream.write(source.read())
        unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
        return self.call(*unshare, "sh", "-c",
                         'mount --bind "$1" /etc/ssl/certs/ca-certificates.crt; shift; exec "$@"', "sh",
                         bundle, *command, **environment)

    # ---- the walk ----

    def names_for(self, challenge):
        name = f"{challenge.split('-')[0]}.{self.folder}.corp.example"
        if not self.several:
            return [name]
        return [name, f"*.{name}" if challenge == "dns-01" else f"more.{name}"]

    def record(self, row, step, verdict):
        """One cell of the table."""
        os.makedirs(RESULTS, exist_ok=True)
        path = os.path.join(RESULTS, f"{self.folder}.{row}.json")
        self.verdicts[step] = verdict
        with open(path, "w", encoding="utf-8") as stream:
            json.dump({"client": self.title, "version": self.version(), "challenge": row,
                       "steps": self.verdicts}, stream)

    def walk(self, challenge, row, names):
        self.start_lab(names)
        self.verdicts = {}
        for step in STEPS:
            self.record(row, step, "failed")
        first = self.check_files(*self.issue(challenge, names), names)
        self.check_challenge(challenge, len(names))
        self.record(row, "issue", "ok")
        kept = self.keep(*self.files)
        second = self.check_files(*self.renew(challenge, names), names)
        self.assertNotEqual(first.serial_number, second.serial_number, "the certificate was not renewed")
        self.assertEqual(len(self.bridge.log_lines('"account created"')), 1, "the account was not used again")
        self.assertEqual(self.control.left(), {}, "the client left DNS records behind")
        self.record(row, "renew", "ok")
        if self.revokes:
            self.assert_not_revoked(second)
            self.revoke(challenge, *self.files, names)
            self.assert_revoked(second, self.files[1])
            self.record(row, "revoke", "ok")
        else:
            self.record(row, "revoke", "none")
        if self.revoke_by_key is not None:
            self.assert_not_revoked(first)
            self.revoke_by_key(*kept, names)
            self.assert_revoked(first, kept[1])
            self.record(row, "revoke by key", "ok")
        else:
            self.record(row, "revoke by key", "none")

    def keep(self, chain_file, key_file):
        """Copies the files that a renewal replaces."""
        kept = self.make_folder("kept")
        return shutil.copy(chain_file, os.path.join(kept, "chain.pem")), shutil.copy(key_file, os.path.join(kept, "key.pem"))

    def check_files(self, chain_file, key_file, names):
        self.files = (chain_file, key_file)
        with open(chain_file, encoding="ascii") as stream:
            chain = stream.read()
        with open(key_file, "rb") as stream:
            key = serialization.load_pem_private_key(stream.read(), None)
        self.issuer = x509.load_pem_x509_certificate(chain.partition("-----END CERTIFICATE-----\n")[2].encode("ascii"))
        return self.check_certificate(chain, key, names, self.bridge.root)

    def check_challenge(self, challenge, count):
        """Was it this challenge that proved the names?"""
        self.assertEqual(len(self.bridge.log_lines('"challenge valid"', f"type={challenge}")), count)

    # ---- revocation, as the server reports it ----

    def list_entry(self, certificate):
        """The certificate's entry in the list it names itself, None when it is not there."""
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(points[0].full_name[0].value, timeout=10) as response:
            crl = x509.load_der_x509_crl(response.read())
        self.assertTrue(crl.is_signature_valid(self.issuer.public_key()))
        return crl.get_revoked_certificate_by_serial_number(certificate.serial_number)

    def assert_not_revoked(self, certificate):
        self.assertIsNone(self.list_entry(certificate), "revoked before it was asked for")

    def assert_revoked(self, certificate, key_file):
        """In the list soon, and for another ACME client, which signs with the certificate's key, already so."""
        deadline = time.monotonic() + LIST_SECONDS
        while self.list_entry(certificate) is None:
            self.assertLess(time.monotonic(), deadline, "not in the list of revoked certificates")
            time.sleep(0.1)
        with open(key_file, "rb") as stream:
            key = AccountKey.of(serialization.load_pem_private_key(stream.read(), None))
        other = self.client(self.bridge)
        answer = other.post(other.directory["revokeCert"],
                            {"certificate": b64(certificate.public_bytes(serialization.Encoding.DER))}, key=key)
        self.refused(answer, 400, "alreadyRevoked")
