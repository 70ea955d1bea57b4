"""Populations of windows with heavy-tailed activations, and draws from them by strata."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from autointerp.core.records import Stratum
from autointerp.scorers.moments import ScoredWindow

Floats = NDArray[np.float64]
KINDS = ("lognormal", "spikes", "gated")
N_WINDOWS, N_TOKENS, N_VOCAB = 600, 64, 400


def real_activations(rng: np.random.Generator, kind: str, tokens: NDArray[np.int64]) -> Floats:
    """Rectified activations that depend on token, topic of the window and chance."""
    shape = tokens.shape
    topic, noise = rng.normal(size=(shape[0], 1)), rng.normal(size=shape)
    effect = rng.normal(size=N_VOCAB)
    if kind == "lognormal":
        drive = np.exp(effect[tokens] + 0.7 * topic + 0.7 * noise)
        return np.asarray(np.maximum(0.0, drive - np.quantile(drive, 0.98)))
    if kind == "spikes":
        rare = np.where(rng.random(N_VOCAB) < 0.03, np.exp(effect), 0.0)
        fires = rng.random(shape) < 1 / (1 + np.exp(-topic))
        stray = (rng.random(shape) < 0.003) * np.exp(rng.normal(size=shape))
        return np.asarray(rare[tokens] * fires * np.exp(0.5 * noise) + stray)
    gate = rng.normal(size=shape) + 0.5 * topic
    return np.asarray(np.maximum(0.0, (effect[tokens] + 0.5 * noise) * gate - 2.5))


def population(rng: np.random.Generator, kind: str, target: float) -> tuple[Floats, Floats]:
    """Real and predicted activations; a noisy token lookup of about the target correlation.

    For the target 0 the prediction is noise that knows nothing of the text.
    """
    odds = 1.0 / np.arange(1, N_VOCAB + 1)
    tokens = rng.choice(N_VOCAB, size=(N_WINDOWS, N_TOKENS), p=odds / odds.sum())
    real = real_activations(rng, kind, tokens)
    noise = standard(np.exp(rng.normal(size=real.shape)))
    if target == 0.0:
        return real, levels(noise)
    counts = np.bincount(tokens.ravel(), minlength=N_VOCAB)
    means = np.bincount(tokens.ravel(), real.ravel(), N_VOCAB) / np.maximum(1, counts)
    signal = standard(standard(means[tokens]) + standard(np.sqrt(real)))
    if pearson(real, signal) < target:
        signal = standard(real)
    low, high = 0.0, 50.0
    for _ in range(40):
        middle = (low + high) / 2
        above = pearson(real, signal + middle * noise) > target
        low, high = (middle, high) if above else (low, middle)
    return real, levels(signal + low * noise)


def strata_of(real: Floats, n: int) -> tuple[list[NDArray[np.int64]], list[Stratum]]:
    """Windows of the top 20, three bands and the silent, and how many of each are drawn."""
    peaks = real.max(axis=1)
    active = np.flatnonzero(peaks > 0)
    ranked = active[np.argsort(-peaks[active], kind="stable")]
    parts = [ranked[:20], *np.array_split(ranked[20:], 3), np.flatnonzero(peaks <= 0)]
    names = ["top", "band2", "band1", "band0", "silent"]
    kept = [(name, part) for name, part in zip(names, parts, strict=True) if len(part)]
    highs = [float(peaks[part].max()) for _, part in kept]
    drawn = [min(2, len(part)) for _, part in kept]
    ask = [
        len(part) * max(high, 0.05 * max(highs))
        for (_, part), high in zip(kept, highs, strict=True)
    ]
    while sum(drawn) < n:
        room = [i for i, (_, part) in enumerate(kept) if drawn[i] < len(part)]
        drawn[max(room, key=lambda i: ask[i] / (drawn[i] + 1))] += 1
    strata = [
        Stratum(name, len(part), k, float(peaks[part].min()), high)
        for (name, part), k, high in zip(kept, drawn, highs, strict=True)
    ]
    return [part for _, part in kept], strata


def draw(
    rng: np.random.Generator, parts: Sequence[NDArray[np.int64]], strata: Sequence[Stratum]
) -> list[tuple[int, str]]:
    """Windows drawn from each stratum, as (window, stratum)."""
    return [
        (int(window), stratum.name)
        for part, stratum in zip(parts, strata, strict=True)
        for window in rng.choice(part, stratum.n_sampled, replace=False)
    ]


def scored(picks: Iterable[tuple[int, str]], real: Floats, predicted: Floats) -> list[ScoredWindow]:
    """The picked windows as the scores take them."""
    return [ScoredWindow(tuple(real[i]), tuple(predicted[i]), name, 1.0) for i, name in picks]


def holds(low: float | None, high: float | None, truth: float) -> bool:
    """Whether the truth lies between the ends."""
    return low is not None and high is not None and low <= truth <= high


def pearson(x: Floats, y: Floats) -> float:
    """Correlation over all tokens."""
    return float(np.corrcoef(x.ravel(), y.ravel())[0, 1])


def standard(values: Floats) -> Floats:
    """Of mean 0 and variance 1."""
    return np.asarray((values - values.mean()) / values.std())


def levels(values: Floats) -> Floats:
    """From 0 to 10, the strongest thousandth at 10."""
    shifted = values - values.min()
    return np.asarray(np.clip(10 * shifted / np.quantile(shifted, 0.999), 0.0, 10.0))
