#!/usr/bin/python3
"""The Huawei ELB deployer at the simulator, step by step in a time of its own: what it does, what it refuses, and what
the documents leave open. Both were written from the same documents by different hands."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: E402 (found through the line above)

from elb_step_case import LOGINS, MINUTE, MODES, StepCase  # noqa: E402
from elb_steps import Deployment, Died  # noqa: E402


class Plain(StepCase):
    def test_modes_and_logins(self):
        for login in LOGINS:
            for mode in MODES:
                with self.subTest(mode, login=login):
                    deployment, certificate = self.deployment(mode, login=login)
                    found = self.done(deployment, certificate)
                    expected = ([("POST", ""), ("GET", "/")] if mode == "create" else
                                [("GET", "/"), ("PUT", "/"), ("GET", "/")])
                    self.assertEqual(self.sent(deployment), expected)
                    entries = [entry for entry in self.elb.journal(certificate=found["id"]) if entry["effect"]]
                    self.assertEqual([entry["key_sent"] for entry in entries], [mode != "keep"])
                    self.assertEqual(entries[0]["certificates"], 3, "leaf and intermediates, no root")
                    self.assertEqual(entries[0]["login"], login)
                    self.assertIn(certificate.sha256, found["description"])
                    self.assertEqual(found["domain"], "")

    def test_again(self):
        """What is in place is left alone."""
        deployment, certificate = self.deployment("keep")
        self.done(deployment, certificate)
        again = Deployment(self.elb, certificate, certificate_id=deployment.description["certificate_id"])
        self.done(again, certificate)
        self.assertEqual(self.sent(again), [("GET", "/")])

    def test_renewal_of_a_made_object(self):
        first, certificate = self.deployment("create")
        found = self.done(first, certificate)
        self.assertEqual(first.target, found["id"])
        renewed = self.certificate(*certificate.names, key=certificate.key)
        second, _ = self.deployment("create", renewed, target=found["id"])
        self.done(second, renewed)
        self.assertEqual(self.sent(second), [("GET", "/"), ("PUT", "/"), ("GET", "/")])
        self.elb.remove(found["id"])
        third, _ = self.deployment("create", renewed, target=found["id"])
        self.assertNotEqual(self.done(third, renewed)["id"], found["id"])

    def test_rsa(self):
        key = rsa.generate_private_key(65537, 2048)
        certificate = self.certificate("rsa.test", "*.rsa.test", key=key)
        for mode in MODES[:2]:
            deployment, _ = self.deployment(mode, certificate)
            step = deployment.run()
            self.assertEqual(step["kind"], "done")
            self.elb.remove(deployment.description["certificate_id"])

    def test_forms(self):
        """Each way to show an object is understood."""
        for change in ({"pem_form": "as-sent"}, {"pem_form": "normalised"}, {"private_key_echo": False},
                       {"time_members": "v2"}, {"fingerprint": "other"}):
            self.elb.settings(**change)
            for mode in MODES:
                with self.subTest(mode, **change):
                    self.done(*self.deployment(mode))

    def test_domains(self):
        certificate = self.certificate("first.test", "*.second.test")
        deployment, _ = self.deployment("keep", certificate, domains="names")
        self.assertEqual(self.done(deployment, certificate)["domain"], "first.test,*.second.test")
        deployment, certificate = self.deployment("keep", domains="list", domain_list=["a.test", "b.test"])
        self.assertEqual(self.done(deployment, certificate)["domain"], "a.test,b.test")
        self.elb.change(deployment.description["certificate_id"], domain="changed.test")
        again = Deployment(self.elb, certificate, domains="keep",
                           certificate_id=deployment.description["certificate_id"])
        self.assertEqual(self.done(again, certificate)["domain"], "changed.test")

    def test_domain_limits(self):
        names = [f"n{number}.limits.test" for number in range(31)]
        certificate = self.certificate(*names)
        self.elb.settings(domain_rules="2024")
        deployment, _ = self.deployment("keep", certificate, domains="names", domain_limits_2024=True)
        self.failed(deployment, certificate, "30")
        self.assertEqual(self.sent(deployment), [])
        deployment, _ = self.deployment("keep", certificate, domains="names")
        self.failed(deployment, certificate, "ELB.8902")

    def test_queue(self):
        deployment, _ = self.deployment("keep")
        deployment.start()
        step = deployment.step({"event": "start", "ahead": 2}, {})
        deployment.end()
        self.assertEqual(step["kind"], "wait")
        self.assertIn("2 other deployments", step["note"])

    def test_temporary_key(self):
        self.elb.settings(security_token="for an hour")
        deployment, certificate = self.deployment("keep", security_token="for an hour")
        self.done(deployment, certificate)


class Refusals(StepCase):
    def test_another_key(self):
        certificate = self.certificate()
        deployment, _ = self.deployment("file", certificate)
        del deployment.description["private_key_file"]
        self.failed(deployment, certificate, "has another key", "private_key_file")
        self.assertEqual(self.sent(deployment), [("GET", "/")], "nothing was sent")

    def test_key_files(self):
        """A file that does not fit yet is waited for, and nothing is sent before."""
        certificate, other = self.certificate(), self.certificate()
        deployment, _ = self.deployment("file", certificate)
        deployment.description["private_key_file"] = other.key_file
        self.failed(deployment, certificate, "key")
        self.assertEqual(self.sent(deployment), [])
        self.assertGreaterEqual(deployment.now_ms - deployment.begun_ms, 50 * MINUTE)
        missing = self.certificate()
        os.unlink(missing.key_file)
        deployment, _ = self.deployment("file", missing)
        self.failed(deployment, missing, "No such file")

    def test_what_an_object_is(self):
        certificate = self.certificate()
        client = self.elb.make(names=certificate.names, type="client")
        deployment, _ = self.deployment("keep", certificate, certificate_id=client["id"])
        self.failed(deployment, certificate, "of type client")
        deployment, _ = self.deployment("keep", certificate, certificate_id="0" * 32)
        self.failed(deployment, certificate, "no certificate object with this id")
        deployment, certificate = self.deployment("keep", project_id="f" * 32)
        self.failed(deployment, certificate, "403")

    def test_permissions(self):
        self.elb.settings(permissions=["list"])
        deployment, certificate = self.deployment("keep")
        self.failed(deployment, certificate, "403", "elb:certificates")
        self.elb.settings(permissions=["get", "list"])
        deployment, certificate = self.deployment("keep")
        self.failed(deployment, certificate, "403")
        deployment, certificate = self.deployment("create")
        self.failed(deployment, certificate, "403")

    def test_quota(self):
        self.elb.settings(quota=len(self.elb.objects()))
        deployment, certificate = self.deployment("create")
        self.failed(deployment, certificate, "quota")
        self.assertEqual(self.elb.objects(certificate.names[0]), [])

    def test_error_shapes(self):
        for shape in ("v3", "old", "plain"):
            self.elb.settings(error_shape=shape)
            deployment, certificate = self.deployment("keep", certificate_id="1" * 32)
            self.failed(deployment, certificate, "ELB.8904")

    def test_refused_login(self):
        """The access key is never locked: refused logins are far apart."""
        before = self.elb.identity()["all_failures"]
        deployment, _ = self.deployment("keep", access_key_secret="wrong")

        def until_three(number, _step):
            if number == 3:
                raise Died

        deployment.before = until_three
        with self.assertRaises(Died):
            deployment.proceed()
        self.assertEqual(self.elb.identity()["all_failures"] - before, 3)
        self.assertGreaterEqual(deployment.now_ms - deployment.begun_ms, 20 * MINUTE)
        self.assertTrue(any("lock" in note for note in deployment.notes()))

    def test_token_that_ended(self):
        deployment, certificate = self.deployment("keep", login="token")
        deployment.before = lambda number, _: self.elb.control("POST", "/tokens/expire") if number == 1 else None
        self.done(deployment, certificate)
        self.assertEqual(self.sent(deployment).count(("PUT", "/")), 1)

    def test_clock(self):
        self.elb.settings(skew_seconds=900)
        deployment, _ = self.deployment("keep")
        deployment.now_ms -= 20 * MINUTE + MINUTE // 2
        deployment.begun_ms = deployment.now_ms

        def only_one(number, _step):
            if number:
                raise Died

        deployment.before = only_one
        with self.assertRaises(Died):
            deployment.proceed()
        self.assertTrue(any("20 minutes behind" in note for note in deployment.notes()), deployment.notes())


class OpenQuestions(StepCase):
    def test_accepted_and_broken(self):
        """Where ELB would take a certificate without its key, the deployer does not send one."""
        self.elb.settings(lone_mismatch="accept")
        certificate = self.certificate()
        made = self.elb.make(names=certificate.names, bound=True)
        deployment, _ = self.deployment("keep", certificate, certificate_id=made["id"])
        self.failed(deployment, certificate, "has another key")
        self.assertEqual(self.elb.live(made["id"]), made["leaf_sha256"])

    def test_stored_key_changed_meanwhile(self):
        """Between look and PUT somebody gives the object another key, and ELB refuses the certificate."""
        deployment, certificate = self.deployment("keep")
        changed = deployment.description["certificate_id"]
        deployment.before = lambda number, _: self.elb.change(
            changed, names=["theirs.test"]) if number == 1 else None
        self.failed(deployment, certificate, "do not belong together")


if __name__ == "__main__":
    unittest.main()
