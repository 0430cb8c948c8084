#!/usr/bin/python3
"""Whole orders through Keyfactor Command: logins, what is enrolled, refusals."""

import unittest

from keyfactor_case import KeyfactorCase, oauth_settings


class Logins(KeyfactorCase):
    def test_basic(self):
        self.kf.settings(logins=["basic"])
        self.begin()
        self.becomes_valid("basic.localhost")
        self.assertEqual({entry["login"] for entry in self.kf.journal()}, {"basic"})

    def test_oauth(self):
        self.kf.settings(logins=["oauth"])
        self.begin(**oauth_settings(self.kf.ready))
        self.becomes_valid("first.localhost")
        self.becomes_valid("second.localhost")
        self.assertEqual(self.received("token"), 1)

    def test_token_that_expires_is_renewed_early(self):
        """No call is refused for a token whose end was announced."""
        self.kf.settings(logins=["oauth"], token_lifetime=2)
        self.begin(**oauth_settings(self.kf.ready))
        for number in range(4):
            self.becomes_valid(f"early{number}.localhost")
        refused = [entry for entry in self.kf.journal() if entry["status"] == 401]
        self.assertEqual(refused, [])

    def test_revoked_token(self):
        """In the middle of an order, with each shape of a 401."""
        self.kf.settings(logins=["oauth"])
        self.begin(**oauth_settings(self.kf.ready))
        for number, shape in enumerate(("html", "empty", "text", "json")):
            self.kf.settings(unauthorized_shape=shape)
            name = f"pending-token{number}.localhost"
            url, key, csr = self.order(name)
            request = self.request_of(name)
            self.kf.control("POST", "/tokens/revoke")
            self.kf.decide(request["id"], "approve")
            self.ends_well(name, url, key)
            self.enrolled_once(name, csr)
            self.kf.control("POST", "/tokens/revoke")
            self.becomes_valid(f"token{number}.localhost")

    def test_refused_login(self):
        """The order waits, the operator is told, and nobody hammers on the account."""
        for shape, changes in (("html", {}), ("empty", {}), ("json", oauth_settings(self.kf.ready))):
            with self.subTest(shape=shape):
                self.kf.settings(unauthorized_shape=shape, logins=[])
                self.begin(**changes)
                before = self.received("enroll")
                url, _, _ = self.order("refused.localhost")
                self.bridge.wait_for_log("level=warn", "refuses the configured login")
                self.assertEqual(self.acme.fetch(url).json["status"], "processing")
                self.assertLessEqual(self.received("enroll") - before, 2)
                self.bridge.stop()

    def test_wrong_client(self):
        self.begin(**oauth_settings(self.kf.ready, client_id="somebody"))
        url, _, _ = self.order("client.localhost")
        self.bridge.wait_for_log("no access token")
        self.assertEqual(self.acme.fetch(url).json["status"], "processing")
        self.assertEqual(self.received("enroll"), 0)

    def test_permission_is_the_operators_matter(self):
        self.kf.settings(forbidden=["enroll"])
        self.begin()
        url, key, _ = self.order("permission.localhost")
        self.bridge.wait_for_log("may not do this")
        self.assertEqual(self.acme.fetch(url).json["status"], "processing")
        self.kf.settings(forbidden=[])
        self.look_later()
        self.ends_well("permission.localhost", url, key)


class WhatIsEnrolled(KeyfactorCase):
    def test_tag_and_fields(self):
        self.begin(template="ShortWeb", enrollment_fields={"Department": "pki", "Room": "12"},
                   metadata={"Team": "order {order}", "CostCentre": "4711"}, owner_role="pki-owners")
        url, _, _ = self.becomes_valid("fields.localhost")
        metadata = self.kf.requests("fields.localhost")[0]["metadata"]
        self.assertEqual((metadata["Team"], metadata["CostCentre"]), ("order " + url.rsplit("/", 1)[1], "4711"))
        self.assertTrue(metadata["AcmeOrder"])
        self.assertEqual(self.kf.requests("fields.localhost")[0]["template"], "ShortWeb")

    def test_pattern(self):
        self.begin(certificate_authority=None, template=None, enrollment_pattern_id=3)
        self.becomes_valid("pattern.localhost")

    def test_stand_alone_ca(self):
        self.begin(certificate_authority="StandAloneCA", template=None, enrollment_pattern_id=4)
        self.becomes_valid("alone.localhost")

    def test_name_policies(self):
        self.begin()
        for policy in ("merge", "replace", "csr"):
            self.kf.settings(san_policy=policy)
            self.becomes_valid(f"{policy}.localhost")

    def test_several_names(self):
        """Names and addresses, with a common name and without."""
        self.begin()
        self.bridge.stop()
        self.bridge.settings["profiles"][1]["identifiers"] = ["dns", "ip"]
        self.start_again()
        names = ["one.localhost", "two.localhost", "127.0.0.1"]
        for policy in ("merge", "replace"):
            self.kf.settings(san_policy=policy)
            url, key, _ = self.acme.begin(self.responder, *names)
            order = self.ends(url)
            self.assertEqual(order["status"], "valid", order)
            self.check_certificate(self.acme.download(order), key, names, self.kf.ready["root_file"], 2)
            self.assertEqual(sorted(self.kf.requests()[-1]["names"]), sorted(names))

    def test_other_tag_field(self):
        self.kf.settings(metadata_fields=[{"Name": "BridgeTag", "DataType": 1, "Enrollment": 1}])
        self.begin(tag_field="BridgeTag")
        self.kf.fault("enroll", "drop-after")
        self.becomes_valid("tag.localhost")
        self.assertTrue(self.kf.requests("tag.localhost")[0]["metadata"]["BridgeTag"])


class Refusals(KeyfactorCase):
    def test_words_decide(self):
        """What Command says, by whose fault it is."""
        self.begin()
        rows = (("certificate template not found", "serverInternal"),
                ("Metadata field 'AcmeOrder' does not exist.", "serverInternal"),
                ("The certificate authority was not found.", "serverInternal"),
                ("The key size RSA 2048 is not allowed by template Web.", "badPublicKey"),
                ("The CSR could not be parsed.", "badCSR"),
                ("The SAN 'x' does not match the regular expression of the template.", "rejectedIdentifier"),
                ("Nothing like this was ever written down.", "serverInternal"))
        orders = []
        for number, (words, problem) in enumerate(rows):
            for shape in ("code", "message", "failed"):
                self.kf.settings(error_shape=shape)
                self.kf.fault("enroll", "error", status=400, description=words)
                url, _, _ = self.order(f"words{number}-{shape}.localhost")
                orders.append((url, problem, words))
        for url, problem, words in orders:
            self.failed(self.ends(url), problem)
            self.assertTrue(self.bridge.log_lines("level=", words.split("'")[0].strip(), url.rsplit("/", 1)[1]), words)

    def test_rules_of_the_template(self):
        self.begin(template="ShortWeb", enrollment_fields={"Department": "pki"})
        self.kf.settings(templates=[{**one, "ECC": ["P-384"]} if one["ShortName"] == "ShortWeb" else one
                                    for one in self.kf.control("GET", "/settings")["templates"]])
        url, _, _ = self.order("keysize.localhost")
        self.failed(self.ends(url), "badPublicKey", "key")
        self.kf.settings(templates=[{**one, "SANRegex": "only[.]this"}
                                    for one in self.kf.control("GET", "/settings")["templates"]])
        url, _, _ = self.order("regex.localhost")
        self.failed(self.ends(url), "rejectedIdentifier")

    def test_denied_at_once(self):
        self.begin()
        for refusal in ("error", "disposition"):
            self.kf.settings(refusal=refusal)
            url, _, _ = self.order(f"denied-{refusal}.localhost")
            order = self.ends(url)
            self.assertEqual(order["status"], "invalid", order)
            self.assertTrue(self.bridge.log_lines("0x80094806", url.rsplit("/", 1)[1]))
        self.assertEqual(len(self.kf.requests()), 2)

    def test_ca_away(self):
        """Text of a CA that cannot be reached: nothing is known, so it is looked for, and made once."""
        self.begin()
        self.kf.fault("enroll", "error", status=400, description="The RPC server is unavailable. 0x800706ba")
        url, key, csr = self.order("away.localhost")
        self.bridge.wait_for_log("not available to Keyfactor")
        self.assertEqual(self.acme.fetch(url).json["status"], "processing")
        self.look_later()
        self.ends_well("away.localhost", url, key)
        self.enrolled_once("away.localhost", csr)


if __name__ == "__main__":
    unittest.main()
