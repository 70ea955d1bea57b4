"""Two models' activations on the same text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autointerp.core.ids import UnitId
from autointerp.evidence.aligned_texts import AlignedText
from autointerp.statistics.paired_moments import Floats
from autointerp.subjects import HookUnits, SubjectModel

_MOST_WINDOWS, _MOST_TOKENS = 32, 2048


@dataclass(frozen=True, slots=True, eq=False)
class MatchedSide:
    """The units of one of two models."""

    subject: SubjectModel
    units: tuple[HookUnits, ...]

    @property
    def ids(self) -> tuple[UnitId, ...]:
        """By hook point as they were given."""
        return tuple(
            UnitId(self.subject.name, group.hook, index)
            for group in self.units
            for index in group.indices
        )

    @property
    def two_sided(self) -> NDArray[np.bool_]:
        """Of each unit, whether its sign carries no preference, so that an opposite is a match."""
        return np.array(
            [self.subject.two_sided(group.hook) for group in self.units for _ in group.indices]
        )

    def read(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Activations, shape (row, unit, pos)."""
        return self.subject.read_rows(rows, {group.hook: group.indices for group in self.units})


class PairedBatch(NamedTuple):
    """Both models' activations at the tokens of some windows that end together."""

    sides: tuple[Floats, Floats]
    """Shapes (token, unit)."""
    documents: NDArray[np.int64]
    """Position in the corpus of each token's document."""
    apart: tuple[Floats, Floats]
    """The first model's beside the second's of a window of another document, in the same order
    within it; windows beside which there is none are left out."""
    apart_documents: NDArray[np.int64]
    """Those of the first model's tokens."""

    @classmethod
    def of(cls, texts: Sequence[AlignedText], sides: Sequence[MatchedSide]) -> PairedBatch:
        """Reads the windows with both models."""
        first = sides[0].read([text.first for text in texts])
        second = sides[1].read([text.second for text in texts])
        rows = [first[row][:, text.at_first].T for row, text in enumerate(texts)]
        others = [second[row][:, text.at_second].T for row, text in enumerate(texts)]
        of = np.array([text.document for text in texts])
        # Farther on than any document is long, and so in another one, at about the same place.
        longest = int(np.unique(of, return_counts=True)[1].max())
        moved = np.roll(np.arange(len(of)), -max(longest, len(of) // 2))
        pairs = zip(rows, (others[place] for place in moved), strict=True)
        kept = np.array([min(len(a), len(b)) for a, b in pairs]) * (of != of[moved])
        return cls(
            (np.concatenate(rows), np.concatenate(others)),
            np.repeat(of, [len(row) for row in rows]),
            (_first_rows(rows, kept), _first_rows([others[place] for place in moved], kept)),
            np.repeat(of, kept),
        )


def read_together(windows: range, n_ctx: int) -> Iterator[range]:
    """Windows that are read at a time, from all over the text: those of one are of many documents.

    Two or more at a time, where there are as many, so that each stands beside another.
    """
    n = max(2, min(_MOST_WINDOWS, _MOST_TOKENS // n_ctx))
    n_parts = max(1, min(-(-len(windows) // n), len(windows) // 2))
    for first in range(n_parts):
        yield windows[first::n_parts]


def _first_rows(parts: Sequence[Floats], kept: Iterable[int]) -> Floats:
    """So many rows of each part."""
    return np.concatenate([part[:n] for part, n in zip(parts, kept, strict=True)])
