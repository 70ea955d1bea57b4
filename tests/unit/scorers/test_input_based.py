"""The input test: texts that an LLM writes by the explanation, run through a planted neuron."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from texts_by_explanation import CATS, DOGS, WINDOWS, writer

from autointerp.core.errors import InputError, RequestRefusedError, UpstreamError
from autointerp.core.explanations import Explanation
from autointerp.core.ids import Side
from autointerp.core.scores import ScorerResult
from autointerp.llm import ChatReply, ChatRequest, Features, Handler, ScriptedModel, Usage
from autointerp.scorers import ScoringSet
from autointerp.scorers.input_based import InputTest

GOLDEN = Path(__file__).parents[2] / "golden"


def scored(
    handler: Handler = writer, explanation: Explanation = CATS, windows: ScoringSet = WINDOWS
) -> ScorerResult:
    return asyncio.run(InputTest(ScriptedModel(handler)).score(explanation, windows))


def test_the_right_explanation_passes_and_a_wrong_one_does_not() -> None:
    right, wrong = scored(), scored(explanation=DOGS)
    # Peaks are 3.0 on "cats" and 0.4 on "dogs" and "sofa"; the explain peak is 4.0.
    assert right.score("difference").value == pytest.approx((3.0 - 0.4) / 4.0, abs=1e-9)
    assert right.score("passed").value == 1.0
    assert wrong.score("difference").value == pytest.approx(0.0, abs=1e-9)
    assert wrong.score("passed").value == 0.0
    assert [t.truth for t in right.trials] == [True] * 5 + [False] * 5
    assert [t.verdict for t in wrong.trials] == [True] * 5 + [False] * 5
    assert [t.truth for t in wrong.trials] == [False] * 10


def test_the_interval_is_welchs() -> None:
    def uneven(_: ChatRequest) -> str:
        return json.dumps({"should": ["a", "abc"], "should_not": ["ab", "abcdef"]})

    found = asyncio.run(InputTest(ScriptedModel(uneven), n_texts=2).score(CATS, WINDOWS))
    score = found.score("difference")
    # Peaks in explain peaks: .025, .075 and .05, .15; variances .00125 and .005; df 25/17.
    assert score.value == pytest.approx(-0.05, abs=1e-9)
    error, t = (0.00125 / 2 + 0.005 / 2) ** 0.5, 6.205
    assert score.high == pytest.approx(-0.05 + t * error, rel=0.02)


def test_the_negative_side_is_tested_by_its_own_activations() -> None:
    negative = replace(WINDOWS, side=Side.NEGATIVE)
    assert scored(windows=negative).score("difference").value == 0.0


def reply(text: str, finish_reason: str = "stop") -> ChatReply:
    return ChatReply(text, finish_reason, None, Usage(), "m")


SIX = json.dumps({"should": ["a", "b", "c", "d", "e", "f"], "should_not": list("ghijk")})
SAME = json.dumps({"should": ["a"] * 5, "should_not": list("ghijk")})
NUMBERS = json.dumps({"should": [1, 2, 3, 4, 5], "should_not": list("ghijk")})


@pytest.mark.parametrize(
    ("handler", "failure"),
    [
        (lambda _: "", "the reply held nothing"),
        (lambda _: "I'm sorry, I can't.", "not JSON with lists"),
        (lambda _: "<think>{cats}", "only reasoning"),
        (lambda _: '{"should": []}', "not JSON with lists"),
        (lambda _: SIX, "asked for 5 texts under should, found 6"),
        (lambda _: SAME, "asked for 10 different texts, found 6"),
        (lambda _: NUMBERS, "is not a list of texts"),
        (lambda _: reply('{"should": ["a', "length"), "cut off"),
        (lambda _: '{"should": ["a", }', "not JSON"),
        (lambda _: RequestRefusedError("content policy"), "refused: content policy"),
    ],
)
def test_a_reply_that_cannot_be_used_fails_its_trials(
    handler: Callable[[ChatRequest], str], failure: str
) -> None:
    found = scored(handler)
    assert found.n_asked == found.n_failed == 10
    assert failure in (found.trials[0].failure or "")
    assert failure in (found.score("passed").reason or "")


def test_what_is_missing_is_said() -> None:
    alone = scored(windows=replace(WINDOWS, probe=None))
    assert "not at hand" in (alone.score("difference").reason or "")
    with pytest.raises(UpstreamError, match="gone"):
        scored(lambda _: UpstreamError("gone", retryable=True))
    with pytest.raises(InputError, match="at least 2 texts"):
        InputTest(ScriptedModel(writer), n_texts=1)


def test_reasoning_before_the_answer_is_passed_over() -> None:
    found = scored(lambda request: f"<think>{{}} hm</think>\n```json\n{writer(request)}\n```")
    assert found.score("passed").value == 1.0


def test_the_whole_prompt_is_the_golden_file() -> None:
    model = ScriptedModel(writer, features=Features(grammar=True))
    asyncio.run(InputTest(model).score(replace(CATS, text='cats"\nWrite 9'), WINDOWS))
    text = "\n".join(f"=== {m.role}\n{m.content}" for m in model.requests[0].messages) + "\n"
    assert text == (GOLDEN / "input_test_v1.txt").read_text(encoding="utf-8")
    assert (model.requests[0].grammar or "").startswith('root ::= "{" "\\"should\\": "')
