"""Finding out what an endpoint takes, by asking it.

The plainest request that can be comes first. Where it is answered, all that we would like to send
is sent at once, and where that is refused, one option after another. Neither the status of a
refusal nor its words decide anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import replace
from itertools import islice
from typing import TypeGuard

from autointerp.core.errors import UpstreamError
from autointerp.llm.api_call import BEHIND_A_GATEWAY, TransientFailure
from autointerp.llm.api_errors import ApiError, is_transient, says_why, wording
from autointerp.llm.capabilities import LEAST_HIDDEN, LIMITS, Capabilities, fewer_alternatives
from autointerp.llm.options import Failure

MOST_PROBES = 10
Refusal = ApiError | UpstreamError
GivesUp = Callable[[TransientFailure], bool]
Send = Callable[[Capabilities, GivesUp], Awaitable[Refusal | None]]
"""Sends the probe as an endpoint with these capabilities takes it; gives the refusal, if any.

A failure that may pass is one at once where the second argument says so."""
Pause = Callable[[ApiError], Awaitable[None]]
"""Waits as long as an error asks, or a moment."""
_NO_LIMIT_HELPS = (0, 403, 404, 405)


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


async def negotiate(
    send: Send,
    pause: Pause,
    known: Capabilities,
    options: Collection[str],
    *,
    most: int = MOST_PROBES,
    plain: Capabilities | None = None,
) -> Capabilities:
    """What the endpoint takes of the options, with what was known before.

    Where that was taken before, the plain form is one that was answered just now.

    The options are those of the probe: keys of its body, and ``system``. What could not be tried
    within so many requests is left out.

    Raises:
        PlainRefusedError: it refuses the probe without options too.
        UpstreamError: it could not be used.
    """
    talk = _Talk(send, pause, most)
    taken = talk.plain = plain or await _plainest(talk, known.without_options())
    if await talk.takes(known) or await _takes_after_all(talk, taken, known):
        return known
    taken, left = _begin(taken, known, options)
    for is_last in (False, True):
        for name in tuple(left):
            if name not in left:
                continue
            n_refused = talk.n_refused
            # Elsewhere more requests of one option could be lacking for others.
            is_whole = is_last or not (plain or talk.limits_options)
            wider = await _with_option(talk, taken, known, name, is_whole=is_whole)
            if wider is not None:
                taken = wider
                left.remove(name)
            # One alone is what has changed, as a rule.
            if plain and not is_last and talk.n_refused > n_refused:
                taken, left = await _with_the_rest(talk, taken, known, name, left)
        talk.forget_what_may_pass()
    return taken


def _begin(
    taken: Capabilities, known: Capabilities, options: Collection[str]
) -> tuple[Capabilities, list[str]]:
    """The plain form that was answered, with what is not tried, and what is to be tried."""
    taken = replace(taken, dropped=known.dropped | (set(options) & taken.dropped))
    if "logprobs" not in options:
        taken = replace(taken, max_top_logprobs=known.max_top_logprobs)
    left = [name for name in _ORDER if name in options]
    if not taken.dropped.issuperset(LIMITS):
        left.remove("limit")
    return taken, left


async def _with_the_rest(
    talk: _Talk, taken: Capabilities, known: Capabilities, name: str, left: list[str]
) -> tuple[Capabilities, list[str]]:
    """What is found with all options that follow one, where they are taken; and what is left."""
    rest = [one for one in left if _ORDER.index(one) > _ORDER.index(name)]
    whole = taken
    for one in rest:
        whole = next(_ways(whole, known, one, talk))
    if len(rest) > 1 and await talk.takes(whole):
        return whole, [one for one in left if one not in rest]
    return taken, left


async def _with_option(
    talk: _Talk, taken: Capabilities, known: Capabilities, name: str, *, is_whole: bool
) -> Capabilities | None:
    """What is found with one option more, in the first of its forms that is taken, if any."""
    ways = _ways(taken, known, name, talk)
    for wider in ways if is_whole or name == "limit" else islice(ways, 1):
        if await talk.takes(wider):
            return wider
    return None


_ORDER = (
    "limit",
    "system",
    "temperature",
    "response_format",
    "seed",
    "logprobs",
    "stop",
    "grammar",
)


class _Talk:
    """The requests of one negotiation."""

    def __init__(self, send: Send, pause: Pause, most: int) -> None:
        self._send, self.pause, self.n_left = send, pause, most
        self._refused: dict[Capabilities, Refusal] = {}
        self.last: Refusal | None = None
        self.plain: Capabilities | None = None
        """The plainest form, once it was answered."""
        self.limits_options = False
        """Whether it tells of rate limits where it does not take an option."""
        self._is_limited = False
        """Whether it has a rate limit, which is waited for."""

    async def takes(self, candidate: Capabilities, gives_up: GivesUp = may_refuse_option) -> bool:
        """Whether the probe is answered; no where nothing may be sent any more."""
        if candidate in self._refused:
            self.last = self._refused[candidate]
            return False
        if self.n_left <= 0:
            return False
        self.n_left -= 1
        is_option = gives_up is may_refuse_option and self.plain is not None
        self.last = await (
            self._option(candidate) if is_option else self._send(candidate, gives_up)
        )
        if self.last is not None:
            self._refused[candidate] = self.last
        return self.last is None

    async def _option(self, candidate: Capabilities) -> Refusal | None:
        """What refuses an option; some services tell of a rate limit, whenever they are asked.

        It is none where the plainest request is answered, and this one is not again after a wait.
        """
        gives_up = may_refuse_option if self._is_limited else may_refuse_by_a_limit
        first = await self._send(candidate, gives_up)
        if not _is_limit(first) or self.plain is None:
            return first
        if self.limits_options or first.asked_wait_s is not None:
            await self.pause(first)
        if self.limits_options:
            return first
        self._is_limited = await self._send(self.plain, lambda _: True) is not None
        await self.pause(first)
        if self._is_limited:
            return await self._send(candidate, may_refuse_option)
        again = await self._send(candidate, may_refuse_by_a_limit)
        self.limits_options, self._is_limited = _is_limit(again), not _is_limit(again)
        self.n_left -= 2 * self.limits_options
        return again

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
        lasting = {one: why for one, why in self._refused.items() if not _may_pass(why)}
        self._refused = lasting


def _is_limit(refusal: Refusal | None) -> TypeGuard[ApiError]:
    if not isinstance(refusal, ApiError):
        return False
    return refusal.status == 429 or (refusal.status == 503 and refusal.asked_wait_s is not None)


def _may_pass(refusal: Refusal | None) -> bool:
    # A rate limit was waited for, and others were answered meanwhile.
    return isinstance(refusal, ApiError) and not _is_limit(refusal) and is_transient(refusal)


async def _plainest(talk: _Talk, plain: Capabilities) -> Capabilities:
    """The plainest request that is answered: some services need a limit, whatever they say."""
    if await talk.takes(plain, may_refuse):
        return plain
    first = talk.last
    assert first is not None
    may_pass = isinstance(first, ApiError) and _may_pass(first)
    for form in with_a_limit(plain, first):
        if may_pass and isinstance(first, ApiError) and talk.has_one_wording:
            # It may be over in a moment.
            await talk.pause(first)
        if await talk.takes(form, may_refuse):
            return form
    if may_pass and talk.has_one_wording and isinstance(first, ApiError) and says_why(first):
        raise PlainRefusedError(first, talk.n_refused)
    talk.forget_what_may_pass()
    if may_pass and await talk.takes(plain, never_answers):
        return plain
    raise PlainRefusedError(first)


async def _takes_after_all(talk: _Talk, plain: Capabilities, known: Capabilities) -> bool:
    """Whether all is taken once what looks like an outage is over: the plainest is answered."""
    why = talk.last
    if not isinstance(why, ApiError) or why.status not in BEHIND_A_GATEWAY or _is_limit(why):
        return False
    talk.forget_what_may_pass()
    if not await talk.takes(plain, never_answers) and talk.last is not None:
        raise PlainRefusedError(talk.last)
    return await talk.takes(known)


def with_a_limit(plain: Capabilities, refusal: Refusal) -> tuple[Capabilities, ...]:
    """The plainest form with a limit of either name, where it may be refused for lack of one."""
    if not isinstance(refusal, ApiError) or refusal.status in _NO_LIMIT_HELPS:
        return ()
    about_model = "model" in f"{refusal.names} {refusal.code} {refusal.parameter}".lower()
    return () if about_model else tuple(plain.taking(name) for name in LIMITS)


def _ways(
    taken: Capabilities, known: Capabilities, name: str, talk: _Talk
) -> Iterator[Capabilities]:
    """What is found with one option more, in the forms that it has, the best first."""
    if name == "limit":
        yield from (taken.taking(limit) for limit in LIMITS)
        # A model that reasons may refuse a limit that leaves no room for it.
        if not taken.hidden_tokens:
            yield replace(taken.taking(LIMITS[0]), hidden_tokens=LEAST_HIDDEN)
    elif name == "response_format":
        yield replace(taken.taking(name), json_object=known.json_object)
        yield replace(taken.taking(name), json_object=True)
    elif name == "logprobs":
        most = known.max_top_logprobs
        yield replace(taken, max_top_logprobs=most)
        words = talk.last.text if isinstance(talk.last, ApiError) else ""
        yield replace(taken, max_top_logprobs=fewer_alternatives(most or 20, words))
    else:
        yield taken.taking(name)
