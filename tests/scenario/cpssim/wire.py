"""Answers, problem documents and the vendor media types of CPS."""

import datetime
import json
import re
import uuid

from simkit.wire import Response, json_response

PROBLEM_TYPE = "application/problem+json"
TITLES = {400: "Bad Request", 401: "Not authorized", 403: "Forbidden", 404: "Not Found",
          405: "Method Not Allowed", 406: "Not Acceptable", 409: "Conflict",
          415: "Unsupported Media Type", 429: "Too Many Requests", 500: "Internal Server Error"}
VENDOR = re.compile(r"application/vnd\.akamai\.cps\.([a-z0-9.-]+)\+json", re.IGNORECASE)
GATEWAY_PROBLEMS = "https://problems.luna.akamaiapis.net/-/"


class Refused(Exception):
    """An answer with a problem document; `kind` is the last segment of its type, or a whole address."""

    def __init__(self, status, kind, detail=None, **members):
        super().__init__(f"{status} {kind} {detail}")
        self.status = status
        self.kind = kind
        self.detail = detail
        self.members = members
        self.headers = {}

    def response(self, host, with_status=True):
        kind = self.kind if "://" in self.kind else f"https://{host}/cps/v2/error-types/{self.kind}"
        body = {"type": kind, "title": TITLES.get(self.status, "Error"),
                "instance": f"{kind}?id={uuid.uuid4().hex[:8]}", **self.members}
        if self.detail is not None:
            body["detail"] = self.detail
        # CPS leaves the status out of many of its documents.
        if with_status:
            body["status"] = self.status
        response = json_response(body, self.status, PROBLEM_TYPE)
        response.headers.update(self.headers)
        return response


def not_found():
    return Refused(404, "not-found")


def gateway_refusal(status, kind, detail, call, **members):
    """What the gateway before CPS says: its documents have members of their own."""
    return Refused(status, GATEWAY_PROBLEMS + kind, detail, method=call.method, requestId=uuid.uuid4().hex[:8],
                   clientIp="127.0.0.1", serverIp="127.0.0.1", **members)


def vendor_names(header):
    """The names of the vendor types in an Accept or Content-Type header; parameters are left out."""
    names = []
    for item in (header or "").split(","):
        match = VENDOR.fullmatch(item.split(";")[0].strip())
        if match:
            names.append(match[1].lower())
    return names


def vendor_type(name):
    return f"application/vnd.akamai.cps.{name}+json"


def answer(value, name, status=200):
    return json_response(value, status, vendor_type(name))


def no_body(status=200):
    return Response(status)


def json_object(raw):
    """The JSON object that is a request's body."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        raise Refused(400, "malformed-json", "The body is not valid JSON.") from None
    if not isinstance(value, dict):
        raise Refused(400, "malformed-json", "The body is not a JSON object.")
    return value


def flag(query, name):
    """A boolean query parameter; absent is false."""
    value = query.get(name, "false").lower()
    if value not in ("true", "false"):
        raise Refused(400, "invalid-query-parameter", f"{name} must be true or false.")
    return value == "true"


def time_text(epoch):
    moment = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def time_of(text):
    """Seconds of a date or a time in UTC; ValueError."""
    text = text.strip()
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        text += "T00:00:00Z"
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    return moment.timestamp()
