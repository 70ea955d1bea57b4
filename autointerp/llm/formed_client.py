"""A client of one model that asks in the form it knows."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any

from autointerp.core.errors import RequestRefusedError, UpstreamError
from autointerp.llm.api_call import Allowance, ApiCall, CallRefusedError, TransientFailure
from autointerp.llm.api_errors import ApiError, stops_everything
from autointerp.llm.capabilities import Capabilities, CapabilityFile
from autointerp.llm.chat_model import ChatRequest, Features
from autointerp.llm.negotiation_requests import (
    GivesUp,
    Refusal,
    may_refuse,
    may_refuse_option,
    never_answers,
)
from autointerp.llm.refused_words import RefusedWords
from autointerp.llm.retrying_client import RetryingClient
from autointerp.llm.wire_format import Answer, chat_body, limit_of, read_answer

BYTES_A_TOKEN = 4
_UNSTEADY = "the LLM's endpoint accepted some options in one request and refused them in the next"
NO_REPLY = ApiError(200, "no reply")  # As some answer an option that they refuse.


class FormedClient:
    """What is known of an endpoint and model, and calls in that form."""

    def __init__(
        self,
        client: RetryingClient,
        model: str,
        *,
        features: Features,
        file: CapabilityFile,
        negotiates: bool,
    ) -> None:
        """See `NegotiatedClient`."""
        self._client, self._model, self.configured, self._file = client, model, features, file
        stored = file.read()
        self._is_known = stored is not None or not negotiates
        self._was_found = client.has_answered_before = stored is not None
        self.known = stored or Capabilities()
        client.endpoint.go_below(self.known.folder)
        self._refused = RefusedWords()
        self._instead: UpstreamError | None = None
        self._failure: TransientFailure | None = None

    def features(self, *, prompts_cut: bool = False) -> Features:
        """What the endpoint can do, as far as that is known."""
        return _features(self.known, self.configured, self._is_known, prompts_cut)

    def note_unsteady(self) -> None:
        """Has it told that options are refused now and then, as by one of several servers."""
        notes = self.configured.further_notes
        if _UNSTEADY not in notes:
            self.configured = replace(self.configured, further_notes=(*notes, _UNSTEADY))

    def learn(self, known: Capabilities) -> None:
        """Stores what was found."""
        self.known = known
        self._file.write(known)

    async def final(self, refused: CallRefusedError) -> UpstreamError:
        """What to raise for a refusal that nothing can be done about."""
        words = self._client.words
        if refused.instead is None and self._refused.are_known(refused.error):
            return words.refused(refused.error)
        return refused.instead or await words.final(refused.error)

    def _is_of_prompts(self, error: ApiError) -> bool:
        return self._refused.are_of_prompts(error, self._client.n_answered)

    async def _refusal(
        self,
        tiny: ChatRequest,
        known: Capabilities,
        gives_up: GivesUp = may_refuse_option,
        allowance: Allowance | None = None,
        *,
        takes_all: bool = False,
    ) -> Refusal | None:
        """What a probe of this form is refused with; None where it is answered.

        Raises:
            UpstreamError: a key or an account is refused, unless all refusals are taken.
        """
        call = replace(self._chat(tiny, known), gives_up=gives_up, is_probe=True)
        call = call if allowance is None else replace(call, allowance=allowance)
        try:
            reply, _ = await self._client.call(call)
            self._client.tiny.charge(reply.usage)
        except CallRefusedError as refused:
            is_final = self._stops_everything(refused.error) and not takes_all
            if is_final or refused.error.lasts:
                raise await self._fatal(refused.error, refused.instead) from None
            self._instead, self._failure = refused.instead, refused.failure
            self._refused.was_tiny(refused.error)
            is_limit = refused.failure is not None and refused.failure.is_limit
            return replace(refused.error, status=429) if is_limit else refused.error
        except UpstreamError as error:
            if error.retryable:
                raise
            return error
        is_option = gives_up not in (may_refuse, never_answers)
        return NO_REPLY if is_option and reply.finish_reason == "error" else None

    async def _once_more(self, request: ChatRequest, error: ApiError) -> Answer | None:
        """The answer to one more attempt a while after an error, if it comes."""
        await self._client.pause(error)
        with suppress(CallRefusedError):
            call = replace(self._chat(request, self.known), gives_up=lambda _: True)
            return await self._client.call(call)
        return None

    async def _answers(self, tiny: ChatRequest, n: int = 1, error: ApiError | None = None) -> bool:
        """Whether so many tiny questions are answered, a while after an error and one another."""
        for _ in range(n):
            if error is not None:
                await self._client.pause(error)
            if await self._refusal(tiny, self.known, lambda _: True) is not None:
                return False
        return True

    def _stops_everything(self, error: ApiError) -> bool:
        """Whether a key or an account is refused, and not an option or a prompt in such words."""
        return stops_everything(error) and not self._client.check.is_of_a_question(error)

    async def _fatal(self, error: ApiError, instead: UpstreamError | None) -> UpstreamError:
        """What to raise where nothing else would be answered either."""
        final = instead or await self._client.words.final(error)
        if not isinstance(final, RequestRefusedError):
            return final
        advice = "check the key, the model and AUTOINTERP_LLM_BASE_URL"
        return UpstreamError(f"{final}; {advice}", retryable=False)

    def _chat(
        self, request: ChatRequest, known: Capabilities, *, is_question: bool = False
    ) -> ApiCall[Answer]:
        letters = sum(len(message.content) for message in request.messages)
        body = self._body(request, known)
        return ApiCall(
            "chat/completions",
            body,
            lambda received: read_answer(received, model=self._model, limit=limit_of(body)),
            letters // BYTES_A_TOKEN + request.max_tokens + self.features().hidden_tokens,
            is_question=is_question,
            tells_what_lasts=is_question and self._was_found,
        )

    def _body(self, request: ChatRequest, known: Capabilities) -> dict[str, Any]:
        return chat_body(request, model=self._model, features=self.configured, known=known)


@lru_cache(maxsize=32)
def _features(
    known: Capabilities, configured: Features, is_known: bool, prompts_cut: bool
) -> Features:
    """Kept, as every request asks several times."""
    forms = known.within(configured)
    return replace(forms, is_known=is_known, prompts_cut=prompts_cut)


def is_empty(answer: Answer) -> bool:
    """Whether nothing was replied, and no reason given."""
    return answer[0].finish_reason == "error" and not answer[0].text
