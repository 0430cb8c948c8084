"""Operations that make certificates: enrollment with a CSR, renewal, and what tells a client how to ask for them."""

import ipaddress
import re
import secrets
import time

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from kfsim import shapes
from kfsim.records import key_sha256, labels_of
from kfsim.wire import Body, Refused, check_timestamp
from scmsim.csr import CURVES, Csr, check_name
from scmsim.wire import ApiError

CSR_MEMBERS = ("CSR", "CertificateAuthority", "Template", "EnrollmentPatternId", "OwnerRoleId", "OwnerRoleName",
               "Timestamp", "IncludeChain", "SANs", "Metadata", "AdditionalEnrollmentFields", "PrivateKey")
RENEW_MEMBERS = ("CertificateId", "Thumbprint", "Timestamp", "CertificateAuthority", "Template")
SAN_KINDS = ("dns", "ip", "ip4", "ip6", "uri", "rfc822", "other", "x400", "directory", "ediparty", "registeredid",
             "ms_ntprincipalname", "ms_ntdsreplication")
FORMATS = ("PEM", "DER", "P7B")
LONGEST_METADATA = 400


def wanted_format(call):
    fmt = call.headers.get("X-CertificateFormat", "").upper()
    if fmt not in FORMATS:
        raise Refused(400, "The x-certificateformat header must be one of PEM, DER, P7B.")
    return fmt


def read_csr(text):
    try:
        return Csr(text)
    except ApiError as error:
        raise Refused(400, f"The CSR could not be parsed: {error.description}") from None


def names_of_csr(csr):
    request = x509.load_pem_x509_csr(csr.pem.encode("ascii"))
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return (names.get_values_for_type(x509.DNSName)
            + [str(address) for address in names.get_values_for_type(x509.IPAddress)])


def names_of_body(body):
    """The names of the SANs member: those a server certificate may have."""
    given, names = body.get("SANs", dict) or {}, []
    for kind, values in given.items():
        if kind.lower() not in SAN_KINDS:
            raise Refused(400, f"SANs: '{kind}' is not a type of name.")
        if not isinstance(values, list) or not all(isinstance(value, str) and value for value in values):
            raise Refused(400, f"SANs: {kind} must be an array of strings.")
        if kind.lower() not in ("dns", "ip", "ip4", "ip6") and values:
            raise Refused(400, f"SANs: the policy does not allow names of the type {kind}.")
        for value in values:
            if kind.lower().startswith("ip"):
                try:
                    address = ipaddress.ip_address(value)
                except ValueError:
                    raise Refused(400, f"SANs: '{value}' is not an IP address.") from None
                if kind.lower() not in ("ip", f"ip{address.version}"):
                    raise Refused(400, f"SANs: '{value}' is not an address of the type {kind}.")
                value = str(address)
            names.append(value)
    return names


def merged(settings, csr, body):
    from_csr, from_body = names_of_csr(csr), names_of_body(body)
    chosen = {"merge": from_csr + from_body, "replace": from_body or from_csr, "csr": from_csr}[settings.san_policy]
    names = list(dict.fromkeys(name.lower() for name in chosen))
    if not names:
        raise Refused(400, "The request has no subject alternative names.")
    return names


def check_names(names, template):
    for name in names:
        try:
            check_name(name)
        except ApiError:
            raise Refused(400, f"The SAN '{name}' is not valid.") from None
        if template["SANRegex"] and not re.fullmatch(template["SANRegex"], name):
            raise Refused(400, f"The SAN '{name}' does not match the regular expression of template "
                               f"{template['ShortName']}: {template['SANRegex']}")


def check_key(public_key, template):
    if isinstance(public_key, rsa.RSAPublicKey):
        kind, size = "RSA", public_key.key_size
    elif isinstance(public_key, ec.EllipticCurvePublicKey):
        kind, size = "ECC", CURVES.get(public_key.curve.name, public_key.curve.name)
    else:
        raise Refused(400, "The key type of the CSR is not supported.")
    if size not in template[kind]:
        raise Refused(400, f"The key size {kind} {size} of the CSR is not allowed by template {template['ShortName']}.")


def checked_metadata(settings, metadata, complete):
    """The metadata of a body; `complete` asks for the required fields, too."""
    known = {field["Name"]: field for field in settings.metadata_fields}
    checks = {1: lambda value: isinstance(value, str) and len(value) <= LONGEST_METADATA,
              2: lambda value: re.fullmatch(r"-?\d{1,9}", str(value)) and not isinstance(value, bool),
              4: lambda value: str(value).lower() in ("true", "false")}
    for name, value in metadata.items():
        if name not in known:
            raise Refused(400, f"Metadata field '{name}' does not exist.")
        if not checks[known[name]["DataType"]](value):
            raise Refused(400, f"The value of metadata field '{name}' is not valid.")
    for name, field in known.items():
        if complete and field["Enrollment"] == 1 and metadata.get(name) in (None, ""):
            raise Refused(400, f"Metadata field '{name}' is required.")
    return {name: str(value) for name, value in metadata.items()}


def check_fields(template, fields):
    known = {field["Name"]: field for field in template["Fields"]}
    for name, value in fields.items():
        if name not in known or not isinstance(value, (str, int)):
            raise Refused(400, f"Additional enrollment field '{name}' is not one of template {template['ShortName']}.")
    for name, field in known.items():
        if field["Required"] and fields.get(name) in (None, ""):
            raise Refused(400, f"Additional enrollment field '{name}' is required.")


def check_owner(settings, body):
    number, name = body.get("OwnerRoleId", int), body.text("OwnerRoleName")
    if not settings.has_patterns:
        return
    if number is None and name is None:
        if settings.owner_required:
            raise Refused(400, "An owner role is required.")
    elif not any(number in (None, role["Id"]) and name in (None, role["Name"]) for role in settings.owner_roles):
        raise Refused(400, "The owner role does not exist.")


def source_of(settings, body, patterns=True):
    """(authority, template) that a body asks for; by pattern where there are any."""
    pattern, template, authority = None, None, None
    if patterns and body.has("EnrollmentPatternId"):
        if not settings.has_patterns:
            raise Refused(400, "The request body is not valid: unknown member 'EnrollmentPatternId'.")
        pattern = settings.pattern(body.get("EnrollmentPatternId", int))
        if pattern is None:
            raise Refused(400, "The enrollment pattern does not exist.")
        template = settings.template(pattern["Template"])
    if body.has("Template"):
        named = settings.template(body.text("Template"))
        if named is None or (template and named is not template):
            raise Refused(400, "certificate template not found")
        template = named
    if template is None:
        raise Refused(400, "Either a template or an enrollment pattern is required.")
    if body.has("CertificateAuthority"):
        authority = settings.authority(body.text("CertificateAuthority"))
        if authority is None or (pattern and authority["Id"] != pattern["CertificateAuthority"]):
            raise Refused(400, "The certificate authority was not found.")
    elif pattern:
        authority = next(one for one in settings.authorities if one["Id"] == pattern["CertificateAuthority"])
        if authority["StandAlone"]:
            raise Refused(400, "The certificate authority is required: it is a stand-alone CA.")
    else:
        raise Refused(400, "The certificate authority is required.")
    if template["ShortName"] not in authority["Templates"]:
        raise Refused(400, f"The template {template['ShortName']} is not available at {authority['Name']}.")
    return authority, template


def disposition(settings, request):
    """(RequestDisposition, DispositionMessage)"""
    if request.state == "Active":
        return "ISSUED", "The certificate was issued."
    if request.state == "ExternalValidation":
        return settings.external_disposition, "The request is waiting for external validation."
    if request.state in ("Denied", "Failed"):
        return request.state.upper(), request.comment
    return "PENDING", "The request is pending approval."


def refuse(settings, request):
    """A CA that says no at once: an error, or a reply without a certificate."""
    if request.state in ("Denied", "Failed") and settings.refusal == "error":
        raise Refused(400 if request.state == "Denied" else 500, request.comment)


def noted(world, call, request):
    """What the journal says of a request that was made."""
    certificate = world.records.certificates.get(request.certificate_id)
    call.entry["effect"] = {
        "kind": "enrolled" if request.csr else "renewed", "request": request.id, "certificate": request.certificate_id,
        "csr_sha256": request.csr_sha256, "names": request.names, "metadata": request.metadata,
        "renewed_from": request.renewed_from or None,
        "key_sha256": certificate.public_key_sha256 if certificate else None}


def enroll(world, call):
    settings = world.settings
    fmt = wanted_format(call)
    body = Body(call.body, CSR_MEMBERS)
    check_timestamp(body, time.time(), settings.timestamp_skew)
    if body.has("PrivateKey"):
        raise Refused(400, "A private key is not expected here.")
    csr = read_csr(body.text("CSR", required=True))
    authority, template = source_of(settings, body)
    include_chain = bool(body.get("IncludeChain", bool))
    check_owner(settings, body)
    names = merged(settings, csr, body)
    check_names(names, template)
    check_key(csr.public_key, template)
    metadata = checked_metadata(settings, body.get("Metadata", dict) or {}, complete=True)
    check_fields(template, body.get("AdditionalEnrollmentFields", dict) or {})
    request = world.records.submit(
        csr=csr.pem, csr_sha256=csr.sha256, names=names, common_name=csr.common_name or names[0],
        authority=authority["Name"], template=template["ShortName"], days=template["Days"], requester=world.login,
        metadata=metadata, public_key=csr.public_key)
    noted(world, call, request)
    refuse(settings, request)
    return csr_reply(world, request, include_chain, fmt)


def csr_reply(world, request, include_chain, fmt):
    settings = world.settings
    certificate = world.records.certificates.get(request.certificate_id)
    word, message = disposition(settings, request)
    issued = certificate is not None
    # The CA has given no number to what a workflow has not let through; what is issued has none any more.
    number = 0 if issued or not request.at_ca else request.id
    information = {
        "SerialNumber": certificate.serial if issued else None,
        "IssuerDN": certificate.parsed.issuer.rfc4514_string() if issued else None,
        "Thumbprint": certificate.thumbprint if issued else None,
        settings.id_spelling: certificate.id if issued else 0, "KeyfactorRequestId": number,
        "Certificates": shapes.enrolled(settings, world.hierarchy, certificate.parsed, include_chain, fmt)
        if issued else None,
        "RequestDisposition": word, "DispositionMessage": message, "EnrollmentContext": None}
    if settings.workflow_members:
        information.update(WorkflowInstanceId=request.workflow, WorkflowReferenceId=request.reference,
                           Url=f"https://command.example.test/Portal/CertificateCollection/{request.certificate_id}")
    return {"CertificateInformation": information, "Metadata": request.metadata}


# ---- renewals ----

def renewal_of(settings, certificate):
    """AvailableRenewalType: 0 none, 1 with CA and template given, 2 without, too."""
    labels = labels_of(certificate.names)
    if "norenew" in labels or certificate.revoked:
        return 0
    return 1 if "seeded" in labels else settings.available_renewal


def certificate_named(world, number=None, thumbprint=None):
    certificate = (world.records.certificate(number) if number is not None
                   else world.records.by_thumbprint(thumbprint))
    if certificate is None:
        raise Refused(404, "The certificate was not found.")
    return certificate


def available_renewal(world, call):
    number = int(call.groups["id"]) if "id" in call.groups else None
    certificate = certificate_named(world, number, call.groups.get("thumbprint"))
    kind = renewal_of(world.settings, certificate)
    return {"AvailableRenewalType": kind, "Message": ("The certificate can not be renewed.", "Seeded renewal.",
                                                      "One-click renewal.")[kind]}


def renewed_key(settings, certificate):
    """A new key that Command keeps, or, as some CAs have it, the key of the certificate."""
    labels = labels_of(certificate.names)
    how = "same" if "samekey" in labels else "new" if "otherkey" in labels else settings.renew_key
    return certificate.parsed.public_key() if how == "same" else ec.generate_private_key(ec.SECP256R1()).public_key()


def renew(world, call):
    settings = world.settings
    body = Body(call.body, RENEW_MEMBERS)
    check_timestamp(body, time.time(), settings.timestamp_skew)
    number, thumbprint = body.get("CertificateId", int), body.text("Thumbprint")
    if (number is None) == (thumbprint is None):
        raise Refused(400, "Either the CertificateId or the Thumbprint is required, but not both.")
    certificate = certificate_named(world, number, thumbprint)
    kind = renewal_of(settings, certificate)
    if kind == 0:
        raise Refused(400, "The certificate can not be renewed.")
    if kind == 1 or body.has("CertificateAuthority") or body.has("Template"):
        authority, template = source_of(settings, body, patterns=False)
    else:
        authority, template = settings.authority(certificate.authority), settings.template(certificate.template)
    key = renewed_key(settings, certificate)
    metadata = certificate.metadata if settings.renew_metadata else {}
    request = world.records.submit(
        csr="", csr_sha256="", names=certificate.names, common_name=certificate.common_name,
        authority=authority["Name"], template=template["ShortName"], days=template["Days"], requester=world.login,
        metadata=metadata, public_key=key, renewed_from=certificate.id)
    noted(world, call, request)
    refuse(settings, request)
    made = world.records.certificates.get(request.certificate_id)
    word, message = disposition(settings, request)
    password = secrets.token_urlsafe(12)
    world.add_secret(password)
    spelling = settings.renew_spelling
    number = 0 if made or not request.at_ca else request.id
    reply = {spelling: made.id if made else 0, spelling.replace("Keyfactor", "KeyfactorRequest"): number,
             "Thumbprint": made.thumbprint if made else None, "SerialNumber": made.serial if made else None,
             "IssuerDN": made.parsed.issuer.rfc4514_string() if made else None, "RequestDisposition": word,
             "DispositionMessage": "The private key was successfully retained." if made else message,
             "Password": password}
    if settings.workflow_members:
        reply.update(WorkflowInstanceId=request.workflow, WorkflowReferenceId=request.reference)
    return reply


# ---- what a client may ask for ----

def context(world, _):
    """Templates and CAs the caller may use."""
    settings = world.settings
    return {"Templates": [
        {"Id": template["Id"], "Name": template["ShortName"], "DisplayName": template["DisplayName"],
         "RequiresApproval": settings.approval != "none",
         "CAs": [{"Id": one["Id"], "Name": one["Name"]} for one in settings.authorities
                 if template["ShortName"] in one["Templates"]],
         "EnrollmentFields": [{"Id": number, "Name": field["Name"], "Options": [], "DataType": 1}
                              for number, field in enumerate(template["Fields"], 1)],
         "MetadataFields": [], "Regexes": regexes(template)} for template in settings.templates],
        "StandaloneCAs": [{"Id": one["Id"], "Name": one["Name"], "RFCEnforcement": False}
                          for one in settings.authorities if one["StandAlone"]]}


def regexes(template):
    if not template["SANRegex"]:
        return []
    return [{"TemplateId": template["Id"], "SubjectPart": "SAN", "Regex": template["SANRegex"],
             "Error": f"The SAN must match {template['SANRegex']}", "CaseSensitive": False}]


def enrollment_settings(world, call):
    template = next((one for one in world.settings.templates if str(one["Id"]) == call.groups["id"]), None)
    if template is None:
        raise Refused(404, "certificate template not found")
    return {"TemplateRegexes": regexes(template), "TemplateDefaults": [], "TemplatePolicy": {
        "AllowKeyReuse": True, "AllowWildcards": True, "RFCEnforcement": False, "KeyInfo": {
            "RSA": {"BitLengths": template["RSA"]}, "ECC": {"Curves": template["ECC"]}}}}


def patterns(world, call):
    """GET EnrollmentPatterns?QueryString=Name -eq "Web"; since version 25."""
    settings = world.settings
    if not settings.has_patterns:
        raise Refused(404, "Not found.")
    found = world.page_of(settings.patterns, call, "", lambda one: {"name": one["Name"], "id": one["Id"]})
    return [about_pattern(settings, one) for one in found]


def one_pattern(world, call):
    found = world.settings.pattern(int(call.groups["id"])) if world.settings.has_patterns else None
    if found is None:
        raise Refused(404, "The enrollment pattern does not exist.")
    return about_pattern(world.settings, found)


def about_pattern(settings, one):
    return {"Id": one["Id"], "Name": one["Name"], "Description": "", "Template": {
        "Id": settings.template(one["Template"])["Id"], "CommonName": one["Template"]},
        "CertificateAuthorities": [authority["Name"] for authority in settings.authorities
                                   if authority["Id"] == one["CertificateAuthority"]]}


def parse_csr(_, call):
    body = Body(call.body, ("CSR",))
    csr = read_csr(body.text("CSR", required=True))
    request = x509.load_pem_x509_csr(csr.pem.encode("ascii"))
    return [request.subject.rfc4514_string()] + names_of_csr(csr)


def key_of_csr(text):
    """SHA-256 of the public key of a CSR, for the control port."""
    return key_sha256(x509.load_pem_x509_csr(text.encode("ascii")).public_key()) if text else None


ROUTES = [
    ("POST", r"/enrollment/csr", "enroll", enroll),
    ("POST", r"/enrollment/csr/parse", "parse", parse_csr),
    ("GET", r"/enrollment/csr/context/my", "context", context),
    ("POST", r"/enrollment/renew", "renew", renew),
    ("GET", r"/enrollment/availablerenewal/id/(?P<id>\d{1,9})", "available-renewal", available_renewal),
    ("GET", r"/enrollment/availablerenewal/thumbprint/(?P<thumbprint>[0-9a-f]{40})", "available-renewal",
     available_renewal),
    ("GET", r"/enrollment/settings/(?P<id>\d{1,9})", "enrollment-settings", enrollment_settings),
    ("GET", r"/enrollmentpatterns", "patterns", patterns),
    ("GET", r"/enrollmentpatterns/(?P<id>\d{1,9})", "patterns", one_pattern),
]
