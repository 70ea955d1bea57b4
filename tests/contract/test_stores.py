"""What every implementation of the LabelStore protocol keeps to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from factories import make_label, make_sets, make_stats, make_unit
from memory_store import MemoryLabelStore, MemoryLabelStores

from autointerp.core.errors import AutointerpError
from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side
from autointerp.dictionary import row_json
from autointerp.store.artifacts import Artifacts
from autointerp.store.labels import FolderLabelStore, LabelStore, LabelStores
from autointerp.store.labels.folder_stores import FolderLabelStores
from autointerp.store.labels.redis_store import RedisLabelStore, RedisLabelStores
from autointerp.store.redis_connection import RedisConnection


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


def test_a_label_comes_back_equal(store: LabelStore) -> None:
    label = make_label()
    store.put_label(label)
    assert store.get_label(label.unit, label.side) == label


@pytest.mark.parametrize("status", [s for s in LabelStatus if s is not LabelStatus.OK])
def test_a_label_without_explanation_comes_back_equal(
    store: LabelStore, status: LabelStatus
) -> None:
    label = make_label(status=status)
    store.put_label(label)
    assert store.get_label(label.unit, label.side) == label


def test_sets_come_back_equal(store: LabelStore) -> None:
    sets = make_sets(side=Side.NEGATIVE)
    store.put_sets(sets)
    assert store.get_sets(make_unit(), Side.NEGATIVE) == sets


def test_what_was_never_put_is_none(store: LabelStore) -> None:
    store.put_label(make_label(make_unit(1)))
    store.put_sets(make_sets(make_unit(1)))
    assert store.get_label(make_unit(2), Side.POSITIVE) is None
    assert store.get_sets(make_unit(2), Side.POSITIVE) is None


def test_the_two_sides_of_a_unit_are_kept_apart(store: LabelStore) -> None:
    both = [make_label(side=side, text=f"the {side} side") for side in Side]
    for label in both:
        store.put_label(label)
    assert [store.get_label(make_unit(), side) for side in Side] == both
    assert store.get_sides(make_unit()) == tuple(both)
    assert store.count() == 2


def test_the_sides_of_a_unit_are_those_that_are_there(store: LabelStore) -> None:
    label = make_label(side=Side.NEGATIVE)
    store.put_label(label)
    assert store.get_sides(make_unit()) == (label,)
    assert store.get_sides(make_unit(2)) == ()


def test_several_units_are_read_at_once_each_with_its_own_sides(store: LabelStore) -> None:
    both = [make_label(side=side) for side in Side]
    other = make_label(make_unit(2), status=LabelStatus.DEAD)
    for label in (*both, other):
        store.put_label(label)
    units = [make_unit(2), make_unit(9), make_unit(), make_unit(2)]
    found = [sides() for sides in store.sides_of(units)]
    assert found == [(other,), (), tuple(both), (other,)]
    assert store.sides_of([]) == []


def test_a_second_put_replaces_the_first(store: LabelStore) -> None:
    store.put_label(make_label(status=LabelStatus.FAILED))
    store.put_label(make_label(text="second"))
    assert store.count() == 1
    assert [label.status for label in store.labels()] == [LabelStatus.OK]


def test_the_same_changes_have_the_same_mark_whatever_is_put_later(store: LabelStore) -> None:
    store.put_label(make_label(make_unit(1)))
    store.put_label(make_label(make_unit(2)))
    _, change = store.rows_since(0, 10)
    mark = store.mark(change)
    store.put_label(make_label(make_unit(1), text="another"))
    assert store.mark(change) == mark
    assert store.mark(change + 100) is None


def test_changes_made_anew_have_another_mark(stores: LabelStores) -> None:
    store = stores.of("tiny")
    store.put_label(make_label())
    _, change = store.rows_since(0, 10)
    mark = store.mark(change)
    if isinstance(store, FolderLabelStore):
        store.clear()
    elif isinstance(store, RedisLabelStore):
        store._connection.run(lambda client: client.flushdb())
    store.put_label(make_label())
    assert mark is None or mark != store.mark(change)
    assert (mark is None) == isinstance(store, MemoryLabelStore)


def test_an_empty_store_has_no_labels(store: LabelStore) -> None:
    assert list(store.labels()) == list(store.summaries()) == []
    assert store.count() == 0


def test_labels_come_by_layer_hook_index_and_side_as_numbers(store: LabelStore) -> None:
    hooks = ("blocks.2.mlp.hook_post", "blocks.2.mlp.hook_pre", "blocks.10.mlp.hook_post")
    wanted = [
        (make_unit(index, hook=hook), side)
        for hook in hooks
        for index in (9, 10, 12_345_678)
        for side in (Side.POSITIVE, Side.NEGATIVE)
    ]
    for unit, side in sorted(wanted, key=lambda pair: str(pair[0])[::-1]):
        store.put_label(make_label(unit, side))
    assert [(label.unit, label.side) for label in store.labels()] == wanted


def test_heads_say_what_the_labels_say_in_their_order(store: LabelStore) -> None:
    for index, status in enumerate(LabelStatus):
        store.put_label(make_label(make_unit(20 - index), status=status))
    store.put_label(make_label(make_unit(3, hook="blocks.12.mlp.hook_post"), preferred="lookup"))
    assert list(store.summaries()) == [label.summary for label in store.labels()]
    assert [head.unit.index for head in store.summaries()] == [17, 18, 19, 20, 3]


def test_the_sides_that_have_sets_are_told_without_reading_them(store: LabelStore) -> None:
    assert store.sides_with_sets() == set()
    store.put_label(make_label(make_unit(4)))
    store.put_sets(make_sets(make_unit(12_345_678), Side.NEGATIVE))
    store.put_sets(make_sets(make_unit(5, hook="blocks.12.mlp.hook_pre")))
    assert store.sides_with_sets() == {
        ("blocks.5.mlp.hook_post", 12_345_678, Side.NEGATIVE),
        ("blocks.12.mlp.hook_pre", 5, Side.POSITIVE),
    }
    assert store.sets_are_local


def test_sets_alone_are_not_counted_as_labels(store: LabelStore) -> None:
    store.put_sets(make_sets())
    assert store.count() == 0
    assert list(store.labels()) == []


def test_a_label_with_a_number_that_is_not_finite_is_refused(store: LabelStore) -> None:
    broken = make_label(stats=replace(make_stats(), mean=float("nan")))
    with pytest.raises(AutointerpError, match="this label cannot be stored"):
        store.put_label(broken)
    assert store.count() == 0


def test_a_failed_label_does_not_replace_one_that_did_not_fail(store: LabelStore) -> None:
    first = make_label(text="first")
    store.put_label(first)
    store.put_label(make_label(status=LabelStatus.FAILED))
    assert store.get_label(first.unit, first.side) == first
    store.put_label(make_label(status=LabelStatus.DEAD))
    store.put_label(make_label(status=LabelStatus.FAILED))
    assert store.get_label(first.unit, first.side) == make_label(status=LabelStatus.DEAD)
    rows, _ = store.rows_since(0, 10)
    assert json.loads(rows[-1].text)["status"] == "dead"


def test_a_failed_label_replaces_a_failed_one(store: LabelStore) -> None:
    store.put_label(make_label(status=LabelStatus.FAILED))
    store.put_label(make_label(status=LabelStatus.FAILED, reason="another"))
    assert store.get_label(make_unit(), Side.POSITIVE).reason == "another"  # type: ignore[union-attr]


def test_rows_come_in_the_order_in_which_labels_were_put(store: LabelStore) -> None:
    for index in (5, 3, 9):
        store.put_label(make_label(make_unit(index)))
    rows, change = store.rows_since(0, 100)
    assert [json.loads(row.text)["index"] for row in rows] == [5, 3, 9]
    assert rows[0].text.decode() == row_json(make_label(make_unit(5)))
    assert store.rows_since(change, 100) == ([], change)
    store.put_label(make_label(make_unit(4)))
    later, last = store.rows_since(change, 100)
    assert [json.loads(row.text)["index"] for row in later] == [4]
    assert last > change


def test_rows_are_read_some_at_a_time(store: LabelStore) -> None:
    for index in range(5):
        store.put_label(make_label(make_unit(index)))
    change, found = 0, []
    while True:
        rows, change = store.rows_since(change, 2)
        if not rows:
            break
        assert len(rows) <= 2
        found += [json.loads(row.text)["index"] for row in rows]
    assert found == [0, 1, 2, 3, 4]


def test_the_newest_row_of_a_label_comes_last(store: LabelStore) -> None:
    store.put_label(make_label(text="old"))
    store.put_label(make_label(make_unit(7)))
    _, change = store.rows_since(0, 100)
    store.put_label(make_label(text="new"))
    assert json.loads(store.rows_since(0, 100)[0][-1].text)["description"] == "new"
    assert [json.loads(row.text)["description"] for row in store.rows_since(change, 9)[0]] == [
        "new"
    ]


def test_a_change_of_another_store_begins_again(store: LabelStore) -> None:
    store.put_label(make_label())
    rows, change = store.rows_since(2**52, 100)
    assert len(rows) == 1
    assert change < 2**52


def test_an_empty_store_has_no_rows(store: LabelStore) -> None:
    for change in (0, 1, 5):
        assert store.rows_since(change, 100) == ([], 0)


def test_labels_of_many_threads_are_all_there(store: LabelStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda index: store.put_label(make_label(make_unit(index))), range(40)))
    rows, _ = store.rows_since(0, 100)
    assert store.count() == 40
    assert {json.loads(row.text)["index"] for row in rows} == set(range(40))


def test_models_are_kept_apart(stores: LabelStores) -> None:
    assert stores.models() == []
    for model in ("tiny", "Qwen3.5 0.8B", ".hidden", "é%2F"):
        unit = make_unit(subject=model)
        stores.of(model).put_label(make_label(unit, text=model))
        stores.of(model).put_sets(make_sets(unit))
    assert stores.models() == sorted(["tiny", "Qwen3.5 0.8B", ".hidden", "é%2F"])
    label = stores.of("é%2F").get_label(make_unit(subject="é%2F"), Side.POSITIVE)
    assert label is not None
    assert label.unit.subject == "é%2F"
    assert stores.of(".hidden").get_sets(make_unit(subject=".hidden"), Side.POSITIVE) is not None
    assert stores.of("other").count() == 0


def test_a_store_that_makes_no_rows_says_so(tmp_path: Path) -> None:
    for store in (MemoryLabelStore(), FolderLabelStore(tmp_path)):
        with pytest.raises(AutointerpError, match="has no rows"):
            store.rows_since(0, 1)
