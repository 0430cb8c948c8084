"""What the clients meet: a DNS server their hooks can change, and a TLS server for tls-alpn-01 certificates."""

import http.server
import os
import ssl
import threading
import urllib.parse

from harness.alpn import PROTOCOL, AlpnResponder


class DnsControl:
    """A loopback HTTP port through which dns_hook.py changes TXT records of a DnsServer."""

    def __init__(self, dns):
        self.texts = {}
        self.lock = threading.Lock()
        control = self

        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = 20

            def do_POST(self):
                target = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(target.query))
                control.change(dns, target.path.strip("/"), query["name"].lower(), query["text"])
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def change(self, dns, verb, name, text):
        with self.lock:
            texts = self.texts.setdefault(name, [])
            if verb == "add":
                texts.append(text)
            elif text in texts:
                texts.remove(text)
            dns.remove(name, "TXT")
            for each in texts:
                dns.add(name, "TXT", each)

    def left(self):
        """The records no hook has taken away again."""
        with self.lock:
            return {name: texts for name, texts in self.texts.items() if texts}

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


class AlpnFiles(AlpnResponder):
    """Shows, for the name a validation asks for, what the client made: NAME.crt.pem and NAME.key.pem of a folder."""

    def __init__(self, folder):
        self.folder = folder
        super().__init__()

    def choose(self, connection, name, _context):
        connection.sni_seen = name
        path = os.path.join(self.folder, name or "")
        if name and "/" not in name and os.path.isfile(path + ".crt.pem"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.set_alpn_protocols([PROTOCOL])
            context.load_cert_chain(path + ".crt.pem", path + ".key.pem")
            connection.context = context
