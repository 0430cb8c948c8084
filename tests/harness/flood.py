#!/usr/bin/python3
"""Bad clients, run as a process of their own so that they do not slow down whoever measures.

flood.py PORT KIND=COUNT@ADDRESS ...: keeps COUNT connections of a kind from a loopback address, until stdin ends.
Prints "ready" once all have been opened, then what became of them.

  mute        connects and says nothing: no TLS handshake
  half        sends half of a ClientHello
  plain       speaks HTTP without TLS
  idle        TLS, and no request
  slow-head   a header byte now and then
  slow-body   a body byte now and then
  handshakes  connects, shakes hands, closes, again and again
  connects    connects, closes, again and again
  hellos      bursts of COUNT connections that send a ClientHello all at once and go: cheap for them, not for the server
"""

import asyncio
import os
import ssl
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.deadhosts import raise_file_limit  # noqa: E402 (found through the line above)

HEAD = b"POST /new-order HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/jose+json\r\n"
CLIENT_HELLO_BEGINS = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100)
PAUSE_SECONDS = 0.5
STARTS_AT_ONCE = 50


class Flood:
    def __init__(self, port):
        self.port = port
        self.context = ssl.create_default_context()
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE
        self.done = {}
        self.starting = None

    def count(self, kind):
        self.done[kind] = self.done.get(kind, 0) + 1

    async def open(self, address, tls=True):
        return await asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0),
                                             ssl=self.context if tls else None)

    async def drip(self, kind, writer):
        """Sends a byte now and then until the server has had enough."""
        while not writer.is_closing():
            writer.write(b"a")
            await writer.drain()
            await asyncio.sleep(PAUSE_SECONDS)

    async def first(self, kind, address):
        """Opens a connection and brings it to where it hangs."""
        reader, writer = await self.open(address, kind not in ("mute", "half", "plain"))
        if kind == "half":
            writer.write(CLIENT_HELLO_BEGINS)
        elif kind == "plain":
            writer.write(b"GET /directory HTTP/1.1\r\nHost: localhost\r\n\r\n")
        elif kind == "slow-head":
            writer.write(HEAD + b"X-Slow: ")
        elif kind == "slow-body":
            writer.write(HEAD + b"Content-Length: 60000\r\n\r\n")
        return reader, writer

    async def hold(self, kind, address, opened):
        while True:
            writer = None
            try:
                async with self.starting:
                    reader, writer = await self.first(kind, address)
                opened.set()
                drip = asyncio.ensure_future(self.drip(kind, writer)) if kind.startswith("slow") else None
                try:
                    await reader.read()
                finally:
                    if drip is not None:
                        drip.cancel()
            except (OSError, ssl.SSLError):
                await asyncio.sleep(0.05)
            opened.set()
            self.count(kind)
            if writer is not None:
                writer.transport.abort()
            await asyncio.sleep(0.01)

    async def repeat(self, kind, address, opened):
        while True:
            try:
                _, writer = await self.open(address, kind == "handshakes")
                writer.transport.abort()
                self.count(kind)
            except (OSError, ssl.SSLError):
                self.count(kind + " refused")
                await asyncio.sleep(0.002)
            opened.set()

    def client_hello(self):
        """The first flight of a handshake, whole."""
        outgoing = ssl.MemoryBIO()
        handshake = self.context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
        try:
            handshake.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return outgoing.read()

    async def bursts(self, kind, address, size, opened):
        hello = self.client_hello()
        while True:
            results = await asyncio.gather(*(self.open(address, False) for _ in range(size)), return_exceptions=True)
            writers = [each[1] for each in results if not isinstance(each, BaseException)]
            for writer in writers:
                writer.write(hello)
                self.count(kind)
            await asyncio.sleep(0.05)  # for the server to begin with
            for writer in writers:
                writer.transport.abort()
            opened.set()

    async def main(self, wishes):
        self.starting = asyncio.Semaphore(STARTS_AT_ONCE)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: None)  # connections that break are what this is about
        opened, tasks = [], []
        for wish in wishes:
            kind, rest = wish.split("=")
            count, address = rest.split("@")
            act = self.repeat if kind in ("handshakes", "connects") else self.hold
            if kind == "hellos":
                opened.append(asyncio.Event())
                tasks.append(asyncio.ensure_future(self.bursts(kind, address, int(count), opened[-1])))
                continue
            for _ in range(int(count)):
                event = asyncio.Event()
                opened.append(event)
                tasks.append(asyncio.ensure_future(act(kind, address, event)))
        for event in opened:
            await event.wait()
        print("ready", flush=True)
        await loop.run_in_executor(None, sys.stdin.read)
        print(", ".join(f"{kind}: {count}" for kind, count in sorted(self.done.items())), flush=True)
        os._exit(0)


if __name__ == "__main__":
    raise_file_limit()
    asyncio.run(Flood(int(sys.argv[1])).main(sys.argv[2:]))
