"""A client of one model that asks in the form it knows, with as much room as there is."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any

from autointerp.core.errors import RequestRefusedError, UpstreamError
from autointerp.llm.api_call import ApiCall, CallRefusedError, TransientFailure
from autointerp.llm.api_errors import (
    ApiError,
    is_prompt_too_long,
    lacks_room,
    stops_everything,
    wording,
)
from autointerp.llm.capabilities import Capabilities, CapabilityFile, probe, stated_room
from autointerp.llm.chat_model import ChatRequest, Features
from autointerp.llm.negotiation import (
    GivesUp,
    Refusal,
    may_refuse,
    may_refuse_option,
    never_answers,
    with_a_limit,
)
from autointerp.llm.refused_words import RefusedWords, said
from autointerp.llm.retrying_client import RetryingClient
from autointerp.llm.wire_format import Answer, chat_body, limit_of, read_answer
from autointerp.llm.wrapped_model import PromptTooLongError

BYTES_A_TOKEN = 4
# As prompts are counted whose tokenizer is not at hand.
_COUNTED_BYTES, _LEAST_GUESSED = 3, 256
_LEAST_LONG = 1_500
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

    async def with_stated_room(
        self, refusal: CallRefusedError, request: ChatRequest, known: Capabilities
    ) -> Answer | None:
        """The answer within the room that a refusal states; None where it states none.

        Raises:
            PromptTooLongError: the prompt has no room, whether or not it is stated how much it has.
        """
        limit = limit_of(self._body(request, known))
        words = f"{refusal.error.text} {refusal.error.numbers}"
        room = stated_room(words, limit=limit, n_bytes=_n_bytes(request))
        if room is None and is_prompt_too_long(refusal.error):
            raise await self.too_long(refusal, request, known)
        if room is None:
            return None
        if room.n_ctx is not None:
            self.learn(replace(known, n_ctx=room.n_ctx))
        is_less = room.limit < min(request.max_tokens, limit or request.max_tokens)
        if is_less and room.n_ctx is not None:
            raise PromptTooLongError(f"the prompt does not fit: {await self.final(refusal)}")
        fitting = replace(known, n_ctx=None, max_limit=room.limit)
        try:
            answer = await self._client.call(self._chat(request, fitting))
        except CallRefusedError:
            return None
        if room.n_ctx is None:
            self.learn(replace(known, max_limit=room.limit))
        return answer

    async def too_long(
        self, refusal: CallRefusedError, request: ChatRequest, known: Capabilities
    ) -> PromptTooLongError:
        """What to raise for a prompt that does not fit, where nobody says how much does."""
        # For this process alone, as it is a guess: a quarter less than was sent.
        n_ctx = max(_LEAST_GUESSED, _n_bytes(request) // _COUNTED_BYTES * 3 // 4)
        n_ctx += request.max_tokens
        self.known = replace(known, n_ctx=min(known.n_ctx or n_ctx, n_ctx))
        return PromptTooLongError(f"the prompt does not fit: {await self.final(refusal)}")

    async def with_more_room(
        self, refusal: CallRefusedError, request: ChatRequest
    ) -> Answer | None:
        """The answer with more room, where a refusal says without a number that it was too little.

        What is asked for is bounded, and kept once it was answered.
        """
        known = self.known
        while lacks_room(refusal.error):
            sent = self._body(request, known)
            wider = known.with_reasoning(limit_of(sent) or 0)
            body = self._body(request, wider)
            if limit_of(sent) is None or body == sent:
                break
            try:
                call = replace(self._chat(request, wider), gives_up=may_refuse)
                answer = await self._client.call(call)
            except CallRefusedError as again:
                lowered = await self.with_stated_room(again, request, wider)
                if lowered is not None:
                    return lowered
                refusal, known = again, wider
            else:
                self.learn(wider)
                return answer
        return None

    async def final(self, refused: CallRefusedError) -> UpstreamError:
        """What to raise for a refusal that nothing can be done about."""
        words = self._client.words
        if refused.instead is None and self._refused.are_known(refused.error):
            return words.refused(refused.error)
        return refused.instead or await words.final(refused.error)

    async def _once_plainly(
        self, request: ChatRequest, known: Capabilities, words: str | None = None
    ) -> tuple[Answer, Capabilities] | None:
        """The answer to a question in its plain form, which is sent once, if it comes.

        A limit is added where the plain form is refused, in other words than those given.
        """
        plain = self.known.without_options()
        forms = [plain]
        for form in forms:
            call = replace(self._chat(request, form), gives_up=lambda _: True)
            if call.body == self._body(request, known):
                continue
            try:
                if not is_empty(answer := await self._client.call(call)):
                    return answer, form
            except CallRefusedError as refused:
                is_other = refused.instead is None and wording(refused.error) != words
                if form == plain and is_other:
                    forms += with_a_limit(plain, refused.error)
        return None

    def _is_of_prompts(self, error: ApiError) -> bool:
        return self._refused.are_of_prompts(error, self._client.n_answered)

    async def _plainly_to_be_sure(
        self, error: ApiError, request: ChatRequest
    ) -> tuple[Answer, Capabilities] | None:
        """The answer in its plain form to a question whose options are taken of a tiny one.

        Behind one address may stand several servers, some of which do not take an option.
        """
        if not self._was_found or (error.text and self._refused.are_known(error)):
            return None
        return await self._once_plainly(request, self.known, words=wording(error))

    async def _from_another_server(self, error: ApiError, request: ChatRequest) -> Answer | None:
        """The answer to a question that is refused in its plain form too, where servers differ.

        A server behind the address may refuse everything. Where none does, the words are about
        prompts; so a filter that only words tell of costs one question more, once. Words that were
        said of a tiny question are not.
        """
        if not self._was_found or self._refused.are_known(error) or error == NO_REPLY:
            return None
        if await self._client.servers_differ(error):
            with suppress(CallRefusedError):
                call = replace(self._chat(request, self.known), is_question=True)
                return await self._client.call(call)
        self._refused.was_looked_into(error, self._client.n_answered)
        return None

    async def _is_too_long(self, error: ApiError, request: ChatRequest) -> bool:
        """Whether as long a question of other words is refused with the same ones.

        A tiny one is taken. It is not asked again where the words are known to be of prompts.
        """
        if not self._was_found or error == NO_REPLY or self._is_of_prompts(error):
            return False
        tiny = probe(request)
        last = tiny.messages[-1]
        longer = replace(last, content="the " * (_n_bytes(request) // 4) + last.content)
        why = await self._refusal(replace(tiny, messages=(*tiny.messages[:-1], longer)), self.known)
        is_alike = isinstance(why, ApiError) and said(why) == said(error)
        if is_alike:
            self._refused.forget(error)
        return is_alike

    async def _refusal(
        self, tiny: ChatRequest, known: Capabilities, gives_up: GivesUp = may_refuse_option
    ) -> Refusal | None:
        """What a probe of this form is refused with; None where it is answered."""
        call = replace(self._chat(tiny, known), gives_up=gives_up)
        try:
            reply, _ = await self._client.call(call)
            self._client.tiny.charge(reply.usage)
        except CallRefusedError as refused:
            if stops_everything(refused.error):
                raise await self._fatal(refused.error, refused.instead) from None
            self._instead, self._failure = refused.instead, refused.failure
            self._refused.was_tiny(refused.error)
            return refused.error
        except UpstreamError as error:
            if error.retryable:
                raise
            return error
        is_option = gives_up not in (may_refuse, never_answers)
        return NO_REPLY if is_option and reply.finish_reason == "error" else None

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


def is_long(request: ChatRequest) -> bool:
    """Whether a question may be too long on a guess."""
    return _n_bytes(request) >= _LEAST_LONG


def _n_bytes(request: ChatRequest) -> int:
    return sum(len(message.content.encode("utf-8", "replace")) for message in request.messages)
