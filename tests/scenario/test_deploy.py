#!/usr/bin/python3
"""Deployments by the deployer `command`: a program that writes down each of its runs."""

import json
import os
import sqlite3
import stat
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from cryptography.hazmat.primitives import hashes  # noqa: E402 (found through the line above)

from harness.case import Case  # noqa: E402 (found through the line above)
from test_revocation import der_of, leaf_of, revoke  # noqa: E402

LIMIT = 20

# One line per run when it begins and one when it ends; what it does is in the file `does`.
RECORDER = """#!/usr/bin/python3
import json, os, sys, time
chain = sys.stdin.read()
record = {"event": "begin", "pid": os.getpid(), "time": time.time(), "arguments": sys.argv[1:],
          "chain": chain, "environment": dict(os.environ)}
def tell(record):
    with open(os.path.join(os.environ["RECORDS"], "runs"), "a") as out:
        out.write(json.dumps(record) + "\\n")
tell(record)
exec(open(os.path.join(os.environ["RECORDS"], "does")).read())
tell({**record, "event": "end", "time": time.time()})
print("done with attempt", os.environ["ACMEBRIDGE_ATTEMPT"])
"""


class DeployCase(Case):
    def prepare(self, deployers=("web",), **settings):
        self.responder = self.make_responder()
        bridge = self.make_bridge(self.responder.port)
        self.program = os.path.join(bridge.directory, "recorder")
        with open(self.program, "w", encoding="utf-8") as out:
            out.write(RECORDER)
        os.chmod(self.program, stat.S_IRWXU)
        self.directory = bridge.directory
        self.does("pass")
        bridge.settings["deployers"] = [
            {"name": name, "type": "command", "command": [self.program, name, "--now"],
             "environment": {"RECORDS": bridge.directory}, **settings} for name in deployers]
        bridge.settings["profiles"][0]["deploy"] = list(deployers)
        self.bridge = bridge
        return bridge

    def does(self, code):
        """What the program does from now on."""
        path = os.path.join(self.directory, "does")
        with open(path + ".new", "w", encoding="utf-8") as out:
            out.write(code + "\n")
        os.rename(path + ".new", path)

    def runs(self, event="end", deployer=None):
        try:
            with open(os.path.join(self.directory, "runs"), encoding="utf-8") as lines:
                records = [json.loads(line) for line in lines]
        except FileNotFoundError:
            return []
        return [record for record in records if record["event"] == event
                and deployer in (None, record["environment"]["ACMEBRIDGE_DEPLOYER"])]

    def wait_for(self, condition, what, limit=LIMIT):
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            result = condition()
            if result:
                return result
            time.sleep(0.05)
        self.fail(f"not within {limit} s: {what}")

    def wait_for_runs(self, count, event="end", **options):
        return self.wait_for(lambda: len(self.runs(event)) >= count and self.runs(event),
                             f"{count} runs to {event}", **options)

    def deployments(self, status=None):
        """From the store itself, oldest first."""
        with sqlite3.connect(f"file:{self.bridge.data}/acmebridge.db?mode=ro", uri=True, timeout=10) as database:
            database.row_factory = sqlite3.Row
            rows = database.execute("SELECT * FROM deployments ORDER BY id").fetchall()
        return [row for row in rows if status in (None, row["status"])]

    def wait_for_status(self, *statuses, **options):
        return self.wait_for(lambda: [row["status"] for row in self.deployments()] == list(statuses)
                             and self.deployments(), f"deployments that are {statuses}", **options)

    def obtain(self, *names):
        chain, _ = self.acme.obtain(self.responder, *names)
        return chain

    def begin_serving(self, *arguments, **settings):
        self.prepare(*arguments, **settings).start()
        self.acme = self.client(self.bridge)
        self.acme.register()
        return self.bridge


class Deploying(DeployCase):
    def test_the_program_gets_the_chain_and_its_description(self):
        self.begin_serving()
        chain = self.obtain("a.localhost", "b.localhost")
        run = self.wait_for_runs(1)[0]
        row = self.wait_for_status("deployed")[0]
        self.assertEqual(run["chain"], chain)
        self.assertEqual(run["arguments"], ["web", "--now"])
        variables = run["environment"]
        description = json.loads(variables["ACMEBRIDGE_DESCRIPTION"])
        leaf = leaf_of(chain)
        self.assertEqual(variables["ACMEBRIDGE_NAMES"], "a.localhost b.localhost")
        self.assertEqual(description["names"], ["a.localhost", "b.localhost"])
        self.assertEqual(int(variables["ACMEBRIDGE_SERIAL"], 16), leaf.serial_number)
        self.assertEqual(variables["ACMEBRIDGE_SHA256"], leaf.fingerprint(hashes.SHA256()).hex())
        self.assertEqual(variables["ACMEBRIDGE_NOT_AFTER"],
                         leaf.not_valid_after.strftime("%Y-%m-%dT%H:%M:%SZ"))
        self.assertEqual(variables["ACMEBRIDGE_DEPLOYMENT"], row["id"])
        for member in ("deployer", "deployment", "order", "account", "profile", "certificate", "serial", "sha256",
                       "not_after"):
            self.assertEqual(description[member], variables["ACMEBRIDGE_" + member.upper()], member)
        self.assertEqual((description["attempt"], variables["ACMEBRIDGE_ATTEMPT"]), (1, "1"))
        self.assertEqual(sorted(name for name in variables if not name.startswith("ACMEBRIDGE_")
                                and name not in ("LC_CTYPE", "RECORDS")), ["PATH"])
        lines = self.bridge.wait_for_log("has deployed it: done with attempt 1")
        self.assertIn("deployer=web", lines[0])
        self.assertEqual(len(self.runs()), 1)


if __name__ == "__main__":
    unittest.main()
