"""How far two judges of the same items agree beyond chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class JudgeAgreement:
    """Of two judges on the items that both judged."""

    n: int
    share: float
    """Of the items on which they say the same."""
    kappa: float | None
    """Cohen's; None where both always say the same one thing, so that chance explains all."""
    low: float | None
    """Lower end of its 95 % interval."""
    high: float | None


def agreement(
    pairs: Sequence[tuple[bool, bool]], *, seed: int, n_resamples: int = 2000
) -> JudgeAgreement | None:
    """Cohen's kappa of two judges' answers, with a bootstrap interval over items.

    None without an item. Resamples in which chance explains all count as no agreement beyond it.
    """
    if not pairs:
        return None
    answers = np.array(pairs, dtype=bool)
    n = len(answers)
    # Items of four kinds, by what each judge says.
    kinds = np.bincount(2 * answers[:, 0] + answers[:, 1], minlength=4)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(n, kinds / n, size=n_resamples)
    [kappa] = _kappas(kinds[None].astype(float))
    share = float((kinds[0] + kinds[3]) / n)
    if np.isnan(kappa):
        return JudgeAgreement(n, share, None, None, None)
    low, high = np.quantile(np.nan_to_num(_kappas(drawn.astype(float)), nan=0.0), [0.025, 0.975])
    return JudgeAgreement(n, share, float(kappa), float(min(low, kappa)), float(max(high, kappa)))


def _kappas(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of tables of counts (no-no, no-yes, yes-no, yes-yes), shape (n, 4); NaN where undefined."""
    n = counts.sum(axis=1)
    seen = (counts[:, 0] + counts[:, 3]) / n
    first, second = (counts[:, 2] + counts[:, 3]) / n, (counts[:, 1] + counts[:, 3]) / n
    chance = first * second + (1 - first) * (1 - second)
    with np.errstate(divide="ignore", invalid="ignore"):
        kappas: NDArray[np.float64] = np.where(chance < 1, (seen - chance) / (1 - chance), np.nan)
    return kappas
