"""Hosts that never answer, by the thousand, beside living ones: web servers, and names whose DNS keeps silent.

Who is dead is told by the Host field: names below dead.localhost. They take a connection and the request, and then
keep silent until release().
"""

import asyncio
import resource
import socket
import struct
import threading

DEAD = ".dead.localhost"


def raise_file_limit(needed=4096):
    """The files this process may open; each connection held is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed if hard == resource.RLIM_INFINITY else min(hard, needed),
                                                    hard))


class DeadHosts:
    def __init__(self):
        raise_file_limit()
        self.answers = {}
        self.holding = 0
        self.most_held = 0
        self.asked = 0
        self.loop = asyncio.new_event_loop()
        self.released = False
        self.writers = set()
        ready = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(ready,), daemon=True)
        self.thread.start()
        if not ready.wait(10):
            raise RuntimeError("the dead hosts did not start")

    def run(self, ready):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=1024))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self.loop.run_forever()
        server.close()
        for writer in list(self.writers):
            writer.transport.abort()
        self.loop.run_until_complete(asyncio.sleep(0.1))
        self.loop.close()

    async def serve(self, reader, writer):
        self.writers.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            lines = head.split("\r\n")
            host = next(line[5:].strip() for line in lines if line.lower().startswith("host:")).split(":")[0]
            if host.endswith(DEAD):
                await self.hang(reader)
            else:
                body = self.answers.get(lines[0].split(" ")[1], "there is no such file here").encode("ascii")
                writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                await writer.drain()
        except (OSError, EOFError, asyncio.IncompleteReadError):
            pass
        finally:
            self.writers.discard(writer)
            writer.transport.abort() if self.released else writer.close()

    async def hang(self, reader):
        self.asked += 1
        if self.released:
            return
        self.holding += 1
        self.most_held = max(self.most_held, self.holding)
        try:
            await reader.read()
        finally:
            self.holding -= 1

    def answer(self, token, text):
        """As of harness.responder."""
        self.answers["/.well-known/acme-challenge/" + token] = text

    def release(self):
        """From now on the dead hang up at once, also on those who wait."""
        def release():
            self.released = True
            for writer in list(self.writers):
                writer.transport.abort()
        self.loop.call_soon_threadsafe(release)

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)


class SilentDns:
    """A resolver without answers for names below dead.example, until release(); everything else is 127.0.0.1."""

    DEAD = ".dead.example"
    TYPE_A = 1
    NXDOMAIN = 3

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1@%d" % self.socket.getsockname()[1]
        self.released = False
        self.unanswered = set()
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            query, peer = self.socket.recvfrom(4096)
            if self.stopping:
                return
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1:at + 1 + query[at]].decode("ascii").lower())
                at += 1 + query[at]
            dead = ("." + ".".join(labels)).endswith(self.DEAD)
            if dead and not self.released:
                self.unanswered.add(labels[0])
                continue
            is_a = struct.unpack(">H", query[at + 1:at + 3])[0] == self.TYPE_A and not dead
            answer = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x7f\x00\x00\x01" if is_a else b""
            flags = 0x8180 | (self.NXDOMAIN if dead else 0)
            self.socket.sendto(query[:2] + struct.pack(">HHHHH", flags, 1, int(is_a), 0, 0)
                               + query[12:at + 5] + answer, peer)

    def release(self):
        """From now on the dead names do not exist."""
        self.released = True

    def stop(self):
        self.stopping = True
        self.socket.sendto(b"", self.socket.getsockname())
        self.thread.join(10)
        self.socket.close()
