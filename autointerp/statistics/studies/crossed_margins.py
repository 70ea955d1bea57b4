"""How far one unit is ahead of the best of many others, which is not chosen where it is compared.

The best of many units on some text is partly the luckiest there. So documents are dealt out in two
halves; the best other unit is chosen on one and compared on the other, and the other way round.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.statistics.closed_form_intervals import t_quantile
from autointerp.statistics.left_out_documents import left_out_df, left_out_variance, without_each
from autointerp.statistics.studies.followed_predictions import LEAST, Floats

_FEWEST = 3
"""Documents of a half; of fewer nothing is said of how far others would be from them."""


@dataclass(frozen=True, slots=True, eq=False)
class ComparedTokens:
    """What was predicted at some tokens, and what two units do there; all of one length."""

    documents: NDArray[np.intp]
    """Number of each token's document, from 0."""
    weights: Floats
    predicted: Floats
    own: Floats
    other: Floats


@dataclass(frozen=True, slots=True)
class Margin:
    """One unit's correlation with what was predicted less another's."""

    value: float
    low: float | None
    """End of the 95 % interval over documents; None with fewer than three in a half, or where a
    half without one of its documents has no correlation."""
    high: float | None


def second_halves(documents: NDArray[np.intp], masses: Floats, *, seed: int) -> NDArray[np.bool_]:
    """Of each document whether it is in the second half, shape (document,).

    Documents for which much is predicted are dealt out evenly: of every two that are next to each
    other in that order one goes to either half, by chance. What units do there counts for nothing.

    Args:
        documents: number of each token's document, from 0, shape (token,).
        masses: weighted square of what is predicted at each, of the same shape.
        seed: of the chance.
    """
    rng = np.random.default_rng(seed)
    sums = np.bincount(documents, weights=masses)
    order = np.lexsort((rng.random(len(sums)), -sums))
    n_pairs = -(-len(sums) // 2)
    first = rng.random(n_pairs) < 1 / 2
    second = np.empty(len(sums), dtype=bool)
    second[order] = np.stack([first, ~first], axis=1).ravel()[: len(sums)]
    return second


def crossed_margin(halves: Sequence[ComparedTokens]) -> Margin | None:
    """The mean of the halves' margins; None where one of them has no correlation.

    The interval is Student's with the variance by documents that are left out, one at a time, of
    either half, and its degrees of freedom by how unevenly they pull. Of 1,000 simulations with 40
    units that follow a prediction equally well, documents differing in how far each does, another
    was surely ahead in 3.3 of 100 (eight documents) and 1.7 to 2.5 (26), nominally 2.5; with the
    other unit chosen on the text on which it is compared, in 13 to 17; and by windows drawn anew,
    as if those of a document were as many documents, in more than half.

    Args:
        halves: each with the other unit that was chosen on the other one; or all documents alone.
    """
    margins, variances, freedoms = [], [], []
    for half in halves:
        sums = _sums(half)
        margins.append(float(_margins(sums.sum(axis=0))))
        left = _margins(without_each(sums))
        enough = len(sums) >= _FEWEST and bool(np.isfinite(left).all())
        variances.append(float(left_out_variance(left)) if enough else math.nan)
        freedoms.append(left_out_df(left) if enough else math.nan)
    value = sum(margins) / len(margins)
    if not math.isfinite(value):
        return None
    # Of a mean: each half counts by one over their number.
    parts = [variance / len(halves) ** 2 for variance in variances]
    variance = sum(parts)
    if not variance > 0:
        return Margin(value, None, None)
    # Satterthwaite's, of a sum of variances.
    freedom = variance**2 / sum(p * p / f for p, f in zip(parts, freedoms, strict=True))
    reach = t_quantile(0.95, freedom) * math.sqrt(variance)
    return Margin(value, value - reach, value + reach)


def _sums(half: ComparedTokens) -> NDArray[np.float64]:
    """Of each document that has a token, shape (document, sum)."""
    p, own, other = (line.astype(np.float64) for line in (half.predicted, half.own, half.other))
    rows = (np.ones_like(p), p, p * p, own, own * own, own * p, other, other * other, other * p)
    names, places = np.unique(half.documents, return_inverse=True)
    found = [np.bincount(places, half.weights * row, len(names)) for row in rows]
    return np.stack(found, axis=1)


def _margins(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of sums along the last axis."""
    n, p, pp, *rest = np.moveaxis(sums, -1, 0)
    correlations = []
    with np.errstate(divide="ignore", invalid="ignore"):
        variance_p = pp / n - (p / n) ** 2
        for a, aa, ap in (rest[:3], rest[3:]):
            variance = aa / n - (a / n) ** 2
            flat = (variance <= LEAST * aa / n) | (variance_p <= LEAST * pp / n)
            found = (ap / n - a * p / n**2) / np.sqrt(variance * variance_p)
            correlations.append(np.where(flat, np.nan, found))
    margins: NDArray[np.float64] = correlations[0] - correlations[1]
    return margins
