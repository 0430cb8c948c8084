#!/usr/bin/python3
"""The operator's commands against a running server: lists, objects, explanations, and whoever must not ask."""

import concurrent.futures
import json
import os
import re
import socket
import stat
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.bridge import program  # noqa: E402 (found through the line above)
from harness.case import Case, ServerCase  # noqa: E402

NOT_RUNNING = 3
NOBODY = 65534
SPAN = re.compile(r" \((in )?\d+ [^()]*\)")


def ident(url):
    return url.rsplit("/", 1)[1]


class Asking:
    """Ways to ask the server of self.bridge."""

    def ask(self, *words, code=0, bridge=None):
        bridge = bridge or self.bridge
        done = bridge.run(*words, "--data-dir", bridge.data)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout if code == 0 else done.stderr

    def json(self, *words):
        return json.loads(self.ask(*words, "--json"))

    def explain(self, url, *words):
        """The explanation, for people and as JSON, which have the same words."""
        text = self.ask("order", "explain", ident(url))
        told = self.json("order", "explain", ident(url))
        for part in [event["text"] for event in told["events"]] + [told["next"]]:
            self.assertIn(SPAN.sub("", part), SPAN.sub("", text))
        self.assertIn(told["advice"], text)
        for word in words:
            self.assertIn(word, text)
        times = [event["time"] for event in told["events"] if "time" in event]
        self.assertEqual(times, sorted(times))
        return told


class Local(Asking, ServerCase):
    @classmethod
    def configure(cls, bridge):
        bridge.settings["orders"] = {"finalize_hold_ms": 3000}

    def test_pending(self):
        client = self.client(self.bridge)
        client.register(contact=["mailto:ops@example.com"])
        url = client.new_order("pending.localhost", "other.localhost")[0]
        told = self.explain(url, "is pending", "pending.localhost, other.localhost", "mailto:ops@example.com",
                            "under the profile default", "has not answered any of 3 challenges",
                            "2 of 2 names are still to be proved", "look at its log")
        self.assertEqual((told["status"], told["order"]), ("pending", ident(url)))
        self.assertIn("until", told)

    def test_failed_validation(self):
        client = self.client(self.bridge)
        url, order = client.new_order("wrong.localhost")
        self.responder.override = b"something else"
        challenge = client.challenge_of(order["authorizations"][0])
        client.post(challenge["url"], {})
        self.assertEqual(client.poll(url, ("invalid",))["status"], "invalid")
        told = self.explain(url, "is invalid", "asked to be validated by http-01",
                            "wrong.localhost: http-01 failed: ", "the order is invalid: ",
                            "the client makes a new one")
        self.assertEqual(told["next"], "nothing: the order has failed")

    def test_ready_and_valid(self):
        client = self.client(self.bridge)
        url, order = client.new_order("valid.localhost")
        client.authorize(order, self.responder)
        self.explain(url, "is ready", "valid.localhost: validated by http-01", "send its CSR")
        url, _, _ = client.begin(self.responder, "valid.localhost")
        order = client.poll(url, ("valid",))
        self.explain(url, "is valid", "proved before, by http-01", "key EC P-256", "at the issuer local (local CA)",
                     "was issued: serial ", "the client downloads the certificate",
                     "with the same key it gets this very certificate")
        client.download(order)
        deadline = time.monotonic() + 10
        while "for the first time" not in self.ask("order", "explain", ident(url)):
            self.assertLess(time.monotonic(), deadline, "the download was not noted")
            time.sleep(0.1)
        self.explain(url, "the client downloaded it for the first time", "renews it in time")

    def test_order_list_and_show(self):
        client = self.client(self.bridge)
        urls = [client.new_order(f"list-{number}.localhost")[0] for number in range(3)]
        mine = self.json("order", "list", "--account", client.account)["orders"]
        self.assertEqual([order["id"] for order in mine], [ident(url) for url in reversed(urls)])
        self.assertEqual({order["status"] for order in mine}, {"pending"})
        table = self.ask("order", "list", "--account", ident(client.account), "--limit", "2")
        self.assertIn("ORDER", table)
        self.assertIn("list-2.localhost", table)
        self.assertNotIn("list-0.localhost", table)
        self.assertIn("There may be more", table)
        self.assertEqual(self.ask("order", "list", "--account", client.account, "--status", "valid"), "no orders\n")
        shown = self.json("order", "show", urls[0])["order"]
        self.assertEqual((shown["id"], shown["names"]), (ident(urls[0]), ["list-0.localhost"]))
        self.assertIn("list-0.localhost", self.ask("order", "show", ident(urls[0])))
        self.assertEqual(len(self.json("order", "list", "--status", "pending", "--limit", "1")["orders"]), 1)
        self.assertEqual(self.json("order", "list", "--status", "processing")["orders"], [])

    def test_ids(self):
        client = self.client(self.bridge)
        urls = [client.new_order(f"id-{number}.localhost")[0] for number in range(2)]
        whole = ident(urls[0])
        for name in (whole, whole[:-1], urls[0], urls[0] + "/finalize"):
            self.assertEqual(self.json("order", "show", name)["order"]["id"], whole)
        self.assertIn("several orders begin with '0'", self.ask("order", "show", "0", code=1))
        for wrong in ("f" * 36, "nonsense", "../../etc/passwd", client.account, "\x1b[2J", "ä", "'; DROP"):
            self.assertIn("acmebridge: ", self.ask("order", "show", wrong, code=1))
        self.assertNotIn("\x1b", self.ask("order", "show", "\x1b[2J", code=1))

    def test_accounts(self):
        client = self.client(self.bridge)
        client.register(contact=["mailto:a@example.com", "mailto:b@example.com"])
        url = client.new_order("account.localhost")[0]
        name = ident(client.account)
        self.assertIn(name, self.ask("account", "list", "--limit", "1000"))
        shown = self.json("account", "show", client.account)
        self.assertEqual(shown["account"]["contacts"], ["mailto:a@example.com", "mailto:b@example.com"])
        self.assertEqual(shown["recent_orders"], [ident(url)])
        self.assertEqual(self.json("account", "deactivate", name)["account"]["status"], "deactivated")
        self.assertIn("not valid any more", self.ask("account", "deactivate", name, code=1))
        self.refused(client.post(client.account, ""), 401, "unauthorized", "deactivated")
        self.explain(url, "is invalid", "the account has been deactivated since", "The operator of this server",
                     "has to register a new account")
        self.assertTrue(self.bridge.log_lines("account deactivated by the operator", name))

    def test_certificates(self):
        client = self.client(self.bridge)
        url, _, _ = client.begin(self.responder, "certificate.localhost")
        order = client.poll(url, ("valid",))
        shown = self.json("certificate", "show", order["certificate"])["certificate"]
        self.assertEqual((shown["names"], shown["status"], shown["orders"]),
                         (["certificate.localhost"], "good", [ident(url)]))
        self.assertIn("BEGIN CERTIFICATE", shown["chain"])
        serial = shown["serial"]
        colons = ":".join(serial[at:at + 2] for at in range(0, len(serial), 2)).lower()
        for name in (shown["id"], serial, colons):
            self.assertEqual(self.json("certificate", "show", name)["certificate"]["id"], shown["id"])
        self.assertIn("-----END CERTIFICATE-----", self.ask("certificate", "show", serial))
        self.assertIn(serial, self.ask("certificate", "list"))
        self.assertEqual(self.ask("certificate", "list", "--expiring", "1"), "no certificates\n")
        found = self.json("certificate", "list", "--expiring", "400")["certificates"]
        self.assertIn(shown["id"], [certificate["id"] for certificate in found])

    def test_revoked(self):
        client = self.client(self.bridge)
        url, _, _ = client.begin(self.responder, "revoked.localhost")
        chain = client.download(client.poll(url, ("valid",)))
        leaf = chain.split("-----END CERTIFICATE-----")[0].split("-----BEGIN CERTIFICATE-----")[1]
        encoded = "".join(leaf.split()).replace("+", "-").replace("/", "_").rstrip("=")
        answer = client.post(client.directory["revokeCert"], {"certificate": encoded, "reason": 1})
        self.assertEqual(answer.status, 200, answer.describe())
        self.explain(url, "revocation was requested (reason 1)", "the certificate was revoked",
                     "nothing: the certificate is revoked")

    def test_issuers(self):
        self.assertIn("local", self.ask("issuer", "list"))
        issuer = self.json("issuer", "list")["issuers"][0]
        self.assertEqual((issuer["name"], issuer["type"]), ("local", "local"))
        self.assertEqual(issuer["issue"], {"under_way": 0, "due": 0, "waiting": 0})

    def test_wrong_command_lines(self):
        for words in (("order",), ("order", "lst"), ("order", "show"), ("order", "list", "surplus"),
                      ("order", "list", "--status", "lost"), ("order", "list", "--limit", "0"),
                      ("order", "list", "--limit", "1001"), ("certificate", "list", "--expiring", "soon"),
                      ("issuer", "list", "--limit", "1"), ("account", "show", "a", "b"), ("order", "list", "--x")):
            done = self.bridge.run(*words)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn("acmebridge: ", done.stderr)

    # ---- the socket itself ----

    def raw(self, data, end=False):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(15)
            connection.connect(os.path.join(self.bridge.data, "admin.sock"))
            try:
                connection.sendall(data)
                if end:
                    connection.shutdown(socket.SHUT_WR)
            except BrokenPipeError:
                pass
            answer = b""
            while True:
                try:
                    more = connection.recv(65536)
                except ConnectionResetError:
                    return answer
                if not more:
                    return answer
                answer += more

    def test_socket_is_private(self):
        mode = os.stat(os.path.join(self.bridge.data, "admin.sock")).st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(stat.S_IMODE(mode), 0o600)

    def test_garbage(self):
        for wrong in (b"\n", b"{}\n", b"[]\n", b"null\n", b"\x00\xff\xfe\n", b'{"command":"order list"\n',
                      b'{"command":"order list","command":"order list"}\n', b'{"command":"order lists"}\n',
                      b'{"command":"order list","limit":1.5}\n', b'{"command":"order list","limit":"9"}\n',
                      b'{"command":"order list","limit":99999999999999999999}\n',
                      b'{"command":"order list","id":"a"}\n', b'{"command":"order show"}\n',
                      b'{"command":"order show","id":7}\n', b'{"command":"order list","status":"x"}\n',
                      b'{"command":"issuer list"}\n{"command":"issuer list"}\n', b"x" * 5000,
                      b"[" * 4000 + b"\n", b'{"command":"issuer list","x":1}\n'):
            answer = self.raw(wrong)
            self.assertTrue(answer.endswith(b"\n"), wrong[:40])
            self.assertEqual(json.loads(answer)["error"]["code"], "malformed", wrong[:40])
        self.assertEqual(self.raw(b'{"command":"issuer list"', end=True), b"")
        self.assertIn("result", json.loads(self.raw(b'{"command":"issuer list"}\n')))

    def test_who_says_nothing_is_let_go(self):
        """Idle connections take all places, and others are answered after their time is over at the latest."""
        idle = []
        for _ in range(20):
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.addCleanup(connection.close)
            connection.connect(os.path.join(self.bridge.data, "admin.sock"))
            idle.append(connection)
        begin = time.monotonic()
        self.assertIn("local", self.ask("issuer", "list"))
        self.assertLess(time.monotonic() - begin, 15)

    def test_many_at_once(self):
        client = self.client(self.bridge)
        url = client.new_order("many.localhost")[0]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: self.ask("order", "explain", ident(url)), range(40)))
        self.assertTrue(all("is pending" in answer for answer in answers))

    @unittest.skipUnless(os.geteuid() == 0, "only root can be somebody else")
    def test_another_user(self):
        """Refused by the socket's mode, and where that is opened, by who is asking."""
        def ask():
            return subprocess.run([program(), "issuer", "list", "--data-dir", self.bridge.data], user=NOBODY,
                                  group=NOBODY, extra_groups=[], capture_output=True, text=True, timeout=20)
        path = os.path.join(self.bridge.data, "admin.sock")
        for name, mode in ((self.bridge.directory, 0o755), (self.bridge.data, 0o755)):
            self.addCleanup(os.chmod, name, os.stat(name).st_mode & 0o777)
            os.chmod(name, mode)
        try:
            done = ask()
        except PermissionError:
            self.skipTest("another user cannot run the program")
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertIn("run this as its user or as root", done.stderr)
        self.addCleanup(os.chmod, path, 0o600)
        os.chmod(path, 0o666)
        done = ask()
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertIn("only root and the user this server runs as", done.stderr)


class Waiting(Asking, ServerCase):
    """An SCM that waits for somebody's approval."""

    simulator_arguments = ("--approval-delay", "600", "--ca-delay", "0.2")

    @classmethod
    def configure(cls, bridge):
        bridge.settings["orders"] = {"finalize_hold_ms": 100}

    def waiting(self, client, name, **options):
        url, key, _ = client.begin(self.responder, name, **options)
        deadline = time.monotonic() + 20
        while "upstream" not in self.json("order", "show", url)["order"]:
            self.assertLess(time.monotonic(), deadline, "SCM was not asked")
            time.sleep(0.1)
        return url, key

    def test_approval(self):
        client = self.client(self.bridge, profile="scm")
        url, key = self.waiting(client, "approval.scm.localhost")
        order = self.json("order", "show", url)["order"]
        self.assertEqual((order["status"], order["issuer"]), ("processing", "sectigo"))
        self.explain(url, "is processing", "at the issuer sectigo (SCM)", "it has to end by", "last word of the issuer, of ",
                     f"the upstream's number of the request is {order['upstream']}",
                     "acmebridge asks sectigo again" if not order["under_way"] else "sectigo",
                     order["upstream"])
        listed = self.json("order", "list", "--status", "processing")["orders"]
        self.assertIn(ident(url), [one["id"] for one in listed])
        self.assertIn(order["upstream"], self.ask("order", "list", "--status", "processing"))
        issuer = self.json("issuer", "list")["issuers"][1]
        self.assertGreaterEqual(sum(issuer["issue"].values()), 1)

        # A client that came back joins; then somebody approves.
        second, _, _ = client.begin(self.responder, "approval.scm.localhost", key=key)
        self.explain(second, "it joined issuance " + order["issuance"], f"for the earlier order {ident(url)}")

        # What is known outlives the server.
        self.bridge.stop()
        self.assertFalse(os.path.exists(os.path.join(self.bridge.data, "admin.sock")))
        self.bridge.restart()
        self.explain(url, "last word of the issuer, of ", f"number of the request is {order['upstream']}")

        self.bridge.kill()  # leaves its socket behind
        self.assertTrue(os.path.exists(os.path.join(self.bridge.data, "admin.sock")))
        self.assertIn("no server is running", self.ask("order", "list", code=NOT_RUNNING))
        self.bridge.restart()
        self.assertIn("is processing", self.ask("order", "explain", url))

    def test_domain_validation(self):
        """What SCM wants to be published stands in the explanation, word by word."""
        bridge = self.make_bridge(self.responder.port, self.simulator)
        bridge.settings["orders"] = {"finalize_hold_ms": 100}
        bridge.scm["dcv_mode"] = "CNAME"
        bridge.start()
        client = self.client(bridge, profile="scm")
        url, _, _ = client.begin(self.responder, "www.dcv.localhost")
        deadline = time.monotonic() + 20
        while "the CA wants proof of www.dcv.localhost by CNAME" not in self.ask("order", "explain", url,
                                                                                 bridge=bridge):
            self.assertLess(time.monotonic(), deadline, self.ask("order", "explain", url, bridge=bridge))
            time.sleep(0.2)
        text = self.ask("order", "explain", url, bridge=bridge)
        for word in ("; host: _", "; point: ", "publish what the CA wants"):
            self.assertIn(word, text)

    def test_declined(self):
        client = self.client(self.bridge, profile="scm")
        url, _, _ = client.begin(self.responder, "nodcv.scm.localhost")
        client.poll(url, ("invalid",), 30)
        told = self.explain(url, "is invalid", "the issuance failed and the order is invalid", "[rejectedIdentifier]",
                            "validate its domain there")
        self.assertEqual(told["next"], "nothing: the order has failed")

    def test_failing_upstream(self):
        self.addCleanup(self.simulator.control, "DELETE", "/faults")
        client = self.client(self.bridge, profile="scm")
        url, _ = self.waiting(client, "failing.scm.localhost")
        self.simulator.control("POST", "/faults", {"operation": "details", "fault": "status-503-html", "times": 100})
        deadline = time.monotonic() + 20
        while "attempts failed so far" not in self.ask("order", "explain", url):
            self.assertLess(time.monotonic(), deadline, "the failures are not told")
            time.sleep(0.2)
        self.explain(url, "503", "tries go on by themselves")
        self.assertGreaterEqual(self.json("issuer", "list")["issuers"][1]["failing"], 1)


class OwnServer(Asking, Case):
    def test_not_running(self):
        responder = self.make_responder()
        self.bridge = self.make_bridge(responder.port)
        self.assertIn("no server is running", self.ask("issuer", "list", code=NOT_RUNNING))
        self.bridge.write_config()
        done = self.bridge.run("issuer", "list", "-c", self.bridge.config_file)
        self.assertEqual(done.returncode, NOT_RUNNING, done.stderr)
        self.bridge.start()
        done = self.bridge.run("issuer", "list", "-c", self.bridge.config_file)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("ISSUER", done.stdout)
        self.bridge.stop()
        self.assertIn("no server is running", self.ask("issuer", "list", code=NOT_RUNNING))

    def test_long_path(self):
        """The path of a socket has 107 characters; that of a data directory may have more."""
        responder = self.make_responder()
        self.bridge = self.make_bridge(responder.port)
        self.bridge.data = os.path.join(self.bridge.directory, "d" * 120)
        self.bridge.root = os.path.join(self.bridge.data, "ca", "local", "root.pem")
        self.bridge.settings["data_dir"] = self.bridge.data
        self.bridge.start()
        self.assertIn("local", self.ask("issuer", "list"))

    def test_issuer_that_is_gone(self):
        simulator = self.make_simulator("--approval-delay", "600")
        responder = self.make_responder()
        self.bridge = self.make_bridge(responder.port, simulator)
        self.bridge.settings["orders"] = {"finalize_hold_ms": 100}
        self.bridge.start()
        client = self.client(self.bridge, profile="scm")
        url, _, _ = client.begin(responder, "gone.scm.localhost")
        self.bridge.stop()
        del self.bridge.settings["issuers"][1], self.bridge.settings["profiles"][1]
        self.bridge.restart()
        self.explain(url, "not configured any more", "the configuration has no issuer sectigo any more",
                     "put the issuer back")
        self.assertIn("not configured", self.ask("issuer", "list"))


if __name__ == "__main__":
    unittest.main()
