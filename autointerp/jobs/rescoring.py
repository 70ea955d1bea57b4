"""Labels of a dictionary on another text: it is read once, then 64 labels at a time are scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from typing_extensions import override

from autointerp.activations import (
    CollectPlan,
    UnitPlan,
    UnitReader,
    WindowSample,
    collect,
    remove_recording,
    summary_by_hook,
)
from autointerp.core.asynchrony import for_each
from autointerp.core.config import JobSpec
from autointerp.core.errors import BudgetExhaustedError
from autointerp.core.ids import Side, UnitId
from autointerp.core.progress import Progress
from autointerp.core.text import Split
from autointerp.corpora import TokenCorpus
from autointerp.dictionary.rescored_labels import Outcome, RescoredLabel
from autointerp.jobs.unit_inputs import RecordsReader, Target, UnitRecords, unit_reader, why_dead
from autointerp.llm import charge_to
from autointerp.orchestration.plan import CHUNK
from autointerp.pipeline.text_rescoring import LearnedLabel, OtherText, TriedLabel, rescored_label
from autointerp.scorers import Scorer
from autointerp.subjects import SubjectModel, select_units


@dataclass(frozen=True, slots=True)
class RescoreJob:
    """Labels that have a score on their own text, with what the other text is read by."""

    spec: JobSpec
    """How the other text is read and windows of it are drawn."""
    subject: SubjectModel
    corpus: TokenCorpus
    """The other text."""
    learned: Callable[[Target], LearnedLabel]
    """Reads one of the labels."""
    judge: Callable[[LearnedLabel], Scorer]
    progress: Progress
    stage: Callable[[str], AbstractContextManager[None]]
    """Measures the time of a stage."""
    at_once: int = 4
    """Labels about which an LLM is asked at the same time."""
    folder: Path | None = None
    """What is read of the text is kept there, so that a run that is interrupted goes on."""


class HeldOutReader(UnitReader):
    """Chooses windows to score on alone: nothing is explained, and two thirds need no reading."""

    @override
    def plan(self, unit: UnitId, side: Side) -> UnitPlan:
        whole, none = super().plan(unit, side), WindowSample(())
        kept = {s: whole.samples[s] if s is Split.HELD_OUT else none for s in Split}
        return replace(whole, samples=kept, shown=none)


async def rescore_labels(
    job: RescoreJob,
    targets: Sequence[Target],
    done: Callable[[Sequence[TriedLabel]], None],
) -> None:
    """Hands on every label with its scores on both texts, as they are finished.

    Labels for which the LLM's budget is not enough are left out.

    Raises:
        UpstreamError: the LLM could not be used.
        StorageError: the disk refuses.
    """
    reader = _collected(job, targets)
    records = RecordsReader(
        job.spec, job.subject, job.corpus, reader, store=None, progress=job.progress
    )
    recording = None if job.folder is None else job.folder / "activations"
    if len(targets) > CHUNK:
        with job.stage("records"):
            records.record(targets, folder=recording)
    job.progress.start("rescore", len(targets), "labels")
    for first in range(0, len(targets), CHUNK):
        done(await _chunk(job, reader, records, targets[first : first + CHUNK]))
    if recording is not None:
        remove_recording(recording)


async def _chunk(
    job: RescoreJob, reader: UnitReader, records: RecordsReader, targets: Sequence[Target]
) -> list[TriedLabel]:
    with job.stage("records"):
        living = [target for target in targets if why_dead(reader, target) is None]
        found = dict(zip(living, records.read(living), strict=True))
    with job.stage("rescore"):
        scored = await for_each(
            targets, lambda target: _one(job, reader, target, found), at_once=job.at_once
        )
    return [label for label in scored.values() if label is not None]


def _collected(job: RescoreJob, targets: Sequence[Target]) -> UnitReader:
    checkpoint = None if job.folder is None else job.folder / "summary.safetensors"
    with job.stage("collect"):
        summary = collect(
            job.subject,
            job.corpus,
            units=select_units(target.unit for target in targets),
            config=job.spec.collect,
            plan=CollectPlan(token_means=True, checkpoint=checkpoint),
            progress=job.progress,
        )
    if checkpoint is not None:
        summary = summary_by_hook(checkpoint)
    return unit_reader(summary, job.spec, job.corpus, HeldOutReader)


async def _one(
    job: RescoreJob,
    reader: UnitReader,
    target: Target,
    found: dict[Target, UnitRecords],
) -> TriedLabel | None:
    """None where the budget does not pay for it."""
    learned, read = job.learned(target), found.get(target)
    if learned.why_not is not None:
        result = learned.tried(learned.untested(learned.why_not))
    elif read is None:
        result = learned.tried(_silent(job, reader, learned))
    else:
        there = OtherText(read.sets.held_out, read.token_means, read.stats)
        with charge_to("rescore", unit=str(target.unit)):
            try:
                result = await rescored_label(
                    learned,
                    there,
                    job.judge(learned),
                    n_asked=job.spec.score.n_heldout,
                    seed=job.spec.seed,
                )
            except BudgetExhaustedError:
                return None
    job.progress.advance("rescore", 1)
    return result


def _silent(job: RescoreJob, reader: UnitReader, learned: LearnedLabel) -> RescoredLabel:
    """A label whose unit is active too seldom to score anything, or nowhere."""
    target = Target(learned.label.unit, learned.label.side)
    if any(reader.n_active(*target, split) for split in Split):
        return learned.untested(f"on the other text {why_dead(reader, target)}")
    return learned.ending(
        Outcome.SILENT,
        f"it is active nowhere in {job.corpus.n_tokens:,} tokens of {job.corpus.id}",
    )
