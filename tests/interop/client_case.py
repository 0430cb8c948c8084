"""What the tests of the ACME clients share: the server with both profiles, a webroot, running a client."""

import os
import shutil
import subprocess
import sys
import tempfile

from cryptography.hazmat.primitives import serialization

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.case import ServerCase  # noqa: E402 (found through the line above)

COMMAND_SECONDS = 100


def run_client(directory, *command, **environment):
    """Runs a client in a directory that is its home, too; returns (exit code, everything it printed, without its line
    breaks)."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=COMMAND_SECONDS, cwd=directory,
        env={"PATH": os.environ["PATH"], "HOME": directory, "LANG": "C.UTF-8", **environment})
    return done.returncode, " ".join(done.stdout.split())


class ClientCase(ServerCase):
    """The server with a simulator that needs about two seconds for a certificate."""

    simulator_arguments = ("--approval-delay", "0.5", "--ca-delay", "1")
    program = None

    @classmethod
    def setUpClass(cls):
        if shutil.which(cls.program) is None:
            raise RuntimeError(f"{cls.program} is not installed (Debian package {cls.program})")
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.directory = tempfile.mkdtemp(prefix=f"acmebridge-{self.program}-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.webroot = os.path.join(self.directory, "webroot")
        os.mkdir(self.webroot)
        self.responder.webroot = self.webroot

    def call(self, *arguments, **environment):
        return run_client(self.directory, self.program, *arguments, **environment)

    def directory_url(self, profile):
        return self.bridge.url + ("/directory" if profile is None else f"/profile/{profile}/directory")

    def root_of(self, profile):
        return self.simulator.ready["root_file"] if profile == "scm" else self.bridge.root

    def accounts_created(self):
        return len(self.bridge.log_lines('"account created"'))

    def enrollments(self, name):
        """The simulator's requests for a name."""
        return [request for request in self.simulator.control("GET", "/stats")["requests"]
                if name in request["sans"]]

    def check_files(self, chain_file, key_file, names, profile):
        with open(chain_file, encoding="ascii") as stream:
            chain = stream.read()
        with open(key_file, "rb") as stream:
            key = serialization.load_pem_private_key(stream.read(), None)
        return self.check_certificate(chain, key, names, self.root_of(profile))

    def revoked_at(self, profile, certificate):
        """The log line of a certificate's revocation; at SCM also the simulator's request."""
        lines = self.bridge.wait_for_log('"certificate revoked"', f"serial={self.serial_of(certificate)}")
        self.assertEqual(len(lines), 1)
        if profile == "scm":
            by_serial = {request["serial"].replace(":", "").lstrip("0"): request["status"]
                         for request in self.simulator.control("GET", "/stats")["requests"]}
            self.assertEqual(by_serial[f"{certificate.serial_number:X}"], "Revoked")
        return lines[0]

    @staticmethod
    def serial_of(certificate):
        """As the log has it: the DER content octets."""
        number = certificate.serial_number
        return number.to_bytes(number.bit_length() // 8 + 1, "big").hex().upper()
