"""What every implementation of the Store protocol keeps to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from factories import make_label, make_sets, make_stats, make_unit

from autointerp.core.errors import AutointerpError
from autointerp.core.ids import Side
from autointerp.core.labels import LabelStatus
from autointerp.store import JsonStore, MemoryStore, Store


@pytest.fixture(params=["json", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return JsonStore(tmp_path / "run") if request.param == "json" else MemoryStore()


def test_a_label_comes_back_equal(store: Store) -> None:
    label = make_label()
    store.put_label(label)
    assert store.get_label(label.unit, label.side) == label


@pytest.mark.parametrize("status", [s for s in LabelStatus if s is not LabelStatus.OK])
def test_a_label_without_explanation_comes_back_equal(store: Store, status: LabelStatus) -> None:
    label = make_label(status=status)
    store.put_label(label)
    assert store.get_label(label.unit, label.side) == label


def test_sets_come_back_equal(store: Store) -> None:
    sets = make_sets(side=Side.NEGATIVE)
    store.put_sets(sets)
    assert store.get_sets(make_unit(), Side.NEGATIVE) == sets


def test_what_was_never_put_is_none(store: Store) -> None:
    store.put_label(make_label(make_unit(1)))
    store.put_sets(make_sets(make_unit(1)))
    assert store.get_label(make_unit(2), Side.POSITIVE) is None
    assert store.get_sets(make_unit(2), Side.POSITIVE) is None


def test_the_two_sides_of_a_unit_are_kept_apart(store: Store) -> None:
    both = [make_label(side=side, text=f"the {side} side") for side in Side]
    for label in both:
        store.put_label(label)
    assert [store.get_label(make_unit(), side) for side in Side] == both
    assert store.count() == 2


def test_a_second_put_replaces_the_first(store: Store) -> None:
    store.put_label(make_label(status=LabelStatus.FAILED))
    store.put_label(make_label(text="second"))
    assert store.count() == 1
    assert [label.status for label in store.labels()] == [LabelStatus.OK]


def test_an_empty_store_has_no_labels(store: Store) -> None:
    assert list(store.labels()) == []
    assert store.count() == 0


def test_labels_come_by_layer_hook_index_and_side_as_numbers(store: Store) -> None:
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


def test_sets_alone_are_not_counted_as_labels(store: Store) -> None:
    store.put_sets(make_sets())
    assert store.count() == 0
    assert list(store.labels()) == []


def test_a_label_with_a_number_that_is_not_finite_is_refused(store: Store) -> None:
    broken = make_label(stats=replace(make_stats(), mean=float("nan")))
    with pytest.raises(AutointerpError, match="this label cannot be stored"):
        store.put_label(broken)
    assert store.count() == 0
