"""Explanations of other units, against which a unit's own is read."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from autointerp.core.explanations import Candidate, Explanation
from autointerp.core.records import TokenMeans
from autointerp.jobs.cases import Target

__all__ = ["OtherUnits"]

_MOST_OTHERS = 40
# Likeness is compared to so many decimals: sums in another order differ behind them.
_DECIMALS = 9


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
        tokens = sorted({token for target in candidates for token in tables[target].means})
        shape = (len(candidates), len(tokens))
        self._known = np.zeros(shape, dtype=bool)
        self._counts, self._means = np.zeros(shape), np.zeros(shape)
        columns = {token: column for column, token in enumerate(tokens)}
        for target, row in self._places.items():
            table = tables[target]
            own = [columns[token] for token in table.means]
            self._known[row, own] = True
            self._counts[row, own] = [table.counts[token] for token in table.means]
            self._means[row, own] = np.fromiter(table.means.values(), float) - table.overall

    def explanations(self, target: Target) -> tuple[Explanation, ...]:
        """Theirs, the unit's first that responds to the most similar tokens.

        Of each unit the chosen one comes before the rest; the target's own are left out.
        """
        own = {c.explanation.text for c in self._candidates.get(target, ())}
        likeness = self._likeness(target)
        others = [other for other in self._candidates if other != target]
        found = []
        for other in sorted(others, key=lambda o: (-likeness[self._places[o]], o))[:_MOST_OTHERS]:
            ranked = sorted(self._candidates[other], key=lambda c: not c.chosen)
            found += [c.explanation for c in ranked if c.explanation.text not in own]
        return tuple(found)

    def _likeness(self, target: Target) -> list[float]:
        """Cosine with each table, each against its overall mean, shared tokens by their number."""
        row = self._places[target]
        shared = self._known[row] & self._known
        counts, means = self._counts[row] * shared, self._means[row]
        both = (counts * means * self._means).sum(axis=1)
        size = (counts * means**2).sum(axis=1) * (self._counts * shared * self._means**2).sum(
            axis=1
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            cosines = np.where(size > 0, both / np.sqrt(size), 0.0)
        return [float(cosine) for cosine in cosines.round(_DECIMALS)]
