"""A client of one model that knows what it takes, and finds it out where it does not."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Collection
from dataclasses import replace
from typing import Any

from autointerp.core.errors import RequestRefusedError, UpstreamError
from autointerp.llm.answers import is_only_reasoning
from autointerp.llm.api_errors import ApiError, is_about_content, stops_everything
from autointerp.llm.capabilities import LIMITS, Capabilities, CapabilityFile, stated_room
from autointerp.llm.chat_model import ChatReply, ChatRequest, Features, Usage
from autointerp.llm.endpoint import TransientFailure
from autointerp.llm.negotiation import MOST_PROBES, PlainRefusedError, Refusal, negotiate, probe
from autointerp.llm.options import Failure
from autointerp.llm.retrying_client import ApiCall, CallRefusedError, RetryingClient
from autointerp.llm.wire_format import chat_body, limit_of, read_reply, starved_tokens
from autointerp.llm.wrapped_model import PromptTooLongError

BYTES_A_TOKEN = 4
_MOST_FORMS = 4
_NO_CHAT = (0, 404, 405)
Answer = tuple[ChatReply, int | None]
"""A reply, and the hidden tokens that left no room for one."""


class _NoChatHereError(Exception):
    """What answers is no chat endpoint; another path may be."""

    def __init__(self, instead: UpstreamError) -> None:
        super().__init__()
        self.instead = instead


class NegotiatedClient:
    """Asks in the form that the endpoint takes. An object belongs to one event loop."""

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
        self._client, self._model, self.configured, self._file = client, model, features, file
        stored = file.read()
        self._is_known = stored is not None or not negotiates
        self.known = stored or Capabilities()
        self._negotiating = asyncio.Lock()
        self._failed: UpstreamError | None = None
        self._instead: UpstreamError | None = None
        client.endpoint.go_below(self.known.folder)
        self._n_failed = 0

    @property
    def features(self) -> Features:
        """What the endpoint can do, as far as that is known."""
        return replace(self.known.within(self.configured), is_known=self._is_known)

    def learn(self, known: Capabilities) -> None:
        """Stores what was found."""
        self.known = known
        self._file.write(known)

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
                return await self._negotiate(probe())
            except UpstreamError as error:
                self._fails_for_all(error)
                raise

    def _fails_for_all(self, error: UpstreamError) -> UpstreamError:
        self._failed, self._n_failed = error, self._n_failed + 1
        return error

    def _fail_as_others(self, n_failed: int) -> None:
        """Raises what another call has found out while this one waited for its turn."""
        if self._failed is not None and self._n_failed > n_failed:
            raise UpstreamError(str(self._failed), retryable=self._failed.retryable)

    async def answer(self, request: ChatRequest) -> Answer:
        """The answer to a question, in the form that the endpoint takes now."""
        for _ in range(_MOST_FORMS):
            known = self.known
            try:
                return await self._client.call(self._chat(request, known))
            except CallRefusedError as refused:
                refusal = refused
            if is_about_content(refusal.error):
                raise RequestRefusedError(str(await self.final(refusal))) from None
            if stops_everything(refusal.error):
                raise await self._fatal(refusal.error, refusal.instead) from None
            n_failed = self._n_failed
            async with self._negotiating:
                self._fail_as_others(n_failed)
                # Where the body would differ by now, another call has learned something.
                if self._body(request, known) == self._body(request, self.known):
                    return await self._after(refusal, request)
        raise await self.final(refusal)

    async def _after(self, refusal: CallRefusedError, request: ChatRequest) -> Answer:
        """The answer to a question that was refused: with less room, or in its plain form.

        Raises:
            PromptTooLongError: the endpoint says that it does not fit.
            RequestRefusedError: it is refused for what it says.
            UpstreamError: the endpoint refuses everything by now.
        """
        lowered = await self._with_stated_room(refusal, request)
        if lowered is not None:
            return lowered
        tiny, plain = probe(request), self.known.without_options()
        sent = self._body(request, self.known)
        if _names_one(refusal.error, sent) or await self._refusal(tiny, self.known) is not None:
            try:
                call = replace(self._chat(request, plain), gives_up=_is_refusal)
                answer = await self._client.call(call)
            except CallRefusedError:
                if await self._refusal(tiny, plain) is not None:
                    fatal = await self._fatal(refusal.error, refusal.instead)
                    raise self._fails_for_all(fatal) from None
            else:
                cost = await self._negotiate(tiny)
                reply, starved = answer
                return replace(reply, usage=added(reply.usage, cost)), starved
        raise refusal.instead or RequestRefusedError(str(await self.final(refusal))) from None

    async def _with_stated_room(
        self, refusal: CallRefusedError, request: ChatRequest
    ) -> Answer | None:
        """The answer within the room that a refusal states; None where it states none."""
        limit = limit_of(self._body(request, self.known))
        n_bytes = sum(len(m.content.encode("utf-8", "replace")) for m in request.messages)
        room = stated_room(refusal.error.text, limit=limit, n_bytes=n_bytes)
        if room is None:
            return None
        if room.n_ctx is not None:
            self.learn(replace(self.known, n_ctx=room.n_ctx))
        if room.limit < min(request.max_tokens, limit or request.max_tokens):
            said = await self.final(refusal)
            raise PromptTooLongError(f"the prompt does not fit: {said}")
        if room.n_ctx is None:
            self.learn(replace(self.known, max_limit=room.limit))
        fitting = replace(self.known, n_ctx=None, max_limit=room.limit)
        try:
            return await self._client.call(self._chat(request, fitting))
        except CallRefusedError:
            return None

    async def _negotiate(self, tiny: ChatRequest) -> Usage:
        """What it cost to find out which of a probe's options the endpoint takes."""
        before = self._client.total_usage
        options = {*self._body(tiny, self.known)}
        if options & {*LIMITS}:
            options |= {"limit", *LIMITS}
        if any(m.role == "system" for m in tiny.messages):
            options.add("system")
        found = await self._found(tiny, options)
        self._is_known = True
        self.learn(replace(found, hidden_tokens=max(found.hidden_tokens, self.known.hidden_tokens)))
        after = self._client.total_usage
        return Usage(
            after.prompt_tokens - before.prompt_tokens,
            after.completion_tokens - before.completion_tokens,
            after.cached_tokens - before.cached_tokens,
        )

    async def _found(self, tiny: ChatRequest, options: Collection[str]) -> Capabilities:
        """What the endpoint takes of the options, below ``/v1`` where that was left out."""
        endpoint, folder = self._client.endpoint, self.known.folder
        try:
            return await self._sorted(tiny, options, MOST_PROBES)
        except _NoChatHereError as error:
            if folder or endpoint.has_version:
                raise error.instead from None
            endpoint.go_below("v1/")
            try:
                found = await self._sorted(tiny, options, MOST_PROBES - 1)
            except (_NoChatHereError, UpstreamError):
                endpoint.go_below("")
                raise error.instead from None
            return replace(found, folder="v1/")

    async def _sorted(self, tiny: ChatRequest, options: Collection[str], most: int) -> Capabilities:
        def send(candidate: Capabilities) -> Awaitable[Refusal | None]:
            return self._refusal(tiny, candidate, patient=candidate == candidate.without_options())

        try:
            return await negotiate(send, self.known, options, most=most)
        except PlainRefusedError as error:
            refusal = error.refusal
        if isinstance(refusal, UpstreamError):
            raise _NoChatHereError(refusal)
        final = await self._fatal(refusal, self._instead)
        if refusal.status in _NO_CHAT:
            raise _NoChatHereError(final)
        raise final

    async def _refusal(
        self, tiny: ChatRequest, known: Capabilities, *, patient: bool = False
    ) -> Refusal | None:
        """What a probe of this form is refused with; None where it is answered.

        A status of 500 is a refusal unless patient, and asked again where it may pass.
        """
        call = replace(self._chat(tiny, known), gives_up=_is_no_chat if patient else _is_refusal)
        try:
            await self._client.call(call)
        except CallRefusedError as refused:
            if stops_everything(refused.error):
                raise await self._fatal(refused.error, refused.instead) from None
            self._instead = refused.instead
            return refused.error
        except UpstreamError as error:
            if error.retryable:
                raise
            return error
        return None

    async def _fatal(self, error: ApiError, instead: UpstreamError | None) -> UpstreamError:
        """What to raise where nothing else would be answered either."""
        final = instead or await self._client.final(error)
        if not isinstance(final, RequestRefusedError):
            return final
        advice = "check the key, the model and AUTOINTERP_LLM_BASE_URL"
        return UpstreamError(f"{final}; {advice}", retryable=False)

    async def final(self, refused: CallRefusedError) -> UpstreamError:
        """What to raise for a refusal that nothing can be done about."""
        return refused.instead or await self._client.final(refused.error)

    def _chat(self, request: ChatRequest, known: Capabilities) -> ApiCall[Answer]:
        letters = sum(len(message.content) for message in request.messages)
        return ApiCall(
            "chat/completions",
            self._body(request, known),
            self._read_chat,
            letters // BYTES_A_TOKEN + request.max_tokens + self.features.hidden_tokens,
        )

    def _body(self, request: ChatRequest, known: Capabilities) -> dict[str, Any]:
        return chat_body(request, model=self._model, features=self.configured, known=known)

    def _read_chat(self, body: bytes) -> tuple[Answer, Usage]:
        reply = read_reply(body, model=self._model)
        hidden = starved_tokens(body)
        if hidden is None and reply.finish_reason != "length":
            return (reply, None), reply.usage
        if reply.text and not is_only_reasoning(reply):
            return (reply, None), reply.usage
        # What filled the limit is not in the answer, whether the endpoint says so or not.
        return (reply, hidden or reply.usage.completion_tokens), reply.usage


def _names_one(error: ApiError, sent: Collection[str]) -> bool:
    words = {*re.findall(r"[a-z_]+", error.text.lower()), error.parameter}
    return any(name in words for name in {*sent, "system"} - {"model", "messages"})


def _is_no_chat(failure: TransientFailure) -> bool:
    return failure.is_unreadable or failure.failure is Failure.TIMEOUT


def _is_refusal(failure: TransientFailure) -> bool:
    return _is_no_chat(failure) or failure.status in (500, 501, 502)


def added(one: Usage, other: Usage) -> Usage:
    """Both together."""
    return Usage(
        one.prompt_tokens + other.prompt_tokens,
        one.completion_tokens + other.completion_tokens,
        one.cached_tokens + other.cached_tokens,
    )
