"""The life of a labelling job: collect, read records, explain, score, keep.

What is finished is in the store and never done twice, so an interrupted job goes on where it was.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from autointerp.activations import (
    CollectPlan,
    Summary,
    UnitReader,
    build_sets,
    collect,
    read_windows,
)
from autointerp.core.asynchrony import for_each, run_to_the_end
from autointerp.core.config import JobSpec
from autointerp.core.explanations import Candidate, Explanation, Provenance
from autointerp.core.ids import Side, UnitId
from autointerp.core.labels import Label, LabelStatus
from autointerp.core.progress import Progress
from autointerp.core.records import ExplainSet, HeldOutSet, UnitSets, ValidationSet
from autointerp.core.text import Split
from autointerp.core.version import VERSION
from autointerp.corpora import TokenCorpus
from autointerp.llm import ChatModel, TotalUsage
from autointerp.pipeline import Case, Chosen, Tools, choose_explanation, dead_label, label_case
from autointerp.store import Store
from autointerp.subjects import HookUnits, SubjectModel

__all__ = ["LabelJob", "RunReport", "run_labels"]

# Units whose records are read together and among which chance levels are drawn.
_CHUNK = 64
_UNITS_AT_ONCE = 4
_MIN_ACTIVE_WINDOWS = 2


@dataclass(frozen=True, slots=True)
class LabelJob:
    """A job with everything it needs but the LLM, which is opened when it is needed."""

    spec: JobSpec
    subject: SubjectModel
    corpus: TokenCorpus
    units: tuple[HookUnits, ...]
    open_llm: Callable[[], ChatModel | None]
    build_tools: Callable[[ChatModel | None], Tools]

    @property
    def ids(self) -> tuple[UnitId, ...]:
        """Every unit, in job order."""
        name = self.subject.name
        return tuple(UnitId(name, u.hook, i) for u in self.units for i in u.indices)


@dataclass(slots=True)
class RunReport:
    """What a run came to."""

    labels: tuple[Label, ...] = ()
    n_reused: int = 0
    """Labels that were in the store before."""
    seconds_by_stage: dict[str, float] = field(default_factory=dict)
    usage: TotalUsage = field(default_factory=TotalUsage)
    provenance: Provenance | None = None

    @property
    def n_by_status(self) -> Mapping[LabelStatus, int]:
        """How many labels ended how."""
        return Counter(label.status for label in self.labels)


def run_labels(
    job: LabelJob, store: Store, *, progress: Progress, checkpoint: Path | None = None
) -> RunReport:
    """Labels every unit of the job that the store has no finished label of.

    Args:
        job: what to do.
        store: where labels and records are kept; finished ones in it are reused, failed ones
            are tried again.
        progress: told about every stage.
        checkpoint: file that holds the collected summary, and while collecting what there is.

    Raises:
        InputError: the job cannot be done as asked.
        UpstreamError: the LLM cannot be used; what is finished is in the store.
        StorageError: the disk refuses; likewise.
    """
    return _Run(job, store, progress).to_the_end(checkpoint)


class _Run:
    def __init__(self, job: LabelJob, store: Store, progress: Progress) -> None:
        self._job, self._store, self._progress = job, store, progress
        self._report = RunReport()

    def to_the_end(self, checkpoint: Path | None) -> RunReport:
        job, report = self._job, self._report
        with self._stage("collect"):
            plan = CollectPlan(token_means=True, checkpoint=checkpoint)
            summary = collect(
                job.subject,
                job.corpus,
                units=job.units,
                config=job.spec.collect,
                plan=plan,
                progress=self._progress,
            )
        reader = _reader(summary, job.spec)
        sides = {
            unit: reader.side(unit, two_sided=job.subject.two_sided(unit.hook)) for unit in job.ids
        }
        finished = self._finished(sides)
        report.n_reused = len(finished)
        self._progress.start("label", len(sides), "units")
        self._progress.advance("label", len(finished))
        if len(finished) < len(sides):
            run_to_the_end(self._label_all(summary, reader, sides, set(finished)))
        found = (self._store.get_label(unit, side) for unit, side in sides.items())
        report.labels = tuple(label for label in found if label is not None)
        if report.provenance is None and report.labels:
            report.provenance = report.labels[0].provenance
        return report

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            seconds = self._report.seconds_by_stage
            seconds[name] = seconds.get(name, 0.0) + time.monotonic() - started

    def _finished(self, sides: Mapping[UnitId, Side]) -> tuple[UnitId, ...]:
        done = []
        for unit, side in sides.items():
            label = self._store.get_label(unit, side)
            if label is not None and label.status is not LabelStatus.FAILED:
                done.append(unit)
        return tuple(done)

    def _provenance(self, summary: Summary, model: ChatModel | None, tools: Tools) -> Provenance:
        job = self._job
        name = model.name if model is not None else None
        return Provenance(
            package_version=VERSION,
            subject=job.subject.name,
            subject_revision=job.subject.revision,
            dtype=job.subject.dtype_name,
            tokenizer=job.subject.tokenizer.name,
            corpus=job.corpus.id,
            corpus_hash=job.corpus.hash,
            n_tokens=job.corpus.n_tokens,
            n_ctx=job.corpus.n_ctx,
            seed=job.spec.seed,
            split_hash=job.corpus.split_hash,
            collect_hash=summary.identity.config.digest,
            explainer_model=name,
            scorer_model=name,
            prompts=tools.prompts,
            encoders=summary.identity.encoders,
        )

    async def _label_all(
        self,
        summary: Summary,
        reader: UnitReader,
        sides: Mapping[UnitId, Side],
        finished: set[UnitId],
    ) -> None:
        model = self._job.open_llm()
        try:
            tools = self._job.build_tools(model)
            self._report.provenance = provenance = self._provenance(summary, model, tools)
            units = list(sides.items())
            for first in range(0, len(units), _CHUNK):
                chunk = dict(units[first : first + _CHUNK])
                if set(chunk) - finished:
                    await self._label_chunk(reader, chunk, finished, tools, provenance)
        finally:
            if model is not None:
                self._report.usage = model.total_usage
                await model.close()

    async def _label_chunk(
        self,
        reader: UnitReader,
        chunk: Mapping[UnitId, Side],
        finished: set[UnitId],
        tools: Tools,
        provenance: Provenance,
    ) -> None:
        pending = {unit: side for unit, side in chunk.items() if unit not in finished}
        with self._stage("records"):
            cases = self._cases(reader, pending)
        living = {}
        for unit, case in cases.items():
            reason = _why_dead(reader, unit, pending[unit])
            if reason is None:
                living[unit] = case
            else:
                self._keep(dead_label(case, reason, provenance))
        with self._stage("explain"):
            self._progress.start("explain", len(living), "units")
            chosen = await for_each(
                living, lambda unit: self._explain(living[unit], tools), at_once=_UNITS_AT_ONCE
            )
        candidates = {unit: c.candidates for unit, c in chosen.items()}
        for unit in set(chunk) & finished:
            label = self._store.get_label(unit, chunk[unit])
            candidates[unit] = label.candidates if label is not None else ()

        async def score(unit: UnitId) -> None:
            others = _other_explanations(unit, [*chunk], candidates)
            self._keep(await label_case(living[unit], chosen[unit], others, tools, provenance))

        with self._stage("score"):
            await for_each(living, score, at_once=_UNITS_AT_ONCE)

    async def _explain(self, case: Case, tools: Tools) -> Chosen:
        chosen = await choose_explanation(case, tools)
        self._progress.advance("explain", 1)
        return chosen

    def _keep(self, label: Label) -> None:
        self._store.put_label(label)
        self._progress.advance("label", 1)

    def _cases(self, reader: UnitReader, pending: Mapping[UnitId, Side]) -> dict[UnitId, Case]:
        spec = self._job.spec
        sets = self._sets(reader, pending)
        cases = {}
        for unit, side in pending.items():
            failed = self._store.get_label(unit, side)
            cases[unit] = Case(
                sets=sets[unit],
                token_means=reader.token_means(unit, side),
                stats=reader.stats(unit, side),
                tokenizer=self._job.subject.tokenizer,
                config=spec.score,
                seed=spec.seed,
                fresh_explanations=failed is not None and failed.explanation is None,
                fresh_trials=failed is not None and failed.explanation is not None,
            )
        return cases

    def _sets(self, reader: UnitReader, pending: Mapping[UnitId, Side]) -> dict[UnitId, UnitSets]:
        found: dict[UnitId, UnitSets] = {}
        plans = []
        for unit, side in pending.items():
            kept = self._store.get_sets(unit, side)
            if kept is not None:
                found[unit] = kept
            elif _why_dead(reader, unit, side) is not None:
                found[unit] = _no_records(unit, side)
            else:
                plans.append(reader.plan(unit, side))
        requests = {(plan.unit.hook, plan.unit.index): plan.windows for plan in plans}
        activations = read_windows(
            self._job.subject,
            self._job.corpus,
            requests,
            batch_windows=self._job.spec.collect.batch_windows,
            progress=self._progress,
        )
        for plan in plans:
            sets = build_sets(plan, activations, self._job.corpus, self._job.subject)
            self._store.put_sets(sets)
            found[plan.unit] = sets
        return found


def _reader(summary: Summary, spec: JobSpec) -> UnitReader:
    n_top = max(spec.select.n_top, spec.explain.n_exemplars)
    return UnitReader(
        summary,
        spec.select.model_copy(update={"n_top": n_top}),
        n_validation=max(spec.score.n_rule_windows, spec.score.n_validation),
        n_heldout=max(spec.score.n_rule_windows, spec.score.n_heldout),
        seed=spec.seed,
    )


def _why_dead(reader: UnitReader, unit: UnitId, side: Side) -> str | None:
    if reader.peak(unit, side) <= 0:
        return "it never activates on the explain text; collect more tokens to be sure"
    for split in (Split.EXPLAIN, Split.HELD_OUT):
        n_active = reader.n_active(unit, side, split)
        if n_active < _MIN_ACTIVE_WINDOWS:
            return (
                f"it activates in {n_active} {split.replace('_', '-')} windows, "
                f"{_MIN_ACTIVE_WINDOWS} are needed; collect more tokens"
            )
    return None


def _no_records(unit: UnitId, side: Side) -> UnitSets:
    return UnitSets(
        ExplainSet(unit, side, (), 0.0),
        ValidationSet(unit, side, (), (), 0.0),
        HeldOutSet(unit, side, (), (), 0.0),
    )


def _other_explanations(
    unit: UnitId, units: Sequence[UnitId], candidates: Mapping[UnitId, tuple[Candidate, ...]]
) -> tuple[Explanation, ...]:
    """Other units' explanations, the next unit's first, chosen ones before the rest of a unit's."""
    own = {c.explanation.text for c in candidates.get(unit, ())}
    place = units.index(unit)
    found = []
    for other in (*units[place + 1 :], *units[:place]):
        ranked = sorted(candidates.get(other, ()), key=lambda c: not c.chosen)
        found += [c.explanation for c in ranked if c.explanation.text not in own]
    return tuple(found)
