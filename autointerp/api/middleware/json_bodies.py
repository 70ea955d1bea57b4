"""Bodies: read whole, within a size and a time, and JSON that every reader takes the same way."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from autointerp.api.api_config import ApiLimits
from autointerp.api.problems import Problem, problem_response
from autointerp.core.errors import field_name

_LENGTH = re.compile(r"[0-9]{1,18}")
_METHODS = {"POST", "PUT", "PATCH", "DELETE"}
FORM_PATHS = frozenset({"/sign-in", "/sign-out"})
"""Where plain forms are posted; their bodies are read by what answers them."""
# What is still sent after a body was refused is read for so long: a connection closed at once
# would take the answer with it.
_DRAIN_S = 2.0
_DIGITS = 30
_MOST_KEYS = 1_000
_CLOSE = {"Connection": "close"}


class JsonBodyMiddleware:
    """Refuses a body that is too long, too slow or not JSON before any route sees it."""

    def __init__(self, app: ASGIApp, limits: ApiLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on requests whose body may pass."""
        if scope["type"] != "http" or scope["method"] not in _METHODS:
            await self._app(scope, receive, send)
            return
        try:
            body = await self._read(Headers(scope=scope), receive)
            if body and scope["path"] not in FORM_PATHS:
                _check(body, Headers(scope=scope))
        except ClientDisconnect:
            return
        except Problem as problem:
            await problem_response(problem)(scope, receive, send)
            return
        await self._app(scope, _replaying(body, receive), send)

    async def _read(self, headers: Headers, receive: Receive) -> bytes:
        limit = self._limits.body_bytes
        length = headers.get("content-length", "")
        if _LENGTH.fullmatch(length) and int(length) > limit:
            await _drain(receive)
            raise _too_large(limit)
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._limits.body_s):
                async for part in _parts(receive):
                    size += len(part)
                    if size > limit:
                        await _drain(receive)
                        raise _too_large(limit)
                    parts.append(part)
        except TimeoutError:
            detail = f"the body was not complete after {self._limits.body_s:g} seconds"
            raise Problem(408, "body_too_slow", detail, headers=_CLOSE) from None
        return b"".join(parts)


async def _parts(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def _drain(receive: Receive) -> None:
    try:
        async with asyncio.timeout(_DRAIN_S):
            async for _ in _parts(receive):
                pass
    except TimeoutError:
        return


def _too_large(limit: int) -> Problem:
    detail = f"a body may have {limit:,} bytes"
    return Problem(413, "body_too_large", detail, headers=_CLOSE)


def _check(body: bytes, headers: Headers) -> None:
    # One that is given twice names no type.
    given = ", ".join(headers.getlist("content-type"))
    media_type = given.partition(";")[0].strip().lower()
    if media_type != "application/json":
        detail = f"Content-Type must be application/json, found {media_type or 'none'}"
        raise Problem(415, "not_json", detail, headers={"Accept": "application/json"})
    encodings = {name.strip().lower() for name in headers.getlist("content-encoding")}
    if encodings - {"identity"}:
        detail = "a body must be sent as it is, without Content-Encoding"
        raise Problem(415, "not_json", detail, headers={"Accept-Encoding": "identity"})
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Problem(400, "bad_encoding", f"the body is not UTF-8: {error.reason}") from None
    try:
        value = json.loads(
            text,
            object_pairs_hook=_of_pairs,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_whole,
        )
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        detail = "a string in the body has an unpaired surrogate, which is not a character"
        raise Problem(400, "bad_encoding", detail) from None
    except RecursionError:
        raise Problem(400, "bad_json", "the body is nested too deep") from None
    except ValueError as error:
        raise Problem(400, "bad_json", f"the body is not valid JSON: {error}") from None


def _of_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > _MOST_KEYS:
        # Each that is not known would be told, and all of them together take seconds.
        detail = f"an object in the body has {len(pairs):,} keys; send at most {_MOST_KEYS:,}"
        raise Problem(422, "invalid_request", detail)
    result = dict(pairs)
    if len(result) < len(pairs):
        # Readers differ in which of the two they take.
        name = next(name for name, n in Counter(name for name, _ in pairs).items() if n > 1)
        raise ValueError(f"the key {field_name([name])} stands twice in one object")
    return result


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _whole(text: str) -> int:
    # Python itself refuses to read thousands of digits, and no field takes so many.
    if len(text) > _DIGITS:
        detail = f"a number in the body has {len(text):,} digits; send at most {_DIGITS}"
        raise Problem(422, "number_too_long", detail)
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large for a float of 64 bits")
    return number


def _replaying(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
