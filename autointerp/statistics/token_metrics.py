"""How well predictions find the tokens that activate, over all tokens of all held-out text.

A token activates where its real activation reaches a stated threshold. Each score is a weighted
statistic over windows within strata, so it estimates what it would be over the whole split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from autointerp.core.errors import InputError
from autointerp.core.identity_cache import cached_by_identity
from autointerp.core.records import Stratum
from autointerp.core.scores import Score
from autointerp.statistics.bootstrap import Group, Resampling, Statistic
from autointerp.statistics.confusion import (
    METRICS,
    Kind,
    average_precision,
    confusion_statistic,
    lacking,
    missing_kinds,
    steps,
)
from autointerp.statistics.intervals import (
    Ends,
    Estimate,
    Unseen,
    t_intervals,
    unseen_intervals,
)
from autointerp.statistics.population import Sample
from autointerp.statistics.scored_windows import Floats, ScoredWindow

TOKEN_METRICS = tuple(METRICS)
"""Names of the scores, in the order in which they come."""
_FRACTION = 0.1
"""Of the peak, from which a token activates."""

_MISSING: Mapping[Kind, str] = {
    "positive": "no judged token reaches the threshold",
    "negative": "every judged token reaches the threshold",
    "yes": "no token was predicted to reach the threshold",
}


def token_metrics(
    windows: Sequence[ScoredWindow],
    strata: Sequence[Stratum],
    resampling: Resampling,
    *,
    peak: float,
    top_share: float | None = None,
) -> tuple[Score, ...]:
    """The scores of `TOKEN_METRICS`, each with an interval for its value over all windows.

    AUPRC and AUROC read the predictions as they are; the others ask whether a prediction reaches
    the threshold too. Where no prediction does, F1 and IoU are 0 and precision is undefined.

    Args:
        windows: the judged windows only, predictions in model units.
        strata: all strata that windows were drawn from, with their true sizes.
        resampling: how the intervals are made; windows are resampled, never tokens.
        peak: largest activation over the *explain set*, above 0.
        top_share: in place of tokens from a tenth of the peak on, the strongest that together
            are this share of all text, real and predicted each by their own weighted quantile; it
            is kept in resamples.

    Raises:
        InputError: a peak that is not above 0, a share outside 0..1.
    """
    _check(peak, top_share)
    if not windows:
        return tuple(Score.undefined(name, "no window was judged") for name in TOKEN_METRICS)
    tokens = _Tokens.of(windows, strata)
    real_cut = predicted_cut = _FRACTION * peak
    if top_share is not None:
        real_cut = _quantile_cut(tokens.real, tokens.weights, top_share)
        predicted_cut = _quantile_cut(tokens.predicted, tokens.weights, top_share)
    active, message = tokens.real >= real_cut, tokens.predicted >= predicted_cut
    absent = missing_kinds(active, message)
    missing = {name: lacking(name, absent) for name in TOKEN_METRICS}
    there = [name for name, kind in missing.items() if kind is None]
    of_cells, of_ranks = (
        [name for name in there if (name in _CURVES) is curve] for curve in (False, True)
    )
    scores = {
        **_of_cells(of_cells, tokens, active, message, resampling),
        **(_of_ranks(of_ranks, tokens, active, resampling) if of_ranks else {}),
    }
    for name, kind in missing.items():
        if kind is not None:
            scores[name] = Score.undefined(name, _MISSING[kind], n_windows=len(windows))
    return tuple(scores[name] for name in TOKEN_METRICS)


def _of_cells(
    names: Sequence[str],
    tokens: _Tokens,
    active: NDArray[np.bool_],
    message: NDArray[np.bool_],
    resampling: Resampling,
) -> dict[str, Score]:
    """The metrics of a confusion matrix.

    Their intervals held the population's value about as often as they say, measured with
    benchmarks/interval_coverage.py and on real neurons. Few windows of the weak bands stand for
    most active tokens, and often none of the few is hit or missed otherwise than the top windows
    are. So all but accuracy have the interval of resamples with unseen tokens; for F1, IoU and
    precision, which a false positive in much silent text can bring down, it spans Student's too.
    Accuracy has Student's alone, where that has a width.
    """
    rows, unseen, groups = (
        tokens.confusion(active, message),
        tokens.unseen_cells(active),
        tokens.groups,
    )
    statistics = {name: confusion_statistic(name) for name in names}
    values = {name: _value(statistic, rows) for name, statistic in statistics.items()}
    student = [name for name in names if name in _STUDENT]
    asked = [Estimate(values[name], statistics[name], rows, groups) for name in student]
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = {
            name: [own] for name, own in zip(student, t_intervals(asked, resampling), strict=True)
        }
    spanned = [n for n in names if n != "accuracy" or ends[n][0][0] == ends[n][0][1]]
    missed = [(values[name], statistics[name], unseen) for name in spanned]
    for name, own in zip(spanned, unseen_intervals(missed, rows, groups, resampling), strict=True):
        ends.setdefault(name, []).append(own)
    return {name: _score(name, values[name], ends[name], len(rows)) for name in names}


def _of_ranks(
    names: Sequence[str], tokens: _Tokens, active: NDArray[np.bool_], resampling: Resampling
) -> dict[str, Score]:
    """The metrics of a curve, with the intervals of resamples with unseen tokens."""
    from autointerp.statistics.compiled.curve_areas import (  # noqa: PLC0415
        precision_areas,
        roc_areas,
    )

    rows, asked = tokens.ranking(active), []
    for name in names:
        unseen = tokens.unseen_ranks(active, by_window=name == "auroc")
        areas = roc_areas if name == "auroc" else precision_areas
        unseen = replace(unseen, statistic_of=areas)
        asked.append((_value(_CURVES[name], rows), _CURVES[name], unseen))
    ends = unseen_intervals(asked, rows, tokens.groups, resampling)
    return {
        name: _score(name, value, [own], len(rows))
        for name, (value, _, _), own in zip(names, asked, ends, strict=True)
    }


def _value(statistic: Statistic, rows: Floats) -> float:
    return float(np.clip(statistic(rows.sum(axis=0)), 0.0, 1.0))


def _score(name: str, value: float, ends: Sequence[Ends], n_windows: int) -> Score:
    """The metric with the interval that spans these; without one where one of them is unknown."""
    lows = [low for low, _ in ends if low is not None]
    highs = [high for _, high in ends if high is not None]
    if min(len(lows), len(highs)) < len(ends):
        return Score(name, value, None, None, n_windows, None)
    return Score(name, value, max(0.0, min(lows)), min(1.0, max(highs)), n_windows, None)


@dataclass(frozen=True, slots=True)
class _Tokens:
    """All judged tokens one after another, in an order that does not depend on the caller's."""

    real: Floats
    predicted: Floats
    weights: Floats
    """Tokens of the population that each stands for."""
    window: NDArray[np.int64]
    """Place of the window that each is in, ascending."""
    groups: tuple[Group, ...]

    @classmethod
    def of(cls, windows: Sequence[ScoredWindow], strata: Sequence[Stratum]) -> _Tokens:
        sample = Sample.of(windows, strata)
        stored = sample.windows
        place = np.repeat(np.arange(len(stored)), stored.lengths)
        weights = np.array(sample.weights, dtype=np.float64)[place]
        return cls(stored.real, stored.predicted, weights, place, sample.groups)

    @property
    def n_windows(self) -> int:
        """Judged windows, those without tokens too."""
        return sum(len(group.members) for group in self.groups)

    def confusion(self, active: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> Floats:
        """Weight in each of the four cells, a row a window."""
        cell = np.where(active, np.where(predicted, 0, 1), np.where(predicted, 2, 3))
        return self._table(cell, self.weights, 4)

    def ranking(self, active: NDArray[np.bool_]) -> Floats:
        """What curves are computed from, a row a window, three blocks of one column a threshold.

        Weight of the active tokens at or above each prediction that an active token has,
        descending; then of all tokens; then of the inactive ones above it, those at it by half.
        Then one column: all inactive tokens. Only where an active token stands does a curve rise;
        there is a threshold more where an unseen one may stand.
        """
        thresholds, _ = _thresholds(self, active)
        at = np.searchsorted(thresholds, -self.predicted, side="left")
        above = np.searchsorted(thresholds, -self.predicted, side="right")
        n = len(thresholds) + 1
        up, down = self.weights * active, self.weights * ~active
        positive = np.cumsum(self._table(at, up, n), axis=1)
        negative = np.cumsum(self._table(at, down, n), axis=1)
        higher = np.cumsum(self._table(above, down, n), axis=1)
        message = positive + negative
        middle = (negative + higher) / 2
        parts = [block[:, :-1] for block in (positive, message, middle)]
        return np.concatenate([*parts, negative[:, -1:]], axis=1)

    def unseen_cells(self, active: NDArray[np.bool_]) -> Unseen:
        """Misses and false alarms that were not seen, and their opposites."""
        positive, negative = (_unit(self.weights[own]) for own in (active, ~active))
        return Unseen(
            np.array([[0.0, positive, 0.0, 0.0], [0.0, 0.0, negative, 0.0]]),
            np.array([[positive, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, negative]]),
        )

    def unseen_ranks(self, active: NDArray[np.bool_], *, by_window: bool) -> Unseen:
        """For curves: a miss is an active token that ranks in the middle of the inactive ones.

        `by_window`: an unseen active token comes with all those of its window.
        """
        mass = self.weights * active
        positive = _unit(
            self._table(np.zeros_like(self.window), mass, 1)[:, 0] if by_window else mass
        )
        negative = self.weights[~active].max(initial=0.0)
        thresholds, middle = _thresholds(self, active)
        low = (thresholds >= -middle).astype(np.float64)
        none, all_ = np.zeros(len(thresholds)), np.ones(len(thresholds))
        miss, hit = ([np.concatenate([up, up, none, [0.0]]) * positive] for up in (low, all_))
        alarm = np.concatenate([none, all_, all_, [1.0]]) * negative
        return Unseen(np.stack([*miss, alarm]), np.stack(hit))

    def _table(self, column: NDArray[np.int64], mass: Floats, n_columns: int) -> Floats:
        size = self.n_windows * n_columns
        table = np.bincount(self.window * n_columns + column, mass, size)
        return table.astype(np.float64).reshape(-1, n_columns)


@cached_by_identity(8)
def _thresholds(tokens: _Tokens, active: NDArray[np.bool_]) -> tuple[Floats, float]:
    """Thresholds of a curve, negated, ascending; the median of what inactive tokens are predicted.

    By their weights; it is a threshold too.
    """
    predicted, weights = tokens.predicted[~active], tokens.weights[~active]
    middle = float(tokens.predicted.min())
    if len(predicted):
        order = np.argsort(predicted, kind="stable")
        mass = np.cumsum(weights[order])
        middle = float(predicted[order[np.searchsorted(mass, mass[-1] / 2)]])
    return -np.unique(np.append(tokens.predicted[active], middle))[::-1], middle


def _unit(mass: Floats) -> float:
    """What one of so many tokens stands for, on average over what they stand for (Kish 1965)."""
    total = float(mass.sum())
    return float(mass @ mass) / total if total > 0 else 0.0


def _auprc(sums: Floats) -> Floats:
    n = sums.shape[-1] // 3
    return average_precision(sums[..., :n], sums[..., n : 2 * n])


def _auroc(sums: Floats) -> Floats:
    n = sums.shape[-1] // 3
    out_of_order = (steps(sums[..., :n]) * sums[..., 2 * n : 3 * n]).sum(axis=-1)
    area: Floats = 1.0 - out_of_order / (sums[..., n - 1] * sums[..., -1])
    return area


_CURVES: dict[str, Statistic] = {"auprc": _auprc, "auroc": _auroc}
_STUDENT = {"accuracy", "f1", "iou", "precision"}


def _quantile_cut(values: Floats, weights: Floats, share: float) -> float:
    """The value from which on tokens are about that share of all; never the least of all values.

    Equal values are taken together, so that there may be more; where all are the same, none is.
    """
    order = np.argsort(-values, kind="stable")
    mass = np.cumsum(weights[order])
    last = min(int(np.searchsorted(mass, share * mass[-1] * (1 - 1e-12))), len(order) - 1)
    cut, least = float(values[order[last]]), float(values[order[-1]])
    if cut > least:
        return cut
    above = values[values > least]
    return float(above.min()) if len(above) else np.inf


def _check(peak: float, top_share: float | None) -> None:
    if not (np.isfinite(peak) and peak > 0 and (top_share is None or 0 < top_share < 1)):
        raise InputError(
            "a threshold needs a peak above 0 and a share between 0 and 1, found "
            f"{peak} and {top_share}"
        )
