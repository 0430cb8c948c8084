"""How long the server lets others wait: a thread that asks for nonces on a connection of its own."""

import threading
import time

from harness.raw import RawConnection


class Latency:
    """Measures while the block runs: one newNonce after the other, with a short pause between."""

    def __init__(self, bridge, pause=0.005, source=None):
        self.bridge = bridge
        self.pause = pause
        self.source = source
        self.seconds = []
        self.error = None
        self.connection = None
        self.connect_seconds = 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        begin = time.monotonic()
        self.connection = RawConnection(self.bridge, source=self.source)
        self.connect_seconds = time.monotonic() - begin
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(30)
        if self.error is not None:
            raise self.error

    def run(self):
        try:
            self.measure()
        except Exception as error:  # noqa: BLE001 (handed over)
            self.error = error

    def measure(self):
        request = f"HEAD /new-nonce HTTP/1.1\r\nHost: localhost:{self.bridge.port}\r\n\r\n".encode("ascii")
        with self.connection as connection:
            while not self.stopping.is_set():
                begin = time.monotonic()
                connection.send(request)
                _, status, _ = connection.head()
                self.seconds.append(time.monotonic() - begin)
                if status != 200:
                    raise AssertionError(f"newNonce: {status}")
                time.sleep(self.pause)

    def percentile(self, part):
        ordered = sorted(self.seconds)
        if not ordered:
            raise AssertionError("nothing was measured")
        return ordered[min(len(ordered) - 1, int(len(ordered) * part))]

    def __str__(self):
        return (f"connected in {self.connect_seconds * 1000:.0f} ms, p50 {self.percentile(0.5) * 1000:.1f} ms, p99 {self.percentile(0.99) * 1000:.1f} ms, "
                f"max {max(self.seconds) * 1000:.1f} ms ({len(self.seconds)} requests)")
