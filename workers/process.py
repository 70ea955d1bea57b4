"""What one worker process works with, and the Celery tasks that run in it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from celery import Celery

from autointerp.core.job_state import Stage, WorkItem
from autointerp.orchestration.plan import ACTIVATIONS
from autointerp.settings import Settings
from autointerp.wiring.backends import Backends, open_backends

from .celery_app import REPLY, WORK, sender

if TYPE_CHECKING:
    from autointerp.jobs.worker import Worker


class WorkerProcess:
    """The worker of this process, opened when it is first needed.

    A process that was forked opens its own.
    """

    def __init__(self, app: Celery, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._lock = threading.RLock()
        self._backends: tuple[int, Backends] | None = None
        self._worker: tuple[int, Worker] | None = None

    @property
    def name(self) -> str:
        """The machine and the process."""
        return f"{socket.gethostname()}:{os.getpid()}"

    @property
    def doing(self) -> str | None:
        """The work items that it holds."""
        return self._worker[1].doing if self._worker is not None else None

    @property
    def metrics(self) -> Mapping[str, object]:
        """What it did and measured since it began."""
        return self._worker[1].metrics if self._worker is not None else {}

    @property
    def backends(self) -> Backends:
        """Where the service stores everything."""
        with self._lock:
            if self._backends is None or self._backends[0] != os.getpid():
                self._backends = (os.getpid(), open_backends(self._settings))
            return self._backends[1]

    @property
    def worker(self) -> Worker:
        """What does the work."""
        # These bring torch, which a heartbeat can do without.
        from autointerp.jobs.worker import Worker  # noqa: PLC0415
        from autointerp.wiring.workers import build_worker_dependencies  # noqa: PLC0415

        with self._lock:
            if self._worker is None or self._worker[0] != os.getpid():
                send = sender(self._app)
                dependencies = build_worker_dependencies(self._settings, self.backends, send)
                self._worker = (os.getpid(), Worker(dependencies, name=self.name))
            return self._worker[1]

    def close(self) -> None:
        """Makes work stop soon."""
        if self._worker is not None:
            self._worker[1].close()


def register(app: Celery, process: WorkerProcess) -> None:
    """Adds the tasks to an application."""

    @app.task(name=WORK)  # type: ignore[untyped-decorator]
    def work(owner: str, stage: str, number: int) -> None:
        """Does a work item."""
        process.worker.do(WorkItem(owner, Stage(stage), number))

    @app.task(name=REPLY)  # type: ignore[untyped-decorator]
    def reply() -> None:
        """Replies to requests of the API, unless that was done between two steps of other work."""
        process.worker.reply_to_waiting(ACTIVATIONS)
