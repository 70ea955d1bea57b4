"""A client of one model that asks with as much room for prompts and replies as there is."""

from __future__ import annotations

from dataclasses import replace

from autointerp.llm.api_call import CallRefusedError
from autointerp.llm.api_errors import ApiError, is_prompt_too_long, lacks_room
from autointerp.llm.capabilities import Capabilities, probe, stated_room
from autointerp.llm.chat_model import ChatRequest
from autointerp.llm.formed_client import NO_REPLY, FormedClient
from autointerp.llm.negotiation_requests import may_refuse
from autointerp.llm.refused_words import said
from autointerp.llm.wire_format import Answer, limit_of
from autointerp.llm.wrapped_model import PromptTooLongError

# As prompts are counted whose tokenizer is not at hand.
_COUNTED_BYTES, _LEAST_GUESSED = 3, 256
_LEAST_LONG = 1_500


class RoomClient(FormedClient):
    """What is said of room in refusals, and calls that keep to it."""

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


def is_long(request: ChatRequest) -> bool:
    """Whether a question may be too long on a guess."""
    return _n_bytes(request) >= _LEAST_LONG


def _n_bytes(request: ChatRequest) -> int:
    return sum(len(message.content.encode("utf-8", "replace")) for message in request.messages)
