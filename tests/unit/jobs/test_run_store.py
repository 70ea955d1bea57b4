"""Which labels of a run are finished, and how few of them are decoded for that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from factories import make_label
from typing_extensions import override

from autointerp.core.explanations import Label, LabelStatus
from autointerp.core.ids import Side, UnitId
from autointerp.jobs.run_totals import LabelOutcome, RunStore
from autointerp.jobs.unit_inputs import Target
from autointerp.store.labels import FolderLabelStore


class CountingStore(FolderLabelStore):
    """A folder that counts how many labels were asked for."""

    n_asked = 0

    @override
    def get_label(self, unit: UnitId, side: Side) -> Label | None:
        self.n_asked += 1
        return super().get_label(unit, side)

    @override
    def get_without_trials(self, unit: UnitId, side: Side) -> Label | None:
        self.n_asked += 1
        return super().get_without_trials(unit, side)


def numbered(index: int, **changes: object) -> Label:
    label = make_label()
    return replace(label, unit=replace(label.unit, index=index), **changes)  # type: ignore[arg-type]


def target_of(label: Label) -> Target:
    return Target(label.unit, label.side)


def opened(folder: Path) -> tuple[RunStore, CountingStore]:
    counting = CountingStore(folder)
    return RunStore(counting, lambda _: None), counting


def test_labels_that_are_there_or_not_are_told_apart_without_decoding_one(tmp_path: Path) -> None:
    failed = numbered(2, status=LabelStatus.FAILED, reason="no answer")
    for label in (numbered(1), failed):
        FolderLabelStore(tmp_path).put_label(label)
    store, counting = opened(tmp_path)
    assert [store.is_finished(target_of(numbered(i))) for i in range(4)] == [False, True, False] + [
        False
    ]
    assert store.outcomes[target_of(failed)] == LabelOutcome.of(failed)
    assert store.get_label(numbered(3).unit, Side.POSITIVE) is None
    assert counting.n_asked == 0


def test_a_label_that_was_put_meanwhile_counts(tmp_path: Path) -> None:
    failed = numbered(1, status=LabelStatus.FAILED, reason="no answer")
    FolderLabelStore(tmp_path).put_label(failed)
    store, _ = opened(tmp_path)
    targets = [target_of(numbered(i)) for i in (1, 2)]
    assert not any(map(store.is_finished, targets))
    for index in (1, 2):
        store.put_label(numbered(index))
    assert all(map(store.is_finished, targets))
    assert store.get_label(*targets[1]) == numbered(2)


def test_a_label_of_another_model_in_its_place_does_not_count(tmp_path: Path) -> None:
    label = make_label()
    FolderLabelStore(tmp_path).put_label(replace(label, unit=replace(label.unit, subject="other")))
    assert not opened(tmp_path)[0].is_finished(target_of(label))
