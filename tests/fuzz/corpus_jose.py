"""JSON, JSON Web Keys and Signatures for make_corpus.py."""

import base64
import json

from cryptography.hazmat.primitives import serialization

from corpus_der import EcKey, EdKey, RsaKey
from corpus_x509 import FIXED_KEY


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value):
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def jwk(key):
    if isinstance(key, EcKey):
        x, y = key.point()
        return {"crv": key.curve_name, "kty": "EC", "x": b64(x), "y": b64(y)}
    if isinstance(key, RsaKey):
        return {"e": number(key.public_numbers.e), "kty": "RSA", "n": number(key.public_numbers.n)}
    octets = key.public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return {"crv": "Ed25519", "kty": "OKP", "x": b64(octets)}


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def jwk_samples():
    ec, rsa, ed = EcKey("jwk"), RsaKey("jwk"), EdKey("jwk")
    yield "ok_p256", jwk(ec)
    yield "ok_p384", jwk(EcKey("jwk", "P-384"))
    yield "ok_p521", jwk(EcKey("jwk", "P-521"))
    yield "ok_rsa", jwk(rsa)
    yield "ok_ed25519", jwk(ed)
    yield "ok_more_members", dict(jwk(ec), alg="ES256", use="sig", kid="a", key_ops=["verify"])
    yield "private", dict(jwk(ec), d=b64(b"\1" * 32))
    yield "private_rsa", dict(jwk(rsa), d="AQAB")
    yield "no_kty", {"crv": "P-256"}
    yield "kty_number", {"kty": 5}
    yield "symmetric", {"kty": "oct", "k": "AAAA"}
    yield "no_x", {"kty": "EC", "crv": "P-256", "y": jwk(ec)["y"]}
    yield "curve_unknown", dict(jwk(ec), crv="secp256k1")
    yield "curve_absent", {"kty": "EC"}
    yield "off_curve", dict(jwk(ec), x=jwk(ec)["y"])
    yield "zero_point", dict(jwk(ec), x=b64(bytes(32)), y=b64(bytes(32)))
    yield "coordinate_above_field", dict(jwk(ec), x=b64(b"\xff" * 32))
    yield "short_coordinate", dict(jwk(ec), x=b64(b"\1" * 31))
    yield "long_coordinate", dict(jwk(ec), x=b64(b"\0" + ec.point()[0]))
    yield "padded", dict(jwk(ec), x=jwk(ec)["x"] + "=")
    yield "plain_base64", dict(jwk(ec), x="+" + jwk(ec)["x"][1:])
    yield "rsa_1024", jwk(RsaKey("small", 1024))
    yield "rsa_exponent_3", jwk(RsaKey("three", 2048, 3))
    yield "rsa_even_exponent", dict(jwk(rsa), e=number(65536))
    yield "rsa_exponent_1", dict(jwk(rsa), e="AQ")
    yield "rsa_exponent_long", dict(jwk(rsa), e=number(2**64 + 1))
    yield "rsa_even_modulus", dict(jwk(rsa), n=number(rsa.public_numbers.n - 1))
    yield "rsa_leading_zero", dict(jwk(rsa), n=b64(b"\0" + rsa.public_numbers.n.to_bytes(256, "big")))
    yield "rsa_no_n", {"kty": "RSA", "e": "AQAB"}
    yield "rsa_empty", {"kty": "RSA", "e": "", "n": ""}
    yield "rsa_8208", {"kty": "RSA", "e": "AQAB", "n": number(2**8207 + 1)}
    yield "okp_x25519", dict(jwk(ed), crv="X25519")
    yield "okp_short", dict(jwk(ed), x="AAAA")
    yield "okp_no_x", {"kty": "OKP", "crv": "Ed25519"}
    yield "array", [1]
    yield "text", "EC"


NONCE = b64(bytes(range(33)))
URL = "https://ca.fuzz.example/acme/new-order"
KID = "https://ca.fuzz.example/acme/account/1"


def jws(key, alg, header=None, payload=b'{"identifiers":[]}', signature=None, **more):
    protected = {"alg": alg, "nonce": NONCE, "url": URL}
    protected.update({"kid": KID} if header is None else header)
    left = b64(compact({name: value for name, value in protected.items() if value is not None}).encode())
    right = b64(payload)
    if signature is None:
        signature = key.sign_raw(f"{left}.{right}".encode())
    return dict({"protected": left, "payload": right, "signature": b64(signature)}, **more)


def jws_samples():
    ec, rsa, ed = EcKey("jwk"), RsaKey("jwk"), EdKey("jwk")
    good = jws(FIXED_KEY, "ES256")
    yield "ok_kid", good
    yield "ok_post_as_get", jws(FIXED_KEY, "ES256", payload=b"")
    yield "ok_jwk", jws(ec, "ES256", {"jwk": jwk(ec)})
    yield "ok_es384", jws(EcKey("jwk", "P-384"), "ES384", {"jwk": jwk(EcKey("jwk", "P-384"))})
    yield "ok_es512", jws(EcKey("jwk", "P-521"), "ES512", {"jwk": jwk(EcKey("jwk", "P-521"))})
    yield "ok_rs256", jws(rsa, "RS256", {"jwk": jwk(rsa)})
    yield "ok_eddsa", jws(ed, "EdDSA", {"jwk": jwk(ed)})
    yield "ok_unknown_members", dict(good, extra=1)
    yield "bad_signature", jws(FIXED_KEY, "ES256", signature=b"\1" * 64)
    yield "zero_signature", jws(FIXED_KEY, "ES256", signature=bytes(64))
    yield "short_signature", jws(FIXED_KEY, "ES256", signature=b"\1" * 63)
    yield "empty_signature", jws(FIXED_KEY, "ES256", signature=b"")
    yield "der_signature", jws(FIXED_KEY, "ES256", signature=FIXED_KEY.sign(b"x"))
    yield "ps256_bad", jws(rsa, "PS256", {"jwk": jwk(rsa)})
    yield "rs256_short", jws(rsa, "RS256", {"jwk": jwk(rsa)}, signature=b"\1" * 10)
    yield "eddsa_short", jws(ed, "EdDSA", {"jwk": jwk(ed)}, signature=b"\1" * 10)
    yield "alg_not_of_key", jws(ec, "RS256", {"jwk": jwk(ec)})
    yield "alg_none", jws(ec, "none", signature=b"")
    yield "alg_hs256", jws(ec, "HS256")
    yield "alg_absent", jws(ec, None)
    yield "alg_number", jws(ec, 5)
    yield "jwk_and_kid", jws(ec, "ES256", {"jwk": jwk(ec), "kid": KID})
    yield "no_jwk_no_kid", jws(ec, "ES256", {})
    yield "jwk_text", jws(ec, "ES256", {"jwk": "x"})
    yield "jwk_private", jws(ec, "ES256", {"jwk": dict(jwk(ec), d="AAAA")})
    yield "kid_number", jws(ec, "ES256", {"kid": 1})
    yield "crit", jws(ec, "ES256", {"kid": KID, "crit": ["exp"]})
    yield "b64_header", jws(ec, "ES256", {"kid": KID, "b64": False})
    yield "no_nonce", jws(ec, "ES256", {"kid": KID, "nonce": None})
    yield "nonce_not_base64url", jws(ec, "ES256", {"kid": KID, "nonce": "a+b="})
    yield "no_url", jws(ec, "ES256", {"kid": KID, "url": None})
    yield "url_long", jws(ec, "ES256", {"kid": KID, "url": URL + "x" * 2048})
    yield "general_form", {"payload": good["payload"], "signatures": [
        {"protected": good["protected"], "signature": good["signature"]}]}
    yield "both_forms", dict(good, signatures=[])
    yield "unprotected_header", dict(good, header={"kid": KID})
    yield "no_protected", {"payload": good["payload"], "signature": good["signature"]}
    yield "no_payload", {"protected": good["protected"], "signature": good["signature"]}
    yield "no_signature", {"protected": good["protected"], "payload": good["payload"]}
    yield "payload_object", dict(good, payload={})
    yield "protected_padded", dict(good, protected=good["protected"] + "=")
    yield "protected_not_json", dict(good, protected=b64(b"{"))
    yield "protected_array", dict(good, protected=b64(b"[]"))
    yield "protected_empty", dict(good, protected="")
    yield "header_twice", dict(good, protected=b64(b'{"alg":"ES256","alg":"none"}'))
    yield "payload_not_base64url", dict(good, payload="a b")
    yield "array", [good]
    yield "compact_form", ".".join((good["protected"], good["payload"], good["signature"]))


def member_list(count):
    return "{" + ",".join(f'"m{i}":{i}' for i in range(count)) + "}"


JSON_SAMPLES = {
    "ok_object": '{"a":1,"b":[true,false,null],"c":{"d":"e"}}',
    "ok_spaces": ' \t\r\n{ "a" : [ 1 , 2 ] } \n',
    "ok_escapes": '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\ud83d\\ude00"',
    "ok_utf8": '"ä€😀\u007f"',
    "ok_numbers": "[0,-0,1,-1,0.5,1e3,1E-3,1.5e+10,123456789012345678,9007199254740993]",
    "ok_large_number": "[1e308,-1e308,5e-324,1e-400]",
    "number_overflow": "[1e309]",
    "number_overflow_negative": "-1e999",
    "ok_depth": "[" * 15 + "0" + "]" * 15,
    "ok_empty_name": '{"":0}',
    "ok_name_escaped": '{"\\u0061":1,"b\\n":2}',
    "ok_names_by_case": '{"a":1,"A":2}',
    "ok_members": member_list(64),
    "ok_true": "true",
    "ok_null": "null",
    "ok_text": '"x"',
    "empty": "",
    "spaces": "  ",
    "trailing": "{} x",
    "two": "{}{}",
    "bom": "\ufeff{}",
    "nul": "{}\0",
    "deep": "[" * 17 + "]" * 17,
    "very_deep": "[" * 2000,
    "duplicate": '{"a":1,"a":2}',
    "duplicate_escaped": '{"a":1,"\\u0061":2}',
    "duplicate_far": '{"a":1,"b":{"a":1},"c":[],"a":2}',
    "u0000": '"a\\u0000b"',
    "u0000_name": '{"a\\u0000":1}',
    "lone_high": '"\\ud800"',
    "lone_low": '"\\udc00"',
    "high_high": '"\\ud800\\ud800"',
    "control": '"a\nb"',
    "bad_escape": '"\\x"',
    "bad_hex": '"\\u12g4"',
    "unterminated": '"abc',
    "unterminated_escape": '"abc\\',
    "leading_zero": "012",
    "plus": "+1",
    "dot_first": ".5",
    "dot_last": "5.",
    "no_exponent": "1e",
    "minus": "-",
    "hexadecimal": "0x10",
    "nan": "NaN",
    "long_number": "1" * 64,
    "long_fraction": "0." + "1" * 60,
    "comment": "{}/*x*/",
    "single_quotes": "{'a':1}",
    "trailing_comma": "[1,]",
    "missing_comma": "[1 2]",
    "missing_colon": '{"a" 1}',
    "bare_name": "{a:1}",
    "capital": "True",
}
JSON_BYTES = {
    "utf8_overlong": b'"\xc0\xaf"',
    "utf8_surrogate": b'"\xed\xa0\x80"',
    "utf8_above": b'"\xf4\x90\x80\x80"',
    "utf8_cut": b'"\xe2\x82',
    "utf8_continuation": b'"\x80"',
    "latin1": b'"\xe4"',
}
