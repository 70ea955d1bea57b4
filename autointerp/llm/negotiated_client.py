"""A client of one model that knows what it takes, and finds it out where it does not."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Collection
from contextlib import suppress
from dataclasses import replace

from autointerp.core.errors import RequestRefusedError, UpstreamError
from autointerp.llm.api_call import CallRefusedError
from autointerp.llm.api_errors import (
    ApiError,
    is_about_content,
    may_be_too_long,
    stops_everything,
)
from autointerp.llm.capabilities import LIMITS, Capabilities, CapabilityFile
from autointerp.llm.chat_model import ChatRequest, Features, Usage
from autointerp.llm.formed_client import Answer, FormedClient, is_long
from autointerp.llm.negotiation import (
    MOST_PROBES,
    GivesUp,
    PlainRefusedError,
    Refusal,
    may_refuse,
    may_refuse_option,
    negotiate,
    never_answers,
    with_a_limit,
)
from autointerp.llm.probes import probe
from autointerp.llm.retrying_client import RetryingClient

_MOST_FORMS = 4
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
        self._instead: UpstreamError | None = None
        self._n_failed = 0

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
            call = replace(self._chat(request, known), tells_what_lasts=self._was_found)
            try:
                return await self._client.call(call)
            except CallRefusedError as refused:
                refusal = refused
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
        raise await self.final(refusal)

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
        tiny = probe(request)
        sent = self._body(request, self.known)
        if _names_one(refusal.error, sent) or await self._refusal(tiny, self.known) is not None:
            answered = await self._plainly(refusal, request, tiny)
            if answered is not None:
                (reply, starved), plain = answered
                cost = await self._negotiate(tiny, plain)
                return replace(reply, usage=reply.usage.plus(cost)), starved
        if is_long(request) and may_be_too_long(refusal.error):
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
        (reply, starved), plain = answered
        cost = None
        async with self._negotiating:
            if self._body(request, known) == self._body(request, self.known):
                with suppress(UpstreamError):
                    cost = await self._negotiate(probe(request), plain)
        return replace(reply, usage=reply.usage.plus(cost or Usage())), starved

    async def _once_plainly(
        self, request: ChatRequest, known: Capabilities
    ) -> tuple[Answer, Capabilities] | None:
        """The answer to a question in its plain form, which is sent once, if it comes."""
        plain = self.known.without_options()
        forms = [plain]
        for form in forms:
            call = replace(self._chat(request, form), gives_up=lambda _: True)
            if call.body == self._body(request, known):
                continue
            try:
                return await self._client.call(call), form
            except CallRefusedError as refused:
                if form == plain and refused.instead is None:
                    forms += with_a_limit(plain, refused.error)
        return None

    async def _plainly(
        self, refusal: CallRefusedError, request: ChatRequest, tiny: ChatRequest
    ) -> tuple[Answer, Capabilities] | None:
        """The answer to a question in the plainest form that the endpoint takes by now.

        None where it is refused, while a tiny one is not.
        """
        plain = self.known.without_options()
        forms = [plain]
        while forms:
            form = forms.pop(0)
            try:
                call = replace(self._chat(request, form), gives_up=may_refuse_option)
                return await self._client.call(call), form
            except CallRefusedError:
                why = await self._refusal(tiny, form)
            if why is None:
                return None
            if form == plain:
                forms += with_a_limit(plain, why)
        fatal = await self._fatal(refusal.error, refusal.instead)
        raise self._fails_for_all(fatal) from None

    async def _negotiate(self, tiny: ChatRequest, plain: Capabilities | None = None) -> Usage:
        """What it cost to find out which of a probe's options the endpoint takes.

        A plain form that was just answered is not tried again.
        """
        before = self._client.total_usage
        options = {*self._body(tiny, self.known)}
        if options & {*LIMITS}:
            options |= {"limit", *LIMITS}
        if any(m.role == "system" for m in tiny.messages):
            options.add("system")
        found = await self._found(tiny, options, plain)
        self._is_known = self._was_found = True
        self.learn(replace(found, hidden_tokens=max(found.hidden_tokens, self.known.hidden_tokens)))
        after = self._client.total_usage
        return Usage(
            after.prompt_tokens - before.prompt_tokens,
            after.completion_tokens - before.completion_tokens,
            after.cached_tokens - before.cached_tokens,
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
                found = await self._sorted(tiny, options, MOST_PROBES - 1)
            except (_NoChatHereError, UpstreamError):
                endpoint.go_below("")
                raise error.instead from None
            return replace(found, folder="v1/")

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
            refusal = error.refusal
        if isinstance(refusal, UpstreamError):
            raise _NoChatHereError(refusal)
        final = await self._fatal(refusal, self._instead)
        if refusal.status in _NO_CHAT:
            raise _NoChatHereError(final)
        raise final

    async def _refusal(
        self, tiny: ChatRequest, known: Capabilities, gives_up: GivesUp = may_refuse_option
    ) -> Refusal | None:
        """What a probe of this form is refused with; None where it is answered."""
        call = replace(self._chat(tiny, known), gives_up=gives_up)
        try:
            reply, _ = await self._client.call(call)
        except CallRefusedError as refused:
            if stops_everything(refused.error):
                raise await self._fatal(refused.error, refused.instead) from None
            self._instead = refused.instead
            return refused.error
        except UpstreamError as error:
            if error.retryable:
                raise
            return error
        is_option = gives_up not in (may_refuse, never_answers)
        return ApiError(200, "no reply") if is_option and reply.finish_reason == "error" else None

    async def _fatal(self, error: ApiError, instead: UpstreamError | None) -> UpstreamError:
        """What to raise where nothing else would be answered either."""
        final = instead or await self._client.words.final(error)
        if not isinstance(final, RequestRefusedError):
            return final
        advice = "check the key, the model and AUTOINTERP_LLM_BASE_URL"
        return UpstreamError(f"{final}; {advice}", retryable=False)


def _names_one(error: ApiError, sent: Collection[str]) -> bool:
    words = {*re.findall(r"[a-z_]+", error.text.lower()), error.parameter}
    return any(name in words for name in {*sent, "system"} - {"model", "messages"})
