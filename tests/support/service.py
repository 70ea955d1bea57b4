"""The service as it is run: a real Valkey, worker processes, and the job service of the API."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from loaded_python import LoadedProgram, start_loaded

from autointerp.core.config import Budget, JobSpec
from autointerp.core.job_state import Job, Stage
from autointerp.orchestration.plan import QUEUES
from autointerp.serving.valkey import Valkey
from autointerp.settings import Settings
from autointerp.wiring.backends import build_job_service, open_backends
from workers.celery_app import build_app, request_sender, sender

_WORKER = "import sys; from workers.__main__ import main; sys.exit(main(sys.argv[1:]))"


class Service:
    """Runs while its ``with`` block does; workers may be killed and started again."""

    def __init__(self, folder: Path, settings: Mapping[str, object]) -> None:
        """A service.

        Args:
            folder: for its data.
            settings: names and values, without the prefix; None is the default.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.server = Valkey(folder / "valkey")
        self._given = {
            "cache_dir": folder / "cache",
            "data_dir": folder,
            "store": f"json:{folder / 'labels'}",
            # Soon over when a worker is killed, and longer than a busy machine stands still.
            "lease_s": 5,
            **settings,
        }
        self.processes: dict[str, LoadedProgram] = {}

    def __enter__(self) -> Self:
        self.server.start()
        self.settings = Settings.model_validate(
            {
                **self._given,
                "redis_url": self.server.url,
                "models": tuple(str(self._given["models"]).split(",")),
                "folders": (Path(str(self._given["folders"])),),
            }
        )
        self.backends = open_backends(self.settings)
        self.backend = self.backends.backend
        app = build_app(self.server.url)
        send_request = request_sender(app, self.backend.mailbox)
        self.job_service = build_job_service(
            self.settings, self.backends, send=sender(app), send_request=send_request
        )
        for queue in QUEUES:
            self.start(queue)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for name in self.processes:
            self.kill(name)
        self.server.stop()

    def start(self, queue: str, *more: str, name: str | None = None, **other: object) -> None:
        """Starts a worker, with settings of its own where there are any."""
        settings = {**self._given, **other}
        given = {f"AUTOINTERP_{n.upper()}": str(v) for n, v in settings.items() if v is not None}
        environment = {**os.environ, **given, "AUTOINTERP_REDIS_URL": self.server.url}
        name = name or queue
        log = self.folder / f"{name}.log"
        self.processes[name] = start_loaded(
            _WORKER, (queue, *more), environment=environment, log=log
        )

    def kill(self, name: str) -> None:
        """Ends a worker at once."""
        self.processes[name].kill()
        self.processes[name].wait()

    def submit(self, spec: JobSpec, budget: Budget | None = None) -> Job:
        """Puts a job up."""
        return self.job_service.submit(spec, budget or Budget(), owner="local")

    def job(self, job_id: str) -> Job:
        """The job as it is now."""
        found = self.backend.jobs.get(job_id)
        assert found is not None
        return found

    def ended(self, job_id: str, *, seconds: float = 300) -> Job:
        """The job when it has ended."""
        until = time.monotonic() + seconds
        while not self.job(job_id).state.is_final:
            assert time.monotonic() < until, f"{self.job(job_id)}\n{self.said()}"
            time.sleep(0.05)
        return self.job(job_id)

    def is_held(self, job_id: str, stage: Stage) -> bool:
        """Whether a worker has an item of a stage in its hands."""
        return any(state.held_by for state in self.backend.queue.items(job_id, stage))

    def said(self) -> str:
        """The ends of all logs."""
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"{log.name}: {log.read_text()[-2000:]}" for log in logs)
