"""Misbehaviour ordered through the control port: which call suffers what, and how often."""

import dataclasses
import re
import threading

KINDS = re.compile(r"status-[45]\d\d(-html)?|html-200|error|delay|delay-after|drop-before|drop-after"
                   r"|truncate|wrong-certificate|empty|after-status-5\d\d")
HTML = ("<html><head><title>{0}</title></head><body><h1>{0}</h1>"
        "<p>upstream connect error or disconnect/reset before headers</p></body></html>\n")


@dataclasses.dataclass
class Fault:
    """`times` counts down to 0; -1 never ends. `operation` may be * for every operation.

    `name` limits it to calls about a request that has this name. A `retry_after_s` of 0 sends no
    Retry-After header.
    """

    operation: str
    fault: str
    times: int = 1
    code: int = -1
    description: str = "Unknown error."
    status: int = 400
    delay_s: float = 1.0
    retry_after_s: int = 0
    name: str = ""
    error_code: str = ""  # of "error", for APIs whose codes are words


class Faults:
    """The list of ordered faults, oldest first."""

    def __init__(self):
        self.lock = threading.Lock()
        self.pending = []

    def order(self, members):
        """Adds a fault out of a JSON object; ValueError says what does not fit."""
        types = {field.name: field.type for field in dataclasses.fields(Fault)}
        for name, value in members.items():
            if name not in types:
                raise ValueError(f"unknown member {name}")
            if isinstance(value, int) and not isinstance(value, bool) and types[name] is float:
                continue
            if type(value) is not types[name]:
                raise ValueError(f"{name}: expected {types[name].__name__}")
        if "operation" not in members or not KINDS.fullmatch(members.get("fault", "")):
            raise ValueError("operation and a known fault are required")
        fault = Fault(**members)
        if fault.times == 0 or not 0 <= fault.delay_s <= 86400 or not 200 <= fault.status <= 599:
            raise ValueError("times, delay_s or status out of range")
        with self.lock:
            self.pending.append(fault)

    def take(self, operation, names=()):
        """The next fault for an operation on these names, used up by one; None when there is none."""
        with self.lock:
            for fault in self.pending:
                if fault.operation in (operation, "*") and (not fault.name or fault.name in names):
                    fault.times -= fault.times > 0
                    if fault.times == 0:
                        self.pending.remove(fault)
                    return fault
        return None

    def clear(self):
        with self.lock:
            self.pending.clear()

    def as_json(self):
        with self.lock:
            return [dataclasses.asdict(fault) for fault in self.pending]
