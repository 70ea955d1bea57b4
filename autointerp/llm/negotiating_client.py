"""A client of one model that finds out what it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from functools import partial

from autointerp.core.errors import UpstreamError
from autointerp.llm.api_call import Allowance, OutOfRequestsError
from autointerp.llm.api_errors import ApiError
from autointerp.llm.capabilities import LIMITS, OPTIONS, Capabilities, CapabilityFile, probe
from autointerp.llm.chat_model import ChatRequest, Features, Usage
from autointerp.llm.negotiation import MOST_PROBES, Found, negotiate
from autointerp.llm.negotiation_requests import (
    GivesUp,
    NegotiationRequests,
    PlainRefusedError,
    Refusal,
)
from autointerp.llm.retrying_client import RetryingClient
from autointerp.llm.room_client import RoomClient

_MOST_UNSTEADY = 2
"""Times that all is taken again of what was refused, before it is left out for good."""
_OFTEN_LACKING = {2: {"response_format", "logprobs", "grammar"}, 3: {"seed", "stop"}}
_NO_CHAT = (0, 404, 405)
_Ask = Callable[[], Awaitable[Refusal | None]]


class _NoChatHereError(Exception):
    """This path is not a chat endpoint; another may be."""

    def __init__(self, instead: UpstreamError) -> None:
        super().__init__()
        self.instead = instead


class NegotiatingClient(RoomClient):
    """Finds out what an endpoint takes, and keeps it. An object belongs to one event loop."""

    def __init__(
        self,
        client: RetryingClient,
        model: str,
        *,
        features: Features,
        file: CapabilityFile,
        negotiates: bool,
    ) -> None:
        """The features are as configured; the file holds what was learned before.

        Without `negotiates`, nothing is found out before an endpoint refuses a question.
        """
        super().__init__(client, model, features=features, file=file, negotiates=negotiates)
        self._negotiating = asyncio.Lock()
        self._failed: UpstreamError | None = None
        self._n_failed = self._n_unsteady = 0
        self._like_a_key: ApiError | None = None
        """What an option was refused with just now that may be said of a key."""
        self._narrower: Capabilities | None = None
        """What is known if a limit with room to reason is refused too, until a question tells."""

    async def prepare(self) -> Usage | None:
        """What it cost to find out what the endpoint takes; None where that is known.

        Raises:
            UpstreamError: it could not be used, or refuses the plainest request that can be.
        """
        if self._is_known:
            return None
        n_failed = self._n_failed
        async with self._negotiating:
            if self._is_known:
                return None
            self._fail_as_others(n_failed)
            try:
                await self._negotiate(probe())
            except UpstreamError as error:
                self._fails_for_all(error)
                raise
        return self._client.tiny.take_usage()

    def _fails_for_all(self, error: UpstreamError) -> UpstreamError:
        self._failed, self._n_failed = error, self._n_failed + 1
        return error

    def _fail_as_others(self, n_failed: int) -> None:
        """Raises what another call has found out while this one waited for its turn."""
        if self._failed is not None and self._n_failed > n_failed:
            raise UpstreamError(str(self._failed), retryable=self._failed.retryable)

    async def _negotiate_again(
        self,
        tiny: ChatRequest,
        plain: Capabilities,
        named: Collection[str],
        *,
        is_steady: bool = False,
    ) -> None:
        """Finds out once more what the endpoint takes, now that it refuses some.

        Where it takes all of it again, and did so before, servers behind it differ, unless it is
        known to be steady: what its words named is left out from then on, or what servers lack most
        often, and then all options.
        """
        before = self.known
        await self._negotiate(tiny, plain)
        self._n_unsteady += self.known == before and not is_steady
        if self.known == before and not is_steady and self._n_unsteady >= _MOST_UNSTEADY:
            others = _OFTEN_LACKING.get(self._n_unsteady, {*plain.dropped, "logprobs"})
            left_out = {*named} or others
            sent = {*self._body(tiny, before), "system"} & {*OPTIONS}
            dropped = before.dropped | (left_out & sent)
            most = 0 if left_out & {"logprobs", "top_logprobs"} else before.max_top_logprobs
            self.learn(replace(before, dropped=dropped, max_top_logprobs=most))
            self.note_unsteady()

    async def _negotiate(self, tiny: ChatRequest, plain: Capabilities | None = None) -> None:
        """Finds out which of a probe's options the endpoint takes.

        A plain form that was just answered is not tried again.
        """
        options = {*self._body(tiny, self.known)}
        if options & {*LIMITS}:
            options |= {"limit", *LIMITS}
        if any(m.role == "system" for m in tiny.messages):
            options.add("system")
        result = await self._found(tiny, options, plain)
        self._is_known = self._was_found = True
        hidden, wider = self.known.hidden_tokens, result.wider
        known = replace(result.known, hidden_tokens=max(result.known.hidden_tokens, hidden))
        self._narrower = None
        if not result.is_sure:
            # For this process alone; questions are refused what could not be told.
            self.known = known
        elif wider is not None:
            # A tiny question leaves no room to tell.
            self._narrower = known
            self.learn(replace(wider, folder=known.folder))
        else:
            self.learn(known)

    def _limit_was_taken(self, known: Capabilities) -> None:
        """Takes note that a question with a limit that leaves room to reason was answered."""
        self._narrower = None if known == self.known else self._narrower

    def _limit_was_refused(self, known: Capabilities) -> bool:
        """Whether a question was refused in that form, and limits are left out from now on."""
        if self._narrower is None or known != self.known:
            return False
        self.learn(self._narrower)
        self._narrower = None
        return True

    async def _found(
        self, tiny: ChatRequest, options: Collection[str], plain: Capabilities | None
    ) -> Found:
        """What the endpoint takes of the options, below ``/v1`` where that was left out."""
        endpoint, folder = self._client.endpoint, self.known.folder
        allowance = Allowance(MOST_PROBES)
        try:
            return await self._sorted(tiny, options, allowance, plain)
        except _NoChatHereError as error:
            if folder or endpoint.has_version:
                raise error.instead from None
            endpoint.go_below("v1/")
            try:
                result = await self._sorted(tiny, options, allowance)
            except (_NoChatHereError, UpstreamError):
                endpoint.go_below("")
                raise error.instead from None
            return replace(result, known=replace(result.known, folder="v1/"))

    async def _unless_a_key(
        self, refusal: Refusal | None, again: _Ask, plainly: _Ask
    ) -> Refusal | None:
        """What an option is refused with; None where another server takes it.

        Where words of a key refuse two in a row, the plainest is asked once more.

        Raises:
            PlainRefusedError: the key is refused by now, whatever is asked.
        """
        before, self._like_a_key = self._like_a_key, None
        if not isinstance(refusal, ApiError) or not self._stops_everything(refusal):
            if before is not None and refusal is None:
                self._client.check.takes_for_a_form(before)
            return refusal
        if before is not None and await plainly() is not None:
            raise PlainRefusedError(refusal)
        if before is not None:
            self._client.check.takes_for_a_form(refusal)
            return refusal
        self._like_a_key = refusal if (found := await again()) is not None else None
        return found

    async def _sorted(
        self,
        tiny: ChatRequest,
        options: Collection[str],
        allowance: Allowance,
        plain: Capabilities | None = None,
    ) -> Found:
        def ask(candidate: Capabilities, gives_up: GivesUp) -> Awaitable[Refusal | None]:
            return self._refusal(tiny, candidate, gives_up, allowance, takes_all=True)

        async def send(candidate: Capabilities, gives_up: GivesUp) -> Refusal | None:
            refusal, form = await ask(candidate, gives_up), talk.plain
            if form is None:
                return refusal
            again = partial(ask, candidate, gives_up), partial(ask, form, gives_up)
            return await self._unless_a_key(refusal, *again)

        talk = NegotiationRequests(send, self._client.pause, allowance)
        try:
            return await negotiate(talk, self.known, options, plain=plain)
        except OutOfRequestsError:
            assert allowance.last is not None
            raise self._client.words.gave_up(allowance.last, MOST_PROBES) from None
        except PlainRefusedError as error:
            refusal, failure = error.refusal, self._failure
            if error.n > 1 and failure is not None:
                self._instead = self._client.words.gave_up(failure, error.n)
        if isinstance(refusal, UpstreamError):
            raise _NoChatHereError(refusal)
        final = await self._fatal(refusal, self._instead)
        if refusal.status in _NO_CHAT:
            raise _NoChatHereError(final)
        raise final
