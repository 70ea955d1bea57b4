"""One try of one piece of work: its lease, the signs that it moves, and when to let go."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from autointerp.core.errors import AutointerpError, UpstreamError
from autointerp.jobs.workshop.parts import Times
from autointerp.store.jobs import Lease, WorkQueue

_LOG = logging.getLogger(__name__)


class LetGoError(AutointerpError):
    """The work is to be left as it is: it was cancelled, taken over, or the worker stops."""


class Attempt:
    """Keeps a lease from a thread for as long as the work moves, and is told of its progress.

    It is a `Progress`: every step that is told of is a sign that the work moves, and the place
    where work that is not wanted any more ends with a LetGoError.
    """

    def __init__(
        self,
        queue: WorkQueue,
        lease: Lease,
        *,
        times: Times,
        why_not: Callable[[], str | None],
        between: Callable[[], None],
    ) -> None:
        """Belongs to a lease that was just taken.

        Args:
            queue: that gave the lease.
            lease: to keep.
            times: how long it holds.
            why_not: says why the work is not wanted any more, None while it is.
            between: called by the one who works, between two steps.
        """
        self._queue, self.lease, self._times, self._why_not = queue, lease, times, why_not
        self._between = between
        self._moved = time.monotonic()
        self._ended = threading.Event()
        self._let_go: str | None = None
        self.stalled = False
        self._thread = threading.Thread(target=self._keep, name=f"lease {lease.item}", daemon=True)

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

    @property
    def let_go(self) -> str | None:
        """Why to stop; None while it goes on."""
        return self._let_go

    def moved(self) -> None:
        """Something was finished; never raises, so that nobody loses what has just come in."""
        self._moved = time.monotonic()

    def beat(self) -> None:
        """Something was finished.

        Raises:
            LetGoError: nobody wants the rest.
        """
        self._moved = time.monotonic()
        if self._let_go is not None:
            raise LetGoError(self._let_go)
        self._between()

    def start(self, stage: str, total: int, unit: str) -> None:  # noqa: ARG002 - of Progress
        """A stage begins."""
        self.beat()

    def advance(self, stage: str, amount: int) -> None:  # noqa: ARG002 - of Progress
        """A part of it is done."""
        self.beat()

    def note(self, message: str) -> None:
        """Goes to the log."""
        _LOG.info("%s: %s", self.lease.item, message)

    def _keep(self) -> None:
        renewed = time.monotonic()
        while not self._ended.wait(self._times.poll_s) and self._let_go is None:
            try:
                self._let_go = self._why_not()
                now = time.monotonic()
                if now - self._moved > self._times.stall_s:
                    self.stalled = True
                    self._let_go = f"nothing was finished for {self._times.stall_s:.0f} s"
                elif now - renewed > self._times.lease_s / 4:
                    if not self._queue.renew(self.lease, ttl_s=self._times.lease_s):
                        self._let_go = "its lease was lost"
                    renewed = now
            except UpstreamError as error:
                # The lease ends by itself if this lasts, and a renewal then says so.
                _LOG.warning("%s: %s", self.lease.item, error)


class Unhurried:
    """A `Progress` that tells an attempt what moves and never ends the work.

    Several calls are on their way at once: one unit that ended them all as soon as it was done
    would lose the replies of the others, which are paid for.
    """

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    def start(self, stage: str, total: int, unit: str) -> None:  # noqa: ARG002 - of Progress
        """A stage begins."""
        self._attempt.moved()

    def advance(self, stage: str, amount: int) -> None:  # noqa: ARG002 - of Progress
        """A part of it is done."""
        self._attempt.moved()

    def note(self, message: str) -> None:
        """Goes to the log."""
        self._attempt.note(message)
