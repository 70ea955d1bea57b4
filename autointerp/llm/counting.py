"""Tokens of prompts, and a guard that sends nothing which does not fit the model's context."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Protocol

from autointerp.core.errors import RequestRefusedError
from autointerp.core.text import TextTokenizer
from autointerp.llm.protocol import (
    ChatModel,
    ChatReply,
    ChatRequest,
    EchoModel,
    TokenChoice,
)
from autointerp.llm.wrapped import WrappedModel

# What a chat template puts around a turn; and around a prompt, with the system prompt that some
# add by themselves (SmolLM2's takes 21 tokens).
_PER_TURN, _PER_REQUEST = 8, 64
_TEXTS_KEPT = 256


class PromptTooLongError(RequestRefusedError):
    """A request that is not sent, because the model has no room for it."""


class TokenCounter(Protocol):
    """Counts tokens as the LLM does."""

    def count(self, text: str) -> int:
        """Tokens that a text takes."""
        ...


class _BytesByThree:
    """A third of the text's UTF-8 bytes: more than tokenizers need for prose and code."""

    def count(self, text: str) -> int:
        """``ceil(bytes / 3)``."""
        return -(-_n_bytes(text) // 3)


UPPER_ESTIMATE: TokenCounter = _BytesByThree()
"""For a model whose tokenizer is not at hand: an estimate from above, not a count."""


class TokenizerCounter:
    """Counts with the LLM's own tokenizer, which is loaded when it is first needed."""

    def __init__(self, load: Callable[[], TextTokenizer]) -> None:
        tokenizer = lru_cache(maxsize=1)(load)
        # A prompt's instructions are the same in every request.
        self._count = lru_cache(_TEXTS_KEPT)(lambda text: len(tokenizer().encode(text)))

    def count(self, text: str) -> int:
        """Tokens of the text, no special ones added."""
        return self._count(text)


def prompt_tokens(turns: Sequence[tuple[str, str]], counter: TokenCounter) -> int:
    """Tokens of a prompt's (role, text) turns, with what chat templates put around them."""
    return _PER_REQUEST + sum(counter.count(text) + _PER_TURN for _, text in turns)


def has_room(
    turns: Sequence[tuple[str, str]],
    *,
    reply_tokens: int,
    n_ctx: int | None,
    counter: TokenCounter,
) -> bool:
    """Whether a prompt and its reply fit; yes where the context is not known."""
    if n_ctx is None:
        return True
    room = n_ctx - reply_tokens
    # No token has less than a byte: most prompts need no counting.
    most = _PER_REQUEST + sum(_n_bytes(text) + _PER_TURN for _, text in turns)
    return most <= room or prompt_tokens(turns, counter) <= room


class FittingModel(WrappedModel):
    """Any chat model that is never sent what does not fit its context."""

    def __init__(self, model: ChatModel, counter: TokenCounter = UPPER_ESTIMATE) -> None:
        super().__init__(model)
        self._counter = counter

    async def reply(self, request: ChatRequest) -> ChatReply:
        """The answer of the wrapped model; see `ChatModel`.

        Raises:
            PromptTooLongError: prompt and reply together exceed its context; nothing was sent.
        """
        features = self._model.features
        turns = [(message.role, message.content) for message in request.messages]
        reply_tokens = request.max_tokens + features.hidden_tokens
        _refuse_too_long(turns, reply_tokens, features.n_ctx, self._counter)
        return await self._model.reply(request)


class FittingEcho:
    """Any model that echoes, never sent a text that does not fit its context."""

    def __init__(
        self, model: EchoModel, n_ctx: int | None, counter: TokenCounter = UPPER_ESTIMATE
    ) -> None:
        self._model, self._n_ctx, self._counter = model, n_ctx, counter

    async def prompt_logprobs(self, text: str) -> tuple[TokenChoice, ...]:
        """What the wrapped model says of the text; see `EchoModel`.

        Raises:
            PromptTooLongError: the text exceeds its context; nothing was sent.
        """
        _refuse_too_long([("user", text)], 1, self._n_ctx, self._counter)
        return await self._model.prompt_logprobs(text)


def _refuse_too_long(
    turns: Sequence[tuple[str, str]], reply_tokens: int, n_ctx: int | None, counter: TokenCounter
) -> None:
    if has_room(turns, reply_tokens=reply_tokens, n_ctx=n_ctx, counter=counter):
        return
    msg = (
        f"the text has {prompt_tokens(turns, counter):,} tokens with its prompt and needs "
        f"{reply_tokens:,} for the reply, the model takes {n_ctx:,}"
    )
    raise PromptTooLongError(msg)


def _n_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
