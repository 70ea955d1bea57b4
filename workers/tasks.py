"""The tasks, and the workshop of the process that runs them."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from celery import Celery

from autointerp.core.service import Stage, WorkItem
from autointerp.orchestration.naming import ACTIVATIONS
from autointerp.settings import Settings
from autointerp.wiring.service import Keeping, open_keeping

from .celery_app import ANSWER, WORK, sender

if TYPE_CHECKING:
    from autointerp.jobs.workshop import Workshop


class Floor:
    """The workshop of this process, opened when it is first needed.

    A process that was forked opens its own.
    """

    def __init__(self, app: Celery, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._lock = threading.RLock()
        self._keeping: tuple[int, Keeping] | None = None
        self._workshop: tuple[int, Workshop] | None = None

    @property
    def name(self) -> str:
        """Of this worker: its machine and process."""
        return f"{socket.gethostname()}:{os.getpid()}"

    @property
    def doing(self) -> str | None:
        """The pieces of work in its hands."""
        return self._workshop[1].doing if self._workshop is not None else None

    @property
    def measured(self) -> Mapping[str, object]:
        """What it did and measured since it began."""
        return self._workshop[1].measured if self._workshop is not None else {}

    @property
    def keeping(self) -> Keeping:
        """Where the service keeps everything."""
        with self._lock:
            if self._keeping is None or self._keeping[0] != os.getpid():
                self._keeping = (os.getpid(), open_keeping(self._settings))
            return self._keeping[1]

    @property
    def workshop(self) -> Workshop:
        """Where work is done."""
        # These bring torch, which signs of life can do without.
        from autointerp.jobs.workshop import Workshop  # noqa: PLC0415
        from autointerp.wiring.workers import build_parts  # noqa: PLC0415

        with self._lock:
            if self._workshop is None or self._workshop[0] != os.getpid():
                parts = build_parts(self._settings, self.keeping, sender(self._app))
                self._workshop = (os.getpid(), Workshop(parts, name=self.name))
            return self._workshop[1]

    def close(self) -> None:
        """Lets go of what is being done."""
        if self._workshop is not None:
            self._workshop[1].close()


def register(app: Celery, floor: Floor) -> None:
    """Adds the tasks to an application."""

    @app.task(name=WORK)  # type: ignore[untyped-decorator]
    def work(owner: str, stage: str, number: int) -> None:
        """Does a piece of work."""
        floor.workshop.do(WorkItem(owner, Stage(stage), number))

    @app.task(name=ANSWER)  # type: ignore[untyped-decorator]
    def answer() -> None:
        """Answers callers of the API, unless that was done in the midst of other work."""
        floor.workshop.answer_waiting(ACTIVATIONS)
