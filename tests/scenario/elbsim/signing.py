"""SDK-HMAC-SHA256, the signature that an access key (AK) makes with its secret (SK)."""

import hashlib
import hmac
import re
import urllib.parse

ALGORITHM = "SDK-HMAC-SHA256"
DATE = "X-Sdk-Date"
DATE_FORMAT = "%Y%m%dT%H%M%SZ"
CONTENT = "X-Sdk-Content-Sha256"
UNSIGNED = "UNSIGNED-PAYLOAD"
AUTHORIZATION = re.compile(
    ALGORITHM + r" Access=([^,\s]{1,128}), SignedHeaders=([a-z0-9;-]{1,1024}), Signature=([0-9a-f]{64})")


def encode(text):
    return urllib.parse.quote(text, safe="-_.~")


def canonical_path(path):
    """The path as it is signed, out of the path as it is sent: always with a slash at the end."""
    made = "/".join(encode(urllib.parse.unquote(segment)) for segment in path.split("/"))
    return made if made.endswith("/") else made + "/"


def query_pairs(query):
    """The query as it is sent, decoded. A + stands for itself here, unlike in forms."""
    parts = [part.partition("=") for part in query.split("&") if part]
    return [(urllib.parse.unquote(name), urllib.parse.unquote(value)) for name, _, value in parts]


def canonical_query(pairs):
    return "&".join(f"{encode(name)}={encode(value)}" for name, value in sorted(pairs))


def canonical_request(method, target, headers, signed, payload_hash):
    """`headers` maps any spelling of a name to its value; KeyError names one of `signed` that is missing."""
    path, _, query = target.partition("?")
    values = {name.lower(): value for name, value in headers.items()}
    lines = [f"{name}:{values[name].strip()}\n" for name in signed]
    return "\n".join([method, canonical_path(path), canonical_query(query_pairs(query)), "".join(lines),
                      ";".join(signed), payload_hash])


def signature_of(secret, date, request):
    text = "\n".join([ALGORITHM, date, hashlib.sha256(request.encode("utf-8")).hexdigest()])
    return hmac.new(secret.encode("utf-8"), text.encode("utf-8"), hashlib.sha256).hexdigest()


def authorize(access, secret, method, target, headers, body=b"", signed=None):
    """The Authorization of a request whose headers have an X-Sdk-Date; signs all of them unless told which."""
    values = {name.lower(): value for name, value in headers.items()}
    signed = sorted(signed or values)
    payload_hash = values.get(CONTENT.lower()) or hashlib.sha256(body).hexdigest()
    request = canonical_request(method, target, headers, signed, payload_hash)
    signature = signature_of(secret, values[DATE.lower()], request)
    return f"{ALGORITHM} Access={access}, SignedHeaders={';'.join(signed)}, Signature={signature}"
