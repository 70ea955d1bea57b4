"""The life of a labelling job: collect, read records, explain, score, keep.

What is finished is in the store and never done twice, so an interrupted job goes on where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from autointerp.activations import (
    CollectPlan,
    Summary,
    UnitReader,
    collect,
    remove_recording,
    summary_by_hook,
)
from autointerp.core.asynchrony import run_coroutine
from autointerp.core.ids import Side
from autointerp.core.progress import Progress, timed
from autointerp.core.variants import Need
from autointerp.evidence import SubjectProbe
from autointerp.jobs.finished_labels import finished_targets
from autointerp.jobs.label_job import LabelJob
from autointerp.jobs.label_pass import LabelPass, RunParts
from autointerp.jobs.outcome_notes import outcome_notes
from autointerp.jobs.rules_first import label_by_rules
from autointerp.jobs.run_totals import RunReport, RunStore, RunTotals, StoredLabels
from autointerp.jobs.spending import Spending
from autointerp.jobs.unit_inputs import Target, unit_reader
from autointerp.llm import ledger_of
from autointerp.pipeline import JobVariants
from autointerp.store.labels import UnitStore


def run_labels(
    job: LabelJob,
    store: UnitStore,
    *,
    progress: Progress,
    checkpoint: Path | None = None,
    collected: Summary | None = None,
) -> RunReport:
    """Labels every unit of the job that the store has no finished label of.

    Failed ones are tried again. The checkpoint is a file that holds the collected summary, and
    while collecting what there is; nothing is collected that was collected before, or where every
    label is there.

    Raises:
        InputError: the job cannot be done as asked.
        UpstreamError: the LLM cannot be used; what is finished is in the store.
        StorageError: the disk refuses; likewise.
    """
    plan = CollectPlan(token_means=True, checkpoint=checkpoint, before=collected)
    return _Run(job, store, progress).run(plan)


class _Run:
    def __init__(self, job: LabelJob, store: UnitStore, progress: Progress) -> None:
        self._job, self._progress = job, progress
        asks_llm = JobVariants.of(job.spec).need(Need.LLM)
        self._store = RunStore(
            store, progress.note, asks_llm=asks_llm, both_sides=job.spec.sides == "both"
        )
        self._report = RunReport(notes=job.notes)
        self._stage = partial(timed, seconds=self._report.seconds_by_stage)

    def run(self, plan: CollectPlan) -> RunReport:
        job, report = self._job, self._report
        let_go = (
            plan.before is None and plan.checkpoint is not None and not plan.checkpoint.exists()
        )
        targets = (
            finished_targets(job.spec, job.subject, job.corpus, job.units, self._store)
            if let_go
            else None
        )
        if targets is not None:
            report.n_reused = len(targets)
        else:
            targets = self._label_what_is_left(plan)
        # Where all are labelled by rules, their records are in the store.
        if job.recording is not None and (report.stopped is None or job.limited is not None):
            remove_recording(job.recording)
        report.labels = StoredLabels(self._store, targets)
        outcomes = self._store.outcomes
        report.totals = RunTotals.of(outcomes[target] for target in targets if target in outcomes)
        report.n_left = len(targets) - report.totals.n_labels - len(self._store.newer)
        self._tell(outcome_notes(outcomes.values(), job.spec, job.subject))
        if report.provenance is None:
            report.provenance = next((label.provenance for label in report.labels), None)
        return report

    def _tell(self, notes: tuple[str, ...]) -> None:
        self._report.notes += notes
        for note in notes:
            self._progress.note(note)

    def _label_what_is_left(self, plan: CollectPlan) -> list[Target]:
        """Every target of the job."""
        job = self._job
        summary = self._collected(plan)
        reader = unit_reader(summary, job.spec, job.corpus)
        targets = self._targets(reader)
        finished = self._finished(targets)
        if len(finished) < len(targets):
            parts = RunParts(
                job,
                self._store,
                self._progress,
                self._stage,
                summary,
                reader,
                SubjectProbe(job.subject),
            )
            run_coroutine(self._label_all(parts, targets, finished))
        return targets

    def _finished(self, targets: Sequence[Target]) -> set[Target]:
        """Those that have a finished label, of which is told."""
        finished = {target for target in targets if self._store.is_finished(target)}
        self._report.n_reused = len(finished)
        if finished:
            what = "sides" if self._job.spec.sides == "both" else "units"
            self._progress.note(
                f"{len(finished):,} of {len(targets):,} {what} are labelled already"
            )
        return finished

    def _collected(self, plan: CollectPlan) -> Summary:
        job = self._job
        with self._stage("collect"):
            summary = collect(
                job.subject,
                job.corpus,
                units=job.units,
                config=job.spec.collect,
                plan=plan,
                progress=self._progress,
            )
            # From now on one hook point at a time is looked at.
            return summary if plan.checkpoint is None else summary_by_hook(plan.checkpoint)

    def _targets(self, reader: UnitReader) -> list[Target]:
        result = []
        for unit in self._job.ids:
            two_sided = self._job.subject.two_sided(unit.hook)
            if two_sided and self._job.spec.sides == "both":
                result += [Target(unit, side) for side in Side]
            else:
                result.append(Target(unit, reader.side(unit, two_sided=two_sided)))
        return result

    async def _label_all(
        self, parts: RunParts, targets: list[Target], finished: set[Target]
    ) -> None:
        job, model, report = self._job, self._job.open_llm(), self._report
        try:
            spending = None
            if model is not None and job.limited is not None:
                targets = await label_by_rules(parts, job.limited, targets, finished)
                spending = Spending(job.limited.n_left, model)
                if len(finished) < len(targets):
                    n_left = len(targets) - len(finished)
                    self._progress.note(job.limited.reach(n_left, spending.before))
            # What is measured of the time is of these.
            self._progress.start("label", len(targets) - len(finished), "units")
            labelling = LabelPass(parts, job.spec, model)
            report.provenance = labelling.labels.provenance
            await labelling.label(targets, finished, spending)
            report.stopped = labelling.labels.stopped
            report.llm_failure = labelling.labels.answers.failure
        finally:
            if model is not None:
                self._report.usage, features = model.total_usage, model.features
                self._report.asked_without = features.asked_without
                self._tell(features.notes)
                self._report.ledger = ledger_of(model)
                await model.close()
