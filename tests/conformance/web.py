"""The web server that http-01 validations ask: the harness's, on a port that can be chosen, also on ::1."""

import socket
import threading

from harness.responder import Responder


class WebServer(Responder):
    def __init__(self, port=0):
        super().__init__()
        if port:
            self.rebind(port)
        self.second = self.listen_v6()

    def rebind(self, port):
        """The harness's listener moves to another port."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)
        self.server = type(self.server)(("127.0.0.1", port), self.server.RequestHandlerClass)
        self.port = port
        self.thread = self.serve_in_thread(self.server)

    @staticmethod
    def serve_in_thread(server):
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        return thread

    def listen_v6(self):
        """The same port on ::1; None where there is no IPv6."""
        class Server6(type(self.server)):
            address_family = socket.AF_INET6

        try:
            server = Server6(("::1", self.port), self.server.RequestHandlerClass)
        except OSError:
            return None
        self.serve_in_thread(server)
        return server

    def hits_of(self, token):
        """The Host fields of the requests for a token."""
        with self.lock:
            return [host for path, host in self.hits if path.endswith("/" + token)]

    def stop(self):
        if self.second is not None:
            self.second.shutdown()
            self.second.server_close()
        super().stop()
