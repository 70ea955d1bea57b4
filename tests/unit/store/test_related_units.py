"""Units that a page leads to: those with the same rare words, by chance, and surprising ones."""

from __future__ import annotations

import json
from random import Random

from factories import make_label, make_unit
from memory_store import MemoryLabelStore

from autointerp.dictionary import row_json
from autointerp.store.search.label_index import LabelIndex, LabelQuery
from autointerp.store.search.related_units import alike_rows, any_unit

_TEXTS = (
    "names of rivers in Peru",
    "rivers and lakes",
    "the colour red",
    "the word the",
    *(f"the thing {i}" for i in range(90)),
)


def filled(texts: tuple[str, ...] = _TEXTS) -> LabelIndex:
    store = MemoryLabelStore(row_json)
    for i, text in enumerate(texts):
        store.put_label(make_label(make_unit(i), text=text, score=i / 200, top_tokens=()))
    index = LabelIndex(store, max_age_s=0)
    index.refresh()
    return index


def alike(index: LabelIndex, unit: int) -> list[int]:
    rows = alike_rows(index.view, index.words, make_unit(unit), 5)
    return [json.loads(row)["index"] for row in rows]


def test_units_are_alike_that_share_rare_words_and_none_is_like_itself() -> None:
    index = filled()
    assert alike(index, 0) == [1]
    assert 2 not in alike(index, 3)


def test_a_unit_without_a_label_is_like_no_other() -> None:
    index = filled()
    assert alike(index, 5000) == []
    assert alike(filled(()), 0) == []


def test_any_unit_is_one_that_has_a_label() -> None:
    index = filled()
    found = {any_unit(index.view, "tiny", Random(seed)) for seed in range(30)}
    assert len(found) > 5
    assert all(unit is not None and unit.index < len(_TEXTS) for unit in found)
    assert any_unit(filled(()).view, "tiny", Random(0)) is None


def test_units_are_ordered_by_how_far_their_score_is_above_that_of_the_token_table() -> None:
    index = filled()
    first = index.page(LabelQuery(sort="-surprise", limit=3)).rows
    rows = [json.loads(row) for row in first]
    surprises = [row["score"] - row["score_lookup"] for row in rows]
    assert surprises == sorted(surprises, reverse=True)
    assert [row["index"] for row in rows] == [93, 92, 91]
