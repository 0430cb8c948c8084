"""Errors and JSON member checks in the shapes SCM uses on the wire."""

import datetime
import re

from simkit.wire import JSON_PLAIN, json_response

OCTETS = "application/octet-stream;charset=UTF-8"

# The texts of the error catalogue of the REST API document for the codes the simulator produces.
CATALOGUE = {
    -7: "{0} is required but missing.",
    -9: "The CSR is not valid Base-64 data!",
    -10: "Error while decoding CSR.",
    -11: "The CSR uses an unsupported algorithm!",
    -16: "Unknown user",
    -36: "The validity period (term) is invalid for this certificate profile.",
    -39: "{0}",
    -62: "Missing mandatory custom field!",
    -64: "Optional field '{0}' is invalid!",
    -102: "Only issued certificates could be revoked.",
    -103: "Certificate has not been collected yet.",
    -109: "Certificate is not available now, please try again later.",
    -110: "Certificate has been revoked and cannot be downloaded.",
    -111: "No certificate profile found by id {0}",
    -124: "Wrong SSL certificate id {0}.",
    -126: "Unknown SSL certificate file format requested: {0}",
    -130: "SSL state is not 'ISSUED': {0}",
    -138: "Invalid CSR.",
    -159: "Your certificate already revoked",
    -169: "Certificate is not available, please contact administrator.",
    -183: "Certificate is not collectable.",
    -194: "The CSR uses an unsupported key size.",
    -306: "Domain name {0} exceeds {1} characters limit.",
    -639: "Supplied orgid invalid..",
    -732: "Invalid domain name.",
    -1112: "Certificate can't be approved cause it has state = {0}",
    -1137: "The domain(s) {0} have not been validated under the DCV procedure.",
    -1400: "The request is being processed by Sectigo.",
    -1450: "Unsupported certificate format specified: {0}",
    -1601: "Field '{0}' has invalid value.",
    -5101: "Certificate not found. {0}",
}

DATE_FORMATS = {
    "iso": "%Y-%m-%d",
    "iso_hms": "%Y-%m-%dT%H:%M:%S.000Z",
    "eu": "%d.%m.%Y",
    "eu_hms": "%d.%m.%Y %H:%M:%S",
    "us": "%m/%d/%Y",
    "us_hms": "%m/%d/%Y %H:%M:%S",
    "uk": "%d/%m/%Y",
    "uk_hms": "%d/%m/%Y %H:%M:%S",
    "jp": "%Y/%m/%d",
    "jp_hms": "%Y/%m/%d %H:%M:%S",
}


class ApiError(Exception):
    """An answer with an SCM error body."""

    def __init__(self, code, *arguments, status=400, description=None):
        if description is None:
            description = CATALOGUE[code]
            for index, argument in enumerate(arguments):
                description = description.replace("{%d}" % index, str(argument))
        super().__init__(f"{code} {description}")
        self.status = status
        self.code = code
        self.description = description

    def response(self):
        return json_response({"code": self.code, "description": self.description}, self.status,
                             content_type=JSON_PLAIN)


def number_member(body, name, minimum=1, required=True):
    """An integer member of a request body; None when it is absent and may be."""
    value = body.get(name)
    if value is None:
        if required:
            raise ApiError(-7, name)
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ApiError(-1601, name)
    return value


def text_member(body, name, longest, shortest=0, required=True):
    """A string member of a request body; None when it is absent and may be."""
    value = body.get(name)
    if value is None:
        if required:
            raise ApiError(-7, name)
        return None
    if not isinstance(value, str) or not shortest <= len(value) <= longest:
        raise ApiError(-1601, name)
    return value


def text_list_member(body, name):
    """An array of strings; None when it is absent."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ApiError(-1601, name)
    return value


def custom_fields_member(body):
    """The customFields array as [{name, value}]; None when it is absent."""
    fields = body.get("customFields")
    if fields is None:
        return None
    if not isinstance(fields, list) or not all(isinstance(item, dict) for item in fields):
        raise ApiError(-1601, "customFields")
    return [{"name": text_member(item, "name", 256, 1),
             "value": text_member(item, "value", 256)} for item in fields]


def requester_member(body):
    """The externalRequester member: empty, or e-mail addresses separated by commas."""
    value = text_member(body, "externalRequester", 512, required=False)
    for address in (value or "").split(","):
        if value and not re.fullmatch(r"[^\s@,]+@[^\s@,]+", address.strip()):
            raise ApiError(-1601, "externalRequester")
    return value


def date_text(epoch, pattern="us"):
    """A time in one of the documented formats, given by its name or (case folded) by its pattern."""
    key = pattern.lower()
    if key not in DATE_FORMATS:
        for name, value in DATE_FORMATS.items():
            spelled = value
            for directive, letters in (("%Y", "yyyy"), ("%m", "mm"), ("%d", "dd"), ("%H", "hh"),
                                       ("%M", "mm"), ("%S", "ss"), ("T", "'t'"),
                                       (".000Z", ".sss'z'")):
                spelled = spelled.replace(directive, letters)
            if spelled == key:
                key = name
                break
        else:
            raise ApiError(-1601, "dateFormat")
    moment = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc)
    return moment.strftime(DATE_FORMATS[key])
