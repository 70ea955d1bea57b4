"""Tokens of prompts, and a guard that sends nothing which does not fit the model's context."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Protocol

from typing_extensions import override

from autointerp.core.errors import RequestRefusedError
from autointerp.core.text import TextTokenizer
from autointerp.llm.chat_model import ChatModel, ChatReply, EchoRequest, LlmRequest, WrappedModel

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

    @override
    async def send(self, request: LlmRequest) -> ChatReply:
        """The reply of the wrapped model.

        Raises:
            PromptTooLongError: prompt and reply together exceed its context; nothing was sent.
        """
        features, chat = self.features, request
        if isinstance(chat, EchoRequest):
            chat = chat.as_chat
        turns = [(message.role, message.content) for message in chat.messages]
        n_reply = chat.max_tokens + (0 if chat is not request else features.hidden_tokens)
        if not has_room(turns, reply_tokens=n_reply, n_ctx=features.n_ctx, counter=self._counter):
            msg = (
                f"the text has {prompt_tokens(turns, self._counter):,} tokens with its prompt and "
                f"needs {n_reply:,} for the reply, the model takes {features.n_ctx:,}"
            )
            raise PromptTooLongError(msg)
        return await self._pass_on(request)


def _n_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
