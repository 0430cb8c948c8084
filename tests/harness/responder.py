"""The web server that http-01 validations ask, on loopback, with the misbehaviour tests need."""

import dataclasses
import http.server
import os
import socket
import threading
import time

PREFIX = "/.well-known/acme-challenge/"


@dataclasses.dataclass
class Answer:
    body: bytes = b""
    status: int = 200
    delay_s: float = 0.0
    location: str = ""


class Responder:
    """Serves answers by path, else what stands below `webroot`, else 404; `override` takes everything's place."""

    def __init__(self, webroot=None, host="127.0.0.1", port=0):
        self.answers = {}
        self.override = None
        self.webroot = webroot
        self.hits = []
        self.lock = threading.Lock()
        responder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = 20

            def do_GET(self):
                responder.respond(self)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

            def handle_error(self, *_):
                """A validation that hangs up early is none of our errors."""

        self.server = Server((host, port), Handler)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def answer(self, token, body, **options):
        """What to answer for a token; `body` is text."""
        self.answers[PREFIX + token] = Answer(body.encode("utf-8"), **options)

    def serve(self, path, body="", **options):
        self.answers[path] = Answer(body.encode("utf-8"), **options)

    def respond(self, handler):
        with self.lock:
            self.hits.append((handler.path, handler.headers.get("Host")))
        answer = self.override or self.answers.get(handler.path) or self.read_file(handler.path)
        if answer is None:
            answer = Answer(b"there is no such file here\n", 404)
        if answer.delay_s:
            time.sleep(answer.delay_s)
        handler.send_response(answer.status)
        handler.send_header("Content-Type", "application/octet-stream")
        handler.send_header("Content-Length", str(len(answer.body)))
        if answer.location:
            handler.send_header("Location", answer.location)
        handler.end_headers()
        handler.wfile.write(answer.body)

    def read_file(self, path):
        name = path.removeprefix(PREFIX)
        if self.webroot is None or not path.startswith(PREFIX) or "/" in name or name.startswith("."):
            return None
        try:
            with open(os.path.join(self.webroot, PREFIX.strip("/"), name), "rb") as stream:
                return Answer(stream.read())
        except FileNotFoundError:
            return None

    def count(self, token):
        with self.lock:
            return sum(path == PREFIX + token for path, _ in self.hits)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)
