"""What workers do of a job that asks for causal evidence: answer it unit by unit, and keep that."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from autointerp.core.causal_evidence import CausalEvidence, EvidenceKind
from autointerp.core.causal_request import CausalRequest
from autointerp.core.causal_words import in_words
from autointerp.core.errors import InputError
from autointerp.core.explanations import Label, LabelStatus
from autointerp.core.ids import Side, UnitId
from autointerp.core.job_state import Job, Stage, WorkItem
from autointerp.core.kept_evidence import EvidenceSource, KeptEvidence, of_each_unit
from autointerp.evidence.causal_answers import evidence_of
from autointerp.jobs.evidence_source import source_of, source_of_labels
from autointerp.jobs.labelled_texts import (
    ON_LABELS,
    Labels,
    labelled_units,
    recorded_texts,
    why_without,
)
from autointerp.jobs.ranked_labels import labels_to_rank, rank_evidence
from autointerp.jobs.recorded_texts import Peaks
from autointerp.jobs.site_evidence import check_sites, site_evidence
from autointerp.jobs.worker.attempt import Attempt
from autointerp.jobs.worker.resources import LoadedModels, WorkerDependencies
from autointerp.orchestration import JobPlan, PlannedHook
from autointerp.orchestration.evidence_cost import evidence_chunk
from autointerp.orchestration.plan import plan_name, read_plan
from autointerp.orchestration.retry_policy import GIVEN_UP
from autointerp.store.labels import LabelStore
from autointerp.subjects import HookUnits, SubjectModel, parse_units

_NO_COLLECTION = ""


class EvidenceWork:
    """Does the work items of jobs that ask for evidence."""

    def __init__(self, deps: WorkerDependencies, models: LoadedModels) -> None:
        self._deps, self._models = deps, models

    def plan(self, job: Job, request: CausalRequest, name: str, units: Sequence[HookUnits]) -> None:
        """Stores which units of the subject of that name the job asks about."""
        hooks = tuple(PlannedHook(u.hook, u.indices, (Side.POSITIVE,)) for u in units)
        plan = JobPlan(name, _NO_COLLECTION, hooks, evidence_chunk(request.kind))
        self._deps.artifacts.put_bytes(plan_name(job.id), plan.to_json())
        self._deps.backend.jobs.set_total(job.id, plan.n_targets)
        self._deps.backend.queue.set_items(job.id, Stage.EVIDENCE, plan.n_chunks)

    def answer(
        self, job: Job, item: WorkItem, attempt: Attempt, *, on_useful: Callable[[], None]
    ) -> None:
        """Answers what has no answer yet of a chunk; each is stored, and then committed.

        A unit of which nothing can be told is committed as failed, with why. `on_useful` is called
        after each unit: another try goes on behind it.
        """
        plan = read_plan(self._deps.artifacts, job.id)
        committed = self._deps.backend.jobs.committed(job.id)
        units = [unit for unit, _ in plan.unlabelled(committed, chunk=item.number)]
        if not units or job.spec.evidence is None:
            return
        subject = self._models.subject(job.spec.subject, job.spec.dtype)
        attempt.step()
        if any(subject.width_or_none(unit.hook) is None for unit in units):
            # An SAE, or directions, that this worker has not read yet.
            parse_units(job.spec.units, subject, seed=job.spec.seed)
        asked = _AnsweredJob(job, job.spec.evidence, subject, self._deps, attempt)
        if asked.request.kind is EvidenceKind.SITES:
            asked.compare_sites(units, self._models, on_useful)
            return
        if asked.request.kind is EvidenceKind.RANK:
            asked.rank(units, on_useful)
            return
        for unit in units:
            attempt.step()
            asked.answer(unit)
            on_useful()


class _AnsweredJob:
    """A job while some of its units are answered."""

    def __init__(
        self,
        job: Job,
        request: CausalRequest,
        subject: SubjectModel,
        deps: WorkerDependencies,
        attempt: Attempt,
    ) -> None:
        self._job, self.request, self._subject = job, request, subject
        self._jobs, self._attempt = deps.backend.jobs, attempt
        self._store: LabelStore = deps.stores.of(subject.name)

    def answer(self, unit: UnitId) -> None:
        """Answers of one unit."""
        labels: Labels = {}
        try:
            if self.request.kind in ON_LABELS:
                labels, without = labelled_units(self._store, self._subject.name, [unit])
                if without:
                    raise InputError(why_without(without))
            texts = recorded_texts(labels, Peaks(), self.request)
            found = evidence_of(
                self._subject, [unit], self.request, texts, check=self._attempt.step
            )
        except InputError as error:
            self._fail(unit, str(error))
            return
        label = labels[unit][0] if unit in labels else None
        self._keep(unit, found, None if label is None else label.provenance.corpus, label)

    def compare_sites(
        self, units: Sequence[UnitId], models: LoadedModels, on_useful: Callable[[], None]
    ) -> None:
        """Answers of the units that have several sites, from one reading of the text a layer."""
        able = []
        for unit in units:
            try:
                check_sites(self._subject, unit)
                able.append(unit)
            except InputError as error:
                self._fail(unit, str(error))
        corpus = models.corpus(self._job.spec.corpus, self._subject)
        for layer in dict.fromkeys(unit.layer for unit in able):
            some = sorted((u for u in able if u.layer == layer), key=lambda unit: unit.index)
            found = site_evidence(self._subject, some, corpus, self._attempt)
            for unit, own in of_each_unit(found, some):
                self._keep(unit, own, corpus.id)
            on_useful()

    def rank(self, units: Sequence[UnitId], on_useful: Callable[[], None]) -> None:
        """Ranks of the units whose labels predict something, from one reading a hook point."""
        labels, without = labels_to_rank(self._store, self._subject.name, units)
        for unit, reason in without.items():
            self._fail(unit, reason)
        for hook in dict.fromkeys(unit.hook for unit in labels):
            some = {unit: own for unit, own in labels.items() if unit.hook == hook}
            try:
                found = rank_evidence(
                    self._subject, some, seed=self.request.seed, progress=self._attempt
                )
            except InputError as error:
                for unit in some:
                    self._fail(unit, str(error))
                continue
            for unit, own in of_each_unit(found, list(some)):
                sides = [one.label for one in some[unit]]
                self._store_answer(
                    unit, own, source_of_labels(self._subject, sides, job=self._job.id)
                )
            on_useful()

    def _keep(
        self, unit: UnitId, found: CausalEvidence, corpus: str | None, label: Label | None = None
    ) -> None:
        source = source_of(self._subject, corpus, job=self._job.id, label=label)
        self._store_answer(unit, found, source)

    def _store_answer(self, unit: UnitId, found: CausalEvidence, source: EvidenceSource) -> None:
        self._store.put_evidence(KeptEvidence(unit, self.request, found, source))
        self._commit(unit, LabelStatus.OK, description=in_words(found))

    def _fail(self, unit: UnitId, reason: str) -> None:
        if not self._jobs.note(self._job.id, GIVEN_UP):
            self._jobs.put_note(self._job.id, GIVEN_UP, reason)
        self._commit(unit, LabelStatus.FAILED, reason=reason)

    def _commit(
        self,
        unit: UnitId,
        status: LabelStatus,
        *,
        reason: str | None = None,
        description: str | None = None,
    ) -> None:
        summary = {
            "unit": str(unit),
            "side": Side.POSITIVE.value,
            "status": status.value,
            "reason": reason,
            "description": description,
        }
        self._jobs.commit(self._job.id, unit, Side.POSITIVE, status, summary=json.dumps(summary))
