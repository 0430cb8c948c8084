#!/usr/bin/python3
"""What the operator decides about a change of an enrollment, by command; who signs, and who revokes."""

import json
import time
import unittest

from cps_case import CpsCase
from cryptography.hazmat.primitives import serialization
from harness.keys import b64

NAME = "www.cps.localhost"
LIMIT = 20


class Operator(CpsCase):
    def command(self, verb, order, *arguments, code=0):
        done = self.bridge.run("order", verb, order, *arguments, "--data-dir", self.bridge.data)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout if code == 0 else done.stderr

    def question(self, order):
        """What is asked about the order, as soon as something is."""
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            told = json.loads(self.command("explain", order, "--json"))
            if "question" in told:
                return told["question"]
            time.sleep(0.1)
        raise AssertionError(f"nothing is asked: {told}")

    def managed(self):
        return self.enrollment("ov", NAME, change_management=True, options={"acknowledge": "manual"})

    def test_acknowledged(self):
        enrollment = self.managed()
        client, order = self.begin(NAME)
        asked = self.question(order)
        self.assertTrue(asked["key"])
        shown = self.command("acknowledge", order)
        for text in (asked["text"], asked["key"], "--acknowledge --key"):
            self.assertIn(text, shown)
        told = self.command("explain", order)
        self.assertIn("the operator decides", told)
        self.assertIn("changed", self.command("acknowledge", order, "--deny", "--key", "x" * 64, code=1))
        self.assertEqual(self.cps.journal(operation="management-ack", enrollment=enrollment), [])

        self.bridge.kill()
        self.bridge.start()
        client.close()
        self.assertEqual(self.question(order)["key"], asked["key"])
        answered = self.command("acknowledge", order, "--acknowledge", "--key", asked["key"][:8])
        self.assertIn("acknowledge", answered)
        self.becomes_valid(client, order, enrollment)
        self.assert_changes(enrollment)
        entries = self.cps.journal(operation="management-ack", enrollment=enrollment)
        self.assertEqual([entry["status"] for entry in entries], [200])
        self.assertTrue(self.bridge.log_lines("the operator acknowledges", order.rsplit("/", 1)[1], "by="))
        self.command("acknowledge", order, code=1)

    def test_denied(self):
        enrollment = self.managed()
        client, order = self.begin(NAME)
        self.command("acknowledge", order, "--deny", "--key", self.question(order)["key"])
        self.assertEqual(self.ends(client, order)["status"], "invalid")
        self.assertTrue(self.bridge.log_lines("the operator denies", order.rsplit("/", 1)[1]))
        self.assert_changes(enrollment)

    def test_who_signed_revokes(self):
        enrollment = self.enrollment("third-party", NAME)
        client, order = self.begin(NAME)
        leaf = self.becomes_valid(client, order, enrollment)
        told = self.command("explain", order)
        self.assertIn("of the issuer local", told)
        self.assertIn("keeps the key at the edge", told)
        der = leaf.public_bytes(serialization.Encoding.DER)
        client.expect(client.post(client.directory["revokeCert"], {"certificate": b64(der)}), 200)
        self.bridge.wait_for_log("certificate revoked", "issuer=local")


if __name__ == "__main__":
    unittest.main()
