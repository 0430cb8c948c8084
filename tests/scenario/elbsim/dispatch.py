"""One call of ELB or IAM: authentication, routing, counting, the journal, and the faults ordered for it."""

import collections
import dataclasses
import json
import logging
import threading
import time

from elbsim import elb_api, iam_api, pem, signing
from elbsim.identity import refused_login
from elbsim.journal import about_body
from elbsim.wire import Refused, refusal
from simkit import dispatch
from simkit.wire import json_response

LOG = logging.getLogger("elbsim")


@dataclasses.dataclass
class World:
    """What the operations work on."""

    settings: object
    hierarchy: object
    storage: object
    identity: object


class Pace:
    """How many calls there were in the last second, for the throttle of the gateway."""

    def __init__(self):
        self.lock = threading.Lock()
        self.moments = collections.deque()

    def exceeds(self, limit):
        now = time.monotonic()
        with self.lock:
            while self.moments and self.moments[0] < now - 1:
                self.moments.popleft()
            if limit and len(self.moments) >= limit:
                return True
            self.moments.append(now)
            return False


class Gateway(dispatch.Dispatcher):
    """The API of one service ("elb" or "iam") as a function from Call to Response; both share all but the routes."""

    def __init__(self, service, world, journal, faults, counters):
        super().__init__(world, elb_api.ROUTES if service == "elb" else iam_api.ROUTES, faults, counters)
        self.service = service
        self.journal = journal
        self.pace = Pace()

    def handle(self, call):
        operation, needs, handler = self.find(call)
        path, _, query = call.target.partition("?")
        call.query = signing.query_pairs(query)
        entry = {"operation": operation, "method": call.method, "path": path, "query": query, "login": None,
                 "certificate": call.groups.get("id"), "fault": None, "effect": None, **about_body(call.raw_body)}
        with self.counters.lock:
            self.counters.received[operation] += 1
        fault = self.faults.take(operation, self.names_of(call))
        entry["fault"] = fault and fault.fault
        response = self.before(fault, operation)
        processed = response is None
        if processed:
            response = self.process(call, entry, needs, handler)
            with self.counters.lock:
                self.counters.answered[operation][response.status] += 1
            entry["processed_status"] = response.status
            response = self.after(fault, response)
        entry.update(processed=processed, status=response.status, wire=response.wire)
        self.journal.add(entry)
        LOG.info("%s %s -> %d %s", call.method, path, response.status, response.wire)
        return response

    def find(self, call):
        for method, pattern, operation, needs, handler in self.routes:
            match = pattern.fullmatch(call.path)
            if match and method == call.method:
                call.groups = match.groupdict()
                return operation, needs, handler
        return "unknown", None, None

    def names_of(self, call):
        """What a fault may be limited to: the object's id, its name, and the names in its certificate."""
        names = {value for name, value in call.query if name in ("id", "name", "description", "domain")}
        names.add(call.groups.get("id") or "")
        texts = []
        try:
            option = json.loads(call.raw_body or b"{}").get("certificate")
            names.add(str(option.get("name", "")))
            texts.append(option.get("certificate"))
        except (ValueError, AttributeError, RecursionError):
            pass
        with self.world.storage.lock:
            stored = self.world.storage.objects.get(call.groups.get("id"))
        if stored is not None:
            names.add(stored.name)
            texts.append(stored.certificate)
        for text in texts:
            try:
                names.update(pem.alternative_names(pem.read_chain(text)[0]))
            except (ValueError, TypeError):
                pass
        return names - {""}

    def process(self, call, entry, needs, handler):
        settings = self.world.settings
        try:
            if handler is None:
                raise Refused(404, "APIGW.0101", "The API does not exist or has not been published.")
            if self.pace.exceeds(settings.rate_limit):
                raise Refused(429, "APIGW.0308", "The throttling threshold has been reached: policy user over "
                                                 f"ratelimit,limit:{settings.rate_limit},time:1 second")
            if needs:
                projects = self.authenticate(call, entry)
                if self.service == "elb":
                    self.authorize(call, projects, needs)
            if call.raw_body and call.headers.get_content_type() != "application/json":
                raise Refused(415, "ELB.8902", "The content type is not application/json.")
            with self.world.storage.lock:
                return handler(self.world, call, entry)
        except Refused as refused:
            entry["error"] = refused.code
            return refusal(refused, self.service, settings)
        except Exception:
            LOG.exception("%s %s failed", call.method, call.path)
            entry["error"] = "ELB.8906"
            return refusal(Refused(500, "ELB.8906", "Internal error."), self.service, settings)

    def authenticate(self, call, entry):
        """The projects that a call is good for, by its token or its signature."""
        identity, logins = self.world.identity, self.world.settings.logins
        token, authorization = call.headers.get("X-Auth-Token"), call.headers.get("Authorization")
        if authorization is not None and token is None and "aksk" in logins:
            entry["login"] = "aksk"
            identity.check_signature(call)
            return list(identity.projects.values())
        if token is not None and authorization is None and "token" in logins:
            entry["login"] = "token"
            return [identity.scope_of_token(token)]
        raise refused_login("there must be either a token or a signature")

    def authorize(self, call, projects, action):
        """The codes of these refusals are not documented: they are this simulator's choice."""
        project = call.groups["project"]
        if not project:
            raise Refused(400, "ELB.0230", "The project id is empty.")
        if project not in projects or call.headers.get("X-Project-Id", project) != project:
            raise Refused(403, "APIGW.0302", "The project id in the URL is not the one of the login.")
        if action not in self.world.settings.permissions:
            raise Refused(403, "ELB.1101", f"Policy doesn't allow elb:certificates:{action} to be performed.",
                          encoded_authorization_message="AQ" + "x" * 200)

    def error_of(self, fault):
        refused = Refused(fault.status, fault.error_code or "ELB.8902", fault.description)
        return refusal(refused, self.service, self.world.settings, fault.retry_after_s)

    def after(self, fault, response):
        """`wrong-certificate` puts a stranger's into the answer."""
        if fault is None or fault.fault != "wrong-certificate" or not 200 <= response.status < 300:
            return super().after(fault, response)
        body = json.loads(response.body)
        chain = self.world.hierarchy.strangers_chain().decode("ascii")
        for item in body.get("certificates", [body.get("certificate")]):
            if item:
                item["certificate"] = pem.formed(chain, self.world.settings.pem_form)
        return json_response(body, response.status, response.content_type)
