"""Takes a piece of work, does it, and says what came of it."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping

from autointerp.core.errors import AutointerpError, InputError, UpstreamError
from autointerp.core.service import Stage, WorkItem
from autointerp.jobs.workshop.answers import Answers
from autointerp.jobs.workshop.attempt import Attempt, LetGoError
from autointerp.jobs.workshop.labelling import LabelWork
from autointerp.jobs.workshop.parts import Parts
from autointerp.jobs.workshop.questions import Questions
from autointerp.jobs.workshop.reading import ActivationsWork
from autointerp.orchestration import RetryPolicy, schedule_collection, schedule_job
from autointerp.orchestration.naming import ACTIVATIONS, QUEUES
from autointerp.orchestration.retry_policy import OPEN, jobs_of
from autointerp.store.jobs import Lease

_LOG = logging.getLogger(__name__)
_OF_JOBS = frozenset({Stage.PLAN, Stage.RECORDS, Stage.LABEL})


class Workshop:
    """Does one piece of work at a time a thread; several threads may share it for labels."""

    def __init__(self, parts: Parts, *, name: str) -> None:
        """A workshop.

        Args:
            parts: what it works with.
            name: of this worker, unique among those that live.
        """
        self.name = name
        self._parts, self._backend = parts, parts.backend
        self._retries = RetryPolicy(parts.backend.jobs, parts.backend.queue, parts.artifacts)
        self._reading, self._labelling = ActivationsWork(parts), LabelWork(parts)
        answers = Answers(parts, self._reading.bench)
        self._questions = {
            queue: Questions(parts.backend.mailbox, answers, queue) for queue in QUEUES
        }
        self._closing = threading.Event()
        self._doing: dict[int, str] = {}
        self._counts: Counter[str] = Counter()

    @property
    def doing(self) -> str | None:
        """The pieces of work in its hands."""
        return ", ".join(self._doing.values()) or None

    @property
    def counts(self) -> Mapping[str, int]:
        """What this worker did since it began: pieces of work by how they ended, labels."""
        return dict(self._counts)

    @property
    def measured(self) -> Mapping[str, object]:
        """Its counts, and `WorkerReadings`, fit for JSON."""
        return {**self._counts, **self._parts.readings().model_dump(mode="json")}

    def close(self) -> None:
        """Lets go of what is being done, soon; it is done by somebody else."""
        self._closing.set()

    def answer_waiting(self, queue: str, *, wait_s: float = 0) -> None:
        """Answers what the API asks the workers of a queue; waits a while for the first."""
        self._questions[queue].answer_all(wait_s=wait_s)

    def do(self, item: WorkItem) -> None:
        """Does a piece of work, unless it is done or somebody has it; then sends what is due."""
        times = self._parts.times
        lease = self._backend.queue.take(item, self.name, ttl_s=times.lease_s)
        if lease is None:
            return
        me = threading.get_ident()
        self._doing[me] = str(item)
        try:
            done = self._end(item) if self._retries.is_due(item) else self._try(lease)
        finally:
            self._doing.pop(me, None)
        self._backend.queue.release(lease, done=done)
        self._advance(item)

    def _advance(self, item: WorkItem) -> None:
        if item.stage in _OF_JOBS:
            schedule_job(self._backend, self._parts.send, item.owner)
        else:
            schedule_collection(self._backend, self._parts.send, item.owner)

    def _answer_between(self) -> None:
        """Labels are made in an event loop; what is asked of their workers has its own thread."""
        self._questions[ACTIVATIONS].answer_between()

    def _end(self, item: WorkItem) -> bool:
        """Gives up what was tried too often; whether it counts as done."""
        reason = self._retries.reason(item)
        try:
            self._retries.give_up(item, reason)
        except UpstreamError as error:
            _LOG.warning("%s cannot be given up now: %s", item, error)
            return False
        _LOG.error("%s is given up: %s", item, reason)
        self._counts["items_parked"] += 1
        return item.stage in {Stage.RECORDS, Stage.LABEL}

    def _try(self, lease: Lease) -> bool:
        item = lease.item
        attempt = Attempt(
            self._backend.queue,
            lease,
            times=self._parts.times,
            why_not=lambda: self._why_not(item),
            between=_nothing if item.stage is Stage.LABEL else self._answer_between,
        )
        try:
            with attempt:
                self._do(item, attempt)
        except LetGoError as error:
            _LOG.info("%s is let go of: %s", item, error)
            self._counts["items_let_go"] += 1
            self._let_go(item, attempt, str(error))
        except InputError as error:
            self._give_up(item, str(error))
        except UpstreamError as error:
            if error.retryable:
                self._failed(item, str(error))
            else:
                self._give_up(item, str(error))
        except AutointerpError as error:
            self._failed(item, str(error))
        except Exception as error:  # noqa: BLE001 - outermost frame of a worker
            _LOG.exception("%s failed", item)
            self._failed(item, f"{type(error).__name__}: {error}")
        else:
            self._counts["items_done"] += 1
            return True
        return False

    def _do(self, item: WorkItem, attempt: Attempt) -> None:
        if item.stage is Stage.COLLECT:
            self._reading.collect(item, attempt)
        elif item.stage is Stage.MERGE:
            self._reading.merge(item, attempt)
        else:
            self._do_of_job(item, attempt)

    def _do_of_job(self, item: WorkItem, attempt: Attempt) -> None:
        job = self._backend.jobs.get(item.owner)
        if job is None or job.state not in OPEN:
            raise LetGoError("its job does not want it any more")
        if item.stage is Stage.PLAN:
            self._reading.plan(job, attempt)
        elif item.stage is Stage.RECORDS:
            self._reading.read_records(job, item, attempt)
        else:
            self._labelling.label(
                job,
                item,
                attempt,
                is_first=self._retries.is_first(item) and not job.generation,
                good=self._once(item),
                kept=self._count_label,
            )

    def _once(self, item: WorkItem) -> Callable[[], None]:
        """Notes when it is first called that this try was not in vain."""
        told = False

        def good() -> None:
            nonlocal told
            if not told:
                told = True
                self._retries.not_in_vain(item)

        return good

    def _count_label(self) -> None:
        self._counts["labels"] += 1

    def _why_not(self, item: WorkItem) -> str | None:
        if self._closing.is_set():
            return "this worker stops"
        if item.stage not in _OF_JOBS:
            return None if jobs_of(self._backend.jobs, item.owner) else "no job wants it any more"
        job = self._backend.jobs.get(item.owner)
        if job is None or job.state not in OPEN:
            return "its job does not want it any more"
        return None

    def _let_go(self, item: WorkItem, attempt: Attempt, why: str) -> None:
        if attempt.stalled:
            self._failed(item, why)
        else:
            self._retries.not_in_vain(item)

    def _failed(self, item: WorkItem, why: str) -> None:
        _LOG.warning("%s failed: %s", item, why)
        self._counts["items_failed"] += 1
        self._retries.failed(item, why)

    def _give_up(self, item: WorkItem, why: str) -> None:
        """Trying again would end the same way: its jobs fail with the sentence."""
        _LOG.warning("%s cannot be done: %s", item, why)
        self._counts["items_failed"] += 1
        self._retries.fail_jobs(item, why)


def _nothing() -> None:
    pass
