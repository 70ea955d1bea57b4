"""What every chat model keeps to, whoever answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from fake_endpoint import FakeEndpoint
from scripted_logprobs import with_logprobs

from autointerp.llm import (
    CachedModel,
    ChatModel,
    ChatReply,
    ChatRequest,
    EmbeddedOptions,
    EmbeddedServer,
    Message,
    OpenAICompatible,
    ScriptedModel,
)

T = TypeVar("T")
ASK = ChatRequest((Message("user", "Count from one to three."),), 8)
KINDS = ["scripted", "openai", "cached scripted", "cached openai", "embedded", "cached embedded"]


def answer(request: ChatRequest) -> ChatReply:
    tokens = [("3", {"3": 0.5, "2": 0.3, "7": 0.1}), ("0", {"0": 0.9, "1": 0.1})]
    reply = with_logprobs("3, 0", tokens)
    return reply if request.top_logprobs else replace(reply, tokens=None)


@pytest.fixture(scope="module")
def embedded() -> Iterator[EmbeddedServer]:
    with EmbeddedServer(options=EmbeddedOptions(n_parallel=2, n_ctx=512, n_threads=1)) as server:
        yield server


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], ChatModel]]:
    with ExitStack() as stack:

        def plain() -> ChatModel:
            if "scripted" in request.param:
                return ScriptedModel(answer)
            if "openai" in request.param:
                endpoint = stack.enter_context(FakeEndpoint(answer))
                return OpenAICompatible(endpoint.base_url, "fake")
            server: EmbeddedServer = request.getfixturevalue("embedded")
            return server.connect()

        def _make() -> ChatModel:
            cached = request.param.startswith("cached")
            return CachedModel(plain(), tmp_path) if cached else plain()

        yield _make


def use(make: Callable[[], ChatModel], act: Callable[[ChatModel], Awaitable[T]]) -> T:
    async def _use() -> T:
        model = make()
        try:
            return await act(model)
        finally:
            await model.close()

    return asyncio.run(_use())


def test_a_reply_says_who_answered_and_what_it_cost(make: Callable[[], ChatModel]) -> None:
    async def act(model: ChatModel) -> None:
        reply = await model.reply(ASK)
        assert reply.text
        assert reply.finish_reason in {"stop", "length"}
        assert reply.model == model.name or isinstance(model, ScriptedModel | CachedModel)
        assert reply.usage.completion_tokens > 0
        assert not reply.from_cache

    use(make, act)


def test_no_log_probabilities_come_unasked(make: Callable[[], ChatModel]) -> None:
    assert use(make, lambda model: model.reply(ASK)).tokens is None


def test_log_probabilities_are_ranked_and_hold_the_token(make: Callable[[], ChatModel]) -> None:
    reply = use(make, lambda model: model.reply(replace(ASK, top_logprobs=4)))
    assert reply.tokens
    assert "".join(token.token for token in reply.tokens) == reply.text
    for token in reply.tokens:
        logprobs = [logprob for _, logprob in token.alternatives]
        assert logprobs == sorted(logprobs, reverse=True)
        assert all(logprob <= 0 for logprob in logprobs)
        assert (token.token, token.logprob) in token.alternatives


def test_calls_at_once_are_all_answered(make: Callable[[], ChatModel]) -> None:
    async def act(model: ChatModel) -> list[ChatReply]:
        requests = [replace(ASK, seed=seed, max_tokens=3) for seed in range(6)]
        return list(await asyncio.gather(*(model.reply(request) for request in requests)))

    assert all(reply.text for reply in use(make, act))


def test_usage_adds_up(make: Callable[[], ChatModel]) -> None:
    async def act(model: ChatModel) -> None:
        await model.prepare()
        before = model.total_usage
        replies = [await model.reply(replace(ASK, seed=seed, max_tokens=3)) for seed in (1, 2, 1)]
        total = model.total_usage
        paid = [reply.usage for reply in replies if not reply.from_cache]
        assert total.requests - before.requests == len(paid)
        assert total.cached_replies == len(replies) - len(paid)
        paid_tokens = sum(usage.completion_tokens for usage in paid)
        assert total.completion_tokens - before.completion_tokens == paid_tokens
        assert total.retries == 0

    use(make, act)


def test_a_model_has_one_name_and_closes_twice(make: Callable[[], ChatModel]) -> None:
    async def act(model: ChatModel) -> str:
        before = model.name
        await model.close()
        assert model.name == before
        return before

    assert use(make, act)


def test_features_bound_what_is_asked(make: Callable[[], ChatModel]) -> None:
    async def act(model: ChatModel) -> None:
        most = model.features.max_top_logprobs
        reply = await model.reply(replace(ASK, top_logprobs=most + 50, max_tokens=2))
        assert reply.tokens
        assert all(len(token.alternatives) <= most + 1 for token in reply.tokens)

    use(make, act)
