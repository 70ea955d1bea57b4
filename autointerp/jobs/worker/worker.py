"""Takes a work item, does it, and records what came of it."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping

from autointerp.core.errors import AutointerpError, InputError, UpstreamError
from autointerp.core.job_state import Stage, WorkItem
from autointerp.jobs.worker.activations_work import ActivationsWork
from autointerp.jobs.worker.attempt import Attempt, WorkAbandonedError
from autointerp.jobs.worker.label_work import LabelWork
from autointerp.jobs.worker.requests import RequestHandler, RequestQueue
from autointerp.jobs.worker.resources import WorkerDependencies
from autointerp.orchestration import RetryPolicy, schedule_collection, schedule_job
from autointerp.orchestration.plan import ACTIVATIONS, QUEUES
from autointerp.orchestration.retry_policy import OPEN, jobs_of
from autointerp.store.jobs import Lease

_LOG = logging.getLogger(__name__)
_GOES_ON_WITHOUT = frozenset({Stage.WINDOWS, Stage.RECORDS, Stage.LABEL, Stage.EVIDENCE})
_OF_JOBS = _GOES_ON_WITHOUT | {Stage.PLAN}


class Worker:
    """Does one work item at a time in each thread; several threads may share it for labels."""

    def __init__(self, deps: WorkerDependencies, *, name: str) -> None:
        """The name is unique among workers that are alive."""
        self.name = name
        self._deps, self._backend = deps, deps.backend
        self._retries = RetryPolicy(deps.backend.jobs, deps.backend.queue, deps.artifacts)
        self._activations, self._labels = ActivationsWork(deps), LabelWork(deps)
        handler = RequestHandler(deps, self._activations.models)
        mailbox = deps.backend.mailbox
        self._requests = {queue: RequestQueue(mailbox, handler, queue) for queue in QUEUES}
        self._closing = threading.Event()
        self._doing: dict[int, str] = {}
        self._counts: Counter[str] = Counter()

    @property
    def doing(self) -> str | None:
        """The work items that it holds."""
        return ", ".join(self._doing.values()) or None

    @property
    def metrics(self) -> Mapping[str, object]:
        """Since it began: work items by how they ended, labels, and `WorkerMetrics`, as JSON."""
        return {**self._counts, **self._deps.metrics().model_dump(mode="json")}

    def close(self) -> None:
        """Makes work stop soon; somebody else does the rest."""
        self._closing.set()

    def reply_to_waiting(self, queue: str, *, wait_s: float = 0) -> None:
        """Replies to the API's requests to a queue; waits up to `wait_s` seconds for the first."""
        self._requests[queue].reply_to_all(wait_s=wait_s)

    def do(self, item: WorkItem) -> None:
        """Does a work item, unless it is done or somebody holds it; then sends what is due."""
        lease = self._backend.queue.take(item, self.name, ttl_s=self._deps.times.lease_s)
        if lease is None:
            return
        me = threading.get_ident()
        self._doing[me], done = str(item), False
        try:
            done = self._give_up(item) if self._retries.is_due(item) else self._try(lease)
        except AutointerpError as error:
            # It is given back at once, and tried or given up anew.
            _LOG.warning("what came of %s cannot be noted now: %s", item, error)
        finally:
            self._doing.pop(me, None)
        self._backend.queue.release(lease, done=done)
        if item.stage is Stage.RECORDS and done:
            self._remove_windows(item.owner)
        if item.stage in _OF_JOBS:
            schedule_job(self._backend, self._deps.send, item.owner)
        else:
            schedule_collection(self._backend, self._deps.send, item.owner)

    def _remove_windows(self, job_id: str) -> None:
        try:
            self._activations.windows.remove_read(job_id)
        except AutointerpError as error:
            _LOG.warning("windows of %s that were read stay until it is deleted: %s", job_id, error)

    def _give_up(self, item: WorkItem) -> bool:
        """Gives up what was tried too often; whether it counts as done."""
        reason = self._retries.reason(item)
        self._retries.give_up(item, reason)
        _LOG.error("%s is given up: %s", item, reason)
        self._counts["items_parked"] += 1
        return item.stage in _GOES_ON_WITHOUT

    def _try(self, lease: Lease) -> bool:
        item = lease.item
        attempt = Attempt(
            self._backend.queue,
            lease,
            times=self._deps.times,
            should_stop=lambda: self._should_stop(item),
            between_steps=self._between_steps_of(item),
        )
        try:
            with attempt:
                self._do(item, attempt)
        except WorkAbandonedError as error:
            self._abandoned(item, attempt, str(error))
        except (InputError, UpstreamError) as error:
            if isinstance(error, UpstreamError) and error.retryable:
                self._failed(item, str(error))
            else:
                self._fail_jobs(item, str(error))
        except AutointerpError as error:
            self._failed(item, str(error))
        except Exception as error:  # noqa: BLE001 - outermost frame of a worker
            _LOG.exception("%s failed", item)
            self._failed(item, f"{type(error).__name__}: {error}")
        else:
            self._counts["items_done"] += 1
            return True
        return False

    def _between_steps_of(self, item: WorkItem) -> Callable[[], None]:
        # Labels are made in an event loop; requests to their workers have a thread of their own.
        if item.stage is Stage.LABEL:
            return lambda: None
        return self._requests[ACTIVATIONS].reply_between_steps

    def _do(self, item: WorkItem, attempt: Attempt) -> None:
        if item.stage not in _OF_JOBS and not jobs_of(self._backend.jobs, item.owner):
            # Its message outlived the jobs; looking only after the text is read takes long.
            raise WorkAbandonedError("no job wants it any more")
        if item.stage is Stage.COLLECT:
            self._activations.collect(item, attempt)
            return
        if item.stage is Stage.MERGE:
            self._activations.merge(item, attempt)
            return
        job = self._backend.jobs.get(item.owner)
        if job is None or job.state not in OPEN:
            raise WorkAbandonedError("its job does not want it any more")
        if item.stage is Stage.PLAN:
            self._activations.plan(job, attempt)
        elif item.stage is Stage.WINDOWS:
            self._activations.record_windows(job, item, attempt)
        elif item.stage is Stage.RECORDS:
            self._activations.read_records(job, item, attempt)
        elif item.stage is Stage.EVIDENCE:
            on_useful = _once(lambda: self._retries.reset_count(item))
            self._activations.evidence.answer(job, item, attempt, on_useful=on_useful)
        else:
            self._labels.label(
                job,
                item,
                attempt,
                is_first=self._retries.is_first(item) and not job.generation,
                on_useful=_once(lambda: self._retries.reset_count(item)),
                on_label=self._count_label,
            )

    def _count_label(self) -> None:
        self._counts["labels"] += 1

    def _should_stop(self, item: WorkItem) -> str | None:
        if self._closing.is_set():
            return "this worker stops"
        if item.stage not in _OF_JOBS:
            return None if jobs_of(self._backend.jobs, item.owner) else "no job wants it any more"
        job = self._backend.jobs.summary(item.owner)
        if job is None or job.state not in OPEN:
            return "its job does not want it any more"
        return None

    def _abandoned(self, item: WorkItem, attempt: Attempt, why: str) -> None:
        _LOG.info("%s is abandoned: %s", item, why)
        self._counts["items_let_go"] += 1
        if attempt.stalled:
            self._failed(item, why)
        else:
            self._retries.reset_count(item)

    def _failed(self, item: WorkItem, why: str) -> None:
        _LOG.warning("%s failed: %s", item, why)
        self._counts["items_failed"] += 1
        self._retries.failed(item, why)

    def _fail_jobs(self, item: WorkItem, why: str) -> None:
        """Trying again would end the same way: the jobs that need the item fail."""
        _LOG.warning("%s cannot be done: %s", item, why)
        self._counts["items_failed"] += 1
        self._retries.fail_jobs(item, why)


def _once(action: Callable[[], None]) -> Callable[[], None]:
    done = False

    def first_time() -> None:
        nonlocal done
        if not done:
            done = True
            action()

    return first_time
