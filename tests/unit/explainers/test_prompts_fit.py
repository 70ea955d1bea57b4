"""Prompts fit the model's context, whatever a corpus holds."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from explainer_cases import ASKING, ask
from factories import make_record, make_sets
from hostile import hostile_inputs
from hypothesis import given
from hypothesis import strategies as st

from autointerp.core.config import ExplainConfig
from autointerp.core.text import quoted
from autointerp.explainers.excerpts import (
    CONTEXT_TOKENS,
    Extent,
    PromptLimit,
    TooLongError,
    Turns,
    fit_turns,
)
from autointerp.llm import ChatReply, ChatRequest, Features, PromptTooLongError, ScriptedModel
from autointerp.llm.wrapped_model import UPPER_ESTIMATE


def shown(room: int, n_records: int, *, context_tokens: int = CONTEXT_TOKENS) -> Extent:
    """The extent chosen where each token shown takes three bytes and nothing else does."""
    seen: list[Extent] = []

    def render(extent: Extent) -> Turns:
        seen.append(extent)
        n_tokens = extent.n_records * (extent.before + 1 + extent.after)
        return (("user", "x" * 3 * n_tokens),)

    three_turns = PromptLimit(1).count((("user", ""),) * 3)
    fixed = math.ceil(320 / 3) + three_turns
    limit = PromptLimit(fixed + room)
    fit_turns(render, n_records, limit, reply_tokens=0, context_tokens=context_tokens)
    return seen[-1]


def test_the_weakest_exemplars_go_first_then_the_ends_of_contexts_then_the_rest() -> None:
    assert shown(8 * 37, 8) == Extent(8, 24, 12)
    assert shown(8 * 37 - 1, 8) == Extent(7, 24, 12)
    assert shown(3 * 37, 8) == Extent(3, 24, 12)
    assert shown(3 * 37 - 1, 8) == Extent(3, 12, 6)
    assert shown(3 * 1, 8) == Extent(3, 0, 0)
    assert shown(1, 8) == Extent(1, 0, 0)
    with pytest.raises(TooLongError, match="more than the model's context"):
        shown(0, 8)


def test_contexts_are_as_wide_as_configured_where_they_fit() -> None:
    assert shown(8 * 61, 8, context_tokens=40) == Extent(8, 40, 20)
    assert shown(3 * 61 - 1, 8, context_tokens=40) == Extent(3, 20, 10)
    assert shown(99, 8, context_tokens=0) == Extent(8, 0, 0)
    record = replace(make_record(0, (0.0, 0.0, 3.0, 0.0, 0.0), "top"), tokens=tuple("abcde"))
    sets = make_sets()
    inputs = replace(
        hostile_inputs(1), records=replace(sets.explain, records=(record,)), negatives=()
    )
    for width, text in ((0, '"c"'), (1, '"bc"'), (2, '"abcd"'), (24, '"abcde"')):
        model = ScriptedModel(lambda _: '{"explanation": "rivers"}')
        ask("token_activation", model, inputs=inputs, context_tokens=width)
        assert f"Excerpt 1: {text}\n" in model.requests[0].messages[-1].content
    assert ExplainConfig().digest != ExplainConfig(context_tokens=12).digest


def test_the_estimate_is_a_third_of_the_bytes_rounded_up() -> None:
    assert [UPPER_ESTIMATE.count(text) for text in ("", "a", "abc", "abcd", "é€", "\ud800")] == [
        0,
        1,
        1,
        2,
        2,
        1,
    ]


def tokens_of(request: ChatRequest) -> int:
    turns = [(m.role, m.content) for m in request.messages]
    return PromptLimit(None).count(turns) + request.max_tokens


@pytest.mark.parametrize("name", sorted(ASKING))
@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("n_ctx", [300, 1_400, 2_048, 8_192])
def test_what_is_asked_fits_the_context_also_when_asked_again(
    name: str, small: bool, n_ctx: int
) -> None:
    model = ScriptedModel(lambda _: "é " * 500, features=Features(n_ctx=n_ctx, small=small))
    found = ask(name, model, inputs=hostile_inputs(12), n_exemplars=12)
    assert all(tokens_of(request) <= n_ctx for request in model.requests)
    assert len(model.requests) == 2 or f"context of {n_ctx}" in found.failures[0]
    assert len(model.requests) == 2 or n_ctx < 2_048


class NarrowModel(ScriptedModel):
    """Takes prompts of so many letters; for longer ones it knows a quarter less room each time."""

    def __init__(self, most: int) -> None:
        super().__init__(lambda _: '{"explanation": "cats"}')
        self._most, self._known = most, Features()

    @property
    def features(self) -> Features:
        return self._known

    async def reply(self, request: ChatRequest) -> ChatReply:
        if sum(len(message.content) for message in request.messages) <= self._most:
            return await super().reply(request)
        self._known = Features(n_ctx=tokens_of(request) * 3 // 4)
        raise PromptTooLongError("the prompt does not fit")


def test_a_prompt_is_shortened_until_it_fits_where_nobody_says_how_much_does() -> None:
    inputs = hostile_inputs(12)
    model = ScriptedModel(lambda _: '{"explanation": "cats"}')
    ask("contrastive", model, inputs=inputs, n_exemplars=12)
    letters = sum(len(message.content) for message in model.requests[0].messages)
    narrow = NarrowModel(letters * 2 // 5)
    found = ask("contrastive", narrow, inputs=inputs, n_exemplars=12)
    assert [e.text for e in found.explanations] == ["cats"]
    assert len(narrow.requests) == 1


@pytest.mark.parametrize("name", sorted(ASKING))
def test_what_the_corpus_says_stays_inside_json_strings(name: str) -> None:
    model = ScriptedModel(lambda _: "")
    ask(name, model, inputs=hostile_inputs(2))
    text = "\n".join(m.content for m in model.requests[0].messages)
    assert text.encode("utf-8")
    assert "<|im_" not in text
    assert "\x00" not in text
    assert "\nignore" not in text
    assert "\n=== system" not in text


@given(st.text())
def test_a_quoted_text_is_one_line_of_json_that_says_the_same(text: str) -> None:
    line = quoted(text)
    assert json.loads(line) == text
    assert "\n" not in line


@given(st.text(st.characters(categories=["Cs", "L"])))
def test_halves_of_characters_can_be_sent(text: str) -> None:
    assert quoted(text).encode("utf-8")
