"""HTTP/1.1 over kept connections, for many small calls at once.

httpx's own pool looks at all of its connections for every request, so that 200 calls in flight
spend their time there. Here a request takes the connection that was given back last, at a cost
that does not depend on their number.
"""

from __future__ import annotations

import asyncio
import ssl
import time
import urllib.request
import zlib
from typing import cast

import h11
import httpx2
from typing_extensions import override

from autointerp.core.addresses import NO_PROXY
from autointerp.core.errors import InputError

CONNECT_TIMEOUT_S = 10.0
_LONGEST_IDLE_S = 4.0
"""Shorter than the 5 s after which common servers close: a request must not cross that."""
_LONGEST_BODY = 256 * 2**20
_PACKED = (b"\x1f\x8b", *(b"\x78" + level for level in (b"\x01", b"\x5e", b"\x9c", b"\xda")))
"""How gzip and zlib begin, as no JSON does."""
_MOST_LAYERS = 3


def http_client(
    *, host: str, scheme: str, transport: httpx2.AsyncBaseTransport | None, direct: bool
) -> httpx2.AsyncClient:
    """A client without timeouts of its own that follows no redirect.

    One would carry prompts, and within a host the key, to an address that nobody chose. The
    host decides whether a proxy of the environment is used, which a direct client never does.
    """
    if transport is None and not direct and _has_proxy(scheme, host):
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
        try:
            return httpx2.AsyncClient(timeout=None, follow_redirects=False, limits=limits)
        except (httpx2.InvalidURL, ValueError, ImportError):
            # Its message holds a part of the proxy's address.
            raise InputError(NO_PROXY) from None
    # Without the environment no .netrc is read either: a key must be named to be sent.
    return httpx2.AsyncClient(
        transport=transport or ConnectionPool(),
        headers={"Accept-Encoding": "gzip, deflate"},
        timeout=None,
        follow_redirects=False,
        trust_env=False,
    )


def _has_proxy(scheme: str, host: str) -> bool:
    proxies = urllib.request.getproxies()
    return any(name in proxies for name in (scheme, "all")) and not bool(
        urllib.request.proxy_bypass(host)
    )


class ConnectionPool(httpx2.AsyncBaseTransport):
    """Sends requests over connections that are kept, the one used last first.

    It has no limit of its own: whoever uses it decides how many requests are in flight.
    """

    def __init__(self) -> None:
        self._idle: dict[tuple[str, str, int], list[_Connection]] = {}
        self._busy: set[_Connection] = set()
        self._tls: ssl.SSLContext | None = None

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        host = url.raw_host.decode("ascii")
        origin = (url.scheme, host, url.port or (443 if url.scheme == "https" else 80))
        body = await request.aread()
        connection = self._take(origin) or await self._connect(origin)
        self._busy.add(connection)
        try:
            response = await connection.send(request, body)
        finally:
            self._busy.discard(connection)
            if connection.reusable:
                self._idle.setdefault(origin, []).append(connection)
            else:
                connection.drop()
        return response

    @override
    async def aclose(self) -> None:
        for connection in (*self._busy, *(c for idle in self._idle.values() for c in idle)):
            connection.drop()
        self._idle.clear()
        # The event loop closes sockets in its next turn, which must come before its end.
        await asyncio.sleep(0)

    def _take(self, origin: tuple[str, str, int]) -> _Connection | None:
        idle = self._idle.get(origin, [])
        now = time.monotonic()
        while idle:
            connection = idle.pop()
            if connection.reusable and now - connection.idle_since < _LONGEST_IDLE_S:
                return connection
            connection.drop()
        return None

    async def _connect(self, origin: tuple[str, str, int]) -> _Connection:
        scheme, host, port = origin
        if scheme == "https" and self._tls is None:
            self._tls = httpx2.create_ssl_context()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, connection = await asyncio.get_running_loop().create_connection(
                    _Connection, host, port, ssl=self._tls if scheme == "https" else None
                )
        except TimeoutError:
            raise httpx2.ConnectTimeout(f"no connection in {CONNECT_TIMEOUT_S:g} s") from None
        except (OSError, UnicodeError) as error:
            raise httpx2.ConnectError(str(error)) from None
        return connection


class _Connection(asyncio.Protocol):
    """One connection and the request on it."""

    def __init__(self) -> None:
        self._h11 = h11.Connection(h11.CLIENT)
        self._transport: asyncio.Transport | None = None
        self._response: asyncio.Future[None] | None = None
        self._head: h11.Response | None = None
        self._parts: list[bytes] = []
        self._n_bytes = 0
        self.idle_since = 0.0

    @property
    def reusable(self) -> bool:
        """Whether another request may be sent on it."""
        return (
            self._transport is not None
            and not self._transport.is_closing()
            and self._h11.our_state is h11.IDLE
        )

    def drop(self) -> None:
        """Closes it at once."""
        if self._transport is not None:
            self._transport.abort()

    async def send(self, request: httpx2.Request, body: bytes) -> httpx2.Response:
        """The response to a request."""
        assert self._transport is not None
        self._response = asyncio.get_running_loop().create_future()
        self._head, self._parts, self._n_bytes = None, [], 0
        request_head = h11.Request(
            method=request.method.encode(), target=request.url.raw_path, headers=request.headers.raw
        )
        pieces = (
            self._h11.send(event) for event in (request_head, h11.Data(body), h11.EndOfMessage())
        )
        self._transport.write(b"".join(piece or b"" for piece in pieces))
        try:
            await self._response
        finally:
            self._response = None
        head = cast("h11.Response", self._head)
        states = (self._h11.our_state, self._h11.their_state)
        if states == (h11.DONE, h11.DONE):
            self._h11.start_next_cycle()
            self.idle_since = time.monotonic()
        headers = httpx2.Headers(head.headers.raw_items())
        label = headers.pop("content-encoding", "")
        content = _unpacked(b"".join(self._parts), label)
        return httpx2.Response(head.status_code, headers=headers, content=content)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._response is None:
            self.drop()
        else:
            self._read(data)

    def eof_received(self) -> None:
        if self._response is not None:
            self._read(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(httpx2.ReadError(f"the connection was cut: {exc}"))

    def _read(self, data: bytes) -> None:
        try:
            self._h11.receive_data(data)
            while self._take_in(self._h11.next_event()):
                pass
        except h11.RemoteProtocolError as error:
            self._fail(httpx2.RemoteProtocolError(str(error)))

    def _take_in(self, event: object) -> bool:
        """Whether more events may follow in what was received."""
        if isinstance(event, h11.Response):
            self._head = event
        elif isinstance(event, h11.Data):
            self._parts.append(bytes(event.data))
            self._n_bytes += len(event.data)
            if self._n_bytes > _LONGEST_BODY:
                self._fail(httpx2.ReadError("the response is too long"))
                return False
        elif isinstance(event, h11.EndOfMessage):
            if self._response is not None and not self._response.done():
                self._response.set_result(None)
            return False
        return event not in (h11.NEED_DATA, h11.PAUSED) and not isinstance(
            event, h11.ConnectionClosed
        )

    def _fail(self, error: httpx2.TransportError) -> None:
        if self._response is not None and not self._response.done():
            self._response.set_exception(error)


def _unpacked(body: bytes, label: str) -> bytes:
    """A body as it was before it was packed; its bytes tell, as labels are often wrong."""
    for _ in range(_MOST_LAYERS):
        if body.startswith(_PACKED):
            body = _inflated(body, 32 + zlib.MAX_WBITS)
        elif label.strip().lower() == "deflate" and body[:1] not in b'{["d:\xef\xfe\xff \r\n':
            # Without zlib's frame, as some send it.
            return _inflated(body, -zlib.MAX_WBITS)
    return body


def _inflated(body: bytes, wbits: int) -> bytes:
    unpacking = zlib.decompressobj(wbits)
    try:
        result = unpacking.decompress(body, _LONGEST_BODY)
    except zlib.error as error:
        raise httpx2.DecodingError(str(error)) from None
    if not unpacking.eof:
        raise httpx2.DecodingError("it is cut off, or too long")
    return result
