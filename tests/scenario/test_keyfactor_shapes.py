#!/usr/bin/python3
"""Replies of Keyfactor Command in every shape and spelling; certificates that are not those that were asked for."""

import unittest

from keyfactor_case import KeyfactorCase


class Shapes(KeyfactorCase):
    def test_certificates(self):
        self.begin()
        for shape in ("pem", "base64", "text"):
            for order in ("leaf-first", "root-first", "mixed"):
                root = order != "mixed"
                self.kf.settings(certificate_shape=shape, chain_order=order, include_root=root)
                self.becomes_valid(f"{shape}-{order}.localhost")

    def test_spelling(self):
        self.begin()
        for number, settings in enumerate((
                {"id_spelling": "KeyfactorId"}, {"member_case": "camel"}, {"workflow_members": False},
                {"id_spelling": "KeyfactorID", "member_case": "camel", "product_version": "24.4.0.0"})):
            self.kf.settings(**settings)
            self.becomes_valid(f"spelling{number}.localhost")
            self.becomes_late(f"pending-spelling{number}.localhost")

    def becomes_late(self, name):
        url, key, csr = self.order(name)
        self.kf.decide(self.request_of(name)["id"], "approve")
        chain = self.ends_well(name, url, key)
        self.enrolled_once(name, csr)
        return chain

    def test_downloads(self):
        """What was approved later: by ContentBytes or not, PEM as text or in base64, with the root or not."""
        self.begin()
        for number, settings in enumerate((
                {"content_bytes": False}, {"content_bytes": True, "include_root": False},
                {"pem_content": "text", "issued_request": "gone"})):
            self.kf.settings(**settings)
            self.becomes_late(f"pending-down{number}.localhost")

    def test_p7b_is_not_served(self):
        self.begin()
        self.kf.fault("download", "error", status=400, description="The format P7B is not supported.")
        self.becomes_late("pending-format.localhost")

    def test_wrong_certificates(self):
        self.begin()
        for label in ("wrongkey", "wrongname"):
            url, _, _ = self.order(f"{label}.localhost")
            self.failed(self.ends(url), "serverInternal")
            self.bridge.wait_for_log("ALERT", url.rsplit("/", 1)[1])
        # Of another key and name, in the reply; in a download, when nothing else tells which certificate it should be.
        self.kf.settings(content_bytes=False)
        for name, operation in (("stranger1.localhost", "enroll"), ("pending-stranger2.localhost", "download")):
            self.kf.fault(operation, "wrong-certificate", name=name)
            url, _, _ = self.order(name)
            if operation == "download":
                self.kf.decide(self.request_of(name)["id"], "approve")
            self.failed(self.ends(url), "serverInternal")
            self.bridge.wait_for_log("ALERT", url.rsplit("/", 1)[1])
        self.assertEqual(self.kf.control("GET", "/faults"), [])


if __name__ == "__main__":
    unittest.main()
