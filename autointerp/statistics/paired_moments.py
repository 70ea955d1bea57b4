"""Correlations of many pairs of units from sums that are added up batch by batch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autointerp.statistics.closed_form_intervals import t_quantile
from autointerp.statistics.left_out_documents import (
    FEWEST_DOCUMENTS,
    left_out_variance,
    without_each,
)

Floats = NDArray[np.floating]

_MOST_PARTS = 256
"""Of more documents some together are left out at a time: sums of each would fill the memory."""
_CONFIDENCE = 0.95
_RIDGE = 1e-3
_LEAST = 1e-12
"""Share of a unit's mean square that is rounding, when all the rest is its mean."""


class CrossMoments:
    """Covariances of all units of one side with all of the other, of tokens given in batches."""

    def __init__(self, n_first: int, n_second: int) -> None:
        self.n = 0
        """Tokens."""
        self._sums = np.zeros(n_first), np.zeros(n_second)
        self._products = {
            (0, 0): np.zeros((n_first, n_first)),
            (0, 1): np.zeros((n_first, n_second)),
            (1, 1): np.zeros((n_second, n_second)),
        }
        self._shifts: tuple[Floats, Floats] | None = None

    def add(self, first: Floats, second: Floats) -> None:
        """Activations of the same tokens, shapes (token, first unit) and (token, second unit)."""
        if not len(first):
            return
        if self._shifts is None:
            # Near their means, products of 32 bits lose nothing that counts.
            self._shifts = first.mean(axis=0), second.mean(axis=0)
        sides = first - self._shifts[0], second - self._shifts[1]
        self.n += len(first)
        for sums, side in zip(self._sums, sides, strict=True):
            np.add(sums, side.sum(axis=0, dtype=np.float64), out=sums)
        for (a, b), products in self._products.items():
            np.add(products, sides[a].T @ sides[b], out=products)

    @property
    def means(self) -> tuple[Floats, Floats]:
        """Mean activation of each unit of either side, model units."""
        shifts = self._shifts or self._sums
        return tuple(  # type: ignore[return-value]
            shift + total / max(1, self.n) for shift, total in zip(shifts, self._sums, strict=True)
        )

    def covariance(self, a: int, b: int) -> Floats:
        """Of the units of side ``a`` with those of side ``b``, where ``a <= b``; each 0 or 1."""
        n = max(1, self.n)
        return self._products[a, b] / n - np.outer(self._sums[a], self._sums[b]) / n**2

    def correlations(self) -> Floats:
        """Shape (first unit, second unit); 0 where one of them does not vary."""
        roots = [np.sqrt(self._variances(side)) for side in (0, 1)]
        scale = np.outer(*roots)
        return np.divide(
            self.covariance(0, 1), scale, out=np.zeros_like(scale), where=scale > 0
        ).clip(-1, 1)

    def varies(self, side: int) -> NDArray[np.bool_]:
        """Of each unit of a side, whether it varies."""
        return self._variances(side) > 0

    def _variances(self, side: int) -> Floats:
        n = max(1, self.n)
        squares = np.diagonal(self._products[side, side]) / n
        variances = squares - (self._sums[side] / n) ** 2
        means = self.means[side]
        return np.where(variances > _LEAST * (means**2 + squares), variances, 0.0)

    def lines(self, side: int, chosen: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Least squares of each unit of a side by some of the other, with a ridge of a thousandth.

        Args:
            side: whose units are predicted, 0 or 1.
            chosen: units of the other side for each, shape (unit, n_chosen).

        Returns:
            Factors of the same shape, and what is added, shape (unit,).
        """
        other = 1 - side
        among, across = self.covariance(other, other), self.covariance(0, 1)
        across = across if side == 0 else across.T
        means = self.means
        blocks = among[chosen[:, :, None], chosen[:, None, :]]
        size = np.trace(blocks, axis1=1, axis2=2) / chosen.shape[1]
        ridge = np.where(size > 0, _RIDGE * size, 1.0)
        blocks = blocks + ridge[:, None, None] * np.eye(chosen.shape[1])
        right = np.take_along_axis(across, chosen, axis=1)
        factors = np.linalg.solve(blocks, right[:, :, None])[:, :, 0]
        return factors, means[side] - (factors * means[other][chosen]).sum(axis=1)


class PairedValue(NamedTuple):
    """What one pair comes to."""

    correlation: float | None
    """-1..1; None where one of the two does not vary."""
    low: float | None
    """End of the 95 % interval over documents; None with fewer than `FEWEST_DOCUMENTS`."""
    high: float | None
    explained: float | None
    """Share of the first one's variance that the second, taken for a prediction, explains; below
    0 where the mean would be nearer. None where the first does not vary."""


class DocumentMoments:
    """Sums of pairs by document: what each pair comes to, and how far other documents would be.

    Of more than 256 documents, by that many parts of them.
    """

    def __init__(self, n_documents: int, n_pairs: int) -> None:
        n_parts = min(n_documents, _MOST_PARTS)
        self._part_of = np.arange(n_documents) * n_parts // max(1, n_documents)
        self._sums = np.zeros((n_parts, 7, n_pairs))
        self._is_read = np.zeros(n_documents, dtype=bool)

    def add(self, documents: NDArray[np.integer], first: Floats, second: Floats) -> None:
        """Tokens of some documents, the arrays of shape (token, pair)."""
        x, y = first.astype(np.float64), second.astype(np.float64)
        self._is_read[documents] = True
        parts_of = self._part_of[documents]
        starts = np.flatnonzero(np.diff(parts_of, prepend=-1))
        if not len(starts):
            return
        parts = np.ones_like(x), x, y, x * x, y * y, x * y, (x - y) ** 2
        for total, part in zip(self._sums.swapaxes(0, 1), parts, strict=True):
            np.add.at(total, parts_of[starts], np.add.reduceat(part, starts, axis=0))

    @property
    def n_documents(self) -> int:
        """Documents with tokens in them."""
        return int(self._is_read.sum())

    def values(self) -> list[PairedValue]:
        """Of every pair."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._values()

    def _values(self) -> list[PairedValue]:
        used = (self._sums[:, 0] > 0).any(axis=1)
        sums = self._sums[used]
        total = sums.sum(axis=0)
        whole = _correlations(total)
        n = len(sums)
        low = high = np.full(whole.shape, np.nan)
        if n >= FEWEST_DOCUMENTS:
            # One document, or part of them, left out at a time.
            rest = _correlations(without_each(sums).swapaxes(0, 1))
            without = np.arctanh(rest.clip(-1 + 1e-12, 1 - 1e-12))
            reach = t_quantile(_CONFIDENCE, n - 1) * np.sqrt(left_out_variance(without))
            middle = np.arctanh(whole.clip(-1 + 1e-12, 1 - 1e-12))
            low, high = np.tanh(middle - reach), np.tanh(middle + reach)
        varied = total[3] - total[1] ** 2 / total[0]
        varied[varied <= _LEAST * total[3]] = np.nan
        explained = 1.0 - total[6] / varied
        columns = (whole, low, high, explained)
        return [PairedValue(*map(_finite, row)) for row in zip(*columns, strict=True)]


def _correlations(sums: Floats) -> Floats:
    n, x, y, xx, yy, xy = sums[:6]
    left, right = xx - x * x / n, yy - y * y / n
    left = np.where(left > _LEAST * xx, left, np.nan)
    right = np.where(right > _LEAST * yy, right, np.nan)
    return np.asarray((xy - x * y / n) / np.sqrt(left * right)).clip(-1, 1)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
