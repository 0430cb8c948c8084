"""What the simulator is configured with, and what the control port may change while it runs."""

import dataclasses
import threading

COLLECT_FLAVOURS = ("0", "-103", "-109", "-130", "-169", "-183", "-1400", "empty")
LOGINS = ("password", "certificate", "oauth")
CHAIN_ORDERS = ("root-first", "leaf-first", "mixed")


@dataclasses.dataclass
class Settings:
    """Live settings. Delays are in seconds and apply to requests that are already waiting, too."""

    approval_delay: float = 1.0
    ca_delay: float = 2.0
    slow_delay: float = 60.0
    revoke_delay: float = 0.0
    replaced_status: str = "Issued"
    collect_lag: float = 0.0
    visibility_lag: float = 0.0
    collect_flavour: str = "0"
    chain_order: str = "root-first"
    crlf: bool = False
    base64_as_pem: bool = False
    omit_csr_details: bool = False
    unknown_id_status: int = 404
    revoked_again_code: int = -102
    list_default_size: int = 10
    password_state: str = "ALIVE"
    password_days: int = 90
    dcv_default: str = "VALIDATED"
    dcv_domains: dict = dataclasses.field(default_factory=dict)
    custom_fields: list = dataclasses.field(default_factory=list)
    profiles: list = dataclasses.field(default_factory=list)
    logins: list = dataclasses.field(default_factory=lambda: ["password", "certificate", "oauth"])
    token_lifetime: float = 300.0
    org_ids: list = dataclasses.field(default_factory=list)

    def __post_init__(self):
        self.lock = threading.Lock()

    def update(self, changes):
        """Applies a JSON object of changes; ValueError names the first member that does not fit."""
        known = {field.name: field for field in dataclasses.fields(self)}
        checked = {}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"unknown setting {name}")
            present = getattr(self, name)
            if isinstance(present, float) and isinstance(value, int) and not isinstance(value, bool):
                value = float(value)
            if name == "collect_flavour":
                value = str(value)
            if type(value) is not type(present):
                raise ValueError(f"{name}: expected {type(present).__name__}")
            if isinstance(value, float) and not 0 <= value <= 10 ** 9:
                raise ValueError(f"{name}: out of range")
            checked[name] = value
        if checked.get("collect_flavour", "0") not in COLLECT_FLAVOURS:
            raise ValueError("collect_flavour: expected one of " + ", ".join(COLLECT_FLAVOURS))
        if checked.get("chain_order", "mixed") not in CHAIN_ORDERS:
            raise ValueError("chain_order: expected one of " + ", ".join(CHAIN_ORDERS))
        if checked.get("replaced_status", "Issued") not in ("Issued", "Replaced"):
            raise ValueError("replaced_status: expected Issued or Replaced")
        if checked.get("unknown_id_status", 404) not in (400, 404):
            raise ValueError("unknown_id_status: expected 400 or 404")
        if checked.get("revoked_again_code", -102) not in (-102, -159):
            raise ValueError("revoked_again_code: expected -102 or -159")
        if not set(checked.get("logins", [])) <= set(LOGINS):
            raise ValueError("logins: expected some of " + ", ".join(LOGINS))
        with self.lock:
            for name, value in checked.items():
                setattr(self, name, value)

    def as_json(self):
        return dataclasses.asdict(self)

    def profile(self, profile_id):
        return next((item for item in self.profiles if item["id"] == profile_id), None)

    def fields_of(self, kind):
        """The custom fields of a class of certificates."""
        return [field for field in self.custom_fields if field.get("certType", "ssl") == kind]

    def dcv_status(self, name):
        """The DCV status that covers a host name: its own entry, else that of its nearest parent."""
        labels = name.lower().removeprefix("*.").split(".")
        if labels[0] == "nodcv":
            return "NOT_VALIDATED"
        for start in range(len(labels)):
            status = self.dcv_domains.get(".".join(labels[start:]))
            if status is not None:
                return status
        return self.dcv_default


def default_profiles(profile_id):
    """The profile a client is configured with, and a narrower one that refuses most keys and terms."""
    return [
        {"id": profile_id, "name": "OV SSL", "description": "Organization validated server certificates",
         "terms": [199, 365],
         "keyTypes": {"RSA": ["2048", "3072", "4096", "8192"], "EC": ["P-256", "P-384", "P-521"]},
         "useSecondaryOrgName": False},
        {"id": profile_id + 1, "name": "OV SSL RSA only",
         "description": "Server certificates for appliances", "terms": [90],
         "keyTypes": {"RSA": ["2048", "4096"]}, "useSecondaryOrgName": False},
    ]
