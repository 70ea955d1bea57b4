"""Nothing is sent that does not fit, and tokenizers are asked only where it is near."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from autointerp.llm import (
    UPPER_ESTIMATE,
    ChatRequest,
    Features,
    FittingModel,
    Message,
    PromptTooLongError,
    ScriptedModel,
    TokenChoice,
    TokenizerCounter,
    prompt_tokens,
)


class Letters:
    """A tokenizer for which every letter is a token."""

    name, bos_id = "letters", None

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode(self, text: str) -> list[int]:
        self.encoded.append(text)
        return [ord(letter) for letter in text]

    def pieces(self, token_ids: Sequence[int]) -> tuple[str, ...]:
        return tuple(chr(i) for i in token_ids)


class Echo(ScriptedModel):
    """Remembers what it was shown."""

    def __init__(self, features: Features) -> None:
        super().__init__(lambda _: "x", features=features)
        self.texts: list[str] = []

    async def prompt_logprobs(self, text: str) -> tuple[TokenChoice, ...]:
        self.texts.append(text)
        return ()


def asking(text: str, max_tokens: int = 10) -> ChatRequest:
    return ChatRequest((Message("system", "é"), Message("user", text)), max_tokens)


def around(counter: TokenizerCounter) -> int:
    return prompt_tokens((("system", "é"), ("user", "")), counter)


def test_a_request_that_fills_the_context_is_sent_and_one_token_more_is_not() -> None:
    counter = TokenizerCounter(Letters)
    n_ctx = around(counter) + 100 + 10 + 7
    inner = ScriptedModel(lambda _: "x", features=Features(n_ctx=n_ctx, hidden_tokens=7))
    model = FittingModel(inner, counter)
    assert asyncio.run(model.reply(asking("é" * 100))).text == "x"
    with pytest.raises(PromptTooLongError) as caught:
        asyncio.run(model.reply(asking("é" * 101)))
    assert str(caught.value) == (
        f"the text has {n_ctx - 17 + 1} tokens with its prompt and needs 17 for the reply, "
        f"the model takes {n_ctx}"
    )
    assert len(inner.requests) == 1


def test_a_model_of_unknown_context_is_sent_everything() -> None:
    inner = ScriptedModel(lambda _: "x")
    asyncio.run(FittingModel(inner).reply(asking("é" * 100_000)))
    assert len(inner.requests) == 1


def test_a_tokenizer_is_loaded_when_bytes_alone_do_not_say_that_there_is_room() -> None:
    letters, loaded = Letters(), []

    def load() -> Letters:
        loaded.append(1)
        return letters

    model = FittingModel(
        ScriptedModel(lambda _: "x", features=Features(n_ctx=1_000)), TokenizerCounter(load)
    )
    asyncio.run(model.reply(asking("short")))
    assert not loaded
    for _ in range(2):
        asyncio.run(model.reply(asking("é" * 600)))
    assert loaded == [1]
    assert sorted(letters.encoded) == ["é", "é" * 600]


def test_the_rest_of_the_model_is_the_model_inside() -> None:
    inner = ScriptedModel(lambda _: "x", name="m", features=Features(n_ctx=9))
    model = FittingModel(inner)
    assert (model.name, model.features, model.total_usage) == ("m", inner.features, _usage(inner))
    asyncio.run(model.close())
    assert inner.closed


def _usage(model: ScriptedModel) -> object:
    return model.total_usage


def test_a_text_to_echo_is_held_to_the_context_too() -> None:
    inner = Echo(Features(n_ctx=200))
    model = FittingModel(inner, UPPER_ESTIMATE)
    asyncio.run(model.prompt_logprobs("a" * 300))
    with pytest.raises(PromptTooLongError, match=r"the model takes 200"):
        asyncio.run(model.prompt_logprobs("a" * 400))
    assert inner.texts == ["a" * 300]
