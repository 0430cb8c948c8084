#!/usr/bin/python3
"""Trouble at the load balancer, a kill -9 of the server in each step of a deployment, and `check --upstream`."""

import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from elb_case import ElbDeployCase  # noqa: E402 (found through the line above)


class Trouble(ElbDeployCase):
    def test_faults(self):
        """Each in a project of its own, at the same time. (test_elb_steps.py has all faults at all calls.)"""
        rows = (("update", "after-status-502"), ("show", "html-200"), ("create", "drop-after"),
                ("update", "drop-after"), ("show", "status-503-html"), ("create", "after-status-502"))
        projects = [f"{number:032x}" for number in range(1, len(rows) + 1)]
        self.elb.settings(projects=projects)
        places = []
        for number, (operation, fault) in enumerate(rows):
            mode = "create" if operation == "create" else "keep"
            place = self.place(f"fault{number}", mode, project=projects[number])
            self.elb.fault(operation, fault, name=f"acmebridge-{place.label}" if mode == "create" else place.made["id"])
            places.append(place)
        self.serve()
        self.obtain(*places)
        self.in_place(*places)
        self.assertEqual(self.elb.control("GET", "/faults"), [], "these faults met no call")


class Killed(ElbDeployCase):
    def test_each_step(self):
        """kill -9 while each call is under way, before ELB has acted on it and after."""
        rows = [("keep", operation, fault) for operation in ("show", "update") for fault in ("delay", "delay-after")]
        rows += [("create", "create", fault) for fault in ("delay", "delay-after")]
        places = []
        for number, (mode, _operation, _fault) in enumerate(rows):
            places.append(self.place(f"kill{number}", mode))
        self.serve()
        for place, (mode, operation, fault) in zip(places, rows):
            with self.subTest(mode, operation=operation, fault=fault):
                name = place.made["id"] if place.made else f"acmebridge-{place.label}"
                self.elb.fault(operation, fault, name=name, delay_s=1.5)
                before = self.received(operation)
                self.obtain(place)
                self.wait_for(lambda operation=operation, before=before: self.received(operation) > before, "the call")
                self.bridge.kill()
                time.sleep(1.5)  # ELB acts on what it has received
                self.restart()
                self.in_place(place, limit=60)


class Locked(ElbDeployCase):
    def test_restarts(self):
        """However often the server is started, and however many deployments of several projects wait, a login that is
        refused is not tried again soon; with the right secret it is at once."""
        projects = [f"{number:032x}" for number in range(1, 4)]
        self.elb.settings(projects=projects)
        secret_file = os.path.join(self.bridge.directory, "secret")
        login = {"access_key": {"id": self.elb.ready["access_key"], "secret_file": secret_file}}
        self.write(secret_file, "not the secret")
        places = [self.place(f"lock{number}", project=project, auth=login) for number, project in enumerate(projects)]
        before = self.elb.identity()["all_failures"]
        self.serve()
        self.obtain(*places)
        self.bridge.wait_for_log("refused logins lock the account")
        for _ in range(3):
            self.bridge.kill()
            self.restart()
            time.sleep(1)
        self.assertEqual(self.elb.identity()["all_failures"] - before, 1)
        self.bridge.kill()
        self.write(secret_file, self.elb.secret_key)
        self.restart()
        for deployment in self.ask("deploy", "list")["deployments"]:
            if deployment["status"] == "pending":
                self.bridge.run("deploy", "retry", deployment["id"], "--data-dir", self.bridge.data)
        self.in_place(*places)

    @staticmethod
    def write(path, text):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(text)


class Looking(ElbDeployCase):
    def check(self, code):
        self.bridge.write_config()
        done = self.bridge.run("check", "--upstream", "--config", self.bridge.config_file)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        for secret in self.bridge.secrets + ["PRIVATE KEY"]:
            self.assertNotIn(secret, done.stdout + done.stderr)
        return done.stdout

    def finds(self, output, label, level, *words):
        lines = [line for line in output.splitlines()
                 if line.startswith(f"{label}: {level}: ") and all(word in line for word in words)]
        self.assertEqual(len(lines), 1, (words, output))

    def test_all_is_well(self):
        self.addCleanup(self.elb.settings, private_key_echo=True)
        keep, file = self.place("keep"), self.place("file", "file", "iam")
        self.place("create", "create")
        output = self.check(0)
        self.assertNotIn(": error: ", output)
        for label in ("keep", "file", "create"):
            self.finds(output, label, "ok", "accepts the login")
            self.finds(output, label, "warning", "shows private keys in clear")
        self.finds(output, "keep", "ok", keep.made["id"])
        self.finds(output, "file", "ok", "another one than the object has now")
        self.finds(output, "create", "ok", "the first deployment makes it")
        self.elb.change(file.made["id"], private_key=self.key_text(file), names=[file.host])
        self.elb.settings(private_key_echo=False)
        output = self.check(0)
        self.finds(output, "file", "ok", "the key that the object has now")
        self.finds(output, "keep", "ok", "does not show private keys")
        journal = self.elb.journal()
        self.assertEqual([entry for entry in journal if entry["effect"] and entry["effect"]["kind"] != "token"], [])

    @staticmethod
    def key_text(place):
        with open(place.key_file, encoding="ascii") as stream:
            return stream.read()

    def test_what_is_wrong(self):
        gone, kind, file = self.place("gone"), self.place("kind"), self.place("file", "file")
        self.place("project", project_id="f" * 32)
        self.elb.remove(gone.made["id"])
        self.elb.change(kind.made["id"], type="client")
        os.unlink(file.key_file)
        output = self.check(1)
        self.finds(output, "gone", "error", "ELB.8904")
        self.finds(output, "kind", "error", "type client")
        self.finds(output, "file", "warning", "private_key_file", "No such file")
        self.finds(output, "project", "error", "403")

    def test_login(self):
        """However many deployers have it, a login that is refused is tried once."""
        login = {"access_key": {"id": self.elb.ready["access_key"], "secret_file": self.elb.ready["password_file"]}}
        for number in range(6):
            self.place(f"keep{number}", auth=login)
        before = self.elb.identity()["all_failures"]
        self.finds(self.check(1), "keep0", "error", "refuses the login")
        self.assertEqual(self.elb.identity()["all_failures"] - before, 1)

    def test_unreachable(self):
        self.place("keep", url="https://localhost:9")
        self.finds(self.check(1), "keep", "error", "cannot be reached")


if __name__ == "__main__":
    unittest.main()
