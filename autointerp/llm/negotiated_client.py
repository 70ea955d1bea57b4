"""A client of one model that knows what it takes, and finds it out where it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection
from contextlib import suppress
from dataclasses import replace

from autointerp.core.errors import RequestRefusedError, UpstreamError
from autointerp.llm.api_call import CallRefusedError
from autointerp.llm.api_errors import (
    ApiError,
    is_about_content,
    may_be_too_long,
    named_options,
    stops_everything,
    wording,
)
from autointerp.llm.capabilities import LIMITS, OPTIONS, Capabilities, CapabilityFile, probe
from autointerp.llm.chat_model import ChatRequest, Features, Usage
from autointerp.llm.formed_client import NO_REPLY, FormedClient, is_empty, is_long
from autointerp.llm.negotiation import (
    MOST_PROBES,
    GivesUp,
    PlainRefusedError,
    Refusal,
    may_refuse_option,
    negotiate,
    with_a_limit,
)
from autointerp.llm.retrying_client import RetryingClient
from autointerp.llm.wire_format import Answer

_MOST_FORMS = 4
_MOST_UNSTEADY = 2
"""Times that all is taken again of what was refused, before it is left out for good."""
_OFTEN_LACKING = {2: {"response_format", "logprobs", "grammar"}, 3: {"seed", "stop"}}
_NO_CHAT = (0, 404, 405)


class _NoChatHereError(Exception):
    """This path is not a chat endpoint; another may be."""

    def __init__(self, instead: UpstreamError) -> None:
        super().__init__()
        self.instead = instead


class NegotiatedClient(FormedClient):
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
        super().__init__(client, model, features=features, file=file, negotiates=negotiates)
        self._negotiating = asyncio.Lock()
        self._failed: UpstreamError | None = None
        self._n_failed = self._n_unsteady = 0

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

    async def answer(self, request: ChatRequest) -> Answer:
        """The answer to a question, in the form that the endpoint takes now."""
        for _ in range(_MOST_FORMS):
            known = self.known
            try:
                answer = await self._client.call(self._chat(request, known, is_question=True))
            except CallRefusedError as refused:
                refusal = refused
            else:
                return await self._unless_empty(answer, request)
            if refusal.lasted:
                if self._body(request, known) != self._body(request, self.known):
                    continue
                return await self._after_what_lasted(refusal, request, known)
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
        async with self._negotiating:
            return await self._after(refusal, request)

    async def _unless_empty(self, answer: Answer, request: ChatRequest) -> Answer:
        """The answer; where it has no choice at all, as that to a refused option, a plainer one."""
        if self._was_found and is_empty(answer):
            async with self._negotiating:
                with suppress(RequestRefusedError):
                    return await self._after(CallRefusedError(NO_REPLY), request)
        return answer

    async def _after(self, refusal: CallRefusedError, request: ChatRequest) -> Answer:
        """The answer to a question that was refused: with less room, or in its plain form.

        Raises:
            PromptTooLongError: the endpoint says that it does not fit.
            RequestRefusedError: it is refused for what it says.
            UpstreamError: the endpoint refuses everything by now.
        """
        fitting = await self.with_stated_room(refusal, request, self.known)
        fitting = fitting or await self.with_more_room(refusal, request)
        if fitting is not None:
            return fitting
        self._refused.was_refused(self._client.n_answered)
        tiny = probe(request)
        named = named_options(refusal.error, self._body(request, self.known))
        is_new, answered = not self._is_of_prompts(refusal.error), None
        if is_new and (named or await self._refusal(tiny, self.known) is not None):
            answered = await self._plainly(refusal, request, tiny)
        elif is_new:
            answered = await self._plainly_to_be_sure(refusal.error, request)
        if answered is not None:
            answer, plain = answered
            await self._negotiate_again(tiny, plain, named)
            return answer
        another = await self._from_another_server(refusal.error, request) if is_new else None
        if another is not None:
            return another
        if is_long(request) and (
            may_be_too_long(refusal.error) or await self._is_too_long(refusal.error, request)
        ):
            raise await self.too_long(refusal, request, self.known) from None
        instead = refusal.instead
        if instead is not None and (instead.retryable or isinstance(instead, RequestRefusedError)):
            raise instead from None
        raise RequestRefusedError(str(await self.final(refusal))) from None

    async def _after_what_lasted(
        self, refusal: CallRefusedError, request: ChatRequest, known: Capabilities
    ) -> Answer:
        """The answer to a question in its plain form, where a failure that may pass has lasted.

        Some services tell of one where they do not take an option any more.
        """
        answered = await self._once_plainly(request, known)
        if answered is None:
            raise refusal.instead or await self.final(refusal)
        answer, plain = answered
        async with self._negotiating:
            if self._body(request, known) == self._body(request, self.known):
                with suppress(UpstreamError):
                    await self._negotiate_again(probe(request), plain, ())
        return answer

    async def _plainly(
        self, refusal: CallRefusedError, request: ChatRequest, tiny: ChatRequest
    ) -> tuple[Answer, Capabilities] | None:
        """The answer to a question in the plainest form that the endpoint takes by now.

        None where it is refused, while a tiny one is not.

        Raises:
            UpstreamError: a tiny one is refused too, in every form or with the same words.
        """
        plain, limit = self.known.without_options(), self.known.limit_name
        forms = [plain]
        for form in forms:
            why = await self._refusal(tiny, form)
            if why is None:
                call = replace(self._chat(request, form), gives_up=may_refuse_option)
                with suppress(CallRefusedError):
                    answer = await self._client.call(call)
                    return None if is_empty(answer) else (answer, form)
                return None
            if form == plain:
                forms += sorted(with_a_limit(plain, why), key=lambda one: one.limit_name != limit)
            elif isinstance(why, ApiError) and wording(why) == wording(refusal.error):
                break
        if await self._client.servers_differ(refusal.error):
            return None
        fatal = await self._fatal(refusal.error, refusal.instead)
        raise self._fails_for_all(fatal) from None

    async def _negotiate_again(
        self, tiny: ChatRequest, plain: Capabilities, named: Collection[str]
    ) -> None:
        """Finds out once more what the endpoint takes, now that it refuses some.

        Where it takes all of it again, and did so before, servers behind it differ: what its words
        named is left out from then on, or what servers lack most often, and then all options.
        """
        before = self.known
        await self._negotiate(tiny, plain)
        self._n_unsteady += self.known == before
        if self.known == before and self._n_unsteady >= _MOST_UNSTEADY:
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
        self.learn(
            replace(result, hidden_tokens=max(result.hidden_tokens, self.known.hidden_tokens))
        )

    async def _found(
        self, tiny: ChatRequest, options: Collection[str], plain: Capabilities | None
    ) -> Capabilities:
        """What the endpoint takes of the options, below ``/v1`` where that was left out."""
        endpoint, folder = self._client.endpoint, self.known.folder
        try:
            return await self._sorted(tiny, options, MOST_PROBES, plain)
        except _NoChatHereError as error:
            if folder or endpoint.has_version:
                raise error.instead from None
            endpoint.go_below("v1/")
            try:
                result = await self._sorted(tiny, options, MOST_PROBES - 1)
            except (_NoChatHereError, UpstreamError):
                endpoint.go_below("")
                raise error.instead from None
            return replace(result, folder="v1/")

    async def _sorted(
        self,
        tiny: ChatRequest,
        options: Collection[str],
        most: int,
        plain: Capabilities | None = None,
    ) -> Capabilities:
        def send(candidate: Capabilities, gives_up: GivesUp) -> Awaitable[Refusal | None]:
            return self._refusal(tiny, candidate, gives_up)

        try:
            pause = self._client.pause
            return await negotiate(send, pause, self.known, options, most=most, plain=plain)
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
