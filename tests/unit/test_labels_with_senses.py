"""Senses of a label: levels fitted on validation windows, mass and receipts beside the scores."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from factories import make_provenance, make_sets, make_stats
from graded_llm import GradedLLM, graded_model
from judged_text import CONCEPTS, make_windows, saying

from autointerp.core.config import ScoreConfig
from autointerp.core.explanations import Explanation, Label
from autointerp.core.records import TokenMeans
from autointerp.core.sense_types import Sense
from autointerp.llm import ScriptedModel
from autointerp.pipeline import Selection, Tools, UnitInput, label_unit
from autointerp.pipeline.fitted_senses import fit_senses, levels_of, sense_scores
from autointerp.scorers import ScoringSet
from autointerp.scorers.simulation.senses_simulation import SensesSimulation

# Months are active at 4 of a peak of 4; rivers and stones stand in half of the texts, silent.
VALIDATION, HELD_OUT = make_windows(seed=1), make_windows(seed=2)


class Words:
    """A tokenizer whose tokens are their numbers."""

    name, bos_id = "numbers", None

    def encode(self, text: str) -> list[int]:
        return [int(word) for word in text.split()]

    def pieces(self, token_ids: Sequence[int]) -> tuple[str, ...]:
        return tuple(f" {i}" for i in token_ids)


def having(levels: Mapping[str, float]) -> Explanation:
    senses = tuple(Sense(name, level) for name, level in levels.items())
    return replace(saying("; ".join(levels)), senses=senses)


def judge(ability: float = 1.0) -> SensesSimulation:
    rules = {
        name: lambda tokens, words=words: [10 * (t.strip() in words) for t in tokens]
        for name, words in CONCEPTS.items()
    }
    return SensesSimulation(graded_model(GradedLLM(rules, ability=ability)))


def population(explanation: Explanation, windows: ScoringSet = HELD_OUT) -> float:
    (result,), _ = asyncio.run(judge().score_together([explanation], windows))
    return result.score("population").value or 0.0


GUESSED = having({"rivers": 8, "months": 6, "stones": 5})


def test_levels_are_fitted_and_senses_that_predict_nothing_are_dropped() -> None:
    fitted, score = asyncio.run(fit_senses(judge(), GUESSED, VALIDATION))
    assert [sense.description for sense in fitted.senses] == ["months"]
    assert fitted.text == "months"
    assert fitted.senses[0].activation == pytest.approx(3.2, abs=0.8)
    assert fitted.background == pytest.approx(0.0, abs=0.05)
    assert (score.value or 0.0) > 0.9


def test_fitted_levels_predict_other_text_better_than_guessed_ones() -> None:
    fitted, _ = asyncio.run(fit_senses(judge(), GUESSED, VALIDATION))
    assert population(fitted) > 0.95
    assert population(fitted) > population(GUESSED) + 0.3


def test_senses_are_all_kept_where_none_predicts_anything() -> None:
    wrong = having({"rivers": 8, "stones": 5})
    fitted, score = asyncio.run(fit_senses(judge(), wrong, VALIDATION))
    assert [sense.description for sense in fitted.senses] == ["rivers", "stones"]
    assert all((sense.activation or 0.0) < 1.5 for sense in fitted.senses)
    assert (score.value or 0.0) < 0.1


def test_a_reader_whose_replies_cannot_be_read_leaves_the_guesses_and_says_why() -> None:
    broken = SensesSimulation(ScriptedModel(lambda _: "I would say months."))
    fitted, score = asyncio.run(fit_senses(broken, GUESSED, VALIDATION))
    assert fitted == GUESSED
    assert score.value is None
    assert "no trial could be read" in (score.reason or "")


def test_the_score_of_fitted_levels_is_of_windows_that_they_were_not_fitted_on() -> None:
    """One window's luck is no evidence: a sense that applies there alone does not score."""
    few = replace(VALIDATION, records=VALIDATION.records[:12])
    _, score = asyncio.run(fit_senses(judge(0.0), GUESSED, few))
    assert score.value is None or score.value < 0.5


def test_the_shares_of_senses_sum_to_what_is_explained_of_the_activation() -> None:
    fitted, _ = asyncio.run(fit_senses(judge(), GUESSED, VALIDATION))
    both = replace(fitted, senses=(*fitted.senses, Sense("rivers", 2, activation=0.1)))
    _, found = asyncio.run(judge().score_together([both], HELD_OUT))
    places = [None if isinstance(one, str) else one[0] for one in found]
    explained, scores = sense_scores(both, places, HELD_OUT)
    assert explained is not None
    assert explained.value == pytest.approx(1.0)
    assert sum(score.mass.value or 0.0 for score in scores) == pytest.approx(explained.value)
    assert [score.n_places > 0 for score in scores] == [True, True]
    assert (scores[0].gain.value or 0.0) > 0.9
    assert levels_of(both, HELD_OUT.peak).activations[1] == 0.1


def held_out(explanation: Explanation, *others: Explanation) -> tuple[Label, int]:
    """(its label, how many windows the reader was asked about)."""
    sets = make_sets()
    model = ScriptedModel(lambda _: json.dumps({"windows": [[]] * 20}))
    inputs = UnitInput(
        sets=sets,
        token_means=TokenMeans({1: 2.0, 2: 0.1}, {1: 5, 2: 50}, 0.2),
        stats=make_stats(),
        tokenizer=Words(),
        config=ScoreConfig(n_bootstrap=100, n_null=2, n_heldout=2, n_receipts=0),
        seed=0,
    )
    tools = Tools((), SensesSimulation(model), (), ())
    selection = Selection((), (), False, llm=explanation)
    label = asyncio.run(label_unit(inputs, selection, others, tools, make_provenance()))
    return label, len(model.requests)


RULED = Sense("every token", 4.0, program="4: position < 1\n1: position > 0")


def of(*senses: Sense) -> Explanation:
    return replace(saying("; ".join(s.description for s in senses)), senses=senses)


def test_senses_that_rules_find_are_scored_on_all_windows_without_a_question() -> None:
    all_windows = len(make_sets().held_out.records)
    label, n_asked = held_out(of(RULED), having({"rivers": 8}), of(replace(RULED, level=4.0)))
    assert n_asked == 0
    assert {len(result.trials) for result in label.results} == {all_windows}
    assert label.result("simulation_senses_null") is not None
    assert len(label.sense_scores) == 1


@pytest.mark.parametrize("own", [of(RULED, Sense("rivers", 8.0)), of(RULED)])
def test_where_a_reader_is_needed_the_windows_are_those_that_an_llm_is_asked_about(
    own: Explanation,
) -> None:
    label, n_asked = held_out(own, having({"rivers": 8}))
    assert n_asked == 1
    assert {len(result.trials) for result in label.results} == {2}
