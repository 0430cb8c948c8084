"""The suite's ACME client: the harness's, for any server, any identifier and any challenge type."""

import base64
import dataclasses
import hashlib
import hmac
import ipaddress
import json
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtensionOID, NameOID
from harness.acme import Client
from harness.contract import demand
from harness.keys import AccountKey, b64, certificate_key

END = "-----END CERTIFICATE-----\n"


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def identifier(item):
    """The identifier object of a name, an address, or a (type, value)."""
    if isinstance(item, tuple):
        return {"type": item[0], "value": item[1]}
    return {"type": "dns", "value": item}


def general_name(item):
    kind, value = item if isinstance(item, tuple) else ("dns", item)
    return x509.IPAddress(ipaddress.ip_address(value)) if kind == "ip" else x509.DNSName(value)


def make_csr(items, key, common_name=None, extensions=(), encode=True):
    """A CSR for names and (type, value) pairs."""
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if items:
        builder = builder.add_extension(x509.SubjectAlternativeName([general_name(item) for item in items]), False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    csr = builder.sign(key, hashes.SHA256())
    return csr.public_bytes(serialization.Encoding.DER) if encode else csr


def parse_chain(text):
    return [x509.load_pem_x509_certificate((part + END).encode("ascii")) for part in text.split(END) if part.strip()]


def names_of(certificate):
    """The subject alternative names as (type, value), sorted."""
    names = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    return sorted([("dns", name) for name in names.get_values_for_type(x509.DNSName)]
                  + [("ip", str(value)) for value in names.get_values_for_type(x509.IPAddress)])


def check_rfc(response):
    """What RFC 8555 demands of every response; our own server keeps harness.contract as well."""
    if response.method == "POST" and response.status < 400:
        demand(response, len(response.all("Replay-Nonce")) == 1, "Replay-Nonce in every answer to a POST")
    if response.status >= 400 and response.body:
        demand(response, (response.content_type or "").startswith("application/problem+json"), "a problem document")
        demand(response, "identifier" not in response.json, "no identifier at the top of a problem")


@dataclasses.dataclass
class Issued:
    """A certificate and how it came."""
    order_url: str
    order: dict
    pem: str
    key: object

    @property
    def chain(self):
        return parse_chain(self.pem)

    @property
    def leaf(self):
        return self.chain[0]

    @property
    def der(self):
        return self.leaf.public_bytes(serialization.Encoding.DER)


class CertificateSigner(AccountKey):
    """A certificate's P-256 key as a signer of JWS."""

    def __init__(self, private):
        self.alg = "ES256"
        self.private = private


class Acme(Client):
    def __init__(self, site, **options):
        super().__init__(site, **options)
        self.site = site
        self.services = site.services
        self.directory_url = site.directory_url

    def send(self, method, url, body=None, headers=None, check=True):
        response = super().send(method, url, body, headers, check and self.site.own)
        if check and not self.site.own:
            check_rfc(response)
        return response

    def once(self, url, payload=None, **options):
        """A signed request that is not repeated when its nonce is refused."""
        return self.raw_post(url, self.jws(url, payload, **options))

    # ---- accounts ----

    def bind(self, kid, mac_key, url=None, alg="HS256", key=None, payload=None, **header):
        """An externalAccountBinding for this client's key (RFC 8555 section 7.3.4)."""
        protected = {"alg": alg, "kid": kid, "url": url or self.directory["newAccount"], **header}
        encoded = b64(json.dumps({name: value for name, value in protected.items() if value is not None}).encode())
        inner = b64(json.dumps((key or self.key).jwk()).encode() if payload is None else payload)
        digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}.get(alg, hashlib.sha256)
        mac = hmac.new(mac_key, f"{encoded}.{inner}".encode("ascii"), digest).digest()
        return {"protected": encoded, "payload": inner, "signature": b64(mac)}

    def register(self, **members):
        if self.site.binding and "externalAccountBinding" not in members:
            members["externalAccountBinding"] = self.bind(*self.site.binding)
        return super().register(**members)

    def ask_account(self, payload, **options):
        return self.post(self.directory["newAccount"], payload, jwk=self.key.jwk(), **options)

    # ---- orders ----

    def ask_order(self, *items, **members):
        if self.account is None:
            self.register()
        return self.post(self.directory["newOrder"],
                         {"identifiers": [identifier(item) for item in items], **members})

    def place(self, *items, **members):
        """(order URL, order)"""
        response = self.expect(self.ask_order(*items, **members), 201)
        return response.location, response.json

    def authorizations(self, order):
        return [(url, self.fetch(url).json) for url in order["authorizations"]]

    def key_authorization(self, challenge):
        return f"{challenge['token']}.{self.key.thumbprint()}"

    def provision(self, challenge, subject, text=None):
        """Makes a challenge's answer available; `text` replaces the key authorization."""
        text = self.key_authorization(challenge) if text is None else text
        value = subject["value"]
        if challenge["type"] == "http-01":
            self.services.web.answer(challenge["token"], text)
        elif challenge["type"] == "dns-01":
            self.services.dns.add(f"_acme-challenge.{value}", "TXT", b64(hashlib.sha256(text.encode()).digest()))
        elif challenge["type"] == "tls-alpn-01":
            self.services.alpn.set(value, text)
        else:
            raise AssertionError(f"no idea how to answer {challenge['type']}")

    @staticmethod
    def pick(authorization, kind):
        """The challenge of a type, None when it is not offered."""
        return next((item for item in authorization["challenges"] if item["type"] == kind), None)

    def respond(self, challenge, payload=None):
        return self.expect(self.post(challenge["url"], {} if payload is None else payload), 200)

    def prove(self, order, kind=None, limit=30):
        """Completes all authorizations of an order; returns them settled."""
        waiting = []
        for url, authorization in self.authorizations(order):
            if authorization["status"] == "pending":
                wanted = kind or ("dns-01" if authorization.get("wildcard") else "http-01")
                challenge = self.pick(authorization, wanted)
                demand(self.fetch(url), challenge is not None, f"{wanted} is offered")
                self.provision(challenge, authorization["identifier"])
                self.respond(challenge)
            waiting.append(url)
        return [self.settle(url, limit) for url in waiting]

    def settle(self, url, limit=30):
        return self.poll(url, ("valid", "invalid"), limit, 0.1)

    def ready(self, *items, kind=None, **members):
        """(order URL, order) of an order that waits for its CSR."""
        order_url, order = self.place(*items, **members)
        for authorization in self.prove(order, kind):
            if authorization["status"] != "valid":
                raise AssertionError(f"authorization failed: {authorization}")
        return order_url, self.poll(order_url, ("ready",), 5, 0.1)

    def finish(self, order_url, order, items, key=None, csr=None, limit=30):
        key = key or certificate_key()
        self.expect(self.finalize(order_url, order, csr or make_csr(items, key)), 200)
        order = self.settle(order_url, limit)
        if order["status"] != "valid":
            raise AssertionError(f"order failed: {order}")
        return Issued(order_url, order, self.download(order), key)

    def issue(self, *items, kind=None, key=None, csr=None, **members):
        order_url, order = self.ready(*items, kind=kind, **members)
        return self.finish(order_url, order, items, key, csr)

    def failed(self, *attempts, limit=60):
        """Settles challenges that have been responded to; they are watched together, so that waits overlap."""
        deadline = time.monotonic() + limit
        states = {}
        while len(states) < len(attempts) and time.monotonic() < deadline:
            for challenge in attempts:
                if challenge["url"] not in states:
                    found = self.fetch(challenge["url"]).json
                    if found["status"] in ("valid", "invalid"):
                        states[challenge["url"]] = found
            time.sleep(0.1)
        if len(states) < len(attempts):
            raise AssertionError(f"{len(attempts) - len(states)} challenges did not settle within {limit} s")
        return [states[challenge["url"]] for challenge in attempts]

    # ---- revocation ----

    def revoke(self, der, reason=None, key=None, **options):
        """By this account, or by `key` (a certificate's) with its jwk."""
        payload = {"certificate": b64(der)}
        if reason is not None:
            payload["reason"] = reason
        if key is not None:
            options.update(key=key, jwk=key.jwk())
        return self.once(self.directory["revokeCert"], payload, **options)
