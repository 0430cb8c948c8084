"""Errors in the shapes of Command, the spelling of member names, checks of JSON members, dates."""

import datetime
import re

from simkit.faults import HTML
from simkit.wire import JSON_PLAIN, Response, json_response

PERMISSION = "0xA0140002"
NO_GUID = "00000000-0000-0000-0000-000000000000"
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z")


class Refused(Exception):
    """An answer with an error; `failed` are the reasons of FailedOperations."""

    def __init__(self, status, message, code="0xA0000001", failed=()):
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.failed = list(failed)


def refusal(refused, shape="code", headers=None):
    """The answer to what was refused. What names failed operations does so in every shape."""
    if shape == "html":
        text = f"{refused.status} {refused.message}"
        return Response(refused.status, HTML.format(text).encode("utf-8"), "text/html", headers or {})
    body = {"Message": refused.message}
    if refused.failed or shape == "failed":
        body = {"Message": "The operation failed." if not refused.failed else refused.message,
                "FailedOperations": [{"Reason": reason} for reason in refused.failed or [refused.message]]}
    elif shape == "code":
        body = {"ErrorCode": refused.code, "Message": refused.message}
    answer = json_response(body, refused.status, content_type=JSON_PLAIN + "; charset=utf-8")
    answer.headers.update(headers or {})
    return answer


def unauthorized(shape):
    if shape == "html":
        return Response(401, HTML.format("401 - Unauthorized: Access is denied").encode(), "text/html",
                        {"WWW-Authenticate": 'Basic realm="Command"'})
    if shape == "text":
        return Response(401, b"Unknown identity provider.", "text/plain")
    if shape == "json":
        return refusal(Refused(401, "The credentials are not valid."), "message")
    return Response(401)


def spelled(value, case):
    """A reply's members in the spelling that is set; names of metadata fields are nobody's to spell."""
    if isinstance(value, list):
        return [spelled(item, case) for item in value]
    if not isinstance(value, dict) or case == "pascal":
        return value
    return {name[:1].lower() + name[1:]: item if name == "Metadata" else spelled(item, case)
            for name, item in value.items()}


class Body:
    """The members of a request's body, found without regard to case; what nobody asked for is refused."""

    def __init__(self, value, allowed):
        if not isinstance(value, dict):
            raise Refused(400, "The request body is not valid: expected an object.")
        names = {name.lower(): name for name in allowed}
        self.members = {}
        for name, item in value.items():
            if name.lower() not in names:
                raise Refused(400, f"The request body is not valid: unknown member '{name}'.")
            if names[name.lower()] in self.members:
                raise Refused(400, f"The request body is not valid: '{name}' is given twice.")
            self.members[names[name.lower()]] = item

    def has(self, name):
        return self.members.get(name) is not None

    def get(self, name, kind, required=False):
        """A member of a type, None when it is absent and may be."""
        value = self.members.get(name)
        if value is None:
            if required:
                raise Refused(400, f"The {name} field is required.")
            return None
        if type(value) is not kind:
            raise Refused(400, f"The value of {name} is not valid.")
        return value

    def text(self, name, required=False, longest=65536):
        value = self.get(name, str, required)
        if value is not None and (len(value) > longest or (required and not value.strip())):
            raise Refused(400, f"The {name} field is required." if not value.strip() else f"{name} is too long.")
        return value


def parse_time(text):
    """Seconds since the epoch of an ISO 8601 UTC time; ValueError for what is none."""
    if not ISO.fullmatch(text):
        raise ValueError(text)
    moment = datetime.datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")
    return moment.replace(tzinfo=datetime.timezone.utc).timestamp()


def time_text(epoch):
    """Command leaves out the zone in what it answers."""
    return datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


def check_timestamp(body, now, skew):
    text = body.text("Timestamp", required=True)
    try:
        moment = parse_time(text)
    except ValueError:
        raise Refused(400, "Timestamp: expected an ISO 8601 UTC time.") from None
    if abs(moment - now) > skew:
        raise Refused(400, f"The timestamp {text} is too far from the server's time.")
