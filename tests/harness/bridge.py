"""Starts the acmebridge under test on a configuration of its own, ends it in every way, and keeps its log."""

import glob
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

from harness import SOURCE

START_SECONDS = 20
STOP_SECONDS = 5
SANITIZER = re.compile(r"(ERROR|WARNING): (Address|Leak|Thread|Memory)Sanitizer|runtime error: "
                       r"|DEADLYSIGNAL|SUMMARY: \w+Sanitizer")


def program():
    path = os.environ.get("ACMEBRIDGE_BIN") or os.path.join(SOURCE, "build", "dev", "server", "acmebridge")
    return os.path.abspath(path)


def free_port():
    """A port outside of the range the kernel gives to others, so that it stays free until it is used."""
    for _ in range(200):
        port = random.SystemRandom().randrange(12000, 32000)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port found")


class Bridge:
    """A server in a temporary directory. Settings can be changed before start(); clean() removes all."""

    def __init__(self, http_port, simulator=None, allow=("127.0.0.0/8", "::1/128"), environment=None):
        self.directory = tempfile.mkdtemp(prefix="acmebridge-test-")
        self.data = os.path.join(self.directory, "data")
        self.log_file = os.path.join(self.directory, "log")
        self.config_file = os.path.join(self.directory, "acmebridge.yaml")
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self.root = os.path.join(self.data, "ca", "local", "root.pem")
        self.secrets = []
        self.environment = environment or {}
        self.process = None
        self.settings = {
            "server": {"url": self.url, "listen": f"127.0.0.1:{self.port}"},
            "data_dir": self.data,
            "validation": {"http_port": http_port},
            "issuers": [{"name": "local", "type": "local"}],
            "profiles": [{"name": "default", "issuer": "local", "description": "Internal hosts"}],
        }
        if allow:
            self.settings["validation"]["allow"] = list(allow)
        if simulator is not None:
            self.add_scm(simulator)

    def add_scm(self, simulator):
        ready = simulator.ready
        self.secrets.append(simulator.password)
        # Asking every second instead of after 3, 5, 8 ... keeps the suites short.
        self.settings["issuers"].append({
            "name": "sectigo", "type": "scm", "url": ready["url"], "customer_uri": ready["customer_uri"],
            "login": ready["login"], "password_file": ready["password_file"], "org_id": ready["org_id"],
            "profile_id": ready["profile_id"], "term_days": ready["term_days"],
            "ca_file": ready["tls_ca_file"], "poll_max_seconds": 1,
            # Nor is the pace that a shared SCM deserves anything a simulator needs.
            "requests_per_minute": 6000, "burst": 100})
        self.settings["profiles"].append(
            {"name": "scm", "issuer": "sectigo", "description": "Through the SCM simulator"})

    @property
    def scm(self):
        """The settings of the SCM issuer."""
        return self.settings["issuers"][1]

    def write_config(self):
        # Every JSON document in this form is YAML.
        with open(self.config_file, "w", encoding="utf-8") as stream:
            json.dump(self.settings, stream, indent=2)
            stream.write("\n")

    def run(self, *arguments, timeout=20):
        """A command that ends by itself: the completed process."""
        return subprocess.run([program(), *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=timeout, env={**os.environ, **self.environment})

    def launch(self):
        """Starts the process and does not wait for it."""
        self.write_config()
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                [program(), "serve", "--config", self.config_file], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd=self.directory, env={**os.environ, **self.environment})

    def start(self):
        self.launch()
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                code = self.process.poll()
                self.kill()
                raise RuntimeError(f"acmebridge did not start (exit code {code}):\n{self.log()[-8000:]}")
            time.sleep(0.05)
        return self

    def answers(self):
        """Does this very server, known by its root, answer?"""
        try:
            context = ssl.create_default_context(cafile=self.root)
            connection = http.client.HTTPSConnection("localhost", self.port, timeout=3, context=context)
            connection.request("GET", "/directory")
            answer = connection.getresponse().status == 200
            connection.close()
            return answer
        except (OSError, http.client.HTTPException):
            return False

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        """Asks for an orderly stop and insists on it: exit code 0 within 5 s. Returns the seconds."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS + 5)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("acmebridge ignored SIGTERM for 10 s") from None
        seconds = time.monotonic() - begin
        if code != 0 or seconds > STOP_SECONDS:
            raise AssertionError(f"orderly stop: exit code {code} after {seconds:.1f} s")
        return seconds

    def kill(self):
        """kill -9"""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def restart(self):
        """Starts again on the same data and port, after stop() or kill()."""
        return self.start()

    def log(self):
        try:
            with open(self.log_file, encoding="utf-8", errors="replace") as stream:
                return stream.read()
        except FileNotFoundError:
            return ""

    def log_lines(self, *words):
        """The lines of the log that hold all of the words."""
        return [line for line in self.log().splitlines() if all(word in line for word in words)]

    def wait_for_log(self, *words, limit=15):
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            lines = self.log_lines(*words)
            if lines:
                return lines
            time.sleep(0.05)
        raise AssertionError(f"no log line with {words} within {limit} s")

    def stored(self):
        """All bytes of the store's files."""
        found = b""
        for path in sorted(glob.glob(os.path.join(self.data, "acmebridge.db*"))):
            with open(path, "rb") as stream:
                found += stream.read()
        return found

    def check_log(self):
        """Sanitizer reports and credentials are failures wherever they turn up."""
        log = self.log()
        found = SANITIZER.search(log)
        if found:
            raise AssertionError("sanitizer report:\n" + log[max(0, found.start() - 200):found.start() + 6000])
        for secret in self.secrets:
            if secret in log:
                raise AssertionError("the log discloses a credential")

    def clean(self):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)
