#!/usr/bin/python3
"""Certificates that Keyfactor Command holds already: renewals with the same key and with others, revocations."""

import unittest

from keyfactor_case import KeyfactorCase, certificate_key
from kfsim.records import key_sha256


class Renewals(KeyfactorCase):
    def first(self, name, **options):
        """The certificate key of a first order."""
        url, key, _ = self.becomes_valid(name, **options)
        self.assertEqual(self.acme.fetch(url).json["status"], "valid")
        return key

    def again(self, name, key):
        url, key, csr = self.order(name, key=key)
        chain = self.ends_well(name, url, key)
        return chain, csr

    def counts(self):
        """Enrollments, renewals, certificates."""
        stats = self.kf.stats()
        return stats["enrollments"], stats["renewals"], len(stats["certificates"])

    def test_same_key(self):
        """One click, and with CA and template; the certificate is another, of the same key."""
        self.kf.settings(renew_key="same")
        self.begin()
        for number, label in enumerate(("www", "seeded"), 1):
            name = f"{label}.localhost"
            key = self.first(name)
            self.again(name, key)
            self.assertEqual(self.counts(), (number, number, 2 * number))
            old, new = self.kf.certificates(name)
            self.assertNotEqual(old["serial"], new["serial"])
            self.assertEqual(new["key_sha256"], key_sha256(key.public_key()))
            self.assertEqual(self.kf.requests(name)[1]["renewed_from"], old["id"])
        self.assertGreater(len(self.kf.secrets()), 2)

    def test_spellings_and_pending_renewals(self):
        self.kf.settings(renew_key="same")
        self.begin()
        for number, settings in enumerate(({"renew_spelling": "KeyfactorID"}, {"member_case": "camel"},
                                           {"approval": "ca"}, {"approval": "workflow", "member_case": "pascal"})):
            name = f"r{number}.localhost"
            self.kf.settings(approval="none")
            key = self.first(name)
            self.kf.settings(**settings)
            url, _, _ = self.order(name, key=key)
            if settings.get("approval"):
                self.bridge.wait_for_log("waits for", url.rsplit("/", 1)[1])
                self.kf.decide(self.kf.requests(name)[1]["id"], "approve")
            self.ends_well(name, url, key)
            self.assertEqual(self.counts(), (number + 1, number + 1, 2 * number + 2))

    def test_new_key(self):
        """Renewal has no CSR: another key is enrolled, without asking."""
        self.kf.settings(renew_key="same")
        self.begin()
        self.first("new.localhost")
        self.again("new.localhost", certificate_key())
        self.assertEqual(self.counts(), (2, 0, 2))
        self.assertEqual((self.received("available-renewal"), self.received("renew")), (0, 0))

    def test_not_available(self):
        self.begin()
        key = self.first("norenew.localhost")
        self.again("norenew.localhost", key)
        self.assertEqual(self.counts(), (2, 0, 2))
        self.assertEqual((self.received("available-renewal"), self.received("renew")), (1, 0))

    def test_seeded_without_a_ca(self):
        self.begin(certificate_authority=None, template=None, enrollment_pattern_id=3)
        key = self.first("seeded.localhost")
        self.again("seeded.localhost", key)
        self.assertEqual(self.counts(), (2, 0, 2))

    def test_another_key_comes_back(self):
        """As the document has it: the key is made, and kept, by Command. Such a certificate is of no use to the client."""
        self.begin()
        key = self.first("otherkey.localhost")
        chain, _ = self.again("otherkey.localhost", key)
        self.assertEqual(self.counts(), (2, 1, 3))
        self.assertTrue(chain)
        self.assertEqual(self.acme.expect(self.revoke(chain), 200).status, 200)

    def test_pending_renewal_denied(self):
        self.kf.settings(renew_key="same")
        self.begin()
        key = self.first("no.localhost")
        self.kf.settings(approval="ca")
        url, _, _ = self.order("no.localhost", key=key)
        self.bridge.wait_for_log("waits for", url.rsplit("/", 1)[1])
        self.kf.decide(self.kf.requests("no.localhost")[1]["id"], "deny", comment="Enough.")
        order = self.ends(url)
        self.assertEqual(order["status"], "invalid", order)
        self.assertIn("Enough.", order["error"]["detail"])

    def test_switched_off(self):
        self.kf.settings(renew_key="same")
        self.begin(renew=False)
        key = self.first("off.localhost")
        self.again("off.localhost", key)
        self.assertEqual((self.counts(), self.received("available-renewal")), ((2, 0, 2), 0))

    def test_revoked_is_not_renewed(self):
        self.kf.settings(renew_key="same")
        self.begin()
        url, key, _ = self.becomes_valid("revoked.localhost")
        self.revoke(self.acme.download(self.acme.fetch(url).json))
        self.wait_until(lambda: self.kf.stats()["revoked"] == 1)
        self.again("revoked.localhost", key)
        self.assertEqual(self.counts(), (2, 0, 2))


class Duplicates(KeyfactorCase):
    """Enrollments that Command shows only after the next one was sent: the oldest is kept, the rest goes."""

    def twice(self, name, minutes):
        """An order whose enrollment was lost twice."""
        self.begin()
        self.kf.fault("enroll", "drop-after", times=2)
        url, key, _ = self.order(name)
        self.bridge.wait_for_log("searched again before another")
        self.look_later(minutes)
        self.wait_until(lambda: self.received("enroll") == 2)
        self.bridge.wait_for_log("attempt 2")
        return url, key

    def test_certificates(self):
        self.kf.settings(list_lag=600)
        url, key = self.twice("two.localhost", 10)
        self.kf.control("POST", "/sync")
        self.look_later()
        self.ends_well("two.localhost", url, key)
        self.wait_until(lambda: self.kf.stats()["revoked"] == 1)
        self.assertEqual([bool(one["revoked"]) for one in self.kf.certificates("two.localhost")], [False, True])
        self.assertEqual(self.received("enroll"), 2)

    def test_requests(self):
        self.kf.settings(forbidden=["pending"])
        url, key = self.twice("pending-two.localhost", 60)
        self.kf.settings(forbidden=[])
        self.look_later()
        self.wait_until(lambda: [one["state"] for one in self.kf.requests()] == ["Pending", "Denied"])
        self.kf.decide(self.kf.requests()[0]["id"], "approve")
        self.ends_well("pending-two.localhost", url, key)
        self.assertEqual(self.received("enroll"), 2)


class Revocations(KeyfactorCase):
    def setUp(self):
        super().setUp()
        self.begin()

    def issued(self, name):
        """(chain, Command's number) of a new certificate."""
        url, key, _ = self.order(name)
        chain = self.ends_well(name, url, key)
        return chain, self.kf.certificates(name)[0]["id"]

    def state(self, number):
        found = self.kf.control("GET", f"/certificates/{number}")
        return bool(found["revoked"]), found["reason"]

    def revocations(self):
        return [entry["effect"] for entry in self.kf.journal(operation="revoke") if entry["effect"]]

    def test_reasons(self):
        for reason in (None, 0, 1, 3, 4, 5):
            chain, number = self.issued(f"reason{'-none' if reason is None else reason}.localhost")
            self.revoke(chain, reason)
            self.wait_until(lambda: self.state(number)[0])
            self.assertEqual(self.state(number)[1], reason or 0)
        chain, number = self.issued("wrong.localhost")
        for reason in (2, 6, 7, 8, 9, 10):
            self.revoke(chain, reason, status=400)
        self.assertEqual(self.state(number)[0], False)
        self.assertEqual(len(self.revocations()), 6)

    def test_answer_without_a_body(self):
        self.kf.settings(revoke_answer="empty")
        chain, number = self.issued("empty.localhost")
        self.revoke(chain, 4)
        self.wait_until(lambda: self.state(number)[0])
        self.assertEqual(len(self.revocations()), 1)

    def test_revoked_there_already(self):
        for answer in ("error", "ok"):
            self.kf.settings(revoke_again=answer)
            chain, number = self.issued(f"already-{answer}.localhost")
            self.kf.revoke(number, reason=5)
            before = len(self.revocations())
            self.revoke(chain, 4)
            self.bridge.wait_for_log(f"certificate {number} is revoked")
            self.assertEqual((len(self.revocations()), self.state(number)), (before, (True, 5)))

    def test_suspended_is_not_done(self):
        """Asked for once; done when somebody has approved it, whatever restarts there are."""
        chain, number = self.issued("suspend-yes.localhost")
        self.revoke(chain, 1)
        self.bridge.wait_for_log("waits for an approval there")
        self.bridge.kill()
        self.start_again()
        self.look_later(minutes=0)
        self.bridge.wait_for_log("The workflow of the revocation of Keyfactor certificate")
        self.assertFalse(self.bridge.log_lines(f"certificate {number} is revoked"))
        self.assertEqual((self.state(number)[0], len(self.revocations())), (False, 1))
        self.kf.control("POST", f"/revocations/{number}/approve")
        self.bridge.wait_for_log(f"certificate {number} is revoked")
        self.assertEqual((self.state(number), len(self.revocations())), ((True, 1), 1))

    def test_suspended_and_rejected(self):
        chain, number = self.issued("suspend-no.localhost")
        self.revoke(chain, 1)
        self.bridge.wait_for_log("waits for an approval there")
        self.kf.control("POST", f"/revocations/{number}/deny")
        self.bridge.wait_for_log("level=", "The workflow of the revocation", "rejected")
        self.assertEqual((self.state(number)[0], len(self.revocations())), (False, 1))

    def test_suspended_and_the_workflow_is_not_for_us(self):
        self.kf.settings(forbidden=["instance"])
        chain, number = self.issued("suspend-blind.localhost")
        self.revoke(chain, 1)
        self.bridge.wait_for_log("which is not revoked yet")
        self.kf.control("POST", f"/revocations/{number}/approve")
        self.bridge.wait_for_log(f"certificate {number} is revoked")
        self.assertEqual(len(self.revocations()), 1)

    def test_reason_refused_by_the_ca(self):
        self.kf.settings(refused_reasons=[4])
        chain, number = self.issued("refused.localhost")
        response = self.revoke(chain, 4, status=500)
        self.refused(response, 500, "serverInternal", "refused to revoke")
        self.bridge.wait_for_log("reason 4 is not valid")
        self.assertEqual(self.state(number)[0], False)


if __name__ == "__main__":
    unittest.main()
