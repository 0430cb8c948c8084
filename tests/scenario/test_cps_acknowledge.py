#!/usr/bin/python3
"""What the operator decides about changes at Akamai CPS, with `order acknowledge`."""

import json
import time
import unittest

from cps_case import CpsCase

NAME = "www.cps.localhost"


class Deciding(CpsCase):
    def command(self, order, *arguments, code=0):
        done = self.bridge.run("order", "acknowledge", "-c", self.bridge.config_file, order.rpartition("/")[2],
                               *arguments)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def question(self, order, limit=15):
        """(key, everything that is shown) of the question, once it is asked."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            done = self.bridge.run("order", "acknowledge", "-c", self.bridge.config_file, "--json",
                                   order.rpartition("/")[2])
            if done.returncode == 0:
                found = [value for name, value in walk(json.loads(done.stdout)) if name == "key"]
                if found:
                    return found[0], done.stdout
            time.sleep(0.3)
        raise AssertionError("no question: " + done.stdout + done.stderr)

    def managed(self, **settings):
        return self.enrollment("ov", NAME, change_management=True, settings=settings)

    def test_deployment_is_acknowledged(self):
        enrollment = self.managed(validation_warnings=["A name is still live."])
        client, order = self.begin(NAME)
        change = self.wait_change(enrollment, "gate")
        key, shown = self.question(order)
        self.assertIn("A name is still live.", shown)
        self.command(order, "--acknowledge", "--key", "0" * 8, code=1)
        self.assertEqual(self.cps.change(change)["phase"], "gate")
        self.command(order, "--acknowledge", "--key", key[:8])
        self.becomes_valid(client, order, enrollment)
        entries = self.cps.journal(operation="management-ack", enrollment=enrollment)
        self.assertEqual([entry["status"] for entry in entries], [200])

    def test_deployment_is_denied(self):
        enrollment = self.managed()
        before = self.cps.look(enrollment)["production"]
        client, order = self.begin(NAME)
        self.wait_change(enrollment, "gate")
        self.command(order, "--deny", "--key", self.question(order)[0])
        self.failed(self.ends(client, order), "unauthorized")
        self.assertEqual(self.cps.look(enrollment)["production"], before)
        self.assertEqual(self.cps.look(enrollment)["pending"], [])

    def test_another_validation_is_another_question(self):
        enrollment = self.managed()
        client, order = self.begin(NAME)
        change = self.wait_change(enrollment, "gate")
        first = self.question(order)[0]
        self.cps.change(change, "validation", warnings=["Look again."])
        deadline = time.monotonic() + 20
        while self.question(order)[0] == first:
            self.assertLess(time.monotonic(), deadline, "the question stayed the same")
            time.sleep(0.5)
        self.command(order, "--acknowledge", "--key", first, code=1)
        self.assertEqual(self.cps.journal(operation="management-ack", enrollment=enrollment), [])
        key, shown = self.question(order)
        self.assertIn("Look again.", shown)
        self.command(order, "--acknowledge", "--key", key)
        self.becomes_valid(client, order, enrollment)

    def test_warnings_that_are_not_on_the_list(self):
        enrollment = self.enrollment("ov", NAME, options={"warnings": ["known *"]},
                                     settings={"pre_warnings": ["Known one", "Unknown one"]})
        client, order = self.begin(NAME)
        self.wait_change(enrollment, "pre-warnings")
        key, shown = self.question(order)
        self.assertIn("Unknown one", shown)
        self.command(order, "--acknowledge", "--key", key)
        self.becomes_valid(client, order, enrollment)
        self.assertEqual(len(self.cps.journal(operation="pre-ack", enrollment=enrollment)), 1)

    def test_decision_survives_a_kill(self):
        enrollment = self.managed()
        client, order = self.begin(NAME)
        self.wait_change(enrollment, "gate")
        key = self.question(order)[0]
        self.cps.fault("management-ack", "status-503")
        self.command(order, "--acknowledge", "--key", key)
        self.bridge.kill()
        self.bridge.restart()
        client.close()
        self.becomes_valid(client, order, enrollment, 90)


def walk(value):
    """All members of a JSON value, however deep."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield name, item
            yield from walk(item)
    elif isinstance(value, list):
        for item in value:
            yield from walk(item)


if __name__ == "__main__":
    unittest.main()
