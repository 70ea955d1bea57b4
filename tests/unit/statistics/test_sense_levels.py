"""Levels of senses fitted on few judged windows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autointerp.core.errors import InputError
from autointerp.core.records import Stratum
from autointerp.statistics.population import population_weights
from autointerp.statistics.sense_levels import FittedLevels, SenseWindows, fit_levels

ENDLESS = (Stratum("all", 10**9, 1, 0.0, 9.0),)
FAINT = "the unit is no more active there than where no sense applies"
REPEATED = "it applies only where a stronger sense does"


def judged(real, applies, weights=None):
    """Windows of one stratum; `applies` is of shape (n_windows, n_tokens, n_senses)."""
    applies = np.asarray(applies, dtype=float)
    weights = [1.0] * len(real) if weights is None else weights
    return SenseWindows.of(
        [tuple(map(float, row)) for row in real], list(applies), ["all"] * len(real), weights
    )


def random_windows(rng, n_windows=16, n_senses=3, n_tokens=20):
    """Senses of levels 1, 2, 3, which fire three times in four, and a little background."""
    applies = rng.random((n_windows, n_tokens, n_senses)) < 0.05
    fires = applies & (rng.random(applies.shape) < 0.75)
    real = (fires * np.arange(1, n_senses + 1)).max(axis=-1)
    return np.maximum(real, 0.1 * rng.random(real.shape)), applies


def pearson(x, y):
    return np.corrcoef(x.ravel(), y.ravel())[0, 1] if np.ptp(y) else 0.0


def test_with_many_places_levels_are_the_mean_activations_whatever_was_guessed():
    real, applies = random_windows(np.random.default_rng(0), n_windows=2000)
    levels = fit_levels(judged(real, applies), [9.0, 2.0, 2.0], ENDLESS)
    means = [real[applies[..., k] & (applies.sum(axis=-1) == 1)].mean() for k in range(3)]
    assert levels.activations == pytest.approx(means, rel=0.05)
    assert levels.background == pytest.approx(0.05, rel=0.05)
    assert levels.dropped == (None, None, None)
    assert levels.n_places == tuple(applies.sum(axis=(0, 1)))


def test_one_place_moves_a_level_by_a_sixth_of_the_way_from_its_scaled_guess():
    real, applies = np.zeros((8, 10)), np.zeros((8, 10, 2))
    real[:, 0], applies[:, 0, 0] = 3.0, 1.0
    real[3, 5], applies[3, 5, 1] = 7.0, 1.0
    levels = fit_levels(judged(real, applies), [6.0, 4.0], ENDLESS)
    assert levels.n_effective == pytest.approx((8.0, 1.0))
    guessed = 5 * levels.scale * np.array([6.0, 4.0])
    assert levels.activations[1] == pytest.approx((7.0 + guessed[1]) / 6)
    assert levels.activations[0] == pytest.approx((8 * 3.0 + guessed[0]) / 13)
    assert 0.4 < levels.scale < 7 / 4


def test_guesses_are_scaled_by_least_squares_and_as_if_half_a_sense_more_had_been_seen_at_0_4():
    real, applies = np.zeros((12, 10)), np.zeros((12, 10, 1))
    real[:, 0], applies[:, 0, 0] = 3.0, 1.0
    share = 12 / (12 + 5)
    levels = fit_levels(judged(real, applies), [5.0], ENDLESS)
    assert levels.scale == pytest.approx((share * 3 * 5 + 0.5 * 0.4 * 25) / (share * 25 + 0.5 * 25))


def test_places_count_with_the_root_of_their_windows_weight_and_the_background_with_all_of_it():
    real, applies = np.array([[4.0, 0.5], [2.0, 0.1]]), np.array([[[1.0], [0.0]]] * 2)
    windows = judged(real, applies, [1.0, 100.0])
    levels = fit_levels(windows, [3.0], ENDLESS)
    share = np.array(population_weights(windows.windows, ENDLESS))
    assert share[1] / share[0] == pytest.approx(100)
    assert levels.n_effective[0] == pytest.approx((1 + 10) ** 2 / (1 + 100))
    n, mean = levels.n_effective[0], (4.0 + 10 * 2.0) / 11
    expected = (n * mean + 5 * levels.scale * 3.0) / (n + 5)
    assert levels.activations[0] == pytest.approx(expected)
    assert levels.background == pytest.approx((0.5 + 100 * 0.1) / 101)


def test_a_sense_that_applies_nowhere_is_kept_at_its_scaled_guess():
    real, applies = random_windows(np.random.default_rng(1))
    applies[..., 2] = False
    levels = fit_levels(judged(real, applies), [2.0, 4.0, 6.0], ENDLESS)
    assert levels.activations[2] == pytest.approx(levels.scale * 6.0)
    assert (levels.n_places[2], levels.n_effective[2], levels.dropped[2]) == (0, 0.0, None)


def test_a_sense_that_applies_everywhere_for_nothing_is_dropped():
    rng = np.random.default_rng(2)
    real, applies = random_windows(rng)
    applies[..., 2] = rng.random(real.shape) < 0.2
    real[~applies[..., :2].any(axis=-1)] = 0.0
    levels = fit_levels(judged(real, applies), [2.0, 4.0, 3.0], ENDLESS)
    assert levels.dropped == (None, None, FAINT)


def test_a_weak_sense_that_is_above_the_background_is_kept_however_high_its_guess():
    rng = np.random.default_rng(3)
    applies = np.zeros((16, 20, 2))
    applies[:, 0, 0], applies[:, 5:, 1] = 1.0, rng.random((16, 15)) < 0.5
    real = 5 * applies[..., 0] + 0.5 * applies[..., 1]
    levels = fit_levels(judged(real, applies), [5.0, 9.0], ENDLESS)
    assert levels.dropped == (None, None)
    assert levels.activations[1] < 1.0


def test_of_a_sense_said_six_times_one_is_kept():
    real, applies = random_windows(np.random.default_rng(4), n_senses=1)
    applies = np.repeat(applies, 6, axis=-1)
    levels = fit_levels(judged(real, applies), [2.0] * 6, ENDLESS)
    assert levels.dropped == (None, *[REPEATED] * 5)


def test_a_broad_sense_gets_the_level_of_the_places_that_a_special_one_leaves_it():
    rng = np.random.default_rng(5)
    special = rng.random((40, 20)) < 0.05
    broad = special | (rng.random((40, 20)) < 0.3)
    real = np.where(special, 8.0, np.where(broad, 1.0, 0.0))
    applies = np.stack([broad, special], axis=-1)
    levels = fit_levels(judged(real, applies), [5.0, 5.0], ENDLESS)
    assert levels.activations[0] == pytest.approx(1.0, abs=0.1)
    assert levels.activations[1] == pytest.approx(8.0, abs=0.8)


def test_the_greatest_level_of_the_senses_that_apply_is_predicted_else_the_background():
    levels = FittedLevels((3.0, 5.0, 9.0), 1.0, 1.0, (1,) * 3, (1.0,) * 3, (None, None, "faint"))
    applies = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0.5, 1]], dtype=float)
    assert levels.predicted(applies).tolist() == [1.0, 3.0, 5.0, 1.0, 3.0]
    assert levels.without(1).predicted(applies).tolist() == [1.0, 3.0, 3.0, 1.0, 1.0]
    assert levels.strongest(applies)[2].tolist() == [0.0, 1.0, 0.0]
    assert levels.strongest(applies)[3].tolist() == [0.0, 0.0, 0.0]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_order_of_windows_changes_no_bit(seed):
    rng = np.random.default_rng(seed)
    real, applies = random_windows(rng)
    real[rng.random(len(real)) < 0.5] = 0.0
    weights = np.exp(rng.normal(size=len(real)))
    order = rng.permutation(len(real))
    one, two = (
        fit_levels(judged(real[i], applies[i], weights[i]), [2.0, 2.0, 2.0], ENDLESS)
        for i in (np.arange(len(real)), order)
    )
    assert one == two


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1e-30, 1.0, 1e30]))
def test_levels_are_finite_and_scale_with_the_unit_of_the_activations(seed, unit):
    rng = np.random.default_rng(seed)
    real, applies = random_windows(rng, n_windows=int(rng.integers(1, 20)))
    guesses = rng.uniform(0, 4, 3)
    one, other = (
        fit_levels(judged(real * u, applies), (guesses * u).tolist(), ENDLESS) for u in (1.0, unit)
    )
    assert np.isfinite([*one.activations, one.background, one.scale]).all()
    assert other.activations == pytest.approx(np.array(one.activations) * unit)
    assert other.dropped == one.dropped


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_levels_lie_between_the_least_and_the_greatest_that_speaks_for_them(seed):
    rng = np.random.default_rng(seed)
    real, applies = random_windows(rng, n_windows=int(rng.integers(1, 20)))
    guesses = rng.uniform(0, 4, 3)
    levels = fit_levels(judged(real, applies), guesses.tolist(), ENDLESS)
    for k, level in enumerate(levels.activations):
        there = [*real[applies[..., k]], levels.scale * guesses[k]]
        assert min(there) - 1e-9 <= level <= max(there) + 1e-9


def test_without_windows_or_senses_there_is_nothing_to_fit():
    assert fit_levels(judged([], []), [], ENDLESS).activations == ()
    real = np.ones((3, 4))
    levels = fit_levels(judged(real, np.zeros((3, 4, 0))), [], ENDLESS)
    assert (levels.activations, levels.background) == ((), 1.0)
    assert levels.predicted(np.zeros((2, 0))).tolist() == [1.0, 1.0]


def test_a_unit_that_is_silent_in_all_windows_has_every_sense_dropped_that_applied_often():
    applies = np.ones((6, 10, 1))
    levels = fit_levels(judged(np.zeros((6, 10)), applies), [3.0], ENDLESS)
    assert levels.dropped == (FAINT,)


@pytest.mark.parametrize(
    ("real", "applies", "message"),
    [
        ([(1.0, 2.0)], [np.zeros((3, 1))], "needs a matrix of tokens and senses"),
        ([(1.0,), (1.0,)], [np.zeros((1, 1)), np.zeros((1, 2))], "needs a matrix"),
        ([(1.0,)], [np.zeros(1)], "needs a matrix of tokens and senses"),
        ([(1.0,)], [np.full((1, 1), 1.5)], "a number from 0 to 1"),
        ([(1.0,)], [np.full((1, 1), np.nan)], "a number from 0 to 1"),
        ([(-1.0,)], [np.zeros((1, 1))], "rectify them first"),
        ([(np.inf,)], [np.zeros((1, 1))], "not finite"),
    ],
)
def test_windows_that_fit_nothing_are_refused(real, applies, message):
    with pytest.raises(InputError, match=message):
        SenseWindows.of(real, applies, ["all"] * len(real), [1.0] * len(real))


@pytest.mark.parametrize("priors", [[1.0, 2.0], [-1.0], [np.nan], []])
def test_guesses_that_fit_no_sense_are_refused(priors):
    with pytest.raises(InputError, match="guessed levels"):
        fit_levels(judged(np.ones((1, 2)), np.zeros((1, 2, 1))), priors, ENDLESS)


def test_fitted_levels_predict_other_text_better_than_guesses_where_one_sense_is_too_broad():
    gains = []
    for seed in range(60):
        rng = np.random.default_rng([seed, 9])
        n_true, rate = int(rng.integers(1, 4)), 10 ** rng.uniform(-2.7, -2, 3)
        rate = np.append(rate[:n_true], 0.08)
        height = np.append(rng.uniform(0.3, 1.0, n_true), 0.02)
        applies = rng.random((900, 32, len(rate))) < rate
        fires = applies & (rng.random(applies.shape) < np.append(rng.uniform(0.3, 1, n_true), 0.5))
        real = (fires * height * np.exp(0.4 * rng.normal(size=fires.shape))).max(axis=-1)
        guesses = [*height[:n_true] * np.exp(0.3 * rng.normal(size=n_true)), 0.3]
        odds = real[:400].max(axis=1) + 0.02
        drawn = rng.choice(400, 16, replace=False, p=odds / odds.sum())
        levels = fit_levels(
            judged(real[drawn], applies[drawn], odds.sum() / odds[drawn] / 16), guesses, ENDLESS
        )
        plain = FittedLevels(tuple(guesses), 0.0, 1.0, (), (), (None,) * len(guesses))
        said = applies[400:].reshape(-1, len(guesses)).astype(float)
        gains.append(
            pearson(real[400:], levels.predicted(said)) - pearson(real[400:], plain.predicted(said))
        )
    assert np.mean(np.array(gains) >= 0) >= 0.9
    assert np.mean(gains) > 0.05
