"""Labels of one unit from several texts and explainers, in every implementation of the stores."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories import make_label, make_sets, make_unit
from memory_store import MemoryLabelStores
from stopped_store import StoppedError, StoppedStore

from autointerp.core.explanations import Label, LabelOrigin, LabelStatus
from autointerp.core.ids import Side
from autointerp.core.records import UnitSets
from autointerp.dictionary import row_json
from autointerp.store.artifacts import Artifacts
from autointerp.store.labels import LabelStore, LabelStores
from autointerp.store.labels.folder_stores import FolderLabelStores
from autointerp.store.labels.redis_store import RedisLabelStores
from autointerp.store.labels.stores import copy_labels
from autointerp.store.redis_connection import RedisConnection
from autointerp.store.search.label_index import LabelIndex, LabelQuery

WIKI, PYTHON = (LabelOrigin(corpus, "token_activation") for corpus in ("wiki", "python"))


@pytest.fixture(params=["json", "memory", "redis"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LabelStores]:
    if request.param == "json":
        yield FolderLabelStores(tmp_path / "labels", row_json)
    elif request.param == "memory":
        yield MemoryLabelStores(row_json)
    else:
        link = RedisConnection(request.getfixturevalue("redis_url"))
        yield RedisLabelStores(link, Artifacts(str(tmp_path / "artifacts")), row_json)
        link.close()


@pytest.fixture
def store(stores: LabelStores) -> LabelStore:
    return stores.of("tiny")


def made(corpus: str, *, explainer: str = "token_activation", **given: Any) -> Label:
    label = make_label(**given)
    provenance = replace(label.provenance, corpus=corpus)
    if label.explanation is None:
        return replace(label, provenance=provenance)
    explanation = replace(label.explanation, explainer=explainer, text=f"of {corpus}")
    return replace(label, provenance=provenance, explanation=explanation)


def sets_of(peak: float) -> UnitSets:
    sets = make_sets()
    return replace(sets, explain=replace(sets.explain, peak=peak))


def peak(store: LabelStore, origin: LabelOrigin | None) -> float | None:
    sets = store.get_sets(make_unit(), Side.POSITIVE, origin)
    return None if sets is None else sets.explain.peak


def listed(index: LabelIndex, **query: Any) -> list[tuple[int, str, str]]:
    rows = [json.loads(row) for row in index.page(LabelQuery(**query)).rows]
    return [(row["index"], row["corpus"], row["explainer"]) for row in rows]


def test_the_newest_is_the_default_and_the_other_is_kept(store: LabelStore) -> None:
    first, second = made("wiki"), made("python")
    for label in (first, second):
        store.put_label(label)
    assert store.get_label(make_unit(), Side.POSITIVE) == second
    assert list(store.labels()) == [second]
    assert store.count() == 1
    assert store.kept_of(make_unit()) == tuple(store.kept()) == (first,)
    assert store.kept_of(make_unit(7)) == ()


def test_a_label_of_the_same_origin_is_replaced(store: LabelStore) -> None:
    for label in (made("wiki"), made("wiki", score=0.1)):
        store.put_label(label)
    assert store.kept_of(make_unit()) == ()


def test_an_origin_that_comes_again_is_no_longer_kept(store: LabelStore) -> None:
    again = made("wiki", score=0.3)
    for label in (made("wiki"), made("python"), again):
        store.put_label(label)
    assert store.get_label(make_unit(), Side.POSITIVE) == again
    assert [label.origin for label in store.kept_of(make_unit())] == [PYTHON]


def test_labels_by_several_explainers_are_kept_apart(store: LabelStore) -> None:
    for explainer in ("token_activation", "token_lookup", "senses"):
        store.put_label(made("wiki", explainer=explainer))
    kept = {label.origin.explainer for label in store.kept_of(make_unit())}
    assert kept == {"token_activation", "token_lookup"}


def test_what_failed_or_describes_nothing_is_not_kept(store: LabelStore) -> None:
    for status in (LabelStatus.FAILED, LabelStatus.DEAD):
        store.put_label(made("wiki", status=status))
    store.put_label(made("python"))
    assert store.kept_of(make_unit()) == ()


def test_a_failure_takes_the_place_of_no_other_text_s_label(store: LabelStore) -> None:
    store.put_label(made("wiki"))
    store.put_label(made("python", status=LabelStatus.FAILED))
    assert store.get_label(make_unit(), Side.POSITIVE) == made("wiki")
    assert store.kept_of(make_unit()) == ()


def test_each_label_has_its_own_records(store: LabelStore) -> None:
    for label, value in ((made("wiki"), 4.0), (made("python"), 9.0)):
        store.put_sets(sets_of(value), label.origin)
        store.put_label(label)
    assert [peak(store, origin) for origin in (WIKI, PYTHON, None)] == [4.0, 9.0, 9.0]
    store.put_sets(sets_of(5.0), WIKI)
    store.put_label(made("wiki", score=0.3))
    assert [peak(store, origin) for origin in (WIKI, PYTHON, None)] == [5.0, 9.0, 5.0]
    assert store.sides_with_sets() == {(make_unit().hook, 131, Side.POSITIVE)}


def test_records_of_before_stay_with_their_label(store: LabelStore) -> None:
    store.put_sets(sets_of(4.0))
    store.put_label(made("wiki"))
    store.put_sets(sets_of(9.0), PYTHON)
    store.put_label(made("python"))
    assert [peak(store, origin) for origin in (WIKI, PYTHON)] == [4.0, 9.0]


def test_two_jobs_at_once_lose_no_label_and_mix_no_records(store: LabelStore) -> None:
    both = threading.Barrier(2)

    def work(corpus: str, value: float) -> None:
        for _ in range(20):
            both.wait(20)
            label = made(corpus)
            store.put_sets(sets_of(value), label.origin)
            store.put_label(label)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, ("wiki", "python"), (4.0, 9.0)))
    newest = store.get_label(make_unit(), Side.POSITIVE)
    assert newest is not None
    assert {newest.origin, *(one.origin for one in store.kept_of(make_unit()))} == {WIKI, PYTHON}
    assert [peak(store, origin) for origin in (WIKI, PYTHON)] == [4.0, 9.0]


def test_lists_have_the_newest_and_those_of_an_origin_that_is_asked_for(store: LabelStore) -> None:
    index = LabelIndex(store, max_age_s=0)
    for label in (made("wiki"), made("wiki", unit=make_unit(7))):
        store.put_label(label)
    assert [row[0] for row in listed(index)] == [7, 131]
    store.put_label(made("python"))
    assert [row[:2] for row in listed(index)] == [(7, "wiki"), (131, "python")]
    assert [row[:2] for row in listed(index, corpus="wiki")] == [(7, "wiki"), (131, "wiki")]
    assert [row[:2] for row in listed(index, corpus="python")] == [(131, "python")]
    assert listed(index, corpus="wiki", explainer="senses") == []
    assert (len(index), index.has_kept, len(index.rows()[0])) == (2, True, 2)
    fresh = LabelIndex(store, max_age_s=0)
    for query in ({}, {"corpus": "wiki"}, {"explainer": "token_activation", "words": "of"}):
        assert listed(fresh, **query) == listed(index, **query)


def test_a_list_sees_a_label_whose_kept_one_was_the_last_change(store: LabelStore) -> None:
    index = LabelIndex(store, max_age_s=0)
    store.put_label(made("wiki", status=LabelStatus.DEAD))
    store.put_kept(made("python"), None)
    assert [row[1] for row in listed(index)] == ["wiki"]
    store.put_label(made("python"))
    for each in (index, LabelIndex(store, max_age_s=0)):
        assert [row[1] for row in listed(each)] == ["python"]
        assert [row[1] for row in listed(each, corpus="python")] == ["python"]


def test_a_list_passes_over_what_was_kept_of_the_newest_s_origin(store: LabelStore) -> None:
    index = LabelIndex(store, max_age_s=0)
    for corpus in ("wiki", "python", "wiki", "python", "wiki"):
        store.put_label(made(corpus))
        listed(index)
    for each in (index, LabelIndex(store, max_age_s=0)):
        assert [row[1] for row in listed(each)] == ["wiki"]
        assert [row[1] for row in listed(each, explainer="token_activation")] in (
            ["wiki", "python"],
            ["python", "wiki"],
        )
        assert len(each) == 1


@pytest.mark.parametrize("sort", ["unit", "-score"])
def test_pages_of_several_labels_of_a_unit_go_on_where_they_ended(
    store: LabelStore, sort: Any
) -> None:
    for corpus in ("wiki", "python", "a", "b"):
        for place in (1, 2, 3):
            store.put_label(made(corpus, unit=make_unit(place)))
    index, cursor, found = LabelIndex(store, max_age_s=0), None, []
    while True:
        query = LabelQuery(explainer="token_activation", sort=sort, cursor=cursor, limit=1)
        page = index.page(query)
        found += [json.loads(row) for row in page.rows]
        cursor = page.next
        if cursor is None:
            break
    assert len(found) == 12
    assert len({(row["index"], row["corpus"]) for row in found}) == 12


def test_a_copy_has_all_labels_and_the_same_newest(stores: LabelStores, tmp_path: Path) -> None:
    store = stores.of("tiny")
    for corpus, value in (("wiki", 4.0), ("python", 9.0), ("c", 2.0)):
        label = made(corpus)
        store.put_sets(sets_of(value), label.origin)
        store.put_label(label)
    target = FolderLabelStores(tmp_path / "copy", row_json)
    for _ in range(2):
        list(copy_labels(stores, target))
        copied = target.of("tiny")
        assert [label.origin.corpus for label in copied.labels()] == ["c"]
        assert {label.origin for label in copied.kept()} == {WIKI, PYTHON}
        assert [peak(copied, origin) for origin in (WIKI, PYTHON, None)] == [4.0, 9.0, 2.0]


def test_a_later_copy_brings_what_became_of_kept_labels(
    stores: LabelStores, tmp_path: Path
) -> None:
    store, target = stores.of("tiny"), FolderLabelStores(tmp_path / "copy", row_json)
    for corpus in ("wiki", "python"):
        store.put_label(made(corpus))
    list(copy_labels(stores, target))
    again = made("wiki", score=0.9)
    store.put_sets(sets_of(4.0), again.origin)
    for label in (again, made("python", score=0.8)):
        store.put_label(label)
    for n_copied in (2, 0):
        assert [copied.n_copied for copied in copy_labels(stores, target)] == [n_copied]
        assert target.of("tiny").kept_of(make_unit()) == (again,)
        assert list(target.of("tiny").labels()) == [made("python", score=0.8)]
        assert peak(target.of("tiny"), WIKI) == 4.0


def test_records_of_a_label_that_never_came_are_not_those_of_the_one_before(
    store: LabelStore,
) -> None:
    store.put_sets(sets_of(4.0), WIKI)
    store.put_label(made("wiki"))
    store.put_sets(sets_of(9.0), PYTHON)
    assert peak(store, None) == 4.0


def test_a_label_can_be_put_beside_the_newest_which_stays_in_front(store: LabelStore) -> None:
    index, beside = LabelIndex(store, max_age_s=0), made("python")
    store.put_sets(sets_of(4.0))
    store.put_label(made("wiki"))
    for score, value in ((0.2, 9.0), (0.6, 7.0)):
        beside = made("python", score=score)
        store.put_kept(beside, sets_of(value))
        assert list(store.labels()) == [made("wiki")]
        assert store.kept_of(make_unit()) == tuple(store.kept()) == (beside,)
        assert [peak(store, origin) for origin in (WIKI, PYTHON, None)] == [4.0, value, 4.0]
        assert [row[1] for row in listed(index)] == ["wiki"]
        assert [row[1] for row in listed(index, corpus="python")] == ["python"]
    store.put_sets(sets_of(5.0), PYTHON)
    store.put_label(made("python"))
    assert [label.origin for label in store.kept_of(make_unit())] == [WIKI]
    assert [peak(store, origin) for origin in (WIKI, PYTHON, None)] == [4.0, 5.0, 5.0]
    assert [row[1] for row in listed(index)] == ["python"]


def test_what_is_put_beside_a_label_of_its_own_origin_takes_its_place(store: LabelStore) -> None:
    store.put_sets(sets_of(4.0), WIKI)
    store.put_label(made("wiki"))
    store.put_kept(made("wiki", score=0.1), sets_of(9.0))
    assert list(store.labels()) == [made("wiki", score=0.1)]
    assert store.kept_of(make_unit()) == ()
    assert [peak(store, origin) for origin in (WIKI, None)] == [9.0, 9.0]


def test_a_label_that_is_put_beside_waits_for_one_in_front(store: LabelStore) -> None:
    store.put_kept(made("wiki"), sets_of(4.0))
    assert (store.count(), store.get_sides(make_unit())) == (0, ())
    store.put_sets(sets_of(9.0), PYTHON)
    store.put_label(made("python"))
    assert store.kept_of(make_unit()) == (made("wiki"),)
    assert [peak(store, origin) for origin in (WIKI, PYTHON, None)] == [4.0, 9.0, 9.0]


def test_a_copy_that_ends_at_any_write_puts_no_kept_label_in_front(tmp_path: Path) -> None:
    stores = FolderLabelStores(tmp_path / "labels", row_json)
    for corpus, value in (("wiki", 4.0), ("python", 9.0)):
        stores.of("tiny").put_sets(sets_of(value), LabelOrigin(corpus, "token_activation"))
        stores.of("tiny").put_label(made(corpus))
    n_stopped = 0
    for n in itertools.count():
        target = FolderLabelStores(tmp_path / str(n), row_json)
        target._stores["tiny"] = store = StoppedStore(tmp_path / str(n) / "tiny", row_json)
        store.n_left = n
        try:
            list(copy_labels(stores, target))
        except StoppedError:
            n_stopped += 1
        assert [label.origin for label in store.labels()] in ([], [PYTHON])
        for label in store.kept():
            assert peak(store, label.origin) == 4.0
        if store.n_left:
            break
    assert n_stopped == 4
    list(copy_labels(stores, target))
    assert [peak(store, origin) for origin in (WIKI, PYTHON, None)] == [4.0, 9.0, 9.0]


def test_a_label_that_failed_leaves_none_of_its_kept_ones_in_front_of_the_target_s(
    stores: LabelStores, tmp_path: Path
) -> None:
    store, target = stores.of("tiny"), FolderLabelStores(tmp_path / "copy", row_json)
    store.put_kept(made("python"), None)
    store.put_label(made("wiki", status=LabelStatus.FAILED))
    target.of("tiny").put_label(made("c"))
    list(copy_labels(stores, target))
    assert [label.origin.corpus for label in target.of("tiny").labels()] == ["c"]
    assert [label.origin for label in target.of("tiny").kept()] == [PYTHON]


def test_a_reader_beside_a_writer_misses_no_label(store: LabelStore) -> None:
    units, done = [make_unit(i) for i in range(8)], threading.Event()

    def write() -> None:
        for corpus in map(str, range(60)):
            with store.batch():
                for unit in units:
                    store.put_label(made(corpus, unit=unit))
        done.set()

    seen: set[tuple[int, str | None]] = set()
    with ThreadPoolExecutor(1) as pool:
        writing, change, is_last = pool.submit(write), 0, False
        while not is_last:
            is_last = done.is_set()
            rows, change = store.rows_since(change, 1000)
            seen |= {(row.unit, row.origin[0]) for row in rows if row and not row.is_kept}
        writing.result()
    assert {(unit.index, "59") for unit in units} <= seen
