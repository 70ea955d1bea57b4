"""What all calls to one endpoint share: its rate limiter, and whether it is there.

Calls that fail alone try again alone. Once several in a row have failed, the circuit is open:
one call at a time probes, after waits that double, and the others wait for what it finds.

A status of 429 that names no delay and no rate limit, and has words of its own, may tell of a rate
limit or of a quota that is used up; which of them, no words decide. So nothing is sent until
something tiny is answered. Where it is refused with the same words each time, the limit lasts:
an endpoint that has answered nothing so far is asked twice, over 6 s, as no rate was exceeded by
anything sent from here; one that has answered before, an earlier process too, is asked five times
over a minute, as rates are counted by the minute.
What that costs: where such a rate limit lasts longer a run stops, and is to be resumed; where a
quota is used up in the midst of a run, a minute passes before it stops.
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
from autointerp.llm.api_call import CallRefusedError
from autointerp.llm.options import ClientDependencies, ClientOptions
from autointerp.llm.rate_limiter import LocalRateLimiter, RateLimiter
from autointerp.llm.shared_rate_limiter import SharedRateLimiter

_TRIES, _TRIES_ONCE_ANSWERED = 2, 5
"""Times that something tiny is asked before a limit without a delay is said to last."""


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
        self.limit_said: str | None = None
        """What a limit says that may last; None where there is none."""
        self._n_limited = 0
        self._lasting: CallRefusedError | None = None
        self.n_lasting = 0
        """Limits that were found to last so far."""

    @property
    def is_open(self) -> bool:
        """Whether calls wait; never for an endpoint that has not answered once."""
        return self.has_answered and self._many_failed

    @property
    def _many_failed(self) -> bool:
        return self._opens_after is not None and self._n_failed >= self._opens_after

    @property
    def is_held(self) -> bool:
        """Whether something tiny must be answered before anything else is sent."""
        return self.is_open or self.limit_said is not None

    @asynccontextmanager
    async def attempt(self, n_lasting: int = 0) -> AsyncIterator[bool]:
        """Holds calls back while something tiny must be answered first, except one at a time.

        Whether this is one. The call began when so many limits had been found to last.

        Raises:
            CallRefusedError: a limit was found to last since.
            UpstreamError: the endpoint never answered, and another call tried enough just now.
        """
        if self._gave_up is not None:
            error, moment = self._gave_up
            if self._clock() - moment < self._backoff.longest_s:
                raise UpstreamError(str(error), retryable=True)
            self._gave_up = None
        if self.is_held:
            async with self._turn:
                self._fail_as_others(n_lasting)
                if self.is_held:
                    # Only probes count here: all that was in flight fails at the same time.
                    self._n_probed += 1
                    n_waits = self._n_probed if self.limit_said is None else self._n_limited + 2
                    await self._sleep(self._backoff.wait_s(n_waits))
                    yield True
                    return
        self._fail_as_others(n_lasting)
        yield False

    def _fail_as_others(self, n_lasting: int) -> None:
        limit = self._lasting
        if limit is not None and self.n_lasting > n_lasting:
            # What failed late with the same limit begins no new look at it.
            self.limit_said = self.limit_said if self._n_limited else None
            raise CallRefusedError(limit.error, limit.instead)

    def limited(self, words: str) -> None:
        """It refuses by a limit that may last: something tiny must be answered first."""
        if self.limit_said is None:
            self.limit_said, self._n_limited = words, 0

    def lasts(self, words: str | None, *, has_answered: bool) -> bool:
        """Whether the limit lasts, now that something tiny was refused with these words.

        None where it was answered, or refused for something else: then the limit is over. The
        endpoint has answered before, or never.
        """
        self.limit_said = self.limit_said if words == self.limit_said else None
        self._n_limited += 1
        tries = _TRIES_ONCE_ANSWERED if has_answered else _TRIES
        return self.limit_said is not None and self._n_limited >= tries

    def refuse(self, lasting: CallRefusedError) -> CallRefusedError:
        """The same, with which all that wait fail too: a limit that lasts."""
        self._lasting, self.n_lasting, self.limit_said = lasting, self.n_lasting + 1, None
        return lasting

    def succeeded(self) -> None:
        """It answered: the circuit is closed."""
        self.answered()
        self.has_answered = True
        self._gave_up = None
        self.limit_said = None

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
    """What the callers of one endpoint have in common."""

    limiter: RateLimiter
    circuit: Circuit


_LIMITERS: WeakValueDictionary[object, LocalRateLimiter | SharedRateLimiter] = WeakValueDictionary()
_CIRCUITS: WeakValueDictionary[object, Circuit] = WeakValueDictionary()


def endpoint_state(
    endpoint: str, secret: str, *, options: ClientOptions, dependencies: ClientDependencies
) -> EndpointState:
    """The limiter of an endpoint and key and the circuit of the endpoint, in this event loop.

    They live as long as a client holds them. The strictest limits of all clients hold for all;
    where limits are shared with other processes, those hold instead.
    """
    sleep, clock, shared = dependencies.sleep, dependencies.clock, dependencies.limits
    world = (asyncio.get_running_loop(), sleep, clock, endpoint)
    circuit = _CIRCUITS.get(world)
    if circuit is None:
        circuit = _CIRCUITS[world] = Circuit(
            sleep=sleep,
            clock=clock,
            opens_after=options.circuit_after,
            backoff=Backoff(2 * options.first_wait_s, options.longest_wait_s),
        )
    key = (*world, hashlib.sha256(secret.encode()).digest(), shared and shared.endpoint)
    limiter = _LIMITERS.get(key)
    if limiter is None:
        limiter = _LIMITERS[key] = (
            LocalRateLimiter(sleep=sleep, clock=clock)
            if shared is None
            else SharedRateLimiter(shared)
        )
    if isinstance(limiter, LocalRateLimiter):
        limiter.tighten(options.limits)
    return EndpointState(limiter, circuit)
