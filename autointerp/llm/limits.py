"""How much is asked of one endpoint at once, by all callers together."""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakValueDictionary

from autointerp.llm.allowance import Allowance, Passage
from autointerp.llm.circuit import Circuit
from autointerp.llm.common_gate import CommonGate, CommonLimits
from autointerp.llm.retry import ClientOptions

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")
_IN_SECONDS = (86_400.0, 3_600.0, 60.0, 1.0, 0.001)


class Gate(Protocol):
    """Lets requests to one endpoint in, in the order they came. One event loop."""

    def passing(self, n_tokens: int) -> AbstractAsyncContextManager[Passage]:
        """Waits until one more request may be sent, and holds its place.

        Args:
            n_tokens: tokens that it will cost, about.
        """
        ...

    def correct(self, passage: Passage, n_tokens: int) -> None:
        """Counts what a request did cost in place of what was thought."""
        ...

    def succeeded(self) -> None:
        """Grows the number in flight by one a round of successes, up to the limit."""
        ...

    def too_much(self, passage: Passage) -> None:
        """Halves the number in flight, once for all that were sent at the same height."""
        ...

    def pause(self, seconds: float) -> None:
        """Lets nobody in for so long."""
        ...

    async def close(self) -> None:
        """Returns when whoever shares the limits knows what has ended."""
        ...


class LocalGate:
    """A gate for the callers of one process: see `Gate`."""

    def __init__(
        self, *, sleep: Callable[[float], Awaitable[None]], clock: Callable[[], float]
    ) -> None:
        """A gate without limits; callers `tighten` it.

        Args:
            sleep: waits so many seconds.
            clock: seconds since any moment.
        """
        self._sleep = sleep
        self._allowance = Allowance(clock)
        self._n_inside = 0
        self._turn = asyncio.Lock()
        self._changed: asyncio.Future[None] | None = None
        self._pauses: set[asyncio.Task[None]] = set()

    @property
    def allowed_in_flight(self) -> float:
        """Requests that may be on their way at once, by now."""
        return self._allowance.in_flight

    def tighten(
        self, *, in_flight: int, requests_per_minute: int | None, tokens_per_minute: int | None
    ) -> None:
        """Takes the smaller of the limits so far and these; None sets none."""
        self._allowance.tighten(
            in_flight=in_flight,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
        )

    @asynccontextmanager
    async def passing(self, n_tokens: int) -> AsyncIterator[Passage]:
        """Waits until one more request may be sent, and holds its place."""
        passage = Passage(n_tokens, self._allowance.round)
        async with self._turn:
            await self._until_free(passage)
            self._n_inside += 1
        try:
            yield passage
        finally:
            self._n_inside -= 1
            self._wake()

    def correct(self, passage: Passage, n_tokens: int) -> None:
        """Counts what a request did cost in place of what was thought."""
        if self._allowance.correct(passage, n_tokens):
            self._wake()

    def succeeded(self) -> None:
        """Grows the number in flight by one a round of successes, up to the limit."""
        if self._allowance.succeeded():
            self._wake()

    def too_much(self, passage: Passage) -> None:
        """Halves the number in flight, once for all that were sent at the same height."""
        self._allowance.too_much(passage, self._n_inside)

    def pause(self, seconds: float) -> None:
        """Lets nobody in for so long."""
        task = asyncio.get_running_loop().create_task(self._wait_out(seconds))
        self._pauses.add(task)
        task.add_done_callback(self._reopen)

    async def close(self) -> None:
        """Returns at once: nobody else shares the limits."""

    async def _wait_out(self, seconds: float) -> None:
        await self._sleep(seconds)

    def _reopen(self, task: asyncio.Task[None]) -> None:
        self._pauses.discard(task)
        self._wake()

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    async def _until_free(self, passage: Passage) -> None:
        while True:
            if self._pauses or not self._allowance.fits(self._n_inside):
                self._changed = asyncio.get_running_loop().create_future()
                await self._changed
                continue
            wait_s = self._allowance.wait_s(passage)
            if wait_s <= 0:
                break
            await self._sleep(wait_s)
        passage.round = self._allowance.round


@dataclass(frozen=True, slots=True)
class Shared:
    """What the callers of one endpoint have in common."""

    gate: Gate
    circuit: Circuit


_GATES: WeakValueDictionary[object, LocalGate] = WeakValueDictionary()
_COMMON: WeakValueDictionary[object, CommonGate] = WeakValueDictionary()
_CIRCUITS: WeakValueDictionary[object, Circuit] = WeakValueDictionary()


def share(
    endpoint: str,
    secret: str,
    *,
    options: ClientOptions,
    sleep: Callable[[float], Awaitable[None]],
    clock: Callable[[], float],
    limits: CommonLimits | None = None,
) -> Shared:
    """The gate of an endpoint and key and the circuit of the endpoint, in the running event loop.

    They live as long as somebody holds them. The strictest limits asked for hold for all; where
    limits are kept with other processes, those hold instead.
    """
    world = (asyncio.get_running_loop(), sleep, clock, endpoint)
    circuit = _CIRCUITS.get(world)
    if circuit is None:
        circuit = Circuit(
            sleep=sleep,
            clock=clock,
            opens_after=options.circuit_after,
            first_wait_s=2 * options.first_wait_s,
            longest_wait_s=options.longest_wait_s,
        )
        _CIRCUITS[world] = circuit
    key = (*world, hashlib.sha256(secret.encode()).digest())
    if limits is not None:
        return Shared(_common(key, limits), circuit)
    gate = _GATES.get(key)
    if gate is None:
        gate = _GATES[key] = LocalGate(sleep=sleep, clock=clock)
    gate.tighten(
        in_flight=options.max_in_flight,
        requests_per_minute=options.requests_per_minute,
        tokens_per_minute=options.tokens_per_minute,
    )
    return Shared(gate, circuit)


def _common(key: tuple[object, ...], limits: CommonLimits) -> CommonGate:
    named = (*key, limits.endpoint)
    gate = _COMMON.get(named)
    if gate is None:
        gate = _COMMON[named] = CommonGate(limits)
    return gate


def asked_pause_s(headers: Mapping[str, str], *, n_tokens: int) -> float:
    """Seconds until an endpoint that counts will take one more request, by what it says.

    It says what remains, what its limit is, and when the limit is whole again; until then it
    grows back evenly.

    Args:
        headers: of an answer, lower-case names.
        n_tokens: tokens that a request costs, about.
    """
    pause = 0.0
    for kind, needed in (("requests", 1), ("tokens", n_tokens)):
        remaining = _number(headers.get(f"x-ratelimit-remaining-{kind}"))
        if remaining is None or remaining >= needed:
            continue
        whole = read_duration_s(headers.get(f"x-ratelimit-reset-{kind}") or "") or 0.0
        limit = _number(headers.get(f"x-ratelimit-limit-{kind}"))
        if limit is not None and limit > remaining:
            whole *= min(1.0, (needed - remaining) / (limit - remaining))
        pause = max(pause, whole)
    return pause


def read_duration_s(text: str) -> float | None:
    """Seconds in a duration such as ``6m0s``, ``20ms``, ``1.5s`` or ``12``; None where it is none.

    The third spelling is also used for the moment itself, which is not a wait.
    """
    number = _number(text)
    if number is not None:
        return number if number < 1e6 else None
    found = _DURATION.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        return None
    parts = zip(found.groups(), _IN_SECONDS, strict=True)
    return sum(float(part) * unit for part, unit in parts if part)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
