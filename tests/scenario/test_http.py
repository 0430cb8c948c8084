#!/usr/bin/python3
"""HTTP and TLS as bytes on a socket: what smuggles is refused, what old and odd clients send is understood."""

import contextlib
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.case import ServerCase  # noqa: E402 (found through the line above)
from harness.raw import RawConnection  # noqa: E402

MAX_BODY = 65536


class Http(ServerCase):
    def connect(self, **options):
        connection = RawConnection(self.bridge, **options)
        self.addCleanup(connection.__exit__)
        return connection

    def request(self, *lines, body=b"", method="GET"):
        """Sends one request of raw lines on a connection of its own."""
        connection = self.connect()
        connection.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        return connection, connection.receive(method)

    @property
    def host(self):
        return f"Host: localhost:{self.bridge.port}"

    def cut_off(self, statuses, *lines, body=b""):
        connection, response = self.request(*lines, body=body)
        self.assertIn(response.status, statuses, response.describe())
        self.assertEqual(response.all("Connection"), ["close"], response.describe())
        self.assertEqual(response.content_type, "application/problem+json")
        self.assertTrue(connection.closed(), "the connection stayed open")


class Smuggling(Http):
    def post(self, *fields):
        return ("POST /new-order HTTP/1.1", self.host, "Content-Type: application/jose+json", *fields)

    def test_lengths(self):
        for fields in (("Content-Length: 3", "Content-Length: 3"), ("Content-Length: 3", "Content-Length: 4"),
                       ("Content-Length: 3, 3",), ("Content-Length: +3",), ("Content-Length: -3",),
                       ("Content-Length: 0x3",), ("Content-Length: 3.0",), ("Content-Length: 3 3",),
                       ("Content-Length:",), ("Content-Length: 99999999999999999999999",)):
            with self.subTest(fields=fields):
                self.cut_off((400, 413), *self.post(*fields), body=b"{} ")

    def test_no_length(self):
        self.cut_off((411,), *self.post())

    def test_transfer_encoding(self):
        chunked = b"3\r\n{} \r\n0\r\n\r\n"
        self.cut_off((411,), *self.post("Transfer-Encoding: chunked"), body=chunked)
        for fields in (("Transfer-Encoding: chunked", "Content-Length: 3"), ("Transfer-Encoding: identity",),
                       ("Content-Length: 3", "Transfer-Encoding: xchunked"), ("Transfer-Encoding : chunked",),
                       ("Transfer-Encoding:\x0bchunked",)):
            with self.subTest(fields=fields):
                self.cut_off((400, 411), *self.post(*fields), body=chunked)
        self.cut_off((400, 411), "GET /directory HTTP/1.1", self.host, "Transfer-Encoding: chunked", body=chunked)

    def test_host(self):
        for fields in ((), (self.host, self.host), ("Host:",), (self.host, "Host: other"), ("Host: a b",),
                       ("Host: localhost/x",)):
            with self.subTest(fields=fields):
                self.cut_off((400,), "GET /directory HTTP/1.1", *fields)

    def test_header_lines(self):
        for field in ("X-Folded: a\r\n b", " X-Leading: a", "X-Space : a", "No colon", ": no name", "X\x00Nul: a",
                      "X-Nul: a\x00b", "X-Bare: a\nContent-Length: 3"):
            with self.subTest(field=field):
                self.cut_off((400,), "GET /directory HTTP/1.1", self.host, field)

    def test_request_lines(self):
        for line, statuses in (("GET  /directory HTTP/1.1", (400,)), ("GET /directory", (400,)),
                               ("GET directory HTTP/1.1", (400,)), ("GET /directory HTTP/2.0", (400, 505)),
                               ("G\x01T /directory HTTP/1.1", (400,)), ("GET /\x80 HTTP/1.1", (400,)),
                               ("GET /direct\tory HTTP/1.1", (400,)), ("GET /directory http/1.1", (400,)),
                               ("GET http://other/directory HTTP/1.1", (400,)),
                               ("CONNECT other:443 HTTP/1.1", (400,))):
            with self.subTest(line=line):
                self.cut_off(statuses, line, self.host)

    def test_sizes(self):
        self.cut_off((414,), "GET /" + "a" * 5000 + " HTTP/1.1", self.host)
        self.cut_off((431,), "GET /directory HTTP/1.1", self.host, "X: " + "a" * 40000)
        self.cut_off((431,), "GET /directory HTTP/1.1", self.host, *(f"X-{i}: a" for i in range(300)))
        self.cut_off((413,), *self.post(f"Content-Length: {MAX_BODY + 1}"))

    def test_nothing_behind_a_refused_request_is_read(self):
        connection = self.connect()
        connection.send((f"POST /new-order HTTP/1.1\r\n{self.host}\r\nContent-Length: 3\r\n"
                         f"Content-Length: 3\r\n\r\n{{}} GET /directory HTTP/1.1\r\n{self.host}\r\n\r\n"
                         ).encode("ascii"))
        self.assertEqual(connection.receive("POST", "/new-order").status, 400)
        self.assertTrue(connection.closed())

    def test_transfer_encoding_in_disguise(self):
        chunked = b"5\r\n{} {}\r\n0\r\n\r\n"
        for field in ("transfer-encoding: chunked", "TRANSFER-ENCODING: CHUNKED", "Transfer-Encoding:chunked",
                      "Transfer-Encoding:\tchunked\t", "Transfer-Encoding: gzip, chunked",
                      "Transfer-Encoding: chunked, identity", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
                      "Transfer-Encoding: \"chunked\"", "Transfer-Encoding: chunked;a=b", "Transfer-Encoding:"):
            for other in ((), ("Content-Length: 5",)):
                with self.subTest(field=field, other=other):
                    self.cut_off((400, 411), *self.post(field, *other), body=chunked)
                    self.cut_off((400, 411), *self.post(*other, field), body=chunked)

    def test_giant_chunk(self):
        self.cut_off((411,), *self.post("Transfer-Encoding: chunked"), body=b"f" * 300 + b"\r\n" + b"a" * 40000)

    def test_bare_carriage_returns(self):
        line = "GET /directory HTTP/1.1"
        for lines in ((line + "\rX: a", self.host), (line, self.host, "X: a\rb: c"), (line, self.host, "\rX: a"),
                      (line, self.host, "X\r: a"), (line, self.host + "\r"),
                      ("POST /new-order HTTP/1.1", self.host, "Content-Length: 3\r", "Content-Length: 4")):
            with self.subTest(lines=lines):
                self.cut_off((400,), *lines)

    def test_bare_line_feeds(self):
        for data in (b"GET /directory HTTP/1.1\nHost: localhost\n\n",
                     b"GET /directory HTTP/1.1\r\nHost: localhost\n\r\n",
                     b"\nGET /directory HTTP/1.1\r\nHost: localhost\r\n\r\n",
                     b"GET /directory HTTP/1.1\r\nHost: localhost\r\n\n"):
            with self.subTest(data=data):
                connection = self.connect()
                connection.send(data)
                self.assertEqual(connection.receive().status, 400)
                self.assertTrue(connection.closed())

    def test_http_0_9(self):
        for data in (b"GET /directory\r\n\r\n", b"GET /directory \r\n\r\n", b"GET /directory HTTP/0.9\r\n\r\n"):
            with self.subTest(data=data):
                connection = self.connect()
                connection.send(data)
                self.assertIn(connection.receive().status, (400, 505))
                self.assertTrue(connection.closed())

    def test_length_of_a_get(self):
        """A body of a request that has none by custom is read as its body, not as the next request."""
        inner = f"GET /nothing HTTP/1.1\r\n{self.host}\r\n\r\n".encode("ascii")
        connection = self.connect()
        for method in ("GET", "HEAD", "DELETE"):
            connection.send(f"{method} /directory HTTP/1.1\r\n{self.host}\r\nContent-Length: {len(inner)}\r\n\r\n"
                            .encode("ascii") + inner)
            self.assertIn(connection.receive(method).status, (200, 405))
        connection.send(f"GET /new-nonce HTTP/1.1\r\n{self.host}\r\n\r\n".encode("ascii"))
        self.assertEqual(connection.receive("GET", "/new-nonce").status, 204)

    def test_refusal_ends_a_pipeline(self):
        connection = self.connect()
        good = f"GET /directory HTTP/1.1\r\n{self.host}\r\n\r\n"
        bad = f"GET /directory HTTP/1.1\r\n{self.host}\r\nContent-Length: 1, 1\r\n\r\n"
        connection.send((good * 3 + bad + good * 3).encode("ascii"))
        self.assertEqual([connection.receive().status for _ in range(4)], [200, 200, 200, 400])
        self.assertTrue(connection.closed())

    def test_plain_http(self):
        with socket.create_connection(("127.0.0.1", self.bridge.port), 10) as plain:
            plain.sendall(b"GET /directory HTTP/1.1\r\nHost: localhost\r\n\r\n")
            plain.settimeout(5)
            try:
                self.assertNotIn(b"newNonce", plain.recv(4096))
            except ConnectionResetError:
                pass
        self.assertTrue(self.bridge.answers())


class Clients(Http):
    def test_http_1_0(self):
        connection, response = self.request("GET /directory HTTP/1.0")
        self.assertEqual((response.status, response.all("Connection")), (200, ["close"]))
        self.assertTrue(connection.closed())
        connection, response = self.request("GET /directory HTTP/1.0", "Connection: keep-alive")
        self.assertEqual(response.status, 200)

    def test_connection_close(self):
        for value in ("close", "TE, close", "Close"):
            connection, response = self.request("GET /directory HTTP/1.1", self.host, f"Connection: {value}",
                                                "TE: deflate,gzip;q=0.3")
            self.assertEqual((response.status, response.all("Connection")), (200, ["close"]))
            self.assertTrue(connection.closed())

    def test_head_has_no_body(self):
        connection = self.connect()
        for path, status in (("/directory", 200), ("/new-nonce", 200), ("/nothing", 404)):
            connection.send(f"HEAD {path} HTTP/1.1\r\n{self.host}\r\n\r\n".encode("ascii"))
            self.assertEqual(connection.receive("HEAD", path).status, status)
        # Stray bytes would be taken for the start of this one.
        connection.send(f"GET /new-nonce HTTP/1.1\r\n{self.host}\r\n\r\n".encode("ascii"))
        response = connection.receive("GET", "/new-nonce")
        self.assertEqual((response.status, response.all("Content-Length")), (204, []))

    def test_header_of_clients_in_the_wild(self):
        _, response = self.request(
            "GET /directory HTTP/1.1", self.host, "Accept: application/json", "Accept-Encoding: gzip, deflate, br",
            "Content-Type: application/jose+json", "User-Agent: Mozilla/5.0 (\xe9)", "Content-Length: 0")
        self.assertEqual(response.status, 200)
        self.assertEqual(response.all("Content-Encoding"), [])

    def test_expect_continue(self):
        connection = self.connect()
        connection.send((f"POST /new-order HTTP/1.1\r\n{self.host}\r\nContent-Type: application/jose+json\r\n"
                         "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n").encode("ascii"))
        _, status, _ = connection.head()
        self.assertEqual(status, 100)
        connection.send(b"{}")
        self.assertEqual(connection.receive("POST", "/new-order").problem, "malformed")
        connection.send((f"POST /new-order HTTP/1.1\r\n{self.host}\r\nContent-Length: {MAX_BODY + 1}\r\n"
                         "Expect: 100-continue\r\n\r\n").encode("ascii"))
        self.assertEqual(connection.receive("POST", "/new-order").status, 413)

    def test_pipelining(self):
        connection = self.connect()
        paths = ["/directory", "/new-nonce", "/nothing", "/profile/default/directory"] * 5
        connection.send("".join(f"GET {path} HTTP/1.1\r\n{self.host}\r\n\r\n" for path in paths).encode("ascii"))
        statuses = [connection.receive("GET", path).status for path in paths]
        self.assertEqual(statuses, [200, 204, 404, 200] * 5)

    def test_pipelined_posts_are_answered_in_order(self):
        connection = self.connect()
        bodies = [b"{}", b"", b"[" * 10, b"{}"]
        connection.send(b"".join(
            f"POST /new-order HTTP/1.1\r\n{self.host}\r\nContent-Type: application/jose+json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode("ascii") + body
            + f"GET /directory HTTP/1.1\r\n{self.host}\r\n\r\n".encode("ascii") for body in bodies))
        for _ in bodies:
            self.assertEqual(connection.receive("POST", "/new-order").status, 400)
            self.assertEqual(connection.receive("GET", "/directory").status, 200)

    def test_a_hundred_requests_on_one_connection(self):
        client = self.client(self.bridge)
        client.register()
        sockets, nonces = set(), set()
        begin = time.monotonic()
        for _ in range(100):
            response = client.fetch(client.account)
            sockets.add(id(client.connection.sock))
            nonces.add(response.nonce)
        self.assertEqual((len(sockets), len(nonces)), (1, 100))
        # The stall of a delayed acknowledgement would be 40 ms each.
        self.assertLess(time.monotonic() - begin, 3)

    def test_request_in_small_pieces(self):
        connection = self.connect()
        data = f"GET /directory HTTP/1.1\r\n{self.host}\r\n\r\n".encode("ascii")
        for at in range(0, len(data), 7):
            connection.send(data[at:at + 7])
            time.sleep(0.01)
        self.assertEqual(connection.receive().status, 200)

    def test_half_closed_connection_is_answered(self):
        done = subprocess.run(
            ["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{self.bridge.port}", "-servername", "localhost",
             "-CAfile", self.bridge.root, "-verify_return_error"],
            input=f"GET /directory HTTP/1.1\r\n{self.host}\r\nConnection: close\r\n\r\n".encode("ascii"),
            capture_output=True, timeout=20)
        self.assertIn(b'"newNonce"', done.stdout)

    def test_host_does_not_make_urls(self):
        _, response = self.request("GET /directory HTTP/1.1", "Host: evil.example:1", "X-Forwarded-Host: evil.example")
        self.assertEqual(response.status, 200)
        self.assertNotIn("evil", json.dumps(response.json) + str(response.headers))


class Tls(Http):
    def context(self):
        context = ssl.create_default_context(cafile=self.bridge.root)
        # Without this, OpenSSL itself would not offer the old versions, and the test prove nothing.
        context.set_ciphers("ALL:@SECLEVEL=0")
        return context

    def test_old_versions_are_refused(self):
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            context = self.context()
            context.minimum_version, context.maximum_version = version, version
            with self.subTest(version=version):
                with self.assertRaises((ssl.SSLError, ConnectionError)) as caught:
                    RawConnection(self.bridge, context)
                self.assertIn("ALERT_PROTOCOL_VERSION", str(caught.exception))

    def test_current_versions(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.context()
            context.minimum_version, context.maximum_version = version, version
            connection = self.connect(context=context)
            connection.send(f"GET /directory HTTP/1.1\r\n{self.host}\r\n\r\n".encode("ascii"))
            self.assertEqual(connection.receive().status, 200)

    def test_certificate_names(self):
        for name in ("localhost", "127.0.0.1", "::1"):
            context = ssl.create_default_context(cafile=self.bridge.root)
            with socket.create_connection(("127.0.0.1", self.bridge.port), 10) as plain:
                context.wrap_socket(plain, server_hostname=name).close()

    def test_no_renegotiation(self):
        """A client that asks for one (R in s_client) gets no work out of the server, and loses its connection."""
        process = subprocess.Popen(
            ["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{self.bridge.port}", "-servername", "localhost",
             "-CAfile", self.bridge.root], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        shown = b""
        while b"---\n" not in shown or b"Verify return code" not in shown:
            shown += os.read(process.stdout.fileno(), 65536)
        process.stdin.write(b"R\n")
        process.stdin.close()
        told = process.stdout.read()
        process.wait(10)
        self.assertIn(b"RENEGOTIATING", told)
        self.assertIn(b"no renegotiation", told)

    def test_garbage_instead_of_a_handshake(self):
        for data in (b"\x00" * 600, b"\x16\x03\x01\xff\xff" + b"a" * 600, b"\x15\x03\x01\x00\x02\x02\x28",
                     b"\x80\x2e\x01\x00\x02" + b"a" * 60, os.urandom(2000), b"SSH-2.0-x\r\n",
                     b"\x16\x03\x01\x00\x00" * 100):
            with self.subTest(data=data[:8]), socket.create_connection(("127.0.0.1", self.bridge.port), 10) as plain:
                plain.sendall(data)
                with contextlib.suppress(OSError):  # the server may have hung up already
                    plain.shutdown(socket.SHUT_WR)
                self.assertLess(len(self.read_all(plain)), 100)  # an alert at most
        self.assertEqual(self.request("GET /directory HTTP/1.1", self.host)[1].status, 200)

    @staticmethod
    def read_all(plain):
        data = b""
        try:
            while more := plain.recv(4096):
                data += more
        except ConnectionResetError:
            pass
        return data

    def test_clients_that_go_away(self):
        """In each phase, politely and by reset: the server drops what it held and goes on."""
        request = (f"POST /new-order HTTP/1.1\r\n{self.host}\r\nContent-Type: application/jose+json\r\n"
                   f"Content-Length: 500\r\n\r\n").encode("ascii")
        complete = f"GET /directory HTTP/1.1\r\n{self.host}\r\n\r\n".encode("ascii")
        for reset in (False, True):
            for data in (None, b"", request[:30], request, request + b"{}", complete, complete * 50):
                with self.subTest(reset=reset, data=data):
                    plain = socket.create_connection(("127.0.0.1", self.bridge.port), 10)
                    if reset:
                        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    if data is None:
                        plain.sendall(b"\x16\x03\x01\x02\x00\x01")
                        plain.close()
                        continue
                    context = ssl.create_default_context(cafile=self.bridge.root)
                    with context.wrap_socket(plain, server_hostname="localhost") as connection:
                        connection.sendall(data)
        deadline = time.monotonic() + 10
        while self.sockets() > 3 and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertLessEqual(self.sockets(), 3, "connections stay open")
        self.assertEqual(self.request("GET /directory HTTP/1.1", self.host)[1].status, 200)

    def sockets(self):
        """The server's established connections, as the kernel tells."""
        port = f":{self.bridge.port:04X}"
        with open("/proc/net/tcp", encoding="ascii") as stream:
            fields = [line.split() for line in stream]
        return sum(each[1].endswith(port) and each[3] in ("01", "08") for each in fields)

    def test_alpn(self):
        context = ssl.create_default_context(cafile=self.bridge.root)
        context.set_alpn_protocols(["h2", "http/1.1"])
        connection = self.connect(context=context)
        self.assertIn(connection.socket.selected_alpn_protocol(), ("http/1.1", None))
        connection.send(f"GET /directory HTTP/1.1\r\n{self.host}\r\n\r\n".encode("ascii"))
        self.assertEqual(connection.receive().status, 200)


if __name__ == "__main__":
    unittest.main()
