"""Finding out what an endpoint takes, by asking it.

The plainest request that can be comes first. Where it is answered, all that we would like to send
is sent at once, and where that is refused, one option after another. Neither the status of a
refusal nor its words decide anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import replace

from autointerp.core.errors import UpstreamError
from autointerp.llm.api_errors import ApiError, is_transient
from autointerp.llm.capabilities import LEAST_HIDDEN, LIMITS, Capabilities, fewer_alternatives
from autointerp.llm.chat_model import ChatRequest, JsonSchema, Message
from autointerp.llm.endpoint import BEHIND_A_GATEWAY, TransientFailure
from autointerp.llm.options import Failure

MOST_PROBES = 10
_LIMITED = 3
"""Times in a row that an option is told of a rate limit before the plainest request is tried."""
PROBE = 'Reply with {"answer": "yes"} as JSON.'
"""What is asked; the reply does not matter."""
PROBE_TOKENS = 20
_WHOLE = ChatRequest(
    (),
    PROBE_TOKENS,
    temperature=0.0,
    seed=1,
    schema=JsonSchema(
        "answer",
        '{"type": "object", "properties": {"answer": {"type": "string"}}, '
        '"required": ["answer"], "additionalProperties": false}',
    ),
    top_logprobs=20,
)
Refusal = ApiError | UpstreamError
GivesUp = Callable[[TransientFailure], bool]
Send = Callable[[Capabilities, GivesUp], Awaitable[Refusal | None]]
"""Sends the probe as an endpoint with these capabilities takes it; gives the refusal, if any.

A failure that may pass is one at once where the second argument says so."""
_NO_LIMIT_HELPS = (0, 403, 404, 405)


class PlainRefusedError(Exception):
    """The endpoint refuses the plainest request that can be."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__()
        self.refusal = refusal


def never_answers(failure: TransientFailure) -> bool:
    """Whether no chat answers, or none that ends."""
    return failure.is_unreadable or failure.failure is Failure.TIMEOUT


def may_refuse(failure: TransientFailure) -> bool:
    """Whether a failure may be how a service refuses a request, and is no outage."""
    return may_refuse_option(failure) and not failure.is_outage


def may_refuse_option(failure: TransientFailure) -> bool:
    """Whether a failure may be how a service refuses what it answers without an option."""
    is_told = failure.status is not None and not failure.is_limit
    return never_answers(failure) or failure.cut or is_told


class _Patience:
    """May refuse an option; a rate limit only after it was waited for several times."""

    def __init__(self) -> None:
        self._n_limited = 0

    @property
    def is_over(self) -> bool:
        return self._n_limited >= _LIMITED

    def __call__(self, failure: TransientFailure) -> bool:
        self._n_limited += failure.is_limit
        return self.is_over or may_refuse_option(failure)


def probe(like: ChatRequest | None = None) -> ChatRequest:
    """A tiny question with the options of a request, or with all that are ever sent."""
    options = _WHOLE if like is None else like
    has_system = like is None or any(message.role == "system" for message in like.messages)
    system = (Message("system", "Be brief."),) if has_system else ()
    turns = (*system, Message("user", PROBE))
    # One grammar that is refused says nothing about others.
    grammar = None if options.grammar is None else 'root ::= "yes"'
    # A limit may be refused for being too small.
    limit = min(PROBE_TOKENS, options.max_tokens)
    return replace(options, messages=turns, max_tokens=limit, grammar=grammar)


async def negotiate(
    send: Send, known: Capabilities, options: Collection[str], *, most: int = MOST_PROBES
) -> Capabilities:
    """What the endpoint takes of the options, with what was known before.

    The options are those of the probe: keys of its body, and ``system``. What could not be tried
    within so many requests is left out.

    Raises:
        PlainRefusedError: it refuses the probe without options too.
        UpstreamError: it could not be used.
    """
    talk = _Talk(send, most)
    found = talk.plain = await _plainest(talk, known.without_options())
    if await talk.takes(known) or await _takes_after_all(talk, found, known):
        return known
    found = replace(found, dropped=known.dropped | (set(options) & found.dropped))
    if "logprobs" not in options:
        found = replace(found, max_top_logprobs=known.max_top_logprobs)
    left = [name for name in _ORDER if name in options]
    if not found.dropped.issuperset(LIMITS):
        left.remove("limit")
    for _ in range(2):
        for name in tuple(left):
            for wider in _ways(found, known, name, talk):
                if await talk.takes(wider):
                    found = wider
                    left.remove(name)
                    break
        talk.forget_what_may_pass()
    return found


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

    def __init__(self, send: Send, most: int) -> None:
        self._send, self.n_left = send, most
        self._refused: dict[Capabilities, Refusal] = {}
        self.last: Refusal | None = None
        self.plain: Capabilities | None = None
        """The plainest form, once it was answered."""

    async def takes(self, candidate: Capabilities, gives_up: GivesUp = may_refuse_option) -> bool:
        """Whether the probe is answered; no where nothing may be sent any more."""
        if candidate in self._refused:
            self.last = self._refused[candidate]
            return False
        if not self.n_left:
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

        It is none where the plainest request is answered at once. One that is real is waited for.
        """
        patience = _Patience()
        refusal = await self._send(candidate, patience)
        if refusal is None or not patience.is_over or self.plain is None:
            return refusal
        if await self._send(self.plain, lambda _: True) is None:
            return refusal
        return await self._send(candidate, may_refuse_option)

    def forget_what_may_pass(self) -> None:
        """Has what a fault of the endpoint may have kept from being taken tried once more."""
        kept = {one: why for one, why in self._refused.items() if not _may_pass(why)}
        self._refused = kept


def _may_pass(refusal: Refusal | None) -> bool:
    # A rate limit was waited for, and others were answered meanwhile.
    if not isinstance(refusal, ApiError) or refusal.status == 429:
        return False
    return is_transient(refusal)


async def _plainest(talk: _Talk, plain: Capabilities) -> Capabilities:
    """The plainest request that is answered: some services need a limit, whatever they say."""
    if await talk.takes(plain, may_refuse):
        return plain
    first = talk.last
    assert first is not None
    for form in with_a_limit(plain, first):
        if await talk.takes(form, may_refuse):
            return form
    talk.forget_what_may_pass()
    if _may_pass(first) and await talk.takes(plain, never_answers):
        return plain
    raise PlainRefusedError(first)


async def _takes_after_all(talk: _Talk, plain: Capabilities, known: Capabilities) -> bool:
    """Whether all is taken once what looks like an outage is over: the plainest is answered."""
    why = talk.last
    if not isinstance(why, ApiError) or why.status not in BEHIND_A_GATEWAY:
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
    found: Capabilities, known: Capabilities, name: str, talk: _Talk
) -> Iterator[Capabilities]:
    """What is found with one option more, in the forms that it has, the best first."""
    if name == "limit":
        yield from (found.taking(limit) for limit in LIMITS)
        # A model that reasons may refuse a limit that leaves no room for it.
        if not found.hidden_tokens:
            yield replace(found.taking(LIMITS[0]), hidden_tokens=LEAST_HIDDEN)
    elif name == "response_format":
        yield replace(found.taking(name), json_object=known.json_object)
        yield replace(found.taking(name), json_object=True)
    elif name == "logprobs":
        most = known.max_top_logprobs
        yield replace(found, max_top_logprobs=most)
        said = talk.last.text if isinstance(talk.last, ApiError) else ""
        yield replace(found, max_top_logprobs=fewer_alternatives(most or 20, said))
    else:
        yield found.taking(name)
