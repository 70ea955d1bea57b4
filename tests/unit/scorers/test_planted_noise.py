"""What a score must say of predictions that know nothing, and of ones that know everything."""

import numpy as np

from autointerp.core.records import Stratum
from autointerp.statistics.bootstrap import Resampling
from autointerp.statistics.population import paired_difference, population_score
from autointerp.statistics.scored_windows import ScoredWindow

DRAWN = {"top": 3, "band1": 4, "band0": 2, "silent": 3}


def planted_windows(seed, predict):
    """Twelve windows of a unit that fires on one token, drawn by strata, with predictions.

    The same seed draws the same windows whatever predicts.
    """
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, 40, size=(400, 64))
    topic = rng.random((400, 1))
    real = np.where(tokens == 7, 1.0, 0.0) * rng.exponential(size=tokens.shape) * (topic < 0.7)
    predicted = predict(np.random.default_rng([seed, 1]), real, tokens)
    peaks = real.max(axis=1)
    active = np.flatnonzero(peaks > 0)
    ranked = active[np.argsort(-peaks[active], kind="stable")]
    parts = [ranked[:20], *np.array_split(ranked[20:], 2), np.flatnonzero(peaks == 0)]
    strata = [
        Stratum(name, len(part), DRAWN[name], peaks[part].min(), peaks[part].max())
        for name, part in zip(DRAWN, parts, strict=True)
    ]
    windows = [
        ScoredWindow(real[i], predicted[i], stratum.name, stratum.n_windows / stratum.n_sampled)
        for stratum, part in zip(strata, parts, strict=True)
        for i in rng.choice(part, stratum.n_sampled, replace=False)
    ]
    return windows, strata


def noise(rng, real, tokens):
    """Levels 0..10 that know nothing."""
    return rng.integers(0, 11, size=real.shape).astype(float)


def wrong_token(rng, real, tokens):
    """The explanation of another unit."""
    return np.where(tokens == 8, 10.0, 0.0)


def oracle(rng, real, tokens):
    """The truth with a little noise."""
    return real + 0.01 * rng.normal(size=real.shape)


def lookup(rng, real, tokens):
    """The token's rule and nothing else."""
    return np.where(tokens == 7, 1.0, 0.0)


def test_noise_has_an_interval_that_holds_0_in_at_least_90_of_100_seeds():
    held = 0
    for seed in range(100):
        windows, strata = planted_windows(seed, noise)
        score = population_score(windows, strata, Resampling(300, seed=seed))
        held += score.low <= 0 <= score.high
        assert abs(score.value) < 0.25
    assert held >= 90


def test_another_units_explanation_is_seldom_above_0():
    above = 0
    for seed in range(100):
        windows, strata = planted_windows(seed, wrong_token)
        above += population_score(windows, strata, Resampling(300, seed=seed)).low > 0
    assert above <= 5


def test_an_oracle_scores_at_least_099():
    for seed in range(20):
        windows, strata = planted_windows(seed, oracle)
        score = population_score(windows, strata, Resampling(300))
        assert score.value >= 0.99
        assert score.low > 0.9


def test_an_oracle_beats_the_lookup_of_the_token_and_the_lookup_beats_noise():
    for one, other in ((oracle, lookup), (lookup, noise)):
        wins = 0
        for seed in range(20):
            windows, strata = planted_windows(seed, one)
            others, _ = planted_windows(seed, other)
            wins += paired_difference(windows, others, strata, n_bootstrap=300).low > 0
        assert wins >= 18
