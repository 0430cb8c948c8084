"""What the control port may change while the simulator runs; kept in a file over restarts."""

import dataclasses
import json
import os
import threading

from elbsim.wire import ELB_SHAPES, IAM_SHAPES
from scmsim.files import write_atomically

ACTIONS = ("get", "list", "create", "update", "delete")
CHOICES = {
    "error_shape": ELB_SHAPES,
    "iam_shape": IAM_SHAPES,
    # The two codes the documents have for certificates and keys that are no good or do not fit together.
    "content_code": ("ELB.1011", "ELB.8902"),
    # A PUT of only a certificate, or only a key, that does not fit what is stored: not documented.
    "lone_mismatch": ("refuse", "accept"),
    # A private key for a type client object: the documents say both.
    "client_key": ("error", "ignore"),
    # The limits of `domain`: 1,024 characters and 30 names, later 10,000 and 100.
    "domain_rules": ("2024", "current"),
    "pem_form": ("single-line", "as-sent", "normalised"),
    # created_at and updated_at, or create_time and update_time as version 2 had it.
    "time_members": ("v3", "v2", "both"),
    # In the documents' own sample the fingerprint is not one of the sample's certificate.
    "fingerprint": ("sha1", "other"),
}


@dataclasses.dataclass
class Settings:
    error_shape: str = "v3"
    iam_shape: str = "keystone"
    content_code: str = "ELB.1011"
    lone_mismatch: str = "refuse"
    client_key: str = "error"
    domain_rules: str = "current"
    pem_form: str = "single-line"
    time_members: str = "v3"
    fingerprint: str = "sha1"
    private_key_echo: bool = True
    permissions: list = dataclasses.field(default_factory=lambda: list(ACTIONS))
    logins: list = dataclasses.field(default_factory=lambda: ["token", "aksk"])
    security_token: str = ""  # the access key is a temporary one that needs this
    projects: list = dataclasses.field(default_factory=list)  # ids of more projects that the user may use
    quota: int = 1000
    rate_limit: int = 0  # calls in a second; 0 is no limit
    list_lag: float = 0.0  # seconds until a list shows a new object
    token_lifetime: float = 86400.0
    token_bytes: int = 4000
    skew_seconds: float = 900.0
    ak_failures: int = 5
    ak_lock_seconds: float = 300.0

    def __post_init__(self):
        self.lock = threading.Lock()
        self.path = None

    def keep_in(self, path):
        """Takes what the file has, if it exists, and writes every change to it."""
        if os.path.exists(path):
            with open(path, encoding="utf-8") as stream:
                self.update(json.load(stream))
        self.path = path

    def update(self, changes):
        """Applies a JSON object of changes; ValueError names the first member that does not fit."""
        known = {field.name for field in dataclasses.fields(self)}
        checked = {}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"unknown setting {name}")
            present = getattr(self, name)
            if isinstance(present, float) and type(value) is int:
                value = float(value)
            if type(value) is not type(present):
                raise ValueError(f"{name}: expected {type(present).__name__}")
            if isinstance(value, (int, float)) and not 0 <= value <= 10 ** 9:
                raise ValueError(f"{name}: out of range")
            if name in CHOICES and value not in CHOICES[name]:
                raise ValueError(f"{name}: expected one of " + ", ".join(CHOICES[name]))
            checked[name] = value
        if not set(checked.get("permissions", [])) <= set(ACTIONS):
            raise ValueError("permissions: expected some of " + ", ".join(ACTIONS))
        if not set(checked.get("logins", [])) <= {"token", "aksk"}:
            raise ValueError("logins: expected token, aksk or both")
        if not all(isinstance(item, str) and len(item) == 32 for item in checked.get("projects", [])):
            raise ValueError("projects: expected ids of 32 characters")
        with self.lock:
            for name, value in checked.items():
                setattr(self, name, value)
            if self.path is not None:
                write_atomically(self.path, json.dumps(self.as_json()).encode("utf-8"))

    def as_json(self):
        return dataclasses.asdict(self)
