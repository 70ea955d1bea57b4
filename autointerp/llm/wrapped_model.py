"""Models around models: one that passes on, one that sends only what fits, several as one."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Protocol

from typing_extensions import override

from autointerp.core.errors import InputError, RequestFailedError, RequestRefusedError
from autointerp.core.explanations import REFUSED
from autointerp.core.text import TextTokenizer
from autointerp.llm.chat_model import (
    ChatModel,
    ChatReply,
    ChatRequest,
    EchoModel,
    EchoRequest,
    EchoUnsupportedError,
    Features,
    LlmRequest,
    TokenChoice,
    TotalUsage,
    Usage,
)

# What a chat template puts around a turn; and around a prompt, with the system prompt that some
# add by themselves (SmolLM2's takes 21 tokens).
_PER_TURN, _PER_REQUEST = 8, 64
_TEXTS_KEPT = 256


class WrappedModel(ChatModel):
    """A chat model around another one; what wraps a model that echoes does so too.

    Subclasses override `send`, through which requests of both kinds go: what holds for replies
    (nobody pays twice, no limit is exceeded) holds for log-probabilities of texts.
    """

    def __init__(self, model: ChatModel) -> None:
        self.wrapped = model

    @property
    @override
    def name(self) -> str:
        return self.wrapped.name

    @property
    @override
    def features(self) -> Features:
        return self.wrapped.features

    @property
    @override
    def total_usage(self) -> TotalUsage:
        return self.wrapped.total_usage

    async def send(self, request: LlmRequest) -> ChatReply:
        """The reply to a request; for an echo, the text's tokens as those of the reply."""
        return await self._pass_on(request)

    async def _pass_on(self, request: LlmRequest) -> ChatReply:
        model = self.wrapped
        if isinstance(model, WrappedModel):
            return await model.send(request)
        if isinstance(request, ChatRequest):
            return await model.reply(request)
        if not isinstance(model, EchoModel):
            msg = f"{model.name} gives no log-probabilities of texts; use another LLM"
            raise EchoUnsupportedError(msg)
        tokens = await model.prompt_logprobs(request.text)
        return ChatReply("", "stop", tokens, Usage(len(tokens), 1), model.name)

    @override
    async def reply(self, request: ChatRequest) -> ChatReply:
        return await self.send(request)

    async def prompt_logprobs(self, text: str) -> tuple[TokenChoice, ...]:
        """Log-probabilities of a text; see `EchoModel`."""
        return (await self.send(EchoRequest(text))).tokens or ()

    @override
    async def prepare(self) -> Usage | None:
        return await self.wrapped.prepare()

    @override
    async def close(self) -> None:
        await self.wrapped.close()


def as_echo(model: ChatModel) -> EchoModel | None:
    """The model where it, or what it wraps, says how probable texts are; None for others."""
    inner = model
    while isinstance(inner, WrappedModel):
        inner = inner.wrapped
    return model if isinstance(inner, EchoModel) and isinstance(model, EchoModel) else None


class PromptTooLongError(RequestRefusedError):
    """A request for which the model has no room: it is not sent, or was cut."""


def why_refused(error: RequestRefusedError) -> str:
    """Why there is no answer to a question that was refused, failed, or was not sent at all."""
    was_asked = not isinstance(error, PromptTooLongError | RequestFailedError)
    return f"{REFUSED}{error}" if was_asked else str(error)


def refused_first(reason: str) -> str:
    """The reason why a unit failed; where that is a refusal, it begins with ``refused: ``.

    What a model or a service said stands behind a colon of ours, in quotes or at the end.
    """
    match = re.match(rf"((?:[^:'\"]+: )*?)(?:{REFUSED}|(?=the reply is a refusal))", reason)
    return f"{REFUSED}{match[1]}{reason[match.end() :]}" if match else reason


class TokenCounter(Protocol):
    """Counts tokens as the LLM does."""

    def count(self, text: str) -> int:
        """Tokens that a text takes."""


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
    turns: Sequence[tuple[str, str]], *, reply_tokens: int, n_ctx: int | None, counter: TokenCounter
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

    def __init__(
        self, model: ChatModel, counter: TokenCounter = UPPER_ESTIMATE, *, judges: bool = False
    ) -> None:
        """Wraps a model; a judge's replies to prompts that were seen to be cut count as none."""
        super().__init__(model)
        self._counter, self._judges = counter, judges

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
            raise PromptTooLongError(
                f"the text has {prompt_tokens(turns, self._counter):,} tokens with its prompt and "
                f"needs {n_reply:,} for the reply, the model takes {features.n_ctx:,}"
            )
        reply = await self._pass_on(request)
        if reply.prompt_cut and self._judges:
            raise PromptTooLongError(
                f"the endpoint read only {reply.usage.prompt_tokens:,} tokens of the prompt; "
                "give it a larger context (num_ctx for Ollama)"
            )
        return reply


def _n_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


class ModelPool(ChatModel):
    """Gives each model one request at a time; requests wait for a free one."""

    def __init__(self, models: Sequence[ChatModel]) -> None:
        if not models:
            raise InputError("a pool needs at least one model, found none")
        self._models = tuple(models)
        self._free: asyncio.Queue[ChatModel] | None = None

    @property
    @override
    def name(self) -> str:
        return self._models[0].name

    @property
    @override
    def features(self) -> Features:
        return self._models[0].features

    @property
    @override
    def total_usage(self) -> TotalUsage:
        totals = [model.total_usage for model in self._models]
        return TotalUsage(*(sum(getattr(t, f.name) for t in totals) for f in fields(TotalUsage)))

    @override
    async def reply(self, request: ChatRequest) -> ChatReply:
        """The reply of the first model that is free."""
        if self._free is None:
            self._free = asyncio.Queue()
            for model in self._models:
                self._free.put_nowait(model)
        model = await self._free.get()
        try:
            return await model.reply(request)
        finally:
            self._free.put_nowait(model)

    @override
    async def close(self) -> None:
        results = await asyncio.gather(
            *(model.close() for model in self._models), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
