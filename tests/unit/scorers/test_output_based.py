"""The output test: a judge picks what was written with the unit, by the explanation."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from factories import make_unit
from plain_probe import PlainProbe
from texts_by_explanation import CATS, DOGS, WINDOWS, named

from autointerp.core.errors import InputError, RequestRefusedError
from autointerp.core.explanations import Explanation
from autointerp.core.ids import Side
from autointerp.core.scores import ScorerResult
from autointerp.llm import ChatRequest, Features, Handler, ScriptedModel
from autointerp.scorers import ScoringSet
from autointerp.scorers.output_based import OutputTest

GOLDEN = Path(__file__).parents[2] / "golden"
OWN = WINDOWS.unit
FAR = make_unit(3, hook="blocks.1.mlp.hook_post")
WORDS = {OWN: "cats", make_unit(1): "dogs", make_unit(2): "rivers", FAR: "months"}
POOL = (make_unit(9), *WORDS)
"""Unit 9 cannot be steered."""


def judge(request: ChatRequest) -> str:
    """Picks the set with the explanation's word."""
    sets = re.findall(r"^Set (\d): (.*)$", request.messages[-1].content, re.MULTILINE)
    held = [number for number, texts in sets if all(named(request) in t for t in _texts(texts))]
    return held[0] if held else "1"


def _texts(line: str) -> list[str]:
    return [str(text) for text in json.loads(f"[{line}]")]


def scored(
    handler: Handler = judge, explanation: Explanation = CATS, **changes: object
) -> ScorerResult:
    windows: ScoringSet = replace(WINDOWS, probe=PlainProbe(words=WORDS), **changes)  # type: ignore[arg-type]
    return asyncio.run(OutputTest(ScriptedModel(handler), POOL).score(explanation, windows))


def test_the_right_explanation_is_picked_and_a_wrong_one_is_not() -> None:
    right, wrong = scored(), scored(explanation=DOGS)
    accuracy = right.score("accuracy")
    assert (accuracy.value, accuracy.high) == (1.0, 1.0)
    # Wilson's lower end for ten of ten: n / (n + z^2).
    assert accuracy.low == pytest.approx(10 / (10 + 1.959964**2), abs=1e-4)
    assert wrong.score("accuracy").value == 0.0
    assert [t.stratum for t in right.trials] == ["kl=0.25"] * 5 + ["kl=0.5"] * 5
    assert [t.window for t in right.trials] == list(range(10))


def test_the_order_of_the_sets_tells_nothing() -> None:
    always = [scored(lambda _: "1", seed=seed) for seed in range(30)]
    rates = [found.score("accuracy").value or 0.0 for found in always]
    assert sum(rates) / 30 == pytest.approx(1 / 3, abs=0.1)
    assert scored(lambda _: "1", seed=3) == scored(lambda _: "1", seed=3)


def test_the_labelled_side_is_held_and_near_units_are_tried_first() -> None:
    probe = PlainProbe(words=WORDS)
    windows = replace(WINDOWS, side=Side.NEGATIVE, probe=probe)
    asyncio.run(OutputTest(ScriptedModel(judge), POOL).score(CATS, windows))
    assert {sign for unit, sign, _, _ in probe.steered if unit == OWN} == {-1}
    assert {sign for unit, sign, _, _ in probe.steered if unit != OWN} == {1}
    assert FAR not in {unit for unit, _, _, _ in probe.steered}


def test_a_divergence_that_cannot_be_reached_fails_its_trials() -> None:
    class Weak(PlainProbe):
        async def continuations(self, *args: object, target_kl: float, **rest: object) -> object:
            if target_kl > 0.3:
                raise InputError("a KL of 0.5 cannot be set")
            return await super().continuations(*args, target_kl=target_kl, **rest)  # type: ignore

    found = scored_with(Weak(words=WORDS))
    assert (found.n_asked, found.n_judged, found.n_failed) == (10, 5, 5)
    assert found.trials[9].failure == "a KL of 0.5 cannot be set"
    assert found.score("accuracy").n_windows == 5


def scored_with(probe: PlainProbe, pool: tuple[object, ...] = POOL) -> ScorerResult:
    test = OutputTest(ScriptedModel(judge), pool)  # type: ignore[arg-type]
    return asyncio.run(test.score(CATS, replace(WINDOWS, probe=probe)))


def test_without_units_to_tell_apart_there_is_no_score() -> None:
    alone = scored_with(PlainProbe(words=WORDS), (OWN, make_unit(1)))
    assert alone.score("accuracy").reason == "there are no two other units to tell it from"
    stuck = scored_with(PlainProbe(words={OWN: "cats"}))
    assert stuck.n_failed == stuck.n_asked == 10
    assert "no two other units could be steered" in (stuck.score("accuracy").reason or "")
    assert "not at hand" in (scored_without_probe().score("accuracy").reason or "")


def scored_without_probe() -> ScorerResult:
    return asyncio.run(OutputTest(ScriptedModel(judge), POOL).score(CATS, WINDOWS_ALONE))


WINDOWS_ALONE = replace(WINDOWS, probe=None)


@pytest.mark.parametrize("answer", ["", "none", "4", "1 or 3", "<think>2"])
def test_an_answer_that_names_no_set_is_a_failed_trial(answer: str) -> None:
    found = scored(lambda _: answer)
    assert found.n_failed == found.n_asked == 10
    assert "one number from 1 to 3" in (found.score("accuracy").reason or "")


def test_a_refused_request_is_a_failed_trial() -> None:
    assert scored(lambda _: RequestRefusedError("no")).trials[0].failure == "refused: no"


def test_the_whole_prompt_is_the_golden_file() -> None:
    model = ScriptedModel(judge, features=Features(grammar=True))
    windows = replace(WINDOWS, probe=PlainProbe(words=WORDS))
    asyncio.run(OutputTest(model, POOL).score(CATS, windows))
    text = "\n".join(f"=== {m.role}\n{m.content}" for m in model.requests[0].messages) + "\n"
    assert text == (GOLDEN / "pick_continuations_v1.txt").read_text(encoding="utf-8")
    assert model.requests[0].grammar == "root ::= [1-3]"
