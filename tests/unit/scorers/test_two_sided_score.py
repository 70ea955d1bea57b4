"""Two sides scored as one: unbiased from two draws, whatever was drawn for which side."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from statistics import fmean, stdev

import numpy as np
import pytest
from factories import make_record, make_unit

from autointerp.core.errors import InputError
from autointerp.core.explanations import Explanation, TokenRule
from autointerp.core.ids import Side
from autointerp.core.records import ActivationRecord, Stratum
from autointerp.scorers import Rules, ScoringSet
from autointerp.scorers.two_sided_score import JudgedSide, both_draws, both_sides_score, put_to
from autointerp.statistics.proportional_sampling import proportional_sample

N, N_DRAWN = 300, 40
Predictions = dict[int, tuple[float, ...]]


def make_text(seed: int = 0) -> tuple[ActivationRecord, ...]:
    """All windows of a split: some peak on one side, some on the other, most on neither."""
    rng = random.Random(seed)
    made = []
    for window in range(N):
        values = [rng.gauss(0, 0.1) for _ in range(6)]
        for sign in (1, -1):
            if rng.random() < 0.15:
                values[rng.randrange(6)] = sign * rng.lognormvariate(0.5, 0.6)
        made.append(make_record(window, tuple(values), ""))
    return tuple(made)


TEXT = make_text()
PEAK = {side: max(record.peak(side) for record in TEXT) for side in Side}


def predictions(side: Side, seed: int = 1) -> Predictions:
    """A simulator that is right about the side up to noise."""
    rng = random.Random(f"{seed}{side}")
    return {r.window: tuple(a + rng.gauss(0, 0.3) for a in r.side(side)) for r in TEXT}


PREDICTED = {side: predictions(side) for side in Side}


def stratum_of(record: ActivationRecord, side: Side) -> str:
    peak = record.peak(side) / PEAK[side]
    return "top" if peak > 0.5 else "band0" if peak > 0.1 else "silent"


def drawn(side: Side, seed: int, n: int = N_DRAWN) -> ScoringSet:
    """One side's windows, drawn as jobs do, by an influence that only this draw knows."""
    rng = random.Random(f"{side} influence")
    influence = [(0.1 + r.peak(side) / PEAK[side]) ** 1.5 * rng.uniform(0.5, 2) for r in TEXT]
    order = sorted(range(N), key=lambda i: -influence[i])
    found = proportional_sample([influence[i] for i in order], n, seed=hash((seed, side.sign)))
    picked = sorted((order[place], chance) for place, chance in found)
    names = [stratum_of(r, side) for r in TEXT]
    records = tuple(
        replace(TEXT[i], stratum=names[i], weight=1 / chance, influence=influence[i])
        for i, chance in picked
    )
    limits = {"silent": (0.0, 0.1), "band0": (0.1, 0.5), "top": (0.5, 1.0)}
    strata = tuple(
        Stratum(k, names.count(k), n, low * PEAK[side], high * PEAK[side], joint=True)
        for k, (low, high) in limits.items()
    )
    return ScoringSet(make_unit(), side, records, strata, PEAK[side], seed, n_bootstrap=200)


def judged(seed: int, *, both: bool, n: int = N_DRAWN) -> tuple[JudgedSide, JudgedSide]:
    """Both sides, each with predictions on both draws or on its own alone."""
    sides = {side: drawn(side, seed, n) for side in Side}
    union = {r.window for windows in sides.values() for r in windows.records}

    def asked(side: Side) -> set[int]:
        return union if both else {r.window for r in sides[side].records}

    made = {s: JudgedSide(w, {i: PREDICTED[s][i] for i in asked(s)}) for s, w in sides.items()}
    return made[Side.POSITIVE], made[Side.NEGATIVE]


def truth() -> float:
    real = np.concatenate([np.array(r.activations) for r in TEXT])
    up, down = (np.concatenate([np.array(PREDICTED[s][r.window]) for r in TEXT]) for s in Side)
    return float(np.corrcoef(real, up - down)[0, 1])


def is_unbiased(totals: list[float], true: float) -> bool:
    return abs(fmean(totals) - true) < 3.5 * stdev(totals) / len(totals) ** 0.5


def energy(window: int) -> float:
    return sum(a * a for a in TEXT[window].activations)


def test_totals_over_both_draws_are_unbiased() -> None:
    counted, energies = [], []
    for seed in range(250):
        draws = both_draws(drawn(Side.POSITIVE, seed), drawn(Side.NEGATIVE, seed))
        entries = [entry for draw in draws for entry in draw]
        counted.append(sum(entry.weight for entry in entries))
        energies.append(sum(entry.weight * energy(entry.record.window) for entry in entries))
    assert is_unbiased(counted, N)
    assert is_unbiased(energies, sum(energy(r.window) for r in TEXT))


def test_the_score_finds_the_correlation_with_raw_activations() -> None:
    scores = [both_sides_score(*judged(seed, both=True)) for seed in range(100)]
    values = [score.value or 0.0 for score in scores]
    held = sum((s.low or 0) <= truth() <= (s.high or 0) for s in scores)
    assert abs(fmean(values) - truth()) < 0.01
    assert held >= 0.88 * len(scores)
    assert {score.name for score in scores} == {"both_sides"}


def test_windows_that_only_one_side_was_asked_about_give_no_score_however_many_are_shared() -> None:
    for n in (N_DRAWN, 200):
        plus, minus = judged(0, both=False, n=n)
        shared = plus.predicted.keys() & minus.predicted.keys()
        score = both_sides_score(plus, minus)
        assert (score.value, score.low, score.high) == (None, None, None)
        assert f"asked about {len(shared)} of the" in (score.reason or "")
    plus, minus = judged(0, both=True)
    one_less = dict(list(plus.predicted.items())[1:])
    assert both_sides_score(plus, minus).value is not None
    assert both_sides_score(replace(plus, predicted=one_less), minus).value is None


def test_a_census_of_both_sides_is_the_truth_itself() -> None:
    score = both_sides_score(*judged(0, both=True, n=N))
    assert score.value == pytest.approx(truth(), abs=1e-12)
    assert (score.low, score.high, score.n_windows) == (score.value, score.value, N)


def test_failed_trials_are_left_out_and_none_left_is_said() -> None:
    plus, minus = judged(0, both=True)
    some = {w: None if i % 4 == 0 else p for i, (w, p) in enumerate(plus.predicted.items())}
    score = both_sides_score(replace(plus, predicted=some), minus)
    assert score.n_windows == sum(p is not None for p in some.values())
    none = both_sides_score(replace(plus, predicted=dict.fromkeys(some)), minus)
    assert none.reason == "no window was judged for both sides"


def test_sides_of_different_units_or_in_the_wrong_order_are_refused() -> None:
    plus, minus = judged(0, both=True)
    other = replace(minus, windows=replace(minus.windows, unit=make_unit(7)))
    for pair in ((minus, plus), (plus, plus), (plus, other)):
        with pytest.raises(InputError, match="needs the two sides of one unit on the same text"):
            both_sides_score(*pair)


def test_rules_predict_on_the_other_sides_windows_for_nothing() -> None:
    rule = TokenRule((2,), " runs", 1.5, 1.0)
    explanation = Explanation("runs", "token_lookup", None, None, None, 0, rules=(rule,))
    own, other = (drawn(side, 0) for side in Side)
    main = asyncio.run(Rules().score(explanation, own))
    more = asyncio.run(put_to(Rules(), explanation, own, other))
    side = JudgedSide.of(own, (main, more))
    assert side.predicted.keys() == {r.window for w in (own, other) for r in w.records}
    assert set(side.predicted.values()) == {(0.0, 0.0, 1.5, 0.0, 0.0, 0.0)}
    assert len(more.trials) < len(other.records)
