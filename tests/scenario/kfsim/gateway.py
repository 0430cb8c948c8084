"""One call: authentication, routing, counting, the journal, and the faults ordered for it."""

import base64
import binascii
import hmac
import json
import logging
import re
import urllib.parse

from kfsim import certificate_api, enroll_api, query, workflow_api
from kfsim.wire import PERMISSION, Refused, refusal, spelled, unauthorized
from scmsim.csr import Csr
from scmsim.wire import ApiError
from simkit import tokens
from simkit.dispatch import Dispatcher
from simkit.faults import HTML
from simkit.wire import JSON_PLAIN, Response, json_response

LOG = logging.getLogger("kfsim")
CLIENTS = ("apiclient", "xmlhttprequest")
VERSIONS = ("", "1", "1.0", "2", "2.0")


def number_of(call, name, default, smallest):
    text = call.query.get(name.lower(), "") or str(default)
    if not re.fullmatch(r"\d{1,9}", text) or int(text) < smallest:
        raise Refused(400, f"The value '{text}' of {name} is not valid.")
    return int(text)


class World:
    """What the operations work on."""

    def __init__(self, settings, hierarchy, records, login):
        self.settings = settings
        self.hierarchy = hierarchy
        self.records = records
        self.login = login
        self.secrets = []

    def add_secret(self, text):
        """Something a client must never write down; the control port tells tests what that is."""
        self.secrets.append(text)

    def page_of(self, items, call, prefix, fields):
        """The part of a list that a query asks for. Parameters with another list's prefix are not looked at."""
        found = query.select(items, call.query.get((prefix + "queryString").lower(), ""), fields)
        call.total = len(found)
        sort = call.query.get((prefix + "sortField").lower(), "")
        if sort:
            if found and sort.lower() not in fields(found[0]):
                raise Refused(400, f"'{sort}' is not a field to sort by.")
            descending = number_of(call, prefix + "sortAscending", 0, 0) == 1
            found = sorted(found, key=lambda item: (fields(item)[sort.lower()] is None, fields(item)[sort.lower()]),
                           reverse=descending)
        return query.page(found, number_of(call, prefix + "pageReturned", 1, 1),
                          number_of(call, prefix + "returnLimit", self.settings.page_limit, 1))


class Gateway(Dispatcher):
    """The API as a function from Call to Response."""

    def __init__(self, world, credentials, api_path, journal, faults):
        self.base = "/" + api_path.strip("/").lower()
        routes = enroll_api.ROUTES + certificate_api.ROUTES + workflow_api.ROUTES
        routes = [*routes, ("GET", "/status/endpoints", "status", self.endpoints)]
        super().__init__(world, [(method, self.base + pattern, *rest) for method, pattern, *rest in routes], faults)
        self.credentials = credentials
        self.journal = journal
        self.tokens = tokens.Tokens(credentials["client_id"], credentials["client_secret"], world.settings)

    def endpoints(self, _, __):
        return sorted(f"{method} {pattern.pattern}" for method, pattern, _, _ in self.routes)

    def handle(self, call):
        call.total = None
        # A plus sign is a plus sign here.
        pairs = [part.partition("=") for part in call.target.partition("?")[2].split("&") if part]
        call.query = {urllib.parse.unquote(name).lower(): urllib.parse.unquote(value) for name, _, value in pairs}
        operation, handler, call.groups, other_method = self.route(call.method, call.path.lower())
        names = self.names_of(call)
        call.entry = {"operation": operation, "method": call.method, "path": call.path, "query": call.query,
                      "names": sorted(names), "login": None, "effect": None}
        with self.counters.lock:
            self.counters.received[operation] += 1
        fault = self.faults.take(operation, names)
        response = self.before(fault, operation)
        processed = response is None
        if processed:
            response = self.process(call, operation, handler, other_method)
            with self.counters.lock:
                self.counters.answered[operation][response.status] += 1
        # Before the answer is spoiled or held back: the effect is there already.
        self.journal.add({**call.entry, "fault": fault and fault.fault, "processed": processed,
                          "status": response.status})
        if processed:
            response = self.after(fault, response)
        LOG.info("%s %s -> %d %s", call.method, call.path, response.status, response.wire)
        return response

    # ---- what a call is about ----

    def names_of(self, call):
        """The names a call is about: of its CSR, of the records it names, or of those its query finds."""
        try:
            body = json.loads(call.raw_body or b"{}")
        except (ValueError, RecursionError):
            body = {}
        members = {name.lower(): value for name, value in body.items()} if isinstance(body, dict) else {"ids": body}
        names = set(self.names_in_csr(members.get("csr")))
        numbers, words = set(), {str(call.groups.get(name, "")).lower() for name in ("guid", "thumbprint")}
        for name in ("certid", "certificateid", "id", "certificateids", "certificaterequestids", "ids"):
            value = members.get(name)
            numbers.update(str(item) for item in (value if isinstance(value, list) else [value]) if item is not None)
        numbers.add(call.groups.get("id", ""))
        words.add(str(members.get("thumbprint", "")).lower())
        for name, value in call.query.items():
            if name.endswith("querystring"):
                found = re.findall(r'-\w+\s+"?([^"\s]+)', value)
                words.update(word.lower() for word in found)
                names.update(word for word in found if "." in word)
        about_requests = "/workflow/" in call.path.lower()
        with self.world.records.lock:
            for request in self.world.records.requests.values():
                certificate = self.world.records.certificates.get(request.certificate_id)
                known = {str(value).lower() for value in request.metadata.values()} | {
                    request.common_name.lower(), request.workflow, certificate.thumbprint.lower() if certificate else ""}
                if not about_requests:
                    known.add(str(request.id) if "certrequestid" in str(call.query).lower() else "")
                number = str(request.id if about_requests else request.certificate_id)
                if number in numbers - {"", "0"} or (known - {""}) & words:
                    names.update(request.names)
        return names - {""}

    @staticmethod
    def names_in_csr(text):
        try:
            return enroll_api.names_of_csr(Csr(text))
        except (ApiError, TypeError, ValueError):
            return []

    # ---- the answer ----

    def process(self, call, operation, handler, other_method):
        settings = self.world.settings
        if operation == "token":
            return self.tokens.issue(call)
        if not call.path.lower().startswith(self.base + "/"):
            return Response(404, HTML.format("404 - File or directory not found").encode(), "text/html")
        version = {"X-Keyfactor-Product-Version": settings.product_version}
        try:
            if not self.authenticate(call):
                return unauthorized(settings.unauthorized_shape)
            self.check_call(call, operation, handler, other_method)
            with self.world.records.lock:
                answer = handler(self.world, call)
            if not isinstance(answer, Response):
                answer = json_response(spelled(answer, settings.member_case), 200, JSON_PLAIN + "; charset=utf-8")
            if call.total is not None:
                answer.headers["X-Total-Count"] = str(call.total)
            answer.headers.update(version)
            return answer
        except Refused as refused:
            call.entry["error"] = refused.message
            return refusal(refused, settings.error_shape, version)
        except Exception:
            LOG.exception("%s %s failed", call.method, call.path)
            call.entry["error"] = "internal"
            return refusal(Refused(500, "An internal error occurred.", "0xA0000000"), "code", version)

    def authenticate(self, call):
        """Basic with the domain's user, or a bearer token."""
        logins = self.world.settings.logins
        scheme, _, value = call.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and "oauth" in logins:
            call.entry["login"] = "oauth"
            return self.tokens.accepts(call.headers["Authorization"])
        if scheme.lower() != "basic" or "basic" not in logins:
            return False
        call.entry["login"] = "basic"
        try:
            given = base64.b64decode(value.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        wanted = f"{self.credentials['login']}:{self.credentials['password']}"
        return hmac.compare_digest(given, wanted.encode("utf-8"))

    def check_call(self, call, operation, handler, other_method):
        """What has to be right of every call; parses the body."""
        settings = self.world.settings
        if call.headers.get("X-Keyfactor-Requested-With", "").lower() not in CLIENTS:
            raise Refused(settings.missing_header_status, "The X-Keyfactor-Requested-With header is required.")
        if call.headers.get("X-Keyfactor-Api-Version", "") not in VERSIONS:
            raise Refused(400, "The API version is not supported.")
        if handler is None:
            raise Refused(405 if other_method else 404, "There is no such endpoint.")
        if operation in settings.forbidden:
            raise Refused(403, f"User {self.world.login} doesn't have the required permission", PERMISSION)
        call.body = {}
        if call.raw_body:
            if call.headers.get("Content-Type", "").split(";")[0].strip().lower() != JSON_PLAIN:
                raise Refused(415, "The content type is not supported.")
            try:
                call.body = json.loads(call.raw_body)
            except (ValueError, RecursionError):
                raise Refused(400, "The request body is not valid JSON.") from None

    # ---- faults ----

    def error_of(self, fault):
        refused = Refused(fault.status, fault.description, fault.error_code or "0xA0000001")
        headers = {"Retry-After": str(fault.retry_after_s)} if fault.retry_after_s else {}
        return refusal(refused, self.world.settings.error_shape, headers)

    def after(self, fault, response):
        """`wrong-certificate` puts a stranger's into the answer."""
        if fault is None or fault.fault != "wrong-certificate" or not response.body:
            return super().after(fault, response)
        body = json.loads(response.body)
        chain = self.world.hierarchy.strangers_chain()
        leaf = chain.partition(b"-----END CERTIFICATE-----\n")
        pem = (leaf[0] + leaf[1]).decode("ascii")
        bare = "".join(pem.splitlines()[1:-1])
        if "CertificateInformation" in body:
            body["CertificateInformation"]["Certificates"] = [pem]
        elif "Content" in body:
            body["Content"] = base64.b64encode(chain).decode("ascii")
        else:
            for item in body if isinstance(body, list) else [body]:
                item["ContentBytes"] = bare
        return json_response(body, response.status, response.content_type)
