"""What is sent byte by byte, as no ordinary client would: answered or refused, and never both."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from api_service import JOB, Service

HOST = b"Host: 127.0.0.1\r\n"
JSON = b"Content-Type: application/json\r\n"
BODY = json.dumps(JOB).encode()
LENGTH = b"Content-Length: %d\r\n" % len(BODY)


@contextmanager
def wire_to(url: str) -> Iterator[socket.socket]:
    place = urlsplit(url)
    address = (place.hostname or "", place.port or 0)
    with socket.create_connection(address, timeout=60) as wire:
        yield wire


def answer_to(url: str, data: bytes) -> bytes:
    """All that comes back until the server closes, or has sent a whole short answer."""
    with wire_to(url) as wire:
        wire.sendall(data)
        answer = b""
        while part := wire.recv(65_536):
            answer += part
            head, _, body = answer.partition(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            if length.strip().isdigit() and len(body) >= int(length):
                break
        return answer


def post(*headers: bytes, body: bytes = BODY) -> bytes:
    return b"POST /v1/jobs HTTP/1.1\r\n" + b"".join(headers) + b"\r\n" + body


@pytest.mark.parametrize(
    "data",
    [
        post(HOST, JSON, LENGTH, b"Idempotency-Key: a\r\nIdempotency-Key: b\r\n"),
        post(HOST, JSON, LENGTH, b"X-Api-Key: a\r\nX-Api-Key: b\r\n"),
        post(HOST, JSON, LENGTH, b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"),
        post(HOST, HOST, JSON, LENGTH),
        post(JSON, LENGTH),
        post(HOST, JSON, b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", body=b"0\r\n\r\n"),
        post(HOST, JSON, b"Content-Length: 2\r\nContent-Length: 3\r\n", body=b"{} "),
        post(HOST, JSON, b"Content-Length: +2\r\n", body=b"{}"),
        post(HOST, JSON, b"Transfer-Encoding: xchunked\r\n", body=b"2\r\n{}\r\n0\r\n\r\n"),
        post(HOST, JSON, LENGTH, b"X-A : b\r\n"),
        post(HOST, JSON, LENGTH, b"X-A: a\r\n b\r\n"),
        post(HOST, JSON, LENGTH, b"X-A: a\rb\r\n"),
        post(HOST, JSON, LENGTH, b"X-A: \x00\r\n"),
        b"GET /v1/jobs\x00 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /v1/jobs HTTP/3.7\r\n" + HOST + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
def test_a_request_that_can_be_read_in_two_ways_is_refused(
    service: Service, url: str, data: bytes
) -> None:
    assert answer_to(url, data).startswith(b"HTTP/1.1 400 ")
    assert service.backend.jobs.n_open() == 0


def test_requests_that_are_sent_at_once_are_answered_in_turn(url: str) -> None:
    get = b"GET %s HTTP/1.1\r\n" + HOST
    many = b"".join(get % path + b"\r\n" for path in (b"/healthz", b"/v1/none") * 50)
    with wire_to(url) as wire:
        wire.sendall(many + get % b"/healthz" + b"Connection: close\r\n\r\n")
        answer = b""
        while part := wire.recv(65_536):
            answer += part
    statuses = [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"404"] * 50 + [b"200"]


@pytest.mark.parametrize(
    "name", [b"X-HTTP-Method-Override", b"X-HTTP-Method", b"X-Method-Override"]
)
def test_no_header_makes_another_method_of_a_request(
    service: Service, url: str, name: bytes
) -> None:
    assert b" 202 " in answer_to(url, post(HOST, JSON, LENGTH))
    (job,) = service.backend.jobs.open_ids()
    head = f"POST /v1/jobs/{job} HTTP/1.1\r\n".encode() + HOST + JSON
    data = head + b"Content-Length: 2\r\n" + name + b": DELETE\r\n\r\n{}"
    assert answer_to(url, data).startswith(b"HTTP/1.1 405 ")
    assert service.backend.jobs.open_ids() == [job]


@pytest.mark.parametrize("name", [b"X-Original-URL", b"X-Rewrite-URL", b"X-Forwarded-Prefix"])
def test_no_header_makes_another_path_of_a_request(url: str, name: bytes) -> None:
    data = b"GET /v1/none HTTP/1.1\r\n" + HOST + name + b": /healthz\r\n\r\n"
    assert answer_to(url, data).startswith(b"HTTP/1.1 404 ")
