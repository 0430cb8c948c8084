"""The user of the simulator: its password, the tokens it was given, its access key and that key's lock."""

import datetime
import hashlib
import hmac
import json
import os
import re
import secrets
import threading
import time

from elbsim import signing
from elbsim.wire import Refused
from simkit.files import write_atomically

NO_TOKEN = "Incorrect IAM authentication information: "


def refused_login(text):
    return Refused(401, "APIGW.0301", NO_TOKEN + text)


def digest(token):
    return hashlib.sha256(token.encode("latin-1", "replace")).hexdigest()


class Identity:
    """`account` has domain, user, password, access_key, secret_key, project_id and region. Tokens are kept as
    digests, with their scope and end, and like the lock of the access key they outlive a restart."""

    def __init__(self, path, account, settings):
        self.lock = threading.RLock()
        self.path = path
        self.account = account
        self.settings = settings
        self.tokens = {}
        self.failures = 0  # of the access key, one after the other
        self.most_failures = 0
        self.all_failures = 0
        self.locked_until = 0.0
        self.tried_while_locked = 0
        self.refused_passwords = 0
        if os.path.exists(path):
            with open(path, encoding="utf-8") as stream:
                self.__dict__.update(json.load(stream))

    def saved(self):
        return {name: getattr(self, name) for name in (
            "tokens", "failures", "most_failures", "all_failures", "locked_until", "tried_while_locked",
            "refused_passwords")}

    def save(self):
        write_atomically(self.path, json.dumps(self.saved()).encode("utf-8"), 0o600)

    def stats(self):
        with self.lock:
            return {**self.saved(), "tokens": len(self.tokens), "locked": self.locked_until > time.time()}

    @property
    def projects(self):
        """Names and ids of the projects; the first has the region's name, as the service makes them."""
        region = self.account["region"]
        more = {f"{region}_{number}": item for number, item in enumerate(self.settings.projects, 1)}
        return {region: self.account["project_id"], **more}

    # ---- passwords and tokens ----

    def password_fits(self, domain, user, password):
        good = True
        for given, name in ((domain, "domain"), (user, "user"), (password, "password")):
            good = hmac.compare_digest(given.encode("utf-8"), self.account[name].encode("utf-8")) and good
        if not good:
            with self.lock:
                self.refused_passwords += 1
                self.save()
        return good

    def give_token(self, scope):
        """(token, issued, expires) for a project id, or for the domain when the scope is empty."""
        size = self.settings.token_bytes
        token = "MII" + secrets.token_urlsafe(size)[:max(size - 3, 16)]
        issued = time.time()
        expires = issued + self.settings.token_lifetime
        with self.lock:
            self.tokens[digest(token)] = [scope, expires]
            self.save()
        return token, issued, expires

    def expire_tokens(self, forget=False):
        """All tokens end now: of age, or (forget) as after a change of the password."""
        with self.lock:
            for entry in self.tokens.values():
                entry[1] = 0
            if forget:
                self.tokens.clear()
            self.save()

    def scope_of_token(self, token):
        with self.lock:
            entry = self.tokens.get(digest(token))
        if entry is None:
            raise refused_login("decrypt token fail")
        if entry[1] <= time.time():
            raise refused_login("The token must be updated")
        return entry[0]

    # ---- the access key ----

    def check_signature(self, call):
        """Refuses a request that the access key has not signed, and locks the key after too many of them."""
        with self.lock:
            now = time.time()
            if self.locked_until > now:
                self.tried_while_locked += 1
                self.save()
                raise refused_login("verify aksk signature fail, the access key is locked")
            try:
                self.verify(call, now)
            except Refused:
                self.failures += 1
                self.all_failures += 1
                self.most_failures = max(self.most_failures, self.failures)
                if self.failures >= self.settings.ak_failures:
                    self.failures = 0
                    self.locked_until = now + self.settings.ak_lock_seconds
                self.save()
                raise
            if self.failures:
                self.failures = 0
                self.save()

    def unlock(self):
        with self.lock:
            self.failures, self.locked_until = 0, 0.0
            self.save()

    def verify(self, call, now):
        match = signing.AUTHORIZATION.fullmatch(call.headers.get("Authorization", ""))
        if match is None:
            raise refused_login("verify aksk signature fail, the Authorization header has a wrong form")
        access, signed, given = match[1], match[2].split(";"), match[3]
        if access != self.account["access_key"]:
            raise refused_login("verify aksk signature fail, unknown access key")
        date = call.headers.get(signing.DATE, "")
        if signing.DATE.lower() not in signed or not re.fullmatch(r"\d{8}T\d{6}Z", date):
            raise refused_login("verify aksk signature fail, x-sdk-date is not there or not signed")
        try:
            moment = datetime.datetime.strptime(date, signing.DATE_FORMAT).replace(tzinfo=datetime.timezone.utc)
        except ValueError:
            raise refused_login("verify aksk signature fail, x-sdk-date is not a time") from None
        if abs(moment.timestamp() - now) > self.settings.skew_seconds:
            raise refused_login("signature expired")
        if signed != sorted(set(signed)) or any("_" in name for name in signed):
            raise refused_login("verify aksk signature fail, SignedHeaders is not a sorted list")
        token = call.headers.get("X-Security-Token", "")
        if token != self.settings.security_token or (token and "x-security-token" not in signed):
            raise refused_login("verify aksk signature fail, the security token is wrong or not signed")
        try:
            request = signing.canonical_request(call.method, call.target, call.headers, signed,
                                                self.payload_hash(call))
        except KeyError:
            raise refused_login("verify aksk signature fail, a signed header is missing") from None
        expected = signing.signature_of(self.account["secret_key"], date, request)
        if not hmac.compare_digest(expected, given):
            raise refused_login("verify aksk signature fail, the signature is wrong")

    @staticmethod
    def payload_hash(call):
        """The hash of the body; a header that states one must state the right one, and JSON is always hashed."""
        found = hashlib.sha256(call.raw_body).hexdigest()
        stated = call.headers.get(signing.CONTENT)
        if stated is None or stated == found:
            return found
        media_type = call.headers.get("Content-Type", "").lower()
        if stated == signing.UNSIGNED and call.raw_body and "json" not in media_type:
            return stated
        raise refused_login("verify aksk signature fail, the body's hash is wrong")
