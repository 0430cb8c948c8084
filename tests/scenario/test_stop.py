#!/usr/bin/python3
"""An orderly stop, or kill -9, while validations of every kind and CAA are under way: nothing is lost by it."""

import os
import socket
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.case import Case  # noqa: E402 (found through the line above)
from harness.deadhosts import DEAD, DeadHosts  # noqa: E402
from harness.dns_case import DnsCase  # noqa: E402
from harness.dns_server import DnsServer  # noqa: E402
from harness.keys import certificate_key, csr_der  # noqa: E402

CHALLENGE = "_acme-challenge."


class StopInTheMiddle(Case):
    challenge = DnsCase.challenge
    start = DnsCase.start
    digest = DnsCase.digest
    trigger = DnsCase.trigger

    def setUp(self):
        self.hosts = DeadHosts()
        self.addCleanup(self.hosts.stop)
        self.dns = DnsServer().start()
        self.addCleanup(self.dns.stop)
        silent = socket.create_server(("127.0.0.1", 0))  # takes connections and says nothing
        self.addCleanup(silent.close)
        self.bridge = self.make_bridge(self.hosts.port)
        self.bridge.settings["validation"].update(
            {"resolvers": [self.dns.address], "tls_port": silent.getsockname()[1], "max_concurrency": 16})
        self.bridge.settings["profiles"][0].update(
            {"caa": ["ca.test"], "challenges": ["http-01", "dns-01", "tls-alpn-01"]})
        self.bridge.start()
        self.acme = self.client(self.bridge)
        self.acme.register()
        self.orders = {}  # of those that can become valid once the DNS is well again

    def wait_until(self, condition):
        deadline = time.monotonic() + 20
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def begin(self, name, kind, publish=False):
        url, order = self.acme.new_order(name)
        challenge = self.challenge(order["authorizations"][0], kind)
        if publish:
            self.dns.add(CHALLENGE + name, "TXT", self.digest(challenge))
        self.trigger(challenge)
        return url, order

    def begin_issuance(self, name):
        """An order whose CAA records cannot be had when it is finalized."""
        url, order = self.begin(name, "dns-01", publish=True)
        self.acme.poll(order["authorizations"][0], ("valid",))
        asked = self.dns.asked(name, "CAA")
        self.dns.fail(name, "timeout")
        self.acme.expect(self.acme.finalize(url, order, csr_der([name], certificate_key())), 200)
        self.wait_until(lambda: self.dns.asked(name, "CAA") > asked)
        return url

    def begin_all(self, number):
        dead = f"http{number}{DEAD}"
        self.begin(dead, "http-01")
        self.begin(f"tls{number}{DEAD}", "tls-alpn-01")
        for name in (f"mute{number}.test", f"caa{number}.test"):
            self.dns.fail((CHALLENGE if name.startswith("mute") else "") + name, "timeout")
            self.orders[name], _ = self.begin(name, "dns-01", publish=True)
        self.orders[f"issue{number}.test"] = self.begin_issuance(f"issue{number}.test")
        for name in (f"mute{number}.test", f"caa{number}.test"):
            asked = (CHALLENGE if name.startswith("mute") else "") + name
            self.wait_until(lambda asked=asked: self.dns.asked(asked) > 0)
        self.wait_until(lambda: self.hosts.holding > 0)

    def check_nothing_is_lost(self):
        for name in self.orders:
            self.dns.fail(name, None)
            self.dns.fail(CHALLENGE + name, None)
        self.bridge.restart()
        self.acme.close()
        self.acme.nonces = []
        for name, url in self.orders.items():
            with self.subTest(name=name):
                wanted = "valid" if name.startswith("issue") else "ready"
                self.assertEqual(self.acme.poll(url, ("ready", "valid", "invalid"), 30)["status"], wanted)

    def test_orderly(self):
        for number in range(3):
            self.begin_all(number)
            time.sleep(0.1 * number)
            self.bridge.stop()
            self.check_nothing_is_lost()

    def test_killed(self):
        self.begin_all(0)
        self.bridge.kill()
        self.check_nothing_is_lost()


if __name__ == "__main__":
    unittest.main()
