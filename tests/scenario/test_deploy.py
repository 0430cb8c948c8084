#!/usr/bin/python3
"""Deployments by the deployer `command`: a program that writes down each of its runs."""

import json
import os
import sqlite3
import stat
import sys
import time
import unittest

from cryptography.hazmat.primitives import hashes

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

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

    def ask(self, *words, code=0):
        """The answer of a command of the operator, in JSON; of one that fails what it says."""
        done = self.bridge.run(*words, "--json", "-c", self.bridge.config_file)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return json.loads(done.stdout) if code == 0 else done.stderr

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


class Failing(DeployCase):
    def test_a_failure_never_touches_the_order_and_can_be_retried(self):
        self.begin_serving()
        self.does("print('no such host'); sys.exit(3)")
        chain = self.obtain("a.localhost")
        row = self.wait_for_status("failed")[0]
        self.assertIn("ended with code 3: no such host", row["error"])
        line = self.bridge.wait_for_log("ALERT a certificate was not deployed", row["id"])[0]
        self.assertIn("level=error", line)
        time.sleep(0.5)
        self.assertEqual(len(self.runs("begin")), 1, "an exit code that means failure is not repeated")
        order = self.ask("order", "list")["orders"][0]
        self.assertEqual(order["status"], "valid")
        shown = self.ask("deploy", "show", row["id"])["deployment"]
        self.assertEqual((shown["status"], shown["names"], shown["order"]), ("failed", ["a.localhost"], order["id"]))
        self.assertIn("no such host", shown["error"]["detail"])
        explained = json.dumps(self.ask("order", "explain", order["id"]))
        self.assertIn("web gave up", explained)
        self.assertIn(f"deploy retry {row['id']}", explained)
        self.does("pass")
        self.ask("deploy", "retry", row["id"])
        self.wait_for_status("deployed")
        self.assertEqual(self.runs()[-1]["chain"], chain)
        self.assertIn("only one that is failed or pending", self.ask("deploy", "retry", row["id"], code=1))
        self.assertEqual(self.ask("deploy", "list", "--status", "failed")["deployments"], [])
        self.assertIn("web deployed it", json.dumps(self.ask("order", "explain", order["id"])))

    def test_what_passes_is_tried_again(self):
        self.begin_serving(timeout_seconds=1)
        for trouble, said in (("sys.exit(75)", "ended with code 75"),
                              ("os.kill(os.getpid(), 9)", "ended by signal 9"),
                              ("print('hanging', flush=True); time.sleep(60)",
                               "took too long and was ended: hanging")):
            with self.subTest(trouble):
                before = len(self.deployments())
                self.does(trouble)
                self.obtain(f"t{before}.localhost")
                self.bridge.wait_for_log(said, "tried again")
                row = self.wait_for(lambda: self.deployments("pending"), "one that waits")[0]
                self.wait_for(lambda: not self.ask("deploy", "show", row["id"])["deployment"]["under_way"], "a pause")
                shown = self.ask("deploy", "show", row["id"])["deployment"]
                self.assertEqual(shown["attempts"], 1)
                self.assertIn(said, shown["note"])
                queue = self.ask("deployer", "list")["deployers"]
                self.assertEqual([(item["name"], item["type"], item["deploy"]["waiting"], item["failing"])
                                  for item in queue], [("web", "command", 1, 1)])
                self.does("pass")
                self.ask("deploy", "retry", row["id"])
                self.wait_for(lambda: not self.deployments("pending"), "the second try")
                self.assertEqual(self.runs()[-1]["environment"]["ACMEBRIDGE_ATTEMPT"], "2")

    def test_a_program_that_vanished_is_waited_for(self):
        self.begin_serving()
        os.rename(self.program, self.program + ".away")
        self.obtain("a.localhost")
        self.bridge.wait_for_log("cannot run", "No such file or directory", "tried again")
        os.rename(self.program + ".away", self.program)
        self.ask("deploy", "retry", self.deployments()[0]["id"])
        self.wait_for_status("deployed")


class Choosing(DeployCase):
    def test_several_deployers_and_names(self):
        self.prepare(("web", "mail", "other"))
        self.bridge.settings["deployers"][1]["names"] = ["mail.localhost"]
        self.bridge.settings["deployers"][2]["names"] = ["mail.localhost", "other.localhost"]
        self.bridge.start()
        self.acme = self.client(self.bridge)
        self.does("sys.exit(9 if os.environ['ACMEBRIDGE_DEPLOYER'] == 'web' else 0)")
        self.obtain("mail.localhost", "www.localhost")
        self.wait_for(lambda: len(self.deployments("failed")) == 1 and len(self.deployments("deployed")) == 1,
                      "one deployed, one failed")
        self.assertEqual({row["deployer"]: row["status"] for row in self.deployments()},
                         {"web": "failed", "mail": "deployed"})
        self.obtain("www.localhost")
        self.wait_for(lambda: len(self.deployments("failed")) == 2, "the second of web")
        self.assertEqual(len(self.deployments()), 3)
        listed = self.ask("deploy", "list", "--deployer", "mail")["deployments"]
        self.assertEqual([item["names"] for item in listed], [["mail.localhost", "www.localhost"]])

    def test_a_profile_without_deployers_deploys_nothing(self):
        self.prepare()
        self.bridge.settings["profiles"][0].pop("deploy")
        self.bridge.start()
        self.acme = self.client(self.bridge)
        self.obtain("a.localhost")
        time.sleep(0.3)
        self.assertEqual((self.deployments(), self.runs("begin")), ([], []))
        self.assertEqual([item["name"] for item in self.ask("deployer", "list")["deployers"]], ["web"])


class Renewing(DeployCase):
    def test_a_newer_certificate_supersedes_what_waits(self):
        self.begin_serving()
        self.does("sys.exit(75)")
        self.obtain("a.localhost")
        self.bridge.wait_for_log("tried again")
        self.obtain("b.localhost")
        self.wait_for_runs(2, "begin")
        self.does("pass")
        chain = self.obtain("a.localhost")
        self.wait_for_status("superseded", "pending", "deployed")
        self.assertEqual(self.runs()[-1]["chain"], chain)
        first, other, _ = self.deployments()
        self.assertIn("is superseded", self.ask("deploy", "retry", first["id"], code=1))
        self.ask("deploy", "retry", other["id"])
        self.wait_for_status("superseded", "deployed", "deployed")

    def test_a_newer_one_waits_for_an_older_one_under_way(self):
        self.begin_serving()
        self.does("time.sleep(3)")
        first = self.obtain("a.localhost")
        self.wait_for_runs(1, "begin")
        second = self.obtain("a.localhost")
        runs = self.wait_for_runs(2)
        self.assertEqual([run["chain"] for run in runs], [first, second])
        self.assertGreaterEqual(self.runs("begin")[1]["time"], runs[0]["time"])
        self.wait_for_status("deployed", "deployed")

    def test_a_failed_one_is_not_retried_behind_a_newer_one(self):
        self.begin_serving()
        self.does("sys.exit(1)")
        self.obtain("a.localhost")
        row = self.wait_for_status("failed")[0]
        self.does("pass")
        self.obtain("a.localhost")
        self.wait_for_status("failed", "deployed")
        self.assertIn("newer deployment", self.ask("deploy", "retry", row["id"], code=1))


class Revoking(DeployCase):
    def revoke(self, chain):
        self.assertEqual(revoke(self.acme, der_of(chain)).status, 200)
        self.bridge.wait_for_log("certificate revoked")

    def statuses(self):
        return [item["status"] for item in reversed(self.ask("deploy", "list")["deployments"])]

    def test_a_revoked_certificate_in_place_is_told(self):
        self.begin_serving()
        chain = self.obtain("a.localhost")
        self.wait_for_status("deployed")
        self.revoke(chain)
        self.bridge.wait_for_log("ALERT a revoked certificate is still in place", "deployer=web")
        self.assertEqual(self.statuses(), ["revoked, still in place"])
        self.obtain("a.localhost")
        self.wait_for_status("deployed", "deployed")
        self.assertEqual(self.statuses(), ["deployed, replaced since", "deployed"])

    def test_one_that_a_newer_one_did_not_replace_is_told(self):
        """It was superseded while its program ran, and put in place all the same."""
        self.begin_serving()
        self.does("time.sleep(1) if len(open(os.environ['RECORDS'] + '/runs').readlines()) == 1 else sys.exit(1)")
        chain = self.obtain("a.localhost")
        self.wait_for_runs(1, "begin")
        self.obtain("a.localhost")
        self.wait_for_status("deployed", "failed")
        self.revoke(chain)
        self.bridge.wait_for_log("ALERT a revoked certificate is still in place", "deployer=web")
        self.assertEqual(self.statuses(), ["revoked, still in place", "failed"])

    def test_one_that_was_replaced_is_not(self):
        self.begin_serving()
        chain = self.obtain("a.localhost")
        self.wait_for_status("deployed")
        self.obtain("a.localhost")
        self.wait_for_status("deployed", "deployed")
        self.revoke(chain)
        time.sleep(0.3)
        self.assertEqual(self.bridge.log_lines("still in place"), [])

    def test_it_is_not_deployed_any_more(self):
        self.begin_serving()
        self.does("sys.exit(75)")
        chain = self.obtain("a.localhost")
        self.bridge.wait_for_log("tried again")
        self.revoke(chain)
        row = self.deployments()[0]
        self.assertIn("revoked", self.ask("deploy", "retry", row["id"], code=1))


class Stopping(DeployCase):
    def restart(self):
        self.bridge.restart()
        self.acme = self.client(self.bridge)

    def test_kill_in_every_step(self):
        """Before the run, in it, when it has ended: it is deployed in the end, and never by two at a time."""
        self.begin_serving()
        for round_ in range(8):
            with self.subTest(round_):
                self.does("time.sleep(0.4)" if round_ % 2 else "pass")
                count = len(self.deployments())
                self.obtain(f"k{round_}.localhost")
                time.sleep(0.03 * round_ * (round_ % 2 + 1))
                self.bridge.kill()
                self.restart()
                self.wait_for(lambda: len(self.deployments("deployed")) == count + 1, "it is deployed")
        runs = self.runs("begin")
        for run in runs:
            self.assertEqual(len({other["chain"] for other in runs if other["environment"]["ACMEBRIDGE_DEPLOYMENT"]
                                  == run["environment"]["ACMEBRIDGE_DEPLOYMENT"]}), 1)
        self.assertEqual(len(self.deployments()), 8)

    def test_a_killed_server_takes_its_program_along(self):
        self.begin_serving()
        self.does("time.sleep(60)")
        self.obtain("a.localhost")
        run = self.wait_for_runs(1, "begin")[0]
        self.bridge.kill()
        self.wait_for(lambda: not os.path.exists(f"/proc/{run['pid']}"), "its end")
        self.does("pass")
        self.restart()
        self.wait_for_status("deployed")
        self.bridge.wait_for_log("how", "ended is not known, it is run again")
        self.assertEqual([run["environment"]["ACMEBRIDGE_ATTEMPT"] for run in self.runs("begin")], ["1", "2"])

    def test_a_stop_during_a_run(self):
        self.begin_serving()
        self.does("time.sleep(60)")
        self.obtain("a.localhost")
        run = self.wait_for_runs(1, "begin")[0]
        self.bridge.stop()
        self.assertFalse(os.path.exists(f"/proc/{run['pid']}"))
        self.assertEqual([row["status"] for row in self.deployments()], ["pending"])
        self.does("pass")
        self.restart()
        self.wait_for_status("deployed")

    def test_a_deployer_that_was_taken_out(self):
        self.begin_serving()
        self.does("sys.exit(75)")
        self.obtain("a.localhost")
        self.bridge.wait_for_log("tried again")
        self.bridge.stop()
        deployers = self.bridge.settings.pop("deployers")
        self.bridge.settings["profiles"][0].pop("deploy")
        self.restart()
        self.bridge.wait_for_log("deployments wait for a deployer that the configuration does not have",
                                 "deployer=web")
        row = self.deployments()[0]
        self.assertIn("no deployer web", self.ask("deploy", "retry", row["id"], code=1))
        self.assertEqual(self.ask("deployer", "list")["deployers"][0]["type"], "not configured")
        self.bridge.stop()
        self.bridge.settings["deployers"] = deployers
        self.does("pass")
        self.restart()
        self.ask("deploy", "retry", row["id"])
        self.wait_for_status("deployed")


class Configuring(DeployCase):
    def check(self, *found):
        self.bridge.write_config()
        done = self.bridge.run("check", "-c", self.bridge.config_file)
        self.assertEqual(done.returncode, 2, done.stdout)
        for words in found:
            self.assertIn(words, done.stderr)
            self.assertRegex(done.stderr, r"acmebridge\.yaml:\d+:\d+: ")

    def test_mistakes(self):
        self.prepare()
        web = self.bridge.settings["deployers"][0]
        web["command"] = ["recorder"]
        self.bridge.settings["profiles"][0]["deploy"] = ["web", "mail", "web"]
        self.check("expected the absolute path of a program", "expected the name of a deployer (web), found the text 'mail'",
                   "expected each deployer once, found 'web' again")
        web["command"] = [os.path.join(self.bridge.directory, "missing")]
        web["environment"] = {"ACMEBRIDGE_X": "1", "2X": "1"}
        self.check("No such file or directory", "does not begin with ACMEBRIDGE_", "the name of a variable")
        os.chmod(self.program, stat.S_IRUSR)
        web["command"] = [self.program]
        if os.geteuid() != 0 or not os.access(self.program, os.X_OK):
            self.check("Permission denied")
        web.update({"command": ["/bin/true"], "environment": {}, "type": "ftp"})
        self.bridge.settings["deployers"].append(dict(web))
        self.check("found the text 'ftp'", "expected a name of its own for each deployer, found 'web' again")


if __name__ == "__main__":
    unittest.main()
