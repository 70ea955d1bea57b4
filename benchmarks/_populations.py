"""Populations of windows with heavy-tailed activations, and draws from them as jobs draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.activations.sampling.strata import SILENT, TOP, CandidateStratum, sample_windows
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import ActivationRecord
from autointerp.scorers.scorer_inputs import ScoringSet
from autointerp.statistics.scored_windows import ScoredWindow

Floats = NDArray[np.float64]
KINDS = ("lognormal", "spikes", "gated")
N_WINDOWS, N_TOKENS, N_VOCAB = 600, 64, 400
TARGETS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.97)
"""Correlations of predictions with the real activations."""
N_DRAWN = 40
"""Windows that a job draws; fewer are a part of these."""
SIZES = (10, 12, 20, 40)
# What a collection keeps of a unit, as its defaults are.
N_TOP, N_SAMPLED, N_SHARED, QUANTILES = 20, 64, 96, (0.5, 0.8)
# As in autointerp/activations/sampling/influence.py.
_TYPICAL_R, _CROSS, _POWER, _FLOOR = 0.4, 0.5, 1.25, 0.005


@dataclass(frozen=True)
class Population:
    """All held-out windows of one side of one unit."""

    real: Floats
    """Rectified activations, shape (n_windows, n_tokens)."""
    predicted: Floats
    """The same shape, model units."""
    peak: float
    """Largest activation of the explain windows."""
    influence: Floats
    """How much each window can move a score, by its peak and the token lookup table."""

    @property
    def peaks(self) -> Floats:
        """Of every window."""
        return np.asarray(self.real.max(axis=1))

    def judged(self, windows: ScoringSet) -> list[ScoredWindow]:
        """The drawn windows as scores take them."""
        return [
            ScoredWindow(
                tuple(self.real[r.window]), tuple(self.predicted[r.window]), r.stratum, r.weight
            )
            for r in windows.records
        ]


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


def population(rng: np.random.Generator, kind: str, target: float) -> Population:
    """Predictions are a noisy token lookup of about the target correlation.

    For the target 0 the prediction is noise that knows nothing of the text.
    """
    _, real, lookup, peak = text_and_unit(rng, kind)
    said = predictions(rng, real, lookup, target) * peak / 10
    return Population(real, said, peak, influence(real, lookup))


def text_and_unit(
    rng: np.random.Generator, kind: str
) -> tuple[NDArray[np.int64], Floats, Floats, float]:
    """Held-out tokens, activations, the lookup table's predictions, the explain windows' peak."""
    odds = 1.0 / np.arange(1, N_VOCAB + 1)
    tokens = rng.choice(N_VOCAB, size=(2 * N_WINDOWS, N_TOKENS), p=odds / odds.sum())
    both = real_activations(rng, kind, tokens)
    (explain, real), (seen, tokens) = np.split(both, 2), np.split(tokens, 2)
    counts = np.bincount(seen.ravel(), minlength=N_VOCAB)
    sums = np.bincount(seen.ravel(), explain.ravel(), N_VOCAB)
    lookup = np.where(counts > 0, sums / np.maximum(1, counts), explain.mean())[tokens]
    return tokens, real, lookup, float(explain.max())


def predictions(rng: np.random.Generator, real: Floats, lookup: Floats, target: float) -> Floats:
    """Levels that correlate with the real activations about as well as asked."""
    noise = standard(np.exp(rng.normal(size=real.shape)))
    if target == 0.0:
        return levels(noise)
    signal = standard(standard(lookup) + standard(np.sqrt(real)))
    if pearson(real, signal) < target:
        signal = standard(real)
    low, high = 0.0, 50.0
    for _ in range(30):
        middle = (low + high) / 2
        above = pearson(real, signal + middle * noise) > target
        low, high = (middle, high) if above else (low, middle)
    return levels(signal + low * noise)


def influence(real: Floats, lookup: Floats) -> Floats:
    """As a job knows it before it reads a window."""
    by_peak = (real.max(axis=1) / (real.std() or 1.0)) ** 2
    by_lookup = (lookup**2).sum(axis=1) / (lookup.var() or 1.0)
    raw = _CROSS * np.sqrt(by_peak * by_lookup) + _TYPICAL_R / 2 * (by_peak + by_lookup)
    return np.asarray(np.maximum(raw / raw.max(), _FLOOR) ** _POWER)


def pools_of(rng: np.random.Generator, peaks: Floats) -> list[CandidateStratum]:
    """Strata with the candidates that one collection would keep."""
    ranked = np.argsort(-peaks, kind="stable")
    active = ranked[peaks[ranked] > 0]
    top, rest = active[:N_TOP], active[N_TOP:]
    sample = rng.permutation(active)[:N_SAMPLED]
    parts = [(TOP, top, top)]
    cuts = [0, *(round(len(rest) * (1 - q)) for q in reversed(QUANTILES)), len(rest)]
    for k in reversed(range(len(cuts) - 1)):
        band = rest[cuts[-k - 2] : cuts[-k - 1]]
        parts.append((f"band{k}", band, sample[np.isin(sample, band)]))
    shared = rng.permutation(len(peaks))[:N_SHARED]
    parts.append((SILENT, np.flatnonzero(peaks <= 0), shared[peaks[shared] <= 0]))
    return [
        CandidateStratum(
            name,
            len(part),
            tuple(chosen.tolist()),
            tuple(peaks[chosen].tolist()),
            float(peaks[part].min()),
            float(peaks[part].max()),
        )
        for name, part, chosen in parts
        if len(part)
    ]


def drawn(rng: np.random.Generator, people: Population, n: int) -> ScoringSet:
    """Windows for a score, drawn jointly in proportion to influence, a quarter all alike."""
    pools = pools_of(rng, people.peaks)
    sizes = [people.influence[np.array(pool.candidates, dtype=np.int64)] for pool in pools]
    seed = int(rng.integers(2**31))
    chosen = sample_windows(pools, n, seed=seed, influence=sizes)
    records = tuple(
        ActivationRecord(
            pick.window,
            str(pick.window),
            0,
            (),
            (),
            tuple(people.real[pick.window]),
            pick.stratum,
            pick.weight,
            pick.influence,
        )
        for pick in chosen.sampled
    )
    unit = UnitId("synthetic", "blocks.0.mlp.hook_post", 0)
    return ScoringSet(unit, Side.POSITIVE, records, chosen.strata, people.peak, seed)


def holds(low: float | None, high: float | None, truth: float) -> bool:
    """Whether the truth lies between the ends."""
    return low is not None and high is not None and low - 1e-12 <= truth <= high + 1e-12


class Misses:
    """Intervals and what they should have held, by kind of prediction."""

    def __init__(self) -> None:
        """None yet."""
        self._rows: dict[float | str, list[tuple[bool, bool, float]]] = {}

    def add(self, kind: float | str, low: float, high: float, truth: float) -> None:
        """One interval."""
        row = truth < low - 1e-12, truth > high + 1e-12, high - low
        self._rows.setdefault(kind, []).append(row)

    @staticmethod
    def head(kinds: Sequence[float | str] = TARGETS) -> str:
        """What stands above the lines."""
        return f"{'':30s}" + "".join(f"{k:>10}" for k in kinds) + "    all  above  below  width"

    def line(self, name: str) -> str:
        """Coverage of each kind, mean coverage, shares of misses, mean width."""
        by = [100 * (1 - np.mean([r[0] or r[1] for r in rows])) for rows in self._rows.values()]
        above, below, width = np.mean([np.mean(rows, axis=0) for rows in self._rows.values()], 0)
        cells = "".join(f"{share:10.1f}" for share in by)
        ends = f"{np.mean(by):7.1f}{100 * above:7.1f}{100 * below:7.1f}{width:7.3f}"
        return f"{name:30s}{cells}{ends}"


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
