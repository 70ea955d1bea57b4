"""Clients that say nothing, or not enough, keep nobody else out."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit

import httpx
import pytest
from api_service import JOB, Service, listening
from labelling import wait_until

from autointerp.api.connections import Connections

HEADS = {
    "nothing": b"",
    "half a line": b"GET /healthz HT",
    "half a head": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    "no body": b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: 50\r\n\r\n",
    "nothing after an answer": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "two of three chunks": b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
}


@contextmanager
def silent(url: str, n: int, head: bytes) -> Iterator[list[socket.socket]]:
    """Clients that send a head and then nothing."""
    place = urlsplit(url)
    with ExitStack() as stack:
        wires = []
        for _ in range(n):
            address = (place.hostname or "", place.port or 0)
            wires.append(stack.enter_context(socket.create_connection(address, timeout=60)))
            wires[-1].sendall(head)
        yield wires


def is_closed(wire: socket.socket) -> bool:
    try:
        while wire.recv(65_536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_silent_clients_shut_nobody_out(service: Service, head: bytes) -> None:
    few = Connections(most=40, of_client=30)
    with listening(service.app, connections=few) as url, silent(url, 100, head):
        for _ in range(20):
            # A connection each; reading the certificates of authorities is most of its cost.
            assert httpx.get(f"{url}/healthz", timeout=60, verify=False).status_code == 200
        assert httpx.post(f"{url}/v1/jobs", json=JOB, timeout=60).status_code == 202


@pytest.mark.parametrize("head", [HEADS["nothing"], HEADS["half a head"]])
def test_a_head_that_does_not_come_in_time_ends_its_connection(
    service: Service, head: bytes
) -> None:
    with listening(service.app, head_s=0.3) as url, silent(url, 1, head) as (wire,):
        assert is_closed(wire)
        assert httpx.get(f"{url}/healthz", timeout=60).status_code == 200


def test_a_head_that_comes_byte_by_byte_ends_too(service: Service) -> None:
    with (
        listening(service.app, head_s=0.5) as url,
        silent(url, 1, b"GET / HTTP/1.1\r\n") as (wire,),
    ):
        wait_until(lambda: not takes(wire, b"x"), seconds=30)


def takes(wire: socket.socket, data: bytes) -> bool:
    try:
        wire.sendall(data)
    except OSError:
        return False
    time.sleep(0.05)
    return True


def test_answers_that_nobody_reads_give_way(service: Service) -> None:
    async def large(scope: object, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b"x" * 30_000_000})  # type: ignore[operator]

    service.app.mount("/large", large)  # type: ignore[arg-type]
    few = Connections(most=40, of_client=8)
    head = b"GET /large/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with listening(service.app, connections=few) as url, silent(url, 12, head):
        assert httpx.get(f"{url}/healthz", timeout=60).status_code == 200


CHUNKED = (
    b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"0\r\n", b"X-A: b\r\n" * 8_000),
        (b"0\r\nX-A: ", b"a" * 65_536),
        (b"1;", b"a" * 65_536),
        (b"2;a=b\r\n{}\r\n1;", b"a" * 65_536),
    ],
    ids=["many trailers", "a long trailer", "options of a chunk", "those of the second"],
)
def test_what_stands_around_a_body_is_bounded(service: Service, begin: bytes, more: bytes) -> None:
    with listening(service.app) as url, silent(url, 1, CHUNKED + begin) as (wire,):
        sent = 0
        with suppress(OSError):
            while sent < 1 << 26:
                wire.sendall(more)
                sent += len(more)
        # Systems keep some megabytes of what was sent.
        assert sent < 1 << 24
        assert is_closed(wire)


def test_a_body_in_chunks_of_one_byte_is_taken(service: Service) -> None:
    body = json.dumps({**JOB, "units": ",".join(["5:0-9"] * 3_000)}).encode()
    with listening(service.app) as url:
        answer = httpx.post(
            f"{url}/v1/jobs",
            content=(body[i : i + 1] for i in range(len(body))),
            headers={"content-type": "application/json"},
            timeout=60,
        )
    assert answer.status_code == 202


def test_a_client_that_uses_one_connection_again_keeps_it(service: Service) -> None:
    with listening(service.app, head_s=0.2) as url, httpx.Client(timeout=60) as client:
        for _ in range(3):
            assert client.get(f"{url}/healthz").status_code == 200
            time.sleep(0.4)
