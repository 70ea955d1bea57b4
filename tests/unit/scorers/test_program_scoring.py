"""Programs score as what they predict: the true one near 1, wrong ones below it."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest
from factories import make_sets, make_unit

from autointerp.core.errors import InputError
from autointerp.core.ids import Side
from autointerp.core.records import ActivationRecord, Stratum
from autointerp.core.scores import ScorerResult
from autointerp.explainers.program import program_explanation
from autointerp.scorers.rule_scorers import Programs
from autointerp.scorers.scorer_inputs import ScoringSet, predicted_result, predicted_results

WORDS = (" the", " wide", " Rhine", " Nile", " bank", " May", " old", ",")
TRUE = '10: token = " bank" and before ~ /(Rhine|Nile) bank$/\n4: token ~ / ?May/'
PEAK = 2.5


def planted(tokens: list[str]) -> tuple[float, ...]:
    """1 on " bank" behind a river, 0.42 on " May", each times the peak; negative elsewhere."""
    values = []
    for previous, token in zip(["", *tokens], tokens, strict=False):
        on_bank = token == " bank" and previous in (" Rhine", " Nile")
        values.append(PEAK if on_bank else 0.42 * PEAK if token == " May" else -0.1)
    return tuple(values)


def windows(side: Side = Side.POSITIVE, n: int = 30) -> ScoringSet:
    rng = random.Random(0)
    records = []
    for number in range(n):
        tokens = rng.choices(WORDS, k=24)
        records.append(
            ActivationRecord(
                window=number,
                document=f"{number}",
                offset=0,
                token_ids=tuple(map(WORDS.index, tokens)),
                tokens=tuple(tokens),
                activations=tuple(side.sign * value for value in planted(tokens)),
                stratum="top",
                weight=1.0,
            )
        )
    strata = (Stratum("top", n, n, 0.0, PEAK),)
    return ScoringSet(make_unit(), side, tuple(records), strata, PEAK, 0, n_bootstrap=200)


def scored(program: str, side: Side = Side.POSITIVE) -> ScorerResult:
    return asyncio.run(Programs().score(program_explanation(program), windows(side)))


def test_predictions_of_other_lengths_than_the_windows_are_refused() -> None:
    asked = windows(n=2)
    with pytest.raises(InputError, match=r"predicted 48 values in 2 windows of 2 with 48 tokens"):
        predicted_result("none", "", asked, [[0.0] * 20, [1.0] * 28])
    with pytest.raises(InputError, match=r"predicted 24 values in 1 windows"):
        predicted_result("none", "", asked, [[0.0] * 24])


def test_a_program_of_which_only_some_windows_are_tried_is_scored_beside_one_of_all() -> None:
    every, part = windows(), windows().first(10)
    program = program_explanation(TRUE)
    predictions = [Programs().predict(program, each) for each in (every, part, every)]
    results = predicted_results(predictions)
    assert [result.n_asked for result in results] == [30, 10, 30]
    assert results[0] == results[2]
    assert results[1] == asyncio.run(Programs().score(program, part))


@pytest.mark.parametrize("side", list(Side))
def test_the_true_program_scores_near_1_on_either_side(side: Side) -> None:
    result = scored(TRUE, side)
    population = result.score("population").value
    assert population is not None
    assert population >= 0.99
    assert (result.n_asked, result.n_failed) == (30, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        '10: token = " bank"',
        '10: previous = " Rhine" or previous = " Nile"',
        '10: token = " bank" and before ~ /Rhine bank$/',
        "10: position < 3",
        '10: token = " old"',
    ],
)
def test_a_wrong_program_scores_below(wrong: str) -> None:
    value = scored(wrong).score("population").value
    assert value is not None
    assert value < 0.9


def test_levels_become_activations_by_the_explain_sets_peak() -> None:
    held_out = ScoringSet.of(make_sets().held_out, seed=0, n_bootstrap=200, confidence=0.95)
    explanation = program_explanation('5: token = " river"')
    result = asyncio.run(Programs().score(explanation, held_out))
    assert result.trials[0].predicted == (0.0, 2.0, 0.0, 0.0)
    assert (result.scorer, result.explanation) == ("program", '5: token = " river"')


def test_a_program_that_never_matches_has_no_correlation() -> None:
    score = scored('10: token = "absent"').score("population")
    assert score.value is None
    assert score.reason is not None


def test_words_are_not_scored_as_a_program() -> None:
    words = replace(program_explanation('5: token = "a"'), program=None)
    with pytest.raises(InputError, match="is not a program"):
        asyncio.run(Programs().score(words, windows()))


def test_a_slow_program_is_scored_on_fewer_windows_and_says_so() -> None:
    slow = program_explanation('10: token = " bank" and before ~ /.*.*k/')
    assert asyncio.run(Programs().score(slow, windows())).notes == ()
    result = asyncio.run(Programs().score(slow, windows(n=300)))
    assert 30 < result.n_asked < 300
    assert result.notes == (
        f"scored on {result.n_asked} of 300 windows: its regular expressions could take long",
    )
