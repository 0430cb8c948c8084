#!/usr/bin/python3
"""Clients that give up sooner than the upstream is ready: run again, they get the one certificate that was ordered.

The upstream takes ten minutes, everything twenty times as fast: thirty seconds.
"""

import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.acme import digest  # noqa: E402 (found through the line above)
from harness.case import Case  # noqa: E402
from harness.keys import certificate_key, csr_der  # noqa: E402

SCALE = 20
UPSTREAM_SECONDS = 600 / SCALE
# How long the clients wait for a certificate in one run, and until they are run again (clients.md).
CERTBOT_SECONDS = 90 / SCALE
LEGO_SECONDS = 30 / SCALE
AGAIN_SECONDS = 120 / SCALE


class Patience(Case):
    def setUp(self):
        super().setUp()
        self.simulator = self.make_simulator("--approval-delay", str(UPSTREAM_SECONDS), "--ca-delay", "0")
        self.responder = self.make_responder()
        self.bridge = self.make_bridge(self.responder.port, self.simulator)
        self.bridge.settings["orders"] = {"finalize_hold_ms": 0}
        self.bridge.start()

    def wait(self, client, order_url, seconds):
        """As a client does until it gives up: the order when it is over, else None."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            order = client.fetch(order_url).json
            if order["status"] in ("valid", "invalid"):
                return order
            time.sleep(0.5)
        return None

    def run_again_and_again(self, patience, same_csr, disturb=None):
        """Runs with the same key and a new order each, until one is lucky. Returns how many it took."""
        name = f"runs-{patience:.0f}-{same_csr}.patience.localhost".lower()
        key = certificate_key()
        csr = csr_der([name], key)
        client = self.client(self.bridge, profile="scm")
        begin = time.monotonic()
        runs = 0
        while True:
            runs += 1
            request = csr if same_csr or runs == 1 else csr_der([name], key)
            order_url, _, _ = client.begin(self.responder, name, key=key, csr=request)
            order = self.wait(client, order_url, patience)
            if order is not None:
                break
            self.assertLess(time.monotonic() - begin, UPSTREAM_SECONDS + 2 * AGAIN_SECONDS + 20)
            if disturb is not None:
                disturb(client)
            time.sleep(AGAIN_SECONDS)
        self.assertEqual(order["status"], "valid", order)
        self.check_certificate(client.download(order), key, [name], self.simulator.ready["root_file"])
        stats = self.simulator.control("GET", "/stats")
        self.assertEqual([request["csr_sha256"] for request in stats["requests"]], [digest(csr)])
        self.assertEqual(stats["enroll_attempts"], 1)
        self.assertGreater(runs, 1)
        return runs

    def test_certbot_like(self):
        self.run_again_and_again(CERTBOT_SECONDS, same_csr=False)

    def test_lego_like(self):
        self.run_again_and_again(LEGO_SECONDS, same_csr=True)

    def test_with_crashes_between_the_runs(self):
        def crash(client):
            self.bridge.kill()
            self.bridge.restart()
            client.close()
            client.nonces = []

        self.run_again_and_again(CERTBOT_SECONDS, same_csr=False, disturb=crash)

    def test_cert_manager_like(self):
        """It keeps its order and looks at it now and then, however long it takes."""
        client = self.client(self.bridge, profile="scm")
        name = "keeps.patience.localhost"
        order_url, key, _ = client.begin(self.responder, name)
        order = self.wait(client, order_url, UPSTREAM_SECONDS + 20)
        self.assertEqual(order["status"], "valid", order)
        self.check_certificate(client.download(order), key, [name], self.simulator.ready["root_file"])
        self.assertEqual(len(self.simulator.control("GET", "/stats")["requests"]), 1)


if __name__ == "__main__":
    unittest.main()
