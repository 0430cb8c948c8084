#!/usr/bin/python3
"""SCM down, slow, refusing, confused: what the ACME client sees, and what the operator finds in the log."""

import os
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.acme import URN, digest  # noqa: E402 (found through the line above)
from harness.bridge import free_port  # noqa: E402
from harness.case import Case, ServerCase  # noqa: E402

QUICK = ("--approval-delay", "0.2", "--ca-delay", "0.4")
FLAVOURS = ("0", "-103", "-109", "-130", "-169", "-183", "-1400", "empty")


def brief_hold(bridge):
    bridge.settings["orders"] = {"finalize_hold_ms": 100}


class Upstream(ServerCase):
    simulator_arguments = QUICK

    @classmethod
    def configure(cls, bridge):
        brief_hold(bridge)

    def setUp(self):
        super().setUp()
        self.scm = self.client(self.bridge, profile="scm")
        self.addCleanup(self.simulator.control, "DELETE", "/faults")

    def fault(self, operation, kind, **members):
        self.simulator.control("POST", "/faults", {"operation": operation, "fault": kind, **members})

    def settings(self, **changes):
        """Changes the simulator's settings until the test is over."""
        present = self.simulator.control("GET", "/settings")
        self.addCleanup(self.simulator.control, "POST", "/settings", {name: present[name] for name in changes})
        self.simulator.control("POST", "/settings", changes)

    def counters(self):
        return self.simulator.control("GET", "/stats")

    def requests_for(self, csr):
        return [request for request in self.counters()["requests"] if request["csr_sha256"] == digest(csr)]

    def ends(self, order_url, limit=30):
        return self.scm.poll(order_url, ("valid", "invalid"), limit)

    def becomes_valid(self, name, order_url, key, csr, limit=30):
        order = self.ends(order_url, limit)
        self.assertEqual(order["status"], "valid", order)
        self.check_certificate(self.scm.download(order), key, [name], self.simulator.ready["root_file"])
        self.assertEqual(len(self.requests_for(csr)), 1)

    def failed(self, order, problem, *words):
        self.assertEqual((order["status"], order.get("error", {}).get("type")), ("invalid", URN + problem), order)
        for word in words:
            self.assertIn(word, order["error"]["detail"])

    def test_slow_ca(self):
        """Polls are answered from local state, at once, however long SCM takes."""
        self.settings(ca_delay=8.0)
        self.fault("details", "delay", delay_s=2.0, times=2)
        name = "slow-ca.scm.localhost"
        order_url, key, csr = self.scm.begin(self.responder, name)
        begin = time.monotonic()
        while time.monotonic() - begin < 4:
            response = self.scm.fetch(order_url)
            self.assertEqual(response.json["status"], "processing")
            self.assertLess(response.seconds, 1)
            time.sleep(0.5)
        self.becomes_valid(name, order_url, key, csr)

    def test_refusals_name_their_cause(self):
        orders = {label: self.scm.begin(self.responder, f"{label}.scm.localhost")[0]
                  for label in ("declined", "rejected", "invalid")}
        self.failed(self.ends(orders["declined"]), "unauthorized", "administrator", "declined")
        self.failed(self.ends(orders["rejected"]), "rejectedIdentifier", "rejected", "names")
        self.failed(self.ends(orders["invalid"]), "badCSR", "invalid", "CSR")
        for label, url in orders.items():
            self.assertTrue(self.bridge.log_lines("level=warn", label, url.rsplit("/", 1)[1]), label)

    def test_unvalidated_domain(self):
        order_url, _, csr = self.scm.begin(self.responder, "nodcv.scm.localhost")
        self.failed(self.ends(order_url), "rejectedIdentifier", "validation", "domain")
        self.assertEqual(self.requests_for(csr), [])

    def test_mistakes_of_the_operator_are_not_the_clients(self):
        self.fault("enroll", "error", code=-36, description="The term is not allowed.")
        order_url, _, _ = self.scm.begin(self.responder, "term.scm.localhost")
        self.failed(self.ends(order_url), "serverInternal", "administrator")
        self.assertTrue(self.bridge.log_lines("term_days"))

    def test_dropped_answer_to_enroll(self):
        self.fault("enroll", "drop-after")
        name = "dropped.scm.localhost"
        order_url, key, csr = self.scm.begin(self.responder, name)
        self.becomes_valid(name, order_url, key, csr)
        self.assertEqual(self.counters()["duplicate_csrs"], [])

    def test_truncated_answers(self):
        self.fault("enroll", "truncate")
        self.fault("collect", "truncate")
        name = "truncated.scm.localhost"
        order_url, key, csr = self.scm.begin(self.responder, name)
        self.becomes_valid(name, order_url, key, csr)
        self.assertEqual(self.counters()["duplicate_csrs"], [])

    def test_gateway_pages_on_details(self):
        self.fault("details", "status-503-html")
        name = "gateway.scm.localhost"
        order_url, key, csr = self.scm.begin(self.responder, name)
        self.becomes_valid(name, order_url, key, csr)
        self.assertTrue(self.bridge.log_lines("HTTP 503"))

    def test_gateway_page_on_enroll(self):
        """A 503 leaves open whether SCM took the enroll: it is looked for before anything else."""
        name = "open.scm.localhost"
        self.fault("enroll", "status-503-html")
        before, searched = self.counters()["enroll_attempts"], self.counters()["received"].get("list", 0)
        order_url, _, csr = self.scm.begin(self.responder, name)
        deadline = time.monotonic() + 15
        while self.counters()["received"].get("list", 0) == searched:
            self.assertLess(time.monotonic(), deadline, "the enroll was not searched for")
            time.sleep(0.2)
        self.assertEqual(self.scm.fetch(order_url).json["status"], "processing")
        self.assertEqual(self.counters()["enroll_attempts"] - before, 1, "enrolled again without looking")
        self.assertEqual(self.requests_for(csr), [])

    def test_throttled(self):
        self.fault("details", "status-429", retry_after_s=3)
        name = "throttled.scm.localhost"
        begin = time.monotonic()
        order_url, key, csr = self.scm.begin(self.responder, name)
        self.becomes_valid(name, order_url, key, csr)
        self.assertGreater(time.monotonic() - begin, 3)

    def test_every_way_to_say_not_yet(self):
        """One order meets all of them, one per collect."""
        self.settings(collect_lag=600.0, collect_flavour=FLAVOURS[0])
        name = "not-yet.scm.localhost"
        start = self.counters()["received"].get("collect", 0)
        order_url, key, csr = self.scm.begin(self.responder, name)
        deadline = time.monotonic() + 60
        for seen, flavour in enumerate(FLAVOURS, 1):
            self.simulator.control("POST", "/settings", {"collect_flavour": flavour})
            while self.counters()["received"].get("collect", 0) < start + seen:
                self.assertLess(time.monotonic(), deadline, f"no collect after {flavour}")
                time.sleep(0.05)
            self.assertEqual(self.scm.fetch(order_url).json["status"], "processing", flavour)
        self.simulator.control("POST", "/settings", {"collect_lag": 0.0})
        self.becomes_valid(name, order_url, key, csr)

    def test_chain_in_any_order(self):
        for order in ("leaf-first", "mixed", "root-first"):
            self.settings(chain_order=order, crlf=order == "mixed")
            name = f"{order}.scm.localhost"
            self.becomes_valid(name, *self.scm.begin(self.responder, name))

    def quarantined(self, name):
        order_url, _, _ = self.scm.begin(self.responder, name)
        self.failed(self.ends(order_url), "serverInternal", "does not fit this order")
        identity = order_url.rsplit("/", 1)[1]
        alerts = self.bridge.log_lines("ALERT", identity)
        self.assertEqual(len(alerts), 1)
        folder = os.path.join(self.bridge.data, "quarantine")
        kept = [entry for entry in os.listdir(folder) if entry.removesuffix(".pem") in alerts[0]]
        self.assertEqual(len(kept), 1, alerts)
        path = os.path.join(folder, kept[0])
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        with open(path, encoding="ascii") as stream:
            self.assertIn("-----BEGIN CERTIFICATE-----", stream.read())

    def test_certificate_for_another_key(self):
        self.quarantined("wrongkey.scm.localhost")

    def test_certificate_for_another_name(self):
        self.quarantined("wrongname.scm.localhost")

    def test_same_key_joins_the_issuance_under_way(self):
        """A client that gave up comes back with a new order for the same key: nothing is bought twice."""
        self.settings(approval_delay=3.0)
        name = "again.scm.localhost"
        first_url, key, csr = self.scm.begin(self.responder, name)
        second_url, _, _ = self.scm.begin(self.responder, name, key=key)
        self.assertNotEqual(first_url, second_url)
        for url in (first_url, second_url):
            order = self.ends(url)
            self.assertEqual(order["status"], "valid", order)
            self.check_certificate(self.scm.download(order), key, [name], self.simulator.ready["root_file"])
        self.assertEqual(sum(name in request["sans"] for request in self.counters()["requests"]), 1)
        self.assertEqual(len(self.requests_for(csr)), 1)


class OwnServer(Case):
    """Tests that stop the simulator or need a configuration of their own."""

    def test_scm_down_then_up(self):
        # The address has to stay the same over the restart.
        simulator = self.make_simulator(*QUICK, "--listen", f"127.0.0.1:{free_port()}")
        responder = self.make_responder()
        bridge = self.make_bridge(responder.port, simulator)
        brief_hold(bridge)
        bridge.start()
        simulator.stop()
        client = self.client(bridge, profile="scm")
        name = "down.scm.localhost"
        order_url, key, _ = client.begin(responder, name)
        begin = time.monotonic()
        while time.monotonic() - begin < 3:
            response = client.fetch(order_url)
            self.assertEqual(response.json["status"], "processing")
            self.assertLess(response.seconds, 1)
            time.sleep(0.5)
        # The other profile has nothing to do with it.
        client_of_default = self.client(bridge)
        client_of_default.obtain(responder, "meanwhile.scm.localhost", limit=10)
        simulator.start()
        order = client.poll(order_url, ("valid", "invalid"), 40)
        self.assertEqual(order["status"], "valid", order)
        self.check_certificate(client.download(order), key, [name], simulator.ready["root_file"])
        self.assertEqual(len(simulator.control("GET", "/stats")["requests"]), 1)

    def test_wrong_password(self):
        simulator = self.make_simulator(*QUICK)
        responder = self.make_responder()
        bridge = self.make_bridge(responder.port, simulator)
        brief_hold(bridge)
        with tempfile.NamedTemporaryFile("w", prefix="acmebridge-password-") as wrong:
            wrong.write("not-the-password-at-all\n")
            wrong.flush()
            bridge.scm["password_file"] = wrong.name
            bridge.secrets.append("not-the-password-at-all")
            bridge.start()
        client = self.client(bridge, profile="scm")
        order_url, _, _ = client.begin(responder, "password.scm.localhost")
        lines = bridge.wait_for_log("SCM refuses the configured login")
        self.assertIn("issuer=sectigo", lines[0])
        self.assertEqual(client.fetch(order_url).json["status"], "processing")
        self.assertEqual(simulator.control("GET", "/stats")["enroll_attempts"], 1, "hammers on a locked account")

    def test_untrusted_server_gets_no_password(self):
        """Another server in SCM's place, with a certificate of another CA."""
        simulator, stranger = self.make_simulator(*QUICK), self.make_simulator(*QUICK)
        responder = self.make_responder()
        bridge = self.make_bridge(responder.port, simulator)
        brief_hold(bridge)
        bridge.scm["url"] = stranger.ready["url"]
        bridge.start()
        client = self.client(bridge, profile="scm")
        order_url, _, _ = client.begin(responder, "stranger.scm.localhost")
        bridge.wait_for_log("SCM could not be reached")
        self.assertEqual(client.fetch(order_url).json["status"], "processing")
        self.assertEqual(stranger.control("GET", "/stats")["received"], {})


if __name__ == "__main__":
    unittest.main()
