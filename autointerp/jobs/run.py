"""The life of a labelling job: collect, read records, explain, score, keep.

What is finished is in the store and never done twice, so an interrupted job goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
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
from autointerp.core.config import JobSpec
from autointerp.core.explanations import Label, Provenance
from autointerp.core.ids import Side, UnitId
from autointerp.core.progress import Progress, timed
from autointerp.corpora import TokenCorpus
from autointerp.evidence import SubjectProbe
from autointerp.jobs.chunk import ChunkLabels, EarlierLabel, with_llm
from autointerp.jobs.finished_labels import finished_targets
from autointerp.jobs.read_provenance import provenance_of
from autointerp.jobs.run_totals import RunStore, RunTotals, StoredLabels
from autointerp.jobs.unit_inputs import RecordsReader, Target, unit_reader
from autointerp.llm import ChatModel, Ledger, TotalUsage, ledger_of
from autointerp.orchestration.plan import CHUNK
from autointerp.pipeline import Tools
from autointerp.store.labels import UnitStore
from autointerp.subjects import HookUnits, SubjectModel


@dataclass(frozen=True, slots=True)
class LabelJob:
    """A job with everything it needs but the LLM, which is opened when it is needed."""

    spec: JobSpec
    subject: SubjectModel
    corpus: TokenCorpus
    units: tuple[HookUnits, ...]
    open_llm: Callable[[], ChatModel | None]
    build_tools: Callable[[ChatModel | None, tuple[UnitId, ...]], Tools]
    """Takes the units among which some scorers find others."""
    at_once: int = 4
    """Units that are worked on at the same time."""
    recording: Path | None = None
    """Folder for activations while units are labelled; memory where None."""

    @property
    def ids(self) -> tuple[UnitId, ...]:
        """Every unit, in job order."""
        name = self.subject.name
        return tuple(UnitId(name, u.hook, i) for u in self.units for i in u.indices)


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
    """Why units are left without a label: the budget ended; None where none is left."""
    n_left: int = 0
    """How many are left."""
    provenance: Provenance | None = None
    llm_failure: str | None = None
    """Why the first question to the LLM failed, where every one did this time."""
    totals: RunTotals = field(default_factory=lambda: RunTotals.of(()))
    """What all labels come to."""


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
        self._store = RunStore(store, progress.note)
        self._report = RunReport()
        self._stage = partial(timed, seconds=self._report.seconds_by_stage)
        self._probe = SubjectProbe(job.subject)

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
            summary = self._collected(plan)
            reader = unit_reader(summary, job.spec, job.corpus)
            targets = self._targets(reader)
            finished = {target for target in targets if self._store.is_finished(target)}
            report.n_reused = len(finished)
            self._progress.start("label", len(targets), "units")
            self._progress.advance("label", len(finished))
            if len(finished) < len(targets):
                run_coroutine(self._label_all(summary, reader, targets, finished))
        if job.recording is not None and report.stopped is None:
            remove_recording(job.recording)
        report.labels = StoredLabels(self._store, targets)
        outcomes = self._store.outcomes
        report.totals = RunTotals.of(outcomes[target] for target in targets if target in outcomes)
        report.n_left = len(targets) - report.totals.n_labels - len(self._store.newer)
        if report.provenance is None:
            report.provenance = next((label.provenance for label in report.labels), None)
        return report

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

    def _provenance(self, summary: Summary, model: ChatModel | None, tools: Tools) -> Provenance:
        job = self._job
        read = provenance_of(job.spec, job.subject, job.corpus, summary.identity)
        return with_llm(read, model, tools)

    async def _label_all(
        self,
        summary: Summary,
        reader: UnitReader,
        targets: Sequence[Target],
        finished: set[Target],
    ) -> None:
        job, model = self._job, self._job.open_llm()
        try:
            tools = job.build_tools(model, job.ids)
            self._report.provenance = provenance = self._provenance(summary, model, tools)
            records = RecordsReader(
                job.spec,
                job.subject,
                job.corpus,
                reader,
                store=self._store,
                progress=self._progress,
            )
            labels = ChunkLabels(
                tools,
                provenance,
                self._store,
                self._progress,
                self._stage,
                at_once=job.at_once,
                both_sides=job.spec.sides == "both",
            )
            # Of a label that failed the records are there.
            unread = [t for t in targets if t not in finished and not self._store.get_label(*t)]
            if len(unread) > CHUNK:
                with self._stage("records"):
                    records.record(unread, folder=job.recording)
            for first in range(0, len(targets), CHUNK):
                chunk = targets[first : first + CHUNK]
                if set(chunk) - finished:
                    # Labels that cost nothing may be made durable together.
                    with nullcontext() if model is not None else self._store.batch():
                        await self._label_chunk(records, reader, chunk, finished, labels)
                    self._report.stopped = labels.stopped
                    self._report.llm_failure = labels.answers.failure
        finally:
            if model is not None:
                self._report.usage, features = model.total_usage, model.features
                self._report.asked_without = features.asked_without
                self._report.notes = features.notes
                for note in features.notes:
                    self._progress.note(note)
                self._report.ledger = ledger_of(model)
                await model.close()

    async def _label_chunk(
        self,
        records: RecordsReader,
        reader: UnitReader,
        chunk: Sequence[Target],
        finished: set[Target],
        labels: ChunkLabels,
    ) -> None:
        spec, tokenizer = self._job.spec, self._job.subject.tokenizer
        with self._stage("records"):
            result = records.read([target for target in chunk if target not in finished])
        units = []
        for read in result:
            failed = self._store.get_label(*read.target)
            units.append((read, read.to_input(spec, tokenizer, failed=failed, probe=self._probe)))
        earlier = {}
        for target in set(chunk) & finished:
            label = self._store.get_label(*target)
            candidates = label.candidates if label is not None else ()
            earlier[target] = EarlierLabel(candidates, reader.token_means(*target))
        await labels.label(units, earlier)
