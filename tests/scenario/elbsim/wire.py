"""Answers and errors in the shapes that ELB, the gateway before it and IAM use on the wire."""

import datetime
import json
import uuid

from simkit.wire import JSON_PLAIN, Response, json_response

ELB_SHAPES = ("v3", "old", "plain")
IAM_SHAPES = ("keystone", "huawei")
TITLES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict",
          429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable"}


class Refused(Exception):
    """An answer with an error body; `code` is as "ELB.8902"."""

    def __init__(self, status, code, message, **members):
        super().__init__(f"{status} {code} {message}")
        self.status = status
        self.code = code
        self.message = message
        self.members = members

    def elb_body(self, shape, request_id):
        if shape == "old":
            return {"error": {"code": self.code, "message": self.message}}
        if shape == "plain":
            return {"code": self.code, "message": self.message}
        return {"error_msg": self.message, "error_code": self.code, "request_id": request_id, **self.members}

    def iam_body(self, shape):
        if shape == "huawei":
            return {"error_code": self.code, "error_msg": self.message}
        return {"error": {"code": self.status, "message": self.message,
                          "title": TITLES.get(self.status, "Error")}}


def wrong_value(name, why):
    return Refused(400, "ELB.8902", f"Invalid input for {name}: {why}.")


def answer(value, status=200, **headers):
    """A JSON answer; a number of the request is added as member and header."""
    request_id = str(uuid.uuid4())
    response = json_response({**value, "request_id": request_id}, status, JSON_PLAIN, **headers)
    response.headers["X-Request-Id"] = request_id
    return response


def refusal(refused, service, settings, retry_after_s=0):
    request_id = str(uuid.uuid4())
    body = (refused.iam_body(settings.iam_shape) if service == "iam"
            else refused.elb_body(settings.error_shape, request_id))
    response = json_response(body, refused.status, JSON_PLAIN)
    response.headers["X-Request-Id"] = request_id
    if retry_after_s:
        response.headers["Retry-After"] = str(retry_after_s)
    return response


def no_content():
    return Response(204, headers={"X-Request-Id": str(uuid.uuid4())})


def json_object(body, status_code=(400, "ELB.8902")):
    """The JSON object that is a request's body."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(*status_code, "The request body is not valid JSON.") from None
    if not isinstance(value, dict):
        raise Refused(*status_code, "The request body is not a JSON object.")
    return value


def time_text(epoch):
    moment = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
