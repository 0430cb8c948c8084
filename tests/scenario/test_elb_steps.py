#!/usr/bin/python3
"""The Huawei ELB deployer at the simulator, step by step in a time of its own: each call with each fault, refusals,
what the documents leave open, and a death before and after each call. Both were written from the same documents by
different hands."""

import base64
import hashlib
import json
import os
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from cryptography import x509  # noqa: E402 (found through the line above)
from cryptography.hazmat.primitives import serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: E402

from elb_fixture import ElbSimulator  # noqa: E402
from elb_steps import Deployment, Died  # noqa: E402
from elbsim.control import key_text  # noqa: E402
from scmsim.ca import Hierarchy  # noqa: E402

MINUTE = 60 * 1000
MODES = ("keep", "file", "create")
LOGINS = ("aksk", "token")


class Certificate:
    """A chain for a key, and the key in a file."""

    def __init__(self, hierarchy, directory, names, key=None):
        self.names = names
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.key_pem = key_text(self.key)
        leaf = hierarchy.issue(names, names[0], self.key.public_key(), 90)
        self.chain = hierarchy.download(leaf, "x509", "leaf-first").decode("ascii")
        self.sha256 = hashlib.sha256(leaf.public_bytes(serialization.Encoding.DER)).hexdigest()
        self.key_file = os.path.join(directory, names[0].replace("*", "_") + ".key")
        descriptor = os.open(self.key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(self.key_pem)


class StepCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.elb = ElbSimulator()
        cls.addClassCleanup(cls.elb.clean)
        directory = tempfile.TemporaryDirectory(prefix="acmebridge-elb-")
        cls.addClassCleanup(directory.cleanup)
        cls.directory = directory.name
        cls.hierarchy = Hierarchy(os.path.join(cls.directory, "ca"))
        cls.count = 0

    def setUp(self):
        # The deployer's waits pass in no time, so that its signatures may be from the future.
        self.elb.settings(skew_seconds=10 ** 9, pem_form="single-line", content_code="ELB.1011", error_shape="v3",
                          lone_mismatch="refuse", private_key_echo=True, quota=1000, security_token="",
                          time_members="v3", rate_limit=0, list_lag=0, domain_rules="current",
                          permissions=["get", "list", "create", "update", "delete"])
        self.elb.control("POST", "/access-key/unlock")

    def certificate(self, *names, key=None):
        type(self).count += 1
        names = list(names) or [f"step{self.count}.test"]
        return Certificate(self.hierarchy, self.directory, names, key)

    def deployment(self, mode, certificate=None, login="aksk", **options):
        """(deployment, certificate) into an object that has another certificate of the same key, or of another."""
        certificate = certificate or self.certificate()
        if mode == "create":
            options.setdefault("name", certificate.names[0])
            options.update(create=True, private_key_file=certificate.key_file)
        elif "certificate_id" not in options:
            keep = {"private_key": certificate.key_pem} if mode == "keep" else {}
            made = self.elb.make(names=certificate.names, name=certificate.names[0], bound=True, **keep)
            options["certificate_id"] = made["id"]
        if mode == "file":
            options["private_key_file"] = certificate.key_file
        return Deployment(self.elb, certificate, login=login, **options), certificate

    def no_secrets(self, deployment, certificate):
        """Keys are nowhere but in the bodies of calls, and those of calls not in the state."""
        core = base64.b64encode(certificate.key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption())).decode("ascii")
        text = json.dumps([{name: value for name, value in step.items() if name != "body"}
                           for step in deployment.steps])
        for secret in (core[60:100], self.elb.secret_key, self.elb.token or "no token"):
            self.assertNotIn(secret, text)

    def done(self, deployment, certificate, step=None):
        """Ends well: the object and its listener have the certificate, and there is one such object."""
        step = step or deployment.run()
        self.assertEqual(step["kind"], "done", deployment.notes())
        found = self.elb.objects(certificate.names[0])
        self.assertEqual(len(found), 1)
        self.assertEqual((found[0]["leaf_sha256"], found[0]["pair_fits"], found[0]["certificates"]),
                         (certificate.sha256, True, 3))
        if found[0]["bound"]:
            self.assertEqual(self.elb.live(found[0]["id"]), certificate.sha256)
        self.no_secrets(deployment, certificate)
        return found[0]

    def failed(self, deployment, certificate, *words):
        step = deployment.run()
        self.assertEqual(step["kind"], "failed", deployment.notes())
        for word in words:
            self.assertIn(word, step["detail"])
        self.no_secrets(deployment, certificate)

    def sent(self, deployment):
        return [(step["method"], step["url"].split("/certificates")[1][:1]) for step in deployment.calls]


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


def error(status, code, text="words of the simulator", **members):
    return {"fault": "error", "status": status, "error_code": code, "description": text, **members}


PASSING = (
    error(429, "APIGW.0308", "policy user over ratelimit,limit:5,time:1 second", retry_after_s=3),
    error(500, "ELB.8906"), error(503, "APIGW.0706"), error(401, "APIGW.0301", "decrypt token fail"),
    error(400, "ELB.5033"), error(409, "ELB.8907", "another operation is in progress"), {"fault": "status-502-html"},
    {"fault": "status-500"}, {"fault": "after-status-502"}, {"fault": "after-status-504"}, {"fault": "drop-before"},
    {"fault": "drop-after"}, {"fault": "truncate"}, {"fault": "empty"}, {"fault": "html-200"},
    {"fault": "status-404-html"}, {"fault": "delay", "delay_s": 0.4}, {"fault": "delay-after", "delay_s": 0.4})
FINAL = (error(400, "ELB.1011"), error(400, "ELB.8902"), error(403, "ELB.1101"), error(404, "APIGW.0101"),
         error(413, "APIGW.0201"), error(409, "ELB.8907", "the domain cannot be emptied"))


class Faults(StepCase):
    def with_fault(self, mode, at, fault, times=1):
        """A deployment whose calls from the given one on meet a fault."""
        deployment, certificate = self.deployment(mode, timeout=0.2)
        deployment.before = lambda number, _: self.elb.control("POST", "/faults", {"operation": "*", **fault}) \
            if at <= number < at + times else None
        return deployment, certificate

    def calls_of(self, mode):
        return range(2 if mode == "create" else 3)

    def test_passing(self):
        for mode in MODES:
            for at in self.calls_of(mode):
                for fault in PASSING:
                    with self.subTest(mode, at=at, fault=fault):
                        deployment, certificate = self.with_fault(mode, at, fault)
                        self.done(deployment, certificate)
                        self.assertLessEqual(deployment.now_ms - deployment.begun_ms, 20 * MINUTE)
        self.assertLess(self.elb.identity()["most_failures"], 5)
        self.assertEqual(self.elb.control("GET", "/faults"), [], "these faults met no call")

    def test_final(self):
        for mode in MODES:
            for at in self.calls_of(mode):
                for fault in FINAL:
                    with self.subTest(mode, at=at, fault=fault):
                        deployment, certificate = self.with_fault(mode, at, fault)
                        self.failed(deployment, certificate, fault["error_code"])

    def test_long_trouble(self):
        """Four times in a row is no reason to give up."""
        for mode in MODES:
            for fault in (error(500, "ELB.8906"), {"fault": "drop-after"}, error(429, "APIGW.0308")):
                with self.subTest(mode, fault=fault):
                    deployment, certificate = self.with_fault(mode, 0, fault, 4)
                    self.done(deployment, certificate)
                    waits = [step for step in deployment.steps if step["kind"] == "wait"]
                    self.assertGreaterEqual(len(waits), 4)

    def test_hopeless(self):
        """What is not an error that passes ends after some tries."""
        for fault in (error(400, "ELB.5033"), {"fault": "html-200"}, {"fault": "status-404-html"}):
            with self.subTest(fault=fault):
                deployment, certificate = self.with_fault("keep", 0, fault, 100)
                self.failed(deployment, certificate, "several tries")

    def test_another_certificate_shown(self):
        deployment, certificate = self.with_fault("keep", 2, {"fault": "wrong-certificate"})
        self.done(deployment, certificate)
        self.assertIn("the object shows another one", " ".join(deployment.notes()))

    def test_changed_by_somebody(self):
        """Another one's certificate, put there each time between PUT and the look."""
        deployment, certificate = self.deployment("file")
        changed = deployment.description["certificate_id"]
        deployment.before = lambda number, _: self.elb.change(
            changed, names=["theirs.test"]) if number % 3 == 2 else None
        self.failed(deployment, certificate, "somebody else")

    def test_throttled(self):
        self.elb.settings(rate_limit=2)
        deployment, certificate = self.deployment("keep")
        deployment.before = lambda number, _: time.sleep(0.3)
        self.done(deployment, certificate)
        self.assertTrue(any("fewer calls" in note for note in deployment.notes()))

    def test_lists_that_lag(self):
        """A lost POST is looked for; a list that shows it late leads to no second object while it is patient."""
        deployment, certificate = self.deployment("create")

        def before(number, _step):
            if number == 0:
                self.elb.fault("create", "drop-after")
            self.elb.settings(list_lag=100 if number < 3 else 0)

        deployment.before = before
        self.done(deployment, certificate)

    def test_many_objects(self):
        """The one that was made is found on a later page, among others of its name."""
        certificate = self.certificate()
        for _ in range(12):
            self.elb.make(names=["other.test"], name=certificate.names[0])
        deployment, _ = self.deployment("create", certificate)
        deployment.before = lambda number, _: self.elb.fault("create", "drop-after") if number == 0 else None
        self.assertEqual(deployment.run()["kind"], "done")
        self.assertEqual(len(self.elb.objects(certificate.names[0])), 13)


class Deaths(StepCase):
    def test_each_call(self):
        """kill -9 right before and right after each call, with the next ones once more."""
        for mode in MODES:
            for at in range(3):
                for moment in ("before", "after"):
                    for times in (1, 2):
                        with self.subTest(mode, at=at, moment=moment, times=times):
                            deaths = []

                            def die(number, _step, at=at, times=times, deaths=deaths):
                                if number >= at and len(deaths) < times:
                                    deaths.append(number)
                                    raise Died

                            deployment, certificate = self.deployment(mode, **{moment: die})
                            self.done(deployment, certificate)
                            puts = sum(method in ("PUT", "POST") for method, _ in self.sent(deployment))
                            self.assertLessEqual(puts, 1 + len(deaths))

    def test_lost_and_killed(self):
        """The answer to the POST is lost, and the process dies while it looks for the object."""
        for at in range(1, 4):
            died = []

            def before(number, _step, at=at, died=died):
                if number == 0 and not died:
                    self.elb.fault("create", "after-status-502")
                if number == at and not died:
                    died.append(number)
                    raise Died

            deployment, certificate = self.deployment("create", before=before)
            self.done(deployment, certificate)


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
