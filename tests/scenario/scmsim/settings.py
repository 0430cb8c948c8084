"""What the simulator is configured with, and what the control port may change while it runs."""

import dataclasses

import simkit.settings

LOGINS = ("password", "certificate", "oauth")
CHOICES = {
    "collect_flavour": ("0", "-103", "-109", "-130", "-169", "-183", "-1400", "empty"),
    "chain_order": ("root-first", "leaf-first", "mixed"),
    "replaced_status": ("Issued", "Replaced"),
    "unknown_id_status": (400, 404),
    "revoked_again_code": (-102, -159),
}


@dataclasses.dataclass
class Settings(simkit.settings.Settings):
    """Live settings. Delays are in seconds and apply to requests that are already waiting, too."""

    choices = CHOICES
    lowest = {int: -10 ** 9, float: 0.0}

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

    def shaped(self, name, value):
        return str(value) if name == "collect_flavour" else value

    def check(self, checked):
        if not set(checked.get("logins", [])) <= set(LOGINS):
            raise ValueError("logins: expected some of " + ", ".join(LOGINS))

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
