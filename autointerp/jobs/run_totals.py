"""What the labels of a job come to, without holding them all in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from autointerp.core.explanations import Label, LabelStatus
from autointerp.core.ids import Side, UnitId
from autointerp.jobs.unit_inputs import Target
from autointerp.store.labels import UnitStore


@dataclass(frozen=True, slots=True)
class StoredLabels(Iterable[Label]):
    """Labels in a store, read one at a time whenever they are gone through."""

    store: UnitStore
    targets: Sequence[Target]
    """Of those that have none there is nothing."""

    def __iter__(self) -> Iterator[Label]:
        labels = (self.store.get_label(unit, side) for unit, side in self.targets)
        return (label for label in labels if label is not None)


@dataclass(frozen=True, slots=True)
class FailedLabel:
    """A label that failed, and why."""

    unit: UnitId
    side: Side
    reason: str


@dataclass(frozen=True, slots=True)
class HookTotals:
    """The labels of one hook point."""

    n_labels: int
    n_ok: int
    median_score: float | None
    """Of those that have a score."""


@dataclass(frozen=True, slots=True)
class RunTotals:
    """What the labels of a job come to."""

    n_by_status: Mapping[LabelStatus, int]
    """How many labels ended how."""
    by_hook: Mapping[str, HookTotals]
    """By hook point, in job order."""
    failed: tuple[FailedLabel, ...]
    best: UnitId | None
    """Unit of the greatest score, the first of several; None where no label is."""

    @property
    def n_labels(self) -> int:
        """How many labels there are."""
        return sum(self.n_by_status.values())

    @classmethod
    def of(cls, labels: Iterable[Label]) -> RunTotals:
        """One pass over the labels."""
        n_by_status = Counter[LabelStatus]()
        statuses: dict[str, list[tuple[LabelStatus, float | None]]] = {}
        failed, best, greatest = [], None, -float("inf")
        for label in labels:
            score = label.headline.value
            n_by_status[label.status] += 1
            statuses.setdefault(label.unit.hook, []).append((label.status, score))
            if label.status is LabelStatus.FAILED:
                failed.append(FailedLabel(label.unit, label.side, label.reason or ""))
            if best is None or (-2.0 if score is None else score) > greatest:
                best, greatest = label.unit, -2.0 if score is None else score
        by_hook = {hook: _hook_totals(found) for hook, found in statuses.items()}
        return cls(n_by_status, by_hook, tuple(failed), best)


def _hook_totals(found: Sequence[tuple[LabelStatus, float | None]]) -> HookTotals:
    scores = [score for _, score in found if score is not None]
    n_ok = sum(status is LabelStatus.OK for status, _ in found)
    return HookTotals(len(found), n_ok, median(scores) if scores else None)
