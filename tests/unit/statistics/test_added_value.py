"""What an explanation adds to the token table."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autointerp.core.errors import InputError
from autointerp.core.records import Stratum
from autointerp.statistics.added_value import added_value
from autointerp.statistics.bootstrap import Resampling
from autointerp.statistics.population import population_weights
from autointerp.statistics.scored_windows import ScoredWindow

FAST = Resampling(n_bootstrap=50)
STRATA = (Stratum("top", 3, 3, 5.0, 9.0), Stratum("rest", 400, 5, 0.0, 5.0))
ENDLESS = (Stratum("all", 10**9, 1, 0.0, 9.0),)


def units(rng, n_tokens=8):
    """Real activations, a table that knows a half of them and an explanation of the other half."""
    shape = len(STRATA[0].name) + 5, n_tokens
    known, unknown = rng.exponential(size=(2, *shape))
    return known + unknown, known + 0.3 * rng.random(shape), unknown + 0.3 * rng.random(shape)


def windows_of(real, predicted):
    """Three of the stratum top, the others of the other."""
    names = ["top" if i < 3 else "rest" for i in range(len(real))]
    return [
        ScoredWindow(tuple(r), tuple(p), name, 1.0 + i % 3)
        for i, (r, p, name) in enumerate(zip(real, predicted, names, strict=True))
    ]


def added(real, table, explained, resampling=FAST):
    return added_value(windows_of(real, explained), windows_of(real, table), STRATA, resampling)


def weighted(x, y, weights):
    c = np.cov(x.ravel(), y.ravel(), aweights=np.repeat(weights, x.shape[1]), bias=True)
    return c[0, 1] / np.sqrt(c[0, 0] * c[1, 1])


def fitted_without_one_window(real, table, explained):
    """The same by least squares on the tokens themselves."""
    weights = np.array(population_weights(windows_of(real, table), STRATA))
    own = np.repeat(weights, real.shape[1])
    shrinkage = (weights @ weights) / weights.sum() ** 2
    t, e = (
        (v - np.average(v, weights=own.reshape(v.shape)))
        / np.sqrt(np.cov(v.ravel(), aweights=own, bias=True))
        for v in (table, explained)
    )
    mixed = np.zeros_like(real)
    for i in range(len(real)):
        others = np.arange(len(real)) != i
        columns = np.stack([v[others].ravel() for v in (real, t, e)])
        c = np.cov(columns, aweights=np.repeat(weights[others], real.shape[1]), bias=True)
        c[2, 2] *= 1 + shrinkage
        a, b = np.linalg.solve(c[1:, 1:], c[0, 1:])
        a, b = (a, b) if b > 0 else (1.0, 0.0)
        mixed[i] = (a * t[i] + b * e[i]) / np.hypot(a, b)
    return weighted(real, mixed, weights) - weighted(real, table, weights)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_it_is_the_rise_with_shares_fitted_on_the_other_windows(seed):
    rng = np.random.default_rng(seed)
    real, table, explained = units(rng)
    for own in (explained, rng.exponential(size=real.shape)):
        assert added(real, table, own).value == pytest.approx(
            fitted_without_one_window(real, table, own), abs=1e-9
        )


def test_an_explanation_that_knows_the_other_half_adds_what_is_missing():
    real, table, explained = units(np.random.default_rng(1), 200)
    score = added(real, table, explained, Resampling(300))
    assert score.name == "added"
    assert score.n_windows == len(real)
    assert 0.15 < score.low < score.value < score.high < 0.4


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_the_interval_holds_the_value_and_never_lies_below_zero(seed):
    rng = np.random.default_rng(seed)
    real, table, explained = units(rng)
    for own in (explained, rng.normal(size=real.shape), -explained):
        score = added(real, table, own)
        assert -2 <= score.low <= score.value <= score.high <= 2
        assert score.high >= 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_order_changes_no_bit(seed):
    rng = np.random.default_rng(seed)
    real, table, explained = units(rng)
    pair = windows_of(real, explained), windows_of(real, table)
    order = rng.permutation(len(real))
    shuffled = ([side[i] for i in order] for side in pair)
    assert added_value(*pair, STRATA, FAST) == added_value(*shuffled, STRATA[::-1], FAST)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1e-200, 1e-3, 1e6, 1e200]), st.floats(-5, 5))
def test_scale_and_offset_of_either_prediction_do_not_matter(seed, scale, offset):
    real, table, explained = units(np.random.default_rng(seed))
    plain = added(real, table, explained)
    scaled = added(real, (table + offset) * scale, (explained - offset) * scale)
    for one, other in ((plain.value, scaled.value), (plain.low, scaled.low)):
        assert one == pytest.approx(other, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_the_table_itself_adds_nothing(seed):
    real, table, _ = units(np.random.default_rng(seed))
    assert added(real, table, 2 * table + 1).value == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_the_opposite_of_the_activations_adds_nothing(seed):
    real, table, _ = units(np.random.default_rng(seed))
    score = added(real, table, -real)
    assert (score.value, score.low) == (0.0, 0.0)


def test_beside_a_table_that_is_wrong_everywhere_the_explanation_stands_alone():
    real, _, explained = units(np.random.default_rng(3))
    weights = population_weights(windows_of(real, real), STRATA)
    score = added(real, -real, explained)
    assert score.value == pytest.approx(weighted(real, explained, weights) + 1, abs=1e-9)


def test_where_both_are_wrong_the_table_is_not_turned_round():
    real, _, _ = units(np.random.default_rng(3))
    assert added(real, -real, -np.sqrt(real)).value == 0.0


def test_an_explanation_that_predicts_nothing_adds_zero_but_might_be_right_elsewhere():
    real, table, _ = units(np.random.default_rng(4))
    score = added(real, table, np.zeros_like(real))
    assert (score.value, score.low) == (0.0, 0.0)
    assert 0 < score.high < 1


def test_hits_that_none_of_the_windows_showed_raise_the_upper_end_alone():
    real, table, _ = units(np.random.default_rng(5), 50)
    one_alarm = np.where(real == real.min(), 1.0, 0.0)
    score = added(real, table, one_alarm)
    assert (score.value, score.low) == (0.0, 0.0)
    assert 0.001 < score.high < 0.2


@pytest.mark.parametrize(
    ("real", "table", "reason"),
    [
        (1.0, None, "every real activation is the same"),
        (None, 1.0, "of the token table: every predicted value is the same"),
        (1.0, 1.0, "every real activation is the same"),
    ],
)
def test_what_does_not_vary_leaves_it_undefined(real, table, reason):
    own = list(units(np.random.default_rng(6)))
    own[0] = own[0] if real is None else np.full_like(own[0], real)
    own[1] = own[1] if table is None else np.full_like(own[1], table)
    assert added(*own).reason == reason


def test_one_window_or_none_is_not_enough():
    window = ScoredWindow((0.0, 1.0, 3.0), (0.0, 1.0, 1.0), "all", 1.0)
    score = added_value([window], [window], ENDLESS, FAST)
    assert score.reason == "one window only: shares fitted on some windows are tried on others"
    assert added_value([], [], ENDLESS, FAST).reason == "no window was judged"


def test_two_windows_are_tried_on_each_other():
    first = ScoredWindow((0.0, 1.0, 3.0), (0.0, 1.0, 1.0), "all", 1.0)
    second = ScoredWindow((2.0, 1.0, 3.0), (0.0, 1.0, 1.0), "all", 1.0)
    table = [replace(w, predicted=(0.0, 1.0, 0.0)) for w in (first, second)]
    score = added_value([first, second], table, ENDLESS, FAST)
    assert score.low <= score.value <= score.high


def test_other_windows_of_the_table_are_refused():
    real, table, explained = units(np.random.default_rng(7))
    with pytest.raises(InputError, match="needs the same windows twice"):
        added_value(windows_of(real, explained), windows_of(real + 1, table), STRATA, FAST)


def text(rng, n, share):
    """Rare strong activations; the explanation knows a share of what the table does not."""
    topic = rng.exponential(size=(n, 1)) ** 2
    unknown, known = (rng.exponential(size=(n, 16)) * topic for _ in range(2))
    noise = rng.exponential(size=(n, 16)) * rng.exponential(size=(n, 1)) ** 2
    return known + unknown, known, share * unknown + (1 - share) * noise


@pytest.mark.parametrize(("share", "claims"), [(0.0, range(4)), (0.8, range(40, 101))])
def test_intervals_hold_the_truth_and_nothing_is_claimed_of_what_knows_nothing(share, claims):
    rng = np.random.default_rng(8)
    real, t, e = (v.ravel() for v in text(rng, 100_000, share))
    c = np.cov([real, t, e])
    a, b = np.linalg.solve(c[1:, 1:], c[0, 1:])
    mixed = a * t + max(b, 0.0) * e
    truth = np.corrcoef(real, mixed)[0, 1] - np.corrcoef(real, t)[0, 1]
    held = above = 0
    for _ in range(100):
        real, t, e = text(rng, 30, share)
        explained, table = (
            [ScoredWindow(tuple(r), tuple(p), "all", 1.0) for r, p in zip(real, v, strict=True)]
            for v in (e, t)
        )
        score = added_value(explained, table, ENDLESS, Resampling(200))
        held += score.low <= truth + 1e-4 and truth - 1e-4 <= score.high
        above += score.low > 0
    assert held >= 90
    assert above in claims
