"""One API call: authentication, routing, counting, and the faults ordered for it."""

import dataclasses
import hmac
import json
import logging

import simkit.dispatch
from scmsim import account_api, device_api, enroll_api, ssl_api
from scmsim.wire import ApiError
from simkit import tokens
from simkit.wire import JSON_PLAIN

LOG = logging.getLogger("scmsim")


@dataclasses.dataclass
class Credentials:
    login: str
    password: str = dataclasses.field(repr=False)
    customer_uri: str
    client_id: str = "bridge"


class Dispatcher(simkit.dispatch.Dispatcher):
    def __init__(self, world, credentials, faults):
        super().__init__(world, [route for module in (enroll_api, ssl_api, device_api, account_api)
                                 for route in module.ROUTES], faults)
        self.credentials = credentials
        self.tokens = tokens.Tokens(credentials.client_id, credentials.password, world.settings)

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

    def error_of(self, fault):
        return ApiError(fault.code, status=fault.status, description=fault.description).response()
