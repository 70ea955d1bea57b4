"""Texts of documents, and intervals over documents: windows of one document are alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from autointerp.statistics.bootstrap import Group, Resampling
from autointerp.statistics.intervals import Ends, t_interval
from autointerp.statistics.left_out_documents import sums_of_documents
from autointerp.statistics.scored_windows import Floats

_FEWEST = 2


@dataclass(frozen=True, slots=True)
class Passage:
    """A text that is run through the subject model."""

    token_ids: tuple[int, ...]
    """Vocabulary ids, without BOS."""
    document: str
    """Id of its document."""
    weight: float = 1.0
    """How many texts of its kind it stands for."""


def document_interval(
    value: float, sums: ArrayLike, sizes: ArrayLike, documents: Sequence[str], *, seed: int
) -> Ends:
    """The 95 % interval of a ratio of sums, over documents; Nones with fewer than two of them.

    Args:
        value: sum of `sums` over sum of `sizes`.
        sums: of each text.
        sizes: of each text, above 0.
        documents: of each text.
        seed: of the resamples.
    """
    rows = sums_of_documents(np.stack([sums, sizes], axis=1), documents)
    if len(rows) < _FEWEST:
        return None, None
    groups = [Group(tuple(range(len(rows))), math.inf)]
    return t_interval(value, _ratio, rows, groups, Resampling(seed=seed), fisher=False)


def _ratio(sums: Floats) -> Floats:
    result: Floats = sums[..., 0] / np.where(sums[..., 1] == 0, np.nan, sums[..., 1])
    return result
