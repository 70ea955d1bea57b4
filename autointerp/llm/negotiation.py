"""Finding out what an endpoint takes, by asking it.

The plainest request that can be comes first. Where it is answered, all that we would like to send
is sent at once, and where that is refused, one option after another. Neither the status of a
refusal nor its words decide anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from autointerp.llm.api_call import BEHIND_A_GATEWAY
from autointerp.llm.api_errors import ApiError, says_why, stops_everything
from autointerp.llm.capabilities import LEAST_HIDDEN, LIMITS, Capabilities, fewer_alternatives
from autointerp.llm.negotiation_requests import (
    NegotiationRequests,
    PlainRefusedError,
    Refusal,
    is_limit,
    may_pass,
    may_refuse,
    never_answers,
)

MOST_PROBES = 10
_NO_LIMIT_HELPS = (0, 403, 404, 405)


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of an endpoint."""

    known: Capabilities
    is_sure: bool = True
    """Not where an outage or a rate limit used up what may be sent: what could not be told is in
    what is known then, for a question to find out."""
    wider: Capabilities | None = None
    """The same with a limit that leaves room to reason, where one that leaves none is refused."""


async def negotiate(
    talk: NegotiationRequests,
    known: Capabilities,
    options: Collection[str],
    *,
    plain: Capabilities | None = None,
) -> Found:
    """What the endpoint takes of the options, with what was known before.

    Where that was taken before, the plain form is one that was answered just now.

    The options are those of the probe: keys of its body, and ``system``. What could not be tried
    within the allowance is left out.

    Raises:
        PlainRefusedError: it refuses the probe without options too.
        OutOfRequestsError: what may pass has used up the allowance, and nothing was answered.
        UpstreamError: it could not be used.
    """
    taken = talk.plain = plain or await _plainest(talk, known.without_options())
    if await talk.takes(known) or await _takes_after_all(talk, taken, known):
        return Found(known)
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
    if talk.unsure:
        await talk.still_takes(taken)
    return _found(talk, taken, known, left)


def _found(
    talk: NegotiationRequests, taken: Capabilities, known: Capabilities, left: list[str]
) -> Found:
    """What is told of it, where so many options are left that were not taken."""
    unsure = talk.unsure_of(left)
    if unsure:
        for name in left:
            if name in unsure:
                taken = next(_ways(taken, known, name, talk))
        return Found(taken, is_sure=False)
    if "limit" not in left or taken.hidden_tokens:
        return Found(taken)
    return Found(taken, wider=replace(taken.taking(LIMITS[0]), hidden_tokens=LEAST_HIDDEN))


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
    talk: NegotiationRequests, taken: Capabilities, known: Capabilities, name: str, left: list[str]
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
    talk: NegotiationRequests,
    taken: Capabilities,
    known: Capabilities,
    name: str,
    *,
    is_whole: bool,
) -> Capabilities | None:
    """What is found with one option more, in the first of its forms that is taken, if any."""
    ways = _ways(taken, known, name, talk)
    for n, wider in enumerate(ways if is_whole or name == "limit" else islice(ways, 1)):
        n_refused = talk.n_refused
        if await talk.takes(wider):
            if n == 0:
                talk.note_taken(name)
            # Else the first form may have been refused by what has passed.
            return wider if n == 0 or not talk.is_disturbed else None
        if talk.n_refused > n_refused:
            talk.note_refused(name)
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


async def _plainest(talk: NegotiationRequests, plain: Capabilities) -> Capabilities:
    """The plainest request that is answered: some services need a limit, whatever they say."""
    if await talk.takes(plain, may_refuse):
        return plain
    first = talk.last
    assert first is not None
    is_passing = may_pass(first)
    for form in with_a_limit(plain, first):
        if is_passing and isinstance(first, ApiError) and talk.has_one_wording:
            # It may be over in a moment.
            await talk.pause(first)
        if await talk.takes(form, may_refuse):
            return form
    if is_passing and talk.has_one_wording and isinstance(first, ApiError) and says_why(first):
        raise PlainRefusedError(first, talk.n_refused)
    talk.forget_what_may_pass()
    if is_passing and await talk.takes(plain, never_answers):
        return plain
    raise PlainRefusedError(first)


async def _takes_after_all(
    talk: NegotiationRequests, plain: Capabilities, known: Capabilities
) -> bool:
    """Whether all is taken once what looks like an outage is over: the plainest is answered."""
    why = talk.last
    if not isinstance(why, ApiError) or why.status not in BEHIND_A_GATEWAY or is_limit(why):
        return False
    talk.forget_what_may_pass()
    if not await talk.takes(plain, never_answers) and talk.last is not None:
        if talk.is_out:
            return False
        raise PlainRefusedError(talk.last)
    return await talk.takes(known)


def with_a_limit(plain: Capabilities, refusal: Refusal) -> tuple[Capabilities, ...]:
    """The plainest form with a limit of either name, where it may be refused for lack of one."""
    if not isinstance(refusal, ApiError) or refusal.status in _NO_LIMIT_HELPS:
        return ()
    if stops_everything(refusal):
        return ()
    about_model = "model" in f"{refusal.names} {refusal.code} {refusal.parameter}".lower()
    return () if about_model else tuple(plain.taking(name) for name in LIMITS)


def _ways(
    taken: Capabilities, known: Capabilities, name: str, talk: NegotiationRequests
) -> Iterator[Capabilities]:
    """What is found with one option more, in the forms that it has, the best first."""
    if name == "limit":
        yield from (taken.taking(limit) for limit in LIMITS)
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
