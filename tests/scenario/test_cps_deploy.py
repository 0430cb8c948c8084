#!/usr/bin/python3
"""Deployers of type cps: what any profile has issued for CPS's own key goes to the edge."""

import time
import unittest

from cryptography import x509

from cps_case import CpsCase, cps_issuer, csr_der

NAME = "www.cps.localhost"


class Deploying(CpsCase):
    def setUp(self):
        super().setUp()
        self.number = self.cps.make("third-party", NAME, change_management=True)
        # No issuer at Akamai: certificates come from the local CA.
        del self.bridge.settings["issuers"][1]
        self.bridge.settings["deployers"] = [{**cps_issuer(self.cps, name="edge"),
                                              "enrollment": {"id": self.number, "acknowledge": "auto"}}]
        self.bridge.settings["profiles"][0]["deploy"] = ["edge"]

    def waiting_change(self):
        change = self.cps.control("POST", f"/enrollments/{self.number}/changes", {"origin": "foreign"})["pending"][0]
        self.cps.wait_phase(change, "upload")
        return change

    def obtain(self, **options):
        """The certificate of an order at the local CA."""
        client = self.acme(None)
        order_url = client.begin(self.responder, NAME, **options)[0]
        order = client.poll(order_url, ("valid", "invalid"))
        self.assertEqual(order["status"], "valid", order)
        return x509.load_pem_x509_certificate(client.download(order).encode("ascii"))

    def test_certificate_goes_to_the_edge(self):
        change = self.waiting_change()
        leaf = self.obtain(csr=csr_der(self.cps.csrs(self.number, change)["RSA"]))
        self.cps.wait_phase(change, "completed", 60)
        live = self.cps.deployments(self.number)["production"]["primaryCertificate"]["certificate"]
        self.assertEqual(x509.load_pem_x509_certificate(live.encode("ascii")), leaf)
        self.assert_changes(self.number, client=0, foreign=1)
        self.assertEqual(len(self.cps.journal(operation="upload", enrollment=self.number)), 1)

    def test_killed_behind_the_upload(self):
        change = self.waiting_change()
        self.cps.fault("upload", "delay-after", delay_s=3.0)
        self.obtain(csr=csr_der(self.cps.csrs(self.number, change)["RSA"]))
        deadline = time.monotonic() + 30
        while not self.cps.change(change)["certificates"]:
            self.assertLess(time.monotonic(), deadline, "nothing was uploaded")
            time.sleep(0.1)
        self.bridge.kill()
        self.bridge.restart()
        self.cps.wait_phase(change, "completed", 60)
        self.assertEqual(len(self.cps.journal(operation="upload", enrollment=self.number)), 1)

    def test_other_keys_stay_away(self):
        change = self.waiting_change()
        self.obtain()
        self.bridge.wait_for_log("edge", "key", limit=20)
        time.sleep(2)
        self.assertEqual(self.cps.change(change)["phase"], "upload")
        self.assertEqual(self.cps.journal(operation="upload", enrollment=self.number), [])


if __name__ == "__main__":
    unittest.main()
