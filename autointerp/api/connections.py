"""Connections of the API: heads are bounded in size and time, and silent clients give way."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_BYTES = 32 * 1024
_AROUND_BYTES = 256 * 1024
_AROUND_BYTE = 8
"""What may stand around a body: so much, and so much for each of its bytes. Chunks of one byte
have five; trailers and the options of chunks are read, and kept, by nobody."""
HEAD_S = 10.0
"""Seconds in which a head must be complete."""
MOST, OF_CLIENT = 900, 800
"""Connections of all clients and of one address: below what uvicorn, and often the operating
system, allow, so that the newest is always answered."""


@dataclass(slots=True)
class Connections:
    """Those that are open, and which of them wait for their client.

    That is for a head, for a body, or until an answer is read. Where there are too many, the one
    goes that has waited longest.
    """

    most: int = MOST
    of_client: int = OF_CLIENT
    _by_client: Counter[str] = field(default_factory=Counter)
    _waiting: OrderedDict[GuardedProtocol, None] = field(default_factory=OrderedDict)

    def opened(self, connection: GuardedProtocol) -> None:
        """Counts a connection in; one too many ends another, or itself."""
        name = connection.client_name
        full = self._by_client.total() >= self.most
        crowded = self._by_client[name] >= self.of_client
        self._by_client[name] += 1
        if full or crowded:
            among = (c for c in self._waiting if not crowded or c.client_name == name)
            next(among, connection).drop()
        self._waiting[connection] = None

    def waits(self, connection: GuardedProtocol) -> None:
        """It waits for its client from now on."""
        self._waiting[connection] = None

    def works(self, connection: GuardedProtocol) -> None:
        """It waits for the server."""
        self._waiting.pop(connection, None)

    def closed(self, connection: GuardedProtocol) -> None:
        """Counts it out."""
        self._waiting.pop(connection, None)
        self._by_client[connection.client_name] -= 1
        if self._by_client[connection.client_name] <= 0:
            del self._by_client[connection.client_name]


class GuardedProtocol(HttpToolsProtocol):
    """HTTP as uvicorn speaks it, of one connection among those that are counted."""

    def __init__(
        self, *given: Any, connections: Connections, head_s: float = HEAD_S, **named: Any
    ) -> None:
        super().__init__(*given, **named)
        self._open, self._head_s = connections, head_s
        self._in_head, self._ended, self._n_bytes, self._n_body = True, False, 0, 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def client_name(self) -> str:
        """The address of who connected; one name for all who come by a unix socket."""
        return self.client[0] if self.client else "unix"

    def drop(self) -> None:
        """Ends the connection, whatever it waits for."""
        self._open.works(self)
        self.transport.abort()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._expect_head()
        self._open.opened(self)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._open.closed(self)
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        if self._in_head and self._timer is None:
            self._expect_head()
        # The parser itself would keep any number of bytes.
        self._ended = False
        super().data_received(data)
        if self._ended:
            return
        self._n_bytes += len(data)
        if self._in_head and self._n_bytes > HEADER_BYTES:
            self.send_400_response("The head of the request is too long.")
        elif self._n_bytes - self._n_body > _AROUND_BYTES + _AROUND_BYTE * self._n_body:
            self.drop()

    @override
    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    @override
    def on_body(self, body: bytes) -> None:
        self._n_body += len(body)
        super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        self._in_head, self._ended, self._n_bytes, self._n_body = True, True, 0, 0
        self._open.works(self)
        super().on_message_complete()

    @override
    def on_response_complete(self) -> None:
        self._open.waits(self)
        super().on_response_complete()

    @override
    def pause_writing(self) -> None:
        self._open.waits(self)
        super().pause_writing()

    @override
    def resume_writing(self) -> None:
        self._open.works(self)
        super().resume_writing()

    def _expect_head(self) -> None:
        self._timer = self.loop.call_later(self._head_s, self.drop)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
