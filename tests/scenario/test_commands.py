#!/usr/bin/python3
"""The command line: mistakes in the configuration, what keeps the server from starting, version."""

import os
import re
import socket
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.bridge import Bridge  # noqa: E402 (found through the line above)
from harness.case import Case  # noqa: E402

GOOD = """\
server:
  url: https://localhost:14000
  listen: 127.0.0.1:14000
data_dir: data
validation:
  http_port: 5002
  allow: [127.0.0.0/8]
issuers:
  - { name: local, type: local }
  - name: sectigo
    type: scm
    url: https://localhost:9443
    customer_uri: corp
    login: acme-api
    password_file: password
    org_id: 8932
    profile_id: 5153
    term_days: 199
profiles:
  - { name: default, issuer: local, description: Internal hosts }
  - { name: scm, issuer: sectigo }
"""
FAIL_SECONDS = 8
PASSWORD = "correct horse battery staple"


class Check(Case):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="acmebridge-check-")
        self.addCleanup(self.directory.cleanup)
        self.path = os.path.join(self.directory.name, "acmebridge.yaml")
        self.bridge = Bridge(5002)
        self.addCleanup(self.bridge.clean)
        password = os.path.join(self.directory.name, "password")
        with open(password, "w", encoding="utf-8") as stream:
            stream.write(PASSWORD + "\n")
        os.chmod(password, 0o600)

    def check(self, text):
        with open(self.path, "w", encoding="utf-8") as stream:
            stream.write(text)
        done = self.bridge.run("check", "--config", self.path)
        self.assertNotIn(PASSWORD, done.stdout + done.stderr)
        self.assertNotIn("Sanitizer", done.stderr)
        return done

    def mistake(self, old, new, line, column, *words):
        """The good file with one change: exit code 2, and a line with the position and the words."""
        self.assertEqual(GOOD.count(old), 1, old)
        done = self.check(GOOD.replace(old, new))
        self.assertEqual(done.returncode, 2, done.stderr)
        found = [text for text in done.stderr.splitlines() if text.startswith(f"{self.path}:{line}:{column}: ")]
        self.assertEqual(len(found), 1, done.stderr)
        for word in words:
            self.assertIn(word, found[0])

    def test_good_file(self):
        done = self.check(GOOD)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("https://localhost:14000/directory", done.stdout)
        self.assertFalse(os.path.exists(os.path.join(self.directory.name, "data")), "check made something")

    def test_unknown_keys(self):
        self.mistake("  listen:", "  lisen:", 3, 3, "lisen", "did you mean 'listen'")
        self.mistake("validation:", "validations:", 5, 1, "validations", "did you mean 'validation'")
        self.mistake("  http_port: 5002", "  http_porto: 5002", 6, 3, "http_port")

    def test_wrong_types_and_values(self):
        self.mistake("http_port: 5002", "http_port: '5002'", 6, 14, "a whole number", "65535")
        self.mistake("http_port: 5002", "http_port: 70000", 6, 14, "from 1 to 65535", "70000")
        self.mistake("[127.0.0.0/8]", "127.0.0.0/8", 7, 10, "a list")
        self.mistake("[127.0.0.0/8]", "[127.0.0.1/8]", 7, 11, "127.0.0.1/8")
        self.mistake("https://localhost:14000", "http://localhost:14000", 2, 8, "https")
        self.mistake("listen: 127.0.0.1:14000", "listen: localhost", 3, 11, "localhost")
        self.mistake("type: local ", "type: vault ", 9, 26, "local", "vault")
        self.mistake("org_id: 8932", "org_id: many", 16, 13, "many")

    def test_references(self):
        self.mistake("issuer: sectigo", "issuer: sectiga", 21, 26, "sectiga")
        self.mistake("name: scm,", "name: default,", 21, 13, "default")

    def test_missing_keys(self):
        done = self.check(GOOD.replace("    login: acme-api\n", ""))
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr.splitlines()[0], rf"^{re.escape(self.path)}:10:\d+: .*login")

    def test_secrets(self):
        self.mistake("password_file: password", "password_file: nowhere", 15, 20, "nowhere", "No such file")
        self.mistake("password_file: password", f"password: {PASSWORD}", 15, 15, "password_file")
        os.chmod(os.path.join(self.directory.name, "password"), 0o644)
        self.mistake("term_days: 199", "term_days: 200", 15, 20, "chmod")

    def test_all_mistakes_at_once(self):
        done = self.check(GOOD.replace("listen:", "lisen:").replace("5002", "x").replace("8932", "y"))
        lines = [line for line in done.stderr.splitlines() if line.startswith(self.path + ":")]
        self.assertGreaterEqual(len(lines), 3, done.stderr)

    def test_list_of_compromised_keys(self):
        blocked = os.path.join(self.directory.name, "blocked")
        good = GOOD.replace("data_dir: data", "data_dir: data\nblocked_keys_file: blocked")
        self.assertIn("blocked", self.check(good).stderr)
        for text, line in (("# none\n", 0), ("ab" * 32 + "\n" + "cd" * 10 + "\n", 0), ("ab" * 32 + "\nxy\n", 2)):
            with self.subTest(text=text):
                with open(blocked, "w", encoding="ascii") as stream:
                    stream.write(text)
                done = self.check(good)
                self.assertEqual(done.returncode, 2 if line else 0, done.stderr)
                if line:
                    self.assertIn(f"{self.path}:5:20: expected a list of keys", done.stderr)
                    self.assertIn(f"line {line}", done.stderr)

    def test_no_yaml(self):
        for text in ("server: [", "\t", "a: b: c", "server: {url: 'x}", "- just\n- a list\n", ""):
            with self.subTest(text=text):
                done = self.check(text)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(self.path, done.stderr)

    def test_no_file(self):
        done = self.bridge.run("check", "--config", os.path.join(self.directory.name, "none.yaml"))
        self.assertEqual(done.returncode, 2)
        self.assertIn("none.yaml", done.stderr)

    def test_command_line(self):
        for arguments in ((), ("frobnicate",), ("check", "--nothing"), ("check", "extra"), ("serve", "--config")):
            with self.subTest(arguments=arguments):
                done = self.bridge.run(*arguments)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn("acmebridge", done.stderr)
        done = self.bridge.run("help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("serve", done.stdout)

    def test_version(self):
        done = self.bridge.run("version")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"^acmebridge \d+\.\d+\.\d+\S*\n$")


class Serve(Case):
    def fails(self, bridge, code, *words):
        """The server ends by itself, and says why."""
        bridge.launch()
        self.assertEqual(bridge.process.wait(FAIL_SECONDS), code, bridge.log())
        for word in words:
            self.assertIn(word, bridge.log())

    def test_mistake_in_the_configuration(self):
        bridge = self.make_bridge(5002)
        bridge.settings["server"]["lisen"] = "x"
        self.fails(bridge, 2, "lisen", bridge.config_file + ":")

    def test_port_in_use(self):
        bridge = self.make_bridge(5002)
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", bridge.port))
            holder.listen()
            self.fails(bridge, 1, "level=error", f"127.0.0.1:{bridge.port}", "in use")

    def test_port_in_use_by_another_acmebridge(self):
        """Two servers that share a port without knowing would answer each other's clients."""
        first, second = self.make_bridge(5002), self.make_bridge(5002)
        first.start()
        second.settings["server"] = first.settings["server"]
        self.fails(second, 1, "level=error", f"127.0.0.1:{first.port}")
        self.assertTrue(first.answers())

    def test_second_process_on_the_same_data(self):
        first, second = self.make_bridge(5002), self.make_bridge(5002)
        first.start()
        second.settings["data_dir"] = first.data
        self.fails(second, 1, "level=error", "another acmebridge", first.data)
        self.assertTrue(first.answers())

    def tls_files(self, directory, certificate, key):
        paths = []
        for name, content in (("certificate.pem", certificate), ("key.pem", key)):
            paths.append(os.path.join(directory, name))
            with open(paths[-1], "w", encoding="ascii") as stream:
                stream.write(content)
        return dict(zip(("certificate_file", "key_file"), paths))

    def test_unusable_tls_files(self):
        bridge = self.make_bridge(5002)
        bridge.settings["server"]["tls"] = self.tls_files(bridge.directory, "no certificate\n", "no key\n")
        self.fails(bridge, 1, "level=error", "certificate.pem")

    def test_missing_tls_file(self):
        bridge = self.make_bridge(5002)
        bridge.settings["server"]["tls"] = {"certificate_file": bridge.directory + "/none.pem",
                                            "key_file": bridge.directory + "/none.key"}
        self.fails(bridge, 2, "none.pem", bridge.config_file + ":")

    def test_data_directory_that_cannot_be_made(self):
        bridge = self.make_bridge(5002)
        blocked = os.path.join(bridge.directory, "file")
        with open(blocked, "w", encoding="ascii"):
            pass
        bridge.settings["data_dir"] = os.path.join(blocked, "data")
        bridge.launch()
        self.assertIn(bridge.process.wait(FAIL_SECONDS), (1, 2), bridge.log())
        self.assertIn(blocked, bridge.log())

    def test_damaged_database(self):
        bridge = self.make_bridge(5002)
        bridge.start()
        bridge.stop()
        with open(os.path.join(bridge.data, "acmebridge.db"), "r+b") as stream:
            stream.write(b"this is no database, whatever it was")
        for name in os.listdir(bridge.data):
            if name.startswith("acmebridge.db-"):
                os.unlink(os.path.join(bridge.data, name))
        self.fails(bridge, 1, "level=error", "store")

    def test_keys_are_for_the_owner_only(self):
        bridge = self.make_bridge(5002)
        bridge.start()
        bridge.stop()
        self.assertEqual(os.stat(bridge.data).st_mode & 0o777, 0o700)
        for path, _, files in os.walk(bridge.data):
            for name in files:
                mode = os.stat(os.path.join(path, name)).st_mode & 0o777
                if "key" in name or name.endswith(".db"):
                    self.assertEqual(mode & 0o077, 0, f"{path}/{name} has mode {mode:o}")

    def test_embedded_defaults(self):
        """Without a configuration the server offers its own CA on loopback; here only its check is run."""
        bridge = self.make_bridge(5002)
        done = bridge.run("check", "--data-dir", bridge.data)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("https://localhost:14000/directory", done.stdout)


if __name__ == "__main__":
    unittest.main()
