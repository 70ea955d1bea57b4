"""Mass of activation that senses account for, and what each is worth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autointerp.core.records import Stratum
from autointerp.statistics.bootstrap import Resampling
from autointerp.statistics.population import (
    paired_difference,
    population_score,
    population_weights,
)
from autointerp.statistics.sense_levels import FittedLevels, SenseWindows, fit_levels
from autointerp.statistics.sense_mass import mass_explained

FAST = Resampling(n_bootstrap=100)
STRATA = (Stratum("top", 3, 3, 5.0, 9.0), Stratum("rest", 400, 9, 0.0, 5.0))
ENDLESS = (Stratum("all", 10**9, 1, 0.0, 9.0),)


def levels_of(*activations, background=0.1, dropped=None):
    n = len(activations)
    reasons = tuple(None if dropped is None else dropped[k] for k in range(n))
    return FittedLevels(activations, background, 1.0, (1,) * n, (1.0,) * n, reasons)


def judged(real, applies, names=None, weights=None):
    """Three windows of the stratum top, the others of the other, unless named."""
    names = names or ["top" if i < 3 else "rest" for i in range(len(real))]
    weights = weights or [1.0 + i % 4 for i in range(len(real))]
    rows = [tuple(map(float, row)) for row in real]
    return SenseWindows.of(rows, list(np.asarray(applies, dtype=float)), names, weights)


def random_windows(rng, n_windows=12, n_senses=3):
    applies = rng.random((n_windows, 20, n_senses)) < 0.08
    real = (applies * np.arange(1, n_senses + 1)).max(axis=-1) * rng.exponential(size=(12, 20))
    return real + 0.1 * rng.random(real.shape), applies


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_shares_are_weighted_activation_over_all_of_it_and_sum_to_what_is_explained(seed):
    real, applies = random_windows(np.random.default_rng(seed))
    windows, levels = judged(real, applies), levels_of(1.0, 2.0, 3.0)
    mass = mass_explained(windows, levels, STRATA, FAST)
    weights = np.array(population_weights(windows.windows, STRATA))[:, None]
    strongest = np.where(applies.any(axis=-1), (applies * [1, 2, 3]).argmax(axis=-1), -1)
    for k, share in enumerate(mass.shares):
        wanted = (weights * real * (strongest == k)).sum() / (weights * real).sum()
        assert share.value == pytest.approx(wanted)
        assert 0 <= share.low <= share.value <= share.high <= 1
    assert mass.explained.value == pytest.approx(sum(share.value for share in mass.shares))
    assert {share.name for share in mass.shares} == {"sense_mass"}
    assert (mass.explained.name, mass.explained.n_windows) == ("mass_explained", 12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_a_gain_is_the_paired_difference_to_the_others_alone(seed):
    real, applies = random_windows(np.random.default_rng(seed))
    windows, levels = judged(real, applies), levels_of(1.0, 2.0, 3.0)
    gain = mass_explained(windows, levels, STRATA, FAST).gains[1]
    union, others = (windows.predicted(one) for one in (levels, levels.without(1)))
    assert gain.name == "sense_gain"
    assert gain.value == pytest.approx(
        paired_difference(union, others, STRATA, n_bootstrap=100).value, abs=1e-12
    )


def test_the_gain_of_the_only_sense_is_the_correlation():
    real, applies = random_windows(np.random.default_rng(1), n_senses=1)
    windows, levels = judged(real, applies), levels_of(1.0)
    gain = mass_explained(windows, levels, STRATA, FAST).gains[0]
    score = population_score(windows.predicted(levels), STRATA, FAST)
    assert (gain.value, gain.low) == pytest.approx((score.value, score.low))


def test_a_dropped_sense_has_no_share_and_leaves_its_places_to_the_others():
    real, applies = np.array([[4.0, 1.0, 0.0]] * 4), np.zeros((4, 3, 2))
    applies[:, 0], applies[:, 1, 1] = 1.0, 1.0
    levels = levels_of(2.0, 5.0, dropped=(None, "it is faint"))
    mass = mass_explained(judged(real, applies, ["all"] * 4), levels, ENDLESS, FAST)
    assert mass.explained.value == mass.shares[0].value == pytest.approx(0.8)
    assert mass.shares[1].reason == mass.gains[1].reason == "the sense was dropped: it is faint"


def test_a_sense_that_applies_by_a_half_accounts_for_a_half():
    real, applies = np.array([[4.0, 0.0]] * 4), np.full((4, 2, 1), 0.5)
    mass = mass_explained(judged(real, applies, ["all"] * 4), levels_of(2.0), ENDLESS, FAST)
    assert mass.explained.value == pytest.approx(0.5)


def test_a_sense_that_always_applies_has_all_of_the_mass_and_no_score():
    real, _ = random_windows(np.random.default_rng(2))
    mass = mass_explained(judged(real, np.ones((12, 20, 1))), levels_of(1.0), STRATA, FAST)
    assert mass.explained.value == 1.0
    assert 0.5 < mass.explained.low < 1.0
    assert mass.gains[0].reason == "every predicted value is the same"


def test_a_sense_that_applies_in_no_judged_window_gains_nothing_and_has_no_interval():
    real, applies = random_windows(np.random.default_rng(7))
    applies[..., 2] = False
    mass = mass_explained(judged(real, applies), levels_of(1.0, 2.0, 3.0), STRATA, FAST)
    assert (mass.gains[2].value, mass.gains[2].low, mass.gains[2].high) == (0.0, None, None)
    assert (mass.shares[2].value, mass.shares[2].low) == (0.0, 0.0)
    assert mass.shares[2].high > 0


def test_nothing_explained_is_zero_with_an_upper_end():
    real, _ = random_windows(np.random.default_rng(3))
    for levels, n_senses in ((levels_of(), 0), (levels_of(1.0), 1)):
        windows = judged(real, np.zeros((12, 20, n_senses)))
        explained = mass_explained(windows, levels, STRATA, FAST).explained
        assert (explained.value, explained.low) == (0.0, 0.0)
        assert 0 < explained.high < 0.5


@pytest.mark.parametrize(
    ("n", "reason"), [(0, "no window was judged"), (4, "every real activation is 0")]
)
def test_without_activation_there_is_no_share(n, reason):
    windows = judged(np.zeros((n, 3)), np.ones((n, 3, 1)), ["all"] * n)
    mass = mass_explained(windows, levels_of(1.0), ENDLESS, FAST)
    assert mass.explained.reason == mass.shares[0].reason == reason


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_order_of_windows_and_unit_of_activations_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    real, applies = random_windows(rng)
    real[rng.random(12) < 0.4] = 0.0
    names, weights = ["all"] * 12, np.exp(rng.normal(size=12)).tolist()
    order = rng.permutation(12)
    levels = levels_of(1.0, 2.0, 3.0)
    one = mass_explained(judged(real, applies, names, weights), levels, ENDLESS, FAST)
    shuffled = judged(real[order], applies[order], names, [weights[i] for i in order])
    assert mass_explained(shuffled, levels, ENDLESS, FAST) == one
    larger = judged(real * 2.0**80, applies, names, weights)
    assert mass_explained(larger, levels, ENDLESS, FAST).shares == one.shares


def planted(rng, n_windows, quality):
    """Three senses at 1:1:20 that a reader names, and one that is wrong and broad."""
    rate = np.array([0.02, 0.02, 0.001, 0.03])
    topic = rng.gamma(1.0, 1.0, (n_windows, 1, 4))
    applies = rng.random((n_windows, 32, 4)) < rate * topic
    real = (applies * [1.0, 0.6, 0.8, 0.0]).max(axis=-1) * np.exp(
        0.3 * rng.normal(size=(n_windows, 32))
    )
    hit = rng.random(applies.shape) < quality
    return real, (applies & hit) | (rng.random(applies.shape) < (1 - quality) * rate)


@pytest.mark.parametrize("quality", [1.0, 0.8])
def test_planted_senses_come_out_in_number_and_share(quality):
    rng = np.random.default_rng(6)
    right, within, held = 0, [], []
    for _ in range(40):
        real, applies = planted(rng, 600, quality)
        odds = real.max(axis=1) + 0.02
        parts = []
        for split, n in ((slice(300), 16), (slice(300, 600), 40)):
            share = odds[split] / odds[split].sum()
            ids = rng.choice(300, n, replace=False, p=share)
            weights = (1 / share[ids] / n).tolist()
            parts.append(judged(real[split][ids], applies[split][ids], ["all"] * n, weights))
        levels = fit_levels(parts[0], [0.9, 0.7, 0.9, 0.3], ENDLESS)
        right += levels.dropped[:3] == (None,) * 3 and levels.dropped[3] is not None
        mass = mass_explained(parts[1], levels, ENDLESS, FAST)
        said = applies[300:].reshape(-1, 4).astype(float)
        true = real[300:].ravel() @ levels.strongest(said) / real[300:].sum()
        for share, want in zip([mass.explained, *mass.shares], [true.sum(), *true], strict=True):
            if share.value is not None:
                within.append(abs(share.value - want) <= 0.1)
                held.append(share.low <= want <= share.high)
    assert right >= 36
    assert np.mean(within) >= 0.9
    assert np.mean(held) >= 0.9
