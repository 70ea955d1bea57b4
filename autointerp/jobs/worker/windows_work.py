"""What activations workers do for all chunks of a job at once: run the windows that units need."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from autointerp.activations import (
    Lines,
    RecordedWindows,
    UnitKey,
    joined_lines,
    read_part,
    record_windows,
    requests_of_part,
    write_part,
)
from autointerp.core.config import JobSpec
from autointerp.core.errors import DamagedError
from autointerp.core.job_state import Job, Stage, WorkItem
from autointerp.corpora import TokenCorpus
from autointerp.jobs.unit_inputs import Target, reads_inputs
from autointerp.jobs.worker.attempt import Attempt, WorkAbandonedError
from autointerp.jobs.worker.resources import LoadedJob, WorkerDependencies
from autointerp.orchestration import JobPlan, RetryPolicy
from autointerp.orchestration.plan import windows_name

_LOG = logging.getLogger(__name__)

_PART_TOKENS, _PART_BYTES = 32_768, 256 * 2**20
_BESIDE_SCORED = 64
"""About how many windows a unit has beside those that are scored on."""


class WindowsWork:
    """Keeps what units do on the windows of a job in files, of which chunks take their lines."""

    def __init__(self, deps: WorkerDependencies) -> None:
        self._deps, self._queue = deps, deps.backend.queue
        self._retries = RetryPolicy(deps.backend.jobs, deps.backend.queue, deps.artifacts)
        self._wanted: tuple[str, Mapping[UnitKey, NDArray[np.int32]]] | None = None

    def n_parts(self, spec: JobSpec, corpus: TokenCorpus, plan: JobPlan) -> int:
        """In how many parts the windows are read; 0 where chunks read them for themselves.

        Small enough for memory, and for a worker that is killed not to have done much in vain.
        """
        if plan.n_chunks == 1 or reads_inputs(spec):
            return 0
        score = spec.score
        scored = 2 * max(score.n_rule_windows, score.n_validation, score.n_heldout)
        n_lines = plan.n_targets * min(corpus.n_windows, scored + _BESIDE_SCORED)
        by_size = n_lines * 2 * corpus.n_ctx // _PART_BYTES
        by_text = spec.corpus.n_tokens // _PART_TOKENS
        n_batches = -(-corpus.n_windows // spec.collect.batch_windows)
        return min(n_batches, 1 + max(by_size, by_text))

    def record(
        self, job: Job, plan: JobPlan, loaded: LoadedJob, item: WorkItem, attempt: Attempt
    ) -> None:
        """Stores what all units do in a part of their windows."""
        records, batch_windows = loaded.records, job.spec.collect.batch_windows
        if self._wanted is None or self._wanted[0] != job.id:
            targets = [Target(unit, loaded.side(unit, side)) for unit, side in plan.targets]
            self._wanted = (job.id, records.wanted(targets))
        n_parts = len(self._queue.items(job.id, Stage.WINDOWS))
        recorded = record_windows(
            loaded.subject,
            loaded.corpus,
            requests_of_part(self._wanted[1], item.number, n_parts, batch_windows=batch_windows),
            batch_windows=batch_windows,
            progress=attempt,
        )
        name = windows_name(job.id, item.number)
        made = self._deps.folder / name
        made.parent.mkdir(parents=True, exist_ok=True)
        chunks = (_units_of(plan, number) for number in range(plan.n_chunks))
        write_part(made, records.name, map(recorded.lines_of, chunks))
        attempt.step()
        self._deps.artifacts.put(name, made)
        made.unlink(missing_ok=True)

    def read(self, job: Job, plan: JobPlan, loaded: LoadedJob, chunk: int) -> None:
        """Has the chunk's records made from what was stored.

        Where some of that cannot be used, it is made anew first, or the chunk reads for itself: if
        it is the last one, or that was tried too often.

        Raises:
            WorkAbandonedError: the chunk waits for what is made anew.
        """
        parts, lacking = [], []
        for state in self._queue.items(job.id, Stage.WINDOWS):
            lines = self._lines(state.item, plan, loaded, chunk)
            if lines is None:
                lacking.append(state)
            else:
                parts.append(lines)
        if not lacking:
            loaded.records.use(RecordedWindows.of_lines(loaded.corpus, joined_lines(parts)))
            return
        made = [state.item for state in lacking if state.done]
        n_unread = sum(not state.done for state in self._queue.items(job.id, Stage.RECORDS))
        if n_unread == 1 or any(map(self._retries.is_due, made)):
            return
        for item in made:
            self._retries.repeat(item)
        raise WorkAbandonedError("it waits for windows that are run first")

    def _lines(self, item: WorkItem, plan: JobPlan, loaded: LoadedJob, chunk: int) -> Lines | None:
        """Those of a chunk in a part; None where it cannot be used."""
        name, artifacts = windows_name(item.owner, item.number), self._deps.artifacts

        def read(first: int, end: int | None) -> bytes:
            data = artifacts.get_bytes(name, first, end)
            if data is None:
                raise DamagedError("it is gone")
            return data

        try:
            return read_part(read, loaded.records.name, chunk=chunk, n_chunks=plan.n_chunks)
        except DamagedError as error:
            _LOG.warning("%s cannot be used: %s", name, error)
            artifacts.delete(name)
            return None

    def remove_read(self, job_id: str) -> None:
        """Deletes what was stored, once every chunk has its records."""
        if all(state.done for state in self._queue.items(job_id, Stage.RECORDS)):
            for state in self._queue.items(job_id, Stage.WINDOWS):
                self._deps.artifacts.delete(windows_name(job_id, state.item.number))


def _units_of(plan: JobPlan, chunk: int) -> list[UnitKey]:
    return [(unit.hook, unit.index) for unit, _ in plan.of_chunk(chunk)]
