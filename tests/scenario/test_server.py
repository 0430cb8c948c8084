#!/usr/bin/python3
"""The running server: orderly stop, JWS algorithms end to end, whom validations may contact, systemd."""

import os
import socket
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.acme import URN  # noqa: E402 (found through the line above)
from harness.bridge import free_port  # noqa: E402
from harness.case import Case, ServerCase  # noqa: E402
from harness.keys import ALGORITHMS, AccountKey, b64, certificate_key, csr_der  # noqa: E402
from harness.raw import RawConnection  # noqa: E402
from harness.responder import PREFIX  # noqa: E402


class EndToEnd(ServerCase):
    def test_every_algorithm(self):
        for alg in ALGORITHMS:
            with self.subTest(alg=alg):
                client = self.client(self.bridge, key=AccountKey(alg))
                name = f"{alg.lower()}.alg.localhost"
                chain, key = client.obtain(self.responder, name)
                self.check_certificate(chain, key, [name], self.bridge.root)

    def test_large_account_key(self):
        client = self.client(self.bridge, key=AccountKey("RS256", 4096))
        self.assertEqual(client.register().status, 201)

    def test_certificate_keys(self):
        client = self.client(self.bridge)
        for kind in ("P-256", "RSA"):
            name = f"{kind.lower()}.key.localhost"
            key = certificate_key(kind)
            chain, _ = client.obtain(self.responder, name, key=key, csr=csr_der([name], key, common_name=name))
            self.check_certificate(chain, key, [name], self.bridge.root)

    def test_many_names(self):
        client = self.client(self.bridge)
        names = [f"n{number}.many.localhost" for number in range(30)]
        chain, key = client.obtain(self.responder, *names, limit=40)
        self.check_certificate(chain, key, names, self.bridge.root)

    def test_authorizations_are_used_again(self):
        client = self.client(self.bridge)
        client.obtain(self.responder, "reuse.localhost")
        url, order = client.new_order("reuse.localhost")
        self.assertEqual(order["status"], "ready")
        self.assertEqual(client.fetch(order["authorizations"][0]).json["status"], "valid")
        other = self.client(self.bridge)
        self.assertEqual(other.new_order("reuse.localhost")[1]["status"], "pending")

    def test_profiles_in_the_directory_and_in_the_order(self):
        client = self.client(self.bridge)
        self.assertEqual(client.directory["meta"]["profiles"], {"default": "Internal hosts"})
        _, order = client.new_order("profile.localhost", profile="default")
        self.assertEqual(order["profile"], "default")

    def test_orders_list(self):
        client = self.client(self.bridge)
        made = [client.new_order(f"list{number}.localhost")[0] for number in range(3)]
        listed = client.fetch(client.register().json["orders"]).json["orders"]
        self.assertEqual(sorted(listed), sorted(made))

    def test_challenge_posts_are_idempotent(self):
        client = self.client(self.bridge)
        _, order = client.new_order("idempotent.localhost")
        challenge = client.challenge_of(order["authorizations"][0])
        # Reading does not start a validation.
        self.assertEqual(client.fetch(challenge["url"]).json["status"], "pending")
        self.responder.answer(challenge["token"], f"{challenge['token']}.{client.key.thumbprint()}\r\n \n")
        for payload in ({}, {"keyAuthorization": "x"}, {"resource": "challenge", "type": "http-01"}):
            self.assertEqual(client.post(challenge["url"], payload).status, 200)
        client.poll(order["authorizations"][0], ("valid",))
        self.assertEqual(client.post(challenge["url"], {}).json["status"], "valid")
        self.assertEqual(self.responder.count(challenge["token"]), 1)

    def test_validation_request(self):
        client = self.client(self.bridge)
        _, order = client.new_order("host-field.localhost")
        token = client.challenge_of(order["authorizations"][0])["token"]
        client.authorize(order, self.responder)
        self.assertIn((PREFIX + token, f"host-field.localhost:{self.responder.port}"), self.responder.hits)


class Validation(ServerCase):
    """Redirects, slow servers, and addresses that are nobody's business."""

    def attempt(self, name, bridge=None, **answer):
        """The settled challenge of an order whose web server gives `answer`; location may use {token}."""
        client = self.client(bridge or self.bridge)
        _, order = client.new_order(name)
        challenge = client.challenge_of(order["authorizations"][0])
        token, body = challenge["token"], f"{challenge['token']}.{client.key.thumbprint()}"
        self.responder.serve(f"/elsewhere/{token}", body)
        if "location" in answer:
            answer["location"] = answer["location"].format(token=token, port=self.responder.port)
        self.responder.answer(token, "" if "location" in answer else body, **answer)
        client.expect(client.post(challenge["url"], {}), 200)
        client.poll(order["authorizations"][0], ("valid", "invalid"), 40)
        return client.fetch(challenge["url"]).json

    def invalid(self, challenge, problem, *words):
        self.assertEqual((challenge["status"], challenge.get("error", {}).get("type")), ("invalid", URN + problem),
                         challenge)
        for word in words:
            self.assertIn(word, challenge["error"]["detail"])

    def test_redirects_are_followed(self):
        for status in (301, 302, 303, 307, 308):
            challenge = self.attempt(f"redirect{status}.localhost", status=status, location="/elsewhere/{token}")
            self.assertEqual(challenge["status"], "valid", challenge)
        challenge = self.attempt("redirect.localhost", status=302,
                                 location="http://other.localhost:{port}/elsewhere/{token}")
        self.assertEqual(challenge["status"], "valid", challenge)

    def test_redirect_loop(self):
        self.invalid(self.attempt("loop.localhost", status=302, location=PREFIX + "{token}"),
                     "connection", "redirect")

    def test_redirects_to_other_ports_and_schemes(self):
        for location in ("http://localhost:22/", "ftp://localhost/x", "file:///etc/passwd",
                         "gopher://localhost:{port}/", "http://user:secret@localhost:{port}/elsewhere/{token}"):
            with self.subTest(location=location):
                challenge = self.attempt("elsewhere.localhost", status=302, location=location)
                self.assertEqual(challenge["status"], "invalid", challenge)
                self.assertNotIn("root:", challenge["error"]["detail"])

    def test_redirect_to_an_address_that_may_not_be_contacted(self):
        self.invalid(self.attempt("metadata.localhost", status=302, location="http://169.254.169.254:{port}/latest"),
                     "connection", "169.254.169.254")

    def test_huge_answer(self):
        client = self.client(self.bridge)
        _, order = client.new_order("huge.localhost")
        challenge = client.challenge_of(order["authorizations"][0])
        self.responder.answer(challenge["token"], "x" * 3_000_000)
        client.expect(client.post(challenge["url"], {}), 200)
        client.poll(order["authorizations"][0], ("invalid",), 20)
        self.assertLess(len(client.fetch(challenge["url"]).json["error"]["detail"]), 1000)

    def test_slow_answer(self):
        self.assertEqual(self.attempt("patience.localhost", delay_s=3)["status"], "valid")

    def test_unknown_name(self):
        self.invalid(self.attempt("no-such-name.invalid"), "dns", "no-such-name.invalid")

    def test_loopback_is_denied_unless_allowed(self):
        bridge = self.make_bridge(self.responder.port, allow=())
        bridge.start()
        before = len(self.responder.hits)
        self.invalid(self.attempt("denied.localhost", bridge), "connection", "loopback", "contacted")
        self.assertEqual(len(self.responder.hits), before, "contacted all the same")

    def test_deny_wins_over_allow(self):
        bridge = self.make_bridge(self.responder.port)
        bridge.settings["validation"]["deny"] = ["127.0.0.0/8", "::1/128"]
        bridge.start()
        self.invalid(self.attempt("denied-again.localhost", bridge), "connection", "denied")

    def test_nothing_listens(self):
        bridge = self.make_bridge(free_port())
        bridge.start()
        begin = time.monotonic()
        self.invalid(self.attempt("nobody.localhost", bridge), "connection", "nobody.localhost")
        # Three tries, because a web server may be starting.
        self.assertGreater(time.monotonic() - begin, 3)


class Stopping(Case):
    def test_with_connections_in_every_state(self):
        simulator = self.make_simulator("--approval-delay", "60")
        responder = self.make_responder()
        bridge = self.make_bridge(responder.port, simulator)
        bridge.settings["orders"] = {"finalize_hold_ms": 15000}
        bridge.start()
        idle = [RawConnection(bridge) for _ in range(5)]
        for connection in idle:
            self.addCleanup(connection.__exit__)
        for connection in idle[1:]:
            connection.send(f"GET /directory HTTP/1.1\r\nHost: localhost:{bridge.port}\r\n\r\n".encode("ascii"))
            self.assertEqual(connection.receive().status, 200)
        slow = RawConnection(bridge)
        self.addCleanup(slow.__exit__)
        slow.send(b"POST /new-order HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        silent = socket.create_connection(("127.0.0.1", bridge.port), 10)
        self.addCleanup(silent.close)

        client = self.client(bridge, profile="scm", timeout=20)
        order_url, order = client.new_order("held.localhost")
        client.authorize(order, responder)
        answers = []
        holder = threading.Thread(target=lambda: answers.append(client.finalize(
            order_url, order, csr_der(["held.localhost"], certificate_key()))))
        holder.start()
        time.sleep(1)
        self.assertEqual(answers, [], "the finalize was not held")
        self.assertLess(bridge.stop(), 5)
        holder.join(10)
        self.assertEqual([answer.json["status"] for answer in answers], ["processing"])
        self.assertTrue(all(connection.closed() for connection in idle))

    def test_nonces_survive_an_orderly_restart(self):
        bridge = self.make_bridge(5002)
        bridge.start()
        client = self.client(bridge)
        client.register()
        used, kept = client.new_nonce(), client.new_nonce()
        self.assertEqual(client.post(client.account, nonce=used).status, 200)
        bridge.stop()
        bridge.restart()
        client.close()
        self.assertEqual(client.post(client.account, nonce=kept).status, 200)
        self.refused(client.post(client.account, nonce=used), 400, "badNonce")
        self.refused(client.post(client.account, nonce=kept), 400, "badNonce")

    def test_everything_survives_an_orderly_restart(self):
        responder = self.make_responder()
        bridge = self.make_bridge(responder.port)
        bridge.start()
        client = self.client(bridge)
        order_url, key, csr = client.begin(responder, "kept.localhost")
        chain = client.download(client.poll(order_url, ("valid",)))
        pending_url, pending = client.new_order("pending.localhost")
        bridge.stop()
        bridge.restart()
        client.close()
        self.assertEqual(client.download(client.fetch(order_url).json), chain)
        self.check_certificate(chain, key, ["kept.localhost"], bridge.root)
        client.authorize(pending, responder)
        self.assertEqual(client.poll(pending_url, ("ready",), 5)["status"], "ready")
        again = client.post(client.fetch(order_url).json["finalize"], {"csr": b64(csr)})
        self.assertEqual((again.status, again.json["status"]), (200, "valid"))

    def test_immediate_stop(self):
        bridge = self.make_bridge(5002)
        bridge.start()
        self.assertLess(bridge.stop(), 2)


class Systemd(Case):
    def test_notify(self):
        bridge = self.make_bridge(5002)
        path = os.path.join(bridge.directory, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(path)
            manager.settimeout(10)
            bridge.environment["NOTIFY_SOCKET"] = path
            bridge.launch()
            self.assertIn(b"READY=1", manager.recv(4096))
            self.assertTrue(bridge.answers(), "ready, and yet no answer")
            bridge.stop()
            self.assertIn(b"STOPPING=1", manager.recv(4096))


if __name__ == "__main__":
    unittest.main()
