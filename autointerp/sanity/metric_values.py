"""Every metric that could be a headline, on the same windows with the same predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autointerp.core.records import Stratum
from autointerp.statistics.bootstrap import Resampling
from autointerp.statistics.population import population_score, sampled_scores
from autointerp.statistics.scored_windows import ScoredWindow
from autointerp.statistics.token_metrics import TOKEN_METRICS, token_metrics

# Only values are wanted, and an interval needs two resamples at least.
_NO_INTERVAL = Resampling(2)
_PEAK = "_from_10_percent"
TOP_RANDOM_SAMPLE = "top_random_sample"
"""Correlation over top windows and as many random ones, without weights, as it is published."""


@dataclass(frozen=True, slots=True)
class Published:
    """Share of real units in which a metric fell, percent: Oikarinen et al. 2025, table 1."""

    removed: float
    added: float


PUBLISHED: Mapping[str, Published] = {
    "population": Published(99.41, 99.92),
    "cosine": Published(99.45, 99.26),
    "auprc": Published(95.61, 99.46),
    "f1": Published(93.68, 99.82),
    "iou": Published(93.62, 99.81),
    "auroc": Published(94.96, 59.18),
    "balanced_accuracy": Published(98.65, 53.67),
    "accuracy": Published(23.79, 70.37),
    "precision": Published(45.73, 99.81),
    "recall": Published(98.66, 0.0),
    TOP_RANDOM_SAMPLE: Published(87.83, 60.26),
}
"""Of the metrics that the paper has."""

_SIGNED = ("population", "cosine", "top_random")
_TOKENS = tuple(name for name in PUBLISHED if name in TOKEN_METRICS)
_AT_PEAK = ("auprc", "f1", "iou", "precision")

METRICS: Mapping[str, float] = {
    **dict.fromkeys(("population", "cosine"), 2.0),
    **dict.fromkeys(_TOKENS, 1.0),
    **dict.fromkeys((f"{name}{_PEAK}" for name in _AT_PEAK), 1.0),
    **dict.fromkeys(("top_random", TOP_RANDOM_SAMPLE), 2.0),
}
"""Name -> width of the metric's range, in which a fall is measured: 2 for -1..1, 1 for 0..1."""


def metric_values(
    windows: Sequence[ScoredWindow], strata: Sequence[Stratum], *, peak: float, share: float
) -> dict[str, float | None]:
    """Every metric but `TOP_RANDOM_SAMPLE`; None where it is undefined.

    Args:
        windows: with the real activations of a side and predictions in its units.
        strata: that the windows were drawn from.
        peak: largest activation of the side over the explain set, above 0.
        share: a token activates where it is among the strongest of this share of all text, real
            and predicted each by its own cut; metrics whose name ends in ``_from_10_percent``
            ask for a tenth of the peak instead.
    """
    how = _NO_INTERVAL
    values = {s.name: s.value for s in sampled_scores(windows, strata, how) if s.name in _SIGNED}
    at_share = token_metrics(windows, strata, how, peak=peak, top_share=share)
    values |= {score.name: score.value for score in at_share if score.name in _TOKENS}
    at_peak = token_metrics(windows, strata, how, peak=peak)
    return values | {f"{s.name}{_PEAK}": s.value for s in at_peak if s.name in _AT_PEAK}


def unweighted_correlation(windows: Sequence[ScoredWindow]) -> float | None:
    """Correlation over the tokens of the windows, each window counted once."""
    stratum = Stratum("all", len(windows), len(windows), 0.0, 0.0)
    pooled = [ScoredWindow(w.real, w.predicted, "all", 1.0) for w in windows]
    return population_score(pooled, [stratum], _NO_INTERVAL).value
