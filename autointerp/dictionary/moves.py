"""What moved between two dictionaries, in a form that is kept: a number or two a unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from autointerp.dictionary.comparison import Comparison
from autointerp.dictionary.comparison_json import summary_json
from autointerp.dictionary.label_tables import Key

MoveSort = Literal["-change", "change", "size", "unit"]
"""B's gain first, B's loss first, the greatest change first, by unit."""
WhichMoved = Literal["moved", "changed", "all"]
"""Units whose score, the label's or the LLM's, moved beyond chance; or whose label is another."""


@dataclass(frozen=True, slots=True)
class Moves:
    """The changes between two dictionaries; sorted and cut into pages without the labels."""

    keys: tuple[Key, ...]
    """Of each side of each unit in both, by layer, hook point, index and side."""
    change: NDArray[np.float64]
    """Score in B minus score in A of each, not a number where one has none."""
    moved: NDArray[np.bool_]
    changed: NDArray[np.bool_]
    summary: Mapping[str, Any]
    """What holds of all of them, as ``diff --json`` says it."""

    @classmethod
    def of(cls, comparison: Comparison, key_of: Callable[[Any], Key]) -> Moves:
        """Of a comparison, in which `key_of` gives the key of a pair."""
        pairs = comparison.pairs
        values = [p.difference.value if p.difference else np.nan for p in pairs]
        summary = summary_json(comparison)
        summary |= {"n_only_a": len(comparison.only_a), "n_only_b": len(comparison.only_b)}
        return cls(
            tuple(map(key_of, pairs)),
            np.array(values, np.float64),
            np.array([p.moved or p.llm_moved for p in pairs], np.bool_),
            np.array([bool(p.changed) for p in pairs], np.bool_),
            summary,
        )

    def listed(self, which: WhichMoved, sort: MoveSort) -> list[int]:
        """Their places in that order; what has no change comes last, equal ones by unit."""
        chosen = {"moved": self.moved, "changed": self.changed}.get(which)
        places = np.arange(len(self.keys)) if chosen is None else np.flatnonzero(chosen)
        if sort != "unit":
            sign = {"-change": -self.change, "change": self.change}
            ranked = sign.get(sort, -np.abs(self.change))[places]
            places = places[np.argsort(ranked, kind="stable")]
        return [int(place) for place in places]
