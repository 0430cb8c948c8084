#!/usr/bin/python3
"""HTTPS, encodings, and the JWS of requests: RFC 8555 sections 5, 6.1 to 6.4."""

import base64
import json
import socket
import ssl
import unittest

from case import ConformanceCase, shows
from client import unb64
from harness.keys import AccountKey, b64, b64_number


class Https(ConformanceCase):
    @shows("8555-6.1-1", "checklist-1")
    def test_plain_http_is_not_served(self):
        with socket.create_connection((self.site.host, self.site.port), 10) as plain:
            plain.sendall(b"GET /directory HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try:
                answer = plain.recv(4096)
            except ConnectionResetError:
                answer = b""
        self.assertNotIn(b" 200 ", answer.split(b"\r\n")[0])
        for name, value in self.acme.directory.items():
            if name != "meta":
                self.assertTrue(value.startswith("https://"), value)

    def handshake(self, version, ciphers=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers(ciphers or "ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        with socket.create_connection((self.site.host, self.site.port), 10) as plain:
            with context.wrap_socket(plain, server_hostname=self.site.host) as secure:
                return secure.version(), secure.cipher()[0]

    @shows("8555-6.1-2")
    def test_only_sound_tls(self):
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            with self.subTest(version=version), self.assertRaises((ssl.SSLError, ConnectionResetError)):
                self.handshake(version)
        for ciphers in ("NULL:aNULL:@SECLEVEL=0", "RC4:3DES:@SECLEVEL=0", "kRSA:@SECLEVEL=0"):
            with self.subTest(ciphers=ciphers), self.assertRaises((ssl.SSLError, ConnectionResetError)):
                self.handshake(ssl.TLSVersion.TLSv1_2, ciphers)
        _, cipher = self.handshake(ssl.TLSVersion.TLSv1_2)
        self.assertIn("ECDHE", cipher)

    @shows("8555-5-1")
    def test_utf8_in_both_directions(self):
        response = self.acme.ask_order(("dns", "bücher.example"))
        self.refused(response, 400, "rejectedIdentifier", "malformed")
        response.body.decode("utf-8")
        response = self.acme.post(self.acme.directory["newOrder"], b'{"identifiers":[{"type":"dns","value":"\xff"}]}')
        self.refused(response, 400, "malformed", "rejectedIdentifier")

    @shows("8555-6.1-4", "8555-6.1-5", "8555-6.5.2-2", "checklist-8")
    def test_base64url_is_strict(self):
        good = self.acme.jws(self.acme.account, None)
        for member in ("protected", "signature"):
            text = good[member]
            for wrong in (text + "=", text + "==", text[:-1] + "+", text[:-1] + "/", text + "\n", " " + text,
                          text[:5] + "\n" + text[5:]):
                with self.subTest(member=member, wrong=wrong[-3:]):
                    self.refused(self.acme.raw_post(self.acme.account, {**good, member: wrong}), 400, "malformed")
        for payload in ("e30=", "e30\n", "e3 0", "e31"):  # {} in base64url is e30
            with self.subTest(payload=payload):
                self.refused(self.acme.raw_post(self.acme.account, {**good, "payload": payload}), 400, "malformed")
        for nonce in (self.acme.new_nonce() + "=", "a b", "a+b/", "é"):
            with self.subTest(nonce=nonce):
                self.refused(self.acme.post(self.acme.account, nonce=nonce), 400, "malformed", "badNonce")


class Jws(ConformanceCase):
    def account_unchanged(self):
        self.assertEqual(self.acme.fetch(self.acme.account).json["contact"], ["mailto:admin@example.com"])

    @shows("8555-6.2-1", "checklist-9")
    def test_signature_is_verified_first(self):
        change = {"contact": ["mailto:thief@example.com"]}
        jws = self.acme.jws(self.acme.account, change)
        signature = bytearray(base64.urlsafe_b64decode(jws["signature"] + "=="))
        signature[5] ^= 0x40
        self.refused(self.acme.raw_post(self.acme.account, {**jws, "signature": b64(bytes(signature))}),
                     (400, 401, 403), "malformed", "unauthorized")
        jws = self.acme.jws(self.acme.account, {"contact": []})
        jws["payload"] = b64(json.dumps(change).encode())
        self.refused(self.acme.raw_post(self.acme.account, jws), (400, 401, 403), "malformed", "unauthorized")
        response = self.acme.post(self.acme.account, change, key=AccountKey(), kid=self.acme.account)
        self.refused(response, (400, 401, 403), "malformed", "unauthorized")
        self.account_unchanged()

    @shows("8555-6.2-2", "8555-6.2-3", "8555-6.2-5", "8555-6.2-6", "checklist-3")
    def test_only_the_flattened_form(self):
        jws = self.acme.jws(self.acme.account, None)
        single = {"protected": jws["protected"], "signature": jws["signature"]}
        compact = f"{jws['protected']}.{jws['payload']}.{jws['signature']}".encode("ascii")
        forms = {"general": {"payload": jws["payload"], "signatures": [single]},
                 "several signatures": {**jws, "signatures": [single, single]},
                 "unprotected header": {**jws, "header": {"kid": self.acme.account}},
                 "empty unprotected header": {**jws, "header": {}},
                 "detached payload": single,
                 "null payload": {**jws, "payload": None},
                 "without protected": {"payload": jws["payload"], "signature": jws["signature"]},
                 "without signature": {"payload": jws["payload"], "protected": jws["protected"]},
                 "compact": compact, "quoted compact": json.dumps(compact.decode()).encode(), "a list": b"[]"}
        for name, form in forms.items():
            with self.subTest(form=name):
                self.refused(self.acme.raw_post(self.acme.account, form), 400, "malformed")

    @shows("8555-6.2-4")
    def test_no_unencoded_payload_and_no_unknown_extension(self):
        for header in ({"b64": False, "crit": ["b64"]}, {"crit": ["unheard-of"], "unheard-of": 1}, {"crit": []}):
            with self.subTest(header=header):
                self.refused(self.acme.post(self.acme.account, None, **header), 400, "malformed")

    @shows("8555-6.2-8", "8555-6.2-9", "8555-6.2-12", "8555-6.4.1-1", "checklist-4")
    def test_header_parameters_that_must_be_there(self):
        for names in (("alg",), ("url",), ("kid",)):
            with self.subTest(without=names):
                self.refused(self.acme.post(self.acme.account, None, without=names), (400, 401, 403), "malformed",
                             "unauthorized", "badSignatureAlgorithm")
        with self.subTest(without="nonce"):
            self.refused(self.acme.post(self.acme.account, None, without=("nonce",)), 400, "badNonce", "malformed")
        with self.subTest("both jwk and kid"):
            self.refused(self.acme.post(self.acme.account, None, kid=self.acme.account, jwk=self.acme.key.jwk()), 400,
                         "malformed")
        for wrong in ({"url": 7}, {"url": [self.acme.account]}, {"kid": 7}, {"alg": ["ES256"]}, {"nonce": 7}):
            with self.subTest(wrong=wrong):
                self.refused(self.with_header(**wrong), (400, 401, 403), "malformed", "unauthorized",
                             "badSignatureAlgorithm", "badNonce")

    def with_header(self, **members):
        """A request whose protected header claims something else than it was signed for."""
        jws = self.acme.jws(self.acme.account, None)
        header = {**json.loads(unb64(jws["protected"])), **members}
        return self.acme.raw_post(self.acme.account, {**jws, "protected": b64(json.dumps(header).encode())})

    @shows("8555-6.2-7", "8555-6.2-15", "checklist-5")
    def test_algorithms_that_are_refused(self):
        for alg in ("none", "HS256", "HS512", "ES256K", "RS1", "", "es256", "A" * 200):
            with self.subTest(alg=alg[:10]):
                response = self.with_header(alg=alg)
                self.refused(response, 400, "badSignatureAlgorithm")
                self.assertIn("ES256", response.json["algorithms"])
                self.assertTrue(all(isinstance(item, str) for item in response.json["algorithms"]))

    @shows("8555-6.2-10", "checklist-6")
    def test_es256(self):
        self.assertEqual(self.connect(key=AccountKey("ES256")).register().status, 201)

    @shows("8555-6.2-11", "checklist-6")
    def test_other_algorithms_of_clients(self):
        offered = self.with_header(alg="none")
        for alg in ("EdDSA", "RS256", "ES384", "ES512"):
            with self.subTest(alg=alg):
                self.need(alg in offered.json["algorithms"], f"the algorithm {alg}")
                client = self.newcomer(key=AccountKey(alg))
                self.assertEqual(client.fetch(client.account).json["status"], "valid")

    @shows("8555-6.2-16", "checklist-7")
    def test_public_keys_that_are_refused(self):
        small = AccountKey("RS256", 1024)
        self.refused(self.connect(key=small).ask_account({"termsOfServiceAgreed": True}), 400, "badPublicKey")
        key = AccountKey()
        numbers = key.private.public_key().public_numbers()
        off_curve = {**key.jwk(), "y": b64_number(numbers.y ^ 1, 32)}
        zero = {**key.jwk(), "x": b64(b"\0" * 32), "y": b64(b"\0" * 32)}
        for jwk in (off_curve, {**key.jwk(), "crv": "secp256k1"}, zero, AccountKey("ES384").jwk(),
                    AccountKey("RS256").jwk(), {**AccountKey("RS256").jwk(), "e": b64(b"\x01")},
                    {"kty": "oct", "k": b64(b"x" * 32)}, {}, {"kty": "EC"}):
            with self.subTest(jwk=str(jwk)[:60]):
                response = self.connect(key=key).post(self.acme.directory["newAccount"], {"termsOfServiceAgreed": True},
                                                      jwk=jwk)
                self.refused(response, 400, "badPublicKey", "malformed", "badSignatureAlgorithm")

    @shows("8555-6.2-13", "8555-6.2-14", "checklist-12")
    def test_which_key_signs_what(self):
        stranger = self.connect()
        self.refused(stranger.ask_account({"termsOfServiceAgreed": True}, kid=self.acme.account, without=("jwk",)),
                     (400, 401, 403), "malformed", "unauthorized")
        for url in (self.acme.account, self.acme.directory["newOrder"]):
            self.refused(self.acme.post(url, {}, jwk=self.acme.key.jwk()), (400, 401, 403), "malformed", "unauthorized")

    @shows("8555-6.2-14", "checklist-11")
    def test_kid_is_an_account_url(self):
        unknown = self.acme.account[:-4] + ("0000" if not self.acme.account.endswith("0000") else "1111")
        self.refused(self.acme.post(self.acme.account, None, kid=unknown), (400, 401, 403), "accountDoesNotExist")
        for kid in (self.acme.account.rsplit("/", 1)[1], self.acme.account + "/", self.acme.directory["newOrder"]):
            with self.subTest(kid=kid):
                self.refused(self.acme.post(self.acme.account, None, kid=kid), (400, 401, 403), "malformed",
                             "unauthorized", "accountDoesNotExist")
        other = self.newcomer()
        self.refused(self.acme.post(self.acme.account, None, kid=other.account), (400, 401, 403), "malformed",
                     "unauthorized")

    @shows("8555-6.2-17", "checklist-2")
    def test_content_type(self):
        for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded", None):
            with self.subTest(kind=kind):
                response = self.acme.raw_post(self.acme.account, self.acme.jws(self.acme.account, None), kind)
                self.refused(response, 415, "malformed")


class Requests(ConformanceCase):
    @shows("8555-6.3-1", "checklist-1", "checklist-115")
    def test_get_is_for_directory_and_new_nonce_only(self):
        issued = self.acme.issue(self.name())
        authorization = issued.order["authorizations"][0]
        challenge = self.acme.fetch(authorization).json["challenges"][0]["url"]
        urls = [self.acme.account, issued.order_url, authorization, challenge, issued.order["certificate"],
                issued.order["finalize"], self.acme.fetch(self.acme.account).json["orders"]]
        urls += [url for name, url in self.acme.directory.items()
                 if name in ("newAccount", "newOrder", "newAuthz", "revokeCert", "keyChange")]
        for url in urls:
            with self.subTest(url=url):
                self.refused(self.acme.get(url), 405, "malformed")

    @shows("8555-6.3-2", "checklist-36", "checklist-60", "checklist-89", "checklist-94")
    def test_reading_takes_the_owner(self):
        issued = self.acme.issue(self.name())
        authorization = issued.order["authorizations"][0]
        challenge = self.acme.fetch(authorization).json["challenges"][0]["url"]
        stranger = self.newcomer()
        for url in (self.acme.account, issued.order_url, authorization, challenge, issued.order["certificate"],
                    self.acme.fetch(self.acme.account).json["orders"]):
            with self.subTest(url=url):
                self.refused(stranger.post(url), (401, 403, 404), "malformed", "unauthorized")
                self.refused(self.acme.post(url, None, key=AccountKey(), kid=self.acme.account), (400, 401, 403),
                             "malformed", "unauthorized")

    @shows("8555-6.3-3", "8555-6.3-4", "checklist-17")
    def test_post_as_get_reads(self):
        read = self.acme.expect(self.acme.post(self.site.directory_url), 200)
        self.assertEqual(read.json, self.acme.get(self.site.directory_url).json)
        nonce = self.acme.once(self.acme.directory["newNonce"])
        self.assertIn(nonce.status, (200, 204))
        self.assertTrue(nonce.nonce)
        order_url, order = self.acme.place(self.name())
        challenge = self.acme.fetch(order["authorizations"][0]).json["challenges"][0]
        for _ in range(2):
            self.assertEqual(self.acme.fetch(order_url).json, order)
            self.assertEqual(self.acme.fetch(challenge["url"]).json["status"], "pending")

    @shows("8555-6.4-1", "8555-6.4-2", "checklist-10")
    def test_url_equals_the_requests(self):
        order_url, _ = self.acme.place(self.name())
        scheme_less = self.acme.account.split("://")[1]
        for url in (order_url, self.acme.account + "/", self.acme.account + "?a=b", self.acme.account.upper(),
                    "http://" + scheme_less, "https://other.example/" + scheme_less.split("/", 1)[1],
                    self.acme.account.replace("://", "://x@"), scheme_less, "", self.acme.account + "#"):
            with self.subTest(url=url):
                self.refused(self.acme.raw_post(self.acme.account, self.acme.jws(url, None)), (401, 403),
                             "unauthorized")


if __name__ == "__main__":
    unittest.main()
