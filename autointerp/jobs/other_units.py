"""Explanations of other units, against which a unit's own is read."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from autointerp.core.explanations import Candidate, Explanation
from autointerp.core.records import TokenMeans
from autointerp.jobs.unit_inputs import Target

_MOST_OTHERS = 40
# Likeness is compared to so many decimals: sums in another order differ behind them.
_DECIMALS = 9

Floats = NDArray[np.float64]


class OtherUnits:
    """The explained units of a chunk, by how alike the tokens are to which they respond."""

    def __init__(
        self,
        candidates: Mapping[Target, tuple[Candidate, ...]],
        tables: Mapping[Target, TokenMeans],
    ) -> None:
        """Compares every two token lookup tables; both mappings have the same keys."""
        self._candidates = candidates
        self._places = {target: place for place, target in enumerate(candidates)}
        own = [tables[target] for target in candidates]
        columns = [[np.asarray(column) for column in table.columns()] for table in own]
        tokens = np.unique(np.concatenate([ids for ids, _, _ in columns] or [np.zeros(0)]))
        known, counts, means = (np.zeros((len(own), len(tokens))) for _ in range(3))
        for row, (ids, values, numbers) in enumerate(columns):
            places = np.searchsorted(tokens, ids)
            known[row, places], counts[row, places] = 1.0, numbers
            means[row, places] = values - own[row].overall
        self._cosines = _cosines(known, counts, means)

    def explanations(self, target: Target) -> tuple[Explanation, ...]:
        """Theirs, the unit's first that responds to the most similar tokens.

        Of each unit the chosen one comes before the rest; the target's own are left out.
        """
        own = {c.explanation.text for c in self._candidates.get(target, ())}
        likeness = self._likeness(target)
        others = [other for other in self._candidates if other != target]
        result = []
        for other in sorted(others, key=lambda o: (-likeness[self._places[o]], o))[:_MOST_OTHERS]:
            ranked = sorted(self._candidates[other], key=lambda c: not c.chosen)
            result += [c.explanation for c in ranked if c.explanation.text not in own]
        return tuple(result)

    def _likeness(self, target: Target) -> list[float]:
        result: list[float] = self._cosines[self._places[target]].tolist()
        return result


def _cosines(known: Floats, counts: Floats, means: Floats) -> Floats:
    """Cosine of every two tables' means over the tokens of both, by a row's table's counts.

    The other's length goes by its own counts. All are 0 where a token is not known.
    """
    both = (counts * means) @ means.T
    lengths = (counts * means**2) @ known.T
    with np.errstate(divide="ignore", invalid="ignore"):
        cosines = np.where(lengths * lengths.T > 0, both / np.sqrt(lengths * lengths.T), 0.0)
    return np.asarray(cosines.round(_DECIMALS))
