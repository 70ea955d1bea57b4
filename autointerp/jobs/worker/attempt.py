"""One try of one work item: keeps its lease while it makes progress, and says when to stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from typing_extensions import override

from autointerp.core.errors import AutointerpError, UpstreamError
from autointerp.core.progress import Progress
from autointerp.jobs.worker.resources import LeaseTimes
from autointerp.store.jobs import Lease, WorkQueue

_LOG = logging.getLogger(__name__)


class WorkAbandonedError(AutointerpError):
    """The work stops unfinished: it was cancelled, taken over, or the worker shuts down."""


class Attempt(Progress):
    """Renews a lease from a thread for as long as the work makes progress.

    As a `Progress` it counts every step, and ends work that should stop there by raising
    WorkAbandonedError.
    """

    def __init__(
        self,
        queue: WorkQueue,
        lease: Lease,
        *,
        times: LeaseTimes,
        should_stop: Callable[[], str | None],
        between_steps: Callable[[], None],
    ) -> None:
        """An attempt whose lease was just taken.

        `should_stop` says why the work is not wanted any more, None while it is; `between_steps` is
        called by the thread that works, after every step.
        """
        self._queue, self.lease, self._times, self._should_stop = queue, lease, times, should_stop
        self._between_steps = between_steps
        self._last_progress = time.monotonic()
        self._ended = threading.Event()
        # Why the work should stop; None while it should go on.
        self.stop_reason: str | None = None
        self.stalled = False
        self._thread = threading.Thread(
            target=self._renew_lease, name=f"lease {lease.item}", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join(timeout=2 * self._times.poll_s)

    def progressed(self) -> None:
        """Records progress; never raises, so that a reply that has just come in is not lost."""
        self._last_progress = time.monotonic()

    def step(self) -> None:
        """Records progress, and ends the work where it should stop.

        Raises:
            WorkAbandonedError: it should.
        """
        self.progressed()
        if self.stop_reason is not None:
            raise WorkAbandonedError(self.stop_reason)
        self._between_steps()

    @override
    def start(self, stage: str, total: int, unit: str) -> None:
        self.step()

    @override
    def advance(self, stage: str, amount: int) -> None:
        self.step()

    @override
    def at(self, stage: str, place: str) -> None:
        self.progressed()

    @override
    def note(self, message: str) -> None:
        _LOG.info("%s: %s", self.lease.item, message)

    def _renew_lease(self) -> None:
        renewed = time.monotonic()
        while not self._ended.wait(self._times.poll_s) and self.stop_reason is None:
            try:
                self.stop_reason = self._should_stop()
                now = time.monotonic()
                if now - self._last_progress > self._times.stall_s:
                    self.stalled = True
                    self.stop_reason = f"nothing was finished for {self._times.stall_s:.0f} s"
                elif now - renewed > self._times.lease_s / 4:
                    if not self._queue.renew(self.lease, ttl_s=self._times.lease_s):
                        self.stop_reason = "its lease was lost"
                    renewed = now
            except UpstreamError as error:
                # If this lasts the lease expires, and the next renewal says so.
                _LOG.warning("%s: %s", self.lease.item, error)


class AttemptProgress(Progress):
    """Records the progress of an attempt and never ends the work.

    Several calls are in flight at once: a unit that ended them all as soon as it was done would
    lose the replies to the others, which are paid for.
    """

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    @override
    def start(self, stage: str, total: int, unit: str) -> None:
        self._attempt.progressed()

    @override
    def advance(self, stage: str, amount: int) -> None:
        self._attempt.progressed()

    @override
    def at(self, stage: str, place: str) -> None:
        self._attempt.progressed()

    @override
    def note(self, message: str) -> None:
        self._attempt.note(message)
