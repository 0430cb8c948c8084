#!/usr/bin/python3
"""Each call of the Huawei ELB deployer with each fault of the simulator, and a death before and after each call, in a
time of its own."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from elb_step_case import MINUTE, MODES, StepCase  # noqa: E402 (found through the line above)
from elb_steps import Died  # noqa: E402


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
        deployment, certificate = self.deployment(mode)
        patience = deployment.timeout

        def before(number, _step):
            meets = at <= number < at + times
            if meets:
                self.elb.control("POST", "/faults", {"operation": "*", **fault})
            deployment.timeout = 0.2 if meets and fault["fault"].startswith("delay") else patience

        deployment.before = before
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


if __name__ == "__main__":
    unittest.main()
