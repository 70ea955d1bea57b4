"""Stopping early and adding windows where they help most."""

import asyncio
import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest

from autointerp.core.errors import InputError
from autointerp.core.explanations import Explanation
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import ActivationRecord, Stratum
from autointerp.core.scores import Score, ScorerResult, Trial
from autointerp.scorers.adaptive import MIN_WINDOWS, enough, nested_draws, score_until, stopped
from autointerp.scorers.scorer_inputs import ScoringSet, predicted_scores
from autointerp.statistics.proportional_sampling import proportional_sample

STRATA = [
    Stratum("silent", 400, 4, 0.0, 0.0),
    Stratum("band0", 150, 4, 0.1, 4.0),
    Stratum("top", 20, 4, 4.0, 8.0),
]


def score(low, high, n_windows=40):
    return Score("population", (low + high) / 2, low, high, n_windows, None)


def test_an_interval_is_enough_where_it_stays_within_the_width_when_widened():
    assert enough(score(0.40, 0.60), width=0.217)
    assert not enough(score(0.40, 0.60), width=0.215)
    final = stopped(score(0.40, 0.60), width=0.217)
    assert (final.low, final.high) == pytest.approx((0.392, 0.608))
    assert stopped(score(0.9, 1.0), width=0.2).high == 1.0


def test_the_first_look_is_no_choice_and_an_interval_that_stopped_nobody_is_left():
    first, later = score(0.40, 0.60, MIN_WINDOWS), score(0.40, 0.60)
    assert enough(first, width=0.201)
    assert stopped(first, width=0.201) == first
    assert stopped(later, width=0.1) == later


def test_few_windows_or_none_are_never_enough():
    assert not enough(score(0.4, 0.41, MIN_WINDOWS - 1), width=0.2)
    assert not enough(Score.undefined("population", "no window was judged"), width=0.2)
    single = Score("population", 0.5, None, None, 40, None)
    assert not enough(single, width=0.2)
    assert stopped(single, width=0.2) == single


def test_wrong_questions_are_refused():
    with pytest.raises(InputError, match="above 0"):
        enough(score(0, 1), width=0.0)


def planted(seed):
    """Populations of the three strata: real, predicted."""
    rng = np.random.default_rng(seed)
    sizes = [stratum.n_windows for stratum in STRATA]
    reach = np.repeat([0.0, 1.0, 2.0], sizes)[:, None]
    real = reach * (rng.random((sum(sizes), 12)) < 0.2) * rng.exponential(size=(sum(sizes), 12))
    return real, real + 0.4 * rng.exponential(size=real.shape), np.cumsum([0, *sizes])


@dataclass(frozen=True)
class Predicts:
    """A scorer that knows a prediction for every window, and which it was asked about."""

    predicted: np.ndarray
    asked: list[int]
    name = "planted"
    prompts = ()

    async def score(self, explanation, windows):
        self.asked.extend(record.window for record in windows.records)
        trials = tuple(
            Trial(r.window, r.stratum, r.weight, tuple(self.predicted[r.window]), None, None, None)
            for r in windows.records
        )
        return ScorerResult("planted", "", predicted_scores(windows, trials), trials)


def held_out(real, seed, n=80):
    """A joint draw of windows of the three strata, the stronger the more likely."""
    sizes = [stratum.n_windows for stratum in STRATA]
    names = np.repeat([stratum.name for stratum in STRATA], sizes)
    influence = 0.05 + real.max(axis=1) ** 1.5
    influence = 0.75 * influence + 0.25 * influence.mean()
    picks = proportional_sample(influence.tolist(), n, seed=seed)
    records = tuple(
        ActivationRecord(
            i, f"{i}", 0, (0,) * 12, ("a",) * 12, tuple(real[i]), names[i], 1 / c, influence[i]
        )
        for i, c in picks
    )
    drawn = [
        replace(s, joint=True, n_sampled=int(sum(r.stratum == s.name for r in records)))
        for s in STRATA
    ]
    unit = UnitId("m", "blocks.0.mlp.hook_post", 0)
    return ScoringSet(unit, Side.POSITIVE, records, tuple(drawn), 8.0, seed, n_bootstrap=100)


def until(real, predicted, seed, width):
    windows, scorer = held_out(real, seed), Predicts(predicted, [])
    found = asyncio.run(
        score_until(scorer, Explanation("", "", None, None, None, 0), windows, width=width)
    )
    return found, scorer.asked


def test_who_stops_early_still_holds_the_truth_about_as_often_as_promised():
    held, used = [], []
    for seed in range(80):
        real, predicted, _ = planted(seed)
        truth = np.corrcoef(real.ravel(), predicted.ravel())[0, 1]
        found, asked = until(real, predicted, seed, 0.3)
        final = found.score("population")
        held.append(final.low <= truth <= final.high)
        used.append(len(asked))
        assert len(asked) == len(set(asked)) == found.n_asked
    assert 0.90 <= np.mean(held) <= 1.0
    assert MIN_WINDOWS <= np.mean(used) < 60


def test_a_width_that_is_never_reached_asks_about_every_window_once():
    real, predicted, _ = planted(0)
    found, asked = until(real, predicted, 0, 1e-6)
    assert sorted(asked) == sorted(r.window for r in held_out(real, 0).records)
    assert "asked about 80 of 80 windows" in found.notes[-1]


def test_smaller_draws_are_parts_of_larger_ones():
    sets = nested_draws(held_out(planted(3)[0], 3))
    sizes = [len(part.records) for part in sets]
    assert sizes == [16, 24, 32, 40, 48, 56, 64, 72, 80]
    for small, large in itertools.pairwise(sets):
        assert {r.window for r in small.records} < {r.window for r in large.records}
