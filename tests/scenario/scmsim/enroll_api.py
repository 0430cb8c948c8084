"""Operations that make certificate requests: enroll, renew, replace, and the update of a waiting one."""

import time

from scmsim.csr import Csr, check_name, merge_names
from scmsim.lifecycle import FAILED
from scmsim.wire import (ApiError, custom_fields_member, number_member, requester_member, text_list_member,
                         text_member)
from simkit.wire import json_response, no_content

DCV_MODES = ("CNAME", "EMAIL", "HTTP", "HTTPS", "TXT", "AUTO")
UPDATABLE = ("Requested",) + FAILED


def check_dcv_members(body):
    mode = body.get("dcvMode")
    if mode is not None and mode not in DCV_MODES:
        raise ApiError(-1601, "dcvMode")
    email = text_member(body, "dcvEmail", 254, required=mode == "EMAIL")
    if email is not None and email.count("@") != 1:
        raise ApiError(-1601, "dcvEmail")


def check_org(settings, org_id):
    if org_id not in settings.org_ids:
        raise ApiError(-639)


def profile_for(settings, profile_id, term):
    profile = settings.profile(profile_id)
    if profile is None:
        raise ApiError(-111, profile_id)
    if term not in profile["terms"]:
        raise ApiError(-36)
    return profile


def check_mandatory_fields(settings, fields, kind="ssl"):
    given = {field["name"] for field in fields if field["value"]}
    known = {field["name"] for field in settings.fields_of(kind)}
    for field in settings.fields_of(kind):
        if field.get("mandatory") and field["name"] not in given:
            raise ApiError(-62)
    for name in given - known:
        raise ApiError(-64, name)


def check_validated(settings, names):
    missing = [name for name in names if settings.dcv_status(name) != "VALIDATED"]
    if missing:
        raise ApiError(-1137, ", ".join(missing))


def names_for(csr, alternatives):
    """(common name, all names). Names count only when they are in the CSR's subject or listed.

    Nothing is taken from a SAN extension of the CSR: the real service does not promise it.
    """
    names = merge_names(csr.common_name, alternatives)
    if not names:
        raise ApiError(-7, "subjAltNames")
    return csr.common_name or names[0], names


def enroll(world, call):
    body, settings = call.body, world.settings
    org_id = number_member(body, "orgId")
    csr_text = text_member(body, "csr", 32767, 1)
    alternatives = text_member(body, "subjAltNames", 32767, required=False) or ""
    profile_id = number_member(body, "certType")
    term = number_member(body, "term")
    comments = text_member(body, "comments", 1024, required=False) or ""
    fields = custom_fields_member(body) or []
    requester = requester_member(body) or ""
    check_dcv_members(body)
    check_org(settings, org_id)
    profile = profile_for(settings, profile_id, term)
    check_mandatory_fields(settings, fields)
    csr = Csr(csr_text)
    csr.check_profile(profile)
    common_name, names = names_for(csr, alternatives.split(","))
    check_validated(settings, names)
    request = world.registry.add(
        org_id=org_id, profile_id=profile_id, term=term, common_name=common_name, names=names,
        csr=csr.pem, csr_sha256=csr.sha256, comments=comments, external_requester=requester,
        custom_fields=fields)
    return json_response({"sslId": request.ssl_id, "renewId": request.renew_id})


def renew_by_id(world, call):
    """A new request like an old one, with its CSR or a new one."""
    check_dcv_members(call.body)
    csr_text = text_member(call.body, "csr", 32767, 1, required=False)
    with world.registry.lock:
        old = world.request_of(call)
        if old.status not in ("Issued", "Expired", "Revoked", "Replaced"):
            raise ApiError(-130, old.status)
        csr = Csr(csr_text or old.csr)
        csr.check_profile(profile_for(world.settings, old.profile_id, old.term))
        check_validated(world.settings, old.names)
        request = world.registry.add(
            org_id=old.org_id, profile_id=old.profile_id, term=old.term, common_name=old.common_name,
            names=list(old.names), csr=csr.pem, csr_sha256=csr.sha256, comments=old.comments,
            external_requester=old.external_requester, custom_fields=old.custom_fields,
            renewed_from=old.ssl_id)
        old.renewed = time.time()
        world.registry.save(old)
    return json_response({"sslId": request.ssl_id})


def replace(world, call):
    """The same request gets another certificate: back to the CA with a new CSR."""
    body = call.body
    check_dcv_members(body)
    csr = Csr(text_member(body, "csr", 32767, 1))
    text_member(body, "reason", 512, 1)
    common_name = text_member(body, "commonName", 64, 1, required=False)
    alternatives = text_list_member(body, "subjectAlternativeNames")
    with world.registry.lock:
        request = world.request_of(call)
        if request.status != "Issued":
            raise ApiError(-130, request.status)
        csr.check_profile(profile_for(world.settings, request.profile_id, request.term))
        if common_name or alternatives:
            names = merge_names(common_name or request.common_name, alternatives or [])
            check_validated(world.settings, names)
            request.names = names
            request.common_name = names[0]
        request.csr, request.csr_sha256 = csr.pem, csr.sha256
        request.replaced = time.time()
        world.registry.enter(request, "Applied", request.replaced)
    return no_content()


def update(world, call):
    """PUT: comments, custom fields and requester always; the rest only before the CA has it."""
    body, settings = call.body, world.settings
    ssl_id = number_member(body, "sslId")
    comments = text_member(body, "comments", 1024, required=False)
    fields = custom_fields_member(body)
    requester = requester_member(body)
    term = number_member(body, "term", required=False)
    profile_id = number_member(body, "certTypeId", required=False)
    org_id = number_member(body, "orgId", required=False)
    common_name = text_member(body, "commonName", 253, 1, required=False)
    csr_text = text_member(body, "csr", 32767, 1, required=False)
    alternatives = text_list_member(body, "subjectAlternativeNames")
    suspend = body.get("suspendNotifications")
    if suspend is not None and not isinstance(suspend, bool):
        raise ApiError(-1601, "suspendNotifications")
    with world.registry.lock:
        request = world.request_by_id(ssl_id)
        names, first = request.names, common_name or request.common_name
        changes = {}
        if alternatives is not None or common_name:
            check_name(first.lower())
            names = merge_names(first, request.names if alternatives is None else alternatives)
            changes["names"], changes["common_name"] = names, first.lower()
        if csr_text:
            csr = Csr(csr_text)
            changes["csr"], changes["csr_sha256"] = csr.pem, csr.sha256
        for member, value in (("term", term), ("profile_id", profile_id), ("org_id", org_id)):
            if value is not None:
                changes[member] = value
        changed = {name: value for name, value in changes.items() if getattr(request, name) != value}
        if changed and request.status not in UPDATABLE:
            raise ApiError(-39, f"The request cannot be edited in state {request.status}.")
        if changed:
            check_org(settings, changes.get("org_id", request.org_id))
            profile = profile_for(settings, changes.get("profile_id", request.profile_id),
                                  changes.get("term", request.term))
            Csr(changes.get("csr", request.csr)).check_profile(profile)
            check_validated(settings, names)
        if fields is not None:
            check_mandatory_fields(settings, fields)
            changed["custom_fields"] = fields
        for member, value in (("comments", comments), ("external_requester", requester),
                              ("suspend_notifications", suspend)):
            if value is not None:
                changed[member] = value
        for member, value in changed.items():
            setattr(request, member, value)
        world.registry.save(request)
        return json_response(world.details_of(request))


ROUTES = [
    ("POST", r"/api/ssl/v1/enroll", "enroll", enroll),
    ("POST", r"/api/ssl/v1/renewById/(?P<id>\d{1,18})", "renew", renew_by_id),
    ("POST", r"/api/ssl/v1/replace/(?P<id>\d{1,18})", "replace", replace),
    ("PUT", r"/api/ssl/v1", "update", update),
]
