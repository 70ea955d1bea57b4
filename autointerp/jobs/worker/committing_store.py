"""Where the labels of a chunk go: into the model's store, and only then are they committed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

from typing_extensions import override

from autointerp.core.explanations import Label, LabelStatus
from autointerp.core.records import UnitSets
from autointerp.jobs.unit_inputs import Target
from autointerp.orchestration.retry_policy import GIVEN_UP
from autointerp.store.jobs import JobStore
from autointerp.store.labels import MemoryUnitStore
from autointerp.store.labels.mending_store import MendingStore


class CommittingStore(MemoryUnitStore):
    """Labels of the chunk: each goes into the model's store, and only then is it committed."""

    def __init__(  # noqa: PLR0913 - where labels go
        self,
        jobs: JobStore,
        store: MendingStore,
        job_id: str,
        sets: Mapping[Target, UnitSets],
        on_label: Callable[[], None],
        *,
        put_off_s: float,
    ) -> None:
        """The last label of each target is put off until as many seconds after a commit."""
        super().__init__()
        self._jobs, self._into, self._job_id = jobs, store, job_id
        self._read, self._on_label, self._put_off_s = sets, on_label, put_off_s
        self._waiting: dict[Target, Label] = {}
        self._committed_at = time.monotonic()

    @override
    def put_label(self, label: Label) -> None:
        super().put_label(label)
        self._waiting[Target(label.unit, label.side)] = label
        if time.monotonic() - self._committed_at >= self._put_off_s:
            self.commit_the_rest()

    def commit_the_rest(self) -> None:
        """Stores and commits what was put off."""
        waiting, self._waiting = self._waiting, {}
        # A transaction waits for the disk, for one label as for many.
        with self._into.batch():
            stored = [label for label in waiting.values() if self._store(label)]
        for label in stored:
            self._commit_as(
                Target(label.unit, label.side),
                label.status,
                reason=label.reason,
                description=label.explanation.text if label.explanation else None,
                score=label.headline.value,
            )
        self._committed_at = time.monotonic()

    def commit_newer(self, target: Target) -> None:
        """Commits that a unit has no label of this version, as a newer one's stays in the store."""
        reason = self._into.newer[target]
        if not self._jobs.note(self._job_id, GIVEN_UP):
            self._jobs.put_note(self._job_id, GIVEN_UP, reason)
        self._commit_as(target, LabelStatus.FAILED, reason=reason)

    def _store(self, label: Label) -> bool:
        """Whether it went into the store, and not a newer version's label stays there."""
        target = Target(label.unit, label.side)
        # Somebody may have put one while this one was made.
        stored = self._into.get_label(*target)
        if target in self._into.newer:
            self.commit_newer(target)
            return False
        sets = self._read.get(target)
        # Where the store keeps the label that it has, that one's records stay with it.
        if sets is not None and label.replaces(stored):
            self._into.put_sets(sets, label.origin)
        self._into.put_label(label)
        return True

    def _commit_as(
        self,
        target: Target,
        status: LabelStatus,
        *,
        reason: str | None,
        description: str | None = None,
        score: float | None = None,
    ) -> None:
        summary = {
            "unit": str(target.unit),
            "side": target.side.value,
            "status": status.value,
            "reason": reason,
            "description": description,
            "score": score,
        }
        self._jobs.commit(
            self._job_id, target.unit, target.side, status, summary=json.dumps(summary)
        )
        self._on_label()
