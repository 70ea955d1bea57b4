"""A chat model that a function answers for: tests, oracles and dry runs need no LLM."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from typing_extensions import override

from autointerp.llm.chat_model import ChatReply, ChatRequest, Features, NamedModel, Usage

Handler = Callable[[ChatRequest], str | ChatReply | Exception]
"""Answers a request: a text, a whole reply, or an exception, which is raised."""

_FEATURES = Features()


class ScriptedModel(NamedModel):
    """Replies from a handler, remembers its requests and counts words as tokens."""

    def __init__(
        self, handler: Handler, *, name: str = "scripted", features: Features = _FEATURES
    ) -> None:
        super().__init__(name, features)
        self._handler = handler
        self._requests: list[ChatRequest] = []
        self.closed = False

    @override
    def __repr__(self) -> str:
        return f"ScriptedModel({self.name}, {len(self._requests):,} requests)"

    @property
    def requests(self) -> tuple[ChatRequest, ...]:
        """Every request so far, in order."""
        return tuple(self._requests)

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
        self.closed = True

    def _from_text(self, text: str, request: ChatRequest) -> ChatReply:
        usage = Usage(
            prompt_tokens=sum(len(m.content.split()) for m in request.messages),
            completion_tokens=len(text.split()),
        )
        return ChatReply(text, "stop", None, usage, self._name)
