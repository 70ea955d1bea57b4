"""Units of another model that were chosen for those of one, and what they come to on more text."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autointerp.core.unit_matches import UnitMatch
from autointerp.evidence.paired_batches import MatchedSide, PairedBatch
from autointerp.statistics.paired_moments import CrossMoments, DocumentMoments, Floats


class ChosenMatches:
    """What the units of one model come to beside those of the other that were chosen for them."""

    def __init__(
        self, side: int, real: CrossMoments, chance: CrossMoments, *, n: int, two_sided: Floats
    ) -> None:
        """Chooses, for the units of ``side`` (0 or 1), one unit of the other and ``n`` of them."""
        self._side = side
        ranked = _ranked(real, side, two_sided)
        self.best = ranked.argmax(axis=1)
        self.varies = real.varies(side) & (ranked.max(axis=1) > 0)
        several = np.argpartition(-np.abs(ranked), n - 1, axis=1)[:, :n]
        self._line = _MatchLines(self.best[:, None], *real.lines(side, self.best[:, None]))
        self._several = _MatchLines(several, *real.lines(side, several))
        self._by_chance = _ranked(chance, side, two_sided).argmax(axis=1)

    def begin(self, n_documents: int) -> None:
        """Forgets what was tested."""
        self._alone, self._together, self._chance = (
            DocumentMoments(n_documents, len(self.best)) for _ in range(3)
        )

    @property
    def n_documents(self) -> int:
        """Documents that matches were tested on."""
        return self._alone.n_documents

    def add(self, batch: PairedBatch, documents: NDArray[np.integer]) -> None:
        """Tests the matches on more tokens."""
        own, other = batch.sides[self._side], batch.sides[1 - self._side]
        at = np.searchsorted(documents, batch.documents)
        self._alone.add(at, own, self._line.of(other))
        self._together.add(at, own, self._several.of(other))
        own, other = batch.apart[self._side], batch.apart[1 - self._side]
        at = np.searchsorted(documents, batch.apart_documents)
        self._chance.add(at, own, other[:, self._by_chance])

    def matches(
        self, own: MatchedSide, other: MatchedSide, back: NDArray[np.int64]
    ) -> list[UnitMatch]:
        """One for each unit; ``back`` is what was chosen for the other model's units."""
        others = other.ids
        rows = zip(
            own.ids,
            self._alone.values(),
            self._together.values(),
            self._chance.values(),
            strict=True,
        )
        result = []
        for place, (unit, alone, together, chance) in enumerate(rows):
            match = int(self.best[place])
            if not self.varies[place]:
                result.append(UnitMatch(unit, None, None, None, None, None, False, None, None))
                continue
            # The line through an opposite goes down, so that its prediction is no opposite.
            sign = -1.0 if self._line.factors[place, 0] < 0 else 1.0
            ends = [None if end is None else sign * end for end in (alone.low, alone.high)]
            low, high = ends if sign > 0 else reversed(ends)
            result.append(
                UnitMatch(
                    unit=unit,
                    match=others[match],
                    correlation=None if alone.correlation is None else sign * alone.correlation,
                    low=low,
                    high=high,
                    chance=chance.correlation,
                    mutual=bool(back[match] == place),
                    explained=alone.explained,
                    explained_by_several=together.explained,
                )
            )
        return result


class _MatchLines(NamedTuple):
    """Predictions of units from some of the other model's."""

    chosen: NDArray[np.int64]
    """Shape (unit, n_chosen)."""
    factors: Floats
    """The same shape."""
    added: Floats
    """Shape (unit,)."""

    def of(self, other: Floats) -> Floats:
        """Predicted activations, shape (token, unit), of the other model's."""
        total = np.zeros((len(other), len(self.added))) + self.added
        for place in range(self.chosen.shape[1]):
            total += other[:, self.chosen[:, place]] * self.factors[:, place]
        return total


def _ranked(moments: CrossMoments, side: int, two_sided: Floats) -> Floats:
    """How well each unit of the other model matches, shape (unit, other unit)."""
    found = moments.correlations()
    found = np.where(two_sided, np.abs(found), found)
    return found if side == 0 else found.T
