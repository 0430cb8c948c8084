"""A small ACME client that keeps nothing from a test: raw requests, any JWS, and the usual way to a certificate.

One client has one connection and one account; it is for one thread. Every response is checked against the
contract, and for secrets that must never leave the server.
"""

import hashlib
import hmac
import http.client
import json
import ssl
import time
import urllib.parse

from harness.contract import check_contract, demand, loads
from harness.keys import AccountKey, b64, certificate_key, csr_der, identifier

JOSE = "application/jose+json"
BAD_NONCE = "urn:ietf:params:acme:error:badNonce"
URN = "urn:ietf:params:acme:error:"
# The server sends no Retry-After on a processing order this long after finalize (with a second to spare).
QUIET_SECONDS = 29


class Response:
    """An HTTP response that has been read completely."""

    def __init__(self, method, url, response, seconds):
        self.method = method
        self.url = url
        self.status = response.status
        self.version = response.version
        self.headers = response.msg
        self.body = response.read()
        self.seconds = seconds

    def all(self, name):
        return self.headers.get_all(name) or []

    @property
    def location(self):
        return self.headers.get("Location")

    @property
    def nonce(self):
        return self.headers.get("Replay-Nonce")

    @property
    def content_type(self):
        return self.headers.get("Content-Type")

    @property
    def json(self):
        return loads(self.body)

    @property
    def problem(self):
        """The problem's type without the common prefix, None when this is no problem."""
        # The contract is strict about parameters behind the type; other servers send some.
        if (self.content_type or "").split(";")[0].strip() != "application/problem+json":
            return None
        return self.json["type"].removeprefix(URN)

    @property
    def detail(self):
        return self.json.get("detail", "")

    def describe(self):
        return f"{self.method} {self.url} -> {self.status}\n{self.headers}{self.body[:2000]!r}"


class AcmeError(AssertionError):
    """An answer other than the one the test's way to a certificate needs."""

    def __init__(self, response):
        super().__init__(response.describe())
        self.response = response


class Client:
    def __init__(self, bridge, profile=None, key=None, timeout=15):
        self.bridge = bridge
        self.key = key or AccountKey()
        self.account = None
        self.nonces = []
        self.timeout = timeout
        self.connection = None
        self.finalized = {}
        self.directory_url = bridge.url + (f"/profile/{profile}" if profile else "") + "/directory"
        self.known_directory = None

    # ---- transport ----

    def connect(self):
        context = ssl.create_default_context(cafile=self.bridge.root)
        parts = urllib.parse.urlsplit(self.bridge.url)
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=self.timeout, context=context)

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def send(self, method, url, body=None, headers=None, check=True):
        """One exchange on the client's connection; connection errors are the caller's."""
        target = urllib.parse.urlsplit(url)
        path = target.path + ("?" + target.query if target.query else "")
        if self.connection is None:
            self.connection = self.connect()
        begin = time.monotonic()
        try:
            self.connection.request(method, path, body, headers or {})
            response = Response(method, url, self.connection.getresponse(), time.monotonic() - begin)
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        for secret in self.bridge.secrets:
            if secret in response.headers.as_string() or secret.encode("utf-8") in response.body:
                raise AssertionError(f"{url} disclosed a credential")
        if check:
            check_contract(response)
        return response

    def get(self, url, **options):
        return self.send("GET", url, **options)

    @property
    def directory(self):
        if self.known_directory is None:
            self.known_directory = self.expect(self.get(self.directory_url), 200).json
        return self.known_directory

    def new_nonce(self):
        return self.expect(self.send("HEAD", self.directory["newNonce"]), 200).nonce

    @staticmethod
    def expect(response, *statuses):
        if response.status not in statuses:
            raise AcmeError(response)
        return response

    # ---- JWS ----

    def jws(self, url, payload, key=None, alg=None, without=(), **header):
        """A flattened JWS as a dict; `header` adds or replaces protected members, `without` leaves some out.

        payload None is POST-as-GET, bytes go out as they are, everything else as JSON.
        """
        key = key or self.key
        protected = {"alg": alg or key.alg, "url": url}
        if "nonce" not in header:
            header["nonce"] = self.nonces.pop() if self.nonces else self.new_nonce()
        if "kid" not in header and "jwk" not in header:
            if self.account is not None and key is self.key:
                header["kid"] = self.account
            else:
                header["jwk"] = key.jwk()
        protected.update(header)
        for name in without:
            protected.pop(name, None)
        encoded = b64(json.dumps(protected).encode("utf-8"))
        if payload is None:
            payload = b""
        elif not isinstance(payload, bytes):
            payload = json.dumps(payload).encode("utf-8")
        signed = f"{encoded}.{b64(payload)}".encode("ascii")
        return {"protected": encoded, "payload": b64(payload), "signature": b64(key.sign(signed))}

    def raw_post(self, url, body, content_type=JOSE, check=True):
        """A POST with any body; a dict goes out as JSON. Keeps the nonce of the answer."""
        if isinstance(body, dict):
            body = json.dumps(body).encode("utf-8")
        headers = {} if content_type is None else {"Content-Type": content_type}
        response = self.send("POST", url, body, headers, check)
        if response.nonce:
            self.nonces = [response.nonce]
        return response

    def post(self, url, payload=None, tries=3, **options):
        """A signed request; a refused nonce is met with the one that came along, as RFC 8555 section 6.5 says."""
        while True:
            response = self.raw_post(url, self.jws(url, payload, **options))
            tries -= 1
            if response.problem != "badNonce" or tries == 0 or "nonce" in options:
                return response

    def key_change(self, new_key, old_jwk=None, account=None, inner_url=None, **header):
        """keyChange, without taking the new key into use; what is given replaces what would be right."""
        url = self.directory["keyChange"]
        claims = {"account": account or self.account, "oldKey": old_jwk or self.key.jwk()}
        protected = {"jwk": new_key.jwk(), **header}
        inner = self.jws(inner_url or url, claims, key=new_key, nonce=None, without=("nonce",), **protected)
        return self.post(url, inner)

    def binding(self, kid, mac_key, digest="sha256", jwk=None):
        """An externalAccountBinding for this client's key."""
        protected = b64(json.dumps({"alg": "HS" + digest[3:], "kid": kid,
                                    "url": self.directory["newAccount"]}).encode("ascii"))
        payload = b64(json.dumps(jwk or self.key.jwk()).encode("ascii"))
        mac = hmac.new(mac_key, f"{protected}.{payload}".encode("ascii"), digest).digest()
        return {"protected": protected, "payload": payload, "signature": b64(mac)}

    # ---- the usual way ----

    def register(self, **members):
        response = self.expect(self.post(self.directory["newAccount"], {"termsOfServiceAgreed": True, **members},
                                         jwk=self.key.jwk()), 200, 201)
        self.account = response.location
        return response

    def new_order(self, *names, **members):
        """(order URL, order)"""
        if self.account is None:
            self.register()
        payload = {"identifiers": [identifier(name) for name in names], **members}
        response = self.expect(self.post(self.directory["newOrder"], payload), 201)
        order = response.json
        demand(response, order["identifiers"] == payload["identifiers"], "identifiers as in the request")
        return response.location, order

    def fetch(self, url):
        """The object at a URL, by POST-as-GET."""
        response = self.expect(self.post(url), 200)
        if response.content_type == "application/json" and response.json.get("status") == "processing":
            since = self.finalized.get(url)
            quiet = since is not None and time.monotonic() - since < QUIET_SECONDS
            demand(response, not (quiet and response.all("Retry-After")), "no Retry-After soon after finalize")
        return response

    def poll(self, url, until, limit=30, pause=0.2):
        """The object at a URL once its status is one of `until`."""
        deadline = time.monotonic() + limit
        while True:
            response = self.fetch(url)
            if response.json["status"] in until:
                return response.json
            if time.monotonic() > deadline:
                raise AssertionError(f"not {until} within {limit} s: {response.describe()}")
            time.sleep(pause)

    def challenge_of(self, authorization_url, kind="http-01"):
        """The challenge of a type that an authorization offers."""
        challenges = self.fetch(authorization_url).json["challenges"]
        return next(item for item in challenges if item["type"] == kind)

    def authorize(self, order, responder, limit=30):
        """Answers the http-01 challenges of an order; returns the settled authorizations."""
        settled = []
        for url in order["authorizations"]:
            challenge = self.challenge_of(url)
            if challenge["status"] != "valid":
                responder.answer(challenge["token"], f"{challenge['token']}.{self.key.thumbprint()}")
                self.expect(self.post(challenge["url"], {}), 200)
            settled.append(self.poll(url, ("valid", "invalid"), limit))
        return settled

    def finalize(self, order_url, order, csr):
        # The server may have taken it even when no answer comes.
        self.finalized.setdefault(order_url, time.monotonic())
        response = self.post(order["finalize"], {"csr": b64(csr)})
        if response.status != 200:
            self.finalized.pop(order_url)
        else:
            demand(response, response.location == order_url, "finalize names the order's URL")
        return response

    def begin(self, responder, *names, key=None, csr=None, profile=None):
        """An order that has been authorized and finalized: (order URL, certificate key, CSR)."""
        order_url, order = self.new_order(*names, **({"profile": profile} if profile else {}))
        for authorization in self.authorize(order, responder):
            if authorization["status"] != "valid":
                raise AssertionError(f"authorization failed: {authorization}")
        self.poll(order_url, ("ready",), 0)
        key = key or certificate_key()
        csr = csr or csr_der(names, key)
        self.expect(self.finalize(order_url, order, csr), 200)
        return order_url, key, csr

    def download(self, order):
        return self.expect(self.post(order["certificate"]), 200).body.decode("ascii")

    def obtain(self, responder, *names, limit=30, **options):
        """(chain PEM, certificate key) of a new certificate."""
        order_url, key, _ = self.begin(responder, *names, **options)
        order = self.poll(order_url, ("valid", "invalid"), limit)
        if order["status"] != "valid":
            raise AssertionError(f"order failed: {order}")
        return self.download(order), key


def digest(csr):
    """A CSR's SHA-256 as the simulator shows it."""
    return hashlib.sha256(csr).hexdigest().upper()
