"""Scorers that run texts, through the real forward pass of the planted model."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from factories import make_sets
from planted import BANK, HOOK, MONTHS, planted_subject

from autointerp.core.explanations import Explanation
from autointerp.core.ids import UnitId
from autointerp.evidence import SubjectProbe
from autointerp.llm import ChatRequest, ScriptedModel
from autointerp.scorers import ScoringSet
from autointerp.scorers.generative import Generative
from autointerp.scorers.input_based import InputTest
from autointerp.scorers.output_based import OutputTest
from autointerp.subjects import SubjectModel

WRITTEN = {"months": MONTHS, "banks": (BANK,)}


@pytest.fixture(scope="module")
def planted() -> SubjectModel:
    return planted_subject()


def writer(request: ChatRequest) -> str:
    words = next(w for name, w in WRITTEN.items() if name in request.messages[-1].content)
    n = 10 if "near misses" in request.messages[0].content else 5
    should = [f"the old stone {words[i % len(words)]} ran {i}" for i in range(n)]
    return json.dumps({"should": should, "should_not": [f"the old water {i}" for i in range(n)]})


def windows_of(subject: SubjectModel) -> ScoringSet:
    """Neuron 0, which months excite; its natural windows hold a few rivers and no month."""
    held_out = make_sets(UnitId("planted", HOOK, 0)).held_out
    records = tuple(replace(r, activations=(0.0, 0.55, 0.0, 0.0)) for r in held_out.records)
    made = ScoringSet.of(
        replace(held_out, records=records, peak=1.0), seed=0, n_bootstrap=100, confidence=0.95
    )
    longer = tuple(replace(r, tokens=r.tokens * 4) for r in made.records)
    return replace(made, records=longer, probe=SubjectProbe(subject))


def explained(text: str) -> Explanation:
    return Explanation(text, "token_activation", "m", None, 0.0, 0)


def test_texts_by_the_rule_excite_the_neuron_and_others_do_not(planted: SubjectModel) -> None:
    windows, model = windows_of(planted), ScriptedModel(writer)
    right = asyncio.run(InputTest(model).score(explained("months"), windows))
    wrong = asyncio.run(InputTest(model).score(explained("banks"), windows))
    assert right.score("difference").value == pytest.approx(1.0, abs=1e-4)
    assert wrong.score("difference").value == pytest.approx(0.0, abs=1e-4)
    clear = asyncio.run(Generative(model).score(explained("months"), windows))
    vague = asyncio.run(Generative(model).score(explained("banks"), windows))
    assert clear.score("clarity").value == 1.0
    assert vague.score("clarity").value == -1.0


def test_neurons_that_write_nothing_fail_every_trial_of_the_output_test(
    planted: SubjectModel,
) -> None:
    pool = [UnitId("planted", HOOK, index) for index in range(5)]
    found = asyncio.run(
        OutputTest(ScriptedModel(lambda _: "1"), pool).score(
            explained("months"), windows_of(planted)
        )
    )
    assert found.n_failed == found.n_asked == 10
    assert "a KL of 0.25 cannot be set" in (found.score("accuracy").reason or "")
