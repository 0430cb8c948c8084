"""One API call: authentication, routing, counting, and the faults ordered for it."""

import collections
import dataclasses
import hmac
import json
import logging
import re
import threading
import time
import urllib.parse

from scmsim import account_api, device_api, enroll_api, faults, ssl_api, tokens
from scmsim.wire import ApiError, JSON_PLAIN, Response

LOG = logging.getLogger("scmsim")


@dataclasses.dataclass
class Call:
    """What an operation gets to see of a request."""

    method: str
    path: str
    query: dict
    headers: object
    raw_body: bytes
    client_certificate: bool = False
    body: dict = dataclasses.field(default_factory=dict)
    groups: dict = dataclasses.field(default_factory=dict)
    target: str = ""  # path and query exactly as they were sent


@dataclasses.dataclass
class Credentials:
    login: str
    password: str = dataclasses.field(repr=False)
    customer_uri: str
    client_id: str = "bridge"


class Counters:
    """How often every operation was called, and with what HTTP status it was answered."""

    def __init__(self):
        self.lock = threading.Lock()
        self.received = collections.Counter()
        self.answered = collections.defaultdict(collections.Counter)
        self.faults = collections.Counter()

    def as_json(self):
        with self.lock:
            return {"received": dict(self.received),
                    "answered": {name: {str(status): count for status, count in by_status.items()}
                                 for name, by_status in self.answered.items()},
                    "faults": dict(self.faults)}


class Dispatcher:
    """The API as a function from Call to Response. `world` is what the operations work on."""

    def __init__(self, world, credentials, faults_):
        self.world = world
        self.credentials = credentials
        self.faults = faults_
        self.counters = Counters()
        self.tokens = tokens.Tokens(credentials.client_id, credentials.password, world.settings)
        self.routes = [(method, re.compile(pattern), operation, handler)
                       for module in (enroll_api, ssl_api, device_api, account_api)
                       for method, pattern, operation, handler in module.ROUTES]

    def handle(self, call):
        private = call.path.startswith("/private/")
        path = call.path.removeprefix("/private") if private else call.path
        operation, handler, call.groups, other_method = self.route(call.method, path)
        with self.counters.lock:
            self.counters.received[operation] += 1
        fault = self.faults.take(operation, self.names_of(call))
        response = self.before(fault, operation)
        if response is None:
            response = self.process(call, private, handler, other_method)
            with self.counters.lock:
                self.counters.answered[operation][response.status] += 1
            response = self.after(fault, response)
        LOG.info("%s %s -> %d %s", call.method, call.path, response.status, response.wire)
        return response

    def names_of(self, call):
        """The names a call is about: of its request, its body or its filter."""
        names = {call.query.get("commonName", ""), call.query.get("subjectAlternativeName", "")}
        ssl_id = call.groups.get("id")
        try:
            body = json.loads(call.raw_body or b"{}")
        except ValueError:
            body = {}
        if isinstance(body, dict):
            names.update(str(body.get("subjAltNames", "")).split(","))
            ssl_id = ssl_id or body.get("sslId")
        with self.world.registry.lock:
            request = self.world.registry.find(int(ssl_id)) if ssl_id else None
            if "serial" in call.groups:
                request = self.world.registry.find_serial(call.groups["serial"])
            if request is not None:
                names.update(request.names)
        return names - {""}

    def route(self, method, path):
        other_method = False
        if path == tokens.PATH and method == "POST":
            return "token", None, {}, False
        for allowed, pattern, operation, handler in self.routes:
            match = pattern.fullmatch(path)
            if match and allowed == method:
                groups = {name: urllib.parse.unquote(text)
                          for name, text in match.groupdict().items() if text is not None}
                return operation, handler, groups, False
            other_method = other_method or bool(match)
        return "unknown", None, {}, other_method

    def process(self, call, private, handler, other_method):
        if call.path == tokens.PATH and call.method == "POST":
            return self.tokens.issue(call)
        try:
            self.authenticate(call, private)
            if handler is None:
                raise ApiError(-1, status=405 if other_method else 404,
                               description="No such operation.")
            call.body = self.json_body(call)
            return handler(self.world, call)
        except ApiError as error:
            return error.response()
        except Exception:
            LOG.exception("%s %s failed", call.method, call.path)
            return ApiError(-2, status=500, description="Internal error.").response()

    def authenticate(self, call, private):
        """A bearer token alone; or login and customer with the password, under /private with a client
        certificate."""
        logins = self.world.settings.logins
        authorization = call.headers.get("Authorization")
        if authorization is not None:
            if private or "oauth" not in logins or not self.tokens.accepts(authorization):
                raise ApiError(-16, status=401)
            return
        if ("certificate" if private else "password") not in logins:
            raise ApiError(-16, status=401)
        expected = [("login", self.credentials.login), ("customerUri", self.credentials.customer_uri)]
        if not private:
            expected.append(("password", self.credentials.password))
        good = call.client_certificate or not private
        for header, value in expected:
            # The HTTP library decodes header bytes as Latin-1.
            given = call.headers.get(header, "").encode("latin-1", "replace")
            good = hmac.compare_digest(given, value.encode("utf-8")) and good
        if not good:
            raise ApiError(-16, status=401)

    def json_body(self, call):
        if not call.raw_body:
            return {}
        media_type = call.headers.get("Content-Type", "").split(";")[0].strip().lower()
        if media_type != JSON_PLAIN:
            raise ApiError(-1, status=415, description="Content type is not supported.")
        try:
            body = json.loads(call.raw_body)
        except (ValueError, RecursionError):
            raise ApiError(-1601, "body") from None
        if not isinstance(body, dict):
            raise ApiError(-1601, "body")
        return body

    def note(self, fault, operation):
        with self.counters.lock:
            self.counters.faults[operation] += 1
        LOG.info("fault %s at %s", fault.fault, operation)

    def before(self, fault, operation):
        """The answer of a fault that keeps the call from being processed, else None."""
        if fault is None:
            return None
        kind = fault.fault
        self.note(fault, operation)
        if kind == "delay":
            time.sleep(fault.delay_s)
            return None
        if kind == "drop-before":
            return Response(wire="drop")
        if kind == "html-200":
            return Response(200, faults.HTML.format("Welcome").encode(), "text/html")
        if kind == "error":
            return ApiError(fault.code, status=fault.status, description=fault.description).response()
        if kind.startswith("status-"):
            status = int(kind[7:10])
            headers = {"Retry-After": str(fault.retry_after_s)} if fault.retry_after_s else {}
            if kind.endswith("-html"):
                return Response(status, faults.HTML.format(status).encode(), "text/html", headers)
            return Response(status, b"upstream connect error\n", "text/plain", headers)
        return None

    def after(self, fault, response):
        """Spoils the answer of a call that was processed."""
        if fault is None:
            return response
        if fault.fault == "delay-after":
            time.sleep(fault.delay_s)
        elif fault.fault == "drop-after":
            response.wire = "drop"
        elif fault.fault == "truncate":
            response.wire = "truncate"
        elif fault.fault == "empty":
            response.body = b""
        elif fault.fault.startswith("after-status-"):
            return Response(int(fault.fault[-3:]), b"upstream connect error\n", "text/plain")
        elif fault.fault == "wrong-certificate" and response.status == 200:
            response.body = self.world.hierarchy.strangers_chain()
        return response
