"""A chat endpoint that answers after a while, in a process of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class SlowServer(asyncio.Protocol, ABC):
    """Answers every request on a connection after a while; one class is one endpoint."""

    delay_s = 0.0

    @abstractmethod
    def answer(self, body: bytes) -> bytes:
        """The answer's body."""

    @property
    def is_down(self) -> bool:
        """Whether connections are hung up."""
        return False

    def told(self, body: bytes) -> None:
        """An answer to a body was sent."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody asks."""
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._received = transport, b""
        if self.is_down:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """A part of a question."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        if found and len(body) >= length:
            self._received, asked = body[length:], body[:length]
            loop = asyncio.get_running_loop()
            loop.call_later(self.delay_s, self._send, asked, self.answer(asked))

    def _send(self, asked: bytes, reply: bytes) -> None:
        if self.is_down:
            self._transport.abort()
        if not self._transport.is_closing():
            self._transport.write(_HEAD % len(reply) + reply)
            self.told(asked)


async def serve(endpoint: type[SlowServer]) -> None:
    """Prints its port and answers until it is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(endpoint, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def started(script: str, *arguments: str) -> Iterator[str]:
    """The endpoint's address while a script that serves it runs."""
    with subprocess.Popen([sys.executable, script, *arguments], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()
