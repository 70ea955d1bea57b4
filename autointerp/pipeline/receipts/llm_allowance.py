"""What may be asked of the LLM to try the label of one side of one unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil

from typing_extensions import override

from autointerp.core.errors import RequestRefusedError
from autointerp.llm import (
    UPPER_ESTIMATE,
    ChatModel,
    ChatReply,
    ChatRequest,
    JsonSchema,
    charge_to,
    prompt_tokens,
)
from autointerp.llm.answers import CUT_OFF, NoAnswerError, answer_of
from autointerp.llm.chat_model import EchoRequest, LlmRequest
from autointerp.llm.reply_formats import chat_request
from autointerp.llm.wrapped_model import PromptTooLongError, WrappedModel, why_refused
from autointerp.templates.loader import Role

MOST_TOKENS = 3000
"""Most prompt and completion tokens together for one side of a unit, hidden thoughts included: once
so many were used, nothing more is asked. A reply may go beyond it by what was thought."""

Turns = Sequence[tuple[Role, str]]


class LlmAllowance:
    """Asks an LLM and counts the tokens; who asks again looks at the room that is left."""

    def __init__(
        self, model: ChatModel, *, most: int, seed: int, fresh: bool, spent: int = 0
    ) -> None:
        """Counts towards so many tokens, of which some were spent before."""
        self._model, self._most, self._seed, self._fresh = model, most, seed, fresh
        self.spent = spent
        self.n_hidden = 0
        """Tokens of replies beyond what an answer may have, which was thought out of sight."""

    @property
    def left(self) -> int:
        """Tokens that may still be spent."""
        return max(0, self._most - self.spent)

    def room(self, turns: Turns) -> int:
        """Tokens that are left for a reply to this prompt."""
        return self._most - self.spent - prompt_tokens(turns, UPPER_ESTIMATE)

    async def answer(self, turns: Turns, *, max_tokens: int, schema: JsonSchema) -> str:
        """The answer to one request.

        Raises:
            NoAnswerError: nothing that can be read, or the request was refused.
            UpstreamError: the LLM could not be used.
        """
        room = self.room(turns)
        if room < 1:
            raise NoAnswerError(f"{self.left} tokens are left for the LLM")
        request = chat_request(
            self._model.features,
            turns,
            max_tokens=min(max_tokens, room),
            schema=schema,
            seed=self._seed % 2**31,
            fresh=self._fresh,
        )
        try:
            with charge_to("receipts"):
                reply = await self._model.reply(request)
        except RequestRefusedError as error:
            raise NoAnswerError(why_refused(error)) from error
        self.spent += _used(turns, reply)
        answer = prompt_tokens([("assistant", reply.text)], UPPER_ESTIMATE)
        self.n_hidden += max(0, reply.usage.completion_tokens - max(answer, request.max_tokens))
        if reply.finish_reason == "length":
            raise NoAnswerError(CUT_OFF)
        return answer_of(reply)

    def counting(self, model: ChatModel) -> ChatModel:
        """The model; what it is asked counts, and is not sent where too little is left."""
        return _Counted(model, self)


class _Counted(WrappedModel):
    """A model whose requests count towards an allowance."""

    def __init__(self, model: ChatModel, allowance: LlmAllowance) -> None:
        super().__init__(model)
        self._allowance = allowance

    @override
    async def send(self, request: LlmRequest) -> ChatReply:
        """The reply, with no more tokens than are left.

        Raises:
            PromptTooLongError: none are left for it; nothing was sent.
        """
        turns, allowance = _turns(request), self._allowance
        room = allowance.room(turns)
        if room < 1:
            raise PromptTooLongError(f"{allowance.left} tokens are left for the LLM")
        reserved = allowance.left
        if isinstance(request, ChatRequest):
            reserved -= max(0, room - request.max_tokens)
            request = replace(request, max_tokens=min(room, request.max_tokens))
        # Others are asked meanwhile.
        allowance.spent += reserved
        used = 0
        try:
            reply = await self._pass_on(request)
            used = _used(turns, reply)
        finally:
            allowance.spent += used - reserved
        return reply


class Measuring(WrappedModel):
    """Sends nothing, and adds up the tokens that requests need."""

    def __init__(self, model: ChatModel, *, usual: float = 1.0) -> None:
        """Replies take as a rule so much of what they may at most."""
        super().__init__(model)
        self._usual, self.n_tokens = usual, 0

    @override
    async def send(self, request: LlmRequest) -> ChatReply:
        """Raises `RequestRefusedError`."""
        most = request.max_tokens if isinstance(request, ChatRequest) else 1
        self.n_tokens += prompt_tokens(_turns(request), UPPER_ESTIMATE) + ceil(most * self._usual)
        raise RequestRefusedError("nothing is sent")


def _turns(request: LlmRequest) -> Turns:
    chat = request.as_chat if isinstance(request, EchoRequest) else request
    return [(message.role, message.content) for message in chat.messages]


def _used(turns: Turns, reply: ChatReply) -> int:
    """Tokens of prompt and reply with hidden thoughts; some endpoints do not say what they used."""
    usage = reply.usage.prompt_tokens + reply.usage.completion_tokens
    return usage or prompt_tokens((*turns, ("assistant", reply.text)), UPPER_ESTIMATE)
