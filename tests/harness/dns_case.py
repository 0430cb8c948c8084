"""The base of the tests of validations by DNS: a server whose resolver is the tests' own DNS server."""

import base64
import hashlib

from harness.acme import URN
from harness.case import ServerCase
from harness.dns_server import DnsServer
from harness.keys import b64, certificate_key, csr_der


def account_label(account_url):
    """The label of dns-account-01: base32 of the first ten octets of the URL's SHA-256."""
    return "_" + base64.b32encode(hashlib.sha256(account_url.encode("ascii")).digest()[:10]).decode("ascii").lower()


class DnsCase(ServerCase):
    signer = None

    @classmethod
    def configure(cls, bridge):
        cls.dns = DnsServer(cls.signer).start()
        cls.addClassCleanup(cls.dns.stop)
        bridge.settings["validation"]["resolvers"] = [cls.dns.address]

    def setUp(self):
        super().setUp()
        self.acme = self.client(self.bridge)
        self.acme.register()

    def challenge(self, authorization_url, kind="dns-01", client=None):
        challenges = (client or self.acme).fetch(authorization_url).json["challenges"]
        return next(item for item in challenges if item["type"] == kind)

    def digest(self, challenge, client=None):
        """What the TXT record has to be."""
        thumbprint = (client or self.acme).key.thumbprint()
        return b64(hashlib.sha256(f"{challenge['token']}.{thumbprint}".encode("ascii")).digest())

    def start(self, name, kind="dns-01", client=None, **members):
        """(authorization URL, challenge) of a new order for one name."""
        _, order = (client or self.acme).new_order(name, **members)
        return order["authorizations"][0], self.challenge(order["authorizations"][0], kind, client)

    def trigger(self, challenge, client=None):
        client = client or self.acme
        client.expect(client.post(challenge["url"], {}), 200)

    def settle(self, authorization_url, challenge, client=None, limit=40):
        """The challenge once its authorization is decided."""
        client = client or self.acme
        client.poll(authorization_url, ("valid", "invalid"), limit)
        return client.fetch(challenge["url"]).json

    def valid(self, challenge):
        self.assertEqual(challenge["status"], "valid", challenge)

    def invalid(self, challenge, problem, *words):
        self.assertEqual((challenge["status"], challenge.get("error", {}).get("type")), ("invalid", URN + problem),
                         challenge)
        for word in words:
            self.assertIn(word, challenge["error"]["detail"])

    def publish(self, order, client=None):
        """Answers all of an order's dns-01 challenges; returns them, settled."""
        settled = []
        for url in order["authorizations"]:
            name = (client or self.acme).fetch(url).json["identifier"]["value"]
            challenge = self.challenge(url, client=client)
            if challenge["status"] != "valid":
                self.dns.add(f"_acme-challenge.{name}", "TXT", self.digest(challenge, client))
                self.trigger(challenge, client)
            settled.append(self.settle(url, challenge, client))
        return settled

    def issue(self, order_url, order, names):
        """Finalizes a ready order: the checked certificate, or the failed order."""
        key = certificate_key()
        self.acme.expect(self.acme.finalize(order_url, order, csr_der(names, key)), 200)
        order = self.acme.poll(order_url, ("valid", "invalid"))
        if order["status"] == "valid":
            self.check_certificate(self.acme.download(order), key, names, self.bridge.root)
        return order
