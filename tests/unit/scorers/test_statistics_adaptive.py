"""Stopping early and adding windows where they help most."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.core.errors import InputError
from autointerp.core.records import Stratum
from autointerp.core.scores import Score
from autointerp.scorers.adaptive import MIN_WINDOWS, enough, next_allocation, stopped
from autointerp.scorers.bootstrap import Resampling
from autointerp.scorers.statistics import ScoredWindow, population_score

STRATA = [
    Stratum("silent", 400, 4, 0.0, 0.0),
    Stratum("band0", 150, 4, 0.1, 4.0),
    Stratum("top", 20, 4, 4.0, 8.0),
]


def score(low, high, n_windows=40):
    return Score("population", (low + high) / 2, low, high, n_windows, None)


def drawn(name, n, predict, seed=0):
    """Windows that fire at one place, by the stratum's upper peak, with predictions."""
    rng = np.random.default_rng([seed, len(name)])
    real = np.zeros((n, 16))
    real[:, 5] = {"silent": 0.0, "band0": 3.0, "top": 7.0}[name]
    return [ScoredWindow(x, predict(rng, x), name, 1.0) for x in real]


def exact(rng, real):
    return real


def wild(rng, real):
    return real * rng.exponential(size=16) + 5 * (rng.random(16) < 0.2)


def test_an_interval_is_enough_where_it_stays_within_the_width_when_widened():
    assert enough(score(0.40, 0.56), width=0.201)
    assert not enough(score(0.40, 0.56), width=0.199)
    final = stopped(score(0.40, 0.56))
    assert (final.low, final.high) == pytest.approx((0.38, 0.58))
    assert stopped(score(0.9, 1.0)).high == 1.0


def test_few_windows_or_none_are_never_enough():
    assert not enough(score(0.4, 0.41, MIN_WINDOWS - 1), width=0.2)
    assert not enough(Score.undefined("population", "no window was judged"), width=0.2)
    single = Score("population", 0.5, None, None, 40, None)
    assert not enough(single, width=0.2)
    assert stopped(single) == single


def test_windows_go_to_the_stratum_whose_windows_differ_most():
    quiet = [*drawn("silent", 4, exact), *drawn("top", 4, exact)]
    added = next_allocation(STRATA, [*quiet, *drawn("band0", 4, wild)], 12)
    assert sum(added.values()) == 12
    assert added["band0"] >= 8
    loud = [*drawn("silent", 4, wild), *drawn("band0", 4, exact), *drawn("top", 4, exact)]
    assert next_allocation(STRATA, loud, 12)["silent"] >= 8


def test_a_stratum_of_which_little_was_seen_gets_two_first():
    assert next_allocation(STRATA, [], 6) == {"silent": 2, "band0": 2, "top": 2}
    assert next_allocation(STRATA, drawn("top", 2, exact), 4) == {"silent": 2, "band0": 2, "top": 0}


@given(st.integers(0, 200), st.integers(0, 6), st.integers(0, 6))
def test_no_stratum_gets_more_than_it_holds_and_nothing_is_lost(n_more, n_top, n_band):
    strata = [
        Stratum("silent", 30, 0, 0, 0),
        Stratum("band0", 8, 0, 1, 4),
        Stratum("top", 6, 0, 4, 8),
    ]
    judged = [*drawn("top", n_top, wild), *drawn("band0", n_band, wild)]
    added = next_allocation(strata, judged, n_more)
    seen = {"silent": 0, "band0": n_band, "top": n_top}
    assert all(seen[s.name] + added[s.name] <= s.n_windows for s in strata)
    assert sum(added.values()) == min(n_more, 44 - n_top - n_band)


def test_the_allocation_does_not_depend_on_the_order_of_windows():
    judged = [w for s in STRATA for w in drawn(s.name, 4, wild)]
    assert next_allocation(STRATA, judged, 9) == next_allocation(STRATA, judged[::-1], 9)


def test_wrong_questions_are_refused():
    with pytest.raises(InputError, match="above 0"):
        enough(score(0, 1), width=0.0)
    with pytest.raises(InputError, match="negative"):
        next_allocation(STRATA, [], -1)
    with pytest.raises(InputError, match="of stratum 'other'"):
        next_allocation(STRATA, [ScoredWindow((1.0,), (1.0,), "other", 1.0)], 1)


def planted(seed):
    """Populations of the three strata: real, predicted."""
    rng = np.random.default_rng(seed)
    sizes = [stratum.n_windows for stratum in STRATA]
    reach = np.repeat([0.0, 1.0, 2.0], sizes)[:, None]
    real = reach * (rng.random((sum(sizes), 12)) < 0.2) * rng.exponential(size=(sum(sizes), 12))
    return real, real + 0.4 * rng.exponential(size=real.shape), np.cumsum([0, *sizes])


def test_who_stops_early_still_holds_the_truth_about_as_often_as_promised():
    held, used = [], []
    for seed in range(80):
        real, predicted, edges = planted(seed)
        truth = np.corrcoef(real.ravel(), predicted.ravel())[0, 1]
        rng = np.random.default_rng([seed, 1])
        orders = [a + rng.permutation(b - a) for a, b in zip(edges[:-1], edges[1:], strict=True)]
        taken = {stratum.name: 4 for stratum in STRATA}
        while True:
            windows = [
                ScoredWindow(real[i], predicted[i], stratum.name, 1.0)
                for stratum, order in zip(STRATA, orders, strict=True)
                for i in order[: taken[stratum.name]]
            ]
            found = population_score(windows, STRATA, Resampling(100))
            if enough(found, width=0.3) or len(windows) >= 80:
                break
            for name, n in next_allocation(STRATA, windows, 6).items():
                taken[name] += n
        final = stopped(found)
        held.append(final.low <= truth <= final.high)
        used.append(len(windows))
    assert 0.90 <= np.mean(held) <= 0.99
    assert MIN_WINDOWS < np.mean(used) < 60
