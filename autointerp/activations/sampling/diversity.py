"""Exemplars that differ: of near-identical windows only the strongest is taken.

One boilerplate sentence in many documents fills all top places and tells an explainer nothing
that a single copy would not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_N_GRAM = 2


@dataclass(frozen=True, slots=True)
class PeakContext:
    """What decides whether two windows are alike."""

    document: str
    """Id of the document."""
    token_ids: tuple[int, ...]
    """Vocabulary ids around the peak, at least one."""

    @classmethod
    def around(
        cls, document: str, token_ids: Sequence[int], position: int, *, reach: int
    ) -> PeakContext:
        """The context of a peak at a 0-based position: ``reach`` tokens on either side of it."""
        return cls(document, tuple(token_ids[max(0, position - reach) : position + reach + 1]))

    def overlap(self, other: PeakContext) -> float:
        """Share, 0 to 1, of the smaller context's distinct bigrams that the other one has too.

        Contexts of one token are compared by their tokens.
        """
        n = min(_N_GRAM, len(self.token_ids), len(other.token_ids))
        mine, theirs = _n_grams(self.token_ids, n), _n_grams(other.token_ids, n)
        return len(mine & theirs) / min(len(mine), len(theirs))


def diverse_places(contexts: Sequence[PeakContext], n: int, *, max_overlap: float) -> list[int]:
    """Places, ascending, of at most ``n`` contexts that differ, the first ones preferred.

    Greedy: a context is passed over where it comes from the document of one already chosen, or
    overlaps one by more than ``max_overlap``. Where too few differ, the first of those passed
    over fill up.
    """
    chosen: list[int] = []
    passed_over: list[int] = []
    for place, context in enumerate(contexts):
        if len(chosen) == n:
            break
        alike = any(
            context.document == contexts[i].document or context.overlap(contexts[i]) > max_overlap
            for i in chosen
        )
        (passed_over if alike else chosen).append(place)
    return sorted([*chosen, *passed_over[: n - len(chosen)]])


def _n_grams(token_ids: Sequence[int], n: int) -> frozenset[tuple[int, ...]]:
    return frozenset(tuple(token_ids[i : i + n]) for i in range(len(token_ids) - n + 1))
