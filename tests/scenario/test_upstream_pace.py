#!/usr/bin/python3
"""How often an upstream is called: its pace, its pauses, and who waits for whom."""

import os
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.acme import digest  # noqa: E402 (found through the line above)
from harness.case import Case  # noqa: E402
from harness.crowd import multiply, waiting  # noqa: E402


class Observer(threading.Thread):
    """Notes how many calls a simulator has received, twice a second."""

    def __init__(self, simulator):
        super().__init__(daemon=True)
        self.simulator = simulator
        self.seen = []
        self.over = threading.Event()

    def calls(self):
        return sum(self.simulator.control("GET", "/stats")["received"].values())

    def run(self):
        while not self.over.wait(0.5):
            self.seen.append((time.monotonic(), self.calls()))

    def end(self):
        self.over.set()
        self.join()

    def most_within(self, seconds):
        """The most calls between two looks that are at most so far apart."""
        return max(later[1] - earlier[1] for earlier in self.seen for later in self.seen
                   if 0 <= later[0] - earlier[0] <= seconds)


class Pace(Case):
    def setting(self, *arguments, **scm):
        self.simulator = self.make_simulator(*arguments)
        self.responder = self.make_responder()
        self.bridge = self.make_bridge(self.responder.port, self.simulator)
        self.bridge.settings["orders"] = {"finalize_hold_ms": 0}
        self.bridge.scm.update(scm)
        self.bridge.start()
        self.database = os.path.join(self.bridge.data, "acmebridge.db")
        self.scm = self.client(self.bridge, profile="scm")

    def begin_again(self):
        self.bridge.restart()
        self.scm.close()
        self.scm.nonces = []

    def observe(self):
        observer = Observer(self.simulator)
        observer.start()
        self.addCleanup(observer.end)
        return observer

    def stats(self):
        return self.simulator.control("GET", "/stats")

    def fault(self, operation, kind, **members):
        self.simulator.control("POST", "/faults", {"operation": operation, "fault": kind, **members})

    def all_valid(self, orders, limit):
        deadline = time.monotonic() + limit
        for url in orders:
            order = self.scm.poll(url, ("valid", "invalid"), max(1, deadline - time.monotonic()))
            self.assertEqual(order["status"], "valid", order)

    def enrolled_once(self, count):
        stats = self.stats()
        self.assertEqual((stats["duplicate_csrs"], len(stats["requests"])), ([], count))

    def a_crowd(self, count, **options):
        """So many orders wait for an approval that does not come; returns the one made by a client."""
        name = "waits.scm.localhost"
        self.simulator.control("POST", "/settings", {"approval_delay": 86400.0})
        order_url, _, _ = self.scm.begin(self.responder, name)
        deadline = time.monotonic() + 10
        while not self.bridge.log_lines("SCM request", order_url.rsplit("/", 1)[1]):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        ssl_id = self.stats()["requests"][0]["sslId"]
        self.simulator.control("POST", f"/requests/{ssl_id}/status", {"status": "Requested", "hold": True})
        self.bridge.stop()
        multiply(self.database, order_url, count, **options)
        self.simulator.control("POST", "/settings", {"approval_delay": 0.0})
        self.begin_again()
        return order_url

    def test_the_pace_is_kept(self):
        self.setting("--approval-delay", "0", "--ca-delay", "0", requests_per_minute=120, burst=3)
        observer = self.observe()
        orders = [self.scm.begin(self.responder, f"n{number}.pace.localhost")[0] for number in range(8)]
        self.all_valid(orders, 60)
        observer.end()
        self.enrolled_once(8)
        self.assertGreaterEqual(observer.calls(), 24)
        self.assertLessEqual(observer.most_within(5), 10 + 3)
        self.assertFalse(self.bridge.log_lines("level=error"))

    def test_an_upstream_that_is_down(self):
        """One probe per pause, and nothing lost."""
        self.setting("--approval-delay", "0", "--ca-delay", "0")
        self.fault("*", "status-503-html", times=-1)
        orders = [self.scm.begin(self.responder, f"n{number}.down.localhost")[0] for number in range(9)]
        self.assertIn("pause_ms=", self.bridge.wait_for_log("level=warn", "does not work")[0])
        time.sleep(1)
        observer = self.observe()
        time.sleep(12)
        observer.end()
        self.assertLessEqual(observer.most_within(12), 2)
        for url in orders:
            self.assertEqual(self.scm.fetch(url).json["status"], "processing")
        self.simulator.control("DELETE", "/faults")
        self.bridge.wait_for_log("level=info", "works again", limit=60)
        self.all_valid(orders, 150)
        self.enrolled_once(9)

    def test_nothing_is_announced_while_the_gate_is_closed(self):
        """What was not sent needs no search after a crash."""
        self.setting("--approval-delay", "0", "--ca-delay", "0")
        self.fault("details", "status-429", times=1, retry_after_s=8)
        first, _, _ = self.scm.begin(self.responder, "first.closed.localhost")
        self.bridge.wait_for_log("level=warn", "asks for a pause")
        before = self.stats()
        second, _, csr = self.scm.begin(self.responder, "second.closed.localhost")
        time.sleep(1)
        self.bridge.kill()
        self.begin_again()
        self.all_valid((first, second), 30)
        self.assertEqual(before["enroll_attempts"], 1)
        self.assertEqual(self.stats()["enroll_attempts"], 2)
        self.assertFalse(self.bridge.log_lines("It is not known whether SCM took the enroll"))
        self.assertIn(digest(csr), [request["csr_sha256"] for request in self.stats()["requests"]])

    def test_new_orders_are_not_held_up_by_a_crowd(self):
        """All of the crowd is overdue, as after an outage."""
        self.setting("--approval-delay", "0", "--ca-delay", "0", requests_per_minute=240, burst=2,
                     poll_max_seconds=600)
        self.a_crowd(3000, accounts=300, age_s=7200, due_in_s=(-7000, -3600))
        observer = self.observe()
        begin = time.monotonic()
        order_url, _, _ = self.scm.begin(self.responder, "new.crowd.localhost")
        self.all_valid((order_url,), 40)
        taken = time.monotonic() - begin
        observer.end()
        self.assertLess(taken, 30)
        self.assertLessEqual(observer.most_within(5), 20 + 2)
        self.assertGreaterEqual(waiting(self.database, "sectigo"), 3000)
        self.bridge.stop()

    def test_everybody_of_a_crowd_is_asked(self):
        self.setting("--approval-delay", "0", "--ca-delay", "0", requests_per_minute=3000, burst=20)
        self.a_crowd(600, accounts=7, age_s=600, due_in_s=(-600, 5))
        url, _, _ = self.scm.begin(self.responder, "new.everybody.localhost")
        self.all_valid((url,), 20)
        begin = time.monotonic()
        asked = set()
        while len(asked) < 601 and time.monotonic() - begin < 60:
            time.sleep(1)
            asked = {word for line in self.bridge.log_lines("Asking SCM for the status")
                     for word in line.split() if word.startswith("order=")}
        self.assertGreaterEqual(len(asked), 601)
        self.bridge.stop()


if __name__ == "__main__":
    unittest.main()
