"""Components of variance against published tables, textbook formulas, and planted values."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from autointerp.core.errors import InputError
from autointerp.statistics.studies.variance_components import (
    Component,
    Ranged,
    ScoreStability,
    score_stability,
)

# Shrout and Fleiss 1979, table 2: six targets, four judges; ICC(2,1) is 0.29 and ICC(3,1) 0.71.
SHROUT_FLEISS = [
    [9, 2, 5, 8],
    [6, 1, 3, 2],
    [8, 4, 6, 8],
    [7, 1, 2, 6],
    [10, 5, 6, 9],
    [6, 2, 4, 7],
]
PLANTED = {"unit": 0.04, "corpus": 0.0025, "unit x corpus": 0.006, "unit x seed": 0.01}


def of_seeds(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores of units by seeds, of one corpus and explainer."""
    return scores[:, None, :, None]


def component(found: ScoreStability, name: str) -> Component:
    return next(one for one in found.components if one.name == name)


def test_the_intraclass_correlations_are_those_of_shrout_and_fleiss() -> None:
    found = score_stability(of_seeds(np.array(SHROUT_FLEISS, dtype=float)))
    assert found.of_unit.value == pytest.approx(0.29, abs=0.005)
    assert found.consistency.value == pytest.approx(0.71, abs=0.005)
    assert [one.name for one in found.components] == ["unit", "seed", "unit x seed"]
    assert [one.df for one in found.components] == [5, 3, 15]
    # Mean squares of their table 3: 11.24 between targets, 32.49 between judges, 1.02 residual.
    assert component(found, "unit").variance.value == pytest.approx((11.24 - 1.02) / 4, abs=0.01)
    assert component(found, "seed").variance.value == pytest.approx((32.49 - 1.02) / 6, abs=0.01)


@pytest.mark.parametrize(("n", "k", "spread"), [(10, 2, 1.0), (40, 3, 0.5), (25, 4, 2.0)])
def test_the_interval_of_consistency_is_the_exact_f_interval(n: int, k: int, spread: float) -> None:
    rng = np.random.default_rng(n)
    scores = spread * rng.normal(size=(n, 1)) + rng.normal(size=(n, k))
    found = score_stability(of_seeds(scores), assume_normal=True)
    centred = scores - scores.mean(axis=0) - scores.mean(axis=1, keepdims=True) + scores.mean()
    f = k * scores.mean(axis=1).var(ddof=1) / ((centred**2).sum() / ((n - 1) * (k - 1)))
    # McGraw and Wong 1996, table 7, ICC(C,1).
    ends = [
        f / stats.f.ppf(0.975, n - 1, (n - 1) * (k - 1)),
        f * stats.f.ppf(0.975, (n - 1) * (k - 1), n - 1),
    ]
    low, high = ((one - 1) / (one + k - 1) for one in ends)
    assert found.consistency.value == pytest.approx((f - 1) / (f + k - 1))
    assert found.consistency.low == pytest.approx(max(0.0, low), abs=0.012)
    assert found.consistency.high == pytest.approx(high, abs=0.012)


def planted(seed: int, *, skewed: bool = False) -> NDArray[np.float64]:
    """Scores of 40 units in two corpora of three seeds, with known variances."""
    rng = np.random.default_rng(seed)
    n, c, s = 40, 2, 3
    # Skewed as real scores are: many low ones and few near 1, brought to a variance of 1.
    unit = rng.beta(1.2, 3, (n, 1, 1)) if skewed else rng.normal(size=(n, 1, 1))
    unit /= stats.beta.std(1.2, 3) if skewed else 1.0
    parts = {
        "unit": unit,
        "corpus": rng.normal(size=(1, c, 1)),
        "unit x corpus": rng.normal(size=(n, c, 1)),
        "unit x seed": rng.normal(size=(n, c, s)),
    }
    scores = sum(np.sqrt(PLANTED[name]) * part for name, part in parts.items())
    return np.asarray(0.3 + scores)[..., None]


def holds(found: Ranged, truth: float) -> bool:
    return found.low <= truth <= found.high


@pytest.mark.parametrize("skewed", [False, True])
def test_intervals_hold_planted_values_in_93_of_100_studies(skewed: bool) -> None:
    interactions = PLANTED["unit x corpus"] + PLANTED["unit x seed"]
    of_units = PLANTED["unit"] + interactions
    truths = {
        "of_unit": PLANTED["unit"] / sum(PLANTED.values()),
        "consistency": PLANTED["unit"] / of_units,
        "over_seeds": 1 - PLANTED["unit x seed"] / of_units,
        "difference": 1.96 * np.sqrt(2 * interactions),
        "difference_over_seeds": 1.96 * np.sqrt(2 * PLANTED["unit x seed"]),
    }
    studies = [score_stability(planted(i, skewed=skewed), seed=i) for i in range(200)]
    held = {
        name: sum(holds(getattr(one, name), truth) for one in studies)
        for name, truth in truths.items()
    }
    if not skewed:
        for name, variance in PLANTED.items():
            held[name] = sum(holds(component(one, name).variance, variance) for one in studies)
    assert {name: n for name, n in held.items() if n < 0.93 * 200} == {}


def test_estimates_are_right_on_average_with_every_axis() -> None:
    truth = {"unit": 0.5, "explainer": 0.4, "unit x corpus": 0.3, "unit x seed": 0.2}
    rng = np.random.default_rng(0)
    n, c, s, e = 12, 2, 2, 2
    sums = dict.fromkeys([*truth, "unit x explainer", "unit x seed x explainer"], 0.0)
    for _ in range(300):
        scores = (
            np.sqrt(0.5) * rng.normal(size=(n, 1, 1, 1))
            + np.sqrt(0.4) * rng.normal(size=(1, 1, 1, e))
            + np.sqrt(0.3) * rng.normal(size=(n, c, 1, 1))
            + np.sqrt(0.2) * rng.normal(size=(n, c, s, 1))
            + np.sqrt(0.1) * rng.normal(size=(n, c, s, e))
        )
        found = score_stability(scores)
        for name in sums:
            sums[name] += component(found, name).variance.value / 300
    # Means of estimates that are never below zero lie a little above.
    for name, variance in {**truth, "unit x seed x explainer": 0.1}.items():
        assert sums[name] == pytest.approx(variance, abs=0.07), name
    assert sums["unit x explainer"] < 0.02


def test_a_score_that_never_changes_is_all_the_units() -> None:
    scores = np.repeat(np.arange(5.0)[:, None], 3, axis=1)
    found = score_stability(of_seeds(scores))
    assert found.of_unit == Ranged(1.0, 1.0, 1.0)
    assert found.difference.value == 0.0
    assert sum(one.share for one in found.components) == pytest.approx(1.0)


def test_too_few_units_or_runs_are_refused() -> None:
    with pytest.raises(InputError, match="found 2 in 3"):
        score_stability(np.zeros((2, 1, 3, 1)))
    with pytest.raises(InputError, match="found 9 in 1"):
        score_stability(np.zeros((9, 1, 1, 1)))
