"""One request to an endpoint and what came of it: an answer, a complaint, or a passing failure."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from autointerp.core.errors import InputError
from autointerp.llm.address import is_loopback, read_address
from autointerp.llm.complaints import Complaint, may_pass, read_complaint
from autointerp.llm.meter import Failure, Meter
from autointerp.llm.retry import retry_after_s
from autointerp.llm.shared_rate_limiter import SharedLimits
from autointerp.llm.transport import CONNECT_TIMEOUT_S, http_client
from autointerp.llm.wire import read_model_names

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_BEHIND_A_GATEWAY = frozenset({502, 503, 504, 520, 521, 522, 523, 524, 529, 530})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a client needs of the world, so that a test can give it another one."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    """Waits so many seconds."""
    clock: Callable[[], float] = time.time
    """Unix time in seconds."""
    transport: httpx2.AsyncBaseTransport | None = None
    """Sends HTTP requests; None takes the network."""
    seed: int = 0
    """Of the jitter in waits."""
    limits: SharedLimits | None = None
    """Limits that other processes share; None keeps those of the options in this one."""
    meter: Meter | None = None
    """Counts what is asked, where somebody wants to know."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came with a good status."""

    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Passing:
    """A failed attempt that may be repeated."""

    what: str
    """Predicate of a sentence about the endpoint: ``answered 503``."""
    advice: str
    status: int | None = None
    """None where no status came."""
    asked_wait_s: float | None = None
    reached: bool = True
    cut: bool = False
    """Whether the connection was lost on the way."""
    is_unreadable: bool = False
    """Whether an answer came that says nothing."""

    @property
    def failure(self) -> Failure:
        """Its class, for those who count."""
        if not self.reached:
            return Failure.UNREACHABLE
        if self.is_limit:
            return Failure.RATE_LIMITED
        if self.cut or self.is_unreadable:
            return Failure.CUT if self.cut else Failure.UNREADABLE
        return Failure.TIMEOUT if self.status is None else Failure.SERVER

    @property
    def is_limit(self) -> bool:
        """Whether the endpoint is well and asks to be asked less."""
        return self.status == 429 or (self.status == 503 and self.asked_wait_s is not None)

    @property
    def is_broken(self) -> bool:
        """Whether it speaks against the endpoint as a whole."""
        broken = self.status is not None and self.status >= 500 and not self.is_limit
        return broken or self.cut or not self.reached

    @property
    def is_outage(self) -> bool:
        """Whether the request itself cannot be what it fails on."""
        return self.is_broken and (self.status is None or self.status in _BEHIND_A_GATEWAY)


class Exchange:
    """Sends JSON to one endpoint. One event loop."""

    def __init__(
        self, base_url: str, *, secret: str, timeout_s: float, surroundings: Surroundings
    ) -> None:
        """Prepares connections; nothing is sent yet.

        Raises:
            InputError: the address is not an http or https one, or no header can carry the key.
        """
        host, self.endpoint = read_address(base_url)
        if not (secret.isascii() and secret.isprintable()):
            msg = "the LLM's API key holds characters that no header can carry; set it again"
            raise InputError(msg)
        self._timeout_s = timeout_s
        self._clock = surroundings.clock
        # Joining an address with a path costs as much as sending a request over it.
        self._urls = {
            path: httpx2.URL(f"{base_url.rstrip('/')}/{path}")
            for path in ("chat/completions", "completions", "models")
        }
        self._headers = {"Content-Type": "application/json", "User-Agent": "autointerp"}
        if secret:
            self._headers["Authorization"] = f"Bearer {secret}"
        # A proxy of the environment is for the outside world; sent through it, a loopback
        # address would mean the proxy's own machine.
        self._client = http_client(
            host=host,
            scheme=self._urls["models"].scheme,
            transport=surroundings.transport,
            direct=is_loopback(host),
        )

    async def post(self, path: str, body: Mapping[str, Any]) -> Answer | Passing | Complaint:
        """What came of one request."""
        text = _JSON.encode(body)
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._client.post(
                    self._urls[path],
                    content=text.encode("utf-8", "replace"),
                    headers=self._headers,
                )
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError):
            return Passing("", "is the server running?", reached=False)
        except (TimeoutError, httpx2.TimeoutException):
            return Passing(
                f"gave no answer within {self._timeout_s:g} s",
                "use a faster model, lower AUTOINTERP_LLM_MAX_IN_FLIGHT or allow more time",
            )
        except httpx2.DecodingError:
            return not_json("a body that cannot be unpacked")
        except httpx2.TransportError:
            advice = "see the server's log or try again later"
            return Passing("cut the connection", advice, cut=True)
        if response.is_success:
            return Answer(response.content, response.headers)
        complaint = read_complaint(response.status_code, response.text)
        return self.sorted_out(complaint, response.headers)

    def sorted_out(self, complaint: Complaint, headers: Mapping[str, str]) -> Passing | Complaint:
        """The complaint, or a passing failure where the same request may succeed later."""
        if not may_pass(complaint):
            return complaint
        advice = "try again later"
        if complaint.status == 429:
            advice = "lower AUTOINTERP_LLM_MAX_IN_FLIGHT or try again later"
        asked = retry_after_s(headers, now_s=self._clock())
        return Passing(f"answered {complaint.status}", advice, complaint.status, asked)

    async def model_names(self) -> list[str] | None:
        """Names of the models that the endpoint lists, None where it does not say."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                response = await self._client.get(self._urls["models"], headers=self._headers)
        except (TimeoutError, httpx2.RequestError):
            return None
        return read_model_names(response.content) if response.is_success else None

    async def close(self) -> None:
        """Gives back the connections; twice is fine."""
        await self._client.aclose()


def not_json(found: object) -> Passing:
    """A body that is a proxy's page, half an answer or nothing."""
    return Passing(
        f"answered with something that is not JSON ({found})",
        "check AUTOINTERP_LLM_BASE_URL, which usually ends in /v1",
        is_unreadable=True,
    )
