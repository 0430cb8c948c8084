#!/usr/bin/python3
"""What real clients send and depend on, beyond the RFCs."""

import http.client
import json
import socket
import ssl
import unittest

from case import ConformanceCase, shows
from client import make_csr, names_of
from harness.contract import check_contract
from harness.keys import b64, certificate_key

JOSE = "application/jose+json"


class Wire(ConformanceCase):
    def exchange(self, data, method="GET"):
        """Bytes out, (status, header fields, body) of the one response back, and whether the server hung up."""
        context = ssl.create_default_context(cafile=self.site.root)
        with socket.create_connection((self.site.host, self.site.port), 10) as plain:
            with context.wrap_socket(plain, server_hostname=self.site.host) as secure:
                secure.sendall(data)
                response = http.client.HTTPResponse(secure, method=method)
                response.begin()
                body = response.read()
                if response.status == 100:
                    raise AssertionError("the final response did not come")
                return response.status, response.msg, body

    @property
    def host(self):
        return self.site.url.split("://")[1]

    @property
    def path(self):
        return "/" + self.site.directory_url.split("/", 3)[3]

    @shows("contract-20", "checklist-23", "checklist-25")
    def test_old_and_odd_requests(self):
        lines = {"HTTP/1.0": ("1.0", ""), "close": ("1.1", "Connection: close\r\n"),
                 "TE, close": ("1.1", "Connection: TE, close\r\nTE: trailers\r\n"),
                 "content type on GET": ("1.1", f"Content-Type: {JOSE}\r\nAccept: application/json\r\n"),
                 "languages and encodings": ("1.1", "Accept-Language: de-DE,*;q=0.1\r\nAccept-Encoding: gzip, br\r\n"),
                 "odd agent": ("1.1", "User-Agent: (\u00fc) <x>\r\n"), "no agent": ("1.1", "")}
        for what, (version, fields) in lines.items():
            with self.subTest(what=what):
                request = f"GET {self.path} HTTP/{version}\r\nHost: {self.host}\r\n{fields}\r\n"
                status, header, body = self.exchange(request.encode("utf-8"))
                self.assertEqual((status, int(header["Content-Length"])), (200, len(body)))
                self.assertIn("newNonce", json.loads(body))
                self.assertIsNone(header["Transfer-Encoding"])

    @shows("contract-20", "checklist-23")
    def test_expect_100_continue(self):
        body = json.dumps(self.acme.jws(self.acme.account, None)).encode()
        path = "/" + self.acme.account.split("/", 3)[3]
        request = (f"POST {path} HTTP/1.1\r\nHost: {self.host}\r\nContent-Type: {JOSE}\r\n"
                   f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n").encode()
        status, _, answer = self.exchange(request + body, "POST")
        self.assertEqual((status, json.loads(answer)["status"]), (200, "valid"))

    @shows("checklist-23")
    def test_many_requests_on_one_connection(self):
        connection = self.acme.connect()
        for _ in range(100):
            connection.request("HEAD", "/" + self.acme.directory["newNonce"].split("/", 3)[3])
            response = connection.getresponse()
            response.read()
            self.assertEqual(response.status, 200)
        connection.close()

    @shows("contract-20", "checklist-22")
    def test_any_json_text(self):
        """Pretty-printed, in any order, with members nobody asked for, large."""
        client = self.newcomer()
        payload = json.dumps({"zzz": [None, {"a": 1.5e3}], "contact": [], "": ""}, indent=4).encode()
        jws = client.jws(client.account, payload)
        text = json.dumps({"unknown": {"x": []}, **dict(reversed(jws.items()))}, indent=8).encode() + b"\r\n  "
        self.assertEqual(client.raw_post(client.account, text).status, 200)
        payload = json.dumps({"unknown": "x" * 40000}).encode()
        self.assertEqual(client.post(client.account, payload).status, 200)

    @shows("checklist-22")
    def test_too_large(self):
        context = ssl.create_default_context(cafile=self.site.root)
        with socket.create_connection((self.site.host, self.site.port), 10) as plain:
            with context.wrap_socket(plain, server_hostname=self.site.host) as secure:
                secure.sendall(f"POST /{self.acme.account.split('/', 3)[3]} HTTP/1.1\r\nHost: {self.host}\r\n"
                               f"Content-Type: {JOSE}\r\nContent-Length: 90000000\r\n\r\n".encode())
                response = http.client.HTTPResponse(secure, method="POST")
                response.begin()
                self.assertIn(response.status, (400, 413))
                self.assertEqual(response.headers["Content-Type"], "application/problem+json")

    @shows("checklist-2")
    def test_content_type_with_a_parameter(self):
        jws = self.acme.jws(self.acme.account, None)
        response = self.acme.raw_post(self.acme.account, jws, JOSE + "; charset=utf-8")
        self.assertIn(response.status, (200, 415))


class Whole(ConformanceCase):
    @shows("contract-1", "contract-4", "contract-5", "contract-9", "contract-12", "contract-13", "contract-14",
           "contract-15")
    def test_contract_over_a_whole_life(self):
        """harness/contract.py looks at every response of our own server throughout the suite; here at all kinds."""
        self.need_own("the contract is stricter than the RFC")
        seen = []
        client = self.newcomer()
        plain = client.send

        def send(*arguments, **options):
            response = plain(*arguments, **options)
            check_contract(response)
            seen.append(response.url.split("/")[3])
            return response

        client.send = send
        client.register()
        issued = client.issue(self.name(), self.name())
        client.fetch(issued.order_url)
        client.fetch(client.fetch(client.account).json["orders"])
        client.ask_order(("dns", "-"))
        client.new_nonce()
        self.assertLessEqual({"new-account", "account", "new-order", "order", "authz", "challenge", "certificate",
                              "new-nonce"}, set(seen))

    @shows("contract-8", "contract-16", "contract-17", "checklist-24", "checklist-67")
    def test_finalize_answers_at_once_and_polls_go_on(self):
        name = self.name()
        order_url, order = self.acme.ready(name)
        response = self.acme.post(order["finalize"], {"csr": b64(make_csr([name], certificate_key()))})
        self.assertLess(response.seconds, 20)
        self.assertEqual((response.status, response.location), (200, order_url))
        self.assertIn(response.json["status"], ("processing", "valid"))
        polled = self.acme.post(order_url)
        self.assertEqual((polled.status, polled.location or order_url), (200, order_url))
        if self.site.own:
            self.assertFalse(response.all("Retry-After") + polled.all("Retry-After"))

    @shows("contract-19", "checklist-70")
    def test_certificate_of_the_key_that_was_asked_for(self):
        key = certificate_key()
        issued = self.acme.issue(name := self.name(), key=key)
        self.assertEqual(issued.leaf.public_key().public_numbers(), key.public_key().public_numbers())
        self.assertEqual(names_of(issued.leaf), [("dns", name)])

    @shows("checklist-119")
    def test_a_hundred_names(self):
        names = [self.name() for _ in range(100)]
        response = self.acme.ask_order(*names)
        self.assertIn(response.status, (201, 400, 403))
        if self.site.own:
            issued = self.acme.issue(*names)
            self.assertEqual(len(names_of(issued.leaf)), 100)
            self.assertLess(len(issued.pem), 16384)
            self.refused(self.acme.ask_order(*names, self.name()), (400, 403), "malformed", "rejectedIdentifier")

    @shows("checklist-107", "checklist-108", "checklist-109")
    def test_profiles(self):
        profiles = self.acme.directory.get("meta", {}).get("profiles")
        self.need(profiles, "profiles")
        for name, description in profiles.items():
            self.assertRegex(name, r"\A[A-Za-z0-9._-]{1,64}\Z")
            self.assertIsInstance(description, str)
        chosen = next(iter(profiles))
        self.assertEqual(self.acme.ask_order(self.name(), profile=chosen).json["profile"], chosen)
        self.assertIn(self.acme.ask_order(self.name()).json["profile"], profiles)
        self.refused(self.acme.ask_order(self.name(), profile="no-such-profile"), 400, "invalidProfile", "malformed")


if __name__ == "__main__":
    unittest.main()
