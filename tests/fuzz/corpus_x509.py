"""Certificate requests and certificates for make_corpus.py, the wrong ones included."""

import base64
import datetime
import ipaddress
import textwrap

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from corpus_der import (
    NULL, TRUE, EcKey, EdKey, RsaKey, bits, integer, octets, oid, sequence, set_of, signed, spki, tlv, utf8,
)

NAMES = ("www.fuzz.example", "fuzz.example")
FIXED_KEY = EcKey("fixed")


# ---- requests ----


def dns(name):
    return tlv(0x82, name.encode() if isinstance(name, str) else name)


def ip(text):
    return tlv(0x87, ipaddress.ip_address(text).packed)


def extension(dotted, content, critical=False):
    return sequence(oid(dotted), TRUE if critical else b"", octets(content))


def san(*names):
    return extension("2.5.29.17", sequence(*names))


def subject(*common_names):
    return sequence(*(set_of(sequence(oid("2.5.4.3"), name)) for name in common_names))


def request(key, extensions, name=None, attributes=None, public=None, version=0, **signing):
    if attributes is None:
        attributes = sequence(oid("1.2.840.113549.1.9.14"), set_of(sequence(*extensions))) if extensions else b""
    content = sequence(
        integer(version), name if name is not None else subject(), public or spki(key), tlv(0xA0, attributes)
    )
    return signed(key, content, **signing)


def fixed_request():
    return request(FIXED_KEY, [san(*map(dns, NAMES))], subject(utf8(NAMES[0])))


def pem(label, der):
    text = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
    return f"-----BEGIN {label}-----\n{text}\n-----END {label}-----\n".encode()


def good_requests():
    ed, rsa = EdKey("csr"), RsaKey("csr")
    two = san(*map(dns, NAMES))
    yield "ok_p256", fixed_request()
    yield "ok_p384", request(EcKey("csr", "P-384"), [two])
    yield "ok_p521", request(EcKey("csr", "P-521"), [san(dns("*.fuzz.example"))])
    yield "ok_rsa", request(rsa, [two], subject(utf8("WWW.fuzz.example")))
    yield "ok_ed25519", request(ed, [two])
    yield "ok_cn_only", request(FIXED_KEY, [], subject(utf8("www.fuzz.example")))
    yield "ok_ip", request(ed, [san(ip("192.0.2.1"), ip("2001:db8::1"))], subject(utf8("192.0.2.1")))
    yield "ok_idn", request(ed, [san(dns("xn--bcher-kva.example"))])
    yield "ok_repeated_name", request(ed, [san(dns("a.example"), dns("A.example"))])
    yield "ok_usage", request(
        ed,
        [
            two,
            extension("2.5.29.15", tlv(0x03, b"\x05\xa0"), True),
            extension("2.5.29.37", sequence(oid("1.3.6.1.5.5.7.3.1"), oid("1.3.6.1.5.5.7.3.2"))),
            extension("2.5.29.19", sequence()),
            extension("2.5.29.14", octets(b"\x01" * 20)),
            extension("1.3.6.1.5.5.7.1.24", sequence(integer(5))),
        ],
    )
    yield "ok_challenge_password", request(
        ed,
        None,
        attributes=sequence(oid("1.2.840.113549.1.9.7"), set_of(utf8("secret")))
        + sequence(oid("1.2.840.113549.1.9.14"), set_of(sequence(two))),
    )
    yield "ok_microsoft_extensions", request(
        ed, None, attributes=sequence(oid("1.3.6.1.4.1.311.2.1.14"), set_of(sequence(two)))
    )


def refused_requests():
    ed = EdKey("csr")
    fixed = fixed_request()
    two = san(*map(dns, NAMES))
    yield "empty", b""
    yield "not_der", b"not a request"
    yield "pem", pem("CERTIFICATE REQUEST", fixed)
    yield "trailing", fixed + b"\0"
    yield "cut", fixed[:-9]
    yield "indefinite_length", b"\x30\x80" + fixed[4:] + b"\0\0"
    yield "bad_signature", request(FIXED_KEY, [two], signature=ed.sign(b"other"))
    yield "wrong_algorithm", request(FIXED_KEY, [two], algorithm=ed.algorithm())
    weak = RsaKey("csr")
    weak.hash = hashes.SHA1()
    yield "sha1", request(weak, [two])
    yield "md5", request(RsaKey("csr"), [two], algorithm=sequence(oid("1.2.840.113549.1.1.4"), NULL))
    yield "rsa_1024", request(RsaKey("small", 1024), [two])
    yield "rsa_exponent_3", request(RsaKey("three", 2048, 3), [two])
    yield "version_2", request(ed, [two], version=2)
    yield "two_san", request(ed, [two, san(dns("a.example"))])
    yield "two_extension_lists", request(
        ed, None, attributes=sequence(oid("1.2.840.113549.1.9.14"), set_of(sequence(two))) * 2
    )
    yield "san_email", request(ed, [san(tlv(0x81, b"a@fuzz.example"))])
    yield "san_uri", request(ed, [san(tlv(0x86, b"https://fuzz.example"))])
    yield "san_empty", request(ed, [san()])
    yield "san_underscore", request(ed, [san(dns("a_b.example"))])
    yield "san_nul", request(ed, [san(dns("a.example\0.evil"))])
    yield "san_space", request(ed, [san(dns(" a.example"))])
    yield "san_ip_of_5", request(ed, [san(tlv(0x87, b"\1\2\3\4\5"))])
    yield "san_damaged", request(ed, [extension("2.5.29.17", b"\x30\x20\x82")])
    yield "san_inner_wildcard", request(ed, [san(dns("a.*.example"))])
    yield "cn_nul", request(ed, [two], subject(utf8(b"www.fuzz.example\0.evil")))
    yield "cn_other", request(ed, [two], subject(utf8("other.example")))
    yield "cn_two", request(ed, [two], subject(utf8(NAMES[0]), utf8(NAMES[1])))
    yield "cn_bmp", request(ed, [two], subject(tlv(0x1E, "www.fuzz.example".encode("utf-16-be"))))
    yield "cn_no_text", request(ed, [two], subject(integer(5)))
    yield "ca_true", request(ed, [two, extension("2.5.29.19", sequence(TRUE))])
    yield "cert_sign", request(ed, [two, extension("2.5.29.15", tlv(0x03, b"\x02\x04"))])
    yield "code_signing", request(ed, [two, extension("2.5.29.37", sequence(oid("1.3.6.1.5.5.7.3.3")))])
    yield "name_constraints", request(ed, [two, extension("2.5.29.30", sequence())])
    yield "extension_twice", request(ed, [two] + [extension("2.5.29.19", sequence())] * 2)
    yield "no_names", request(ed, [])
    off = bytearray(spki(FIXED_KEY))
    off[-1] ^= 1
    yield "point_off_curve", request(FIXED_KEY, [two], public=bytes(off))
    x, y = FIXED_KEY.point()
    compressed = sequence(
        sequence(oid("1.2.840.10045.2.1"), oid(FIXED_KEY.curve_oid)), bits(bytes([2 + (y[-1] & 1)]) + x)
    )
    yield "compressed_point", request(FIXED_KEY, [two], public=compressed)
    yield "curve_brainpool", request(
        FIXED_KEY, [two],
        public=sequence(sequence(oid("1.2.840.10045.2.1"), oid("1.3.36.3.3.2.8.1.1.7")), bits(b"\4" + x + y)),
    )
    yield "dsa", request(ed, [two], public=sequence(sequence(oid("1.2.840.10040.4.1")), bits(integer(5))))


# ---- certificates ----

DAY = datetime.timedelta(days=1)
START = datetime.datetime(2027, 1, 10)


def certificate(issuer_name, issuer_key, name, public, authority, days=90, start=START, names=NAMES,
                key_id=True, serial=1, usage=ExtendedKeyUsageOID.SERVER_AUTH):
    def full(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = (
        x509.CertificateBuilder()
        .issuer_name(full(issuer_name))
        .subject_name(full(name))
        .public_key(public)
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(start + days * DAY)
        .add_extension(x509.BasicConstraints(authority, None), True)
    )
    if key_id:
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public), False
        ).add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
    if not authority:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False
        ).add_extension(x509.ExtendedKeyUsage([usage]), False)
    return builder.sign(issuer_key.private, issuer_key.hash)


def der(certificate_):
    return certificate_.public_bytes(serialization.Encoding.DER)


def chain():
    """The leaf of the fixed request, its intermediate, the root."""
    root_key, middle_key = EdKey("root"), EdKey("intermediate")
    root = certificate("Fuzz Root", root_key, "Fuzz Root", root_key.public, True, 3650)
    middle = certificate("Fuzz Root", root_key, "Fuzz Intermediate", middle_key.public, True, 3650)
    leaf = leaf_of(middle_key)
    return leaf, middle, root


def leaf_of(issuer_key, **options):
    return certificate("Fuzz Intermediate", issuer_key, NAMES[0], FIXED_KEY.public, False, **options)


def pems(*certificates):
    return b"".join(pem("CERTIFICATE", der(one)) for one in certificates)


def certificate_samples():
    leaf, middle, root = chain()
    middle_key, root_key = EdKey("intermediate"), EdKey("root")
    everything = pems(leaf, middle, root)
    yield "ok_pem", pems(leaf, middle)
    yield "ok_pem_with_root", everything
    yield "ok_root_first", pems(root, middle, leaf)
    yield "ok_crlf", everything.replace(b"\n", b"\r\n")
    yield "ok_foreign_text", b"subject=x\n\n" + pems(middle) + b"-- \n\xff\xfe text\n" + pems(leaf)
    yield "ok_no_last_newline", everything.rstrip()
    yield "ok_pkcs7_pem", pkcs7.serialize_certificates([leaf, middle, root], serialization.Encoding.PEM)
    yield "ok_pkcs7_der", pkcs7.serialize_certificates([root, leaf, middle], serialization.Encoding.DER)
    yield "ok_der", der(leaf)
    yield "ok_bag_attributes", b"Bag Attributes\n    friendlyName: x\n" + everything
    yield "ok_repeated", pems(leaf, leaf, middle, middle)
    yield "ok_two_leaves", pems(leaf, leaf_of(middle_key, serial=2, start=START + DAY), middle)
    yield "ok_root_issued", pems(
        certificate("Fuzz Root", root_key, NAMES[0], FIXED_KEY.public, False), root
    )
    yield "ok_no_key_ids", pems(leaf_of(middle_key, key_id=False), middle)
    rsa_key = RsaKey("ca")
    rsa_ca = certificate("RSA Root", rsa_key, "RSA Root", rsa_key.public, True, 3650)
    yield "ok_rsa_issuer", pems(certificate("RSA Root", rsa_key, NAMES[0], FIXED_KEY.public, False), rsa_ca)
    other_key = EdKey("other")
    yield "two_intermediates_one_name", pems(
        leaf_of(middle_key, key_id=False),
        certificate("Fuzz Root", root_key, "Fuzz Intermediate", other_key.public, True, 3650), middle,
    )
    yield "loop", pems(
        certificate("B", other_key, NAMES[0], FIXED_KEY.public, False, key_id=False),
        certificate("C", other_key, "B", other_key.public, True, key_id=False),
        certificate("B", other_key, "C", other_key.public, True, key_id=False),
    )
    yield "issuer_missing", pems(leaf)
    yield "no_leaf", pems(middle, root)
    yield "other_key", pems(certificate("Fuzz Root", root_key, NAMES[0], other_key.public, False), root)
    yield "other_names", pems(leaf_of(middle_key, names=("other.example",)), middle)
    yield "expired", pems(leaf_of(middle_key, days=1), middle)
    yield "not_yet_valid", pems(leaf_of(middle_key, start=START + 60 * DAY), middle)
    yield "code_signing", pems(leaf_of(middle_key, usage=ExtendedKeyUsageOID.CODE_SIGNING), middle)
    yield "leaf_is_ca", pems(certificate("Fuzz Root", root_key, NAMES[0], FIXED_KEY.public, True), root)
    yield "bad_signature", pems(leaf_of(other_key, key_id=False), middle)
    yield "seventeen", b"".join(pems(leaf_of(middle_key, serial=i + 1)) for i in range(17))
    yield "empty", b""
    yield "no_certificate", b"hello\n"
    yield "cut_pem", everything[:300]
    yield "cut_der", der(leaf)[:-7]
    yield "trailing_der", der(leaf) + b"xx"
    yield "empty_block", b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"
    yield "not_base64", b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"
    yield "wrong_end", everything.replace(b"END CERTIFICATE", b"END SOMETHING", 1)
    yield "private_key_too", pem("PRIVATE KEY", b"0") + pems(leaf, middle)
    yield "request_instead", pem("CERTIFICATE REQUEST", fixed_request())
    yield "pkcs7_empty", pem("PKCS7", sequence(
        oid("1.2.840.113549.1.7.2"),
        tlv(0xA0, sequence(integer(1), set_of(), sequence(oid("1.2.840.113549.1.7.1")), set_of())),
    ))
    yield "pkcs7_data", sequence(oid("1.2.840.113549.1.7.1"), tlv(0xA0, octets(b"hello")))
