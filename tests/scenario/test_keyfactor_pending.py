#!/usr/bin/python3
"""What waits in Keyfactor Command, three ways: approved, denied, late, lost, and never decided."""

import unittest

from keyfactor_case import KeyfactorCase


class Waiting(KeyfactorCase):
    def setUp(self):
        super().setUp()
        self.begin()

    def waits(self, name):
        """(order URL, key, CSR, request) of an order that the server knows to be waiting."""
        url, key, csr = self.order(name)
        request = self.request_of(name)
        self.bridge.wait_for_log("waits for", url.rsplit("/", 1)[1])
        self.assertEqual(self.acme.fetch(url).json["status"], "processing")
        return url, key, csr, request

    def test_approved(self):
        names = [f"{label}-yes.localhost" for label in ("pending", "workflow", "external")]
        orders = [self.waits(name) for name in names]
        for _, _, _, request in orders:
            self.kf.decide(request["id"], "approve")
        for name, (url, key, csr, _) in zip(names, orders):
            self.ends_well(name, url, key)
            self.enrolled_once(name, csr)

    def test_dispositions_of_external_validation(self):
        orders = []
        for number, disposition in enumerate(("EXTERNAL VALIDATION", "PENDING")):
            self.kf.settings(external_disposition=disposition)
            name = f"external-{number}.localhost"
            orders.append((name, *self.waits(name)))
        for _, _, _, _, request in orders:
            self.kf.decide(request["id"], "approve")
        for name, url, key, csr, _ in orders:
            self.ends_well(name, url, key)
            self.enrolled_once(name, csr)

    def test_denied(self):
        """The client's administrator reads the approver's words; those of a failure are for the operator."""
        rows = (("pending-no.localhost", "deny", "unauthorized"), ("external-no.localhost", "deny", "unauthorized"),
                ("workflow-no.localhost", "reject", "unauthorized"), ("workflow-bad.localhost", "fail", "serverInternal"))
        orders = [self.waits(name) for name, _, _ in rows]
        for (name, verb, _), (_, _, _, request) in zip(rows, orders):
            self.kf.decide(request["id"], verb, comment=f"Not {name}.")
        for (name, _, problem), (url, _, _, _) in zip(rows, orders):
            order = self.ends(url)
            self.failed(order, problem)
            self.assertEqual(f"Not {name}." in order["error"]["detail"], problem == "unauthorized", order)
            self.assertEqual(len(self.kf.requests(name)), 1)

    def test_complete_but_refused_by_the_ca(self):
        rows = (("Denied", "unauthorized"), ("Failed", "serverInternal"))
        orders = [self.waits(f"workflow-{outcome.lower()}.localhost") for outcome, _ in rows]
        for (outcome, _), (_, _, _, request) in zip(rows, orders):
            self.kf.decide(request["id"], "complete", outcome=outcome)
        for (_, problem), (url, _, _, _) in zip(rows, orders):
            self.failed(self.ends(url), problem)

    def test_complete_and_then_the_ca_asks_somebody(self):
        name = "workflow-both.localhost"
        url, key, csr, request = self.waits(name)
        self.kf.decide(request["id"], "complete", outcome="Pending")
        self.bridge.wait_for_log(f"Asking Keyfactor about request {request['id']}", url.rsplit("/", 1)[1])
        self.assertEqual(self.acme.fetch(url).json["status"], "processing")
        self.kf.decide(request["id"], "approve")
        self.ends_well(name, url, key)
        self.enrolled_once(name, csr)

    def test_appears_with_the_next_synchronization(self):
        self.kf.settings(sync_delay=600)
        orders = []
        for number, (label, settings) in enumerate((("pending", {}), ("pending", {"issued_request": "gone"}),
                                                    ("workflow", {}), ("external", {}))):
            self.kf.settings(**settings)
            name = f"{label}-late{number}.localhost"
            url, key, csr, request = self.waits(name)
            self.kf.decide(request["id"], "approve")
            orders.append((name, url, key, csr))
        for name, url, _, _ in orders:
            self.bridge.wait_for_log("synchronization", url.rsplit("/", 1)[1])
            self.assertEqual(self.acme.fetch(url).json["status"], "processing", name)
        self.kf.control("POST", "/sync")
        for name, url, key, csr in orders:
            self.ends_well(name, url, key)
            self.enrolled_once(name, csr)

    def test_lost_answers(self):
        """The reply to the enrollment is lost: what waits is found, and followed."""
        orders = []
        for label in ("pending", "workflow", "external"):
            for seen in (True, False):
                self.kf.settings(pending_metadata=seen)
                name = f"{label}-lost{int(seen)}.localhost"
                self.kf.fault("enroll", "drop-after", name=name)
                url, key, csr = self.order(name)
                orders.append((name, url, key, csr, self.request_of(name)))
        for name, url, _, _, request in orders:
            if "lost1" in name or request["via"] == "workflow":
                self.bridge.wait_for_log("Found it in Keyfactor", url.rsplit("/", 1)[1])
        for name, url, key, csr, request in orders:
            self.kf.decide(request["id"], "approve")
        self.look_later(minutes=0)
        for name, url, key, csr, _ in orders:
            self.ends_well(name, url, key)
            self.enrolled_once(name, csr)

    def test_what_waits_unseen_is_not_enrolled_again(self):
        """Lists without metadata: the request cannot be told from another's, so patience is long."""
        self.kf.settings(pending_metadata=False)
        name = "pending-unseen.localhost"
        self.kf.fault("enroll", "drop-after", name=name)
        url, key, csr = self.order(name)
        self.bridge.wait_for_log("It is not known whether", url.rsplit("/", 1)[1])
        searched = ("searched again before another", url.rsplit("/", 1)[1])
        for rounds in (1, 2):
            self.look_later(minutes=5)
            self.wait_until(lambda: len(self.bridge.log_lines(*searched)) > rounds)
        self.assertEqual(len(self.kf.requests(name)), 1)
        self.kf.decide(self.kf.requests(name)[0]["id"], "approve")
        self.look_later(minutes=0)
        self.ends_well(name, url, key)
        self.enrolled_once(name, csr)

    def test_pending_list_is_not_for_us(self):
        """The login may not read requests: the certificate tells."""
        self.kf.settings(forbidden=["request", "pending", "denied", "external"])
        name = "pending-blind.localhost"
        url, key, csr = self.order(name)
        request = self.request_of(name)
        self.bridge.wait_for_log("shows no certificate of request", url.rsplit("/", 1)[1])
        self.kf.decide(request["id"], "approve")
        self.ends_well(name, url, key)
        self.enrolled_once(name, csr)

    def test_instances_are_not_for_us(self):
        self.kf.settings(forbidden=["instance", "instances"])
        name = "workflow-blind.localhost"
        url, key, csr = self.order(name)
        self.bridge.wait_for_log("shows no certificate of workflow", url.rsplit("/", 1)[1])
        self.kf.decide(self.request_of(name)["id"], "approve")
        self.ends_well(name, url, key)
        self.enrolled_once(name, csr)

    def test_never_decided(self):
        """At the deadline the order ends, and what can be taken back is."""
        orders = [(label, *self.waits(f"{label}-never.localhost")) for label in ("pending", "external", "workflow")]
        self.look_later(deadline=True)
        for label, url, _, _, request in orders:
            self.failed(self.ends(url), "serverInternal")
            if label == "pending":
                self.wait_until(lambda: self.kf.control("GET", f"/requests/{request['id']}")["state"] == "Denied")

    def test_restarts_while_waiting(self):
        names = [f"{label}-restart.localhost" for label in ("pending", "workflow", "external")]
        orders = [self.waits(name) for name in names]
        for end in (self.bridge.stop, self.bridge.kill):
            end()
            self.start_again()
        self.kf.kill()
        self.kf.arguments += ("--listen", self.kf.ready["url"].replace("https://localhost", "127.0.0.1"))
        self.kf.start()
        for name, (url, key, csr, request) in zip(names, orders):
            self.assertEqual(self.acme.fetch(url).json["status"], "processing")
            self.kf.decide(request["id"], "approve")
        self.look_later(minutes=0)
        for name, (url, key, csr, _) in zip(names, orders):
            self.ends_well(name, url, key)
            self.enrolled_once(name, csr)


if __name__ == "__main__":
    unittest.main()
