#!/usr/bin/python3
"""What waits for somebody at Akamai CPS is explained: warnings of each kind, the deadline, challenges, deployments."""

import json
import time
import unittest

from cps_case import CpsCase, cps_issuer, csr_der

NAME, SECOND = "www.cps.localhost", "a.cps.localhost"
LIMIT = 20
# phase of the change: (what stands in the warning, the call that lets it pass)
GATES = {"pre-warnings": ("Unlisted, before.", "pre-ack"), "post-warnings": ("Unlisted, behind.", "post-ack"),
         "gate": ("Unlisted, of the deployment.", "management-ack")}


class Explained(CpsCase):
    def command(self, *words):
        done = self.bridge.run(*words, "--data-dir", self.bridge.data)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def told(self, *words):
        return json.loads(self.command(*words, "--json"))

    def wait_for(self, condition, what):
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            found = condition()
            if found:
                return found
            time.sleep(0.1)
        raise AssertionError(f"not within {LIMIT} s: {what}")

    def question(self, order, text):
        """What is asked about an order, once it is about this."""
        def look():
            question = self.told("order", "explain", order).get("question")
            return question if question and text in json.dumps(question) else None

        return self.wait_for(look, text)

    def test_warnings_of_each_kind(self):
        """acknowledge: auto is for listed warnings only, wherever the others come from."""
        enrollment = self.enrollment(
            "third-party", NAME, change_management=True, options={"acknowledge": "auto", "warnings": ["Listed*"]},
            settings={"pre_warnings": ["Listed one.", GATES["pre-warnings"][0]],
                      "post_warnings": [GATES["post-warnings"][0]],
                      "validation_warnings": [GATES["gate"][0], "Listed two."]})
        client, order = self.begin(NAME)
        for phase, (text, call) in GATES.items():
            change = self.wait_change(enrollment, phase)
            question = self.question(order, text)
            time.sleep(1.2)  # it is looked at again, and nothing is said
            self.assertEqual(self.cps.change(change)["phase"], phase)
            self.assertEqual(self.cps.journal(operation=call, enrollment=enrollment), [])
            explained = self.command("order", "explain", order)
            self.assertIn("the operator decides", explained)
            shown = self.command("order", "acknowledge", order)
            self.assertIn("* " + text, shown)
            self.assertNotIn("* Listed", shown)
            if phase == "gate":
                self.assertRegex(shown + explained, r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ")
                self.assertIn(NAME, shown, "what would be deployed")
            self.command("order", "acknowledge", order, "--acknowledge", "--key", question["key"])
        self.becomes_valid(client, order, enrollment)
        for _, call in GATES.values():
            entries = self.cps.journal(operation=call, enrollment=enrollment)
            self.assertEqual([entry["status"] for entry in entries], [200])
        self.assert_changes(enrollment)

    def test_challenges(self):
        """Everything somebody needs who answers them by hand."""
        enrollment = self.enrollment("dv", NAME, SECOND)
        client, order = self.begin(NAME, SECOND)
        change = self.wait_change(enrollment, "validate")
        self.wait_for(lambda: "acme-challenge" in self.command("order", "explain", order), "the challenges")
        explained = self.command("order", "explain", order)
        for domain in self.cps.change(change)["domains"]:
            for text in (domain["domain"], domain["txt"], domain["token"], domain["body"]):
                self.assertIn(text, explained)
        self.cps.change(change, "dv")
        self.becomes_valid(client, order, enrollment, 90)

    def test_deployment(self):
        """A deployment waits for its word as an order does, and is decided by `deploy acknowledge`."""
        number = self.cps.make("third-party", NAME, change_management=True)
        self.bridge.settings["deployers"] = [{**cps_issuer(self.cps, name="edge"), "enrollment": {"id": number}}]
        self.bridge.settings["profiles"][0]["deploy"] = ["edge"]
        change = self.cps.control("POST", f"/enrollments/{number}/changes", {"origin": "foreign"})["pending"][0]
        self.cps.wait_phase(change, "upload")
        client = self.acme(None)
        order = client.begin(self.responder, NAME, csr=csr_der(self.cps.csrs(number, change)["RSA"]))[0]
        self.assertEqual(self.ends(client, order)["status"], "valid")
        self.cps.wait_phase(change, "gate", LIMIT)
        listed = self.told("deploy", "list")["deployments"]
        self.assertEqual([(item["deployer"], item["status"]) for item in listed], [("edge", "pending")])
        deployment = listed[0]["id"]
        question = self.wait_for(
            lambda: self.told("deploy", "show", deployment)["deployment"].get("question"), "a question")
        shown = self.command("deploy", "acknowledge", deployment)
        self.assertIn(question["key"], shown)
        self.assertEqual(self.cps.journal(operation="management-ack", enrollment=number), [])
        self.command("deploy", "acknowledge", deployment, "--acknowledge", "--key", question["key"])
        self.wait_for(lambda: self.told("deploy", "show", deployment)["deployment"]["status"] == "deployed", "its end")
        self.assert_changes(number, client=0, foreign=1)


class Pace(CpsCase):
    """The calls of one account: what Akamai allows holds for all enrollments, issuers and deployers together."""

    WINDOW_SECONDS, CALLS_A_SECOND, BURST, ALLOWED = 2.0, 4, 4, 14

    def test_shared_by_enrollments_issuer_and_deployer(self):
        """35 a minute, in a time that runs faster: 4 a second, two of them would be twice as many as are allowed."""
        pace = {"requests_per_minute": 60 * self.CALLS_A_SECOND, "burst": self.BURST}
        self.bridge.settings["issuers"][1].update(pace)
        names = [f"{letter}.cps.localhost" for letter in "abcd"]
        numbers = [self.cps.make("third-party", name) for name in names]
        for name, number in zip(names[:2], numbers):
            self.add_profile(name[0], number)
        self.bridge.settings["deployers"] = []
        self.bridge.settings["profiles"][0]["deploy"] = [name[0] for name in names[2:]]
        requests = {}
        for name, number in zip(names[2:], numbers[2:]):
            self.bridge.settings["deployers"].append(
                {**cps_issuer(self.cps, name=name[0]), **pace, "names": [name], "enrollment": {"id": number}})
            change = self.cps.control("POST", f"/enrollments/{number}/changes", {"origin": "foreign"})["pending"][0]
            self.cps.wait_phase(change, "upload")
            requests[name] = csr_der(self.cps.csrs(number, change)["RSA"])
        self.acme(None).register()  # the look at the start has an allowance of its own
        time.sleep(self.WINDOW_SECONDS)
        self.cps.settings(rate_limit=self.ALLOWED, rate_window=self.WINDOW_SECONDS)
        orders = []
        for name in names:
            client = self.acme(None if name in requests else name[0])
            orders.append((client, client.begin(self.responder, name, csr=requests.get(name))[0]))
        for client, order in orders:
            self.assertEqual(self.ends(client, order, 60)["status"], "valid")
        deadline = time.monotonic() + 60
        while any(not look["production"] or look["pending"] for look in map(self.cps.look, numbers)):
            self.assertLess(time.monotonic(), deadline, "not all certificates reach the edge")
            time.sleep(0.3)
        times = sorted(entry["time"] for entry in self.cps.journal())
        busiest = max(sum(begin <= moment < begin + self.WINDOW_SECONDS for moment in times) for begin in times)
        self.assertGreater(busiest, self.ALLOWED // 2, "the pace was never felt")
        self.assertNotIn("429", str(self.cps.control("GET", "/stats")["answered"]))
        for number in numbers:
            self.assertEqual(len(self.cps.journal(operation="upload", enrollment=number)), 1)


if __name__ == "__main__":
    unittest.main()
