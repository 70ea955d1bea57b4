"""What activations workers do: plan a job, collect, merge, read windows and records of chunks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from pydantic import ValidationError

from autointerp.activations import CollectPlan, collect, merge_summaries, save_summary
from autointerp.core.config import CollectJob, JobSpec
from autointerp.core.errors import DamagedError, InputError, StorageError, unreadable
from autointerp.core.files import set_aside, storage_errors
from autointerp.core.ids import Side
from autointerp.core.job_state import Job, JobState, Stage, WorkItem
from autointerp.core.one_line import shortened
from autointerp.corpora import TokenCorpus
from autointerp.jobs.read_provenance import provenance_of
from autointerp.jobs.unit_inputs import Target
from autointerp.jobs.worker.attempt import Attempt
from autointerp.jobs.worker.chunk_file import ChunkRecords
from autointerp.jobs.worker.evidence_work import EvidenceWork
from autointerp.jobs.worker.resources import (
    LoadedJob,
    LoadedModels,
    WorkerDependencies,
    checkpoint_of,
    fetched_summary,
)
from autointerp.jobs.worker.windows_work import WindowsWork
from autointerp.orchestration import JobPlan, PlannedHook, RetryPolicy
from autointerp.orchestration.plan import (
    chunk_name,
    plan_name,
    required,
    shard_name,
    summary_name,
    windows_name,
)
from autointerp.orchestration.shards import shards_of
from autointerp.pipeline import check_job, check_n_units
from autointerp.store.jobs import COLLECTION
from autointerp.subjects import HookUnits, SubjectModel, parse_units

_Units = Sequence[HookUnits]


class ActivationsWork:
    """Does the work items that need a subject model."""

    def __init__(self, deps: WorkerDependencies) -> None:
        self._deps = deps
        self.models = LoadedModels(deps)
        self._retries = RetryPolicy(deps.backend.jobs, deps.backend.queue, deps.artifacts)
        self.windows = WindowsWork(deps)
        self.evidence = EvidenceWork(deps, self.models)
        self._planned: tuple[str, JobPlan] | None = None

    def plan(self, job: Job, attempt: Attempt) -> None:
        """Stores what a job consists of, and which collection it needs.

        Raises:
            InputError: the job cannot be done as asked.
        """
        deps, backend, spec = self._deps, self._deps.backend, job.spec
        backend.jobs.transition(job.id, JobState.RUNNING, among={JobState.QUEUED})
        check_job(spec)
        subject = self.models.subject(spec.subject, spec.dtype)
        attempt.step()
        units = parse_units(spec.units, subject, seed=spec.seed)
        n_units = sum(len(u.indices) for u in units)
        if n_units > deps.most_units:
            raise InputError(
                f"units {shortened(spec.units)} are {n_units:,}; a job here has at most "
                f"{deps.most_units:,}: submit several"
            )
        if spec.evidence is not None:
            self.evidence.plan(job, spec.evidence, subject.name, units)
            return
        check_n_units(spec, n_units)
        corpus = self.models.corpus(spec.corpus, subject)
        attempt.step()
        collection = self._collection(spec, subject, corpus, units)
        hooks = tuple(PlannedHook(u.hook, u.indices, _sides(u, subject, spec)) for u in units)
        plan = JobPlan(subject.name, collection, hooks)
        deps.artifacts.put_bytes(plan_name(job.id), plan.to_json())
        # First of all, so that nobody takes it for one that no job needs.
        backend.jobs.put_note(job.id, COLLECTION, collection)
        self._put_up_collection(collection, spec, n_units)
        # What was given up for other jobs is tried for this one.
        self._retries.renew_collection(collection, given_up=True)
        backend.jobs.set_total(job.id, plan.n_targets)
        if n_parts := self.windows.n_parts(spec, corpus, plan):
            backend.queue.set_items(job.id, Stage.WINDOWS, n_parts)
        for stage in (Stage.RECORDS, Stage.LABEL):
            backend.queue.set_items(job.id, stage, plan.n_chunks)

    def _collection(
        self, spec: JobSpec, subject: SubjectModel, corpus: TokenCorpus, units: _Units
    ) -> str:
        """The name that jobs share which need the same summary."""
        name = _collection_name(spec, subject, corpus, units)
        number, result = 0, name
        # One whose files were removed is collected anew under another name.
        while self._is_gone(result):
            number += 1
            result = f"{name}.{number}"
        return result

    def _is_gone(self, collection: str) -> bool:
        merged = self._deps.backend.queue.items(collection, Stage.MERGE)
        done = bool(merged) and merged[0].done
        return done and not self._deps.artifacts.exists(summary_name(collection))

    def _put_up_collection(self, collection: str, spec: JobSpec, n_units: int) -> None:
        n_shards = shards_of(n_tokens=spec.corpus.n_tokens, n_units=n_units)
        asked = CollectJob(
            subject=spec.subject,
            units=spec.units,
            dtype=spec.dtype,
            corpus=spec.corpus,
            collect=spec.collect,
            seed=spec.seed,
            shard=(1, n_shards),
        )
        try:
            # Whoever came first decides about shards.
            n_shards = self._asked(collection).shard[1]
        except DamagedError:  # Or not there.
            self._deps.artifacts.put_bytes(plan_name(collection), asked.model_dump_json().encode())
            n_shards = self._asked(collection).shard[1]
        self._deps.backend.queue.set_items(collection, Stage.COLLECT, n_shards)
        self._deps.backend.queue.set_items(collection, Stage.MERGE, 1)

    def _asked(self, collection: str) -> CollectJob:
        name = plan_name(collection)
        try:
            return CollectJob.model_validate_json(required(self._deps.artifacts, name))
        except ValidationError as error:
            raise unreadable(name, error, "submit the job again") from error

    def collect(self, item: WorkItem, attempt: Attempt) -> None:
        """Reads a shard of the text; nothing is done where that was done before."""
        artifacts, asked = self._deps.artifacts, self._asked(item.owner)
        n_shards = asked.shard[1]
        name = shard_name(item.owner, item.number, n_shards)
        if artifacts.exists(summary_name(item.owner)) or artifacts.exists(name):
            return
        subject = self.models.subject(asked.subject, asked.dtype)
        attempt.step()
        corpus = self.models.corpus(asked.corpus, subject)
        attempt.step()
        begun = checkpoint_of(self._deps.folder / name, attempt)
        begun.parent.mkdir(parents=True, exist_ok=True)
        goes_on = begun.exists()
        plan = CollectPlan(token_means=True, shard=(item.number + 1, n_shards), checkpoint=begun)
        try:
            collect(
                subject,
                corpus,
                units=_units_of(item.owner, asked, subject, corpus),
                config=asked.collect,
                plan=plan,
                progress=attempt,
            )
        except InputError as error:
            if not goes_on:
                raise
            # What a killed worker left may be damaged.
            with storage_errors(begun):
                set_aside(begun)
                begun.unlink(missing_ok=True)
            raise StorageError(f"{name} is collected from its beginning: {error}") from error
        artifacts.put(name, begun)
        begun.unlink(missing_ok=True)

    def merge(self, item: WorkItem, attempt: Attempt) -> None:
        """Puts the shards together."""
        artifacts, n_shards = self._deps.artifacts, self._asked(item.owner).shard[1]
        name = summary_name(item.owner)
        if artifacts.exists(name):
            return
        self._check_shards(item, n_shards)
        merged = None
        for number in range(n_shards):
            try:
                part = fetched_summary(artifacts, shard_name(item.owner, number, n_shards))
            except StorageError:
                self._check_shards(item, n_shards)
                raise
            merged = part if merged is None else merge_summaries((merged, part))
            attempt.step()
        if merged is None or not merged.whole:
            msg = f"the shards of {item.owner} are not the whole text; remove them to read it anew"
            raise StorageError(msg)
        made = self._deps.folder / name
        made.parent.mkdir(parents=True, exist_ok=True)
        save_summary(merged, made)
        artifacts.put(name, made)
        made.unlink(missing_ok=True)
        for number in range(n_shards):
            artifacts.delete(shard_name(item.owner, number, n_shards))

    def _check_shards(self, item: WorkItem, n_shards: int) -> None:
        """Has shards collected again whose files are gone.

        Raises:
            StorageError: there are such.
        """
        names = [shard_name(item.owner, number, n_shards) for number in range(n_shards)]
        gone = [n for n, name in enumerate(names) if not self._deps.artifacts.exists(name)]
        # Somebody who merges them as well deletes them when the summary is there.
        if not gone or self._deps.artifacts.exists(summary_name(item.owner)):
            return
        self._retries.renew(*(WorkItem(item.owner, Stage.COLLECT, number) for number in gone))
        self._retries.repeat(item)
        raise StorageError(f"{names[gone[0]]} is gone and is collected again")

    def record_windows(self, job: Job, item: WorkItem, attempt: Attempt) -> None:
        """Runs a part of the windows that units need; nothing where that was done before."""
        if not self._deps.artifacts.exists(windows_name(job.id, item.number)):
            self.windows.record(job, *self._loaded(job, item, attempt), item, attempt)

    def read_records(self, job: Job, item: WorkItem, attempt: Attempt) -> None:
        """Puts what label workers need of a chunk into one file."""
        artifacts, name = self._deps.artifacts, chunk_name(job.id, item.number)
        if artifacts.exists(name):
            return
        plan, loaded = self._loaded(job, item, attempt)
        targets = [
            Target(unit, loaded.side(unit, side)) for unit, side in plan.of_chunk(item.number)
        ]
        self.windows.read(job, plan, loaded, item.number)
        provenance = provenance_of(job.spec, loaded.subject, loaded.corpus, loaded.summary.identity)
        units, tokenizer = loaded.records.read(targets), loaded.subject.tokenizer
        artifacts.put_bytes(name, ChunkRecords.of(provenance, tokenizer, units).to_bytes())

    def _loaded(self, job: Job, item: WorkItem, attempt: Attempt) -> tuple[JobPlan, LoadedJob]:
        """The job's plan, and what its records are read with."""
        if self._planned is None or self._planned[0] != job.id:
            data = required(self._deps.artifacts, plan_name(job.id))
            self._planned = (job.id, JobPlan.from_json(data))
        plan = self._planned[1]
        try:
            loaded = self.models.job(job.spec, plan.collection, attempt)
        except StorageError:
            self._collect_again(plan.collection, item)
            raise
        attempt.step()
        return plan, loaded

    def _collect_again(self, collection: str, item: WorkItem) -> None:
        """Has a collection made anew whose summary is gone; the item that needs it waits for it."""
        queue = self._deps.backend.queue
        merge = queue.items(collection, Stage.MERGE)
        if self._deps.artifacts.exists(summary_name(collection)) or not all(m.done for m in merge):
            return
        items = [*queue.items(collection, Stage.COLLECT), *merge]
        self._retries.renew(*(state.item for state in items))
        self._retries.repeat(item)


def _collection_name(
    asked: JobSpec | CollectJob, subject: SubjectModel, corpus: TokenCorpus, units: _Units
) -> str:
    encoders = [e.digest for _, e in sorted(subject.encoders.items())]
    what = json.dumps(
        [subject.name, subject.revision, asked.dtype, corpus.hash, corpus.split_hash]
        + [asked.collect.digest, encoders, [[u.hook, u.indices] for u in units]]
    )
    return f"col_{hashlib.sha256(what.encode()).hexdigest()[:24]}"


def _units_of(
    collection: str, asked: CollectJob, subject: SubjectModel, corpus: TokenCorpus
) -> _Units:
    """The units that a collection was planned for.

    One that was planned when neurons were always read at ``hook_post`` is read there: its name
    tells.
    """
    units = parse_units(asked.units, subject, seed=asked.seed)
    if subject.neuron_kind == "hook_post":
        return units
    older = parse_units(asked.units, subject, seed=asked.seed, kind="hook_post")
    planned = collection.partition(".")[0]
    return older if _collection_name(asked, subject, corpus, older) == planned else units


def _sides(units: HookUnits, subject: SubjectModel, spec: JobSpec) -> tuple[Side | None, ...]:
    if not subject.two_sided(units.hook):
        return (Side.POSITIVE,)
    return tuple(Side) if spec.sides == "both" else (None,)
