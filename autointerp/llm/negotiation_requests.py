"""The requests that find out what an endpoint takes, and what their refusals say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import TypeGuard

from autointerp.core.errors import UpstreamError
from autointerp.llm.api_call import Allowance, OutOfRequestsError, TransientFailure
from autointerp.llm.api_errors import ApiError, is_transient, wording
from autointerp.llm.capabilities import Capabilities
from autointerp.llm.options import Failure

Refusal = ApiError | UpstreamError
GivesUp = Callable[[TransientFailure], bool]
Send = Callable[[Capabilities, GivesUp], Awaitable[Refusal | None]]
"""Sends the probe as an endpoint with these capabilities takes it; gives the refusal, if any.

A failure that may pass is one at once where the second argument says so."""
Pause = Callable[[ApiError], Awaitable[None]]
"""Waits as long as an error asks, or a moment."""
_NOTHING = ApiError(503, "")
"""What a request came to during which no more could be sent."""


class PlainRefusedError(Exception):
    """The endpoint refuses the plainest request that can be."""

    def __init__(self, refusal: Refusal, n: int = 1) -> None:
        """The refusal, and how often it came in a row."""
        super().__init__()
        self.refusal, self.n = refusal, n


def never_answers(failure: TransientFailure) -> bool:
    """Whether no chat answers, or none in time."""
    return failure.is_unreadable or failure.failure is Failure.TIMEOUT


def may_refuse(failure: TransientFailure) -> bool:
    """Whether a failure may be how a service refuses a request, and neither outage nor delay."""
    is_outage = failure.is_outage or failure.asked_wait_s is not None
    return may_refuse_option(failure) and not is_outage


def may_refuse_option(failure: TransientFailure) -> bool:
    """Whether a failure may be how a service refuses what it answers without an option."""
    is_told = failure.status is not None and not failure.is_limit
    return never_answers(failure) or failure.cut or is_told


def may_refuse_by_a_limit(failure: TransientFailure) -> bool:
    """Whether a failure may be how a service refuses an option, or is a rate limit."""
    return failure.is_limit or may_refuse_option(failure)


class NegotiationRequests:
    """The requests of one negotiation, and which options were refused in them."""

    def __init__(self, send: Send, pause: Pause, allowance: Allowance) -> None:
        """Nothing was sent so far; what `send` sends is counted in the allowance."""
        self._send, self.pause, self._allowance = send, pause, allowance
        self._refused: dict[Capabilities, Refusal] = {}
        self.last: Refusal | None = None
        self.plain: Capabilities | None = None
        """The plainest form, once it was answered."""
        self.limits_options = False
        """Whether it tells of rate limits where it does not take an option."""
        self.is_out = False
        """Whether what may pass has used up what may be sent."""
        self._limit: ApiError | None = None
        """Its rate limit, which is waited for."""
        self._lasting, self._passing, self.unsure = set[str](), list[str](), set[str]()
        """Options that were refused by what lasts; those that were refused by what may pass, each
        time, where others were answered since; and those where nothing was."""
        self.is_disturbed = False
        """Whether what may pass has passed, so that it may be why options were refused."""
        self._n_in_a_row = 0

    async def takes(self, candidate: Capabilities, gives_up: GivesUp = may_refuse_option) -> bool:
        """Whether the probe is answered; no where nothing may be sent any more.

        Once several were refused in a row the last request is kept for finding out whether all is
        refused by now.
        """
        if candidate in self._refused:
            self.last = self._refused[candidate]
            return False
        if self._allowance.n_left <= (bool(self.unsure) and self._n_in_a_row > 1):
            return False
        return await self._is_taken(candidate, gives_up)

    async def still_takes(self, taken: Capabilities) -> bool:
        """Whether what was answered before is answered still, with the last request."""
        return self._allowance.n_left > 0 and await self._is_taken(taken, may_refuse_option)

    async def _is_taken(self, candidate: Capabilities, gives_up: GivesUp) -> bool:
        is_option = gives_up is may_refuse_option and self.plain is not None
        n_left = self._allowance.n_left
        try:
            self.last = await (
                self._option(candidate) if is_option else self._send(candidate, gives_up)
            )
        except OutOfRequestsError:
            if self.plain is None:
                raise
            self.last, self.is_out = _NOTHING, True
        if self.last is None:
            self.is_disturbed |= self._allowance.n_left < n_left - 1
            self._passing += self.unsure
            self.unsure.clear()
            self._n_in_a_row = 0
        else:
            self._refused[candidate] = self.last
            self._n_in_a_row += 1
        return self.last is None

    async def _option(self, candidate: Capabilities) -> Refusal | None:
        """What refuses an option; some services tell of a rate limit, whenever they are asked.

        It is none where the plainest request is answered, and this one is not again after a wait.
        """
        if self._limit is not None and self._limit.asked_wait_s is not None:
            # So that none is refused for coming too soon.
            await self.pause(self._limit)
        gives_up = may_refuse_option if self._limit else may_refuse_by_a_limit
        first = await self._send(candidate, gives_up)
        if not is_limit(first) or self.plain is None:
            return first
        if self.limits_options or first.asked_wait_s is not None:
            await self.pause(first)
        if self.limits_options:
            return first
        self._limit = first if await self._send(self.plain, lambda _: True) is not None else None
        await self.pause(first)
        if self._limit is not None:
            return await self._send(candidate, may_refuse_option)
        again = await self._send(candidate, may_refuse_by_a_limit)
        self.limits_options = is_limit(again)
        self._limit = None if self.limits_options else first
        return again

    def note_taken(self, name: str) -> None:
        """Takes note that an option was taken in the form that is tried first."""
        self.is_disturbed |= name in self._passing

    def note_refused(self, name: str) -> None:
        """Takes note that an option was refused as the last request was."""
        # Proxies send pages with any status while a service is away.
        is_page = isinstance(self.last, ApiError) and self.last.status == 0
        if may_pass(self.last) or is_page:
            self.unsure.add(name)
        else:
            self._lasting.add(name)

    def unsure_of(self, left: Collection[str]) -> set[str]:
        """Those of the options that were not taken of which a question has to tell.

        An outage that began meanwhile, or a fault or a rate limit that passed, may be why.
        """
        is_down = self.is_out or (bool(self.unsure) and self._n_in_a_row > 1)
        if not (is_down or self.is_disturbed or self._limit is not None):
            return set()
        twice = {name for name in left if self._passing.count(name) > 1}
        # Where others were answered since, and none was taken that was refused before.
        once = set() if self.is_disturbed else {*self._passing}
        return {*left} - self._lasting - twice - once

    @property
    def has_one_wording(self) -> bool:
        """Whether several forms were refused, all with the same words."""
        words = [wording(one) for one in self._refused.values() if isinstance(one, ApiError)]
        return len(words) > 1 and len({*words}) == 1

    @property
    def n_refused(self) -> int:
        """Forms that were refused so far."""
        return len(self._refused)

    def forget_what_may_pass(self) -> None:
        """Has what a fault of the endpoint may have kept from being taken tried once more."""
        lasting = {one: why for one, why in self._refused.items() if not may_pass(why)}
        self._refused = lasting


def is_limit(refusal: Refusal | None) -> TypeGuard[ApiError]:
    """Whether it is a rate limit."""
    if not isinstance(refusal, ApiError):
        return False
    return refusal.status == 429 or (refusal.status == 503 and refusal.asked_wait_s is not None)


def may_pass(refusal: Refusal | None) -> bool:
    """Whether it may be a fault of the endpoint that passes.

    A rate limit is none: it was waited for, and others were answered meanwhile.
    """
    return isinstance(refusal, ApiError) and not is_limit(refusal) and is_transient(refusal)
