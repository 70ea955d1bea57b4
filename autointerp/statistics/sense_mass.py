"""How much of a side's activation its senses account for, and what each is worth.

Mass without a score means nothing: a sense that always applies has all of it. So each share is
beside what the correlation loses when the sense is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from autointerp.core.records import Stratum
from autointerp.core.scores import Score
from autointerp.statistics.bootstrap import Group, Resampling
from autointerp.statistics.intervals import Unseen, unseen_interval
from autointerp.statistics.population import (
    paired_difference,
    population_groups,
    population_score,
)
from autointerp.statistics.scored_windows import Floats
from autointerp.statistics.sense_levels import FittedLevels, SenseWindows
from autointerp.statistics.sufficient_statistics import window_sums


@dataclass(frozen=True, slots=True)
class SenseMass:
    """Shares of the rectified activation over all held-out text, 0..1, in the senses' order."""

    explained: Score
    """``mass_explained``: where some kept sense applies."""
    shares: tuple[Score, ...]
    """``sense_mass``: where each predicts most of those that apply; they sum to the whole."""
    gains: tuple[Score, ...]
    """``sense_gain``, -2..2: what the correlation of all together loses without each."""


def mass_explained(
    judged: SenseWindows, levels: FittedLevels, strata: Sequence[Stratum], resampling: Resampling
) -> SenseMass:
    """What the kept senses account for, estimated from judged held-out windows.

    A sense that applies by a half accounts for a half of the activation there. A dropped sense
    has no share, and the activation at its places may be another's.

    Args:
        judged: held-out windows; one whose reader failed is left out.
        levels: fitted on other windows.
        strata: all strata that the windows were drawn from, with their true sizes.
        resampling: how the intervals are made, over windows within strata.
    """
    judged = judged.in_order()
    groups, weights = population_groups(judged.windows, strata)
    tokens = _ActivationMass.of(judged, levels, weights)
    whole = range(len(levels.dropped))
    return SenseMass(
        tokens.share("mass_explained", whole, groups, resampling),
        tuple(
            tokens.share("sense_mass", (sense,), groups, resampling)
            if levels.dropped[sense] is None
            else _dropped("sense_mass", levels, sense, judged)
            for sense in whole
        ),
        tuple(_gain(judged, levels, sense, strata, resampling) for sense in whole),
    )


@dataclass(frozen=True, slots=True)
class _ActivationMass:
    """Activation of all judged tokens, weights included."""

    mass: Floats
    """Of each token, shape (n_tokens,)."""
    sums: Floats
    """Over each window: of each sense, then all; shape (n_windows, n_senses + 1)."""

    @classmethod
    def of(
        cls, judged: SenseWindows, levels: FittedLevels, weights: Sequence[float]
    ) -> _ActivationMass:
        lengths = judged.windows.lengths
        own = np.repeat(np.array(weights, dtype=np.float64) / max(weights, default=1.0), lengths)
        mass = judged.windows.real / (judged.windows.real.max(initial=0.0) or 1.0) * own
        by_sense = mass[:, None] * levels.strongest(judged.applies)
        return cls(mass, window_sums(np.vstack([by_sense.T, mass]), lengths).T)

    def share(
        self, name: str, senses: Sequence[int], groups: Sequence[Group], resampling: Resampling
    ) -> Score:
        """Of the senses together, with the interval of resamples with unseen activation.

        Where all of the activation that was seen is explained, or none, resampling windows
        cannot bring back what was missed.
        """
        if not self.mass.any():
            reason = "every real activation is 0" if len(self.mass) else "no window was judged"
            return Score.undefined(name, reason, n_windows=len(self.sums))
        part = self.sums[:, list(senses)].sum(axis=1)
        rows = np.stack([part, self.sums[:, -1]], axis=1)
        value = float(np.clip(part.sum() / self.sums[:, -1].sum(), 0.0, 1.0))
        usual = float(self.mass @ self.mass) / float(self.mass.sum())
        unseen = Unseen(np.array([[0.0, usual]]), np.array([[usual, usual]]))
        low, high = unseen_interval(value, _ratio, rows, groups, resampling, unseen=unseen)
        if low is None or high is None:
            return Score(name, value, None, None, len(rows), None)
        return Score(name, value, max(0.0, low), min(1.0, high), len(rows), None)


def _ratio(sums: Floats) -> Floats:
    return np.asarray(sums[..., 0] / sums[..., 1])


def _gain(
    judged: SenseWindows,
    levels: FittedLevels,
    sense: int,
    strata: Sequence[Stratum],
    resampling: Resampling,
) -> Score:
    """Correlation of the union less that without the sense; without any it counts as 0.

    A sense that predicts most in none of the judged windows has no interval: nothing tells it.
    """
    if levels.dropped[sense] is not None:
        return _dropped("sense_gain", levels, sense, judged)
    union = judged.predicted(levels)
    without = judged.predicted(levels.without(sense))
    if (without.predicted == without.predicted[:1]).all():
        return replace(population_score(union, strata, resampling), name="sense_gain")
    if (without.predicted == union.predicted).all():
        return Score("sense_gain", 0.0, None, None, len(judged.windows), None)
    score = paired_difference(
        union,
        without,
        strata,
        n_bootstrap=resampling.n_bootstrap,
        confidence=resampling.confidence,
        seed=resampling.seed,
    )
    return replace(score, name="sense_gain")


def _dropped(name: str, levels: FittedLevels, sense: int, judged: SenseWindows) -> Score:
    reason = f"the sense was dropped: {levels.dropped[sense]}"
    return Score.undefined(name, reason, n_windows=len(judged.windows))
