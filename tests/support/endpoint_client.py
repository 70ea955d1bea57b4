"""A client of a fake endpoint that waits for nothing, and what it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted_logprobs import with_logprobs

from autointerp.core.errors import UpstreamError
from autointerp.llm import (
    ChatReply,
    ChatRequest,
    ClientDependencies,
    ClientOptions,
    Features,
    Message,
    OpenAICompatible,
)

KEY = "sk-very-secret"
HELLO = ChatRequest((Message("user", "say hello"),), 16)
LEVELS = with_logprobs("3, 0", [("3", {"3": 0.6, "2": 0.3, "5": 0.1}), ("0", {"0": 0.9})])

Ask = Callable[..., ChatReply]
"""Sends one request, ``HELLO`` if none is given, by a client with the options given."""


class Clockwork:
    """A sleep that returns at once and remembers; a clock that stands still."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def clock(self) -> float:
        return 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT


class TurningClock(Clockwork):
    """A clock that sleeping moves on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = super().clock()

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def clock(self) -> float:
        return self.now


def client(base_url: str, world: Clockwork, **more: object) -> OpenAICompatible:
    features = more.pop("features", Features())
    assert isinstance(features, Features)
    capabilities = more.pop("capabilities", None)
    # Most tests are about one request; those of negotiation ask for it.
    more.setdefault("negotiates", False)
    assert capabilities is None or isinstance(capabilities, Path)
    return OpenAICompatible(
        base_url,
        "fake",
        api_key=KEY,
        features=features,
        options=ClientOptions(**more),  # type: ignore[arg-type]
        dependencies=ClientDependencies(sleep=world.sleep, clock=world.clock),
        capabilities=capabilities,
    )


def run(model: OpenAICompatible, *requests: ChatRequest) -> ChatReply:
    """The last reply; the client is closed."""

    async def _run() -> ChatReply:
        try:
            replies = await asyncio.gather(*(model.reply(request) for request in requests))
        finally:
            await model.close()
        return replies[-1]

    return asyncio.run(_run())


def failure(ask: Ask, **options: object) -> UpstreamError:
    """What asking fails with, which tells no key."""
    with pytest.raises(UpstreamError) as caught:
        ask(**options)
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value
