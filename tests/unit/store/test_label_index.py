"""Listing and searching labels, against plain Python over the same rows."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import get_args

import pytest
from factories import make_label, make_unit
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_store import MemoryLabelStore
from typing_extensions import override

from autointerp.core.errors import InputError, UpstreamError
from autointerp.core.explanations import Label, LabelStatus, ScoredExplanation
from autointerp.core.ids import Side
from autointerp.core.scores import Score, ScorerResult
from autointerp.dictionary import COLUMNS, row_json
from autointerp.dictionary.rows import current_row
from autointerp.store.labels.label_rows import ListedRow
from autointerp.store.search.columns import Sort
from autointerp.store.search.label_index import LabelIndex, LabelPage, LabelQuery

HOOKS = ("blocks.2.mlp.hook_post", "blocks.2.mlp.hook_pre", "blocks.10.mlp.hook_post")
WORDS = ("river", "rivers", "the", "Straße", "strasse", "dry", "un-even")
SORTS = get_args(Sort)


def filled(labels: list[Label]) -> LabelIndex:
    store = MemoryLabelStore(row_json)
    for label in labels:
        store.put_label(label)
    return LabelIndex(store, max_age_s=0)


def many_labels(n: int = 60, seed: int = 0) -> list[Label]:
    draw = random.Random(seed)
    found = []
    for index in range(n):
        status = draw.choice((LabelStatus.OK, LabelStatus.OK, LabelStatus.DEAD, LabelStatus.FAILED))
        unit = make_unit(index, hook=draw.choice(HOOKS))
        text = " ".join(draw.choices(WORDS, k=4))
        score = draw.choice((-0.5, 0.0, 0.25, 0.25, 0.75))
        side = draw.choice(list(Side))
        made = make_label(unit, side, status=status, text=text, score=score, top_tokens=())
        if made.explanation and draw.random() < 0.7:
            added = Score("added", draw.choice((-0.25, 0.0, 0.25)), None, None, 2, None)
            words = ScorerResult("words", text, (replace(made.headline, value=-score), added), ())
            llm = ScoredExplanation(made.explanation, "words")
            made = replace(made, llm=llm, results=(*made.results, words))
        found.append(made)
    return found


def brief(page: LabelPage) -> list[tuple[str, int, str]]:
    rows = [json.loads(row) for row in page.rows]
    return [(row["hook"], int(row["index"]), row["polarity"]) for row in rows]


def names(labels: list[Label]) -> list[tuple[str, int, str]]:
    return [(label.unit.hook, label.unit.index, label.side.value) for label in labels]


def all_pages(index: LabelIndex, query: LabelQuery) -> list[tuple[str, int, str]]:
    found, cursor = [], None
    while True:
        asked = {name: getattr(query, name) for name in LabelQuery.__slots__}
        page = index.page(LabelQuery(**{**asked, "cursor": cursor}))
        assert len(page.rows) <= query.limit
        found += brief(page)
        cursor = page.next
        if cursor is None:
            return found


def unit_order(label: Label) -> tuple[int, str, int, int]:
    return label.unit.layer, label.unit.hook, label.unit.index, list(Side).index(label.side)


def oracle(labels: list[Label], query: LabelQuery) -> list[Label]:
    bounded = query.score_min is not None or query.score_max is not None
    low = -9.0 if query.score_min is None else query.score_min
    high = 9.0 if query.score_max is None else query.score_max
    found = [
        label
        for label in sorted(labels, key=unit_order)
        if query.layer in {None, label.unit.layer}
        and query.hook in {None, label.unit.hook}
        and query.status in {None, label.status}
        and (not bounded or (value_of(label) is not None and low <= value_of(label) <= high))
    ]
    if query.sort and query.sort != "unit":
        sign, by = -1 if query.sort[0] == "-" else 1, query.sort.lstrip("-")
        found.sort(key=lambda x: (value_of(x, by) is None, sign * (value_of(x, by) or 0)))
    return found


def value_of(label: Label, by: str = "score") -> float | None:
    return {
        "score": label.headline,
        "llm_score": label.score_of(label.llm),
        "llm_added": label.score_of(label.llm, "added"),
    }[by].value


queries = st.builds(
    LabelQuery,
    layer=st.sampled_from((None, None, 2, 10, 7, -1, 10**12)),
    hook=st.sampled_from((None, None, *HOOKS, "blocks.9.x")),
    status=st.sampled_from((None, None, *LabelStatus)),
    score_min=st.sampled_from((None, None, 0.1, -0.5)),
    score_max=st.sampled_from((None, None, 0.25, -1.0)),
    sort=st.sampled_from(SORTS),
    limit=st.integers(1, 20),
)


@settings(max_examples=80, deadline=None)
@given(query=queries, n=st.sampled_from((0, 1, 60)))
def test_pages_hold_what_was_asked_for_in_order(query: LabelQuery, n: int) -> None:
    labels = many_labels(n)
    found = all_pages(filled(labels), query)
    assert found == names(oracle(labels, query))


def test_units_are_sorted_as_numbers_and_hooks_by_layer() -> None:
    labels = [make_label(make_unit(i, hook=hook)) for hook in HOOKS for i in (9, 10, 100)]
    index = filled(labels[::-1])
    assert brief(index.page(LabelQuery())) == names(labels)


def test_every_word_must_be_there_and_most_matches_come_first() -> None:
    labels = [
        make_label(make_unit(1), text="dry river", score=0.9, top_tokens=()),
        make_label(make_unit(2), text="river and dry river", score=0.1, top_tokens=()),
        make_label(make_unit(3), text="a river", score=0.9, top_tokens=()),
        make_label(make_unit(4), text="a bank", score=0.2, top_tokens=(" dry", " river")),
    ]
    index = filled(labels)
    assert [unit for _, unit, _ in brief(index.page(LabelQuery(words="Dry RIVER")))] == [2, 1, 4]
    by_unit = index.page(LabelQuery(words="dry river", sort="unit"))
    assert [unit for _, unit, _ in brief(by_unit)] == [1, 2, 4]
    assert index.page(LabelQuery(words="river desert")).rows == ()


def test_the_last_word_may_go_on() -> None:
    labels = [
        make_label(make_unit(1), text="rivers", top_tokens=()),
        make_label(make_unit(2), text="river riverbeds", top_tokens=()),
        make_label(make_unit(3), text="striver", top_tokens=()),
    ]
    index = filled(labels)
    assert [unit for _, unit, _ in brief(index.page(LabelQuery(words="riv")))] == [2, 1]
    assert [unit for _, unit, _ in brief(index.page(LabelQuery(words="river ")))] == [2]
    assert brief(index.page(LabelQuery(words="riv rivers"))) == []


def test_letter_case_is_folded_as_in_german() -> None:
    index = filled([make_label(text="die STRASSE", top_tokens=())])
    assert len(index.page(LabelQuery(words="Straße")).rows) == 1


@settings(max_examples=40, deadline=None)
@given(words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3), limit=st.integers(1, 9))
def test_a_search_pages_through_every_match_once(words: list[str], limit: int) -> None:
    labels = many_labels()
    found = all_pages(filled(labels), LabelQuery(words=" ".join(words) + " ", limit=limit))
    plain = [part for word in words for part in word.casefold().replace("-", " ").split()]
    wanted = {
        name
        for label, name in zip(labels, names(labels), strict=True)
        if label.explanation
        and set(plain) <= set(label.explanation.text.casefold().replace("-", " ").split())
    }
    assert len(found) == len(set(found))
    assert set(found) == wanted


@pytest.mark.parametrize("sort", SORTS)
def test_a_cursor_stays_good_while_labels_come_and_change(sort: str) -> None:
    store = MemoryLabelStore(row_json)
    labels = many_labels(40)
    for label in labels:
        store.put_label(label)
    index = LabelIndex(store, max_age_s=0)
    query = LabelQuery(sort=sort, limit=10)  # type: ignore[arg-type]
    first = index.page(query)
    store.put_label(make_label(make_unit(0, hook="blocks.0.mlp.hook_post"), score=0.0))
    store.put_label(make_label(make_unit(0, hook="blocks.99.mlp.hook_post"), score=0.0))
    rest = LabelQuery(sort=sort, limit=1000, cursor=first.next)  # type: ignore[arg-type]
    seen = brief(first) + brief(index.page(rest))
    assert len(seen) == len(set(seen))
    assert set(names(labels)) <= set(seen)


def test_a_label_that_is_put_again_is_listed_once_with_its_newest_row() -> None:
    store = MemoryLabelStore(row_json)
    store.put_label(make_label(text="old words", score=0.1))
    index = LabelIndex(store, max_age_s=0)
    assert len(index.page(LabelQuery(words="old")).rows) == 1
    store.put_label(make_label(text="new words", score=0.2))
    assert index.page(LabelQuery(words="old")).rows == ()
    page = index.page(LabelQuery(score_min=0.15))
    assert [json.loads(row)["description"] for row in page.rows] == ["new words"]
    assert len(index) == 1


def test_rows_travel_as_the_store_keeps_them() -> None:
    label = make_label(text='é "quoted" \u2028')
    assert filled([label]).page(LabelQuery()).rows == (row_json(label).encode(),)


def test_a_row_of_before_there_were_all_columns_has_null_in_those_it_lacks() -> None:
    def old_row(label: Label) -> str:
        row = json.loads(row_json(label))
        kept = {name: row[name] for name in row if not name.startswith(("llm_", "expla"))}
        old = {"modelId": kept.pop("model_id"), "typeName": "senses"}
        return json.dumps(kept | old | {name: str(row[name]) for name in ("layer", "index")})

    store = MemoryLabelStore(old_row)
    store.put_label(make_label())
    store.put_label(make_label(make_unit(7)))
    page = LabelIndex(store, max_age_s=0, n_columns=len(COLUMNS), current=current_row).page(
        LabelQuery(sort="-llm_score")
    )
    rows = [json.loads(row) for row in page.rows]
    assert [row["index"] for row in rows] == [7, 131]
    assert [list(row) for row in rows] == [list(COLUMNS)] * 2
    assert [(row["model_id"], row["explainer"]) for row in rows] == [("tiny", "senses")] * 2
    assert [row["explanation"] for row in rows] == ["names of rivers"] * 2
    assert rows[0]["llm_score"] is None


def test_an_index_looks_for_new_rows_only_now_and_then() -> None:
    store = MemoryLabelStore(row_json)
    store.put_label(make_label(make_unit(1)))
    index = LabelIndex(store, max_age_s=60)
    assert len(index.page(LabelQuery()).rows) == 1
    store.put_label(make_label(make_unit(2)))
    assert len(index.page(LabelQuery()).rows) == 1
    index.refresh()
    assert len(index.loaded_page(LabelQuery()).rows) == 2


class FailingStore(MemoryLabelStore):
    """Cannot be reached for the second batch of rows, or is read to its end."""

    fails = True

    @override
    def rows_since(self, change: int, limit: int) -> tuple[list[ListedRow | None], int]:
        rows, last = super().rows_since(change, limit)
        if change and self.fails:
            raise UpstreamError("the store is gone", retryable=True)
        # A batch that is full.
        return (rows * limit, last) if not change else (rows, last)


def test_rows_that_were_read_before_the_store_failed_are_listed_and_searched() -> None:
    store = FailingStore(row_json)
    store.put_label(make_label(make_unit(1), text="the estuary"))
    index = LabelIndex(store, max_age_s=60)
    with pytest.raises(UpstreamError, match="the store is gone"):
        index.refresh()
    assert brief(index.loaded_page(LabelQuery(words="estuary"))) == [
        ("blocks.5.mlp.hook_post", 1, "positive")
    ]
    store.fails = False
    store.put_label(make_label(make_unit(1), text="the sea"))
    store.put_label(make_label(make_unit(2), text="an estuary"))
    index.refresh()
    assert [unit for _, unit, _ in brief(index.loaded_page(LabelQuery(words="estuary")))] == [2]
    assert [unit for _, unit, _ in brief(index.loaded_page(LabelQuery(words="sea-")))] == [1]


MANY_WORDS = " ".join(str(number) for number in range(40))


@pytest.mark.parametrize(
    "query",
    [
        LabelQuery(limit=0),
        LabelQuery(limit=1001),
        LabelQuery(words="?!"),
        LabelQuery(words=MANY_WORDS),
        LabelQuery(score_min=float("nan")),
        LabelQuery(score_max=float("inf")),
    ],
)
def test_a_query_with_an_impossible_value_is_refused(query: LabelQuery) -> None:
    with pytest.raises(InputError, match=r"limit must be|takes 1 to 32 words|finite number"):
        filled([make_label()]).page(query)


@pytest.mark.parametrize("bad", ["", "x", "!!!!", "bm9uZQ", "W10", "WzFd", "e30", "A" * 500, "é"])
def test_an_invalid_cursor_is_refused(bad: str) -> None:
    with pytest.raises(InputError, match="invalid cursor .*: use the one"):
        filled([make_label()]).page(LabelQuery(cursor=bad))


def test_a_cursor_of_another_query_is_refused() -> None:
    index = filled(many_labels(5))
    cursor = index.page(LabelQuery(limit=1)).next
    with pytest.raises(InputError, match="belongs to another query"):
        index.page(LabelQuery(limit=1, layer=2, cursor=cursor))
    assert index.page(LabelQuery(limit=2, cursor=cursor)).rows


def test_readers_are_served_while_labels_come() -> None:
    store = MemoryLabelStore(row_json)
    store.put_label(make_label(make_unit(0)))
    index = LabelIndex(store, max_age_s=0)

    def write(_: int) -> None:
        for label in many_labels(400, seed=5):
            store.put_label(label)

    def read(number: int) -> None:
        for _ in range(100):
            index.page(LabelQuery(words=WORDS[number % len(WORDS)], limit=20))
            index.page(LabelQuery(sort="-score", score_min=0.0, limit=20))

    with ThreadPoolExecutor(5) as pool:
        done = [pool.submit(write, 0), *(pool.submit(read, number) for number in range(4))]
    assert [work.result() for work in done] == [None] * 5
    assert len(index.page(LabelQuery(limit=1000)).rows) == store.count()


@pytest.mark.parametrize(
    "query",
    [
        LabelQuery(status=LabelStatus.FAILED, limit=7),
        LabelQuery(score_min=0.2, score_max=0.25, limit=5),
        LabelQuery(score_min=0.2, sort="score", limit=50),
        LabelQuery(score_max=0.2, sort="-score", limit=50),
        LabelQuery(layer=10, status=LabelStatus.OK, sort="-score", limit=50),
    ],
)
def test_pages_of_few_among_many_labels_hold_each_once(query: LabelQuery) -> None:
    labels = many_labels(2600)
    assert len(set(names(labels))) > 1024
    expected = names(oracle(labels, query))
    assert expected
    assert all_pages(filled(labels), query) == expected


class StoreOfTwoTexts(MemoryLabelStore):
    """Every label gets one of another text while somebody reads the list of before."""

    reads: Callable[[], None] | None = None

    @override
    def rows_since(self, change: int, limit: int) -> tuple[list[ListedRow | None], int]:
        rows, last = super().rows_since(change, limit)
        if change and self.reads is not None:
            self.reads()
        # A batch that is full, so that another one is asked for.
        return (rows * limit, last) if change else (rows, last)


def test_a_list_is_read_on_while_labels_of_another_text_come() -> None:
    store, found = StoreOfTwoTexts(row_json), []
    units = [make_unit(i) for i in range(50)]
    for unit in units:
        store.put_label(make_label(unit))
    index = LabelIndex(store, max_age_s=0)
    cursor = index.page(LabelQuery(limit=10)).next

    def read() -> None:
        found.append(len(index.loaded_page(LabelQuery(limit=10, cursor=cursor)).rows))
        found.append(index.view.neighbours(units[3]))

    store.reads = read
    for unit in units:
        label = make_label(unit)
        store.put_label(replace(label, provenance=replace(label.provenance, corpus="python")))
    index.refresh()
    assert set(found) == {10, (units[2], units[4])}
