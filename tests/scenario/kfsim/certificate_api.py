"""Operations on certificates: lists, one, download, metadata, revocation."""

import time

from kfsim import shapes
from kfsim.enroll_api import certificate_named, checked_metadata, wanted_format
from kfsim.records import labels_of
from kfsim.shapes import der_base64
from kfsim.wire import Body, Refused, parse_time, time_text
from simkit.wire import no_content

REASONS = (-1, 0, 1, 2, 3, 4, 5, 6, 7)
DOWNLOAD_MEMBERS = ("CertID", "Thumbprint", "SerialNumber", "IssuerDN", "IncludeChain", "ChainOrder")
REVOKE_MEMBERS = ("CertificateIds", "Reason", "Comment", "EffectiveDate", "CollectionId", "ContainerId")
CHAIN_ORDERS = {"endentityfirst": "leaf-first", "rootfirst": "root-first"}
STATES = {"Active": 1, "Revoked": 2}


def state_of(certificate):
    return "Revoked" if certificate.revoked else "Active"


def object_of(world, certificate, with_metadata):
    settings, parsed = world.settings, certificate.parsed
    authority = settings.authority(certificate.authority)
    template = settings.template(certificate.template)
    return {
        "Id": certificate.id, "Thumbprint": certificate.thumbprint, "SerialNumber": certificate.serial,
        "IssuedDN": parsed.subject.rfc4514_string(), "IssuedCN": certificate.common_name,
        "ImportDate": time_text(certificate.imported), "NotBefore": time_text(certificate.not_before),
        "NotAfter": time_text(certificate.not_after), "IssuerDN": parsed.issuer.rfc4514_string(),
        "TemplateId": template["Id"], "CertState": STATES[state_of(certificate)],
        "CertStateString": state_of(certificate), "KeySizeInBits": parsed.public_key().key_size,
        "KeyType": 1, "RequesterId": 5,
        "RevocationEffDate": time_text(certificate.revoked) if certificate.revoked else None,
        "RevocationReason": certificate.reason if certificate.revoked else None,
        "RevocationComment": certificate.comment or None, "CertificateAuthorityId": authority["Id"],
        "CertificateAuthorityName": authority["Name"], "TemplateName": template["DisplayName"],
        "HasPrivateKey": certificate.has_key, "CertRequestId": certificate.request_id,
        "RequesterName": certificate.requester, "ContentBytes": der_base64(parsed) if settings.content_bytes else None,
        "ExtendedKeyUsages": [{"Id": 1, "Oid": "1.3.6.1.5.5.7.3.1", "DisplayName": "Server Authentication"}],
        "SubjectAltNameElements": [{"Id": number, "Value": name, "Type": 2, "ValueHash": ""}
                                   for number, name in enumerate(certificate.names, 1)],
        "CRLDistributionPoints": [], "Locations": [], "Metadata": certificate.metadata if with_metadata else {},
        "CertificateKeyId": certificate.id, "CARowIndex": 0, "CARecordId": str(certificate.request_id),
        "KeyRecoverable": certificate.has_key, "Curve": None}


def fields_of(settings):
    """The fields a certificate can be searched by; names of metadata fields are among them."""
    known = [field["Name"] for field in settings.metadata_fields]

    def fields(certificate):
        found = {
            "id": certificate.id, "thumbprint": certificate.thumbprint, "serialnumber": certificate.serial,
            "issuedcn": certificate.common_name, "cn": certificate.common_name,
            "issueddn": certificate.parsed.subject.rfc4514_string(),
            "issuerdn": certificate.parsed.issuer.rfc4514_string(), "certrequestid": certificate.request_id,
            "ca": certificate.authority, "templateshortname": certificate.template, "san": certificate.names,
            "requestername": certificate.requester, "importdate": ("time", certificate.imported),
            "notbefore": ("time", certificate.not_before), "notafter": ("time", certificate.not_after),
            "certstate": STATES[state_of(certificate)], "hasprivatekey": certificate.has_key}
        for name in known:
            found.setdefault(name.lower(), certificate.metadata.get(name))
        return found
    return fields


def asked(call, name):
    """A yes or no of the query."""
    text = call.query.get(name.lower(), "false").lower()
    if text not in ("true", "false"):
        raise Refused(400, f"The value '{text}' of {name} is not valid.")
    return text == "true"


def listing(world, call):
    revoked, expired = asked(call, "pq.includeRevoked"), asked(call, "pq.includeExpired")
    with_metadata = asked(call, "includeMetadata")
    shown = [one for one in world.records.certificates.values()
             if one.listed <= time.time() and (revoked or not one.revoked) and (expired or not one.expired)]
    found = world.page_of(shown, call, "pq.", fields_of(world.settings))
    return [object_of(world, one, with_metadata) for one in found]


def one_certificate(world, call):
    certificate = certificate_named(world, int(call.groups["id"]))
    return object_of(world, certificate, asked(call, "includeMetadata"))


def download(world, call):
    settings = world.settings
    fmt = wanted_format(call)
    body = Body(call.body, DOWNLOAD_MEMBERS)
    number, thumbprint, serial = body.get("CertID", int), body.text("Thumbprint"), body.text("SerialNumber")
    if number:
        certificate = certificate_named(world, number)
    elif thumbprint:
        certificate = certificate_named(world, thumbprint=thumbprint)
    elif serial:
        certificate = world.records.by_serial(serial, body.text("IssuerDN", required=True))
    else:
        raise Refused(400, "One of CertID, Thumbprint, or SerialNumber with IssuerDN is required.")
    if certificate is None:
        raise Refused(404, "The certificate was not found.")
    order = body.text("ChainOrder") or "EndEntityFirst"
    if order.lower() not in CHAIN_ORDERS:
        raise Refused(400, "ChainOrder must be EndEntityFirst or RootFirst.")
    return {"Content": shapes.content(settings, world.hierarchy, certificate.parsed, fmt,
                                      bool(body.get("IncludeChain", bool)), CHAIN_ORDERS[order.lower()])}


def put_metadata(world, call):
    body = Body(call.body, ("Id", "Metadata"))
    certificate = certificate_named(world, body.get("Id", int, required=True))
    changes = checked_metadata(world.settings, body.get("Metadata", dict, required=True), complete=False)
    certificate.metadata.update(changes)
    world.records.save(certificate)
    call.entry["effect"] = {"kind": "metadata", "certificate": certificate.id, "metadata": changes}
    return no_content() if world.settings.metadata_status == 204 else object_of(world, certificate, True)


def metadata_fields(world, _):
    return [{"Id": number, "Name": field["Name"], "Description": field["Name"], "DataType": field["DataType"],
             "Hint": None, "Validation": None, "Enrollment": field["Enrollment"], "Message": None, "Options": None,
             "DefaultValue": None, "DisplayOrder": number} for number, field in enumerate(world.settings.metadata_fields, 1)]


# ---- revocation ----

def revoke(world, call):
    settings = world.settings
    body = Body(call.body, REVOKE_MEMBERS)
    numbers = body.get("CertificateIds", list, required=True)
    if not numbers or not all(type(number) is int for number in numbers):
        raise Refused(400, "CertificateIds must be an array of numbers.")
    reason = body.get("Reason", int, required=True)
    if reason not in REASONS or reason in settings.refused_reasons:
        raise Refused(400, f"The revocation reason {reason} is not valid for the certificate authority.")
    comment = body.text("Comment", required=True)
    if body.has("EffectiveDate"):
        try:
            parse_time(body.text("EffectiveDate"))
        except ValueError:
            raise Refused(400, "EffectiveDate: expected an ISO 8601 UTC time.") from None
    found = {number: world.records.certificate(number) for number in numbers}
    if not any(found.values()):
        raise Refused(404, "The certificate was not found.")
    revoked, suspended, failed = [], [], []
    for number, certificate in found.items():
        revoke_one(world, number, certificate, reason, comment, (revoked, suspended, failed))
    call.entry["effect"] = {"kind": "revoked", "revoked": revoked, "suspended": [one["CertId"] for one in suspended],
                            "reason": reason}
    if failed:
        raise Refused(400, "The revocation failed for some certificates.", failed=failed)
    if settings.revoke_answer == "empty" and not suspended:
        return no_content()
    return {"RevokedIds": revoked, "SuspendedCerts": suspended}


def revoke_one(world, number, certificate, reason, comment, answer):
    settings, records = world.settings, world.records
    revoked, suspended, failed = answer
    if certificate is None:
        failed.append(f"Certificate {number} was not found.")
    elif reason == -1 and not (certificate.revoked and certificate.reason == 6):
        failed.append(f"Certificate {number} is not on hold.")
    elif certificate.revoked and reason != -1 and certificate.reason != 6:
        if settings.revoke_again == "error":
            failed.append(f"Certificate {number} is already revoked.")
        else:
            revoked.append(number)
    elif settings.revoke_approval or "suspend" in labels_of(certificate.names):
        held = records.suspend_revocation(certificate, reason, comment, world.login)
        suspended.append({"CertId": number, "WorkflowId": held.id, "Message": "The revocation is waiting for approval."})
    else:
        records.revoke(certificate, reason, comment)
        revoked.append(number)


ROUTES = [
    ("GET", r"/certificates", "certificates", listing),
    ("GET", r"/certificates/(?P<id>\d{1,9})", "certificate", one_certificate),
    ("POST", r"/certificates/download", "download", download),
    ("PUT", r"/certificates/metadata", "metadata", put_metadata),
    ("GET", r"/metadatafields", "metadata-fields", metadata_fields),
    ("POST", r"/certificates/revoke", "revoke", revoke),
]
