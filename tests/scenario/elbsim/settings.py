"""What the control port may change while the simulator runs; kept in a file over restarts."""

import dataclasses

import simkit.settings
from elbsim.wire import ELB_SHAPES, IAM_SHAPES

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
class Settings(simkit.settings.Settings):
    choices = CHOICES

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

    def check(self, checked):
        if not set(checked.get("permissions", [])) <= set(ACTIONS):
            raise ValueError("permissions: expected some of " + ", ".join(ACTIONS))
        if not set(checked.get("logins", [])) <= {"token", "aksk"}:
            raise ValueError("logins: expected token, aksk or both")
        if not all(isinstance(item, str) and len(item) == 32 for item in checked.get("projects", [])):
            raise ValueError("projects: expected ids of 32 characters")
