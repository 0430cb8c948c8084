"""What the control port may change while the simulator runs; kept in a file over restarts.

An enrollment can have values of its own for all of these (see Store.of), so that a test may spoil one enrollment only.
Times are in seconds and are multiplied by time_scale where a change waits for them.
"""

import dataclasses

import simkit.settings

CHOICES = {
    "timestamp_status": (400, 401),
    "location_prefix": ("/cps/v2/", "/cps-api/"),
    "id_type": ("integer", "string"),
    "changes_when_none": ("empty", "absent", "null"),
    "read_only_members": ("accept", "refuse"),
    "deploying_conflict": (500, 409),
    "renewal_window_status": (409, 400),
    "ack_reply": ("change", "empty", "no-content", "accepted"),
    "deny_result": ("cancelled", "error"),
    "wrong_hash_status": (400, 409),
    "key_mismatch": ("warning", "refuse"),
    "dv_spelling": ("coodinate", "coordinate"),
    "dv_state": ("awaiting-input", "running", "suspended"),
    "dv_check": ("told", "http", "dns", "any"),
    "state_style": ("documented", "mixed-case", "misspelt"),
    "status_style": ("documented", "mixed-case", "unknown"),
    "finished_status": ("complete", "completed"),
    "csr_only": ("", "RSA", "ECDSA"),
    "history_order": ("newest-first", "oldest-first"),
}
TEXT_LISTS = ("pre_warnings", "post_warnings")
MESSAGE_LISTS = ("validation_errors", "validation_warnings")
# Of the API as a whole: an enrollment cannot have its own.
GLOBAL = ("clock_offset", "skew_seconds", "timestamp_status", "rate_limit", "rate_window", "burst_limit",
          "burst_window", "problem_status", "gateway_grants")


@dataclasses.dataclass
class Settings(simkit.settings.Settings):
    choices = CHOICES
    lowest = {int: -10 ** 9, float: -1e9}

    # The gateway
    clock_offset: float = 0.0  # of the simulator's clock, its Date header included
    skew_seconds: float = 30.0
    timestamp_status: int = 400
    rate_limit: int = 35  # calls of an account in rate_window; 0 is no limit
    rate_window: float = 60.0
    burst_limit: int = 20
    burst_window: float = 2.0
    problem_status: bool = True  # problem documents have "status"
    gateway_grants: dict = dataclasses.field(default_factory=dict)  # client name -> read-write, read or none
    # How long the steps of a change take
    time_scale: float = 1.0
    start_delay: float = 0.2
    check_delay: float = 0.2
    csr_delay: float = 0.2  # the status already names the wait, but nothing is offered yet
    verify_delay: float = 0.2
    dv_interval: float = 0.5
    issue_delay: float = 0.2
    ov_delay: float = 0.5
    staging_delay: float = 0.3
    production_delay: float = 0.3
    ack_deadline: float = 86400.0
    dv_lifetime: float = 604800.0
    invalid_state_seconds: float = 0.0  # so long acks of pre-verification warnings answer 409
    finished_change_seconds: float = 1e9  # so long a finished change can still be read
    # What happens on the way
    pre_warnings: list = dataclasses.field(default_factory=list)
    post_warnings: list = dataclasses.field(default_factory=list)
    validation_errors: list = dataclasses.field(default_factory=list)
    validation_warnings: list = dataclasses.field(default_factory=list)
    key_mismatch: str = "warning"
    partial_upload: bool = True
    refuse_cr: bool = True
    csr_only: str = ""  # RSA or ECDSA: csr.v2 has only that one
    term_days: int = 365
    renewal_window: bool = False  # CPS is about to renew by itself: other changes need the override
    renewal_window_status: int = 409
    deploying_conflict: int = 500
    cancel_reverts: bool = True
    deny_result: str = "cancelled"
    ack_hash_required: bool = True
    wrong_hash_status: int = 400
    dv_check: str = "told"
    dv_http: str = ""  # ADDRESS:PORT that is asked for http-01, whatever the domain
    dv_dns: str = ""  # ADDRESS:PORT of the name server that is asked for dns-01
    # How it looks on the wire
    location_prefix: str = "/cps/v2/"
    id_type: str = "integer"
    changes_when_none: str = "empty"
    read_only_members: str = "accept"
    ack_reply: str = "change"
    dv_spelling: str = "coodinate"
    dv_state: str = "awaiting-input"
    state_style: str = "documented"
    status_style: str = "documented"
    finished_status: str = "complete"
    string_booleans: bool = True
    null_arrays: bool = False
    old_slots: bool = False  # "slots" instead of the three arrays
    history_order: str = "newest-first"

    def shaped(self, name, value):
        return messages_of(name, value) if name in MESSAGE_LISTS and isinstance(value, list) else value

    def check(self, checked):
        for name in TEXT_LISTS:
            if not all(isinstance(text, str) for text in checked.get(name, [])):
                raise ValueError(f"{name}: expected a list of texts")
        if not set(checked.get("gateway_grants", {}).values()) <= {"read-write", "read", "none"}:
            raise ValueError("gateway_grants: expected read-write, read or none for each client")


def messages_of(name, value):
    """Messages of a validation result; texts get the code that Akamai's samples have."""
    messages = []
    for item in value:
        if isinstance(item, str):
            item = {"message": item, "messageCode": "no-code"}
        if not isinstance(item, dict) or set(item) != {"message", "messageCode"}:
            raise ValueError(f"{name}: expected texts, or message and messageCode")
        messages.append(item)
    return messages
