"""Search by words in the rows of a dictionary, as a server searches."""

from __future__ import annotations

from collections.abc import Iterable

from autointerp.core.ids import UnitId
from autointerp.dictionary.rows import Row
from autointerp.store.search.text_index import TextIndex


def search_rows(rows: Iterable[Row], text: str, *, limit: int) -> tuple[list[Row], int]:
    """(the rows with every word of a text, how many there are): most matches first, then by score.

    The words may be in the description or the top tokens; the last one may be a beginning.

    Raises:
        InputError: there is no word in the text, or there are too many.
    """
    every, index = list(rows), TextIndex()
    index.put({place: _words(row) for place, row in enumerate(every)}, {})
    slots, counts = index.matches(text, len(every))
    found = sorted(
        zip(slots.tolist(), counts.tolist(), strict=True),
        key=lambda match: (-match[1], _by_score(every[match[0]])),
    )
    return [every[slot] for slot, _ in found[:limit]], len(found)


def _words(row: Row) -> str:
    tokens = row.get("top_tokens")
    listed = tokens if isinstance(tokens, list | tuple) else ()
    return "\n".join(map(str, (row.get("description") or "", *listed)))


def _by_score(row: Row) -> tuple[float, int, str, int]:
    score = row.get("score")
    unit = UnitId(str(row["model_id"]), str(row["hook"]), int(str(row["index"])))
    greatest = -score if isinstance(score, float) else 2.0
    return greatest, unit.layer, unit.hook, unit.index
