"""Responses."""

import dataclasses
import json

JSON_UTF8 = "application/json;charset=UTF-8"
JSON_PLAIN = "application/json"


@dataclasses.dataclass
class Response:
    """One HTTP answer; `wire` says what the front does with it: send, drop or truncate."""

    status: int = 200
    body: bytes = b""
    content_type: str = ""
    headers: dict = dataclasses.field(default_factory=dict)
    wire: str = "send"


def json_response(value, status=200, content_type=JSON_UTF8, **headers):
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    names = {name.replace("_", "-"): str(text) for name, text in headers.items()}
    return Response(status, body, content_type, names)


def no_content():
    return Response(204)
