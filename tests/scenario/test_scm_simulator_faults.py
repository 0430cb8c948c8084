#!/usr/bin/python3
"""Tests of what the SCM simulator does wrong on purpose, of its connections, and of its restart."""

import concurrent.futures
import datetime
import http.client
import json
import os
import socket
import ssl
import tempfile
import time
import unittest
import urllib.error
import urllib.parse

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from scm_fixture import Simulator
from simkit.fixture import make_csr
from simkit.ca import Authority, name_of, pem_of, utc_now
from simkit.files import write_atomically
from test_scm_simulator import Fixture, NAME

BROKEN = (http.client.HTTPException, OSError)


class Faults(Fixture):
    def requests_with(self, comments):
        return [request for request in self.scm.control("GET", "/stats")["requests"]
                if request["comments"] == comments]

    def test_drop_after_leaves_exactly_one_request(self):
        self.fault("enroll", "drop-after")
        with self.assertRaises(BROKEN):
            self.scm.enroll(NAME, comments="dropped-after")
        found = self.requests_with("dropped-after")
        self.assertEqual(len(found), 1)
        self.assertEqual(self.scm.details(found[0]["sslId"])["status"], "Issued")

    def test_drop_before_leaves_none(self):
        before = self.scm.control("GET", "/stats")
        self.fault("enroll", "drop-before", times=2)
        for _ in range(2):
            with self.assertRaises(BROKEN):
                self.scm.enroll(NAME, comments="dropped-before")
        self.assertEqual(self.requests_with("dropped-before"), [])
        self.scm.enroll(NAME, comments="dropped-before")
        after = self.scm.control("GET", "/stats")
        self.assertEqual(after["enroll_attempts"] - before["enroll_attempts"], 3)
        self.assertEqual(after["enrollments_accepted"] - before["enrollments_accepted"], 1)

    def test_gateway_answers(self):
        self.fault("types", "status-503-html")
        self.fault("types", "status-429", retry_after_s=7)
        self.fault("types", "html-200")
        self.fault("types", "error", code=-140, description="busy")
        first, second, third, fourth, last = [
            self.scm.api("GET", "/api/ssl/v1/types") for _ in range(5)]
        self.assertEqual((first.status, first.headers["Content-Type"]), (503, "text/html"))
        self.assertEqual((second.status, second.headers["Retry-After"]), (429, "7"))
        self.assertEqual((third.status, third.body[:6]), (200, b"<html>"))
        self.assertEqual(self.refused(fourth, -140), "busy")
        self.assertEqual(last.status, 200)

    def test_truncated_answer(self):
        ssl_id = self.scm.enroll(NAME)
        self.fault("collect", "truncate")
        with self.assertRaises(BROKEN):
            self.scm.collect(ssl_id)
        self.assertEqual(self.scm.collect(ssl_id).status, 200)

    def test_delays_before_and_after(self):
        for kind in ("delay", "delay-after"):
            self.fault("details", kind, delay_s=0.3)
            ssl_id = self.scm.enroll(NAME)
            begin = time.monotonic()
            self.assertEqual(self.scm.details(ssl_id)["status"], "Issued")
            self.assertGreaterEqual(time.monotonic() - begin, 0.3)

    def test_endless_fault_ends_when_deleted(self):
        self.fault("*", "status-502", times=-1)
        for _ in range(3):
            self.assertEqual(self.scm.api("GET", "/api/ssl/v1/types").status, 502)
        self.scm.control("DELETE", "/faults")
        self.assertEqual(self.scm.api("GET", "/api/ssl/v1/types").status, 200)

    def test_mistakes_at_the_control_port_are_named(self):
        for path, body in (("/faults", {"operation": "enroll", "fault": "explode"}),
                           ("/faults", {"operation": "enroll", "fault": "error", "times": "1"}),
                           ("/settings", {"ca_dellay": 1}), ("/settings", {"chain_order": "best"})):
            with self.assertRaises(urllib.error.HTTPError) as caught:
                self.scm.control("POST", path, body)
            self.assertEqual(caught.exception.code, 400)
            self.assertTrue(json.load(caught.exception)["error"])

    def test_late_visibility_and_late_collect(self):
        self.settings(visibility_lag=0.4)
        ssl_id = self.scm.enroll("lag.test")
        self.refused(self.scm.api("GET", f"/api/ssl/v1/{ssl_id}"), -5101, 404)
        self.assertEqual(self.scm.api("GET", "/api/ssl/v1?commonName=lag.test").json, [])
        time.sleep(0.45)
        self.assertEqual(self.scm.details(ssl_id)["status"], "Issued")
        self.settings(collect_lag=600.0)
        self.refused(self.scm.collect(ssl_id), 0)


class Connections(Fixture):
    def test_keep_alive_serves_many_calls(self):
        connection = self.scm.connect()
        self.addCleanup(connection.close)
        sockets = set()
        for _ in range(5):
            self.assertEqual(self.scm.api("GET", "/api/ssl/v1/types", connection=connection).status, 200)
            sockets.add(connection.sock)
        self.scm.api("POST", "/api/ssl/v1/approve/1", {"message": "x"}, connection=connection)
        sockets.add(connection.sock)
        self.assertEqual(len(sockets), 1)

    def test_certificate_is_for_localhost_and_loopback(self):
        port = urllib.parse.urlsplit(self.scm.ready["url"]).port
        context = ssl.create_default_context(cafile=self.scm.ready["tls_ca_file"])
        for name in ("localhost", "127.0.0.1", "::1"):
            with socket.create_connection(("127.0.0.1", port), 10) as plain:
                with context.wrap_socket(plain, server_hostname=name) as secured:
                    self.assertIn(secured.version(), ("TLSv1.2", "TLSv1.3"))

    def test_silent_connection_does_not_block_others(self):
        port = urllib.parse.urlsplit(self.scm.ready["url"]).port
        with socket.create_connection(("127.0.0.1", port), 10):
            self.assertEqual(self.scm.api("GET", "/api/ssl/v1/types").status, 200)

    def test_fault_for_one_name(self):
        """It meets calls about a request of that name only, by body, number or filter."""
        mine, other = self.scm.enroll("mine.name.test"), self.scm.enroll("other.name.test")
        for operation in ("enroll", "details", "list", "decline"):
            self.scm.control("POST", "/faults", {"operation": operation, "fault": "status-503", "name": "mine.name.test"})
        calls = (lambda ssl_id, name: self.scm.api("POST", "/api/ssl/v1/enroll", self.scm.enroll_body(name)),
                 lambda ssl_id, name: self.scm.api("GET", f"/api/ssl/v1/{ssl_id}"),
                 lambda ssl_id, name: self.scm.api("GET", f"/api/ssl/v1?commonName={name}"),
                 lambda ssl_id, name: self.scm.api("POST", f"/api/ssl/v1/decline/{ssl_id}", {"message": "no"}))
        for call in calls:
            self.assertNotEqual(call(other, "other.name.test").status, 503)
            self.assertEqual(call(mine, "mine.name.test").status, 503)
            self.assertNotEqual(call(mine, "mine.name.test").status, 503)
        self.assertEqual(self.scm.control("GET", "/faults"), [])

    def test_strange_bodies(self):
        ssl_id = self.scm.enroll("strange.name.test")
        self.scm.wait_for(ssl_id, "Issued")
        for kind in ("wrong-certificate", "empty"):
            self.scm.control("POST", "/faults", {"operation": "collect", "fault": kind})
        stranger = self.scm.collect(ssl_id).body
        self.assertIn(b"-----BEGIN CERTIFICATE-----", stranger)
        answer = self.scm.collect(ssl_id)
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertNotIn(self.scm.collect(ssl_id, "x509CO").body, stranger)

    def test_replaced_in_either_way(self):
        ssl_id = self.scm.enroll("replace.name.test")
        self.scm.wait_for(ssl_id, "Issued")
        for status in ("Replaced", "Issued"):
            self.scm.control("POST", "/settings", {"replaced_status": status})
            before = self.scm.details(ssl_id)["serialNumber"]
            if status == "Issued":
                self.scm.control("POST", f"/requests/{ssl_id}/status", {"status": "Issued"})
            answer = self.scm.api("POST", f"/api/ssl/v1/replace/{ssl_id}",
                                  {"csr": make_csr(["replace.name.test"]), "reason": "test"})
            self.assertEqual(answer.status, 204)
            self.scm.wait_for(ssl_id, status)
            self.assertNotEqual(self.scm.details(ssl_id)["serialNumber"], before)
            self.assertEqual(self.scm.collect(ssl_id).status, 200)

    def test_concurrent_enrollments_get_ids_of_their_own(self):
        csrs = [make_csr([NAME]) for _ in range(40)]
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            ids = list(pool.map(lambda csr: self.scm.enroll(NAME, csr=csr), csrs))
        self.assertEqual(len(set(ids)), 40)
        self.assertEqual(self.scm.control("GET", "/stats")["duplicate_csrs"], [])

    def test_password_appears_nowhere(self):
        for path in ("/stats", "/settings", "/faults"):
            self.assertNotIn(self.scm.password, json.dumps(self.scm.control("GET", path)))


class Restart(unittest.TestCase):
    def simulator(self, *arguments):
        scm = Simulator(*arguments)
        self.addCleanup(scm.clean)
        return scm

    def test_restart_keeps_ca_requests_and_credentials(self):
        scm = self.simulator("--approval-delay", "0", "--ca-delay", "0")
        issued, waiting = scm.enroll(NAME), scm.enroll("manual.example.test")
        chain, password = scm.collect(issued).body, scm.password
        code, seconds = scm.stop()
        self.assertEqual(code, 0)
        self.assertLess(seconds, 1)
        scm.start()
        self.assertEqual(scm.password, password)
        self.assertEqual(scm.collect(issued).body, chain)
        self.assertEqual(scm.details(waiting)["status"], "Requested")
        scm.kill()
        scm.start()
        self.assertEqual(scm.collect(issued).body, chain)
        self.assertGreater(scm.enroll(NAME), waiting)

    def test_client_certificate_stands_in_for_the_password(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        authority = Authority.load_or_make(directory.name, "client-ca", "Client CA", None, 0)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = authority.sign(["bridge"], key.public_key(), utc_now() - datetime.timedelta(hours=1),
                                     utc_now() + datetime.timedelta(days=1), name_of("bridge"),
                                     ExtendedKeyUsageOID.CLIENT_AUTH)
        bundle = os.path.join(directory.name, "client.pem")
        write_atomically(bundle, key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()) + pem_of(certificate), 0o600)
        scm = self.simulator("--client-ca", os.path.join(directory.name, "client-ca.pem"))
        headers = scm.auth_headers()
        del headers["password"]
        connection = scm.connect(bundle)
        self.addCleanup(connection.close)
        for path, status in (("/private/api/ssl/v1/types", 200), ("/api/ssl/v1/types", 401)):
            answer = scm.api("GET", path, headers=headers, connection=connection)
            self.assertEqual(answer.status, status)

    def test_waiting_call_does_not_delay_the_end(self):
        scm = self.simulator("--plain-http")
        scm.control("POST", "/faults", {"operation": "types", "fault": "delay", "delay_s": 60})
        connection = scm.connect()
        self.addCleanup(connection.close)
        connection.request("GET", "/api/ssl/v1/types", headers=scm.auth_headers())
        while not scm.control("GET", "/stats")["faults"]:
            time.sleep(0.02)
        code, seconds = scm.stop()
        self.assertEqual(code, 0)
        self.assertLess(seconds, 1)


if __name__ == "__main__":
    unittest.main()
