"""Kept connections: what is reused, what is not, and answers in every framing."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx2
import pytest
from endpoint_client import HELLO

from autointerp.llm import ClientDependencies, OpenAICompatible
from autointerp.llm.http_pool import ConnectionPool

T = TypeVar("T")
OK = b"HTTP/1.1 200 OK\r\n"


class Raw:
    """A server that sends the bytes it was given, one answer a request; then closes if told."""

    def __init__(self, *answers: bytes, close_after: bool = False) -> None:
        self.answers = list(answers)
        self.close_after = close_after
        self.n_connections = 0
        self.is_asked = asyncio.Event()
        self.is_closed = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.n_connections += 1
        while self.answers:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
            await reader.readexactly(int(length or 0))
            self.is_asked.set()
            writer.write(self.answers.pop(0))
            if self.close_after:
                break
        writer.close()
        await writer.wait_closed()
        self.is_closed.set()


def use(raw: Raw, act: Callable[[httpx2.AsyncClient], Awaitable[T]]) -> T:
    async def _use() -> T:
        async with await asyncio.start_server(raw.serve, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            async with httpx2.AsyncClient(transport=ConnectionPool(), base_url=url) as client:
                return await act(client)

    return asyncio.run(_use())


async def twice(client: httpx2.AsyncClient) -> list[bytes]:
    return [(await client.post("/", content=b"ask")).content for _ in range(2)]


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 2\r\n\r\nhi",
        OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi",
        OK
        + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
        % len(gzip.compress(b"hi", mtime=0))
        + gzip.compress(b"hi", mtime=0),
    ],
)
def test_a_connection_is_used_again(answer: bytes) -> None:
    raw = Raw(answer, answer)
    assert use(raw, twice) == [b"hi", b"hi"]
    assert raw.n_connections == 1


@pytest.mark.parametrize("answer", [OK + b"\r\nhi", OK + b"Content-Length: 2\r\n\r\nhi"])
def test_a_connection_that_the_server_closes_is_not_used_again(answer: bytes) -> None:
    raw = Raw(answer, answer, close_after=True)

    async def with_a_pause(client: httpx2.AsyncClient) -> list[bytes]:
        first = (await client.post("/")).content
        await raw.is_closed.wait()
        await asyncio.sleep(0.05)
        return [first, (await client.post("/")).content]

    assert use(raw, with_a_pause) == [b"hi", b"hi"]
    assert raw.n_connections == 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (OK + b"Content-Length: 9\r\n\r\nhi", httpx2.TransportError),
        (b"", httpx2.TransportError),
        (b"SSH-2.0-OpenSSH\r\n\r\n", httpx2.RemoteProtocolError),
    ],
)
def test_an_answer_that_is_not_whole_is_an_error(answer: bytes, kind: type[Exception]) -> None:
    async def once(client: httpx2.AsyncClient) -> None:
        with pytest.raises(kind):
            await client.post("/")

    use(Raw(answer, close_after=True), once)


def test_an_answer_that_comes_before_the_request_is_read_is_taken() -> None:
    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    raw = Raw()
    raw.serve = refuse  # type: ignore[method-assign]

    async def large(client: httpx2.AsyncClient) -> int:
        return (await client.post("/", content=b"x" * 10_000_000)).status_code

    assert use(raw, large) == 413


def test_an_abandoned_request_leaves_no_connection_behind() -> None:
    raw = Raw(b"", OK + b"Content-Length: 2\r\n\r\nhi")

    async def abandon(client: httpx2.AsyncClient) -> bytes:
        post = asyncio.create_task(client.post("/"))
        await raw.is_asked.wait()
        post.cancel()
        with pytest.raises(asyncio.CancelledError):
            await post
        return (await client.post("/")).content

    assert use(raw, abandon) == b"hi"
    assert raw.n_connections == 2


def test_a_client_sends_through_the_transport_that_it_is_given() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        assert request.url == "https://llm.invalid/v1/chat/completions"
        message = {"message": {"content": "by hand"}, "finish_reason": "stop"}
        return httpx2.Response(200, json={"choices": [message]})

    async def ask() -> str:
        dependencies = ClientDependencies(transport=httpx2.MockTransport(answer))
        model = OpenAICompatible("https://llm.invalid/v1", "fake", dependencies=dependencies)
        reply = await model.reply(HELLO)
        await model.close()
        return reply.text

    assert asyncio.run(ask()) == "by hand"
