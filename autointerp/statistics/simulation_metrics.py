"""Scores with intervals, from windows with predictions or from verdicts.

A score that cannot be computed says why; it is never NaN and never 0 for want of a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from autointerp.core.errors import InputError
from autointerp.core.scores import Score
from autointerp.statistics.bootstrap import Resampling, Statistic, named_groups
from autointerp.statistics.population import AskedScore, sum_scores
from autointerp.statistics.scored_windows import ScoredWindow, ScoredWindows
from autointerp.statistics.sufficient_statistics import (
    absolute_dev_explained,
    centred_rsquared,
    correlation,
    pool_windows,
    rsquared,
    why_no_correlation,
)


@dataclass(frozen=True, slots=True)
class SimulationScores:
    """How well predicted activations follow real ones, over all tokens together."""

    ev_correlation: Score
    """Pearson correlation, -1..1; the preferred one."""
    rsquared: Score
    """``1 - mean((r-p)^2) / mean(r^2)``, at most 1; not centred (Bills et al. 2023)."""
    r2_centred: Score
    """``1 - mean((r-p)^2) / variance(r)``, at most 1."""
    absolute_dev_explained: Score
    """``1 - mean|r-p| / mean|r|``, at most 1."""

    def __repr__(self) -> str:
        named = {"ev_correlation": self.ev_correlation, "rsquared": self.rsquared}
        said = ", ".join(f"{name} {score.brief[:40]}" for name, score in named.items())
        return f"SimulationScores({said}, ...)"


def simulation_scores(
    real: Sequence[Sequence[float]],
    predicted: Sequence[Sequence[float]],
    *,
    weights: Sequence[float] | None = None,
    strata: Sequence[str] | None = None,
    n_bootstrap: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> SimulationScores:
    """Scores over the concatenation of all tokens, never a mean over windows.

    Constant real or predicted values, or fewer than two tokens, leave all four undefined. The
    intervals take the windows as drawn from endless text.

    Real and predicted activations are one list a window, of the same shape. `weights` say how much
    each token of a window counts; windows are resampled within their strata.

    Raises:
        InputError: shapes that differ, a value that is not finite, a weight that is not positive.
    """
    resampling = Resampling(n_bootstrap, confidence, seed)
    windows = _as_windows(real, predicted, weights, strata)
    pool = pool_windows(windows, windows.weights)
    groups = named_groups(windows.strata)
    reason = why_no_correlation(pool)

    unit = pool.unit_ratio
    statistics: dict[str, Statistic] = {
        "ev_correlation": correlation,
        "rsquared": partial(rsquared, unit_ratio=unit),
        "r2_centred": partial(centred_rsquared, unit_ratio=unit),
        "absolute_dev_explained": partial(absolute_dev_explained, unit_ratio=unit),
    }
    asked = [
        AskedScore(name, statistic, pool, groups, reason, fisher=statistic is correlation)
        for name, statistic in statistics.items()
    ]
    return SimulationScores(*sum_scores(asked, resampling))


def _as_windows(
    real: Sequence[Sequence[float]],
    predicted: Sequence[Sequence[float]],
    weights: Sequence[float] | None,
    strata: Sequence[str] | None,
) -> ScoredWindows:
    n = len(real)
    for what, given in (("predicted", predicted), ("weights", weights), ("strata", strata)):
        if given is not None and len(given) != n:
            msg = f"{n} windows have real activations, but {what} has {len(given)} entries"
            raise InputError(msg)
    windows = []
    for i in range(n):
        weight = 1.0 if weights is None else weights[i]
        stratum = "" if strata is None else strata[i]
        try:
            windows.append(ScoredWindow(real[i], predicted[i], stratum, weight))  # type: ignore[arg-type]
        except InputError as error:
            raise InputError(f"window {i} (0-based): {error}") from error
    return ScoredWindows.of(windows).in_order()
