"""A chat model that a function answers for: tests, oracles and dry runs need no LLM."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from typing_extensions import override

from autointerp.core.errors import InputError
from autointerp.llm.chat_model import (
    ChatModel,
    ChatReply,
    ChatRequest,
    Features,
    TokenChoice,
    TotalUsage,
    Usage,
    ranked,
)

Handler = Callable[[ChatRequest], str | ChatReply | Exception]
"""Answers a request: a text, a whole reply, or an exception, which is raised."""

_FEATURES = Features()


class ScriptedModel(ChatModel):
    """Replies from a handler, remembers its requests and counts words as tokens."""

    def __init__(
        self, handler: Handler, *, name: str = "scripted", features: Features = _FEATURES
    ) -> None:
        self._handler = handler
        self._name = name
        self._features = features
        self._requests: list[ChatRequest] = []
        self._total = TotalUsage()
        self._closed = False

    @property
    @override
    def name(self) -> str:
        return self._name

    @property
    @override
    def features(self) -> Features:
        return self._features

    @property
    @override
    def total_usage(self) -> TotalUsage:
        """Requests, and words as tokens."""
        return self._total

    @property
    def requests(self) -> tuple[ChatRequest, ...]:
        """Every request so far, in order."""
        return tuple(self._requests)

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    @override
    async def reply(self, request: ChatRequest) -> ChatReply:
        self._requests.append(request)
        self._total = replace(self._total, requests=self._total.requests + 1)
        made = self._handler(request)
        if isinstance(made, Exception):
            raise made
        if isinstance(made, str):
            made = self._from_text(made, request)
        self._total = self._total.plus(made.usage)
        return made

    @override
    async def close(self) -> None:
        self._closed = True

    def _from_text(self, text: str, request: ChatRequest) -> ChatReply:
        usage = Usage(
            prompt_tokens=sum(len(m.content.split()) for m in request.messages),
            completion_tokens=len(text.split()),
        )
        return ChatReply(text, "stop", None, usage, self._name)


def with_logprobs(
    text: str, choices: Iterable[tuple[str, Mapping[str, float]]], *, model: str = "scripted"
) -> ChatReply:
    """A reply whose chosen tokens carry alternatives; what lies between them is certain.

    Args:
        text: the whole reply.
        choices: in the order of the text, a token of it with the probability of each token that
            could have stood there, itself among them; below 1 in sum is fine. For levels:
            ``with_logprobs("[3, 0]", [("3", {"3": 0.8, "2": 0.2}), ("0", {"0": 1.0})])``.
        model: name of the model that says it answered.

    Raises:
        InputError: a token does not follow in the text, or has no probability itself.
    """
    tokens: list[TokenChoice] = []
    cursor = 0
    for token, probabilities in choices:
        start = text.find(token, cursor)
        if start < 0 or not token:
            msg = f"{token!r} does not follow after position {cursor} of {text!r}"
            raise InputError(msg)
        if start > cursor:
            tokens.append(_choice(text[cursor:start], {text[cursor:start]: 1.0}))
        tokens.append(_choice(token, probabilities))
        cursor = start + len(token)
    if cursor < len(text):
        tokens.append(_choice(text[cursor:], {text[cursor:]: 1.0}))
    usage = Usage(completion_tokens=len(tokens))
    return ChatReply(text, "stop", tuple(tokens), usage, model)


def _choice(token: str, probabilities: Mapping[str, float]) -> TokenChoice:
    if not probabilities.get(token, 0.0) > 0:
        msg = f"the token {token!r} itself needs a probability above 0, given were {probabilities}"
        raise InputError(msg)
    logprobs = {name: math.log(p) for name, p in probabilities.items() if p > 0}
    return TokenChoice(token, logprobs[token], ranked(logprobs.items()))
