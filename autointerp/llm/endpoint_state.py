"""What all calls to one endpoint share: its rate limiter, and whether it is there.

Calls that fail alone try again alone. Once several in a row have failed, the circuit is open:
one call at a time probes, after waits that double, and the others wait for what it finds.
What may be refused for good is looked into for each key and model alone, in `lasting_check`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

from autointerp.core.backoff import Backoff
from autointerp.core.errors import UpstreamError
from autointerp.llm.api_call import TransientFailure
from autointerp.llm.lasting_check import LastingCheck
from autointerp.llm.options import ClientDependencies, ClientOptions
from autointerp.llm.rate_limiter import LocalRateLimiter, Permit, RateLimiter
from autointerp.llm.shared_rate_limiter import SharedRateLimiter


class Circuit:
    """The state of one endpoint. An object belongs to one event loop."""

    def __init__(
        self,
        *,
        sleep: Callable[[float], Awaitable[None]],
        clock: Callable[[], float],
        opens_after: int | None,
        backoff: Backoff,
    ) -> None:
        """A closed circuit, which `opens_after` failures in a row, over all calls, open.

        None never opens it. The backoff gives the waits before probes.
        """
        self._sleep = sleep
        self._clock = clock
        self._opens_after = opens_after
        self._backoff = backoff
        self._n_failed = 0
        self.has_answered = False
        """Whether anything was answered so far."""
        self._n_probed = 0
        self._turn = asyncio.Lock()
        self._gave_up: tuple[UpstreamError, float] | None = None

    @property
    def is_open(self) -> bool:
        """Whether calls wait; never for an endpoint that has not answered once."""
        return self.has_answered and self._many_failed

    @property
    def _many_failed(self) -> bool:
        return self._opens_after is not None and self._n_failed >= self._opens_after

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[bool]:
        """Holds calls back while something tiny must be answered first, except one at a time.

        Whether this is one.

        Raises:
            UpstreamError: the endpoint never answered, and another call tried enough just now.
        """
        if self._gave_up is not None:
            error, moment = self._gave_up
            if self._clock() - moment < self._backoff.longest_s:
                raise UpstreamError(str(error), retryable=True)
            self._gave_up = None
        if self.is_open:
            async with self._turn:
                if self.is_open:
                    # Only probes count here: all that was in flight fails at the same time.
                    self._n_probed += 1
                    await self._sleep(self._backoff.wait_s(self._n_probed))
                    yield True
                    return
        yield False

    def succeeded(self) -> None:
        """It answered: the circuit is closed."""
        self.answered()
        self.has_answered = True
        self._gave_up = None

    def answered(self) -> None:
        """It answered with something that says nothing against it: failures are not in a row."""
        self._n_failed = 0
        self._n_probed = 0

    def failed(self) -> None:
        """It was not reached, or reported that it is broken."""
        self._n_failed += 1

    def give_up(self, error: UpstreamError) -> None:
        """For a while no call is tried, unless the endpoint has ever answered."""
        if not self.has_answered and self._many_failed:
            self._gave_up = (error, self._clock())


@dataclass(frozen=True, slots=True)
class EndpointState:
    """What the callers of one endpoint have in common, with one key and model."""

    limiter: RateLimiter
    circuit: Circuit
    check: LastingCheck

    @property
    def is_held(self) -> bool:
        """Whether something tiny must be answered before anything else is sent."""
        return self.circuit.is_open or self.check.doubt is not None

    def succeeded(self, *, is_question: bool) -> None:
        """Something was answered, tiny or not."""
        self.circuit.succeeded()
        self.check.succeeded(is_question=is_question)
        self.limiter.succeeded()

    def failed(self, failure: TransientFailure, permit: Permit) -> None:
        """Something was not; what this says of the endpoint all calls learn."""
        if failure.is_broken and not failure.is_hint:
            self.circuit.failed()
        elif failure.status is not None:
            self.circuit.answered()
        if failure.is_limit:
            self.limiter.throttled(permit)

    @asynccontextmanager
    async def attempt(self, n_lasting: int) -> AsyncIterator[bool]:
        """Holds calls back while something tiny must be answered first, except one at a time.

        Whether this is one. The call began when so many refusals had been found to last.

        Raises:
            CallRefusedError: a refusal was found to last since.
            UpstreamError: the endpoint never answered, and another call tried enough just now.
        """
        if self.is_held:
            async with self.check.turn:
                self.check.fail_as_others(n_lasting)
                if self.check.doubt is not None:
                    await self.check.wait()
                    yield True
                    return
                async with self.circuit.attempt() as is_held:
                    if is_held:
                        yield True
                        return
        self.check.fail_as_others(n_lasting)
        async with self.circuit.attempt() as is_held:
            yield is_held


_LIMITERS: WeakValueDictionary[object, LocalRateLimiter | SharedRateLimiter] = WeakValueDictionary()
_CIRCUITS: WeakValueDictionary[object, Circuit] = WeakValueDictionary()
_CHECKS: WeakValueDictionary[object, LastingCheck] = WeakValueDictionary()


def endpoint_state(
    whose: tuple[str, str, str], options: ClientOptions, dependencies: ClientDependencies
) -> EndpointState:
    """The limiter of an endpoint and key, the circuit of the endpoint, the check of a model.

    Whose: address, key and model. They live as long as a client in this event loop holds them. The
    strictest limits of all clients hold for all; where limits are shared with other processes,
    those hold instead.
    """
    endpoint, secret, model = whose
    sleep, clock, shared = dependencies.sleep, dependencies.clock, dependencies.limits
    world = (asyncio.get_running_loop(), sleep, clock, endpoint)
    backoff = Backoff(2 * options.first_wait_s, options.longest_wait_s)
    circuit = _CIRCUITS.get(world)
    if circuit is None:
        circuit = _CIRCUITS[world] = Circuit(
            sleep=sleep, clock=clock, opens_after=options.circuit_after, backoff=backoff
        )
    hashed = hashlib.sha256(secret.encode()).digest()
    check = _CHECKS.get((*world, hashed, model))
    if check is None:
        check = _CHECKS[*world, hashed, model] = LastingCheck(sleep=sleep, backoff=backoff)
    key = (*world, hashed, shared and shared.endpoint)
    limiter = _LIMITERS.get(key)
    if limiter is None:
        limiter = _LIMITERS[key] = (
            LocalRateLimiter(sleep=sleep, clock=clock)
            if shared is None
            else SharedRateLimiter(shared)
        )
    if isinstance(limiter, LocalRateLimiter):
        limiter.tighten(options.limits)
    return EndpointState(limiter, circuit, check)
