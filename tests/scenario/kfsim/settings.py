"""What the simulator is configured with, and what the control port may change while it runs."""

import dataclasses

import simkit.settings

CHOICES = {
    "certificate_shape": ("pem", "base64", "text"),
    "chain_order": ("leaf-first", "root-first", "mixed"),
    "id_spelling": ("KeyfactorID", "KeyfactorId"),
    "renew_spelling": ("KeyfactorID", "KeyfactorId"),
    # The spelling of all members: as documented, or folded as newer clients expect.
    "member_case": ("pascal", "camel"),
    # Who has to agree to an enrollment; labels of the names choose for one.
    "approval": ("none", "ca", "workflow", "external"),
    "external_disposition": ("EXTERNAL_VALIDATION", "EXTERNAL VALIDATION", "PENDING"),
    # How a refusal of the CA at the enrollment itself is said.
    "refusal": ("error", "disposition"),
    # Whether the names of the body are added to, or stand in for, those of the CSR, or are not looked at.
    "san_policy": ("merge", "replace", "csr"),
    "renew_key": ("new", "same"),
    "pem_content": ("base64", "text"),
    # What Workflow/Certificates/{id} says of a request that was issued.
    "issued_request": ("Active", "gone"),
    "revoke_again": ("error", "ok"),
    "revoke_answer": ("ids", "empty"),
    "error_shape": ("code", "message", "failed", "html"),
    "unauthorized_shape": ("html", "empty", "text", "json"),
    "missing_header_status": (400, 403),
}
LOGINS = ("basic", "oauth")
EC_CURVES = ("P-256", "P-384", "P-521")


def default_authorities():
    """One that is asked by its template, and a stand-alone one."""
    return [{"Id": 1, "Name": "ca01.example.test\\IssuingCA1", "Templates": ["WebServer", "ShortWeb"],
             "StandAlone": False},
            {"Id": 2, "Name": "ca02.example.test\\StandAloneCA", "Templates": ["WebServer"], "StandAlone": True}]


def default_templates():
    return [{"Id": 7, "ShortName": "WebServer", "DisplayName": "Web Server (ACME)", "Days": 365,
             "RSA": [2048, 3072, 4096, 8192], "ECC": list(EC_CURVES), "SANRegex": "", "Fields": []},
            {"Id": 8, "ShortName": "ShortWeb", "DisplayName": "Short Web", "Days": 30, "RSA": [2048], "ECC": ["P-256"],
             "SANRegex": r"[a-z0-9.*-]+\.localhost",
             "Fields": [{"Name": "Department", "Required": True}, {"Name": "Room", "Required": False}]}]


def default_fields():
    """DataType: 1 string, 2 integer, 4 boolean. Enrollment: 0 optional, 1 required."""
    return [{"Name": "AcmeOrder", "DataType": 1, "Enrollment": 0}, {"Name": "Team", "DataType": 1, "Enrollment": 0},
            {"Name": "CostCentre", "DataType": 2, "Enrollment": 0}, {"Name": "Public", "DataType": 4, "Enrollment": 0}]


@dataclasses.dataclass
class Settings(simkit.settings.Settings):
    """Live settings; times are in seconds."""

    choices = CHOICES

    product_version: str = "25.1.0.0"
    certificate_shape: str = "pem"
    chain_order: str = "leaf-first"
    include_root: bool = True
    id_spelling: str = "KeyfactorID"
    renew_spelling: str = "KeyfactorId"
    member_case: str = "pascal"
    approval: str = "none"
    external_disposition: str = "EXTERNAL_VALIDATION"
    refusal: str = "error"
    workflow_members: bool = True  # whether replies to an enrollment have WorkflowInstanceId and the like
    pending_metadata: bool = True  # whether lists of open requests show their metadata
    san_policy: str = "merge"
    sync_delay: float = 0.0  # until what was approved is among the certificates; a long one is ended by /sync
    list_lag: float = 0.0  # until lists show what was issued at once
    issued_request: str = "Active"
    available_renewal: int = 2
    renew_key: str = "new"
    renew_metadata: bool = True  # whether a renewed certificate gets the metadata of its predecessor
    pem_content: str = "base64"
    content_bytes: bool = True
    revoke_approval: bool = False
    revoke_again: str = "error"
    revoke_answer: str = "ids"
    refused_reasons: list = dataclasses.field(default_factory=list)
    metadata_status: int = 204
    page_limit: int = 50
    timestamp_skew: float = 300.0
    owner_required: bool = False
    owner_roles: list = dataclasses.field(default_factory=lambda: [{"Id": 2, "Name": "pki-owners"}])
    authorities: list = dataclasses.field(default_factory=default_authorities)
    templates: list = dataclasses.field(default_factory=default_templates)
    patterns: list = dataclasses.field(
        default_factory=lambda: [{"Id": 3, "Name": "Web", "Template": "WebServer", "CertificateAuthority": 1},
                                 {"Id": 4, "Name": "Alone", "Template": "WebServer", "CertificateAuthority": 2}])
    metadata_fields: list = dataclasses.field(default_factory=default_fields)
    logins: list = dataclasses.field(default_factory=lambda: list(LOGINS))
    token_lifetime: float = 300.0
    error_shape: str = "code"
    unauthorized_shape: str = "html"
    missing_header_status: int = 400
    forbidden: list = dataclasses.field(default_factory=list)  # operations that the caller's role may not use

    def check(self, checked):
        if not set(checked.get("logins", [])) <= set(LOGINS):
            raise ValueError("logins: expected some of " + ", ".join(LOGINS))
        if checked.get("available_renewal", 0) > 2:
            raise ValueError("available_renewal: expected 0, 1 or 2")

    @property
    def has_patterns(self):
        """Enrollment patterns and owners came with version 25."""
        return int(self.product_version.split(".")[0]) >= 25

    def authority(self, name):
        """By host\\logical name, or by the logical name alone; neither with regard to case."""
        wanted = name.lower()
        return next((one for one in self.authorities
                     if wanted in (one["Name"].lower(), one["Name"].lower().partition("\\")[2])), None)

    def template(self, short_name):
        return next((one for one in self.templates if one["ShortName"].lower() == short_name.lower()), None)

    def pattern(self, pattern_id):
        return next((one for one in self.patterns if one["Id"] == pattern_id), None)
