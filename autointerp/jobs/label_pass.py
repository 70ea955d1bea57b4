"""One pass over the units of a job: records are read and labels made, 64 units at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from autointerp.activations import Summary, UnitReader
from autointerp.core.config import JobSpec
from autointerp.core.progress import Places, Progress
from autointerp.evidence import SubjectProbe
from autointerp.jobs.chunk import ChunkLabels, EarlierLabel, with_llm
from autointerp.jobs.label_job import LabelJob
from autointerp.jobs.llm_order import has_failed
from autointerp.jobs.read_provenance import provenance_of
from autointerp.jobs.spending import Spending
from autointerp.jobs.unit_inputs import RecordsReader, Target
from autointerp.llm import ChatModel
from autointerp.orchestration.plan import CHUNK
from autointerp.store.labels import UnitStore


@dataclass(frozen=True, slots=True)
class RunParts:
    """What all passes of a run share."""

    job: LabelJob
    store: UnitStore
    progress: Progress
    stage: Callable[[str], AbstractContextManager[None]]
    """Measures the time of a stage."""
    summary: Summary
    reader: UnitReader
    probe: SubjectProbe


class LabelPass:
    """Labels units with the tools of one specification."""

    def __init__(
        self,
        parts: RunParts,
        spec: JobSpec,
        model: ChatModel | None,
        *,
        stage: str = "label",
    ) -> None:
        """The spec is the job's, or a part of it that needs no LLM; the stage counts labels."""
        job = parts.job
        self._parts, self._spec, self._asks = parts, spec, model is not None
        self._noted = False
        tools = job.build_tools(model, job.ids)
        read = provenance_of(job.spec, job.subject, job.corpus, parts.summary.identity)
        self.labels = ChunkLabels(
            tools,
            with_llm(read, model, tools),
            parts.store,
            parts.progress,
            parts.stage,
            at_once=job.at_once,
            both_sides=spec.sides == "both",
            keeps_rules=self._asks,
            counted_as=stage,
        )
        self._records = RecordsReader(
            spec,
            job.subject,
            job.corpus,
            parts.reader,
            store=parts.store,
            progress=parts.progress,
        )

    async def label(
        self,
        targets: Sequence[Target],
        finished: Collection[Target],
        spending: Spending | None = None,
    ) -> None:
        """Labels every target that is not finished.

        With `spending` only so many of a chunk at a time as it lasts for, until it has ended.
        """
        parts, tried = self._parts, set(finished)
        # Of a label that failed, and where there is one by rules, the records are there.
        unread = [t for t in targets if t not in tried and not parts.store.get_label(*t)]
        if len(unread) > CHUNK:
            with parts.stage("records"):
                self._records.record(unread, folder=parts.job.recording)
        places = Places(parts.progress, self.labels.counted_as, (t.unit.hook for t in targets))
        for chunk in chunks_of(targets):
            while left := [target for target in chunk if target not in tried]:
                some = left if spending is None else spending.next_of(left)
                places.show(target.unit.hook for target in some)
                # Labels that cost nothing may be made durable together.
                with nullcontext() if self._asks else parts.store.batch():
                    await self._label_some(some, tried.intersection(chunk))
                tried.update(some)
                if spending is not None:
                    if self.labels.stopped is not None:
                        return
                    self._note_reach(spending, len(some), len(set(targets) - tried))

    def _note_reach(self, spending: Spending, n_now: int, n_open: int) -> None:
        """Tells once, by what the first units cost, how many there will be."""
        n_left, self._noted = spending.n_left, self._noted or not n_open
        if not self._noted:
            reach = "all" if n_left >= n_open else f"about {n_now + n_left:,}"
            self._parts.progress.note(
                f"by what the first {n_now:,} cost, the budget should be enough for {reach}"
            )
        self._noted = True

    async def _label_some(self, some: Sequence[Target], others: Collection[Target]) -> None:
        """Labels these, of whose chunk the others have labels."""
        parts = self._parts
        with parts.stage("records"):
            # The summary is read a hook point at a time.
            read_of = {r.target: r for r in self._records.read(sorted(some, key=_hook))}
        units = []
        for read in map(read_of.__getitem__, some):
            tokenizer, earlier_try = (
                parts.job.subject.tokenizer,
                parts.store.get_label(*read.target),
            )
            failed = earlier_try if earlier_try is not None and has_failed(earlier_try) else None
            made = read.to_input(self._spec, tokenizer, failed=failed, probe=parts.probe)
            units.append((read, made))
        earlier = {}
        for target in sorted(others, key=_hook):
            label = parts.store.get_label(*target)
            candidates = label.candidates if label is not None else ()
            earlier[target] = EarlierLabel(candidates, parts.reader.token_means(*target))
        await self.labels.label(units, earlier)


def chunks_of(targets: Sequence[Target]) -> Iterator[Sequence[Target]]:
    """64 at a time, and one more where that would part the two sides of a unit."""
    first = 0
    while first < len(targets):
        end = min(first + CHUNK, len(targets))
        end += end < len(targets) and targets[end].unit == targets[end - 1].unit
        yield targets[first:end]
        first = end


def _hook(target: Target) -> str:
    return target.unit.hook
