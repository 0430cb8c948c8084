"""Operations on existing certificate requests: details, list, collect, approve, decline, revoke, DCV."""

import hashlib
import time

from cryptography.hazmat.primitives import serialization

from simkit.ca import FORMATS
from scmsim.csr import Csr
from scmsim.lifecycle import FAILED, STATUSES, plain_serial
from scmsim.wire import ApiError, CATALOGUE, OCTETS, date_text, number_member, text_member
from simkit.wire import Response, json_response, no_content

REASON_CODES = (0, 1, 3, 4, 5)
REQUEST_SOURCES = ("WEB_FORM", "CLIENT_ADMIN", "API", "DISCOVERY", "IMPORTED", "SCEP", "CD_AGENT",
                   "MS_AGENT", "MS_CA", "BULK_REQUEST", "ACME", "EST", "REST")
LARGEST_PAGE = 200


def fingerprints(request, leaf_der):
    return {"sha1Hash": hashlib.sha1(leaf_der).hexdigest().upper(),
            "md5Hash": hashlib.md5(leaf_der).hexdigest().upper(),
            "sha256Hash": hashlib.sha256(leaf_der).hexdigest().upper()} if request.certificate else {}


def leaf_der(world, request):
    if not request.certificate:
        return b""
    return world.registry.leaf(request).public_bytes(serialization.Encoding.DER)


def details(world, call):
    pattern = call.query.get("dateFormat", "us")
    date_text(0, pattern)
    with world.registry.lock:
        return json_response(world.details_of(world.request_of(call), pattern))


def details_of(world, request, pattern="us"):
    """The details object; members without a value are left out, as the service does."""
    csr = Csr(request.csr)
    algorithm, size = csr.key_type()
    result = {
        "commonName": request.common_name, "sslId": request.ssl_id, "id": request.ssl_id,
        "orgId": request.org_id, "status": request.status, "backendCertId": request.backend_id or None,
        "orderNumber": int(request.backend_id) if request.backend_id else None,
        "vendor": "Simulated CA" if request.backend_id else None,
        "certType": world.settings.profile(request.profile_id),
        "validationType": "Organization Validation (OV)", "term": request.term,
        "owner": world.login, "ownerId": 10024, "requester": world.login, "requesterId": 10024,
        "requestedVia": "REST API", "externalRequester": request.external_requester,
        "comments": request.comments,
    }
    for name in ("created", "approved", "issued", "declined", "replaced", "revoked"):
        moment = getattr(request, name)
        if moment:
            result["requested" if name == "created" else name] = date_text(moment, pattern)
    if request.not_after:
        result["expires"] = date_text(request.not_after, pattern)
    if request.revoked:
        result["reasonCode"] = request.reason_code
    result["renewed"] = bool(request.renewed)
    if request.renewed:
        result["renewedDate"] = date_text(request.renewed, pattern)
    result.update({"keyAlgorithm": algorithm, "keyType": f"{algorithm} - {size}",
                   "keySize": csr.public_key.key_size,
                   "subjectAlternativeNames": request.names, "customFields": request.custom_fields,
                   "autoInstallDetails": {"state": "Not configured"},
                   "autoRenewDetails": {"state": "Not scheduled"},
                   "suspendNotifications": request.suspend_notifications})
    if request.certificate:
        leaf = world.registry.leaf(request)
        result["serialNumber"] = request.serial
        result["signatureAlg"] = "SHA256withECDSA"
        result["keyUsages"] = ["Digital Signature"]
        result["extendedKeyUsages"] = ["Server Authentication"]
        result["certificateDetails"] = {
            "issuer": leaf.issuer.rfc4514_string(), "subject": leaf.subject.rfc4514_string(),
            "subjectAltNames": ", ".join("dNSName=" + name for name in request.names),
            **fingerprints(request, leaf.public_bytes(serialization.Encoding.DER))}
    if not world.settings.omit_csr_details:
        result["csrDetails"] = {"sha1Hash": csr.sha1, "md5Hash": csr.md5, "sha256Hash": csr.sha256,
                                "csr": csr.pem.rstrip("\n")}
    return {name: value for name, value in result.items() if value is not None}


def page_number(query, name, default, largest):
    text = query.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) > largest:
        raise ApiError(-1601, name)
    return int(text)


def contains(wanted, text):
    return wanted.lower() in text.lower()


def matches(world, request, query):
    """Text filters match substrings without regard to case; ids and hashes match whole."""
    def wants(name):
        return query.get(name, "")

    if request.kind != "ssl":
        return False
    if wants("commonName") and not contains(wants("commonName"), request.common_name):
        return False
    alternative = wants("subjectAlternativeName")
    if alternative and not any(contains(alternative, name) for name in request.names):
        return False
    if wants("status") and wants("status") != request.status:
        return False
    if wants("orgId") and wants("orgId") != str(request.org_id):
        return False
    if wants("sslTypeId") and wants("sslTypeId") != str(request.profile_id):
        return False
    if wants("requestedVia") not in ("", "REST"):
        return False
    if wants("requester") and not contains(wants("requester"), world.login):
        return False
    external = wants("externalRequester")
    if external and not contains(external, request.external_requester):
        return False
    serial = wants("serialNumber")
    if serial and plain_serial(serial) != plain_serial(request.serial):
        return False
    hashes = [name for name in ("sha1Hash", "md5Hash", "sha256Hash") if wants(name)]
    if hashes:
        known = fingerprints(request, leaf_der(world, request))
        return all(wants(name).upper() == known.get(name) for name in hashes)
    return True


def list_or_count(world, call):
    """GET pages through the matches; HEAD gives only their number."""
    query = call.query
    size = page_number(query, "size", world.settings.list_default_size, LARGEST_PAGE)
    position = page_number(query, "position", 0, 10 ** 9)
    if query.get("status", "") not in ("",) + STATUSES:
        raise ApiError(-1601, "status")
    if query.get("requestedVia", "") not in ("",) + REQUEST_SOURCES:
        raise ApiError(-1601, "requestedVia")
    with world.registry.lock:
        found = [request for request in world.registry.all()
                 if world.registry.is_visible(request) and matches(world, request, query)]
    if call.method == "HEAD":
        return Response(200, headers={"X-Total-Count": str(len(found))})
    items = []
    for request in found[position:position + size]:
        item = {"sslId": request.ssl_id, "commonName": request.common_name,
                "subjectAlternativeNames": request.names}
        if request.serial:
            item["serialNumber"] = request.serial
        items.append(item)
    return json_response(items, X_Total_Count=len(found))


def not_collectable(world, request):
    """The answer to a collect that comes too early, or for a request that will never be issued."""
    flavour = world.settings.collect_flavour
    if request.status in FAILED:
        raise ApiError(-183)
    if request.status == "Revoked":
        raise ApiError(-110)
    if flavour == "empty":
        return Response(200, content_type=OCTETS)
    if flavour == "0":
        raise ApiError(0, description="Being processed by Sectigo")
    raise ApiError(int(flavour), description=CATALOGUE[int(flavour)].replace("{0}", request.status))


def collect(world, call):
    settings = world.settings
    in_path = call.groups.get("format")
    fmt = in_path or call.query.get("format") or "base64"
    if fmt not in FORMATS:
        raise ApiError(-126 if in_path else -1450, fmt)
    with world.registry.lock:
        request = world.request_of(call)
        ready = request.status in ("Issued", "Expired", "Replaced") and request.certificate
        if not ready or time.time() < request.issued + settings.collect_lag:
            return not_collectable(world, request)
        body = world.hierarchy.download(world.registry.leaf(request), fmt, settings.chain_order,
                                        settings.base64_as_pem)
        filename = request.common_name.replace("*", "_").replace(".", "_")
    if settings.crlf and fmt != "bin":
        body = body.replace(b"\n", b"\r\n")
    return Response(200, body, OCTETS, {
        "Content-Disposition": f'attachment; filename="{filename}.cert"'})


def approve_or_decline(world, call):
    text_member(call.body, "message", 512, 1)
    with world.registry.lock:
        request = world.request_of(call)
        if request.status != "Requested":
            raise ApiError(-1112, request.status)
        target = "Approved" if call.groups["verb"] == "approve" else "Declined"
        world.registry.enter(request, target, time.time())
    return no_content()


def revoke(world, call):
    reason_code = number_member(call.body, "reasonCode", 0)
    if reason_code not in REASON_CODES:
        raise ApiError(-1601, "reasonCode")
    text_member(call.body, "reason", 512, 1)
    with world.registry.lock:
        if "serial" in call.groups:
            request = world.registry.find_serial(call.groups["serial"])
            if request is None:
                raise ApiError(-5101, call.groups["serial"])
        else:
            request = world.request_of(call)
        if request.status == "Revoked":
            raise ApiError(world.settings.revoked_again_code)
        if request.status not in ("Issued", "Replaced"):
            raise ApiError(-102)
        request.reason_code = reason_code
        request.revoke_asked = request.revoke_asked or time.time()
        world.registry.save(request)
        world.registry.advance(request)
    return no_content()


def dcv_details(world, call):
    """The CNAME instructions: MD5 and SHA-256 of the CSR, as the service derives them."""
    with world.registry.lock:
        request = world.request_of(call)
        csr = Csr(request.csr)
        waiting = request.status in ("Init", "Requested", "Approved", "Applied")
        log, instructions = [], []
        for name in request.names:
            domain = name.removeprefix("*.")
            log.append({
                "domainName": name, "dcvMethod": "CNAME_CSR_HASH",
                "dcvStatus": "Awaiting Validation" if waiting else "Validated",
                "lastCheck": date_text(time.time(), "iso_hms")[:19].replace("T", " "),
                "nextCheck": date_text(time.time() + 3600, "iso_hms")[:19].replace("T", " ")})
            instructions.append({
                "domainName": name, "dcvMode": "CNAME", "host": f"_{csr.md5}.{domain}.",
                "point": f"{csr.sha256[:32]}.{csr.sha256[32:]}.sectigo.com."})
    return json_response({"dcvLog": {"error": {"code": 0, "description": None}, "log": log},
                          "instructions": instructions})


def dcv_recheck(world, call):
    with world.registry.lock:
        world.request_of(call)
    return Response(202)


ROUTES = [
    ("GET", r"/api/ssl/v1", "list", list_or_count),
    ("HEAD", r"/api/ssl/v1", "list", list_or_count),
    ("GET", r"/api/ssl/v1/(?P<id>\d{1,18})", "details", details),
    ("GET", r"/api/ssl/v1/collect/(?P<id>\d{1,18})", "collect", collect),
    ("GET", r"/api/ssl/v1/collect/(?P<id>\d{1,18})/(?P<format>[^/]{1,32})", "collect", collect),
    ("POST", r"/api/ssl/v1/(?P<verb>approve)/(?P<id>\d{1,18})", "approve", approve_or_decline),
    ("POST", r"/api/ssl/v1/(?P<verb>decline)/(?P<id>\d{1,18})", "decline", approve_or_decline),
    ("POST", r"/api/ssl/v1/revoke/(?P<id>\d{1,18})", "revoke", revoke),
    ("POST", r"/api/ssl/v1/revoke/serial/(?P<serial>[^/]{1,120})", "revoke", revoke),
    ("GET", r"/api/ssl/v1/(?P<id>\d{1,18})/dcv", "dcv", dcv_details),
    ("POST", r"/api/ssl/v1/(?P<id>\d{1,18})/dcv/recheck", "dcv-recheck", dcv_recheck),
]
