"""Windows with predictions, and what is computed from sums over them.

Every estimate is a function of weighted sums of one row a window, so that a resample is a matrix
product and a score never needs the tokens again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.statistics.scored_windows import Floats, ScoredWindow, ScoredWindows

# Columns of a row: sums over the tokens of a window. C_ are of centred values; the others are not.
N, C_X, C_Y, C_XX, C_YY, C_XY, XX, YY, XY, SQUARE, ABSOLUTE, ABS_X = range(12)

# Values closer than this share of the largest differ by rounding only.
_SAME = 64 * np.finfo(np.float64).eps
# A resampled variance below this share of the mean square is rounding.
_NO_VARIANCE = 1e-12


@dataclass(frozen=True, slots=True)
class PooledSums:
    """Sums over the tokens of each window, ready to be weighted and added."""

    rows: Floats
    """Shape (n_windows, 12 or 9), weights included."""
    unit_ratio: float
    """Largest absolute value of all over the largest real one: the errors' unit in real ones'."""
    n_tokens: int
    real_varies: bool
    predicted_varies: bool
    real_is_zero: bool
    predicted_is_zero: bool


def pool_windows(
    windows: Sequence[ScoredWindow], weights: Sequence[float], *, errors: bool = True
) -> PooledSums:
    """The rows of some windows, each with its weight; without `errors`, only the first nine sums.

    Values are divided by their largest and centred before they are squared: no activation is too
    large or too small, and no constant looks as if it varied.
    """
    given, n = ScoredWindows.of(windows), len(windows)
    return pool_parts(given, np.asarray(weights, dtype=np.float64), [0], [n], errors=errors)[0]


def pool_parts(
    windows: ScoredWindows,
    weights: Floats,
    firsts: Sequence[int],
    sizes: Sequence[int],
    *,
    errors: bool = False,
) -> list[PooledSums]:
    """The pools of several parts, each so many windows from its first on, which have weights."""
    from autointerp.statistics.compiled.token_sums import token_sums  # noqa: PLC0415

    rows, parts = token_sums(
        windows.real,
        windows.predicted,
        windows.lengths,
        np.asarray(firsts, dtype=np.int64),
        np.asarray(sizes, dtype=np.int64),
        weights,
        12 if errors else 9,
    )
    last, pools = 0, []
    for size, (x_unit, y_unit, x_least, x_most, y_least, y_most, n) in zip(
        sizes, parts.tolist(), strict=True
    ):
        first, last = last, last + size
        pools.append(
            PooledSums(
                rows[first:last],
                max(x_unit, y_unit) / x_unit,
                int(n),
                x_most - x_least > _SAME,
                y_most - y_least > _SAME,
                x_least == x_most == 0,
                y_least == y_most == 0,
            )
        )
    return pools


def varies(values: Floats) -> bool:
    """Whether predictions tell any two tokens apart, as `PooledSums` has it."""
    unit = float(np.abs(values).max(initial=0.0)) or 1.0
    return bool(len(values)) and bool(np.ptp(values / unit) > _SAME)


def why_no_correlation(pool: PooledSums) -> str | None:
    """Why a correlation is undefined, or None where it is defined."""
    if pool.n_tokens == 0:
        return "no window was judged"
    if pool.n_tokens == 1:
        return "one token only: a correlation needs two"
    if not pool.real_varies:
        return "every real activation is the same"
    if not pool.predicted_varies:
        return "every predicted value is the same"
    return None


def why_no_cosine(pool: PooledSums) -> str | None:
    """Why a cosine is undefined, or None where it is defined."""
    if pool.n_tokens == 0:
        return "no window was judged"
    if pool.real_is_zero:
        return "every real activation is 0"
    if pool.predicted_is_zero:
        return "every predicted value is 0"
    return None


def correlation(sums: Floats) -> Floats:
    """Pearson's r; 0 for a resample in which one side does not vary."""
    from autointerp.statistics.compiled.resampled_windows import correlations  # noqa: PLC0415

    columns = np.ascontiguousarray(np.moveaxis(sums, -1, 0)[: C_XY + 1])
    return np.asarray(correlations(columns.reshape(C_XY + 1, -1))).reshape(sums.shape[:-1])


def cosine(sums: Floats) -> Floats:
    """Cosine of real and predicted values, not centred; 0 where one of them vanishes."""
    # Leaving a window out may leave a sum of squares just below zero, by rounding.
    length = np.sqrt(np.maximum(sums[..., XX], 0)) * np.sqrt(np.maximum(sums[..., YY], 0))
    there = length > 0
    return np.where(there, np.clip(sums[..., XY] / np.where(there, length, 1.0), -1.0, 1.0), 0.0)


def rsquared(sums: Floats, unit_ratio: float) -> Floats:
    """``1 - mean((r-p)^2) / mean(r^2)``; the denominator is not centred (Bills et al. 2023)."""
    return _one_minus(sums[..., SQUARE], sums[..., XX], unit_ratio, power=2)


def centred_rsquared(sums: Floats, unit_ratio: float) -> Floats:
    """``1 - mean((r-p)^2) / variance(r)``."""
    variance = sums[..., C_XX] - sums[..., C_X] ** 2 / sums[..., N]
    variance = np.where(variance > _NO_VARIANCE * sums[..., C_XX], variance, 0.0)
    return _one_minus(sums[..., SQUARE], variance, unit_ratio, power=2)


def absolute_dev_explained(sums: Floats, unit_ratio: float) -> Floats:
    """``1 - mean|r-p| / mean|r|``."""
    return _one_minus(sums[..., ABSOLUTE], sums[..., ABS_X], unit_ratio, power=1)


def _one_minus(error: Floats, size: Floats, unit_ratio: float, *, power: int) -> Floats:
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        ratio = error / size
        for _ in range(power):
            ratio = ratio * unit_ratio
        return np.asarray(1.0 - ratio)


def window_sums(columns: Floats, lengths: NDArray[np.int64]) -> Floats:
    """Sums over each window's tokens, of (n_columns, n_tokens); an empty window adds nothing."""
    there = np.flatnonzero(lengths)
    sums = np.zeros((len(columns), len(lengths)))
    if len(there):
        starts = (np.cumsum(lengths) - lengths)[there]
        sums[:, there] = np.add.reduceat(columns, starts, axis=1)
    return sums
