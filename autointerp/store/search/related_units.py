"""Units that a page of one leads to, from what is in memory for search."""

from __future__ import annotations

from random import Random

import numpy as np

from autointerp.core.ids import UnitId
from autointerp.store.labels.label_rows import listed_row
from autointerp.store.search.columns import Filters, View
from autointerp.store.search.text_index import TextIndex


def alike_rows(view: View, words: TextIndex, unit: UnitId, limit: int) -> tuple[bytes, ...]:
    """Rows of other units that have most words of its descriptions and top tokens, best first.

    Words count by how rare they are; empty where the unit has no row, or shares no word.
    """
    own = _slots_of(view, unit)
    rows = (listed_row(view.rows[slot]) for slot in own)
    likeness = words.likeness("\n".join(row.words for row in rows if row is not None), view.n)
    likeness[own] = 0.0
    newest = view.mask(Filters())
    if newest is not None:
        likeness[~newest] = 0.0
    # Few of many share a rare word.
    found = np.flatnonzero(likeness)
    best = found[np.argsort(-likeness[found], kind="stable")[:limit]].tolist()
    return tuple(view.rows[slot] for slot in best)


def any_unit(view: View, model: str, random: Random) -> UnitId | None:
    """A unit of the model that has a label; None where none has."""
    if not view.n:
        return None
    _, hook, index = view.key("unit")(random.randrange(view.n))[:3]
    return UnitId(model, hook, index)


def _slots_of(view: View, unit: UnitId) -> list[int]:
    if unit.hook not in view.hooks:
        return []
    _, hooks, indices, *_ = view.numbers
    is_own = (hooks == view.hooks.index(unit.hook)) & (indices == unit.index)
    return list(np.flatnonzero(is_own).tolist())
