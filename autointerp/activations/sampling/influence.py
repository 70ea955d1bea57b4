"""How much a window can move a score, told before the window is read.

The correlation of real activations a with predictions p changes with a window by its influence,
``sum(a p - r/2 (a^2 + p^2))`` over its tokens, both in standard deviations. Before it is read,
the largest a is known from the collection, and what a plausible explanation would predict from
the token lookup table: windows that it matches count even where the unit is silent, or a label
that is too broad would go unnoticed.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from autointerp.activations.kernels.encoding import signed_edges
from autointerp.activations.sampling.strata import CandidateStratum
from autointerp.activations.summary import HookSummary
from autointerp.core.identity_cache import cached_by_identity
from autointerp.core.records import TokenMeans
from autointerp.corpora import TokenCorpus

# Chosen on 320 neurons of SmolLM2-135M, five layers; flat around these values.
_TYPICAL_R, _CROSS, _POWER, _FLOOR = 0.4, 0.5, 1.25, 0.005


class LookupInfluence:
    """Influence of windows on the score of one side of one unit."""

    def __init__(
        self,
        corpus: TokenCorpus,
        means: TokenMeans,
        summary: HookSummary,
        *,
        side: int,
        column: int,
    ) -> None:
        """Takes what is known before a window is read.

        The lookup table is fitted on explain text, the summary is of the split that windows are
        drawn from. Side 0 is positive, 1 negative; ``column`` is the unit's row in its arrays.
        """
        self._corpus, self._means = corpus, means
        self._spread = _side_spread(summary, side, column) or 1.0
        self._ids, self._squares, self._predicted_spread = _predictions(means)

    def of(self, strata: Sequence[CandidateStratum]) -> list[NDArray[np.floating]]:
        """The influence of every candidate of every stratum, 0..1, above 0."""
        peaks = np.array([peak for stratum in strata for peak in stratum.peaks])
        windows = [window for stratum in strata for window in stratum.candidates]
        real = (peaks / self._spread) ** 2
        predicted = self._energies(windows) / self._predicted_spread**2
        raw = _CROSS * np.sqrt(real * predicted) + _TYPICAL_R / 2 * (real + predicted)
        greatest = float(raw.max(initial=0.0)) or 1.0
        values = np.maximum(raw / greatest, _FLOOR) ** _POWER
        ends = np.cumsum([len(stratum.candidates) for stratum in strata])
        return [*np.split(values, ends)[:-1]] if len(strata) else []

    def _energies(self, windows: Sequence[int]) -> NDArray[np.floating]:
        """Sum of the squared predictions of the lookup table on each window."""
        starts = self._corpus.starts
        texts = [self._corpus.tokens[starts[w] : starts[w + 1]] for w in windows]
        tokens = np.concatenate(texts) if texts else self._ids[:0]
        n = 1 + max(self._ids.max(initial=0), tokens.max(initial=0))
        squares = np.full(n, self._means.overall * self._means.overall)
        squares[self._ids] = self._squares
        values = squares[tokens].tolist()
        ends = itertools.accumulate(map(len, texts), initial=0)
        return np.array([math.fsum(values[a:b]) for a, b in itertools.pairwise(ends)])


# Windows are drawn from two splits by the same table.
@cached_by_identity(1)
def _predictions(means: TokenMeans) -> tuple[NDArray[np.int64], NDArray[np.floating], float]:
    """The tokens of a table, their squared means, and the spread of what it predicts."""
    ids, values, counts = (np.asarray(column) for column in means.columns())
    total = float(counts.sum()) or 1.0
    variance = float((counts * (values - means.overall) ** 2).sum()) / total
    return ids, values * values, math.sqrt(variance) or 1.0


def _side_spread(summary: HookSummary, side: int, column: int) -> float:
    """Standard deviation of the rectified side over a split, from the histogram's bins."""
    counts = summary.histogram[column].astype(np.float64)
    used = counts > 0
    values = np.maximum(0.0, _bin_middles()[used] * (1 if side == 0 else -1))
    if not used.any():
        return 0.0
    mean = np.average(values, weights=counts[used])
    return float(np.sqrt(np.average((values - mean) ** 2, weights=counts[used])))


@functools.cache
def _bin_middles() -> NDArray[np.floating]:
    limit = float(np.finfo(np.float32).max)
    edges = np.clip(signed_edges(), -limit, limit)
    return np.asarray((edges[:-1] + edges[1:]) / 2)
