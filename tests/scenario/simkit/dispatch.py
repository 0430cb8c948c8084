"""Calls, how often they were made, and the faults ordered for them."""

import collections
import dataclasses
import logging
import re
import threading
import time
import urllib.parse

from simkit import tokens
from simkit.faults import HTML
from simkit.wire import Response

LOG = logging.getLogger("simkit")


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
    """An API as a function from Call to Response: `handle`, which derived classes have. `world` is what the
    operations work on; a route is a method, a pattern of paths, the operation's name, and more."""

    def __init__(self, world, routes, faults, counters=None):
        self.world = world
        self.faults = faults
        self.counters = counters or Counters()
        self.routes = [(method, re.compile(pattern), *rest) for method, pattern, *rest in routes]

    def error_of(self, fault):
        """The API's answer with the error that a fault of kind "error" names."""
        raise NotImplementedError

    def route(self, method, path):
        """(operation, handler, groups, has the path another method), for APIs with a token endpoint."""
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
            return Response(200, HTML.format("Welcome").encode(), "text/html")
        if kind == "error":
            return self.error_of(fault)
        if kind.startswith("status-"):
            status = int(kind[7:10])
            headers = {"Retry-After": str(fault.retry_after_s)} if fault.retry_after_s else {}
            if kind.endswith("-html"):
                return Response(status, HTML.format(status).encode(), "text/html", headers)
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
