"""EdgeGrid (EG1-HMAC-SHA256): making and checking the Authorization header of a request."""

import base64
import calendar
import hashlib
import hmac
import re
import threading
import time
import uuid

from cpssim.wire import gateway_refusal

ALGORITHM = "EG1-HMAC-SHA256"
TIME_FORMAT = "%Y%m%dT%H:%M:%S+0000"
MAX_BODY = 131072
HEADER = re.compile(r"EG1-HMAC-SHA256 client_token=([^;\s]+);access_token=([^;\s]+);"
                    r"timestamp=(\d{8}T\d\d:\d\d:\d\d\+0000);nonce=([^;\s]{8,64});signature=([A-Za-z0-9+/]{43}=)")
KEEP_NONCES = 600


def keyed(key, text):
    return base64.b64encode(hmac.new(key.encode(), text.encode("latin-1"), hashlib.sha256).digest()).decode()


def content_hash(method, body, max_body=MAX_BODY):
    """Only the body of a POST counts, and of that only the beginning."""
    if method != "POST" or not body:
        return ""
    return base64.b64encode(hashlib.sha256(body[:max_body]).digest()).decode()


def auth_prefix(client_token, access_token, timestamp, nonce):
    return f"{ALGORITHM} client_token={client_token};access_token={access_token};timestamp={timestamp};nonce={nonce};"


def signature(secret, method, host, target, body, prefix, timestamp, max_body=MAX_BODY, headers=""):
    data = "\t".join([method.upper(), "https", host.lower(), target or "/", headers,
                      content_hash(method.upper(), body, max_body), prefix])
    return keyed(keyed(secret, timestamp), data)


def authorization(client, method, host, target, body=b"", moment=None, nonce=None):
    """The header's value for a client with client_token, client_secret and access_token."""
    timestamp = time.strftime(TIME_FORMAT, time.gmtime(time.time() if moment is None else moment))
    prefix = auth_prefix(client["client_token"], client["access_token"], timestamp, nonce or str(uuid.uuid4()))
    value = signature(client["client_secret"], method, host, target, body, prefix, timestamp)
    return f"{prefix}signature={value}"


class Verifier:
    """Says whose request it is, or refuses it as the gateway does."""

    def __init__(self, clients, settings):
        self.lock = threading.Lock()
        self.clients = {client["client_token"]: client for client in clients}
        self.settings = settings
        self.nonces = {}

    def now(self):
        """The clock of the simulated gateway."""
        return time.time() + self.settings.clock_offset

    def refuse(self, call, detail, status=401):
        kind = "pep-authn/deny" if status == 401 else "pep-authn/request-error"
        return gateway_refusal(status, kind, detail, call,
                               requestTime=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.now())))

    def check(self, call):
        match = HEADER.fullmatch(call.headers.get("Authorization", ""))
        if match is None:
            raise self.refuse(call, "Invalid authorization header", 400 if "Authorization" in call.headers else 401)
        client_token, access_token, timestamp, nonce, given = match.groups()
        client = self.clients.get(client_token)
        if client is None:
            raise self.refuse(call, "Invalid authorization client token")
        if not hmac.compare_digest(client["access_token"], access_token):
            raise self.refuse(call, "Invalid authorization access token")
        try:
            moment = calendar.timegm(time.strptime(timestamp, TIME_FORMAT))
        except ValueError:
            raise self.refuse(call, "Invalid timestamp", self.settings.timestamp_status) from None
        if abs(moment - self.now()) > self.settings.skew_seconds:
            raise self.refuse(call, "Invalid timestamp", self.settings.timestamp_status)
        expected = signature(client["client_secret"], call.method, call.headers.get("Host", ""), call.target,
                             call.raw_body, auth_prefix(client_token, access_token, timestamp, nonce), timestamp)
        if not hmac.compare_digest(expected, given):
            raise self.refuse(call, "The signature does not match")
        self.use_nonce(call, client_token, nonce)
        return client

    def use_nonce(self, call, client_token, nonce):
        """Only requests with a good signature use up their nonce."""
        now = time.monotonic()
        with self.lock:
            for key in [key for key, moment in self.nonces.items() if moment < now - KEEP_NONCES]:
                del self.nonces[key]
            if (client_token, nonce) in self.nonces:
                raise self.refuse(call, "The nonce has been used before")
            self.nonces[client_token, nonce] = now
