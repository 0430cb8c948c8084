#!/usr/bin/python3
"""Debian's Caddy. It renews by itself, and has no command to revoke; its dns-01 needs plugins that Debian lacks."""

import json
import os
import subprocess
import time
import unittest

from matrix_case import CLIENTS, MatrixCase

PROGRAM = os.path.join(CLIENTS, "caddy", "usr", "bin", "caddy")


class Caddy(MatrixCase):
    title = "Caddy (Debian)"
    folder = "caddy"
    challenges = ("http-01", "tls-alpn-01")
    own_http = True
    own_tls = True
    several = False
    revokes = False

    @classmethod
    def find_version(cls):
        return cls.output_of(PROGRAM, "version").split()[0]

    def write_config(self, challenge, names, window):
        other = {"http-01": "tls-alpn", "tls-alpn-01": "http"}[challenge]
        config = {
            "admin": {"disabled": True, "config": {"persist": False}},
            "storage": {"module": "file_system", "root": self.state},
            "apps": {
                "http": {"http_port": self.http_port, "https_port": self.tls_port,
                         "servers": {"host": {"listen": [f"127.0.0.1:{self.http_port}", f"127.0.0.1:{self.tls_port}"],
                                              "routes": [{"match": [{"host": names}]}],
                                              "automatic_https": {"disable_redirects": True}}}},
                "tls": {"automation": {"policies": [{
                    "subjects": names, "renewal_window_ratio": window, "issuers": [{
                        "module": "acme", "ca": self.directory_url, "email": "admin@corp.example",
                        "trusted_roots_pem_files": [self.bridge.root], "challenges": {
                            other: {"disabled": True},
                            "http": {"alternate_port": self.http_port, "disabled": other == "http"},
                            "tls-alpn": {"alternate_port": self.tls_port, "disabled": other == "tls-alpn"}}}]}]}},
            },
        }
        path = os.path.join(self.directory, "caddy.json")
        with open(path, "w", encoding="ascii") as stream:
            json.dump(config, stream)
        return path

    def run_until_changed(self, config, names, before):
        """Runs the server until it has a certificate that is not the one before."""
        log = os.path.join(self.directory, "caddy.log")
        with open(log, "w", encoding="utf-8") as stream:
            process = subprocess.Popen([PROGRAM, "run", "--config", config], stdin=subprocess.DEVNULL, stdout=stream,
                                       stderr=stream, cwd=self.directory, env=self.environment())
        try:
            deadline = time.monotonic() + 60
            while True:
                files = self.find(names[0])
                if files is not None and self.read(files[0]) != before:
                    return files
                if process.poll() is not None or time.monotonic() > deadline:
                    with open(log, encoding="utf-8") as stream:
                        self.fail(f"no certificate:\n{stream.read()[-6000:]}")
                time.sleep(0.2)
        finally:
            process.terminate()
            process.wait(20)

    @staticmethod
    def read(path):
        with open(path, encoding="ascii") as stream:
            return stream.read()

    def find(self, name):
        """(chain, key) in Caddy's storage, once both are there; its .json is written last."""
        for path, _, files in os.walk(os.path.join(self.state, "certificates")):
            if f"{name}.json" in files:
                return os.path.join(path, name + ".crt"), os.path.join(path, name + ".key")
        return None

    def issue(self, challenge, names):
        return self.run_until_changed(self.write_config(challenge, names, 0.33), names, None)

    def renew(self, challenge, names):
        # As if the certificate were about to expire: its whole life is the window in which Caddy renews.
        return self.run_until_changed(self.write_config(challenge, names, 1.0), names, self.read(self.files[0]))


del MatrixCase  # the base has no tests of its own


if __name__ == "__main__":
    unittest.main()
