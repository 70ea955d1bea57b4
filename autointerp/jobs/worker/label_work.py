"""What label workers do: explain and score the units of a chunk."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from math import inf

from autointerp.core.errors import DamagedError, StorageError, UpstreamError
from autointerp.core.explanations import Label, LabelStatus, Provenance
from autointerp.core.ids import Side, UnitId
from autointerp.core.job_state import Job, Stage, WorkItem
from autointerp.core.probe import UnitProbe
from autointerp.core.variants import Need
from autointerp.jobs.chunk import ChunkLabels, EarlierLabel, with_llm
from autointerp.jobs.spending import Spending
from autointerp.jobs.unit_inputs import Target, UnitRecords
from autointerp.jobs.worker.attempt import Attempt, AttemptProgress, WorkAbandonedError
from autointerp.jobs.worker.chunk_file import ChunkRecords, ChunkTokenizer
from autointerp.jobs.worker.committing_store import CommittingStore
from autointerp.jobs.worker.resources import LoadedModels, WorkerDependencies
from autointerp.jobs.worker.shared_budget import by_promise, label_within, share_of
from autointerp.jobs.worker.shared_cost_log import SharedCostLog
from autointerp.llm import ChatModel
from autointerp.orchestration import JobPlan, RetryPolicy
from autointerp.orchestration.plan import chunk_name, read_plan, required
from autointerp.orchestration.schedule import ASKED_WITHOUT, LLM_ANSWERED, LLM_FAILED, STOPPED
from autointerp.pipeline import JobVariants, LlmAnswers, Tools, UnitInput, rules_fill_up
from autointerp.store.labels import UnitStore
from autointerp.store.labels.mending_store import MendingStore

_LOG = logging.getLogger(__name__)
_POLL_S = 0.1
_LAST_REPLIES_S = 10.0
_TOGETHER_S = 0.5
"""For so long labels without an LLM are committed together."""


class LabelWork:
    """Does chunks of labels; loads the subject model only for tools that run texts through it."""

    def __init__(self, deps: WorkerDependencies) -> None:
        self._deps = deps
        self._models = LoadedModels(deps)
        self._retries = RetryPolicy(deps.backend.jobs, deps.backend.queue, deps.artifacts)
        self._one_at_a_time = threading.Lock()
        self._planned: tuple[str, JobPlan, tuple[UnitId, ...]] | None = None

    def label(
        self,
        job: Job,
        item: WorkItem,
        attempt: Attempt,
        *,
        is_first: bool,
        on_useful: Callable[[], None],
        on_label: Callable[[], None],
    ) -> None:
        """Labels what has no label yet of a chunk.

        The attempt gets every reply and every label. `is_first` is whether nobody tried the chunk
        before. `on_useful` is called after everything that another try would not have to do again:
        labels, and replies that are paid for and cached.
        """
        deps = self._deps
        name = chunk_name(job.id, item.number)
        plan, pool = self._plan_of(job)
        # At the first try there is none; asking takes as long as the job is large.
        committed = set() if is_first else set(deps.backend.jobs.committed(job.id))
        if not plan.unlabelled(committed, chunk=item.number):
            return
        chunk = self._chunk(job, item, plan)
        if chunk is None:
            return
        attempt.step()
        cost_log = SharedCostLog(
            deps.backend.jobs,
            job,
            moved=attempt.progressed,
            paid=on_useful,
            closed=lambda: attempt.stop_reason is not None,
        )

        def labelled() -> None:
            on_useful()
            on_label()

        if rules_fill_up(job.spec, job.budget):
            # What was spent and done, as of now.
            job = deps.backend.jobs.get(job.id) or job
        work = _Chunk(job, chunk, committed, deps, attempt, labelled)
        # A model is not for two threads.
        probes = JobVariants.of(job.spec).need(Need.SUBJECT)
        with self._one_at_a_time if probes else nullcontext():
            probe = self._models.probe(job.spec) if probes else None
            asyncio.run(_until_stopped(work.label(cost_log, probe, pool), attempt, cost_log))
        if not work.has_stopped or rules_fill_up(job.spec, job.budget):
            deps.artifacts.delete(name)

    def _chunk(self, job: Job, item: WorkItem, plan: JobPlan) -> ChunkRecords | None:
        """The chunk's records; None where its labels are all there, given up ones included.

        Raises:
            DamagedError: they are gone or damaged, and are read again.
            StorageError: they could not be read now, or are of another version: they stay.
        """
        deps, name = self._deps, chunk_name(job.id, item.number)
        try:
            return ChunkRecords.from_bytes(required(deps.artifacts, name), where=name)
        except DamagedError:
            committed = deps.backend.jobs.committed(job.id)
            if not plan.unlabelled(committed, chunk=item.number):
                return None
            deps.artifacts.delete(name)
            self._retries.renew(WorkItem(job.id, Stage.RECORDS, item.number))
            self._retries.repeat(item)
            raise

    def _plan_of(self, job: Job) -> tuple[JobPlan, tuple[UnitId, ...]]:
        """The job's plan and all its units; cached, as chunks of one job follow each other."""
        known = self._planned
        if known is None or known[0] != job.id:
            plan = read_plan(self._deps.artifacts, job.id)
            pool = tuple(dict.fromkeys(unit for unit, _ in plan.targets))
            known = self._planned = (job.id, plan, pool)
        return known[1:]


async def _until_stopped(
    work: Coroutine[object, object, None], attempt: Attempt, cost_log: SharedCostLog
) -> None:
    """Runs the work, and ends it when the attempt should stop.

    Calls in flight are waited for: their replies are paid for, and cached for the next attempt.
    """
    task = asyncio.ensure_future(work)
    while not task.done() and attempt.stop_reason is None:
        await asyncio.wait((task,), timeout=_POLL_S)
    if attempt.stop_reason is None:
        task.result()
        return
    until = time.monotonic() + _LAST_REPLIES_S
    while cost_log.n_open and not task.done() and time.monotonic() < until:
        await asyncio.wait((task,), timeout=_POLL_S)
    task.cancel()
    await asyncio.wait((task,))
    if not task.cancelled():
        task.exception()
    raise WorkAbandonedError(attempt.stop_reason)


class _Chunk:
    def __init__(  # noqa: PLR0913, PLR0917 - what a chunk is labelled with
        self,
        job: Job,
        chunk: ChunkRecords,
        committed: set[tuple[UnitId, Side]],
        deps: WorkerDependencies,
        attempt: Attempt,
        on_label: Callable[[], None],
    ) -> None:
        self._job, self._chunk, self._committed = job, chunk, committed
        self._deps, self._attempt, self._on_label = deps, attempt, on_label
        self._store = MendingStore(deps.stores.of(chunk.provenance.subject), _LOG.info)
        self.has_stopped = False
        """Whether the budget did not reach all units."""

    async def label(
        self, cost_log: SharedCostLog, probe: UnitProbe | None, pool: tuple[UnitId, ...]
    ) -> None:
        """Labels the units; the job notes why the LLM did not label some, if so."""
        job, spec = self._job, self._job.spec
        model = self._deps.open_llm(spec, job, cost_log)
        try:
            tools = self._deps.build_tools(spec, model, pool)
            provenance = with_llm(self._chunk.provenance, model, tools)
            both = spec.sides == "both"
            committing = CommittingStore(
                self._deps.backend.jobs,
                self._store,
                job.id,
                {unit.target: unit.sets for unit in self._chunk.units if unit.dead is None},
                self._on_label,
                # Of two sides the first is added to by the second; what rules say costs little.
                put_off_s=inf if both else _TOGETHER_S if model is None else 0.0,
            )
            labels = self._labels(tools, provenance, committing)
            tokenizer = ChunkTokenizer(provenance.tokenizer, self._chunk.token_strings)
            units, earlier = [], {}
            for read in self._chunk.units:
                if read.target not in self._committed:
                    stored = self._store.get_label(*read.target)
                    if read.target in self._store.newer:
                        committing.commit_newer(read.target)
                        continue
                    failed = self._tried(stored, provenance)
                    units.append((read, read.to_input(spec, tokenizer, failed=failed, probe=probe)))
                    continue
                label = self._store.get_label(*read.target)
                if label is not None and label.provenance == provenance:
                    earlier[read.target] = EarlierLabel(label.candidates, read.token_means)
            if model is not None and rules_fill_up(spec, job.budget):
                await self._within(labels, model, pool, units, earlier)
            else:
                await labels.label(units, earlier)
                if labels.stopped is not None:
                    self._stop(labels.stopped)
            committing.commit_the_rest()
            self._note(labels.answers)
            if model is not None:
                without = json.dumps(model.features.asked_without)
                # The labels are there by now, and the next chunk notes the same.
                with suppress(UpstreamError, StorageError):
                    self._deps.backend.jobs.put_note(job.id, ASKED_WITHOUT, without)
        finally:
            if model is not None:
                await model.close()

    async def _within(
        self,
        labels: ChunkLabels,
        model: ChatModel,
        pool: tuple[UnitId, ...],
        units: Sequence[tuple[UnitRecords, UnitInput]],
        earlier: Mapping[Target, EarlierLabel],
    ) -> None:
        """Labels the units with the chunk's share of the budget, the others by rules."""
        job, spec = self._job, self._job.spec
        free = self._deps.build_tools(spec, None, pool)
        rules = self._labels(free, with_llm(self._chunk.provenance, None, free), labels.store)
        share = share_of(job, len(units))
        spending = Spending(partial(self._deps.units_left, spec, share), model)
        known = {read.target: (read, made) for read, made in units}
        await label_within(
            labels,
            rules,
            spending,
            known,
            earlier,
            left=by_promise(known, spec, job.budget.order or "lookup"),
            on_rules=self._stop,
        )

    def _stop(self, why: str) -> None:
        self.has_stopped = True
        self._deps.backend.jobs.put_note(self._job.id, STOPPED, why)

    def _labels(self, tools: Tools, provenance: Provenance, store: UnitStore) -> ChunkLabels:
        spec = self._job.spec
        return ChunkLabels(
            tools,
            provenance,
            store,
            AttemptProgress(self._attempt),
            lambda _name: nullcontext(),
            at_once=self._deps.at_once(spec),
            both_sides=spec.sides == "both",
        )

    def _note(self, answers: LlmAnswers) -> None:
        jobs, job_id = self._deps.backend.jobs, self._job.id
        if answers.has_answered:
            jobs.put_note(job_id, LLM_ANSWERED, "yes")
        elif answers.first_failure is not None and not jobs.note(job_id, LLM_FAILED):
            jobs.put_note(job_id, LLM_FAILED, answers.first_failure)

    def _tried(self, stored: Label | None, provenance: Provenance) -> Label | None:
        """What came of it before the job was retried, where that failed.

        A label that another job made says nothing of what this one has asked.
        """
        if not self._job.generation or stored is None or stored.provenance != provenance:
            return None
        return stored if stored.status is LabelStatus.FAILED or stored.failures else None
