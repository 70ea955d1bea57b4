"""Windows that were chosen: which, what they stand for, and how they were chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from autointerp.core.records import Stratum

# A probability this near to 1 differs from it by rounding.
_CERTAIN = 1 - 1e-9


class SamplingMethod(StrEnum):
    """How windows are chosen among candidates, always without replacement."""

    HIGHEST = "highest"
    """The highest peaks: certain for those chosen, impossible for the others."""
    DIVERSE = "diverse"
    """The highest peaks among those that differ from each other; certain likewise."""
    NEAREST = "nearest"
    """The greatest similarity; certain likewise."""
    UNIFORM = "uniform"
    """Each candidate as likely as every other."""
    INFLUENCE = "influence"
    """Each in proportion to how much it can move a score, as far as that is known before it is
    read; see `sample_windows`."""
    SYSTEMATIC = "systematic"
    """Each in proportion to the windows it stands for, as far as probabilities go."""

    @property
    def is_random(self) -> bool:
        """Whether another seed could have chosen other windows."""
        return self in {SamplingMethod.UNIFORM, SamplingMethod.SYSTEMATIC, SamplingMethod.INFLUENCE}


class SampledWindow(NamedTuple):
    """One chosen window."""

    window: int
    """Id in the corpus."""
    stratum: str
    weight: float
    """Windows that it stands for; one over its inclusion probability where chance chose it."""
    influence: float = 1.0
    """As of the record."""


@dataclass(frozen=True, slots=True)
class StratumSampling:
    """How the windows of one stratum were chosen."""

    stratum: str
    method: SamplingMethod
    seed: int | None
    """Gives the same choice again; the collection's where its sample's order decides; None
    where nothing is left to chance."""
    n_candidates: int
    """Windows that were chosen among."""
    n_passed_over: int = 0
    """Candidates that came first but were left out: too like another, or active after all."""


@dataclass(frozen=True, slots=True)
class WindowSample:
    """Windows drawn, with the strata they were drawn from."""

    sampled: tuple[SampledWindow, ...]
    """The most influential first, in a scored set."""
    strata: tuple[Stratum, ...]
    """With their exact sizes; empty where no estimate is to be made of the picks."""
    methods: tuple[StratumSampling, ...] = ()
    """One of each stratum that windows could come from."""

    @property
    def windows(self) -> tuple[int, ...]:
        """Ids of the windows, in the order of the picks."""
        return tuple(pick.window for pick in self.sampled)

    @property
    def inclusion(self) -> dict[int, float]:
        """Probability of each picked window to be picked; 1 where nothing was left to chance."""
        by_chance = {m.stratum: m.method.is_random for m in self.methods}
        return {p.window: 1 / p.weight if by_chance[p.stratum] else 1.0 for p in self.sampled}


def systematic(
    weights: Sequence[float], n: int, generator: np.random.Generator
) -> list[tuple[int, float]]:
    """(place, new weight) of n of the weighted items, picked in proportion to their weights.

    Every item that is not certain to be picked gets the same new weight, so that items from a
    sample with unequal weights make one with nearly equal ones. Weighted totals stay unbiased.
    """
    sizes = np.asarray(weights, dtype=np.float64)
    chances = np.ones(len(sizes))
    open_places = np.arange(len(sizes)) if n < len(sizes) else np.arange(0)
    while len(open_places):
        n_open = n - (len(sizes) - len(open_places))
        chances[open_places] = n_open * sizes[open_places] / sizes[open_places].sum()
        certain = chances[open_places] > _CERTAIN
        chances[open_places[certain]] = 1.0
        open_places = open_places[~certain]
        if not certain.any():
            break
    shuffled = generator.permutation(open_places)
    n_open = n - (len(sizes) - len(open_places)) if len(open_places) else 0
    points = generator.random() + np.arange(n_open)
    ends = np.cumsum(chances[shuffled])
    hits = np.minimum(np.searchsorted(ends, points, side="right"), len(shuffled) - 1)
    picked = sorted([*np.flatnonzero(chances == 1.0).tolist(), *shuffled[hits].tolist()])
    return [(i, float(sizes[i] / chances[i])) for i in picked]
