#!/usr/bin/python3
"""Clients that come back with another key, renewals, and requests that nobody waits for any more."""

import contextlib
import os
import sqlite3
import sys
import time
import unittest

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.acme import URN, digest  # noqa: E402 (found through the line above)
from harness.case import Case  # noqa: E402
from harness.keys import b64, certificate_key, csr_der  # noqa: E402

QUICK = ("--approval-delay", "0.2", "--ca-delay", "0.4")
MINUTE_MS = 60 * 1000


class Return(Case):
    def setUp(self):
        self.simulator = self.make_simulator(*QUICK)
        self.responder = self.make_responder()
        self.bridge = self.make_bridge(self.responder.port, self.simulator)
        self.bridge.settings["orders"] = {"finalize_hold_ms": 100}

    def begin_server(self, **members):
        self.bridge.scm.update(members)
        self.bridge.start()
        self.scm = self.client(self.bridge, profile="scm")

    def age(self, minutes, *order_urls):
        """As if the orders had been finalized, and looked at last, so long ago. The server is down meanwhile."""
        self.bridge.stop()
        with contextlib.closing(sqlite3.connect(os.path.join(self.bridge.data, "acmebridge.db"))) as database:
            for url in order_urls:
                order_id = url.rsplit("/", 1)[1]
                database.execute("UPDATE orders SET finalized_ms = finalized_ms - ?, seen_ms = 0 WHERE id = ?",
                                 (minutes * MINUTE_MS, order_id))
                self.scm.finalized.pop(url, None)
            database.commit()
        self.start_again()

    def start_again(self):
        self.bridge.start()
        self.scm.close()
        self.scm.nonces = []

    def requests(self):
        return self.simulator.control("GET", "/stats")["requests"]

    def received(self, operation):
        return self.simulator.control("GET", "/stats")["received"].get(operation, 0)

    def wait_until(self, condition, limit=20):
        deadline = time.monotonic() + limit
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)

    def waits_in_scm(self, count):
        self.wait_until(lambda: len(self.requests()) == count)
        self.bridge.wait_for_log("waits for an administrator's approval")

    def ends_well(self, order_url, key, name):
        order = self.scm.poll(order_url, ("valid", "invalid"), 30)
        self.assertEqual(order["status"], "valid", order)
        self.check_certificate(self.scm.download(order), key, [name], self.simulator.ready["root_file"])

    def fault(self, operation, kind, **members):
        self.simulator.control("POST", "/faults", {"operation": operation, "fault": kind, **members})

    # ---- another key while the first request waits ----

    def test_abandoned_order_gives_way(self):
        self.begin_server()
        name = "manual.return.localhost"
        first_url, _, first_csr = self.scm.begin(self.responder, name)
        self.waits_in_scm(1)
        self.age(20, first_url)
        second_url, key, second_csr = self.scm.begin(self.responder, name)
        order = self.scm.fetch(first_url).json
        self.assertEqual(order["status"], "invalid", order)
        self.assertEqual(order["error"]["type"], URN + "orderNotReady")
        self.assertIn("newer order", order["error"]["detail"])
        self.bridge.wait_for_log("was withdrawn (declined)", "newer order")
        self.assertTrue(self.bridge.log_lines("takes the place of an earlier one"))
        self.waits_in_scm(2)
        by_csr = {request["csr_sha256"]: request for request in self.requests()}
        self.assertEqual(by_csr[digest(first_csr)]["status"], "Declined")
        self.simulator.control("POST", f"/requests/{by_csr[digest(second_csr)]['sslId']}/approve")
        self.ends_well(second_url, key, name)
        self.assertEqual(len(self.requests()), 2)

    def test_two_hosts_with_one_account(self):
        """Both are looked at: nobody is superseded, both get their certificate."""
        self.begin_server()
        name = "manual.hosts.localhost"
        orders = [self.scm.begin(self.responder, name)[:2] for _ in range(2)]
        self.waits_in_scm(2)
        for request in self.requests():
            self.simulator.control("POST", f"/requests/{request['sslId']}/approve")
        for url, key in orders:
            self.ends_well(url, key, name)
        self.assertEqual(self.received("decline"), 0)

    def test_never(self):
        self.begin_server(supersede="never")
        name = "manual.never.localhost"
        first_url, _, _ = self.scm.begin(self.responder, name)
        self.waits_in_scm(1)
        self.age(60, first_url)
        self.scm.begin(self.responder, name)
        self.waits_in_scm(2)
        self.assertEqual(self.scm.fetch(first_url).json["status"], "processing")
        self.assertEqual(self.received("decline"), 0)

    def test_too_far_to_be_declined(self):
        """SCM has handed the first request to the CA: it is followed, its certificate kept for its key."""
        self.begin_server()
        name = "late.return.localhost"
        self.simulator.control("POST", "/settings", {"ca_delay": 600.0})
        first_url, first_key, _ = self.scm.begin(self.responder, name)
        self.bridge.wait_for_log("waits to be handed to the CA")
        self.age(20, first_url)
        second_url, key, _ = self.scm.begin(self.responder, name)
        self.bridge.wait_for_log("It is followed to its end")
        self.simulator.control("POST", "/settings", {"ca_delay": 0.4})
        self.ends_well(second_url, key, name)
        self.assertEqual(self.scm.fetch(first_url).json["status"], "invalid")
        self.wait_until(lambda: len(self.bridge.log_lines("certificate issued")) == 2)
        third_url, _, _ = self.scm.begin(self.responder, name, key=first_key)
        self.ends_well(third_url, first_key, name)
        self.assertEqual(len(self.requests()), 2)

    def test_killed_before_the_decline(self):
        self.begin_server()
        name = "manual.killed.localhost"
        first_url, _, first_csr = self.scm.begin(self.responder, name)
        self.waits_in_scm(1)
        self.age(20, first_url)
        self.fault("decline", "delay", delay_s=5.0)
        self.scm.begin(self.responder, name)
        self.wait_until(lambda: self.received("decline") == 1)
        self.bridge.kill()
        self.bridge.start()
        self.bridge.wait_for_log("SCM request", "newer order")
        self.wait_until(lambda: [request["status"] for request in self.requests()
                                 if request["csr_sha256"] == digest(first_csr)] == ["Declined"])
        self.assertEqual(len(self.requests()), 2)

    # ---- another key when the first certificate was never fetched ----

    def undelivered(self, name):
        first_url, _, _ = self.scm.begin(self.responder, name)
        self.wait_until(lambda: self.bridge.log_lines("certificate issued"))
        self.age(20, first_url)
        return first_url

    def test_undelivered_certificate_is_replaced(self):
        for status in ("Issued", "Replaced"):
            with self.subTest(status=status):
                if status == "Issued":
                    self.begin_server()
                self.simulator.control("POST", "/settings", {"replaced_status": status})
                name = f"{status.lower()}.replace.localhost"
                before = len(self.requests())
                first_url, _, _ = self.scm.begin(self.responder, name)
                self.wait_until(lambda: self.scm.fetch(first_url).json["status"] == "valid")
                self.age(20, first_url)
                url, key, csr = self.scm.begin(self.responder, name)
                self.ends_well(url, key, name)
                self.assertEqual(len(self.requests()), before + 1)
                self.assertEqual(self.requests()[-1]["csr_sha256"], digest(csr))
        self.assertTrue(self.bridge.log_lines("Replacing the key of SCM request"))
        self.assertTrue(self.bridge.log_lines("is to replace that of a certificate nobody fetched"))

    def test_replace_refused(self):
        self.begin_server()
        self.undelivered("refused.replace.localhost")
        self.fault("replace", "error", code=-1148, description="The certificate is auto-installed.")
        url, key, _ = self.scm.begin(self.responder, "refused.replace.localhost")
        self.ends_well(url, key, "refused.replace.localhost")
        self.assertEqual(len(self.requests()), 2)
        self.assertTrue(self.bridge.log_lines("code -1148", "Requesting a new certificate instead"))

    def test_answer_to_replace_is_lost(self):
        self.begin_server()
        name = "lost.replace.localhost"
        self.undelivered(name)
        self.fault("replace", "drop-after")
        url, key, _ = self.scm.begin(self.responder, name)
        self.ends_well(url, key, name)
        self.assertEqual((len(self.requests()), self.received("replace")), (1, 1))

    def test_fetched_before_the_replacement(self):
        """SCM refuses the login for a while; meanwhile the first client fetches what was to be replaced."""
        self.begin_server()
        name = "fetched.replace.localhost"
        first_url = self.undelivered(name)
        self.fault("replace", "error", status=401, code=-16, description="Unknown user")
        url, key, _ = self.scm.begin(self.responder, name)
        self.bridge.wait_for_log("code -16")
        self.scm.download(self.scm.fetch(first_url).json)
        self.bridge.stop()
        with contextlib.closing(sqlite3.connect(os.path.join(self.bridge.data, "acmebridge.db"))) as database:
            database.execute("UPDATE jobs SET run_at_ms = 1, due_ms = 1")
            database.commit()
        self.start_again()
        self.ends_well(url, key, name)
        self.assertEqual((len(self.requests()), self.received("replace")), (2, 1))

    def test_the_replaced_is_revoked_by_its_serial(self):
        """While its successor is under way the number stands for either."""
        self.begin_server()
        name = "revoked.replace.localhost"
        first_url = self.undelivered(name)
        self.simulator.control("POST", "/settings", {"ca_delay": 600.0})
        url, key, _ = self.scm.begin(self.responder, name)
        self.bridge.wait_for_log("SCM took the new key")
        chain = self.scm.download(self.scm.fetch(first_url).json)
        der = x509.load_pem_x509_certificate(chain.encode("ascii")).public_bytes(Encoding.DER)
        self.scm.post(self.scm.directory["revokeCert"], {"certificate": b64(der)})
        self.wait_until(lambda: self.received("revoke") > 0)
        self.assertEqual(self.bridge.log_lines("before revoking it"), [])
        self.simulator.control("POST", "/settings", {"ca_delay": 0.4})
        self.ends_well(url, key, name)
        self.assertEqual(self.requests()[0]["status"], "Issued")

    # ---- renewals ----

    def renewable(self, name):
        self.begin_server(renewal="renew")
        self.scm.obtain(self.responder, name)
        return self.requests()[0]["sslId"]

    def test_renewal(self):
        name = "first.renew.localhost"
        earlier = self.renewable(name)
        url, key, csr = self.scm.begin(self.responder, name)
        self.ends_well(url, key, name)
        renewed = self.requests()[1]
        self.assertEqual((renewed["renewedFrom"], renewed["csr_sha256"]), (earlier, digest(csr)))
        self.wait_until(lambda: self.requests()[1]["comments"] != self.requests()[0]["comments"])
        self.assertEqual(self.received("enroll"), 1)

    def test_renewal_refused(self):
        name = "refused.renew.localhost"
        self.renewable(name)
        self.fault("renew", "error", code=-180, description="Renewal is not possible.")
        url, key, _ = self.scm.begin(self.responder, name)
        self.ends_well(url, key, name)
        self.assertEqual((len(self.requests()), self.received("enroll")), (2, 2))

    def test_answer_to_renewal_is_lost(self):
        name = "lost.renew.localhost"
        self.renewable(name)
        self.fault("renew", "drop-after")
        url, key, csr = self.scm.begin(self.responder, name)
        self.ends_well(url, key, name)
        self.assertEqual((len(self.requests()), self.received("renew"), self.received("enroll")), (2, 1, 1))
        self.assertEqual(self.requests()[1]["csr_sha256"], digest(csr))

    def test_number_of_a_renewal_survives_in_a_slow_pace(self):
        """The call after the renewal has to wait for its slot; what is known is not kept in memory meanwhile."""
        name = "paced.renew.localhost"
        self.renewable(name)
        self.bridge.stop()
        self.bridge.scm.update(requests_per_minute=10, burst=1)
        self.start_again()
        url, key, _ = self.scm.begin(self.responder, name)
        self.wait_until(lambda: self.received("renew") == 1)

        def known():
            with contextlib.closing(sqlite3.connect(os.path.join(self.bridge.data, "acmebridge.db"))) as database:
                rows = database.execute("SELECT i.upstream_ref, j.intent, j.state FROM issuances i JOIN jobs j"
                                        " ON j.subject_id = i.id").fetchall()
            number = str(self.requests()[1]["sslId"])
            return [row for row in rows if row[:2] == (number, 0) and number in row[2]] != []

        self.wait_until(known, 3)
        self.bridge.kill()
        self.start_again()
        self.wait_until(lambda: self.requests()[1]["comments"] != self.requests()[0]["comments"])
        order = self.scm.poll(url, ("valid", "invalid"), 60)
        self.check_certificate(self.scm.download(order), key, [name], self.simulator.ready["root_file"])
        self.assertEqual((self.received("renew"), self.received("list"), len(self.requests())), (1, 0, 2))

    # ---- people ----

    def test_approval_after_restarts(self):
        self.begin_server()
        name = "manual.people.localhost"
        key = certificate_key()
        url, _, _ = self.scm.begin(self.responder, name, key=key, csr=csr_der([name], key))
        self.waits_in_scm(1)
        for end in (self.bridge.stop, self.bridge.kill):
            end()
            self.start_again()
            self.assertEqual(self.scm.fetch(url).json["status"], "processing")
        self.simulator.control("POST", f"/requests/{self.requests()[0]['sslId']}/approve")
        self.ends_well(url, key, name)
        self.assertEqual(len(self.requests()), 1)

    def test_deadline_withdraws(self):
        self.begin_server()
        url, _, _ = self.scm.begin(self.responder, "manual.deadline.localhost")
        self.waits_in_scm(1)
        self.bridge.stop()
        with contextlib.closing(sqlite3.connect(os.path.join(self.bridge.data, "acmebridge.db"))) as database:
            database.execute("UPDATE issuances SET deadline_ms = created_ms + 1")
            database.commit()
        self.start_again()
        order = self.scm.poll(url, ("valid", "invalid"), 20)
        self.assertEqual((order["status"], order["error"]["type"]), ("invalid", URN + "serverInternal"))
        self.assertEqual(self.requests()[0]["status"], "Declined")
        self.bridge.wait_for_log("was withdrawn (declined)", "deadline")


if __name__ == "__main__":
    unittest.main()
