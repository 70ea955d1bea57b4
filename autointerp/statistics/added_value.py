"""How much an explanation knows beside the token lookup table: the rise of the correlation.

With real activations y, the table's predictions t and the explanation's e, the two are mixed to
``a t + b e`` with shares fitted on other windows than those they are tried on. What is added is
``corr(y, a t + b e) - corr(y, t)`` over all held-out text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.core.records import Stratum
from autointerp.core.scores import Score
from autointerp.statistics.bootstrap import Group, Resampling
from autointerp.statistics.intervals import Unseen, t_interval, unseen_interval
from autointerp.statistics.population import paired_samples
from autointerp.statistics.scored_windows import Floats, ScoredWindow, ScoredWindows
from autointerp.statistics.sufficient_statistics import (
    PooledSums,
    correlation,
    why_no_correlation,
    window_sums,
)

# Sums over tokens: y real, t of the table, e of the explanation.
_N, _Y, _T, _E, _YY, _TT, _EE, _YT, _YE, _TE = range(10)
_N_COLUMNS = 10
_TABLE_ALONE = [_N, _Y, _T, _YY, _TT, _YT]
_N_FOLDS = 10
# A variance below this share of the one over all windows says nothing of a fit.
_NO_VARIANCE = 1e-9


def added_value(
    windows: Sequence[ScoredWindow],
    table: Sequence[ScoredWindow],
    strata: Sequence[Stratum],
    resampling: Resampling,
) -> Score:
    """What the explanation's predictions add to the full token table's, -2..2.

    Named ``added``. About 0, or slightly below for the cost of fitting, where the explanation
    knows no more than the tokens.

    Measured with benchmarks/added_value.py. The lower end is Student's; nearly nothing that adds
    nothing is said to add something. Where an explanation was right in none of the judged windows
    resampling cannot bring a hit back, so the upper end also spans resamples to which unseen hits
    were added.

    Args:
        windows: the judged windows with the explanation's predictions.
        table: the same windows in the same order with the token table's; leave out of both what
            failed in either.
        strata: all strata that windows were drawn from, with their true sizes.
        resampling: how the interval is made; the shares are fitted anew in each resample.

    Raises:
        InputError: the two are not the same windows.
    """
    explained, looked_up = paired_samples(windows, table, strata)
    base = looked_up.pool
    if (reason := _why_undefined(base)) is not None:
        return Score.undefined("added", reason, n_windows=len(windows))
    tokens = _StandardTokens.of(explained.windows, looked_up.windows.predicted, explained.weights)
    groups, sums = explained.groups, tokens.window_sums()
    shrinkage = tokens.shrinkage

    def cross_fitted(rows: Floats) -> Floats:
        return _added(rows, shrinkage)

    rows = _by_fold(sums, groups)
    value = float(cross_fitted(rows.sum(axis=0)))
    low, high = t_interval(value, cross_fitted, rows, groups, resampling, fisher=False)
    _, most = unseen_interval(value, _most, sums, groups, resampling, unseen=tokens.unseen_hit())
    if low is None or high is None or most is None:
        return Score("added", value, None, None, len(windows), None)
    # Over all text the best shares never lose: what is below 0 is the cost of fitting.
    high = min(max(high, most, 0.0), 2.0)
    return Score("added", value, max(low, -2.0), high, len(windows), None)


def _why_undefined(table: PooledSums) -> str | None:
    reason = why_no_correlation(table)
    if reason is not None and table.real_varies and not table.predicted_varies:
        return f"of the token table: {reason}"
    if reason is None and len(table.rows) < 2:
        return "one window only: shares fitted on some windows are tried on others"
    return reason


@dataclass(frozen=True, slots=True)
class _StandardTokens:
    """All judged tokens one after another, real and both predictions of mean 0 and variance 1."""

    real: Floats
    table: Floats
    explained: Floats
    weights: Floats
    lengths: NDArray[np.int64]
    shrinkage: float
    """One over the effective number of windows."""

    @classmethod
    def of(cls, windows: ScoredWindows, table: Floats, weights: Sequence[float]) -> _StandardTokens:
        share = np.asarray(weights, dtype=np.float64) / max(weights)
        own = np.repeat(share, windows.lengths)
        y, t, e = (_standard(v, own) for v in (windows.real, table, windows.predicted))
        shrinkage = float(share @ share) / float(share.sum()) ** 2
        return cls(y, t, e, own, windows.lengths, shrinkage)

    def window_sums(self) -> Floats:
        """Weighted sums of each window, shape (n_windows, 10)."""
        columns = _columns(self.real, self.table, self.explained)
        return window_sums(columns * self.weights, self.lengths).T

    def unseen_hit(self) -> Unseen:
        """A token as strongly active as those that count, where the explanation is right.

        Its share of the sum of squares is a usual one of the tokens above the mean.
        """
        above = np.maximum(self.real, 0.0)
        square = self.weights * above**2
        total = float(square.sum())
        real = math.sqrt(float(square @ above**2) / total)
        usual = float(square @ square) / total / real**2
        most = float(self.explained.max()) or 1.0
        hit = _columns(*np.array([[real], [float(square @ self.table) / total], [most]])).T
        return Unseen(0.0 * hit, usual * hit)


def _columns(y: Floats, t: Floats, e: Floats) -> Floats:
    return np.stack([np.ones_like(y), y, t, e, y * y, t * t, e * e, y * t, y * e, t * e])


def _standard(values: Floats, weights: Floats) -> Floats:
    """Of weighted mean 0 and variance 1; constants are 0."""
    scaled = values / (np.max(np.abs(values)) or 1.0)
    if np.ptp(scaled) <= _NO_VARIANCE:
        return np.zeros_like(values)
    centred = scaled - (scaled @ weights) / weights.sum()
    return np.asarray(centred / np.sqrt(centred**2 @ weights / weights.sum()))


def _by_fold(sums: Floats, groups: Sequence[Group]) -> Floats:
    """The sums in the columns of each window's fold; each group is spread evenly over folds."""
    members = np.concatenate([group.members for group in groups]).astype(np.int64)
    n_folds = min(_N_FOLDS, len(members))
    rows = np.zeros((len(sums), n_folds, _N_COLUMNS))
    rows[members, np.arange(len(members)) % n_folds] = sums[members]
    return rows.reshape(len(sums), -1)


def _added(sums: Floats, shrinkage: float) -> Floats:
    """What is added with shares fitted on the other folds."""
    folds = sums.reshape(*sums.shape[:-1], -1, _N_COLUMNS)
    whole = folds.sum(axis=-2)
    mixed = _mixed(folds, *_shares(whole[..., None, :] - folds, shrinkage)).sum(axis=-2)
    return correlation(mixed) - correlation(whole[..., _TABLE_ALONE])


def _most(sums: Floats) -> Floats:
    """What is added with shares fitted on the windows they are tried on, which flatters."""
    return correlation(_mixed(sums, *_shares(sums, 0.0))) - correlation(sums[..., _TABLE_ALONE])


def _mixed(sums: Floats, a: Floats, b: Floats) -> Floats:
    """Of y and ``a t + b e``, as `correlation` takes them."""
    s = np.moveaxis(sums, -1, 0)
    square = a * a * s[_TT] + b * b * s[_EE] + 2 * a * b * s[_TE]
    mixed, product = a * s[_T] + b * s[_E], a * s[_YT] + b * s[_YE]
    return np.stack([s[_N], s[_Y], mixed, s[_YY], square, product], axis=-1)


def _shares(sums: Floats, shrinkage: float) -> tuple[Floats, Floats]:
    """Of table and explanation, by least squares: at least 0, their squares' sum 1.

    Only the proportion of the two is fitted. A scale and an offset fitted in each fold would
    change the predictions from fold to fold, which costs more than most explanations add, and
    what the table says alone is not fitted either.

    The explanation's share is at least 0: one that predicts where the unit is silent is wrong,
    however well its opposite would do. Where no mixture of both helps, the table is left alone.
    """
    n = np.maximum(sums[..., _N], np.finfo(np.float64).tiny)
    y, t, e, _, tt, ee, yt, ye, te = (sums[..., i] / n for i in range(1, _N_COLUMNS))
    tt, ee = tt - t * t, ee - e * e
    yt, ye, te = yt - y * t, ye - y * e, te - t * e
    # Towards a share of 0, as by one more window in which the explanation says nothing.
    ee = ee * (1.0 + shrinkage)
    a, b = yt * ee - ye * te, ye * tt - yt * te
    varies = (tt > _NO_VARIANCE) & (ee > _NO_VARIANCE)
    both = varies & (a > 0) & (b > 0)
    better = varies & (np.maximum(ye, 0.0) ** 2 * tt > np.maximum(yt, 0.0) ** 2 * ee)
    a = np.where(both, a, np.where(better, 0.0, 1.0))
    b = np.where(both, b, np.where(better, 1.0, 0.0))
    length = np.hypot(a, b)
    return a / length, b / length
