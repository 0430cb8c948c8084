"""Operations on device certificates: the same life cycle under another path, with other names on the wire."""

from scmsim import account_api, ssl_api
from scmsim.csr import Csr, merge_names
from scmsim.enroll_api import check_mandatory_fields, check_org, profile_for
from scmsim.ssl_api import LARGEST_PAGE, contains, page_number
from scmsim.wire import ApiError, custom_fields_member, number_member, text_member
from simkit.wire import json_response


def enroll(world, call):
    """Names come from the CSR; there is no list of them, no requester and no domain validation."""
    body, settings = call.body, world.settings
    for name in ("subjAltNames", "externalRequester", "dcvMode"):
        if name in body:
            raise ApiError(-1601, name)
    org_id = number_member(body, "orgId")
    csr = Csr(text_member(body, "csr", 32767, 1))
    profile_id = number_member(body, "certType")
    term = number_member(body, "term")
    comments = text_member(body, "comments", 1024, required=False) or ""
    fields = custom_fields_member(body) or []
    check_org(settings, org_id)
    csr.check_profile(profile_for(settings, profile_id, term))
    check_mandatory_fields(settings, fields, "device")
    names = merge_names(csr.common_name, csr.alternatives)
    if not names:
        raise ApiError(-138)
    request = world.registry.add(
        org_id=org_id, profile_id=profile_id, term=term, common_name=csr.common_name, names=names,
        csr=csr.pem, csr_sha256=csr.sha256, comments=comments, custom_fields=fields, kind="device")
    return json_response({"deviceCertId": request.ssl_id, "status": request.status.upper(),
                          "backendCertId": str(5000 + request.ssl_id), "orderNumber": request.ssl_id})


def details(world, call):
    with world.registry.lock:
        shown = world.details_of(world.request_of(call))
    for name in ("sslId", "externalRequester", "subjectAlternativeNames", "requestedVia"):
        shown.pop(name, None)
    return json_response(shown)


def list_(world, call):
    query = call.query
    size = page_number(query, "size", world.settings.list_default_size, LARGEST_PAGE)
    position = page_number(query, "position", 0, 10 ** 9)
    with world.registry.lock:
        found = [request for request in world.registry.all()
                 if request.kind == "device" and world.registry.is_visible(request)
                 and contains(query.get("commonName", ""), request.common_name)
                 and query.get("orgId", "") in ("", str(request.org_id))
                 and query.get("certTypeId", "") in ("", str(request.profile_id))]
    return json_response([{"id": request.ssl_id, "status": request.status.upper(),
                           "backendCertId": str(5000 + request.ssl_id),
                           "certificateDetails": {"subject": "CN=" + request.common_name}}
                          for request in found[position:position + size]], X_Total_Count=len(found))


def custom_fields(world, call):
    del call
    return json_response([{"id": field["id"], "name": field["name"],
                           "mandatory": bool(field.get("mandatory"))}
                          for field in world.settings.fields_of("device")])


ROUTES = [
    ("GET", r"/api/device/v1/types", "types", account_api.types),
    ("GET", r"/api/device/v1/customFields", "custom-fields", custom_fields),
    ("GET", r"/api/device/v1", "list", list_),
    ("GET", r"/api/device/v1/(?P<id>\d{1,18})", "details", details),
    ("GET", r"/api/device/v1/collect/(?P<id>\d{1,18})", "collect", ssl_api.collect),
    ("POST", r"/api/device/v1/enroll", "enroll", enroll),
    ("POST", r"/api/device/v1/(?P<verb>approve)/(?P<id>\d{1,18})", "approve", ssl_api.approve_or_decline),
    ("POST", r"/api/device/v1/(?P<verb>decline)/(?P<id>\d{1,18})", "decline", ssl_api.approve_or_decline),
    ("POST", r"/api/device/v1/revoke/order/(?P<id>\d{1,18})", "revoke", ssl_api.revoke),
    ("POST", r"/api/device/v1/revoke/serial/(?P<serial>[^/]{1,120})", "revoke", ssl_api.revoke),
]
