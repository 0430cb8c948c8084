"""OAuth 2 client credentials: the token endpoint, and the bearer tokens it has given out."""

import hmac
import secrets
import threading
import time
import urllib.parse

from simkit.wire import JSON_PLAIN, json_response

PATH = "/auth/token"
FORM = "application/x-www-form-urlencoded"


class Tokens:
    def __init__(self, client_id, client_secret, settings):
        self.lock = threading.Lock()
        self.expected = (("grant_type", "client_credentials"), ("client_id", client_id),
                         ("client_secret", client_secret))
        self.settings = settings
        self.given = {}

    def issue(self, call):
        """The answer to POST /auth/token (RFC 6749 section 4.4)."""
        media_type = call.headers.get("Content-Type", "").split(";")[0].strip().lower()
        form = dict(urllib.parse.parse_qsl(call.raw_body.decode("latin-1"), keep_blank_values=True))
        if media_type != FORM or form.get("grant_type") != "client_credentials":
            return json_response({"error": "unsupported_grant_type"}, 400, content_type=JSON_PLAIN)
        good = True
        for name, value in self.expected:
            given = form.get(name, "").encode("latin-1", "replace")
            good = hmac.compare_digest(given, value.encode("utf-8")) and good
        if not good:
            return json_response({"error": "invalid_client"}, 401, content_type=JSON_PLAIN)
        token = secrets.token_urlsafe(24)
        with self.lock:
            self.given[token] = time.time() + self.settings.token_lifetime
        return json_response({"access_token": token, "token_type": "Bearer",
                              "expires_in": int(self.settings.token_lifetime)}, content_type=JSON_PLAIN)

    def revoke_all(self):
        """What was given out is good no longer, whatever was said of its lifetime."""
        with self.lock:
            self.given.clear()

    def accepts(self, authorization):
        """Is this the value of an Authorization header with a token that is still good?"""
        scheme, _, token = authorization.partition(" ")
        with self.lock:
            return scheme.lower() == "bearer" and self.given.get(token, 0) > time.time()
