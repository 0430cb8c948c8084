#!/usr/bin/python3
"""Akamai CPS or this server fail in the middle of a change: there is never a second one, and nothing is said twice."""

import time
import unittest

from cps_case import CpsCase
from harness.later import look_later

NAME, SECOND = "www.cps.localhost", "a.cps.localhost"
# operation: what the newest change shows once the call has taken effect
EFFECTS = {
    "update": lambda change: True,
    "pre-ack": lambda change: "pre-warnings" in change["acknowledged"],
    "upload": lambda change: bool(change["certificates"]),
    "post-ack": lambda change: "post-warnings" in change["acknowledged"],
    "management-ack": lambda change: "gate" in change["acknowledged"],
}


class StepsCase(CpsCase):
    """An enrollment whose changes need everything: warnings, a certificate, an acknowledgement."""

    def setUp(self):
        super().setUp()
        self.number = self.enrollment(
            "third-party", NAME, SECOND, change_management=True, options={"acknowledge": "auto", "warnings": ["w"]},
            settings={"pre_warnings": ["w"], "post_warnings": ["w"]})

    def wait_effect(self, operation, limit=30):
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            changes = self.cps.look(self.number)["changes"]
            if changes and EFFECTS[operation](changes[-1]):
                return
            time.sleep(0.02)
        raise AssertionError(f"{operation} did not happen")

    def once(self, client, order, limit=120):
        """The order becomes valid, and everything was done once."""
        self.becomes_valid(client, order, self.number, limit)
        self.assert_changes(self.number)
        effects = [effect.split()[0] + " " + effect.split()[1] for effect in self.effects(self.number)]
        self.assertEqual(sorted(effects), sorted(set(effects)))
        self.assertEqual(len(effects), len(EFFECTS))


class Killed(StepsCase):
    def test_killed_behind_each_call(self):
        """kill -9 whenever CPS has done what a call asks for and its answer is still on its way."""
        for operation in EFFECTS:
            self.cps.fault(operation, "delay-after", delay_s=3.0)
        client, order = self.begin(NAME, SECOND)
        for operation in EFFECTS:
            self.wait_effect(operation)
            self.bridge.kill()
            self.bridge.restart()
        client.close()
        self.once(client, order)

    def test_killed_while_it_reads(self):
        client = self.acme()
        for operation in ("read", "status", "csr", "management", "deployments"):
            self.cps.fault(operation, "delay", delay_s=2.0)
        order = client.begin(self.responder, NAME, SECOND)[0]
        for _ in range(5):
            time.sleep(1.5)
            self.bridge.kill()
            self.bridge.restart()
        client.close()
        self.once(client, order)


class Faults(StepsCase):
    def test_lost_answers(self):
        for operation in EFFECTS:
            self.cps.fault(operation, "drop-after")
        client, order = self.begin(NAME, SECOND)
        self.once(client, order)

    def test_spoilt_answers(self):
        for operation, fault in zip(EFFECTS, ("truncate", "after-status-502", "after-status-500", "empty", "truncate")):
            self.cps.fault(operation, fault)
        client, order = self.begin(NAME, SECOND)
        self.once(client, order)

    def test_calls_that_do_not_arrive(self):
        for operation in list(EFFECTS) + ["read", "status", "csr", "management", "deployments"]:
            if operation != "update":
                self.cps.fault(operation, "status-503")
        client, order = self.begin(NAME, SECOND)
        self.once(client, order)

    def test_cps_is_away_for_a_while(self):
        client, order = self.begin(NAME, SECOND)
        self.wait_effect("update")
        self.cps.kill()
        time.sleep(3)
        self.cps.start()
        self.once(client, order)

    def test_update_that_never_arrived(self):
        """The server looks for two minutes before it believes that; then there is exactly one update."""
        self.cps.fault("update", "drop-before")
        client, order = self.begin(NAME, SECOND)
        self.bridge.wait_for_log("Updating enrollment")
        time.sleep(5)
        self.assertEqual(len(self.cps.journal(operation="update", enrollment=self.number)), 1)
        self.bridge.stop()
        look_later(self.bridge, 3)
        self.bridge.restart()
        client.close()
        self.once(client, order)


if __name__ == "__main__":
    unittest.main()
