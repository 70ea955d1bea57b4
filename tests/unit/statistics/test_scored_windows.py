"""Windows with predictions, together: what they share and that their order is no matter."""

import math

import numpy as np
import pytest

from autointerp.core.errors import InputError
from autointerp.core.records import Stratum
from autointerp.statistics.bootstrap import Group, Resampling, replicate
from autointerp.statistics.population import Sample
from autointerp.statistics.scored_windows import ScoredWindow, ScoredWindows
from autointerp.statistics.sufficient_statistics import (
    C_XX,
    C_XY,
    C_YY,
    XX,
    XY,
    YY,
    correlation,
    cosine,
    pool_windows,
    window_sums,
)

WINDOWS = [
    ScoredWindow((0.0, 2.0), (1.0, 1.5), "top", 2.0),
    ScoredWindow((0.0, 0.0, 0.0), (0.5, 0.0, 0.0), "silent", 9.0),
    ScoredWindow((), (), "silent", 9.0),
    ScoredWindow((1.0,), (0.0,), "top", 1.0),
]


def test_windows_together_are_the_windows_one_by_one():
    together = ScoredWindows.of(WINDOWS)
    assert list(together) == WINDOWS
    assert list(together[1:]) == WINDOWS[1:]
    assert together[-1] == WINDOWS[-1]
    assert ScoredWindows.of(together) is together


def test_sorted_windows_do_not_depend_on_the_order_given():
    wanted = list(ScoredWindows.of(WINDOWS).in_order())
    for order in ([3, 1, 0, 2], [2, 0, 3, 1]):
        assert list(ScoredWindows.of([WINDOWS[i] for i in order]).in_order()) == wanted


def test_two_predictions_on_the_same_windows_are_resampled_alike():
    rng = np.random.default_rng(0)
    strata = [Stratum("silent", 90, 8, 0.0, 0.0, joint=True)]

    def sample() -> Sample:
        said = rng.random((8, 3)).tolist()
        windows = [ScoredWindow((0.0, 0.0, 0.0), said[i], "silent", 10.0 + i) for i in range(8)]
        return Sample.of([windows[i] for i in rng.permutation(8)], strata)

    one, other = sample(), sample()
    assert one.windows.weights == other.windows.weights
    assert one.groups == other.groups


@pytest.mark.parametrize(
    ("real", "predicted", "weight", "message"),
    [
        ([1.0, math.nan], [0.0, 0.0], 1.0, "real value 1 .0-based. of a window is nan"),
        ([1.0, 2.0], [0.0], 1.0, "2 real and 1 predicted values"),
        ([1.0, 2.0], [0.0, 0.0], 0.0, "weight must be positive and finite, found 0.0"),
    ],
)
def test_what_a_window_refuses_many_refuse_too(real, predicted, weight, message):
    with pytest.raises(InputError, match=message):
        ScoredWindows.checked([[0.5], real], [[0.5], predicted], ["top"] * 2, [1.0, weight])


def test_rectified_windows_hold_the_activations_of_the_side():
    together = ScoredWindows.checked([[-2.0, 0.0, 3.0]], [[0.0, 0.0, 0.0]], ["top"], [1.0])
    assert together.rectified(-1)[0].real == (2.0, 0.0, 0.0)
    assert not np.signbit(together.rectified(-1).real).any()


def test_sums_over_windows_are_those_of_each_window_an_empty_one_included():
    rng = np.random.default_rng(1)
    columns, lengths = rng.normal(size=(2, 7)), np.array([0, 3, 0, 4, 0])
    sums = window_sums(columns, lengths)
    assert sums[:, [0, 2, 4]].tolist() == [[0.0] * 3] * 2
    np.testing.assert_allclose(sums[:, 1], columns[:, :3].sum(axis=1), rtol=1e-14)
    np.testing.assert_allclose(sums[:, 3], columns[:, 3:].sum(axis=1), rtol=1e-14)


def test_sums_without_errors_are_the_first_ones_with_them():
    weights = [window.weight for window in WINDOWS]
    whole, part = pool_windows(WINDOWS, weights), pool_windows(WINDOWS, weights, errors=False)
    assert part.rows.shape == (4, 9)
    assert (part.rows == whole.rows[:, :9]).all()


def test_resamples_of_the_same_windows_are_made_once_and_cannot_be_changed():
    groups, resampling = (Group((1, 0, 2), 30), Group((3, 4), math.inf)), Resampling(50, 0.95, 3)
    seen = []
    for _ in range(2):
        replicate(groups, lambda counts: seen.append(counts) or counts[:, 0], resampling)
    assert seen[0] is seen[1]
    assert not seen[0].flags.writeable


def test_in_each_resample_a_group_counts_as_often_as_it_has_windows():
    groups = [Group((4, 0, 2), 30), Group((3, 1), math.inf), Group((5, 6), 2)]
    counts = replicate(groups, lambda counts: counts.copy(), Resampling(200, 0.95, 3))
    for group in groups:
        own = counts[:, list(group.members)]
        np.testing.assert_allclose(own.sum(axis=1), len(group.members), rtol=1e-12)
    assert (counts[:, [5, 6]] == 1.0).all()
    assert set(np.unique(counts[:, [3, 1]])) == {0.0, 2.0}


@pytest.mark.parametrize(("centred", "plain"), [(C_XX, XX), (C_YY, YY)])
def test_a_resample_in_which_one_side_vanishes_has_a_correlation_and_a_cosine_of_0(centred, plain):
    rows = np.array([[4.0, 0.0, 0.0, 2.0, 2.0, 1.0, 2.0, 2.0, 1.0]] * 2)
    rows[0, [centred, C_XY, plain, XY]] = 0.0
    assert correlation(rows) == pytest.approx([0.0, 0.5])
    assert cosine(rows) == pytest.approx([0.0, 0.5])
