"""Operations about the account: profiles, custom fields, domains' validation, password, report."""

import re
import time

from scmsim.wire import ApiError, date_text, number_member, text_member
from simkit.wire import JSON_PLAIN, json_response

DAY = 86400
VALIDATION_DAYS = 365
REPORT_STATUSES = {0: None, 1: "Requested", 2: "Issued", 3: "Revoked", 4: "Expired"}
REPORT_DATES = {2: "revoked", 3: "not_after", 4: "created", 5: "issued"}
REST_SOURCE = 12


def types(world, call):
    """The profiles of an organization; another organization than ours has none."""
    wanted = call.query.get("organizationId", "")
    if wanted and wanted not in [str(org_id) for org_id in world.settings.org_ids]:
        return json_response([])
    return json_response(world.settings.profiles)


def custom_fields(world, call):
    del call
    return json_response([{"id": field["id"], "name": field["name"],
                           "mandatory": bool(field.get("mandatory"))}
                          for field in world.settings.fields_of("ssl")])


def custom_fields_v2(world, call):
    kind = call.query.get("certType", "SSL").lower()
    fields = [{"id": field["id"], "name": field["name"], "certType": kind, "state": "ACTIVE",
               "input": {"type": field.get("type", "TEXT_SINGLE_LINE")},
               "mandatories": ["REST_API", "ADMIN_UI"] if field.get("mandatory") else []}
              for field in world.settings.fields_of(kind)]
    return json_response(fields, content_type=JSON_PLAIN, X_Total_Count=len(fields))


def organizations(world, call):
    """The first organization; the others are its departments."""
    del call
    ids = world.settings.org_ids
    shown = [{"id": org_id, "name": f"Organization {org_id}", "departments": []} for org_id in ids[:1]]
    for org_id in ids[1:]:
        shown[0]["departments"].append({"id": org_id, "name": f"Department {org_id}",
                                        "parentName": shown[0]["name"]})
    return json_response(shown, content_type=JSON_PLAIN)


def password_state(world, call):
    del call
    settings = world.settings
    result = {"state": settings.password_state}
    if settings.password_state != "NEVER_EXPIRE":
        result = {"expirationDate": date_text(time.time() + settings.password_days * DAY, "iso"),
                  **result}
    return json_response(result, content_type=JSON_PLAIN)


def validated_since(status):
    """When a domain's validation was made: recently, or so long ago that it has expired."""
    return time.time() - (DAY if status == "VALIDATED" else (VALIDATION_DAYS + 10) * DAY)


def dcv_list(world, call):
    """Configured domains and those seen in requests, each with the status that covers it."""
    with world.registry.lock:
        seen = {name.removeprefix("*.") for request in world.registry.all() for name in request.names}
    domains = sorted(seen | set(world.settings.dcv_domains))
    wanted, status = call.query.get("domain", "").lower(), call.query.get("dcvStatus", "")
    entries = []
    for domain in domains:
        state = world.settings.dcv_status(domain)
        if wanted not in domain or status not in ("", state):
            continue
        entry = {"domain": domain, "dcvStatus": state, "dcvOrderStatus": "NOT_INITIATED"}
        if state != "NOT_VALIDATED":
            entry.update({"dcvMethod": "CNAME", "dcvOrderMethod": "CNAME", "expirationDate": date_text(
                validated_since(state) + VALIDATION_DAYS * DAY, "iso")})
        entries.append(entry)
    position, size = call.query.get("position", "") or "0", call.query.get("size", "") or "200"
    for name, text in (("position", position), ("size", size)):
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise ApiError(-1601, name)
    return json_response(entries[int(position):int(position) + int(size)], content_type=JSON_PLAIN,
                         X_Total_Count=len(entries))


def dcv_status(world, call):
    domain = text_member(call.body, "domain", 255, 3)
    status = world.settings.dcv_status(domain)
    result = {"status": status, "orderStatus": "NOT_INITIATED"}
    if status != "NOT_VALIDATED":
        since = validated_since(status)
        result.update({"validationDate": date_text(since, "iso"), "expirationDate": date_text(
            since + VALIDATION_DAYS * DAY, "iso")})
    return json_response(result, content_type=JSON_PLAIN)


def report_day(body, name):
    """The day of a date or date-time member, or None."""
    text = text_member(body, name, 40, required=False)
    if text is None:
        return None
    match = re.fullmatch(r"(\d{4}-\d{2}-\d{2})(T[0-9:.]+Z?)?", text)
    if match is None:
        raise ApiError(-1601, name)
    return match[1]


def report(world, call):
    body = call.body
    org_ids = body.get("organizationIds")
    if org_ids is not None and not (isinstance(org_ids, list) and
                                    all(type(item) is int for item in org_ids)):
        raise ApiError(-1601, "organizationIds")
    common_name = text_member(body, "commonName", 253, required=False) or ""
    requester = text_member(body, "externalRequester", 512, required=False) or ""
    status = number_member(body, "certificateStatus", 0, required=False) or 0
    attribute = number_member(body, "certificateDateAttribute", 1, required=False)
    source = number_member(body, "certificateRequestSource", 0, required=False)
    first, last = report_day(body, "from"), report_day(body, "to")
    if status not in REPORT_STATUSES:
        raise ApiError(-1601, "certificateStatus")
    if attribute is not None and attribute not in REPORT_DATES:
        raise ApiError(-1601, "certificateDateAttribute")
    rows = []
    with world.registry.lock:
        for request in world.registry.all():
            moment = getattr(request, REPORT_DATES.get(attribute, "created"))
            day = date_text(moment, "iso") if moment else ""
            if (org_ids and request.org_id not in org_ids or source not in (None, REST_SOURCE)
                    or common_name.lower() not in request.common_name
                    or requester not in request.external_requester
                    or REPORT_STATUSES[status] not in (None, request.status)
                    or (first and (not day or day < first)) or (last and (not day or day > last))
                    or not world.registry.is_visible(request)):
                continue
            rows.append(report_row(world, request))
    return json_response({"statusCode": 0, "reports": rows}, Content_Disposition=(
        'attachment; filename="rest_api_ssl-certificates.json"'))


def report_row(world, request):
    profile = world.settings.profile(request.profile_id) or {}
    row = {"id": request.ssl_id, "type": profile.get("name"), "typeId": request.profile_id,
           "orgId": request.org_id, "commonName": request.common_name, "status": request.status,
           "requester": world.login, "externalRequester": request.external_requester,
           "backendCertId": request.backend_id or None, "requestedVia": "REST API",
           "term": request.term, "comments": request.comments,
           "subjectAlternativeNames": ", ".join(request.names), "customFields": request.custom_fields,
           "serialNumber": request.serial.replace(":", "")}
    for name, member in (("requested", "created"), ("approved", "approved"), ("declined", "declined"),
                         ("expires", "not_after"), ("revoked", "revoked"), ("replaced", "replaced")):
        if getattr(request, member):
            row[name] = date_text(getattr(request, member), "iso_hms")
    return {name: value for name, value in row.items() if value is not None}


ROUTES = [
    ("GET", r"/api/ssl/v1/types", "types", types),
    ("GET", r"/api/ssl/v1/customFields", "custom-fields", custom_fields),
    ("GET", r"/api/customField/v2/?", "custom-fields", custom_fields_v2),
    ("GET", r"/api/organization/v1", "organizations", organizations),
    ("GET", r"/api/admin/v1/password", "password", password_state),
    ("GET", r"/api/dcv/v1/validation", "dcv-list", dcv_list),
    ("POST", r"/api/dcv/v2/validation/status", "dcv-status", dcv_status),
    ("POST", r"/api/report/v1/ssl-certificates", "report", report),
]
