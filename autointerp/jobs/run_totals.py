"""What the labels of a job come to, without holding them all in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import NamedTuple

from typing_extensions import override

from autointerp.core.explanations import Label, LabelStatus, Provenance
from autointerp.core.ids import Side, UnitId
from autointerp.jobs.llm_order import is_by_rules_alone, is_scored
from autointerp.jobs.unit_inputs import Target
from autointerp.llm import Ledger, TotalUsage
from autointerp.scorers.two_sided_score import BOTH_SIDES
from autointerp.store.label_outlines import LabelOutline
from autointerp.store.labels import UnitStore
from autointerp.store.labels.layout import SideKey
from autointerp.store.labels.mending_store import MendingStore


@dataclass(frozen=True, slots=True)
class StoredLabels(Iterable[Label]):
    """Labels in a store, read one at a time whenever they are gone through."""

    store: UnitStore
    targets: Sequence[Target]
    """Of those that have none there is nothing."""

    def __iter__(self) -> Iterator[Label]:
        labels = (self.store.get_label(unit, side) for unit, side in self.targets)
        return (label for label in labels if label is not None)


class LabelOutcome(NamedTuple):
    """What a label came to."""

    unit: UnitId
    side: Side
    status: LabelStatus
    score: float | None
    reason: str | None
    by_rules: bool
    """Whether no LLM was asked about an active unit, or could not be had."""
    failure: str | None
    """Why an LLM's label could not be had in place of one by rules."""
    density: float = 0.0
    """Share of the tokens at which the side is active."""

    @classmethod
    def of(cls, label: Label) -> LabelOutcome:
        """What it came to."""
        return cls.told_by(LabelOutline.of(label))

    @classmethod
    def told_by(cls, label: LabelOutline) -> LabelOutcome:
        """What the label of the outline came to."""
        by_rules = is_by_rules_alone(label)
        failure = label.failure if by_rules else None
        status, score, reason = label.status, label.score, label.reason
        return cls(label.unit, label.side, status, score, reason, by_rules, failure, label.density)


class RunStore(MendingStore):
    """A run's store, which remembers what every label came to: none is read again for that."""

    def __init__(
        self,
        store: UnitStore,
        note: Callable[[str], None],
        *,
        asks_llm: bool = False,
        both_sides: bool = False,
    ) -> None:
        """Where the job asks an LLM, labels by rules alone still await it.

        With `both_sides` two labels of a unit await their common score.
        """
        super().__init__(store, note)
        self._asks_llm, self._both_sides = asks_llm, both_sides
        self.outcomes: dict[Target, LabelOutcome] = {}
        """Of labels that were put, or asked for by `is_finished`."""
        self._put: set[Target] = set()

    def is_finished(self, target: Target) -> bool:
        """Whether there is a label that did not fail, or that cannot be read here."""
        label = self._outline(target)
        if label is None:
            return target in self.newer
        self.outcomes[target] = found = LabelOutcome.told_by(label)
        if label.status is LabelStatus.FAILED or (self._asks_llm and found.by_rules):
            return False
        return not (self._both_sides and self._awaits_common_score(label))

    def _awaits_common_score(self, label: LabelOutline) -> bool:
        # A run that ended between two sides, or behind them, left the score out.
        found = [self._outline(Target(label.unit, side)) for side in Side]
        sides = [one for one in found if one is not None and is_scored(one)]
        return len(sides) == len(Side) and any(BOTH_SIDES not in one.score_names for one in sides)

    @cached_property
    def _stored(self) -> Mapping[SideKey, LabelOutline | None] | None:
        """Those that were there when this was first asked for."""
        return self.outlines()

    def _outline(self, target: Target) -> LabelOutline | None:
        known = None if self._stored is None else self._stored.get(_side_key(target))
        if known is not None and known.unit == target.unit and target not in self._put:
            return known
        label = self.get_without_trials(*target)
        return None if label is None else LabelOutline.of(label)

    def _is_absent(self, target: Target) -> bool:
        """Whether it is known that there is none, as nobody else writes to a run's store."""
        if self._stored is None or target in self._put:
            return False
        return _side_key(target) not in self._stored

    @override
    def get_label(self, unit: UnitId, side: Side) -> Label | None:
        return None if self._is_absent(Target(unit, side)) else super().get_label(unit, side)

    @override
    def get_without_trials(self, unit: UnitId, side: Side) -> Label | None:
        is_absent = self._is_absent(Target(unit, side))
        return None if is_absent else super().get_without_trials(unit, side)

    @override
    def put_label(self, label: Label) -> None:
        super().put_label(label)
        target = Target(label.unit, label.side)
        self._put.add(target)
        if target not in self.newer:
            self.outcomes[target] = LabelOutcome.of(label)


def _side_key(target: Target) -> SideKey:
    return target.unit.hook, target.unit.index, target.side


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
    n_by_rules: int = 0
    """Labels of active units about which no LLM was asked, or could not be."""

    @property
    def n_labels(self) -> int:
        """How many labels there are."""
        return sum(self.n_by_status.values())

    @classmethod
    def of(cls, outcomes: Iterable[LabelOutcome]) -> RunTotals:
        """Of labels in job order."""
        n_by_status = Counter[LabelStatus]()
        statuses: dict[str, list[tuple[LabelStatus, float | None]]] = {}
        failed, best, greatest, n_by_rules = [], None, -float("inf"), 0
        for unit, side, status, score, reason, by_rules, failure, _ in outcomes:
            n_by_rules += by_rules
            n_by_status[status] += 1
            statuses.setdefault(unit.hook, []).append((status, score))
            if status is LabelStatus.FAILED or failure is not None:
                failed.append(FailedLabel(unit, side, failure or reason or ""))
            if best is None or (-2.0 if score is None else score) > greatest:
                best, greatest = unit, -2.0 if score is None else score
        by_hook = {hook: _hook_totals(found) for hook, found in statuses.items()}
        return cls(n_by_status, by_hook, tuple(failed), best, n_by_rules)


def _hook_totals(found: Sequence[tuple[LabelStatus, float | None]]) -> HookTotals:
    scores = [score for _, score in found if score is not None]
    n_ok = sum(status is LabelStatus.OK for status, _ in found)
    return HookTotals(len(found), n_ok, median(scores) if scores else None)


@dataclass(slots=True)
class RunReport:
    """What a run came to."""

    labels: Iterable[Label] = ()
    """Every label of the job, in job order; read from the store each time."""
    folder: Path | None = None
    """The run's folder, which is the feature dictionary; None where labels stay in memory."""
    n_reused: int = 0
    """Labels that were in the store before."""
    seconds_by_stage: dict[str, float] = field(default_factory=dict)
    """Wall clock."""
    usage: TotalUsage = field(default_factory=TotalUsage)
    """What the LLM cost this time."""
    asked_without: tuple[str, ...] = ()
    """What the LLM was found not to take, in words."""
    notes: tuple[str, ...] = ()
    """Sentences about what the LLM was found to do."""
    ledger: Ledger | None = None
    """What the LLM cost by stage and unit, earlier runs of the job included."""
    stopped: str | None = None
    """Why units are left without a label, or with that of rules: the budget ended; None where
    none is left."""
    n_left: int = 0
    """How many have no label."""
    provenance: Provenance | None = None
    llm_failure: str | None = None
    """Why the first question to the LLM failed, where every one did this time."""
    totals: RunTotals = field(default_factory=lambda: RunTotals.of(()))
    """What all labels come to."""

    @property
    def is_whole(self) -> bool:
        """Whether every unit has the label that was asked for."""
        return self.stopped is None and not self.n_left and not self.totals.failed

    @property
    def has_new(self) -> bool:
        """Whether some labels were not finished before."""
        return self.n_reused < self.totals.n_labels
