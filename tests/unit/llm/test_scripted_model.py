from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_logprobs import with_logprobs

from autointerp.core.errors import InputError, RequestRefusedError
from autointerp.llm import ChatRequest, Features, Message, ScriptedModel


def question(text: str) -> ChatRequest:
    return ChatRequest((Message("system", "count words"), Message("user", text)), 8)


def test_the_handler_reads_the_request_and_words_are_counted() -> None:
    model = ScriptedModel(lambda r: r.messages[-1].content.upper(), features=Features(small=True))
    reply = asyncio.run(model.reply(question("a b c")))
    assert reply.text == "A B C"
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (5, 3)
    assert model.requests == (question("a b c"),)
    assert model.features.small


def test_an_exception_is_raised_and_the_request_counted() -> None:
    model = ScriptedModel(lambda _: RequestRefusedError("no"))
    with pytest.raises(RequestRefusedError, match="no"):
        asyncio.run(model.reply(question("a")))
    assert (model.total_usage.requests, model.total_usage.prompt_tokens) == (1, 0)


def test_levels_come_with_their_alternatives() -> None:
    reply = with_logprobs("[3, 0]", [("3", {"2": 0.2, "3": 0.8, "4": 0.0}), ("0", {"0": 1.0})])
    assert reply.tokens is not None
    assert [token.token for token in reply.tokens] == ["[", "3", ", ", "0", "]"]
    assert reply.tokens[1].alternatives == (("3", math.log(0.8)), ("2", math.log(0.2)))
    assert reply.tokens[0].logprob == 0.0


@given(st.lists(st.integers(0, 10).map(str), min_size=1), st.sampled_from([",", "\n", "\t"]))
def test_tokens_joined_are_the_text(levels: list[str], separator: str) -> None:
    text = separator.join(levels)
    reply = with_logprobs(text, [(level, {level: 0.5}) for level in levels])
    assert reply.tokens is not None
    assert "".join(token.token for token in reply.tokens) == text


def test_a_token_that_does_not_follow_is_refused() -> None:
    with pytest.raises(InputError, match="'5' does not follow after position 1 of '5 3'"):
        with_logprobs("5 3", [("5", {"5": 1.0}), ("5", {"5": 1.0})])


def test_a_chosen_token_without_probability_is_refused() -> None:
    with pytest.raises(InputError, match="the token '5' itself needs a probability above 0"):
        with_logprobs("5", [("5", {"4": 1.0})])
